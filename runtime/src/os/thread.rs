//! Which thread this is, and whether another one can still do anything.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

thread_local! {
    static ID: Cell<u64> = const { Cell::new(0) };
    static ALIVE: Arc<()> = Arc::new(());
}

/// How often the process has come out of a `fork` as the child.
static FORKS: AtomicU64 = AtomicU64::new(0);
/// The thread that went into the last of these: all others of that time are the parent's.
static SURVIVOR: AtomicU64 = AtomicU64::new(0);

/// A number for this thread that no other thread of the process has or had. The kernel's would be given again when a thread has ended, and be
/// another one in the child of a `fork`.
pub(crate) fn thread_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ID.with(|id| {
        if id.get() == 0 {
            id.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        id.get()
    })
}

/// A thread.
#[derive(Debug, Clone)]
pub(crate) struct ThreadMark {
    id: u64,
    alive: Weak<()>,
    forks: u64,
}

impl ThreadMark {
    /// This thread's.
    pub(crate) fn here() -> ThreadMark {
        // A thread whose own variables are gone is about to end, and as good as not there.
        let alive = ALIVE.try_with(Arc::downgrade).unwrap_or_default();
        ThreadMark { id: thread_id(), alive, forks: forks() }
    }

    /// Its [`thread_id`].
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether the thread is there: it has not ended, and it is one of this process.
    pub(crate) fn is_alive(&self) -> bool {
        let here = self.forks == forks() || self.id == SURVIVOR.load(Ordering::Relaxed);
        here && self.alive.strong_count() > 0
    }
}

/// How many forks this process has come out of as the child. What was noted with another number is the parent's.
fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Notes, in the child of a `fork`, that this is its only thread.
pub(crate) fn in_child_of_fork() {
    SURVIVOR.store(thread_id(), Ordering::Relaxed);
    FORKS.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_numbers_of_their_own_and_end() {
        let mark = || (thread_id(), ThreadMark::here());
        let here = mark();
        assert_eq!((here.0, here.1.id()), (thread_id(), thread_id()));
        assert!(here.1.is_alive());
        let there = std::thread::spawn(mark).join().unwrap();
        assert_ne!(here.0, there.0);
        assert!(!there.1.is_alive());
    }
}
