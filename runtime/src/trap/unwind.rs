//! Walking from a fault to the trampoline through which C entered, on x86-64.
//!
//! All frames on the way are of code that wasmbridge made: wasm functions and thunks. Each has a frame pointer (but for what call instructions
//! call for an import, and wasm functions that need no frame: these can only be the innermost and have their return address at the stack pointer), and the tables say
//! which callee-saved registers it keeps where. What the walk restores is therefore what the trampoline's C caller expects
//! after the call (System V psABI, 3.2.1): `rbx`, `rbp`, `r12` to `r15` and the stack pointer.

use crate::code::registry::Reader;
use crate::code::{Located, Place};
use wasmbridge_artifact::vmctx::{CallbackRecord, EntryRecord, VmHead, entry};

/// `rbx`, `r12`, `r13`, `r14`, `r15`: the order of [`CALLEE_SAVED`](wasmbridge_artifact::frames::CALLEE_SAVED).
pub(crate) type Saved = [u64; 5];

/// Where a trampoline was called from.
pub(crate) struct Found {
    /// the trampoline's frame pointer: `[fp]` is the C caller's, `[fp + 8]` the return address into it
    pub(crate) frame_pointer: usize,
    /// the C caller's callee-saved registers
    pub(crate) saved: Saved,
    /// what the trampoline is
    pub(crate) end: End,
}

/// The two kinds of trampoline.
pub(crate) enum End {
    /// a callback, with its record
    Callback(*const wasmbridge_artifact::vmctx::CallbackRecord),
    /// an entry trampoline
    Entry,
}

impl Found {
    /// The record of the callback, null for an entry trampoline, and the instance that was entered.
    ///
    /// # Safety
    /// The trampoline is on this thread's stack.
    pub(crate) unsafe fn entered(&self) -> (*const CallbackRecord, *mut VmHead) {
        match self.end {
            // SAFETY: the record of a callback that is running: it was not freed.
            End::Callback(record) => (record, unsafe { (*record).owner }),
            End::Entry => {
                // SAFETY: an entry's caller passes a live record as the parameter at this place (artifact: `vmctx::entry`).
                let record = unsafe { *((self.frame_pointer + entry::RECORD_FROM_FP) as *const *const EntryRecord) };
                // SAFETY: see above.
                (std::ptr::null(), unsafe { (*record).owner })
            }
        }
    }
}

/// Walks from a pc in wasm code or a thunk. `visit` gets the pc of each frame, the trampoline's excluded. `None` if a frame is
/// of no code that is known: then the stack is not as it should be, and nothing must be believed.
///
/// Called by the signal handler: nothing here allocates or locks.
///
/// # Safety
/// `pc` is the pc of a stopped function that [`Reader::locate`] knows, `sp` the stack pointer there and `fp` the frame pointer, and the stack
/// from there to the trampoline is intact.
pub(crate) unsafe fn to_trampoline(
    reader: &Reader,
    pc: usize,
    sp: usize,
    fp: usize,
    saved: Saved,
    visit: impl FnMut(usize),
) -> Option<Found> {
    // SAFETY: the caller's promise.
    unsafe { walk(reader, pc, Some(sp), fp, saved, visit) }
}

/// [`to_trampoline`] from a function that waits for what it has called, which would return to `pc`.
///
/// # Safety
/// As for [`to_trampoline`].
pub(crate) unsafe fn from_return(
    reader: &Reader,
    pc: usize,
    fp: usize,
    saved: Saved,
    visit: impl FnMut(usize),
) -> Option<Found> {
    // SAFETY: the caller's promise.
    unsafe { walk(reader, pc, None, fp, saved, visit) }
}

/// # Safety
/// As for [`to_trampoline`]; without a stack pointer, the pc is a return address.
unsafe fn walk(
    reader: &Reader,
    mut pc: usize,
    sp: Option<usize>,
    mut fp: usize,
    mut saved: Saved,
    mut visit: impl FnMut(usize),
) -> Option<Found> {
    // A return address is just behind its call, which may be the last instruction of its function.
    let mut is_return = usize::from(sp.is_none());
    loop {
        let located = reader.locate(pc - is_return)?;
        if located.frame.frameless {
            // It calls nothing, so it is where the thread has stopped.
            visit(pc);
            // SAFETY: the return address of a function without a frame is at its stack pointer, and the frame pointer is its caller's.
            pc = unsafe { *(sp.filter(|_| is_return == 0)? as *const usize) };
            is_return = 1;
            continue;
        }
        if is_return == 1 || pc - located.start >= usize::from(located.frame.prologue) {
            // SAFETY: past its prologue, the function's frame holds what its layout says.
            unsafe { restore(&located, fp, &mut saved) };
        }
        match located.place {
            Place::Wasm { .. } | Place::Thunk { .. } => visit(pc - is_return),
            Place::Direct { .. } => {
                // SAFETY: wherever this code can trap, the stack pointer is at its return address and the frame pointer is its caller's.
                pc = unsafe { *(sp.filter(|_| is_return == 0)? as *const usize) };
                is_return = 1;
                continue;
            }
            Place::Entry => return Some(Found { frame_pointer: fp, saved, end: End::Entry }),
            Place::Callback { record } => {
                return Some(Found { frame_pointer: fp, saved, end: End::Callback(record) });
            }
        }
        // SAFETY: code that wasmbridge made keeps its caller's frame pointer at `[fp]` and the return address at `[fp + 8]`.
        unsafe {
            pc = *(fp as *const usize).add(1);
            fp = *(fp as *const usize);
        }
        is_return = 1;
    }
}

/// Takes back what a function saved in its prologue.
///
/// # Safety
/// `fp` is the frame pointer of an activation of `located` that is past its prologue.
pub(crate) unsafe fn restore(located: &Located<'_>, fp: usize, saved: &mut Saved) {
    for (register, &place) in saved.iter_mut().zip(&located.frame.saves) {
        if place != 0 {
            // SAFETY: the caller's promise, and the layout's meaning: `fp - 8 * place`.
            *register = unsafe { *((fp - 8 * usize::from(place)) as *const u64) };
        }
    }
}
