//! Compiles WebAssembly modules ahead of time, with Cranelift, into artifacts.
//!
//! ```
//! let wasm = wat::parse_str(r#"(module (func (export "answer") (result i32) i32.const 42))"#).unwrap();
//! let artifact = wasmbridge_compiler::compile(&wasm, &wasmbridge_compiler::Config::default()).unwrap();
//! ```
//!
//! | module | does |
//! |---|---|
//! | [`config`](Config) | what can be chosen, and Cranelift's settings that follow from it |
//! | `read` | reads the module's sections into the artifact's metadata |
//! | `image` | lays out the image of memory 0 |
//! | `translate` | validates function bodies and translates them to CLIF, one file for each theme of instructions |
//! | `entry` | the entry trampolines |
//! | `codegen` | compiles functions in parallel |
//! | `room` | how much is compiled at once
//! | `link` | puts the functions together: code, tables by pc, unwind information |
//! | `dump` | CLIF and assembly for people and golden tests |
//!
//! A module is compiled as a whole or refused: what the validator or the translator does not know is an error with its name
//! and byte offset, never a panic and never code that traps where the instruction would be.
#![forbid(unsafe_code)]

mod codegen;
mod config;
mod dump;
mod entry;
mod error;
mod image;
mod leaf;
mod limits;
mod link;
mod read;
mod room;
mod translate;

pub use config::{Config, Cpu, OptLevel};
pub use dump::{disassemble, emit_clif};
pub use error::CompileError;

/// Called after each compiled function with how many are done, and of how many. Calls come from several threads, in any order.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Compiles a module to an artifact.
///
/// The artifact depends on the module and the configuration alone: not on the number of threads, and only with
/// [`Cpu::Native`] on the machine.
///
/// # Errors
/// A module that is invalid, uses something that is not supported, or is beyond a limit; a configuration that makes no sense.
pub fn compile(wasm: &[u8], config: &Config) -> Result<Vec<u8>, CompileError> {
    compile_with_progress(wasm, config, &|_, _| {})
}

/// [`compile`], telling how far it is.
///
/// # Errors
/// As [`compile`].
pub fn compile_with_progress(wasm: &[u8], config: &Config, progress: Progress<'_>) -> Result<Vec<u8>, CompileError> {
    let isa = config.isa()?;
    let input = read::read(wasm, config, &*isa)?;
    let functions = codegen::compile_all(&input, &*isa, config, progress)?;
    link::link(input, &*isa, functions)
}
