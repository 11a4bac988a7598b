//! Windows and regions: native data that an app reads and writes in place.
//!
//! | file | does |
//! |---|---|
//! | `space.rs` | [`WindowSpace`]: what lies where in the window area of one memory, and whose it is |
//! | `table.rs` | the list of windows, and of what is free |
//! | `source.rs` | what a native range is, and how it can be shown |
//! | `fault.rs` | what to say of an access that found nothing |
//! | `gaps.rs` | which parts of an address range are free |
//! | `region.rs` | [`Region`]: memory that several apps are granted |
//! | `arena.rs` | [`Arena`]: a region that is given out piece by piece |
//! | `calls.rs` | what is visible during a callback only |
//!
//! # Words
//! A window's *data* are the bytes that the host asked for, its *pages* the whole pages around them; both are ranges of guest
//! addresses. Where the data has a native address of its own, a pointer to it is translated both ways, so that C sees the pointer that
//! it knows. The *view* is where the pages are mapped a second time, in the app's memory.
//!
//! # Who may do what
//! Windows are made on the instance's thread. They are unmapped, and rights change, on any thread: a [`WindowSpace`] has its own lock, and the
//! kernel has changed the pages on every processor when `mprotect` and `mmap` return. So compiled code takes no lock, and the runtime's
//! own accesses to windows are such that they may fault ([`guarded`](crate::os::guarded)).

mod arena;
mod calls;
mod fault;
mod gaps;
mod region;
mod source;
mod space;
mod table;

pub use arena::Arena;
pub(crate) use calls::CallWindows;
pub use calls::WindowCounts;
pub(crate) use fault::Fault;
pub use region::{Grant, Region};
pub(crate) use space::WindowSpace;

use std::fmt;

/// What an app may do with a window. The memory management unit sees to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rights {
    /// read
    Read,
    /// read and write
    ReadWrite,
}

impl Rights {
    /// Whether the app may write.
    pub fn can_write(self) -> bool {
        self == Rights::ReadWrite
    }

    pub(crate) fn access(self) -> crate::os::Access {
        match self {
            Rights::Read => crate::os::Access::Read,
            Rights::ReadWrite => crate::os::Access::ReadWrite,
        }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.can_write() { "read-write" } else { "read-only" })
    }
}

/// How native data came to be visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowMode {
    /// the same pages, mapped a second time
    Aliased,
    /// Private pages that have been moved into a file in memory, which is mapped in their place and in the window.
    Adopted,
    /// a copy, which is copied back when the window ends if the app may write to it
    Copied,
    /// a region that the app was granted
    Region,
}

/// How a window may be made, where there is a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowOptions {
    /// Bytes beside the data may be visible, where they share its first or last page.
    pub expose_neighbours: bool,
    /// The data may be copied where it cannot be shown in place.
    pub allow_copy: bool,
    /// Private pages are not adopted.
    pub no_adoption: bool,
    /// The data must end where a page does, so that the next byte is out of reach.
    pub right_aligned: bool,
}

/// A window, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// where the app has it
    pub guest_addr: u64,
    /// bytes of data
    pub len_bytes: u64,
    /// what the app may do
    pub rights: Rights,
    /// how it came to be visible
    pub mode: WindowMode,
    /// where the host has it; null if it was mapped from a file that the host has not mapped
    pub native_ptr: *mut u8,
}
