//! The entry trampolines: see [`wasmbridge_artifact::vmctx::entry`].

use crate::translate::{clif_type, wasm_signature};
use cranelift_codegen::ir::{AbiParam, Function, InstBuilder, MemFlagsData, Signature, UserFuncName, types};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use wasmbridge_artifact::FuncType;
use wasmbridge_artifact::vmctx::entry::{PARAMETERS, VALUE_SIZE};

/// Writes the entry trampoline for a type into `func`, which is empty.
///
/// It needs no stack check: whoever calls it has checked that there is enough for the first frames of wasm.
pub(crate) fn entry(
    index: u32,
    ty: &FuncType,
    isa: &dyn TargetIsa,
    func: &mut Function,
    context: &mut FunctionBuilderContext,
) {
    func.name = UserFuncName::user(1, index);
    func.signature = Signature::new(CallConv::SystemV);
    func.signature.params = vec![AbiParam::new(types::I64); PARAMETERS];
    let mut builder = FunctionBuilder::new(func, context);
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    builder.seal_block(block);
    let &[code, callee_vmctx, values, ..] = builder.block_params(block) else {
        unreachable!("the signature has {PARAMETERS} parameters");
    };
    // The host's array need not be aligned to what a vector would like.
    let flags = MemFlagsData::new().with_notrap();
    let slot = |i: usize| (i * VALUE_SIZE) as i32;
    let mut args = vec![callee_vmctx];
    for (i, &param) in ty.params.iter().enumerate() {
        args.push(builder.ins().load(clif_type(param), flags, values, slot(i)));
    }
    let signature = builder.import_signature(wasm_signature(ty));
    let call = builder.ins().call_indirect(signature, code, &args);
    let results = builder.inst_results(call).to_vec();
    for (i, result) in results.into_iter().enumerate() {
        builder.ins().store(flags, result, values, slot(i));
    }
    builder.ins().return_(&[]);
    builder.finalize(isa.frontend_config());
}
