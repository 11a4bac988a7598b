//! Code written instruction by instruction: Cranelift's assembler, with labels, records, traps and unwinding rules.

use super::super::super::RecordReloc;
use cranelift_assembler_x64::gpr::enc::{RAX, RSI, RSP};
use cranelift_assembler_x64::inst::Inst;
use cranelift_assembler_x64::{
    Amode, AmodeOffset, AmodeOffsetPlusKnownOffset, CodeSink, DeferredTarget, GprMem, KnownOffset, NonRspGpr,
    Registers, Scale, Simm8, Simm32, TrapCode, inst,
};
use gimli::write::CallFrameInstruction;
use std::num::NonZeroU8;
use wasmbridge_artifact::vmctx::head;
use wasmbridge_artifact::{Builtin, TrapCode as Trap};

/// The registers of integer arguments in C, in order (psABI, 3.2.3). The wasm function's first is the vmctx.
pub(super) const ARGUMENTS: [u8; 6] = {
    use cranelift_assembler_x64::gpr::enc::*;
    [RDI, RSI, RDX, RCX, R8, R9]
};

/// Finished code.
#[derive(Default)]
pub(in crate::shape) struct Assembled {
    pub(in crate::shape) code: Vec<u8>,
    pub(in crate::shape) record_relocs: Vec<RecordReloc>,
    /// how to unwind, from an offset on
    pub(in crate::shape) unwind: Vec<(u32, CallFrameInstruction)>,
    /// the instructions that can trap, by offset, ascending
    pub(in crate::shape) traps: Vec<(u32, Trap)>,
    pub(in crate::shape) assembly: String,
}

/// The assembler's registers are plain numbers here.
pub(super) struct Plain;

impl Registers for Plain {
    type ReadGpr = u8;
    type ReadWriteGpr = u8;
    type WriteGpr = u8;
    type ReadXmm = u8;
    type ReadWriteXmm = u8;
    type WriteXmm = u8;
}

/// A place in the code that is jumped to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label(usize);

/// When to jump.
#[derive(Debug, Clone, Copy)]
pub(super) enum If {
    Always,
    Equal,
    NotEqual,
    Below,
    AboveOrEqual,
    Above,
}

#[derive(Default)]
pub(super) struct Assembler {
    done: Assembled,
    /// where each label is, once that is known
    labels: Vec<Option<usize>>,
    /// distances to be filled in: their offset, and to which label
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    pub(super) fn emit(&mut self, inst: impl Into<Inst<Plain>>) {
        let inst = inst.into();
        inst.encode(&mut Sink { code: &mut self.done.code });
        self.done.assembly.push_str(&format!("  {inst}\n"));
    }

    /// Emits an instruction that can trap.
    pub(super) fn emit_trapping(&mut self, inst: impl Into<Inst<Plain>>, trap: Trap) {
        self.done.traps.push((self.offset(), trap));
        self.emit(inst);
    }

    /// Emits a trap.
    pub(super) fn trap(&mut self, trap: Trap) {
        let code = NonZeroU8::new(trap as u8).expect("Cranelift needs trap codes that are not 0, so that none is");
        self.emit_trapping(inst::ud2_zo::new(TrapCode(code)), trap);
    }

    /// Emits an instruction with a field of the record as its memory operand. The distance is the instruction's last four bytes.
    pub(super) fn with_record(&mut self, field: i32, inst: impl FnOnce(GprMem<u8, u8>) -> Inst<Plain>) {
        self.emit(inst(GprMem::Mem(Amode::RipRelative { target: DeferredTarget::None })));
        let offset = self.done.code.len() - 4;
        // The processor counts from the end of the four bytes.
        self.done.record_relocs.push(RecordReloc { offset: offset as u32, addend: i64::from(field) - 4 });
        self.done.assembly.pop();
        self.done.assembly.push_str(&format!(" = record+{field}\n"));
    }

    /// Calls a builtin of a vmctx and of the frame that a callback has set up, which has returned and whose result stays where it is. `load` takes the vmctx into `rdi`, and
    /// says in which register it is.
    pub(super) fn tell_runtime(&mut self, builtin: Builtin, load: impl FnOnce(&mut Assembler) -> u8) {
        const ROOM: i8 = 16;
        /// Floats are returned in it.
        const XMM0: u8 = 0;
        self.emit(inst::movq_mr::new(RSI, RSP));
        self.emit(inst::subq_mi_sxb::new(RSP, Simm8::new(ROOM)));
        self.emit(inst::movq_mr::new(memory(RSP, 0), RAX));
        self.emit(inst::movsd_c_m::new(address(RSP, 8), XMM0));
        let vmctx = load(self);
        self.emit(inst::movq_rm::new(RAX, memory(vmctx, head::BUILTINS)));
        self.emit(inst::callq_m::new(memory(RAX, builtin.offset())));
        self.emit(inst::movq_rm::new(RAX, memory(RSP, 0)));
        self.emit(inst::movsd_a_m::new(XMM0, address(RSP, 8)));
        self.emit(inst::addq_mi_sxb::new(RSP, Simm8::new(ROOM)));
    }

    /// A label that is not placed yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places a label here.
    pub(super) fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.done.code.len());
        self.done.assembly.push_str(&format!("L{}:\n", label.0));
    }

    /// Emits a jump. The distance is the instruction's last four bytes.
    pub(super) fn jump(&mut self, when: If, label: Label) {
        let to = Simm32::new(0);
        match when {
            If::Always => self.emit(inst::jmp_d32::new(to)),
            If::Equal => self.emit(inst::je_d32::new(to)),
            If::NotEqual => self.emit(inst::jne_d32::new(to)),
            If::Below => self.emit(inst::jb_d32::new(to)),
            If::AboveOrEqual => self.emit(inst::jae_d32::new(to)),
            If::Above => self.emit(inst::ja_d32::new(to)),
        }
        self.jumps.push((self.done.code.len() - 4, label));
        // In place of the distance, which is not known yet.
        let mnemonic = self.done.assembly.trim_end().trim_end_matches(|c: char| c.is_ascii_digit()).len();
        self.done.assembly.truncate(mnemonic);
        self.done.assembly.push_str(&format!("L{}\n", label.0));
    }

    /// From the next instruction on, this holds for unwinding.
    pub(super) fn unwind(&mut self, instruction: CallFrameInstruction) {
        self.done.unwind.push((self.offset(), instruction));
    }

    /// Where the next instruction will be.
    pub(super) fn offset(&self) -> u32 {
        self.done.code.len() as u32
    }

    /// The code, all of whose labels are placed.
    pub(super) fn finish(mut self) -> Assembled {
        for (at, label) in self.jumps {
            let target = self.labels[label.0].expect("every label is placed");
            let distance = target.wrapping_sub(at + 4) as u32;
            self.done.code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        self.done
    }
}

/// `[base + offset]`
pub(super) fn memory(base: u8, offset: i32) -> GprMem<u8, u8> {
    GprMem::Mem(address(base, offset))
}

/// `[base + offset]`, where nothing but memory can stand
pub(super) fn address(base: u8, offset: i32) -> Amode<u8> {
    let simm32 = AmodeOffsetPlusKnownOffset { simm32: AmodeOffset::new(offset), offset: None };
    Amode::ImmReg { base, simm32, trap: None }
}

/// `[base + 8 * index + offset]`
pub(super) fn element(base: u8, index: u8, offset: i32) -> GprMem<u8, u8> {
    scaled(base, index, Scale::Eight, offset)
}

/// `[base + index + offset]`
pub(super) fn indexed(base: u8, index: u8, offset: i32) -> GprMem<u8, u8> {
    scaled(base, index, Scale::One, offset)
}

fn scaled(base: u8, index: u8, scale: Scale, offset: i32) -> GprMem<u8, u8> {
    let (index, simm32) = (NonRspGpr::new(index), AmodeOffset::new(offset));
    GprMem::Mem(Amode::ImmRegRegShift { base, index, scale, simm32, trap: None })
}

/// Where the assembler puts bytes. Distances are left 0 and filled in by whoever emitted them.
struct Sink<'a> {
    code: &'a mut Vec<u8>,
}

impl CodeSink for Sink<'_> {
    fn put1(&mut self, value: u8) {
        self.code.push(value);
    }

    fn put2(&mut self, value: u16) {
        self.code.extend(value.to_le_bytes());
    }

    fn put4(&mut self, value: u32) {
        self.code.extend(value.to_le_bytes());
    }

    fn put8(&mut self, value: u64) {
        self.code.extend(value.to_le_bytes());
    }

    fn add_trap(&mut self, _: TrapCode) {}

    fn use_target(&mut self, _: DeferredTarget) {}

    fn known_offset(&self, offset: KnownOffset) -> i32 {
        unreachable!("no operand has the known offset {offset}")
    }
}
