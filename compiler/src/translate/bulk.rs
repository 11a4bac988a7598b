//! What is done with whole memories: size, growth, copies.

use super::Translator;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use wasmbridge_artifact::{Builtin, TrapCode};
use wasmparser::Operator;

impl Translator<'_, '_> {
    /// Translates an instruction on a whole memory.
    pub(super) fn bulk(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::MemorySize { mem } => self.memory_size(mem),
            Operator::MemoryGrow { mem } => {
                let delta = self.pop_wide();
                let memory = self.index(mem);
                let old = self.builtin(Builtin::MemoryGrow, &[memory, delta]).expect("it has a result");
                let old = self.narrow(old, self.module.memories[mem as usize].memory64);
                self.push(old);
            }
            Operator::MemoryCopy { dst_mem, src_mem } => {
                if !self.copy_inline(dst_mem, src_mem) {
                    let (to, from, len) = self.pop3();
                    self.copy_by_runtime(dst_mem, src_mem, to, from, len);
                }
            }
            Operator::MemoryFill { mem } => {
                if !self.fill_inline(mem) {
                    let (to, byte, len) = self.pop3();
                    self.fill_by_runtime(mem, to, byte, len);
                }
            }
            Operator::MemoryInit { data_index, mem } => {
                let (memory, segment) = (self.index(mem), self.index(data_index));
                let (to, from, len) = self.pop3_wide();
                let args = [memory, segment, to, from, len];
                self.builtin_or_trap(Builtin::MemoryInit, &args, TrapCode::MemoryOutOfBounds);
            }
            Operator::DataDrop { data_index } => {
                let segment = self.index(data_index);
                self.builtin(Builtin::DataDrop, &[segment]);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn copy_by_runtime(&mut self, to_memory: u32, from_memory: u32, to: Value, from: Value, len: Value) {
        let (to_memory, from_memory) = (self.index(to_memory), self.index(from_memory));
        let [to, from, len] = [to, from, len].map(|value| self.widen(value));
        let args = [to_memory, from_memory, to, from, len];
        self.builtin_or_trap(Builtin::MemoryCopy, &args, TrapCode::MemoryOutOfBounds);
    }

    pub(super) fn fill_by_runtime(&mut self, memory: u32, to: Value, byte: Value, len: Value) {
        let memory = self.index(memory);
        let [to, len] = [to, len].map(|value| self.widen(value));
        self.builtin_or_trap(Builtin::MemoryFill, &[memory, to, byte, len], TrapCode::MemoryOutOfBounds);
    }

    fn memory_size(&mut self, memory: u32) {
        let ty = self.module.memories[memory as usize];
        let length = self.memory_length(memory);
        let pages = self.builder.ins().ushr_imm_u(length, i64::from(ty.page_size_log2));
        let pages = self.narrow(pages, ty.memory64);
        self.push(pages);
    }

    /// An index of a memory, table or segment as an argument of a builtin.
    pub(super) fn index(&mut self, index: u32) -> Value {
        self.iconst(types::I32, i64::from(index))
    }

    /// Pops an index or length, as 64 bits.
    pub(super) fn pop_wide(&mut self) -> Value {
        let value = self.pop();
        self.widen(value)
    }

    /// Pops three indices or lengths, as 64 bits each, the uppermost last.
    pub(super) fn pop3_wide(&mut self) -> (Value, Value, Value) {
        let third = self.pop_wide();
        let second = self.pop_wide();
        (self.pop_wide(), second, third)
    }
}
