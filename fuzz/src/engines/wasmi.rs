//! wasmi: an interpreter, so that a bug of Cranelift's is not on both sides.

use super::{Family, Guest, IMPORTS, Refused, Trap, Val, hash, import, types};
use wasmi::errors::{ErrorKind, InstantiationError};
use wasmi::{Config, Engine, Extern, Func, FuncType, Instance, Linker, Module, Ref, Store, TrapCode, V128, ValType};

pub struct Theirs {
    store: Store<u64>,
    instance: Instance,
}

pub fn start(wasm: &[u8]) -> Result<Theirs, Refused> {
    let mut config = Config::default();
    config.wasm_custom_page_sizes(true).wasm_wide_arithmetic(true).wasm_multi_memory(true).wasm_memory64(true);
    config.set_max_recursion_depth(50_000);
    config.set_max_stack_height(64 << 20);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, wasm).map_err(|e| Refused::Module(e.to_string()))?;
    let mut store = Store::new(&engine, 0);
    let mut linker = Linker::new(&engine);
    let numbers = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    for (name, params, results) in IMPORTS {
        let ty = FuncType::new(types(params, numbers), types(results, numbers));
        let function = Func::new(&mut store, ty, move |mut caller, args, results| {
            let args: Vec<Val> = args.iter().map(of).collect();
            for (result, value) in results.iter_mut().zip(import(name, &args, caller.data_mut())) {
                *result = to(value);
            }
            Ok(())
        });
        linker.define("host", name, function).expect("each is defined once");
    }
    match linker.instantiate_and_start(&mut store, &module) {
        Ok(instance) => Ok(Theirs { store, instance }),
        Err(error) => Err(trap(&error).map_or_else(|| Refused::Module(error.to_string()), Refused::Trap)),
    }
}

impl Guest for Theirs {
    fn call(&mut self, name: &str, args: &[Val]) -> Result<Vec<Val>, Trap> {
        let function = self.instance.get_func(&self.store, name).expect("it is exported");
        let args: Vec<wasmi::Val> = args.iter().map(|&arg| to(arg)).collect();
        let ty = function.ty(&self.store);
        let mut results: Vec<_> = ty.results().iter().map(|&ty| wasmi::Val::default(ty)).collect();
        match function.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(results.iter().map(of).collect()),
            Err(error) => Err(trap(&error).unwrap_or_else(|| panic!("wasmi: not a trap: {error}"))),
        }
    }

    fn global(&mut self, name: &str) -> Val {
        of(&self.instance.get_global(&self.store, name).expect("it is exported").get(&self.store))
    }

    fn memory(&mut self, name: &str) -> (usize, u64) {
        let Some(Extern::Memory(memory)) = self.instance.get_export(&self.store, name) else { panic!("exported") };
        let bytes = memory.data(&self.store);
        (bytes.len(), hash(bytes))
    }

    fn notes(&self) -> u64 {
        *self.store.data()
    }
}

fn of(value: &wasmi::Val) -> Val {
    match value {
        wasmi::Val::I32(v) => Val::I32(*v),
        wasmi::Val::I64(v) => Val::I64(*v),
        wasmi::Val::F32(v) => Val::F32(v.to_bits()),
        wasmi::Val::F64(v) => Val::F64(v.to_bits()),
        wasmi::Val::V128(v) => Val::V128(v.as_u128()),
        wasmi::Val::FuncRef(Ref::Null) => Val::Null(Family::Func),
        wasmi::Val::ExternRef(Ref::Null) => Val::Null(Family::Extern),
        wasmi::Val::FuncRef(_) | wasmi::Val::ExternRef(_) => Val::Reference,
    }
}

fn to(value: Val) -> wasmi::Val {
    match value {
        Val::I32(v) => wasmi::Val::I32(v),
        Val::I64(v) => wasmi::Val::I64(v),
        Val::F32(v) => wasmi::Val::F32(wasmi::F32::from_bits(v)),
        Val::F64(v) => wasmi::Val::F64(wasmi::F64::from_bits(v)),
        Val::V128(v) => wasmi::Val::V128(V128::from(v)),
        Val::Null(Family::Func) => wasmi::Val::FuncRef(Ref::Null),
        Val::Null(Family::Extern) => wasmi::Val::ExternRef(Ref::Null),
        Val::Null(_) | Val::Reference => unreachable!("wasmi has no such values"),
    }
}

/// `None` if the error is no trap.
fn trap(error: &wasmi::Error) -> Option<Trap> {
    let Some(code) = error.as_trap_code() else {
        // A segment that does not fit is an error of its own, at instantiation.
        return match error.kind() {
            ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) | ErrorKind::Table(_) => {
                Some(Trap::Table)
            }
            ErrorKind::Instantiation(_) | ErrorKind::Memory(_) => Some(Trap::Memory),
            _ => None,
        };
    };
    Some(match code {
        TrapCode::UnreachableCodeReached => Trap::Unreachable,
        TrapCode::MemoryOutOfBounds => Trap::Memory,
        TrapCode::TableOutOfBounds => Trap::Table,
        TrapCode::IndirectCallToNull => Trap::Null,
        TrapCode::BadSignature => Trap::Type,
        TrapCode::IntegerOverflow => Trap::Overflow,
        TrapCode::IntegerDivisionByZero => Trap::DivideByZero,
        TrapCode::BadConversionToInteger => Trap::Conversion,
        _ => Trap::Resource,
    })
}
