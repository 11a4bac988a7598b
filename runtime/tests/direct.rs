//! Imports that call instructions call directly: C functions, leaves, and other instances' functions.
#![allow(clippy::undocumented_unsafe_blocks, reason = "the tests play the part of C, which knows no unsafe")]

mod common;

use common::{engine, instance_with, linker, module};
use std::cell::Cell;
use std::ffi::c_int;
use wasmbridge_runtime::{CallbackOptions, ErrorKind, Frame, TrapCode, Value};

thread_local! {
    static CALLBACK: Cell<Option<extern "C" fn(c_int) -> c_int>> = const { Cell::new(None) };
}

/// A C function that calls what the test has set.
extern "C" fn call_back(n: c_int) -> c_int {
    CALLBACK.get().map_or(-1, |function| function(n) + 1)
}

const NESTED: &str = r#"(module
    (import "env" "call_back" (func $call_back (param i32) (result i32)))
    (memory 1)
    (global $__stack_pointer (mut i32) (i32.const 65536))
    (export "__stack_pointer" (global $__stack_pointer))
    (func (export "inner") (param i32) (result i32)
      (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
      (if (i32.eqz (local.get 0)) (then unreachable))
      (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 16)))
      (i32.mul (local.get 0) (i32.const 10)))
    (func $twice (export "outer") (param i32) (result i32)
      (i32.add (call $call_back (local.get 0)) (call $call_back (i32.const 5)))))"#;

fn nested(prototype: &str) -> wasmbridge_runtime::Instance {
    let app = instance_with(NESTED, &[(prototype, call_back as *const u8)]);
    let inner = app.callback("int inner(int n)", &CallbackOptions::default()).unwrap();
    CALLBACK.set(Some(unsafe { std::mem::transmute::<*const u8, extern "C" fn(c_int) -> c_int>(inner.0) }));
    app
}

#[test]
fn a_callback_that_fails_below_a_direct_call_stops_the_caller_there() {
    let app = nested("int call_back(int n)");
    assert_eq!(app.call("outer", &[Value::I32(3)]).unwrap(), [Value::I32(31 + 51)]);
    let error = app.call("outer", &[Value::I32(0)]).unwrap_err();
    let trap = error.trap().expect("a trap");
    assert_eq!(trap.code, TrapCode::Unreachable);
    let names: Vec<String> = trap
        .frames
        .iter()
        .map(|frame| match frame {
            Frame::Wasm { name, .. } => name.clone().unwrap_or_default(),
            Frame::Native { name } | Frame::Callback { name } => name.clone(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["inner", "inner", "call_back", "twice"]);
    assert_eq!(app.global("__stack_pointer").unwrap(), Value::I32(65536), "put back");
    assert_eq!(app.call("outer", &[Value::I32(1)]).unwrap(), [Value::I32(11 + 51)], "and it goes on");
}

#[test]
fn a_leaf_that_calls_back_all_the_same_keeps_no_failure_for_itself() {
    let app = nested("int call_back(int n) [leaf]");
    assert_eq!(app.call("outer", &[Value::I32(3)]).unwrap(), [Value::I32(31 + 51)], "the callback runs");
    // The second call's callback is refused, as it is after any failure: it answers 0.
    let error = app.call("outer", &[Value::I32(0)]).unwrap_err();
    assert_eq!(error.trap().expect("a trap").code, TrapCode::Unreachable);
    assert_eq!(app.call("outer", &[Value::I32(1)]).unwrap(), [Value::I32(11 + 51)]);
    // Where no call of the host's is under way, the error waits for the host.
    let outer = app.callback("int outer(int n)", &CallbackOptions::default()).unwrap();
    let outer: extern "C" fn(c_int) -> c_int = unsafe { std::mem::transmute(outer.0) };
    assert_eq!(outer(0), 1 + 1, "the caller has gone on, with two default answers");
    assert_eq!(app.take_error().expect("an error").kind(), ErrorKind::Trap);
    assert_eq!(outer(2), 21 + 51);
}

#[test]
fn functions_of_other_instances_get_their_own_vmctx_and_every_argument() {
    let engine = engine();
    let library = module(
        &engine,
        r#"(module
            (global $base (mut i64) (i64.const 1000000))
            (func (export "mix") (param i32 f64 i64 f32 i32 i64 i32 f64) (result i64)
              (i64.add (global.get $base)
                (i64.add (i64.extend_i32_u (local.get 0))
                (i64.add (i64.trunc_f64_s (local.get 1))
                (i64.add (local.get 2)
                (i64.add (i64.trunc_f32_s (local.get 3))
                (i64.add (i64.extend_i32_u (local.get 4))
                (i64.add (local.get 5)
                (i64.add (i64.extend_i32_s (local.get 6)) (i64.trunc_f64_s (local.get 7)))))))))))
            (func (export "fail") (param i32) (result f32) unreachable)
            (func (export "none")))"#,
    );
    let app = module(
        &engine,
        r#"(module
            (import "lib" "mix" (func $mix (param i32 f64 i64 f32 i32 i64 i32 f64) (result i64)))
            (import "lib" "fail" (func $fail (param i32) (result f32)))
            (import "lib" "none" (func $none))
            (func (export "mix") (result i64)
              (call $none)
              (call $mix (i32.const -1) (f64.const 2) (i64.const 30) (f32.const 400) (i32.const 5) (i64.const 6) (i32.const -7)
                         (f64.const 8)))
            (func $failing (export "failing") (drop (call $fail (i32.const 1)))))"#,
    );
    let mut linker = linker(&engine, &[]);
    let library = linker.instantiate(&library).unwrap();
    linker.define_instance("lib", &library).unwrap();
    for _ in 0..40 {
        let app = linker.instantiate(&app).unwrap();
        let expected = 1_000_000 + 0xffff_ffff + 2 + 30 + 400 + 5 + 6 - 7 + 8;
        assert_eq!(app.call("mix", &[]).unwrap(), [Value::I64(expected)]);
        let error = app.call("failing", &[]).unwrap_err();
        assert_eq!(error.trap().unwrap().frames.len(), 2, "{error}");
    }
}

#[test]
fn a_direct_call_checks_pointers_and_says_what_is_wrong() {
    extern "C" fn first(p: *const c_int, q: *const u8) -> *const u8 {
        assert!(!p.is_null());
        if q.is_null() { p.cast() } else { q }
    }
    let app = instance_with(
        r#"(module
            (import "env" "first" (func $first (param i32 i32) (result i32)))
            (memory 1)
            (func (export "first") (param i32 i32) (result i32) (call $first (local.get 0) (local.get 1))))"#,
        &[("char *first(const int *p[nonnull], const char *q)", first as *const u8)],
    );
    let call = |p: i32, q: i32| app.call("first", &[Value::I32(p), Value::I32(q)]);
    assert_eq!(call(8, 0).unwrap(), [Value::I32(8)]);
    assert_eq!(call(65532, 65535).unwrap(), [Value::I32(65535)]);
    for (p, q, part) in [
        (0, 1, "`first` argument 1 (`p`): it is NULL"),
        (65533, 1, "`first` argument 1 (`p`): 4 bytes at 0xfffd are not in the app's memory"),
        (4, 65536, "`first` argument 2 (`q`): 1 bytes at 0x10000"),
        (4, -1, "`first` argument 2 (`q`): 1 bytes at 0xffffffff"),
    ] {
        let error = call(p, q).unwrap_err();
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn a_result_from_elsewhere_traps_with_the_reason() {
    extern "C" fn big() -> i64 {
        1 << 40
    }
    extern "C" fn elsewhere() -> *const u8 {
        Box::leak(Box::new(1))
    }
    let app = instance_with(
        r#"(module
            (import "env" "big" (func $big (result i32)))
            (import "env" "elsewhere" (func $elsewhere (result i32)))
            (memory 1)
            (func (export "big") (drop (call $big)))
            (func (export "elsewhere") (drop (call $elsewhere))))"#,
        &[("long big(void)", big as *const u8), ("char *elsewhere(void) [leaf]", elsewhere as *const u8)],
    );
    let error = app.call("big", &[]).unwrap_err();
    assert!(error.message().contains("`big` result: 1099511627776 does not fit"), "{error}");
    let error = app.call("elsewhere", &[]).unwrap_err();
    assert!(error.message().contains("`elsewhere` result: the pointer is not into the app's memory"), "{error}");
}
