//! Collections: what keeps objects alive.

use super::Object;
use super::heap::{Marker, Memory};
use crate::instance::InstanceData;
use crate::os::stack_word;
use crate::types::{Family, ObjectType};
use std::sync::PoisonError;
use wasmbridge_artifact::ValType;

/// `rbx`, `rbp`, `r12` to `r15`: what a function must hand back as it found it (System V psABI, 3.2.1). All others are saved by callers, on the stack.
type CalleeSaved = [usize; 6];

impl InstanceData {
    /// Makes an object of `size` bytes, all bits of its body zero. `None` if there is no room, even after a collection.
    ///
    /// It is alive as long as it is found: a caller that keeps its address anywhere but in registers and on the stack uses
    /// [`Heap::without_collections`](super::Heap::without_collections).
    pub(crate) fn new_object(&self, ty: &ObjectType, size: usize, len: u32) -> Option<Object> {
        let due = self.heap().is_due(size);
        if due {
            self.collect();
        }
        let made = self.heap().memory.borrow_mut().allocate(ty, size, len);
        if made.is_some() || due || !self.heap().may_collect_for(size) {
            return made;
        }
        self.collect();
        self.heap().memory.borrow_mut().allocate(ty, size, len)
    }

    /// Collects the objects that nobody reaches. On the group's stack, or with none of its code running.
    #[inline(never)]
    pub(crate) fn collect(&self) {
        let mut registers: CalleeSaved = [0; 6];
        // SAFETY: writes the six words of `registers`.
        unsafe {
            std::arch::asm!(
                "mov [{to}], rbx",
                "mov [{to} + 8], rbp",
                "mov [{to} + 16], r12",
                "mov [{to} + 24], r13",
                "mov [{to} + 32], r14",
                "mov [{to} + 40], r15",
                to = in(reg) registers.as_mut_ptr(),
                options(nostack, preserves_flags)
            );
        }
        // What the frames above saved lies above `registers`, which is in this one.
        self.collect_from(std::hint::black_box(&registers));
    }

    #[inline(never)]
    fn collect_from(&self, registers: &CalleeSaved) {
        let group = self.group();
        let state = group.lock();
        let heap = self.heap();
        let mut memory = heap.memory.borrow_mut();
        let mut marker = memory.begin();
        mark_words(&memory, &mut marker, registers.iter().copied());
        let low = std::ptr::from_ref(registers) as usize;
        // It may be where wasm code itself may not go.
        if state.stack.holds(low) {
            let addresses = (low..state.stack.high & !7).step_by(size_of::<usize>());
            // SAFETY: an aligned word of this thread's stack, between a live frame and its top.
            mark_words(&memory, &mut marker, addresses.map(|address| unsafe { stack_word(address) }));
        }
        for member in &state.members {
            member.references(|reference, family| {
                // SAFETY: what globals, tables and segments of this family hold is alive, in this heap.
                unsafe { marker.mark_reference(reference, family) };
            });
        }
        for roots in heap.roots.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            roots.visit(|object| {
                // SAFETY: the host holds objects of this heap.
                unsafe { marker.mark_reference(object, Family::Internal) };
            });
        }
        if let Some(exception) = heap.uncaught.get() {
            // SAFETY: an object of this heap.
            unsafe { marker.mark(exception) };
        }
        marker.finish();
        for member in &state.members {
            if member.scopes.handles().sweep(&marker.handles) {
                heap.has_dead.set(true);
            }
        }
        memory.sweep(marker);
    }

    /// Calls `visit` with each reference that a global, a table or a segment holds.
    fn references(&self, mut visit: impl FnMut(u64, Family)) {
        let metadata = self.module().metadata();
        for (index, global) in metadata.globals.iter().enumerate() {
            if let Some(family) = Family::of(global.content) {
                visit(self.global_bits(index as u32) as u64, family);
            }
        }
        for (index, table) in metadata.tables.iter().enumerate() {
            let Some(family) = Family::of(ValType::Ref(table.element)) else { continue };
            let table = self.table(index as u32);
            for position in 0..table.len() {
                visit(table.get(position).unwrap_or(0), family);
            }
        }
        for (index, segment) in metadata.elements.iter().enumerate() {
            if let Some(family) = Family::of(ValType::Ref(segment.element)) {
                self.segment_values(index as u32, |values| values.iter().for_each(|&value| visit(value, family)));
            }
        }
    }
}

/// Marks what words point into, or stand for, that may be anything, even what nobody has ever written. It is a function of its own so that memory checkers can be told
/// (`scripts/valgrind.supp`).
#[inline(never)]
fn mark_words(memory: &Memory, marker: &mut Marker, words: impl Iterator<Item = usize>) {
    for word in words {
        marker.note(word as u64);
        if let Some(object) = memory.find(word) {
            // SAFETY: the heap has just found it.
            unsafe { marker.mark(object) };
        }
    }
}

impl super::Heap {
    fn is_due(&self, size: usize) -> bool {
        self.paused.get() == 0 && self.memory.borrow().is_due(size)
    }

    /// Whether there may be a collection now.
    pub(crate) fn may_collect(&self) -> bool {
        self.paused.get() == 0
    }

    /// Whether a collection may make room for an object of this size.
    fn may_collect_for(&self, size: usize) -> bool {
        self.paused.get() == 0 && self.memory.borrow().could_hold(size)
    }
}
