//! Instances.
//!
//! | file | does |
//! |---|---|
//! | `build.rs` | instantiation: address space, vmctx, segments, start function |
//! | `enter.rs` | the host's own calls |
//! | `functions.rs` | function pointers, both ways |
//! | `known.rs` | signatures that there were callbacks of |
//! | `poll.rs` | calls that other threads have left |
//! | `scoped.rs` | callbacks that C keeps for a while |
//! | `stop.rs` | traps and refusals: what is recorded, and what is put back |
//! | `windows.rs` | windows, as the host makes them |
//! | `shown.rs` | the window that callbacks find open without asking |
//! | `segments.rs` | constant expressions and the instructions on segments |
//! | `handle.rs` | [`Instance`], what the host holds |
//! | `objects.rs` | handles that the host gives and takes |
//! | `tables.rs` | tables, as the host reads and writes them |
//!
//! # Who may touch what
//! An [`InstanceData`] is touched by its group's owner: the thread that compiled code of it runs on, or would run on. Other
//! threads know of its [`Inbox`] only, which outlives it. That is why its cells need no locks.

pub(crate) mod build;
mod callbacks;
mod enter;
mod functions;
mod handle;
mod known;
mod objects;
mod passed;
mod poll;
mod scoped;
mod segments;
mod shown;
mod stop;
mod tables;
mod windows;

pub use handle::{Instance, MemoryView};
pub(crate) use known::Known;
pub(crate) use passed::FunctionParam;
pub(crate) use stop::Admission;

use self::functions::Functions;
use crate::code::DirectPages;
use crate::code::arena::ThunkPages;
use crate::code::registry::Registration;
use crate::code::stamped::Slot;
use crate::crossing::Refused;
use crate::crossing::calls::Calls;
use crate::crossing::copies::Shadows;
use crate::crossing::scope::Scopes;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::exception::TagData;
use crate::gc::Heap;
use crate::group::{Group, GuestStack};
use crate::linker::ThunkInfo;
use crate::memory::{Bytes, Memory};
use crate::module::Module;
use crate::os::{Mapping, bounds_around};
use crate::table::Table;
use crate::thread::Inbox;
use crate::trap::{Capture, backtrace, native};
use crate::window::{CallWindows, WindowSpace};
use std::cell::{Cell, Ref, RefCell, UnsafeCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use wasmbridge_artifact::gc::VmTag;
use wasmbridge_artifact::module::ExternIndex;
use wasmbridge_artifact::vmctx::{
    CrossingFrame, DirectRecord, FunctionImport, HOST_PAGE, ShownWindow, ThunkRecord, VmFuncRef, VmHead,
};

/// What an instance is made of.
#[derive(Debug)]
pub(crate) struct InstanceData {
    module: Module,
    group: Mutex<Arc<Group>>,
    /// the group's
    heap: RefCell<Arc<Heap>>,
    /// what other threads leave for it
    inbox: Arc<Inbox>,
    vmctx: *mut VmHead,
    /// the outermost crossing frame, which is nobody's: what [`VmHead::crossings`] is when no thunk waits
    outermost: *mut CrossingFrame,
    /// What [`VmHead::crossings`] is to be again when the trap that has not yet surfaced has been taken; null if there is none.
    blocked_at: Cell<*mut CrossingFrame>,
    /// whether a trap is the reason
    trapped: Cell<bool>,
    _capture: Box<UnsafeCell<Capture>>,
    /// what a thunk found wrong, just before it traps
    refusal: RefCell<Option<String>>,
    /// host calls that are running
    depth: Cell<usize>,
    stack: Cell<GuestStack>,
    /// by index; imported ones belong to other members of the group
    memories: Vec<*const Memory>,
    tables: Vec<*const Table>,
    globals: Vec<*mut u8>,
    tags: Vec<Arc<TagData>>,
    /// values of each element segment; empty once dropped
    elements: RefCell<Vec<Vec<u64>>>,
    dropped_data: RefCell<Vec<bool>>,
    pub(crate) scopes: Scopes,
    /// what callbacks are shown
    call_windows: CallWindows,
    /// Between the crossings and the vmctx: callbacks that were late still look at it when the instance is gone.
    shown: *mut ShownWindow,
    /// whether it is the only member of its group
    alone: Cell<bool>,
    /// what calls of C functions that have not returned need after them
    pub(crate) calls: Calls,
    pub(crate) shadows: Shadows,
    functions: Functions,
    /// boxed, like what follows: their addresses are in other vectors, in records and in vmctxs
    #[expect(clippy::vec_box, reason = "see above")]
    _own_memories: Vec<Box<Memory>>,
    #[expect(clippy::vec_box, reason = "see above")]
    _own_tables: Vec<Box<Table>>,
    #[expect(clippy::vec_box, reason = "see above")]
    thunks: Vec<Box<Thunk>>,
    _direct: Vec<DirectSlot>,
    _crossings_guard: Registration,
    /// the vmctx, and memory 0 if the module defines it
    _space: Arc<Mapping>,
}

/// An imported C function, or one that the app was given a pointer of.
#[derive(Debug)]
pub(crate) struct Thunk {
    record: ThunkRecord,
    info: Box<ThunkInfo>,
    code: Arc<ThunkPages>,
}

/// A copy of the code that call instructions call for an import.
#[derive(Debug)]
pub(crate) struct DirectSlot {
    slot: Slot<DirectRecord>,
    covered: *const u8,
    pages: Arc<Mutex<DirectPages>>,
}

impl DirectSlot {
    /// Stamps a copy.
    pub(crate) fn new(pages: Arc<Mutex<DirectPages>>, record: DirectRecord) -> Result<DirectSlot, Error> {
        let (slot, covered) = {
            let mut pages = pages.lock().unwrap_or_else(|e| e.into_inner());
            (pages.take()?, pages.covered())
        };
        let covered = covered.map_or(record.function, |offset| slot.entry.wrapping_add(offset));
        // SAFETY: the slot has just been taken: nobody else has its record.
        unsafe { slot.record.write(record) };
        Ok(DirectSlot { slot, covered, pages })
    }

    /// The code.
    pub(crate) fn entry(&self) -> *const u8 {
        self.slot.entry
    }

    /// What is called where a crossing frame stands for the call.
    pub(crate) fn covered(&self) -> *const u8 {
        self.covered
    }
}

impl Drop for DirectSlot {
    fn drop(&mut self) {
        // A backtrace may come upon a return address that has been left on a stack.
        // SAFETY: the slot's record is this value's, and the instance whose code calls it is going.
        unsafe { (*self.slot.record).function = std::ptr::null() };
        self.pages.lock().unwrap_or_else(|e| e.into_inner()).give_back(self.slot);
    }
}

// SAFETY: see "Who may touch what" above.
unsafe impl Send for InstanceData {}
// SAFETY: see "Who may touch what" above.
unsafe impl Sync for InstanceData {}

impl InstanceData {
    /// The instance whose vmctx this is.
    ///
    /// # Safety
    /// The vmctx is that of a live instance.
    pub(crate) unsafe fn of<'a>(vmctx: *mut VmHead) -> &'a InstanceData {
        // SAFETY: `host` is set at instantiation to the instance, which does not move.
        unsafe { &*(*vmctx).host.cast::<InstanceData>() }
    }

    pub(crate) fn module(&self) -> &Module {
        &self.module
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.module.engine()
    }

    pub(crate) fn group(&self) -> Arc<Group> {
        self.group.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    pub(crate) fn set_group(&self, group: Arc<Group>) {
        self.heap.replace(group.heap().clone());
        *self.group.lock().unwrap_or_else(|e| e.into_inner()) = group;
    }

    pub(crate) fn vmctx(&self) -> *mut VmHead {
        self.vmctx
    }

    /// The head of the vmctx. Compiled code writes to it, so there is never a reference to it.
    fn head(&self) -> *mut VmHead {
        self.vmctx
    }

    /// A place in the vmctx.
    fn at<T>(&self, offset: i32) -> *mut T {
        // SAFETY: offsets come from the module's layout, and the vmctx has its size.
        unsafe { self.vmctx.cast::<u8>().offset(offset as isize).cast() }
    }

    pub(crate) fn memory(&self, index: u32) -> &Memory {
        // SAFETY: memories belong to members of the group, which live as long as this one.
        unsafe { &*self.memories[index as usize] }
    }

    /// The memory that is exported under a name.
    pub(crate) fn exported_memory(&self, export: &str) -> Option<&Memory> {
        let ExternIndex::Memory(index) = self.export(export)? else { return None };
        Some(self.memory(index))
    }

    /// Where the memory is that is exported under a name.
    pub(crate) fn memory_view(&self, export: &str) -> Option<MemoryView> {
        let memory = self.exported_memory(export)?;
        Some(MemoryView { base: memory.base(), len_bytes: memory.len_bytes(), shared: memory.ty().shared })
    }

    pub(crate) fn table(&self, index: u32) -> &Table {
        // SAFETY: as for memories.
        unsafe { &*self.tables[index as usize] }
    }

    /// Where a global's value is.
    pub(crate) fn global_ptr(&self, index: u32) -> *mut u8 {
        self.globals[index as usize]
    }

    /// The heap of the group: on the owner's thread only.
    pub(crate) fn heap(&self) -> Ref<'_, Arc<Heap>> {
        self.heap.borrow()
    }

    /// What other threads leave for it.
    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// A tag's identity.
    pub(crate) fn tag(&self, index: u32) -> *const VmTag {
        self.tags[index as usize].vm()
    }

    pub(crate) fn tag_data(&self, index: u32) -> &Arc<TagData> {
        &self.tags[index as usize]
    }

    fn memory0(&self) -> Option<&Memory> {
        (!self.memories.is_empty()).then(|| self.memory(0))
    }

    /// Native address of memory 0, or an address with which no pointer compares equal.
    pub(crate) fn memory_base(&self) -> *mut u8 {
        // SAFETY: the vmctx is live as long as the instance.
        unsafe { (*self.head()).memory0_base }
    }

    /// Bytes of memory 0.
    pub(crate) fn memory_len(&self) -> u64 {
        self.memory0().map_or(0, Memory::len_bytes)
    }

    fn some_memory(&self) -> Result<&Memory, Refused> {
        self.memory0().ok_or_else(|| "the app has no memory".to_owned())
    }

    /// `len` bytes at a guest address of memory 0, to read, or to write too.
    pub(crate) fn bytes(&self, guest_addr: u64, len: u64, write: bool) -> Result<Bytes, Refused> {
        self.some_memory()?.bytes(guest_addr, len, write)
    }

    /// The address that C is given of `len` bytes at a guest address of memory 0, which it reads, or writes too.
    pub(crate) fn native(&self, guest_addr: u64, len: u64, write: bool) -> Result<*mut u8, Refused> {
        self.some_memory()?.native(guest_addr, len, write)
    }

    /// How many bytes from a guest address on are the app's, without a gap.
    pub(crate) fn available(&self, guest_addr: u64) -> u64 {
        self.memory0().map_or(0, |memory| memory.available(guest_addr))
    }

    /// The windows of memory 0.
    pub(crate) fn windows(&self) -> Result<&Arc<WindowSpace>, Error> {
        let memory = self.some_memory().map_err(|why| Error::new(ErrorKind::NotFound, why))?;
        Ok(&memory.windows)
    }

    /// The guest address of a native address in memory 0.
    pub(crate) fn guest_addr(&self, native: usize) -> Option<u64> {
        self.memory0()?.guest_addr(native)
    }

    /// Room in the app's scratch memory.
    pub(crate) fn scratch(&self, len: u64) -> Result<(u64, *mut u8), Refused> {
        let memory = self.memory0().ok_or("the app has no memory to copy it into")?;
        memory.scratch.allocate(memory, len)
    }

    /// Whether a guest address lies in what the app is shown for a while.
    pub(crate) fn is_shown(&self, guest_addr: u64) -> bool {
        self.memory0().is_some_and(|memory| memory.scratch.contains(guest_addr, guest_addr))
    }

    /// Opens a scope for a native frame.
    pub(crate) fn open_scope(&self, native_addr: usize) {
        self.settle_shown();
        self.scopes.open(native_addr, self.memory0().map(|m| m.scratch.mark()));
    }

    /// Ends the scopes of native frames at or below an address.
    pub(crate) fn close_scope(&self, native_addr: usize) {
        self.settle_shown();
        let ended = self.scopes.close_to(native_addr);
        if let (Some(mark), Some(memory)) = (ended.scratch, self.memory0()) {
            memory.scratch.release(mark);
        }
        ended.copies.into_iter().for_each(|copies| copies.end(self));
        self.close_windows(&ended.windows);
    }

    /// Where a function of this module that can become a funcref has its `VmFuncRef`.
    pub(crate) fn funcref(&self, function: u32) -> Option<*const VmFuncRef> {
        self.funcrefs()(function)
    }

    /// The same for many functions.
    fn funcrefs(&self) -> impl Fn(u32) -> Option<*const VmFuncRef> {
        let funcrefs: *const VmFuncRef = self.at(self.module.artifact().layout.funcrefs());
        // The array in the vmctx has as many elements as there are positions.
        move |function| Some(funcrefs.wrapping_add(self.module.escaping_position(function)? as usize))
    }

    /// What there is to know of an imported C function; `None` if it is a wasm function.
    pub(crate) fn imported(&self, function: u32) -> Option<&ThunkInfo> {
        if function as usize >= self.module.metadata().imported_functions() {
            return None;
        }
        let import = self.at::<FunctionImport>(self.module.artifact().layout.imported_function(function));
        // SAFETY: written when the instance was made, for each imported function.
        let vmctx = unsafe { (*import).vmctx };
        let thunk = self.thunks.iter().find(|thunk| std::ptr::eq(&raw const thunk.record, vmctx.cast()))?;
        Some(&thunk.info)
    }

    /// The item of an export, if there is one of this name.
    pub(crate) fn export(&self, name: &str) -> Option<ExternIndex> {
        self.module.metadata().export(name)
    }

    /// The innermost crossing frames first: C functions that the app has called and that have not returned.
    pub(crate) fn crossings(&self) -> impl Iterator<Item = CrossingFrame> {
        let mut next = self.innermost();
        let end = self.outermost;
        std::iter::from_fn(move || {
            // SAFETY: below the end, so a frame that a thunk has filled.
            (next < end).then(|| unsafe {
                let frame = *next;
                next = next.add(1);
                frame
            })
        })
    }

    /// The innermost crossing frame. It may only be compared.
    pub(crate) fn crossings_now(&self) -> *const CrossingFrame {
        self.innermost()
    }

    /// The innermost crossing frame, whether anybody may enter or not.
    fn innermost(&self) -> *mut CrossingFrame {
        // SAFETY: the vmctx is live.
        let crossings = unsafe { (*self.head()).crossings };
        if crossings == self.refusing() { self.blocked_at.get() } else { crossings }
    }

    /// Makes a crossing frame of the array the innermost one.
    fn set_innermost(&self, crossing: *mut CrossingFrame) {
        // SAFETY: the vmctx is live.
        let crossings = unsafe { &raw mut (*self.head()).crossings };
        // SAFETY: see above.
        unsafe {
            if *crossings == self.refusing() {
                self.blocked_at.set(crossing);
            } else {
                *crossings = crossing;
            }
        }
    }

    fn refusing(&self) -> *mut CrossingFrame {
        // SAFETY: the vmctx is live.
        unsafe { &raw mut (*self.head()).refusing }
    }

    /// Where the next crossing frame will be: that of a C function which is about to be called, or has just returned. It may only be compared.
    pub(crate) fn next_crossing(&self) -> *const CrossingFrame {
        self.crossings_now().wrapping_sub(1)
    }

    pub(crate) fn has_crossings(&self) -> bool {
        self.crossings().next().is_some()
    }

    /// Whether code of the instance is on the stack: a host call, or a C function that the app has called. (A callback that runs
    /// without either is not seen: that the host does not delete the instance there is its side of the contract.) On the owner's thread.
    pub(crate) fn is_running(&self) -> bool {
        // What a `longjmp` or an exception has skipped is not on the stack. Where the unwinder cannot tell, it may be.
        self.depth.get() > 0 || self.crossings().any(|frame| native::is_on_stack(frame.frame_pointer()) != Some(false))
    }

    /// The same, as far as another thread can tell while the owner runs none of this: it looks at the owner's stack, if that is still there.
    pub(crate) fn seems_running(&self) -> bool {
        self.depth.get() > 0 || self.seems_crossed()
    }

    /// Whether a C function that the app has called seems to be running, on whatever stack.
    pub(crate) fn seems_crossed(&self) -> bool {
        let waits = |frame: CrossingFrame| {
            let stack = bounds_around(frame.frame);
            stack.is_some_and(|stack| backtrace::waits(&frame, stack.high))
        };
        self.crossings().any(waits)
    }

    /// Moves to a stack. Nothing runs.
    pub(crate) fn set_stack(&self, stack: GuestStack) {
        self.close_idle_windows();
        self.scopes.end_lent(usize::MAX);
        self.stack.set(stack);
        // SAFETY: the vmctx is live, and none of its code runs.
        unsafe { (*self.head()).stack_limit = stack.low };
        // In this order: callbacks on other threads read the ceiling first, and with the new one not a reach that is too long for it.
        self.reach().fetch_min(stack.reach, Ordering::Release);
        self.ceiling().store(stack.high, Ordering::Release);
    }

    /// [`VmHead::reach`], which callbacks on other threads read at any time.
    pub(super) fn reach(&self) -> &AtomicUsize {
        // SAFETY: an aligned word of the vmctx, which is live.
        unsafe { AtomicUsize::from_ptr(&raw mut (*self.head()).reach) }
    }

    /// The outermost crossing's `frame`, which callbacks on other threads read at any time: the owner enters from less than `reach` below it.
    pub(super) fn ceiling(&self) -> &AtomicUsize {
        // SAFETY: an aligned word of the crossings' array, which is live.
        unsafe { AtomicUsize::from_ptr(&raw mut (*self.outermost).frame) }
    }
}

impl Drop for InstanceData {
    fn drop(&mut self) {
        self.engine().retire(self.shadows.retire());
        if !self.functions.stamped.get() {
            return;
        }
        // A callback on another thread that has read the vmctx's address reads its head, at some later time, and finds that it may not enter.
        self.reach().store(0, Ordering::Release);
        self.withdraw_window();
        let head = self.vmctx as usize - self._space.start() as usize;
        self._space.outlive(head - HOST_PAGE as usize, 2 * HOST_PAGE as usize);
    }
}
