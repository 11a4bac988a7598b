//! Structs and unions by value: see "Structs by value" in the trampolines' `shape` for where their bytes are.
//!
//! They are converted member by member into bytes that were zero, so that no padding carries anything over. What a member may be is
//! checked as if it were an argument by itself.

use super::Refused;
use super::copies::{Converter, Copies, Operands, Phase, Side, leaf};
use crate::instance::InstanceData;
use crate::memory::Bytes;
use std::cell::RefCell;
use wasmbridge_trampolines::abi::sysv;
use wasmbridge_trampolines::signature::Record;
use wasmbridge_trampolines::{Crossing, Signature};

/// A struct by value has nothing in it of which a length is computed.
fn converter<'a>(instance: &'a InstanceData, copies: &'a mut Copies, phase: Phase<'a>) -> Converter<'a> {
    Converter::new(instance, copies, phase, Operands::NOTHING)
}

/// The native bytes as the guest has them.
fn to_guest(converter: &mut Converter<'_>, record: &Record, native: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut guest = vec![0; record.guest.size as usize];
    leaf::record(converter, record, Side::Native, native, &mut guest)?;
    Ok(guest)
}

/// The guest's bytes as C has them.
fn to_native(converter: &mut Converter<'_>, record: &Record, guest: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut native = vec![0; record.native.size as usize];
    leaf::record(converter, record, Side::Guest, guest, &mut native)?;
    Ok(native)
}

/// A wasm value's bytes, or those at its address.
fn guest_bytes(instance: &InstanceData, record: &Record, wasm: u64) -> Result<Vec<u8>, Refused> {
    let len = record.guest.size as usize;
    if record.single().is_some() {
        return Ok(wasm.to_le_bytes()[..len].to_vec());
    }
    let mut bytes = vec![0; len];
    // They are read once: what is checked is what is used.
    in_memory(instance, record, wasm, false)?.read(&mut bytes)?;
    Ok(bytes)
}

/// Where a struct of the app's is.
fn in_memory(instance: &InstanceData, record: &Record, guest_addr: u64, write: bool) -> Result<Bytes, Refused> {
    instance.bytes(guest_addr, record.guest.size.into(), write).map_err(|why| format!("a struct: {why}"))
}

/// The wasm value of a scalar's bytes.
fn single(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// An argument of a callback: from the address of its native bytes to its wasm value.
///
/// # Safety
/// There are as many bytes as the record has.
pub(super) unsafe fn argument_in(
    instance: &InstanceData,
    copies: &mut Copies,
    record: &Record,
    cell: u64,
) -> Result<u64, Refused> {
    // SAFETY: the caller's promise.
    let native = unsafe { std::slice::from_raw_parts(cell as *const u8, record.native.size as usize) };
    let guest = to_guest(&mut converter(instance, copies, Phase::CallbackEnter), record, native)?;
    if record.single().is_some() {
        return Ok(single(&guest));
    }
    let (guest_addr, to) = instance.scratch(guest.len() as u64)?;
    // SAFETY: the copy has as many bytes.
    unsafe { to.copy_from_nonoverlapping(guest.as_ptr(), guest.len()) };
    Ok(guest_addr)
}

/// A callback's result, whose cells are at this address. The first time, while there is no address of it in the guest yet, it is
/// the room in the guest that is asked for; then, from there or from the wasm value to native bytes.
///
/// # Safety
/// The cells are those of a running callback of a signature with this result.
pub(super) unsafe fn result_out(instance: &InstanceData, record: &Record, cells: u64) -> Result<u64, Refused> {
    // SAFETY: the caller's promise.
    let (room, guest) = unsafe { (*(cells as *const u64), &mut *(cells as *mut u64).add(1)) };
    let native_len = record.native.size as usize;
    if record.single().is_none() && *guest == 0 {
        let len = record.guest.size as usize;
        let (guest_addr, to) = instance.scratch(len as u64)?;
        // SAFETY: just allocated.
        unsafe { to.write_bytes(0, len) };
        *guest = guest_addr;
        if sysv::eightbytes(record).is_none() {
            // Zero, and known, for the case of a trap.
            // SAFETY: the C caller has made room for the result (psABI, 3.2.3, "Returning of Values").
            unsafe { (room as *mut u8).write_bytes(0, native_len) };
            rooms::remember(cells as usize, room);
        }
        return Ok(guest_addr);
    }
    rooms::forget(cells as usize);
    let guest = guest_bytes(instance, record, *guest)?;
    let mut copies = Copies::default();
    let native = to_native(&mut converter(instance, &mut copies, Phase::CallbackLeave), record, &guest);
    // What is in a result is not held by the call.
    copies.end(instance);
    let native = native?;
    // SAFETY: there are as many bytes, of the shape's or of the C caller's.
    unsafe { (room as *mut u8).copy_from_nonoverlapping(native.as_ptr(), native_len) };
    Ok(cells)
}

/// An argument of a C function, whose cells are at this address: the wasm value in the first, to the native bytes behind it.
///
/// # Safety
/// The cells are those of a running thunk of a signature with this parameter.
pub(super) unsafe fn argument_out(
    instance: &InstanceData,
    copies: &mut Copies,
    caller: &str,
    record: &Record,
    cells: u64,
) -> Result<u64, Refused> {
    let cells = cells as *mut u64;
    // SAFETY: the caller's promise.
    let guest = guest_bytes(instance, record, unsafe { *cells })?;
    let native = to_native(&mut converter(instance, copies, Phase::ThunkEnter(caller)), record, &guest)?;
    // SAFETY: there is room for as many bytes behind the first cell.
    unsafe { cells.add(1).cast::<u8>().copy_from_nonoverlapping(native.as_ptr(), native.len()) };
    Ok(cells as u64)
}

/// A C function's result, whose cells are at this address.
///
/// # Safety
/// The cells are those of a running thunk of a signature with this result, and its C function has returned.
pub(super) unsafe fn result_in(instance: &InstanceData, record: &Record, cells: u64) -> Result<u64, Refused> {
    // SAFETY: the caller's promise; the first cell has the address of the native bytes.
    let (native, guest) = unsafe {
        let native = std::slice::from_raw_parts(*(cells as *const *const u8), record.native.size as usize);
        (native, &mut *(cells as *mut u64).add(1))
    };
    let bytes = to_guest(&mut converter(instance, &mut Copies::default(), Phase::ThunkLeave), record, native)?;
    if record.single().is_some() {
        *guest = single(&bytes);
        return Ok(cells);
    }
    in_memory(instance, record, *guest, true)?.write(&bytes)?;
    Ok(cells)
}

/// What a C caller finds in `rax` after a trap, if the callback's result is a struct: the address of the room that it made, or 0.
pub(crate) fn trapped_result(signature: &Signature, frame_pointer: usize) -> Option<u64> {
    match &signature.result.as_ref()?.crossing {
        Crossing::Struct(record) if sysv::eightbytes(record).is_none() => rooms::take(frame_pointer),
        Crossing::Struct(_) => Some(0),
        _ => None,
    }
}

/// Where C callers on this thread want results that are not returned in registers.
///
/// The signal handler cannot know: the register it came in is used by then. Entries are found by the address of the frame that they belong
/// to. Frames below one that is returned to, or in the place of a new one, are gone, so entries that a `longjmp` has left behind go too.
mod rooms {
    use super::RefCell;

    thread_local! {
        /// an address in the callback's frame, and the room's; the outermost frame first
        static ROOMS: RefCell<Vec<(usize, u64)>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn remember(frame: usize, room: u64) {
        forget(frame);
        let _ = ROOMS.try_with(|rooms| rooms.borrow_mut().push((frame, room)));
    }

    pub(super) fn forget(frame: usize) {
        take(frame + 1);
    }

    /// Forgets those of all frames below an address; the room of the outermost of them.
    pub(super) fn take(below: usize) -> Option<u64> {
        let take = |rooms: &RefCell<Vec<(usize, u64)>>| {
            let mut rooms = rooms.borrow_mut();
            let mut room = None;
            while let Some(entry) = rooms.pop_if(|entry| entry.0 < below) {
                room = Some(entry.1);
            }
            room
        };
        ROOMS.try_with(take).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_found_by_their_frames() {
        rooms::remember(0x9000, 1);
        rooms::remember(0x8000, 2);
        rooms::remember(0x7000, 3);
        assert_eq!(rooms::take(0x7000), None);
        assert_eq!(rooms::take(0x8010), Some(2));
        rooms::remember(0x9800, 4);
        assert_eq!(rooms::take(usize::MAX), Some(4), "the frame at 0x9000 is gone");
    }
}
