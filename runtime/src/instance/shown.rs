//! The window that callbacks find open without asking: the runtime's side of [`ShownWindow`].
//!
//! When the last callback has returned that used a window, and no code of the app is on the stack, the window stays open and entering is
//! barred ([`bar_entry`](InstanceData::bar_entry)). If it is the only one, and a region, it is written down for the fast entries of callbacks. They let a callback
//! in whose data lies in it, which then runs without a scope; only `frame` says so.
//!
//! ```text
//!                 offer                      a fast entry                       settle
//!   nothing open ───────> offered: ceiling ─────────────> running: frame ─────────────────> a scope like others'
//!        ^                   │  ^                             │                                   │
//!        └───────────────────┘  └─────────────────────────────┘ it returns                        │ callback_shown, a trap, ...
//!         withdraw: whoever     <─────────────────────────────────────────────────────────────────┘
//!         enters otherwise
//! ```
//!
//! *Settling* makes of what a fast entry has noted what `callback_enter` would have made: a scope with a window in it. It comes before everything that looks at
//! scopes or at open windows, so that nothing else need know of fast entries. A callback that was ended by a trap, or skipped by a `longjmp` or an
//! exception, is settled and its scope closed like any other one's.

use super::InstanceData;
use std::sync::atomic::Ordering;
use wasmbridge_artifact::vmctx::ShownWindow;

impl InstanceData {
    /// Offers the only window that is open, and that nobody uses, to fast entries. Entering is barred.
    pub(super) fn offer_window(&self) {
        let Ok(space) = self.windows() else { return };
        let Some((opened, changes)) = self.call_windows.only_idle() else { return };
        if opened.may_change {
            return;
        }
        let offered = ShownWindow {
            ceiling: self.ceiling().load(Ordering::Relaxed),
            frame: 0,
            changes_now: space.changes_counter(),
            changes,
            native: opened.native,
            readable: opened.len,
            writable: if opened.write { opened.len } else { 0 },
            crossings: self.blocked_at.get(),
            // SAFETY: this instance's, and no compiled code runs now.
            count: unsafe { (*self.shown).count },
        };
        // SAFETY: as above.
        unsafe { self.shown.write(offered) };
    }

    /// No fast entry may show anything any more.
    pub(super) fn withdraw_window(&self) {
        // SAFETY: as in `offer_window`.
        unsafe { (*self.shown).ceiling = 0 };
    }

    /// Gives a callback that was let in by its fast entry a scope, if one is running or was.
    pub(crate) fn settle_shown(&self) {
        // SAFETY: as in `offer_window`.
        let frame = unsafe { std::mem::take(&mut (*self.shown).frame) };
        if frame == 0 {
            return;
        }
        self.withdraw_window();
        self.scopes.open(frame, self.memory0().map(|memory| memory.scratch.mark()));
        if let Some(key) = self.call_windows.use_idle() {
            self.scopes.lend_window(key);
        }
    }

    /// A callback returns that was settled. `frame` is its frame pointer.
    pub(crate) fn shown_returned(&self, frame: usize) {
        self.close_scope(frame);
    }

    /// How often fast entries have shown data.
    pub(super) fn shown_count(&self) -> u64 {
        // SAFETY: as in `offer_window`.
        unsafe { (*self.shown).count }
    }
}
