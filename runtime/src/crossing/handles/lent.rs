//! Slots that callbacks open and close by themselves: the runtime's side of [`LentSlots`].
//!
//! ```text
//!            prepare_lent               a fast entry                      take_opened
//!   none ──────────────────> prepared ────────────────> opened: frame ─────────────────> handles like others, which end with the frame
//!                              ^                          │                                 (new slots are prepared)
//!                              └──────────────────────────┘ it returns, one generation on
//! ```
//!
//! A slot that a fast entry has opened is found by its handle like any other one; that its object has a handle is not known until it is *taken*. Whoever looks
//! for handles by object, or at what is lent, takes it first ([`Scopes::handles`](crate::crossing::scope::Scopes::handles)).

use super::slots::NO_GENERATION;
use super::{HandleTable, INDEX_BITS};
use wasmbridge_artifact::vmctx::handles::LentSlots;

impl HandleTable {
    /// The slots that callbacks open, if there are any to open or opened.
    fn lent(&self) -> Option<*mut LentSlots> {
        // SAFETY: in the table, which this thread alone uses.
        self.slots.is_made().then(|| self.slots.lent()).filter(|&lent| unsafe { (*lent).frame } != LentSlots::NONE)
    }

    /// Which slots these are, and the handles that they have when they are opened next.
    fn lent_slots(&self) -> Vec<(u32, u32)> {
        // SAFETY: as in `lent`.
        let slots = self.lent().map(|lent| unsafe { &(*lent).slots });
        slots.into_iter().flatten().map(|slot| (self.slots.index_of(slot.key), slot.handle)).collect()
    }

    /// The generation that a slot has next which callbacks open.
    pub(super) fn lent_generation(&self, index: u32) -> Option<u32> {
        self.lent_slots().into_iter().find(|&(slot, _)| slot == index).map(|(_, handle)| generation(handle))
    }

    /// Provides slots for callbacks to open, if there are none. If the app has no room for them there are none, and a callback's handle is asked for.
    pub(super) fn prepare_lent(&mut self) {
        if self.lent().is_some() || !self.slots.is_made() {
            return;
        }
        let lent = self.slots.lent();
        // SAFETY: as in `lent`.
        let slots = unsafe { &mut (*lent).slots };
        let mut taken = Vec::new();
        for slot in slots {
            let Ok((index, generation)) = self.take() else {
                taken.into_iter().for_each(|(index, generation)| self.put_back(index, generation));
                return;
            };
            taken.push((index, generation));
            slot.key = self.slots.key_place(index);
            slot.handle = generation << INDEX_BITS | index;
        }
        // SAFETY: as in `lent`.
        unsafe { (*lent).frame = 0 };
    }

    /// Takes the slots that a callback has opened: its frame, and the handles, which are like any other ones from now on.
    pub(crate) fn take_opened(&mut self) -> Option<(usize, Vec<u32>)> {
        let lent = self.lent()?;
        // SAFETY: as in `lent`.
        let frame = unsafe { (*lent).frame };
        if frame == 0 {
            return None;
        }
        let mut opened = Vec::new();
        for (index, next) in self.lent_slots() {
            let (ty, handle) = self.parts(index);
            if handle == 0 {
                self.put_back(index, generation(next));
                continue;
            }
            self.slots.enter_bucket(index);
            let root = self.types.root(ty);
            self.by_object.insert((self.slots.object(index), root), index);
            opened.push(handle);
        }
        // SAFETY: as in `lent`.
        unsafe { (*lent).frame = LentSlots::NONE };
        self.prepare_lent();
        Some((frame, opened))
    }

    /// Replaces slots that have no more generations.
    pub(crate) fn renew_lent(&mut self) {
        let slots = self.lent_slots();
        if slots.iter().all(|&(_, handle)| generation(handle) != NO_GENERATION) {
            return;
        }
        // Another one that was closed at the same time may still have to be counted up.
        let next = |handle| (generation(handle) + 1).min(NO_GENERATION);
        slots.into_iter().for_each(|(index, handle)| self.put_back(index, next(handle)));
        // SAFETY: as in `lent`.
        unsafe { (*self.slots.lent()).frame = LentSlots::NONE };
        self.prepare_lent();
    }
}

/// The generation of a handle that was counted up: generations begin with 1.
fn generation(handle: u32) -> u32 {
    match handle >> INDEX_BITS {
        0 => NO_GENERATION,
        generation => generation,
    }
}
