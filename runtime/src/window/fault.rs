//! What to say of an access that found nothing, or not what it wanted.

use super::space::WindowSpace;
use std::fmt::Write;

/// An access of compiled code that faulted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) guest_addr: u64,
    /// whether it was a write
    pub(crate) write: bool,
    /// SIGBUS: there is a mapping, but its file has no such page
    pub(crate) beyond_file: bool,
}

impl WindowSpace {
    /// Where a fault lies, in words to put behind its address: what of a window, or how far from the nearest. Empty if there is none.
    pub(crate) fn describe(&self, fault: Fault) -> String {
        let table = self.read();
        let addr = fault.guest_addr;
        let mut text = String::new();
        let before = table.windows.range(..=addr).next_back().map(|(_, entry)| entry);
        if let Some(entry) = before.filter(|e| e.data.contains(&addr)) {
            let (start, len) = (entry.data.start, entry.data.end - entry.data.start);
            let what = if fault.beyond_file {
                "the file behind it is shorter than that"
            } else if entry.for_calls && !entry.open {
                "it is open only in callbacks that are given it"
            } else if fault.write && !entry.rights.can_write() {
                "which is read-only"
            } else {
                "whose rights have changed meanwhile"
            };
            let _ = write!(text, ", in the window of {len} bytes at {start:#x}: {what}");
            return text;
        }
        if let Some((&start, &len)) = table.revoked.range(..=addr).next_back()
            && addr < start + len
        {
            let _ = write!(text, ", in the region at {start:#x}, which has been revoked");
            return text;
        }
        let after = table.windows.range(addr..).next().map(|(_, entry)| entry);
        let past = before.map(|e| (addr - e.data.end, "past the end of", e));
        let short = after.map(|e| (e.data.start.saturating_sub(addr), "before", e));
        let nearest = match (past, short) {
            (Some(past), Some(short)) => Some(if short.0 < past.0 { short } else { past }),
            (past, short) => past.or(short),
        };
        if let Some((distance, side, entry)) = nearest {
            let (start, len) = (entry.data.start, entry.data.end - entry.data.start);
            let _ = write!(text, ", {distance} bytes {side} the window of {len} bytes at {start:#x}");
        }
        text
    }
}
