//! C signatures, and the code that crosses between C and wasm.
//!
//! | module | does |
//! |---|---|
//! | [`prototype`] | parses what a person pastes from a header, with annotations in square brackets |
//! | [`signature`] | the model of a C function: how each of its values crosses |
//! | [`abi`] | where the platform's C ABI passes each value |
//! | [`shape`] | compiles a signature to a *shape*: position-independent code that calls from C into wasm (a callback) or from wasm into C (a thunk) |
//!
//! This crate knows no instance, and allocates no executable memory: the runtime places shapes, gives each copy its record, and has the
//! builtin functions that shapes call when a value takes more than a check.
#![forbid(unsafe_code)]

pub mod abi;
mod objects;
pub mod prototype;
pub mod shape;
pub mod signature;

pub use objects::{ObjectTypes, READ_ONLY};
pub use prototype::{PrototypeError, TypeNames};
pub use shape::{DirectShape, RecordReloc, Shape, ShapeCompiler, ShapeError, ShapeKind};
pub use signature::{
    CType, Crossing, Direction, Expr, Int, OnThread, OnTrap, Operand, Policy, Scalar, Scope, Signature, Value, VarArgs,
    WhilePending,
};
