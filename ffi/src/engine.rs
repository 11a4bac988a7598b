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
    /// Bytes that the collected heap (structs, arrays and exceptions of WebAssembly) of apps that are linked together may have: an app that would
    /// need more traps with WB_TRAP_ALLOCATION_TOO_LARGE. 0 is the default, 1 GiB.
    pub gc_heap_bytes: u64,
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
        if let Some(&wb_config { stack_reserve, gc_heap_bytes }) = unsafe { config.as_ref() } {
            if stack_reserve != 0 {
                settings.stack_reserve = stack_reserve;
            }
            if gc_heap_bytes != 0 {
                settings.gc_heap_bytes = gc_heap_bytes;
            }
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
