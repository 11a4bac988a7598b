//! The collected heap: where objects are, who finds them, and what becomes of those that nobody reaches.
//!
//! Objects do not move. Small ones lie in blocks of cells of one size, each larger one in a block of its own. A cell that holds no object has a
//! null `info`; the rest of such a cell is anything, and is zeroed when an object is put there.
//!
//! A collection marks and sweeps. An object is marked if its head has the number of the collection that is under way, so that nothing needs
//! to be unmarked.

use crate::crossing::handles::is_object;
use crate::engine::Engine;
use crate::os::{Access, Mapping};
use crate::types::{Family, Layout, ObjectType};
use std::collections::{BTreeMap, HashSet};
use std::ptr::NonNull;
use wasmbridge_artifact::gc::{EXTERNAL_MASK, EXTERNAL_TAG, Kind, ObjectHead, object};

/// Bytes of a block of small cells. Pages of it that no object was in yet take up address space only.
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes of the largest small cell.
const SMALL: usize = 16 << 10;
/// Bytes of small cells. Each is a multiple of 16, and at most a fifth larger than the one before from 80 bytes on.
const CELLS: [usize; 34] = [
    16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 304, 352, 416, 496, 592, 704, 832, 992, 1184, 1408,
    1680, 2000, 2400, 2880, 3440, 4112, 5456, 6544, 8192, 10_912, SMALL,
];
/// A collection is worth it when this many bytes have been allocated since the last one, at least.
const MIN_THRESHOLD: usize = 8 << 20;

/// An object.
pub(crate) type Object = NonNull<ObjectHead>;

/// The memory of a heap.
#[derive(Debug)]
pub(crate) struct Memory {
    /// keeps the types alive that objects point to
    engine: Engine,
    /// by first byte
    blocks: BTreeMap<usize, Block>,
    /// of each cell size, cells that hold no object
    free: [Vec<usize>; CELLS.len()],
    /// of each cell size, the cells of its newest block that never held one: `[next, end)`
    fresh: [(usize, usize); CELLS.len()],
    /// the number of the last collection
    epoch: u32,
    /// bytes of all cells that hold objects
    used: usize,
    /// bytes of cells that got an object since the last collection
    since: usize,
    /// at how many of them the next one is due
    threshold: usize,
}

#[derive(Debug)]
struct Block {
    _mapping: Mapping,
    /// bytes of a cell
    cell: usize,
    /// one past the last byte that belongs to a cell
    end: usize,
}

/// Bytes of the cell that an object of `size` bytes gets.
fn cell_bytes(size: usize) -> Option<usize> {
    match CELLS.get(CELLS.partition_point(|&cell| cell < size)) {
        Some(&cell) => Some(cell),
        None => size.checked_next_multiple_of(wasmbridge_artifact::vmctx::HOST_PAGE as usize),
    }
}

/// An object's head.
///
/// # Safety
/// The object is alive, or its cell has not been given up.
unsafe fn head<'a>(object: Object) -> &'a mut ObjectHead {
    // SAFETY: the caller's promise; heads are only touched by the owner's thread, and never two at once.
    unsafe { &mut *object.as_ptr() }
}

/// The object that a reference leads to, if it does.
pub(crate) fn object_of(reference: u64, family: Family) -> Option<Object> {
    let address = match family {
        Family::Internal => reference,
        Family::External if reference & EXTERNAL_MASK == EXTERNAL_TAG => reference & !EXTERNAL_MASK,
        Family::External => return None,
    };
    if address & 1 == 1 { None } else { NonNull::new(address as *mut ObjectHead) }
}

impl Memory {
    pub(crate) fn new(engine: Engine) -> Memory {
        Memory {
            engine,
            blocks: BTreeMap::new(),
            free: [const { Vec::new() }; CELLS.len()],
            fresh: [(0, 0); CELLS.len()],
            epoch: 0,
            used: 0,
            since: 0,
            threshold: MIN_THRESHOLD,
        }
    }

    /// Whether a collection should come before an object of this size is made.
    pub(crate) fn is_due(&self, size: usize) -> bool {
        self.engine.config().gc_stress || self.since.saturating_add(size) > self.threshold
    }

    /// Whether there is room for an object of this size in a heap that is empty.
    pub(crate) fn could_hold(&self, size: usize) -> bool {
        cell_bytes(size).is_some_and(|bytes| bytes as u64 <= self.engine.config().gc_heap_bytes)
    }

    /// Makes an object of `size` bytes: all bits of its body are zero. `None` if there is no room.
    pub(crate) fn allocate(&mut self, ty: &ObjectType, size: usize, len: u32) -> Option<Object> {
        let class = CELLS.partition_point(|&cell| cell < size);
        let bytes = cell_bytes(size)?;
        if self.used.checked_add(bytes)? as u64 > self.engine.config().gc_heap_bytes {
            return None;
        }
        let cell = if class < CELLS.len() { self.small(class)? } else { self.block(bytes, bytes)? };
        self.used += bytes;
        self.since += bytes;
        let object = NonNull::new(cell as *mut ObjectHead)?;
        // SAFETY: a free cell of at least `size` bytes, which begins at a multiple of 16.
        unsafe { object.write(ObjectHead { info: ty.info(), mark: 0, len }) };
        Some(object)
    }

    /// A free small cell, with a body of zeros.
    fn small(&mut self, class: usize) -> Option<usize> {
        if let Some(cell) = self.free[class].pop() {
            let (body, len) = ((cell + object::BODY as usize) as *mut u8, CELLS[class] - object::BODY as usize);
            // SAFETY: a cell that holds no object.
            unsafe { body.write_bytes(0, len) };
            return Some(cell);
        }
        if self.fresh[class].0 == self.fresh[class].1 {
            let start = self.block(BLOCK_BYTES, CELLS[class])?;
            self.fresh[class] = (start, start + BLOCK_BYTES / CELLS[class] * CELLS[class]);
        }
        let cell = self.fresh[class].0;
        self.fresh[class].0 += CELLS[class];
        Some(cell)
    }

    /// A new block, full of zeros. Returns its first byte.
    fn block(&mut self, bytes: usize, cell: usize) -> Option<usize> {
        let page = wasmbridge_artifact::vmctx::HOST_PAGE as usize;
        let mapping = Mapping::reserve(bytes, page, 0).ok()?;
        mapping.protect(0, bytes, Access::ReadWrite).ok()?;
        let start = mapping.start() as usize;
        self.blocks.insert(start, Block { _mapping: mapping, cell, end: start + bytes / cell * cell });
        Some(start)
    }

    /// The object that an address, or an external reference, points into.
    pub(crate) fn find(&self, word: usize) -> Option<Object> {
        let untagged = if word as u64 & EXTERNAL_MASK == EXTERNAL_TAG { word & !EXTERNAL_MASK as usize } else { word };
        let (&start, block) = self.blocks.range(..=untagged).next_back()?;
        if untagged >= block.end {
            return None;
        }
        let object = NonNull::new((start + (untagged - start) / block.cell * block.cell) as *mut ObjectHead)?;
        // SAFETY: a cell of a block, mapped; one that holds no object has a null `info`.
        (!unsafe { head(object) }.info.is_null()).then_some(object)
    }

    /// Begins a collection.
    pub(crate) fn begin(&mut self) -> Marker {
        self.epoch += 1;
        Marker { epoch: self.epoch, gray: Vec::new(), handles: HashSet::new() }
    }

    /// Ends a collection: what is not marked is gone.
    pub(crate) fn sweep(&mut self, marker: Marker) {
        debug_assert!(marker.gray.is_empty());
        let mut live = 0;
        self.free.iter_mut().for_each(Vec::clear);
        let (free, fresh) = (&mut self.free, &self.fresh);
        self.blocks.retain(|&start, block| {
            let class = CELLS.iter().position(|&cell| cell == block.cell).filter(|_| block.cell <= SMALL);
            let newest = class.map(|class| fresh[class]).filter(|fresh| fresh.1 == block.end);
            let end = newest.map_or(block.end, |fresh| fresh.0);
            let mark = class.map_or(0, |class| free[class].len());
            let mut survivors = 0;
            for cell in (start..end).step_by(block.cell) {
                let object = NonNull::new(cell as *mut ObjectHead).expect("a block is not at address 0");
                // SAFETY: a cell of a block, mapped.
                let head = unsafe { head(object) };
                if !head.info.is_null() && head.mark == marker.epoch {
                    survivors += 1;
                    continue;
                }
                head.info = std::ptr::null();
                if let Some(class) = class {
                    free[class].push(cell);
                }
            }
            live += survivors * block.cell;
            if survivors == 0 && newest.is_none() {
                // The whole block goes, and its cells with it.
                if let Some(class) = class {
                    free[class].truncate(mark);
                }
                return false;
            }
            true
        });
        self.used = live;
        self.since = 0;
        self.threshold = live.max(MIN_THRESHOLD);
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Bytes that objects take up.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Takes all objects of another heap.
    pub(crate) fn absorb(&mut self, mut other: Memory) {
        debug_assert!(self.engine.same(&other.engine), "the types of the objects are the engine's");
        self.blocks.append(&mut other.blocks);
        for (class, &cell) in CELLS.iter().enumerate() {
            self.free[class].append(&mut other.free[class]);
            let (next, end) = std::mem::take(&mut other.fresh[class]);
            self.free[class].extend((next..end).step_by(cell));
        }
        // No object's mark is the number of a collection to come.
        self.epoch = self.epoch.max(other.epoch);
        self.used += other.used;
        self.since += other.since;
    }
}

/// A collection's first half.
pub(crate) struct Marker {
    epoch: u32,
    /// marked, and not yet looked into
    gray: Vec<Object>,
    /// external references that stand for objects of C's
    pub(super) handles: HashSet<u64>,
}

impl Marker {
    /// Takes note of a word that may be an external reference to an object of C's.
    pub(super) fn note(&mut self, word: u64) {
        if is_object(word) {
            self.handles.insert(word);
        }
    }

    /// Marks an object.
    ///
    /// # Safety
    /// It is one of this heap, and alive until now.
    pub(crate) unsafe fn mark(&mut self, object: Object) {
        // SAFETY: the caller's promise.
        let head = unsafe { head(object) };
        if head.mark != self.epoch {
            head.mark = self.epoch;
            self.gray.push(object);
        }
    }

    /// Marks what a reference leads to.
    ///
    /// # Safety
    /// It is a reference of this family: to an object as [`Marker::mark`] wants it, or to none.
    pub(crate) unsafe fn mark_reference(&mut self, reference: u64, family: Family) {
        if let Some(object) = object_of(reference, family) {
            // SAFETY: the caller's promise.
            unsafe { self.mark(object) };
        } else if family == Family::External {
            self.note(reference);
        }
    }

    /// Marks all that is reached from what is marked.
    pub(crate) fn finish(&mut self) {
        while let Some(object) = self.gray.pop() {
            // SAFETY: a marked object, whose type is its engine's; what its references lead to is alive, because it is.
            unsafe {
                let head = head(object);
                let at = |offset: usize| object.as_ptr().cast::<u8>().add(offset).cast::<u64>().read();
                let ty = ObjectType::of(head.info);
                if ty.kind() == Kind::Host {
                    self.note(at(object::BODY as usize));
                }
                match &ty.layout {
                    Layout::Fields { references, .. } => {
                        for reference in references {
                            self.mark_reference(at(reference.offset as usize), reference.family);
                        }
                    }
                    Layout::Elements { references: Some(family), size } => {
                        for index in 0..head.len as usize {
                            self.mark_reference(at(object::BODY as usize + index * *size as usize), *family);
                        }
                    }
                    Layout::Elements { references: None, .. } => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Config;

    fn memory(config: Config) -> Memory {
        Memory::new(Engine::new(config).unwrap())
    }

    fn allocate(memory: &mut Memory, size: usize) -> Option<Object> {
        let engine = memory.engine.clone();
        memory.allocate(&engine.types().host, size, 0)
    }

    #[test]
    fn cells_are_multiples_of_16_in_order() {
        assert!(CELLS.is_sorted() && CELLS.iter().all(|cell| cell.is_multiple_of(16)));
    }

    #[test]
    fn objects_are_found_by_any_address_inside_them_and_by_no_other() {
        let mut memory = memory(Config::default());
        for size in [16, 24, 100, SMALL, SMALL + 1, 1 << 20] {
            let object = allocate(&mut memory, size).unwrap();
            let start = object.as_ptr() as usize;
            assert!(start.is_multiple_of(16));
            for offset in [0, 1, size / 2, size - 1] {
                assert_eq!(memory.find(start + offset), Some(object), "{size} + {offset}");
            }
            assert_eq!(memory.find(start | EXTERNAL_TAG as usize), Some(object));
            assert_ne!(memory.find(start + size.next_multiple_of(4096) + (1 << 21)), Some(object));
        }
        assert_eq!([0, 1, usize::MAX, 0x1000].map(|word| memory.find(word)), [None; 4]);
    }

    #[test]
    fn what_is_not_marked_goes_and_its_cell_is_used_again_zeroed() {
        let mut memory = memory(Config::default());
        let objects: Vec<Object> = (0..100).map(|_| allocate(&mut memory, 40).unwrap()).collect();
        for object in &objects {
            // SAFETY: objects of 48 bytes.
            unsafe { object.as_ptr().add(1).cast::<u64>().write(u64::MAX) };
        }
        let large = allocate(&mut memory, 1 << 20).unwrap();
        let mut marker = memory.begin();
        // SAFETY: alive.
        unsafe { marker.mark(objects[7]) };
        marker.finish();
        memory.sweep(marker);
        assert_eq!(memory.used(), 48);
        assert_eq!(memory.find(objects[7].as_ptr() as usize), Some(objects[7]));
        assert_eq!(memory.find(objects[8].as_ptr() as usize), None);
        assert_eq!(memory.find(large.as_ptr() as usize), None);
        for _ in 0..99 {
            let again = allocate(&mut memory, 40).unwrap();
            assert!(objects.contains(&again) && again != objects[7]);
            // SAFETY: alive.
            assert_eq!(unsafe { again.as_ptr().add(1).cast::<u64>().read() }, 0);
        }
    }

    #[test]
    fn the_limit_is_kept() {
        let mut memory = memory(Config { gc_heap_bytes: 64 << 10, ..Config::default() });
        assert!(allocate(&mut memory, 65 << 10).is_none());
        let count = (0..).take_while(|_| allocate(&mut memory, 1000).is_some()).count();
        assert_eq!(count, (64 << 10) / 1184);
        assert!(memory.could_hold(1000) && !memory.could_hold(65 << 10));
    }

    #[test]
    fn a_heap_that_took_another_collects_the_objects_of_both() {
        let mut ours = memory(Config::default());
        // Only instances of one engine are linked, and the types of objects are the engine's.
        let mut theirs = Memory::new(ours.engine.clone());
        let marker = theirs.begin();
        theirs.sweep(marker);
        let kept = allocate(&mut ours, 32).unwrap();
        let (theirs_kept, theirs_lost) = (allocate(&mut theirs, 32).unwrap(), allocate(&mut theirs, 32).unwrap());
        ours.absorb(theirs);
        let mut marker = ours.begin();
        // SAFETY: alive.
        unsafe {
            marker.mark(kept);
            marker.mark(theirs_kept);
        }
        marker.finish();
        ours.sweep(marker);
        assert_eq!(ours.used(), 64);
        assert_eq!(ours.find(theirs_lost.as_ptr() as usize), None);
        assert!(ours.find(theirs_kept.as_ptr() as usize).is_some());
    }
}
