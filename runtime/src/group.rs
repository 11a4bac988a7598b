//! Instances that call each other directly: they belong to one thread together, and a trap stops them together.
//!
//! An instance that imports nothing of another one is a group of its own.

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Trap};
use crate::gc::Heap;
use crate::instance::InstanceData;
use crate::os::{StackBounds, bounds_around, thread_id, thread_stack};
use std::sync::{Arc, Mutex, MutexGuard};

/// A group of instances.
#[derive(Debug)]
pub(crate) struct Group {
    state: Mutex<State>,
    stack_reserve: usize,
    heap: Arc<Heap>,
}

/// What the owner's thread and the slow paths know of a group.
#[derive(Debug)]
pub(crate) struct State {
    /// the thread that may enter
    pub(crate) owner: u64,
    /// the stack on which it may enter, its reserve taken off
    pub(crate) stack: StackBounds,
    pub(crate) members: Vec<Arc<InstanceData>>,
    /// handles of the host's on members; with the last one, all members go
    pub(crate) handles: usize,
    /// a trap that the host has not seen yet
    pub(crate) pending: Option<Box<Trap>>,
    /// that is an exception which a C function throws: what the crossing frame of its call has as `frame`
    pub(crate) thrown_at: Option<usize>,
}

impl Group {
    /// An empty group that belongs to this thread.
    pub(crate) fn new(engine: &Engine) -> Arc<Group> {
        let stack_reserve = engine.config().stack_reserve;
        let stack = usable(thread_stack(), stack_reserve);
        let state =
            State { owner: thread_id(), stack, members: Vec::new(), handles: 0, pending: None, thrown_at: None };
        Arc::new(Group { state: Mutex::new(state), stack_reserve, heap: Heap::new(engine) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The heap of its members.
    pub(crate) fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    /// Takes the members of another group into this one. Both belong to this thread, and neither has a pending trap.
    pub(crate) fn absorb(self: &Arc<Group>, other: &Arc<Group>) {
        if Arc::ptr_eq(self, other) {
            return;
        }
        let (members, handles) = {
            let mut other = other.lock();
            (std::mem::take(&mut other.members), std::mem::take(&mut other.handles))
        };
        self.heap.absorb(&other.heap);
        for member in &members {
            member.set_group(self.clone());
        }
        let mut state = self.lock();
        state.add(members);
        state.handles += handles;
    }

    /// Makes this thread the owner.
    pub(crate) fn attach(&self) -> Result<(), Error> {
        let mut state = self.lock();
        if state.owner == thread_id() {
            return Ok(());
        }
        if state.members.iter().any(|m| m.seems_running()) {
            let message = "the instance is running on its thread; attach it when it has returned";
            return Err(Error::new(ErrorKind::Busy, message));
        }
        state.owner = thread_id();
        state.stack = usable(thread_stack(), self.stack_reserve);
        for member in &state.members {
            member.inbox().attach();
            member.set_stack(state.stack);
        }
        Ok(())
    }

    /// Whether this thread is the owner.
    pub(crate) fn check_thread(&self) -> Result<(), Error> {
        if self.lock().owner == thread_id() {
            return Ok(());
        }
        let message = "the instance belongs to another thread; attach it to this one first";
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Whether the host may enter now, on this thread, with the stack at `sp`.
    pub(crate) fn check_entry(&self, sp: usize) -> Result<(), Error> {
        self.check_thread()?;
        let mut state = self.lock();
        if let Some(trap) = &state.pending {
            let message = format!("a callback of the instance failed ({trap}); take the error first");
            return Err(Error::new(ErrorKind::Busy, message));
        }
        self.check_stack(&mut state, sp).map_err(|why| Error::new(ErrorKind::Limit, why))
    }

    /// Whether `sp` is on a stack that members may use; moves them to it if it is another one and nothing runs.
    pub(crate) fn check_stack(&self, state: &mut State, sp: usize) -> Result<(), String> {
        if state.stack.contains(sp) {
            return Ok(());
        }
        let whole = if thread_stack().contains(sp) { Some(thread_stack()) } else { bounds_around(sp) };
        let stack = whole.map(|whole| usable(whole, self.stack_reserve));
        match stack {
            Some(stack) if stack == state.stack || !stack.contains(sp) => {
                Err("too little of the native stack is left to enter the guest".to_owned())
            }
            Some(_) if state.members.iter().any(|m| m.seems_crossed()) => {
                Err("the guest is entered on another stack than the one it is running on".to_owned())
            }
            Some(stack) => {
                state.stack = stack;
                for member in &state.members {
                    member.set_stack(stack);
                }
                Ok(())
            }
            None => Err("the guest is entered on a stack that is not mapped memory".to_owned()),
        }
    }
}

impl State {
    /// Adds members.
    pub(crate) fn add(&mut self, members: impl IntoIterator<Item = Arc<InstanceData>>) {
        self.members.extend(members);
        let alone = self.members.len() == 1;
        self.members.iter().for_each(|member| member.set_alone(alone));
    }
}

/// What wasm code may use of a stack.
fn usable(whole: StackBounds, reserve: usize) -> StackBounds {
    let reserve = reserve.min((whole.high - whole.low) / 4);
    StackBounds { low: whole.low + reserve, high: whole.high }
}
