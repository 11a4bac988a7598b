//! The handles of an app: 32-bit names of native objects, each with a slot in a table of a fixed size.
//!
//! ```text
//!   | key of slot 0 | ... | key 2^20 - 1 | object of slot 0 | ... | object 2^20 - 1 | bucket 0 | ... | bucket 2^14 - 1 | Passes | LentSlots |
//! ```
//!
//! # From a handle to its object
//! The lower 20 bits of a handle are the index of its slot. A slot's key is the whole handle, and above it the [number](key) of the object's type. So a handle is one
//! of this app's, of a type and of an object that is still there if its slot's key says so: comparing it says all of it. The key of a free slot is 0, which no
//! handle's is; so is slot 0's, and its object, so that 0 is nobody's handle, and stands for NULL. There are no bounds to check: the whole table is mapped.
//!
//! A type may pass for others: as its base, or as what is only read. Where a slot's type is not the one that is asked for, [`Pass`]es say whether that has been found to be fine before.
//!
//! # From an object to its handle
//! A callback is lent handles of its arguments: the handle that the object has, or one that ends with the callback. Buckets, which are chosen by
//! bits of the object's address, say which: a [`Bucket`] has the one object with such bits that the app has a handle of, or none, or says that there are several, of which the runtime
//! knows. For an object that the app has no handle of, a callback opens one of the slots in [`LentSlots`] and closes it when it returns.

use std::mem::offset_of;

/// bits of the index in a handle
pub const INDEX_BITS: u32 = 20;
/// what of a handle is the index
pub const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// bytes from a slot's key to its object
pub const OBJECT: i32 = 8 << INDEX_BITS;
/// bytes from the first slot's key to the first bucket
pub const BUCKETS: i32 = 2 * OBJECT;
/// How many buckets there are.
pub const BUCKET_COUNT: usize = 1 << 14;
/// What of an object's address is its bucket's place, in bytes from the first one: objects hardly ever lie closer than 16 bytes.
pub const BUCKET_MASK: u32 = (BUCKET_COUNT as u32 - 1) * size_of::<Bucket>() as u32;
/// bytes from the first slot's key to the first [`Pass`]
pub const PASSES: i32 = BUCKETS + (BUCKET_COUNT * size_of::<Bucket>()) as i32;
/// How many passes there are: a power of two.
pub const PASS_COUNT: u32 = 128;
/// bytes from the first slot's key to the [`LentSlots`]
pub const LENT: i32 = PASSES + (PASS_COUNT as usize * size_of::<Pass>()) as i32;
/// bytes of the table, whole host pages
pub const BYTES: usize = PASSES as usize + super::HOST_PAGE as usize;
const _: () = assert!(LENT as usize + size_of::<LentSlots>() <= BYTES);

/// The key of a handle of an object of the type with this number, which is not 0.
pub const fn key(type_number: u32, handle: u32) -> u64 {
    (type_number as u64) << 32 | handle as u64
}

/// What the app has of objects whose addresses have the same bits.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The only such object that the app has a handle of; 0 if there is none, [`SEVERAL`](Bucket::SEVERAL) if there are more. The bucket in which NULL would be
    /// never says that there is none.
    pub object: u64,
    /// its [`key`]; of several how many there are
    pub key: u64,
}

impl Bucket {
    /// In place of an object. One with this address would be in NULL's bucket, which has no type.
    pub const SEVERAL: u64 = 1;
}

/// Two types, one of which passes for the other: found out once, and good as long as the table. One that says nothing is 0.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// the number of the type that a prototype has
    pub wanted: u32,
    /// that of the type that an object is known by
    pub known: u32,
}

impl Pass {
    /// Where the pass for two types is, if it is there: the sum of [`Pass::start`] and the known type's number, of which these bits count.
    pub const MASK: u32 = PASS_COUNT - 1;

    /// See [`Pass::MASK`]. Types that are met one after the other do not collide as one another's.
    pub const fn start(wanted: u32) -> u32 {
        wanted.wrapping_mul(11)
    }

    /// Which one it is.
    pub const fn index(&self) -> u32 {
        Pass::start(self.wanted).wrapping_add(self.known) & Pass::MASK
    }
}

/// Handles that may be lent at once by the code of one callback.
pub const LENT_SLOTS: usize = 2;

/// Slots that callbacks open by themselves.
///
/// # Layout
/// The fast entries of callbacks read it, write `frame` and count `handle` up; they use the offsets in [`lent`].
#[repr(C)]
#[derive(Debug)]
pub struct LentSlots {
    /// The frame pointer of the callback that has opened some of them; 0 if none has; [`NONE`](LentSlots::NONE) if there are none to open.
    pub frame: usize,
    /// A callback opens the first one for its first parameter that is a handle, the second for the second.
    pub slots: [LentSlot; LENT_SLOTS],
}

/// A slot that nobody else uses.
#[repr(C)]
#[derive(Debug)]
pub struct LentSlot {
    /// where its key is; of one that is not open the key is 0
    pub key: *mut u64,
    /// The handle that it has when it is opened next. It has no more when that has become less by being counted up.
    pub handle: u32,
}

impl LentSlots {
    /// in place of a frame pointer
    pub const NONE: usize = usize::MAX;
}

/// Offsets in a table, in bytes from the first slot's key.
pub mod lent {
    use super::*;

    /// of [`LentSlots::frame`]
    pub const FRAME: i32 = LENT + offset_of!(LentSlots, frame) as i32;

    /// of a slot's [`LentSlot::key`]
    pub const fn key(slot: usize) -> i32 {
        self::slot(slot) + offset_of!(LentSlot, key) as i32
    }

    /// of a slot's [`LentSlot::handle`]
    pub const fn handle(slot: usize) -> i32 {
        self::slot(slot) + offset_of!(LentSlot, handle) as i32
    }

    const fn slot(slot: usize) -> i32 {
        LENT + offset_of!(LentSlots, slots) as i32 + (slot * size_of::<LentSlot>()) as i32
    }
}
