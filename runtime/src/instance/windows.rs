//! Windows, as the host makes them, and as callbacks are shown them.

use super::{Instance, InstanceData};
use crate::crossing::Refused;
use crate::error::Error;
use crate::window::{Rights, Window, WindowCounts, WindowOptions};
use std::os::fd::BorrowedFd;

impl Instance {
    /// Makes `len_bytes` at `native_ptr` visible to the app: without a copy, unless the options allow one and there is no other way. The app may
    /// read them, or write them too, until the window is unmapped or the instance goes.
    ///
    /// Shared mappings are mapped once more. Private pages that hold nothing but the data are *adopted*: moved, once and for all, into a
    /// file in memory which is mapped at their own address and in the window, so that every pointer to them stays good. A `fork` then shares them
    /// with the child.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind) if the data is not there, overlaps another window of the app, or cannot be shown as the
    /// options say; [`ErrorKind::Limit`](crate::ErrorKind) if there is no room, or no mapping left; [`ErrorKind::Busy`](crate::ErrorKind) on a
    /// thread that does not own the instance. On an error nothing has changed.
    ///
    /// # Safety
    /// The bytes may change at any moment while the app may write to them: nobody has a Rust reference to them. While this runs, no other thread
    /// writes to their pages. The window is unmapped before the memory is given back to the system or used for something else.
    pub unsafe fn map_window(
        &self,
        native_ptr: *mut u8,
        len_bytes: usize,
        rights: Rights,
        options: &WindowOptions,
    ) -> Result<Window, Error> {
        self.data().group().check_thread()?;
        // SAFETY: the caller's promise; on the owner's thread, so that the app does not run.
        unsafe { self.data().windows()?.map(native_ptr as usize, len_bytes, rights, options) }
    }

    /// Makes `len_bytes` of a file visible, from the multiple of the page size `offset` on: also where the host has not mapped it, and for devices
    /// whose mappings cannot be mapped again. `native_ptr` is where the host has mapped the same bytes, so that pointers are translated; or null.
    ///
    /// # Errors
    /// As for [`Instance::map_window`]; [`ErrorKind::InvalidArgument`](crate::ErrorKind) if the file is shorter.
    pub fn map_file_window(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        len_bytes: u64,
        rights: Rights,
        native_ptr: *mut u8,
    ) -> Result<Window, Error> {
        self.data().group().check_thread()?;
        self.data().windows()?.map_file(file, offset, len_bytes, rights, native_ptr as usize)
    }

    /// Ends the window that begins at a guest address; a copy that the app may write to is copied back. When it returns no access of the
    /// app's succeeds. Any thread.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind) if no window begins there.
    pub fn unmap_window(&self, guest_addr: u64) -> Result<(), Error> {
        self.data().windows()?.unmap(guest_addr)
    }

    /// Changes what the app may do in the window that begins at a guest address. It takes effect at once, in code that is running too. Any thread.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind) if no window begins there; [`ErrorKind::InvalidArgument`](crate::ErrorKind) if it cannot
    /// become writable.
    pub fn protect_window(&self, guest_addr: u64, rights: Rights) -> Result<(), Error> {
        self.data().windows()?.protect(guest_addr, rights)
    }

    /// Brings the copy in a window of the mode [`WindowMode::Copied`](crate::WindowMode) up to date. Does nothing for other windows. Any thread.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind) if no window begins there.
    ///
    /// # Safety
    /// The window's data is where it was.
    pub unsafe fn copy_into_window(&self, guest_addr: u64) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.data().windows()?.sync(guest_addr, true) }
    }

    /// Copies back what is in a window of the mode [`WindowMode::Copied`](crate::WindowMode), if the app may write to it. Does nothing for other
    /// windows. Any thread.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind) if no window begins there.
    ///
    /// # Safety
    /// The window's data is where it was.
    pub unsafe fn copy_out_of_window(&self, guest_addr: u64) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.data().windows()?.sync(guest_addr, false) }
    }

    /// The window that has a guest address in it. Any thread.
    pub fn window_at(&self, guest_addr: u64) -> Option<Window> {
        self.data().windows().ok()?.info(guest_addr)
    }

    /// How often data of `[window]` parameters was shown to callbacks of this app, and in which way. On the owner's thread.
    pub fn window_counts(&self) -> WindowCounts {
        let counts = self.data().call_windows.counts();
        WindowCounts { cached: counts.cached + self.data().shown_count(), ..counts }
    }
}

impl InstanceData {
    /// Shows a callback `len` native bytes in place until its scope ends: their guest address. `None` if that cannot be, and a copy is
    /// to do. An error if the app has the memory for reading only: a copy would be written back.
    pub(crate) fn show_window(&self, native: usize, len: u64, write: bool) -> Result<Option<u64>, Refused> {
        let counts = &self.call_windows;
        // In the app's own memory, for a start.
        let own = native.checked_sub(self.memory_base() as usize).is_some_and(|distance| distance < 1 << 32);
        let shown =
            if own { None } else { self.windows().ok().and_then(|space| counts.show(space, native, len, write)) };
        if let Some((guest_addr, key)) = shown {
            self.scopes.lend_window(key);
            return Ok(Some(guest_addr));
        }
        // What is open from an earlier callback is not there for this one.
        self.close_idle_windows();
        let visible = |&guest_addr: &u64| self.bytes(guest_addr, len, write).is_ok();
        match self.guest_addr(native).filter(visible) {
            Some(guest_addr) => {
                counts.count(|counts| counts.visible += 1);
                Ok(Some(guest_addr))
            }
            None if write && self.windows().is_ok_and(|space| space.is_read_only(native)) => {
                Err("the app may only read it, and the prototype says [window: write]".to_owned())
            }
            None => {
                counts.count(|counts| counts.copied += 1);
                Ok(None)
            }
        }
    }

    /// Scopes have ended that were shown these windows.
    pub(super) fn close_windows(&self, keys: &[u64]) {
        let unused = keys.iter().fold(false, |unused, &key| self.call_windows.close(key) | unused);
        if !unused {
            return;
        }
        self.call_windows.keep_idle();
        // Frames of the app's that are on the stack go on without an entry check, and so do other members that call its functions.
        if self.alone.get() && self.depth.get() == 0 && !self.has_crossings() {
            self.bar_entry();
            self.offer_window();
        } else {
            self.close_idle_windows();
        }
    }

    /// Whether windows are open that nobody uses. On the owner's thread.
    fn has_idle_windows(&self) -> bool {
        self.settle_shown();
        self.call_windows.has_idle()
    }

    /// Closes windows that nobody uses. After that the app may run.
    pub(crate) fn close_idle_windows(&self) {
        if !self.has_idle_windows() {
            return;
        }
        if let Ok(space) = self.windows() {
            self.call_windows.close_idle(space);
        }
        self.allow_entry();
    }

    /// Whether it is the only member of its group.
    pub(crate) fn set_alone(&self, alone: bool) {
        self.close_idle_windows();
        self.alone.set(alone);
    }
}
