//! Types of objects: which are others too, and those that one app's table has met.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;
use wasmbridge_trampolines::{ObjectTypes, READ_ONLY};

/// Which types of objects are others, too.
#[derive(Debug, Clone, Default)]
pub(crate) struct HandleTypes {
    bases: HashMap<String, String>,
    destructors: HashMap<String, HandleDestructor>,
}

/// What is done with objects of a type that an app still has when it goes: see [`Linker::handle_destructor`](crate::Linker::handle_destructor).
#[derive(Debug, Clone, Copy)]
pub struct HandleDestructor {
    /// gets the object, and `data`
    pub function: unsafe extern "C" fn(object: *mut c_void, data: *mut c_void),
    /// the host's
    pub data: *mut c_void,
}

// SAFETY: the host gives both for use on whatever thread an instance ends on.
unsafe impl Send for HandleDestructor {}
// SAFETY: as above.
unsafe impl Sync for HandleDestructor {}

impl HandleTypes {
    /// Makes every `derived` a `base`. An error if that would make it one in two ways, or in a circle.
    pub(crate) fn derive(&mut self, derived: &str, base: &str) -> Result<(), String> {
        if let Some(name) = [derived, base].into_iter().find(|name| name.starts_with(READ_ONLY)) {
            return Err(format!(
                "`{name}`: say of types without `const` which are others; what may only be read follows"
            ));
        }
        if let Some(other) = self.bases.get(derived).filter(|other| *other != base) {
            return Err(format!("`{derived}` is a `{other}` already; a type has one base"));
        }
        if self.line(base).any(|ancestor| ancestor == derived) {
            return Err(format!("`{base}` is a `{derived}` already: each would be the other"));
        }
        self.bases.insert(derived.to_owned(), base.to_owned());
        Ok(())
    }

    /// The type, its base, that one's base, and so on.
    fn line<'a>(&'a self, ty: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::successors(Some(ty), |ty| self.bases.get(*ty).map(String::as_str))
    }

    /// Sets what is done with the objects of a type.
    pub(crate) fn set_destructor(&mut self, ty: &str, destructor: HandleDestructor) {
        self.destructors.insert(ty.to_owned(), destructor);
    }

    /// Whether objects of any type are destroyed.
    pub(super) fn have_destructors(&self) -> bool {
        !self.destructors.is_empty()
    }
}

/// The number of a type: of all its engine's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TypeId(pub(super) u32);

impl TypeId {
    /// No type's.
    pub(super) const NONE: TypeId = TypeId(0);
}

/// The types that a table has met.
#[derive(Debug, Default)]
pub(super) struct TypeIds {
    pub(super) declared: Arc<HandleTypes>,
    numbers: ObjectTypes,
    /// By number, from 1 on.
    types: Vec<Option<Type>>,
}

#[derive(Debug)]
struct Type {
    name: Arc<str>,
    base: Option<TypeId>,
    root: TypeId,
    /// without `const`; itself, if it is without
    full: TypeId,
    /// its own, or the nearest base's
    destructor: Option<HandleDestructor>,
}

impl TypeIds {
    /// None yet.
    pub(super) fn new(declared: Arc<HandleTypes>, numbers: ObjectTypes) -> TypeIds {
        TypeIds { declared, numbers, types: Vec::new() }
    }

    /// The number of a type.
    pub(super) fn id(&mut self, name: &str) -> TypeId {
        // There are a few, a few dozens at most: they are looked through.
        let named = |ty: &Option<Type>| ty.as_ref().is_some_and(|ty| *ty.name == *name);
        if let Some(index) = self.types.iter().position(named) {
            return TypeId(index as u32 + 1);
        }
        let id = TypeId(self.numbers.number(name));
        let own = self.declared.destructors.get(name).copied();
        let ty = match name.strip_prefix(READ_ONLY) {
            // What an app may only read is not its to destroy, unless the host says so.
            Some(full) => {
                let full = self.id(full);
                Type { name: name.into(), base: None, root: self.root(full), full, destructor: own }
            }
            None => {
                let base = self.declared.bases.get(name).cloned().map(|base| self.id(&base));
                let root = base.map_or(id, |base| self.root(base));
                let destructor = own.or(base.and_then(|base| self.of(base).destructor));
                Type { name: name.into(), base, root, full: id, destructor }
            }
        };
        let index = id.0 as usize - 1;
        if self.types.len() <= index {
            self.types.resize_with(index + 1, || None);
        }
        self.types[index] = Some(ty);
        id
    }

    fn of(&self, id: TypeId) -> &Type {
        self.types[id.0 as usize - 1].as_ref().expect("it has been met")
    }

    pub(super) fn name(&self, id: TypeId) -> &Arc<str> {
        &self.of(id).name
    }

    /// The last of its bases, or itself.
    pub(super) fn root(&self, id: TypeId) -> TypeId {
        self.of(id).root
    }

    pub(super) fn destructor(&self, id: TypeId) -> Option<HandleDestructor> {
        self.of(id).destructor
    }

    /// Whether objects are only read by it.
    fn is_read_only(&self, id: TypeId) -> bool {
        self.of(id).full != id
    }

    /// The type by which objects of a type are only read.
    pub(super) fn read_only(&mut self, id: TypeId) -> TypeId {
        let full = self.name(self.of(id).full).clone();
        self.id(&format!("{READ_ONLY}{full}"))
    }

    /// Whether every `ty` passes for a `wanted`.
    pub(super) fn passes(&self, ty: TypeId, wanted: TypeId) -> bool {
        (self.is_read_only(wanted) || !self.is_read_only(ty)) && self.is_a(ty, wanted)
    }

    /// Whether every `ty` is a `base`, whatever may be done with it.
    pub(super) fn is_a(&self, ty: TypeId, base: TypeId) -> bool {
        let (ty, base) = (self.of(ty).full, self.of(base).full);
        std::iter::successors(Some(ty), |&ty| self.of(ty).base).any(|ancestor| ancestor == base)
    }

    /// The type of an object that is known as one and given as another: the derived one of both, and only read if it is by both. `None` if they are types
    /// of different objects.
    pub(super) fn both(&mut self, known: TypeId, given: TypeId) -> Option<TypeId> {
        let derived = match (self.is_a(known, given), self.is_a(given, known)) {
            (true, _) => self.of(known).full,
            (_, true) => self.of(given).full,
            (false, false) => return None,
        };
        let read_only = self.is_read_only(known) && self.is_read_only(given);
        Some(if read_only { self.read_only(derived) } else { derived })
    }
}
