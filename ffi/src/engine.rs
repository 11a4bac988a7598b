//! Engines.

use crate::boundary::{Out, delete, guard};
use crate::error::wb_error;
use wasmbridge_runtime::{Config, Engine};

/// An engine: what the modules and instances of one host share. Usually a program has one.
///
/// It may be used on any thread, and on several at once.
pub struct wb_engine(pub(crate) Engine);

/// Settings of an engine. Set all of it to zero first (`wb_config config = {0};`): zero is each setting's default, and a later
/// version may have more of them.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct wb_config {
    /// Bytes at the end of each native stack that wasm code leaves to the C functions it calls: a wasm function that would reach into
    /// them traps with WB_TRAP_STACK_OVERFLOW. At most a quarter of a stack is reserved. 0 is the default, 256 KiB.
    pub stack_reserve: usize,
}

/// Makes an engine.
///
/// The first one in a process installs a handler for SIGSEGV, SIGBUS, SIGILL and SIGFPE, for good. Signals that wasm code did not
/// raise go on to the handlers that were there before. A host that installs handlers of its own does it before, or hands on what is
/// not its own.
///
/// `config` may be NULL, for the defaults; it is only read. `*engine` is the caller's, who ends it with `wb_engine_delete`. Any thread.
///
/// # Safety
/// `config` is NULL or points to a configuration; `engine` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_engine_new(config: *const wb_config, engine: *mut *mut wb_engine) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let out = unsafe { Out::new(engine, "engine") }?;
        let mut settings = Config::default();
        // SAFETY: as above.
        if let Some(config) = unsafe { config.as_ref() }
            && config.stack_reserve != 0
        {
            settings.stack_reserve = config.stack_reserve;
        }
        out.give(wb_engine(Engine::new(settings)?));
        Ok(())
    })
}

/// Ends an engine, once its modules, linkers and instances are ended too: the order does not matter. NULL does nothing.
///
/// # Safety
/// `engine` is NULL or an engine that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_engine_delete(engine: *mut wb_engine) {
    // SAFETY: the caller's duty.
    unsafe { delete(engine) }
}
