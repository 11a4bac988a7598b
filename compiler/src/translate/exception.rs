//! Exceptions: `throw`, `throw_ref`, `try_table`, and calls in its reach.
//!
//! An exception is an object of the collected heap, with its tag and values. The runtime finds who catches it, by the return addresses on the
//! stack: each call in the reach of a `try_table` is a `try_call`, which for the case that nothing is thrown is a call like any other. Its
//! handlers, innermost first, are in the artifact's handler table. A handler gets the exception, loads the values from it, and
//! branches to where its clause says.

use super::flags::Region;
use super::{Translator, clif_type, trap};
use cranelift_codegen::ir::{
    Block, BlockArg, ExceptionTableData, ExceptionTableItem, ExceptionTag, FuncRef, InstBuilder, SigRef, Value, types,
};
use wasmbridge_artifact::gc::exception_layout;
use wasmbridge_artifact::{Builtin, TrapCode};
use wasmparser::{Catch, Operator};

/// What may catch what a call throws.
pub(super) enum Reach {
    /// the clauses of a `try_table` or `try` that is open
    Clauses(Vec<Clause>),
    /// only as many of the outer ones: a `try` that delegates
    Outer(usize),
}

/// A clause of a `try_table` or `try` that is open.
pub(super) struct Clause {
    /// the tag that it catches, or all
    pub(super) tag: Option<u32>,
    /// the branch carries the exception, too
    with_exception: bool,
    /// where the branch goes, counted from outside of the `try_table`
    label: u32,
    /// where the exception arrives, if any call is in its reach
    pub(super) handler: Option<Block>,
}

impl Clause {
    /// One of a `try`: it does not branch.
    pub(super) fn here(tag: Option<u32>) -> Clause {
        Clause { tag, with_exception: false, label: 0, handler: None }
    }
}

/// What is called.
pub(super) enum Callee {
    Function(FuncRef),
    Code(SigRef, Value),
}

impl Translator<'_, '_> {
    /// Translates an instruction that throws.
    pub(super) fn exception(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::Throw { tag_index } => {
                let exception = self.new_exception(tag_index);
                self.throw(exception);
            }
            Operator::ThrowRef => {
                let exception = self.pop();
                self.builder.ins().trapz(exception, trap::to_clif(TrapCode::NullReference));
                self.throw(exception);
            }
            _ => return false,
        }
        true
    }

    /// Makes an exception of the operands.
    fn new_exception(&mut self, tag: u32) -> Value {
        let ty = self.module.func_type(self.module.tags[tag as usize]);
        let (offsets, _) = exception_layout(ty);
        let tag = self.load_fixed(types::I64, self.layout.tag(tag));
        let exception = self.builtin(Builtin::ExceptionNew, &[tag]).expect("it has a result");
        self.builder.ins().trapz(exception, trap::to_clif(TrapCode::AllocationTooLarge));
        let values = self.stack.split_off(self.stack.len() - offsets.len());
        let flags = self.trusted(Region::Objects);
        for (value, offset) in values.into_iter().zip(offsets) {
            self.builder.ins().store(flags, value, exception, offset as i32);
        }
        exception
    }

    /// Throws an exception, which is not null.
    pub(super) fn throw(&mut self, exception: Value) {
        let (signature, code) = self.builtin_code(Builtin::Throw);
        let args = [self.vmctx, exception];
        self.call_catching(Callee::Code(signature, code), &args);
        // It only comes back if there is no handler.
        self.trap(TrapCode::UncaughtException);
    }

    /// Opens the clauses of a `try_table`.
    pub(super) fn open_clauses(&mut self, catches: &[Catch]) {
        let clause = |catch: &Catch| {
            let (tag, with_exception, label) = match *catch {
                Catch::One { tag, label } => (Some(tag), false, label),
                Catch::OneRef { tag, label } => (Some(tag), true, label),
                Catch::All { label } => (None, false, label),
                Catch::AllRef { label } => (None, true, label),
            };
            Clause { tag, with_exception, label, handler: None }
        };
        self.tries.push(Reach::Clauses(catches.iter().map(clause).collect()));
    }

    /// Ends the clauses of the innermost `try_table`, whose frame is closed already: what was carried there is at its outer labels now.
    pub(super) fn close_clauses(&mut self, height: usize) {
        let Some(Reach::Clauses(clauses)) = self.tries.pop() else { unreachable!("opened with its frame") };
        for clause in clauses {
            let Some(handler) = clause.handler else { continue };
            self.builder.seal_block(handler);
            self.builder.switch_to_block(handler);
            let exception = self.builder.block_params(handler)[0];
            self.stack.truncate(height);
            if let Some(tag) = clause.tag {
                self.push_values(tag, exception);
            }
            if clause.with_exception {
                self.push(exception);
            }
            self.branch(clause.label);
            self.stack.truncate(height);
        }
    }

    /// Pushes the values of an exception of this tag.
    pub(super) fn push_values(&mut self, tag: u32, exception: Value) {
        let ty = self.module.func_type(self.module.tags[tag as usize]);
        let (offsets, _) = exception_layout(ty);
        let flags = self.trusted(Region::Objects);
        for (&ty, offset) in ty.params.iter().zip(offsets) {
            let value = self.builder.ins().load(clif_type(ty), flags, exception, offset as i32);
            self.push(value);
        }
    }

    /// Calls, and pushes the results. What the call throws goes to the clauses that are open.
    pub(super) fn call_catching(&mut self, callee: Callee, args: &[Value]) {
        let items = self.handlers();
        if items.is_empty() {
            let call = match callee {
                Callee::Function(function) => self.builder.ins().call(function, args),
                Callee::Code(signature, code) => self.builder.ins().call_indirect(signature, code, args),
            };
            self.stack.extend_from_slice(self.builder.inst_results(call));
            return;
        }
        let signature = match callee {
            Callee::Function(function) => self.builder.func.dfg.ext_funcs[function].signature,
            Callee::Code(signature, _) => signature,
        };
        let results: Vec<_> =
            self.builder.func.dfg.signatures[signature].returns.iter().map(|result| result.value_type).collect();
        let count = results.len() as u32;
        let next = self.block_with(results);
        let returned: Vec<BlockArg> = (0..count).map(BlockArg::TryCallRet).collect();
        let returned = self.builder.func.dfg.block_call(next, &returned);
        self.branch_values += items.len();
        let items = [ExceptionTableItem::Context(self.vmctx)].into_iter().chain(items);
        let table = ExceptionTableData::new(signature, returned, items);
        let table = self.builder.func.dfg.exception_tables.push(table);
        match callee {
            Callee::Function(function) => self.builder.ins().try_call(function, args, table),
            Callee::Code(_, code) => self.builder.ins().try_call_indirect(code, args, table),
        };
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.stack.extend_from_slice(self.builder.block_params(next));
    }

    /// The handlers of the clauses that are open, in the order in which they are tried: innermost first, and nothing behind one that
    /// takes all. The tags are found in the vmctx.
    fn handlers(&mut self) -> Vec<ExceptionTableItem> {
        let mut items = Vec::new();
        let builder = &mut self.builder;
        let mut reach = self.tries.len();
        while let Some(level) = reach.checked_sub(1) {
            reach = level;
            let clauses = match &mut self.tries[level] {
                Reach::Clauses(clauses) => clauses,
                Reach::Outer(outer) => {
                    reach = *outer;
                    continue;
                }
            };
            for clause in clauses {
                let handler = *clause.handler.get_or_insert_with(|| {
                    let handler = builder.create_block();
                    builder.append_block_param(handler, types::I64);
                    builder.set_cold_block(handler);
                    handler
                });
                let handler = builder.func.dfg.block_call(handler, &[BlockArg::TryCallExn(0)]);
                let Some(tag) = clause.tag else {
                    items.push(ExceptionTableItem::Default(handler));
                    return items;
                };
                items.push(ExceptionTableItem::Tag(ExceptionTag::from_u32(tag), handler));
            }
        }
        items
    }
}
