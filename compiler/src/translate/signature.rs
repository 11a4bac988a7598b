//! Types and signatures of wasm, in CLIF.

use cranelift_codegen::ir::{AbiParam, ArgumentPurpose, Signature, Type, types};
use cranelift_codegen::isa::CallConv;
use wasmbridge_artifact::{FuncType, ValType};

/// A value's type. References are pointers; a vector is bytes until an instruction says otherwise.
pub(crate) fn clif_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => types::I32,
        ValType::I64 | ValType::Ref(_) => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => types::I8X16,
    }
}

/// The signature of a wasm function: the vmctx (or what stands in its place) before the parameters.
pub(crate) fn wasm_signature(ty: &FuncType) -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    signature.params.push(AbiParam::special(types::I64, ArgumentPurpose::VMContext));
    signature.params.extend(ty.params.iter().map(|&t| AbiParam::new(clif_type(t))));
    signature.returns.extend(ty.results.iter().map(|&t| AbiParam::new(clif_type(t))));
    signature
}

/// The signature of an imported function that is called as a C function.
pub(crate) fn direct_signature(ty: &FuncType) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend(ty.params.iter().map(|&t| AbiParam::new(clif_type(t))));
    signature.returns.extend(ty.results.iter().map(|&t| AbiParam::new(clif_type(t))));
    signature
}
