//! An app's globals and tables.

use crate::boundary::{Out, guard, invalid, object, text};
use crate::error::wb_error;
use crate::instance::wb_instance;
use crate::value::wb_val;
use std::ffi::c_char;
use wasmbridge_runtime::Value;

/// A value for C.
fn value(value: Value, what: &str) -> crate::boundary::Result<wb_val> {
    let ty = value.ty();
    wb_val::write(value).ok_or_else(|| invalid(format!("{what} holds {ty}, which wb_val has no kind for")))
}

/// The value of the global that the app exports as `name`, in `*value`.
///
/// Fails with WB_ERROR_NOT_FOUND if there is no such global, with WB_ERROR_INVALID_ARGUMENT if `wb_val` has no kind for what it holds. On the
/// instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `name` is NULL or a text; `value` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_global(
    instance: *const wb_instance,
    name: *const c_char,
    value: *mut wb_val,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(value, "value") }?;
        out.set(self::value(instance.0.global(name)?, "the global")?);
        Ok(())
    })
}

/// Sets the mutable global that the app exports as `name`. `value` is only read.
///
/// Fails with WB_ERROR_NOT_FOUND if there is no such global, with WB_ERROR_INVALID_ARGUMENT if it is immutable or of another type. On the instance's
/// thread.
///
/// # Safety
/// `instance` is NULL or an instance; `name` is NULL or a text; `value` is NULL or a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_set_global(
    instance: *const wb_instance,
    name: *const c_char,
    value: *const wb_val,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let value = unsafe { object(value, "value") }?;
        instance.0.set_global(name, value.read_as("the value")?)?;
        Ok(())
    })
}

/// How many elements the table has that the app exports as `name`, in `*len`.
///
/// Fails with WB_ERROR_NOT_FOUND if there is no such table. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `name` is NULL or a text; `len` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_table_len(
    instance: *const wb_instance,
    name: *const c_char,
    len: *mut u64,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(len, "len") }?;
        out.set(instance.0.table_len(name)?);
        Ok(())
    })
}

/// The element at `index` of the table that the app exports as `name`, in `*value`: an externref. (A function is made callable by `wb_callback_at`.)
///
/// Fails with WB_ERROR_NOT_FOUND if there is no such table, with WB_ERROR_INVALID_ARGUMENT if it has no such element or its elements are not externrefs. On
/// the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `name` is NULL or a text; `value` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_table_get(
    instance: *const wb_instance,
    name: *const c_char,
    index: u64,
    value: *mut wb_val,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(value, "value") }?;
        out.set(self::value(instance.0.table_get(name, index)?, "the element")?);
        Ok(())
    })
}

/// Sets the element at `index` of the table of externrefs that the app exports as `name`. `value` is only read.
///
/// Fails as `wb_instance_table_get` does, and with WB_ERROR_INVALID_ARGUMENT if the value is of another type than the elements. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `name` is NULL or a text; `value` is NULL or a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_table_set(
    instance: *const wb_instance,
    name: *const c_char,
    index: u64,
    value: *const wb_val,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let value = unsafe { object(value, "value") }?;
        instance.0.set_table(name, index, &value.read_as("the value")?)?;
        Ok(())
    })
}

/// Grows the table of externrefs that the app exports as `name` by `delta` elements, each of this value, which is only read. `*old_len` is how many it had; `old_len` may be NULL.
///
/// Fails with WB_ERROR_NOT_FOUND if there is no such table, with WB_ERROR_INVALID_ARGUMENT if the value is of another type than the elements, with WB_ERROR_LIMIT if the
/// table may not or cannot be as large. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `name` is NULL or a text; `value` is NULL or a value; `old_len` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_table_grow(
    instance: *const wb_instance,
    name: *const c_char,
    delta: u64,
    value: *const wb_val,
    old_len: *mut u64,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let value = unsafe { object(value, "value") }?;
        let old = instance.0.grow_table(name, delta, &value.read_as("the value")?)?;
        if !old_len.is_null() {
            // SAFETY: as above, and not NULL.
            unsafe { old_len.write(old) };
        }
        Ok(())
    })
}

/// Collects what the app does not reach any more: its own structs, arrays and exceptions, and objects that it was given as externrefs (`[externref]`) and has let go of, whose
/// destructors are called then (`wb_linker_handle_destructor`). It is done without being asked when enough has been made or given.
///
/// Fails with WB_ERROR_BUSY on another thread than the instance's, or while an error of the app has not been taken. While a call of the app is running, the
/// destructors wait until it has returned.
///
/// # Safety
/// `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_collect(instance: *const wb_instance) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let instance = unsafe { object(instance, "instance") }?;
        instance.0.collect_garbage()?;
        Ok(())
    })
}
