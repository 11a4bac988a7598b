//! Tests and casts of references, `i31`, and conversions between internal and external references.
//!
//! Most tests are answered by the reference itself or one load. A struct or array of a type that may have subtypes is looked up in its type's
//! display; only a function of such a type is left to the runtime, because functions know their type by its number alone.

use super::flags::Region;
use super::{Translator, trap};
use crate::CompileError;
use crate::read::{heap_type, reference_type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, MemFlagsData, Value, types};
use std::mem::offset_of;
use wasmbridge_artifact::gc::{Kind, info, object};
use wasmbridge_artifact::vmctx::VmFuncRef;
use wasmbridge_artifact::{Builtin, HeapType, RefType, TrapCode, TypeKind};
use wasmparser::Operator;

/// What never changes while the thing is there, which is known only behind a test: such loads are not moved.
fn contents() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly()
}

impl Translator<'_, '_> {
    /// Translates an instruction that tests or converts references.
    pub(super) fn reference_type_op(&mut self, op: &Operator<'_>, offset: u64) -> Result<bool, CompileError> {
        match *op {
            Operator::RefTestNonNull { hty } => self.ref_test(hty, false, offset)?,
            Operator::RefTestNullable { hty } => self.ref_test(hty, true, offset)?,
            Operator::RefCastNonNull { hty } => self.ref_cast(hty, false, offset)?,
            Operator::RefCastNullable { hty } => self.ref_cast(hty, true, offset)?,
            Operator::BrOnCast { relative_depth, to_ref_type, .. } => {
                let is = self.is_on_top(reference_type(to_ref_type, offset, self.kinds)?);
                self.branch_if(is, relative_depth);
            }
            Operator::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                let is = self.is_on_top(reference_type(to_ref_type, offset, self.kinds)?);
                let is_not = self.builder.ins().icmp_imm_u(IntCC::Equal, is, 0);
                self.branch_if(is_not, relative_depth);
            }
            Operator::RefEq => {
                let (a, b) = self.pop2();
                let equal = self.builder.ins().icmp(IntCC::Equal, a, b);
                let equal = self.builder.ins().uextend(types::I32, equal);
                self.push(equal);
            }
            Operator::RefI31 => {
                let value = self.pop();
                let shifted = self.builder.ins().ishl_imm_u(value, 1);
                let tagged = self.builder.ins().bor_imm_u(shifted, 1);
                let reference = self.builder.ins().uextend(types::I64, tagged);
                self.push(reference);
            }
            Operator::I31GetS => {
                let bits = self.i31_bits();
                let value = self.builder.ins().sshr_imm_u(bits, 1);
                self.push(value);
            }
            Operator::I31GetU => {
                let bits = self.i31_bits();
                let value = self.builder.ins().ushr_imm_u(bits, 1);
                self.push(value);
            }
            Operator::AnyConvertExtern => {
                self.convert(Builtin::AnyConvertExtern);
            }
            Operator::ExternConvertAny => {
                self.convert(Builtin::ExternConvertAny);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn ref_test(&mut self, ty: wasmparser::HeapType, nullable: bool, offset: u64) -> Result<(), CompileError> {
        let heap = heap_type(ty, offset, self.kinds)?;
        let reference = self.pop();
        let is = self.is(reference, RefType { nullable, heap });
        let is = self.builder.ins().uextend(types::I32, is);
        self.push(is);
        Ok(())
    }

    fn ref_cast(&mut self, ty: wasmparser::HeapType, nullable: bool, offset: u64) -> Result<(), CompileError> {
        let heap = heap_type(ty, offset, self.kinds)?;
        let is = self.is_on_top(RefType { nullable, heap });
        self.builder.ins().trapz(is, trap::to_clif(TrapCode::CastFailure));
        Ok(())
    }

    /// Pops an `i31` and gives its 32 bits.
    fn i31_bits(&mut self) -> Value {
        let reference = self.pop();
        self.builder.ins().trapz(reference, trap::to_clif(TrapCode::NullReference));
        self.builder.ins().ireduce(types::I32, reference)
    }

    /// Has the runtime convert the uppermost operand, unless it is null. What it makes is null only if there is no room.
    fn convert(&mut self, builtin: Builtin) {
        let reference = self.pop();
        let (other, done) = (self.builder.create_block(), self.block_with([types::I64]));
        let null = self.iconst(types::I64, 0);
        self.builder.ins().brif(reference, other, &[], done, &[BlockArg::Value(null)]);
        self.builder.seal_block(other);
        self.builder.switch_to_block(other);
        let converted = self.builtin(builtin, &[reference]).expect("it has a result");
        self.builder.ins().trapz(converted, trap::to_clif(TrapCode::AllocationTooLarge));
        self.builder.ins().jump(done, &[BlockArg::Value(converted)]);
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        self.push(self.builder.block_params(done)[0]);
    }

    /// Whether the uppermost operand, which stays, is of a type.
    fn is_on_top(&mut self, ty: RefType) -> Value {
        let reference = self.stack[self.stack.len() - 1];
        self.is(reference, ty)
    }

    /// Whether a reference is of a type, one of whose family it is: 0 or 1, of 8 bits.
    fn is(&mut self, reference: Value, ty: RefType) -> Value {
        let ins = self.builder.ins();
        match ty.heap {
            bottom if bottom.is_bottom() => match ty.nullable {
                true => ins.icmp_imm_u(IntCC::Equal, reference, 0),
                false => self.iconst(types::I8, 0),
            },
            HeapType::Any | HeapType::Func | HeapType::Extern | HeapType::Exn => match ty.nullable {
                true => self.iconst(types::I8, 1),
                false => ins.icmp_imm_u(IntCC::NotEqual, reference, 0),
            },
            HeapType::I31 => {
                let bit = self.builder.ins().band_imm_u(reference, 1);
                let is_i31 = self.builder.ins().ireduce(types::I8, bit);
                if !ty.nullable {
                    return is_i31;
                }
                let is_null = self.builder.ins().icmp_imm_u(IntCC::Equal, reference, 0);
                self.builder.ins().bor(is_i31, is_null)
            }
            heap => {
                let done = self.block_with([types::I8]);
                self.answer_if_null(reference, ty.nullable, done);
                match heap {
                    HeapType::Type(TypeKind::Func, index) => self.answer_function(reference, index, done),
                    _ => self.answer_object(reference, heap, done),
                }
                self.builder.seal_block(done);
                self.builder.switch_to_block(done);
                self.builder.block_params(done)[0]
            }
        }
    }

    /// Goes to `done` with a constant if the condition is not 0, and on in a new block if it is.
    fn answer_if(&mut self, condition: Value, answer: bool, done: Block) {
        let answer = self.iconst(types::I8, answer.into());
        let next = self.builder.create_block();
        self.builder.ins().brif(condition, done, &[BlockArg::Value(answer)], next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    fn answer_if_null(&mut self, reference: Value, answer: bool, done: Block) {
        let is_null = self.builder.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        self.answer_if(is_null, answer, done);
    }

    fn answer(&mut self, answer: Value, done: Block) {
        self.builder.ins().jump(done, &[BlockArg::Value(answer)]);
    }

    /// Answers whether a reference that is not null is of a type of structs or arrays.
    fn answer_object(&mut self, reference: Value, heap: HeapType, done: Block) {
        let is_i31 = self.builder.ins().band_imm_u(reference, 1);
        self.answer_if(is_i31, heap == HeapType::Eq, done);
        let found = self.builder.ins().load(types::I64, contents(), reference, object::INFO);
        let kind = |translator: &mut Self, condition, kind: Kind| {
            let found = translator.builder.ins().load(types::I32, contents(), found, info::KIND);
            translator.builder.ins().icmp_imm_u(condition, found, i64::from(kind as u32))
        };
        const { assert!((Kind::Struct as u32) < Kind::Array as u32 && (Kind::Array as u32) < Kind::Host as u32) };
        let is = match heap {
            HeapType::Eq => kind(self, IntCC::UnsignedLessThanOrEqual, Kind::Array),
            HeapType::Struct => kind(self, IntCC::Equal, Kind::Struct),
            HeapType::Array => kind(self, IntCC::Equal, Kind::Array),
            HeapType::Type(_, index) => {
                let expected = self.load_fixed(types::I64, self.layout.type_info(index));
                let same = self.builder.ins().icmp(IntCC::Equal, found, expected);
                if !self.module.types[index as usize].is_final {
                    self.answer_if(same, true, done);
                    return self.answer_by_display(found, index, done);
                }
                same
            }
            other => unreachable!("{other:?} is answered without looking at the object"),
        };
        self.answer(is, done);
    }

    /// Answers whether a type, by its information, has this type of the module among its supertypes.
    fn answer_by_display(&mut self, found: Value, index: u32, done: Block) {
        let supertype = |&ty: &u32| self.module.types[ty as usize].supertype;
        let place = std::iter::successors(Some(index), supertype).count() as i64 - 1;
        let depth = self.builder.ins().load(types::I32, contents(), found, info::DEPTH);
        let too_general = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, depth, place);
        self.answer_if(too_general, false, done);
        let display = self.builder.ins().load(types::I64, contents(), found, info::DISPLAY);
        let id = self.builder.ins().load(types::I32, contents(), display, place as i32 * 4);
        let expected = self.load_fixed(types::I32, self.layout.type_id(index));
        let is = self.builder.ins().icmp(IntCC::Equal, id, expected);
        self.answer(is, done);
    }

    /// Answers whether a function, not null, is of a type.
    fn answer_function(&mut self, funcref: Value, index: u32, done: Block) {
        let (found, expected) = self.function_types(funcref, index, None);
        let same = self.builder.ins().icmp(IntCC::Equal, found, expected);
        if self.module.types[index as usize].is_final {
            return self.answer(same, done);
        }
        self.answer_if(same, true, done);
        let is = self.builtin(Builtin::IsSubtype, &[found, expected]).expect("it has a result");
        let is = self.builder.ins().ireduce(types::I8, is);
        self.answer(is, done);
    }

    /// The type of a function and a type of the module, as the engine numbers them. `null` is the trap if there may be no function.
    fn function_types(&mut self, funcref: Value, index: u32, null: Option<TrapCode>) -> (Value, Value) {
        let found = self.funcref_field(types::I32, funcref, offset_of!(VmFuncRef, type_id), null);
        (found, self.load_fixed(types::I32, self.layout.type_id(index)))
    }

    /// Traps unless a function may be called as one of this type. `null` is the trap if there may be none.
    pub(super) fn check_function_type(&mut self, funcref: Value, index: u32, null: Option<TrapCode>) {
        let (found, expected) = self.function_types(funcref, index, null);
        let differ = self.builder.ins().icmp(IntCC::NotEqual, found, expected);
        if self.module.types[index as usize].is_final {
            return self.trap_if(differ, TrapCode::IndirectCallTypeMismatch);
        }
        // One of a subtype will do, which is rare.
        let (slow, next) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(slow);
        self.builder.ins().brif(differ, slow, &[], next, &[]);
        self.builder.seal_block(slow);
        self.builder.switch_to_block(slow);
        let is = self.builtin(Builtin::IsSubtype, &[found, expected]).expect("it has a result");
        self.builder.ins().trapz(is, trap::to_clif(TrapCode::IndirectCallTypeMismatch));
        self.builder.ins().jump(next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    /// The flags of an access to the body of an object that is known not to be null.
    pub(super) fn object_flags(&mut self) -> MemFlagsData {
        self.trusted(Region::Objects)
    }
}
