//! Where a C caller returns from, instead of the trampoline whose wasm code trapped.
//!
//! The signal handler makes it look as if the C caller had called [`land`]: ordinary code, outside of any signal handler, on the
//! caller's stack just below its frame. What `land` returns is what the C caller gets.

use super::Capture;
use crate::callback::{self, Refusal};
use crate::crossing::{inbound, structs};
use crate::instance::InstanceData;
use crate::trap::policy;

/// The integer and the float result register: whichever the C caller's prototype says, it finds the default value in it.
///
/// # Layout
/// An INTEGER and an SSE eightbyte: returned in `rax` and `xmm0` (System V psABI, 3.2.3).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    int: u64,
    float: f64,
}

/// Records the trap in the instance and answers the C caller: as [`answer`] says, and with 0 in `rdx` and `xmm1`, where the second half of
/// a struct may be returned. Callers that expect none find nothing of use there after any call.
///
/// # Safety
/// Only the signal handler sends a thread here, with the capture that it has just filled.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn land(capture: *mut Capture) -> Answer {
    std::arch::naked_asm!(
        ".cfi_startproc",
        // The stack pointer is a multiple of 16 before each call (System V psABI, 3.2.2).
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "call {answer}",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "xor edx, edx",
        "xorps xmm1, xmm1",
        "ret",
        ".cfi_endproc",
        answer = sym answer,
    )
}

/// Records the trap, and gives the default value.
///
/// # Safety
/// As for [`land`].
unsafe extern "C" fn answer(capture: *mut Capture) -> Answer {
    // SAFETY: filled by the signal handler on this thread; the instance is live, since its code was running.
    let capture = unsafe { &*capture };
    // SAFETY: as above.
    let instance = unsafe { InstanceData::of(capture.vmctx) };
    instance.trapped(capture);
    // SAFETY: null, or the record of the callback that the C caller called: it lives at least until that call returns.
    match unsafe { capture.record.as_ref() } {
        Some(record) => {
            callback::count_refused(record, Refusal::Failed);
            // SAFETY: see above.
            let info = unsafe { inbound::info(record) };
            let structure = structs::trapped_result(&info.known.shared.signature, capture.frame_pointer);
            // What the callback was shown ends with it: others may run before the error is taken.
            instance.close_scope(capture.frame_pointer);
            // SAFETY: as above; this is the owner's thread, since its code was running.
            unsafe { callback::returned(record) };
            // SAFETY: as above; what is on the stack from here on is plain data.
            unsafe { policy::failed(record, policy::From::Landing) };
            match structure {
                Some(int) => Answer { int, float: 0.0 },
                None => Answer { int: record.default_int, float: f64::from_bits(record.default_float) },
            }
        }
        // The host's own call: it looks at the instance, not at the result.
        None => Answer { int: 0, float: 0.0 },
    }
}
