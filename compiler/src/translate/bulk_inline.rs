//! `memory.copy` and `memory.fill` of a constant number of bytes that is small: compilers copy structs with them.
//!
//! They become loads and stores of up to 16 bytes, which may overlap, all loads before the first store. If something is out of bounds, nothing may have been
//! written (Wasm 3.0, 4.6.11): a load that faults comes before all stores, and of stores into one host page the first one faults or
//! none does. Where the destination reaches into a second page, the runtime does it. So nothing is compared with the memory's length, and
//! windows are found by their pages' rights, as by any load or store.

use super::Translator;
use super::address::Address;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, InstructionData, Opcode, Type, Value, ValueDef, types};
use wasmbridge_artifact::vmctx::HOST_PAGE;

/// Up to so many bytes are copied or filled inline: eight registers full.
const MOST_BYTES: u64 = 128;

/// A part of the bytes: a value of this type, so many bytes behind the first.
type Part = (Type, i32);

/// Parts that cover so many bytes, at least one of them.
fn parts(len: u64) -> Vec<Part> {
    let (ty, size) = match len {
        16.. => (types::I8X16, 16),
        8.. => (types::I64, 8),
        4.. => (types::I32, 4),
        // No two of 2 bytes for one of 3: what does not overlap is as short.
        3 => return vec![(types::I16, 0), (types::I8, 2)],
        2 => (types::I16, 2),
        _ => (types::I8, 1),
    };
    let whole = (0..len / size).map(|part| (ty, (part * size) as i32));
    let rest = (!len.is_multiple_of(size)).then_some((ty, len.saturating_sub(size) as i32));
    whole.chain(rest).collect()
}

impl Translator<'_, '_> {
    /// Translates a copy of as many bytes as the uppermost operand says. `false` if it is not one of those that become loads and stores.
    pub(super) fn copy_inline(&mut self, to_memory: u32, from_memory: u32) -> bool {
        let Some(len) = self.small_constant() else { return false };
        if !self.is_reserved(to_memory) || !self.is_reserved(from_memory) {
            return false;
        }
        let (to, from, wide_len) = self.pop3();
        self.in_one_page(to, len, |translator, in_page| {
            if !in_page {
                return translator.copy_by_runtime(to_memory, from_memory, to, from, wide_len);
            }
            let (Some(from), Some(to)) =
                (translator.address_at(from_memory, from, 0, len), translator.address_at(to_memory, to, 0, len))
            else {
                return;
            };
            let flags = translator.guest();
            let load = |(ty, at)| (translator.builder.ins().load(ty, flags, from.base, from.offset + at), at);
            let values: Vec<(Value, i32)> = parts(len).into_iter().map(load).collect();
            translator.store_parts(to, values);
        });
        true
    }

    /// Translates a fill of as many bytes as the uppermost operand says. `false` if it is not one of those that become stores.
    pub(super) fn fill_inline(&mut self, memory: u32) -> bool {
        let Some(len) = self.small_constant() else { return false };
        if !self.is_reserved(memory) {
            return false;
        }
        let (to, byte, wide_len) = self.pop3();
        self.in_one_page(to, len, |translator, in_page| {
            if !in_page {
                return translator.fill_by_runtime(memory, to, byte, wide_len);
            }
            let Some(to) = translator.address_at(memory, to, 0, len) else { return };
            let mut filled: Option<(Type, Value)> = None;
            let parts = parts(len).into_iter().map(|(ty, at)| {
                let value = match filled {
                    Some((found, value)) if found == ty => value,
                    _ => translator.repeated(byte, ty),
                };
                filled = Some((ty, value));
                (value, at)
            });
            let parts = parts.collect();
            translator.store_parts(to, parts);
        });
        true
    }

    /// The uppermost operand, if it is a constant length of this kind. Of none, nothing is loaded or stored that could be out of bounds.
    fn small_constant(&self) -> Option<u64> {
        let len = self.known_constant(*self.stack.last()?)?;
        (1..=MOST_BYTES).contains(&len).then_some(len)
    }

    /// The constant that a value is, if it is one where it was made.
    fn known_constant(&self, value: Value) -> Option<u64> {
        let dfg = &self.builder.func.dfg;
        match dfg.value_def(dfg.resolve_aliases(value)) {
            ValueDef::Result(inst, _) => match dfg.insts[inst] {
                InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits() as u64),
                _ => None,
            },
            _ => None,
        }
    }

    /// Makes both kinds of code: for `len` bytes from a guest address on that lie in one host page, and for others, which are few. What one
    /// instruction stores is written as a whole or not at all wherever it lies.
    fn in_one_page(&mut self, addr: Value, len: u64, mut code: impl FnMut(&mut Self, bool)) {
        if parts(len).len() == 1 {
            return code(self, true);
        }
        let at = self.builder.ins().band_imm_u(addr, HOST_PAGE as i64 - 1);
        let crosses = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, at, (HOST_PAGE - len) as i64);
        let (inside, across, done) =
            (self.builder.create_block(), self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(across);
        self.builder.ins().brif(crosses, across, &[], inside, &[]);
        for (block, in_page) in [(inside, true), (across, false)] {
            self.builder.seal_block(block);
            self.builder.switch_to_block(block);
            code(self, in_page);
            self.builder.ins().jump(done, &[]);
        }
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
    }

    fn store_parts(&mut self, to: Address, parts: Vec<(Value, i32)>) {
        let flags = self.guest();
        for (value, at) in parts {
            self.builder.ins().store(flags, value, to.base, to.offset + at);
        }
    }

    /// The lowest byte of an `i32` in every byte of a type.
    fn repeated(&mut self, byte: Value, ty: Type) -> Value {
        if let Some(byte) = self.known_constant(byte) {
            let byte = byte as u8;
            if ty == types::I8X16 {
                return self.vector_const([byte; 16]);
            }
            let value = u64::from_le_bytes([byte; 8]) >> (64 - ty.bits());
            return self.iconst(ty, value as i64);
        }
        let byte = self.builder.ins().ireduce(types::I8, byte);
        match ty {
            types::I8 => byte,
            types::I8X16 => self.builder.ins().splat(ty, byte),
            _ => {
                let byte = self.builder.ins().uextend(ty, byte);
                let ones = self.iconst(ty, (0x0101_0101_0101_0101_u64 >> (64 - ty.bits())) as i64);
                self.builder.ins().imul(byte, ones)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_bytes_and_no_others() {
        for len in 1..=MOST_BYTES {
            let mut covered = vec![false; len as usize];
            for (ty, at) in parts(len) {
                covered[at as usize..at as usize + ty.bytes() as usize].fill(true);
            }
            assert!(covered.iter().all(|&byte| byte), "{len}: {:?}", parts(len));
        }
    }
}
