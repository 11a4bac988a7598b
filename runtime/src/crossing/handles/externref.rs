//! Handles in externrefs: an app keeps them in tables, globals and objects, and cannot make them up.
//!
//! An externref that stands for an object is the handle, with the app's number above it and a tag. It is looked up as handles are, so one that is stale is
//! found out, too. What an app gets as an externref only, it has for as long as it keeps the reference: a [collection](crate::gc) ends the handles of those that it does
//! not find, and what is destroyed with them waits until no code of the app is running.

use super::types::HandleDestructor;
use super::{HandleTable, Refused, TypeId};
use std::collections::HashSet;
use wasmbridge_artifact::gc::{EXTERNAL_MASK, HANDLE_TAG};

/// A collection is worth it when an app has been given so many objects since the last one, at least.
const MIN_THRESHOLD: usize = 1024;

/// What is collected.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// the app's number, in its place
    app: u64,
    /// handles that end when no externref has them
    handles: HashSet<u32>,
    /// how many have been given since the last collection
    since: usize,
    /// objects whose handles have ended so, with the roots of their types: to be destroyed
    dead: Vec<(usize, TypeId, HandleDestructor)>,
}

impl Collected {
    pub(super) fn new(app: u16) -> Collected {
        Collected { app: u64::from(app) << 32, ..Collected::default() }
    }
}

/// Whether a word may be an externref that stands for an object.
pub(crate) fn is_object(word: u64) -> bool {
    word & EXTERNAL_MASK == HANDLE_TAG
}

impl HandleTable {
    /// The externref that stands for the object of a handle.
    pub(crate) fn externref(&self, handle: u32) -> u64 {
        HANDLE_TAG | self.collected.app | u64::from(handle)
    }

    /// The handle in an externref of this app's, which is not null.
    pub(crate) fn in_externref(&self, externref: u64) -> Result<u32, Refused> {
        if !is_object(externref) {
            return Err(
                "the externref stands for no object: it is a value of the host's, or of the app's own".to_owned()
            );
        }
        let handle = externref as u32;
        if self.externref(handle) != externref {
            return Err("the externref stands for an object of another app".to_owned());
        }
        Ok(handle)
    }

    /// The object of an externref that is not null.
    pub(crate) fn get_externref(&mut self, externref: u64, type_name: &str) -> Result<usize, Refused> {
        let handle = self.in_externref(externref)?;
        self.get(handle, type_name)
    }

    /// Lets a handle end when no externref has it. The app has just been given it, and had none before.
    pub(crate) fn collect_later(&mut self, handle: u32) {
        self.collected.handles.insert(handle);
        self.collected.since += 1;
    }

    /// Lets a handle last: the app has it as a number, too.
    pub(crate) fn keep(&mut self, handle: u32) {
        self.collected.handles.remove(&handle);
    }

    /// Whether there are so many new ones that a collection is worth it.
    pub(crate) fn is_collection_due(&self) -> bool {
        let Collected { since, handles, .. } = &self.collected;
        // As many as the last one has left, and those that have been given since are not of these.
        *since >= handles.len().saturating_sub(*since).max(MIN_THRESHOLD)
    }

    /// Ends the handles that no externref has any more. Whether there is something to be destroyed.
    pub(crate) fn sweep(&mut self, reached: &HashSet<u64>) -> bool {
        self.collected.since = 0;
        let gone = |&handle: &u32| !reached.contains(&self.externref(handle));
        for handle in self.collected.handles.iter().copied().filter(gone).collect::<Vec<_>>() {
            if let Some((index, ty)) = self.live(handle)
                && let Some(destructor) = self.types.destructor(ty)
            {
                let object = self.slots.object(index);
                self.collected.dead.push((object, self.types.root(ty), destructor));
            }
            self.remove(handle);
        }
        !self.collected.dead.is_empty()
    }

    /// An object that is to be destroyed because nobody has it any more.
    pub(crate) fn pop_dead(&mut self) -> Option<(usize, HandleDestructor)> {
        self.collected.dead.pop().map(|(object, _, destructor)| (object, destructor))
    }

    /// C gives the object to the app again.
    pub(super) fn revive(&mut self, object: usize, root: TypeId) {
        self.collected.dead.retain(|dead| (dead.0, dead.1) != (object, root));
    }
}

#[cfg(test)]
mod tests {
    use super::super::HandleTypes;
    use super::*;
    use std::ffi::c_void;
    use std::sync::Arc;

    #[test]
    fn what_no_externref_has_ends_and_is_destroyed_unless_it_is_given_again() {
        unsafe extern "C" fn destroy(_: *mut c_void, _: *mut c_void) {}
        let mut types = HandleTypes::default();
        types.set_destructor("db", HandleDestructor { function: destroy, data: std::ptr::null_mut() });
        let mut table = HandleTable::new((1, 7), Arc::new(types), Default::default(), std::ptr::null_mut());
        let given = [0x1000, 0x2000, 0x3000, 0x4000].map(|object| {
            let (handle, _) = table.insert(object, "db").unwrap();
            table.collect_later(handle);
            table.externref(handle)
        });
        assert!(is_object(given[0]) && !table.is_collection_due());
        table.keep(given[1] as u32);
        table.sweep(&HashSet::from([given[0]]));
        let objects = given.map(|externref| table.get_externref(externref, "db"));
        assert_eq!((&objects[0], &objects[1]), (&Ok(0x1000), &Ok(0x2000)));
        assert!(objects[2].as_ref().is_err_and(|why| why.contains("stale")));
        table.insert(0x4000, "db").unwrap();
        assert_eq!(table.pop_dead().map(|dead| dead.0), Some(0x3000));
        assert!(table.pop_dead().is_none(), "the fourth was given again");
        let other = given[0] ^ 1 << 32;
        assert!(table.get_externref(other, "db").unwrap_err().contains("another app"));
        assert!(table.get_externref(0x1234, "db").unwrap_err().contains("stands for no object"));
    }
}
