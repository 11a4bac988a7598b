//! `v128`: 128 bits that each instruction sees as lanes of its own kind.
//!
//! On the operand stack, in locals and in signatures a vector is `i8x16`. An instruction casts its operands to the lanes that
//! it works on, which costs nothing, and casts the result back.

mod arithmetic;
mod compare;
mod convert;
mod lanes;
mod memory;
mod relaxed;

use super::Translator;
use cranelift_codegen::ir::{ConstantData, Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::Operator;

impl Translator<'_, '_> {
    /// Translates an instruction on vectors that does not access memory.
    pub(super) fn vector(&mut self, op: &Operator<'_>) -> bool {
        self.vector_lanes(op)
            || self.vector_arithmetic(op)
            || self.vector_compare(op)
            || self.vector_convert(op)
            || self.vector_relaxed(op)
    }

    /// A constant vector, by its bytes in memory.
    pub(super) fn vector_const(&mut self, bytes: [u8; 16]) -> Value {
        let constant = self.builder.func.dfg.constants.insert(ConstantData::from(bytes.as_slice()));
        self.builder.ins().vconst(types::I8X16, constant)
    }

    /// The same bits as lanes of another type.
    fn cast(&mut self, value: Value, ty: Type) -> Value {
        if self.type_of(value) == ty {
            return value;
        }
        // With lanes of different sizes the order of bytes must be said: it is that of the memory.
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.builder.ins().bitcast(ty, flags, value)
    }

    /// Pops a vector as lanes of this type.
    fn pop_vector(&mut self, ty: Type) -> Value {
        let value = self.pop();
        self.cast(value, ty)
    }

    /// Pops two vectors, the upper one second.
    fn pop2_vector(&mut self, ty: Type) -> (Value, Value) {
        let second = self.pop_vector(ty);
        (self.pop_vector(ty), second)
    }

    fn push_vector(&mut self, value: Value) {
        let value = self.cast(value, types::I8X16);
        self.push(value);
    }

    /// Replaces a vector of lanes of this type.
    fn vector_unary(&mut self, ty: Type, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value) {
        let x = self.pop_vector(ty);
        let value = make(self.builder.ins(), x);
        self.push_vector(value);
    }

    /// Replaces two vectors of lanes of this type by one.
    fn vector_binary(&mut self, ty: Type, make: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
        let (x, y) = self.pop2_vector(ty);
        let value = make(self.builder.ins(), x, y);
        self.push_vector(value);
    }
}
