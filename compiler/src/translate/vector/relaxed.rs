//! Relaxed instructions, which leave a choice where processors differ: saturation, lanes out of range, NaNs, rounding once or twice.
//!
//! What the processor does fastest is chosen, unless the module is compiled for the deterministic profile. Of several that are allowed
//! (Wasm 3.0, 4.3), each instruction always has the same one in a module, whatever its operands are.

use super::super::Translator;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

impl Translator<'_, '_> {
    pub(super) fn vector_relaxed(&mut self, op: &Operator<'_>) -> bool {
        let free = !self.module.target.deterministic;
        free && self.processors_choice(op) || self.deterministic_choice(op)
    }

    /// The instructions for which x86-64-v2 has a single one of its own, or the target has.
    fn processors_choice(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I8x16RelaxedSwizzle => self.vector_binary(I8X16, |ins, x, y| ins.x86_pshufb(x, y)),
            Operator::I32x4RelaxedTruncF32x4S => self.vector_unary(F32X4, |ins, x| ins.x86_cvtt2dq(I32X4, x)),
            Operator::I32x4RelaxedTruncF64x2SZero => self.truncate_doubles(true, |ins, x| ins.x86_cvtt2dq(I64X2, x)),
            Operator::F32x4RelaxedMadd if self.has_fma() => self.fused_multiply_add(F32X4, false),
            Operator::F32x4RelaxedNmadd if self.has_fma() => self.fused_multiply_add(F32X4, true),
            Operator::F64x2RelaxedMadd if self.has_fma() => self.fused_multiply_add(F64X2, false),
            Operator::F64x2RelaxedNmadd if self.has_fma() => self.fused_multiply_add(F64X2, true),
            // For lanes of 16 bits there is no such instruction.
            Operator::I8x16RelaxedLaneselect => self.choose_by_top_bit(I8X16),
            Operator::I32x4RelaxedLaneselect => self.choose_by_top_bit(I32X4),
            Operator::I64x2RelaxedLaneselect => self.choose_by_top_bit(I64X2),
            Operator::F32x4RelaxedMin => self.pseudo_min(F32X4),
            Operator::F32x4RelaxedMax => self.pseudo_max(F32X4),
            Operator::F64x2RelaxedMin => self.pseudo_min(F64X2),
            Operator::F64x2RelaxedMax => self.pseudo_max(F64X2),
            Operator::I16x8RelaxedQ15mulrS => self.vector_binary(I16X8, |ins, x, y| ins.x86_pmulhrsw(x, y)),
            Operator::I16x8RelaxedDotI8x16I7x16S => self.vector_binary(I8X16, |ins, x, y| ins.x86_pmaddubsw(x, y)),
            Operator::I32x4RelaxedDotI8x16I7x16AddS => {
                self.relaxed_dot_add(|translator, x, y| translator.builder.ins().x86_pmaddubsw(x, y));
            }
            _ => return false,
        }
        true
    }

    /// The instructions as the deterministic profile has them: the first of each one's choices.
    fn deterministic_choice(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I8x16RelaxedSwizzle => self.vector_binary(I8X16, |ins, x, y| ins.swizzle(x, y)),
            Operator::I32x4RelaxedTruncF32x4S => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_sint_sat(I32X4, x)),
            Operator::I32x4RelaxedTruncF32x4U => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_uint_sat(I32X4, x)),
            Operator::I32x4RelaxedTruncF64x2SZero => {
                self.truncate_doubles(true, |ins, x| ins.fcvt_to_sint_sat(I64X2, x));
            }
            Operator::I32x4RelaxedTruncF64x2UZero => {
                self.truncate_doubles(false, |ins, x| ins.fcvt_to_uint_sat(I64X2, x));
            }
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
            Operator::I16x8RelaxedDotI8x16I7x16S => {
                let (x, y) = self.pop2_vector(I8X16);
                let value = self.saturating_dot(x, y);
                self.push_vector(value);
            }
            Operator::I32x4RelaxedDotI8x16I7x16AddS => self.relaxed_dot_add(Self::saturating_dot),
            _ => return false,
        }
        true
    }

    /// Whether the target fuses: the code generator would call a function otherwise.
    fn has_fma(&self) -> bool {
        let features = &self.module.target.cpu_features;
        ["has_avx", "has_fma"].iter().all(|needed| features.iter().any(|feature| feature == needed))
    }

    /// Pops `x`, `y` and `z` of `x * y + z`; with `negate`, `x` is negated.
    fn pop_multiply_add(&mut self, ty: Type, negate: bool) -> (Value, Value, Value) {
        let z = self.pop_vector(ty);
        let (x, y) = self.pop2_vector(ty);
        let x = if negate { self.builder.ins().fneg(x) } else { x };
        (x, y, z)
    }

    /// `x * y + z`, or with `negate` `-(x * y) + z`, rounded twice.
    fn multiply_add(&mut self, ty: Type, negate: bool) {
        let (x, y, z) = self.pop_multiply_add(ty, negate);
        let product = self.builder.ins().fmul(x, y);
        let value = self.builder.ins().fadd(product, z);
        self.push_vector(value);
    }

    /// [`Translator::multiply_add`], rounded once.
    fn fused_multiply_add(&mut self, ty: Type, negate: bool) {
        let (x, y, z) = self.pop_multiply_add(ty, negate);
        let value = self.builder.ins().fma(x, y, z);
        self.push_vector(value);
    }

    /// The lanes of the first operand where the mask's highest bit is set, else those of the second.
    fn choose_by_top_bit(&mut self, ty: Type) {
        let mask = self.pop_vector(ty);
        let (x, y) = self.pop2_vector(ty);
        let value = self.builder.ins().blendv(mask, x, y);
        self.push_vector(value);
    }

    /// Multiplies bytes, signed, and adds neighbouring products, which saturates: only where all four bytes are -128.
    fn saturating_dot(&mut self, x: Value, y: Value) -> Value {
        let (x_low, x_high) = self.widen_both(x, true);
        let (y_low, y_high) = self.widen_both(y, true);
        let (low, high) = (self.dot(x_low, y_low), self.dot(x_high, y_high));
        self.builder.ins().snarrow(low, high)
    }

    /// Adds neighbouring sums of a dot product of bytes to lanes of 32 bits.
    fn relaxed_dot_add(&mut self, dot: impl FnOnce(&mut Self, Value, Value) -> Value) {
        let sum = self.pop_vector(I32X4);
        let (x, y) = self.pop2_vector(I8X16);
        let products = dot(self, x, y);
        self.push_vector(products);
        self.add_pairs(I16X8, true);
        let products = self.pop_vector(I32X4);
        let value = self.builder.ins().iadd(products, sum);
        self.push_vector(value);
    }
}
