//! Shapes: the code that crosses, one for each signature and direction.
//!
//! A shape is position-independent bytes. It refers to nothing outside of itself but, in a callback, to its own record: the
//! runtime replicates the bytes over a page of code and fills in each copy's distance to its record ([`RecordReloc`]). A thunk gets
//! its record as its first parameter, so that one copy serves all functions of a signature.

mod compiler;

pub use compiler::ShapeCompiler;

use cranelift_codegen::isa::unwind::systemv::UnwindInfo;
use wasmbridge_artifact::TrapCode;
use wasmbridge_artifact::frames::FrameLayout;

/// Which way a shape crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShapeKind {
    /// From C into wasm: a function in the C convention with the signature's parameters.
    Callback,
    /// From wasm into C: a function in the `Tail` convention, `(thunk record, wasm parameters...) -> wasm result`.
    Thunk,
}

/// Code for one signature, without instance or callee.
#[derive(Debug, Clone)]
pub struct Shape {
    /// which way it crosses
    pub kind: ShapeKind,
    /// the code; its entry is its first byte
    pub code: Vec<u8>,
    /// where the code refers to its record; empty in a thunk
    pub record_relocs: Vec<RecordReloc>,
    /// what it saves of its caller's registers, for the signal handler
    pub frame: FrameLayout,
    /// The instructions that can trap, by offset, ascending; empty in a callback.
    pub traps: Vec<(u32, TrapCode)>,
    pub(crate) unwind: UnwindInfo,
}

/// A place in a callback's code that holds the distance to the copy's record, as four bytes, little-endian.
///
/// The value to write is `record address - (address of the copy's first byte + offset) + addend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordReloc {
    /// of the four bytes, from the code's first byte
    pub offset: u32,
    /// see above
    pub addend: i64,
}

/// Why a shape could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The processor is not one that shapes can be made for.
    #[error("no trampolines for this processor: {0}")]
    Host(String),
    /// Cranelift refused the code: a bug in this crate.
    #[error("the code for `{signature}` does not compile: {cause}")]
    Compile {
        /// the signature
        signature: String,
        /// Cranelift's words
        cause: String,
    },
}
