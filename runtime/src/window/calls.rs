//! What is visible during a callback only: data of a `[window]` parameter.
//!
//! A window for calls is closed where no callback runs that was given it. Opening and closing pages takes a system call each, so a window
//! that nobody uses any more stays open as long as no code of the app can run: that is so once the app's last frame has returned. The entry check then
//! sends whoever enters next to the slow path ([`InstanceData::admit`](crate::instance::InstanceData)), which closes what the callback that enters does
//! not use itself. So a callback that is given the same window as the one before it finds it open.
//!
//! ```text
//!   callback is given a window       users + 1; opened unless it is open
//!   it returns                       users - 1; at 0: closed, or idle if no code of the app is on the stack
//!   anything else enters the app     what is idle is closed first
//! ```
//!
//! Only memory that cannot be exchanged behind our back is found open without a look at what is mapped now: regions. Other shared memory is
//! asked for each time (`PROCMAP_QUERY`), and its windows stay, closed, for the next time.

use super::WindowSpace;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};

/// The windows for calls that one instance has open.
#[derive(Debug, Default)]
pub(crate) struct CallWindows {
    open: RefCell<Vec<OpenWindow>>,
    /// Whether some are open that nobody uses. Written by the owner; read by whoever fails the entry check.
    idle: AtomicBool,
    counts: Cell<WindowCounts>,
}

/// How often data of `[window]` parameters was shown, and in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// it was visible anyway
    pub visible: u64,
    /// its window was open yet, from a callback before
    pub cached: u64,
    /// its window was opened, or mapped
    pub mapped: u64,
    /// it was copied
    pub copied: u64,
}

#[derive(Debug)]
struct OpenWindow {
    key: u64,
    users: u32,
    opened: Opened,
    /// what [`WindowSpace::changes`] was
    changes: u64,
}

/// A window for calls that has been opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    pub(crate) key: u64,
    pub(crate) native: usize,
    pub(crate) len: u64,
    pub(crate) guest_addr: u64,
    pub(crate) write: bool,
    /// Whether it can be another one's memory the next time.
    pub(crate) may_change: bool,
}

impl Opened {
    /// The guest address of native bytes, if they are in it and it allows what is asked for.
    fn guest_addr(&self, native: usize, len: u64, write: bool) -> Option<u64> {
        let offset = native.checked_sub(self.native)? as u64;
        let fits = offset <= self.len && len <= self.len - offset;
        (fits && (self.write || !write)).then_some(self.guest_addr + offset)
    }
}

impl CallWindows {
    /// Shows a callback native data: its guest address and the window's key, for [`CallWindows::close`]. `None` if there is no window
    /// for it and none can be made.
    pub(crate) fn show(&self, space: &WindowSpace, native: usize, len: u64, write: bool) -> Option<(u64, u64)> {
        let changes = space.changes();
        let mut open = self.open.borrow_mut();
        for window in open.iter_mut() {
            if window.changes == changes
                && !window.opened.may_change
                && let Some(guest_addr) = window.opened.guest_addr(native, len, write)
            {
                window.users += 1;
                self.count(|counts| counts.cached += 1);
                return Some((guest_addr, window.key));
            }
        }
        let opened = space.open_for_call(native, len, write)?;
        let guest_addr = opened.guest_addr(native, len, write)?;
        // What opening it has changed is known.
        let changes = space.changes();
        match open.iter_mut().find(|window| window.key == opened.key) {
            Some(window) => {
                (window.opened, window.changes) = (opened, changes);
                window.users += 1;
            }
            None => open.push(OpenWindow { key: opened.key, users: 1, opened, changes }),
        }
        self.count(|counts| counts.mapped += 1);
        Some((guest_addr, opened.key))
    }

    /// A callback that was given a window is over. Whether it is one that nobody uses any more.
    pub(crate) fn close(&self, key: u64) -> bool {
        let mut open = self.open.borrow_mut();
        let Some(window) = open.iter_mut().find(|window| window.key == key) else { return false };
        window.users = window.users.saturating_sub(1);
        window.users == 0
    }

    /// What nobody uses stays open: no code of the app runs before [`CallWindows::close_idle`].
    pub(crate) fn keep_idle(&self) {
        self.idle.store(true, Ordering::Relaxed);
    }

    /// Whether something is open that nobody uses.
    pub(crate) fn has_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed)
    }

    /// Closes what nobody uses.
    pub(crate) fn close_idle(&self, space: &WindowSpace) {
        self.idle.store(false, Ordering::Relaxed);
        self.open.borrow_mut().retain(|window| {
            if window.users == 0 {
                space.close_for_call(window.key);
            }
            window.users > 0
        });
    }

    /// Whether some are open that a callback was shown which has not returned.
    pub(crate) fn are_used(&self) -> bool {
        self.open.borrow().iter().any(|window| window.users > 0)
    }

    /// The only window that is open, if nobody uses it, with what [`WindowSpace::changes`] was then.
    pub(crate) fn only_idle(&self) -> Option<(Opened, u64)> {
        match &self.open.borrow()[..] {
            [window] if window.users == 0 => Some((window.opened, window.changes)),
            _ => None,
        }
    }

    /// The only window that is open, and that nobody was known to use, is used by somebody. Its key.
    pub(crate) fn use_idle(&self) -> Option<u64> {
        let mut open = self.open.borrow_mut();
        let [window] = &mut open[..] else { return None };
        window.users += 1;
        self.idle.store(false, Ordering::Relaxed);
        Some(window.key)
    }

    pub(crate) fn count(&self, add: impl FnOnce(&mut WindowCounts)) {
        let mut counts = self.counts.get();
        add(&mut counts);
        self.counts.set(counts);
    }

    pub(crate) fn counts(&self) -> WindowCounts {
        self.counts.get()
    }
}
