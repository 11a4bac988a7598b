//! WASI for apps.

use crate::boundary::{Out, Result, array, delete, guard, invalid, object_mut, text};
use crate::error::{wb_error, wb_errorkind};
use crate::linker::wb_linker;
use std::ffi::{c_char, c_int, c_void};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::Path;
use wasmbridge_wasi::WasiConfig;

/// A standard stream: WB_WASI_STDIN, WB_WASI_STDOUT or WB_WASI_STDERR.
pub type wb_wasi_stream = u32;

/// The standard input.
pub const WB_WASI_STDIN: wb_wasi_stream = 0;
/// The standard output.
pub const WB_WASI_STDOUT: wb_wasi_stream = 1;
/// The standard error.
pub const WB_WASI_STDERR: wb_wasi_stream = 2;

/// What a WASI program (preview 1) is given: arguments, variables of the environment, standard streams, directories. At first it has
/// nothing: no arguments, no variables, an empty standard input, outputs that go nowhere, no directories. The clocks and random numbers
/// are always there.
///
/// A library that was built without its feature `wasi` has none of the functions that follow.
///
/// It may be used on any thread, by one at a time.
pub struct wb_wasi_config(WasiConfig);

/// Does something with a configuration.
///
/// # Safety
/// `config` is NULL or a configuration that nobody else uses.
unsafe fn with(config: *mut wb_wasi_config, change: impl FnOnce(&mut WasiConfig) -> Result<()>) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let config = unsafe { object_mut(config, "config") }?;
        change(&mut config.0)
    })
}

/// Makes a configuration that gives a program nothing.
///
/// `*config` is the caller's, who ends it with `wb_wasi_config_delete`. Any thread.
///
/// # Safety
/// `config` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_wasi_config_new(config: *mut *mut wb_wasi_config) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let out = unsafe { Out::new(config, "config") }?;
        out.give(wb_wasi_config(WasiConfig::new()));
        Ok(())
    })
}

/// Adds an argument. The first one is the program's name, by convention. `arg` is only read.
///
/// # Safety
/// `config` is NULL or a configuration that nobody else uses; `arg` is NULL or a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_wasi_config_arg(config: *mut wb_wasi_config, arg: *const c_char) -> *mut wb_error {
    let change = |config: &mut WasiConfig| {
        // SAFETY: the caller's duty.
        config.arg(unsafe { text(arg, "arg") }?);
        Ok(())
    };
    // SAFETY: the caller's duty.
    unsafe { with(config, change) }
}

/// Sets a variable of the environment. Both texts are only read.
///
/// # Safety
/// `config` is NULL or a configuration that nobody else uses; `name` and `value` are NULL or texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_wasi_config_env(
    config: *mut wb_wasi_config,
    name: *const c_char,
    value: *const c_char,
) -> *mut wb_error {
    let change = |config: &mut WasiConfig| {
        // SAFETY: the caller's duty, as below.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        config.env(name, unsafe { text(value, "value") }?);
        Ok(())
    };
    // SAFETY: as above.
    unsafe { with(config, change) }
}

/// Gives the program the standard input, output and error of this process.
///
/// # Safety
/// `config` is NULL or a configuration that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_wasi_config_inherit_stdio(config: *mut wb_wasi_config) -> *mut wb_error {
    let change = |config: &mut WasiConfig| {
        config.inherit_stdio();
        Ok(())
    };
    // SAFETY: the caller's duty.
    unsafe { with(config, change) }
}

/// Makes `len` bytes at `bytes` the program's standard input. They are copied.
///
/// # Safety
/// `config` is NULL or a configuration that nobody else uses; `bytes` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_wasi_config_stdin_bytes(
    config: *mut wb_wasi_config,
    bytes: *const c_void,
    len: usize,
) -> *mut wb_error {
    let change = |config: &mut WasiConfig| {
        // SAFETY: the caller's duty.
        config.stdin_bytes(unsafe { array(bytes.cast::<u8>(), len, "bytes") }?);
        Ok(())
    };
    // SAFETY: the caller's duty.
    unsafe { with(config, change) }
}

/// Makes an open file descriptor of this process one of the program's standard streams: a file, a pipe, a `memfd` to look at what was written.
/// The descriptor is duplicated, and stays the caller's to close; the two share one position. A program that reads from an empty pipe waits, with
/// the thread that runs it.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if `stream` is none of the three or `fd` is negative, with WB_ERROR_OS if it is not open.
///
/// # Safety
/// `config` is NULL or a configuration that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_wasi_config_stream(
    config: *mut wb_wasi_config,
    stream: wb_wasi_stream,
    fd: c_int,
) -> *mut wb_error {
    let change = |config: &mut WasiConfig| {
        let set = match stream {
            WB_WASI_STDIN => WasiConfig::stdin_file,
            WB_WASI_STDOUT => WasiConfig::stdout_file,
            WB_WASI_STDERR => WasiConfig::stderr_file,
            _ => return Err(invalid(format!("`stream` is {stream}, which is no standard stream"))),
        };
        set(config, duplicate(fd)?);
        Ok(())
    };
    // SAFETY: the caller's duty.
    unsafe { with(config, change) }
}

fn duplicate(fd: c_int) -> Result<File> {
    if fd < 0 {
        return Err(invalid(format!("`fd` is {fd}, which is no file descriptor")));
    }
    // SAFETY: it is borrowed for the duplication only, which fails if it is not open.
    let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
    let failed = |e| wb_error::new(wb_errorkind::WB_ERROR_OS, format!("`fd`, {fd}, cannot be duplicated: {e}"));
    Ok(File::from(copy.map_err(failed)?))
}

/// Opens the directory `host` for the program, which sees it under the path `guest`. The program may read, write, make and remove what is below
/// it, as far as this process may, and cannot leave it: neither by `..` nor by a link. Both texts are only read.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if it cannot be opened.
///
/// # Safety
/// `config` is NULL or a configuration that nobody else uses; `host` and `guest` are NULL or texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_wasi_config_preopen_dir(
    config: *mut wb_wasi_config,
    host: *const c_char,
    guest: *const c_char,
) -> *mut wb_error {
    let change = |config: &mut WasiConfig| {
        // SAFETY: the caller's duty, as below.
        let host = unsafe { text(host, "host") }?;
        // SAFETY: as above.
        let guest = unsafe { text(guest, "guest") }?;
        config.preopen_dir(Path::new(host), guest).map_err(|e| invalid(e.to_string()))?;
        Ok(())
    };
    // SAFETY: as above.
    unsafe { with(config, change) }
}

/// Defines WASI's functions in a linker (the modules `wasi_snapshot_preview1` and `wasi_unstable`), with what is in `config`, which is moved to
/// the linker: `config` gives nothing afterwards, and is still the caller's to delete. All instances made with the linker share it.
///
/// A program is run by calling its `_start`. It ends by returning, or by exiting: then the call fails with a trap, WB_TRAP_EXITED, and
/// `wb_error_exit_status` has its status, which may be 0.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if a variable has no proper name, or there are too many arguments or variables.
///
/// # Safety
/// `linker` is NULL or a linker, `config` NULL or a configuration; nobody else uses them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_define_wasi(linker: *mut wb_linker, config: *mut wb_wasi_config) -> *mut wb_error {
    let change = |config: &mut WasiConfig| {
        // SAFETY: the caller's duty.
        let linker = unsafe { object_mut(linker, "linker") }?;
        std::mem::take(config).define(&mut linker.0).map_err(|e| invalid(e.to_string()))
    };
    // SAFETY: the caller's duty.
    unsafe { with(config, change) }
}

/// Ends a configuration. NULL does nothing.
///
/// # Safety
/// `config` is NULL or a configuration that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_wasi_config_delete(config: *mut wb_wasi_config) {
    // SAFETY: the caller's duty.
    unsafe { delete(config) }
}
