//! How much is compiled at once, so that the memory this takes does not grow with the number of threads.

use std::sync::{Condvar, Mutex, PoisonError};

/// Room for so many bytes of function bodies; a larger body has all of it.
pub(crate) struct Room {
    bytes: u64,
    taken: Mutex<u64>,
    left: Condvar,
}

/// What somebody has of the room, until it is dropped.
pub(crate) struct Place<'r> {
    room: &'r Room,
    bytes: u64,
}

impl Room {
    pub(crate) fn new(bytes: u64) -> Room {
        Room { bytes, taken: Mutex::new(0), left: Condvar::new() }
    }

    /// Waits until there is room for a body. Who has a place waits for nobody else's.
    pub(crate) fn enter(&self, body_bytes: u64) -> Place<'_> {
        let bytes = body_bytes.min(self.bytes);
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut u64| *taken + bytes > self.bytes;
        let mut taken = self.left.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner);
        *taken += bytes;
        Place { room: self, bytes }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.room.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.room.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::Room;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_more_is_inside_than_there_is_room_for() {
        let (room, inside, most) = (Room::new(10), AtomicU64::new(0), AtomicU64::new(0));
        let visit = |bytes: u64| {
            let place = room.enter(bytes);
            let counted = bytes.min(10);
            most.fetch_max(inside.fetch_add(counted, Ordering::SeqCst) + counted, Ordering::SeqCst);
            std::thread::yield_now();
            inside.fetch_sub(counted, Ordering::SeqCst);
            drop(place);
        };
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                // Some larger than the room, and some of nothing.
                scope.spawn(move || (0..500).for_each(|round| visit((round + 3 * thread) % 14)));
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 10);
        assert_eq!(*room.taken.lock().unwrap(), 0);
    }

    #[test]
    fn a_place_is_given_back_by_a_panic() {
        let room = Room::new(10);
        std::thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                let _place = room.enter(7);
                std::panic::resume_unwind(Box::new(()));
            });
            assert!(panicking.join().is_err());
        });
        drop(room.enter(11));
    }
}
