//! Calls of C functions for which something was made that must go, or go back, when they return.
//!
//! A call is known by the place of its crossing frame, which it is about to take when this is made. The frames are a stack, so whatever is
//! kept for one below the innermost has returned, was skipped by a `longjmp`, or was ended by a trap.

use super::copies::Copies;
use crate::instance::InstanceData;
use std::cell::RefCell;
use wasmbridge_artifact::vmctx::{CallbackRecord, CrossingFrame};

/// The calls of one instance that are under way and need it, the innermost last.
#[derive(Debug, Default)]
pub(crate) struct Calls(RefCell<Vec<(*const CrossingFrame, Copies)>>);

impl Calls {
    /// A callback was freed.
    pub(crate) fn forget(&self, record: *const CallbackRecord) {
        self.0.borrow_mut().iter_mut().for_each(|(_, copies)| copies.forget(record));
    }
}

impl InstanceData {
    /// Keeps what was converted for a C function that is about to be called.
    pub(crate) fn keep_copies(&self, copies: Copies) {
        if !copies.is_empty() {
            self.calls.0.borrow_mut().push((self.next_crossing(), copies));
        }
    }

    /// What was converted for the C function that has just returned.
    pub(crate) fn take_copies(&self) -> Option<Copies> {
        let frame = self.next_crossing();
        let mut calls = self.calls.0.borrow_mut();
        // Those of calls further in were skipped by a `longjmp`; `end_copies` sees to them.
        let at = calls.iter().rposition(|call| call.0 == frame)?;
        Some(calls.remove(at).1)
    }

    /// Ends what was converted for calls that are over.
    pub(crate) fn end_copies(&self) {
        if self.calls.0.borrow().is_empty() {
            return;
        }
        let innermost = self.crossings_now();
        loop {
            let ended = self.calls.0.borrow_mut().pop_if(|call| call.0 < innermost);
            let Some((_, copies)) = ended else { return };
            copies.end(self);
        }
    }
}
