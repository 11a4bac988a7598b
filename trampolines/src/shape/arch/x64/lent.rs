//! What a fast entry does where the callback is lent handles of objects.
//!
//! The sandbox stands on this code. [`handles`] says what there is. If the app has a handle of the object already, it is that:
//!
//! ```text
//!     mov   r11, [rax + handles]         ; rax is the vmctx, from the entry check
//!     mov   r10d, edi
//!     and   r10d, bucket_mask
//!     cmp   [r11 + r10 + buckets], rdi   ; of this object?
//!     jne   lend
//!     cmp   [r11 + r10 + type], number
//!     jne   passes or slow
//!     push  rbp
//!     mov   rbp, rsp
//!     mov   esi, [r11 + r10 + handle]
//!     ...                                ; call, and return
//! ```
//!
//! If it has none of any object with such an address, a slot is opened that ends when the callback returns:
//!
//! ```text
//! lend:
//!     cmp   [r11 + r10 + buckets], 0     ; that of NULL is not
//!     jne   slow
//!     cmp   [r11 + frame], 0             ; is a callback running that has opened it, or is there none?
//!     jne   slow
//!     push  rbp
//!     mov   rbp, rsp
//!     mov   [r11 + frame], rsp
//!     mov   r10, [r11 + slot.key]
//!     mov   [r10 + object], rdi
//!     mov   esi, [r11 + slot.handle]
//!     mov   [r10], esi
//!     mov   [r10 + 4], number
//!     ...                                ; call
//!     mov   rcx, [record.owner]
//!     mov   rcx, [rcx + handles]
//!     cmp   [rcx + frame], rsp           ; the runtime may have come to know of it
//!     jne   settled
//!     mov   rdx, [rcx + slot.key]
//!     mov   [rdx], 0                     ; stale from here on
//!     mov   [rcx + frame], 0
//!     add   [rcx + slot.handle], 1 << 20 ; the next generation
//!     jb    settled                      ; there is none: the runtime provides another slot
//! ```
//!
//! If the callback does not return here, because of a trap, a `longjmp` or an exception, `frame` says to whoever comes next in the runtime that it was
//! there, and where on the stack.

use super::asm::{Assembler, If, Label, indexed, memory};
use super::passes::Mismatch;
use crate::objects::ObjectTypes;
use crate::signature::{Crossing, Value};
use cranelift_assembler_x64::gpr::enc::*;
use cranelift_assembler_x64::{Imm32, Simm8, Simm32, inst};
use std::mem::offset_of;
use wasmbridge_artifact::Builtin;
use wasmbridge_artifact::vmctx::handles::{self, Bucket, INDEX_BITS, LENT_SLOTS, lent};
use wasmbridge_artifact::vmctx::{callback, head};

/// A parameter that the app gets a handle of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lent {
    /// of the object's type
    number: u32,
    /// which of the parameters that are handles it is
    place: usize,
    /// `[scope: call]`: the object is gone when the callback has returned, so a handle that the app has of it must end, too
    ends: bool,
}

impl Lent {
    /// A `[handle]` parameter; `before` counts those before it.
    pub(super) fn of(param: &Value, objects: &ObjectTypes, before: usize) -> Option<Lent> {
        let Crossing::Handle { type_name, ends } = &param.crossing else { return None };
        Some(Lent { number: objects.number(type_name), place: before, ends: *ends })
    }

    /// Whether this many of them can be lent without asking.
    pub(super) fn can_open(count: usize) -> bool {
        count <= LENT_SLOTS
    }

    /// Goes to `slow` unless the app has a handle of the object in this register, or to `lend` if it has none of an object with such an address. The bucket's place
    /// is in `r10` then.
    fn is_known(self, asm: &mut Assembler, slow: Label, object: u8, lend: Label) -> Mismatch {
        let (other, passed, known) = (asm.label(), asm.label(), in_bucket(TYPE));
        bucket(asm, object);
        asm.emit(inst::cmpq_mr::new(in_bucket(OBJECT), object));
        asm.jump(If::NotEqual, lend);
        asm.emit(inst::cmpl_mi::new(known, Imm32::new(self.number)));
        asm.jump(If::NotEqual, other);
        asm.bind(passed);
        Mismatch { other, passed, failed: slow, wanted: self.number, known }
    }

    /// Goes to `slow` unless the app has a handle of the object in this register that it keeps, or none of any object with such an address.
    fn is_known_or_new(self, asm: &mut Assembler, slow: Label, object: u8) -> Option<Mismatch> {
        let (new, done) = (asm.label(), asm.label());
        let mismatch = if self.ends {
            bucket(asm, object);
            None
        } else {
            let mismatch = self.is_known(asm, slow, object, new);
            asm.jump(If::Always, done);
            Some(mismatch)
        };
        asm.bind(new);
        is_new(asm, slow);
        asm.bind(done);
        mismatch
    }

    /// Takes the handle that the app has of the object in the register `from`. The bucket's place is in `r10`, if it is the `only` handle.
    pub(super) fn take(self, asm: &mut Assembler, to: u8, from: u8, only: bool) {
        if !only {
            bucket(asm, from);
        }
        asm.emit(inst::movl_rm::new(to, in_bucket(HANDLE)));
    }

    /// Takes the handle of the object in the register `from`, for which a slot is opened unless the app has one.
    pub(super) fn open(self, asm: &mut Assembler, to: u8, from: u8, only: bool) {
        let (known, opened) = (asm.label(), asm.label());
        if !only {
            bucket(asm, from);
            asm.emit(inst::cmpq_mr::new(in_bucket(OBJECT), from));
            asm.jump(If::Equal, known);
        }
        asm.emit(inst::movq_rm::new(R10, memory(R11, lent::key(self.place))));
        asm.emit(inst::movq_mr::new(memory(R10, handles::OBJECT), from));
        asm.emit(inst::movl_rm::new(to, memory(R11, lent::handle(self.place))));
        asm.emit(inst::movl_mr::new(memory(R10, 0), to));
        asm.emit(inst::movl_mi::new(memory(R10, 4), Imm32::new(self.number)));
        if !only {
            asm.jump(If::Always, opened);
            asm.bind(known);
            asm.emit(inst::movl_rm::new(to, in_bucket(HANDLE)));
            asm.bind(opened);
        }
    }
}

/// bytes from a bucket to its object
const OBJECT: usize = offset_of!(Bucket, object);
/// bytes from a bucket to its handle
const HANDLE: usize = offset_of!(Bucket, key);
/// bytes from a bucket to the number of its object's type
const TYPE: usize = HANDLE + 4;

/// Loads the table. The vmctx is in `rax`.
pub(super) fn load_table(asm: &mut Assembler) {
    asm.emit(inst::movq_rm::new(R11, memory(RAX, head::HANDLES)));
}

/// Takes the place of an object's bucket into `r10`.
fn bucket(asm: &mut Assembler, object: u8) {
    asm.emit(inst::movl_mr::new(R10, object));
    asm.emit(inst::andl_mi::new(R10, Imm32::new(handles::BUCKET_MASK)));
}

fn in_bucket(field: usize) -> cranelift_assembler_x64::GprMem<u8, u8> {
    indexed(R11, R10, handles::BUCKETS + field as i32)
}

/// Goes to `slow` unless nobody is in the bucket. NULL's is never empty.
fn is_new(asm: &mut Assembler, slow: Label) {
    asm.emit(inst::cmpq_mi_sxb::new(in_bucket(OBJECT), Simm8::new(0)));
    asm.jump(If::NotEqual, slow);
}

/// Whether the app may have handles of all objects already, and keep them: [`check`] lets such calls pass.
pub(super) fn may_be_known(lents: &[(Lent, u8)]) -> bool {
    lents.iter().all(|(lent, _)| !lent.ends)
}

/// Goes to `slow` unless the app has handles of all objects, or to `lend` if it has none of one of them. What is to be finished later is given back.
pub(super) fn check(asm: &mut Assembler, lents: &[(Lent, u8)], lend: Label, slow: Label) -> Vec<Mismatch> {
    lents.iter().map(|&(lent, object)| lent.is_known(asm, slow, object, lend)).collect()
}

/// The way on from `lend`: goes to `slow` unless there is a slot for each object that the app has no handle of.
pub(super) fn check_slots(asm: &mut Assembler, lents: &[(Lent, u8)], slow: Label) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    match lents {
        // Its bucket has been looked for.
        [(Lent { ends: false, .. }, _)] => is_new(asm, slow),
        lents => {
            for (i, &(lent, object)) in lents.iter().enumerate() {
                mismatches.extend(lent.is_known_or_new(asm, slow, object));
                // One object has one handle.
                for &(_, other) in &lents[..i] {
                    asm.emit(inst::cmpq_mr::new(object, other));
                    asm.jump(If::Equal, slow);
                }
            }
        }
    }
    asm.emit(inst::cmpq_mi_sxb::new(memory(R11, lent::FRAME), Simm8::new(0)));
    asm.jump(If::NotEqual, slow);
    mismatches
}

/// A callback begins that opens slots. Its frame is set up.
pub(super) fn begin(asm: &mut Assembler) {
    asm.emit(inst::movq_mr::new(memory(R11, lent::FRAME), RSP));
}

/// The end of a callback that has opened slots.
pub(super) struct End {
    settled: Label,
    over: Label,
}

/// The wasm function has returned. Its result stays where it is.
pub(super) fn end(asm: &mut Assembler, lents: &[(Lent, u8)]) -> End {
    let end = End { settled: asm.label(), over: asm.label() };
    asm.with_record(callback::OWNER, |record| inst::movq_rm::new(RCX, record).into());
    asm.emit(inst::movq_rm::new(RCX, memory(RCX, head::HANDLES)));
    asm.emit(inst::cmpq_mr::new(memory(RCX, lent::FRAME), RSP));
    asm.jump(If::NotEqual, end.settled);
    // Closing one that was not opened costs a generation.
    for (lent, _) in lents {
        asm.emit(inst::movq_rm::new(RDX, memory(RCX, lent::key(lent.place))));
        asm.emit(inst::movq_mi_sxl::new(memory(RDX, 0), Simm32::new(0)));
    }
    asm.emit(inst::movq_mi_sxl::new(memory(RCX, lent::FRAME), Simm32::new(0)));
    for (lent, _) in lents {
        asm.emit(inst::addl_mi::new(memory(RCX, lent::handle(lent.place)), Imm32::new(1 << INDEX_BITS)));
        asm.jump(If::Below, end.settled);
    }
    asm.bind(end.over);
    end
}

impl End {
    /// What happens if the runtime has come to know of the handles, or if a slot has no more generations. In the callback's frame.
    pub(super) fn finish(self, asm: &mut Assembler) {
        asm.bind(self.settled);
        asm.tell_runtime(Builtin::CallbackLentEnd, |asm| {
            asm.with_record(callback::OWNER, |record| inst::movq_rm::new(RDI, record).into());
            RDI
        });
        asm.jump(If::Always, self.over);
    }
}
