//! From addresses to frames with names.

use crate::code::Place;
use crate::code::registry::Reader;
use crate::error::Frame;
use crate::group::State;
use crate::linker::ThunkInfo;
use crate::os::stack_word;
use wasmbridge_artifact::vmctx::CrossingFrame;

/// The backtrace of a trap: the pcs that the signal handler collected, the callback through which C entered, and then, for each C
/// function that the group's apps wait for, the wasm frames that called it.
pub(crate) fn of(pcs: &[usize], callback: Option<String>, state: &State) -> Vec<Frame> {
    let reader = Reader::new();
    let mut frames: Vec<Frame> = pcs.iter().filter_map(|&pc| frame_at(&reader, pc)).collect();
    frames.extend(callback.map(|name| Frame::Callback { name }));
    for crossing in state.waiting() {
        if frames.len() >= super::MAX_FRAMES {
            break;
        }
        let callers = callers(&reader, &crossing, state.stack.high);
        if let Some((callers, name)) = callers.zip(function_name(&reader, &crossing)) {
            frames.push(Frame::Native { name });
            frames.extend(callers);
        }
    }
    frames
}

/// The name of the C function of a crossing, whose callers have been found.
fn function_name(reader: &Reader, crossing: &CrossingFrame) -> Option<String> {
    let info = if crossing.is_direct() {
        // SAFETY: an aligned address on this thread's stack, just below those that `callers` has read.
        let return_address = unsafe { stack_word(crossing.frame_pointer() - size_of::<usize>()) };
        let Place::Direct { record, .. } = reader.locate(return_address.checked_sub(1)?)?.place else { return None };
        // SAFETY: a record in a group of slots; `info` is null where nobody uses it, otherwise its user's.
        unsafe { (*record).info.cast::<ThunkInfo>().as_ref() }?
    } else {
        // SAFETY: the record of an import of a live instance.
        unsafe { &*(*crossing.record).info.cast::<ThunkInfo>() }
    };
    Some(info.name().to_owned())
}

/// Whether a thunk still waits for its C function, as far as its frame shows.
pub(crate) fn waits(crossing: &CrossingFrame, stack_high: usize) -> bool {
    callers(&Reader::new(), crossing, stack_high).is_some()
}

/// The wasm frames that led to a thunk which waits for its C function, and the callback through which C entered them, if it was C.
/// `None` if the thunk does not wait: a `longjmp` may have skipped it since the group's slow paths last looked, and C may have
/// written over its frame. So nothing that is read here is believed before it has been checked, and nothing outside of the stack is read.
fn callers(reader: &Reader, crossing: &CrossingFrame, stack_high: usize) -> Option<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut fp = crossing.frame_pointer();
    loop {
        let words = 2 * size_of::<usize>();
        if !fp.is_multiple_of(size_of::<usize>()) || fp.checked_add(words).is_none_or(|end| end > stack_high) {
            return None;
        }
        // SAFETY: an aligned address between a frame of this thread that is live, or was, and the top of the thread's stack.
        let (caller, return_address) = unsafe { (stack_word(fp), stack_word(fp + size_of::<usize>())) };
        let call = return_address.checked_sub(1)?;
        match reader.locate(call)?.place {
            Place::Wasm { .. } => frames.extend(frame_at(reader, call)),
            Place::Entry => return Some(frames),
            Place::Callback { record } => {
                // SAFETY: code of a slot that somebody was given: its record was stamped, and what it points to stays until the slot is
                // used again.
                let info = unsafe { crate::crossing::inbound::info(record) };
                frames.push(Frame::Callback { name: info.name() });
                return Some(frames);
            }
            // A thunk calls C, and nothing of ours directly.
            Place::Thunk { .. } | Place::Direct { .. } => return None,
        }
        if caller <= fp {
            return None;
        }
        fp = caller;
    }
}

/// The frame of a pc in wasm code; `None` for a thunk, whose frame the C function's name stands for.
pub(crate) fn frame_at(reader: &Reader, pc: usize) -> Option<Frame> {
    match reader.locate(pc)?.place {
        Place::Wasm { code, function, offset } => Some(Frame::Wasm {
            module: code.module_name.clone(),
            function,
            name: code.names.get(function).map(str::to_owned),
            offset: code.addresses.find(offset),
        }),
        Place::Thunk { .. } | Place::Direct { .. } | Place::Entry | Place::Callback { .. } => None,
    }
}
