//! The collected heap of a group of instances.
//!
//! | file | does |
//! |---|---|
//! | `heap.rs` | objects: where they are, which are reached, what becomes of the others |
//! | `collect.rs` | what keeps objects alive: globals, tables, segments, the host's references, the native stack |
//! | `objects.rs` | the instructions on objects that compiled code leaves to the runtime |
//! | `roots.rs` | the host's references |
//! | `reference.rs` | what the host sees of them |
//!
//! Objects do not move, so that it is enough to know which words *may* be references: the native stack and registers are searched for
//! anything that points into an object. All else (fields, globals, tables) is known exactly. What is found by mistake lives a
//! little longer.

mod collect;
mod heap;
mod objects;
mod reference;
mod roots;

pub(crate) use heap::{Object, object_of};
pub(crate) use objects::{NoArray, Outside, array, copy, fill, set};
pub use reference::{AnyRef, AnyRefKind, ExnRef};
pub(crate) use reference::{Internal, is_internal, type_of};
use roots::Rooted;

use crate::engine::Engine;
use crate::exception::TagData;
use heap::Memory;
use roots::Roots;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};

/// The heap of a group.
#[derive(Debug)]
pub(crate) struct Heap {
    memory: RefCell<Memory>,
    /// What the host holds: the first are this heap's own, the others those of heaps that it took.
    roots: Mutex<Vec<Arc<Roots>>>,
    /// an exception that nobody has caught, until it is told to the host
    uncaught: Cell<Option<Object>>,
    /// tags of exceptions that host functions have thrown: perhaps no instance has them
    tags: RefCell<Vec<Arc<TagData>>>,
    /// collections have found objects of C's that are to be destroyed
    pub(crate) has_dead: Cell<bool>,
    /// how many pieces of the runtime's own code hold references where nobody finds them
    paused: Cell<usize>,
}

// SAFETY: touched by the group's owner alone, as instances are (see `instance/mod.rs`); the roots, which others drop, are locked.
unsafe impl Send for Heap {}
// SAFETY: see above.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) fn new(engine: &Engine) -> Arc<Heap> {
        Arc::new(Heap {
            memory: RefCell::new(Memory::new(engine.clone())),
            roots: Mutex::new(vec![Arc::default()]),
            uncaught: Cell::new(None),
            tags: RefCell::default(),
            has_dead: Cell::new(false),
            paused: Cell::new(0),
        })
    }

    /// Takes the objects of another heap, and what holds them.
    pub(crate) fn absorb(&self, other: &Heap) {
        self.has_dead.set(self.has_dead.get() || other.has_dead.get());
        let mut memory = self.memory.borrow_mut();
        let empty = Memory::new(memory.engine().clone());
        memory.absorb(other.memory.replace(empty));
        let theirs = std::mem::take(&mut *other.roots.lock().unwrap_or_else(PoisonError::into_inner));
        self.roots.lock().unwrap_or_else(PoisonError::into_inner).extend(theirs);
        self.tags.borrow_mut().append(&mut other.tags.borrow_mut());
    }

    /// Keeps a tag as long as there may be exceptions with it.
    pub(crate) fn keep_tag(&self, tag: &Arc<TagData>) {
        let mut tags = self.tags.borrow_mut();
        if !tags.iter().any(|kept| Arc::ptr_eq(kept, tag)) {
            tags.push(tag.clone());
        }
    }

    /// Runs code that holds references where a collection does not find them: there is none meanwhile.
    pub(crate) fn without_collections<T>(&self, run: impl FnOnce() -> T) -> T {
        self.paused.set(self.paused.get() + 1);
        let result = run();
        self.paused.set(self.paused.get() - 1);
        result
    }

    /// Bytes that objects take up, including those that nobody reaches any more and that no collection has found yet.
    pub(crate) fn used(&self) -> usize {
        self.memory.borrow().used()
    }

    /// Lets the host hold an object.
    fn hold(&self, object: Object) -> Rooted {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots[0].hold(object.as_ptr() as u64)
    }

    /// The object that the host holds, if it is one of this heap.
    fn held(&self, rooted: &Rooted) -> Option<Object> {
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = roots.iter().any(|roots| rooted.is_in(roots));
        drop(roots);
        if ours { Object::new(rooted.object() as *mut _) } else { None }
    }

    /// Keeps an exception for the host.
    pub(crate) fn set_uncaught(&self, exception: Object) {
        self.uncaught.set(Some(exception));
    }

    /// The exception that was kept for the host.
    pub(crate) fn take_uncaught(&self) -> Option<Object> {
        self.uncaught.take()
    }
}
