//! `memory.atomic.wait` and `memory.atomic.notify`: threads that wait for a place in a shared memory.
//!
//! Who waits is kept by [`parking_lot_core`], keyed by the place's native address. A waiter looks at the value while the queue of
//! its key is locked, and a notifier takes that lock too: a notifier that has written the value before finds the waiter in the
//! queue, or the waiter finds the value changed (Wasm threads proposal, "Wait and notify operators").
//!
//! An instance runs on one thread, and so do all that import its memory. So today nobody but the host's own threads could notify
//! an app that waits; an app that waits without a timeout waits for ever, and its thread with it.

use parking_lot_core::{DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN, FilterOp, ParkResult};
use std::time::{Duration, Instant};

/// How a wait ended, in the words that the instruction returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// by a notifier
    Notified = 0,
    /// the value was not as expected: it has not waited
    NotEqual = 1,
    /// nobody came
    TimedOut = 2,
}

/// Waits at `place` until a notifier comes or `timeout_ns` nanoseconds have gone by (negative: for ever), if `is_expected` says so.
///
/// `is_expected` must not wait itself.
pub(crate) fn wait(place: *const u8, is_expected: impl FnOnce() -> bool, timeout_ns: i64) -> Woken {
    // A moment beyond what the clock can say is never reached.
    let deadline = u64::try_from(timeout_ns).ok().and_then(|ns| Instant::now().checked_add(Duration::from_nanos(ns)));
    // SAFETY: the key is an address in linear memory, which nothing else parks on. The closures do not panic and do not park.
    let result =
        unsafe { parking_lot_core::park(place as usize, is_expected, || {}, |_, _| {}, DEFAULT_PARK_TOKEN, deadline) };
    match result {
        ParkResult::Unparked(_) => Woken::Notified,
        ParkResult::Invalid => Woken::NotEqual,
        ParkResult::TimedOut => Woken::TimedOut,
    }
}

/// Wakes up to `count` of those that wait at `place`, those first that have waited longest. How many it were.
pub(crate) fn notify(place: *const u8, count: u32) -> u32 {
    let mut woken = 0;
    let next = |_| {
        if woken == count {
            return FilterOp::Stop;
        }
        woken += 1;
        FilterOp::Unpark
    };
    // SAFETY: as for `park`.
    let result = unsafe { parking_lot_core::unpark_filter(place as usize, next, |_| DEFAULT_UNPARK_TOKEN) };
    result.unparked_threads as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn wait_for(value: &AtomicU32, expected: u32, timeout_ns: i64) -> Woken {
        wait(value.as_ptr().cast(), || value.load(Ordering::SeqCst) == expected, timeout_ns)
    }

    #[test]
    fn another_value_is_not_waited_for() {
        let value = AtomicU32::new(1);
        assert_eq!(wait_for(&value, 0, -1), Woken::NotEqual);
        assert_eq!(wait_for(&value, 1, 0), Woken::TimedOut);
        assert_eq!(wait_for(&value, 1, 1_000_000), Woken::TimedOut);
        assert_eq!(notify(value.as_ptr().cast(), 1), 0);
    }

    #[test]
    fn as_many_as_asked_for_are_woken() {
        let value = AtomicU32::new(0);
        let place = || value.as_ptr().cast_const().cast::<u8>();
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| wait_for(&value, 0, i64::MAX))).collect();
            let mut woken = 0;
            while woken < 2 {
                // The waiters may still be on their way.
                let now = notify(place(), 2 - woken);
                assert!(now <= 2 - woken);
                woken += now;
                std::thread::yield_now();
            }
            // Of three, two have been woken: the third is waiting, or on its way to.
            while notify(place(), u32::MAX) == 0 {
                std::thread::yield_now();
            }
            assert!(waiters.into_iter().all(|w| w.join().unwrap() == Woken::Notified));
        });
    }
}
