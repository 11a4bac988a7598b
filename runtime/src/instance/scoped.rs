//! Callbacks that C keeps for a while: `[scope: call]`, `[scope: once]`, `[scope: until NAME]`.
//!
//! What ends with a call is remembered with the place of the call's crossing frame, which the call is about to take. The frames are a stack, so
//! whatever is remembered for one below the innermost has returned, was skipped by a `longjmp`, or was ended by a trap: it is looked at when
//! a call returns that says so, before the next call's functions are converted, and when crossings are dropped.

use super::InstanceData;
use crate::callback;
use crate::linker::ThunkInfo;
use wasmbridge_artifact::vmctx::{CallbackRecord, CrossingFrame};
use wasmbridge_trampolines::Scope;

/// A callback that is held until a call returns.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldByCall {
    /// where the call's crossing frame is
    frame: *const CrossingFrame,
    record: *mut CallbackRecord,
}

impl HeldByCall {
    pub(super) fn is_of(&self, record: *const CallbackRecord) -> bool {
        std::ptr::eq(self.record, record)
    }
}

impl InstanceData {
    /// An app passes a callback to a C function, which keeps it so long.
    pub(super) fn hold(&self, record: *mut CallbackRecord, caller: &ThunkInfo, scope: &Scope) {
        // SAFETY: a callback of this instance's, which is not freed.
        let holds = unsafe { callback::holds(record) };
        if holds.is_forever() {
            return;
        }
        // The function that ends a hold may want the callback until it returns.
        let given_back = holds.end_until(caller.name());
        match scope {
            Scope::Call => self.hold_by_call(record),
            Scope::Forever if given_back => self.hold_by_call(record),
            Scope::Forever => holds.forever(),
            // SAFETY: as above; the app is running.
            Scope::Once => unsafe { callback::hold_once(record) },
            Scope::Until(name) => holds.add_until(name),
        }
    }

    fn hold_by_call(&self, record: *mut CallbackRecord) {
        // SAFETY: as in `hold`.
        unsafe { callback::holds(record) }.add_call();
        let frame = self.next_crossing();
        self.functions.held_by_calls.borrow_mut().push(HeldByCall { frame, record });
    }

    /// Ends what was held by calls that are over.
    pub(crate) fn end_calls(&self) {
        self.end_copies();
        let mut held = self.functions.held_by_calls.borrow_mut();
        if held.is_empty() {
            return;
        }
        let innermost = self.crossings_now();
        // Who adds to them has ended before what is over, so those of the innermost calls are the last ones.
        while let Some(over) = held.pop_if(|held| held.frame < innermost) {
            // SAFETY: a callback of this instance's: `forget_callback` removes those that are freed.
            unsafe {
                callback::holds(over.record).end_call();
                callback::end_unless_held(over.record);
            }
        }
    }
}
