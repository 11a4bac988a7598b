//! Tables.

use super::Translator;
use super::flags::{self, Region};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, condcodes::IntCC, types};
use std::mem::offset_of;
use wasmbridge_artifact::vmctx::{Place, TableDef};
use wasmbridge_artifact::{Builtin, TrapCode};
use wasmparser::Operator;

/// An element is a pointer: `1 << 3` bytes.
const ELEMENT_SIZE_LOG2: i64 = 3;

impl Translator<'_, '_> {
    /// Translates an instruction on a table.
    pub(super) fn table(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::TableGet { table } => {
                let index = self.pop();
                let value = self.load_element(table, index, TrapCode::TableOutOfBounds);
                self.push(value);
            }
            Operator::TableSet { table } => {
                let (index, value) = self.pop2();
                let element = self.table_element(table, index, TrapCode::TableOutOfBounds);
                let flags = self.trusted(Region::Tables);
                self.builder.ins().store(flags, value, element, 0);
            }
            Operator::TableSize { table } => {
                let length = self.table_length(table);
                let length = self.narrow(length, self.module.tables[table as usize].table64);
                self.push(length);
            }
            Operator::TableGrow { table } => {
                let delta = self.pop_wide();
                let value = self.pop();
                let number = self.index(table);
                let old = self.builtin(Builtin::TableGrow, &[number, delta, value]).expect("it has a result");
                let old = self.narrow(old, self.module.tables[table as usize].table64);
                self.push(old);
            }
            Operator::TableFill { table } => {
                let number = self.index(table);
                let len = self.pop_wide();
                let value = self.pop();
                let to = self.pop_wide();
                self.builtin_or_trap(Builtin::TableFill, &[number, to, value, len], TrapCode::TableOutOfBounds);
            }
            Operator::TableCopy { dst_table, src_table } => {
                let (to_table, from_table) = (self.index(dst_table), self.index(src_table));
                let (to, from, len) = self.pop3_wide();
                let args = [to_table, from_table, to, from, len];
                self.builtin_or_trap(Builtin::TableCopy, &args, TrapCode::TableOutOfBounds);
            }
            Operator::TableInit { elem_index, table } => {
                let (number, segment) = (self.index(table), self.index(elem_index));
                let (to, from, len) = self.pop3_wide();
                let args = [number, segment, to, from, len];
                self.builtin_or_trap(Builtin::TableInit, &args, TrapCode::TableOutOfBounds);
            }
            Operator::ElemDrop { elem_index } => {
                let segment = self.index(elem_index);
                self.builtin(Builtin::ElemDrop, &[segment]);
            }
            _ => return false,
        }
        true
    }

    /// An element, or a trap if the table has none of this index.
    pub(super) fn load_element(&mut self, table: u32, index: Value, code: TrapCode) -> Value {
        let element = self.table_element(table, index, code);
        let flags = match self.tables[table as usize].contents {
            // It never changes, but it is only there behind the comparison.
            Some(_) => MemFlagsData::trusted().with_readonly(),
            None => self.trusted(Region::Tables),
        };
        self.builder.ins().load(types::I64, flags, element, 0)
    }

    /// The native address of an element, or a trap if the table has none of this index.
    fn table_element(&mut self, table: u32, index: Value, code: TrapCode) -> Value {
        let index = self.widen(index);
        let length = self.table_length(table);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, length);
        let index = self.checked_index(outside, index, code);
        let base = self.table_field(table, offset_of!(TableDef, base));
        let distance = self.builder.ins().ishl_imm_u(index, ELEMENT_SIZE_LOG2);
        self.builder.ins().iadd(base, distance)
    }

    /// The current length in elements: a constant if the table cannot grow.
    fn table_length(&mut self, table: u32) -> Value {
        if self.tables[table as usize].fixed_len {
            return self.iconst(types::I64, self.module.tables[table as usize].minimum as i64);
        }
        self.table_field(table, offset_of!(TableDef, len))
    }

    /// Loads a field of the table's definition. Only growth changes one.
    fn table_field(&mut self, table: u32, field: usize) -> Value {
        let flags = match self.tables[table as usize].fixed_len {
            true => flags::fixed(),
            false => self.trusted(Region::Definitions),
        };
        let (definition, at) = match self.layout.table(table) {
            Place::Here(at) => (self.vmctx, at),
            Place::Behind(at) => (self.load_fixed(types::I64, at), 0),
        };
        self.builder.ins().load(types::I64, flags, definition, at + field as i32)
    }
}
