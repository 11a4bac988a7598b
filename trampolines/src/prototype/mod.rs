//! Prototypes as text: C declarations of functions, with annotations in square brackets.
mod error;
mod names;
use crate::signature::Signature;
pub use error::{Problem, PrototypeError};
pub use names::TypeNames;

/// Parses a prototype.
///
/// # Errors
/// [`PrototypeError`], with the place and what was expected there.
pub fn parse(_text: &str, _names: &TypeNames) -> Result<Signature, PrototypeError> {
    todo!("being written")
}
