//! C functions that throw.
//!
//! Such a function says so ([`Instance::throw`](crate::Instance::throw)) and returns as usual: no frame of C is ever skipped. Until it has returned the exception is
//! what an error is that a callback leaves behind: it is pending, nobody enters, and the crossing frame of the call is not the innermost one any more. So what
//! compares the two after every call finds that out as well, and a call costs nothing for it. The builtin that is asked then goes on in the app's handler; if there
//! is none, the error stays what it is.

use super::Exception;
use super::throw::{Resume, goes_on_in_handler, handler};
use crate::code::Place;
use crate::code::registry::Reader;
use crate::error::{Error, ErrorKind, Trap};
use crate::instance::InstanceData;
use crate::trap::unwind::Saved;
use crate::trap::{backtrace, native};
use std::ops::{ControlFlow, Range};
use wasmbridge_artifact::TrapCode;
use wasmbridge_artifact::vmctx::VmHead;

/// The builtin `thunk_returned`.
///
/// # Safety
/// Called by a thunk, or the code behind `FunctionImport::direct`, with its vmctx and what its crossing frame has as `frame`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn thunk_returned(vmctx: *mut VmHead, frame: usize) -> u32 {
    goes_on_in_handler!(to_thunk)
}

/// The builtin `covered_returned`.
///
/// # Safety
/// Called by a wasm function whose crossing frame stands, with its vmctx and what that has as `frame`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn covered_returned(vmctx: *mut VmHead, frame: usize) -> u32 {
    goes_on_in_handler!(to_covered)
}

/// # Safety
/// As for [`thunk_returned`]; the rest as for [`returned`].
unsafe extern "C" fn to_thunk(
    vmctx: *mut VmHead,
    frame: usize,
    pc: usize,
    fp: usize,
    resume: &mut Resume,
    saved: &mut Saved,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { returned(InstanceData::of(vmctx), frame, (pc, fp), resume, saved, InstanceData::returned) }
}

/// # Safety
/// As for [`covered_returned`]; the rest as for [`returned`].
unsafe extern "C" fn to_covered(
    vmctx: *mut VmHead,
    frame: usize,
    pc: usize,
    fp: usize,
    resume: &mut Resume,
    saved: &mut Saved,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { returned(InstanceData::of(vmctx), frame, (pc, fp), resume, saved, InstanceData::returned_covered) }
}

/// Ends the crossing with this frame by `end`, and says whether its function may go on; or 0 and where it goes on, if C has thrown.
///
/// # Safety
/// The instance's code calls, and `at` is where it goes on otherwise: its pc, and its caller's frame pointer, or the wasm function's if that has none. `saved` are its caller's registers.
unsafe fn returned(
    instance: &InstanceData,
    frame: usize,
    at: (usize, usize),
    resume: &mut Resume,
    saved: &mut Saved,
    end: fn(&InstanceData, usize) -> bool,
) -> u32 {
    // SAFETY: the caller's promise.
    let handler = unsafe { instance.thrown_by_c(frame, at.0, at.1, saved) };
    let goes_on = end(instance, frame);
    let Some(found) = handler else { return u32::from(goes_on) };
    *resume = instance.forget_for_handler(found);
    0
}

impl InstanceData {
    /// The C function that the group has called innermost, and which runs now, throws: when it returns.
    pub(crate) fn throw(&self, exception: &Exception) -> Result<(), Error> {
        let group = self.group();
        group.check_thread()?;
        let invalid = |why: String| Error::new(ErrorKind::InvalidArgument, why);
        self.check_thrown(exception).map_err(invalid)?;
        let mut state = group.lock();
        if let Some(trap) = &state.pending {
            let message =
                format!("an error of the app is on its way ({trap}): nothing can be thrown until it has been taken");
            return Err(Error::new(ErrorKind::Busy, message));
        }
        // What a crossing frame names lies in the frame of who has left it: see `CrossingFrame`.
        let ours = innermost_of_ours();
        let waits = |frame: &usize| ours.as_ref().is_some_and(|ours| ours.contains(frame));
        let frame = state.waiting().iter().map(|(_, crossing)| crossing.frame).find(waits).ok_or_else(|| {
            let why =
                "there is nobody to throw to: what runs here is no C function that the app has called and waits for";
            invalid(format!("{why} (or a `[leaf]` one, or one without unwind tables)"))
        })?;
        // What a `longjmp` has skipped does not wait.
        state.members.iter().for_each(|member| member.drop_below(frame - 1, &state.members));
        let frames = backtrace::of(&[], None, &state);
        let trap = Trap::new(TrapCode::UncaughtException, Some(exception.to_string()), frames);
        state.pending = Some(Box::new(Trap { exception: Some(Box::new(exception.clone())), ..trap }));
        state.thrown_at = Some(frame);
        state.block();
        Ok(())
    }

    /// The handler for what the C function has thrown that has just returned to the call with this crossing frame. Then it is not pending any more.
    ///
    /// # Safety
    /// As for [`to_thunk`] and [`to_covered`].
    unsafe fn thrown_by_c(&self, frame: usize, pc: usize, fp: usize, saved: &mut Saved) -> Option<Resume> {
        let group = self.group();
        let exception = {
            let state = group.lock();
            if state.thrown_at != Some(frame) {
                return None;
            }
            state.pending.as_ref()?.exception.clone()?
        };
        let pc = match Reader::new().locate(pc - 1)?.place {
            // It has no frame pointer of its own: what it has is the wasm function's, and what its crossing frame names is where its return address is.
            // SAFETY: the frame of a function that is on the stack.
            Place::Direct { .. } => unsafe { *(frame as *const usize) },
            _ => pc,
        };
        // SAFETY: the caller's promise: from here to the trampoline there is only code of ours.
        let found = unsafe { handler(exception.tag().0.vm(), pc, fp, saved) }?;
        let object = self.thrown_by_host(&exception);
        let mut state = group.lock();
        match object {
            // The stack has it from here on, where a collection sees it.
            Ok(object) => {
                state.take_pending();
                Some(found.with(object))
            }
            Err(why) => {
                let frames = state.pending.take().map(|trap| trap.frames).unwrap_or_default();
                state.pending = Some(Box::new(Trap::new(TrapCode::AllocationTooLarge, Some(why), frames)));
                state.thrown_at = None;
                None
            }
        }
    }

    /// Ends what belongs to the frames that are given up: to the call itself, and of wasm functions.
    fn forget_for_handler(&self, found: Resume) -> Resume {
        self.group().lock().members.iter().for_each(|member| member.forget_thrown(found.sp));
        self.end_calls();
        found
    }
}

/// The frame of the innermost code of ours on this thread's stack. `None` if the unwinder does not get so far.
fn innermost_of_ours() -> Option<Range<usize>> {
    let reader = Reader::new();
    let (mut low, mut found) = (None, None);
    native::frames(|frame| {
        if let Some(low) = low {
            found = Some(low..frame.sp);
            return ControlFlow::Break(());
        }
        low = reader.locate(frame.pc - 1).map(|_| frame.sp);
        ControlFlow::Continue(())
    });
    found
}
