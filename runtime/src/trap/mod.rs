//! From a hardware fault in wasm code to an error of the host.
//!
//! | file | does |
//! |---|---|
//! | `signals.rs` | installs the handler, decides whose fault it is |
//! | `unwind.rs` | walks from the fault to the trampoline and gives the C caller its registers back |
//! | `landing.rs` | runs as if the C caller had called it: records the trap, answers with the default |
//! | `policy.rs` | goes on as the policy of the callback that failed says |
//! | `native.rs` | walks all frames of a thread, C's too, by their unwind tables |
//! | `backtrace.rs` | turns addresses into frames with names |

pub(crate) mod backtrace;
pub(crate) mod landing;
pub(crate) mod native;
pub(crate) mod policy;
pub(crate) mod signals;
pub(crate) mod unwind;

use crate::window::Fault;
use wasmbridge_artifact::TrapCode;
use wasmbridge_artifact::vmctx::{CallbackRecord, VmHead};

/// The most frames of a backtrace.
pub(crate) const MAX_FRAMES: usize = 128;

/// What the signal handler leaves behind for the landing. One for each instance; it is read before anything else runs there.
#[derive(Debug)]
pub(crate) struct Capture {
    /// the trap
    pub(crate) code: TrapCode,
    /// the access that faulted, if it lies in the reservation of a memory
    pub(crate) fault: Option<Fault>,
    /// the faulting pc, then return addresses, innermost first
    pub(crate) pcs: [usize; MAX_FRAMES],
    /// how many of `pcs` are filled
    pub(crate) depth: usize,
    /// the frame pointer of the trampoline: whatever lies below it on the stack is gone
    pub(crate) frame_pointer: usize,
    /// the callback's record, null for an entry trampoline
    pub(crate) record: *const CallbackRecord,
    /// the instance that was entered
    pub(crate) vmctx: *mut VmHead,
}

impl Capture {
    /// An empty one.
    pub(crate) fn new() -> Capture {
        Capture {
            code: TrapCode::Unreachable,
            fault: None,
            pcs: [0; MAX_FRAMES],
            depth: 0,
            frame_pointer: 0,
            record: std::ptr::null(),
            vmctx: std::ptr::null_mut(),
        }
    }

    /// Fills it in; of the pcs, as many as there is room for.
    pub(crate) fn set(
        &mut self,
        code: TrapCode,
        fault: Option<Fault>,
        pcs: &[usize],
        frame_pointer: usize,
        record: *const CallbackRecord,
        vmctx: *mut VmHead,
    ) {
        self.depth = pcs.len().min(MAX_FRAMES);
        self.pcs[..self.depth].copy_from_slice(&pcs[..self.depth]);
        (self.code, self.fault, self.frame_pointer) = (code, fault, frame_pointer);
        (self.record, self.vmctx) = (record, vmctx);
    }
}

/// Where a trap of code that was entered through this instance is left.
///
/// # Safety
/// `vmctx` is the head of a live instance that runs on this thread, and nobody else uses its capture.
pub(crate) unsafe fn capture_of<'a>(vmctx: *mut VmHead) -> &'a mut Capture {
    // SAFETY: the caller's promise; `VmHead::capture` is set once, at instantiation, to a boxed `Capture`.
    unsafe { &mut *(*vmctx).capture.cast::<Capture>() }
}
