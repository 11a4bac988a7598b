//! Standing crossing frames: a function that calls imports in a loop leaves one [`CrossingFrame`](wasmbridge_artifact::vmctx::CrossingFrame) for all of these calls.
//!
//! The sandbox does not stand on this file, but what a host is promised of callbacks that fail and of a `longjmp` does. Such a function begins with
//!
//! ```text
//!     own = vmctx.crossings - size             ; the store meets the guard page if the array is full
//!     own.frame, own.stack_pointer, own.record = the function's stack pointer, the guest's, the function's frame pointer + 1
//!     vmctx.crossings = own
//! ```
//!
//! and takes it off before it returns. After each call of an import, which leaves no frame of its own ([`FunctionImport::covered`](wasmbridge_artifact::vmctx::FunctionImport::covered)),
//!
//! ```text
//!     vmctx.crossings == own, or covered_returned, or a trap
//! ```
//!
//! says whether something has happened meanwhile. If the C function has thrown, `covered_returned` goes on in the handler. While the function runs itself, or what it has called in wasm, the frame does no harm: nobody enters
//! from C.
//!
//! The guest's stack pointer is put back to where the function has it if a `longjmp` skips callbacks below one of its calls. It is noted again where that can have
//! changed: when the function sets it, and after calls of wasm functions. A callback that returns to C with it elsewhere is not followed.

use super::exception::Callee;
use super::flags::Region;
use super::{Translator, trap};
use crate::read::{Body, Input};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind, Value, types};
use wasmbridge_artifact::vmctx::{crossing, head, is_direct};
use wasmbridge_artifact::{Builtin, TrapCode};
use wasmparser::Operator;

/// What a function has that calls imports in a loop.
pub(super) struct Standing {
    /// its crossing frame
    own: Value,
    /// where a result is while `covered_returned` runs
    result: Option<StackSlot>,
    /// its calls of imports: where they are in the wasm file, and the import
    pub(super) calls: Vec<(u32, u32)>,
}

/// Whether a function calls imports in a loop. What is not valid is found by whoever translates it.
pub(super) fn calls_imports_in_loop(input: &Input<'_>, body: &Body<'_>) -> bool {
    if !input.module.functions[..input.imported.functions as usize]
        .iter()
        .any(|&ty| is_direct(input.module.func_type(ty)))
    {
        return false;
    }
    let Ok(operators) = body.body.get_operators_reader() else { return false };
    // Of each open block, whether it is a loop.
    let (mut blocks, mut loops) = (Vec::new(), 0);
    for op in operators {
        match op {
            Ok(Operator::Loop { .. }) => {
                blocks.push(true);
                loops += 1;
            }
            Ok(Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } | Operator::Try { .. }) => {
                blocks.push(false);
            }
            Ok(Operator::Delegate { .. }) => drop(blocks.pop()),
            Ok(Operator::End) if blocks.pop() == Some(true) => loops -= 1,
            Ok(Operator::Call { function_index }) if loops > 0 && function_index < input.imported.functions => {
                let ty = input.module.functions[function_index as usize];
                if is_direct(input.module.func_type(ty)) {
                    return true;
                }
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

impl Translator<'_, '_> {
    /// Leaves the function's crossing frame.
    pub(super) fn begin_standing(&mut self) {
        let (vmctx, crossings) = (self.vmctx, self.trusted(Region::Crossings));
        let innermost = self.builder.ins().load(types::I64, crossings, vmctx, head::CROSSINGS);
        let own = self.builder.ins().iadd_imm_s(innermost, i64::from(-crossing::SIZE));
        let stack_pointer = self.builder.ins().get_stack_pointer(types::I64);
        let may_fault = crossings.with_trap_code(Some(trap::to_clif(TrapCode::StackOverflow)));
        self.builder.ins().store(may_fault, stack_pointer, own, crossing::FRAME);
        let frame_pointer = self.builder.ins().get_frame_pointer(types::I64);
        let record = self.builder.ins().iadd_imm_s(frame_pointer, crossing::STANDING);
        self.builder.ins().store(crossings, record, own, crossing::RECORD);
        self.builder.ins().store(crossings, own, vmctx, head::CROSSINGS);
        // Kept as it is from here on: else it would be computed again at each comparison, from where the outer one is. It is what has just been stored, but nobody
        // looks behind an atomic access.
        let place = self.builder.ins().iadd_imm_s(vmctx, i64::from(head::CROSSINGS));
        let own = self.builder.ins().atomic_load(types::I64, MemFlagsData::trusted(), place);
        self.standing = Some(Standing { own, result: None, calls: Vec::new() });
        if self.module.stack_pointer.is_some() {
            self.note_stack_pointer();
        } else {
            let none = self.iconst(types::I64, 0);
            self.builder.ins().store(crossings, none, own, crossing::STACK_POINTER);
        }
    }

    /// Takes the function's crossing frame off, if it has one: it returns.
    pub(super) fn end_standing(&mut self) {
        let Some(Standing { own, .. }) = self.standing else { return };
        let (vmctx, crossings) = (self.vmctx, self.trusted(Region::Crossings));
        let outer = self.builder.ins().iadd_imm_s(own, i64::from(crossing::SIZE));
        self.builder.ins().store(crossings, outer, vmctx, head::CROSSINGS);
    }

    /// Notes the guest's stack pointer, if the function has a crossing frame to note it in.
    pub(super) fn note_stack_pointer(&mut self) {
        let Some((global, own)) = self.module.stack_pointer.zip(self.standing.as_ref().map(|standing| standing.own))
        else {
            return;
        };
        let value = self.global_value(global);
        let value = self.widen(value);
        let crossings = self.trusted(Region::Crossings);
        self.builder.ins().store(crossings, value, own, crossing::STACK_POINTER);
    }

    /// An import has returned that the function's crossing frame covered; its result, if it has one, is on the operand stack. Traps if a callback has failed
    /// meanwhile.
    pub(super) fn check_returned(&mut self, results: usize) {
        let Some(own) = self.standing.as_ref().map(|standing| standing.own) else { return };
        let (vmctx, crossings) = (self.vmctx, self.trusted(Region::Crossings));
        let innermost = self.builder.ins().load(types::I64, crossings, vmctx, head::CROSSINGS);
        let differs = self.builder.ins().icmp(IntCC::NotEqual, own, innermost);
        let result = self.stack[self.stack.len() - results..].first().copied();
        let (slow, next) = (self.builder.create_block(), self.block_with(result.map(|value| self.type_of(value))));
        self.builder.set_cold_block(slow);
        let carried: Vec<_> = result.map(Into::into).into_iter().collect();
        self.builder.ins().brif(differs, slow, &[], next, &carried);
        self.builder.seal_block(slow);

        // Here the result is in memory, so that it is not kept in a register that the function would have to save.
        self.builder.switch_to_block(slow);
        let slot = result.map(|value| (value, self.result_slot()));
        if let Some((value, slot)) = slot {
            self.builder.ins().stack_store(types::I64, value, slot, 0);
        }
        let frame = self.builder.ins().load(types::I64, crossings, own, crossing::FRAME);
        let answer = self.ask_covered_returned(frame);
        self.builder.ins().trapz(answer, trap::to_clif(TrapCode::CallbackFailed));
        let carried = slot.map(|(value, slot)| {
            let ty = self.type_of(value);
            self.builder.ins().stack_load(types::I64, ty, slot, 0).into()
        });
        self.builder.ins().jump(next, &carried.into_iter().collect::<Vec<_>>());
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.stack.truncate(self.stack.len() - results);
        self.stack.extend_from_slice(self.builder.block_params(next));
    }

    /// Asks the builtin, which does not return if the C function has thrown what is caught here or further out.
    fn ask_covered_returned(&mut self, frame: Value) -> Value {
        let (signature, code) = self.builtin_code_now(Builtin::CoveredReturned);
        let args = [self.vmctx, frame];
        self.call_catching(Callee::Code(signature, code), &args);
        let next = self.builder.current_block().expect("the call returns somewhere");
        self.builder.set_cold_block(next);
        self.pop()
    }

    fn result_slot(&mut self) -> StackSlot {
        let standing = self.standing.as_mut().expect("its caller has looked");
        let builder = &mut self.builder;
        let data = || StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
        *standing.result.get_or_insert_with(|| builder.create_sized_stack_slot(data()))
    }
}
