//! What a pointer points to.

use super::{Crossing, MemberType, Record, Scalar, Signature};
use std::sync::Arc;

/// A C type behind a pointer. Qualifiers are dropped and typedef names resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CType {
    /// `void`
    Void,
    /// a number
    Scalar(Scalar),
    /// another pointer
    Pointer(Box<CType>),
    /// a function
    Function(Box<Signature>),
    /// A struct, union or typedef of which only the name is known, without `struct` or `union`.
    Opaque(String),
    /// an array of `len` elements
    Array(Box<CType>, u32),
    /// a struct or union whose members are known
    Record(Arc<Record>),
}

impl CType {
    /// `sizeof` in the host's C, in bytes; `None` for `void`, functions, names of unknown types, and sizes of 4 GiB or more.
    pub fn native_size(&self) -> Option<u32> {
        match self {
            CType::Void | CType::Function(_) | CType::Opaque(_) => None,
            CType::Scalar(scalar) => Some(u32::from(scalar.native_bytes())),
            CType::Pointer(_) => Some(8),
            CType::Array(element, len) => element.native_size()?.checked_mul(*len),
            CType::Record(record) => Some(record.native.size),
        }
    }

    /// The first type in here that has another size in the guest's C than in the host's: memory that holds it cannot be used by
    /// both sides as it lies.
    pub fn differing(&self) -> Option<CType> {
        match self {
            CType::Void | CType::Function(_) | CType::Opaque(_) => None,
            CType::Scalar(scalar) => (scalar.native_bytes() != scalar.guest_bytes()).then(|| self.clone()),
            CType::Pointer(_) => Some(self.clone()),
            CType::Array(element, _) => element.differing(),
            CType::Record(record) => record.members.iter().find_map(|member| differing(&member.ty)),
        }
    }
}

fn differing(member: &MemberType) -> Option<CType> {
    match member {
        MemberType::Record(record) => CType::Record(record.clone()).differing(),
        MemberType::Array(element, _) => differing(element),
        MemberType::Value(value) => match &value.crossing {
            Crossing::Scalar(scalar) => CType::Scalar(*scalar).differing(),
            Crossing::Pointer { pointee, .. } => Some(CType::Pointer(Box::new(pointee.clone()))),
            _ => Some(CType::Pointer(Box::new(CType::Void))),
        },
    }
}
