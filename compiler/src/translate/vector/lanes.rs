//! Constants, bits, lanes: what moves bits without arithmetic.

use super::super::Translator;
use cranelift_codegen::ir::{ConstantData, InstBuilder, Type, Value, types};
use types::{F32X4, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64X2};
use wasmparser::Operator;

/// How a small lane becomes an `i32`.
#[derive(Debug, Clone, Copy)]
enum Extend {
    Signed,
    Unsigned,
    /// it has the type already
    No,
}

impl Translator<'_, '_> {
    pub(super) fn vector_lanes(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::V128Const { value } => {
                let value = self.vector_const(*value.bytes());
                self.push(value);
            }
            Operator::V128Not => self.vector_unary(I8X16, |ins, x| ins.bnot(x)),
            Operator::V128And => self.vector_binary(I8X16, |ins, x, y| ins.band(x, y)),
            Operator::V128AndNot => self.vector_binary(I8X16, |ins, x, y| ins.band_not(x, y)),
            Operator::V128Or => self.vector_binary(I8X16, |ins, x, y| ins.bor(x, y)),
            Operator::V128Xor => self.vector_binary(I8X16, |ins, x, y| ins.bxor(x, y)),
            Operator::V128Bitselect => {
                let (x, y, mask) = self.pop3();
                let value = self.builder.ins().bitselect(mask, x, y);
                self.push(value);
            }
            Operator::V128AnyTrue => {
                let x = self.pop();
                let any = self.builder.ins().vany_true(x);
                self.push_bool(any);
            }
            Operator::I8x16AllTrue => self.all_true(I8X16),
            Operator::I16x8AllTrue => self.all_true(I16X8),
            Operator::I32x4AllTrue => self.all_true(I32X4),
            Operator::I64x2AllTrue => self.all_true(I64X2),
            Operator::I8x16Bitmask => self.bitmask(I8X16),
            Operator::I16x8Bitmask => self.bitmask(I16X8),
            Operator::I32x4Bitmask => self.bitmask(I32X4),
            Operator::I64x2Bitmask => self.bitmask(I64X2),
            Operator::I8x16Shuffle { lanes } => {
                let (x, y) = self.pop2();
                let mask = self.builder.func.dfg.immediates.push(ConstantData::from(lanes.as_slice()));
                let value = self.builder.ins().shuffle(x, y, mask);
                self.push(value);
            }
            Operator::I8x16Swizzle => self.vector_binary(I8X16, |ins, x, y| ins.swizzle(x, y)),
            Operator::I8x16Splat => self.splat(I8X16),
            Operator::I16x8Splat => self.splat(I16X8),
            Operator::I32x4Splat => self.splat(I32X4),
            Operator::I64x2Splat => self.splat(I64X2),
            Operator::F32x4Splat => self.splat(F32X4),
            Operator::F64x2Splat => self.splat(F64X2),
            Operator::I8x16ExtractLaneS { lane } => self.extract_lane(I8X16, *lane, Extend::Signed),
            Operator::I8x16ExtractLaneU { lane } => self.extract_lane(I8X16, *lane, Extend::Unsigned),
            Operator::I16x8ExtractLaneS { lane } => self.extract_lane(I16X8, *lane, Extend::Signed),
            Operator::I16x8ExtractLaneU { lane } => self.extract_lane(I16X8, *lane, Extend::Unsigned),
            Operator::I32x4ExtractLane { lane } => self.extract_lane(I32X4, *lane, Extend::No),
            Operator::I64x2ExtractLane { lane } => self.extract_lane(I64X2, *lane, Extend::No),
            Operator::F32x4ExtractLane { lane } => self.extract_lane(F32X4, *lane, Extend::No),
            Operator::F64x2ExtractLane { lane } => self.extract_lane(F64X2, *lane, Extend::No),
            Operator::I8x16ReplaceLane { lane } => self.replace_lane(I8X16, *lane),
            Operator::I16x8ReplaceLane { lane } => self.replace_lane(I16X8, *lane),
            Operator::I32x4ReplaceLane { lane } => self.replace_lane(I32X4, *lane),
            Operator::I64x2ReplaceLane { lane } => self.replace_lane(I64X2, *lane),
            Operator::F32x4ReplaceLane { lane } => self.replace_lane(F32X4, *lane),
            Operator::F64x2ReplaceLane { lane } => self.replace_lane(F64X2, *lane),
            _ => return false,
        }
        true
    }

    fn all_true(&mut self, ty: Type) {
        let x = self.pop_vector(ty);
        let all = self.builder.ins().vall_true(x);
        self.push_bool(all);
    }

    fn bitmask(&mut self, ty: Type) {
        let x = self.pop_vector(ty);
        let bits = self.builder.ins().vhigh_bits(I32, x);
        self.push(bits);
    }

    /// Pops a scalar as one that fits into a lane.
    pub(super) fn pop_lane(&mut self, lane: Type) -> Value {
        let value = self.pop();
        if lane == I8 || lane == I16 { self.builder.ins().ireduce(lane, value) } else { value }
    }

    fn splat(&mut self, ty: Type) {
        let lane = self.pop_lane(ty.lane_type());
        let value = self.builder.ins().splat(ty, lane);
        self.push_vector(value);
    }

    fn extract_lane(&mut self, ty: Type, lane: u8, extend: Extend) {
        let x = self.pop_vector(ty);
        let value = self.builder.ins().extractlane(x, lane);
        let value = match extend {
            Extend::Signed => self.builder.ins().sextend(I32, value),
            Extend::Unsigned => self.builder.ins().uextend(I32, value),
            Extend::No => value,
        };
        self.push(value);
    }

    fn replace_lane(&mut self, ty: Type, lane: u8) {
        let value = self.pop_lane(ty.lane_type());
        let x = self.pop_vector(ty);
        let value = self.builder.ins().insertlane(x, value, lane);
        self.push_vector(value);
    }
}
