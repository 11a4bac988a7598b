//! The callbacks of an instance, by function and signature.
//!
//! Whoever makes a callback or frees one comes by here. So it is an open table with linear probing: when an entry is removed, those behind it move up
//! (Knuth, volume 3, 6.4, algorithm R), and no marks of removed ones are left that a search would have to pass.

use crate::code::stamped::Slot;
use std::sync::Arc;
use wasmbridge_artifact::vmctx::VmFuncRef;
use wasmbridge_trampolines::Signature;

/// The size of a table that has something in it, at least.
const LEAST: usize = 16;

/// What a callback is found by: the address of the one `VmFuncRef`, and that of the one interned signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// 0 in a place without a callback
    function: usize,
    signature: usize,
}

impl Key {
    pub(super) fn new(function: *const VmFuncRef, signature: &Arc<Signature>) -> Key {
        Key { function: function as usize, signature: Arc::as_ptr(signature) as usize }
    }
}

/// A place in the table.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: Key,
    slot: Slot,
}

const EMPTY: Place = Place {
    key: Key { function: 0, signature: 0 },
    slot: Slot { entry: std::ptr::null(), record: std::ptr::null_mut() },
};

impl Place {
    fn is_empty(&self) -> bool {
        self.key.function == 0
    }
}

/// The callbacks.
#[derive(Debug, Default)]
pub(super) struct Callbacks {
    /// none or a power of two, at least a quarter of them empty
    places: Vec<Place>,
    count: usize,
}

impl Callbacks {
    pub(super) fn get(&self, key: Key) -> Option<Slot> {
        if self.places.is_empty() {
            return None;
        }
        let place = &self.places[self.find(key)];
        (!place.is_empty()).then_some(place.slot)
    }

    /// Adds a callback. There is none yet for the key.
    pub(super) fn insert(&mut self, key: Key, slot: Slot) {
        if self.count >= self.places.len() / 4 * 3 {
            let larger = vec![EMPTY; (2 * self.places.len()).max(LEAST)];
            let places = std::mem::replace(&mut self.places, larger);
            for place in places.into_iter().filter(|place| !place.is_empty()) {
                let at = self.find(place.key);
                self.places[at] = place;
            }
        }
        let at = self.find(key);
        debug_assert!(self.places[at].is_empty(), "there is one already");
        self.places[at] = Place { key, slot };
        self.count += 1;
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Slot> {
        if self.places.is_empty() {
            return None;
        }
        let mask = self.places.len() - 1;
        let mut hole = self.find(key);
        let removed = self.places[hole];
        if removed.is_empty() {
            return None;
        }
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let place = self.places[next];
            if place.is_empty() {
                break;
            }
            // It is found from where its search begins: it may move up to there, and no further.
            let from_home = next.wrapping_sub(self.home(place.key)) & mask;
            if from_home >= next.wrapping_sub(hole) & mask {
                self.places[hole] = place;
                hole = next;
            }
        }
        self.places[hole] = EMPTY;
        self.count -= 1;
        Some(removed.slot)
    }

    /// Removes all.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Slot> {
        let Callbacks { places, .. } = std::mem::take(self);
        places.into_iter().filter(|place| !place.is_empty()).map(|place| place.slot)
    }

    /// Where a key is, or the empty place where it would be. There are places.
    fn find(&self, key: Key) -> usize {
        let mask = self.places.len() - 1;
        let mut at = self.home(key);
        while self.places[at].key != key && !self.places[at].is_empty() {
            at = (at + 1) & mask;
        }
        at
    }

    /// Where the search for a key begins: Fibonacci hashing, as of an [`AddressMap`](crate::addresses::AddressMap).
    fn home(&self, key: Key) -> usize {
        let mixed = (key.function as u64 ^ (key.signature as u64).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn it_does_what_a_map_does() {
        let slot = |n: usize| Slot { entry: n as *const u8, record: std::ptr::null_mut() };
        let (mut callbacks, mut map) = (Callbacks::default(), HashMap::new());
        let mut state = 1u64;
        for step in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few keys, so that tables of each size are full, and then emptied; few functions, as of a small module.
            let keys = if step / 20_000 % 2 == 0 { 500 } else { 20 };
            let number = (state >> 33) as usize % keys;
            let key = Key { function: 0x7000 + 24 * (number % 50), signature: 0x9000 + 64 * (number / 50) };
            let found = callbacks.get(key).map(|slot| slot.entry as usize);
            assert_eq!(found, map.get(&number).copied());
            if found.is_some() {
                assert_eq!(callbacks.remove(key).map(|slot| slot.entry as usize), map.remove(&number));
            } else {
                assert!(callbacks.remove(key).is_none());
                callbacks.insert(key, slot(step));
                map.insert(number, step);
            }
            assert_eq!(callbacks.count, map.len());
        }
        let mut left: Vec<usize> = callbacks.take().map(|slot| slot.entry as usize).collect();
        let mut expected: Vec<usize> = map.into_values().collect();
        left.sort_unstable();
        expected.sort_unstable();
        assert_eq!(left, expected);
        assert!(callbacks.get(Key { function: 1, signature: 1 }).is_none());
    }
}
