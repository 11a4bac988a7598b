//! Comparisons: all bits of a lane are set where one holds.

use super::super::Translator;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, types};
use types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

impl Translator<'_, '_> {
    pub(super) fn vector_compare(&mut self, op: &Operator<'_>) -> bool {
        use IntCC::{
            Equal, NotEqual, SignedGreaterThan, SignedGreaterThanOrEqual, SignedLessThan, SignedLessThanOrEqual,
            UnsignedGreaterThan, UnsignedGreaterThanOrEqual, UnsignedLessThan, UnsignedLessThanOrEqual,
        };
        match op {
            Operator::I8x16Eq => self.compare_lanes(I8X16, Equal),
            Operator::I8x16Ne => self.compare_lanes(I8X16, NotEqual),
            Operator::I8x16LtS => self.compare_lanes(I8X16, SignedLessThan),
            Operator::I8x16LtU => self.compare_lanes(I8X16, UnsignedLessThan),
            Operator::I8x16GtS => self.compare_lanes(I8X16, SignedGreaterThan),
            Operator::I8x16GtU => self.compare_lanes(I8X16, UnsignedGreaterThan),
            Operator::I8x16LeS => self.compare_lanes(I8X16, SignedLessThanOrEqual),
            Operator::I8x16LeU => self.compare_lanes(I8X16, UnsignedLessThanOrEqual),
            Operator::I8x16GeS => self.compare_lanes(I8X16, SignedGreaterThanOrEqual),
            Operator::I8x16GeU => self.compare_lanes(I8X16, UnsignedGreaterThanOrEqual),
            Operator::I16x8Eq => self.compare_lanes(I16X8, Equal),
            Operator::I16x8Ne => self.compare_lanes(I16X8, NotEqual),
            Operator::I16x8LtS => self.compare_lanes(I16X8, SignedLessThan),
            Operator::I16x8LtU => self.compare_lanes(I16X8, UnsignedLessThan),
            Operator::I16x8GtS => self.compare_lanes(I16X8, SignedGreaterThan),
            Operator::I16x8GtU => self.compare_lanes(I16X8, UnsignedGreaterThan),
            Operator::I16x8LeS => self.compare_lanes(I16X8, SignedLessThanOrEqual),
            Operator::I16x8LeU => self.compare_lanes(I16X8, UnsignedLessThanOrEqual),
            Operator::I16x8GeS => self.compare_lanes(I16X8, SignedGreaterThanOrEqual),
            Operator::I16x8GeU => self.compare_lanes(I16X8, UnsignedGreaterThanOrEqual),
            Operator::I32x4Eq => self.compare_lanes(I32X4, Equal),
            Operator::I32x4Ne => self.compare_lanes(I32X4, NotEqual),
            Operator::I32x4LtS => self.compare_lanes(I32X4, SignedLessThan),
            Operator::I32x4LtU => self.compare_lanes(I32X4, UnsignedLessThan),
            Operator::I32x4GtS => self.compare_lanes(I32X4, SignedGreaterThan),
            Operator::I32x4GtU => self.compare_lanes(I32X4, UnsignedGreaterThan),
            Operator::I32x4LeS => self.compare_lanes(I32X4, SignedLessThanOrEqual),
            Operator::I32x4LeU => self.compare_lanes(I32X4, UnsignedLessThanOrEqual),
            Operator::I32x4GeS => self.compare_lanes(I32X4, SignedGreaterThanOrEqual),
            Operator::I32x4GeU => self.compare_lanes(I32X4, UnsignedGreaterThanOrEqual),
            Operator::I64x2Eq => self.compare_lanes(I64X2, Equal),
            Operator::I64x2Ne => self.compare_lanes(I64X2, NotEqual),
            Operator::I64x2LtS => self.compare_lanes(I64X2, SignedLessThan),
            Operator::I64x2GtS => self.compare_lanes(I64X2, SignedGreaterThan),
            Operator::I64x2LeS => self.compare_lanes(I64X2, SignedLessThanOrEqual),
            Operator::I64x2GeS => self.compare_lanes(I64X2, SignedGreaterThanOrEqual),
            Operator::F32x4Eq => self.compare_float_lanes(F32X4, FloatCC::Equal),
            Operator::F32x4Ne => self.compare_float_lanes(F32X4, FloatCC::NotEqual),
            Operator::F32x4Lt => self.compare_float_lanes(F32X4, FloatCC::LessThan),
            Operator::F32x4Gt => self.compare_float_lanes(F32X4, FloatCC::GreaterThan),
            Operator::F32x4Le => self.compare_float_lanes(F32X4, FloatCC::LessThanOrEqual),
            Operator::F32x4Ge => self.compare_float_lanes(F32X4, FloatCC::GreaterThanOrEqual),
            Operator::F64x2Eq => self.compare_float_lanes(F64X2, FloatCC::Equal),
            Operator::F64x2Ne => self.compare_float_lanes(F64X2, FloatCC::NotEqual),
            Operator::F64x2Lt => self.compare_float_lanes(F64X2, FloatCC::LessThan),
            Operator::F64x2Gt => self.compare_float_lanes(F64X2, FloatCC::GreaterThan),
            Operator::F64x2Le => self.compare_float_lanes(F64X2, FloatCC::LessThanOrEqual),
            Operator::F64x2Ge => self.compare_float_lanes(F64X2, FloatCC::GreaterThanOrEqual),
            _ => return false,
        }
        true
    }

    fn compare_lanes(&mut self, ty: Type, condition: IntCC) {
        self.vector_binary(ty, |ins, x, y| ins.icmp(condition, x, y));
    }

    fn compare_float_lanes(&mut self, ty: Type, condition: FloatCC) {
        self.vector_binary(ty, |ins, x, y| ins.fcmp(condition, x, y));
    }
}
