//! Making a call of a callback again that its entry check has stopped: with the arguments that it has stored in cells, as C has passed them
//! ([`shape`](wasmbridge_trampolines::shape)).
//!
//! The call goes to the callback's own address, register by register like a variadic call, so that it cannot be told from one of C's.

use super::Refused;
use super::variadic::{self, Pushed, call_variadic};
use crate::callback::CallbackInfo;
use std::cell::Cell;
use wasmbridge_artifact::vmctx::VariadicCall;
use wasmbridge_trampolines::abi::sysv::{self, Class, Piece, Place, Returned};
use wasmbridge_trampolines::shape::result_cells;
use wasmbridge_trampolines::{Crossing, Signature};

/// Where a callback has stored its arguments, and where its result goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells {
    pub(crate) arguments: *mut u64,
    /// the same, unless the result is a struct
    pub(crate) result: *mut u64,
}

thread_local! {
    /// where on the stack the innermost replay of this thread is; 0 if there is none
    static INNERMOST: Cell<usize> = const { Cell::new(0) };
}

/// Whether a replay is below an address on this thread's stack: then not only C is between that and what runs.
pub(crate) fn is_below(address: usize) -> bool {
    (1..address).contains(&INNERMOST.get())
}

/// A replay that is running.
struct Running {
    outer: usize,
}

impl Running {
    fn start(here: usize) -> Running {
        Running { outer: INNERMOST.replace(here) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        INNERMOST.set(self.outer);
    }
}

/// Makes a call of a callback, and leaves its result in the cells; the default value, if it does not return. An error says which argument cannot be passed
/// on; then no call was made.
///
/// # Safety
/// The callback may be called on this thread, and the cells are those of a call of it: nobody else uses them.
pub(crate) unsafe fn replay(info: &CallbackInfo, cells: Cells) -> Result<(), Refused> {
    let signature = &*info.known.shared.signature;
    let convention = sysv::classify(signature);
    // SAFETY: the caller's promise.
    let pushed = unsafe { arguments(signature, &convention, cells) };
    // The result goes where the arguments were.
    // SAFETY: the caller's promise.
    unsafe { info.write_default(cells) };
    let pushed = pushed?;
    let mut call = VariadicCall {
        general: pushed.general,
        vector: pushed.vector,
        vector_count: pushed.vector.len() as u64,
        stack: pushed.stack.as_ptr(),
        stack_len: pushed.stack.len() as u64,
        rax: 0,
        rdx: 0,
        xmm0: 0,
        xmm1: 0,
    };
    let running = Running::start(std::ptr::from_ref(&call) as usize);
    // SAFETY: a function of this signature, called with what its arguments are.
    unsafe { call_variadic(info.entry() as u64, &mut call) };
    drop(running);
    if let Returned::Registers(pieces) = &convention.result {
        let is_struct = matches!(signature.result.as_ref().map(|r| &r.crossing), Some(Crossing::Struct(_)));
        let first = if is_struct { result_cells::BYTES } else { 0 };
        let mut integers = [call.rax, call.rdx].into_iter();
        let mut floats = [call.xmm0, call.xmm1].into_iter();
        for (i, piece) in pieces.iter().enumerate() {
            let value = match piece.class {
                Class::Integer => integers.next(),
                Class::Sse => floats.next(),
            };
            // SAFETY: the cells of a result have room for all of it.
            unsafe { cells.result.add(first + i).write(value.expect("there are at most two of each class")) };
        }
    }
    Ok(())
}

/// What was in registers and on the stack when C made a call.
///
/// # Safety
/// As for [`replay`].
unsafe fn arguments(signature: &Signature, convention: &sysv::Call, cells: Cells) -> Result<Pushed, Refused> {
    let mut pushed = Pushed::default();
    if convention.result == Returned::Memory {
        // SAFETY: a callback whose result is returned in memory has stored where that is.
        pushed.integer(unsafe { cells.result.add(result_cells::NATIVE).read() });
    }
    let push = |pushed: &mut Pushed, piece: &Piece, value: u64| match piece.class {
        Class::Integer => pushed.integer(value),
        Class::Sse => pushed.float(value),
    };
    for (i, (param, place)) in signature.params.iter().zip(&convention.params).enumerate() {
        // SAFETY: a callback has a cell for each parameter.
        let cell = unsafe { cells.arguments.add(i) };
        // SAFETY: see above.
        let value = unsafe { cell.read() };
        // The cell of a struct has the address of its bytes.
        let bytes = if matches!(param.crossing, Crossing::Struct(_)) { value as *const u64 } else { cell };
        // SAFETY: there are as many eightbytes.
        let eightbyte = |k: usize| unsafe { bytes.add(k).read_unaligned() };
        match place {
            Place::Registers(pieces) => {
                pieces.iter().enumerate().for_each(|(k, piece)| push(&mut pushed, piece, eightbyte(k)));
            }
            Place::Stack(_) => pushed.stack.push(value),
            Place::StackStruct(count) => pushed.stack.extend((0..*count as usize).map(eightbyte)),
            Place::Variadic => {}
        }
    }
    if let Some((index, true, args)) = signature.var_args() {
        // SAFETY: as above: the cell has the address of a `va_list`, and the others what C has passed.
        unsafe {
            let native = std::slice::from_raw_parts(cells.arguments, signature.params.len());
            variadic::pass_on(&mut pushed, native[index], args, native)?;
        }
    }
    Ok(pushed)
}
