//! Callbacks: C functions that call a wasm function.
//!
//! The sandbox stands on this code: a stack pointer, pointer or integer that was not checked here is not checked at all.
//!
//! ```text
//!   cells = arguments, numbers normalised
//!   if vmctx.crossings.frame - sp >= vmctx.reach, unsigned:      callback_admit, or the default answer, or what it has left in the cells
//!                                                                (sp as it was at the call)
//!   cells: converted one by one, or all by                       callback_enter, or the default answer
//!   result = record.code(record.callee_vmctx, cells...)
//!   result: converted inline, or in cell 0 by                    callback_leave, or the default answer
//! ```
//!
//! Nothing is stored for the case of a trap in the wasm function: the signal handler unwinds by the frames' layouts. And no value lives in a
//! register across a call, so that hardly ever a register of the caller's is saved: arguments are in cells, and the record's address is taken
//! anew.
//!
//! Signatures that allow it get a fast entry in front of this ([`arch`](super::arch)); this is then what runs when something is out of the
//! ordinary.

use super::emit::{Emit, wasm_signature};
use super::structs::{self, StructResult};
use super::{ShapeKind, native};
use crate::signature::{Crossing, Signature};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, StackSlot, Type, Value, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::FunctionBuilder;
use wasmbridge_artifact::Builtin;
use wasmbridge_artifact::builtins::admission;
use wasmbridge_artifact::vmctx::{callback, crossing, head};

/// Builds the callback of a signature; through slots if the signature needs them, or if `slots` says so.
pub(super) fn build(builder: FunctionBuilder<'_>, signature: &Signature, slots: bool, config: TargetFrontendConfig) {
    let through_slots = slots || signature.needs_slots(ShapeKind::Callback);
    let (mut emit, params) = Emit::start(builder, native::called(signature), config);
    let slots = emit.cells(signature.params.len().max(1));
    let types = structs::store_arguments(&mut emit, signature, &params, slots);
    let struct_result = StructResult::new(&mut emit, signature);
    let mut callback = Callback { emit, signature, slots, types, struct_result, default: None };
    callback.store_room(&params);
    callback.admit();
    if through_slots {
        callback.enter();
        callback.ask_for_room();
        let result = callback.call();
        callback.leave(result);
    } else {
        callback.convert_arguments();
        let result = callback.call();
        let result = callback.end_lent(result);
        callback.convert_result(result);
    }
    callback.answer_default();
    callback.emit.finish(config);
}

pub(super) struct Callback<'a> {
    pub(super) emit: Emit<'a>,
    signature: &'a Signature,
    /// the arguments
    slots: StackSlot,
    /// of each argument, the type in which it lies in its cell
    types: Vec<Type>,
    /// the result's cells, if it is a struct
    pub(super) struct_result: Option<StructResult>,
    /// where the default value is returned, if anything goes there
    default: Option<Block>,
}

impl Callback<'_> {
    /// The entry check.
    fn admit(&mut self) {
        let emit = &mut self.emit;
        let record = emit.record();
        let vmctx = emit.load_pointer(record, callback::VMCTX);
        let (slow, admitted) = (emit.cold_block(), emit.builder.create_block());
        let pointer = emit.pointer;
        // As it was when C called: what lies below was left by others, if a `longjmp` has skipped them, however much of it this frame takes.
        let fp = emit.ins().get_frame_pointer(pointer);
        let sp = emit.ins().iadd_imm_u(fp, i64::from(pointer.bytes()));
        let crossing = emit.load_pointer(vmctx, head::CROSSINGS);
        let frame = emit.load_pointer(crossing, crossing::FRAME);
        let depth = emit.ins().isub(frame, sp);
        // The code generator must not load it before the frame: see artifact, `CrossingFrame`.
        let at = emit.ins().iadd_imm_s(vmctx, i64::from(head::REACH));
        let reach = emit.ins().atomic_load(pointer, MemFlagsData::trusted(), at);
        let beyond = emit.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, depth, reach);
        emit.branch(beyond, slow, &[], admitted, &[]);

        emit.switch_to(slow);
        let cells = emit.cells_address(self.slots);
        let result = self.struct_result.as_ref().map_or(cells, |result| result.cells_address(emit));
        let args = [record, sp, cells, result];
        let answer = emit.builtin(Builtin::CallbackAdmit, vmctx, &args).expect("it has a result");
        let (other, answered) = (emit.cold_block(), emit.cold_block());
        let entered = emit.ins().icmp_imm_s(IntCC::Equal, answer, i64::from(admission::ENTER));
        emit.branch(entered, admitted, &[], other, &[]);

        emit.switch_to(other);
        let has_answer = emit.ins().icmp_imm_s(IntCC::Equal, answer, i64::from(admission::ANSWERED));
        let default = self.default_block();
        self.emit.branch(has_answer, answered, &[], default, &[]);

        self.emit.switch_to(answered);
        self.return_cells();

        self.emit.switch_to(admitted);
    }

    /// Converts the arguments in the cells, one by one; handles last, so that none has been lent if another argument is refused.
    fn convert_arguments(&mut self) {
        for (i, param) in self.signature.params.iter().enumerate() {
            if let Crossing::Handle { .. } = param.crossing {
                continue;
            }
            let native = self.load_argument(i);
            let wasm = match param.crossing {
                Crossing::Scalar(_) | Crossing::User => {
                    let scalar = param.crossing.number().expect("a number, or user data");
                    let (wasm, misfit) = self.emit.number_into_wasm(scalar, native);
                    self.check_range(misfit, i, native);
                    wasm
                }
                Crossing::Pointer { .. } => self.pointer(i, native, param.nonnull),
                _ => unreachable!("a signature with such a parameter needs slots"),
            };
            self.emit.store_cell(wasm, self.slots, i);
        }
        for (i, param) in self.signature.params.iter().enumerate() {
            if let Crossing::Handle { .. } = param.crossing {
                let native = self.load_argument(i);
                let handle = self.lend(i, native, param.nonnull);
                self.emit.store_cell(handle, self.slots, i);
            }
        }
    }

    /// Gives the app a handle of an object.
    fn lend(&mut self, index: usize, native: Value, nonnull: bool) -> Value {
        let none = self.emit.ins().iconst(types::I32, 0);
        let joined = self.emit.join_block(&[none]);
        if !nonnull {
            let null = self.emit.is_zero(native);
            let other = self.emit.builder.create_block();
            self.emit.branch(null, joined, &[none], other, &[]);
            self.emit.switch_to(other);
        }
        let record = self.emit.record();
        let vmctx = self.emit.load_pointer(record, callback::VMCTX);
        let index = self.emit.ins().iconst(types::I32, index as i64);
        let cells = self.emit.cells_address(self.slots);
        let answer = self.emit.builtin(Builtin::CallbackLend, vmctx, &[record, index, native, cells]);
        let answer = answer.expect("it has a result");
        let refused = self.emit.is_refusal(answer);
        let handle = self.emit.ins().ireduce(types::I32, answer);
        let default = self.default_block();
        self.emit.branch(refused, default, &[], joined, &[handle]);
        self.emit.switch_to(joined)[0]
    }

    /// Ends the handles that were lent, if the signature has any. What lives across that is loaded again.
    fn end_lent(&mut self, result: Option<Value>) -> Option<Value> {
        if !self.signature.has_handles() {
            return result;
        }
        let spilled = self.emit.spill(result.as_slice());
        let record = self.emit.record();
        let owner = self.emit.load_pointer(record, callback::OWNER);
        let cells = self.emit.cells_address(self.slots);
        self.emit.builtin(Builtin::CallbackLentEnd, owner, &[owner, cells]);
        self.emit.reload(&spilled).pop()
    }

    /// A native argument.
    fn load_argument(&mut self, index: usize) -> Value {
        self.emit.load_cell(self.types[index], self.slots, index)
    }

    /// Answers with the default value if an integer does not fit.
    fn check_range(&mut self, misfit: Option<Value>, index: usize, native: Value) {
        let Some(misfit) = misfit else { return };
        let (slow, next) = (self.emit.cold_block(), self.emit.builder.create_block());
        self.emit.branch(misfit, slow, &[], next, &[]);

        self.emit.switch_to(slow);
        self.report(Builtin::CallbackRange, index, native);
        let default = self.default_block();
        self.emit.jump(default, &[]);

        self.emit.switch_to(next);
    }

    /// Calls a builtin with the record, the number of an argument, and its native value.
    fn report(&mut self, builtin: Builtin, index: usize, native: Value) -> Option<Value> {
        let record = self.emit.record();
        let vmctx = self.emit.load_pointer(record, callback::VMCTX);
        let index = self.emit.ins().iconst(types::I32, index as i64);
        self.emit.builtin(builtin, vmctx, &[record, index, native])
    }

    /// Converts a pointer: the memory takes up 4 GiB from an address whose low half is 0, so a pointer whose high half is that address's is its
    /// low half in the guest. Whether memory is there the guest finds out when it uses it, like with a pointer of its own.
    fn pointer(&mut self, index: usize, native: Value, nonnull: bool) -> Value {
        let record = self.emit.record();
        let elsewhere = self.emit.high_half_differs(native, record, callback::MEMORY_BASE);
        let low = self.emit.ins().ireduce(types::I32, native);
        let (slow, joined) = (self.emit.cold_block(), self.emit.join_block(&[low]));
        self.emit.branch(elsewhere, slow, &[], joined, &[low]);

        self.emit.switch_to(slow);
        self.emit.null_to(joined, native, types::I32, nonnull);
        let answer = self.report(Builtin::CallbackPointer, index, native).expect("it has a result");
        let refused = self.emit.is_refusal(answer);
        let low = self.emit.ins().ireduce(types::I32, answer);
        let default = self.default_block();
        self.emit.branch(refused, default, &[], joined, &[low]);

        self.emit.switch_to(joined)[0]
    }

    /// Has the builtin convert the arguments in the cells.
    fn enter(&mut self) {
        for (i, param) in self.signature.params.iter().enumerate() {
            if let Crossing::Scalar(scalar) = param.crossing {
                let native = self.load_argument(i);
                let (_, misfit) = self.emit.number_into_wasm(scalar, native);
                self.check_range(misfit, i, native);
                let cell = self.emit.number_into_cell(scalar, native);
                self.emit.store_cell(cell, self.slots, i);
            }
        }
        self.through_slots(Builtin::CallbackEnter);
    }

    /// Calls a builtin that converts cells; answers with the default value if it refuses.
    fn through_slots(&mut self, builtin: Builtin) {
        let record = self.emit.record();
        let vmctx = self.emit.load_pointer(record, callback::VMCTX);
        let cells = self.emit.cells_address(self.slots);
        let answer = self.emit.builtin(builtin, vmctx, &[record, cells]).expect("it has a result");
        let refused = self.emit.is_zero(answer);
        let default = self.default_block();
        self.emit.leave_if(refused, default);
    }

    /// Calls the wasm function with the values in the cells.
    fn call(&mut self) -> Option<Value> {
        let signature = wasm_signature(self.signature, self.emit.pointer);
        let record = self.emit.record();
        let mut values = vec![self.emit.load_pointer(record, callback::CALLEE_VMCTX)];
        let code = self.emit.load_pointer(record, callback::CODE);
        values.extend(self.guest_room());
        let first = values.len();
        for (i, param) in signature.params[first..].iter().enumerate() {
            values.push(self.emit.load_cell(param.value_type, self.slots, i));
        }
        self.emit.call(signature, code, &values)
    }

    /// Converts the result inline, and returns it.
    fn convert_result(&mut self, wasm: Option<Value>) {
        let native = self.signature.result.as_ref().zip(wasm).map(|(result, wasm)| match result.crossing {
            Crossing::Scalar(scalar) => self.emit.number_into_native(scalar, wasm),
            Crossing::User => self.emit.ins().uextend(types::I64, wasm),
            Crossing::Pointer { pointee_size, .. } => self.pointer_result(wasm, pointee_size, result.nonnull),
            Crossing::Extent(_) => self.extent_result(wasm),
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
        emit.null_to(joined, guest, types::I64, nonnull);
        let answer = emit.builtin(Builtin::CallbackResult, vmctx, &[record, guest]).expect("it has a result");
        let refused = emit.is_refusal(answer);
        let default = self.default_block();
        self.emit.branch(refused, default, &[], joined, &[answer]);

        self.emit.switch_to(joined)[0]
    }

    /// Has a builtin check memory that the app gives: its length depends on the arguments, whose wasm values are still in their cells.
    fn extent_result(&mut self, wasm: Value) -> Value {
        let emit = &mut self.emit;
        let guest = emit.ins().uextend(types::I64, wasm);
        let record = emit.record();
        let vmctx = emit.load_pointer(record, callback::VMCTX);
        let cells = emit.cells_address(self.slots);
        let answer = emit.builtin(Builtin::CallbackExtent, vmctx, &[record, cells, guest]).expect("it has a result");
        let refused = emit.is_refusal(answer);
        let default = self.default_block();
        self.emit.leave_if(refused, default);
        answer
    }

    /// Has the builtin convert the result, and returns it.
    fn leave(&mut self, wasm: Option<Value>) {
        if let Some(cell) = self.struct_result_cell(wasm) {
            self.emit.store_cell(cell, self.slots, 0);
        } else if let Some((result, wasm)) = self.signature.result.as_ref().zip(wasm) {
            let cell = match result.crossing {
                Crossing::Scalar(scalar) => {
                    let native = self.emit.number_into_native(scalar, wasm);
                    self.emit.number_into_cell(scalar, native)
                }
                _ => self.emit.wasm_into_cell(wasm),
            };
            self.emit.store_cell(cell, self.slots, 0);
        }
        self.through_slots(Builtin::CallbackLeave);
        self.return_cells();
    }

    /// Returns the result, which is in cells as C is to have it.
    fn return_cells(&mut self) {
        if self.return_struct() {
            return;
        }
        let native = self.emit.result_type().map(|ty| self.emit.load_cell(ty, self.slots, 0));
        self.emit.ins().return_(native.as_slice());
    }

    /// The block that returns the default value. Nothing is handed to it: it takes the record's address itself.
    pub(super) fn default_block(&mut self) -> Block {
        *self.default.get_or_insert_with(|| self.emit.cold_block())
    }

    fn answer_default(&mut self) {
        let default = self.default_block();
        self.emit.switch_to(default);
        if self.return_zero_struct() {
            return;
        }
        let record = self.emit.record();
        let value = self.emit.result_type().map(|ty| {
            let offset = if ty.is_float() { callback::DEFAULT_FLOAT } else { callback::DEFAULT_INT };
            self.emit.load(ty, record, offset)
        });
        self.emit.ins().return_(value.as_slice());
    }
}
