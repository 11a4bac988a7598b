//! The memory of a table of handles, which compiled shapes read: see [`handles`] for its layout.
//!
//! Address space is reserved for every handle there can be, so that no lookup has bounds; pages become memory when they are first written. An app that
//! has had no handle has no table: all such apps share one that is empty for good.

use crate::os::{Access, Mapping};
use std::io;
use std::sync::OnceLock;
use wasmbridge_artifact::vmctx::handles;

/// The generation that the object of a free slot has when there are no more: each generation is less.
pub(super) const NO_GENERATION: u32 = 1 << (32 - handles::INDEX_BITS);

/// What is to be known of a slot without an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Free {
    /// of the next object
    pub(super) generation: u32,
    /// the next free slot, 0 if there is none
    pub(super) next: u32,
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    memory: Option<Mapping>,
}

/// A table without handles.
pub(crate) fn empty() -> io::Result<*const u64> {
    static EMPTY: OnceLock<Mapping> = OnceLock::new();
    if let Some(empty) = EMPTY.get() {
        return Ok(empty.start().cast());
    }
    let made = table(Access::Read)?;
    Ok(EMPTY.get_or_init(|| made).start().cast())
}

fn table(access: Access) -> io::Result<Mapping> {
    let table = Mapping::reserve(handles::BYTES, wasmbridge_artifact::vmctx::HOST_PAGE as usize, 0)?;
    table.protect(0, handles::BYTES, access)?;
    Ok(table)
}

impl Slots {
    /// Makes the table, if there is none yet: where it is.
    pub(super) fn make(&mut self) -> io::Result<*const u64> {
        if self.memory.is_none() {
            self.memory = Some(table(Access::ReadWrite)?);
        }
        Ok(self.words())
    }

    fn words(&self) -> *mut u64 {
        self.memory.as_ref().expect("nobody asks for slots before there is a table").start().cast()
    }

    /// Where a slot's key is.
    fn key_at(&self, index: u32) -> *mut u64 {
        assert!(index <= handles::INDEX_MASK);
        // SAFETY: the table has so many keys.
        unsafe { self.words().add(index as usize) }
    }

    fn object_at(&self, index: u32) -> *mut u64 {
        // SAFETY: the objects lie behind the keys, as many.
        unsafe { self.key_at(index).byte_add(handles::OBJECT as usize) }
    }

    /// A slot's key; 0 if it is free.
    pub(super) fn key(&self, index: u32) -> u64 {
        // SAFETY: a word of the table, which only its owner's thread writes.
        unsafe { self.key_at(index).read() }
    }

    /// The object of a slot that is not free.
    pub(super) fn object(&self, index: u32) -> usize {
        // SAFETY: as in `key`.
        unsafe { self.object_at(index).read() as usize }
    }

    /// What a slot that is free has in the place of an object.
    pub(super) fn free(&self, index: u32) -> Free {
        let word = self.object(index) as u64;
        Free { generation: (word >> 32) as u32, next: word as u32 }
    }

    pub(super) fn fill(&mut self, index: u32, key: u64, object: usize) {
        // SAFETY: as in `key`; the object first, so that no key has another one's.
        unsafe {
            self.object_at(index).write(object as u64);
            self.key_at(index).write(key);
        }
    }

    pub(super) fn set_key(&mut self, index: u32, key: u64) {
        // SAFETY: as in `key`.
        unsafe { self.key_at(index).write(key) }
    }

    pub(super) fn clear(&mut self, index: u32, free: Free) {
        // SAFETY: as in `key`; the key first.
        unsafe {
            self.key_at(index).write(0);
            self.object_at(index).write(u64::from(free.generation) << 32 | u64::from(free.next));
        }
    }
}
