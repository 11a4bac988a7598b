//! Handles: 32-bit names that an app has for native objects it cannot see.
//!
//! ```text
//!   handle = (generation << 20 | index) ^ (secret << 20)      index 1..2^20, generation and secret 12 bits
//! ```
//!
//! An index is never 0, so neither is a handle: 0 stands for NULL. The generation tells a slot's present object from earlier ones, and
//! the secret makes one app's handles mean nothing to another. The same object of the same type has the same handle as long as
//! it is alive. Lookup is one array access and two comparisons.

use super::Refused;
use std::collections::HashMap;
use std::sync::Arc;

const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: u32 = (1 << (32 - INDEX_BITS)) - 1;

/// The handles of one instance.
#[derive(Debug)]
pub(crate) struct HandleTable {
    secret: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_object: HashMap<(usize, Arc<str>), u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    /// 0 if the slot is free
    object: usize,
    type_name: Arc<str>,
}

impl HandleTable {
    /// An empty table; `secret` differs between instances.
    pub(crate) fn new(secret: u32) -> HandleTable {
        // Slot 0 is never given out, so that no handle is 0.
        let slots = vec![Slot { generation: 0, object: 0, type_name: Arc::from("") }];
        HandleTable { secret: secret << INDEX_BITS, slots, free: Vec::new(), by_object: HashMap::new() }
    }

    /// The handle of an object that is not NULL, and whether it is new.
    pub(crate) fn insert(&mut self, object: usize, type_name: &str) -> Result<(u32, bool), Refused> {
        debug_assert_ne!(object, 0);
        let key = (object, Arc::<str>::from(type_name));
        if let Some(&index) = self.by_object.get(&key) {
            return Ok((self.handle(index), false));
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() > INDEX_MASK as usize => {
                return Err(format!("the app has {INDEX_MASK} live handles, which is the limit"));
            }
            None => {
                self.slots.push(Slot { generation: 0, object: 0, type_name: key.1.clone() });
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        (slot.object, slot.type_name) = (object, key.1.clone());
        self.by_object.insert(key, index);
        Ok((self.handle(index), true))
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
        if *slot.type_name != *type_name {
            return Err(format!("handle {handle:#x} is a `{} *`, expected `{type_name} *`", slot.type_name));
        }
        Ok(slot.object)
    }

    /// Ends a handle: it is stale from now on.
    pub(crate) fn remove(&mut self, handle: u32) {
        let index = (handle ^ self.secret) & INDEX_MASK;
        let Some(slot) = self.slots.get_mut(index as usize).filter(|s| s.object != 0) else { return };
        self.by_object.remove(&(slot.object, slot.type_name.clone()));
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
