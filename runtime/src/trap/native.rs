//! The frames of the stack as the process's unwinder sees them: C's and ours alike.

use crate::code::registry::{Place, Reader};
use std::ffi::{CStr, c_void};
use std::fmt;
use std::ops::ControlFlow;

/// The unwinder's state for a frame.
#[repr(C)]
struct Context([u8; 0]);

/// `_URC_NO_REASON` and `_URC_NORMAL_STOP` (Itanium C++ ABI: Exception Handling, 1.3).
const GO_ON: i32 = 0;
const STOP: i32 = 4;

unsafe extern "C" {
    // libgcc's unwinder, which every Rust and C++ program on Linux links.
    fn _Unwind_Backtrace(trace: extern "C" fn(*mut Context, *mut c_void) -> i32, argument: *mut c_void) -> i32;
    fn _Unwind_GetIP(context: *mut Context) -> usize;
    fn _Unwind_GetCFA(context: *mut Context) -> usize;
    fn _Unwind_FindEnclosingFunction(pc: usize) -> *const ();
}

/// A frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NativeFrame {
    /// where it goes on when what it calls returns
    pub(crate) pc: usize,
    /// its stack pointer when what it calls has returned: the canonical frame address of what it calls
    pub(crate) sp: usize,
}

/// Visits the frames of this thread from the caller's on, until `visit` breaks or there is a frame that the unwinder knows nothing of.
pub(crate) fn frames(mut visit: impl FnMut(NativeFrame) -> ControlFlow<()>) {
    extern "C" fn trace<F: FnMut(NativeFrame) -> ControlFlow<()>>(context: *mut Context, visit: *mut c_void) -> i32 {
        // SAFETY: the unwinder passes on what it was given below, and its context is good during this call.
        let (visit, frame) = unsafe {
            let frame = NativeFrame { pc: _Unwind_GetIP(context), sp: _Unwind_GetCFA(context) };
            (&mut *visit.cast::<F>(), frame)
        };
        // The frame that the system starts a thread with has none above it.
        if frame.pc != 0 && visit(frame).is_continue() { GO_ON } else { STOP }
    }
    fn start<F: FnMut(NativeFrame) -> ControlFlow<()>>(visit: &mut F) {
        // SAFETY: `trace` is for this type of `visit`.
        unsafe { _Unwind_Backtrace(trace::<F>, std::ptr::from_mut(visit).cast()) };
    }
    start(&mut visit);
}

/// The canonical frame address of a function that keeps its caller's frame pointer and its return address at its own.
pub(crate) fn frame_address(frame_pointer: usize) -> usize {
    frame_pointer + 2 * size_of::<usize>()
}

/// Whether a function goes on at this pc when what it calls returns.
pub(crate) fn is_in(pc: usize, function: *const ()) -> bool {
    // SAFETY: any number may be asked for.
    unsafe { _Unwind_FindEnclosingFunction(pc - 1) == function }
}

/// A native function by a pc in it, as far as the dynamic linker knows it.
pub(crate) struct Symbol(pub(crate) usize);

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: all-zero bytes are a valid `Dl_info`, and any address may be asked for.
        let info = unsafe {
            let mut info: libc::Dl_info = std::mem::zeroed();
            libc::dladdr(self.0 as *const c_void, &mut info);
            info
        };
        // SAFETY: NULL, or texts of the dynamic linker's that live as long as the library is loaded; its code is on the stack.
        let text =
            |text: *const libc::c_char| (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy());
        match (text(info.dli_sname), text(info.dli_fname)) {
            (Some(name), Some(file)) => write!(f, "{name} in {file} (native)"),
            (None, Some(file)) => write!(f, "{file}+{:#x} (native)", self.0.wrapping_sub(info.dli_fbase as usize)),
            _ => write!(f, "{:#x} (native)", self.0),
        }
    }
}

/// Whether a function with this frame pointer is on this thread's stack. `None` if there is a frame on the way that the unwinder knows nothing
/// of.
pub(crate) fn is_on_stack(frame_pointer: usize) -> Option<bool> {
    let frame_address = frame_address(frame_pointer);
    let mut found = None;
    frames(|frame| {
        if frame.sp < frame_address {
            return ControlFlow::Continue(());
        }
        found = Some(frame.sp == frame_address);
        ControlFlow::Break(())
    });
    found
}

/// Whether an address is in the frame of a callback that runs on this thread's stack. `None` if the unwinder does not get so far.
pub(crate) fn is_in_callback(address: usize) -> Option<bool> {
    let (mut inner, mut found) = (None, None);
    frames(|frame| {
        if frame.sp <= address {
            inner = Some(frame.pc);
            return ControlFlow::Continue(());
        }
        let reader = Reader::new();
        let place = inner.and_then(|pc: usize| reader.locate(pc - 1)).map(|located| located.place);
        found = Some(matches!(place, Some(Place::Callback { .. })));
        ControlFlow::Break(())
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn deeper(depth: u32, check: &dyn Fn()) {
        if depth == 0 {
            check()
        } else {
            deeper(depth - 1, check)
        }
        std::hint::black_box(depth);
    }

    #[test]
    fn frames_on_the_stack_are_found_and_others_are_not() {
        let mut callers = Vec::new();
        frames(|frame| {
            callers.push(frame.sp);
            ControlFlow::Continue(())
        });
        assert!(callers.is_sorted(), "the stack grows downwards: {callers:x?}");
        let outer = callers[3];
        deeper(5, &|| {
            assert_eq!(is_on_stack(outer - 16), Some(true));
            assert_eq!(is_on_stack(outer - 15), Some(false));
        });
        assert_eq!(is_on_stack(usize::MAX - 64), None, "above all frames");
    }
}
