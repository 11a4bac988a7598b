//! The host module `spectest` that the suite's scripts import from.

use wasmbridge_compiler::compile;
use wasmbridge_runtime::{Engine, Error, Instance, Linker, Module, NativeFn};

/// What `spectest` has beside functions. The suite's interpreter defines it so.
const SPECTEST: &str = r#"
(module
  (global (export "global_i32") i32 (i32.const 666))
  (global (export "global_i64") i64 (i64.const 666))
  (global (export "global_f32") f32 (f32.const 666.6))
  (global (export "global_f64") f64 (f64.const 666.6))
  (table (export "table") 10 20 funcref)
  (memory (export "memory") 1 2)
  (memory (export "shared_memory") 1 2 shared)
)"#;

extern "C" fn print() {}
extern "C" fn print_i32(_: i32) {}
extern "C" fn print_i64(_: i64) {}
extern "C" fn print_f32(_: f32) {}
extern "C" fn print_f64(_: f64) {}
extern "C" fn print_i32_f32(_: i32, _: f32) {}
extern "C" fn print_f64_f64(_: f64, _: f64) {}

/// Defines `spectest` in a linker. The instance must live as long as those that import from it.
pub(crate) fn define(
    engine: &Engine,
    linker: &mut Linker,
    config: &wasmbridge_compiler::Config,
) -> Result<Instance, Error> {
    let functions: [(&str, *const u8); 7] = [
        ("void print(void)", print as *const u8),
        ("void print_i32(int)", print_i32 as *const u8),
        ("void print_i64(long long)", print_i64 as *const u8),
        ("void print_f32(float)", print_f32 as *const u8),
        ("void print_f64(double)", print_f64 as *const u8),
        ("void print_i32_f32(int, float)", print_i32_f32 as *const u8),
        ("void print_f64_f64(double, double)", print_f64_f64 as *const u8),
    ];
    for (prototype, function) in functions {
        // SAFETY: each is the function above of that prototype.
        unsafe { linker.define("spectest", prototype, NativeFn(function))? };
    }
    let buffer = wast::parser::ParseBuffer::new(SPECTEST).expect("the text above is well-formed");
    let mut wat = wast::parser::parse::<wast::Wat<'_>>(&buffer).expect("the text above is well-formed");
    let wasm = wat.encode().expect("the text above is well-formed");
    let artifact = compile(&wasm, config).expect("the module above compiles");
    let instance = linker.instantiate(&Module::load(engine, &artifact)?)?;
    linker.define_instance("spectest", &instance)?;
    Ok(instance)
}
