//! wasmbridge.

use super::{Family, Guest, IMPORTS, Refused, Trap, Val, hash, import, types};
use std::sync::{Arc, Mutex, PoisonError};
use wasmbridge_compiler::{Config, Cpu, OptLevel};
use wasmbridge_runtime::{
    Config as EngineConfig, Engine, ErrorKind, FuncType, Instance, Linker, Module, TrapCode, ValType, Value,
};

pub struct Ours {
    instance: Instance,
    notes: Arc<Mutex<u64>>,
}

/// How a module is compiled and run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub compiler: Config,
    pub engine: EngineConfig,
}

/// The settings of a case: all that compiles differently has its turn. What the processor makes of NaNs may be kept, if asked for.
pub fn settings(number: u64, native_nans: bool) -> Settings {
    let mut random = fastrand::Rng::with_seed(number ^ 0x5eed);
    let level = match random.u8(..8) {
        0 | 1 => OptLevel::None,
        2 => OptLevel::Less,
        3 => OptLevel::SpeedAndSize,
        _ => OptLevel::Speed,
    };
    let compiler = compiler(level, &mut random);
    let deterministic = compiler.deterministic && !native_nans;
    Settings { compiler: Config { deterministic, ..compiler }, engine: EngineConfig::default() }
}

/// Two settings under which a module must do the same.
pub fn opposites(number: u64) -> [Settings; 2] {
    let mut random = fastrand::Rng::with_seed(number ^ 0x2);
    let heap = EngineConfig { gc_heap_bytes: 16 << 20, ..EngineConfig::default() };
    // One of them collects whenever it could.
    let stressed = EngineConfig { gc_stress: true, ..heap.clone() };
    let mut compiler = |level| Config { deterministic: true, ..compiler(level, &mut random) };
    [
        Settings { compiler: compiler(OptLevel::None), engine: heap },
        Settings { compiler: compiler(OptLevel::Speed), engine: stressed },
    ]
}

fn compiler(opt_level: OptLevel, random: &mut fastrand::Rng) -> Config {
    Config {
        opt_level,
        cpu: if random.bool() { Cpu::Baseline } else { Cpu::Native },
        memory_reservation: if random.u8(..4) == 0 { 64 << 20 } else { Config::default().memory_reservation },
        // Modules that are run make their NaNs canonical by themselves; both ways must come to the same.
        deterministic: random.bool(),
        spectre_mitigations: random.bool(),
        verify: true,
        ..Config::default()
    }
}

pub fn start(settings: &Settings, wasm: &[u8]) -> Result<Ours, Refused> {
    let artifact =
        wasmbridge_compiler::compile(wasm, &settings.compiler).map_err(|e| Refused::Module(e.to_string()))?;
    let engine = Engine::new(settings.engine.clone()).expect("an engine starts");
    let module = Module::load(&engine, &artifact).expect("what the compiler wrote is loaded");
    let notes = Arc::new(Mutex::new(0));
    match linker(&engine, &notes).instantiate(&module) {
        Ok(instance) => Ok(Ours { instance, notes }),
        Err(error) => match error.kind() {
            ErrorKind::Trap => Err(Refused::Trap(trap(&error))),
            // Not enough room for what the module starts with.
            ErrorKind::Limit | ErrorKind::Os => Err(Refused::Trap(Trap::Resource)),
            _ => Err(Refused::Module(error.to_string())),
        },
    }
}

/// The imports that modules may have.
pub fn linker(engine: &Engine, notes: &Arc<Mutex<u64>>) -> Linker {
    let mut linker = Linker::new(engine);
    let numbers = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    for (name, params, results) in IMPORTS {
        let ty = FuncType { params: types(params, numbers), results: types(results, numbers) };
        let notes = notes.clone();
        let defined = linker.define_host("host", name, ty, move |_, args, results| {
            let args: Vec<Val> = args.iter().map(of).collect();
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            for (result, value) in results.iter_mut().zip(import(name, &args, &mut notes)) {
                *result = to(value);
            }
            Ok(())
        });
        defined.expect("numbers only");
    }
    linker
}

impl Guest for Ours {
    fn call(&mut self, name: &str, args: &[Val]) -> Result<Vec<Val>, Trap> {
        let args: Vec<Value> = args.iter().map(|&arg| to(arg)).collect();
        match self.instance.call(name, &args) {
            Ok(results) => Ok(results.iter().map(of).collect()),
            Err(error) => Err(trap(&error)),
        }
    }

    fn global(&mut self, name: &str) -> Val {
        of(&self.instance.global(name).expect("it is exported"))
    }

    fn memory(&mut self, name: &str) -> (usize, u64) {
        let view = self.instance.exported_memory(name).expect("it is exported");
        // SAFETY: all of it is readable, and the app does not run meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(view.base, view.len_bytes as usize) };
        (bytes.len(), hash(bytes))
    }

    fn notes(&self) -> u64 {
        *self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of(value: &Value) -> Val {
    match *value {
        Value::I32(v) => Val::I32(v),
        Value::I64(v) => Val::I64(v),
        Value::F32(v) => Val::F32(v.to_bits()),
        Value::F64(v) => Val::F64(v.to_bits()),
        Value::V128(v) => Val::V128(v),
        Value::FuncRef(None) => Val::Null(Family::Func),
        Value::ExternRef(0) => Val::Null(Family::Extern),
        Value::AnyRef(None) => Val::Null(Family::Any),
        Value::ExnRef(None) => Val::Null(Family::Exn),
        Value::FuncRef(_) | Value::ExternRef(_) | Value::AnyRef(_) | Value::ExnRef(_) => Val::Reference,
    }
}

fn to(value: Val) -> Value {
    match value {
        Val::I32(v) => Value::I32(v),
        Val::I64(v) => Value::I64(v),
        Val::F32(v) => Value::F32(f32::from_bits(v)),
        Val::F64(v) => Value::F64(f64::from_bits(v)),
        Val::V128(v) => Value::V128(v),
        Val::Null(Family::Func) => Value::FuncRef(None),
        Val::Null(Family::Extern) => Value::ExternRef(0),
        Val::Null(Family::Any) => Value::AnyRef(None),
        Val::Null(Family::Exn) => Value::ExnRef(None),
        Val::Reference => unreachable!("no other references are made up"),
    }
}

fn trap(error: &wasmbridge_runtime::Error) -> Trap {
    let Some(trap) = error.trap() else { panic!("not a trap: {error}") };
    match trap.code {
        TrapCode::Unreachable => Trap::Unreachable,
        TrapCode::MemoryOutOfBounds => Trap::Memory,
        TrapCode::TableOutOfBounds | TrapCode::UndefinedElement => Trap::Table,
        TrapCode::ArrayOutOfBounds => Trap::Array,
        TrapCode::UninitializedElement | TrapCode::NullReference => Trap::Null,
        TrapCode::CastFailure => Trap::Cast,
        TrapCode::IndirectCallTypeMismatch => Trap::Type,
        TrapCode::IntegerOverflow => Trap::Overflow,
        TrapCode::IntegerDivideByZero => Trap::DivideByZero,
        TrapCode::InvalidConversion => Trap::Conversion,
        TrapCode::UncaughtException => Trap::Exception,
        TrapCode::StackOverflow | TrapCode::AllocationTooLarge => Trap::Resource,
        other => panic!("no such trap is possible here: {other:?}"),
    }
}
