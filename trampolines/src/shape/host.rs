//! Thunks of host functions: wasm functions that call a function of the host's own by any wasm type, through slots.
//!
//! ```text
//!   slots = arguments, 16 bytes each
//!   push a crossing frame, exception = record.function(record, slots), pop it:   as in every thunk
//!   if there is an exception:   throw, or a trap if nobody catches it
//!   results = slots
//! ```

use super::emit::{Emit, trap_code, wasm_type};
use super::thunk::Thunk;
use crate::objects::ObjectTypes;
use crate::signature::Signature;
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, StackSlotData, StackSlotKind};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::FunctionBuilder;
use wasmbridge_artifact::vmctx::entry::VALUE_SIZE;
use wasmbridge_artifact::{Builtin, FuncType, TrapCode};

/// The C function that every such thunk calls. It gives the exception that it throws, or 0.
pub(super) const PROTOTYPE: &str = "unsigned long long host(void *record[user], void *slots[user])";

/// Builds the thunk of a wasm type; `signature` is that of [`PROTOTYPE`].
pub(super) fn build(
    builder: FunctionBuilder<'_>,
    ty: &FuncType,
    signature: &Signature,
    objects: &ObjectTypes,
    config: TargetFrontendConfig,
) {
    let mut wasm = ir::Signature::new(CallConv::Tail);
    wasm.params.push(AbiParam::new(config.pointer_type()));
    wasm.params.extend(ty.params.iter().map(|&ty| AbiParam::new(wasm_type(ty))));
    wasm.returns.extend(ty.results.iter().map(|&ty| AbiParam::new(wasm_type(ty))));
    let (mut emit, params) = Emit::start(builder, wasm, config);
    let count = ty.params.len().max(ty.results.len()).max(1);
    // Aligned as the host's type for a value of 128 bits is.
    let data = StackSlotData::new(StackSlotKind::ExplicitSlot, (count * VALUE_SIZE) as u32, 4);
    let slots = emit.builder.create_sized_stack_slot(data);
    let pointer = emit.pointer;
    let place = |i: usize| (i * VALUE_SIZE) as i32;
    for (i, &value) in params[1..].iter().enumerate() {
        emit.ins().stack_store(pointer, value, slots, place(i));
    }
    let record = params[0];
    let address = emit.ins().stack_addr(pointer, slots, 0);
    let mut thunk = Thunk::start(emit, signature, objects, record);
    let exception = thunk.call(&[record, address])[0];
    let vmctx = thunk.vmctx();
    let mut emit = thunk.emit;
    let (thrown, returned) = (emit.cold_block(), emit.builder.create_block());
    emit.branch(exception, thrown, &[], returned, &[]);
    emit.switch_to(thrown);
    emit.builtin(Builtin::Throw, vmctx, &[vmctx, exception]);
    // It only comes back if there is no handler.
    emit.ins().trap(trap_code(TrapCode::UncaughtException));
    emit.switch_to(returned);
    let results: Vec<_> = ty
        .results
        .iter()
        .enumerate()
        .map(|(i, &ty)| emit.ins().stack_load(pointer, wasm_type(ty), slots, place(i)))
        .collect();
    emit.ins().return_(&results);
    emit.finish(config);
}
