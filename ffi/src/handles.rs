//! Handles: numbers that apps have for objects of C's.

use crate::boundary::{Out, guard, invalid, object, object_mut, text};
use crate::error::wb_error;
use crate::instance::wb_instance;
use crate::linker::wb_linker;
use crate::value::wb_val;
use std::ffi::{c_char, c_void};
use wasmbridge_runtime::HandleDestructor;

/// Makes every object of the type `derived *` one of the type `base *` too, for apps that are instantiated with this linker from then on: a
/// handle of it passes where a prototype has `base *x[handle]`, as libraries with kinds of handles want it (libuv's `uv_timer_t` is a
/// `uv_handle_t`). One object has one handle, as either type.
///
/// Both are names as prototypes have them, without `struct`; they are only read. A type may have one base, which may have one itself. Fails with
/// WB_ERROR_INVALID_ARGUMENT if `derived` has another base, or is a base of `base`, or if a name begins with `const`: what may be read of one may be read of the other anyway.
///
/// # Safety
/// `linker` is NULL or a linker that nobody else uses; `derived` and `base` are NULL or texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_handle_base(
    linker: *mut wb_linker,
    derived: *const c_char,
    base: *const c_char,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let linker = unsafe { object_mut(linker, "linker") }?;
        // SAFETY: as above.
        let derived = unsafe { text(derived, "derived") }?;
        // SAFETY: as above.
        let base = unsafe { text(base, "base") }?;
        linker.0.derive_handle(derived, base)?;
        Ok(())
    })
}

/// Lets `destructor` be called with each object of the type `type *` that an app still has a handle of when `wb_instance_delete` ends it, and with `data`:
/// statements that an app has not finalised, for instance. It holds for apps that are instantiated with this linker from then on.
///
/// The newest object goes first, and the app's callbacks can still be called meanwhile. Left out are objects whose handles have ended before: because they
/// were lent to a callback, the prototype of a call said that it ends them (`[handle, scope: call]`), or by `wb_handle_end`. A type without a destructor has that
/// of its base. `type` is a name as prototypes have it, and only read; `data` is not touched. NULL for `destructor` is WB_ERROR_INVALID_ARGUMENT.
///
/// # Safety
/// `linker` is NULL or a linker that nobody else uses; `type` is NULL or a text; `destructor` takes objects of this type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_handle_destructor(
    linker: *mut wb_linker,
    r#type: *const c_char,
    destructor: Option<unsafe extern "C" fn(object: *mut c_void, data: *mut c_void)>,
    data: *mut c_void,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let linker = unsafe { object_mut(linker, "linker") }?;
        // SAFETY: as above.
        let ty = unsafe { text(r#type, "type") }?;
        let function = destructor.ok_or_else(|| invalid("`destructor` is NULL"))?;
        // SAFETY: as above.
        unsafe { linker.0.handle_destructor(ty, HandleDestructor { function, data }) };
        Ok(())
    })
}

/// Gives an app a handle of an object of the type `type *`, in `*handle`: the number that the app passes where a prototype has `[handle]`.
///
/// It lasts until `wb_handle_end`, or as long as the instance; the object must live as long. An object that the app knows already has the same
/// handle. (Handles that come with a callback's arguments end with the callback, if the app did not have them before.) `type` is a name as
/// prototypes have it, without `struct`, and only read. With `const T` the app may pass the handle only where a prototype has `const T *`, unless it is given the
/// object as a `T *`, too. `object` is not touched. Fails with WB_ERROR_INVALID_ARGUMENT if `object` is NULL, with WB_ERROR_LIMIT if the app has a
/// million handles. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `type` is NULL or a text; `handle` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_handle_new(
    instance: *const wb_instance,
    r#type: *const c_char,
    object: *const c_void,
    handle: *mut u32,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { self::object(instance, "instance") }?;
        // SAFETY: as above.
        let ty = unsafe { text(r#type, "type") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(handle, "handle") }?;
        out.set(instance.0.handle(ty, object)?);
        Ok(())
    })
}

/// The object of the type `type *` that an app's handle stands for, in `*object`: what a C function with `[handle]` in its prototype would get. 0 is
/// NULL.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if it is not a handle of this app, is stale, or is one of another type: the message says which. On the
/// instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `type` is NULL or a text; `object` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_handle_object(
    instance: *const wb_instance,
    handle: u32,
    r#type: *const c_char,
    object: *mut *mut c_void,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { self::object(instance, "instance") }?;
        // SAFETY: as above.
        let ty = unsafe { text(r#type, "type") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(object, "object") }?;
        out.set(instance.0.object(handle, ty)?);
        Ok(())
    })
}

/// Gives the app `to` a handle of the object that `handle` stands for in the app `from`, in `*granted`: the object is of the type `type *`, and both apps know it
/// then. 0 is NULL, which has no handle. Handles of one app mean nothing to another: this is the only way, and each of the two ends by itself. With `const T` for a
/// type, the other app may only read the object, whatever this one may do.
///
/// `type` is only read. Fails with WB_ERROR_INVALID_ARGUMENT if `handle` is not a handle of `from`, is stale, is one of another type, or if `from` may only read the
/// object and `type` is not `const`: the message says which; or if it is 0. Both instances belong to the calling thread.
///
/// # Safety
/// `from` and `to` are NULL or instances; `type` is NULL or a text; `granted` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_handle_grant(
    from: *const wb_instance,
    handle: u32,
    r#type: *const c_char,
    to: *const wb_instance,
    granted: *mut u32,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let from = unsafe { object(from, "from") }?;
        // SAFETY: as above.
        let ty = unsafe { text(r#type, "type") }?;
        // SAFETY: as above.
        let to = unsafe { object(to, "to") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(granted, "granted") }?;
        out.set(from.0.grant_handle(handle, ty, &to.0)?);
        Ok(())
    })
}

/// An externref that stands for an object of the type `type *`, in `*externref`: to be passed to the app, or put into its globals and tables. A prototype with
/// `type *x[externref]` gets the object back.
///
/// In everything else as `wb_handle_new`: the object has one handle, in an externref or as a number, which the app has until `wb_handle_end`.
///
/// # Safety
/// `instance` is NULL or an instance; `type` is NULL or a text; `externref` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_handle_externref(
    instance: *const wb_instance,
    r#type: *const c_char,
    object: *const c_void,
    externref: *mut wb_val,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { self::object(instance, "instance") }?;
        // SAFETY: as above.
        let ty = unsafe { text(r#type, "type") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(externref, "externref") }?;
        out.set(wb_val::write(instance.0.externref(ty, object)?).expect("there is a kind for externrefs"));
        Ok(())
    })
}

/// The object of the type `type *` that an externref of the app's stands for, in `*object`: what a C function with `[externref]` in its prototype would get. A null one is NULL.
/// `externref` is only read.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if it is no externref, or stands for no object of this app's, for one that is gone, or of another type: the message
/// says which. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `externref` is NULL or a value; `type` is NULL or a text; `object` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_externref_object(
    instance: *const wb_instance,
    externref: *const wb_val,
    r#type: *const c_char,
    object: *mut *mut c_void,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { self::object(instance, "instance") }?;
        // SAFETY: as above.
        let externref = unsafe { self::object(externref, "externref") }?;
        // SAFETY: as above.
        let ty = unsafe { text(r#type, "type") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(object, "object") }?;
        out.set(instance.0.externref_object(&externref.read_as("the value")?, ty)?);
        Ok(())
    })
}

/// Ends the handle that an app has of an object of the type `type *`, if it has one: call it before the object is freed. Wherever the app has kept the
/// handle, it is stale from then on: C functions are not called with it, the app traps instead.
///
/// `object` is not touched, and may be NULL. On the instance's thread, also from inside C functions that the app calls.
///
/// # Safety
/// `instance` is NULL or an instance; `type` is NULL or a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_handle_end(
    instance: *const wb_instance,
    r#type: *const c_char,
    object: *const c_void,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { self::object(instance, "instance") }?;
        // SAFETY: as above.
        let ty = unsafe { text(r#type, "type") }?;
        instance.0.end_handle(ty, object)?;
        Ok(())
    })
}
