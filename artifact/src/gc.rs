//! Objects of the collected heap, as compiled code and the runtime see them.
//!
//! # References
//! A reference of the `any` family is 64 bits: 0 is null; an `i31` has its value in bits 1 to 31 and bit 0 set; all else is the address of an
//! [`ObjectHead`], a multiple of 16. A reference of the `exn` family is null or such an address.
//!
//! A reference of the `extern` family is null, a value of the host's as the host gave it, or a reference of the `any` family that was made
//! external: that one has [`EXTERNAL_TAG`] in its upper 16 bits. The host may not use values with these bits. A value of the host's that is made
//! internal becomes an object of the kind [`Kind::Host`]. There is no instruction that could tell two such objects of one value apart.
//!
//! # Objects
//! ```text
//!   0   ObjectHead (16 bytes)
//!   16  struct: the fields in order, each aligned to its size
//!       array: the elements, without gaps
//!       exception: its tag, then the values as the fields of a struct
//!       value of the host's: its 64 bits
//! ```
//! The fields of a subtype begin with those of its supertype, in the same places.

use crate::types::{FieldType, FuncType, Storage};
use crate::vmctx::value_size;
use std::mem::offset_of;

/// What every object begins with.
///
/// # Movement
/// Never, while it is reachable.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct ObjectHead {
    /// what it is; null in a cell of the heap that holds no object
    pub info: *const TypeInfo,
    /// the collector's
    pub mark: u32,
    /// an array's length in elements
    pub len: u32,
}

/// Offsets in an object, in bytes.
pub mod object {
    use super::*;

    /// of [`ObjectHead::info`]
    pub const INFO: i32 = offset_of!(ObjectHead, info) as i32;
    /// of [`ObjectHead::len`]
    pub const LEN: i32 = offset_of!(ObjectHead, len) as i32;
    /// of fields and elements
    pub const BODY: u32 = size_of::<ObjectHead>() as u32;
    /// of an exception's tag
    pub const TAG: i32 = BODY as i32;
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// a struct
    Struct = 0,
    /// an array
    Array = 1,
    /// a value of the host's that was made internal
    Host = 2,
    /// an exception
    Exception = 3,
}

/// What is known of a type while code runs: one for each type of an engine that is a struct's or an array's.
///
/// # Movement
/// Never: objects and vmctxs hold its address as long as the engine lives.
#[repr(C)]
#[derive(Debug)]
pub struct TypeInfo {
    /// The engine-wide ids of its supertypes, the most general first, and of itself last: `depth + 1` of them. So a type is a subtype of another
    /// if the other's id stands where the other has it itself.
    pub display: *const u32,
    /// how many supertypes it has
    pub depth: u32,
    /// what it describes
    pub kind: Kind,
}

/// Offsets in [`TypeInfo`], in bytes.
pub mod info {
    use super::*;

    /// of [`TypeInfo::display`]
    pub const DISPLAY: i32 = offset_of!(TypeInfo, display) as i32;
    /// of [`TypeInfo::depth`]
    pub const DEPTH: i32 = offset_of!(TypeInfo, depth) as i32;
    /// of [`TypeInfo::kind`]
    pub const KIND: i32 = offset_of!(TypeInfo, kind) as i32;
}

/// A tag. Its address is its identity.
///
/// # Movement
/// Never: vmctxs and exceptions hold its address.
#[repr(C)]
#[derive(Debug)]
pub struct VmTag {
    /// what its exceptions are
    pub info: *const TypeInfo,
}

/// Bits 48 to 63 of an external reference that was made of an internal one. No address of a process has them.
pub const EXTERNAL_TAG: u64 = 0xfff7 << 48;
/// The upper 16 bits of an external reference that stands for an object of C's: below them are the number of the app, 16 bits, and its
/// [handle](crate::vmctx::handles). The host may not make up values with these bits.
pub const HANDLE_TAG: u64 = 0xfff6 << 48;
/// The bits that [`EXTERNAL_TAG`] and [`HANDLE_TAG`] are compared with.
pub const EXTERNAL_MASK: u64 = 0xffff << 48;

/// An `i31`'s value as a reference.
pub const fn i31(value: u32) -> u64 {
    ((value << 1) | 1) as u64
}

/// The most defined types of which each is declared a subtype of the one before (the validator's limit).
pub const MAX_DEPTH: u32 = 63;

/// Bytes of a field or element.
pub fn storage_size(storage: Storage) -> u32 {
    match storage {
        Storage::I8 => 1,
        Storage::I16 => 2,
        Storage::Value(ty) => value_size(ty),
    }
}

/// Where the fields of a struct are, in bytes from the object's start, and the object's size.
pub fn struct_layout(fields: &[FieldType]) -> (Vec<u32>, u32) {
    layout(fields.iter().map(|field| field.storage), object::BODY)
}

/// Where the values of an exception are, in bytes from the object's start, and the object's size.
pub fn exception_layout(tag: &FuncType) -> (Vec<u32>, u32) {
    layout(tag.params.iter().map(|&ty| Storage::Value(ty)), object::BODY + 8)
}

fn layout(storages: impl Iterator<Item = Storage>, start: u32) -> (Vec<u32>, u32) {
    let mut end = start;
    let place = |storage| {
        let size = storage_size(storage);
        let offset = end.next_multiple_of(size);
        end = offset + size;
        offset
    };
    (storages.map(place).collect(), end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ValType;

    #[test]
    fn heads_have_the_sizes_that_code_relies_on() {
        assert_eq!(size_of::<ObjectHead>(), 16);
        assert_eq!(object::LEN, 12);
    }

    #[test]
    fn fields_are_aligned_and_a_supertypes_come_first() {
        let field = |storage| FieldType { storage, mutable: true };
        let base = [Storage::I8, Storage::Value(ValType::I32), Storage::I16].map(field);
        assert_eq!(struct_layout(&base), (vec![16, 20, 24], 26));
        let sub = [base.as_slice(), &[field(Storage::Value(ValType::V128))]].concat();
        assert_eq!(struct_layout(&sub), (vec![16, 20, 24, 32], 48));
        let tag = FuncType { params: vec![ValType::I32, ValType::F64], results: vec![] };
        assert_eq!(exception_layout(&tag), (vec![24, 32], 40));
    }

    #[test]
    fn small_integers_are_told_from_addresses() {
        assert_eq!(i31(0), 1);
        assert_eq!(i31(0x7fff_ffff), 0xffff_ffff);
        assert_eq!(i31(0xffff_ffff), 0xffff_ffff, "of 32 bits the lower 31 count");
    }
}
