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
/// It is read through to find damage. When the engine opens the same file again, and it has not changed since, that is not done again, which takes a third of the time.
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

/// How much the compiler tries: WB_OPTIMISE and its kin.
pub type wb_optlevel = u32;

/// The code is to be fast.
pub const WB_OPTIMISE: wb_optlevel = 0;
/// The compiler is to be as fast as can be: nothing is optimised, and registers are given out in one pass.
pub const WB_OPTIMISE_NOTHING: wb_optlevel = 1;
/// The compiler is to be fast: nothing is optimised, but registers are given out with care.
pub const WB_OPTIMISE_LITTLE: wb_optlevel = 2;
/// The code is to be fast, and the shorter of two that are equally fast.
pub const WB_OPTIMISE_SIZE: wb_optlevel = 3;

/// How a module is compiled. Set all of it to zero first (`wb_compile_config config = {0};`): zero is each setting's default, and a later
/// version may have more of them.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct wb_compile_config {
    /// WB_OPTIMISE, WB_OPTIMISE_NOTHING, WB_OPTIMISE_LITTLE or WB_OPTIMISE_SIZE
    pub opt_level: wb_optlevel,
    /// Code of WebAssembly's deterministic profile, which computes the same on every machine: canonical NaNs, and relaxed vector instructions that do not
    /// depend on the processor.
    pub deterministic: bool,
    /// Without the instructions that keep a processor which runs ahead of a comparison from reading what is out of bounds.
    pub no_spectre_mitigations: bool,
    /// Bytes of address space that each 32-bit memory reserves. Less than the default, 8 GiB and a guard, costs a comparison for each access.
    pub memory_reservation: u64,
}

/// Compiles a WebAssembly module, `len` bytes at `wasm` in the binary format, and loads it: for development, and for apps that arrive
/// as WebAssembly. The code is for this machine's processor. `config` may be NULL, for the defaults; it is only read.
///
/// It takes about a second for each megabyte, on all cores; what is compiled once, with `wasmbridge compile`, loads in microseconds.
/// `*module` is the caller's, who ends it with `wb_module_delete`. Any thread.
///
/// Fails with WB_ERROR_COMPILE if the module is not valid, or uses what is not supported, or if the settings make no sense. In a library that was
/// built without the compiler it always fails.
///
/// # Safety
/// `engine` is NULL or an engine; `wasm` is NULL or has `len` bytes; `config` is NULL or points to a configuration; `module` is NULL or may be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_module_compile(
    engine: *const wb_engine,
    wasm: *const c_void,
    len: usize,
    config: *const wb_compile_config,
    module: *mut *mut wb_module,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let engine = unsafe { object(engine, "engine") }?;
        // SAFETY: as above.
        let config = unsafe { config.as_ref() };
        // SAFETY: as above.
        let wasm = unsafe { array(wasm.cast::<u8>(), len, "wasm") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(module, "module") }?;
        let artifact = compile(wasm, config)?;
        out.give(wb_module(Module::load(&engine.0, &artifact)?));
        Ok(())
    })
}

#[cfg(feature = "compile")]
fn compile(wasm: &[u8], config: Option<&wb_compile_config>) -> crate::boundary::Result<Vec<u8>> {
    use wasmbridge_compiler::{Config, Cpu, OptLevel};
    let mut settings = Config { cpu: Cpu::Native, ..Config::default() };
    if let Some(config) = config {
        settings.opt_level = match config.opt_level {
            WB_OPTIMISE => OptLevel::Speed,
            WB_OPTIMISE_NOTHING => OptLevel::None,
            WB_OPTIMISE_LITTLE => OptLevel::Less,
            WB_OPTIMISE_SIZE => OptLevel::SpeedAndSize,
            unknown => return Err(compile_error(format!("`opt_level` is {unknown}, which is none"))),
        };
        settings.deterministic = config.deterministic;
        settings.spectre_mitigations = !config.no_spectre_mitigations;
        if config.memory_reservation != 0 {
            settings.memory_reservation = config.memory_reservation;
        }
    }
    wasmbridge_compiler::compile(wasm, &settings).map_err(|e| compile_error(e.to_string()))
}

#[cfg(not(feature = "compile"))]
fn compile(_wasm: &[u8], _config: Option<&wb_compile_config>) -> crate::boundary::Result<Vec<u8>> {
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
