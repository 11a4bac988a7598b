//! References that the host holds: they keep their objects alive.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The objects of one heap that the host holds.
#[derive(Debug, Default)]
pub(crate) struct Roots(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    /// addresses of objects; 0 in a free slot
    objects: Vec<u64>,
    free: Vec<usize>,
}

impl Roots {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `visit` with the address of each object that is held.
    pub(crate) fn visit(&self, visit: impl FnMut(u64)) {
        self.lock().objects.iter().copied().filter(|&object| object != 0).for_each(visit);
    }

    /// Holds an object.
    pub(crate) fn hold(self: &Arc<Roots>, object: u64) -> Rooted {
        let mut slots = self.lock();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => {
                slots.objects.push(0);
                slots.objects.len() - 1
            }
        };
        slots.objects[slot] = object;
        drop(slots);
        Rooted(Arc::new(Root { roots: self.clone(), slot }))
    }
}

struct Root {
    roots: Arc<Roots>,
    slot: usize,
}

impl Drop for Root {
    fn drop(&mut self) {
        let mut slots = self.roots.lock();
        slots.objects[self.slot] = 0;
        slots.free.push(self.slot);
    }
}

/// An object that the host holds, for as long as this value or a clone of it lives.
#[derive(Clone)]
pub(crate) struct Rooted(Arc<Root>);

impl Rooted {
    /// The object's address. It is only good together with the heap, which [`Rooted::is_in`] tells.
    pub(crate) fn object(&self) -> u64 {
        self.0.roots.lock().objects[self.0.slot]
    }

    /// Whether it is held through these roots.
    pub(crate) fn is_in(&self, roots: &Arc<Roots>) -> bool {
        Arc::ptr_eq(&self.0.roots, roots)
    }
}

impl PartialEq for Rooted {
    fn eq(&self, other: &Rooted) -> bool {
        self.object() == other.object()
    }
}

impl fmt::Debug for Rooted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.object())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_seen_until_the_last_clone_goes() {
        let roots = Arc::new(Roots::default());
        let seen = || {
            let mut seen = Vec::new();
            roots.visit(|object| seen.push(object));
            seen
        };
        let first = roots.hold(16);
        let second = roots.hold(32);
        let clone = first.clone();
        drop(first);
        assert_eq!(seen(), [16, 32]);
        drop(clone);
        assert_eq!(seen(), [32]);
        let third = roots.hold(48);
        assert_eq!(seen(), [48, 32], "the slot is used again");
        assert!(second.is_in(&roots) && third != second);
    }
}
