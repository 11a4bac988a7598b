//! Functions that call nothing and keep nothing on the stack do without a frame.
//!
//! The code generator sets up a frame pointer in every function. In one that only computes, these four instructions are a good part of it, and they serve nobody: the
//! signal handler finds its return address at the stack pointer ([`FrameLayout::frameless`](wasmbridge_artifact::frames::FrameLayout::frameless)). So they are taken
//! out of the finished code:
//!
//! ```text
//!   push rbp                    the first bytes: cut off
//!   mov  rbp, rsp
//!   ...                         what jumps does so by distances, which stay
//!   mov  rsp, rbp               ret, and what is never reached
//!   pop  rbp
//!   ret
//! ```
//!
//! That is right only if all ways out are found, and nothing else is taken for one. Where a return is in the code is known by its place in the wasm file, which no other
//! instruction has; its way out is the last of the code with that place. If the bytes of a way out are found anywhere else as well, be it in a constant, the function
//! keeps its frame. So it does if anything crosses on the stack, which is found by the frame pointer.

use cranelift_codegen::CompiledCode;
use cranelift_codegen::ir::{AbiParam, Signature};
use std::collections::BTreeMap;

/// `push rbp; mov rbp, rsp`
const SETUP: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];
/// `mov rsp, rbp; pop rbp`
const WAY_OUT: [u8; 4] = [0x48, 0x89, 0xec, 0x5d];
/// `ret`
const RETURN: u8 = 0xc3;
/// `int3`: what is behind a return is not reached.
const STOP: u8 = 0xcc;

/// Bytes that are cut off at the start.
pub(crate) const CUT: u32 = SETUP.len() as u32;

/// As many integers, and as many floats and vectors, travel in registers: parameters as in C (psABI, 3.2.3), and results of the `Tail` convention in eight of each.
const IN_REGISTERS: (usize, usize) = (6, 8);

/// The code of a function without its frame, if it needs none.
pub(crate) fn without_frame(compiled: &CompiledCode, signature: &Signature, returns: &[u32]) -> Option<Vec<u8>> {
    let buffer = &compiled.buffer;
    let empty = buffer.frame_layout().is_some_and(|layout| layout.frame_to_fp_offset == 0);
    // The two steps of `SETUP`: nothing is saved. And no constant is aligned to more than what is cut off.
    let plain = buffer.unwind_info.len() == 2 && buffer.alignment <= CUT;
    let alone = buffer.call_sites().next().is_none() && buffer.relocs().is_empty();
    if !empty || !plain || !alone || !fits_registers(&signature.params) || !fits_registers(&signature.returns) {
        return None;
    }
    let mut code = compiled.code_buffer().strip_prefix(&SETUP)?.to_vec();
    let mut ends = BTreeMap::new();
    for range in buffer.get_srclocs_sorted() {
        if !range.loc.is_default() && returns.contains(&range.loc.bits()) {
            // The last one stays.
            ends.insert(range.loc.bits(), range.end);
        }
    }
    for end in ends.into_values() {
        let exit: &mut [u8; 5] = code.get_mut(..end.checked_sub(CUT)? as usize)?.last_chunk_mut()?;
        if exit[..4] != WAY_OUT || exit[4] != RETURN {
            return None;
        }
        *exit = [RETURN, STOP, STOP, STOP, STOP];
    }
    let is_left = code.windows(WAY_OUT.len()).any(|bytes| bytes == WAY_OUT);
    (!is_left).then_some(code)
}

/// Whether all of these are in registers.
fn fits_registers(values: &[AbiParam]) -> bool {
    let integers = values.iter().filter(|value| value.value_type.is_int()).count();
    integers <= IN_REGISTERS.0 && values.len() - integers <= IN_REGISTERS.1
}
