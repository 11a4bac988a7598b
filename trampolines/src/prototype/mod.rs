//! Prototypes as text: C declarations of functions, with annotations in square brackets. `docs/prototypes.md` is their manual.
//!
//! `lexer` makes tokens, `parser` with `specifiers`, `members` and `annotations` makes the tree in `ast` from them; whether that tree can cross,
//! and how, is decided in [`signature`](crate::signature). No text makes any of them panic: nesting is limited, and everything else is an
//! error with its place.

mod annotations;
pub(crate) mod ast;
mod error;
mod lexer;
mod members;
mod names;
mod parser;
mod specifiers;

pub use error::{Problem, PrototypeError};
pub use names::TypeNames;

use crate::signature::{Signature, lower};
use parser::Parser;

/// Parses a prototype.
pub(crate) fn parse(text: &str, names: &TypeNames) -> Result<Signature, PrototypeError> {
    lower::signature(text, &Parser::new(text, names)?.prototype()?)
}
