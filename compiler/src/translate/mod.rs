//! Validates function bodies and translates them to CLIF.
//!
//! The sandbox stands on this folder, above all on [`address`]: it is the only place where a guest address becomes a native one.
//!
//! Each instruction is first given to the validator and then to the translator, so that the translator meets valid code only
//! and relies on it: an operand that it pops is there and has its type. Each file has one theme, with a method that translates
//! the instructions of its theme and says whether the instruction was one of them:
//!
//! | file | instructions |
//! |---|---|
//! | [`control`] | blocks, branches, `return`, `unreachable`, `select`, `drop` |
//! | [`call`] | calls, of every kind |
//! | [`crossing`] | the crossing frame of functions that call imports in a loop |
//! | [`exception`] | `throw`, `throw_ref`, and the clauses of `try_table` |
//! | [`variable`] | locals and globals |
//! | [`numeric`] | integers and floats |
//! | [`vector`] | `v128` |
//! | [`memory`] | loads and stores; through [`address`] |
//! | [`atomic`] | atomic accesses, `wait` and `notify`; through [`address`] |
//! | [`bulk`] | what is done with whole memories: size, growth, copies |
//! | [`bulk_inline`] | copies and fills of a few bytes |
//! | [`table`] | tables |
//! | [`mod@reference`] | references |
//! | [`cast`] | tests, casts and conversions of references, `i31` |
//! | [`object`] | structs and arrays |

mod address;
mod atomic;
mod builtin;
mod bulk;
mod bulk_inline;
mod call;
mod cast;
mod control;
mod crossing;
mod exception;
mod flags;
mod legacy;
mod memory;
mod name;
mod numeric;
mod object;
mod reference;
mod signature;
mod table;
mod trap;
mod variable;
mod vector;

use signature::direct_signature;
pub(crate) use signature::{clif_type, wasm_signature};
pub(crate) use trap::from_clif as trap_from_clif;

use crate::read::{Body, Imported, Input, KnownTable};
use crate::{CompileError, limits};
use builtin::Builtins;
use call::Callees;
use control::Frame;
use cranelift_codegen::ir::{
    self, Function, GlobalValueData, InstBuilder, MemFlagsData, SourceLoc, StackSlot, Type, UserFuncName, Value, types,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::settings::OptLevel;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use crossing::Standing;
use exception::Reach;
use legacy::Tried;
use std::collections::VecDeque;
use wasmbridge_artifact::module::Module;
use wasmbridge_artifact::vmctx::head;
use wasmbridge_artifact::{TypeKind, ValType, VmLayout};
use wasmparser::{FuncToValidate, FuncValidator, FuncValidatorAllocations, Operator, ValidatorResources};

/// What is reused from one function to the next.
#[derive(Default)]
pub(crate) struct Scratch {
    builder: FunctionBuilderContext,
    validator: FuncValidatorAllocations,
    stack: Vec<Value>,
}

/// What is to be known of a function beside its code. Places are in the wasm file.
#[derive(Debug, Default)]
pub(crate) struct Translated {
    /// the calls of imports that its standing crossing frame covers: where they are, and which import
    pub(crate) covered: Vec<(u32, u32)>,
    /// where it returns
    pub(crate) returns: Vec<u32>,
}

/// Validates a function's body and translates it into `func`, which is empty.
pub(crate) fn translate(
    input: &Input<'_>,
    body: &Body<'_>,
    isa: &dyn TargetIsa,
    func: &mut Function,
    scratch: &mut Scratch,
) -> Result<Translated, CompileError> {
    let ty = input.module.function_type(body.function);
    func.name = UserFuncName::user(0, body.function);
    func.signature = wasm_signature(ty);
    stack_limit(func);
    let FuncToValidate { resources, index, ty, features } = &body.to_validate;
    let to_validate = FuncToValidate::<ValidatorResources> {
        resources: resources.clone(),
        index: *index,
        ty: *ty,
        features: *features,
    };
    let mut validator = to_validate.into_validator(std::mem::take(&mut scratch.validator));
    scratch.stack.clear();
    let builder = FunctionBuilder::new(func, &mut scratch.builder);
    let hoists = isa.flags().opt_level() != OptLevel::None;
    let mut translator = Translator::new(input, body, builder, std::mem::take(&mut scratch.stack), hoists);
    if crossing::calls_imports_in_loop(input, body) {
        translator.begin_standing();
    }
    let translated = translator.body(body, &mut validator);
    let covered = translator.standing.take().map(|standing| standing.calls).unwrap_or_default();
    let returns = std::mem::take(&mut translator.returns);
    scratch.stack = std::mem::take(&mut translator.stack);
    scratch.validator = validator.into_allocations();
    match translated {
        Ok(()) => translator.builder.finalize(isa.frontend_config()),
        // The builder's context is only fit for use again after `finalize`, which wants a finished function.
        Err(_) => scratch.builder = FunctionBuilderContext::new(),
    }
    translated.map(|()| Translated { covered, returns })
}

/// Makes the function check the stack pointer against [`head::STACK_LIMIT`] on entry. The limit changes while code runs (on the
/// owner's other stacks, and to refuse entry), so that the load is not read-only.
fn stack_limit(func: &mut Function) {
    let vmctx = func.create_global_value(GlobalValueData::VMContext);
    let flags = func.dfg.mem_flags.insert_unchecked(MemFlagsData::trusted());
    let limit = GlobalValueData::Load { base: vmctx, offset: head::STACK_LIMIT.into(), global_type: types::I64, flags };
    func.stack_limit = Some(func.create_global_value(limit));
}

/// The state of the translation of one function.
struct Translator<'a, 'f> {
    /// the module
    module: &'a Module,
    /// what each of its types describes
    kinds: &'a [TypeKind],
    layout: &'a VmLayout,
    /// how many of each kind are imported: they come first
    imported: Imported,
    /// what is known of each table
    tables: &'a [KnownTable],
    builder: FunctionBuilder<'f>,
    /// the vmctx, the function's first parameter
    vmctx: Value,
    /// the locals, parameters first
    locals: Vec<Variable>,
    /// The operand stack. Has no meaning while `reachable` is false.
    stack: Vec<Value>,
    /// the blocks that are open, outermost first
    frames: Vec<Frame>,
    /// how many of them are loops
    loops: usize,
    /// Whether loads of what does not change are taken out of loops, as they are in optimised code.
    hoists: bool,
    /// the clauses of each `try_table` and `try` that is open, outermost first
    tries: Vec<Reach>,
    /// of each `try` that has not begun yet: known from the first one on
    legacy: Option<VecDeque<Tried>>,
    /// Whether the instruction can be reached. If not, only the nesting of blocks is followed.
    reachable: bool,
    /// what has been called, so that it is declared once
    callees: Callees,
    builtins: Builtins,
    /// where the instruction is in the wasm file
    at: u32,
    /// where the function returns
    returns: Vec<u32>,
    /// the function's own crossing frame
    standing: Option<Standing>,
    /// where a value lies while the runtime fills an array with it
    fill_slot: Option<StackSlot>,
    /// values that branches have carried, see [`limits::BRANCH_VALUES`]
    branch_values: usize,
}

impl<'a, 'f> Translator<'a, 'f> {
    fn new(
        input: &'a Input<'_>,
        body: &Body<'_>,
        mut builder: FunctionBuilder<'f>,
        stack: Vec<Value>,
        hoists: bool,
    ) -> Translator<'a, 'f> {
        let ty = input.module.function_type(body.function);
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        builder.seal_block(entry);
        let mut translator = Translator {
            module: &input.module,
            kinds: &input.kinds,
            layout: &input.layout,
            imported: input.imported,
            tables: &input.tables,
            vmctx: builder.block_params(entry)[0],
            builder,
            locals: Vec::new(),
            stack,
            frames: Vec::new(),
            loops: 0,
            hoists,
            tries: Vec::new(),
            legacy: None,
            reachable: true,
            callees: Callees::default(),
            builtins: Builtins::default(),
            at: 0,
            returns: Vec::new(),
            standing: None,
            fill_slot: None,
            branch_values: 0,
        };
        let params = translator.builder.block_params(entry)[1..].to_vec();
        for (value, &ty) in params.into_iter().zip(&ty.params) {
            let local = translator.builder.declare_var(clif_type(ty));
            translator.builder.def_var(local, value);
            translator.locals.push(local);
        }
        translator.enter_function(&ty.results);
        translator
    }

    /// Translates the locals and instructions of a body.
    fn body(&mut self, body: &Body<'_>, validator: &mut FuncValidator<ValidatorResources>) -> Result<(), CompileError> {
        let mut locals = body.body.get_locals_reader()?;
        for _ in 0..locals.get_count() {
            let offset = locals.original_position();
            let (count, ty) = locals.read()?;
            validator.define_locals(offset, count, ty)?;
            let ty = self.value_type(ty, offset)?;
            self.declare_locals(count, ty);
        }
        let mut operators = body.body.get_operators_reader()?;
        while !operators.eof() {
            let (op, offset) = operators.read_with_offset()?;
            validator.op(offset, &op).map_err(|e| CompileError::from(e).in_instruction(&name::instruction(&op)))?;
            self.at = offset as u32;
            self.builder.set_srcloc(SourceLoc::new(self.at));
            if let (wasmparser::Operator::Try { .. }, None) = (&op, &self.legacy) {
                self.legacy = Some(legacy::tries(body)?);
            }
            self.operator(&op, offset)?;
            self.check_size()?;
        }
        Ok(operators.finish()?)
    }

    /// The validator's type, as the artifact's.
    fn value_type(&self, ty: wasmparser::ValType, offset: u64) -> Result<ValType, CompileError> {
        crate::read::value_type(ty, offset, self.kinds)
    }

    /// Translates an instruction.
    fn operator(&mut self, op: &Operator<'_>, offset: u64) -> Result<(), CompileError> {
        if !self.reachable {
            self.unreachable_operator(op);
            return Ok(());
        }
        let known = self.variable(op)
            || self.numeric(op)
            || self.memory(op)
            || self.control(op, offset)?
            || self.call(op)
            || self.exception(op)
            || self.legacy_exception(op, offset)?
            || self.object(op)
            || self.reference_type_op(op, offset)?
            || self.table(op)
            || self.reference(op)
            || self.bulk(op)
            || self.vector(op)
            || self.vector_memory(op)
            || self.atomic(op);
        if known {
            return Ok(());
        }
        Err(CompileError::Unsupported { what: format!("the instruction `{}`", name::instruction(op)), offset })
    }

    /// Stops before a function takes memory out of proportion.
    fn check_size(&self) -> Result<(), CompileError> {
        let values = self.builder.func.dfg.num_values() as u64;
        limits::check("blocks inside of each other", self.frames.len() as u64, limits::NESTED_BLOCKS as u64)?;
        limits::check("values in one function", values, limits::FUNCTION_VALUES as u64)?;
        limits::check("values in branches of one function", self.branch_values as u64, limits::BRANCH_VALUES as u64)
    }

    fn declare_locals(&mut self, count: u32, ty: ValType) {
        let zero = self.zero(ty);
        for _ in 0..count {
            let local = self.builder.declare_var(clif_type(ty));
            self.builder.def_var(local, zero);
            self.locals.push(local);
        }
    }

    /// The default value of a type.
    fn zero(&mut self, ty: ValType) -> Value {
        let ins = self.builder.ins();
        match ty {
            ValType::I32 => ins.iconst(types::I32, 0),
            ValType::I64 | ValType::Ref(_) => ins.iconst(types::I64, 0),
            ValType::F32 => ins.f32const(0.0),
            ValType::F64 => ins.f64const(0.0),
            ValType::V128 => self.vector_const([0; 16]),
        }
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect("the validator has found an operand here")
    }

    /// Pops two operands, the upper one second.
    fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop();
        (self.pop(), second)
    }

    /// Pops three operands, the uppermost last.
    fn pop3(&mut self) -> (Value, Value, Value) {
        let third = self.pop();
        let (first, second) = self.pop2();
        (first, second, third)
    }

    fn iconst(&mut self, ty: Type, value: i64) -> Value {
        self.builder.ins().iconst(ty, value)
    }

    /// Widens an index or length of a 32-bit memory or table; one of a 64-bit one is already wide.
    fn widen(&mut self, index: Value) -> Value {
        match self.builder.func.dfg.value_type(index) {
            types::I32 => self.builder.ins().uextend(types::I64, index),
            _ => index,
        }
    }

    /// The opposite of [`Translator::widen`] for a result.
    fn narrow(&mut self, value: Value, wide: bool) -> Value {
        if wide { value } else { self.builder.ins().ireduce(types::I32, value) }
    }

    /// Traps if the condition is not 0.
    fn trap_if(&mut self, condition: Value, code: wasmbridge_artifact::TrapCode) {
        self.builder.ins().trapnz(condition, trap::to_clif(code));
    }

    /// Traps if an index is outside of something. The index to go on with: where mitigations are asked for, a processor that runs ahead of the
    /// comparison goes on with 0.
    fn checked_index(&mut self, outside: Value, index: Value, code: wasmbridge_artifact::TrapCode) -> Value {
        self.trap_if(outside, code);
        if !self.module.target.spectre_mitigations {
            return index;
        }
        let first = self.iconst(self.type_of(index), 0);
        self.builder.ins().select_spectre_guard(outside, first, index)
    }

    /// Traps here: what follows is not reached.
    fn trap(&mut self, code: wasmbridge_artifact::TrapCode) {
        self.builder.ins().trap(trap::to_clif(code));
        self.reachable = false;
    }

    /// Loads from the vmctx what never changes while the instance lives.
    fn load_fixed(&mut self, ty: Type, offset: i32) -> Value {
        let vmctx = self.vmctx;
        self.builder.ins().load(ty, flags::fixed(), vmctx, offset)
    }

    /// The type of the CLIF value.
    fn type_of(&self, value: Value) -> ir::Type {
        self.builder.func.dfg.value_type(value)
    }
}
