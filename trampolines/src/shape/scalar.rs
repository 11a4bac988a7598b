//! Numbers: from C's to wasm's and back.

use super::emit::Emit;
use crate::signature::{Int, Scalar};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};

impl Emit<'_> {
    /// The wasm value of a native one, of which nothing beyond the type's own bits is believed. The second value, if there is one, is not 0
    /// where the native value does not fit.
    pub(super) fn number_into_wasm(&mut self, scalar: Scalar, native: Value) -> (Value, Option<Value>) {
        match scalar {
            Scalar::Int(int) if int.narrows() => self.narrowed(int, native),
            Scalar::Bool => {
                // Eight bits of a `_Bool` mean something (psABI, 3.2.3).
                let byte = self.ins().ireduce(types::I8, native);
                (self.truth(byte), None)
            }
            Scalar::Int(int) => (self.normalised(int, native), None),
            Scalar::Float | Scalar::Double => (native, None),
        }
    }

    /// The native value of a wasm one: extended to 32 bits or to its own size by its C type.
    pub(super) fn number_into_native(&mut self, scalar: Scalar, wasm: Value) -> Value {
        match scalar {
            Scalar::Bool => self.truth(wasm),
            Scalar::Int(int) if int.narrows() => self.extended(int.signed, wasm, types::I64),
            Scalar::Int(int) => self.normalised(int, wasm),
            Scalar::Float | Scalar::Double => wasm,
        }
    }

    /// What a slot holds of a native value: 64 bits, extended by its C type.
    pub(super) fn number_into_cell(&mut self, scalar: Scalar, native: Value) -> Value {
        match scalar {
            Scalar::Bool => {
                let byte = self.ins().ireduce(types::I8, native);
                let truth = self.truth(byte);
                self.extended(false, truth, types::I64)
            }
            Scalar::Int(int) => {
                let native = self.normalised(int, native);
                self.extended(int.signed, native, types::I64)
            }
            // The cell's upper half is not looked at; 0 there says nothing about what the stack held before.
            Scalar::Float => {
                let bits = self.ins().bitcast(types::I32, MemFlagsData::new(), native);
                self.extended(false, bits, types::I64)
            }
            Scalar::Double => native,
        }
    }

    /// 1 or 0, in 32 bits.
    fn truth(&mut self, value: Value) -> Value {
        let truth = self.ins().icmp_imm_s(IntCC::NotEqual, value, 0);
        self.ins().uextend(types::I32, truth)
    }

    /// An integer whose upper bits follow from its own, in as many bits as it came in.
    fn normalised(&mut self, int: Int, value: Value) -> Value {
        let narrow = match int.native_bytes {
            1 => types::I8,
            2 => types::I16,
            _ => return value,
        };
        let own = self.ins().ireduce(narrow, value);
        self.extended(int.signed, own, types::I32)
    }

    fn extended(&mut self, signed: bool, value: Value, to: Type) -> Value {
        if self.builder.func.dfg.value_type(value) == to {
            value
        } else if signed {
            self.ins().sextend(to, value)
        } else {
            self.ins().uextend(to, value)
        }
    }

    /// An integer of eight bytes that the guest has as one of four.
    fn narrowed(&mut self, int: Int, native: Value) -> (Value, Option<Value>) {
        let low = self.ins().ireduce(types::I32, native);
        let misfit = if int.signed {
            let back = self.ins().sextend(types::I64, low);
            self.ins().icmp(IntCC::NotEqual, back, native)
        } else {
            self.ins().ushr_imm_u(native, 32)
        };
        (low, Some(misfit))
    }
}
