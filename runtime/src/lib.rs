//! Loads compiled modules, runs instances of them, and makes C function pointers of their functions.
//!
//! ```no_run
//! use wasmbridge_runtime::{CallbackOptions, Config, Engine, Linker, Module, NativeFn, Value};
//!
//! let engine = Engine::new(Config::default())?;
//! let module = Module::open(&engine, "app.wbm")?;
//! let mut linker = Linker::new(&engine);
//! // SAFETY: `abs` is the C function of this prototype.
//! unsafe { linker.define("env", "int abs(int n)", NativeFn(libc::abs as *const u8))? };
//! let app = linker.instantiate(&module)?;
//! let sum = app.call("add", &[Value::I32(1), Value::I32(2)])?;
//! let compare = app.callback("int compare(const void *, const void *)", &CallbackOptions::default())?;
//! # Ok::<(), wasmbridge_runtime::Error>(())
//! ```
//!
//! | module | does |
//! |---|---|
//! | `engine`, `module`, `linker`, `instance` | what hosts hold |
//! | `memory`, `table`, `value` | what apps are made of |
//! | `callback`, `crossing` | from C into wasm and back: C function pointers; values that take more than a check |
//! | `host` | functions of the host's that know their caller |
//! | `builtins` | what compiled code calls |
//! | `window` | native data that apps see in place |
//! | `exception` | exceptions: tags, and from a `throw` to its handler |
//! | `gc` | the collected heap |
//! | `types` | the types of all modules of an engine |
//! | `unchanged` | files that need not be hashed again |
//! | `wait` | threads that wait for a place in a shared memory |
//! | `thread` | calls that arrive on other threads than the app's |
//! | `group` | who may enter: threads, stacks, pending traps |
//! | `trap` | from a fault to an error: signal handler, unwinding, backtraces |
//! | `code` | executable memory, and what is known of each pc in it |
//! | `os` | the operating system |

mod addresses;
mod builtins;
mod callback;
mod code;
mod crossing;
mod engine;
mod error;
mod exception;
mod gc;
mod group;
mod host;
mod instance;
mod linker;
mod memory;
mod module;
mod os;
mod table;
mod thread;
mod trap;
mod types;
mod unchanged;
mod value;
mod wait;
mod window;

pub use callback::{Answer, CallbackOptions, NativeFn, Refusal};
pub use crossing::handles::HandleDestructor;
pub use engine::{Config, Engine};
pub use error::{Error, ErrorKind, Frame, Trap};
pub use exception::{Exception, Tag};
pub use gc::{AnyRef, AnyRefKind, ExnRef};
pub use host::{Caller, Stop};
pub use instance::{Instance, MemoryView};
pub use linker::Linker;
pub use module::Module;
pub use value::{FuncRef, Value};
pub use wasmbridge_artifact::{FuncType, HeapType, RefType, TrapCode, ValType, module as metadata};
pub use wasmbridge_trampolines::{OnThread, OnTrap, PrototypeError, Signature, TypeNames, WhilePending};
pub use window::{Arena, Grant, Region, Rights, Window, WindowCounts, WindowMode, WindowOptions};

/// How often a callback has answered with its default value instead of running the guest to its end.
///
/// # Errors
/// [`ErrorKind::NotFound`] if it is not the address of a callback.
pub fn callback_refusals(function: NativeFn) -> Result<u64, Error> {
    callback::refused(function)
}

/// Why a callback answered with its default value last; `None` if it never has.
///
/// # Errors
/// [`ErrorKind::NotFound`] if it is not the address of a callback.
pub fn callback_last_refusal(function: NativeFn) -> Result<Option<Refusal>, Error> {
    callback::last_refusal(function)
}

/// Frees a callback's address: it may be given to another callback afterwards. Nobody may call it any more.
///
/// # Errors
/// [`ErrorKind::NotFound`] if it is not the address of a callback.
///
/// # Safety
/// No C code holds the address, and no call of it is running.
pub unsafe fn release_callback(function: NativeFn) -> Result<(), Error> {
    callback::release(function)
}
