//! Calls of the runtime's builtin functions, through the table in the vmctx.

use super::{Translator, flags};
use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, SigRef, Signature, Type, Value, types};
use cranelift_codegen::isa::CallConv;
use std::collections::HashMap;
use wasmbridge_artifact::builtins::Word;
use wasmbridge_artifact::vmctx::head;
use wasmbridge_artifact::{Builtin, TrapCode};

/// The signatures of the builtins that the function calls.
pub(super) type Builtins = HashMap<Builtin, SigRef>;

fn clif_type(word: Word) -> Type {
    match word {
        Word::I32 => types::I32,
        Word::I64 => types::I64,
    }
}

fn signature(builtin: Builtin) -> Signature {
    let param = |&word| AbiParam::new(clif_type(word));
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend(builtin.params().iter().map(param));
    signature.returns.extend(builtin.result().iter().map(param));
    signature
}

impl Translator<'_, '_> {
    /// Calls a builtin with the vmctx and these arguments, and returns its result.
    pub(super) fn builtin(&mut self, builtin: Builtin, args: &[Value]) -> Option<Value> {
        let (signature, code) = self.builtin_code(builtin);
        self.call_builtin(signature, code, args)
    }

    /// A builtin's signature and address where it is hardly ever called: the address is not loaded before, where a loop begins, nor kept.
    pub(super) fn builtin_code_now(&mut self, builtin: Builtin) -> (SigRef, Value) {
        let (vmctx, here) = (self.vmctx, MemFlagsData::trusted());
        let table = self.builder.ins().load(types::I64, here, vmctx, head::BUILTINS);
        let code = self.builder.ins().load(types::I64, here, table, builtin.offset());
        (self.builtin_signature(builtin), code)
    }

    fn call_builtin(&mut self, signature: SigRef, code: Value, args: &[Value]) -> Option<Value> {
        let args: Vec<Value> = [self.vmctx].iter().chain(args).copied().collect();
        let call = self.builder.ins().call_indirect(signature, code, &args);
        self.builder.inst_results(call).first().copied()
    }

    fn builtin_signature(&mut self, builtin: Builtin) -> SigRef {
        let func = &mut self.builder.func;
        *self.builtins.entry(builtin).or_insert_with(|| func.import_signature(signature(builtin)))
    }

    /// A builtin's signature and address.
    pub(super) fn builtin_code(&mut self, builtin: Builtin) -> (SigRef, Value) {
        let signature = self.builtin_signature(builtin);
        let table = self.load_fixed(types::I64, head::BUILTINS);
        (signature, self.builder.ins().load(types::I64, flags::fixed(), table, builtin.offset()))
    }

    /// Calls a builtin that says 0 if it went well, and traps if it did not.
    pub(super) fn builtin_or_trap(&mut self, builtin: Builtin, args: &[Value], code: TrapCode) {
        let failed = self.builtin(builtin, args).expect("such a builtin has a result");
        self.trap_if(failed, code);
    }
}
