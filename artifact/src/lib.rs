//! What the compiler writes and the runtime reads: the artifact's format, the layout of the vmctx, trap codes and the list
//! of builtin functions that compiled code may call.
//!
//! This crate knows neither Cranelift nor instances. Everything that compiled code and the runtime must agree on stands
//! here once, and both sides derive it from here: no offset is typed twice.
//!
//! | module | holds |
//! |---|---|
//! | [`types`] | value, function, table, memory and global types |
//! | [`module`] | a module's metadata: imports, exports, segments, constant expressions |
//! | [`vmctx`] | the vmctx and the other structures that compiled code reads, and their offsets |
//! | [`builtins`] | the functions of the runtime that compiled code calls |
//! | [`trap`] | the list of traps |
//! | [`frames`] | the tables that map a pc to its function, its trap and its place in the wasm file |
//! | [`gc`] | objects of the collected heap, tags, and what is known of their types |
//! | [`handlers`] | the table that leads from a call to its handlers of exceptions |
//! | [`container`] | reading the ELF container; [`writer`] writes it (feature `write`) |

pub mod builtins;
mod check;
pub mod container;
pub mod frames;
pub mod gc;
pub mod handlers;
pub mod module;
pub mod trap;
pub mod types;
pub mod vmctx;
mod words;
#[cfg(feature = "write")]
pub mod writer;

pub use builtins::Builtin;
pub use container::{Artifact, ArtifactError};
pub use frames::{FunctionKind, FunctionRecord};
pub use module::Module;
pub use trap::TrapCode;
pub use types::{
    Composite, FieldType, FuncType, GlobalType, HeapType, Hierarchy, MemoryType, RefType, Storage, SubType, TableType,
    TypeKind, ValType,
};
pub use vmctx::VmLayout;

/// The format's version. It changes with every change of the layout of the file, of the vmctx, or of the list of builtins.
pub const FORMAT_VERSION: u32 = 13;

/// The compiler's version, recorded in every artifact: code made by another version is refused, because the two agree on
/// more than the format says (calling conventions, helper semantics).
pub const COMPILER_VERSION: &str = env!("CARGO_PKG_VERSION");
