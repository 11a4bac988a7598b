//! Why a callback answers with its default value.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Why a callback has answered with its default value instead of running the app's function to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Refusal {
    /// The app's function trapped, or a value did not cross: the app has an error.
    Failed = 1,
    /// An error of the app waits to be taken.
    Pending = 2,
    /// The callback has ended: its instance is gone, it was freed, or nobody keeps it any more by its prototype.
    Gone = 3,
    /// The call came on another thread than the app's, and the callback does not say what to do there.
    OtherThread = 4,
    /// The call came on another thread, and as many calls as may be are kept already.
    QueueFull = 5,
    /// The caller would have waited for a thread that, by others or itself, waits for the caller.
    Circle = 6,
    /// The app's thread did not make the call in time.
    Timeout = 7,
    /// The app's thread has ended, or is another process's.
    OwnerEnded = 8,
}

impl Refusal {
    const ALL: [Refusal; 8] = {
        use Refusal::*;
        [Failed, Pending, Gone, OtherThread, QueueFull, Circle, Timeout, OwnerEnded]
    };
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Failed => "the app's function failed: the app has the error",
            Refusal::Pending => "an error of the app waits to be taken",
            Refusal::Gone => "the callback has ended",
            Refusal::OtherThread => {
                "it was called on another thread than the app's; say [thread: wait] or [thread: queue] if that is as it should be"
            }
            Refusal::QueueFull => "too many calls are kept for the app's thread, which must poll more often",
            Refusal::Circle => "its caller would wait for a thread that waits for the caller",
            Refusal::Timeout => "the app's thread did not make the call in time",
            Refusal::OwnerEnded => "the app's thread has ended, and no other one has taken the app",
        })
    }
}

/// How often a callback has answered with its default value, and why it did so last. Any thread.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    count: AtomicU64,
    last: AtomicU8,
}

impl Refusals {
    pub(crate) fn add(&self, why: Refusal) {
        self.last.swap(why as u8, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn last(&self) -> Option<Refusal> {
        let last = self.last.load(Ordering::Relaxed);
        Refusal::ALL.into_iter().find(|&refusal| refusal as u8 == last)
    }
}
