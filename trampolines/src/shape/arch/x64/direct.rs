//! What an imported function is called through by a call instruction: C functions in C's own convention.
//!
//! The sandbox stands on this code: what the guest passes and was not checked here is not checked at all.
//!
//! The wasm function has put its arguments where C wants them. What is left to do is to check pointers, to extend small integers, and to
//! leave a crossing frame while the C function runs. For `int puts(const char *)`, with `record` standing for the copy's own record:
//!
//! ```text
//!     mov   r11, [record.memory]
//!     lea   edi, [rdi - 1]               ; the guest's address less 1: of NULL 2^32 - 1
//!     cmp   edi, [r11 + short_limit]
//!     jae   null or slow
//!     add   rdi, [record.memory_base_above]
//!     mov   r10, [record.vmctx]
//!     mov   r11, [r10 + crossings]
//!     mov   [r11 - 24], rsp              ; the crossing frame; the first store meets the guard page if the array is full
//!     mov   rax, [r10 + stack_pointer]
//!     mov   [r11 - 16], rax
//!     sub   [r10 + crossings], 24
//!     push  rbp
//!     call  [record.function]
//!     mov   r10, [record.vmctx]
//!     pop   rbp
//!     mov   r11, [r10 + crossings]
//!     cmp   [r11], rsp                   ; is this crossing still the innermost, and is no trap pending?
//!     jne   returned
//!     add   [r10 + crossings], 24
//!     ret
//! ```
//!
//! Where the wasm function's own crossing frame stands for the call, the code behind it does without ([`FunctionImport::covered`]):
//!
//! ```text
//!     mov   r11, [record.memory]
//!     lea   edi, [rdi - 1]
//!     cmp   edi, [r11 + short_limit]
//!     jae   null or slow
//!     add   rdi, [record.memory_base_above]
//!     jmp   [record.function]
//! ```
//!
//! and if nothing is converted the wasm function calls the C function itself. What is longer than [`SHORT_BYTES`] is compared with the memory's length, by one more
//! instruction; what is shorter and ends in its last bytes goes to the complete thunk.
//!
//! A handle is looked up in the same way, in five instructions and one for its object:
//!
//! ```text
//!     mov   r11, [r10 + handles]
//!     mov   r9d, edi
//!     and   r9d, index_mask
//!     cmp   [r11 + 8 * r9], edi          ; is it this one's slot?
//!     jne   null or slow
//!     cmp   [r11 + 8 * r9 + 4], number   ; of the type
//!     jne   passes or slow
//!     mov   rdi, [r11 + 8 * r9 + object]
//! ```
//!
//! Where a pointer or handle fails, everything goes to the complete thunk that Cranelift has made, which leaves a crossing frame, with the arguments as they came: the lower half of a
//! pointer is still the guest's address, because that of the memory's is 0. It sorts out why, and says so.
//!
//! No frame pointer is set up; the wasm function's is saved where it would be. Whatever can trap does so with the stack pointer at the return
//! address.
//!
//! [`FunctionImport::covered`]: wasmbridge_artifact::vmctx::FunctionImport::covered

use super::asm::{ARGUMENTS, Assembled, Assembler, If, Label, address, element, memory};
use super::numbers;
use super::passes::Mismatch;
use crate::objects::ObjectTypes;
use crate::signature::{Crossing, Scalar, Signature};
use cranelift_assembler_x64::gpr::enc::*;
use cranelift_assembler_x64::{Imm8, Imm32, Simm8, inst};
use gimli::X86_64;
use gimli::write::CallFrameInstruction;
use std::mem::offset_of;
use wasmbridge_artifact::vmctx::{DIRECT_INTEGERS, MemoryDef, SHORT_BYTES, crossing, direct, handles, head, is_direct};
use wasmbridge_artifact::{Builtin, TrapCode};

/// `xmm0`: floats are returned in it.
const XMM0: u8 = 0;

/// Where the index of a handle's slot is. No argument is there: it is the register of the sixth, which the function would have with a vmctx.
const SLOT: u8 = R9;
const _: () = assert!(DIRECT_INTEGERS < 6);

/// Code that calls a function in the `Tail` convention, wasm function or thunk, whatever it does: for functions with so many integer
/// parameters.
pub(in crate::shape) fn adaptor(integers: usize) -> Assembled {
    let mut asm = Assembler::default();
    call_tail(&mut asm, integers);
    asm.finish()
}

/// Goes on in the function in the `Tail` convention, with its vmctx before the integer arguments.
fn call_tail(asm: &mut Assembler, integers: usize) {
    for place in (0..integers).rev() {
        asm.emit(inst::movq_mr::new(ARGUMENTS[place + 1], ARGUMENTS[place]));
    }
    asm.with_record(direct::CALLEE_VMCTX, |record| inst::movq_rm::new(RDI, record).into());
    asm.with_record(direct::CODE, |record| inst::jmpq_m::new(record).into());
}

/// What a call of a C function of this signature is to go to.
pub(in crate::shape) enum Direct {
    /// the C function itself
    Itself,
    /// this code; and in it, from an offset on, what a call with a standing crossing frame goes to, if that is not the C function itself
    Code(Assembled, Option<u32>),
    /// an adaptor: its thunk does more than can be done here
    Thunk,
}

/// What a call of a C function of this signature is to go to. Its wasm type [is passed as C passes it](is_direct).
pub(in crate::shape) fn direct(signature: &Signature, objects: &ObjectTypes) -> Direct {
    debug_assert!(is_direct(&signature.wasm_type()));
    // A thunk that saves all registers: see `Emit::trap_with_registers_saved`.
    if signature.unwind {
        return Direct::Thunk;
    }
    let Some(params) = Param::all(signature, objects) else { return Direct::Thunk };
    let result = signature.result.as_ref().map(|result| &result.crossing);
    if !matches!(result, None | Some(Crossing::Scalar(_) | Crossing::User | Crossing::Pointer { .. })) {
        return Direct::Thunk;
    }
    let same = |param: &Param| matches!(param, Param::Number(scalar) if numbers::is_same(*scalar));
    let result_is_same = match result {
        None => true,
        Some(Crossing::Scalar(scalar)) => numbers::is_same(*scalar),
        Some(_) => false,
    };
    if signature.leaf && result_is_same && params.iter().all(same) {
        return Direct::Itself;
    }
    let mut asm = Assembler::default();
    let complete = asm.label();
    let mut code = Code { asm, signature, complete };
    let mut failures = Vec::new();
    let covered = if signature.leaf {
        Some(0)
    } else {
        failures = code.convert_arguments(&params);
        code.call_crossing(&params);
        (!result_is_same || !params.iter().all(same)).then(|| code.asm.offset())
    };
    if covered.is_some() {
        failures.extend(code.convert_arguments(&params));
        code.call(result_is_same);
    }
    if !failures.is_empty() {
        code.failed(failures);
        code.asm.bind(complete);
        call_tail(&mut code.asm, params.len());
    }
    Direct::Code(code.asm.finish(), covered)
}

/// A parameter in an integer register.
enum Param {
    Number(Scalar),
    Pointer {
        /// bytes that must lie in memory
        size: i32,
        nonnull: bool,
    },
    Handle {
        /// of its type
        number: u32,
        nonnull: bool,
    },
}

impl Param {
    /// Those in integer registers; `None` if some are not converted here.
    fn all(signature: &Signature, objects: &ObjectTypes) -> Option<Vec<Param>> {
        let mut params = Vec::new();
        for param in &signature.params {
            params.push(match param.crossing {
                Crossing::Scalar(Scalar::Float | Scalar::Double) => continue,
                Crossing::Scalar(scalar) => Param::Number(scalar),
                Crossing::User => Param::Number(Scalar::ULONG),
                Crossing::Pointer { pointee_size, .. } => {
                    let size = i32::try_from(pointee_size).ok().filter(|size| *size < i32::MAX)?;
                    Param::Pointer { size, nonnull: param.nonnull }
                }
                Crossing::Handle { ref type_name, ends: false } => {
                    Param::Handle { number: objects.number(type_name), nonnull: param.nonnull }
                }
                _ => return None,
            });
        }
        Some(params)
    }
}

/// A pointer or handle that may fail its check.
struct Failure {
    register: u8,
    /// whether it is a pointer, of which 1 was taken
    pointer: bool,
    nonnull: bool,
    /// where it goes then
    failed: Label,
    /// where NULL goes on
    checked: Label,
    /// of a handle whose type is not the wanted one
    mismatch: Option<Mismatch>,
}

struct Code<'a> {
    asm: Assembler,
    signature: &'a Signature,
    /// goes on in the thunk; the arguments are as they came, but for the upper halves of pointers
    complete: Label,
}

impl Code<'_> {
    /// Pointers first, then handles: nothing else is changed before they have all been checked.
    fn convert_arguments(&mut self, params: &[Param]) -> Vec<Failure> {
        let registers = || params.iter().zip(ARGUMENTS);
        let mut failures = Vec::new();
        for (param, register) in registers() {
            let &Param::Pointer { size, nonnull } = param else { continue };
            if failures.is_empty() {
                self.asm.with_record(direct::MEMORY, |record| inst::movq_rm::new(R11, record).into());
            }
            let (failed, checked) = (self.asm.label(), self.asm.label());
            self.pointer(register, size, failed);
            self.asm.bind(checked);
            failures.push(Failure { register, pointer: true, nonnull, failed, checked, mismatch: None });
        }
        let all: Vec<_> = registers()
            .filter_map(|(param, register)| match *param {
                Param::Handle { number, nonnull } => Some((register, number, nonnull)),
                _ => None,
            })
            .collect();
        if let Some(((last, _, _), others)) = all.split_last() {
            self.load_vmctx();
            self.asm.emit(inst::movq_rm::new(R11, memory(R10, head::HANDLES)));
            for &(register, number, nonnull) in &all {
                let (failed, checked) = (self.asm.label(), self.asm.label());
                let mismatch = self.handle(register, number, failed);
                self.asm.bind(mismatch.passed);
                if register == *last {
                    self.asm.emit(inst::movq_rm::new(register, element(R11, SLOT, handles::OBJECT)));
                }
                self.asm.bind(checked);
                failures.push(Failure { register, pointer: false, nonnull, failed, checked, mismatch: Some(mismatch) });
            }
            // The others were still wanted as they came, in case that one failed.
            for &(register, ..) in others {
                self.slot(register);
                self.asm.emit(inst::movq_rm::new(register, element(R11, SLOT, handles::OBJECT)));
            }
        }
        for (param, register) in registers() {
            if let Param::Number(scalar) = *param {
                numbers::into_native(&mut self.asm, scalar, register);
            }
        }
        failures
    }

    /// What is done with pointers that fail.
    fn failed(&mut self, failures: Vec<Failure>) {
        for Failure { register, pointer, nonnull, failed, checked, mismatch } in failures {
            if let Some(mismatch) = mismatch {
                mismatch.finish(&mut self.asm);
            }
            self.asm.bind(failed);
            if pointer {
                // The guest's address again; of NULL it is 0.
                self.asm.emit(inst::addl_mi_sxb::new(register, Simm8::new(1)));
            } else if !nonnull {
                // NULL goes on with nothing in the register's upper half.
                self.asm.emit(inst::movl_mr::new(register, register));
                self.asm.emit(inst::testl_mr::new(register, register));
            }
            if !nonnull {
                self.asm.jump(If::Equal, checked);
            }
            self.asm.jump(If::Always, self.complete);
        }
    }

    /// Checks that `size` bytes lie in the memory and that the address is not 0. One comparison does both, see
    /// [`checked_address`](super::super::super::emit::Emit::checked_address) and [`short_limit`](wasmbridge_artifact::vmctx::short_limit). The memory's
    /// definition is in `r11`.
    fn pointer(&mut self, register: u8, size: i32, failed: Label) {
        let asm = &mut self.asm;
        asm.emit(inst::leal_rm::new(register, address(register, -1)));
        if size as u64 <= SHORT_BYTES {
            asm.emit(inst::cmpl_rm::new(register, memory(R11, offset_of!(MemoryDef, short_limit) as i32)));
            asm.jump(If::AboveOrEqual, failed);
        } else {
            asm.emit(inst::leaq_rm::new(RAX, address(register, size + 1)));
            asm.emit(inst::cmpq_rm::new(RAX, memory(R11, offset_of!(MemoryDef, len_bytes) as i32)));
            asm.jump(If::Above, failed);
        }
        asm.with_record(direct::MEMORY_BASE_ABOVE, |record| inst::addq_rm::new(register, record).into());
    }

    /// Checks a handle, whose slot is then in [`SLOT`]: see [`handles`]. The table is in `r11`.
    fn handle(&mut self, register: u8, wanted: u32, failed: Label) -> Mismatch {
        let (other, passed) = (self.asm.label(), self.asm.label());
        let known = element(R11, SLOT, 4);
        self.slot(register);
        let asm = &mut self.asm;
        asm.emit(inst::cmpl_mr::new(element(R11, SLOT, 0), register));
        asm.jump(If::NotEqual, failed);
        asm.emit(inst::cmpl_mi::new(known, Imm32::new(wanted)));
        asm.jump(If::NotEqual, other);
        Mismatch { other, passed, failed, wanted, known }
    }

    /// Takes a handle's index.
    fn slot(&mut self, handle: u8) {
        self.asm.emit(inst::movl_mr::new(SLOT, handle));
        self.asm.emit(inst::andl_mi::new(SLOT, Imm32::new(handles::INDEX_MASK)));
    }

    fn load_vmctx(&mut self) {
        self.asm.with_record(direct::VMCTX, |record| inst::movq_rm::new(R10, record).into());
    }

    /// Does something with the stack pointer at a multiple of 16, and the wasm function's frame pointer below the return address.
    fn framed(&mut self, inner: impl FnOnce(&mut Assembler)) {
        self.asm.emit(inst::pushq_o::new(RBP));
        self.asm.unwind(CallFrameInstruction::CfaOffset(16));
        self.asm.unwind(CallFrameInstruction::Offset(X86_64::RBP, -16));
        inner(&mut self.asm);
        self.asm.emit(inst::popq_o::new(RBP));
        self.asm.unwind(CallFrameInstruction::CfaOffset(8));
        self.asm.unwind(CallFrameInstruction::SameValue(X86_64::RBP));
    }

    /// Calls the C function, without a crossing frame, and returns its result.
    fn call(&mut self, result_is_same: bool) {
        if result_is_same {
            return self.asm.with_record(direct::FUNCTION, |record| inst::jmpq_m::new(record).into());
        }
        self.framed(|asm| asm.with_record(direct::FUNCTION, |record| inst::callq_m::new(record).into()));
        self.convert_result();
    }

    /// Calls the C function, with a crossing frame as [`CrossingFrame`](wasmbridge_artifact::vmctx::CrossingFrame) says, and returns
    /// its result.
    fn call_crossing(&mut self, params: &[Param]) {
        let below = |field: i32| field - crossing::SIZE;
        let size = Simm8::new(crossing::SIZE as i8);
        if !params.iter().any(|param| matches!(param, Param::Handle { .. })) {
            self.load_vmctx();
        }
        let asm = &mut self.asm;
        asm.emit(inst::movq_rm::new(R11, memory(R10, head::CROSSINGS)));
        let store = inst::movq_mr::new(memory(R11, below(crossing::FRAME)), RSP);
        asm.emit_trapping(store, TrapCode::StackOverflow);
        asm.emit(inst::movq_rm::new(RAX, memory(R10, head::STACK_POINTER)));
        asm.emit(inst::movq_mr::new(memory(R11, below(crossing::STACK_POINTER)), RAX));
        asm.emit(inst::subq_mi_sxb::new(memory(R10, head::CROSSINGS), size));
        self.framed(|asm| {
            asm.with_record(direct::FUNCTION, |record| inst::callq_m::new(record).into());
            asm.with_record(direct::VMCTX, |record| inst::movq_rm::new(R10, record).into());
        });
        let asm = &mut self.asm;
        let (returned, go_on) = (asm.label(), asm.label());
        asm.emit(inst::movq_rm::new(R11, memory(R10, head::CROSSINGS)));
        asm.emit(inst::cmpq_mr::new(memory(R11, crossing::FRAME), RSP));
        asm.jump(If::NotEqual, returned);
        asm.emit(inst::addq_mi_sxb::new(memory(R10, head::CROSSINGS), size));
        asm.bind(go_on);
        self.convert_result();
        self.asm.bind(returned);
        self.returned(go_on);
    }

    /// The crossing frame is not the innermost one. The vmctx is in `r10`.
    fn returned(&mut self, go_on: Label) {
        const ROOM: i8 = 32;
        self.framed(|asm| {
            asm.emit(inst::subq_mi_sxb::new(RSP, Simm8::new(ROOM)));
            asm.unwind(CallFrameInstruction::CfaOffset(16 + i32::from(ROOM)));
            asm.emit(inst::movq_mr::new(memory(RSP, 0), RAX));
            asm.emit(inst::movsd_c_m::new(address(RSP, 8), XMM0));
            asm.emit(inst::movq_mr::new(RDI, R10));
            // The crossing frame's name: the address of the return address.
            asm.emit(inst::leaq_rm::new(RSI, address(RSP, i32::from(ROOM) + 8)));
            builtin(asm, Builtin::ThunkReturned);
            asm.emit(inst::testl_mr::new(RAX, RAX));
            // None of these touches the flags.
            asm.emit(inst::movq_rm::new(RAX, memory(RSP, 0)));
            asm.emit(inst::movsd_a_m::new(XMM0, address(RSP, 8)));
            asm.emit(inst::leaq_rm::new(RSP, address(RSP, i32::from(ROOM))));
            asm.unwind(CallFrameInstruction::CfaOffset(16));
        });
        self.asm.jump(If::NotEqual, go_on);
        self.asm.trap(TrapCode::CallbackFailed);
    }

    /// Converts the result, and returns it. The crossing is over.
    fn convert_result(&mut self) {
        let Some(result) = &self.signature.result else { return self.asm.emit(inst::retq_zo::new()) };
        let scalar = match result.crossing {
            Crossing::Pointer { .. } => return self.pointer_result(result.nonnull),
            Crossing::User => Scalar::ULONG,
            Crossing::Scalar(scalar) => scalar,
            _ => unreachable!("`direct` has looked"),
        };
        let Scalar::Int(int) = scalar else {
            numbers::result_into_wasm(&mut self.asm, scalar);
            return self.asm.emit(inst::retq_zo::new());
        };
        if !int.narrows() {
            numbers::result_into_wasm(&mut self.asm, scalar);
            return self.asm.emit(inst::retq_zo::new());
        }
        let misfit = self.asm.label();
        if int.signed {
            self.asm.emit(inst::movslq_rm::new(R11, RAX));
            self.asm.emit(inst::cmpq_rm::new(R11, RAX));
        } else {
            self.asm.emit(inst::movq_mr::new(R11, RAX));
            self.asm.emit(inst::shrq_mi::new(R11, Imm8::new(32)));
        }
        self.asm.jump(If::NotEqual, misfit);
        self.asm.emit(inst::retq_zo::new());
        self.asm.bind(misfit);
        self.ask(Builtin::ThunkRange);
        self.asm.trap(TrapCode::Crossing);
    }

    /// Converts a pointer: see the callback's pointers.
    fn pointer_result(&mut self, nonnull: bool) {
        let (elsewhere, done, refused) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.emit(inst::movq_mr::new(R11, RAX));
        self.asm.with_record(direct::MEMORY_BASE_ABOVE, |record| inst::xorq_rm::new(R11, record).into());
        self.asm.emit(inst::shrq_mi::new(R11, Imm8::new(32)));
        self.asm.jump(If::NotEqual, elsewhere);
        self.asm.bind(done);
        self.asm.emit(inst::retq_zo::new());
        self.asm.bind(elsewhere);
        if !nonnull {
            self.asm.emit(inst::testq_mr::new(RAX, RAX));
            self.asm.jump(If::Equal, done);
        }
        self.ask(Builtin::ThunkResult);
        self.asm.emit(inst::cmpq_mi_sxb::new(RAX, Simm8::new(-1)));
        self.asm.jump(If::Equal, refused);
        self.asm.emit(inst::retq_zo::new());
        self.asm.bind(refused);
        self.asm.trap(TrapCode::Crossing);
    }

    /// Calls a builtin with the thunk's record and the result. If a callback has failed meanwhile, returns: what C returns after it got a default answer
    /// means nothing, and whose crossing frame stands looks for that next.
    fn ask(&mut self, function: Builtin) {
        self.load_vmctx();
        let means_something = self.asm.label();
        self.asm.emit(inst::leaq_rm::new(R11, address(R10, head::REFUSING)));
        self.asm.emit(inst::cmpq_mr::new(memory(R10, head::CROSSINGS), R11));
        self.asm.jump(If::NotEqual, means_something);
        self.asm.emit(inst::retq_zo::new());
        self.asm.bind(means_something);
        self.framed(|asm| {
            asm.with_record(direct::CALLEE_VMCTX, |record| inst::movq_rm::new(RDI, record).into());
            asm.emit(inst::movq_mr::new(RSI, RAX));
            builtin(asm, function);
        });
    }
}

/// Calls a builtin. The vmctx is in `r10`.
fn builtin(asm: &mut Assembler, builtin: Builtin) {
    asm.emit(inst::movq_rm::new(R11, memory(R10, head::BUILTINS)));
    asm.emit(inst::callq_m::new(memory(R11, builtin.offset())));
}
