//! Instantiation.
//!
//! ```text
//!   | guard | crossings        | vmctx          | guard | memory 0 ...                     |
//!   ^ mapping                  ^ page                    ^ multiple of 4 GiB
//! ```

use super::functions::{self, Functions};
use super::{DirectSlot, InstanceData, Thunk};
use crate::builtins;
use crate::code::DirectPages;
use crate::code::registry::{Range, register};
use crate::crossing::calls::Calls;
use crate::crossing::copies::Shadows;
use crate::crossing::handles::{self, HandleTable, HandleTypes};
use crate::crossing::scope::Scopes;
use crate::engine::DirectCode;
use crate::error::{Error, ErrorKind};
use crate::exception::TagData;
use crate::group::Group;
use crate::linker::{Resolved, ThunkInfo};
use crate::memory::Memory;
use crate::module::Module;
use crate::os::{Access, Mapping};
use crate::table::Table;
use crate::thread::Inbox;
use crate::trap::Capture;
use crate::types::ObjectType;
use crate::window::CallWindows;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use wasmbridge_artifact::gc::{TypeInfo, VmTag};
use wasmbridge_artifact::module::{ElementItems, ElementSegment, ExternIndex, ImportKind, SegmentMode};
use wasmbridge_artifact::vmctx::{
    CrossingFrame, DirectRecord, FunctionImport, GLOBAL_SIZE, HOST_PAGE, MemoryDef, Place, ShownWindow, ThunkRecord,
    VmFuncRef, VmHead, is_direct,
};
use wasmbridge_artifact::{FuncType, TrapCode};

/// Bytes for crossing frames: 131,072 of them, more than a stack of 8 MiB has room for: each has at least 64 bytes there.
const CROSSINGS_BYTES: usize = 131_072 * size_of::<CrossingFrame>();
/// Memories start at multiples of this, so that a native pointer into one, cut to 32 bits, is the guest's pointer.
const MEMORY_ALIGN: usize = 1 << 32;

/// The definition of the memory of a module that has none.
struct NoMemory(MemoryDef);
// SAFETY: of length 0, and read only.
unsafe impl Sync for NoMemory {}
static NO_MEMORY: NoMemory = NoMemory(MemoryDef { base: NO_MEMORY_BASE as *mut u8, len_bytes: 0, short_limit: 0 });
/// An address that no pointer of the process has: not canonical on x86-64, with its low 32 bits zero as those of every memory.
const NO_MEMORY_BASE: usize = 0x7fff_ffff << 32;

/// An import for which call instructions call a copy of code.
struct Stamp {
    /// its index
    import: usize,
    pages: Arc<Mutex<DirectPages>>,
    /// which of the thunks is its, if it is a C function
    thunk: Option<usize>,
}

/// Makes an instance: everything but its segments and its start function. It is a member of its group then.
pub(crate) fn allocate(
    module: &Module,
    imports: Vec<Resolved>,
    group: &Arc<Group>,
    handle_types: Arc<HandleTypes>,
) -> Result<Arc<InstanceData>, Error> {
    let metadata = module.metadata();
    let layout = &module.artifact().layout;
    let own_memory0 = metadata.imported_memories() == 0 && !metadata.memories.is_empty();
    let reservation = metadata.target.memory_reservation;

    // The address space.
    let vmctx_offset = HOST_PAGE as usize + CROSSINGS_BYTES;
    let memory0_offset = vmctx_offset + layout.memory0_distance() as usize;
    let no_space = |e| Error::os("cannot reserve address space for an instance", e);
    let space = match own_memory0 {
        true => Mapping::reserve(memory0_offset + reservation as usize, MEMORY_ALIGN, memory0_offset),
        false => Mapping::reserve(memory0_offset, HOST_PAGE as usize, vmctx_offset),
    };
    let space = Arc::new(space.map_err(no_space)?);
    let vmctx_len = (layout.size() as usize).next_multiple_of(HOST_PAGE as usize);
    space.protect(HOST_PAGE as usize, CROSSINGS_BYTES + vmctx_len, Access::ReadWrite).map_err(no_space)?;
    // SAFETY: inside the mapping.
    let (start, vmctx) = unsafe { (space.start(), space.start().add(vmctx_offset)) };
    // SAFETY: a guard's range points to nothing.
    let crossings_guard = unsafe { register(start as usize, start as usize + HOST_PAGE as usize, Range::Guard) };
    let at = |offset: i32| {
        // SAFETY: offsets of the layout are inside the vmctx.
        unsafe { vmctx.offset(offset as isize) }
    };

    let secret = RandomState::new().hash_one(vmctx as usize) as u32;
    let no_handles = handles::empty().map_err(no_space)?;
    // SAFETY: inside the vmctx, which is written below.
    let published = unsafe { &raw mut (*vmctx.cast::<VmHead>()).handles };
    let handles =
        HandleTable::new((module.engine().number_app(), secret), handle_types, module.engine().objects(), published);

    // Imports.
    let (mut memories, mut tables, mut globals, mut tags) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Of each imported function, the id of the type that it was defined with: a subtype of the one that the module imports.
    let mut imported_types = Vec::new();
    let mut thunks: Vec<Box<Thunk>> = Vec::new();
    let mut functions: Vec<FunctionImport> = Vec::new();
    let mut stamps: Vec<Stamp> = Vec::new();
    for (import, declared) in imports.into_iter().zip(&metadata.imports) {
        match import {
            Resolved::Native { signature, function, host, code, direct } => {
                let info = Box::new(ThunkInfo::of_import(signature, host));
                let record = ThunkRecord {
                    vmctx: vmctx.cast(),
                    function,
                    memory_base: std::ptr::null_mut(),
                    info: std::ptr::from_ref(&*info).cast_mut().cast(),
                };
                let thunk = Box::new(Thunk { record, info, code });
                let vmctx = (&raw const thunk.record).cast_mut().cast();
                let entry = match direct {
                    Some(DirectCode::Itself) => function,
                    _ => std::ptr::null(),
                };
                let pages = direct.and_then(DirectCode::pages);
                stamps.extend(pages.map(|pages| Stamp { import: functions.len(), pages, thunk: Some(thunks.len()) }));
                functions.push(FunctionImport { code: thunk.code.entry(), vmctx, direct: entry, covered: entry });
                if let ImportKind::Func(ty) = declared.kind {
                    imported_types.push(module.type_ids()[ty as usize]);
                }
                thunks.push(thunk);
            }
            Resolved::Function(function) => {
                // SAFETY: a function reference of an instance of this group.
                let function = unsafe { *function };
                let ty = metadata.function_type(functions.len() as u32);
                if is_direct(ty) {
                    let pages = module.engine().adaptor(ty)?;
                    stamps.push(Stamp { import: functions.len(), pages, thunk: None });
                }
                let (code, vmctx, direct) = (function.code, function.vmctx, std::ptr::null());
                functions.push(FunctionImport { code, vmctx, direct, covered: direct });
                imported_types.push(function.type_id);
            }
            Resolved::Table(table) => tables.push(table),
            Resolved::Memory(memory) => memories.push(memory),
            Resolved::Global(global) => globals.push(global),
            Resolved::Tag(tag) => tags.push(tag),
        }
    }

    // SAFETY (this and the following writes to the vmctx): it is mapped, nobody else has it yet, and each offset is the
    // layout's for what is written.
    for (index, function) in functions.iter().enumerate() {
        // SAFETY: see above.
        unsafe { at(layout.imported_function(index as u32)).cast::<FunctionImport>().write(*function) };
    }
    let pointer = |place: Place, value: *mut u8| {
        if let Place::Behind(offset) = place {
            // SAFETY: see above.
            unsafe { at(offset).cast::<*mut u8>().write(value) };
        }
    };
    for (index, &table) in tables.iter().enumerate() {
        // SAFETY: an imported table of a member of the group.
        let table: &Table = unsafe { &*table };
        pointer(layout.table(index as u32), table.def().cast());
    }
    for (index, &memory) in memories.iter().enumerate() {
        // SAFETY: an imported memory of a member of the group.
        let memory: &Memory = unsafe { &*memory };
        pointer(layout.memory(index as u32), memory.def().cast());
    }
    for (index, &global) in globals.iter().enumerate() {
        pointer(layout.global(index as u32), global);
    }

    // Definitions.
    let mut own_memories = Vec::new();
    for index in metadata.imported_memories()..metadata.memories.len() {
        let Place::Here(offset) = layout.memory(index as u32) else { unreachable!("memory {index} is defined here") };
        let (mapping, start) = if index == 0 {
            (space.clone(), memory0_offset)
        } else {
            (Arc::new(Mapping::reserve(reservation as usize, MEMORY_ALIGN, 0).map_err(no_space)?), 0)
        };
        // SAFETY: see above for the definition; it lives as long as the mapping, which the instance keeps.
        let memory = unsafe { Memory::new(mapping, start, reservation, metadata.memories[index], at(offset).cast()) };
        let memory = Box::new(memory?);
        memories.push(std::ptr::from_ref(&*memory));
        own_memories.push(memory);
    }
    let mut own_tables = Vec::new();
    for index in metadata.imported_tables()..metadata.tables.len() {
        let Place::Here(offset) = layout.table(index as u32) else { unreachable!("table {index} is defined here") };
        // SAFETY: as for memories.
        let table = Box::new(unsafe { Table::new(module.shared_table(metadata.tables[index]), at(offset).cast()) }?);
        tables.push(std::ptr::from_ref(&*table));
        own_tables.push(table);
    }
    for index in metadata.imported_globals()..metadata.globals.len() {
        let Place::Here(offset) = layout.global(index as u32) else { unreachable!("global {index} is defined here") };
        globals.push(at(offset));
    }
    for (index, &id) in module.type_ids().iter().enumerate() {
        // SAFETY: see above.
        unsafe { at(layout.type_id(index as u32)).cast::<u32>().write(id) };
    }
    for (index, &ty) in metadata.tags.iter().enumerate().skip(tags.len()) {
        tags.push(TagData::new(module.engine(), module.type_ids()[ty as usize], tag_name(module, index as u32)));
    }
    for (index, tag) in tags.iter().enumerate() {
        // SAFETY: see above.
        unsafe { at(layout.tag(index as u32)).cast::<*const VmTag>().write(tag.vm()) };
    }
    if metadata.has_collected_types() {
        for (index, &id) in module.type_ids().iter().enumerate() {
            let ty = module.engine().types().object(id);
            // SAFETY: not null, or a type of the engine.
            let info = unsafe { ty.as_ref() }.map_or(std::ptr::null(), ObjectType::info);
            // SAFETY: see above.
            unsafe { at(layout.type_info(index as u32)).cast::<*const TypeInfo>().write(info) };
        }
    }
    // There may be thousands, and they are most of what is written. Imported ones come first: their indices are the lower ones.
    let funcrefs = at(layout.funcrefs()).cast::<VmFuncRef>();
    let imports = metadata.escaping.partition_point(|&function| (function as usize) < functions.len());
    for (position, &function) in metadata.escaping[..imports].iter().enumerate() {
        let FunctionImport { code, vmctx, .. } = functions[function as usize];
        let type_id = imported_types[function as usize];
        // SAFETY: see above; the layout has a place for each escaping function.
        unsafe { funcrefs.add(position).write(VmFuncRef { code, vmctx, type_id, function }) };
    }
    let (type_ids, code) = (module.type_ids(), module.code());
    for (position, &function) in metadata.escaping.iter().enumerate().skip(imports) {
        let code = code(function - functions.len() as u32);
        let type_id = type_ids[metadata.functions[function as usize] as usize];
        // SAFETY: as above.
        unsafe { funcrefs.add(position).write(VmFuncRef { code, vmctx, type_id, function }) };
    }

    // The head.
    let stack = group.lock().stack;
    // SAFETY: memories are boxed, here or in a member of the group.
    let memory0 = memories.first().map(|&memory| unsafe { &*memory });
    let memory0_base = memory0.map_or(NO_MEMORY_BASE as *mut u8, Memory::base);
    for thunk in &mut thunks {
        thunk.record.memory_base = memory0_base;
    }
    let mut direct = Vec::with_capacity(stamps.len());
    for Stamp { import, pages, thunk } in stamps {
        let FunctionImport { code, vmctx: callee_vmctx, .. } = functions[import];
        let thunk = thunk.map(|thunk| &thunks[thunk].record);
        let slot = DirectSlot::new(
            pages,
            DirectRecord {
                vmctx: vmctx.cast(),
                function: thunk.map_or(std::ptr::null(), |record| record.function),
                memory_base_above: memory0_base.wrapping_add(1),
                memory: memory0.map_or(&raw const NO_MEMORY.0, |m| m.def().cast_const()),
                code,
                callee_vmctx,
            },
        )?;
        // SAFETY: see above.
        unsafe {
            let import = &mut *at(layout.imported_function(import as u32)).cast::<FunctionImport>();
            (import.direct, import.covered) = (slot.entry(), slot.covered());
        }
        direct.push(slot);
    }
    let capture = Box::new(UnsafeCell::new(Capture::new()));
    // SAFETY: the crossings lie just below the vmctx, and have room for this and the outermost one.
    let shown = unsafe { vmctx.cast::<ShownWindow>().sub(1) };
    // SAFETY: see above.
    unsafe { shown.write(ShownWindow::NONE) };
    // SAFETY: see above.
    let outermost = unsafe { shown.cast::<CrossingFrame>().sub(1) };
    let outside = CrossingFrame { frame: stack.high, stack_pointer: 0, record: std::ptr::null() };
    // SAFETY: see above.
    unsafe { outermost.write(outside) };
    let head = VmHead {
        host: std::ptr::null_mut(),
        stack_limit: stack.low,
        reach: stack.reach,
        crossings: outermost,
        memory0_base,
        memory0: memory0.map_or(&raw const NO_MEMORY.0, |m| m.def().cast_const()),
        builtins: builtins::TABLE.as_ptr(),
        capture: capture.get().cast(),
        stack_pointer: 0,
        refusing: CrossingFrame { frame: 0, ..outside },
        shown,
        handles: no_handles,
    };
    let vmctx: *mut VmHead = vmctx.cast();
    // SAFETY: see above.
    unsafe { vmctx.write(head) };

    let functions = Functions::new(thunks.iter().any(|t| functions::needs_scope(&t.info.signature)));
    let instance = Arc::new(InstanceData {
        module: module.clone(),
        group: Mutex::new(group.clone()),
        heap: RefCell::new(group.heap().clone()),
        inbox: Inbox::new(),
        vmctx,
        outermost,
        blocked_at: Cell::new(std::ptr::null_mut()),
        trapped: Cell::new(false),
        _capture: capture,
        refusal: RefCell::new(None),
        depth: Cell::new(0),
        stack: Cell::new(stack),
        memories,
        tables,
        globals,
        tags,
        elements: RefCell::new(Vec::new()),
        dropped_data: RefCell::new(vec![false; metadata.data.len()]),
        scopes: Scopes::new(handles),
        call_windows: CallWindows::default(),
        shown,
        alone: Cell::new(true),
        shadows: Shadows::default(),
        calls: Calls::default(),
        functions,
        _own_memories: own_memories,
        _own_tables: own_tables,
        thunks,
        _direct: direct,
        _crossings_guard: crossings_guard,
        _space: space,
    });
    // SAFETY: the instance does not move any more, and nothing of it has run yet.
    unsafe { (*vmctx).host = Arc::as_ptr(&instance).cast_mut().cast() };
    group.lock().add([instance.clone()]);
    Ok(instance)
}

impl InstanceData {
    /// Fills globals, tables and memories, in the order of the specification (4.7.3), and runs the start function.
    pub(crate) fn initialise(&self) -> Result<(), Error> {
        // Constant expressions are evaluated on a stack of their own, where no collection looks.
        let heap = self.heap().clone();
        heap.without_collections(|| self.fill())?;
        let metadata = self.module.metadata();
        // SAFETY: the vmctx is live, and nothing of the instance has run yet.
        unsafe { (*self.outermost).stack_pointer = (*self.vmctx).stack_pointer };
        if let Some(start) = metadata.start {
            self.start(start)?;
        }
        // A reactor's constructors, which its tool chain wants called once before anything else.
        if let Some(ExternIndex::Func(initialize)) = self.export("_initialize")
            && metadata.function_type(initialize) == &FuncType::default()
        {
            self.call(initialize, &[])?;
        }
        Ok(())
    }

    /// Fills globals, tables and memories.
    fn fill(&self) -> Result<(), Error> {
        let metadata = self.module.metadata();
        let imported = metadata.imported_globals();
        for (i, init) in metadata.global_inits.iter().enumerate() {
            self.set_global_bits((imported + i) as u32, self.evaluate(init)?);
        }
        let imported = metadata.imported_tables();
        for (i, init) in metadata.table_inits.iter().enumerate() {
            if let Some(init) = init {
                let table = self.table((imported + i) as u32);
                let filled = table.fill(0, self.evaluate(init)? as u64, table.len());
                debug_assert_eq!(filled, Some(()));
            }
        }
        let elements = metadata.elements.iter().map(|segment| match is_written_straight(segment) {
            true => Ok(Vec::new()),
            false => self.element_values(&segment.items),
        });
        let elements = elements.collect::<Result<_, Error>>()?;
        *self.elements.borrow_mut() = elements;
        for (index, segment) in metadata.elements.iter().enumerate() {
            if let SegmentMode::Active { index: table, offset } = &segment.mode {
                let (to, len) = (self.evaluate(offset)? as u64, segment.items.len() as u64);
                let done = match &segment.items {
                    ElementItems::Functions(functions) => self.table(*table).write(to, self.function_values(functions)),
                    ElementItems::Expressions(_) => self.table_init(*table, index as u32, to, 0, len),
                };
                if done.is_none() {
                    // Functions that are in an imported table by now can still use what was not dropped.
                    for (index, segment) in metadata.elements.iter().enumerate().skip(index) {
                        if is_written_straight(segment) {
                            let values = self.element_values(&segment.items)?;
                            self.elements.borrow_mut()[index] = values;
                        }
                    }
                    let detail = format!("element segment {index} of {len} elements does not fit its table");
                    return Err(self.trap(TrapCode::TableOutOfBounds, Some(detail)));
                }
            }
            if !matches!(segment.mode, SegmentMode::Passive) {
                self.elem_drop(index as u32);
            }
        }
        if let Some(image) = &metadata.image {
            let at = self.module.artifact().image.start as u64;
            self.memory(0).map_image(image.guest_addr, image.len_bytes, self.module.file(), at)?;
        }
        for (index, segment) in metadata.data.iter().enumerate() {
            let SegmentMode::Active { index: memory, offset } = &segment.mode else { continue };
            if !segment.in_image {
                let (to, len) = (self.evaluate(offset)? as u64, segment.end - segment.start);
                self.memory_init(*memory, index as u32, to, 0, len).map_err(|_| {
                    let detail = format!("data segment {index} of {len} bytes does not fit its memory");
                    self.trap(TrapCode::MemoryOutOfBounds, Some(detail))
                })?;
            }
            self.data_drop(index as u32);
        }
        Ok(())
    }

    fn start(&self, function: u32) -> Result<(), Error> {
        self.call(function, &[]).map(drop)
    }
}

const _: () = assert!(GLOBAL_SIZE == 16 && size_of::<u128>() == 16);

/// Whether a segment's elements need not be kept for `table.init`: functions which go into a table at once.
fn is_written_straight(segment: &ElementSegment) -> bool {
    matches!((&segment.mode, &segment.items), (SegmentMode::Active { .. }, ElementItems::Functions(_)))
}

/// A name for a tag that a module defines: its export's, or its number.
fn tag_name(module: &Module, index: u32) -> String {
    let exported = module.exports().iter().find(|export| export.item == ExternIndex::Tag(index));
    exported.map_or_else(|| format!("tag {index}"), |export| export.name.clone())
}

/// An import that is not there, or not as it must be.
pub(crate) fn link_error(message: String) -> Error {
    Error::new(ErrorKind::Link, message)
}
