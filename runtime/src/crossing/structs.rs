//! Structs and unions by value: see "Structs by value" in the trampolines' `shape` for where their bytes are.
//!
//! They are converted member by member into bytes that were zero, so that no padding carries anything over. What a member may be is
//! checked as if it were an argument by itself.

use super::Refused;
use super::inbound::{function_or_pointer_in, scalar_in, user_in};
use super::outbound::{pointer_like, scalar_out};
use crate::instance::InstanceData;
use crate::memory::Bytes;
use std::cell::RefCell;
use wasmbridge_trampolines::abi::sysv;
use wasmbridge_trampolines::signature::{Leaf, Record, Value};
use wasmbridge_trampolines::{Crossing, Scalar, Signature};

/// The native bytes as the guest has them. Handles are the app's to `keep`, or end with the innermost scope.
fn to_guest(instance: &InstanceData, record: &Record, native: &[u8], keep: bool) -> Result<Vec<u8>, Refused> {
    let mut guest = vec![0; record.guest.size as usize];
    for leaf in record.leaves() {
        match leaf {
            Leaf::Raw { native: from, guest: to, mask } => copy(native, *from, &mut guest, *to, mask),
            Leaf::Bits { native_bit, guest_bit, width } => {
                copy_bits(native, *native_bit, &mut guest, *guest_bit, *width);
            }
            Leaf::Value { native: from, guest: to, value } => {
                let (native_len, guest_len) = lengths(value);
                let converted = value_in(instance, value, read(native, *from, native_len), keep);
                let converted = converted.map_err(|why| format!("the member at byte {from}: {why}"))?;
                write(&mut guest, *to, guest_len, converted);
            }
        }
    }
    Ok(guest)
}

/// The guest's bytes as C has them.
fn to_native(instance: &InstanceData, record: &Record, guest: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut native = vec![0; record.native.size as usize];
    for leaf in record.leaves() {
        match leaf {
            Leaf::Raw { native: to, guest: from, mask } => copy(guest, *from, &mut native, *to, mask),
            Leaf::Bits { native_bit, guest_bit, width } => {
                copy_bits(guest, *guest_bit, &mut native, *native_bit, *width);
            }
            Leaf::Value { native: to, guest: from, value } => {
                let (native_len, guest_len) = lengths(value);
                let converted = value_out(instance, value, read(guest, *from, guest_len));
                let converted = converted.map_err(|why| format!("the member at the app's byte {from}: {why}"))?;
                write(&mut native, *to, native_len, converted);
            }
        }
    }
    Ok(native)
}

fn value_in(instance: &InstanceData, value: &Value, native: u64, keep: bool) -> Result<u64, Refused> {
    match &value.crossing {
        Crossing::Scalar(Scalar::Bool) => Ok(u64::from(native != 0)),
        Crossing::Scalar(scalar) => scalar_in(*scalar, native),
        Crossing::User => user_in(native),
        _ if native == 0 => null(value),
        // SAFETY: pointers in the struct are what the prototype says: the C side of the contract.
        crossing => unsafe { function_or_pointer_in(instance, crossing, native, keep) },
    }
}

fn value_out(instance: &InstanceData, value: &Value, guest: u64) -> Result<u64, Refused> {
    match &value.crossing {
        Crossing::Scalar(scalar) => Ok(scalar_out(*scalar, guest)),
        Crossing::User => Ok(guest),
        _ if guest == 0 => null(value),
        crossing => pointer_like(instance, crossing, guest),
    }
}

fn null(value: &Value) -> Result<u64, Refused> {
    if value.nonnull { Err("it is NULL, the prototype says [nonnull]".to_owned()) } else { Ok(0) }
}

/// Bytes of a value in C and in the guest.
fn lengths(value: &Value) -> (usize, usize) {
    match value.crossing {
        Crossing::Scalar(scalar) => (scalar.native_bytes().into(), scalar.guest_bytes().into()),
        _ => (8, 4),
    }
}

fn read(bytes: &[u8], at: u32, len: usize) -> u64 {
    let mut word = [0; 8];
    word[..len].copy_from_slice(&bytes[at as usize..at as usize + len]);
    u64::from_le_bytes(word)
}

fn write(bytes: &mut [u8], at: u32, len: usize, value: u64) {
    bytes[at as usize..at as usize + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

fn copy(from: &[u8], from_at: u32, to: &mut [u8], to_at: u32, mask: &[u8]) {
    let (from, to) = (&from[from_at as usize..], &mut to[to_at as usize..]);
    for ((to, from), mask) in to.iter_mut().zip(from).zip(mask) {
        *to = from & mask;
    }
}

fn copy_bits(from: &[u8], from_bit: u32, to: &mut [u8], to_bit: u32, width: u8) {
    for i in 0..u32::from(width) {
        let (from_bit, to_bit) = (from_bit + i, to_bit + i);
        let bit = from[from_bit as usize / 8] >> (from_bit % 8) & 1;
        to[to_bit as usize / 8] |= bit << (to_bit % 8);
    }
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
    read(bytes, 0, bytes.len())
}

/// An argument of a callback: from the address of its native bytes to its wasm value.
///
/// # Safety
/// There are as many bytes as the record has.
pub(super) unsafe fn argument_in(instance: &InstanceData, record: &Record, cell: u64) -> Result<u64, Refused> {
    // SAFETY: the caller's promise.
    let native = unsafe { std::slice::from_raw_parts(cell as *const u8, record.native.size as usize) };
    let guest = to_guest(instance, record, native, false)?;
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
    let native = to_native(instance, record, &guest_bytes(instance, record, *guest)?)?;
    // SAFETY: there are as many bytes, of the shape's or of the C caller's.
    unsafe { (room as *mut u8).copy_from_nonoverlapping(native.as_ptr(), native_len) };
    Ok(cells)
}

/// An argument of a C function, whose cells are at this address: the wasm value in the first, to the native bytes behind it.
///
/// # Safety
/// The cells are those of a running thunk of a signature with this parameter.
pub(super) unsafe fn argument_out(instance: &InstanceData, record: &Record, cells: u64) -> Result<u64, Refused> {
    let cells = cells as *mut u64;
    // SAFETY: the caller's promise.
    let native = to_native(instance, record, &guest_bytes(instance, record, unsafe { *cells })?)?;
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
    let bytes = to_guest(instance, record, native, true)?;
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

    #[test]
    fn bits_move() {
        let mut to = [0; 8];
        copy_bits(&[0b1011_0000, 0b1], 4, &mut to, 30, 5);
        assert_eq!(to, [0, 0, 0, 0b1100_0000, 0b110, 0, 0, 0]);
    }
}
