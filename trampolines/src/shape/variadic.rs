//! Variable arguments: see "Variable arguments" in [`shape`](super) for what lies where.

use super::emit::Emit;
use super::native;
use super::thunk::Thunk;
use crate::abi::sysv::{INTEGER_REGISTERS, SSE_REGISTERS};
use cranelift_codegen::ir::{InstBuilder, StackSlot, Value, types};
use std::mem::offset_of;
use wasmbridge_artifact::Builtin;
use wasmbridge_artifact::vmctx::VariadicCall;

/// Cells of a `va_list`.
const VA_LIST: usize = 3;
/// Cells from one vector register's place in the save area to the next (psABI, figure 3.33).
const VECTOR_CELLS: usize = 2;
/// Bytes from the frame pointer to the first argument on the stack: the caller's frame pointer and the return address.
const STACK_FROM_FP: i64 = 16;

/// Stores the registers with variable arguments, and makes a `va_list` of them; its address. `stack` is how many eightbytes of the stack come
/// before the variable arguments.
///
/// All vector registers are stored, whatever `al` says: a callee that takes a `double` knows that there is one.
pub(super) fn store_va_list(emit: &mut Emit<'_>, general: &[Value], vector: &[Value], stack: usize) -> Value {
    let (first_general, first_vector) = (INTEGER_REGISTERS - general.len(), SSE_REGISTERS - vector.len());
    let save = emit.cells(INTEGER_REGISTERS + VECTOR_CELLS * SSE_REGISTERS);
    for (i, &value) in general.iter().enumerate() {
        emit.store_cell(value, save, first_general + i);
    }
    for (i, &value) in vector.iter().enumerate() {
        emit.store_cell(value, save, INTEGER_REGISTERS + VECTOR_CELLS * (first_vector + i));
    }
    let list = emit.cells(VA_LIST);
    // `gp_offset` and `fp_offset`, four bytes each.
    let general_offset = 8 * first_general as i64;
    let vector_offset = 8 * (INTEGER_REGISTERS + VECTOR_CELLS * first_vector) as i64;
    let offsets = emit.ins().iconst(types::I64, vector_offset << 32 | general_offset);
    emit.store_cell(offsets, list, 0);
    let pointer = emit.pointer;
    let frame_pointer = emit.ins().get_frame_pointer(pointer);
    let overflow = emit.ins().iadd_imm_u(frame_pointer, STACK_FROM_FP + 8 * stack as i64);
    emit.store_cell(overflow, list, 1);
    let save = emit.cells_address(save);
    emit.store_cell(save, list, 2);
    emit.cells_address(list)
}

impl Thunk<'_> {
    /// Makes a variadic call, of which the builtin has written everything to the structure whose address is in a cell.
    pub(super) fn call_variadic(&mut self, function: Value, vmctx: Value, slots: StackSlot, cell: usize) -> Vec<Value> {
        let room = self.result_room();
        let emit = &mut self.emit;
        let call = emit.load_cell(types::I64, slots, cell);
        if let Some(room) = room {
            emit.store(room, call, offset_of!(VariadicCall, general) as i32);
        }
        emit.builtin(Builtin::CallVariadic, vmctx, &[function, call]);
        let call = emit.load_cell(types::I64, slots, cell);
        let mut integers = [offset_of!(VariadicCall, rax), offset_of!(VariadicCall, rdx)].into_iter();
        let mut floats = [offset_of!(VariadicCall, xmm0), offset_of!(VariadicCall, xmm1)].into_iter();
        let results = native::calling(self.signature).0.returns;
        let load = |result: cranelift_codegen::ir::AbiParam| {
            let ty = result.value_type;
            let offset = if ty.is_float() { floats.next() } else { integers.next() };
            emit.load(ty, call, offset.expect("at most two of each") as i32)
        };
        results.into_iter().map(load).collect()
    }
}
