//! Locals and globals.

use super::flags::{self, Region};
use super::{Translator, clif_type};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use wasmbridge_artifact::module::ConstOp;
use wasmbridge_artifact::vmctx::Place;
use wasmparser::Operator;

impl Translator<'_, '_> {
    /// Translates an instruction on a local or global.
    pub(super) fn variable(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::LocalGet { local_index } => {
                let value = self.builder.use_var(self.locals[local_index as usize]);
                self.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.builder.def_var(self.locals[local_index as usize], value);
            }
            Operator::LocalTee { local_index } => {
                let value = self.stack[self.stack.len() - 1];
                self.builder.def_var(self.locals[local_index as usize], value);
            }
            Operator::GlobalGet { global_index } => self.global_get(global_index),
            Operator::GlobalSet { global_index } => {
                let value = self.pop();
                let (flags, base, offset) = self.global(global_index);
                self.builder.ins().store(flags, value, base, offset);
                if self.module.stack_pointer == Some(global_index) {
                    self.note_stack_pointer();
                }
            }
            _ => return false,
        }
        true
    }

    fn global_get(&mut self, index: u32) {
        let value = self.global_value(index);
        self.push(value);
    }

    /// The value that a global has now.
    pub(super) fn global_value(&mut self, index: u32) -> Value {
        self.known_global(index).unwrap_or_else(|| {
            let ty = clif_type(self.module.globals[index as usize].content);
            let (flags, base, offset) = self.global(index);
            self.builder.ins().load(ty, flags, base, offset)
        })
    }

    /// The value of a global that is a constant of the module.
    fn known_global(&mut self, index: u32) -> Option<Value> {
        let defined = index.checked_sub(self.imported.globals)? as usize;
        if self.module.globals[index as usize].mutable {
            return None;
        }
        let &[op] = self.module.global_inits[defined].0.as_slice() else { return None };
        let ins = self.builder.ins();
        Some(match op {
            ConstOp::I32Const(value) => ins.iconst(types::I32, i64::from(value as u32)),
            ConstOp::I64Const(value) => ins.iconst(types::I64, value),
            ConstOp::F32Const(bits) => ins.f32const(Ieee32::with_bits(bits)),
            ConstOp::F64Const(bits) => ins.f64const(Ieee64::with_bits(bits)),
            _ => return None,
        })
    }

    /// Where a global is.
    fn global(&mut self, index: u32) -> (MemFlagsData, Value, i32) {
        let mutable = self.module.globals[index as usize].mutable;
        match self.layout.global(index) {
            Place::Here(offset) => {
                let region = Region::Global(index - self.imported.globals);
                (if mutable { self.trusted(region) } else { flags::fixed() }, self.vmctx, offset)
            }
            Place::Behind(offset) => {
                let place = self.load_fixed(types::I64, offset);
                (if mutable { self.trusted(Region::ImportedGlobals) } else { flags::fixed() }, place, 0)
            }
        }
    }
}
