//! Pages of stamped code: one shape's code, many times, each copy with its own record. Callbacks are, and what call instructions call.
//!
//! ```text
//!   | code of slot 0 | code of slot 1 | ... | pad |   read and execute: a sealed file, written before it is mapped
//!   | record 0 | record 1 | ...             | pad |   read and write
//! ```
//!
//! The code of slot `i` refers to record `i` relative to itself, so all groups of one size have the same code bytes, and one
//! file serves them all. Stamping a copy writes a record and no code.

use super::UnwindTable;
use super::registry::{Range, Registration, StampedCode, register};
use crate::error::Error;
use crate::os::{Access, Mapping, code_file};
use std::collections::VecDeque;
use std::fs::File;
use wasmbridge_artifact::vmctx::{CallbackRecord, DirectRecord, HOST_PAGE};
use wasmbridge_trampolines::Shape;

/// Copies start at multiples of this: the fetch granule of x86-64 processors, in bytes.
const CODE_ALIGN: usize = 32;
/// Slots of a shape's first group: its code is about a page.
const FIRST_SLOTS: usize = 32;
/// Slots of each further group.
const MORE_SLOTS: usize = 2048;

/// What a copy of the code burns in.
pub(crate) trait Record: Sized {
    /// How the registry knows pages of code with such records.
    fn range(code: *const StampedCode<Self>) -> Range;
}

impl Record for CallbackRecord {
    fn range(code: *const StampedCode<CallbackRecord>) -> Range {
        Range::Callbacks(code)
    }
}

impl Record for DirectRecord {
    fn range(code: *const StampedCode<DirectRecord>) -> Range {
        Range::Direct(code)
    }
}

/// All callbacks of one shape.
pub(crate) type CallbackPages = Pages<CallbackRecord>;
/// All code of one shape that call instructions call.
pub(crate) type DirectPages = Pages<DirectRecord>;

/// All copies of one shape.
#[derive(Debug)]
pub(crate) struct Pages<R: Record> {
    shape: Shape,
    groups: Vec<Group<R>>,
    /// the code of a group of `MORE_SLOTS`, made when the first one is needed
    file: Option<File>,
    /// Oldest first: a slot that has just been given back is used again last, in case its code is still running somewhere.
    free: VecDeque<Slot<R>>,
    slots: usize,
}

// SAFETY: the pages are plain memory; who writes to a slot's record is decided by `take` and `give_back`, which take `&mut self`.
unsafe impl<R: Record> Send for Pages<R> {}

/// A group of slots.
#[derive(Debug)]
struct Group<R> {
    // Dropped first: the signal handler must not find what the fields after it own.
    _registration: Registration,
    _unwind: UnwindTable,
    _code: Box<StampedCode<R>>,
    _mapping: Mapping,
}

/// A place for one copy.
#[derive(Debug)]
pub(crate) struct Slot<R = CallbackRecord> {
    /// the code's address
    pub(crate) entry: *const u8,
    /// its record
    pub(crate) record: *mut R,
}

impl<R> Clone for Slot<R> {
    fn clone(&self) -> Slot<R> {
        *self
    }
}

impl<R> Copy for Slot<R> {}

// SAFETY: a slot is two addresses; who may use what they point to is decided by who took it.
unsafe impl<R> Send for Slot<R> {}

impl<R: Record> Pages<R> {
    /// No copies yet.
    pub(crate) fn new(shape: Shape) -> Pages<R> {
        Pages { shape, groups: Vec::new(), file: None, free: VecDeque::new(), slots: 0 }
    }

    /// A free slot. Its record is not initialised.
    pub(crate) fn take(&mut self) -> Result<Slot<R>, Error> {
        if self.free.is_empty() {
            self.grow().map_err(|e| Error::os("cannot map pages for code", e))?;
        }
        Ok(self.free.pop_front().expect("a new group has slots"))
    }

    /// Makes a slot free again.
    pub(crate) fn give_back(&mut self, slot: Slot<R>) {
        self.free.push_back(slot);
    }

    /// Whether a call may run without the builtins before and after it, although the signature's values need them.
    pub(crate) fn has_fast_entry(&self) -> bool {
        self.shape.complete > 0
    }

    /// Where in each copy the code begins that leaves no crossing frame; `None` if the function itself is called instead.
    pub(crate) fn covered(&self) -> Option<usize> {
        self.shape.covered.map(|offset| offset as usize)
    }

    /// How many slots are not free.
    pub(crate) fn in_use(&self) -> usize {
        self.slots - self.free.len()
    }

    fn stride(&self) -> usize {
        self.shape.code.len().next_multiple_of(CODE_ALIGN)
    }

    /// Bytes of the code of `slots` slots, whole pages.
    fn code_len(&self, slots: usize) -> usize {
        (self.stride() * slots).next_multiple_of(HOST_PAGE as usize)
    }

    /// The code of a group: the shape, `slots` times, each copy pointing to its record.
    fn replicate(&self, slots: usize) -> Vec<u8> {
        let (stride, code_len) = (self.stride(), self.code_len(slots));
        // `int3` between the copies, so that a stray jump stops.
        let mut bytes = vec![0xcc; code_len];
        for slot in 0..slots {
            let start = slot * stride;
            let copy = &mut bytes[start..start + self.shape.code.len()];
            copy.copy_from_slice(&self.shape.code);
            let record = code_len + slot * size_of::<R>();
            for reloc in &self.shape.record_relocs {
                let field = reloc.offset as usize;
                let distance = record as i64 - (start + field) as i64 + reloc.addend;
                let distance = i32::try_from(distance).expect("a group is smaller than 2 GiB");
                copy[field..field + 4].copy_from_slice(&distance.to_le_bytes());
            }
        }
        bytes
    }

    fn grow(&mut self) -> std::io::Result<()> {
        let slots = if self.groups.is_empty() { FIRST_SLOTS } else { MORE_SLOTS };
        let (stride, code_len) = (self.stride(), self.code_len(slots));
        let records_len = (slots * size_of::<R>()).next_multiple_of(HOST_PAGE as usize);
        let mapping = Mapping::reserve(code_len + records_len, HOST_PAGE as usize, 0)?;
        if slots == FIRST_SLOTS {
            mapping.map_file(0, code_len, &code_file(&self.replicate(slots))?, 0, Access::ReadExecute)?;
        } else {
            if self.file.is_none() {
                self.file = Some(code_file(&self.replicate(slots))?);
            }
            let file = self.file.as_ref().expect("just made");
            mapping.map_file(0, code_len, file, 0, Access::ReadExecute)?;
        }
        mapping.protect(code_len, records_len, Access::ReadWrite)?;
        let text = mapping.start();
        // SAFETY: the records follow the code inside the mapping.
        let records: *mut R = unsafe { text.add(code_len) }.cast();
        self.slots += slots;
        self.free.extend((0..slots).map(|slot| {
            // SAFETY: `slot < slots`, so both addresses lie inside the mapping.
            unsafe { Slot { entry: text.add(slot * stride), record: records.add(slot) } }
        }));
        let (frame, traps) = (self.shape.frame, self.shape.traps.clone());
        let complete = self.shape.complete as usize;
        let code = Box::new(StampedCode { text: text as usize, stride, records, complete, frame, traps });
        let end = text as usize + slots * stride;
        // SAFETY: `code` is boxed, the records are in the mapping, and both are dropped after the registration.
        let registration = unsafe { register(text as usize, end, R::range(&*code)) };
        let eh_frame = self.shape.eh_frame_of_copies(text as u64, stride as u32, slots as u32);
        let unwind = UnwindTable::new(eh_frame);
        self.groups.push(Group { _registration: registration, _unwind: unwind, _code: code, _mapping: mapping });
        Ok(())
    }
}
