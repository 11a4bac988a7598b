//! A lock of the C library's, for what threads share that the host has made.
//!
//! It does what std's does, and can be watched: helgrind, drd and the thread sanitizer know these functions, and nothing of std's locks.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// A value that one thread at a time may use.
pub(crate) struct Lock<T> {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is used by whoever holds the mutex.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// For statics only: a mutex does not move.
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock { mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER), value: UnsafeCell::new(value) }
    }

    pub(crate) fn lock(&'static self) -> Guard<T> {
        // SAFETY: an initialised mutex, which this thread does not hold: nothing that is called under it comes back here.
        let code = unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        assert_eq!(code, 0, "a mutex of this kind cannot fail");
        Guard { lock: self }
    }
}

/// The value, until this is dropped.
pub(crate) struct Guard<T: 'static> {
    lock: &'static Lock<T>,
}

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread holds the mutex.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread holds the mutex.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        // SAFETY: this thread holds the mutex.
        unsafe { libc::pthread_mutex_unlock(self.lock.mutex.get()) };
    }
}

/// What threads wait for under a lock.
pub(crate) struct Condition(UnsafeCell<libc::pthread_cond_t>);

// SAFETY: the C library's functions take care of it.
unsafe impl Send for Condition {}
// SAFETY: see above.
unsafe impl Sync for Condition {}

impl Condition {
    /// It does not move, so it is behind a pointer.
    pub(crate) fn new() -> Arc<Condition> {
        let condition = Arc::new(Condition(UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER)));
        let mut attributes = std::mem::MaybeUninit::<libc::pthread_condattr_t>::uninit();
        // SAFETY: the attributes are initialised by the first call; nobody else has the condition yet.
        let code = unsafe {
            libc::pthread_condattr_init(attributes.as_mut_ptr());
            libc::pthread_condattr_setclock(attributes.as_mut_ptr(), libc::CLOCK_MONOTONIC);
            let code = libc::pthread_cond_init(condition.0.get(), attributes.as_ptr());
            libc::pthread_condattr_destroy(attributes.as_mut_ptr());
            code
        };
        assert_eq!(code, 0, "a condition needs no resources");
        condition
    }

    /// Wakes all that wait. Their lock is held.
    pub(crate) fn wake(&self) {
        // SAFETY: initialised by `new`.
        unsafe { libc::pthread_cond_broadcast(self.0.get()) };
    }

    /// Waits until it is woken, or so long.
    pub(crate) fn wait<T>(&self, guard: &mut Guard<T>, timeout: Option<Duration>) {
        let mutex = guard.lock.mutex.get();
        let Some(timeout) = timeout else {
            // SAFETY: initialised, and this thread holds the mutex.
            unsafe { libc::pthread_cond_wait(self.0.get(), mutex) };
            return;
        };
        let mut until = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes to a local.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut until) };
        let nanoseconds = until.tv_nsec + i64::from(timeout.subsec_nanos());
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        until.tv_sec = until.tv_sec.saturating_add(seconds).saturating_add(nanoseconds / 1_000_000_000);
        until.tv_nsec = nanoseconds % 1_000_000_000;
        // SAFETY: initialised, and this thread holds the mutex.
        unsafe { libc::pthread_cond_timedwait(self.0.get(), mutex, &until) };
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        // SAFETY: who waits has a pointer to it, so nobody does.
        unsafe { libc::pthread_cond_destroy(self.0.get()) };
    }
}
