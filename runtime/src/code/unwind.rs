//! Unwind tables, for debuggers, `backtrace()` and exceptions that pass through code of ours.

unsafe extern "C" {
    // libgcc's registry of unwind tables, which every Rust and C++ program on Linux links.
    fn __register_frame(begin: *const u8);
    fn __deregister_frame(begin: *const u8);
}

/// A table that the process's unwinder knows, as long as this value lives.
#[derive(Debug)]
pub(crate) struct UnwindTable {
    start: *const u8,
    /// the table, where it is not somebody else's
    _bytes: Option<Box<[u8]>>,
}

// SAFETY: a table that is only read; the unwinder has a lock of its own.
unsafe impl Send for UnwindTable {}
// SAFETY: see above.
unsafe impl Sync for UnwindTable {}

impl UnwindTable {
    /// Registers a table: the bytes of an `.eh_frame` section with its terminator.
    pub(crate) fn new(eh_frame: Vec<u8>) -> UnwindTable {
        let bytes = eh_frame.into_boxed_slice();
        // SAFETY: the value keeps the bytes, whose address does not change.
        let mut table = unsafe { UnwindTable::at(bytes.as_ptr()) };
        table._bytes = Some(bytes);
        table
    }

    /// Registers a table where it is.
    ///
    /// # Safety
    /// There is a whole `.eh_frame` section with its terminator, which stays there and does not change as long as the value lives.
    pub(crate) unsafe fn at(start: *const u8) -> UnwindTable {
        // SAFETY: the caller's promise.
        unsafe { __register_frame(start) };
        UnwindTable { start, _bytes: None }
    }
}

impl Drop for UnwindTable {
    fn drop(&mut self) {
        // SAFETY: registered once, in `at`.
        unsafe { __deregister_frame(self.start) };
    }
}
