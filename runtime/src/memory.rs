//! Linear memories.
//!
//! A memory's address space is reserved once and never moves: growing gives access to more pages of it. What lies above the
//! limit of growth is kept for data that the host makes visible: the *window area*.
//!
//! ```text
//!   base                     len_bytes             limit_bytes        window area         reservation
//!   | readable and writable  | no access           | no access | scratch | no access ... | guard |
//! ```

use crate::code::registry::{Range, Registration, register};
use crate::crossing::scratch::Scratch;
use crate::error::{Error, ErrorKind};
use crate::os::{Access, Mapping};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmbridge_artifact::MemoryType;
use wasmbridge_artifact::module::RESERVATION_GUARD;
use wasmbridge_artifact::vmctx::MemoryDef;

/// Bytes that a memory of a 32-bit app never grows into, below 4 GiB: room for windows.
const WINDOW_AREA: u64 = 1 << 30;

/// A linear memory.
#[derive(Debug)]
pub(crate) struct Memory {
    // Dropped first: the signal handler must not take addresses of a later mapping for this memory's.
    _registration: Registration,
    mapping: Arc<Mapping>,
    /// where byte 0 is in the mapping
    offset: usize,
    ty: MemoryType,
    limit_bytes: u64,
    /// what compiled code reads: in the vmctx of the instance that defines the memory
    def: *mut MemoryDef,
    /// Written by the owner. Atomic because the memory may be shared: then compiled code reads the definition's copy of it so too.
    len_bytes: AtomicU64,
    /// room for copies of native data that a callback or a call is shown
    pub(crate) scratch: Scratch,
}

impl Memory {
    /// Makes a memory of `ty`'s minimum in `mapping`, of which `reservation` bytes from `offset` on are the memory's and not yet
    /// accessible, and writes its definition.
    ///
    /// # Safety
    /// `def` is valid for as long as the memory, and read only by code that runs on the owner's thread.
    pub(crate) unsafe fn new(
        mapping: Arc<Mapping>,
        offset: usize,
        reservation: u64,
        ty: MemoryType,
        def: *mut MemoryDef,
    ) -> Result<Memory, Error> {
        let usable = reservation - RESERVATION_GUARD;
        let page = 1u64 << ty.page_size_log2;
        let address_space = if ty.memory64 { usable } else { usable.min(1 << 32) };
        let window = address_space - (address_space / 4).min(WINDOW_AREA);
        let minimum = ty.minimum.checked_mul(page).filter(|&len| len <= address_space).ok_or_else(|| {
            let message =
                format!("a memory of {} pages does not fit the {address_space} bytes of its address space", ty.minimum);
            Error::new(ErrorKind::Limit, message)
        })?;
        let maximum = ty.maximum.map_or(u64::MAX, |pages| pages.saturating_mul(page));
        let limit_bytes = maximum.min(window).max(minimum);
        // SAFETY: inside the mapping, since the reservation is.
        let base = unsafe { mapping.start().add(offset) };
        let scratch = match window >= limit_bytes && !ty.memory64 {
            true => Scratch::new(window..address_space),
            // The app's own memory reaches into the window area: nothing can be shown to it there.
            false => Scratch::new(0..0),
        };
        let start = base as usize;
        // SAFETY: a memory's range points to nothing.
        let registration = unsafe { register(start, start + reservation as usize, Range::Memory(start)) };
        // SAFETY: the caller's promise.
        unsafe { def.write(MemoryDef { base, len_bytes: 0 }) };
        let len_bytes = AtomicU64::new(0);
        let memory = Memory { _registration: registration, mapping, offset, ty, limit_bytes, def, len_bytes, scratch };
        memory
            .set_len(minimum)
            .map_err(|e| Error::os(format!("cannot allocate {minimum} bytes of linear memory"), e))?;
        Ok(memory)
    }

    /// The type, with the current size as its minimum.
    pub(crate) fn ty(&self) -> MemoryType {
        MemoryType { minimum: self.pages(), ..self.ty }
    }

    /// Bytes from one page to the next.
    fn page(&self) -> u64 {
        1 << self.ty.page_size_log2
    }

    /// Current size in pages.
    pub(crate) fn pages(&self) -> u64 {
        self.len_bytes() / self.page()
    }

    /// Current size in bytes.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes.load(Ordering::Acquire)
    }

    /// Native address of byte 0.
    pub(crate) fn base(&self) -> *mut u8 {
        // SAFETY: inside the mapping, since the reservation is.
        unsafe { self.mapping.start().add(self.offset) }
    }

    /// What compiled code reads.
    pub(crate) fn def(&self) -> *mut MemoryDef {
        self.def
    }

    /// Grows by `delta` pages. The old size in pages, or `None`, and nothing changed.
    pub(crate) fn grow(&self, delta: u64) -> Option<u64> {
        let pages = self.pages();
        let len = pages.checked_add(delta)?.checked_mul(self.page())?;
        if len > self.limit_bytes || self.ty.maximum.is_some_and(|maximum| pages + delta > maximum) {
            return None;
        }
        self.set_len(len).ok()?;
        Some(pages)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        let host_page = wasmbridge_artifact::vmctx::HOST_PAGE;
        let (from, to) = (self.len_bytes().next_multiple_of(host_page), len.next_multiple_of(host_page));
        self.mapping.protect(self.offset + from as usize, (to - from) as usize, Access::ReadWrite)?;
        self.len_bytes.store(len, Ordering::Release);
        // SAFETY: valid and aligned by the promise to `new`; only compiled code reads it, and it does not write it.
        let def_len = unsafe { AtomicU64::from_ptr(&raw mut (*self.def).len_bytes) };
        // Whoever reads the new length finds the pages accessible.
        def_len.store(len, Ordering::Release);
        Ok(())
    }

    /// The native address of `len` bytes at a guest address, if all of them are the app's or in what it is shown.
    pub(crate) fn range(&self, guest_addr: u64, len: u64) -> Option<*mut u8> {
        let end = guest_addr.checked_add(len)?;
        (end <= self.len_bytes() || self.scratch.contains(guest_addr, end)).then(|| {
            // SAFETY: below the end of the reservation.
            unsafe { self.base().add(guest_addr as usize) }
        })
    }

    /// The guest address of a native address in this memory's address space.
    pub(crate) fn guest_addr(&self, native: usize) -> Option<u64> {
        let distance = native.checked_sub(self.base() as usize)? as u64;
        (distance < self.limit_bytes || self.scratch.contains(distance, distance + 1)).then_some(distance)
    }

    /// Gives access to the scratch up to guest address `end`.
    pub(crate) fn commit_scratch(&self, from: u64, end: u64) -> std::io::Result<()> {
        self.mapping.protect(self.offset + from as usize, (end - from) as usize, Access::ReadWrite)
    }

    /// Maps `len` bytes of a file copy-on-write to a guest address; whole host pages, inside the current size.
    pub(crate) fn map_image(&self, guest_addr: u64, len: u64, file: &std::fs::File, at: u64) -> Result<(), Error> {
        assert!(guest_addr.checked_add(len).is_some_and(|end| end <= self.len_bytes()), "the image lies in the memory");
        self.mapping
            .map_file(self.offset + guest_addr as usize, len as usize, file, at, Access::ReadWrite)
            .map_err(|e| Error::os("cannot map the memory image", e))
    }
}
