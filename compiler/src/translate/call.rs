//! Calls. Whatever is called gets its own vmctx, or what stands in its place, before its arguments; but for imported functions whose types C
//! passes alike, which are called as C functions ([`FunctionImport::direct`]).

use super::exception::Callee;
use super::{Translator, direct_signature, trap, wasm_signature};
use cranelift_codegen::ir::{
    ExtFuncData, ExternalName, FuncRef, InstBuilder, MemFlagsData, SigRef, Type, UserExternalName, Value, types,
};
use std::collections::HashMap;
use std::mem::offset_of;
use wasmbridge_artifact::vmctx::{FunctionImport, VmFuncRef, is_direct};
use wasmbridge_artifact::{HeapType, TrapCode, TypeKind};
use wasmparser::Operator;

/// What the function calls: declared in CLIF once for each.
#[derive(Default)]
pub(super) struct Callees {
    functions: HashMap<u32, FuncRef>,
    /// by index of the type
    signatures: HashMap<u32, SigRef>,
    /// of C functions, by index of the type
    direct: HashMap<u32, SigRef>,
}

/// Whether the caller goes on after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Return {
    /// It does.
    Here,
    /// It does not: the callee takes its place (`return_call`).
    ToCaller,
}

impl Translator<'_, '_> {
    /// Translates a call.
    pub(super) fn call(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::Call { function_index } if self.is_direct_import(function_index) => {
                self.call_import(function_index);
            }
            Operator::Call { function_index } => self.call_function(function_index, Return::Here),
            Operator::ReturnCall { function_index } => self.call_function(function_index, Return::ToCaller),
            Operator::CallIndirect { type_index, table_index } => {
                self.call_indirect(type_index, table_index, Return::Here);
            }
            Operator::ReturnCallIndirect { type_index, table_index } => {
                self.call_indirect(type_index, table_index, Return::ToCaller);
            }
            Operator::CallRef { type_index } => self.call_ref(type_index, Return::Here),
            Operator::ReturnCallRef { type_index } => self.call_ref(type_index, Return::ToCaller),
            _ => return false,
        }
        true
    }

    fn call_function(&mut self, function: u32, ret: Return) {
        let ty = self.module.functions[function as usize];
        if function < self.imported.functions {
            let import = self.layout.imported_function(function);
            let code = self.load_fixed(types::I64, import + offset_of!(FunctionImport, code) as i32);
            let vmctx = self.load_fixed(types::I64, import + offset_of!(FunctionImport, vmctx) as i32);
            self.call_code(ty, code, vmctx, ret);
            return;
        }
        let callee = self.function(function, ty);
        let args = self.arguments(ty, self.vmctx);
        match ret {
            Return::Here => self.call_wasm(Callee::Function(callee), &args),
            Return::ToCaller => {
                self.end_standing();
                self.builder.ins().return_call(callee, &args);
                self.reachable = false;
            }
        }
    }

    /// Calls what gets a vmctx.
    fn call_wasm(&mut self, callee: Callee, args: &[Value]) {
        self.call_catching(callee, args);
        self.note_stack_pointer();
    }

    /// Whether a function is an import that is called as a C function.
    fn is_direct_import(&self, function: u32) -> bool {
        function < self.imported.functions && is_direct(self.module.function_type(function))
    }

    /// Calls an import as a C function.
    fn call_import(&mut self, function: u32) {
        let ty = self.module.functions[function as usize];
        let import = self.layout.imported_function(function);
        let Some(standing) = &mut self.standing else {
            let code = self.load_fixed(types::I64, import + offset_of!(FunctionImport, direct) as i32);
            return self.call_direct(ty, code);
        };
        standing.calls.push((self.at, function));
        let code = self.load_fixed(types::I64, import + offset_of!(FunctionImport, covered) as i32);
        self.call_direct(ty, code);
        self.check_returned(self.module.func_type(ty).results.len());
    }

    /// Calls a C function with the arguments on the stack.
    fn call_direct(&mut self, ty: u32, code: Value) {
        let (module, builder) = (self.module, &mut self.builder);
        let declare = || builder.import_signature(direct_signature(module.func_type(ty)));
        let signature = *self.callees.direct.entry(ty).or_insert_with(declare);
        let args = self.operands(ty);
        self.call_catching(Callee::Code(signature, code), &args);
    }

    fn call_indirect(&mut self, ty: u32, table: u32, ret: Return) {
        let index = self.pop();
        let funcref = self.load_element(table, index, TrapCode::UndefinedElement);
        let holds = self.module.tables[table as usize].element;
        let contents = self.tables[table as usize].contents.as_ref();
        let mut null = holds.nullable.then_some(TrapCode::UninitializedElement);
        // A table of references to functions of this type holds no others; one that nobody changes, only what was put there first.
        let is_declared_subtype = |sub, sup| self.module.is_declared_subtype(sub, sup);
        let are_all = holds.heap.is_subtype_of(HeapType::Type(TypeKind::Func, ty), is_declared_subtype)
            || contents.is_some_and(|contents| contents.types.iter().all(|&found| is_declared_subtype(found, ty)));
        if !are_all {
            self.check_function_type(funcref, ty, null.take());
        }
        let own = contents.is_some_and(|contents| contents.own);
        self.call_funcref(ty, funcref, null, own, ret);
    }

    /// Calls through a reference, which has the type.
    fn call_ref(&mut self, ty: u32, ret: Return) {
        let funcref = self.pop();
        self.call_funcref(ty, funcref, Some(TrapCode::NullReference), false, ret);
    }

    /// Calls a function of this type by its reference. `null` is the trap if that may be null; with `own` it is a function of this instance.
    fn call_funcref(&mut self, ty: u32, funcref: Value, null: Option<TrapCode>, own: bool, ret: Return) {
        let code = self.funcref_field(types::I64, funcref, offset_of!(VmFuncRef, code), null);
        let vmctx = match own {
            true => self.vmctx,
            false => self.funcref_field(types::I64, funcref, offset_of!(VmFuncRef, vmctx), None),
        };
        self.call_code(ty, code, vmctx, ret);
    }

    /// Loads from a function reference. `null` is the trap if that may be null: the load itself finds it, because the first page of the address space
    /// is never mapped.
    pub(super) fn funcref_field(&mut self, ty: Type, funcref: Value, field: usize, null: Option<TrapCode>) -> Value {
        // A funcref's contents never change, but it is only there behind the check for null.
        let mut contents = MemFlagsData::trusted().with_readonly();
        if let Some(code) = null {
            contents = contents.with_trap_code(Some(trap::to_clif(code)));
        }
        self.builder.ins().load(ty, contents, funcref, field as i32)
    }

    /// Calls code by its address.
    fn call_code(&mut self, ty: u32, code: Value, vmctx: Value, ret: Return) {
        let signature = self.signature(ty);
        let args = self.arguments(ty, vmctx);
        match ret {
            Return::Here => self.call_wasm(Callee::Code(signature, code), &args),
            Return::ToCaller => {
                self.end_standing();
                self.builder.ins().return_call_indirect(signature, code, &args);
                self.reachable = false;
            }
        }
    }

    /// Pops the arguments for a function of this type, and puts the vmctx before them.
    fn arguments(&mut self, ty: u32, vmctx: Value) -> Vec<Value> {
        let mut args = self.operands(ty);
        args.insert(0, vmctx);
        args
    }

    /// Pops the arguments for a function of this type.
    fn operands(&mut self, ty: u32) -> Vec<Value> {
        let count = self.module.func_type(ty).params.len();
        self.stack.split_off(self.stack.len() - count)
    }

    /// Declares a function of this module.
    fn function(&mut self, function: u32, ty: u32) -> FuncRef {
        if let Some(&declared) = self.callees.functions.get(&function) {
            return declared;
        }
        let signature = self.signature(ty);
        let func = &mut self.builder.func;
        let name = ExternalName::user(func.declare_imported_user_function(UserExternalName::new(0, function)));
        let declared = self.builder.import_function(ExtFuncData { name, signature, colocated: true, patchable: false });
        self.callees.functions.insert(function, declared);
        declared
    }

    /// Declares the signature of a type of the module.
    fn signature(&mut self, ty: u32) -> SigRef {
        let (module, builder) = (self.module, &mut self.builder);
        let declare = || builder.import_signature(wasm_signature(module.func_type(ty)));
        *self.callees.signatures.entry(ty).or_insert_with(declare)
    }
}
