//! What a fast entry does where the callback is shown data in place, if that lies in the window that is open from the callback before.
//!
//! The sandbox stands on this code. [`ShownWindow`](wasmbridge_artifact::vmctx::ShownWindow) says what there is. With `n` for the bytes that the prototype says:
//!
//! ```text
//!     mov   r10, [record.vmctx]
//!     mov   rax, [r10 + shown]
//!     mov   r11, [rax + ceiling]         ; 0 if nothing is open, or not only this
//!     sub   r11, rsp
//!     cmp   r11, [r10 + reach]
//!     jae   slow
//!     cmp   [rax + frame], 0             ; is a callback running with it?
//!     jne   slow
//!     mov   r10, [rax + changes_now]
//!     mov   r10, [r10]
//!     cmp   r10, [rax + changes]         ; has the host revoked something?
//!     jne   slow
//!     mov   r11, [rax + readable]        ; for each pointer: p - native <= readable - n, and neither difference below 0
//!     sub   r11, n
//!     jb    slow
//!     mov   r10, rdi
//!     sub   r10, [rax + native]
//!     cmp   r10, r11
//!     ja    slow
//!     push  rbp
//!     mov   rbp, rsp
//!     mov   [rax + frame], rbp           ; from here on nobody takes it for a window that is not used
//!     add   [rax + count], 1             ; for each pointer
//!     mov   r10, [rax + crossings]       ; the app may call C, and C the app
//!     mov   r11, [record.vmctx]
//!     mov   [r11 + crossings], r10
//!     ...                                ; convert, and call
//!     mov   rcx, [record.owner]
//!     mov   rdx, [rcx + shown]
//!     cmp   [rdx + frame], rsp           ; the runtime may have come to keep a scope for it
//!     jne   settled
//!     mov   [rdx + frame], 0
//!     lea   rdx, [rcx + refusing]
//!     mov   [rcx + crossings], rdx       ; it is open and not used: whoever enters otherwise takes the slow path
//! ```
//!
//! If the callback does not return here, because of a trap, a `longjmp` or an exception, `frame` says to whoever comes next in the runtime that it was
//! there, and where on the stack.

use super::asm::{ARGUMENTS, Assembler, If, Label, address, memory};
use super::numbers;
use crate::signature::{Crossing, Direction, Element, Expr, Extent, Int, Length, Scalar, Signature, Value};
use cranelift_assembler_x64::gpr::enc::*;
use cranelift_assembler_x64::{Imm8, Simm8, Simm32, inst};
use wasmbridge_artifact::Builtin;
use wasmbridge_artifact::vmctx::{callback, head, shown};

/// A pointer to data that is to be shown.
pub(super) struct Shown {
    len: Len,
    /// of the window's [`readable`](shown::READABLE) or [`writable`](shown::WRITABLE) bytes
    of: i32,
}

/// How many bytes it points to.
enum Len {
    Const(i32),
    /// as many elements of `size` bytes as this integer argument says
    Count {
        register: u8,
        int: Int,
        size: i32,
    },
}

impl Shown {
    /// The data of a `[window]` parameter, if its length is a constant or an argument.
    pub(super) fn of(param: &Value, signature: &Signature) -> Option<Shown> {
        let Crossing::Extent(Extent {
            direction,
            length: Length::Count(count),
            element: Element::Alike { size, .. },
            ..
        }) = &param.crossing
        else {
            return None;
        };
        let len = match count {
            Expr::Const(count) => {
                let len = count.checked_mul((*size).into())?;
                Len::Const(i32::try_from(len).ok().filter(|&len| len > 0)?)
            }
            Expr::Param(index) => {
                let is_float =
                    |param: &&Value| matches!(param.crossing, Crossing::Scalar(Scalar::Float | Scalar::Double));
                let Crossing::Scalar(Scalar::Int(int)) = signature.params[*index as usize].crossing else {
                    return None;
                };
                let before = signature.params[..*index as usize].iter().filter(|param| !is_float(param)).count();
                Len::Count { register: *ARGUMENTS.get(before)?, int, size: i32::try_from(*size).ok()? }
            }
            _ => return None,
        };
        let of = if *direction == Direction::In { shown::READABLE } else { shown::WRITABLE };
        Some(Shown { len, of })
    }

    /// Goes to `slow` unless all of it is in the window. The [`ShownWindow`](wasmbridge_artifact::vmctx::ShownWindow) is in `rax`.
    pub(super) fn check(&self, asm: &mut Assembler, slow: Label, pointer: u8) {
        match self.len {
            Len::Const(len) => {
                asm.emit(inst::movq_rm::new(R11, memory(RAX, self.of)));
                asm.emit(inst::subq_mi_sxl::new(R11, Simm32::new(len)));
            }
            Len::Count { register, int, size } => {
                if int.native_bytes == 8 {
                    // So that the product does not overflow.
                    asm.emit(inst::movq_mr::new(R10, register));
                    asm.emit(inst::shrq_mi::new(R10, Imm8::new(32)));
                    asm.jump(If::NotEqual, slow);
                }
                // A negative one is a very large one then, and no window is as long.
                numbers::extend(asm, R10, register, int);
                asm.emit(inst::testq_mr::new(R10, R10));
                asm.jump(If::Equal, slow);
                asm.emit(inst::imulq_rmi_sxl::new(R10, R10, Simm32::new(size)));
                asm.emit(inst::movq_rm::new(R11, memory(RAX, self.of)));
                asm.emit(inst::subq_rm::new(R11, R10));
            }
        }
        asm.jump(If::Below, slow);
        asm.emit(inst::movq_mr::new(R10, pointer));
        asm.emit(inst::subq_rm::new(R10, memory(RAX, shown::NATIVE)));
        asm.emit(inst::cmpq_rm::new(R10, R11));
        asm.jump(If::Above, slow);
    }
}

/// The entry check, in place of the one for other callbacks. Leaves the [`ShownWindow`](wasmbridge_artifact::vmctx::ShownWindow) in `rax`.
pub(super) fn admit(asm: &mut Assembler, slow: Label) {
    asm.with_record(callback::VMCTX, |record| inst::movq_rm::new(R10, record).into());
    asm.emit(inst::movq_rm::new(RAX, memory(R10, head::SHOWN)));
    asm.emit(inst::movq_rm::new(R11, memory(RAX, shown::CEILING)));
    asm.emit(inst::subq_rm::new(R11, RSP));
    asm.emit(inst::cmpq_rm::new(R11, memory(R10, head::REACH)));
    asm.jump(If::AboveOrEqual, slow);
    asm.emit(inst::cmpq_mi_sxb::new(memory(RAX, shown::FRAME), Simm8::new(0)));
    asm.jump(If::NotEqual, slow);
    asm.emit(inst::movq_rm::new(R10, memory(RAX, shown::CHANGES_NOW)));
    asm.emit(inst::movq_rm::new(R10, memory(R10, 0)));
    asm.emit(inst::cmpq_rm::new(R10, memory(RAX, shown::CHANGES)));
    asm.jump(If::NotEqual, slow);
}

/// The callback begins, which is shown data so many times. Its frame is set up.
pub(super) fn begin(asm: &mut Assembler, times: usize) {
    asm.emit(inst::movq_mr::new(memory(RAX, shown::FRAME), RSP));
    asm.emit(inst::addq_mi_sxb::new(memory(RAX, shown::COUNT), Simm8::new(times as i8)));
    asm.emit(inst::movq_rm::new(R10, memory(RAX, shown::CROSSINGS)));
    asm.with_record(callback::VMCTX, |record| inst::movq_rm::new(R11, record).into());
    asm.emit(inst::movq_mr::new(memory(R11, head::CROSSINGS), R10));
}

/// The end of a callback.
pub(super) struct End {
    settled: Label,
    over: Label,
}

/// The wasm function has returned. Its result stays where it is.
pub(super) fn end(asm: &mut Assembler) -> End {
    let end = End { settled: asm.label(), over: asm.label() };
    asm.with_record(callback::OWNER, |record| inst::movq_rm::new(RCX, record).into());
    asm.emit(inst::movq_rm::new(RDX, memory(RCX, head::SHOWN)));
    asm.emit(inst::cmpq_mr::new(memory(RDX, shown::FRAME), RSP));
    asm.jump(If::NotEqual, end.settled);
    asm.emit(inst::movq_mi_sxl::new(memory(RDX, shown::FRAME), Simm32::new(0)));
    asm.emit(inst::leaq_rm::new(RDX, address(RCX, head::REFUSING)));
    asm.emit(inst::movq_mr::new(memory(RCX, head::CROSSINGS), RDX));
    asm.bind(end.over);
    end
}

impl End {
    /// What happens if the runtime keeps a scope for the callback since. In its frame; the vmctx is in `rcx`.
    pub(super) fn finish(self, asm: &mut Assembler) {
        asm.bind(self.settled);
        asm.tell_runtime(Builtin::CallbackShown, |asm| {
            asm.emit(inst::movq_mr::new(RDI, RCX));
            RCX
        });
        asm.jump(If::Always, self.over);
    }
}
