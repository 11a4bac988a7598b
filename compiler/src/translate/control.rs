//! Blocks and branches.
//!
//! Each wasm block has a CLIF block for what comes after its `end`, with a parameter for each result; branches to the wasm
//! block jump there. A loop has one for its beginning instead. What the operand stack holds below a block stays in place.
//!
//! After an instruction that does not go on (a branch, `return`, `unreachable`) nothing is translated until the block it is in
//! ends, and only if something jumps to that end.

use super::legacy::Caught;
use super::{Translator, clif_type};
use crate::CompileError;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, JumpTableData, SourceLoc, Type, Value};
use std::collections::HashMap;
use wasmbridge_artifact::{TrapCode, ValType};
use wasmparser::{BlockType, BrTable, Operator};

/// A wasm block that is open.
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// how many of `Translator::tries` were open where it begins
    reach: usize,
    /// what comes after the block's `end`
    after: Block,
    /// whether anything jumps to `after`
    after_reached: bool,
    /// height of the operand stack below the block's parameters
    pub(super) height: usize,
    /// how many parameters it has
    params: usize,
    /// how many results it has
    results: usize,
}

/// What is special to a kind of block.
pub(super) enum Kind {
    /// `block`, the function itself, and an `if` whose `else` has been met
    Block,
    /// `loop`: branches go to its beginning
    Loop { beginning: Block },
    /// `if`: where its `else` begins, and the parameters that it begins with
    If { otherwise: Block, params: Vec<Value> },
    /// `try_table`: its clauses are the innermost of `Translator::tries`
    Try,
    /// `try`, in its body: its clauses, or where it delegates to, are the innermost of `Translator::tries`
    Attempt,
    /// `try`, in the code of one of its clauses
    Caught(Caught),
    /// a block in code that is not reached
    Dead,
}

impl Translator<'_, '_> {
    /// Translates an instruction of control flow. The offset is the instruction's, for an error.
    pub(super) fn control(&mut self, op: &Operator<'_>, offset: u64) -> Result<bool, CompileError> {
        match op {
            Operator::Nop => {}
            Operator::Unreachable => self.trap(TrapCode::Unreachable),
            Operator::Block { blockty } => self.block(*blockty, offset)?,
            Operator::Loop { blockty } => self.enter_loop(*blockty, offset)?,
            Operator::If { blockty } => self.enter_if(*blockty, offset)?,
            Operator::TryTable { try_table } => {
                self.open(Kind::Try, try_table.ty, offset)?;
                self.open_clauses(&try_table.catches);
            }
            Operator::Else => self.enter_else(),
            Operator::End => self.end(),
            Operator::Br { relative_depth } => self.branch(*relative_depth),
            Operator::BrIf { relative_depth } => {
                let condition = self.pop();
                self.branch_if(condition, *relative_depth);
            }
            Operator::BrOnNull { relative_depth } => self.branch_on_null(*relative_depth),
            Operator::BrOnNonNull { relative_depth } => self.branch_on_non_null(*relative_depth),
            Operator::BrTable { targets } => self.branch_table(targets)?,
            Operator::Return => self.return_here(),
            Operator::Drop => drop(self.pop()),
            Operator::Select | Operator::TypedSelect { .. } => self.select(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Follows the nesting of blocks in code that is not reached.
    pub(super) fn unreachable_operator(&mut self, op: &Operator<'_>) {
        match op {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => {
                if let Operator::Try { .. } = op {
                    self.next_try();
                }
                let after = self.frames[0].after;
                self.frames.push(Frame {
                    kind: Kind::Dead,
                    reach: 0,
                    after,
                    after_reached: false,
                    height: 0,
                    params: 0,
                    results: 0,
                });
            }
            Operator::Else => self.enter_else(),
            Operator::Catch { .. } | Operator::CatchAll => self.enter_catch(),
            Operator::End | Operator::Delegate { .. } => self.end(),
            _ => {}
        }
    }

    /// Opens the function's own block.
    pub(super) fn enter_function(&mut self, results: &[ValType]) {
        let after = self.block_with(results.iter().map(|&t| clif_type(t)));
        self.frames.push(Frame {
            kind: Kind::Block,
            reach: 0,
            after,
            after_reached: false,
            height: 0,
            params: 0,
            results: results.len(),
        });
    }

    /// A new CLIF block with parameters of these types.
    pub(super) fn block_with(&mut self, params: impl IntoIterator<Item = Type>) -> Block {
        let block = self.builder.create_block();
        for ty in params {
            self.builder.append_block_param(block, ty);
        }
        block
    }

    /// Opens a block whose parameters lie on the operand stack.
    pub(super) fn open(&mut self, kind: Kind, ty: BlockType, offset: u64) -> Result<(), CompileError> {
        let (params, after, results) = match ty {
            BlockType::Empty => (0, self.builder.create_block(), 0),
            BlockType::Type(ty) => {
                let ty = self.value_type(ty, offset)?;
                (0, self.block_with([clif_type(ty)]), 1)
            }
            BlockType::FuncType(index) => {
                let ty = self.module.func_type(index);
                (ty.params.len(), self.block_with(ty.results.iter().map(|&t| clif_type(t))), ty.results.len())
            }
        };
        let height = self.stack.len() - params;
        let reach = self.tries.len();
        self.frames.push(Frame { kind, reach, after, after_reached: false, height, params, results });
        Ok(())
    }

    fn block(&mut self, ty: BlockType, offset: u64) -> Result<(), CompileError> {
        self.open(Kind::Block, ty, offset)
    }

    fn enter_loop(&mut self, ty: BlockType, offset: u64) -> Result<(), CompileError> {
        let params = match ty {
            BlockType::FuncType(index) => self.module.func_type(index).params.as_slice(),
            _ => &[],
        };
        let beginning = self.block_with(params.iter().map(|&t| clif_type(t)));
        self.open(Kind::Loop { beginning }, ty, offset)?;
        self.loops += 1;
        self.jump(beginning, params.len());
        self.stack.truncate(self.stack.len() - params.len());
        self.builder.switch_to_block(beginning);
        self.stack.extend_from_slice(self.builder.block_params(beginning));
        Ok(())
    }

    fn enter_if(&mut self, ty: BlockType, offset: u64) -> Result<(), CompileError> {
        let condition = self.pop();
        let (then, otherwise) = (self.builder.create_block(), self.builder.create_block());
        self.builder.ins().brif(condition, then, &[], otherwise, &[]);
        self.builder.seal_block(then);
        self.builder.seal_block(otherwise);
        self.builder.switch_to_block(then);
        self.open(Kind::If { otherwise, params: Vec::new() }, ty, offset)?;
        let frame = self.frames.last_mut().expect("it has just been opened");
        frame.kind = Kind::If { otherwise, params: self.stack[frame.height..].to_vec() };
        Ok(())
    }

    fn enter_else(&mut self) {
        let frame = self.innermost();
        let Kind::If { otherwise, params } = std::mem::replace(&mut frame.kind, Kind::Block) else {
            frame.kind = Kind::Dead;
            return;
        };
        let height = frame.height;
        self.leave();
        self.stack.truncate(height);
        self.stack.extend(params);
        self.builder.switch_to_block(otherwise);
        self.reachable = true;
    }

    pub(super) fn end(&mut self) {
        if let Kind::Dead = self.innermost().kind {
            self.frames.pop();
            return;
        }
        if let Kind::If { .. } = self.innermost().kind {
            // Without an `else` the parameters are the results.
            self.enter_else();
        }
        if let Kind::Loop { beginning } = self.innermost().kind {
            self.builder.seal_block(beginning);
            self.loops -= 1;
        }
        self.leave();
        let frame = self.frames.pop().expect("the validator has found a block to end");
        match frame.kind {
            Kind::Try => self.close_clauses(frame.height),
            // Without clauses, or with a `delegate`.
            Kind::Attempt => drop(self.tries.pop()),
            _ => {}
        }
        self.stack.truncate(frame.height);
        self.builder.seal_block(frame.after);
        if !frame.after_reached {
            return;
        }
        self.builder.switch_to_block(frame.after);
        self.stack.extend_from_slice(self.builder.block_params(frame.after));
        self.reachable = true;
        if self.frames.is_empty() {
            self.end_standing();
            // A place of its own, which no other instruction has.
            let place = self.at + 1;
            self.builder.set_srcloc(SourceLoc::new(place));
            self.returns.push(place);
            self.builder.ins().return_(&self.stack);
        }
    }

    pub(super) fn innermost(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the validator has found an open block")
    }

    /// Goes on after the innermost block, if this is reached.
    pub(super) fn leave(&mut self) {
        if self.reachable {
            let frame = self.innermost();
            frame.after_reached = true;
            let (after, results) = (frame.after, frame.results);
            self.jump(after, results);
            self.reachable = false;
        }
    }

    /// The block that a label stands for.
    pub(super) fn frame(&mut self, label: u32) -> &mut Frame {
        let position = self.frames.len() - 1 - label as usize;
        &mut self.frames[position]
    }

    /// How many of `tries` reach what is thrown in a block, beside what is inside of it.
    pub(super) fn reach_at(&mut self, label: u32) -> usize {
        let frame = self.frame(label);
        frame.reach + usize::from(matches!(frame.kind, Kind::Try | Kind::Attempt))
    }

    /// Where a branch goes, and how many values it carries.
    fn target(&mut self, depth: u32) -> (Block, usize) {
        let frame = self.frame(depth);
        match frame.kind {
            Kind::Loop { beginning } => (beginning, frame.params),
            _ => {
                frame.after_reached = true;
                (frame.after, frame.results)
            }
        }
    }

    /// The uppermost operands, to be carried by a branch.
    fn carried(&mut self, count: usize) -> Vec<BlockArg> {
        self.branch_values += count;
        self.stack[self.stack.len() - count..].iter().map(|&v| BlockArg::Value(v)).collect()
    }

    fn jump(&mut self, target: Block, carried: usize) {
        let values = self.carried(carried);
        self.builder.ins().jump(target, &values);
    }

    pub(super) fn branch(&mut self, depth: u32) {
        let (target, carried) = self.target(depth);
        self.jump(target, carried);
        self.reachable = false;
    }

    /// Returns with the uppermost operands. That is no branch to the function's end: a return of its own is a few bytes more, and the
    /// quick way out of a function is often one of these.
    fn return_here(&mut self) {
        let results = self.stack.split_off(self.stack.len() - self.frames[0].results);
        self.end_standing();
        self.returns.push(self.at);
        self.builder.ins().return_(&results);
        self.reachable = false;
    }

    /// Branches if the condition is not 0.
    pub(super) fn branch_if(&mut self, condition: Value, depth: u32) {
        let (target, carried) = self.target(depth);
        let values = self.carried(carried);
        let next = self.builder.create_block();
        self.builder.ins().brif(condition, target, &values, next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    /// Branches, without the reference, if it is null; goes on with it if it is not.
    fn branch_on_null(&mut self, depth: u32) {
        let reference = self.pop();
        let is_null = self.builder.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        self.branch_if(is_null, depth);
        self.push(reference);
    }

    /// Branches, with the reference, if it is not null; goes on without it if it is.
    fn branch_on_non_null(&mut self, depth: u32) {
        let reference = self.stack[self.stack.len() - 1];
        self.branch_if(reference, depth);
        self.pop();
    }

    /// Branches through a table. Targets that take values are reached through a block of their own, one for each target
    /// and not for each entry: a table may have millions of entries, and a branch may carry a thousand values.
    fn branch_table(&mut self, table: &BrTable<'_>) -> Result<(), CompileError> {
        let index = self.pop();
        let mut between = HashMap::new();
        let mut order = Vec::new();
        let mut calls = Vec::with_capacity(table.len() as usize);
        for depth in table.targets().chain([Ok(table.default())]) {
            let depth = depth?;
            let (target, carried) = self.target(depth);
            let block = if carried == 0 {
                target
            } else {
                *between.entry(depth).or_insert_with(|| {
                    let block = self.builder.create_block();
                    order.push((block, target, carried));
                    block
                })
            };
            calls.push(self.builder.func.dfg.block_call(block, &[]));
        }
        let default = calls.pop().expect("the default target is the last one");
        let data = self.builder.create_jump_table(JumpTableData::new(default, &calls));
        self.builder.ins().br_table(index, data);
        for (block, target, carried) in order {
            self.builder.seal_block(block);
            self.builder.switch_to_block(block);
            self.jump(target, carried);
        }
        self.reachable = false;
        Ok(())
    }

    fn select(&mut self) {
        let (first, second, condition) = self.pop3();
        let value = self.builder.ins().select(condition, first, second);
        self.push(value);
    }
}
