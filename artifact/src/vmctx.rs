//! The structures that compiled code reads and writes, and where everything is in them.
//!
//! Compiled code, the trampolines' shapes, the runtime and its signal handler all derive their offsets from here.
//!
//! # The vmctx
//!
//! Each instance has one block, the vmctx: a fixed head ([`VmHead`]) and after it the instance's own imports, tables, memories,
//! globals, type ids and funcrefs, at offsets that [`VmLayout`] computes from the module. Where the module defines a memory of
//! its own as memory 0, the block lies just below it:
//!
//! ```text
//!   vmctx (page-aligned)                          guard page      memory 0, aligned to 4 GiB
//!   | VmHead | imports | defs | globals | ... |   | no access |   | byte 0 ...
//!   ^------------------- memory0_distance ----------------------->^
//! ```
//!
//! so that compiled code reaches `index + offset` of memory 0 as `[vmctx + index + (memory0_distance + offset)]`, with no load.
//!
//! # Pointers in place of the vmctx
//!
//! A wasm function is called with the vmctx of its own instance; a native function behind an import is called with a pointer to
//! its [`ThunkRecord`] in the same place. Callers cannot tell them apart and need not.

pub mod handles;

use crate::module::{ImportKind, Module};
use crate::types::{FuncType, ValType};
use std::mem::offset_of;

/// Host page size that layouts assume, in bytes. The runtime refuses to start on a host whose pages are larger.
pub const HOST_PAGE: u64 = 4096;

/// The head of every vmctx.
///
/// # Layout
/// Compiled code and shapes use the offsets in [`head`].
///
/// # Movement
/// Never: compiled code, callbacks' records and thunks' records hold its address until the instance is deleted.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct VmHead {
    /// The runtime's own structure for this instance; code only passes it on.
    pub host: *mut u8,
    /// Wasm functions trap if the stack pointer would fall below this.
    pub stack_limit: usize,
    /// In entering from C, the stack pointer must lie less than so many bytes below `crossings.frame`: on a thread that does not own the instance, on another stack,
    /// while an error is pending, or with frames of a crossing that a C `longjmp` has skipped, it does not, and the slow path sorts out which. It
    /// only ever becomes less: see [`CrossingFrame::frame`].
    pub reach: usize,
    /// The innermost [`CrossingFrame`]: the array grows downwards, and below its end lies a guard page. While entering is refused,
    /// because a trap has not yet surfaced, [`VmHead::refusing`].
    pub crossings: *mut CrossingFrame,
    /// Native address of memory 0's first byte; a dangling but non-null address if the module has no memory.
    pub memory0_base: *mut u8,
    /// Memory 0's definition; of a memory of length 0 if the module has none.
    pub memory0: *const MemoryDef,
    /// The runtime's builtin functions, in the order of [`Builtin::ALL`](crate::Builtin::ALL).
    pub builtins: *const *const u8,
    /// Where the signal handler leaves what it knows of a trap.
    pub capture: *mut u8,
    /// The storage of the guest's `__stack_pointer` global, if the module has one that is known ([`Module::stack_pointer`]).
    pub stack_pointer: u64,
    /// A crossing frame that admits nobody, and that no thunk takes for its own: its `frame` is 0.
    pub refusing: CrossingFrame,
    /// What callbacks with a `[window]` parameter look at before they ask the runtime.
    pub shown: *mut ShownWindow,
    /// The app's table of [`handles`]; one without any, until the app is given its first.
    pub handles: *const u64,
}

/// Offsets in [`VmHead`], in bytes.
pub mod head {
    use super::*;

    /// of [`VmHead::host`]
    pub const HOST: i32 = offset_of!(VmHead, host) as i32;
    /// of [`VmHead::stack_limit`]
    pub const STACK_LIMIT: i32 = offset_of!(VmHead, stack_limit) as i32;
    /// of [`VmHead::reach`]
    pub const REACH: i32 = offset_of!(VmHead, reach) as i32;
    /// of [`VmHead::crossings`]
    pub const CROSSINGS: i32 = offset_of!(VmHead, crossings) as i32;
    /// of [`VmHead::memory0_base`]
    pub const MEMORY0_BASE: i32 = offset_of!(VmHead, memory0_base) as i32;
    /// of [`VmHead::memory0`]
    pub const MEMORY0: i32 = offset_of!(VmHead, memory0) as i32;
    /// of [`VmHead::builtins`]
    pub const BUILTINS: i32 = offset_of!(VmHead, builtins) as i32;
    /// of [`VmHead::stack_pointer`]
    pub const STACK_POINTER: i32 = offset_of!(VmHead, stack_pointer) as i32;
    /// of [`VmHead::refusing`]
    pub const REFUSING: i32 = offset_of!(VmHead, refusing) as i32;
    /// of [`VmHead::shown`]
    pub const SHOWN: i32 = offset_of!(VmHead, shown) as i32;
    /// of [`VmHead::handles`]
    pub const HANDLES: i32 = offset_of!(VmHead, handles) as i32;
    /// where the module's own part begins
    pub const END: u32 = size_of::<VmHead>() as u32;
}

/// The window that a callback may be shown by its fast entry: the only one that is open for callbacks, while no code of the instance is on the stack. It
/// is a region, so that a native address in it is, cut to 32 bits, the guest's.
///
/// While there is one, [`VmHead::crossings`] is [`VmHead::refusing`]: who is not shown it takes the slow path, which closes it.
///
/// # Layout
/// The fast entries of callbacks read it and write `frame` and `count`; they use the offsets in [`shown`].
///
/// # Movement
/// Never, as the vmctx.
#[repr(C)]
#[derive(Debug)]
pub struct ShownWindow {
    /// What the outermost [`CrossingFrame::frame`] is: the stack pointer must lie less than [`VmHead::reach`] below it. 0 if there is no such window.
    pub ceiling: usize,
    /// The frame pointer of the callback that is running with it, and for which the runtime keeps no scope; else 0.
    pub frame: usize,
    /// where the number is by which the host's changes of windows are counted
    pub changes_now: *const u64,
    /// what that was when all of this was written
    pub changes: u64,
    /// native address of its first byte
    pub native: usize,
    /// its bytes that may be read: all of them
    pub readable: u64,
    /// its bytes that may be written: all of them, or 0
    pub writable: u64,
    /// what [`VmHead::crossings`] is while a callback runs
    pub crossings: *mut CrossingFrame,
    /// how often data in it was shown so
    pub count: u64,
}

/// Offsets in [`ShownWindow`], in bytes.
pub mod shown {
    use super::*;

    /// of [`ShownWindow::ceiling`]
    pub const CEILING: i32 = offset_of!(ShownWindow, ceiling) as i32;
    /// of [`ShownWindow::frame`]
    pub const FRAME: i32 = offset_of!(ShownWindow, frame) as i32;
    /// of [`ShownWindow::changes_now`]
    pub const CHANGES_NOW: i32 = offset_of!(ShownWindow, changes_now) as i32;
    /// of [`ShownWindow::changes`]
    pub const CHANGES: i32 = offset_of!(ShownWindow, changes) as i32;
    /// of [`ShownWindow::native`]
    pub const NATIVE: i32 = offset_of!(ShownWindow, native) as i32;
    /// of [`ShownWindow::readable`]
    pub const READABLE: i32 = offset_of!(ShownWindow, readable) as i32;
    /// of [`ShownWindow::writable`]
    pub const WRITABLE: i32 = offset_of!(ShownWindow, writable) as i32;
    /// of [`ShownWindow::crossings`]
    pub const CROSSINGS: i32 = offset_of!(ShownWindow, crossings) as i32;
    /// of [`ShownWindow::count`]
    pub const COUNT: i32 = offset_of!(ShownWindow, count) as i32;
}

impl ShownWindow {
    /// None.
    pub const NONE: ShownWindow = ShownWindow {
        ceiling: 0,
        frame: 0,
        changes_now: std::ptr::null(),
        changes: 0,
        native: 0,
        readable: 0,
        writable: 0,
        crossings: std::ptr::null_mut(),
        count: 0,
    };
}

/// A linear memory, as compiled code sees it. `base` never changes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct MemoryDef {
    /// native address of byte 0
    pub base: *mut u8,
    /// current length in bytes; grows only; of a shared memory read and written atomically
    pub len_bytes: u64,
    /// [`short_limit`] of that length
    pub short_limit: u64,
}

/// Up to so many bytes are short: whether they lie in a memory is checked by one comparison with [`MemoryDef::short_limit`].
pub const SHORT_BYTES: u64 = 256;

/// Where a guest's address, less 1 and cut to 32 bits, must lie below, so that [`SHORT_BYTES`] from it on lie in a memory of this length. Of address 0 that
/// is 2^32 - 1, which is not below any limit.
pub const fn short_limit(len_bytes: u64) -> u64 {
    let limit = len_bytes.saturating_sub(SHORT_BYTES);
    if limit < u32::MAX as u64 { limit } else { u32::MAX as u64 }
}

/// A table, as compiled code sees it: `base` changes when it grows.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TableDef {
    /// Native address of element 0; an element is 8 bytes, 0 is null: a `*const VmFuncRef`, or the host's value of an externref.
    pub base: *mut u64,
    /// current length in elements
    pub len: u64,
}

/// What a non-null funcref points to.
///
/// # Movement
/// Never: tables and callbacks hold its address.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VmFuncRef {
    /// The code, in the `Tail` convention: `(vmctx, params...) -> results`.
    pub code: *const u8,
    /// What to pass as the first parameter: a vmctx, or a [`ThunkRecord`].
    pub vmctx: *mut u8,
    /// The engine-wide id of the function's type: equal types have equal ids.
    pub type_id: u32,
    /// The function's index in the module that defines it, for messages and backtraces.
    pub function: u32,
}

/// An imported function.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct FunctionImport {
    /// the code, in the `Tail` convention, as in [`VmFuncRef`]
    pub code: *const u8,
    /// what to pass as the first parameter
    pub vmctx: *mut u8,
    /// What a call instruction calls, if the function's type [is passed as C passes it](is_direct): a function in the C (System V)
    /// convention with the wasm parameters and nothing else. That may be the C function itself. Of an integer of 32 bits, the upper half of the
    /// register may hold anything.
    pub direct: *const u8,
    /// What is called instead of `direct` where the caller's own [`CrossingFrame`] is there for it, a standing one: it leaves none, and the caller looks
    /// afterwards whether its own is still the innermost.
    pub covered: *const u8,
}

/// Integer arguments of a function that is called directly: as many as there are registers for, less the one for the vmctx.
pub const DIRECT_INTEGERS: usize = 5;
/// Float arguments of a function that is called directly: as many as there are registers for.
pub const DIRECT_FLOATS: usize = 8;

/// Whether imported functions of this type are called through [`FunctionImport::direct`]: all values travel in registers, in C as in the
/// `Tail` convention, where the integers come one place later. Compiler and runtime both ask here.
pub fn is_direct(ty: &FuncType) -> bool {
    let integer = |ty: &&ValType| matches!(ty, ValType::I32 | ValType::I64);
    let float = |ty: &&ValType| matches!(ty, ValType::F32 | ValType::F64);
    let (integers, floats) = (ty.params.iter().filter(integer).count(), ty.params.iter().filter(float).count());
    integers <= DIRECT_INTEGERS
        && floats <= DIRECT_FLOATS
        && integers + floats == ty.params.len()
        && ty.results.len() <= 1
        && ty.results.iter().all(|ty| integer(&ty) || float(&ty))
}

/// What a stamped callback burns in. Each callback's code finds its own record at a fixed distance from itself.
///
/// # Movement
/// Never. `vmctx` is redirected to a head that refuses every entry when the instance is deleted.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct CallbackRecord {
    /// the instance whose function this is
    pub vmctx: *mut VmHead,
    /// the function's code
    pub code: *const u8,
    /// the function's first parameter (not `vmctx` if the table entry is an imported function)
    pub callee_vmctx: *mut u8,
    /// native address of the instance's memory 0: its low 32 bits are 0
    pub memory_base: *mut u8,
    /// what the C caller gets when the callback cannot run: the integer and the float result register
    pub default_int: u64,
    /// see `default_int`
    pub default_float: u64,
    /// The runtime's own structure for this callback.
    pub info: *mut u8,
    /// The instance whose function this is, also after `vmctx` has been redirected: a call may still be running then, and if it
    /// traps, this is where the trap is recorded.
    pub owner: *mut VmHead,
}

/// Offsets in [`CallbackRecord`], in bytes.
pub mod callback {
    use super::*;

    /// of [`CallbackRecord::vmctx`]
    pub const VMCTX: i32 = offset_of!(CallbackRecord, vmctx) as i32;
    /// of [`CallbackRecord::code`]
    pub const CODE: i32 = offset_of!(CallbackRecord, code) as i32;
    /// of [`CallbackRecord::callee_vmctx`]
    pub const CALLEE_VMCTX: i32 = offset_of!(CallbackRecord, callee_vmctx) as i32;
    /// of [`CallbackRecord::memory_base`]
    pub const MEMORY_BASE: i32 = offset_of!(CallbackRecord, memory_base) as i32;
    /// of [`CallbackRecord::default_int`]
    pub const DEFAULT_INT: i32 = offset_of!(CallbackRecord, default_int) as i32;
    /// of [`CallbackRecord::default_float`]
    pub const DEFAULT_FLOAT: i32 = offset_of!(CallbackRecord, default_float) as i32;
    /// of [`CallbackRecord::owner`]
    pub const OWNER: i32 = offset_of!(CallbackRecord, owner) as i32;
}

/// What a native function behind an import gets in the place of a vmctx.
///
/// # Movement
/// Never: the importing instance's vmctx and tables hold its address.
#[repr(C)]
#[derive(Debug)]
pub struct ThunkRecord {
    /// the instance that imports the function
    pub vmctx: *mut VmHead,
    /// the native function
    pub function: *const u8,
    /// native address of the instance's memory 0: its low 32 bits are 0
    pub memory_base: *mut u8,
    /// the runtime's own structure for this import
    pub info: *mut u8,
}

/// What the code behind [`FunctionImport::direct`] burns in, unless that is the C function itself. Each copy of the code finds its own
/// record at a fixed distance from itself.
///
/// # Movement
/// Never.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct DirectRecord {
    /// the instance that imports the function
    pub vmctx: *mut VmHead,
    /// the native function; null if it is a wasm function, and in a record that nobody uses
    pub function: *const u8,
    /// one more than the native address of the instance's memory 0
    pub memory_base_above: *mut u8,
    /// the definition of the instance's memory 0
    pub memory: *const MemoryDef,
    /// the function in the `Tail` convention: the thunk of the native function, or the wasm function
    pub code: *const u8,
    /// what that gets as its first parameter: a [`ThunkRecord`] or a vmctx
    pub callee_vmctx: *mut u8,
}

/// Offsets in [`DirectRecord`], in bytes.
pub mod direct {
    use super::*;

    /// of [`DirectRecord::vmctx`]
    pub const VMCTX: i32 = offset_of!(DirectRecord, vmctx) as i32;
    /// of [`DirectRecord::function`]
    pub const FUNCTION: i32 = offset_of!(DirectRecord, function) as i32;
    /// of [`DirectRecord::memory_base_above`]
    pub const MEMORY_BASE_ABOVE: i32 = offset_of!(DirectRecord, memory_base_above) as i32;
    /// of [`DirectRecord::memory`]
    pub const MEMORY: i32 = offset_of!(DirectRecord, memory) as i32;
    /// of [`DirectRecord::code`]
    pub const CODE: i32 = offset_of!(DirectRecord, code) as i32;
    /// of [`DirectRecord::callee_vmctx`]
    pub const CALLEE_VMCTX: i32 = offset_of!(DirectRecord, callee_vmctx) as i32;
}

/// Offsets in [`ThunkRecord`], in bytes.
pub mod thunk {
    use super::*;

    /// of [`ThunkRecord::vmctx`]
    pub const VMCTX: i32 = offset_of!(ThunkRecord, vmctx) as i32;
    /// of [`ThunkRecord::function`]
    pub const FUNCTION: i32 = offset_of!(ThunkRecord, function) as i32;
    /// of [`ThunkRecord::memory_base`]
    pub const MEMORY_BASE: i32 = offset_of!(ThunkRecord, memory_base) as i32;
}

/// What a thunk leaves in the instance while its C function runs: an element of a downward-growing array of the instance's,
/// which [`VmHead::crossings`] points into. It is not kept on the native stack, because a C `longjmp` may skip the thunk
/// and other C functions may then write over its frame, and the outer crossings must still be found.
///
/// The outermost element is nobody's: it is there as long as the instance, with an address in the owner's stack, above all that the owner may enter from, and what the guest's
/// stack pointer is when nothing runs. So there is always an innermost one, whose `frame` an entry from C compares with.
///
/// Before the call a thunk fills the element below the innermost one (its first store, to `frame`, faults on the guard page if the array is
/// full: that is the trap `StackOverflow`) and sets `crossings` to it. After the call, `crossings.frame` is its own as long as
/// nothing has happened. It is not if a trap has not yet surfaced, or if a C `longjmp` has skipped inner crossings: then the builtin
/// `ThunkReturned` sorts it out. Else the thunk takes its element off again. An entry from C that lies above skipped crossings on the stack drops them
/// in its slow path.
///
/// A *standing* crossing frame is a wasm function's own, which calls imports in a loop: it is there from the function's beginning to its end, for all
/// calls of imports in between ([`FunctionImport::covered`]). Each costs the function the comparison after it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CrossingFrame {
    /// Where the thunk is on the native stack. Of the code behind [`FunctionImport::direct`], which sets up no frame pointer, the address of its
    /// return address, which is 8 more than a multiple of 16; the wasm function's frame pointer stands below it, and below that the
    /// C function's return address. Of other thunks the frame pointer, a multiple of 16. Of a standing one the wasm function's stack pointer, a multiple of 16,
    /// below which stands the return address into that function.
    ///
    /// Any thread reads it in entering, and [`VmHead::reach`] after it. Whatever it has been, as many bytes as `reach` was then, and so as many as it is later, below it belong to the
    /// stack that it is in, which nobody else has. So no other thread enters, however long one waits for a processor between the two.
    pub frame: usize,
    /// The guest's stack pointer ([`VmHead::stack_pointer`]) at this crossing. Of a standing one, what the function last set it to, or found after a
    /// call of a wasm function.
    pub stack_pointer: u64,
    /// The thunk's record: it names the C function. Of a standing one the function's frame pointer and [`STANDING`](crossing::STANDING). Not set by the code
    /// behind [`FunctionImport::direct`].
    pub record: *const ThunkRecord,
}

/// Offsets in [`CrossingFrame`], in bytes.
pub mod crossing {
    use super::*;

    /// of [`CrossingFrame::frame`]
    pub const FRAME: i32 = offset_of!(CrossingFrame, frame) as i32;
    /// of [`CrossingFrame::stack_pointer`]
    pub const STACK_POINTER: i32 = offset_of!(CrossingFrame, stack_pointer) as i32;
    /// of [`CrossingFrame::record`]
    pub const RECORD: i32 = offset_of!(CrossingFrame, record) as i32;
    /// what is added to the frame pointer in the place of a record
    pub const STANDING: i64 = 1;
    /// bytes
    pub const SIZE: i32 = size_of::<CrossingFrame>() as i32;
}

impl CrossingFrame {
    /// Whether it was made by the code behind [`FunctionImport::direct`].
    pub fn is_direct(&self) -> bool {
        !self.frame.is_multiple_of(16)
    }

    /// Whether it is a wasm function's own.
    pub fn is_standing(&self) -> bool {
        !self.is_direct() && self.record as i64 & crossing::STANDING != 0
    }

    /// A frame pointer: at it is that of the function's caller, and above it the return address into that one. The function is the thunk, if it has a frame
    /// pointer, or the wasm function whose crossing frame stands; else the caller is the wasm function that has called the thunk.
    pub fn frame_pointer(&self) -> usize {
        if self.is_direct() {
            self.frame - size_of::<usize>()
        } else if self.is_standing() {
            self.record as usize - crossing::STANDING as usize
        } else {
            self.frame
        }
    }
}

/// A call of a variadic C function, register by register (System V psABI, 3.2.3).
///
/// # Layout
/// The builtin `call_variadic` reads and writes it, thunks read the results.
#[repr(C)]
#[derive(Debug, Clone)]
pub struct VariadicCall {
    /// Arguments in general registers, in order. The first is the address of where the result goes, if that is returned in memory: whoever calls writes it.
    pub general: [u64; 6],
    /// arguments in vector registers
    pub vector: [u64; 8],
    /// how many of those there are: for `al`
    pub vector_count: u64,
    /// arguments on the stack, the lowest first
    pub stack: *const u64,
    /// eightbytes of them
    pub stack_len: u64,
    /// after the call
    pub rax: u64,
    /// after the call
    pub rdx: u64,
    /// after the call
    pub xmm0: u64,
    /// after the call
    pub xmm1: u64,
}

/// What the host hands an entry trampoline (see [`entry`]).
#[repr(C)]
#[derive(Debug)]
pub struct EntryRecord {
    /// the instance that is entered: where a trap is recorded
    pub owner: *mut VmHead,
}

/// The entry trampolines: how the host calls a wasm function with an array of values.
///
/// One for each function type that an escaping function has, compiled ahead of time, in the C (System V) convention:
///
/// ```text
/// extern "C" fn entry(code: *const u8, callee_vmctx: *mut u8, values: *mut [u8; 16], unused: usize, unused: usize, unused: usize,
///                     record: *const EntryRecord)
/// ```
///
/// `values` has `max(params, results)` slots of 16 bytes, little-endian: parameters going in, results coming out. After a trap it
/// returns as if nothing had happened and the results are not written: the trap stands in the instance.
///
/// The record is the seventh parameter so that it lies on the stack, in the caller's frame, at the fixed place
/// [`RECORD_FROM_FP`](entry::RECORD_FROM_FP) above the frame pointer, where the signal handler finds it (System V psABI, 3.2.3).
pub mod entry {
    /// bytes from the entry's frame pointer to the record parameter
    pub const RECORD_FROM_FP: usize = 16;
    /// bytes from one value to the next
    pub const VALUE_SIZE: usize = 16;
    /// parameters: code, callee_vmctx, values, three unused, record
    pub const PARAMETERS: usize = 7;
}

/// Bytes of a global's storage: enough for a `v128`.
pub const GLOBAL_SIZE: u32 = 16;

/// Where everything is in the vmctx of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmLayout {
    imported_functions: Region,
    imported_tables: Region,
    imported_memories: Region,
    imported_globals: Region,
    tables: Region,
    memories: Region,
    globals: Region,
    type_ids: Region,
    funcrefs: Region,
    tags: Region,
    type_infos: Region,
    stack_pointer: Option<u32>,
    size: u32,
}

/// An array in the vmctx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Region {
    start: u32,
    count: u32,
    stride: u32,
}

impl Region {
    fn at(&self, index: u32) -> i32 {
        assert!(index < self.count, "vmctx index {index} of {}", self.count);
        (self.start + index * self.stride) as i32
    }
}

/// The most bytes a vmctx may have, so that every offset into memory 0 of less than 2 GiB less this is one displacement.
pub const MAX_VMCTX_BYTES: u32 = 64 << 20;

impl VmLayout {
    /// Computes the layout. `None` if the module has so many imports, globals or functions that the vmctx would
    /// be larger than [`MAX_VMCTX_BYTES`].
    pub fn new(module: &Module) -> Option<VmLayout> {
        let mut end = u64::from(head::END);
        let mut region = |count: usize, stride: u32, align: u64| {
            let start = end.next_multiple_of(align);
            end = start + count as u64 * u64::from(stride);
            // Offsets beyond the limit are refused below; until then they only must not overflow.
            Region { start: start.min(u64::from(u32::MAX)) as u32, count: count as u32, stride }
        };
        let count = |pick: fn(&ImportKind) -> bool| module.imports.iter().filter(|i| pick(&i.kind)).count();
        let imported_functions =
            region(count(|k| matches!(k, ImportKind::Func(_))), size_of::<FunctionImport>() as u32, 16);
        let tables = count(|k| matches!(k, ImportKind::Table(_)));
        let imported_tables = region(tables, 8, 8);
        let memories = count(|k| matches!(k, ImportKind::Memory(_)));
        let imported_memories = region(memories, 8, 8);
        let globals = count(|k| matches!(k, ImportKind::Global(_)));
        let imported_globals = region(globals, 8, 8);
        let layout = VmLayout {
            imported_functions,
            imported_tables,
            imported_memories,
            imported_globals,
            tables: region(module.tables.len() - tables, size_of::<TableDef>() as u32, 16),
            memories: region(module.memories.len() - memories, size_of::<MemoryDef>() as u32, 16),
            globals: region(module.globals.len() - globals, GLOBAL_SIZE, 16),
            type_ids: region(module.types.len(), 4, 4),
            funcrefs: region(module.escaping.len(), size_of::<VmFuncRef>() as u32, 8),
            tags: region(module.tags.len(), 8, 8),
            type_infos: region(if module.has_collected_types() { module.types.len() } else { 0 }, 8, 8),
            stack_pointer: module.stack_pointer,
            size: 0,
        };
        (end <= u64::from(MAX_VMCTX_BYTES)).then_some(VmLayout { size: end as u32, ..layout })
    }

    /// Bytes of the vmctx.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Bytes from the vmctx to memory 0, where the module defines it: whole host pages, at least one of them a guard.
    pub fn memory0_distance(&self) -> u64 {
        u64::from(self.size).next_multiple_of(HOST_PAGE) + HOST_PAGE
    }

    /// The [`FunctionImport`] of an imported function.
    pub fn imported_function(&self, function: u32) -> i32 {
        self.imported_functions.at(function)
    }

    /// Where the table's [`TableDef`] is.
    pub fn table(&self, table: u32) -> Place {
        Self::place(&self.imported_tables, &self.tables, table)
    }

    /// Where the memory's [`MemoryDef`] is.
    pub fn memory(&self, memory: u32) -> Place {
        Self::place(&self.imported_memories, &self.memories, memory)
    }

    /// Where the global's [`GLOBAL_SIZE`] bytes are.
    pub fn global(&self, global: u32) -> Place {
        if self.stack_pointer == Some(global) {
            return Place::Here(head::STACK_POINTER);
        }
        Self::place(&self.imported_globals, &self.globals, global)
    }

    /// The engine-wide id (`u32`) of a type of the module.
    pub fn type_id(&self, ty: u32) -> i32 {
        self.type_ids.at(ty)
    }

    /// The [`VmFuncRef`] of the escaping function that is number `position` in [`Module::escaping`].
    pub fn funcref(&self, position: u32) -> i32 {
        self.funcrefs.at(position)
    }

    /// The first [`VmFuncRef`]. The others follow it without gaps, in the order of [`Module::escaping`]: an array.
    pub fn funcrefs(&self) -> i32 {
        self.funcrefs.start as i32
    }

    /// The pointer to a tag's [`VmTag`](crate::gc::VmTag), wherever it is defined.
    pub fn tag(&self, tag: u32) -> i32 {
        self.tags.at(tag)
    }

    /// The pointer to the [`TypeInfo`](crate::gc::TypeInfo) of a type that is a struct's or an array's.
    pub fn type_info(&self, ty: u32) -> i32 {
        self.type_infos.at(ty)
    }

    fn place(imported: &Region, defined: &Region, index: u32) -> Place {
        match index.checked_sub(imported.count) {
            None => Place::Behind(imported.at(index)),
            Some(index) => Place::Here(defined.at(index)),
        }
    }
}

/// Where a definition is: in this vmctx, or in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// at this offset
    Here(i32),
    /// behind the pointer at this offset; the pointer never changes
    Behind(i32),
}

/// Bytes that a value takes in a global or an array of values.
pub fn value_size(ty: ValType) -> u32 {
    match ty {
        ValType::I32 | ValType::F32 => 4,
        ValType::I64 | ValType::F64 | ValType::Ref(_) => 8,
        ValType::V128 => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{Import, Target};
    use crate::types::*;

    fn module() -> Module {
        let func = |name: &str| Import { module: "env".into(), name: name.into(), kind: ImportKind::Func(0) };
        let global = GlobalType { content: ValType::I32, mutable: true };
        Module {
            name: None,
            target: Target::for_tests(),
            types: vec![SubType::func(FuncType::default()); 3],
            groups: vec![1; 3],
            imports: vec![
                func("a"),
                Import { module: "env".into(), name: "g".into(), kind: ImportKind::Global(global) },
                func("b"),
            ],
            functions: vec![0, 0, 1, 2],
            tables: vec![TableType { element: RefType::FUNC, minimum: 1, maximum: None, table64: false }],
            memories: vec![MemoryType {
                minimum: 1,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: 16,
            }],
            globals: vec![global; 3],
            tags: vec![0, 1],
            global_inits: vec![],
            table_inits: vec![],
            exports: vec![],
            start: None,
            elements: vec![],
            data: vec![],
            escaping: vec![2, 3],
            entries: vec![],
            stack_pointer: Some(1),
            image: None,
        }
    }

    #[test]
    fn regions_do_not_overlap_and_are_aligned() {
        let layout = VmLayout::new(&module()).unwrap();
        let Place::Here(memory) = layout.memory(0) else { panic!("memory 0 is defined here") };
        let Place::Here(table) = layout.table(0) else { panic!("table 0 is defined here") };
        let Place::Here(global) = layout.global(2) else { panic!("global 2 is defined here") };
        let starts = [
            (layout.imported_function(0), 32),
            (layout.imported_function(1), 32),
            (table, 16),
            (memory, 24),
            (global, 16),
            (layout.type_id(0), 4),
            (layout.type_id(2), 4),
            (layout.funcref(0), 24),
            (layout.funcref(1), 24),
            (layout.tag(0), 8),
            (layout.tag(1), 8),
        ];
        let mut end = head::END as i32;
        for (start, len) in starts {
            assert!(start >= end, "{start} begins before {end}");
            end = start + len;
        }
        assert_eq!(layout.size() as i32, end);
        assert_eq!(memory % 16, 0);
        assert_eq!(global % 16, 0);
    }

    #[test]
    fn places_tell_imported_from_defined() {
        let layout = VmLayout::new(&module()).unwrap();
        assert!(matches!(layout.global(0), Place::Behind(_)));
        assert_eq!(layout.global(1), Place::Here(head::STACK_POINTER), "the guest's stack pointer is in the head");
    }

    #[test]
    fn a_guard_page_lies_between_vmctx_and_memory() {
        let layout = VmLayout::new(&module()).unwrap();
        assert!(layout.memory0_distance() >= u64::from(layout.size()) + HOST_PAGE);
        assert_eq!(layout.memory0_distance() % HOST_PAGE, 0);
    }

    #[test]
    fn records_have_the_sizes_that_code_relies_on() {
        assert_eq!(size_of::<CallbackRecord>(), 64);
        assert_eq!(size_of::<VmFuncRef>(), 24);
        assert_eq!(size_of::<MemoryDef>(), 24);
        assert_eq!(size_of::<TableDef>(), 16);
        assert_eq!(crossing::SIZE, 24);
        assert_eq!(size_of::<DirectRecord>(), 64);
        assert_eq!(head::END % 16, 0);
    }

    #[test]
    fn short_extents_end_in_the_memory() {
        // What the comparison lets pass is inside, and address 0 never passes.
        for len in [0, 1, SHORT_BYTES, SHORT_BYTES + 1, 65_536, (1 << 32) - 65_536, 1 << 32] {
            let limit = short_limit(len);
            assert!(u64::from(0u32.wrapping_sub(1)) >= limit, "NULL in a memory of {len} bytes");
            assert!(limit == 0 || limit - 1 + 1 + SHORT_BYTES <= len, "the last address that passes, of {len} bytes");
            assert!(limit as u32 as u64 == limit, "it is compared by its lower half");
        }
    }

    #[test]
    fn crossing_frames_say_whose_they_are() {
        let frame =
            |frame, record: usize| CrossingFrame { frame, stack_pointer: 0, record: record as *const ThunkRecord };
        let (thunk, direct, standing) = (frame(0x1000, 0x80), frame(0x1008, 1), frame(0x1000, 0x1041));
        assert_eq!(
            [thunk, direct, standing].map(|f| (f.is_direct(), f.is_standing())),
            [(false, false), (true, false), (false, true)]
        );
        assert_eq!([thunk, direct, standing].map(|f| f.frame_pointer()), [0x1000, 0x1000, 0x1040]);
    }

    #[test]
    fn a_module_too_large_for_a_vmctx_is_refused() {
        let mut module = module();
        module.globals = vec![GlobalType { content: ValType::I32, mutable: true }; 5 << 20];
        assert_eq!(VmLayout::new(&module), None);
    }
}
