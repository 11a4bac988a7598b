//! Thunks: wasm functions that call a C function.
//!
//! The sandbox stands on this code: what the guest passes and was not checked here is not checked at all.
//!
//! ```text
//!   arguments: converted inline, or stored in slots and       thunk_enter, or a trap
//!   push a crossing frame
//!   result = record.function(arguments...)
//!   pop the crossing frame
//!   if the frame was not the innermost one any more:           thunk_returned, or a trap
//!   functions that C had until now:                            thunk_functions_end
//!   result: converted inline, or stored in slot 0 and         thunk_leave, or a trap
//! ```
//!
//! The check for a failed callback comes before the result is looked at: what a C library returns after it got a default answer means
//! nothing. What `thunk_enter` has made visible is then ended by whoever takes the trap.

use super::emit::{Emit, trap_code, wasm_signature};
use super::structs::StructResult;
use super::{ShapeKind, native};
use crate::objects::ObjectTypes;
use crate::signature::{Crossing, Scalar, Signature};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, StackSlot, Type, Value, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::FunctionBuilder;
use wasmbridge_artifact::vmctx::{crossing, handles, head, thunk};
use wasmbridge_artifact::{Builtin, TrapCode};

/// With more arguments than this, they are kept in cells while they are converted: there are no registers for them, and what is handed
/// from block to block would grow with their square.
const MANY: usize = 8;

/// Builds the thunk of a signature.
pub(super) fn build(
    builder: FunctionBuilder<'_>,
    signature: &Signature,
    objects: &ObjectTypes,
    config: TargetFrontendConfig,
) {
    let wasm = wasm_signature(signature, config.pointer_type());
    let (mut emit, mut params) = Emit::start(builder, wasm, config);
    let record = params.remove(0);
    let struct_result = StructResult::new(&mut emit, signature);
    let mut thunk = Thunk { struct_result, ..Thunk::start(emit, signature, objects, record) };
    thunk.store_room(&mut params);
    if signature.needs_slots(ShapeKind::Thunk) {
        let slots = thunk.emit.cells(params.len().max(1));
        thunk.variadic = signature.var_args().filter(|var_args| var_args.1).map(|var_args| (slots, var_args.0));
        let params = thunk.enter(&params, slots);
        let result = thunk.call(&params);
        thunk.leave(&result, slots);
    } else {
        thunk.convert_arguments(&mut params);
        let result = thunk.call(&params);
        let result = thunk.end_functions(result);
        thunk.convert_result(result.first().copied());
    }
    thunk.emit.finish(config);
}

/// The record and the vmctx, as they are at the place that is being built.
#[derive(Clone, Copy)]
struct Here {
    record: Value,
    vmctx: Value,
}

pub(super) struct Thunk<'a> {
    pub(super) emit: Emit<'a>,
    pub(super) signature: &'a Signature,
    /// of handles' types
    objects: &'a ObjectTypes,
    at: Here,
    /// the cells of each argument that is a struct, by its number
    pub(super) struct_args: Vec<(usize, StackSlot)>,
    /// the result's cells, if it is a struct
    pub(super) struct_result: Option<StructResult>,
    /// the slots, and which of them is that of `...`
    variadic: Option<(StackSlot, usize)>,
}

impl<'a> Thunk<'a> {
    /// A thunk whose record is this, with nothing converted.
    pub(super) fn start(
        mut emit: Emit<'a>,
        signature: &'a Signature,
        objects: &'a ObjectTypes,
        record: Value,
    ) -> Thunk<'a> {
        let vmctx = emit.load_pointer(record, thunk::VMCTX);
        Thunk {
            emit,
            signature,
            objects,
            at: Here { record, vmctx },
            struct_args: Vec::new(),
            struct_result: None,
            variadic: None,
        }
    }

    /// The vmctx, at the place that is being built.
    pub(super) fn vmctx(&self) -> Value {
        self.at.vmctx
    }

    /// Converts arguments, each inline.
    fn convert_arguments(&mut self, values: &mut Vec<Value>) {
        if values.len() <= MANY {
            for i in 0..values.len() {
                self.convert(values, i, i);
            }
            return;
        }
        let slots = self.emit.cells(values.len());
        let types: Vec<Type> = values.iter().map(|&value| self.emit.builder.func.dfg.value_type(value)).collect();
        for (i, &value) in values.iter().enumerate() {
            self.emit.store_cell(value, slots, i);
        }
        for (i, ty) in types.into_iter().enumerate() {
            let mut value = vec![self.emit.load_cell(ty, slots, i)];
            self.convert(&mut value, 0, i);
            self.emit.store_cell(value[0], slots, i);
        }
        *values = self.load_natives(slots);
    }

    /// Converts the value at a place among those that are kept in registers: argument number `index`.
    fn convert(&mut self, values: &mut Vec<Value>, place: usize, index: usize) {
        let param = &self.signature.params[index];
        let wasm = values[place];
        match param.crossing {
            Crossing::Scalar(scalar) => values[place] = self.emit.number_into_native(scalar, wasm),
            Crossing::User => values[place] = self.emit.ins().uextend(types::I64, wasm),
            Crossing::Pointer { pointee_size, .. } => self.pointer(values, place, index, pointee_size, param.nonnull),
            Crossing::Handle { ref type_name, .. } => self.handle(values, place, index, type_name, param.nonnull),
            Crossing::Function { .. } => {
                values.remove(place);
                let native = self.ask(Builtin::ThunkFunction, values, index, wasm);
                values.insert(place, native);
            }
            _ => unreachable!("a signature with such a parameter needs slots"),
        }
    }

    /// Converts a pointer: what it points to must lie inside the memory.
    fn pointer(&mut self, values: &mut Vec<Value>, place: usize, index: usize, size: u32, nonnull: bool) {
        let emit = &mut self.emit;
        let Here { record, vmctx } = self.at;
        let wasm = values[place];
        let slow = emit.cold_block();
        values[place] = emit.checked_address(vmctx, record, thunk::MEMORY_BASE, wasm, size, slow);
        let joined = emit.join_block(&all(self.at, values));
        emit.jump(joined, &all(self.at, values));

        emit.switch_to(slow);
        let guest = emit.ins().uextend(types::I64, wasm);
        values[place] = guest;
        let other = (!nonnull).then(|| emit.cold_block());
        self.ask_unless_null(values, place, index, other, joined);
    }

    /// Converts a handle: its slot's key says whether it is what it should be ([`handles`]). The builtin finds out what else it may be.
    fn handle(&mut self, values: &mut Vec<Value>, place: usize, index: usize, type_name: &str, nonnull: bool) {
        let key = handles::key(self.objects.number(type_name), 0);
        let emit = &mut self.emit;
        let vmctx = self.at.vmctx;
        let handle = values[place];
        let guest = emit.ins().uextend(types::I64, handle);
        let wanted = emit.ins().iconst(types::I64, key as i64);
        let wanted = emit.ins().bor(wanted, guest);
        let slot = emit.ins().band_imm_u(handle, i64::from(handles::INDEX_MASK));
        let slot = emit.ins().uextend(types::I64, slot);
        let distance = emit.ins().ishl_imm_u(slot, 3);
        let table = emit.load_pointer(vmctx, head::HANDLES);
        let slot = emit.ins().iadd(table, distance);
        let key = emit.load(types::I64, slot, 0);
        let differs = emit.ins().icmp(IntCC::NotEqual, key, wanted);
        let slow = emit.cold_block();
        emit.leave_if(differs, slow);
        values[place] = emit.load_pointer(slot, handles::OBJECT);
        let joined = emit.join_block(&all(self.at, values));
        emit.jump(joined, &all(self.at, values));

        emit.switch_to(slow);
        values[place] = guest;
        let other = (!nonnull).then(|| emit.cold_block());
        self.ask_unless_null(values, place, index, other, joined);
    }

    /// Goes on in `joined`, with the value at `place`, which is the guest's, as the builtin converts it. Where NULL is allowed it stays NULL, and all
    /// else goes to the block `other` first.
    fn ask_unless_null(
        &mut self,
        values: &mut Vec<Value>,
        place: usize,
        index: usize,
        other: Option<Block>,
        joined: Block,
    ) {
        let guest = values[place];
        if let Some(other) = other {
            let null = self.emit.is_zero(guest);
            self.emit.branch(null, joined, &all(self.at, values), other, &[]);
            self.emit.switch_to(other);
        }
        values.remove(place);
        let native = self.ask(Builtin::ThunkPointer, values, index, guest);
        values.insert(place, native);
        self.emit.jump(joined, &all(self.at, values));

        let mut joined = self.emit.switch_to(joined);
        *values = joined.split_off(2);
        self.at = Here { record: joined[0], vmctx: joined[1] };
    }

    /// Has a builtin convert an argument; traps if it refuses. What lives across the call is loaded again after it.
    fn ask(&mut self, builtin: Builtin, others: &mut Vec<Value>, index: usize, wasm: Value) -> Value {
        let emit = &mut self.emit;
        let Here { record, vmctx } = self.at;
        others.push(record);
        let spilled = emit.spill(others);
        let index = emit.ins().iconst(types::I32, index as i64);
        let native = emit.builtin(builtin, vmctx, &[record, index, wasm]).expect("it has a result");
        let refused = emit.is_refusal(native);
        emit.ins().trapnz(refused, trap_code(TrapCode::Crossing));
        *others = emit.reload(&spilled);
        let record = others.pop().expect("the record was the last");
        let vmctx = emit.load_pointer(record, thunk::VMCTX);
        self.at = Here { record, vmctx };
        native
    }

    /// Converts arguments by the builtin; what to pass to the C function.
    fn enter(&mut self, values: &[Value], slots: StackSlot) -> Vec<Value> {
        for (i, param) in self.signature.params.iter().enumerate() {
            let cell = match param.crossing {
                Crossing::Scalar(scalar) => {
                    let native = self.emit.number_into_native(scalar, values[i]);
                    self.emit.number_into_cell(scalar, native)
                }
                _ => match self.store_struct(i, values[i]) {
                    Some(cells) => cells,
                    None => self.emit.wasm_into_cell(values[i]),
                },
            };
            self.emit.store_cell(cell, slots, i);
        }
        // The record is wanted after the call as well.
        let spilled = self.emit.spill(&[self.at.record]);
        self.through_slots(Builtin::ThunkEnter, slots);
        let record = self.emit.reload(&spilled)[0];
        self.at = Here { record, vmctx: self.emit.load_pointer(record, thunk::VMCTX) };
        if self.variadic.is_some() { Vec::new() } else { self.load_natives(slots) }
    }

    /// Calls a builtin that converts slots; traps if it refuses.
    fn through_slots(&mut self, builtin: Builtin, slots: StackSlot) {
        let address = self.emit.cells_address(slots);
        let answer = self.emit.builtin(builtin, self.at.vmctx, &[self.at.record, address]).expect("it has a result");
        self.emit.ins().trapz(answer, trap_code(TrapCode::Crossing));
    }

    /// Calls the C function, with a crossing frame as [`CrossingFrame`](wasmbridge_artifact::vmctx::CrossingFrame) says.
    pub(super) fn call(&mut self, values: &[Value]) -> Vec<Value> {
        let emit = &mut self.emit;
        let Here { record, vmctx } = self.at;
        let pointer = emit.pointer;

        if self.signature.leaf {
            let spilled = emit.spill(&[record]);
            let function = emit.load_pointer(record, thunk::FUNCTION);
            let result = self.call_function(function, vmctx, values);
            let emit = &mut self.emit;
            let record = emit.reload(&spilled)[0];
            let vmctx = emit.load_pointer(record, thunk::VMCTX);
            self.at = Here { record, vmctx };
            return result;
        }
        let innermost = emit.load_pointer(vmctx, head::CROSSINGS);
        let frame = emit.ins().iadd_imm_s(innermost, i64::from(-crossing::SIZE));
        // The first store is the one that meets the guard page if the array is full.
        let may_fault = MemFlagsData::new().with_aligned().with_trap_code(Some(trap_code(TrapCode::StackOverflow)));
        let frame_pointer = emit.ins().get_frame_pointer(pointer);
        emit.ins().store(may_fault, frame_pointer, frame, crossing::FRAME);
        let stack_pointer = emit.load(types::I64, vmctx, head::STACK_POINTER);
        emit.store(stack_pointer, frame, crossing::STACK_POINTER);
        emit.store(record, frame, crossing::RECORD);
        emit.store(frame, vmctx, head::CROSSINGS);

        let spilled = emit.spill(&[record]);
        let function = emit.load_pointer(record, thunk::FUNCTION);
        let result = self.call_function(function, vmctx, values);
        let emit = &mut self.emit;

        let record = emit.reload(&spilled)[0];
        let vmctx = emit.load_pointer(record, thunk::VMCTX);
        let innermost = emit.load_pointer(vmctx, head::CROSSINGS);
        let found = emit.load_pointer(innermost, crossing::FRAME);
        let own = emit.ins().get_frame_pointer(pointer);
        let differs = emit.ins().icmp(IntCC::NotEqual, found, own);
        let all = [&[record, vmctx], &result[..]].concat();
        let (slow, undisturbed, joined) = (emit.cold_block(), emit.builder.create_block(), emit.join_block(&all));
        emit.branch(differs, slow, &[], undisturbed, &[]);

        emit.switch_to(slow);
        let spilled = emit.spill(&all);
        let own = emit.ins().get_frame_pointer(pointer);
        let answer = emit.builtin(Builtin::ThunkReturned, vmctx, &[vmctx, own]).expect("it has a result");
        if self.signature.unwind {
            let failed = emit.is_zero(answer);
            emit.trap_with_registers_saved(failed, TrapCode::CallbackFailed);
        } else {
            emit.ins().trapz(answer, trap_code(TrapCode::CallbackFailed));
        }
        let reloaded = emit.reload(&spilled);
        emit.jump(joined, &reloaded);

        emit.switch_to(undisturbed);
        let above = emit.ins().iadd_imm_s(innermost, i64::from(crossing::SIZE));
        emit.store(above, vmctx, head::CROSSINGS);
        emit.jump(joined, &all);

        let mut joined = emit.switch_to(joined);
        let result = joined.split_off(2);
        let (record, vmctx) = (joined[0], joined[1]);
        self.at = Here { record, vmctx };
        result
    }

    /// Has a builtin end what C had until it returned. Where slots are converted, that does it.
    fn end_functions(&mut self, result: Vec<Value>) -> Vec<Value> {
        if !self.signature.ends_functions() {
            return result;
        }
        let emit = &mut self.emit;
        let Here { record, vmctx } = self.at;
        let spilled = emit.spill(&[&[record], &result[..]].concat());
        emit.builtin(Builtin::ThunkFunctionsEnd, vmctx, &[vmctx]);
        let mut reloaded = emit.reload(&spilled);
        let record = reloaded.remove(0);
        self.at = Here { record, vmctx: emit.load_pointer(record, thunk::VMCTX) };
        reloaded
    }

    fn call_function(&mut self, function: Value, vmctx: Value, values: &[Value]) -> Vec<Value> {
        match self.variadic {
            Some((slots, cell)) => self.call_variadic(function, vmctx, slots, cell),
            None => self.emit.call_for_all(native::calling(self.signature).0, function, values),
        }
    }

    /// Converts the result inline, and returns it.
    fn convert_result(&mut self, native: Option<Value>) {
        let wasm = self.signature.result.as_ref().zip(native).map(|(result, native)| match result.crossing {
            Crossing::Scalar(scalar) => self.number_result(scalar, native),
            Crossing::User => self.number_result(Scalar::ULONG, native),
            Crossing::Pointer { .. } => self.pointer_result(native, result.nonnull),
            _ => unreachable!("a signature with such a result needs slots"),
        });
        self.emit.ins().return_(wasm.as_slice());
    }

    /// Converts a number; traps if it does not fit.
    fn number_result(&mut self, scalar: Scalar, native: Value) -> Value {
        let (wasm, misfit) = self.emit.number_into_wasm(scalar, native);
        if let Some(misfit) = misfit {
            let slow = self.emit.cold_block();
            let next = self.emit.builder.create_block();
            self.emit.branch(misfit, slow, &[], next, &[]);
            self.emit.switch_to(slow);
            self.emit.builtin(Builtin::ThunkRange, self.at.vmctx, &[self.at.record, native]);
            self.emit.ins().trap(trap_code(TrapCode::Crossing));
            self.emit.switch_to(next);
        }
        wasm
    }

    /// Converts a pointer: see the callback's pointers.
    fn pointer_result(&mut self, native: Value, nonnull: bool) -> Value {
        let emit = &mut self.emit;
        let Here { record, vmctx } = self.at;
        let elsewhere = emit.high_half_differs(native, record, thunk::MEMORY_BASE);
        let low = emit.ins().ireduce(types::I32, native);
        let (slow, joined) = (emit.cold_block(), emit.join_block(&[low]));
        emit.branch(elsewhere, slow, &[], joined, &[low]);

        emit.switch_to(slow);
        emit.null_to(joined, native, types::I32, nonnull);
        let answer = emit.builtin(Builtin::ThunkResult, vmctx, &[record, native]).expect("it has a result");
        let refused = emit.is_refusal(answer);
        emit.ins().trapnz(refused, trap_code(TrapCode::Crossing));
        let low = emit.ins().ireduce(types::I32, answer);
        emit.jump(joined, &[low]);

        emit.switch_to(joined)[0]
    }

    /// Converts the result by the builtin, and returns it.
    fn leave(&mut self, native: &[Value], slots: StackSlot) {
        let result = self.signature.result.as_ref().zip(native.first().copied());
        if let Some(cell) = self.struct_result_cell(native) {
            self.emit.store_cell(cell, slots, 0);
        } else if let Some((result, native)) = result {
            let cell = match result.crossing {
                Crossing::Scalar(scalar) => {
                    let wasm = self.number_result(scalar, native);
                    let normal = self.emit.number_into_native(scalar, wasm);
                    self.emit.number_into_cell(scalar, normal)
                }
                _ => native,
            };
            self.emit.store_cell(cell, slots, 0);
        }
        self.through_slots(Builtin::ThunkLeave, slots);
        if self.return_struct() {
            return;
        }
        let wasm = self.emit.result_type().map(|ty| self.emit.load_cell(ty, slots, 0));
        self.emit.ins().return_(wasm.as_slice());
    }
}

fn all(at: Here, values: &[Value]) -> Vec<Value> {
    let mut all = vec![at.record, at.vmctx];
    all.extend_from_slice(values);
    all
}
