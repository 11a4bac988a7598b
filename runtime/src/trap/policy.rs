//! What becomes of C when a callback has failed, beyond what the landing does: the policies `abort` and `unwind`.
//!
//! # Skipping C
//! The C functions between a callback that has failed and the thunk through which the app had called C are left behind, like by a `longjmp`:
//! the app's frames above the thunk are unwound as if the thunk itself had trapped. The thunk of a function that allows it saves all
//! registers that its caller expects to be kept ([`Signature::unwind`]), so that nothing needs to be known of how C keeps them.
//!
//! The thunk must be there, and nothing but C between: a `longjmp` may have skipped it, and another app, or a call of the host's through the
//! API, may be in between, whose own books would be wrong afterwards. So the stack is walked first. Where that cannot be
//! done, because a C function has no unwind table, or finds anything else, the policy is `return`.
//!
//! [`Signature::unwind`]: wasmbridge_trampolines::Signature::unwind

use super::unwind::{self, Saved};
use super::{Capture, backtrace, landing, native};
use crate::code::Place;
use crate::code::registry::Reader;
use crate::crossing::{inbound, replay};
use crate::error::Frame;
use crate::instance::InstanceData;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::ControlFlow;
use wasmbridge_artifact::TrapCode;
use wasmbridge_artifact::vmctx::{CallbackRecord, CrossingFrame};
use wasmbridge_trampolines::OnTrap;

/// Who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// a builtin that the callback has called
    Builtin,
    /// the landing: C has called it, as it were
    Landing,
}

/// A callback has failed, and that has been recorded: does what its policy says. If it returns, C gets the default value.
///
/// # Safety
/// `record` is that of a callback that C on this thread is calling; it is the owner's thread. If this does not return, nothing of the callers' that
/// needs to be dropped is lost: they have nothing of that kind.
pub(crate) unsafe fn failed(record: *const CallbackRecord, from: From) {
    // SAFETY: the caller's promise.
    let (info, instance) = unsafe { (inbound::info(record), InstanceData::of((*record).owner)) };
    match info.policies.trap() {
        OnTrap::Return => {}
        OnTrap::Abort => abort(instance, record, from),
        OnTrap::Unwind => {
            if let Some(target) = target(instance, record, from) {
                // SAFETY: all that this function holds is plain data; see `target` for the rest.
                unsafe { resume(&target) }
            }
        }
    }
}

/// What a thread is to go on with.
///
/// # Layout
/// `resume` reads it.
#[repr(C)]
struct Target {
    /// in the order of [`Saved`]
    saved: Saved,
    frame_pointer: usize,
    stack_pointer: usize,
    capture: *mut Capture,
}

/// Goes on as if the C caller of a trampoline had called the landing.
///
/// # Safety
/// The target's stack is that of this thread, and what lies below it is not needed any more.
#[unsafe(naked)]
unsafe extern "C" fn resume(target: &Target) -> ! {
    std::arch::naked_asm!(
        "mov rbx, [rdi]",
        "mov r12, [rdi + 8]",
        "mov r13, [rdi + 16]",
        "mov r14, [rdi + 24]",
        "mov r15, [rdi + 32]",
        "mov rbp, [rdi + 40]",
        "mov rax, [rdi + 48]",
        "mov rdi, [rdi + 56]",
        "mov rsp, rax",
        "jmp {land}",
        land = sym landing::land,
    )
}

/// Where to go on above the C functions that are skipped; `None` if they must not be.
fn target(instance: &InstanceData, record: *const CallbackRecord, from: From) -> Option<Target> {
    let crossing = innermost(instance).filter(|crossing| !crossing.is_direct() && !crossing.is_standing())?;
    // Whoever makes a call for another thread has books of its own.
    if replay::is_below(crossing.frame_pointer()) {
        return None;
    }
    // SAFETY: a crossing's record is that of an import of a live instance.
    let import = unsafe { &*(*crossing.record).info.cast::<crate::linker::ThunkInfo>() };
    if !import.signature.unwind {
        return None;
    }
    let pc = waiting_thunk(crossing.frame_pointer(), record, from)?;
    let reader = Reader::new();
    let saves_all = reader.locate(pc)?.frame.saves.iter().all(|&place| place != 0);
    if !saves_all {
        return None;
    }
    // SAFETY: the thunk is on the stack, where it waits for C: past its prologue. Above it are frames of ours up to a trampoline.
    let found = unsafe { unwind::from_return(&reader, pc, crossing.frame_pointer(), Saved::default(), |_| {}) }?;
    // SAFETY: the trampoline is on the stack, and so its record lives.
    let (record, vmctx) = unsafe { found.entered() };
    // SAFETY: the instance is running on this thread, and its capture has been read.
    let capture = unsafe { super::capture_of(vmctx) };
    capture.set(TrapCode::CallbackFailed, None, &[], found.frame_pointer, record, vmctx);
    Some(Target {
        saved: found.saved,
        // SAFETY: the trampoline's frame is intact; `[fp]` is its caller's frame pointer.
        frame_pointer: unsafe { *(found.frame_pointer as *const usize) },
        stack_pointer: found.frame_pointer + size_of::<usize>(),
        capture: std::ptr::from_mut(capture),
    })
}

/// The crossing through which the instance's group has called C last.
fn innermost(instance: &InstanceData) -> Option<CrossingFrame> {
    let group = instance.group();
    let state = group.lock();
    let crossings = state.members.iter().filter_map(|member| member.crossings().next());
    crossings.min_by_key(CrossingFrame::frame_pointer)
}

/// A pc in the thunk with this frame pointer, if it waits for C and nothing but C is between it and the callback that has failed.
fn waiting_thunk(frame_pointer: usize, record: *const CallbackRecord, from: From) -> Option<usize> {
    let reader = Reader::new();
    let thunk_end = native::frame_address(frame_pointer);
    let mut below_callback = from == From::Builtin;
    let mut last = None;
    let mut found = None;
    native::frames(|frame| {
        if frame.sp >= thunk_end {
            found = last.filter(|_| frame.sp == thunk_end);
            return ControlFlow::Break(());
        }
        if last.is_some() {
            // Code of ours that is not that thunk.
            return ControlFlow::Break(());
        }
        match reader.locate(frame.pc - 1).map(|located| located.place) {
            Some(Place::Callback { record: found }) if below_callback => below_callback = !std::ptr::eq(found, record),
            Some(_) if !below_callback => last = Some(frame.pc),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let pc = found?;
    matches!(reader.locate(pc - 1)?.place, Place::Thunk { .. }).then_some(pc)
}

/// Prints the error with the frames of C and of apps that led to it, and ends the process.
fn abort(instance: &InstanceData, record: *const CallbackRecord, from: From) -> ! {
    let mut text = String::from("wasmbridge: a callback whose policy is `abort` has failed\n");
    let group = instance.group();
    let mut number = 0;
    let mut line = |text: &mut String, frame: &dyn std::fmt::Display| {
        let _ = writeln!(text, "  {number}: {frame}");
        number += 1;
    };
    if let Some(trap) = &group.lock().pending {
        let _ = writeln!(text, "{trap}");
        // What comes after the callback is found on the stack, with the names of C's functions.
        for frame in &trap.frames {
            line(&mut text, frame);
            if matches!(frame, Frame::Callback { .. }) {
                break;
            }
        }
    }
    let reader = Reader::new();
    let mut own = true;
    native::frames(|frame| {
        let place = reader.locate(frame.pc - 1).map(|located| located.place);
        if own {
            own = match (from, place) {
                (From::Builtin, Some(Place::Callback { record: found })) => !std::ptr::eq(found, record),
                (From::Builtin, _) => true,
                // The frame that `land` seems to have been called from comes after `land`.
                (From::Landing, _) => !native::is_in(frame.pc, landing::land as *const ()),
            };
            return ControlFlow::Continue(());
        }
        match place {
            None => line(&mut text, &native::Symbol(frame.pc)),
            Some(Place::Callback { record }) => {
                // SAFETY: the record of a callback on the stack.
                let name = unsafe { inbound::info(record) }.name();
                line(&mut text, &Frame::Callback { name });
            }
            Some(_) => {
                if let Some(frame) = backtrace::frame_at(&reader, frame.pc - 1) {
                    line(&mut text, &frame);
                }
            }
        }
        ControlFlow::Continue(())
    });
    let _ = std::io::stderr().write_all(text.as_bytes());
    std::process::abort()
}
