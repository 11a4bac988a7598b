//! The memory of a table of handles, which compiled shapes read: see [`handles`] for its layout.
//!
//! Address space is reserved for every handle there can be, so that no lookup has bounds; pages become memory when they are first written. An app that
//! has had no handle has no table: all such apps share one that is empty for good.

use crate::os::{Access, Mapping};
use std::io;
use std::sync::OnceLock;
use wasmbridge_artifact::vmctx::handles::{self, Bucket, LentSlots, Pass};

/// The generation that the object of a free slot has when there are no more: each generation is less.
pub(super) const NO_GENERATION: u32 = 1 << (32 - handles::INDEX_BITS);

/// In which bucket NULL would be, so that there is always something in it.
const NULL_BUCKET: u64 = 0;

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
    let made = table()?;
    made.protect(0, handles::BYTES, Access::Read)?;
    Ok(EMPTY.get_or_init(|| made).start().cast())
}

fn table() -> io::Result<Mapping> {
    let table = Mapping::reserve(handles::BYTES, wasmbridge_artifact::vmctx::HOST_PAGE as usize, 0)?;
    table.protect(0, handles::BYTES, Access::ReadWrite)?;
    let slots = Slots { memory: Some(table) };
    slots.set_bucket(NULL_BUCKET, Bucket { object: Bucket::SEVERAL, key: 1 });
    // SAFETY: in the table, which nobody else has.
    unsafe { (*slots.lent()).frame = LentSlots::NONE };
    Ok(slots.memory.expect("just made"))
}

impl Slots {
    /// Makes the table, if there is none yet: where it is.
    pub(super) fn make(&mut self) -> io::Result<*const u64> {
        if self.memory.is_none() {
            self.memory = Some(table()?);
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

    /// Puts the object of a slot where callbacks look for it.
    pub(super) fn enter_bucket(&self, index: u32) {
        let (object, key) = (self.object(index) as u64, self.key(index));
        let bucket = match self.bucket(object) {
            Bucket { object: 0, .. } => Bucket { object, key },
            Bucket { object: Bucket::SEVERAL, key } => Bucket { object: Bucket::SEVERAL, key: key + 1 },
            Bucket { .. } => Bucket { object: Bucket::SEVERAL, key: 2 },
        };
        self.set_bucket(object, bucket);
    }

    pub(super) fn set_key(&mut self, index: u32, key: u64) {
        // SAFETY: as in `key`.
        unsafe { self.key_at(index).write(key) }
        let object = self.object(index) as u64;
        let bucket = self.bucket(object);
        if bucket.object == object && object != Bucket::SEVERAL {
            self.set_bucket(object, Bucket { object, key });
        }
    }

    pub(super) fn clear(&mut self, index: u32, free: Free) {
        // SAFETY: as in `key`; the key first.
        unsafe {
            self.key_at(index).write(0);
            self.object_at(index).write(u64::from(free.generation) << 32 | u64::from(free.next));
        }
    }

    /// Undoes [`enter_bucket`](Slots::enter_bucket).
    pub(super) fn leave_bucket(&self, index: u32) {
        let object = self.object(index) as u64;
        let left = match self.bucket(object) {
            Bucket { object: Bucket::SEVERAL, key } if key > 1 => Bucket { object: Bucket::SEVERAL, key: key - 1 },
            _ => Bucket { object: 0, key: 0 },
        };
        self.set_bucket(object, left);
    }

    fn bucket_at(&self, object: u64) -> *mut Bucket {
        let place = object as u32 & handles::BUCKET_MASK;
        // SAFETY: the buckets lie behind the objects, and the mask has no more than there are.
        unsafe { self.key_at(0).byte_add(handles::BUCKETS as usize + place as usize).cast() }
    }

    fn bucket(&self, object: u64) -> Bucket {
        // SAFETY: as in `key`.
        unsafe { self.bucket_at(object).read() }
    }

    fn set_bucket(&self, object: u64, bucket: Bucket) {
        // SAFETY: as in `key`.
        unsafe { self.bucket_at(object).write(bucket) };
    }

    /// Lets shapes find that a type passes for another. There is a table.
    pub(super) fn set_pass(&self, pass: Pass) {
        // SAFETY: the passes lie behind the buckets, and the index is less than there are.
        unsafe {
            let first: *mut Pass = self.key_at(0).byte_add(handles::PASSES as usize).cast();
            first.add(pass.index() as usize).write(pass);
        }
    }

    /// The slots that callbacks open by themselves. There is a table.
    pub(super) fn lent(&self) -> *mut LentSlots {
        // SAFETY: they lie behind the passes.
        unsafe { self.key_at(0).byte_add(handles::LENT as usize).cast() }
    }

    /// Whether there is a table.
    pub(super) fn is_made(&self) -> bool {
        self.memory.is_some()
    }

    /// Where the key of a slot is, for callbacks to write.
    pub(super) fn key_place(&self, index: u32) -> *mut u64 {
        self.key_at(index)
    }

    /// The slot whose key is at this place.
    pub(super) fn index_of(&self, key: *const u64) -> u32 {
        ((key as usize - self.words() as usize) / size_of::<u64>()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_says_who_is_alone_in_it() {
        let mut slots = Slots::default();
        slots.make().unwrap();
        let (one, other) = (0x7000_1230, 0x7000_1230 + (u64::from(handles::BUCKET_MASK) + 16));
        let nobody = Bucket { object: 0, key: 0 };
        let several = |key| Bucket { object: Bucket::SEVERAL, key };
        fn enter(slots: &mut Slots, index: u32, key: u64, object: u64) {
            slots.fill(index, key, object as usize);
            slots.enter_bucket(index);
        }
        enter(&mut slots, 1, 11, one);
        assert_eq!(slots.bucket(one), Bucket { object: one, key: 11 });
        slots.set_key(1, 12);
        assert_eq!(slots.bucket(other), Bucket { object: one, key: 12 });
        enter(&mut slots, 2, 22, other);
        slots.set_key(1, 13);
        assert_eq!(slots.bucket(one), several(2));
        slots.leave_bucket(1);
        assert_eq!(slots.bucket(one), several(1), "which of the two is left is not looked for");
        enter(&mut slots, 1, 14, one);
        assert_eq!(slots.bucket(one), several(2));
        slots.leave_bucket(1);
        slots.leave_bucket(2);
        assert_eq!(slots.bucket(one), nobody);

        // Addresses that nothing real has.
        assert_eq!(slots.bucket(0), several(1));
        enter(&mut slots, 1, 15, 1);
        slots.set_key(1, 16);
        assert_eq!(slots.bucket(0), several(2));
        slots.leave_bucket(1);
        enter(&mut slots, 1, 17, 0x7_0000_0000);
        assert_eq!(slots.bucket(0), several(2));
        slots.leave_bucket(1);
        assert_eq!(slots.bucket(0), several(1));
    }
}
