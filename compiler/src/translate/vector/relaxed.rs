//! Relaxed instructions, which leave a choice where processors differ. The choice made here is always that of the deterministic
//! profile (Wasm 3.0, 7.3), so that a module computes the same on every machine: no fused multiply-add, saturating conversions.

use super::super::Translator;
use cranelift_codegen::ir::{InstBuilder, Type, types};
use types::{F32X4, F64X2, I8X16, I16X8, I32X4};
use wasmparser::Operator;

impl Translator<'_, '_> {
    pub(super) fn vector_relaxed(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I8x16RelaxedSwizzle => self.vector_binary(I8X16, |ins, x, y| ins.swizzle(x, y)),
            Operator::I32x4RelaxedTruncF32x4S => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_sint_sat(I32X4, x)),
            Operator::I32x4RelaxedTruncF32x4U => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_uint_sat(I32X4, x)),
            Operator::I32x4RelaxedTruncF64x2SZero => self.truncate_doubles(true),
            Operator::I32x4RelaxedTruncF64x2UZero => self.truncate_doubles(false),
            Operator::F32x4RelaxedMadd => self.multiply_add(F32X4, false),
            Operator::F32x4RelaxedNmadd => self.multiply_add(F32X4, true),
            Operator::F64x2RelaxedMadd => self.multiply_add(F64X2, false),
            Operator::F64x2RelaxedNmadd => self.multiply_add(F64X2, true),
            Operator::I8x16RelaxedLaneselect
            | Operator::I16x8RelaxedLaneselect
            | Operator::I32x4RelaxedLaneselect
            | Operator::I64x2RelaxedLaneselect => {
                let (x, y, mask) = self.pop3();
                let value = self.builder.ins().bitselect(mask, x, y);
                self.push(value);
            }
            Operator::F32x4RelaxedMin => self.vector_binary(F32X4, |ins, x, y| ins.fmin(x, y)),
            Operator::F32x4RelaxedMax => self.vector_binary(F32X4, |ins, x, y| ins.fmax(x, y)),
            Operator::F64x2RelaxedMin => self.vector_binary(F64X2, |ins, x, y| ins.fmin(x, y)),
            Operator::F64x2RelaxedMax => self.vector_binary(F64X2, |ins, x, y| ins.fmax(x, y)),
            Operator::I16x8RelaxedQ15mulrS => self.vector_binary(I16X8, |ins, x, y| ins.sqmul_round_sat(x, y)),
            Operator::I16x8RelaxedDotI8x16I7x16S => self.dot(I8X16),
            Operator::I32x4RelaxedDotI8x16I7x16AddS => {
                let sum = self.pop_vector(I32X4);
                self.dot(I8X16);
                self.add_pairs(I16X8, true);
                let products = self.pop_vector(I32X4);
                let value = self.builder.ins().iadd(products, sum);
                self.push_vector(value);
            }
            _ => return false,
        }
        true
    }

    /// `x * y + z`, or with `negate` `-(x * y) + z`, rounded twice.
    fn multiply_add(&mut self, ty: Type, negate: bool) {
        let z = self.pop_vector(ty);
        let (x, y) = self.pop2_vector(ty);
        let x = if negate { self.builder.ins().fneg(x) } else { x };
        let product = self.builder.ins().fmul(x, y);
        let value = self.builder.ins().fadd(product, z);
        self.push_vector(value);
    }
}
