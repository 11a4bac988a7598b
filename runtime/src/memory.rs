//! Linear memories.
//!
//! A memory's address space is reserved once and never moves: growing gives access to more pages of it. What lies above the
//! limit of growth is kept for data that the host makes visible: scratch memory, and then the window area.
//!
//! ```text
//!   base                     len_bytes             limit_bytes                                          reservation
//!   | readable and writable  | no access           | no access | scratch | windows ...                  | guard |
//! ```
//!
//! Who looks at the guest's bytes for the runtime asks for [`Bytes`]; who hands their address to C asks for [`Memory::native`].

use crate::code::registry::{Range, Registration, register};
use crate::crossing::Refused;
use crate::crossing::scratch::Scratch;
use crate::error::{Error, ErrorKind};
use crate::os::{Access, Mapping, guarded};
use crate::window::{Fault, WindowSpace};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmbridge_artifact::MemoryType;
use wasmbridge_artifact::module::RESERVATION_GUARD;
use wasmbridge_artifact::vmctx::{HOST_PAGE, MemoryDef, short_limit};

/// Bytes that a memory of a 32-bit app never grows into, below 4 GiB: room for scratch memory and windows.
const WINDOW_AREA: u64 = 1 << 30;
/// The most of it that is scratch memory.
const SCRATCH_AREA: u64 = 64 << 20;

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
    pub(crate) windows: Arc<WindowSpace>,
}

/// Bytes that the guest may read, or write if it was asked for: its own, in scratch memory, or in a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes {
    view: *mut u8,
    len: usize,
    /// They are a window's: another thread, or who owns their file, may take them away at any moment.
    may_vanish: bool,
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
        // Nothing can be shown to an app whose own memory reaches into the window area, or whose accesses are compared with its length.
        let shows = window >= limit_bytes && !ty.memory64 && page >= HOST_PAGE;
        let shown = if shows { window..address_space } else { 0..0 };
        let scratch_end = shown.start + SCRATCH_AREA.min((shown.end - shown.start) / 4) / HOST_PAGE * HOST_PAGE;
        let scratch = Scratch::new(shown.start..scratch_end);
        let windows = Arc::new(WindowSpace::new(mapping.clone(), offset, scratch_end..shown.end));
        let start = base as usize;
        // SAFETY: a memory's range points to nothing.
        let registration = unsafe { register(start, start + reservation as usize, Range::Memory(start)) };
        // SAFETY: the caller's promise.
        unsafe { def.write(MemoryDef { base, len_bytes: 0, short_limit: 0 }) };
        let len_bytes = AtomicU64::new(0);
        let memory =
            Memory { _registration: registration, mapping, offset, ty, limit_bytes, def, len_bytes, scratch, windows };
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
        let (from, to) = (self.len_bytes().next_multiple_of(HOST_PAGE), len.next_multiple_of(HOST_PAGE));
        self.mapping.protect(self.offset + from as usize, (to - from) as usize, Access::ReadWrite)?;
        self.len_bytes.store(len, Ordering::Release);
        // SAFETY: valid and aligned by the promise to `new`; only compiled code reads it, and it does not write it.
        let word = |word: *mut u64| unsafe { AtomicU64::from_ptr(word) };
        // SAFETY: as above.
        let (def_len, def_limit) =
            unsafe { (word(&raw mut (*self.def).len_bytes), word(&raw mut (*self.def).short_limit)) };
        // Whoever reads the new length finds the pages accessible.
        def_len.store(len, Ordering::Release);
        def_limit.store(short_limit(len), Ordering::Release);
        Ok(())
    }

    /// The view of a guest address below the end of the reservation.
    fn view(&self, guest_addr: u64) -> *mut u8 {
        // SAFETY: the callers have found the address in the memory or its window area.
        unsafe { self.base().add(guest_addr as usize) }
    }

    /// The native address of `len` bytes at a guest address, if they are the app's own or in scratch memory: they stay as long as the scope does.
    pub(crate) fn own(&self, guest_addr: u64, len: u64) -> Option<*mut u8> {
        let end = guest_addr.checked_add(len)?;
        (end <= self.len_bytes() || self.scratch.contains(guest_addr, end)).then(|| self.view(guest_addr))
    }

    /// `len` bytes at a guest address, to read, or to write too.
    pub(crate) fn bytes(&self, guest_addr: u64, len: u64, write: bool) -> Result<Bytes, Refused> {
        if let Some(view) = self.own(guest_addr, len) {
            return Ok(Bytes { view, len: len as usize, may_vanish: false });
        }
        let found = guest_addr.checked_add(len).and_then(|end| self.windows.find(guest_addr, end));
        match found {
            Some(found) if found.rights.can_write() || !write => {
                Ok(Bytes { view: self.view(guest_addr), len: len as usize, may_vanish: true })
            }
            _ => Err(self.out_of_bounds(guest_addr, len, write)),
        }
    }

    /// The address that C is given of `len` bytes at a guest address, which it reads, or writes too. Of a window it is the one that C knows.
    pub(crate) fn native(&self, guest_addr: u64, len: u64, write: bool) -> Result<*mut u8, Refused> {
        if let Some(native) = self.own(guest_addr, len) {
            return Ok(native);
        }
        let found = guest_addr.checked_add(len).and_then(|end| self.windows.find(guest_addr, end));
        match found {
            Some(found) if found.rights.can_write() || !write => {
                Ok(found.native.map_or_else(|| self.view(guest_addr), |native| native as *mut u8))
            }
            _ => Err(self.out_of_bounds(guest_addr, len, write)),
        }
    }

    /// How many bytes from a guest address on the app has without a gap.
    pub(crate) fn available(&self, guest_addr: u64) -> u64 {
        match self.len_bytes().checked_sub(guest_addr) {
            Some(available) => available,
            None => match self.scratch.available(guest_addr) {
                0 => self.windows.find(guest_addr, guest_addr).map_or(0, |found| found.available),
                available => available,
            },
        }
    }

    /// Why `len` bytes at a guest address cannot be read or written.
    pub(crate) fn out_of_bounds(&self, guest_addr: u64, len: u64, write: bool) -> Refused {
        // A range that begins well is described by where it ends.
        let inside = self.windows.find(guest_addr, guest_addr);
        let first_bad = inside.filter(|found| found.available < len).map_or(0, |found| found.available);
        let fault = Fault { guest_addr: guest_addr.saturating_add(first_bad), write, beyond_file: false };
        let (size, near) = (self.len_bytes(), self.windows.describe(fault));
        match inside {
            Some(found) if found.available >= len => {
                format!("{len} bytes at {guest_addr:#x} may not be written{near}")
            }
            _ => format!("{len} bytes at {guest_addr:#x} are not in the app's memory of {size:#x} bytes{near}"),
        }
    }

    /// The guest address of a native address in this memory's address space, or in a window's data.
    pub(crate) fn guest_addr(&self, native: usize) -> Option<u64> {
        if let Some(distance) = native.checked_sub(self.base() as usize)
            && let distance = distance as u64
            && (distance < self.limit_bytes
                || self.scratch.contains(distance, distance + 1)
                || self.windows.find(distance, distance + 1).is_some())
        {
            return Some(distance);
        }
        self.windows.guest_addr(native)
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

/// What is left of bytes that were there a moment ago.
fn vanished(_: guarded::Fault) -> Refused {
    "a window was unmapped, or its file cut, while its bytes were copied".to_owned()
}

impl Bytes {
    /// The address of the first byte, in the guest's memory.
    pub(crate) fn view(&self) -> *mut u8 {
        self.view
    }

    /// Copies bytes of another range of this length here; they may overlap.
    pub(crate) fn copy_from(&self, from: &Bytes) -> Result<(), Refused> {
        debug_assert_eq!(self.len, from.len);
        // SAFETY: as many bytes of the guest's, which only this thread runs, or of a window, whose faults are caught.
        unsafe {
            match self.may_vanish || from.may_vanish {
                false => self.view.copy_from(from.view, self.len),
                true => guarded::copy(self.view, from.view, self.len).map_err(vanished)?,
            }
        }
        Ok(())
    }

    /// Writes one byte everywhere.
    pub(crate) fn fill(&self, byte: u8) -> Result<(), Refused> {
        // SAFETY: as in `copy_from`.
        unsafe {
            match self.may_vanish {
                false => self.view.write_bytes(byte, self.len),
                true => guarded::fill(self.view, byte, self.len).map_err(vanished)?,
            }
        }
        Ok(())
    }

    /// Writes bytes of the host's, as many as there are.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Refused> {
        debug_assert_eq!(self.len, bytes.len());
        let from = Bytes { view: bytes.as_ptr().cast_mut(), len: bytes.len(), may_vanish: false };
        self.copy_from(&from)
    }

    /// Reads as many bytes as there are.
    pub(crate) fn read(&self, into: &mut [u8]) -> Result<(), Refused> {
        let to = Bytes { view: into.as_mut_ptr(), len: into.len(), may_vanish: false };
        to.copy_from(self)
    }

    /// The place of the first zero byte.
    pub(crate) fn find_zero(&self) -> Result<Option<usize>, Refused> {
        if !self.may_vanish {
            // SAFETY: as many bytes of the guest's, and only this thread runs it.
            let bytes = unsafe { std::slice::from_raw_parts(self.view, self.len) };
            return Ok(bytes.iter().position(|&byte| byte == 0));
        }
        let mut chunk = [0; 512];
        for start in (0..self.len).step_by(chunk.len()) {
            let len = chunk.len().min(self.len - start);
            // SAFETY: inside the range.
            let view = unsafe { self.view.add(start) };
            Bytes { view, len, may_vanish: true }.read(&mut chunk[..len])?;
            if let Some(at) = chunk[..len].iter().position(|&byte| byte == 0) {
                return Ok(Some(start + at));
            }
        }
        Ok(None)
    }
}
