//! libffi's entry points, over callbacks and thunks: so that libffi's own test programs try wasmbridge's idea of the C ABI.
//!
//! The programs are C that gcc compiles. A *closure* of theirs is a callback here: a small wasm module, made for the closure's type, exports a function
//! that stores its arguments in its memory and calls an imported function ([`closure`]), which calls the program's handler with pointers to
//! them. A call of theirs is the other way round ([`call`]): the module loads the arguments from its memory and calls
//! the program's function, which it imports. So each value goes through the classification of both directions.
//!
//! | module | does |
//! |---|---|
//! | [`types`] | libffi's structs, and what they say as a C type |
//! | `guest.rs` | the wasm modules |
//! | [`closure`], [`call`] | the two directions |
//! | `stub.rs` | code addresses that exist before the function behind them |
//!
//! What cannot cross is refused when its type is prepared: a line on stderr that begins with `wasmbridge:` says why. Nothing here decides that: the
//! prototype's parser does.

pub mod call;
pub mod closure;
mod guest;
mod stub;
pub mod types;

use std::fmt::Display;
use std::sync::OnceLock;
use wasmbridge_runtime::Engine;

/// The one engine of the process.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(Default::default()).unwrap_or_else(|error| give_up(&error)))
}

/// Says on stderr why something cannot be done.
fn complain(why: &dyn Display) {
    eprintln!("wasmbridge: {why}");
}

/// Ends the process where libffi's interface has no way to say that something failed.
fn give_up(why: &dyn Display) -> ! {
    complain(why);
    std::process::abort()
}
