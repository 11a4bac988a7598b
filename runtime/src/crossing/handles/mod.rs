//! Handles: 32-bit names that an app has for native objects it cannot see.
//!
//! ```text
//!   handle = generation << 20 | index      index 1..2^20, generation 12 bits, from the app's secret on
//! ```
//!
//! An index is never 0, so neither is a handle: 0 stands for NULL. The generation tells a slot's present object from earlier ones, and where
//! an app's begin is its secret, which makes its handles mean nothing to another. The same object has the same handle as long as it is alive.
//!
//! A lookup is done by the shapes themselves: the slot at the handle's index has the whole handle and the number of its type as its key, so that comparing it
//! says that it is this app's, of this type, and alive ([`vmctx::handles`](wasmbridge_artifact::vmctx::handles)). What does not compare comes
//! here: a base type, and everything that is wrong, to be told apart.
//!
//! Callbacks find handles of objects by themselves, too, and open slots for objects that have none (`lent.rs`).
//!
//! What a handle allows is its type's: by a `const T *` an object is only read, so where a prototype has `T *` it is refused. A `T *` passes for a `const T *`.
//!
//! Types may have base types, as libraries with "handles" and "kinds of handles" have them: what is a `uv_timer_t *` is a `uv_handle_t *` too, and
//! has one handle as both. Types without a common base are different objects, even at one address: a struct and its first member are.

mod externref;
mod lent;
mod slots;
mod types;

use self::externref::Collected;
pub(crate) use self::externref::is_object;
pub(crate) use self::slots::empty;
use self::slots::{Free, NO_GENERATION, Slots};
pub use self::types::HandleDestructor;
use self::types::TypeIds;
pub(crate) use self::types::{HandleTypes, TypeId};
use super::Refused;
use crate::addresses::AddressMap;
use std::collections::VecDeque;
use std::sync::Arc;
use wasmbridge_artifact::vmctx::handles::{INDEX_BITS, INDEX_MASK, Pass, key};
use wasmbridge_trampolines::signature::Value;
use wasmbridge_trampolines::{Crossing, ObjectTypes, READ_ONLY, Signature};

/// What an app had of an object before it was given a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Had {
    Nothing,
    /// the handle
    It,
    /// the handle, by which the object was another type, so that the app could do less
    Less(TypeId),
}

/// Slots without a generation left that wait before they are used again from their first one on. So a handle of one of them comes again when this many times
/// half the generations, 134 million, others have been given out.
const RESTING: usize = 1 << 16;

/// The handles of one instance.
#[derive(Debug)]
pub(crate) struct HandleTable {
    types: TypeIds,
    /// the first generation of each slot, in the lower half of all
    secret: u32,
    slots: Slots,
    /// where shapes look for the table: a word of the vmctx
    published: *mut *const u64,
    /// slots that have been used; the first is never
    used: u32,
    /// the first of the free ones among them, 0 if there is none
    free: u32,
    /// those that have had their last generation, the longest ago first
    resting: VecDeque<u32>,
    /// by address and root of the type
    by_object: AddressMap<(usize, TypeId), u32>,
    /// Handles in the order in which they were given out, if any type has a destructor; some may have ended.
    given: Vec<u32>,
    collected: Collected,
}

impl HandleTable {
    /// An empty table; `app` is the instance's number, `secret` differs between instances, too, `types` says which are others too, `numbers` are the engine's. `published` is the word in which
    /// shapes find it, or null.
    pub(crate) fn new(
        (app, secret): (u16, u32),
        types: Arc<HandleTypes>,
        numbers: ObjectTypes,
        published: *mut *const u64,
    ) -> HandleTable {
        HandleTable {
            types: TypeIds::new(types, numbers),
            // Not 0, so that a slot which has no more generations can be told from a new one.
            secret: secret % (NO_GENERATION / 2) + 1,
            slots: Slots::default(),
            published,
            used: 1,
            free: 0,
            resting: VecDeque::new(),
            by_object: AddressMap::default(),
            given: Vec::new(),
            collected: Collected::new(app),
        }
    }

    /// The types of a function's parameters that are handles, by their numbers; `None` if there are none.
    pub(crate) fn param_types(&mut self, signature: &Signature) -> Option<Arc<[TypeId]>> {
        let mut type_of = |param: &Value| match &param.crossing {
            Crossing::Handle { type_name, .. } => self.types.id(type_name),
            _ => TypeId::NONE,
        };
        let types: Vec<TypeId> = signature.params.iter().map(&mut type_of).collect();
        types.iter().any(|&ty| ty != TypeId::NONE).then(|| types.into())
    }

    /// The handle of an object that is not NULL, and what the app had of it before.
    pub(crate) fn insert(&mut self, object: usize, type_name: &str) -> Result<(u32, Had), Refused> {
        let ty = self.types.id(type_name);
        self.insert_as(object, ty)
    }

    /// The same, for a type whose number is known.
    pub(crate) fn insert_as(&mut self, object: usize, ty: TypeId) -> Result<(u32, Had), Refused> {
        debug_assert_ne!(object, 0);
        let place = (object, self.types.root(ty));
        if let Some(&index) = self.by_object.get(&place) {
            let (known, handle) = self.parts(index);
            if let Some(both) = self.types.both(known, ty) {
                self.remember_pass(both, ty);
                if both == known {
                    return Ok((handle, Had::It));
                }
                self.slots.set_key(index, key(both.0, handle));
                return Ok((handle, Had::Less(known)));
            }
            // Neither is the other: the object that was known is gone, and this one has its address.
            self.remove(handle);
        }
        self.revive(object, place.1);
        let (index, generation) = self.take()?;
        let handle = generation << INDEX_BITS | index;
        self.slots.fill(index, key(ty.0, handle), object);
        self.slots.enter_bucket(index);
        self.by_object.insert(place, index);
        if self.types.declared.have_destructors() {
            self.remember(handle);
        }
        Ok((handle, Had::Nothing))
    }

    /// Takes a type back that an object was given for a while.
    pub(crate) fn is_again(&mut self, handle: u32, ty: TypeId) {
        if let Some((index, _)) = self.live(handle) {
            self.slots.set_key(index, key(ty.0, handle));
        }
    }

    /// Lets shapes find that objects which are known as one type pass for another.
    fn remember_pass(&self, known: TypeId, wanted: TypeId) {
        if known != wanted {
            self.slots.set_pass(Pass { wanted: wanted.0, known: known.0 });
        }
    }

    /// A free slot, and the generation that is next there.
    fn take(&mut self) -> Result<(u32, u32), Refused> {
        if self.free != 0 {
            let index = self.free;
            let Free { generation, next } = self.slots.free(index);
            self.free = next;
            return Ok((index, generation));
        }
        if self.resting.len() > RESTING || (self.used > INDEX_MASK && !self.resting.is_empty()) {
            let rested = self.resting.pop_front().expect("there is one");
            return Ok((rested, self.secret));
        }
        if self.used > INDEX_MASK {
            return Err(format!("the app has {INDEX_MASK} live handles, which is the limit"));
        }
        if self.used == 1 {
            let table = self.slots.make().map_err(|e| format!("no address space for the app's handles: {e}"))?;
            if !self.published.is_null() {
                // SAFETY: a word of the instance's vmctx, which lives as long as this, and is read by code that runs on this thread.
                unsafe { self.published.write(table) };
            }
        }
        self.used += 1;
        Ok((self.used - 1, self.secret))
    }

    fn remember(&mut self, handle: u32) {
        if self.given.len() >= 64 && self.given.len() > 2 * self.by_object.len() {
            let given = std::mem::take(&mut self.given);
            self.given = given.into_iter().filter(|&handle| self.live(handle).is_some()).collect();
        }
        self.given.push(handle);
    }

    /// The type and the handle of a slot; 0 for a handle if it is free.
    fn parts(&self, index: u32) -> (TypeId, u32) {
        let key = self.slots.key(index);
        (TypeId((key >> 32) as u32), key as u32)
    }

    /// The slot of a handle that has not ended, and the type by which its object is known.
    fn live(&self, handle: u32) -> Option<(u32, TypeId)> {
        let index = handle & INDEX_MASK;
        if index == 0 || index >= self.used {
            return None;
        }
        let (ty, found) = self.parts(index);
        (found == handle).then_some((index, ty))
    }

    /// The type as which another app may be given the object of a handle, if it is to be given as this one.
    pub(crate) fn granted_type(&mut self, handle: u32, type_name: &str) -> Option<Arc<str>> {
        let (_, known) = self.live(handle)?;
        let granted = if type_name.starts_with(READ_ONLY) { self.types.read_only(known) } else { known };
        Some(self.types.name(granted).clone())
    }

    /// Ends the newest handle of an object that is to be destroyed when the app goes; the object and what destroys it.
    pub(crate) fn pop_destroyed(&mut self) -> Option<(usize, HandleDestructor)> {
        while let Some(handle) = self.given.pop() {
            let Some((index, ty)) = self.live(handle) else { continue };
            let (object, destructor) = (self.slots.object(index), self.types.destructor(ty));
            if let Some(destructor) = destructor {
                self.remove(handle);
                return Some((object, destructor));
            }
        }
        None
    }

    /// The object behind a handle that is not 0.
    pub(crate) fn get(&mut self, handle: u32, type_name: &str) -> Result<usize, Refused> {
        let wanted = self.types.id(type_name);
        let Some((index, ty)) = self.live(handle) else { return Err(self.why_not(handle)) };
        if !self.types.passes(ty, wanted) {
            let known = self.types.name(ty);
            let right = match self.types.is_a(ty, wanted) {
                true => ": the app may only read the object, it has no right to change it",
                false => "",
            };
            return Err(format!("handle {handle:#x} is a `{known} *`, expected `{type_name} *`{right}"));
        }
        self.remember_pass(ty, wanted);
        Ok(self.slots.object(index))
    }

    /// What is wrong with a handle that is not alive.
    fn why_not(&self, handle: u32) -> Refused {
        let (index, generation) = (handle & INDEX_MASK, handle >> INDEX_BITS);
        if index == 0 || index >= self.used {
            return format!("{handle:#x} is not a handle of this app: forged, or another app's");
        }
        // Generations count up: one that has not been reached was never given out.
        let next = match (self.parts(index).1, self.lent_generation(index)) {
            (0, Some(next)) => next,
            (0, None) => self.slots.free(index).generation,
            (live, _) => live >> INDEX_BITS,
        };
        let given_out = self.secret <= generation && generation < next;
        let what =
            if given_out { "is stale: its object is gone, or was only lent" } else { "was never given to this app" };
        format!("handle {handle:#x} {what}")
    }

    /// The handle that an object has, if it is of this type, whatever it allows.
    pub(crate) fn find(&mut self, object: usize, type_name: &str) -> Option<u32> {
        let wanted = self.types.id(type_name);
        let index = *self.by_object.get(&(object, self.types.root(wanted)))?;
        let (ty, handle) = self.parts(index);
        self.types.is_a(ty, wanted).then_some(handle)
    }

    /// Ends a handle: it is stale from now on.
    pub(crate) fn remove(&mut self, handle: u32) {
        // One that has ended already may have another object in its place.
        let Some((index, ty)) = self.live(handle) else { return };
        self.by_object.remove(&(self.slots.object(index), self.types.root(ty)));
        self.keep(handle);
        self.slots.leave_bucket(index);
        self.put_back(index, (handle >> INDEX_BITS) + 1);
        self.prepare_lent();
    }

    /// Makes a slot free, whose next object is to have this generation.
    fn put_back(&mut self, index: u32, generation: u32) {
        self.slots.clear(index, Free { generation, next: self.free });
        if generation == NO_GENERATION {
            self.resting.push_back(index);
        } else {
            self.free = index;
        }
    }

    /// How many handles are alive.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_object.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(secret: u32) -> HandleTable {
        HandleTable::new((1, secret), Arc::default(), Default::default(), std::ptr::null_mut())
    }

    #[test]
    fn the_same_object_has_the_same_handle_until_it_ends() {
        let mut table = table(0xabc);
        let (first, new) = table.insert(0x1000, "db").unwrap();
        assert!(new == Had::Nothing && first != 0);
        assert_eq!(table.insert(0x1000, "db"), Ok((first, Had::It)));
        let (other, _) = table.insert(0x1000, "stmt").unwrap();
        assert_ne!(first, other, "the same address as another type is another object");
        assert_eq!(table.get(first, "db"), Ok(0x1000));
        table.remove(first);
        assert_eq!(table.len(), 1);
        let (second, _) = table.insert(0x1000, "db").unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn each_wrong_handle_is_told_apart() {
        let mut table = table(5);
        let (handle, _) = table.insert(0x1000, "db").unwrap();
        let mut reason = |handle, ty: &str| table.get(handle, ty).unwrap_err();
        assert!(reason(handle, "stmt").contains("is a `db *`, expected `stmt *`"));
        assert!(reason(handle + 7, "db").contains("not a handle of this app"));
        assert!(reason(handle + (1 << INDEX_BITS), "db").contains("never given"));
        assert!(reason(handle - (1 << INDEX_BITS), "db").contains("never given"), "less than the secret");
        assert!(reason(5 << INDEX_BITS, "db").contains("not a handle"), "index 0");
        table.remove(handle);
        assert!(table.get(handle, "db").unwrap_err().contains("stale"));
        table.insert(0x2000, "db").unwrap();
        assert!(table.get(handle, "db").unwrap_err().contains("stale"));
    }

    #[test]
    fn an_object_has_one_handle_as_its_type_and_as_its_bases() {
        let mut types = HandleTypes::default();
        types.derive("timer", "handle").unwrap();
        types.derive("idle", "handle").unwrap();
        types.derive("tick", "timer").unwrap();
        assert!(types.derive("handle", "tick").unwrap_err().contains("each would be the other"));
        assert!(types.derive("timer", "stream").unwrap_err().contains("one base"));
        assert_eq!(types.derive("timer", "handle"), Ok(()), "said twice");
        let mut table = HandleTable::new((1, 9), Arc::new(types), Default::default(), std::ptr::null_mut());

        let (timer, _) = table.insert(0x1000, "timer").unwrap();
        assert_eq!(table.insert(0x1000, "handle"), Ok((timer, Had::It)));
        assert_eq!((table.get(timer, "handle"), table.get(timer, "timer")), (Ok(0x1000), Ok(0x1000)));
        assert!(table.get(timer, "tick").is_err() && table.get(timer, "idle").is_err());

        // Known as its base first.
        let (other, _) = table.insert(0x2000, "handle").unwrap();
        assert!(table.get(other, "idle").unwrap_err().contains("is a `handle *`, expected `idle *`"));
        assert_eq!((table.find(0x2000, "idle"), table.find(0x2000, "handle")), (None, Some(other)));
        let (again, had) = table.insert(0x2000, "idle").unwrap();
        assert!(again == other && matches!(had, Had::Less(_)));
        assert_eq!(table.get(other, "idle"), Ok(0x2000));

        // Another kind of object in its place, of which nobody has said that the first is gone.
        let (third, new) = table.insert(0x2000, "timer").unwrap();
        assert!(new == Had::Nothing && third != other && table.get(other, "handle").unwrap_err().contains("stale"));
        table.remove(third);
        assert_eq!((table.len(), table.find(0x2000, "handle")), (1, None));
    }

    #[test]
    fn what_may_only_be_read_passes_only_where_it_is_read() {
        let mut types = HandleTypes::default();
        types.derive("timer", "handle").unwrap();
        assert!(types.derive("const timer", "handle").unwrap_err().contains("without `const`"));
        let mut table = HandleTable::new((1, 9), Arc::new(types), Default::default(), std::ptr::null_mut());
        let (handle, _) = table.insert(0x1000, "const timer").unwrap();
        assert_eq!(["const timer", "const handle"].map(|ty| table.get(handle, ty)), [Ok(0x1000), Ok(0x1000)]);
        let why = table.get(handle, "timer").unwrap_err();
        assert!(why.contains("is a `const timer *`, expected `timer *`: the app may only read"), "{why}");
        let why = table.get(handle, "const idle").unwrap_err();
        assert!(why.ends_with("is a `const timer *`, expected `const idle *`"), "{why}");
        assert_eq!(table.granted_type(handle, "const handle").as_deref(), Some("const timer"));
        assert_eq!(table.find(0x1000, "timer"), Some(handle), "to end it");

        // Given as more than that, for a while.
        let (again, had) = table.insert(0x1000, "handle").unwrap();
        let Had::Less(before) = had else { panic!("{had:?}") };
        assert_eq!((again, table.get(handle, "timer")), (handle, Ok(0x1000)));
        assert_eq!(table.insert(0x1000, "const handle"), Ok((handle, Had::It)));
        table.is_again(handle, before);
        assert!(table.get(handle, "handle").is_err() && table.get(handle, "const handle").is_ok());
        table.insert(0x1000, "timer").unwrap();
        assert_eq!(table.granted_type(handle, "const timer").as_deref(), Some("const timer"));
        assert_eq!(table.granted_type(handle, "timer").as_deref(), Some("timer"));
    }

    #[test]
    fn a_slot_rests_after_its_last_generation() {
        let mut table = table(0);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 * (NO_GENERATION) {
            let (handle, _) = table.insert(0x1000, "db").unwrap();
            assert!(seen.insert(handle), "{handle:#x} was given out twice");
            table.remove(handle);
        }
        let rested = table.resting.len();
        assert!(rested >= 3, "{rested} slots");

        // When all have been used, or many rest, the one that has rested for longest begins anew.
        let oldest = table.resting[0];
        table.used = INDEX_MASK + 1;
        table.free = 0;
        let (handle, _) = table.insert(0x1000, "db").unwrap();
        assert_eq!(handle, 1 << INDEX_BITS | oldest);
        assert_eq!(table.resting.len(), rested - 1);
    }
}
