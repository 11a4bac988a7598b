//! Instances that call each other directly: they belong to one thread together, and a trap stops them together.
//!
//! An instance that imports nothing of another one is a group of its own.

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Trap};
use crate::gc::Heap;
use crate::instance::InstanceData;
use crate::os::{StackBounds, bounds_around, thread_id, thread_stack};
use std::sync::{Arc, Mutex, MutexGuard};
use wasmbridge_artifact::vmctx::HOST_PAGE;

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
    /// the stack on which it may enter
    pub(crate) stack: GuestStack,
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
        let stack = GuestStack::of_thread(stack_reserve);
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
        state.stack = GuestStack::of_thread(self.stack_reserve);
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
        let Some(whole) = whole else {
            return Err("the guest is entered on a stack that is not mapped memory".to_owned());
        };
        let is_running = state.members.iter().any(|m| m.seems_crossed());
        if is_running && whole.high != state.stack.high {
            return Err("the guest is entered on another stack than the one it is running on".to_owned());
        }
        let stack = GuestStack::new(whole, self.stack_reserve, sp);
        if is_running || !stack.contains(sp) {
            return Err("too little of the native stack is left to enter the guest".to_owned());
        }
        state.stack = stack;
        for member in &state.members {
            member.set_stack(stack);
        }
        Ok(())
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

/// What wasm code may use of a native stack: `[low, high)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuestStack {
    /// lowest byte of all
    bottom: usize,
    /// lowest byte that wasm code may use: below it is what is left to C functions
    pub(crate) low: usize,
    /// one past the highest byte
    pub(crate) high: usize,
    /// As many bytes below any crossing frame of this stack's are still on it, and nobody else's. (Where wasm code makes one, it has looked at its stack pointer, but not at what it
    /// takes in making it: less than a page.) 0 if nobody knows: then all entries take the slow path, which looks whose thread it is.
    pub(crate) reach: usize,
}

/// Less than that is no room for a guest on a stack that is not a thread's.
const MIN_ROOM: usize = 16 << 10;

impl GuestStack {
    /// This thread's.
    fn of_thread(reserve: usize) -> GuestStack {
        let here = 0u8;
        GuestStack::new(thread_stack(), reserve, &raw const here as usize)
    }

    /// One that is to be entered with the stack pointer at `sp`. If it is not a thread's, it may be anywhere in the memory around it, and half of what is below `sp` is used.
    fn new(whole: StackBounds, reserve: usize, sp: usize) -> GuestStack {
        let reserve = reserve.min((whole.high - whole.low) / 4);
        let StackBounds { low: bottom, high, is_threads } = whole;
        if is_threads {
            let reach = reserve.saturating_sub(HOST_PAGE as usize);
            return GuestStack { bottom, low: bottom + reserve, high, reach };
        }
        let room = sp - bottom;
        let reserve = if room < MIN_ROOM { room + 1 } else { reserve.min(room / 2) };
        GuestStack { bottom, low: bottom + reserve, high, reach: 0 }
    }

    /// Whether an address is on this stack at all.
    pub(crate) fn holds(&self, address: usize) -> bool {
        (self.bottom..self.high).contains(&address)
    }

    /// Whether wasm code may be entered with the stack pointer at this address.
    pub(crate) fn contains(&self, address: usize) -> bool {
        (self.low..self.high).contains(&address)
    }
}
