//! Exceptions as they were before the standard's: `try` with `catch`, `catch_all` or `delegate`, and `rethrow`. Compilers still make them (clang's `-fwasm-exceptions`, up to 19 always).
//!
//! They become what those of the standard become (`exception.rs`): the clauses of a `try` are handlers of the calls in its body. Where a `try_table` says them
//! first, those of a `try` come behind its body, so they are looked for before the first `try` of a function is translated. What a clause does is not a branch but the code that
//! follows it, in which `rethrow` can throw the exception again.

use super::Translator;
use super::control::Kind;
use super::exception::{Clause, Reach};
use crate::CompileError;
use crate::read::Body;
use cranelift_codegen::ir::Value;
use std::collections::VecDeque;
use wasmparser::Operator;

/// What comes behind the body of a `try`.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// the tag of each `catch`, or none of a `catch_all`
    clauses: Vec<Option<u32>>,
    /// the label of its `delegate`
    delegate: Option<u32>,
}

/// The `try`s of a function, in the order in which they begin. What is not valid is found by whoever translates it.
pub(super) fn tries(body: &Body<'_>) -> Result<VecDeque<Tried>, CompileError> {
    let mut tries: VecDeque<Tried> = VecDeque::new();
    // Of each open block, which `try` it is.
    let mut blocks = Vec::new();
    for op in body.body.get_operators_reader()? {
        match op? {
            Operator::Try { .. } => {
                blocks.push(Some(tries.len()));
                tries.push_back(Tried::default());
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                blocks.push(None);
            }
            Operator::Catch { tag_index } => {
                if let Some(Some(tried)) = blocks.last() {
                    tries[*tried].clauses.push(Some(tag_index));
                }
            }
            Operator::CatchAll => {
                if let Some(Some(tried)) = blocks.last() {
                    tries[*tried].clauses.push(None);
                }
            }
            Operator::Delegate { relative_depth } => {
                if let Some(Some(tried)) = blocks.pop() {
                    tries[tried].delegate = Some(relative_depth);
                }
            }
            Operator::End => drop(blocks.pop()),
            _ => {}
        }
    }
    Ok(tries)
}

/// A clause of a `try` whose code is being translated.
pub(super) struct Caught {
    /// the exception, if anything in the body could throw
    exception: Option<Value>,
    /// the clauses that follow
    rest: VecDeque<Clause>,
}

impl Translator<'_, '_> {
    /// Translates an instruction of this kind.
    pub(super) fn legacy_exception(&mut self, op: &Operator<'_>, offset: u64) -> Result<bool, CompileError> {
        match *op {
            Operator::Try { blockty } => {
                self.open(Kind::Attempt, blockty, offset)?;
                let tried = self.next_try();
                let reach = match tried.delegate {
                    // Counted from outside of the `try` itself.
                    Some(label) => Reach::Outer(self.reach_at(label + 1)),
                    None => Reach::Clauses(tried.clauses.into_iter().map(Clause::here).collect()),
                };
                self.tries.push(reach);
            }
            Operator::Catch { .. } | Operator::CatchAll => self.enter_catch(),
            Operator::Delegate { .. } => self.end(),
            Operator::Rethrow { relative_depth } => {
                let frame = self.frame(relative_depth);
                let Kind::Caught(Caught { exception: Some(exception), .. }) = frame.kind else {
                    unreachable!("the validator has found a `catch`, and it is reached");
                };
                self.throw(exception);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the scan has found of the `try` that begins here.
    pub(super) fn next_try(&mut self) -> Tried {
        let tried = self.legacy.as_mut().and_then(VecDeque::pop_front);
        tried.expect("the scan has found this `try`")
    }

    /// Ends the body of a `try`, or the code of the clause before, and begins that of its next clause, if anything gets there.
    pub(super) fn enter_catch(&mut self) {
        let kind = std::mem::replace(&mut self.innermost().kind, Kind::Dead);
        let mut rest = match kind {
            Kind::Dead => return,
            Kind::Caught(caught) => caught.rest,
            Kind::Attempt => match self.tries.pop() {
                Some(Reach::Clauses(clauses)) => clauses.into(),
                _ => unreachable!("a `try` with clauses has opened them"),
            },
            _ => unreachable!("the validator has found a `try`"),
        };
        self.leave();
        let clause = rest.pop_front().expect("the scan has found this clause");
        let exception = clause.handler.map(|handler| {
            // All calls in its reach were in the body.
            self.builder.seal_block(handler);
            self.builder.switch_to_block(handler);
            self.builder.block_params(handler)[0]
        });
        let frame = self.innermost();
        frame.kind = Kind::Caught(Caught { exception, rest });
        let height = frame.height;
        self.stack.truncate(height);
        self.reachable = exception.is_some();
        if let Some((exception, tag)) = exception.zip(clause.tag) {
            self.push_values(tag, exception);
        }
    }
}
