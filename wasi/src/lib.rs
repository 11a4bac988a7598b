//! WASI preview 1: what programs that are compiled for `wasm32-wasi` import.
//!
//! ```no_run
//! use wasmbridge_runtime::{Engine, Linker, Module};
//! use wasmbridge_wasi::WasiConfig;
//!
//! let engine = Engine::new(Default::default())?;
//! let module = Module::open(&engine, "app.wbm")?;
//! let mut linker = Linker::new(&engine);
//! let mut wasi = WasiConfig::new();
//! wasi.arg("app").inherit_stdio().preopen_dir("/srv/data".as_ref(), "/data")?;
//! wasi.define(&mut linker)?;
//! let app = linker.instantiate(&module)?;
//! match app.call("_start", &[]) {
//!     Ok(_) => println!("done"),
//!     Err(error) => match error.trap().and_then(|trap| trap.exit_status) {
//!         Some(status) => println!("exit status {status}"),
//!         None => return Err(error.into()),
//!     },
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is open by default: no arguments, no environment, an empty standard input, output that goes nowhere, no directories. What is
//! always there are the clocks and random numbers. The implementation is the crate `wasi-common`; paths stay below the directories
//! that were opened (`cap-std`).
//!
//! | module | does |
//! |---|---|
//! | `config` | what an app is given |
//! | `define` | the functions, defined in a linker, and how they see the app's memory |
//! | `windows` | how they see windows |

mod config;
mod define;
mod windows;

pub use config::{WasiConfig, WasiError};
