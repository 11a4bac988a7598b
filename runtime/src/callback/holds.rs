//! How long a callback lasts: as long as somebody holds it.
//!
//! Each time that an app passes a function to C, the prototype says how long C keeps it: that is a hold. The host's own callbacks, and those
//! that no `[scope]` is said of, are held for good. Without a hold a callback has *ended*: its address answers with the default value. It keeps its
//! slot all the same, because a call of it may still be running somewhere up the stack; the same function gets it again when it is passed
//! again, and no other one does while the instance lives.
//!
//! Holds are counted by the owner's thread only.

use std::cell::{Cell, RefCell};

/// Who holds a callback.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// for good; then nothing else counts
    forever: Cell<bool>,
    /// calls of C functions that have not returned
    calls: Cell<u32>,
    /// times that C is to call it once
    once: Cell<u32>,
    /// functions that give it back, and how often each will
    until: RefCell<Vec<(String, u32)>>,
}

impl Holds {
    /// Holds it for good.
    pub(crate) fn forever(&self) {
        self.forever.set(true);
    }

    pub(crate) fn is_forever(&self) -> bool {
        self.forever.get()
    }

    /// Holds it until a call returns.
    pub(crate) fn add_call(&self) {
        self.calls.set(self.calls.get().saturating_add(1));
    }

    /// A call has returned.
    pub(crate) fn end_call(&self) {
        self.calls.set(self.calls.get().saturating_sub(1));
    }

    /// Holds it until it has been called once more.
    pub(crate) fn add_once(&self) {
        self.once.set(self.once.get().saturating_add(1));
    }

    /// Whether calls of C functions hold it.
    pub(crate) fn is_by_calls(&self) -> bool {
        self.calls.get() > 0
    }

    /// Whether it is held until it has been called.
    pub(crate) fn is_once(&self) -> bool {
        self.once.get() > 0
    }

    /// It has been called. Which of several holders has done so is not known: a hold for one call ends only where there is no other
    /// kind, so that nobody's is ended by mistake.
    pub(crate) fn end_once(&self) {
        if self.calls.get() == 0 && self.until.borrow().is_empty() {
            self.once.set(self.once.get().saturating_sub(1));
        }
    }

    /// Holds it until the function of this name gets it.
    pub(crate) fn add_until(&self, name: &str) {
        let mut until = self.until.borrow_mut();
        match until.iter_mut().find(|u| u.0 == name) {
            Some(found) => found.1 = found.1.saturating_add(1),
            None => until.push((name.to_owned(), 1)),
        }
    }

    /// The function of this name gets it. Whether it had been passed until then.
    pub(crate) fn end_until(&self, name: &str) -> bool {
        if self.until.borrow().is_empty() {
            return false;
        }
        let mut until = self.until.borrow_mut();
        let Some(at) = until.iter().position(|u| u.0 == name) else { return false };
        until[at].1 -= 1;
        if until[at].1 == 0 {
            until.swap_remove(at);
        }
        true
    }

    /// Whether anybody holds it.
    pub(crate) fn any(&self) -> bool {
        self.forever.get() || self.calls.get() > 0 || self.once.get() > 0 || !self.until.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hold_ends_for_itself() {
        let holds = Holds::default();
        assert!(!holds.any());
        holds.add_call();
        holds.add_call();
        holds.add_until("remove");
        holds.end_call();
        assert!(!holds.end_until("other"));
        assert!(holds.end_until("remove"));
        assert!(holds.any());
        holds.end_call();
        assert!(!holds.any());
    }

    #[test]
    fn a_hold_for_one_call_is_not_ended_by_another_holders_call() {
        let holds = Holds::default();
        holds.add_once();
        holds.add_call();
        holds.end_once();
        holds.end_call();
        assert!(holds.any());
        holds.end_once();
        assert!(!holds.any());
    }
}
