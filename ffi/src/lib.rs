//! The C API of wasmbridge: `libwasmbridge` and `wasmbridge.h`. What the header begins with:
//!
#![doc = concat!("```text\n", include_str!("manual.txt"), "```\n")]
//! # In this crate
//!
//! Functions here are thin: they check pointers, call the runtime, and turn its result into what C can use. The header is
//! made of this crate's documentation by a test (`tests/header.rs`): what is said here is the C manual.
#![allow(non_camel_case_types, reason = "the types' names are C's")]

mod boundary;
mod engine;
mod error;
mod exception;
mod globals;
mod handles;
mod instance;
mod linker;
mod module;
mod region;
mod thread;
mod value;
#[cfg(feature = "wasi")]
mod wasi;
mod window;

pub use engine::*;
pub use error::*;
pub use exception::*;
pub use globals::*;
pub use handles::*;
pub use instance::*;
pub use linker::*;
pub use module::*;
pub use region::*;
pub use thread::*;
pub use value::*;
#[cfg(feature = "wasi")]
pub use wasi::*;
pub use window::*;
