//! From addresses to frames with names.

use super::unwind::{self, End};
use crate::code::Place;
use crate::code::registry::Reader;
use crate::error::Frame;
use crate::group::State;

/// The backtrace of a trap: the pcs that the signal handler collected, the callback through which C entered, and then, for each C
/// function that the group's apps wait for, the wasm frames that called it.
pub(crate) fn of(pcs: &[usize], callback: Option<String>, state: &State) -> Vec<Frame> {
    let reader = Reader::new();
    let mut frames: Vec<Frame> = pcs.iter().filter_map(|&pc| frame_at(&reader, pc)).collect();
    frames.extend(callback.map(|name| Frame::Callback { name }));
    for (frame_pointer, native) in state.waiting() {
        if frames.len() >= super::MAX_FRAMES {
            break;
        }
        frames.push(native);
        // SAFETY: the thunk waits for its C function: its frame, and those of the wasm functions above it, are intact, and
        // what was entered since has dropped the crossings of frames that are gone.
        let found = unsafe {
            let caller = frame_pointer as *const usize;
            let (fp, return_address) = (*caller, *caller.add(1));
            let visit = |pc| frames.extend(frame_at(&reader, pc));
            unwind::to_trampoline(&reader, return_address - 1, fp, [0; 5], visit)
        };
        if let Some(End::Callback(record)) = found.map(|f| f.end) {
            // SAFETY: the callback is running: its record was stamped, and lives at least until its call returns.
            let info = unsafe { crate::crossing::inbound::info(record) };
            frames.push(Frame::Callback { name: info.name.clone() });
        }
    }
    frames
}

/// The frame of a pc in wasm code; `None` for a thunk, whose frame the C function's name stands for.
fn frame_at(reader: &Reader, pc: usize) -> Option<Frame> {
    match reader.locate(pc)?.place {
        Place::Wasm { code, function, offset } => Some(Frame::Wasm {
            module: code.module_name.clone(),
            function,
            name: code.names.get(function).map(str::to_owned),
            offset: code.addresses.find(offset),
        }),
        Place::Thunk { .. } | Place::Entry | Place::Callback { .. } => None,
    }
}
