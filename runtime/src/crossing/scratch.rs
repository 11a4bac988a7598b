//! Scratch memory: where an app finds copies of native data that it is shown, in the window area of its memory.
//!
//! It is a stack: a scope takes a mark when it begins and goes back to it when it ends. The app reads and writes it like its
//! own memory, and `memory.size` knows nothing of it.

use super::Refused;
use crate::memory::Memory;
use std::cell::Cell;
use std::ops::Range;
use wasmbridge_artifact::vmctx::HOST_PAGE;

/// It becomes accessible in steps of this many bytes.
const STEP: u64 = 64 << 10;
/// What is copied is aligned to this many bytes: any scalar may lie at its start.
const ALIGN: u64 = 16;

/// The state of one memory's scratch; guest addresses.
#[derive(Debug)]
pub(crate) struct Scratch {
    start: u64,
    end: u64,
    committed: Cell<u64>,
    top: Cell<u64>,
}

/// A position in the scratch, to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

impl Scratch {
    /// Scratch in a range of whole pages.
    pub(crate) fn new(area: Range<u64>) -> Scratch {
        // One guard page on each side keeps runs past its ends from passing for accesses to something else.
        let start = (area.start + HOST_PAGE).min(area.end);
        let end = area.end.saturating_sub(HOST_PAGE).max(start);
        Scratch { start, end, committed: Cell::new(start), top: Cell::new(start) }
    }

    /// Whether `[from, to)` is in what the app is shown now.
    pub(crate) fn contains(&self, from: u64, to: u64) -> bool {
        self.start <= from && to <= self.top.get()
    }

    /// How many bytes from a guest address on are shown.
    pub(crate) fn available(&self, guest_addr: u64) -> u64 {
        if guest_addr < self.start { 0 } else { self.top.get().saturating_sub(guest_addr) }
    }

    /// The position now.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.top.get())
    }

    /// Goes back to a position: what was copied since is no longer shown.
    pub(crate) fn release(&self, mark: Mark) {
        self.top.set(mark.0.min(self.top.get()));
    }

    /// Makes room for `len` bytes. Their guest and native address; the bytes are what was there before.
    pub(crate) fn allocate(&self, memory: &Memory, len: u64) -> Result<(u64, *mut u8), Refused> {
        let full = || {
            let (used, size) = (self.top.get() - self.start, self.end - self.start);
            format!("{len} bytes do not fit the app's scratch memory: {used} of {size} bytes are in use")
        };
        let guest_addr = self.top.get();
        let top = len.checked_next_multiple_of(ALIGN).and_then(|len| guest_addr.checked_add(len)).ok_or_else(full)?;
        if top > self.end {
            return Err(full());
        }
        if top > self.committed.get() {
            let committed = self.committed.get();
            let to = (committed + (top - committed).next_multiple_of(STEP)).min(self.end.next_multiple_of(HOST_PAGE));
            memory.commit_scratch(committed, to).map_err(|e| format!("no memory for {len} bytes of scratch: {e}"))?;
            self.committed.set(to);
        }
        self.top.set(top);
        let native = memory.own(guest_addr, len).expect("just allocated");
        Ok((guest_addr, native))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_area_is_no_scratch() {
        let scratch = Scratch::new(0..0);
        assert!(!scratch.contains(0, 1));
        assert_eq!(scratch.start, scratch.end);
    }

    #[test]
    fn guards_lie_around_it() {
        let scratch = Scratch::new(0xc000_0000..0xc400_0000);
        assert_eq!((scratch.start, scratch.end), (0xc000_1000, 0xc3ff_f000));
    }
}
