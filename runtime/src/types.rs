//! The types of an engine: each once, whichever modules define it.
//!
//! Types of a recursion group name each other by their place in it, all others by their engine-wide id. Two groups that are equal when
//! written so are the same (Wasm 3.0, 3.3.2), and get the same ids.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use wasmbridge_artifact::gc::{self, Kind, TypeInfo};
use wasmbridge_artifact::{Composite, FuncType, SubType, ValType};

/// Set in the place of a type's id where a type of the same group is meant: the other bits are its place in the group.
const IN_GROUP: u32 = 1 << 31;

/// What is known of a type.
#[derive(Debug)]
pub(crate) struct TypeRecord {
    /// the type; what it names is named by id
    pub(crate) ty: SubType,
    /// ids of its supertypes, the most general first, and of itself last
    display: Box<[u32]>,
    /// of a struct or array: what its objects are
    object: Option<Box<ObjectType>>,
    /// of a function type: what exceptions are whose tag has it
    exception: Option<Box<ObjectType>>,
}

/// What objects of one type are.
///
/// # Layout
/// The head comes first: objects point to it, and [`ObjectType::of`] finds the whole by it.
///
/// # Movement
/// Never: it is boxed, and lives as long as the engine.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct ObjectType {
    head: TypeInfo,
    pub(crate) layout: Layout,
    /// the type's id; of a value of the host's, none
    pub(crate) id: u32,
}

// SAFETY: the pointer in the head is to a boxed slice of the same registry; nothing of it changes once it is there.
unsafe impl Send for ObjectType {}
// SAFETY: see above.
unsafe impl Sync for ObjectType {}

/// Where everything is in objects of a type.
#[derive(Debug)]
pub(crate) enum Layout {
    /// a struct, or an exception behind its tag
    Fields {
        /// bytes of an object
        size: u32,
        /// where each field is, from the object's start
        offsets: Vec<u32>,
        /// the fields that may lead to other objects
        references: Vec<Reference>,
    },
    /// an array
    Elements {
        /// bytes of an element
        size: u32,
        /// whether elements may lead to other objects, and how
        references: Option<Family>,
    },
}

/// A field that may lead to another object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference {
    pub(crate) offset: u32,
    pub(crate) family: Family,
}

/// How a reference leads to an object: see the artifact crate's `gc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// its address, or an `i31`
    Internal,
    /// its address with the tag, or a value of the host's
    External,
}

impl Family {
    /// How values of this type lead to objects, if any does.
    pub(crate) fn of(ty: ValType) -> Option<Family> {
        use wasmbridge_artifact::Hierarchy;
        let ValType::Ref(ty) = ty else { return None };
        match ty.heap.hierarchy() {
            Hierarchy::Func => None,
            Hierarchy::Any | Hierarchy::Exn => Some(Family::Internal),
            Hierarchy::Extern => Some(Family::External),
        }
    }
}

impl ObjectType {
    fn new(kind: Kind, display: &[u32], layout: Layout) -> Box<ObjectType> {
        let (id, depth) = (*display.last().unwrap_or(&u32::MAX), display.len().saturating_sub(1) as u32);
        Box::new(ObjectType { head: TypeInfo { display: display.as_ptr(), depth, kind }, layout, id })
    }

    fn fields(kind: Kind, display: &[u32], types: Vec<ValType>, (offsets, size): (Vec<u32>, u32)) -> Box<ObjectType> {
        let reference = |(&ty, &offset): (&ValType, &u32)| Some(Reference { offset, family: Family::of(ty)? });
        let references = types.iter().zip(&offsets).filter_map(reference).collect();
        ObjectType::new(kind, display, Layout::Fields { size, offsets, references })
    }

    /// What compiled code sees of it.
    pub(crate) fn info(&self) -> *const TypeInfo {
        &raw const self.head
    }

    pub(crate) fn kind(&self) -> Kind {
        self.head.kind
    }

    /// What this is the head of.
    ///
    /// # Safety
    /// `info` came from [`ObjectType::info`], of an engine that is alive.
    pub(crate) unsafe fn of<'a>(info: *const TypeInfo) -> &'a ObjectType {
        // SAFETY: the caller's promise, and the layout of `ObjectType`.
        unsafe { &*info.cast::<ObjectType>() }
    }
}

/// The types of an engine.
#[derive(Debug)]
pub(crate) struct Types {
    inner: RwLock<Inner>,
    /// what values of the host's are that were made internal
    pub(crate) host: Box<ObjectType>,
}

#[derive(Debug, Default)]
struct Inner {
    /// the id of each group's first type
    groups: HashMap<Vec<SubType>, u32>,
    /// by id
    records: Vec<TypeRecord>,
}

impl Types {
    pub(crate) fn new() -> Types {
        let layout = Layout::Fields { size: gc::object::BODY + 8, offsets: vec![gc::object::BODY], references: vec![] };
        Types { inner: RwLock::default(), host: ObjectType::new(Kind::Host, &[], layout) }
    }

    /// The ids of a module's types, which are in groups of these sizes.
    pub(crate) fn intern(&self, types: &[SubType], groups: &[u32]) -> Vec<u32> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let mut ids: Vec<u32> = Vec::with_capacity(types.len());
        for &len in groups {
            let start = ids.len();
            let id = |index: u32| match ids.get(index as usize) {
                Some(&id) => id,
                None => IN_GROUP | (index - start as u32),
            };
            let group: Vec<SubType> = types[start..start + len as usize].iter().map(|ty| ty.map_types(id)).collect();
            let first = inner.group(group);
            ids.extend(first..first + len);
        }
        ids
    }

    /// The id of a function type as it is written without a word about subtypes.
    pub(crate) fn func_id(&self, ty: &FuncType) -> u32 {
        self.intern(&[SubType::func(ty.clone())], &[1])[0]
    }

    /// Whether the first type is the second, or a subtype of it.
    pub(crate) fn is_subtype(&self, sub: u32, sup: u32) -> bool {
        sub == sup || {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            let place = inner.records[sup as usize].display.len() - 1;
            inner.records[sub as usize].display.get(place) == Some(&sup)
        }
    }

    /// A function type.
    pub(crate) fn func(&self, id: u32) -> Option<FuncType> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.records.get(id as usize)?.ty.as_func().cloned()
    }

    /// What objects of a type are; null if there are none.
    pub(crate) fn object(&self, id: u32) -> *const ObjectType {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.records[id as usize].object.as_deref().map_or(std::ptr::null(), std::ptr::from_ref)
    }

    /// What exceptions are whose tag has this function type; null if it is none.
    pub(crate) fn exception(&self, id: u32) -> *const ObjectType {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.records[id as usize].exception.as_deref().map_or(std::ptr::null(), std::ptr::from_ref)
    }
}

impl Inner {
    /// The id of a group's first type.
    fn group(&mut self, group: Vec<SubType>) -> u32 {
        if let Some(&first) = self.groups.get(&group) {
            return first;
        }
        let first = self.records.len() as u32;
        for ty in &group {
            let ty = ty.map_types(|id| if id & IN_GROUP != 0 { first + (id & !IN_GROUP) } else { id });
            let record = self.record(self.records.len() as u32, ty);
            self.records.push(record);
        }
        self.groups.insert(group, first);
        first
    }

    fn record(&self, id: u32, ty: SubType) -> TypeRecord {
        let above = ty.supertype.map_or(&[][..], |sup| &self.records[sup as usize].display);
        let display: Box<[u32]> = above.iter().copied().chain([id]).collect();
        let (mut object, mut exception) = (None, None);
        match &ty.composite {
            Composite::Func(ty) => {
                let layout = gc::exception_layout(ty);
                exception = Some(ObjectType::fields(Kind::Exception, &display, ty.params.clone(), layout));
            }
            Composite::Struct(fields) => {
                let types = fields.iter().map(|f| f.value()).collect();
                object = Some(ObjectType::fields(Kind::Struct, &display, types, gc::struct_layout(fields)));
            }
            Composite::Array(element) => {
                let size = gc::storage_size(element.storage);
                let layout = Layout::Elements { size, references: Family::of(element.value()) };
                object = Some(ObjectType::new(Kind::Array, &display, layout));
            }
        }
        TypeRecord { ty, display, object, exception }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmbridge_artifact::{FieldType, HeapType, RefType, Storage, TypeKind};

    fn structure(supertype: Option<u32>, names: &[u32]) -> SubType {
        let field = |&index: &u32| FieldType {
            storage: Storage::Value(ValType::Ref(RefType {
                nullable: true,
                heap: HeapType::Type(TypeKind::Struct, index),
            })),
            mutable: false,
        };
        SubType { is_final: false, supertype, composite: Composite::Struct(names.iter().map(field).collect()) }
    }

    #[test]
    fn equal_groups_have_equal_ids_wherever_they_stand() {
        let types = Types::new();
        // Two types that name each other, once at the start of a module and once behind another type.
        let first = types.intern(&[structure(None, &[1]), structure(None, &[0])], &[2]);
        let second = types.intern(&[structure(None, &[]), structure(None, &[2]), structure(None, &[1])], &[1, 2]);
        assert_eq!(first, second[1..]);
        assert_ne!(first[0], first[1]);
        // The same two in groups of their own are others: the first names itself.
        let apart = types.intern(&[structure(None, &[0]), structure(None, &[0])], &[1, 1]);
        assert!(apart.iter().all(|id| !first.contains(id)));
    }

    #[test]
    fn subtypes_are_found_by_their_display() {
        let types = Types::new();
        let chain = [structure(None, &[]), structure(Some(0), &[]), structure(Some(1), &[0]), structure(Some(0), &[0])];
        let ids = types.intern(&chain, &[1; 4]);
        let is = |sub: usize, sup: usize| types.is_subtype(ids[sub], ids[sup]);
        assert!(is(2, 0) && is(2, 1) && is(2, 2) && is(3, 0));
        assert!(!is(0, 2) && !is(3, 1) && !is(2, 3));
    }
}
