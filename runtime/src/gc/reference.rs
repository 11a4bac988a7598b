//! What the host sees of references to objects.

use super::{Object, Rooted, object_of};
use crate::instance::InstanceData;
use crate::types::{Family, ObjectType};
use wasmbridge_artifact::gc::{self, EXTERNAL_TAG, Kind, ObjectHead, object};
use wasmbridge_artifact::{HeapType, Hierarchy, RefType, TypeKind};

/// A reference to a struct or array of an app's, or an `i31`. The object stays alive as long as this value or a clone of it does; it can only be
/// passed to instances that belong together with the one that it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyRef(Repr);

#[derive(Debug, Clone, PartialEq)]
enum Repr {
    I31(u32),
    Object(Rooted, AnyRefKind),
}

/// What a reference refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnyRefKind {
    /// an integer of 31 bits
    I31,
    /// a struct
    Struct,
    /// an array
    Array,
}

impl AnyRef {
    /// An `i31` of the lower 31 bits of a number.
    pub fn i31(value: i32) -> AnyRef {
        AnyRef(Repr::I31(value as u32 & 0x7fff_ffff))
    }

    /// What it refers to.
    pub fn kind(&self) -> AnyRefKind {
        match self.0 {
            Repr::I31(_) => AnyRefKind::I31,
            Repr::Object(_, kind) => kind,
        }
    }

    /// The value of an `i31`, its sign extended.
    pub fn as_i31(&self) -> Option<i32> {
        match self.0 {
            Repr::I31(value) => Some((value << 1) as i32 >> 1),
            Repr::Object(..) => None,
        }
    }
}

/// A reference to an exception. It stays alive as long as this value or a clone of it does; it can only be passed to instances that belong together with
/// the one that it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct ExnRef(Rooted);

/// What an internal reference, not null, is to the host.
pub(crate) enum Internal {
    App(AnyRef),
    /// a value of the host's that was made internal
    Host(usize),
}

/// The head of an object.
pub(crate) fn head(object: Object) -> ObjectHead {
    // SAFETY: whoever has an object has found it alive; nobody writes to it but the owner's thread, which this is.
    unsafe { object.as_ptr().read() }
}

/// What an object is.
pub(crate) fn type_of<'a>(object: Object) -> &'a ObjectType {
    // SAFETY: an object's `info` is that of a type of its engine, which the heap keeps alive.
    unsafe { ObjectType::of(head(object).info) }
}

/// A word of an object's body.
fn word(object: Object, offset: u32) -> u64 {
    // SAFETY: the callers read words that objects of this kind have.
    unsafe { object.as_ptr().cast::<u8>().add(offset as usize).cast::<u64>().read() }
}

impl InstanceData {
    /// What an internal reference is to the host; `None` for null.
    pub(crate) fn internal(&self, reference: u64) -> Option<Internal> {
        if reference & 1 == 1 {
            return Some(Internal::App(AnyRef(Repr::I31((reference >> 1) as u32))));
        }
        let object = object_of(reference, Family::Internal)?;
        let kind = match type_of(object).kind() {
            Kind::Host => return Some(Internal::Host(word(object, object::BODY) as usize)),
            Kind::Array => AnyRefKind::Array,
            Kind::Struct | Kind::Exception => AnyRefKind::Struct,
        };
        Some(Internal::App(AnyRef(Repr::Object(self.heap().hold(object), kind))))
    }

    /// An internal reference of the host's.
    pub(crate) fn internal_bits(&self, reference: &AnyRef) -> Option<u64> {
        match &reference.0 {
            Repr::I31(value) => Some(gc::i31(*value)),
            Repr::Object(rooted, _) => self.heap().held(rooted).map(|object| object.as_ptr() as u64),
        }
    }

    /// An exception for the host; `None` for null.
    pub(crate) fn exn(&self, reference: u64) -> Option<ExnRef> {
        object_of(reference, Family::Internal).map(|exception| ExnRef(self.heap().hold(exception)))
    }

    /// An exception of the host's.
    pub(crate) fn exn_bits(&self, reference: &ExnRef) -> Option<u64> {
        self.heap().held(&reference.0).map(|object| object.as_ptr() as u64)
    }

    /// Whether an internal reference, not null, has a type of this module.
    pub(crate) fn internal_is(&self, reference: u64, ty: RefType) -> bool {
        let kind = object_of(reference, Family::Internal).map(|object| type_of(object).kind());
        match (ty.heap, kind) {
            (HeapType::Any, _) | (HeapType::Eq | HeapType::I31, None) => true,
            (HeapType::Eq, Some(kind)) => matches!(kind, Kind::Struct | Kind::Array),
            (HeapType::Struct, Some(kind)) => kind == Kind::Struct,
            (HeapType::Array, Some(kind)) => kind == Kind::Array,
            (HeapType::Type(TypeKind::Struct | TypeKind::Array, index), Some(Kind::Struct | Kind::Array)) => {
                let found = object_of(reference, Family::Internal).map_or(u32::MAX, |object| type_of(object).id);
                self.engine().types().is_subtype(found, self.module().type_ids()[index as usize])
            }
            _ => false,
        }
    }

    /// `any.convert_extern` of a reference that is not null; `None` if there is no room.
    pub(crate) fn internalise(&self, reference: u64) -> Option<u64> {
        if reference & gc::EXTERNAL_MASK == EXTERNAL_TAG {
            return Some(reference & !gc::EXTERNAL_MASK);
        }
        let engine = self.engine();
        let ty = &engine.types().host;
        let object = self.new_object(ty, object::BODY as usize + 8, 0)?;
        // SAFETY: an object of this kind has one word.
        unsafe { object.as_ptr().add(1).cast::<u64>().write(reference) };
        Some(object.as_ptr() as u64)
    }

    /// `extern.convert_any` of a reference that is not null.
    pub(crate) fn externalise(&self, reference: u64) -> u64 {
        match object_of(reference, Family::Internal) {
            Some(object) if type_of(object).kind() == Kind::Host => word(object, object::BODY),
            _ => reference | EXTERNAL_TAG,
        }
    }
}

/// Whether references of a type lead to objects of a family that the host sees as [`AnyRef`].
pub(crate) fn is_internal(ty: RefType) -> bool {
    ty.heap.hierarchy() == Hierarchy::Any
}
