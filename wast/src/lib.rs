//! Runs specification scripts (`.wast`): the WebAssembly test suite's own format, so that any engine can judge what ours does.
//!
//! Each module of a script is compiled to an artifact, loaded and instantiated, as a host would do it. A module that uses what the
//! compiler does not support is skipped with the reason, and so are the assertions about it; everything else passes or fails.

mod host;
mod script;
mod values;

pub use script::{Outcome, Report, run, run_with};
