//! Callbacks on other threads than the app's.

use crate::boundary::{Out, guard, guard_app, invalid, object};
use crate::error::wb_error;
use crate::instance::wb_instance;
use crate::value::wb_fn;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;
use wasmbridge_runtime::{NativeFn, Refusal};

/// Makes the calls of callbacks that other threads have left for an app's thread (`[thread: wait]`, `[thread: queue]`): as many as there are now, in the order
/// in which they were left. For this instance, and those that it shares exports with.
///
/// If there is none, it waits for one: `timeout_ms` milliseconds at most, not at all if that is 0, as long as it takes if it is negative. How many calls it has
/// made is written to `*calls`, which may be NULL; after an error nothing is.
///
/// Fails with the error of a call that failed, where C that no app had called would have left it to `wb_instance_take_error`; calls may be left then: poll
/// again. Fails with WB_ERROR_BUSY for another thread's instance, or one with an error that nobody has taken.
///
/// On the instance's thread; also from inside C functions that the app calls, such as the handlers of an event loop. An exception of C++ that a function
/// called by the app throws passes through; a `longjmp` out of this call is not allowed.
///
/// # Safety
/// `instance` is NULL or an instance; `calls` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn wb_instance_poll(
    instance: *const wb_instance,
    timeout_ms: i32,
    calls: *mut usize,
) -> *mut wb_error {
    guard_app(|| {
        // SAFETY: the caller's duty.
        let instance = unsafe { object(instance, "instance") }?;
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let made = instance.0.poll(timeout)?;
        if !calls.is_null() {
            // SAFETY: the caller's duty.
            unsafe { calls.write(made) };
        }
        Ok(())
    })
}

/// Has `notify` called with `data` whenever another thread has left a call for the instance, on that thread: to wake the one that is to call
/// `wb_instance_poll`, by `uv_async_send` or a write to an `eventfd`, for instance. NULL for `notify` for nothing of the kind.
///
/// When this returns, the former function is not running and is not called any more; the same holds after `wb_instance_delete`. `notify` may be called
/// by several threads at once. It must not call functions of the instance's, nor wait for its thread. `data` is not touched. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `notify` may be called with `data` on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_set_notify(
    instance: *const wb_instance,
    notify: Option<unsafe extern "C" fn(data: *mut c_void)>,
    data: *mut c_void,
) -> *mut wb_error {
    /// What the host wants to have back.
    struct Data(*mut c_void);
    // SAFETY: the host gives it for use on any thread.
    unsafe impl Send for Data {}
    // SAFETY: as above.
    unsafe impl Sync for Data {}
    impl Data {
        fn get(&self) -> *mut c_void {
            self.0
        }
    }
    guard(|| {
        // SAFETY: the caller's duty.
        let instance = unsafe { object(instance, "instance") }?;
        let data = Data(data);
        instance.0.set_notify(notify.map(|notify| -> Arc<dyn Fn() + Send + Sync> {
            // SAFETY: the caller's duty.
            Arc::new(move || unsafe { notify(data.get()) })
        }));
        Ok(())
    })
}

/// Has at most so many calls kept for `[thread: queue]`; 1024 if nothing is said. Further ones get the default value (WB_REFUSED_QUEUE_FULL). On the
/// instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_set_queue_limit(instance: *const wb_instance, calls: usize) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let instance = unsafe { object(instance, "instance") }?;
        instance.0.set_queue_limit(calls);
        Ok(())
    })
}

/// Why a callback has answered with its default value.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wb_refusal {
    /// It never has.
    WB_REFUSED_NEVER = 0,
    /// The app's function trapped, or a value did not cross: the app has an error.
    WB_REFUSED_FAILED = 1,
    /// An error of the app waited to be taken.
    WB_REFUSED_PENDING = 2,
    /// The callback has ended: its instance is gone, or nobody keeps it any more by its prototype.
    WB_REFUSED_GONE = 3,
    /// It was called on another thread than the app's, and does not say what to do there.
    WB_REFUSED_OTHER_THREAD = 4,
    /// It was called on another thread, and as many calls as may be were kept already.
    WB_REFUSED_QUEUE_FULL = 5,
    /// Its caller would have waited for a thread that waits for the caller, itself or by others.
    WB_REFUSED_CIRCLE = 6,
    /// The app's thread did not make the call in time.
    WB_REFUSED_TIMEOUT = 7,
    /// The app's thread has ended, or is another process's.
    WB_REFUSED_OWNER_ENDED = 8,
    /// For a reason that this version of the header does not name.
    WB_REFUSED_OTHERWISE = 255,
}

/// Writes to `*why` why a callback answered with its default value last. Any thread.
///
/// Fails with WB_ERROR_NOT_FOUND if `callback` is not the address of a callback.
///
/// # Safety
/// `why` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_callback_last_refusal(callback: wb_fn, why: *mut wb_refusal) -> *mut wb_error {
    guard(|| {
        let callback = callback.ok_or_else(|| invalid("`callback` is NULL"))?;
        // SAFETY: the caller's duty.
        let out = unsafe { Out::new(why, "why") }?;
        let last = wasmbridge_runtime::callback_last_refusal(NativeFn(callback as *const u8))?;
        out.set(match last {
            None => wb_refusal::WB_REFUSED_NEVER,
            Some(Refusal::Failed) => wb_refusal::WB_REFUSED_FAILED,
            Some(Refusal::Pending) => wb_refusal::WB_REFUSED_PENDING,
            Some(Refusal::Gone) => wb_refusal::WB_REFUSED_GONE,
            Some(Refusal::OtherThread) => wb_refusal::WB_REFUSED_OTHER_THREAD,
            Some(Refusal::QueueFull) => wb_refusal::WB_REFUSED_QUEUE_FULL,
            Some(Refusal::Circle) => wb_refusal::WB_REFUSED_CIRCLE,
            Some(Refusal::Timeout) => wb_refusal::WB_REFUSED_TIMEOUT,
            Some(Refusal::OwnerEnded) => wb_refusal::WB_REFUSED_OWNER_ENDED,
            Some(_) => wb_refusal::WB_REFUSED_OTHERWISE,
        });
        Ok(())
    })
}
