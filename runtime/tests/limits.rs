//! Modules at the limits: they are compiled and run, or refused with the limit's name.

mod common;

use common::{engine, instance};
use wasmbridge_compiler::{CompileError, Config, OptLevel, compile};
use wasmbridge_runtime::{ErrorKind, Linker, Module, Value};

/// What `f` of a module without imports gives, compiled fast.
fn f(wat: &str, args: &[Value]) -> Vec<Value> {
    let engine = engine();
    let config = Config { opt_level: OptLevel::None, verify: false, ..Config::default() };
    let artifact = compile(&wat::parse_str(wat).unwrap(), &config).unwrap();
    let module = Module::load(&engine, &artifact).unwrap();
    Linker::new(&engine).instantiate(&module).unwrap().call("f", args).unwrap()
}

fn refused(wat: &str) -> CompileError {
    compile(&wat::parse_str(wat).unwrap(), &Config::default()).unwrap_err()
}

fn function(params: &str, body: &str) -> String {
    format!("(module (func (export \"f\") {params} (result i32) {body}))")
}

#[test]
fn fifty_thousand_locals() {
    let locals = |count: usize| format!("(local {})", "i32 ".repeat(count));
    let body = format!("{} local.get 0 local.set 49999 local.get 49999", locals(49_999));
    assert_eq!(f(&function("(param i32)", &body), &[Value::I32(7)]), [Value::I32(7)]);
    let error = refused(&function("", &format!("{} i32.const 0", locals(50_001)))).to_string();
    assert!(error.contains("too many locals"), "{error}");
}

#[test]
fn deep_nesting() {
    let nested = |open: &str, close: &str, depth: usize| {
        function("(param i32)", &format!("{} i32.const 7 {}", open.repeat(depth), close.repeat(depth)))
    };
    for (open, close) in [
        ("block (result i32) ", "end "),
        ("loop (result i32) ", "end "),
        ("local.get 0 if (result i32) ", "else i32.const 1 end "),
    ] {
        assert_eq!(f(&nested(open, close, 10_000), &[Value::I32(1)]), [Value::I32(7)], "{open}");
    }
    // Also where the code is not reached.
    for start in ["", "unreachable "] {
        let error =
            refused(&function("", &format!("{start}{}i32.const 0 {}", "block ".repeat(70_000), "end ".repeat(70_000))));
        match error {
            CompileError::Limit { what, limit, .. } => {
                assert_eq!((what, limit), ("blocks inside of each other", 65_536))
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_huge_br_table() {
    let targets = "0 1 ".repeat(100_000);
    let body = format!(
        "block block block local.get 0 br_table {targets} 2 end i32.const 1 return end i32.const 2 return end i32.const 3"
    );
    let wat = function("(param i32)", &body);
    for (index, expected) in [(0, 1), (199_999, 2), (200_000, 3), (-1, 3)] {
        assert_eq!(f(&wat, &[Value::I32(index)]), [Value::I32(expected)], "{index}");
    }
}

#[test]
fn many_parameters_and_results() {
    let gets: String = (0..1000).rev().map(|i| format!("local.get {i} ")).collect();
    let constants: String = (0..1000).map(|i| format!("i32.const {i} ")).collect();
    let wat = format!(
        "(module (func $g (param {0}) (result {0}) {gets})
            (func (export \"f\") (result i32) {constants} call $g {1}))",
        "i32 ".repeat(1000),
        "drop ".repeat(999)
    );
    assert_eq!(f(&wat, &[]), [Value::I32(999)]);
    let error = refused(&format!("(module (func (param {})))", "i32 ".repeat(1001))).to_string();
    assert!(error.contains("function params size"), "{error}");
}

#[test]
fn many_functions() {
    let functions: String = (0..20_000).map(|i| format!("(func (result i32) i32.const {i}) ")).collect();
    let wat = format!("(module {functions} (func (export \"f\") (result i32) call 19999))");
    assert_eq!(f(&wat, &[]), [Value::I32(19_999)]);
}

#[test]
fn four_gigabytes_of_memory() {
    let app = instance(
        r#"(module (memory 65536) (func (export "size") (result i32) (memory.size)) (func (export "grow") (result i32) (memory.grow (i32.const 1)))
            (func (export "last") (result i32) (i32.store (i32.const 0xfffffffc) (i32.const 5)) (i32.load (i32.const 0xfffffffc)))
            (func (export "beyond") (result i32) (i32.load (i32.const 0xfffffffd))))"#,
    );
    let call = |name| app.call(name, &[]).map(|mut results| results.remove(0));
    assert_eq!(call("size").unwrap(), Value::I32(65_536));
    assert_eq!(call("last").unwrap(), Value::I32(5));
    assert_eq!(call("grow").unwrap(), Value::I32(-1));
    assert_eq!(call("beyond").unwrap_err().kind(), ErrorKind::Trap);
    let error = refused("(module (memory 65537))").to_string();
    assert!(error.contains("65536-byte pages"), "{error}");
}

#[test]
fn the_largest_tables() {
    let wat = r#"(module (table 10000000 20000000 funcref)
        (func (export "f") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)) (drop) (table.size)))"#;
    assert_eq!(f(wat, &[Value::I32(1)]), [Value::I32(10_000_000)]);
    let engine = engine();
    for (table, words) in [
        ("(table 10000001 funcref)", "10000001 elements is larger than the limit of 10000000"),
        ("(table 4294967295 funcref)", "4294967295 elements is larger than the limit of 10000000"),
    ] {
        let wasm = wat::parse_str(format!("(module {table})")).unwrap();
        let error = match compile(&wasm, &Config::default()) {
            Err(error) => error.to_string(),
            Ok(artifact) => {
                let module = Module::load(&engine, &artifact).unwrap();
                let error = Linker::new(&engine).instantiate(&module).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Limit);
                error.message().to_owned()
            }
        };
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_memory_that_no_machine_has() {
    let engine = engine();
    for pages in ["0x10000000", "0x1000000000000"] {
        let wasm = wat::parse_str(format!("(module (memory i64 {pages}))")).unwrap();
        let module = Module::load(&engine, &compile(&wasm, &Config::default()).unwrap()).unwrap();
        let error = Linker::new(&engine).instantiate(&module).unwrap_err();
        assert!(error.message().contains("does not fit"), "{error}");
    }
}
