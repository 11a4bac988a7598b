//! From a guest address to a native one. The sandbox stands on this file, and nothing else makes a native address from a guest's.
//!
//! There are three cases, kept apart because each is safe for a reason of its own:
//!
//! 1. *Memory 0, the module's own, with 32-bit addresses.* It lies at a fixed distance above the vmctx, so that the address is
//!    `vmctx + index + (distance + offset)`: one operand of one instruction. The index is zero-extended, so that
//!    `index + offset + size < 2^33 + 16`, and the reservation with its guard is not smaller. What is in it and not accessible faults.
//!    In a loop of optimised code the base is loaded instead, once before the loop: the vmctx must be in one certain register at calls, and the
//!    register allocator moves it about in loops between them if every access needs it, too.
//! 2. *Another memory with 32-bit addresses.* As 1, from the base in the memory's definition, which never changes. The
//!    runtime gives every such memory the reservation that the artifact records, or refuses to link.
//! 3. *A memory with 64-bit addresses, or with pages smaller than the host's.* Every access is compared with the current length.
//!
//! In 1 and 2, if the reservation is smaller than that ([`Target::checked_bytes`]), the end of the access is compared with a
//! constant first.
//!
//! [`Target::checked_bytes`]: wasmbridge_artifact::module::Target::checked_bytes

use super::flags::{self, Region};
use super::{Translator, trap};
use crate::read::Imported;
use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};
use std::mem::offset_of;
use wasmbridge_artifact::module::Module;
use wasmbridge_artifact::vmctx::{HOST_PAGE, MemoryDef, Place, head};
use wasmbridge_artifact::{MemoryType, TrapCode};
use wasmparser::{MemArg, MemArgTarget};

const BASE: i32 = offset_of!(MemoryDef, base) as i32;
const LEN_BYTES: i32 = offset_of!(MemoryDef, len_bytes) as i32;

/// A native address: `base + offset`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    pub(super) base: Value,
    pub(super) offset: i32,
}

/// Whether the memory is the module's own memory 0 in its place above the vmctx: case 1.
fn is_above_vmctx(module: &Module, imported: Imported, memory: u32) -> bool {
    memory == 0 && imported.memories == 0 && is_reserved(&module.memories[0])
}

/// Whether every address that the memory's index type can say lies inside its reservation: cases 1 and 2.
fn is_reserved(memory: &MemoryType) -> bool {
    !memory.memory64 && 1 << memory.page_size_log2 >= HOST_PAGE
}

impl Translator<'_, '_> {
    /// Pops the index and returns where an access of `size` bytes is. `None` if it is out of bounds whatever the index:
    /// the trap has been emitted then, and what follows is not reached.
    pub(super) fn address(&mut self, memarg: &MemArg, size: u64) -> Option<Address> {
        let MemArgTarget::Memory(memory) = memarg.target else {
            unreachable!("the validator refuses accesses to arrays");
        };
        let index = self.pop();
        self.address_at(memory, index, memarg.offset, size)
    }

    /// Whether all accesses to the memory are found in or out of bounds by the host's pages, and nothing is compared: cases 1 and 2 with the full reservation.
    pub(super) fn is_reserved(&self, memory: u32) -> bool {
        is_reserved(&self.module.memories[memory as usize]) && self.module.target.checked_bytes().is_none()
    }

    /// [`Translator::address`] for an index of this value and an offset in a memory.
    pub(super) fn address_at(&mut self, memory: u32, index: Value, offset: u64, size: u64) -> Option<Address> {
        let mut index = self.widen(index);
        // From the index to the access's end. With 64-bit addresses this may be too large for any memory.
        let Some(end) = offset.checked_add(size) else {
            self.trap(TrapCode::MemoryOutOfBounds);
            return None;
        };
        if !is_reserved(&self.module.memories[memory as usize]) {
            let outside = self.check_against_length(memory, index, end);
            let base = self.memory_base(memory);
            let address = self.sum(base, index, offset);
            return Some(self.guarded(outside, base, address));
        }
        if let Some(limit) = self.module.target.checked_bytes() {
            let Some(last) = limit.checked_sub(end) else {
                self.trap(TrapCode::MemoryOutOfBounds);
                return None;
            };
            if last < u64::from(u32::MAX) {
                let outside = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, index, last as i64);
                index = self.checked_index(outside, index, TrapCode::MemoryOutOfBounds);
            }
        }
        if is_above_vmctx(self.module, self.imported, memory) {
            if self.hoists && self.loops > 0 {
                let base = self.load_fixed(types::I64, head::MEMORY0_BASE);
                return Some(self.sum(base, index, offset));
            }
            let distance = self.layout.memory0_distance();
            return Some(self.sum(self.vmctx, index, distance + offset));
        }
        let base = self.memory_base(memory);
        Some(self.sum(base, index, offset))
    }

    /// `base + index + offset`, with as much of the offset in the instruction as fits.
    fn sum(&mut self, base: Value, index: Value, offset: u64) -> Address {
        let base = self.builder.ins().iadd(base, index);
        match i32::try_from(offset) {
            Ok(offset) => Address { base, offset },
            Err(_) => {
                let offset = self.iconst(types::I64, offset as i64);
                Address { base: self.builder.ins().iadd(base, offset), offset: 0 }
            }
        }
    }

    /// Traps unless `index + end` is at most the memory's current length; the condition.
    fn check_against_length(&mut self, memory: u32, index: Value, end: u64) -> Value {
        let end = self.iconst(types::I64, end as i64);
        let code = trap::to_clif(TrapCode::MemoryOutOfBounds);
        let end = self.builder.ins().uadd_overflow_trap(index, end, code);
        let length = self.memory_length(memory);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, length);
        self.trap_if(outside, TrapCode::MemoryOutOfBounds);
        outside
    }

    /// An address that is the memory's first for a processor that runs ahead of the comparison, where mitigations are asked for. It is not the
    /// index that becomes 0: the offset alone may lead out of the reservation.
    fn guarded(&mut self, outside: Value, base: Value, address: Address) -> Address {
        if !self.module.target.spectre_mitigations {
            return address;
        }
        let place = self.builder.ins().iadd_imm_s(address.base, i64::from(address.offset));
        Address { base: self.builder.ins().select_spectre_guard(outside, base, place), offset: 0 }
    }

    /// Native address of the memory's byte 0.
    fn memory_base(&mut self, memory: u32) -> Value {
        match self.layout.memory(memory) {
            Place::Here(at) => self.load_fixed(types::I64, at + BASE),
            Place::Behind(at) => {
                let definition = self.load_fixed(types::I64, at);
                self.builder.ins().load(types::I64, flags::fixed(), definition, BASE)
            }
        }
    }

    /// The memory's current length in bytes. That of a shared memory is read atomically: it may grow meanwhile.
    pub(super) fn memory_length(&mut self, memory: u32) -> Value {
        let flags = self.trusted(Region::Definitions);
        let (definition, offset) = match self.layout.memory(memory) {
            Place::Here(at) => (self.vmctx, at + LEN_BYTES),
            Place::Behind(at) => (self.load_fixed(types::I64, at), LEN_BYTES),
        };
        if self.module.memories[memory as usize].shared {
            let place = self.builder.ins().iadd_imm_s(definition, i64::from(offset));
            return self.builder.ins().atomic_load(types::I64, flags, place);
        }
        self.builder.ins().load(types::I64, flags, definition, offset)
    }
}
