//! Instances, and their callbacks.

use crate::boundary::{Out, array, delete, guard, guard_app, invalid, object, text};
use crate::error::{wb_error, wb_errorkind};
use crate::value::{wb_fn, wb_val};
use std::ffi::{c_char, c_void};
use std::ptr;
use wasmbridge_runtime::metadata::ExternIndex;
use wasmbridge_runtime::{Answer, CallbackOptions, Instance, NativeFn, OnThread, OnTrap, Value, WhilePending};

/// An instance: one running copy of an app.
///
/// It belongs to the thread that made it (see `wb_instance_attach`), and is used on that thread only.
pub struct wb_instance(pub(crate) Instance);

/// Calls the function that the app exports as `name`.
///
/// `args` are `nargs` values, of the types of the function's parameters; `results` has room for `nresults` values, as many as the
/// function has results. Each may be NULL if its number is 0. `name` and `args` are only read.
///
/// On an error nothing is written to `results`. WB_ERROR_TRAP: the app was stopped; the error has a backtrace, and the app's memory is as
/// it was then. The instance can be used on, as far as the app's own data can. WB_ERROR_NOT_FOUND: there is no function of this name.
/// WB_ERROR_INVALID_ARGUMENT: number or types of values do not fit. WB_ERROR_BUSY: another thread's instance, or one with an error that
/// nobody has taken (`wb_instance_take_error`).
///
/// On the instance's thread; also from inside C functions that the app calls. An exception of C++ that a function called by the
/// app throws passes through, as it would through C; a `longjmp` out of this call is not allowed.
///
/// # Safety
/// `instance` is NULL or an instance; `name` is NULL or a text; `args` is NULL or has `nargs` values, `results` has room for `nresults`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn wb_instance_call(
    instance: *const wb_instance,
    name: *const c_char,
    args: *const wb_val,
    nargs: usize,
    results: *mut wb_val,
    nresults: usize,
) -> *mut wb_error {
    guard_app(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let args = unsafe { array(args, nargs, "args") }?;
        if results.is_null() && nresults > 0 {
            return Err(invalid("`results` is NULL"));
        }
        let args = args.iter().enumerate().map(|(i, arg)| arg.read(i + 1)).collect::<Result<Vec<Value>, _>>()?;
        check_results(&instance.0, name, nresults)?;
        let values = instance.0.call(name, &args)?;
        let value = |(i, value)| {
            let object =
                || invalid(format!("result {} of `{name}` is an object of the app's, which wb_val cannot hold", i + 1));
            wb_val::write(value).ok_or_else(object)
        };
        let values = values.into_iter().enumerate().map(value).collect::<Result<Vec<wb_val>, _>>()?;
        debug_assert_eq!(values.len(), nresults);
        if nresults > 0 {
            // SAFETY: as above: there is room for `nresults`, and so many there are. What is written over is C's.
            unsafe { ptr::copy_nonoverlapping(values.as_ptr(), results, values.len()) };
        }
        Ok(())
    })
}

/// Refuses a call whose results C would not get, before it is made. Whether there is such a function is for the call to find out.
fn check_results(instance: &Instance, name: &str, nresults: usize) -> crate::boundary::Result<()> {
    let module = instance.module().metadata();
    let Some(ExternIndex::Func(function)) = module.export(name) else { return Ok(()) };
    let results = &module.function_type(function).results;
    if results.len() != nresults {
        return Err(invalid(format!("`{name}` has {} results, `nresults` is {nresults}", results.len())));
    }
    match results.iter().find(|ty| !wb_val::can_hold(**ty)) {
        Some(ty) => Err(invalid(format!("`{name}` returns {ty}, which wb_val has no kind for"))),
        None => Ok(()),
    }
}

/// Settings of a callback. Set all of it to zero first (`wb_callback_options options = {0};`): zero is each setting's default, and a later
/// version may have more of them.
///
/// A callback answers with its default value when it cannot run the app's function to its end: because the app trapped, is gone, has an error
/// that nobody has taken, or belongs to another thread. At most one of the two defaults may be set.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct wb_callback_options {
    /// The default value of a result that is an integer or a pointer.
    pub default_int: i64,
    /// The default value of a result that is `float` or `double`.
    pub default_float: f64,
    /// What happens to C when the app's function traps, or a value does not cross: one of WB_ON_TRAP_RETURN, which is 0, WB_ON_TRAP_ABORT,
    /// WB_ON_TRAP_UNWIND.
    pub on_trap: wb_ontrap,
    /// What a call does that arrives on another thread than the instance's: one of WB_ON_THREAD_REFUSE, which is 0, WB_ON_THREAD_WAIT, WB_ON_THREAD_QUEUE.
    pub on_thread: wb_onthread,
    /// With WB_ON_THREAD_WAIT: for how many milliseconds a caller waits at most; 0 for as long as it takes.
    pub wait_ms: u32,
    /// What a call does while an error of the app waits to be taken: one of WB_WHILE_PENDING_DEFAULT, which is 0, WB_WHILE_PENDING_RUN.
    pub while_pending: wb_whilepending,
}

/// What happens to C when a callback fails.
pub type wb_ontrap = u32;

/// C gets the default value and goes on. The error comes out of the app's call of the C library, or waits for `wb_instance_take_error`.
pub const WB_ON_TRAP_RETURN: wb_ontrap = 0;
/// The error is printed to stderr with a backtrace through C and the app, and the process aborts: a handler of SIGABRT sees it.
pub const WB_ON_TRAP_ABORT: wb_ontrap = 1;
/// The C functions between the app's call of the C library and the callback are skipped, as by a `longjmp`, if the prototype of what the app has
/// called ends with `[unwind]`. Elsewhere, and where the app has not called C at all, as WB_ON_TRAP_RETURN.
pub const WB_ON_TRAP_UNWIND: wb_ontrap = 2;

/// What happens to a call that arrives on another thread than the instance's.
pub type wb_onthread = u32;

/// It gets the default value.
pub const WB_ON_THREAD_REFUSE: wb_onthread = 0;
/// It waits until the instance's thread has made it: in `wb_instance_poll`, or when a `wb_instance_call` that is not inside of another one returns. A caller for
/// which that thread waits, by callbacks that wait, is refused; that it waits in another way cannot be seen, and a limit (`wait_ms`) ends it.
pub const WB_ON_THREAD_WAIT: wb_onthread = 1;
/// It gets the default value at once. Its arguments are copied, with texts and `[in: n]` data, and the instance's thread makes the call in `wb_instance_poll`. A prototype
/// with a parameter that cannot be copied is refused with WB_ERROR_PROTOTYPE.
pub const WB_ON_THREAD_QUEUE: wb_onthread = 2;

/// What happens to a call while an error of the app waits to be taken.
pub type wb_whilepending = u32;

/// It gets the default value.
pub const WB_WHILE_PENDING_DEFAULT: wb_whilepending = 0;
/// The app's function runs all the same: to free what C gives back, for instance.
pub const WB_WHILE_PENDING_RUN: wb_whilepending = 1;

/// # Safety
/// `options` is NULL or points to options.
unsafe fn options(options: *const wb_callback_options) -> crate::boundary::Result<CallbackOptions> {
    // SAFETY: the caller's duty.
    let Some(options) = (unsafe { options.as_ref() }) else {
        return Ok(CallbackOptions::default());
    };
    let default = match (options.default_int, options.default_float) {
        (0, 0.0) => Answer::Zero,
        (int, 0.0) => Answer::Int(int),
        (0, float) => Answer::Float(float),
        _ => return Err(invalid("`options` has two default values, an integer and a float")),
    };
    let trap = match options.on_trap {
        WB_ON_TRAP_RETURN => OnTrap::Return,
        WB_ON_TRAP_ABORT => OnTrap::Abort,
        WB_ON_TRAP_UNWIND => OnTrap::Unwind,
        other => return Err(invalid(format!("`options` has an `on_trap` of {other}, which does not exist"))),
    };
    let thread = match (options.on_thread, options.wait_ms) {
        (WB_ON_THREAD_REFUSE, 0) => OnThread::Refuse,
        (WB_ON_THREAD_QUEUE, 0) => OnThread::Queue,
        (WB_ON_THREAD_WAIT, ms) => OnThread::Wait { timeout_ms: (ms > 0).then_some(ms) },
        (WB_ON_THREAD_REFUSE | WB_ON_THREAD_QUEUE, _) => {
            return Err(invalid("`options` has a `wait_ms`, but not WB_ON_THREAD_WAIT"));
        }
        (other, _) => return Err(invalid(format!("`options` has an `on_thread` of {other}, which does not exist"))),
    };
    let pending = match options.while_pending {
        WB_WHILE_PENDING_DEFAULT => WhilePending::Default,
        WB_WHILE_PENDING_RUN => WhilePending::Run,
        other => return Err(invalid(format!("`options` has a `while_pending` of {other}, which does not exist"))),
    };
    Ok(CallbackOptions { default, trap, thread, pending })
}

fn function(native: NativeFn) -> wb_fn {
    // SAFETY: the address of a callback's code, which is not NULL; `wb_fn` is only a way to carry it: C casts it to what the
    // prototype says before it calls it.
    Some(unsafe { std::mem::transmute::<*const u8, unsafe extern "C" fn()>(native.0) })
}

/// Makes a C function of a function that the app exports: the one with the name in `prototype`.
///
/// `*callback` is a C function of the type that the prototype says: cast it to that. The same function and prototype always give the
/// same address. `options` may be NULL, for the defaults. Options that are not the default hold from then on also for an address that there was
/// before, whether the host has made it or the app has passed the function to C; the others stay as they are there. All is only read.
///
/// The callback is called on the instance's thread, from C that the app called or that the host called; elsewhere it does what `options` say
/// (`on_thread`). Arguments are converted and checked as the prototype says; a pointer that is not into the app's memory is refused, and so is every value
/// that does not fit: the app then has an error, and the callback answers with its default value. A `longjmp` across it is fine.
///
/// It may be called for as long as the process lives: when the instance is gone it answers with its default value. `wb_callback_delete`
/// ends it earlier.
///
/// Fails with WB_ERROR_PROTOTYPE if the prototype cannot be parsed or is not supported, with WB_ERROR_NOT_FOUND if the app exports no
/// function of this name, with WB_ERROR_LINK if the function has another type: the message has both.
///
/// # Safety
/// `instance` is NULL or an instance; `prototype` is NULL or a text; `options` is NULL or points to options; `callback` is NULL or
/// may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_callback(
    instance: *const wb_instance,
    prototype: *const c_char,
    options: *const wb_callback_options,
    callback: *mut wb_fn,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let prototype = unsafe { text(prototype, "prototype") }?;
        // SAFETY: as above.
        let options = unsafe { self::options(options) }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(callback, "callback") }?;
        out.set(function(instance.0.callback(prototype, &options)?));
        Ok(())
    })
}

/// Makes a C function of the function at `index` of the app's first table: of a function pointer that the app gave as a number.
///
/// As `wb_callback` in everything else; the prototype needs no name. Fails with WB_ERROR_NOT_FOUND if the table has no function at this index.
///
/// # Safety
/// As for `wb_callback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_callback_at(
    instance: *const wb_instance,
    index: u32,
    prototype: *const c_char,
    options: *const wb_callback_options,
    callback: *mut wb_fn,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let prototype = unsafe { text(prototype, "prototype") }?;
        // SAFETY: as above.
        let options = unsafe { self::options(options) }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(callback, "callback") }?;
        out.set(function(instance.0.callback_at(index, prototype, &options)?));
        Ok(())
    })
}

/// Writes to `*count` how often a callback has answered with its default value. Any thread.
///
/// Fails with WB_ERROR_NOT_FOUND if `callback` is not the address of a callback.
///
/// # Safety
/// `count` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_callback_refused(callback: wb_fn, count: *mut u64) -> *mut wb_error {
    guard(|| {
        let callback = callback.ok_or_else(|| invalid("`callback` is NULL"))?;
        // SAFETY: the caller's duty.
        let out = unsafe { Out::new(count, "count") }?;
        out.set(wasmbridge_runtime::callback_refusals(NativeFn(callback as *const u8))?);
        Ok(())
    })
}

/// Ends a callback: nobody may call it from now on, and its address may come back as another callback of the same prototype.
///
/// On the instance's thread, while the callback is not running; on any thread once the instance is gone. NULL does nothing. Fails with
/// WB_ERROR_NOT_FOUND if `callback` is not the address of a callback.
///
/// # Safety
/// C does not call it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_callback_delete(callback: wb_fn) -> *mut wb_error {
    guard(|| {
        let Some(callback) = callback else { return Ok(()) };
        // SAFETY: the caller's duty.
        unsafe { wasmbridge_runtime::release_callback(NativeFn(callback as *const u8)) }?;
        Ok(())
    })
}

/// Where the app's memory is: its first byte in `*base`, its length in bytes in `*len`. The address never changes as long as the
/// instance lives; the length grows when the app asks for more.
///
/// `base` and `len` may be NULL where one of them is not wanted. Writing to the memory is fine whenever the app is not running on another
/// thread. Fails with WB_ERROR_NOT_FOUND if the app has no memory. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `base` and `len` are NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_memory(
    instance: *const wb_instance,
    base: *mut *mut c_void,
    len: *mut usize,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        let none = || wb_error::new(wb_errorkind::WB_ERROR_NOT_FOUND, "the app has no memory".to_owned());
        let view = instance.0.memory().ok_or_else(none)?;
        if !base.is_null() {
            // SAFETY: as above, and not NULL.
            unsafe { base.write(view.base.cast()) };
        }
        if !len.is_null() {
            // SAFETY: as above, and not NULL.
            unsafe { len.write(view.len_bytes as usize) };
        }
        Ok(())
    })
}

/// The native address of `len` bytes of the app's memory that begin at the app's address `guest_addr`, in `*ptr`.
///
/// It stays good as long as the instance lives. Fails with WB_ERROR_INVALID_ARGUMENT if not all of the bytes lie in the app's memory. On the
/// instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `ptr` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_native_ptr(
    instance: *const wb_instance,
    guest_addr: u64,
    len: usize,
    ptr: *mut *mut c_void,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(ptr, "ptr") }?;
        out.set(instance.0.native_ptr(guest_addr, len as u64)?.cast());
        Ok(())
    })
}

/// The app's address of a native address in its memory, in `*guest_addr`. NULL is 0, as it is for the app.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if `ptr` does not point into the app's memory. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `guest_addr` is NULL or may be written to. `ptr` may be any address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_guest_addr(
    instance: *const wb_instance,
    ptr: *const c_void,
    guest_addr: *mut u64,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(guest_addr, "guest_addr") }?;
        out.set(if ptr.is_null() { 0 } else { instance.0.guest_addr(ptr.cast())? });
        Ok(())
    })
}

/// Takes the error that a callback of the instance has left: the C library that called the callback got the default value and knows
/// nothing of it. NULL if there is none.
///
/// Until it is taken, callbacks of the instance answer with their default values, and `wb_instance_call` fails with WB_ERROR_BUSY. Where
/// the app itself called the C library, the error comes out of that call as a trap instead, and there is none to take. The error is the
/// caller's, who ends it with `wb_error_delete`. For an `instance` that is NULL it is an error of the kind WB_ERROR_INVALID_ARGUMENT. On the
/// instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_take_error(instance: *const wb_instance) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let instance = unsafe { object(instance, "instance") }?;
        match instance.0.take_error() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    })
}

/// Makes the calling thread the one that the instance belongs to, with all instances that it shares exports with.
///
/// The thread it belonged to must not be running it, and must not use it afterwards. Callbacks of it may be called on other threads meanwhile. Fails with
/// WB_ERROR_BUSY if it is running. It takes a tenth of a millisecond if the thread's stack is above the former one's.
///
/// # Safety
/// `instance` is NULL or an instance that no other thread is using, but for calling its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_attach(instance: *const wb_instance) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let instance = unsafe { object(instance, "instance") }?;
        instance.0.attach()?;
        Ok(())
    })
}

/// Ends an instance. Its callbacks stay callable and answer with their default values. NULL does nothing.
///
/// Not while the app runs: not from inside a C function that it calls, or a callback. Callbacks of it may be called on other threads meanwhile; calls that wait or
/// are queued get their default values. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance that is not running, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_delete(instance: *mut wb_instance) {
    // SAFETY: the caller's duty.
    unsafe { delete(instance) }
}
