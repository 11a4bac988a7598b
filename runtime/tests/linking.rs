//! Loading and linking: what is refused, and how it is said.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the tests play the part of C, which knows neither unsafe nor borrowing"
)]

mod common;

use common::{engine, linker, module, module_with};
use std::ffi::c_int;
use wasmbridge_artifact::container::{self, Head};
use wasmbridge_compiler::Config;
use wasmbridge_runtime::{CallbackOptions, ErrorKind, Linker, Module, NativeFn, TrapCode, Value};

extern "C" fn negate(n: c_int) -> c_int {
    -n
}

const NEGATE: *const u8 = negate as extern "C" fn(c_int) -> c_int as *const u8;

#[test]
fn every_missing_import_is_named_with_its_type() {
    let engine = engine();
    let module = module(
        &engine,
        r#"(module
            (import "env" "first" (func (param i32 f64) (result i64)))
            (import "env" "negate" (func (param i32) (result i32)))
            (import "other" "memory" (memory 1)))"#,
    );
    let error = linker(&engine, &[("int negate(int)", NEGATE)]).instantiate(&module).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    assert!(error.message().starts_with("2 imports are not as needed"), "{error}");
    assert!(error.message().contains("`env.first`: not defined; the module imports a function `(i32, f64) -> i64`"));
    assert!(error.message().contains("`other.memory`: not defined"));
}

#[test]
fn a_prototype_of_another_type_is_refused_with_both() {
    let engine = engine();
    let module = module(&engine, r#"(module (import "env" "negate" (func (param i64) (result i32))))"#);
    let error = linker(&engine, &[("int negate(int)", NEGATE)]).instantiate(&module).unwrap_err();
    let expected = "the module imports `(i64) -> i32`, its prototype `int (int)` is `(i32) -> i32`";
    assert!(error.message().contains(expected), "{error}");
}

#[test]
fn bad_definitions_are_refused_when_they_are_made() {
    let mut linker = Linker::new(&engine());
    let mut define =
        |prototype: &str, function| unsafe { linker.define("env", prototype, NativeFn(function)) }.unwrap_err();
    assert_eq!(define("int negate(int", NEGATE).kind(), ErrorKind::Prototype);
    assert_eq!(define("int (int)", NEGATE).kind(), ErrorKind::Prototype);
    assert_eq!(define("int negate(int)", std::ptr::null()).kind(), ErrorKind::InvalidArgument);
}

#[test]
fn type_names_of_the_linker_hold_for_callbacks_too() {
    let engine = engine();
    let module = module(
        &engine,
        r#"(module (func (export "half") (param i64) (result i64) (i64.shr_s (local.get 0) (i64.const 1))))"#,
    );
    let mut linker = Linker::new(&engine);
    linker.define_type("sample_t", "long long").unwrap();
    let app = linker.instantiate(&module).unwrap();
    let function = app.callback("sample_t half(sample_t)", &CallbackOptions::default()).unwrap();
    let half: extern "C" fn(i64) -> i64 = unsafe { std::mem::transmute(function.0) };
    assert_eq!(half(-84), -42);
    let plain = Linker::new(&engine).instantiate(&module).unwrap();
    assert_eq!(
        plain.callback("sample_t half(sample_t)", &CallbackOptions::default()).unwrap_err().kind(),
        ErrorKind::Prototype
    );
}

#[test]
fn damaged_artifacts_are_refused_with_what_is_wrong() {
    let engine = engine();
    let good =
        wasmbridge_compiler::compile(&wat::parse_str("(module (func (export \"f\")))").unwrap(), &Config::default())
            .unwrap();
    assert!(Module::load(&engine, &good).is_ok());
    let path = std::env::temp_dir().join(format!("wasmbridge-damaged-{}.wbm", std::process::id()));
    std::fs::write(&path, &good).unwrap();
    assert!(Module::open(&engine, &path).is_ok());
    let refused = |bytes: &[u8], expected: &str| {
        std::fs::write(&path, bytes).unwrap();
        for error in [Module::load(&engine, bytes).unwrap_err(), Module::open(&engine, &path).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Artifact);
            assert!(error.message().contains(expected), "expected `{expected}`: {error}");
        }
    };
    refused(&[], "the file is empty");
    refused(b"\0asm\x01\0\0\0", "this is a WebAssembly module, not an artifact");
    refused(b"#!/bin/sh\n", "not a wasmbridge artifact");
    refused(&good[..good.len() - 1], "truncated");
    refused(&good[..70], "truncated");
    refused(&[&good[..], b"x"].concat(), "it was changed after");
    let with = |at: usize, change: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= change;
        bytes
    };
    refused(&with(good.len() / 2, 4), "damaged");
    refused(&with(64 + 8, 0x40), "format version");
    refused(&with(64 + 56, 1), "compiler version");
    // Where the head says that the code is, the file is mapped before anything else is known of it: nowhere, in the middle of a page, beyond the
    // file, on the first page.
    for (at, text) in [(40, 0u64), (40, 8), (40, 1 << 62), (48, u64::MAX), (48, 0), (48, good.len() as u64)] {
        let mut bytes = good.clone();
        bytes[64 + at..64 + at + 8].copy_from_slice(&text.to_le_bytes());
        refused(&bytes, "damaged");
        let hash = container::hash(&bytes);
        bytes[Head::HASH].copy_from_slice(&hash.to_le_bytes());
        refused(&bytes, "`.text` is not as the format says: it is not where the head says");
    }
    std::fs::remove_file(&path).unwrap();
    let error = Module::open(&engine, "/nonexistent/app.wbm").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Os);
    assert!(error.message().contains("cannot open `/nonexistent/app.wbm`"), "{error}");
    assert_eq!(Module::open(&engine, "/").unwrap_err().kind(), ErrorKind::Artifact);
}

#[test]
fn a_file_that_is_opened_again_is_looked_at_again_if_it_has_changed() {
    let engine = engine();
    let path = |name: &str| std::env::temp_dir().join(format!("wasmbridge-{name}-{}.wbm", std::process::id()));
    let (path, other) = (path("again"), path("other"));
    let compile = |value: i32| {
        let wat = format!("(module (func (export \"f\") (result i32) i32.const {value}))");
        wasmbridge_compiler::compile(&wat::parse_str(wat).unwrap(), &Config::default()).unwrap()
    };
    let call = || {
        let module = Module::open(&engine, &path)?;
        Linker::new(&engine).instantiate(&module)?.call("f", &[])
    };
    std::fs::write(&path, compile(1)).unwrap();
    std::fs::write(&other, compile(2)).unwrap();
    assert_eq!(call().unwrap(), [Value::I32(1)]);
    // By now the file's last change is so long ago that another one shows: it is remembered.
    std::thread::sleep(std::time::Duration::from_millis(3200));
    for _ in 0..3 {
        assert_eq!(call().unwrap(), [Value::I32(1)]);
    }
    // Damage, and the time of the last modification put back.
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = compile(1);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert!(call().unwrap_err().message().contains("damaged"));
    // Another file in its place, which was remembered under its own name.
    Module::open(&engine, &other).unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(call().unwrap(), [Value::I32(2)]);
    std::fs::remove_file(&path).unwrap();
}

const LIBRARY: &str = r#"
(module
  (memory (export "memory") 1)
  (global (export "counter") (mut i32) (i32.const 5))
  (table (export "table") 4 funcref)
  (func (export "divide") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1))))"#;

const USER: &str = r#"
(module
  (import "library" "memory" (memory 1))
  (import "library" "counter" (global $counter (mut i32)))
  (import "library" "table" (table 2 funcref))
  (import "library" "divide" (func $divide (param i32 i32) (result i32)))
  (elem (i32.const 3) $own)
  (func $own (result i32) i32.const 77)
  (func (export "run") (param i32) (result i32)
    (i32.store (i32.const 8) (i32.const 1234))
    (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
    (call $divide (i32.const 84) (local.get 0)))
  (func (export "identity") (param i32) (result i32) local.get 0))"#;

#[test]
fn instances_share_what_they_import_and_trap_together() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    let library = linker.instantiate(&module(&engine, LIBRARY)).unwrap();
    linker.define_instance("library", &library).unwrap();
    let user = linker.instantiate(&module(&engine, USER)).unwrap();
    assert_eq!(user.call("run", &[Value::I32(2)]).unwrap(), [Value::I32(42)]);
    assert_eq!(library.global("counter").unwrap(), Value::I32(6));
    let stored = library.native_ptr(8, 4).unwrap().cast::<i32>();
    assert_eq!(unsafe { *stored }, 1234);
    assert_eq!(user.memory(), library.memory(), "one memory");

    let error = user.call("run", &[Value::I32(0)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::IntegerDivideByZero);
    let lines = error.to_string();
    assert!(lines.contains("0: divide at") && lines.contains("1: run at"), "{lines}");

    // The user's function in the library's table, called as a callback of the library, also when the host has let go of the user.
    let at = |index| library.callback_at(index, "int own(void)", &CallbackOptions::default());
    let own: extern "C" fn() -> c_int = unsafe { std::mem::transmute(at(3).unwrap().0) };
    assert_eq!(own(), 77);
    drop(user);
    assert_eq!(own(), 77);
}

#[test]
fn imports_of_other_types_and_limits_are_refused() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    let library = linker.instantiate(&module(&engine, LIBRARY)).unwrap();
    linker.define_instance("library", &library).unwrap();
    let refused = |wat: &str, expected: &str| {
        let error = linker.instantiate(&module(&engine, wat)).unwrap_err();
        assert!(error.message().contains(expected), "{error}");
    };
    refused(
        r#"(module (import "library" "memory" (memory 2)))"#,
        "imports `memory 2.. pages`, the export is `memory 1.. pages`",
    );
    refused(r#"(module (import "library" "memory" (memory 1 4)))"#, "imports `memory 1..=4 pages`");
    refused(
        r#"(module (import "library" "table" (table 5 funcref)))"#,
        "imports `table 5.. funcref`, the export is `table 4.. funcref`",
    );
    refused(
        r#"(module (import "library" "counter" (global i32)))"#,
        "imports `global i32`, the export is `global mut i32`",
    );
    refused(r#"(module (import "library" "divide" (func)))"#, "the export is `(i32, i32) -> i32`");
    refused(r#"(module (import "library" "divide" (memory 1)))"#, "of another kind");
    refused(r#"(module (import "library" "absent" (func)))"#, "no such export");
}

#[test]
fn a_memory_that_reserves_too_little_is_not_shared_with_unchecked_code() {
    let engine = engine();
    let small = Config { memory_reservation: 64 << 20, ..Config::default() };
    let mut linker = Linker::new(&engine);
    let library = linker.instantiate(&module_with(&engine, LIBRARY, &small)).unwrap();
    linker.define_instance("library", &library).unwrap();
    let error = linker.instantiate(&module(&engine, USER)).unwrap_err();
    assert!(error.message().contains("compile both with the same --memory-reservation"), "{error}");
    assert!(linker.instantiate(&module_with(&engine, USER, &small)).is_ok());
}

#[test]
fn engines_do_not_mix() {
    let (one, other) = (engine(), engine());
    let error = linker(&one, &[]).instantiate(&module(&other, "(module)")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn memory_grows_to_its_maximum_and_never_into_the_window_area() {
    let engine = engine();
    let app = linker(&engine, &[])
        .instantiate(&module(
            &engine,
            r#"(module (memory (export "memory") 1)
                (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
                (func (export "last") (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 1))))"#,
        ))
        .unwrap();
    let base = app.memory().unwrap().base;
    assert_eq!(base as usize % (1 << 32), 0, "memories start at multiples of 4 GiB");
    assert_eq!(app.call("grow", &[Value::I32(9)]).unwrap(), [Value::I32(1)]);
    assert_eq!(app.call("grow", &[Value::I32(65536)]).unwrap(), [Value::I32(-1)]);
    assert_eq!(app.call("grow", &[Value::I32(0xc000 - 10)]).unwrap(), [Value::I32(10)], "3 GiB");
    assert_eq!(app.call("grow", &[Value::I32(1)]).unwrap(), [Value::I32(-1)]);
    assert!(app.call("last", &[]).is_ok());
    assert_eq!(app.memory().unwrap().base, base, "it never moves");
    assert_eq!(app.memory().unwrap().len_bytes, 3 << 30);
}

#[test]
fn a_table_or_memory_beyond_the_limits_is_an_error() {
    let engine = engine();
    let error = linker(&engine, &[]).instantiate(&module(&engine, "(module (table 4000000000 funcref))")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let small = Config { memory_reservation: 64 << 20, ..Config::default() };
    let error = linker(&engine, &[]).instantiate(&module_with(&engine, "(module (memory 1024))", &small)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}

/// An exporter of a table, globals and functions of typed references, and what each importer is told.
const TYPED: &str = r#"(module
    (type $binary (func (param i32 i32) (result i32)))
    (type $higher (func (param (ref $binary)) (result i32)))
    (func $add (export "add") (type $binary) (i32.add (local.get 0) (local.get 1)))
    (func (export "apply") (type $higher) (call_ref $binary (i32.const 20) (i32.const 22) (local.get 0)))
    (func (export "apply_null") (param (ref null $binary)) (result i32)
        (call_ref $binary (i32.const 20) (i32.const 22) (local.get 0)))
    (table (export "table") 2 (ref $binary) (ref.func $add))
    (global (export "constant") (ref $binary) (ref.func $add))
    (global (export "variable") (mut (ref null $binary)) (ref.null $binary)))"#;

#[test]
fn typed_references_link_by_structure() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    let exporter = linker.instantiate(&module(&engine, TYPED)).unwrap();
    linker.define_instance("m", &exporter).unwrap();
    // The same types at other indices; the constant as any function.
    let importer = linker.instantiate(&module(
        &engine,
        r#"(module
            (type (func))
            (type $b (func (param i32 i32) (result i32)))
            (type $h (func (param (ref $b)) (result i32)))
            (import "m" "apply" (func $apply (type $h)))
            (import "m" "table" (table $table 1 (ref $b)))
            (import "m" "constant" (global $constant (ref func)))
            (import "m" "variable" (global $variable (mut (ref null $b))))
            (func $sub (type $b) (i32.sub (local.get 0) (local.get 1)))
            (elem declare func $sub)
            (func (export "run") (result i32)
                (global.set $variable (ref.func $sub))
                (i32.add (call $apply (ref.as_non_null (global.get $variable)))
                         (call $apply (table.get $table (i32.const 1))))))"#,
    ));
    assert_eq!(importer.unwrap().call("run", &[]).unwrap(), [Value::I32(-2 + 42)]);
    for (wrong, said) in [
        (r#"(import "m" "apply" (func (param funcref) (result i32)))"#, "imports `(funcref) -> i32`"),
        (r#"(import "m" "table" (table 1 funcref))"#, "imports `table 1.. funcref`"),
        (r#"(import "m" "constant" (global (ref extern)))"#, "imports `global (ref extern)`"),
        (r#"(import "m" "constant" (global (mut (ref func))))"#, "imports `global mut (ref func)`"),
        (r#"(import "m" "variable" (global (mut funcref)))"#, "imports `global mut funcref`"),
        (r#"(type (func)) (import "m" "constant" (global (ref 0)))"#, "imports `global (ref 0)` (type 0: `() -> ()`)"),
        (
            r#"(type (func)) (import "m" "table" (table 1 (ref 0)))"#,
            "the export is `table 2.. (ref 0)` (type 0: `(i32, i32) -> i32`)",
        ),
    ] {
        let error = linker.instantiate(&module(&engine, &format!("(module {wrong})"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Link, "{wrong}");
        assert!(error.message().contains(said), "{wrong}: {error}");
    }
}

#[test]
fn the_host_passes_typed_references() {
    let engine = engine();
    let instance = Linker::new(&engine).instantiate(&module(&engine, TYPED)).unwrap();
    let add = instance.global("constant").unwrap();
    assert!(matches!(add, Value::FuncRef(Some(_))));
    assert_eq!(instance.call("apply", std::slice::from_ref(&add)).unwrap(), [Value::I32(42)]);
    instance.set_global("variable", add).unwrap();
    let refused = instance.call("apply", &[Value::FuncRef(None)]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert!(refused.message().ends_with("argument 1 is a null funcref, expected (ref 0)"), "{refused}");
    let trapped = instance.call("apply_null", &[Value::FuncRef(None)]).unwrap_err();
    assert_eq!(trapped.trap().map(|t| t.code), Some(TrapCode::NullReference));
    // Nor does a function of another engine's, whatever its type's number there.
    let stranger = self::engine();
    let stranger = Linker::new(&stranger).instantiate(&module(&stranger, TYPED)).unwrap().global("constant").unwrap();
    let refused = instance.call("apply", std::slice::from_ref(&stranger)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert!(
        refused.message().ends_with("argument 1 is funcref of another engine's instance, expected (ref 0)"),
        "{refused}"
    );
    let refused = instance.set_global("variable", stranger.clone()).unwrap_err();
    assert!(refused.message().ends_with("of type funcref of another engine's instance"), "{refused}");
    let refused = instance.set_table("table", 0, &stranger).unwrap_err();
    assert!(refused.message().ends_with("of type funcref of another engine's instance"), "{refused}");
    // A function of another type does not get in.
    let other = module(&engine, r#"(module (func $f) (global (export "f") funcref (ref.func $f)))"#);
    let other = Linker::new(&engine).instantiate(&other).unwrap();
    let f = other.global("f").unwrap();
    assert_eq!(instance.call("apply", std::slice::from_ref(&f)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(instance.set_global("variable", f).unwrap_err().kind(), ErrorKind::InvalidArgument);
}
