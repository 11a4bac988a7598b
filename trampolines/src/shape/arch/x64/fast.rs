//! The fast entry of a callback: the part of its code that runs when there is nothing to sort out.
//!
//! The sandbox stands on this code, as it does on [`callback`](super::super::super::callback), which is complete without it. The fast entry
//! does the same for signatures whose arguments all travel in registers and are all converted inline. Where anything is out of the
//! ordinary, it jumps to the complete callback behind it with every argument register and the stack as they came, as if the C caller
//! had called that. For `int compare(const void *, const void *)`, with `record` standing for the copy's own record:
//!
//! ```text
//!     mov   rax, [record.vmctx]
//!     cmp   rsp, [rax + stack_limit]
//!     jb    slow
//!     cmp   rsp, [rax + entry_ceiling]
//!     jae   slow
//!     mov   r10, rdi                     ; the high halves of pointers into memory are its base's
//!     xor   r10, [record.memory_base]
//!     mov   r11, rsi
//!     xor   r11, [record.memory_base]
//!     or    r10, r11
//!     shr   r10, 32
//!     jne   slow
//!     push  rbp
//!     mov   rbp, rsp
//!     mov   edx, esi
//!     mov   esi, edi
//!     mov   rdi, [record.callee_vmctx]
//!     call  [record.code]
//!     pop   rbp
//!     ret
//! slow:
//! ```
//!
//! Cranelift's version of the same takes 35 instructions: it takes the record's address and the stack pointer into registers, does not
//! compare or call with memory operands there, and allocates the slow path's spill space for both.
//!
//! `rax`, `r10` and `r11` are free at a function's start (psABI, figure 3.4; `al` matters to variadic functions only). The wasm function takes
//! the same registers as the C function but one place further, behind its vmctx; floats stay where they are.

use super::super::super::RecordReloc;
use crate::signature::{Crossing, Int, Scalar, Signature, Value};
use cranelift_assembler_x64::gpr::enc::*;
use cranelift_assembler_x64::inst::{self, Inst};
use cranelift_assembler_x64::{
    Amode, AmodeOffset, AmodeOffsetPlusKnownOffset, CodeSink, DeferredTarget, Imm8, KnownOffset, Registers,
};
use cranelift_assembler_x64::{GprMem, Simm32, TrapCode};
use gimli::X86_64;
use gimli::write::CallFrameInstruction;
use wasmbridge_artifact::vmctx::{callback, head};

/// The registers of integer arguments in C, in order (psABI, 3.2.3). The wasm function's first is the vmctx.
const ARGUMENTS: [u8; 6] = [RDI, RSI, RDX, RCX, R8, R9];

/// Float arguments that travel in registers, in C as in wasm.
const FLOAT_ARGUMENTS: usize = 8;

/// A finished fast entry. The complete callback is to follow its last byte.
#[derive(Default)]
pub(in crate::shape) struct FastEntry {
    pub(in crate::shape) code: Vec<u8>,
    pub(in crate::shape) record_relocs: Vec<RecordReloc>,
    /// how to unwind, from an offset on
    pub(in crate::shape) unwind: Vec<(u32, CallFrameInstruction)>,
    pub(in crate::shape) assembly: String,
}

/// The fast entry of a signature, if it can have one.
pub(in crate::shape) fn fast_entry(signature: &Signature) -> Option<FastEntry> {
    let arguments = Argument::all(signature)?;
    let result = match signature.result.as_ref().map(|result| &result.crossing) {
        None => None,
        Some(Crossing::Scalar(scalar)) => Some(*scalar),
        // Zero-extended, as an `unsigned long` is.
        Some(Crossing::User) => Some(Scalar::ULONG),
        Some(_) => return None,
    };
    let mut code = Assembler::default();
    code.admit();
    code.check(&arguments);
    code.push_frame();
    arguments.iter().rev().for_each(|argument| code.convert(argument));
    code.call();
    code.convert_result(result);
    code.pop_frame();
    Some(code.finish())
}

/// An argument in an integer register.
struct Argument {
    from: u8,
    to: u8,
    kind: Kind,
}

enum Kind {
    Number(Scalar),
    Pointer,
}

impl Argument {
    /// The arguments in integer registers; `None` if some travel on the stack or are not converted inline.
    fn all(signature: &Signature) -> Option<Vec<Argument>> {
        let is_float = |param: &&Value| matches!(param.crossing, Crossing::Scalar(Scalar::Float | Scalar::Double));
        let floats = signature.params.iter().filter(is_float).count();
        let kinds = signature.params.iter().filter(|param| !is_float(param)).map(|param| match param.crossing {
            Crossing::Scalar(scalar) => Some(Kind::Number(scalar)),
            Crossing::Pointer { .. } => Some(Kind::Pointer),
            // Zero-extended on its way out; of a native value that has more, nothing is cut off.
            Crossing::User => Some(Kind::Number(Scalar::ULONG)),
            _ => None,
        });
        let kinds = kinds.collect::<Option<Vec<Kind>>>()?;
        if floats > FLOAT_ARGUMENTS || kinds.len() >= ARGUMENTS.len() {
            return None;
        }
        let places = ARGUMENTS.iter().zip(&ARGUMENTS[1..]);
        Some(kinds.into_iter().zip(places).map(|(kind, (&from, &to))| Argument { from, to, kind }).collect())
    }
}

/// The assembler's registers are plain numbers here.
struct Plain;

impl Registers for Plain {
    type ReadGpr = u8;
    type ReadWriteGpr = u8;
    type WriteGpr = u8;
    type ReadXmm = u8;
    type ReadWriteXmm = u8;
    type WriteXmm = u8;
}

#[derive(Default)]
struct Assembler {
    code: Vec<u8>,
    record_relocs: Vec<RecordReloc>,
    /// offsets of the distances of jumps to the complete callback
    jumps: Vec<usize>,
    unwind: Vec<(u32, CallFrameInstruction)>,
    assembly: String,
}

impl Assembler {
    /// The entry check.
    fn admit(&mut self) {
        self.with_record(callback::VMCTX, |record| inst::movq_rm::new(RAX, record).into());
        self.emit(inst::cmpq_rm::new(RSP, memory(RAX, head::STACK_LIMIT)));
        self.jump(|| inst::jb_d32::new(Simm32::new(0)).into());
        self.emit(inst::cmpq_rm::new(RSP, memory(RAX, head::ENTRY_CEILING)));
        self.jump(|| inst::jae_d32::new(Simm32::new(0)).into());
    }

    /// The checks of all arguments: nothing that the C caller passed is changed before they are all done.
    fn check(&mut self, arguments: &[Argument]) {
        // Of what is gathered here, the high half must be 0.
        let mut gathered = false;
        for argument in arguments {
            let from = argument.from;
            let (with_base, high_half) = match argument.kind {
                Kind::Pointer => (true, true),
                Kind::Number(Scalar::Int(int)) if int.narrows() && !int.signed => (false, true),
                Kind::Number(Scalar::Int(int)) if int.narrows() => {
                    self.emit(inst::movslq_rm::new(R11, from));
                    self.emit(inst::cmpq_rm::new(R11, from));
                    self.jump(|| inst::jne_d32::new(Simm32::new(0)).into());
                    (false, false)
                }
                _ => (false, false),
            };
            if !high_half {
                continue;
            }
            let into = if gathered { R11 } else { R10 };
            self.emit(inst::movq_mr::new(into, from));
            if with_base {
                self.with_record(callback::MEMORY_BASE, |record| inst::xorq_rm::new(into, record).into());
            }
            if gathered {
                self.emit(inst::orq_rm::new(R10, R11));
            }
            gathered = true;
        }
        if gathered {
            self.emit(inst::shrq_mi::new(R10, Imm8::new(32)));
            self.jump(|| inst::jne_d32::new(Simm32::new(0)).into());
        }
    }

    /// Moves an argument to where the wasm function takes it. To be done from the last one on: each takes the next one's register.
    fn convert(&mut self, &Argument { from, to, ref kind }: &Argument) {
        match *kind {
            Kind::Number(Scalar::Bool) => {
                self.emit(inst::testb_mr::new(from, from));
                self.emit(inst::setne_m::new(from));
                self.emit(inst::movzbl_rm::new(to, from));
            }
            Kind::Number(Scalar::Int(Int { native_bytes: 8, guest_bytes: 8, .. })) => {
                self.emit(inst::movq_mr::new(to, from));
            }
            Kind::Number(Scalar::Int(int)) => self.extend(to, from, int),
            Kind::Pointer => self.emit(inst::movl_mr::new(to, from)),
            Kind::Number(Scalar::Float | Scalar::Double) => unreachable!("these are not in integer registers"),
        }
    }

    fn call(&mut self) {
        self.with_record(callback::CALLEE_VMCTX, |record| inst::movq_rm::new(RDI, record).into());
        self.with_record(callback::CODE, |record| inst::callq_m::new(record).into());
    }

    /// From what the wasm function returned to what the C function's type says.
    fn convert_result(&mut self, result: Option<Scalar>) {
        match result {
            Some(Scalar::Bool) => {
                self.emit(inst::testl_mr::new(RAX, RAX));
                self.emit(inst::setne_m::new(RAX));
                self.emit(inst::movzbl_rm::new(RAX, RAX));
            }
            Some(Scalar::Int(int)) if int.narrows() && int.signed => self.emit(inst::movslq_rm::new(RAX, RAX)),
            Some(Scalar::Int(int)) if int.narrows() || int.native_bytes < 4 => self.extend(RAX, RAX, int),
            _ => {}
        }
    }

    /// Extends an integer of up to 32 bits, of which more than it has of its own may be set; beyond 32, it is extended by zeros.
    fn extend(&mut self, to: u8, from: u8, int: Int) {
        match (int.native_bytes, int.signed) {
            (1, true) => self.emit(inst::movsbl_rm::new(to, from)),
            (1, false) => self.emit(inst::movzbl_rm::new(to, from)),
            (2, true) => self.emit(inst::movswl_rm::new(to, from)),
            (2, false) => self.emit(inst::movzwl_rm::new(to, from)),
            _ => self.emit(inst::movl_mr::new(to, from)),
        }
    }

    fn push_frame(&mut self) {
        self.emit(inst::pushq_o::new(RBP));
        self.unwind(CallFrameInstruction::CfaOffset(16));
        self.unwind(CallFrameInstruction::Offset(X86_64::RBP, -16));
        self.emit(inst::movq_mr::new(RBP, RSP));
        self.unwind(CallFrameInstruction::CfaRegister(X86_64::RBP));
    }

    fn pop_frame(&mut self) {
        self.emit(inst::popq_o::new(RBP));
        self.unwind(CallFrameInstruction::Cfa(X86_64::RSP, 8));
        self.unwind(CallFrameInstruction::SameValue(X86_64::RBP));
        self.emit(inst::retq_zo::new());
    }

    fn unwind(&mut self, instruction: CallFrameInstruction) {
        self.unwind.push((self.code.len() as u32, instruction));
    }

    fn emit(&mut self, inst: impl Into<Inst<Plain>>) {
        let inst = inst.into();
        inst.encode(&mut Sink { code: &mut self.code });
        self.assembly.push_str(&format!("  {inst}\n"));
    }

    /// Emits an instruction with a field of the record as its memory operand. The distance is the instruction's last four bytes.
    fn with_record(&mut self, field: i32, inst: impl FnOnce(GprMem<u8, u8>) -> Inst<Plain>) {
        self.emit(inst(GprMem::Mem(Amode::RipRelative { target: DeferredTarget::None })));
        let offset = self.code.len() - 4;
        // The processor counts from the end of the four bytes.
        self.record_relocs.push(RecordReloc { offset: offset as u32, addend: i64::from(field) - 4 });
        self.assembly.pop();
        self.assembly.push_str(&format!(" = record+{field}\n"));
    }

    /// Emits a conditional jump to the complete callback. The distance is the instruction's last four bytes.
    fn jump(&mut self, inst: impl FnOnce() -> Inst<Plain>) {
        self.emit(inst());
        self.jumps.push(self.code.len() - 4);
    }

    fn finish(mut self) -> FastEntry {
        let end = self.code.len();
        for at in self.jumps {
            let distance = (end - (at + 4)) as u32;
            self.code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        FastEntry { code: self.code, record_relocs: self.record_relocs, unwind: self.unwind, assembly: self.assembly }
    }
}

/// `[base + offset]`
fn memory(base: u8, offset: i32) -> GprMem<u8, u8> {
    let simm32 = AmodeOffsetPlusKnownOffset { simm32: AmodeOffset::new(offset), offset: None };
    GprMem::Mem(Amode::ImmReg { base, simm32, trap: None })
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
