//! Loads and stores.

use super::Translator;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::{MemArg, Operator};

/// Bytes in memory, and how they fill a value's type.
#[derive(Debug, Clone, Copy)]
enum Width {
    /// all of the type
    Full,
    /// so many bytes, sign-extended
    Signed(u64),
    /// so many bytes, zero-extended; or the low bytes of what is stored
    Low(u64),
}

impl Translator<'_, '_> {
    /// Translates a load or store.
    pub(super) fn memory(&mut self, op: &Operator<'_>) -> bool {
        use Width::{Full, Low, Signed};
        use types::{F32, F64, I32, I64};
        match op {
            Operator::I32Load { memarg } => self.load(memarg, I32, Full),
            Operator::I64Load { memarg } => self.load(memarg, I64, Full),
            Operator::F32Load { memarg } => self.load(memarg, F32, Full),
            Operator::F64Load { memarg } => self.load(memarg, F64, Full),
            Operator::I32Load8S { memarg } => self.load(memarg, I32, Signed(1)),
            Operator::I32Load8U { memarg } => self.load(memarg, I32, Low(1)),
            Operator::I32Load16S { memarg } => self.load(memarg, I32, Signed(2)),
            Operator::I32Load16U { memarg } => self.load(memarg, I32, Low(2)),
            Operator::I64Load8S { memarg } => self.load(memarg, I64, Signed(1)),
            Operator::I64Load8U { memarg } => self.load(memarg, I64, Low(1)),
            Operator::I64Load16S { memarg } => self.load(memarg, I64, Signed(2)),
            Operator::I64Load16U { memarg } => self.load(memarg, I64, Low(2)),
            Operator::I64Load32S { memarg } => self.load(memarg, I64, Signed(4)),
            Operator::I64Load32U { memarg } => self.load(memarg, I64, Low(4)),
            Operator::I32Store { memarg } | Operator::F32Store { memarg } => self.store(memarg, Full),
            Operator::I64Store { memarg } | Operator::F64Store { memarg } => self.store(memarg, Full),
            Operator::I32Store8 { memarg } | Operator::I64Store8 { memarg } => self.store(memarg, Low(1)),
            Operator::I32Store16 { memarg } | Operator::I64Store16 { memarg } => self.store(memarg, Low(2)),
            Operator::I64Store32 { memarg } => self.store(memarg, Low(4)),
            _ => return false,
        }
        true
    }

    fn load(&mut self, memarg: &MemArg, ty: Type, width: Width) {
        let size = match width {
            Width::Full => u64::from(ty.bytes()),
            Width::Signed(size) | Width::Low(size) => size,
        };
        self.load_with(memarg, size, |ins, flags, base, offset| match width {
            Width::Full => ins.load(ty, flags, base, offset),
            Width::Signed(1) => ins.sload8(ty, flags, base, offset),
            Width::Signed(2) => ins.sload16(ty, flags, base, offset),
            Width::Signed(_) => ins.sload32(flags, base, offset),
            Width::Low(1) => ins.uload8(ty, flags, base, offset),
            Width::Low(2) => ins.uload16(ty, flags, base, offset),
            Width::Low(_) => ins.uload32(flags, base, offset),
        });
    }

    /// Loads `size` bytes with the given instruction and pushes the value.
    pub(super) fn load_with(
        &mut self,
        memarg: &MemArg,
        size: u64,
        load: impl FnOnce(FuncInstBuilder<'_, '_>, MemFlagsData, Value, i32) -> Value,
    ) {
        let Some(address) = self.address(memarg, size) else { return };
        let flags = self.guest();
        let value = load(self.builder.ins(), flags, address.base, address.offset);
        self.push(value);
    }

    fn store(&mut self, memarg: &MemArg, width: Width) {
        let value = self.pop();
        let size = match width {
            Width::Full => return self.store_value(memarg, value),
            Width::Signed(size) | Width::Low(size) => size,
        };
        let Some(address) = self.address(memarg, size) else { return };
        let flags = self.guest();
        let ins = self.builder.ins();
        match size {
            1 => ins.istore8(flags, value, address.base, address.offset),
            2 => ins.istore16(flags, value, address.base, address.offset),
            _ => ins.istore32(flags, value, address.base, address.offset),
        };
    }

    /// Stores all of a value.
    pub(super) fn store_value(&mut self, memarg: &MemArg, value: Value) {
        let size = u64::from(self.type_of(value).bytes());
        let Some(address) = self.address(memarg, size) else { return };
        let flags = self.guest();
        self.builder.ins().store(flags, value, address.base, address.offset);
    }
}
