//! Compiles shapes.
use super::{Shape, ShapeError};
use crate::signature::Signature;

/// Compiles shapes for this host; keeps its working memory between them.
pub struct ShapeCompiler {}

impl ShapeCompiler {
    /// A compiler for the processor this runs on.
    ///
    /// # Errors
    /// [`ShapeError::Host`] if shapes cannot be made for it.
    pub fn new() -> Result<ShapeCompiler, ShapeError> {
        todo!("being written")
    }

    /// The code that calls a wasm function as a C function of this signature.
    ///
    /// # Errors
    /// [`ShapeError::Compile`] if Cranelift refuses it.
    pub fn callback(&mut self, _signature: &Signature) -> Result<Shape, ShapeError> {
        todo!("being written")
    }

    /// The code that calls a C function of this signature from wasm.
    ///
    /// # Errors
    /// [`ShapeError::Compile`] if Cranelift refuses it.
    pub fn thunk(&mut self, _signature: &Signature) -> Result<Shape, ShapeError> {
        todo!("being written")
    }
}
