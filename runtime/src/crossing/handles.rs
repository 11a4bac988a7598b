//! Handles: 32-bit names that an app has for native objects it cannot see.
//!
//! ```text
//!   handle = (generation << 20 | index) ^ (secret << 20)      index 1..2^20, generation and secret 12 bits
//! ```
//!
//! An index is never 0, so neither is a handle: 0 stands for NULL. The generation tells a slot's present object from earlier ones, and
//! the secret makes one app's handles mean nothing to another. The same object has the same handle as long as it is alive. Lookup is one array
//! access and two comparisons.
//!
//! Types may have base types, as libraries with "handles" and "kinds of handles" have them: what is a `uv_timer_t *` is a `uv_handle_t *` too, and
//! has one handle as both. Types without a common base are different objects, even at one address: a struct and its first member are.

use super::Refused;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: u32 = (1 << (32 - INDEX_BITS)) - 1;

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
        if let Some(other) = self.bases.get(derived).filter(|other| *other != base) {
            return Err(format!("`{derived}` is a `{other}` already; a type has one base"));
        }
        if self.is_a(base, derived) {
            return Err(format!("`{base}` is a `{derived}` already: each would be the other"));
        }
        self.bases.insert(derived.to_owned(), base.to_owned());
        Ok(())
    }

    /// Whether every `ty` is a `base`.
    fn is_a(&self, ty: &str, base: &str) -> bool {
        self.line(ty).any(|ancestor| ancestor == base)
    }

    /// The type, its base, that one's base, and so on.
    fn line<'a>(&'a self, ty: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::successors(Some(ty), |ty| self.bases.get(*ty).map(String::as_str))
    }

    /// Sets what is done with the objects of a type.
    pub(crate) fn set_destructor(&mut self, ty: &str, destructor: HandleDestructor) {
        self.destructors.insert(ty.to_owned(), destructor);
    }

    /// Of the type, or of the nearest base that has one.
    fn destructor(&self, ty: &str) -> Option<HandleDestructor> {
        self.line(ty).find_map(|ty| self.destructors.get(ty).copied())
    }

    fn root<'a>(&'a self, ty: &'a str) -> &'a str {
        self.line(ty).last().unwrap_or(ty)
    }
}

/// The handles of one instance.
#[derive(Debug)]
pub(crate) struct HandleTable {
    types: Arc<HandleTypes>,
    secret: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// by address and root of the type
    by_object: HashMap<(usize, Arc<str>), u32>,
    /// Handles in the order in which they were given out, if any type has a destructor; some may have ended.
    given: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    /// 0 if the slot is free
    object: usize,
    /// the type: of those that the object is known as, the one that is derived from the others
    type_name: Arc<str>,
}

impl HandleTable {
    /// An empty table; `secret` differs between instances.
    pub(crate) fn new(secret: u32) -> HandleTable {
        // Slot 0 is never given out, so that no handle is 0.
        let slots = vec![Slot { generation: 0, object: 0, type_name: Arc::from("") }];
        let types = Arc::default();
        HandleTable {
            types,
            secret: secret << INDEX_BITS,
            slots,
            free: Vec::new(),
            by_object: HashMap::new(),
            given: Vec::new(),
        }
    }

    /// Sets which types are others too, before there are any handles.
    pub(crate) fn set_types(&mut self, types: Arc<HandleTypes>) {
        debug_assert!(self.by_object.is_empty());
        self.types = types;
    }

    /// The handle of an object that is not NULL, and whether it is new.
    pub(crate) fn insert(&mut self, object: usize, type_name: &str) -> Result<(u32, bool), Refused> {
        debug_assert_ne!(object, 0);
        let key = (object, Arc::<str>::from(self.types.root(type_name)));
        if let Some(&index) = self.by_object.get(&key) {
            let slot = &mut self.slots[index as usize];
            if self.types.is_a(&slot.type_name, type_name) {
                return Ok((self.handle(index), false));
            }
            if self.types.is_a(type_name, &slot.type_name) {
                slot.type_name = Arc::from(type_name);
                return Ok((self.handle(index), false));
            }
            // Neither is the other: the object that was known is gone, and this one has its address.
            self.remove(self.handle(index));
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() > INDEX_MASK as usize => {
                return Err(format!("the app has {INDEX_MASK} live handles, which is the limit"));
            }
            None => {
                self.slots.push(Slot { generation: 0, object: 0, type_name: Arc::from("") });
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        (slot.object, slot.type_name) = (object, Arc::from(type_name));
        self.by_object.insert(key, index);
        let handle = self.handle(index);
        if !self.types.destructors.is_empty() {
            self.remember(handle);
        }
        Ok((handle, true))
    }

    fn remember(&mut self, handle: u32) {
        if self.given.len() >= 64 && self.given.len() > 2 * self.by_object.len() {
            let given = std::mem::take(&mut self.given);
            self.given = given.into_iter().filter(|&handle| self.live(handle).is_some()).collect();
        }
        self.given.push(handle);
    }

    /// The slot of a handle that has not ended.
    fn live(&self, handle: u32) -> Option<&Slot> {
        let raw = handle ^ self.secret;
        let slot = self.slots.get((raw & INDEX_MASK) as usize)?;
        (slot.object != 0 && slot.generation == raw >> INDEX_BITS).then_some(slot)
    }

    /// The type by which the object of a handle is known.
    pub(crate) fn type_name(&self, handle: u32) -> Option<Arc<str>> {
        self.live(handle).map(|slot| slot.type_name.clone())
    }

    /// Ends the newest handle of an object that is to be destroyed when the app goes; the object and what destroys it.
    pub(crate) fn pop_destroyed(&mut self) -> Option<(usize, HandleDestructor)> {
        while let Some(handle) = self.given.pop() {
            let Some(slot) = self.live(handle) else { continue };
            let (object, destructor) = (slot.object, self.types.destructor(&slot.type_name));
            if let Some(destructor) = destructor {
                self.remove(handle);
                return Some((object, destructor));
            }
        }
        None
    }

    fn handle(&self, index: u32) -> u32 {
        (self.slots[index as usize].generation << INDEX_BITS | index) ^ self.secret
    }

    /// The object behind a handle that is not 0.
    pub(crate) fn get(&self, handle: u32, type_name: &str) -> Result<usize, Refused> {
        let raw = handle ^ self.secret;
        let (index, generation) = (raw & INDEX_MASK, raw >> INDEX_BITS);
        let Some(slot) = self.slots.get(index as usize).filter(|_| index != 0) else {
            return Err(format!("{handle:#x} is not a handle of this app: forged, or another app's"));
        };
        if slot.object == 0 || slot.generation != generation {
            // Generations count up: one that has not been reached was never given out.
            let given_out = generation < slot.generation || (slot.object == 0 && generation == slot.generation);
            let what = if given_out {
                "is stale: its object is gone, or was only lent"
            } else {
                "was never given to this app"
            };
            return Err(format!("handle {handle:#x} {what}"));
        }
        if *slot.type_name != *type_name && !self.types.is_a(&slot.type_name, type_name) {
            return Err(format!("handle {handle:#x} is a `{} *`, expected `{type_name} *`", slot.type_name));
        }
        Ok(slot.object)
    }

    /// The handle that an object has, if it is of this type.
    pub(crate) fn find(&self, object: usize, type_name: &str) -> Option<u32> {
        let index = *self.by_object.get(&(object, Arc::from(self.types.root(type_name))))?;
        self.types.is_a(&self.slots[index as usize].type_name, type_name).then(|| self.handle(index))
    }

    /// Ends a handle: it is stale from now on.
    pub(crate) fn remove(&mut self, handle: u32) {
        let raw = handle ^ self.secret;
        let (index, generation) = (raw & INDEX_MASK, raw >> INDEX_BITS);
        // One that has ended already may have another object in its place.
        let live = |slot: &&mut Slot| slot.object != 0 && slot.generation == generation;
        let Some(slot) = self.slots.get_mut(index as usize).filter(live) else { return };
        self.by_object.remove(&(slot.object, Arc::from(self.types.root(&slot.type_name))));
        slot.object = 0;
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        // A slot whose generations are used up is not used again, so that an old handle never means a new object.
        if slot.generation != 0 {
            self.free.push(index);
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

    #[test]
    fn the_same_object_has_the_same_handle_until_it_ends() {
        let mut table = HandleTable::new(0xabc);
        let (first, new) = table.insert(0x1000, "db").unwrap();
        assert!(new && first != 0);
        assert_eq!(table.insert(0x1000, "db"), Ok((first, false)));
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
        let mut table = HandleTable::new(5);
        let (handle, _) = table.insert(0x1000, "db").unwrap();
        let reason = |handle, ty: &str| table.get(handle, ty).unwrap_err();
        assert!(reason(handle, "stmt").contains("is a `db *`, expected `stmt *`"));
        assert!(reason(handle + 7, "db").contains("not a handle of this app"));
        assert!(reason(handle ^ (1 << INDEX_BITS), "db").contains("never given"));
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
        let mut table = HandleTable::new(9);
        table.set_types(Arc::new(types));

        let (timer, _) = table.insert(0x1000, "timer").unwrap();
        assert_eq!(table.insert(0x1000, "handle"), Ok((timer, false)));
        assert_eq!((table.get(timer, "handle"), table.get(timer, "timer")), (Ok(0x1000), Ok(0x1000)));
        assert!(table.get(timer, "tick").is_err() && table.get(timer, "idle").is_err());

        // Known as its base first.
        let (other, _) = table.insert(0x2000, "handle").unwrap();
        assert!(table.get(other, "idle").unwrap_err().contains("is a `handle *`, expected `idle *`"));
        assert_eq!((table.find(0x2000, "idle"), table.find(0x2000, "handle")), (None, Some(other)));
        assert_eq!(table.insert(0x2000, "idle"), Ok((other, false)));
        assert_eq!(table.get(other, "idle"), Ok(0x2000));

        // Another kind of object in its place, of which nobody has said that the first is gone.
        let (third, new) = table.insert(0x2000, "timer").unwrap();
        assert!(new && third != other && table.get(other, "handle").unwrap_err().contains("stale"));
        table.remove(third);
        assert_eq!((table.len(), table.find(0x2000, "handle")), (1, None));
    }

    #[test]
    fn a_slot_is_given_up_after_its_last_generation() {
        let mut table = HandleTable::new(0);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 * (GENERATION_MASK + 1) {
            let (handle, _) = table.insert(0x1000, "db").unwrap();
            assert!(seen.insert(handle), "{handle:#x} was given out twice");
            table.remove(handle);
        }
    }
}
