//! References. A funcref is null or the address of a `VmFuncRef`; an externref is null or whatever the host made it. Null is 0.

use super::{Translator, trap};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, types};
use wasmbridge_artifact::TrapCode;
use wasmparser::Operator;

impl Translator<'_, '_> {
    /// Translates an instruction on references.
    pub(super) fn reference(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::RefNull { .. } => {
                let null = self.iconst(types::I64, 0);
                self.push(null);
            }
            Operator::RefIsNull => {
                let reference = self.pop();
                let is_null = self.builder.ins().icmp_imm_u(IntCC::Equal, reference, 0);
                let is_null = self.builder.ins().uextend(types::I32, is_null);
                self.push(is_null);
            }
            Operator::RefAsNonNull => {
                let reference = self.stack[self.stack.len() - 1];
                self.builder.ins().trapz(reference, trap::to_clif(TrapCode::NullReference));
            }
            Operator::RefFunc { function_index } => {
                let escaping = &self.module.escaping;
                let position = escaping.binary_search(&function_index).expect("the validator wants it declared");
                let offset = self.layout.funcref(position as u32);
                let funcref = self.builder.ins().iadd_imm_s(self.vmctx, i64::from(offset));
                self.push(funcref);
            }
            _ => return false,
        }
        true
    }
}
