//! Callbacks: C functions that call a wasm function.
//!
//! The sandbox stands on this code: a stack pointer, pointer or integer that was not checked here is not checked at all.
//!
//! ```text
//!   record = address of this copy's record
//!   vmctx = record.vmctx
//!   if sp < vmctx.stack_limit or sp >= vmctx.entry_ceiling:   callback_admit, or the default answer
//!   arguments: converted inline, or stored in slots and            callback_enter, or the default answer
//!   result = record.code(record.callee_vmctx, arguments...)
//!   result: converted inline, or stored in slot 0 and              callback_leave, or the default answer
//! ```
//!
//! Nothing is stored for the case of a trap in the wasm function: the signal handler unwinds by the frames' layouts. The vmctx and the
//! record are read again after the call, because keeping them would cost a register to be saved.

use super::ShapeKind;
use super::emit::{Emit, native_signature, wasm_signature};
use crate::signature::{Crossing, Signature};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, StackSlot, Value, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::FunctionBuilder;
use wasmbridge_artifact::Builtin;
use wasmbridge_artifact::vmctx::{callback, head};

/// Builds the callback of a signature.
pub(super) fn build(builder: FunctionBuilder<'_>, signature: &Signature, config: TargetFrontendConfig) {
    let (emit, params) = Emit::start(builder, native_signature(signature), config);
    let mut callback = Callback { emit, signature, default: None };
    let (mut record, mut values) = callback.admit(&params);
    if signature.needs_slots(ShapeKind::Callback) {
        let slots = callback.emit.cells(params.len().max(1));
        record = callback.enter(record, &mut values, slots);
        let result = callback.call(record, &values);
        callback.leave(result, slots);
    } else {
        callback.convert_arguments(&mut record, &mut values);
        let result = callback.call(record, &values);
        callback.convert_result(result);
    }
    callback.answer_default();
    callback.emit.finish(config);
}

struct Callback<'a> {
    emit: Emit<'a>,
    signature: &'a Signature,
    /// where the default value is returned, if anything goes there
    default: Option<Block>,
}

impl Callback<'_> {
    /// The entry check. Returns the record and the parameters, as they are after it.
    fn admit(&mut self, params: &[Value]) -> (Value, Vec<Value>) {
        let emit = &mut self.emit;
        let record = emit.record();
        let vmctx = emit.load_pointer(record, callback::VMCTX);
        let slow = emit.cold_block();
        let pointer = emit.pointer;
        let sp = emit.ins().get_stack_pointer(pointer);
        let limit = emit.load_pointer(vmctx, head::STACK_LIMIT);
        let below = emit.ins().icmp(IntCC::UnsignedLessThan, sp, limit);
        emit.leave_if(below, slow);
        let ceiling = emit.load_pointer(vmctx, head::ENTRY_CEILING);
        let above = emit.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, sp, ceiling);
        let hot = with(record, params);
        let admitted = emit.join_block(&hot);
        emit.branch(above, slow, &[], admitted, &hot);

        emit.switch_to(slow);
        let spilled = emit.spill(params);
        let answer = emit.builtin(Builtin::CallbackAdmit, vmctx, &[record, sp]).expect("it has a result");
        let record = emit.record();
        let params = emit.reload(&spilled);
        let refused = emit.is_zero(answer);
        let default = self.default_block();
        self.emit.branch(refused, default, &[], admitted, &with(record, &params));

        split(self.emit.switch_to(admitted))
    }

    /// Converts arguments, each inline.
    fn convert_arguments(&mut self, record: &mut Value, values: &mut Vec<Value>) {
        for (i, param) in self.signature.params.iter().enumerate() {
            match param.crossing {
                Crossing::Scalar(scalar) => {
                    let (wasm, misfit) = self.emit.number_into_wasm(scalar, values[i]);
                    self.check_range(misfit, *record, i, values[i]);
                    values[i] = wasm;
                }
                Crossing::User => values[i] = self.emit.ins().ireduce(types::I32, values[i]),
                Crossing::Pointer { .. } => self.pointer(record, values, i, param.nonnull),
                _ => unreachable!("a signature with such a parameter needs slots"),
            }
        }
    }

    /// Answers with the default value if an integer does not fit.
    fn check_range(&mut self, misfit: Option<Value>, record: Value, index: usize, native: Value) {
        let Some(misfit) = misfit else { return };
        let slow = self.emit.cold_block();
        let next = self.emit.builder.create_block();
        self.emit.branch(misfit, slow, &[], next, &[]);

        self.emit.switch_to(slow);
        let vmctx = self.emit.load_pointer(record, callback::VMCTX);
        let index = self.emit.ins().iconst(types::I32, index as i64);
        self.emit.builtin(Builtin::CallbackRange, vmctx, &[record, index, native]);
        let default = self.default_block();
        self.emit.jump(default, &[]);

        self.emit.switch_to(next);
    }

    /// Converts a pointer: the memory takes up 4 GiB from an address whose low half is 0, so a pointer whose high half is that address's is its
    /// low half in the guest. Whether memory is there the guest finds out when it uses it, like with a pointer of its own.
    fn pointer(&mut self, record: &mut Value, values: &mut Vec<Value>, index: usize, nonnull: bool) {
        let emit = &mut self.emit;
        let native = values[index];
        let base = emit.load_pointer(*record, callback::MEMORY_BASE);
        let distance = emit.ins().bxor(native, base);
        let elsewhere = emit.ins().ushr_imm_u(distance, 32);
        values[index] = emit.ins().ireduce(types::I32, native);
        let hot = with(*record, values);
        let joined = emit.join_block(&hot);
        let slow = emit.cold_block();
        emit.branch(elsewhere, slow, &[], joined, &hot);

        emit.switch_to(slow);
        if !nonnull {
            let null = emit.is_zero(native);
            let other = emit.cold_block();
            values[index] = emit.ins().iconst(types::I32, 0);
            emit.branch(null, joined, &with(*record, values), other, &[]);
            emit.switch_to(other);
        }
        values.remove(index);
        let spilled = emit.spill(values);
        let vmctx = emit.load_pointer(*record, callback::VMCTX);
        let number = emit.ins().iconst(types::I32, index as i64);
        let answer =
            emit.builtin(Builtin::CallbackPointer, vmctx, &[*record, number, native]).expect("it has a result");
        let record_again = emit.record();
        let mut values_again = emit.reload(&spilled);
        values_again.insert(index, emit.ins().ireduce(types::I32, answer));
        let refused = emit.is_refusal(answer);
        let default = self.default_block();
        self.emit.branch(refused, default, &[], joined, &with(record_again, &values_again));

        (*record, *values) = split(self.emit.switch_to(joined));
    }

    /// Converts arguments by the builtin.
    fn enter(&mut self, record: Value, values: &mut Vec<Value>, slots: StackSlot) -> Value {
        for (i, param) in self.signature.params.iter().enumerate() {
            let cell = match param.crossing {
                Crossing::Scalar(scalar) => {
                    let (_, misfit) = self.emit.number_into_wasm(scalar, values[i]);
                    self.check_range(misfit, record, i, values[i]);
                    self.emit.number_into_cell(scalar, values[i])
                }
                _ => values[i],
            };
            self.emit.store_cell(cell, slots, i);
        }
        self.through_slots(Builtin::CallbackEnter, record, slots);
        let types = self.signature.params.iter().map(|param| super::emit::wasm_type(param.wasm_type()));
        *values = types.enumerate().map(|(i, ty)| self.emit.load_cell(ty, slots, i)).collect();
        self.emit.record()
    }

    /// Calls a builtin that converts slots; answers with the default value if it refuses.
    fn through_slots(&mut self, builtin: Builtin, record: Value, slots: StackSlot) {
        let vmctx = self.emit.load_pointer(record, callback::VMCTX);
        let address = self.emit.cells_address(slots);
        let answer = self.emit.builtin(builtin, vmctx, &[record, address]).expect("it has a result");
        let refused = self.emit.is_zero(answer);
        let default = self.default_block();
        self.emit.leave_if(refused, default);
    }

    fn call(&mut self, record: Value, values: &[Value]) -> Option<Value> {
        let signature = wasm_signature(self.signature, self.emit.pointer);
        let callee = self.emit.load_pointer(record, callback::CALLEE_VMCTX);
        let code = self.emit.load_pointer(record, callback::CODE);
        self.emit.call(signature, code, &with(callee, values))
    }

    /// Converts the result inline, and returns it.
    fn convert_result(&mut self, wasm: Option<Value>) {
        let native = self.signature.result.as_ref().zip(wasm).map(|(result, wasm)| match result.crossing {
            Crossing::Scalar(scalar) => self.emit.number_into_native(scalar, wasm),
            Crossing::User => self.emit.ins().uextend(types::I64, wasm),
            Crossing::Pointer { pointee_size, .. } => self.pointer_result(wasm, pointee_size, result.nonnull),
            _ => unreachable!("a signature with such a result needs slots"),
        });
        self.emit.ins().return_(native.as_slice());
    }

    fn pointer_result(&mut self, wasm: Value, size: u32, nonnull: bool) -> Value {
        let emit = &mut self.emit;
        let record = emit.record();
        let vmctx = emit.load_pointer(record, callback::VMCTX);
        let (slow, joined) = (emit.cold_block(), emit.builder.create_block());
        emit.builder.append_block_param(joined, types::I64);
        let native = emit.checked_address(vmctx, record, callback::MEMORY_BASE, wasm, size, slow);
        emit.jump(joined, &[native]);

        emit.switch_to(slow);
        let guest = emit.ins().uextend(types::I64, wasm);
        if !nonnull {
            let null = emit.is_zero(guest);
            let other = emit.cold_block();
            emit.branch(null, joined, &[guest], other, &[]);
            emit.switch_to(other);
        }
        let answer = emit.builtin(Builtin::CallbackResult, vmctx, &[record, guest]).expect("it has a result");
        let refused = emit.is_refusal(answer);
        let default = self.default_block();
        self.emit.branch(refused, default, &[], joined, &[answer]);

        self.emit.switch_to(joined)[0]
    }

    /// Converts the result by the builtin, and returns it.
    fn leave(&mut self, wasm: Option<Value>, slots: StackSlot) {
        if let Some((result, wasm)) = self.signature.result.as_ref().zip(wasm) {
            let cell = match result.crossing {
                Crossing::Scalar(scalar) => {
                    let native = self.emit.number_into_native(scalar, wasm);
                    self.emit.number_into_cell(scalar, native)
                }
                _ => self.emit.ins().uextend(types::I64, wasm),
            };
            self.emit.store_cell(cell, slots, 0);
        }
        let record = self.emit.record();
        self.through_slots(Builtin::CallbackLeave, record, slots);
        let ty = self.emit.builder.func.signature.returns.first().map(|result| result.value_type);
        let native = ty.map(|ty| self.emit.load_cell(ty, slots, 0));
        self.emit.ins().return_(native.as_slice());
    }

    /// The block that returns the default value. Nothing is handed to it: it takes the record's address itself.
    fn default_block(&mut self) -> Block {
        *self.default.get_or_insert_with(|| self.emit.cold_block())
    }

    fn answer_default(&mut self) {
        let default = self.default_block();
        self.emit.switch_to(default);
        let record = self.emit.record();
        let ty = self.emit.builder.func.signature.returns.first().map(|result| result.value_type);
        let value = ty.map(|ty| {
            let offset = if ty.is_float() { callback::DEFAULT_FLOAT } else { callback::DEFAULT_INT };
            self.emit.load(ty, record, offset)
        });
        self.emit.ins().return_(value.as_slice());
    }
}

fn with(first: Value, rest: &[Value]) -> Vec<Value> {
    let mut all = vec![first];
    all.extend_from_slice(rest);
    all
}

/// The inverse of [`with`].
fn split(mut all: Vec<Value>) -> (Value, Vec<Value>) {
    let first = all.remove(0);
    (first, all)
}
