//! Structs and arrays. Fields and elements are loaded and stored in place; what makes objects, and what works on many elements, is the runtime's.
//!
//! A null reference is found by the access itself: the first page of the address space is never mapped, and a fault there, at an instruction
//! that says so, is the trap.

use super::flags::Region;
use super::{Translator, clif_type, trap};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind, Value, types};
use wasmbridge_artifact::gc::{object, storage_size, struct_layout};
use wasmbridge_artifact::vmctx::HOST_PAGE;
use wasmbridge_artifact::{Builtin, FieldType, Storage, TrapCode};
use wasmparser::Operator;

/// How the value of a packed field is widened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Widen {
    Signed,
    Unsigned,
}

impl Translator<'_, '_> {
    /// Translates an instruction on structs or arrays.
    pub(super) fn object(&mut self, op: &Operator<'_>) -> bool {
        self.structure(op) || self.array(op) || self.array_bulk(op)
    }

    fn structure(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::StructNew { struct_type_index: ty } => {
                let fields = self.module.struct_type(ty);
                let values = self.stack.split_off(self.stack.len() - fields.len());
                let structure = self.struct_new(ty);
                let flags = self.object_flags();
                for ((value, offset), field) in values.into_iter().zip(struct_layout(fields).0).zip(fields) {
                    self.store_field(*field, flags, value, structure, offset as i32);
                }
                self.push(structure);
            }
            Operator::StructNewDefault { struct_type_index: ty } => {
                let structure = self.struct_new(ty);
                self.push(structure);
            }
            Operator::StructGet { struct_type_index: ty, field_index: field }
            | Operator::StructGetU { struct_type_index: ty, field_index: field } => {
                self.struct_get(ty, field, Widen::Unsigned);
            }
            Operator::StructGetS { struct_type_index: ty, field_index: field } => {
                self.struct_get(ty, field, Widen::Signed);
            }
            Operator::StructSet { struct_type_index: ty, field_index: field } => {
                let (structure, value) = self.pop2();
                let (field, flags, offset) = self.field(ty, field, structure);
                self.store_field(field, flags, value, structure, offset);
            }
            _ => return false,
        }
        true
    }

    fn struct_new(&mut self, ty: u32) -> Value {
        let ty = self.index(ty);
        let structure = self.builtin(Builtin::StructNew, &[ty]).expect("it has a result");
        self.builder.ins().trapz(structure, trap::to_clif(TrapCode::AllocationTooLarge));
        structure
    }

    fn struct_get(&mut self, ty: u32, field: u32, widen: Widen) {
        let structure = self.pop();
        let (field, flags, offset) = self.field(ty, field, structure);
        let value = self.load_field(field, flags, structure, offset, widen);
        self.push(value);
    }

    /// A field, the flags of an access to it that finds null, and where it is.
    fn field(&mut self, ty: u32, field: u32, structure: Value) -> (FieldType, MemFlagsData, i32) {
        let fields = self.module.struct_type(ty);
        let offset = struct_layout(fields).0[field as usize];
        let field = fields[field as usize];
        // All of the access must be in the first page for a fault to be one by null.
        if u64::from(offset + storage_size(field.storage)) > HOST_PAGE {
            self.builder.ins().trapz(structure, trap::to_clif(TrapCode::NullReference));
            return (field, self.object_flags(), offset as i32);
        }
        (field, self.may_be_null(Region::Objects), offset as i32)
    }

    /// The flags of an access near the start of an object that may be null.
    fn may_be_null(&mut self, region: Region) -> MemFlagsData {
        self.trusted(region).with_trap_code(Some(trap::to_clif(TrapCode::NullReference)))
    }

    fn load_field(&mut self, field: FieldType, flags: MemFlagsData, base: Value, offset: i32, widen: Widen) -> Value {
        let ins = self.builder.ins();
        match (field.storage, widen) {
            (Storage::I8, Widen::Signed) => ins.sload8(types::I32, flags, base, offset),
            (Storage::I8, Widen::Unsigned) => ins.uload8(types::I32, flags, base, offset),
            (Storage::I16, Widen::Signed) => ins.sload16(types::I32, flags, base, offset),
            (Storage::I16, Widen::Unsigned) => ins.uload16(types::I32, flags, base, offset),
            (Storage::Value(ty), _) => ins.load(clif_type(ty), flags, base, offset),
        }
    }

    fn store_field(&mut self, field: FieldType, flags: MemFlagsData, value: Value, base: Value, offset: i32) {
        let ins = self.builder.ins();
        match field.storage {
            Storage::I8 => ins.istore8(flags, value, base, offset),
            Storage::I16 => ins.istore16(flags, value, base, offset),
            Storage::Value(_) => ins.store(flags, value, base, offset),
        };
    }

    fn array(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::ArrayNew { array_type_index: ty } => {
                let (value, len) = self.pop2();
                let array = self.array_new(ty, len);
                let zero = self.iconst(types::I32, 0);
                self.fill(array, zero, value, len);
                self.push(array);
            }
            Operator::ArrayNewDefault { array_type_index: ty } => {
                let len = self.pop();
                let array = self.array_new(ty, len);
                self.push(array);
            }
            Operator::ArrayNewFixed { array_type_index: ty, array_size } => {
                let values = self.stack.split_off(self.stack.len() - array_size as usize);
                let len = self.index(array_size);
                let array = self.array_new(ty, len);
                let element = self.module.array_type(ty);
                let (size, flags) = (storage_size(element.storage), self.object_flags());
                for (value, offset) in values.into_iter().zip((object::BODY..).step_by(size as usize)) {
                    self.store_field(element, flags, value, array, offset as i32);
                }
                self.push(array);
            }
            Operator::ArrayGet { array_type_index: ty } | Operator::ArrayGetU { array_type_index: ty } => {
                self.array_get(ty, Widen::Unsigned);
            }
            Operator::ArrayGetS { array_type_index: ty } => self.array_get(ty, Widen::Signed),
            Operator::ArraySet { array_type_index: ty } => {
                let (array, index, value) = self.pop3();
                let (element, address) = self.element(ty, array, index);
                let flags = self.object_flags();
                self.store_field(element, flags, value, address, object::BODY as i32);
            }
            Operator::ArrayLen => {
                let array = self.pop();
                let len = self.array_len(array);
                self.push(len);
            }
            _ => return false,
        }
        true
    }

    fn array_new(&mut self, ty: u32, len: Value) -> Value {
        let ty = self.index(ty);
        let array = self.builtin(Builtin::ArrayNew, &[ty, len]).expect("it has a result");
        self.builder.ins().trapz(array, trap::to_clif(TrapCode::AllocationTooLarge));
        array
    }

    fn array_get(&mut self, ty: u32, widen: Widen) {
        let (array, index) = self.pop2();
        let (element, address) = self.element(ty, array, index);
        let flags = self.object_flags();
        let value = self.load_field(element, flags, address, object::BODY as i32, widen);
        self.push(value);
    }

    /// The length of an array, which may be null. Nothing that compiled code stores changes it.
    fn array_len(&mut self, array: Value) -> Value {
        let flags = self.may_be_null(Region::ObjectHeads);
        self.builder.ins().load(types::I32, flags, array, object::LEN)
    }

    /// An element, and the address that it is [`object::BODY`] bytes behind. Traps if the array has none of this index.
    fn element(&mut self, ty: u32, array: Value, index: Value) -> (FieldType, Value) {
        let element = self.module.array_type(ty);
        let len = self.array_len(array);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        let index = self.checked_index(outside, index, TrapCode::ArrayOutOfBounds);
        let index = self.builder.ins().uextend(types::I64, index);
        let distance = self.builder.ins().ishl_imm_u(index, i64::from(storage_size(element.storage).trailing_zeros()));
        (element, self.builder.ins().iadd(array, distance))
    }

    fn array_bulk(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::ArrayNewData { array_type_index, array_data_index } => {
                let (from, len) = self.pop2();
                let args = [self.index(array_type_index), self.index(array_data_index), from, len];
                self.array_new_of(Builtin::ArrayNewData, &args, TrapCode::MemoryOutOfBounds);
            }
            Operator::ArrayNewElem { array_type_index, array_elem_index } => {
                let (from, len) = self.pop2();
                let args = [self.index(array_type_index), self.index(array_elem_index), from, len];
                self.array_new_of(Builtin::ArrayNewElem, &args, TrapCode::TableOutOfBounds);
            }
            Operator::ArrayFill { .. } => {
                let len = self.pop();
                let (array, to, value) = self.pop3();
                self.trap_if_null(array);
                self.fill(array, to, value, len);
            }
            Operator::ArrayCopy { .. } => {
                let (from_array, from, len) = self.pop3();
                let (to_array, to) = self.pop2();
                self.trap_if_null(to_array);
                self.trap_if_null(from_array);
                let args = [to_array, to, from_array, from, len];
                self.builtin_or_trap(Builtin::ArrayCopy, &args, TrapCode::ArrayOutOfBounds);
            }
            Operator::ArrayInitData { array_data_index: segment, .. } => {
                self.array_init(Builtin::ArrayInitData, segment, TrapCode::MemoryOutOfBounds);
            }
            Operator::ArrayInitElem { array_elem_index: segment, .. } => {
                self.array_init(Builtin::ArrayInitElem, segment, TrapCode::TableOutOfBounds);
            }
            _ => return false,
        }
        true
    }

    fn trap_if_null(&mut self, reference: Value) {
        self.builder.ins().trapz(reference, trap::to_clif(TrapCode::NullReference));
    }

    /// Makes an array of a segment; the code is that of a range that the segment has not.
    fn array_new_of(&mut self, builtin: Builtin, args: &[Value], outside: TrapCode) {
        let array = self.builtin(builtin, args).expect("it has a result");
        self.builder.ins().trapz(array, trap::to_clif(TrapCode::AllocationTooLarge));
        let is_outside = self.builder.ins().icmp_imm_u(IntCC::Equal, array, 1);
        self.trap_if(is_outside, outside);
        self.push(array);
    }

    fn array_init(&mut self, builtin: Builtin, segment: u32, outside: TrapCode) {
        let (to, from, len) = self.pop3();
        let array = self.pop();
        self.trap_if_null(array);
        let segment = self.index(segment);
        let status = self.builtin(builtin, &[array, segment, to, from, len]).expect("it has a result");
        let outside_array = self.builder.ins().icmp_imm_u(IntCC::Equal, status, 1);
        self.trap_if(outside_array, TrapCode::ArrayOutOfBounds);
        self.trap_if(status, outside);
    }

    /// Sets elements of an array, not null, to a value, which the runtime gets by its address: it may be of any size.
    fn fill(&mut self, array: Value, to: Value, value: Value, len: Value) {
        let slot = self.fill_slot();
        self.builder.ins().stack_store(types::I64, value, slot, 0);
        let address = self.builder.ins().stack_addr(types::I64, slot, 0);
        self.builtin_or_trap(Builtin::ArrayFill, &[array, to, address, len], TrapCode::ArrayOutOfBounds);
    }

    fn fill_slot(&mut self) -> StackSlot {
        let builder = &mut self.builder;
        let data = || StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 4);
        *self.fill_slot.get_or_insert_with(|| builder.create_sized_stack_slot(data()))
    }
}
