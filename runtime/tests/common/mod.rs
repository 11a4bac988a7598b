//! What the tests share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use wasmbridge_compiler::Config;
use wasmbridge_runtime::{Engine, Error, Instance, Linker, Module, NativeFn, TrapCode, Value};

pub fn engine() -> Engine {
    Engine::new(Default::default()).unwrap()
}

pub fn module_with(engine: &Engine, wat: &str, config: &Config) -> Module {
    let artifact = wasmbridge_compiler::compile(&wat::parse_str(wat).unwrap(), config).unwrap();
    Module::load(engine, &artifact).unwrap()
}

pub fn module(engine: &Engine, wat: &str) -> Module {
    module_with(engine, wat, &Config::default())
}

/// A linker with these C functions in module `env`.
pub fn linker(engine: &Engine, functions: &[(&str, *const u8)]) -> Linker {
    let mut linker = Linker::new(engine);
    for (prototype, function) in functions {
        // SAFETY: each test passes the function that its prototype describes.
        unsafe { linker.define("env", prototype, NativeFn(*function)) }.unwrap();
    }
    linker
}

pub fn instance_with(wat: &str, functions: &[(&str, *const u8)]) -> Instance {
    let engine = engine();
    let module = module(&engine, wat);
    linker(&engine, functions).instantiate(&module).unwrap()
}

pub fn instance(wat: &str) -> Instance {
    instance_with(wat, &[])
}

/// Calls an export with guest addresses and numbers for its `i32`s; its result, 0 if it has none.
pub fn call(app: &Instance, name: &str, args: &[u64]) -> Result<i32, Error> {
    let args: Vec<Value> = args.iter().map(|&arg| Value::I32(arg as i32)).collect();
    app.call(name, &args).map(|results| match results.first() {
        Some(Value::I32(value)) => *value,
        _ => 0,
    })
}

/// A call that is an access out of bounds, with these words in its message.
#[track_caller]
pub fn traps(app: &Instance, name: &str, args: &[u64], words: &str) {
    let error = call(app, name, args).unwrap_err();
    assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::MemoryOutOfBounds), "{error}");
    assert!(error.message().contains(words), "{error}\nexpected: {words}");
}
