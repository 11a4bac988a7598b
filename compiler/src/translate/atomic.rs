//! Atomic instructions (the threads proposal): sequentially consistent, on memories that are shared or not.
//!
//! The address is checked for its alignment first and then as any other ([`address`](super::address)): an access that
//! neither traps is one that the processor carries out in one piece, because memories start at multiples of a page.

use super::Translator;
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, Type, Value, types};
use types::{I8, I16, I32, I64};
use wasmbridge_artifact::{Builtin, TrapCode};
use wasmparser::{MemArg, MemArgTarget, Operator};

/// What is done with a place in memory.
#[derive(Debug, Clone, Copy)]
enum Access {
    Load,
    Store,
    /// combine with an operand
    Modify(AtomicRmwOp),
    /// replace if it is as expected
    CompareExchange,
}

/// An access of `width` to memory, whose operands and result have the type `ty`; zero-extended where that is wider.
struct Atomic<'m> {
    access: Access,
    ty: Type,
    width: Type,
    memarg: &'m MemArg,
}

impl<'m> Atomic<'m> {
    /// The access that an instruction is, if it is one.
    fn of(op: &'m Operator<'_>) -> Option<Atomic<'m>> {
        // Each line has the names for i32 and i64 with all their widths, in the same order.
        macro_rules! accesses {
            ($($access:expr => $i32:ident $i32_8:ident $i32_16:ident $i64:ident $i64_8:ident $i64_16:ident $i64_32:ident;)*) => {
                match op {
                    $(
                        Operator::$i32 { memarg } => ($access, I32, I32, memarg),
                        Operator::$i32_8 { memarg } => ($access, I32, I8, memarg),
                        Operator::$i32_16 { memarg } => ($access, I32, I16, memarg),
                        Operator::$i64 { memarg } => ($access, I64, I64, memarg),
                        Operator::$i64_8 { memarg } => ($access, I64, I8, memarg),
                        Operator::$i64_16 { memarg } => ($access, I64, I16, memarg),
                        Operator::$i64_32 { memarg } => ($access, I64, I32, memarg),
                    )*
                    _ => return None,
                }
            };
        }
        use Access::{CompareExchange, Load, Modify, Store};
        use AtomicRmwOp::{Add, And, Or, Sub, Xchg, Xor};
        #[rustfmt::skip]
        let (access, ty, width, memarg) = accesses! {
            Load => I32AtomicLoad I32AtomicLoad8U I32AtomicLoad16U
                I64AtomicLoad I64AtomicLoad8U I64AtomicLoad16U I64AtomicLoad32U;
            Store => I32AtomicStore I32AtomicStore8 I32AtomicStore16
                I64AtomicStore I64AtomicStore8 I64AtomicStore16 I64AtomicStore32;
            Modify(Add) => I32AtomicRmwAdd I32AtomicRmw8AddU I32AtomicRmw16AddU
                I64AtomicRmwAdd I64AtomicRmw8AddU I64AtomicRmw16AddU I64AtomicRmw32AddU;
            Modify(Sub) => I32AtomicRmwSub I32AtomicRmw8SubU I32AtomicRmw16SubU
                I64AtomicRmwSub I64AtomicRmw8SubU I64AtomicRmw16SubU I64AtomicRmw32SubU;
            Modify(And) => I32AtomicRmwAnd I32AtomicRmw8AndU I32AtomicRmw16AndU
                I64AtomicRmwAnd I64AtomicRmw8AndU I64AtomicRmw16AndU I64AtomicRmw32AndU;
            Modify(Or) => I32AtomicRmwOr I32AtomicRmw8OrU I32AtomicRmw16OrU
                I64AtomicRmwOr I64AtomicRmw8OrU I64AtomicRmw16OrU I64AtomicRmw32OrU;
            Modify(Xor) => I32AtomicRmwXor I32AtomicRmw8XorU I32AtomicRmw16XorU
                I64AtomicRmwXor I64AtomicRmw8XorU I64AtomicRmw16XorU I64AtomicRmw32XorU;
            Modify(Xchg) => I32AtomicRmwXchg I32AtomicRmw8XchgU I32AtomicRmw16XchgU
                I64AtomicRmwXchg I64AtomicRmw8XchgU I64AtomicRmw16XchgU I64AtomicRmw32XchgU;
            CompareExchange => I32AtomicRmwCmpxchg I32AtomicRmw8CmpxchgU I32AtomicRmw16CmpxchgU
                I64AtomicRmwCmpxchg I64AtomicRmw8CmpxchgU I64AtomicRmw16CmpxchgU I64AtomicRmw32CmpxchgU;
        };
        Some(Atomic { access, ty, width, memarg })
    }
}

impl Translator<'_, '_> {
    /// Translates an atomic instruction.
    pub(super) fn atomic(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::AtomicFence { .. } => drop(self.builder.ins().fence()),
            Operator::MemoryAtomicNotify { memarg } => self.notify(memarg),
            Operator::MemoryAtomicWait32 { memarg } => self.wait(memarg, I32),
            Operator::MemoryAtomicWait64 { memarg } => self.wait(memarg, I64),
            op => match Atomic::of(op) {
                Some(atomic) => self.atomic_access(&atomic),
                None => return false,
            },
        }
        true
    }

    fn atomic_access(&mut self, atomic: &Atomic<'_>) {
        let (ty, width) = (atomic.ty, atomic.width);
        // The operands lie above the index: the one that is written, and above what is expected.
        let written = match atomic.access {
            Access::Load => None,
            _ => Some(self.pop_low(width)),
        };
        let expected = match atomic.access {
            Access::CompareExchange => Some(self.pop_low(width)),
            _ => None,
        };
        let Some(address) = self.atomic_address(atomic.memarg, width) else { return };
        let flags = self.guest();
        let ins = self.builder.ins();
        let found = match (atomic.access, written, expected) {
            (Access::Modify(op), Some(operand), _) => ins.atomic_rmw(width, flags, op, address, operand),
            (_, Some(written), Some(expected)) => ins.atomic_cas(flags, address, expected, written),
            (_, Some(written), None) => {
                ins.atomic_store(flags, written, address);
                return;
            }
            (_, None, _) => ins.atomic_load(width, flags, address),
        };
        let found = if width == ty { found } else { self.builder.ins().uextend(ty, found) };
        self.push(found);
    }

    /// Pops an operand and takes its low part.
    fn pop_low(&mut self, width: Type) -> Value {
        let value = self.pop();
        if self.type_of(value) == width { value } else { self.builder.ins().ireduce(width, value) }
    }

    /// Pops the index and returns where an atomic access of this width is. `None` if it is out of bounds whatever the index.
    fn atomic_address(&mut self, memarg: &MemArg, width: Type) -> Option<Value> {
        self.check_alignment(memarg, width);
        let address = self.address(memarg, u64::from(width.bytes()))?;
        Some(match address.offset {
            0 => address.base,
            offset => self.builder.ins().iadd_imm_s(address.base, i64::from(offset)),
        })
    }

    /// Traps unless the index on top of the stack, plus the offset, is a multiple of the width.
    fn check_alignment(&mut self, memarg: &MemArg, width: Type) {
        let mask = i64::from(width.bytes()) - 1;
        if mask == 0 {
            return;
        }
        let index = self.stack[self.stack.len() - 1];
        // Only the low bits count, so that the sum may wrap.
        let low = match memarg.offset as i64 & mask {
            0 => index,
            offset => self.builder.ins().iadd_imm_s(index, offset),
        };
        let misaligned = self.builder.ins().band_imm_u(low, mask);
        self.trap_if(misaligned, TrapCode::UnalignedAtomic);
    }

    /// Pops the index and returns the guest address of an access of this width, 64 bits wide and not yet compared with the memory's
    /// length: a builtin will.
    fn atomic_guest_addr(&mut self, memarg: &MemArg, width: Type) -> Value {
        self.check_alignment(memarg, width);
        let index = self.pop_wide();
        let offset = self.iconst(I64, memarg.offset as i64);
        let code = super::trap::to_clif(TrapCode::MemoryOutOfBounds);
        self.builder.ins().uadd_overflow_trap(index, offset, code)
    }

    /// `memory.atomic.wait32` and `memory.atomic.wait64`
    fn wait(&mut self, memarg: &MemArg, width: Type) {
        let timeout = self.pop();
        let expected = self.pop();
        let guest_addr = self.atomic_guest_addr(memarg, width);
        let memory = memory(memarg);
        if !self.module.memories[memory as usize].shared {
            self.trap(TrapCode::WaitOnUnsharedMemory);
            return;
        }
        let builtin = if width == I32 { Builtin::MemoryWait32 } else { Builtin::MemoryWait64 };
        let memory = self.index(memory);
        self.wake_or_wait(builtin, &[memory, guest_addr, expected, timeout]);
    }

    /// `memory.atomic.notify`
    fn notify(&mut self, memarg: &MemArg) {
        let count = self.pop();
        let guest_addr = self.atomic_guest_addr(memarg, I32);
        let memory = self.index(memory(memarg));
        self.wake_or_wait(Builtin::MemoryNotify, &[memory, guest_addr, count]);
    }

    /// Calls a builtin whose result is negative if the address is out of bounds, and pushes the result.
    fn wake_or_wait(&mut self, builtin: Builtin, args: &[Value]) {
        let result = self.builtin(builtin, args).expect("such a builtin has a result");
        let outside = self.builder.ins().ushr_imm_u(result, 63);
        self.trap_if(outside, TrapCode::MemoryOutOfBounds);
        let result = self.builder.ins().ireduce(I32, result);
        self.push(result);
    }
}

/// The memory of an access.
fn memory(memarg: &MemArg) -> u32 {
    let MemArgTarget::Memory(memory) = memarg.target else {
        unreachable!("the validator refuses accesses to arrays");
    };
    memory
}
