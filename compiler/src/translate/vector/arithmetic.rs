//! Arithmetic on each lane.

use super::super::Translator;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

impl Translator<'_, '_> {
    pub(super) fn vector_arithmetic(&mut self, op: &Operator<'_>) -> bool {
        self.integer_lanes(op) || self.float_lanes(op)
    }

    fn integer_lanes(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I8x16Abs => self.vector_unary(I8X16, |ins, x| ins.iabs(x)),
            Operator::I16x8Abs => self.vector_unary(I16X8, |ins, x| ins.iabs(x)),
            Operator::I32x4Abs => self.vector_unary(I32X4, |ins, x| ins.iabs(x)),
            Operator::I64x2Abs => self.vector_unary(I64X2, |ins, x| ins.iabs(x)),
            Operator::I8x16Neg => self.vector_unary(I8X16, |ins, x| ins.ineg(x)),
            Operator::I16x8Neg => self.vector_unary(I16X8, |ins, x| ins.ineg(x)),
            Operator::I32x4Neg => self.vector_unary(I32X4, |ins, x| ins.ineg(x)),
            Operator::I64x2Neg => self.vector_unary(I64X2, |ins, x| ins.ineg(x)),
            Operator::I8x16Popcnt => self.vector_unary(I8X16, |ins, x| ins.popcnt(x)),
            Operator::I8x16Add => self.vector_binary(I8X16, |ins, x, y| ins.iadd(x, y)),
            Operator::I16x8Add => self.vector_binary(I16X8, |ins, x, y| ins.iadd(x, y)),
            Operator::I32x4Add => self.vector_binary(I32X4, |ins, x, y| ins.iadd(x, y)),
            Operator::I64x2Add => self.vector_binary(I64X2, |ins, x, y| ins.iadd(x, y)),
            Operator::I8x16Sub => self.vector_binary(I8X16, |ins, x, y| ins.isub(x, y)),
            Operator::I16x8Sub => self.vector_binary(I16X8, |ins, x, y| ins.isub(x, y)),
            Operator::I32x4Sub => self.vector_binary(I32X4, |ins, x, y| ins.isub(x, y)),
            Operator::I64x2Sub => self.vector_binary(I64X2, |ins, x, y| ins.isub(x, y)),
            Operator::I16x8Mul => self.vector_binary(I16X8, |ins, x, y| ins.imul(x, y)),
            Operator::I32x4Mul => self.vector_binary(I32X4, |ins, x, y| ins.imul(x, y)),
            Operator::I64x2Mul => self.vector_binary(I64X2, |ins, x, y| ins.imul(x, y)),
            Operator::I8x16AddSatS => self.vector_binary(I8X16, |ins, x, y| ins.sadd_sat(x, y)),
            Operator::I16x8AddSatS => self.vector_binary(I16X8, |ins, x, y| ins.sadd_sat(x, y)),
            Operator::I8x16AddSatU => self.vector_binary(I8X16, |ins, x, y| ins.uadd_sat(x, y)),
            Operator::I16x8AddSatU => self.vector_binary(I16X8, |ins, x, y| ins.uadd_sat(x, y)),
            Operator::I8x16SubSatS => self.vector_binary(I8X16, |ins, x, y| ins.ssub_sat(x, y)),
            Operator::I16x8SubSatS => self.vector_binary(I16X8, |ins, x, y| ins.ssub_sat(x, y)),
            Operator::I8x16SubSatU => self.vector_binary(I8X16, |ins, x, y| ins.usub_sat(x, y)),
            Operator::I16x8SubSatU => self.vector_binary(I16X8, |ins, x, y| ins.usub_sat(x, y)),
            Operator::I8x16AvgrU => self.vector_binary(I8X16, |ins, x, y| ins.avg_round(x, y)),
            Operator::I16x8AvgrU => self.vector_binary(I16X8, |ins, x, y| ins.avg_round(x, y)),
            Operator::I8x16MinS => self.vector_binary(I8X16, |ins, x, y| ins.smin(x, y)),
            Operator::I16x8MinS => self.vector_binary(I16X8, |ins, x, y| ins.smin(x, y)),
            Operator::I32x4MinS => self.vector_binary(I32X4, |ins, x, y| ins.smin(x, y)),
            Operator::I8x16MinU => self.vector_binary(I8X16, |ins, x, y| ins.umin(x, y)),
            Operator::I16x8MinU => self.vector_binary(I16X8, |ins, x, y| ins.umin(x, y)),
            Operator::I32x4MinU => self.vector_binary(I32X4, |ins, x, y| ins.umin(x, y)),
            Operator::I8x16MaxS => self.vector_binary(I8X16, |ins, x, y| ins.smax(x, y)),
            Operator::I16x8MaxS => self.vector_binary(I16X8, |ins, x, y| ins.smax(x, y)),
            Operator::I32x4MaxS => self.vector_binary(I32X4, |ins, x, y| ins.smax(x, y)),
            Operator::I8x16MaxU => self.vector_binary(I8X16, |ins, x, y| ins.umax(x, y)),
            Operator::I16x8MaxU => self.vector_binary(I16X8, |ins, x, y| ins.umax(x, y)),
            Operator::I32x4MaxU => self.vector_binary(I32X4, |ins, x, y| ins.umax(x, y)),
            Operator::I16x8Q15MulrSatS => self.vector_binary(I16X8, |ins, x, y| ins.sqmul_round_sat(x, y)),
            Operator::I8x16Shl => self.shift(I8X16, |ins, x, count| ins.ishl(x, count)),
            Operator::I16x8Shl => self.shift(I16X8, |ins, x, count| ins.ishl(x, count)),
            Operator::I32x4Shl => self.shift(I32X4, |ins, x, count| ins.ishl(x, count)),
            Operator::I64x2Shl => self.shift(I64X2, |ins, x, count| ins.ishl(x, count)),
            Operator::I8x16ShrS => self.shift(I8X16, |ins, x, count| ins.sshr(x, count)),
            Operator::I16x8ShrS => self.shift(I16X8, |ins, x, count| ins.sshr(x, count)),
            Operator::I32x4ShrS => self.shift(I32X4, |ins, x, count| ins.sshr(x, count)),
            Operator::I64x2ShrS => self.shift(I64X2, |ins, x, count| ins.sshr(x, count)),
            Operator::I8x16ShrU => self.shift(I8X16, |ins, x, count| ins.ushr(x, count)),
            Operator::I16x8ShrU => self.shift(I16X8, |ins, x, count| ins.ushr(x, count)),
            Operator::I32x4ShrU => self.shift(I32X4, |ins, x, count| ins.ushr(x, count)),
            Operator::I64x2ShrU => self.shift(I64X2, |ins, x, count| ins.ushr(x, count)),
            _ => return false,
        }
        true
    }

    fn float_lanes(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::F32x4Abs => self.vector_unary(F32X4, |ins, x| ins.fabs(x)),
            Operator::F64x2Abs => self.vector_unary(F64X2, |ins, x| ins.fabs(x)),
            Operator::F32x4Neg => self.vector_unary(F32X4, |ins, x| ins.fneg(x)),
            Operator::F64x2Neg => self.vector_unary(F64X2, |ins, x| ins.fneg(x)),
            Operator::F32x4Sqrt => self.vector_unary(F32X4, |ins, x| ins.sqrt(x)),
            Operator::F64x2Sqrt => self.vector_unary(F64X2, |ins, x| ins.sqrt(x)),
            Operator::F32x4Ceil => self.vector_unary(F32X4, |ins, x| ins.ceil(x)),
            Operator::F64x2Ceil => self.vector_unary(F64X2, |ins, x| ins.ceil(x)),
            Operator::F32x4Floor => self.vector_unary(F32X4, |ins, x| ins.floor(x)),
            Operator::F64x2Floor => self.vector_unary(F64X2, |ins, x| ins.floor(x)),
            Operator::F32x4Trunc => self.vector_unary(F32X4, |ins, x| ins.trunc(x)),
            Operator::F64x2Trunc => self.vector_unary(F64X2, |ins, x| ins.trunc(x)),
            Operator::F32x4Nearest => self.vector_unary(F32X4, |ins, x| ins.nearest(x)),
            Operator::F64x2Nearest => self.vector_unary(F64X2, |ins, x| ins.nearest(x)),
            Operator::F32x4Add => self.vector_binary(F32X4, |ins, x, y| ins.fadd(x, y)),
            Operator::F64x2Add => self.vector_binary(F64X2, |ins, x, y| ins.fadd(x, y)),
            Operator::F32x4Sub => self.vector_binary(F32X4, |ins, x, y| ins.fsub(x, y)),
            Operator::F64x2Sub => self.vector_binary(F64X2, |ins, x, y| ins.fsub(x, y)),
            Operator::F32x4Mul => self.vector_binary(F32X4, |ins, x, y| ins.fmul(x, y)),
            Operator::F64x2Mul => self.vector_binary(F64X2, |ins, x, y| ins.fmul(x, y)),
            Operator::F32x4Div => self.vector_binary(F32X4, |ins, x, y| ins.fdiv(x, y)),
            Operator::F64x2Div => self.vector_binary(F64X2, |ins, x, y| ins.fdiv(x, y)),
            Operator::F32x4Min => self.vector_binary(F32X4, |ins, x, y| ins.fmin(x, y)),
            Operator::F64x2Min => self.vector_binary(F64X2, |ins, x, y| ins.fmin(x, y)),
            Operator::F32x4Max => self.vector_binary(F32X4, |ins, x, y| ins.fmax(x, y)),
            Operator::F64x2Max => self.vector_binary(F64X2, |ins, x, y| ins.fmax(x, y)),
            Operator::F32x4PMin => self.pseudo_min(F32X4),
            Operator::F32x4PMax => self.pseudo_max(F32X4),
            Operator::F64x2PMin => self.pseudo_min(F64X2),
            Operator::F64x2PMax => self.pseudo_max(F64X2),
            _ => return false,
        }
        true
    }

    /// Shifts all lanes by the same count, modulo their width.
    fn shift(&mut self, ty: Type, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
        let count = self.pop();
        let x = self.pop_vector(ty);
        let value = make(self.builder.ins(), x, count);
        self.push_vector(value);
    }

    /// `y < x ? y : x`: as C's comparison has it, so that NaN and signed zeros give `x`.
    pub(super) fn pseudo_min(&mut self, ty: Type) {
        let (x, y) = self.pop2_vector(ty);
        let less = self.builder.ins().fcmp(FloatCC::LessThan, y, x);
        self.choose(less, y, x);
    }

    /// `x < y ? y : x`.
    pub(super) fn pseudo_max(&mut self, ty: Type) {
        let (x, y) = self.pop2_vector(ty);
        let less = self.builder.ins().fcmp(FloatCC::LessThan, x, y);
        self.choose(less, y, x);
    }

    /// Pushes the lanes of `x` where the mask is set, else those of `y`.
    fn choose(&mut self, mask: Value, x: Value, y: Value) {
        let mask = self.cast(mask, self.type_of(x));
        let value = self.builder.ins().bitselect(mask, x, y);
        self.push_vector(value);
    }
}
