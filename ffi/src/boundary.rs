//! What every function does with pointers that come from C, in one place.

use crate::error::{wb_error, wb_errorkind};
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

pub(crate) type Result<T> = std::result::Result<T, Box<wb_error>>;

/// Runs a function's body and makes its result what C gets. A panic is a bug of ours; it ends here, because it must not run
/// through C frames.
pub(crate) fn guard(body: impl FnOnce() -> Result<()>) -> *mut wb_error {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => ptr::null_mut(),
        Ok(Err(error)) => Box::into_raw(error),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
            let message = format!("a bug in wasmbridge, please report it: {text}");
            Box::into_raw(wb_error::new(wb_errorkind::WB_ERROR_INTERNAL, message))
        }
    }
}

/// [`guard`] for functions that run an app. What the C functions that it calls throw must go on to who catches it: an exception of C++, or a panic
/// of a host in Rust, which cannot be told from one of ours.
pub(crate) fn guard_app(body: impl FnOnce() -> Result<()>) -> *mut wb_error {
    body().map_or_else(Box::into_raw, |()| ptr::null_mut())
}

/// [`guard`] for functions that cannot fail: a panic is dropped, and the fallback returned.
pub(crate) fn guard_or<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

pub(crate) fn invalid(message: impl Into<String>) -> Box<wb_error> {
    wb_error::new(wb_errorkind::WB_ERROR_INVALID_ARGUMENT, message.into())
}

fn null(name: &str) -> Box<wb_error> {
    invalid(format!("`{name}` is NULL"))
}

/// What a parameter points to.
///
/// # Safety
/// `pointer` is NULL or points to a live `T`, for `'a`.
pub(crate) unsafe fn object<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller's duty.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// What a parameter points to, to change it.
///
/// # Safety
/// `pointer` is NULL or points to a live `T` that nobody else uses, for `'a`.
pub(crate) unsafe fn object_mut<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's duty.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// A text.
///
/// # Safety
/// `pointer` is NULL or points to bytes that end with a zero byte, unchanged for `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL; the rest is the caller's duty.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| invalid(format!("`{name}` is not UTF-8: `{}`", text.to_string_lossy())))
}

/// An array; a NULL one is empty if `len` is 0.
///
/// # Safety
/// `pointer` is NULL or points to `len` elements, unchanged for `'a`.
pub(crate) unsafe fn array<'a, T>(pointer: *const T, len: usize, name: &str) -> Result<&'a [T]> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null(name)),
        (false, len) if len > isize::MAX as usize / size_of::<T>().max(1) => {
            Err(invalid(format!("`{name}` has {len} elements, more than there is memory")))
        }
        // SAFETY: not NULL, and not longer than an object can be; the rest is the caller's duty.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts(pointer, len) }),
    }
}

/// Where a result goes: checked before the work is done, written after it.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `pointer` is NULL or may be written to, until [`Out::set`].
    pub(crate) unsafe fn new(pointer: *mut T, name: &str) -> Result<Out<T>> {
        if pointer.is_null() { Err(null(name)) } else { Ok(Out(pointer)) }
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: not NULL; the rest is the duty of `new`'s caller. What was there before is C's, and not dropped.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// Gives C an object that it then owns.
    pub(crate) fn give(self, object: T) {
        self.set(Box::into_raw(Box::new(object)));
    }
}

/// Ends an object that C owned.
///
/// # Safety
/// `pointer` is NULL or comes from [`Out::give`] or `Box::into_raw`, and is not used again.
pub(crate) unsafe fn delete<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: the caller's duty.
        guard_or((), || drop(unsafe { Box::from_raw(pointer) }));
    }
}
