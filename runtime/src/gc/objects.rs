//! The instructions on objects that compiled code leaves to the runtime. Arrays are never null here: compiled code has looked.

use super::reference::{head, type_of};
use super::{Object, object_of};
use crate::instance::InstanceData;
use crate::types::{Family, Layout, ObjectType};
use wasmbridge_artifact::gc::{ObjectHead, object};

/// What an instruction found out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outside {
    Array,
    Segment,
}

/// Why there is no new array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoArray {
    NoRoom,
    Segment,
}

/// Bytes of an element of an array type.
fn element_size(ty: &ObjectType) -> usize {
    match ty.layout {
        Layout::Elements { size, .. } => size as usize,
        Layout::Fields { .. } => unreachable!("the validator wants an array"),
    }
}

/// `len` elements of an array from `start` on: their first byte, and how many bytes they are.
fn elements(array: Object, start: u32, len: u32) -> Result<(*mut u8, usize), Outside> {
    let end = start.checked_add(len).filter(|&end| end <= head(array).len).ok_or(Outside::Array)?;
    let size = element_size(type_of(array));
    // SAFETY: elements that the array has begin in it, or just behind it.
    let first = unsafe { array.as_ptr().cast::<u8>().add(object::BODY as usize + start as usize * size) };
    Ok((first, (end - start) as usize * size))
}

/// The array that a reference leads to.
pub(crate) fn array(reference: u64) -> Object {
    object_of(reference, Family::Internal).expect("compiled code has looked for null, and the validator wants an array")
}

impl InstanceData {
    /// What objects of a type of this module are.
    fn object_type(&self, ty: u32) -> &ObjectType {
        // SAFETY: the engine's, which lives as long as the module; the type is a struct's or an array's, so that it is not null.
        unsafe { &*self.engine().types().object(self.module().type_ids()[ty as usize]) }
    }

    /// A struct, all bits of its fields zero.
    pub(crate) fn struct_new(&self, ty: u32) -> Option<Object> {
        let ty = self.object_type(ty);
        let Layout::Fields { size, .. } = ty.layout else { unreachable!("the validator wants a struct") };
        self.new_object(ty, size as usize, 0)
    }

    /// An array, all bits of its elements zero.
    pub(crate) fn array_new(&self, ty: u32, len: u32) -> Option<Object> {
        let ty = self.object_type(ty);
        let bytes = element_size(ty).checked_mul(len as usize)?.checked_add(object::BODY as usize)?;
        self.new_object(ty, bytes, len)
    }

    /// An exception, all bits of its values zero.
    pub(crate) fn exception_new(&self, tag: *const wasmbridge_artifact::gc::VmTag) -> Option<Object> {
        // SAFETY: a tag of a member of the group.
        let ty = unsafe { ObjectType::of((*tag).info) };
        let Layout::Fields { size, .. } = ty.layout else { unreachable!("an exception has fields") };
        let exception = self.new_object(ty, size as usize, 0)?;
        crate::exception::set_tag(exception, tag);
        Some(exception)
    }

    /// An array of bytes of a data segment.
    pub(crate) fn array_new_data(&self, ty: u32, segment: u32, from: u32, len: u32) -> Result<Object, NoArray> {
        let bytes = element_size(self.object_type(ty)) as u64 * u64::from(len);
        self.segment_bytes(segment, from.into(), bytes).map_err(|_| NoArray::Segment)?;
        let array = self.array_new(ty, len).ok_or(NoArray::NoRoom)?;
        self.array_init_data(array, segment, 0, from, len).map_err(|_| NoArray::Segment)?;
        Ok(array)
    }

    /// An array of references of an element segment.
    pub(crate) fn array_new_elem(&self, ty: u32, segment: u32, from: u32, len: u32) -> Result<Object, NoArray> {
        let inside = self.segment_values(segment, |values| range(values, from, len).is_some());
        if !inside {
            return Err(NoArray::Segment);
        }
        let array = self.array_new(ty, len).ok_or(NoArray::NoRoom)?;
        self.array_init_elem(array, segment, 0, from, len).map_err(|_| NoArray::Segment)?;
        Ok(array)
    }

    /// `array.init_data`
    pub(crate) fn array_init_data(
        &self,
        array: Object,
        segment: u32,
        to: u32,
        from: u32,
        len: u32,
    ) -> Result<(), Outside> {
        let (to, bytes) = elements(array, to, len)?;
        let source = self.segment_bytes(segment, from.into(), bytes as u64).map_err(|_| Outside::Segment)?;
        // SAFETY: as many bytes of elements; a segment is not part of the heap.
        unsafe { to.copy_from_nonoverlapping(source.as_ptr(), source.len()) };
        Ok(())
    }

    /// `array.init_elem`
    pub(crate) fn array_init_elem(
        &self,
        array: Object,
        segment: u32,
        to: u32,
        from: u32,
        len: u32,
    ) -> Result<(), Outside> {
        let (to, _) = elements(array, to, len)?;
        self.segment_values(segment, |values| {
            let source = range(values, from, len).ok_or(Outside::Segment)?;
            // SAFETY: as many elements of 8 bytes, since they are references.
            unsafe { to.cast::<u64>().copy_from_nonoverlapping(source.as_ptr(), source.len()) };
            Ok(())
        })
    }
}

fn range(values: &[u64], from: u32, len: u32) -> Option<&[u64]> {
    values.get(from as usize..from.checked_add(len)? as usize)
}

/// `array.fill`; `value` points to at least as many bytes as an element has.
///
/// # Safety
/// `value` is readable.
pub(crate) unsafe fn fill(array: Object, to: u32, value: *const u8, len: u32) -> Result<(), Outside> {
    let (to, bytes) = elements(array, to, len)?;
    let size = element_size(type_of(array));
    for element in (0..bytes).step_by(size) {
        // SAFETY: an element of the array, and the caller's promise.
        unsafe { to.add(element).copy_from_nonoverlapping(value, size) };
    }
    Ok(())
}

/// `array.copy`
pub(crate) fn copy(to_array: Object, to: u32, from_array: Object, from: u32, len: u32) -> Result<(), Outside> {
    let (to, bytes) = elements(to_array, to, len)?;
    let (from, _) = elements(from_array, from, len)?;
    // SAFETY: as many bytes each, since the validator wants elements of the same storage; `copy` allows overlap.
    unsafe { to.copy_from(from, bytes) };
    Ok(())
}

/// Writes a field of a fresh struct or an element of a fresh array, for constant expressions.
pub(crate) fn set(object: Object, place: usize, bits: u128) {
    let ty = type_of(object);
    let (offset, size) = match &ty.layout {
        Layout::Fields { offsets, size, .. } => {
            let end = offsets.get(place + 1).unwrap_or(size);
            (offsets[place] as usize, (end - offsets[place]).min(16) as usize)
        }
        Layout::Elements { size, .. } => (object::BODY as usize + place * *size as usize, *size as usize),
    };
    // SAFETY: a place of the layout. What lies behind a field and before the next one means nothing.
    unsafe {
        let to = object.as_ptr().cast::<ObjectHead>().cast::<u8>().add(offset);
        to.copy_from_nonoverlapping(bits.to_le_bytes().as_ptr(), size);
    }
}
