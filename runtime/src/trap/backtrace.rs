//! From addresses to frames with names.

use crate::code::Place;
use crate::code::registry::Reader;
use crate::error::Frame;
use crate::group::State;
use crate::instance::InstanceData;
use crate::linker::ThunkInfo;
use crate::os::stack_word;
use wasmbridge_artifact::vmctx::{CrossingFrame, ThunkRecord};

/// The backtrace of a trap: the pcs that the signal handler collected, the callback through which C entered, and then, for each C
/// function that the group's apps wait for, the wasm frames that called it.
pub(crate) fn of(pcs: &[usize], callback: Option<String>, state: &State) -> Vec<Frame> {
    let reader = Reader::new();
    let mut frames: Vec<Frame> = pcs.iter().filter_map(|&pc| frame_at(&reader, pc)).collect();
    frames.extend(callback.map(|name| Frame::Callback { name }));
    // How far up the stack the frames have been found.
    let mut walked = 0;
    for (instance, crossing) in state.waiting() {
        if frames.len() >= super::MAX_FRAMES {
            break;
        }
        // A function whose crossing frame stands, and that waits for a thunk with a crossing frame of its own.
        if crossing.frame_pointer() < walked {
            continue;
        }
        let callers = callers(&reader, &crossing, state.stack.high);
        let name = || function_name(&reader, instance, &crossing);
        if let Some((callers, name)) = callers.and_then(|callers| Some((callers, name()?))) {
            frames.push(Frame::Native { name });
            frames.extend(callers.frames);
            walked = callers.end;
        }
    }
    frames
}

/// The name of the C function of a crossing, whose callers have been found.
fn function_name(reader: &Reader, instance: &InstanceData, crossing: &CrossingFrame) -> Option<String> {
    let info = if crossing.is_direct() {
        // SAFETY: an aligned address on this thread's stack, just below those that `callers` has read.
        let return_address = unsafe { stack_word(crossing.frame_pointer() - size_of::<usize>()) };
        let Place::Direct { record, .. } = reader.locate(return_address.checked_sub(1)?)?.place else { return None };
        // SAFETY: a record in a group of slots; `function` is null where nobody uses it and where it is no C function. Otherwise the vmctx that its thunk gets is
        // that thunk's record.
        unsafe {
            if (*record).function.is_null() {
                return None;
            }
            &*(*(*record).callee_vmctx.cast::<ThunkRecord>()).info.cast::<ThunkInfo>()
        }
    } else if crossing.is_standing() {
        instance.imported(covered_import(reader, crossing)?)?
    } else {
        // SAFETY: the record of an import of a live instance.
        unsafe { &*(*crossing.record).info.cast::<ThunkInfo>() }
    };
    Some(info.name().to_owned())
}

/// The import that the function of a standing crossing frame has called and that has not returned, as far as the stack shows. `None` if what it has called is a
/// wasm function: then others of the crossing frames are for what waits.
fn covered_import(reader: &Reader, crossing: &CrossingFrame) -> Option<u32> {
    let call = return_address(crossing)?.checked_sub(1)?;
    let Place::Wasm { code, offset, .. } = reader.locate(call)?.place else { return None };
    code.calls.get(code.addresses.find(offset)?)
}

/// What stands where a call by the function of a standing crossing frame has left its return address.
fn return_address(crossing: &CrossingFrame) -> Option<usize> {
    let place = crossing.frame.checked_sub(size_of::<usize>())?;
    // SAFETY: an aligned address on the owner's stack, below the frame of a function that is on it, or was.
    Some(unsafe { stack_word(place) })
}

/// Whether a thunk still waits for its C function, as far as its frame shows.
pub(crate) fn waits(crossing: &CrossingFrame, stack_high: usize) -> bool {
    callers(&Reader::new(), crossing, stack_high).is_some()
}

/// The frames that led to a thunk.
struct Callers {
    frames: Vec<Frame>,
    /// an address above them on the stack
    end: usize,
}

/// The wasm frames that led to a thunk which waits for its C function, and the callback through which C entered them, if it was C.
/// `None` if the thunk does not wait: a `longjmp` may have skipped it since the group's slow paths last looked, and C may have
/// written over its frame. So nothing that is read here is believed before it has been checked, and nothing outside of the stack is read.
fn callers(reader: &Reader, crossing: &CrossingFrame, stack_high: usize) -> Option<Callers> {
    let mut frames = Vec::new();
    let mut fp = crossing.frame_pointer();
    if crossing.is_standing() {
        if !(crossing.frame..stack_high).contains(&fp) {
            return None;
        }
        covered_import(reader, crossing)?;
        frames.extend(frame_at(reader, return_address(crossing)? - 1));
    }
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
            Place::Entry => return Some(Callers { frames, end: fp }),
            Place::Callback { record } => {
                // SAFETY: code of a slot that somebody was given: its record was stamped, and what it points to stays until the slot is
                // used again.
                let info = unsafe { crate::crossing::inbound::info(record) };
                frames.push(Frame::Callback { name: info.name() });
                return Some(Callers { frames, end: fp });
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
