//! Loads and stores of vectors and of their lanes.

use super::super::Translator;
use cranelift_codegen::ir::{InstBuilder, Type, types};
use types::{I8X16, I16X8, I32X4, I64X2};
use wasmparser::{MemArg, Operator};

impl Translator<'_, '_> {
    /// Translates a load or store of a vector.
    pub(in super::super) fn vector_memory(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::V128Load { memarg } => self.load_with(memarg, 16, |ins, f, p, o| ins.load(I8X16, f, p, o)),
            Operator::V128Load8x8S { memarg } => self.load_widened(memarg, |ins, f, p, o| ins.sload8x8(f, p, o)),
            Operator::V128Load8x8U { memarg } => self.load_widened(memarg, |ins, f, p, o| ins.uload8x8(f, p, o)),
            Operator::V128Load16x4S { memarg } => self.load_widened(memarg, |ins, f, p, o| ins.sload16x4(f, p, o)),
            Operator::V128Load16x4U { memarg } => self.load_widened(memarg, |ins, f, p, o| ins.uload16x4(f, p, o)),
            Operator::V128Load32x2S { memarg } => self.load_widened(memarg, |ins, f, p, o| ins.sload32x2(f, p, o)),
            Operator::V128Load32x2U { memarg } => self.load_widened(memarg, |ins, f, p, o| ins.uload32x2(f, p, o)),
            Operator::V128Load8Splat { memarg } => self.load_splat(memarg, I8X16),
            Operator::V128Load16Splat { memarg } => self.load_splat(memarg, I16X8),
            Operator::V128Load32Splat { memarg } => self.load_splat(memarg, I32X4),
            Operator::V128Load64Splat { memarg } => self.load_splat(memarg, I64X2),
            Operator::V128Load32Zero { memarg } => self.load_zero(memarg, I32X4),
            Operator::V128Load64Zero { memarg } => self.load_zero(memarg, I64X2),
            Operator::V128Load8Lane { memarg, lane } => self.load_lane(memarg, I8X16, *lane),
            Operator::V128Load16Lane { memarg, lane } => self.load_lane(memarg, I16X8, *lane),
            Operator::V128Load32Lane { memarg, lane } => self.load_lane(memarg, I32X4, *lane),
            Operator::V128Load64Lane { memarg, lane } => self.load_lane(memarg, I64X2, *lane),
            Operator::V128Store { memarg } => {
                let value = self.pop();
                self.store_value(memarg, value);
            }
            Operator::V128Store8Lane { memarg, lane } => self.store_lane(memarg, I8X16, *lane),
            Operator::V128Store16Lane { memarg, lane } => self.store_lane(memarg, I16X8, *lane),
            Operator::V128Store32Lane { memarg, lane } => self.store_lane(memarg, I32X4, *lane),
            Operator::V128Store64Lane { memarg, lane } => self.store_lane(memarg, I64X2, *lane),
            _ => return false,
        }
        true
    }

    /// Loads 8 bytes as lanes of half their width.
    fn load_widened(
        &mut self,
        memarg: &MemArg,
        load: impl FnOnce(
            cranelift_frontend::FuncInstBuilder<'_, '_>,
            cranelift_codegen::ir::MemFlagsData,
            cranelift_codegen::ir::Value,
            i32,
        ) -> cranelift_codegen::ir::Value,
    ) {
        self.load_with(memarg, 8, load);
        if self.reachable {
            let value = self.pop();
            self.push_vector(value);
        }
    }

    /// Loads a lane and pushes it as a scalar of the lane's type. False if that traps whatever the index.
    fn load_scalar(&mut self, memarg: &MemArg, ty: Type) -> bool {
        let lane = ty.lane_type();
        self.load_with(memarg, u64::from(lane.bytes()), |ins, f, p, o| ins.load(lane, f, p, o));
        self.reachable
    }

    fn load_splat(&mut self, memarg: &MemArg, ty: Type) {
        if self.load_scalar(memarg, ty) {
            let lane = self.pop();
            let value = self.builder.ins().splat(ty, lane);
            self.push_vector(value);
        }
    }

    /// Loads lane 0; the others are 0.
    fn load_zero(&mut self, memarg: &MemArg, ty: Type) {
        if self.load_scalar(memarg, ty) {
            let lane = self.pop();
            let value = self.builder.ins().scalar_to_vector(ty, lane);
            self.push_vector(value);
        }
    }

    fn load_lane(&mut self, memarg: &MemArg, ty: Type, lane: u8) {
        let x = self.pop_vector(ty);
        if self.load_scalar(memarg, ty) {
            let value = self.pop();
            let value = self.builder.ins().insertlane(x, value, lane);
            self.push_vector(value);
        }
    }

    fn store_lane(&mut self, memarg: &MemArg, ty: Type, lane: u8) {
        let x = self.pop_vector(ty);
        let value = self.builder.ins().extractlane(x, lane);
        self.store_value(memarg, value);
    }
}
