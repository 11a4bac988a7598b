//! Modules.

use crate::boundary::{Out, array, delete, guard, object, text};
use crate::engine::wb_engine;
use crate::error::wb_error;
use std::ffi::{c_char, c_void};
use wasmbridge_runtime::Module;

/// A module: an app's compiled code, mapped into the process. It is never changed, and all its instances share it.
///
/// It may be used on any thread, and on several at once.
pub struct wb_module(pub(crate) Module);

/// Loads the artifact in a file, as `wasmbridge compile` makes it, by mapping the file.
///
/// The file may be removed or replaced by another of the same name while the module lives, but not written to. `*module` is the
/// caller's, who ends it with `wb_module_delete`. Any thread.
///
/// Fails with WB_ERROR_OS if the file cannot be read, with WB_ERROR_ARTIFACT if it is no artifact, is damaged, or was made for another
/// version or machine.
///
/// # Safety
/// `engine` is NULL or an engine; `path` is NULL or a text; `module` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_module_open(
    engine: *const wb_engine,
    path: *const c_char,
    module: *mut *mut wb_module,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let engine = unsafe { object(engine, "engine") }?;
        // SAFETY: as above.
        let path = unsafe { text(path, "path") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(module, "module") }?;
        out.give(wb_module(Module::open(&engine.0, path)?));
        Ok(())
    })
}

/// Loads an artifact from memory: `len` bytes at `bytes`, which are copied.
///
/// `*module` is the caller's, who ends it with `wb_module_delete`. Any thread. Fails as `wb_module_open` does.
///
/// # Safety
/// `engine` is NULL or an engine; `bytes` is NULL or has `len` bytes; `module` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_module_load(
    engine: *const wb_engine,
    bytes: *const c_void,
    len: usize,
    module: *mut *mut wb_module,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let engine = unsafe { object(engine, "engine") }?;
        // SAFETY: as above.
        let bytes = unsafe { array(bytes.cast::<u8>(), len, "bytes") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(module, "module") }?;
        out.give(wb_module(Module::load(&engine.0, bytes)?));
        Ok(())
    })
}

/// Compiles a WebAssembly module, `len` bytes at `wasm` in the binary format, and loads it: for development, and for apps that arrive
/// as WebAssembly. The code is for this machine's processor.
///
/// It takes about a second for each megabyte, on all cores; what is compiled once, with `wasmbridge compile`, loads in microseconds.
/// `*module` is the caller's, who ends it with `wb_module_delete`. Any thread.
///
/// Fails with WB_ERROR_COMPILE if the module is not valid, or uses what is not supported. In a library that was built without the
/// compiler it always fails.
///
/// # Safety
/// `engine` is NULL or an engine; `wasm` is NULL or has `len` bytes; `module` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_module_compile(
    engine: *const wb_engine,
    wasm: *const c_void,
    len: usize,
    module: *mut *mut wb_module,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let engine = unsafe { object(engine, "engine") }?;
        // SAFETY: as above.
        let wasm = unsafe { array(wasm.cast::<u8>(), len, "wasm") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(module, "module") }?;
        let artifact = compile(wasm)?;
        out.give(wb_module(Module::load(&engine.0, &artifact)?));
        Ok(())
    })
}

#[cfg(feature = "compile")]
fn compile(wasm: &[u8]) -> crate::boundary::Result<Vec<u8>> {
    use wasmbridge_compiler::{Config, Cpu};
    let config = Config { cpu: Cpu::Native, ..Config::default() };
    wasmbridge_compiler::compile(wasm, &config).map_err(|e| compile_error(e.to_string()))
}

#[cfg(not(feature = "compile"))]
fn compile(_wasm: &[u8]) -> crate::boundary::Result<Vec<u8>> {
    Err(compile_error("this libwasmbridge was built without the compiler: use `wasmbridge compile`".to_owned()))
}

fn compile_error(message: String) -> Box<wb_error> {
    wb_error::new(crate::error::wb_errorkind::WB_ERROR_COMPILE, message)
}

/// Ends a module; its instances live on. NULL does nothing.
///
/// # Safety
/// `module` is NULL or a module that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_module_delete(module: *mut wb_module) {
    // SAFETY: the caller's duty.
    unsafe { delete(module) }
}
