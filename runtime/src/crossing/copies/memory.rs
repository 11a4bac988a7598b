//! Native memory that C is shown.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// As malloc does it: any C type may lie at its start.
const ALIGN: usize = 16;

/// Bytes of the runtime's that C has the address of, and may write to. They are zero at first, and never move.
#[derive(Debug)]
pub(crate) struct NativeBytes {
    start: *mut u8,
    len: usize,
}

// SAFETY: the only owner of its memory.
unsafe impl Send for NativeBytes {}

impl NativeBytes {
    pub(crate) fn new(len: usize) -> NativeBytes {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not 0.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        NativeBytes { start, len }
    }

    /// An array of nothing has an address of its own all the same.
    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len.max(1), ALIGN).expect("lengths are limited far below the address space")
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for NativeBytes {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, Self::layout(self.len)) };
    }
}

/// Writes the bytes that are new: what did not change may be memory that cannot be written to, or be another thread's. Where there
/// is no `old`, all are new.
///
/// Padding is compared as well, which C may never have written: `scripts/valgrind.supp` knows this function by its name.
///
/// # Safety
/// There are as many bytes.
#[inline(never)]
pub(super) unsafe fn write_changes(to: *mut u8, old: &[u8], new: &[u8]) {
    for (i, &byte) in new.iter().enumerate() {
        if old.get(i) != Some(&byte) {
            // SAFETY: the caller's promise.
            unsafe { to.add(i).write(byte) };
        }
    }
}
