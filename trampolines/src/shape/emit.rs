//! What callbacks and thunks are built from: loads and stores by the layout in `artifact`, calls of builtins, and cold code.
//!
//! # Nothing lives across a builtin's call
//!
//! A call clobbers registers. Left alone, the register allocator would keep what lives across a cold call in callee-saved registers, and the
//! *hot* code would save and restore those. So before such a call everything is stored in cells of a stack slot, after it loaded again, and
//! handed to the block where the paths join.

use crate::signature::Signature;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, Block, BlockArg, ExternalName, GlobalValueData, InstBuilder, MemFlagsData, StackSlot,
    StackSlotData, StackSlotKind, Type, UserExternalName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::FunctionBuilder;
use std::mem::offset_of;
use wasmbridge_artifact::builtins::Word;
use wasmbridge_artifact::vmctx::{MemoryDef, head};
use wasmbridge_artifact::{Builtin, TrapCode, ValType};

/// Bytes of a cell in a stack slot.
const CELL: u32 = 8;

pub(super) struct Emit<'a> {
    pub(super) builder: FunctionBuilder<'a>,
    pub(super) pointer: Type,
    /// where values are while cold code calls
    spill: Option<StackSlot>,
    records: u32,
}

impl<'a> Emit<'a> {
    /// Starts a function; its parameters are the first block's.
    pub(super) fn start(
        mut builder: FunctionBuilder<'a>,
        signature: ir::Signature,
        config: TargetFrontendConfig,
    ) -> (Emit<'a>, Vec<Value>) {
        builder.func.signature = signature;
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        let params = builder.block_params(entry).to_vec();
        (Emit { builder, pointer: config.pointer_type(), spill: None, records: 0 }, params)
    }

    pub(super) fn finish(mut self, config: TargetFrontendConfig) {
        self.builder.seal_all_blocks();
        self.builder.finalize(config);
    }

    pub(super) fn ins(&mut self) -> cranelift_frontend::FuncInstBuilder<'_, 'a> {
        self.builder.ins()
    }

    /// The address of this copy's record. Each call makes a new symbol for it, so that Cranelift takes the address again (one
    /// instruction) where it would otherwise keep it across a call.
    pub(super) fn record(&mut self) -> Value {
        let name = UserExternalName { namespace: 0, index: self.records };
        self.records += 1;
        let name = self.builder.func.declare_imported_user_function(name);
        let name = ExternalName::user(name);
        let data = GlobalValueData::Symbol { name, offset: 0.into(), colocated: true, tls: false };
        let symbol = self.builder.create_global_value(data);
        let pointer = self.pointer;
        self.ins().symbol_value(pointer, symbol)
    }

    /// Loads from a structure of `artifact`'s: aligned, and always mapped.
    pub(super) fn load(&mut self, ty: Type, base: Value, offset: i32) -> Value {
        self.ins().load(ty, MemFlagsData::trusted(), base, offset)
    }

    pub(super) fn load_pointer(&mut self, base: Value, offset: i32) -> Value {
        self.load(self.pointer, base, offset)
    }

    /// Stores to a structure of `artifact`'s.
    pub(super) fn store(&mut self, value: Value, base: Value, offset: i32) {
        self.ins().store(MemFlagsData::trusted(), value, base, offset);
    }

    /// A new stack slot of so many cells.
    pub(super) fn cells(&mut self, count: usize) -> StackSlot {
        let size = CELL * count as u32;
        self.builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3))
    }

    pub(super) fn load_cell(&mut self, ty: Type, slot: StackSlot, cell: usize) -> Value {
        let pointer = self.pointer;
        self.ins().stack_load(pointer, ty, slot, cell as i32 * CELL as i32)
    }

    pub(super) fn store_cell(&mut self, value: Value, slot: StackSlot, cell: usize) {
        let pointer = self.pointer;
        self.ins().stack_store(pointer, value, slot, cell as i32 * CELL as i32);
    }

    pub(super) fn cells_address(&mut self, slot: StackSlot) -> Value {
        self.cell_address(slot, 0)
    }

    pub(super) fn cell_address(&mut self, slot: StackSlot, cell: usize) -> Value {
        let pointer = self.pointer;
        self.ins().stack_addr(pointer, slot, cell as i32 * CELL as i32)
    }

    /// A wasm value as it lies in a cell: zero-extended, floats by their bits.
    pub(super) fn wasm_into_cell(&mut self, wasm: Value) -> Value {
        match self.builder.func.dfg.value_type(wasm) {
            types::I32 => self.ins().uextend(types::I64, wasm),
            types::F32 => {
                let bits = self.ins().bitcast(types::I32, MemFlagsData::new(), wasm);
                self.ins().uextend(types::I64, bits)
            }
            _ => wasm,
        }
    }

    /// Calls a builtin through the table of the vmctx.
    pub(super) fn builtin(&mut self, builtin: Builtin, vmctx: Value, args: &[Value]) -> Option<Value> {
        let word = |word: &Word| {
            AbiParam::new(match word {
                Word::I32 => types::I32,
                Word::I64 => types::I64,
            })
        };
        let mut signature = ir::Signature::new(CallConv::SystemV);
        signature.params.extend(builtin.params().iter().map(word));
        signature.returns.extend(builtin.result().iter().map(word));
        let table = self.load_pointer(vmctx, head::BUILTINS);
        let function = self.load_pointer(table, builtin.offset());
        self.call(signature, function, args)
    }

    pub(super) fn call(&mut self, signature: ir::Signature, function: Value, args: &[Value]) -> Option<Value> {
        self.call_for_all(signature, function, args).first().copied()
    }

    /// Calls a function, for all of its results.
    pub(super) fn call_for_all(&mut self, signature: ir::Signature, function: Value, args: &[Value]) -> Vec<Value> {
        let signature = self.builder.import_signature(signature);
        let call = self.ins().call_indirect(signature, function, args);
        self.builder.inst_results(call).to_vec()
    }

    /// Traps if the condition is not 0; and has the prologue save all registers that the caller expects to be kept, so that whoever skips the
    /// frames of what was called finds them in this one.
    ///
    /// A call in a convention that keeps no register does that. It stands behind the trap and is never made, which Cranelift does not know.
    pub(super) fn trap_with_registers_saved(&mut self, condition: Value, code: TrapCode) {
        let (cold, next) = (self.cold_block(), self.builder.create_block());
        self.branch(condition, cold, &[], next, &[]);
        self.switch_to(cold);
        self.ins().trapnz(condition, trap_code(code));
        let pointer = self.pointer;
        let nowhere = self.ins().iconst(pointer, 0);
        self.call(ir::Signature::new(CallConv::Winch), nowhere, &[]);
        self.ins().trap(trap_code(code));
        self.switch_to(next);
    }

    /// Stores values where they survive a call.
    pub(super) fn spill(&mut self, values: &[Value]) -> Spilled {
        let needed = CELL * values.len() as u32;
        let slot = self.spill.unwrap_or_else(|| self.cells(0));
        self.spill = Some(slot);
        let data = &mut self.builder.func.sized_stack_slots[slot];
        data.size = data.size.max(needed);
        let types = values.iter().map(|&value| self.builder.func.dfg.value_type(value)).collect();
        for (cell, &value) in values.iter().enumerate() {
            self.store_cell(value, slot, cell);
        }
        Spilled { slot, types }
    }

    /// Loads spilled values.
    pub(super) fn reload(&mut self, spilled: &Spilled) -> Vec<Value> {
        let cells = spilled.types.iter().enumerate();
        cells.map(|(cell, &ty)| self.load_cell(ty, spilled.slot, cell)).collect()
    }

    pub(super) fn cold_block(&mut self) -> Block {
        let block = self.builder.create_block();
        self.builder.set_cold_block(block);
        block
    }

    /// Branches to `cold` if the condition holds, else goes on in a new block.
    pub(super) fn leave_if(&mut self, condition: Value, cold: Block) {
        let next = self.builder.create_block();
        self.ins().brif(condition, cold, &[], next, &[]);
        self.builder.switch_to_block(next);
    }

    /// A block that takes values of the types of these.
    pub(super) fn join_block(&mut self, values: &[Value]) -> Block {
        let block = self.builder.create_block();
        for &value in values {
            let ty = self.builder.func.dfg.value_type(value);
            self.builder.append_block_param(block, ty);
        }
        block
    }

    pub(super) fn jump(&mut self, block: Block, values: &[Value]) {
        let args = block_args(values);
        self.ins().jump(block, &args);
    }

    pub(super) fn branch(
        &mut self,
        condition: Value,
        then: Block,
        then_values: &[Value],
        other: Block,
        other_values: &[Value],
    ) {
        let (then_args, other_args) = (block_args(then_values), block_args(other_values));
        self.ins().brif(condition, then, &then_args, other, &other_args);
    }

    /// Goes on in a block; its parameters are the values.
    pub(super) fn switch_to(&mut self, block: Block) -> Vec<Value> {
        self.builder.switch_to_block(block);
        self.builder.block_params(block).to_vec()
    }

    /// The native address of a guest's `size` bytes, if they lie inside the memory and the guest's address is not 0; else goes to `slow`.
    ///
    /// One comparison does both. With `below = (address - 1) mod 2^32`, the bytes end at `below + 1 + size` unless the address is 0: then
    /// that sum is over 2^32, and no memory is longer than that.
    pub(super) fn checked_address(
        &mut self,
        vmctx: Value,
        record: Value,
        memory_base: i32,
        address: Value,
        size: u32,
        slow: Block,
    ) -> Value {
        let below = self.ins().iadd_imm_s(address, -1);
        let below = self.ins().uextend(types::I64, below);
        let end = self.ins().iadd_imm_u(below, i64::from(size) + 1);
        let memory = self.load_pointer(vmctx, head::MEMORY0);
        let len = self.load(types::I64, memory, offset_of!(MemoryDef, len_bytes) as i32);
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThan, end, len);
        self.leave_if(outside, slow);
        let base = self.load_pointer(record, memory_base);
        let native = self.ins().iadd(below, base);
        self.ins().iadd_imm_u(native, 1)
    }

    /// Whether the high half of a native address differs from that of the memory, whose low half is 0: not 0 if it does.
    pub(super) fn high_half_differs(&mut self, native: Value, record: Value, memory_base: i32) -> Value {
        let base = self.load_pointer(record, memory_base);
        let distance = self.ins().bxor(native, base);
        self.ins().ushr_imm_u(distance, 32)
    }

    /// Goes to `joined` with 0 if the address is 0 and may be.
    pub(super) fn null_to(&mut self, joined: Block, address: Value, ty: Type, nonnull: bool) {
        if !nonnull {
            let null = self.is_zero(address);
            let zero = self.ins().iconst(ty, 0);
            let other = self.cold_block();
            self.branch(null, joined, &[zero], other, &[]);
            self.switch_to(other);
        }
    }

    /// The type of the function's result.
    pub(super) fn result_type(&self) -> Option<Type> {
        self.builder.func.signature.returns.first().map(|result| result.value_type)
    }

    pub(super) fn is_zero(&mut self, value: Value) -> Value {
        self.ins().icmp_imm_s(IntCC::Equal, value, 0)
    }

    /// Whether a builtin that answers with a pointer or a guest address refused: it answered -1.
    pub(super) fn is_refusal(&mut self, answer: Value) -> Value {
        self.ins().icmp_imm_s(IntCC::Equal, answer, -1)
    }
}

/// Values in the spill slot, and their types.
pub(super) struct Spilled {
    slot: StackSlot,
    types: Vec<Type>,
}

fn block_args(values: &[Value]) -> Vec<BlockArg> {
    values.iter().copied().map(BlockArg::Value).collect()
}

/// The function in the convention of wasm functions: the vmctx or the record of a thunk comes first.
pub(super) fn wasm_signature(signature: &Signature, pointer: Type) -> ir::Signature {
    let ty = signature.wasm_type();
    let mut wasm = ir::Signature::new(CallConv::Tail);
    wasm.params.push(AbiParam::new(pointer));
    wasm.params.extend(ty.params.iter().map(|&ty| AbiParam::new(wasm_type(ty))));
    wasm.returns.extend(ty.results.iter().map(|&ty| AbiParam::new(wasm_type(ty))));
    wasm
}

pub(super) fn wasm_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => types::I32,
        ValType::I64 => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => types::I8X16,
        ValType::Ref(_) => types::I64,
    }
}

pub(super) fn trap_code(code: TrapCode) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(code as u8)
}
