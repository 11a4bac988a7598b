//! From a `throw` to its handler.
//!
//! The walk goes by frame pointers, as that of traps does, and looks each return address up in its module's handler table. On the way it takes back
//! what each function has saved of the callee-saved registers: the vmctx of one may be in such a register. It ends at the trampoline
//! through which C or the host entered.
//!
//! Between the `throw` and its handler lie only frames of wasm functions, and they are simply given up; so is that of a thunk, where the host
//! throws. The function with the handler gets its callee-saved
//! registers back: it relies on them where what it called is called in C's convention, as imports are.

use super::tag::tag_of;
use crate::code;
use crate::code::registry::Reader;
use crate::gc::Object;
use crate::instance::InstanceData;
use crate::trap::unwind::{Saved, restore};
use wasmbridge_artifact::gc::VmTag;
use wasmbridge_artifact::handlers::{Handler, Place};
use wasmbridge_artifact::vmctx::VmHead;

/// Where to go on.
///
/// # Layout
/// [`goes_on_in_handler`] makes it, all zero, and reads it.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Resume {
    /// the handler, 0 if there is none
    pc: usize,
    pub(super) sp: usize,
    fp: usize,
    exception: usize,
}

impl Resume {
    /// The same with what the handler gets.
    pub(super) fn with(self, exception: Object) -> Resume {
        Resume { exception: exception.as_ptr() as usize, ..self }
    }
}

/// The body of a builtin that goes on in a handler if `$find` finds one, and returns what that returns otherwise. It has no frame of its own, so that `rbp` is its
/// caller's frame pointer. A handler finds the exception in the first of the two registers for it, `rax`; the other one, `rdx`, holds nothing.
macro_rules! goes_on_in_handler {
    ($find:path) => {
        std::arch::naked_asm!(
            ".cfi_startproc",
            "mov rdx, [rsp]",
            "mov rcx, rbp",
            // `Saved`: the last one pushed comes first.
            "push r15",
            ".cfi_adjust_cfa_offset 8",
            "push r14",
            ".cfi_adjust_cfa_offset 8",
            "push r13",
            ".cfi_adjust_cfa_offset 8",
            "push r12",
            ".cfi_adjust_cfa_offset 8",
            "push rbx",
            ".cfi_adjust_cfa_offset 8",
            "mov r9, rsp",
            // `Resume`. The stack pointer is a multiple of 16 after it, as before each call (System V psABI, 3.2.2).
            "push 0",
            ".cfi_adjust_cfa_offset 8",
            "push 0",
            ".cfi_adjust_cfa_offset 8",
            "push 0",
            ".cfi_adjust_cfa_offset 8",
            "push 0",
            ".cfi_adjust_cfa_offset 8",
            "mov r8, rsp",
            "call {find}",
            "mov rcx, [rsp]",
            "test rcx, rcx",
            "jz 2f",
            "mov rdx, [rsp + 8]",
            "mov rbp, [rsp + 16]",
            "mov rax, [rsp + 24]",
            "mov rbx, [rsp + 32]",
            "mov r12, [rsp + 40]",
            "mov r13, [rsp + 48]",
            "mov r14, [rsp + 56]",
            "mov r15, [rsp + 64]",
            "mov rsp, rdx",
            "xor edx, edx",
            "jmp rcx",
            "2:",
            // All registers that matter are as they were.
            "add rsp, 72",
            ".cfi_adjust_cfa_offset -72",
            "ret",
            ".cfi_endproc",
            find = sym $find,
        )
    };
}
pub(super) use goes_on_in_handler;

/// The builtin `throw`.
///
/// # Safety
/// Called by compiled code, with its vmctx and an exception.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn throw(vmctx: *mut VmHead, exception: Object) {
    goes_on_in_handler!(find)
}

/// Finds the handler; without one, keeps the exception for the host.
///
/// # Safety
/// As for [`throw`]; `pc` is its return address, `fp` its caller's frame pointer, and `saved` its caller's registers.
unsafe extern "C" fn find(
    vmctx: *mut VmHead,
    exception: Object,
    pc: usize,
    fp: usize,
    resume: &mut Resume,
    saved: &mut Saved,
) {
    // SAFETY: the caller's promise.
    let found = unsafe { handler(tag_of(exception), pc, fp, saved) };
    // SAFETY: the vmctx is that of a live instance, whose code is calling.
    let instance = unsafe { InstanceData::of(vmctx) };
    match found {
        Some(found) => {
            instance.group().lock().members.iter().for_each(|member| member.forget_thrown(found.sp));
            *resume = found.with(exception);
        }
        None => instance.heap().set_uncaught(exception),
    }
}

/// Walks up to the first handler for a tag.
///
/// # Safety
/// `pc` is a return address in a wasm function or a thunk, `fp` that function's frame pointer, `saved` what it had in the callee-saved registers at that call, and
/// the stack from there to the trampoline is intact.
pub(super) unsafe fn handler(tag: *const VmTag, mut pc: usize, mut fp: usize, saved: &mut Saved) -> Option<Resume> {
    let reader = Reader::new();
    loop {
        // A return address is just behind its call, which may be the last instruction of its function.
        let located = reader.locate(pc - 1)?;
        let call = match located.place {
            code::Place::Wasm { code, .. } => code.handlers.find((pc - code.text) as u32).map(|call| (code, call)),
            // That of a function of the host's, which has returned and left it to its thunk to throw.
            code::Place::Thunk { .. } => None,
            _ => return None,
        };
        if let Some((code, call)) = call {
            let sp = fp - call.frame as usize;
            let takes = |handler: &Handler| match handler.tag {
                None => true,
                Some(index) => {
                    let vmctx = match handler.vmctx {
                        // SAFETY: a place in the function's frame.
                        Place::Stack(offset) => unsafe { *((sp + offset as usize) as *const usize) },
                        Place::Register(position) => saved[usize::from(position)] as usize,
                    };
                    // SAFETY: the function keeps its vmctx there during this call; its module has the tag.
                    unsafe { InstanceData::of(vmctx as *mut VmHead) }.tag(index) == tag
                }
            };
            if let Some(handler) = call.handlers.into_iter().find(takes) {
                return Some(Resume { pc: code.text + handler.code as usize, sp, fp, exception: 0 });
            }
        }
        // SAFETY: a function that calls is past its prologue.
        unsafe { restore(&located, fp, saved) };
        // SAFETY: a wasm function that calls keeps its caller's frame pointer at `[fp]` and the return address at `[fp + 8]`.
        unsafe {
            pc = *(fp as *const usize).add(1);
            fp = *(fp as *const usize);
        }
    }
}
