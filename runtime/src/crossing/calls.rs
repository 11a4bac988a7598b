//! Calls of C functions for which something was made that must go, or go back, when they return.
//!
//! A call is known by the place of its crossing frame, which it is about to take when this is made. The frames are a stack, so whatever is
//! kept for one below the innermost has returned, was skipped by a `longjmp`, or was ended by a trap.

use super::extents::{Arrays, Pending};
use std::cell::RefCell;
use wasmbridge_artifact::vmctx::CrossingFrame;

/// The calls of one instance that are under way and need it, the innermost last.
#[derive(Debug, Default)]
pub(crate) struct Calls(RefCell<Vec<Call>>);

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    /// where its crossing frame is
    frame: *const CrossingFrame,
    /// what C reads and writes
    _arrays: Arrays,
    pub(crate) pending: Pending,
}

impl Calls {
    /// Keeps what a call needs.
    pub(crate) fn begin(&self, frame: *const CrossingFrame, arrays: Arrays, pending: Pending) {
        self.0.borrow_mut().push(Call { frame, _arrays: arrays, pending });
    }

    /// Forgets calls whose frames lie below an address: they are over.
    pub(crate) fn end_below(&self, frame: *const CrossingFrame) {
        let mut calls = self.0.borrow_mut();
        while calls.pop_if(|call| call.frame < frame).is_some() {}
    }

    /// What was kept for the call with this frame, which has returned.
    pub(crate) fn take(&self, frame: *const CrossingFrame) -> Option<Call> {
        self.end_below(frame);
        self.0.borrow_mut().pop_if(|call| call.frame == frame)
    }
}
