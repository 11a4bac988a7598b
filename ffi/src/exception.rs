//! Exceptions: tags, C functions that throw, and what nobody has caught.

use crate::boundary::{Out, array, delete, guard, guard_or, invalid, object, object_mut, text};
use crate::engine::wb_engine;
use crate::error::wb_error;
use crate::instance::wb_instance;
use crate::linker::wb_linker;
use crate::value::{wb_val, wb_valkind};
use std::ffi::c_char;
use wasmbridge_artifact::ValType;
use wasmbridge_runtime::{Exception, Tag};

/// A tag: what tells one sort of exception from another, and of which types its values are. Equal types do not make two tags the same: see `wb_tag_is_same`.
///
/// It may be used on any thread, and on several at once.
pub struct wb_tag(pub(crate) Tag);

/// Makes a tag, for exceptions with `count` values of these kinds. Apps import it if a linker defines it (`wb_linker_define_tag`); in C they are compiled with
/// `-fwasm-exceptions`, and in the text format it is `(import "env" "NAME" (tag (param ...)))`.
///
/// `name` is what messages call it; it and `kinds` are only read. `kinds` may be NULL if `count` is 0. `*tag` is the caller's, who ends it with `wb_tag_delete`. Any thread.
///
/// # Safety
/// `engine` is NULL or an engine; `name` is NULL or a text; `kinds` is NULL or has `count` elements; `tag` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_tag_new(
    engine: *const wb_engine,
    name: *const c_char,
    kinds: *const wb_valkind,
    count: usize,
    tag: *mut *mut wb_tag,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let engine = unsafe { object(engine, "engine") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let kinds = unsafe { array(kinds, count, "kinds") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(tag, "tag") }?;
        let ty = |(i, &kind): (usize, &wb_valkind)| {
            wb_val::ty(kind).ok_or_else(|| invalid(format!("kind {} is {kind}, which does not exist", i + 1)))
        };
        let types = kinds.iter().enumerate().map(ty).collect::<Result<Vec<ValType>, _>>()?;
        out.give(wb_tag(Tag::new(&engine.0, name, &types)?));
        Ok(())
    })
}

/// The tag that the app exports as `name`, in `*tag`, which is the caller's, who ends it with `wb_tag_delete`: to tell its exceptions from others, to throw
/// such, or to give it to other apps. (What clang makes of C++ has the tag `__cpp_exception`; `-Wl,--export=__cpp_exception` exports it.)
///
/// Fails with WB_ERROR_NOT_FOUND if there is no such tag. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `name` is NULL or a text; `tag` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_tag(
    instance: *const wb_instance,
    name: *const c_char,
    tag: *mut *mut wb_tag,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(tag, "tag") }?;
        out.give(wb_tag(instance.0.tag(name)?));
        Ok(())
    })
}

/// Defines a tag that apps may import as `name` from the module `module`. All that import it throw the same exceptions, and catch each other's.
///
/// The texts are only read; the tag may be deleted afterwards. A definition of the same name replaces the one before, for later instances. Fails with
/// WB_ERROR_INVALID_ARGUMENT if the tag is another engine's.
///
/// # Safety
/// `linker` is NULL or a linker that nobody else uses; the texts are NULL or texts; `tag` is NULL or a tag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_define_tag(
    linker: *mut wb_linker,
    module: *const c_char,
    name: *const c_char,
    tag: *const wb_tag,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let linker = unsafe { object_mut(linker, "linker") }?;
        // SAFETY: as above.
        let module = unsafe { text(module, "module") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let tag = unsafe { object(tag, "tag") }?;
        linker.0.define_tag(module, name, &tag.0)?;
        Ok(())
    })
}

/// Whether two tags are the same: one was got or made once, and is what both stand for. Two that are NULL are; one that is NULL and one that is not are not.
///
/// # Safety
/// Each is NULL or a tag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_tag_is_same(a: *const wb_tag, b: *const wb_tag) -> bool {
    // SAFETY: the caller's duty.
    let (a, b) = unsafe { (a.as_ref(), b.as_ref()) };
    guard_or(false, || a.map(|tag| &tag.0) == b.map(|tag| &tag.0))
}

/// Ends a tag; apps that import it, and exceptions, have it on. NULL does nothing.
///
/// # Safety
/// `tag` is NULL or a tag that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_tag_delete(tag: *mut wb_tag) {
    // SAFETY: the caller's duty.
    unsafe { delete(tag) }
}

/// Has the C function throw that the app has called, and which calls this: an exception with this tag and these `count` values, which are only read. `values` may be
/// NULL if `count` is 0.
///
/// It happens when the function returns, which it should do next: no frame of C is skipped, and what the function returns is dropped. The app's innermost `try_table` (in C++,
/// `catch`) around the call that takes it goes on. If none does, the call of the app fails with WB_TRAP_UNCAUGHT_EXCEPTION, as with an exception of its own. Until then the
/// app's callbacks answer with their default values, except where their policy lets them run while an error waits; `wb_instance_take_error` takes the exception back.
/// What the function has written to memory of the app's stays; what it has written to copies that were made for the call (of `[out]` arguments that had to be converted) is dropped.
///
/// It works in every function that was defined by a prototype but `[leaf]` ones, and costs calls nothing. Between the app's call and this function there may be other frames of C, but none of
/// an app's. Among linked apps, it may be a function that another one of them has called.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if the values are not what the tag says or the tag is another engine's, and if there is nobody to throw to: no C function that the app has
/// called is running, or it is a `[leaf]` one or was compiled without unwind tables (`-fno-asynchronous-unwind-tables`). Fails with WB_ERROR_BUSY on another thread than the
/// app's, and if another error of the app has not been taken yet. Then nothing is thrown.
///
/// # Safety
/// `instance` is NULL or an instance; `tag` is NULL or a tag; `values` is NULL or has `count` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_throw(
    instance: *const wb_instance,
    tag: *const wb_tag,
    values: *const wb_val,
    count: usize,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let tag = unsafe { object(tag, "tag") }?;
        // SAFETY: as above.
        let values = unsafe { array(values, count, "values") }?;
        let value = |(i, value): (usize, &wb_val)| value.read_as(&format!("value {}", i + 1));
        let values = values.iter().enumerate().map(value).collect::<Result<Vec<_>, _>>()?;
        instance.0.throw(&Exception::new(&tag.0, values)?)?;
        Ok(())
    })
}

/// Throws on what an app has thrown and nobody in it has caught: what `wb_instance_call` or `wb_instance_take_error` has given as an error of the trap WB_TRAP_UNCAUGHT_EXCEPTION.
/// So an exception passes a C function that an app calls and which calls an app. The error is only read, and still the caller's.
///
/// As `wb_instance_throw`; fails also with WB_ERROR_INVALID_ARGUMENT if the error has no exception, or one with an object of an app's that is not linked to `instance`.
///
/// # Safety
/// `instance` is NULL or an instance; `error` is NULL or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_throw_error(
    instance: *const wb_instance,
    error: *const wb_error,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let error = unsafe { object(error, "error") }?;
        let exception =
            error.exception().ok_or_else(|| invalid("`error` is none of an exception that nobody has caught"))?;
        instance.0.throw(exception)?;
        Ok(())
    })
}

/// The tag of the exception that nobody has caught, if that is what an error is (WB_TRAP_UNCAUGHT_EXCEPTION). It lives as long as the error. NULL for every other error, and for NULL.
///
/// # Safety
/// `error` is NULL or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_tag(error: *const wb_error) -> *const wb_tag {
    // SAFETY: the caller's duty.
    unsafe { error.as_ref() }.and_then(wb_error::tag).map_or(std::ptr::null(), std::ptr::from_ref)
}

/// How many values the exception of an error has; 0 if it has no exception, and for NULL.
///
/// # Safety
/// `error` is NULL or an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_value_count(error: *const wb_error) -> usize {
    // SAFETY: the caller's duty.
    unsafe { error.as_ref() }.and_then(wb_error::exception).map_or(0, |exception| exception.values().len())
}

/// Writes a value of the exception of an error to `value`. `index` counts from 0; `wb_error_value_count` says how many there are.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if there is no such value, or `wb_val` has no kind for it.
///
/// # Safety
/// `error` is NULL or an error; `value` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_error_value(error: *const wb_error, index: usize, value: *mut wb_val) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let error = unsafe { object(error, "error") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(value, "value") }?;
        let values = error.exception().map(Exception::values).unwrap_or_default();
        let found = values.get(index).ok_or_else(|| {
            invalid(format!("the error's exception has {} values, there is no number {index}", values.len()))
        })?;
        let ty = found.ty();
        let no_kind = || invalid(format!("value {index} is {ty}, which wb_val has no kind for"));
        out.set(wb_val::write(found.clone()).ok_or_else(no_kind)?);
        Ok(())
    })
}
