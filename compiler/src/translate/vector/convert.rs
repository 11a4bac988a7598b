//! Wider and narrower lanes, and between integers and floats.

use super::super::Translator;
use cranelift_codegen::ir::{ConstantData, InstBuilder, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

impl Translator<'_, '_> {
    pub(super) fn vector_convert(&mut self, op: &Operator<'_>) -> bool {
        self.widen_lanes(op) || self.convert_lanes(op)
    }

    fn widen_lanes(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I16x8ExtendLowI8x16S => self.vector_unary(I8X16, |ins, x| ins.swiden_low(x)),
            Operator::I16x8ExtMulLowI8x16S => self.multiply_widened(I8X16, |ins, x| ins.swiden_low(x)),
            Operator::I16x8ExtendLowI8x16U => self.vector_unary(I8X16, |ins, x| ins.uwiden_low(x)),
            Operator::I16x8ExtMulLowI8x16U => self.multiply_widened(I8X16, |ins, x| ins.uwiden_low(x)),
            Operator::I16x8ExtendHighI8x16S => self.vector_unary(I8X16, |ins, x| ins.swiden_high(x)),
            Operator::I16x8ExtMulHighI8x16S => self.multiply_widened(I8X16, |ins, x| ins.swiden_high(x)),
            Operator::I16x8ExtendHighI8x16U => self.vector_unary(I8X16, |ins, x| ins.uwiden_high(x)),
            Operator::I16x8ExtMulHighI8x16U => self.multiply_widened(I8X16, |ins, x| ins.uwiden_high(x)),
            Operator::I32x4ExtendLowI16x8S => self.vector_unary(I16X8, |ins, x| ins.swiden_low(x)),
            Operator::I32x4ExtMulLowI16x8S => self.multiply_widened(I16X8, |ins, x| ins.swiden_low(x)),
            Operator::I32x4ExtendLowI16x8U => self.vector_unary(I16X8, |ins, x| ins.uwiden_low(x)),
            Operator::I32x4ExtMulLowI16x8U => self.multiply_widened(I16X8, |ins, x| ins.uwiden_low(x)),
            Operator::I32x4ExtendHighI16x8S => self.vector_unary(I16X8, |ins, x| ins.swiden_high(x)),
            Operator::I32x4ExtMulHighI16x8S => self.multiply_widened(I16X8, |ins, x| ins.swiden_high(x)),
            Operator::I32x4ExtendHighI16x8U => self.vector_unary(I16X8, |ins, x| ins.uwiden_high(x)),
            Operator::I32x4ExtMulHighI16x8U => self.multiply_widened(I16X8, |ins, x| ins.uwiden_high(x)),
            Operator::I64x2ExtendLowI32x4S => self.vector_unary(I32X4, |ins, x| ins.swiden_low(x)),
            Operator::I64x2ExtMulLowI32x4S => self.multiply_widened(I32X4, |ins, x| ins.swiden_low(x)),
            Operator::I64x2ExtendLowI32x4U => self.vector_unary(I32X4, |ins, x| ins.uwiden_low(x)),
            Operator::I64x2ExtMulLowI32x4U => self.multiply_widened(I32X4, |ins, x| ins.uwiden_low(x)),
            Operator::I64x2ExtendHighI32x4S => self.vector_unary(I32X4, |ins, x| ins.swiden_high(x)),
            Operator::I64x2ExtMulHighI32x4S => self.multiply_widened(I32X4, |ins, x| ins.swiden_high(x)),
            Operator::I64x2ExtendHighI32x4U => self.vector_unary(I32X4, |ins, x| ins.uwiden_high(x)),
            Operator::I64x2ExtMulHighI32x4U => self.multiply_widened(I32X4, |ins, x| ins.uwiden_high(x)),
            Operator::I16x8ExtAddPairwiseI8x16S => self.add_pairs(I8X16, true),
            Operator::I16x8ExtAddPairwiseI8x16U => self.add_pairs(I8X16, false),
            Operator::I32x4ExtAddPairwiseI16x8S => self.add_pairs(I16X8, true),
            Operator::I32x4ExtAddPairwiseI16x8U => self.add_pairs(I16X8, false),
            Operator::I32x4DotI16x8S => {
                let (x, y) = self.pop2_vector(I16X8);
                let value = self.dot(x, y);
                self.push_vector(value);
            }
            _ => return false,
        }
        true
    }

    fn convert_lanes(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::I8x16NarrowI16x8S => self.vector_binary(I16X8, |ins, x, y| ins.snarrow(x, y)),
            Operator::I8x16NarrowI16x8U => self.vector_binary(I16X8, |ins, x, y| ins.unarrow(x, y)),
            Operator::I16x8NarrowI32x4S => self.vector_binary(I32X4, |ins, x, y| ins.snarrow(x, y)),
            Operator::I16x8NarrowI32x4U => self.vector_binary(I32X4, |ins, x, y| ins.unarrow(x, y)),
            Operator::I32x4TruncSatF32x4S => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_sint_sat(I32X4, x)),
            Operator::I32x4TruncSatF32x4U => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_uint_sat(I32X4, x)),
            Operator::I32x4TruncSatF64x2SZero => self.truncate_doubles(true, |ins, x| ins.fcvt_to_sint_sat(I64X2, x)),
            Operator::I32x4TruncSatF64x2UZero => self.truncate_doubles(false, |ins, x| ins.fcvt_to_uint_sat(I64X2, x)),
            Operator::F32x4ConvertI32x4S => self.vector_unary(I32X4, |ins, x| ins.fcvt_from_sint(F32X4, x)),
            Operator::F32x4ConvertI32x4U => self.vector_unary(I32X4, |ins, x| ins.fcvt_from_uint(F32X4, x)),
            Operator::F64x2ConvertLowI32x4S => {
                let x = self.pop_vector(I32X4);
                let x = self.builder.ins().swiden_low(x);
                let value = self.builder.ins().fcvt_from_sint(F64X2, x);
                self.push_vector(value);
            }
            Operator::F64x2ConvertLowI32x4U => {
                let x = self.pop_vector(I32X4);
                let x = self.builder.ins().uwiden_low(x);
                let value = self.builder.ins().fcvt_from_uint(F64X2, x);
                self.push_vector(value);
            }
            Operator::F32x4DemoteF64x2Zero => self.vector_unary(F64X2, |ins, x| ins.fvdemote(x)),
            Operator::F64x2PromoteLowF32x4 => self.vector_unary(F32X4, |ins, x| ins.fvpromote_low(x)),
            _ => return false,
        }
        true
    }

    fn multiply_widened(&mut self, ty: Type, widen: impl Fn(FuncInstBuilder<'_, '_>, Value) -> Value) {
        let (x, y) = self.pop2_vector(ty);
        let x = widen(self.builder.ins(), x);
        let y = widen(self.builder.ins(), y);
        let value = self.builder.ins().imul(x, y);
        self.push_vector(value);
    }

    /// Both halves of a vector, in lanes of twice the width.
    pub(super) fn widen_both(&mut self, x: Value, signed: bool) -> (Value, Value) {
        if signed {
            (self.builder.ins().swiden_low(x), self.builder.ins().swiden_high(x))
        } else {
            (self.builder.ins().uwiden_low(x), self.builder.ins().uwiden_high(x))
        }
    }

    /// Adds neighbouring lanes into one of twice the width.
    pub(super) fn add_pairs(&mut self, ty: Type, signed: bool) {
        let x = self.pop_vector(ty);
        let (low, high) = self.widen_both(x, signed);
        let value = self.builder.ins().iadd_pairwise(low, high);
        self.push_vector(value);
    }

    /// Multiplies lanes, signed, and adds neighbouring products into one lane of twice the width.
    pub(super) fn dot(&mut self, x: Value, y: Value) -> Value {
        let (x_low, x_high) = self.widen_both(x, true);
        let (y_low, y_high) = self.widen_both(y, true);
        let low = self.builder.ins().imul(x_low, y_low);
        let high = self.builder.ins().imul(x_high, y_high);
        self.builder.ins().iadd_pairwise(low, high)
    }

    /// Two doubles to two integers of 64 bits, as `convert` does it, and those to integers of 32 bits; the upper two lanes are 0.
    pub(super) fn truncate_doubles(
        &mut self,
        signed: bool,
        convert: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
    ) {
        let x = self.pop_vector(F64X2);
        // The code generator knows this narrowing only with a zero that is a constant of these lanes.
        let zero = self.builder.func.dfg.constants.insert(ConstantData::from([0; 16].as_slice()));
        let zero = self.builder.ins().vconst(I64X2, zero);
        let x = convert(self.builder.ins(), x);
        let ins = self.builder.ins();
        let value = if signed { ins.snarrow(x, zero) } else { ins.uunarrow(x, zero) };
        self.push_vector(value);
    }
}
