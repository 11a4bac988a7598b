//! From a hardware fault in wasm code to an error of the host.
//!
//! | file | does |
//! |---|---|
//! | `signals.rs` | installs the handler, decides whose fault it is |
//! | `unwind.rs` | walks from the fault to the trampoline and gives the C caller its registers back |
//! | `landing.rs` | runs as if the C caller had called it: records the trap, answers with the default |
//! | `native.rs` | walks all frames of a thread, C's too, by their unwind tables |
//! | `backtrace.rs` | turns addresses into frames with names |

pub(crate) mod backtrace;
pub(crate) mod landing;
pub(crate) mod native;
pub(crate) mod signals;
pub(crate) mod unwind;

use crate::window::Fault;
use wasmbridge_artifact::TrapCode;

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
    pub(crate) record: *const wasmbridge_artifact::vmctx::CallbackRecord,
    /// the instance that was entered
    pub(crate) vmctx: *mut wasmbridge_artifact::vmctx::VmHead,
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
}
