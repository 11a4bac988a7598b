//! Calls through tables of which the compiler knows all that is in them, and through those of which it does not.

mod common;

use common::{engine, instance, linker, module, module_with};
use wasmbridge_compiler::Config;
use wasmbridge_runtime::{ErrorKind, Instance, TrapCode, Value};

/// A table of functions of one type, and null.
const UNIFORM: &str = r#"
(module
  (type $t (func (result i32)))
  (type $same (func (result i32)))
  (type $other (func (result i64)))
  (table 4 4 funcref)
  (elem (i32.const 1) $one $two)
  (func $one (result i32) i32.const 1)
  (func $two (result i32) i32.const 2)
  (func (export "call") (param i32) (result i32) (call_indirect (type $t) (local.get 0)))
  (func (export "same") (param i32) (result i32) (call_indirect (type $same) (local.get 0)))
  (func (export "other") (param i32) (result i64) (call_indirect (type $other) (local.get 0)))
  (func (export "tail") (param i32) (result i32) (return_call_indirect (type $t) (local.get 0)))
  (func (export "get") (param i32) (result i32) (ref.is_null (table.get (local.get 0)))))
"#;

#[track_caller]
fn traps(app: &Instance, name: &str, index: i32, expected: TrapCode) {
    let error = app.call(name, &[Value::I32(index)]).unwrap_err();
    assert_eq!(error.trap().map(|trap| trap.code), Some(expected), "{name} {index}: {error}");
    assert!(error.to_string().contains(&format!("0: {name} at wasm offset")), "{name}: {error}");
}

fn check(app: &Instance) {
    for name in ["call", "same", "tail"] {
        for index in [1, 2] {
            assert_eq!(app.call(name, &[Value::I32(index)]).unwrap(), [Value::I32(index)], "{name}");
        }
        for index in [0, 3] {
            traps(app, name, index, TrapCode::UninitializedElement);
        }
        for index in [4, -1, 0x1000_0000] {
            traps(app, name, index, TrapCode::UndefinedElement);
        }
    }
    traps(app, "other", 1, TrapCode::IndirectCallTypeMismatch);
    traps(app, "other", 0, TrapCode::UninitializedElement);
    assert_eq!(app.call("get", &[Value::I32(0)]).unwrap(), [Value::I32(1)]);
    assert_eq!(app.call("get", &[Value::I32(1)]).unwrap(), [Value::I32(0)]);
}

#[test]
fn a_table_of_one_type_is_called_through_and_traps_as_any_other() {
    check(&instance(UNIFORM));
    let engine = engine();
    for spectre_mitigations in [false, true] {
        for opt_level in [wasmbridge_compiler::OptLevel::None, wasmbridge_compiler::OptLevel::Speed] {
            let config = Config { spectre_mitigations, opt_level, ..Config::default() };
            check(&linker(&engine, &[]).instantiate(&module_with(&engine, UNIFORM, &config)).unwrap());
        }
    }
}

/// What a module does to its table beside calling through it: then a function of another type may be there.
#[test]
fn a_table_that_is_changed_anywhere_is_compared() {
    let changes = [
        "(table.set (i32.const 1) (ref.func $other))",
        "(table.fill (i32.const 1) (ref.func $other) (i32.const 1))",
        "(table.init $passive (i32.const 1) (i32.const 0) (i32.const 1))",
        "(table.copy $t $source (i32.const 1) (i32.const 0) (i32.const 1))",
    ];
    for change in changes {
        let app = instance(&format!(
            r#"(module
                (type $type (func (result i32)))
                (table $t 4 4 funcref) (table $source 1 1 funcref)
                (elem (table $t) (i32.const 1) func $one) (elem (table $source) (i32.const 0) func $other)
                (elem $passive func $other)
                (func $one (result i32) i32.const 1)
                (func $other (result i64) i64.const 2)
                (func (export "change") {change})
                (func (export "call") (param i32) (result i32) (call_indirect $t (type $type) (local.get 0))))"#
        ));
        assert_eq!(app.call("call", &[Value::I32(1)]).unwrap(), [Value::I32(1)]);
        app.call("change", &[]).unwrap();
        traps(&app, "call", 1, TrapCode::IndirectCallTypeMismatch);
    }
}

#[test]
fn a_table_of_others_or_for_others_is_compared() {
    let engine = engine();
    let mut linker = linker(&engine, &[]);
    let owner = r#"(module
        (table (export "table") 4 4 funcref)
        (elem (i32.const 1) func $one)
        (func $one (result i32) i32.const 1)
        (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))"#;
    let owner = linker.instantiate(&module(&engine, owner)).unwrap();
    linker.define_instance("owner", &owner).unwrap();
    let user = r#"(module
        (import "owner" "table" (table 4 4 funcref))
        (elem (i32.const 2) func $other)
        (func $other (result i64) i64.const 2)
        (func (export "call") (param i32) (result i64) (call_indirect (result i64) (local.get 0))))"#;
    let user = linker.instantiate(&module(&engine, user)).unwrap();
    assert_eq!(owner.call("call", &[Value::I32(1)]).unwrap(), [Value::I32(1)]);
    assert_eq!(user.call("call", &[Value::I32(2)]).unwrap(), [Value::I64(2)]);
    traps(&owner, "call", 2, TrapCode::IndirectCallTypeMismatch);
    traps(&user, "call", 1, TrapCode::IndirectCallTypeMismatch);
}

/// An instance of which only a function is left, because its segments do not fit: its table, which all of its segments together would have filled,
/// is empty.
#[test]
fn a_table_whose_segments_were_never_copied_is_all_null() {
    let engine = engine();
    let mut linker = linker(&engine, &[]);
    let owner = r#"(module
        (table (export "table") 1 1 funcref)
        (func (export "call") (result i32) (call_indirect (result i32) (i32.const 0))))"#;
    let owner = linker.instantiate(&module(&engine, owner)).unwrap();
    linker.define_instance("owner", &owner).unwrap();
    let failing = r#"(module
        (import "owner" "table" (table $imported 1 funcref))
        (table $t 1 1 funcref)
        (elem (table $imported) (i32.const 0) func $through)
        (elem (table $imported) (i32.const 1) func $one)
        (elem (table $t) (i32.const 0) func $one)
        (func $one (result i32) i32.const 1)
        (func $through (result i32) (call_indirect $t (result i32) (i32.const 0))))"#;
    let error = linker.instantiate(&module(&engine, failing)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
    let error = owner.call("call", &[]).unwrap_err();
    assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::UninitializedElement), "{error}");
}

/// A private table 0 that can grow takes C functions, whose types are their prototypes'.
#[test]
fn a_table_that_takes_native_functions_is_compared() {
    extern "C" fn negate(n: std::ffi::c_int) -> std::ffi::c_int {
        -n
    }
    extern "C" fn lookup() -> extern "C" fn(std::ffi::c_int) -> std::ffi::c_int {
        negate
    }
    let lookup = ("int (*lookup(void))(int)", lookup as extern "C" fn() -> _ as *const u8);
    let app = r#"(module
        (import "env" "lookup" (func $lookup (result i32)))
        (type $wrong (func (result i32)))
        (memory 1)
        (table 2 funcref)
        (elem (i32.const 1) func $one)
        (func $one (result i32) i32.const 1)
        (func (export "right") (result i32)
          (call_indirect (param i32) (result i32) (i32.const 5) (call $lookup)))
        (func (export "wrong") (result i32) (call_indirect (type $wrong) (call $lookup))))"#;
    let app = common::instance_with(app, &[lookup]);
    assert_eq!(app.call("right", &[]).unwrap(), [Value::I32(-5)]);
    let error = app.call("wrong", &[]).unwrap_err();
    assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::IndirectCallTypeMismatch), "{error}");
}
