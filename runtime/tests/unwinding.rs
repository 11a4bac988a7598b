//! Panics of Rust that pass through wasm frames, thunks, callbacks and the host's calls. Exceptions of C++ are in the tests of the C API.
#![allow(clippy::undocumented_unsafe_blocks, reason = "the tests play the part of C, which does not know unsafe")]

mod common;

use common::{engine, instance_with, linker, module};
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use wasmbridge_runtime::{CallbackOptions, Instance, Value};

type IntFn = extern "C-unwind" fn(c_int) -> c_int;

/// `run` has 64 bytes of its own stack in use while it calls C.
const APP: &str = r#"
(module
  (import "env" "visit" (func $visit (param i32 i32) (result i32)))
  (import "env" "text" (func $text (param i32)))
  (memory (export "memory") 1)
  (global $__stack_pointer (export "sp") (mut i32) (i32.const 65536))
  (table 4 funcref)
  (elem (i32.const 1) $run $twice)
  (func $twice (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func $run (export "run") (param i32) (result i32)
    (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 64)))
    (call $visit (i32.const 1) (local.get 0))
    (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 64))))
  (func (export "show") (param i32) (call $text (local.get 0)))
  (func (export "pass_text") (param i32) (result i32) (call $visit (i32.const 1) (local.get 0))))"#;

/// Calls the app again, one deeper, until there is nothing left; then panics.
extern "C-unwind" fn visit(function: IntFn, left: c_int) -> c_int {
    match left {
        0 => panic_any(77),
        // Catches what comes from below, and goes on.
        n if n >= 100 => catch_unwind(|| function(n - 100)).unwrap_or(1000),
        -1 => 5,
        n => function(n - 1),
    }
}

extern "C-unwind" fn text(_: *const i8) {
    panic_any(78);
}

fn app() -> Instance {
    std::panic::set_hook(Box::new(|_| {}));
    let visit = visit as extern "C-unwind" fn(IntFn, c_int) -> c_int as *const u8;
    let text = text as extern "C-unwind" fn(*const i8) as *const u8;
    instance_with(APP, &[("int visit(int (*f)(int), int left)", visit), ("void text(const char *s[str])", text)])
}

fn panics(call: impl FnOnce()) -> c_int {
    let payload = catch_unwind(AssertUnwindSafe(call)).expect_err("it panics");
    *payload.downcast::<c_int>().unwrap_or_else(|other| resume_unwind(other))
}

/// Everything is as before: nothing runs, nothing is pending, and from the next entry on the app's stack is whole.
fn is_as_before(app: &Instance) {
    assert!(!app.is_running());
    assert!(app.take_error().is_none());
    assert_eq!(app.call("run", &[Value::I32(-1)]).unwrap(), [Value::I32(5)]);
    assert_eq!(app.global("sp").unwrap(), Value::I32(65536));
}

#[test]
fn a_panic_passes_through_the_hosts_call() {
    let app = app();
    for depth in [0, 1, 7, 40] {
        assert_eq!(panics(|| drop(app.call("run", &[Value::I32(depth)]))), 77);
        is_as_before(&app);
    }
    assert_eq!(panics(|| drop(app.call("show", &[Value::I32(16)]))), 78);
    is_as_before(&app);
}

#[test]
fn a_panic_passes_through_callbacks() {
    let app = app();
    let run = app.callback("int run(int)", &CallbackOptions::default()).unwrap();
    let run: IntFn = unsafe { std::mem::transmute(run.0) };
    for depth in [0, 1, 9] {
        for _ in 0..3 {
            let outcome = panics(|| _ = run(depth));
            assert_eq!(outcome, 77);
        }
        is_as_before(&app);
        assert_eq!(run(-1), 5);
    }
    // Through slots as well.
    let show = app.callback("void show(const char *s[str])", &CallbackOptions::default()).unwrap();
    let show: extern "C-unwind" fn(*const i8) = unsafe { std::mem::transmute(show.0) };
    for _ in 0..3 {
        assert_eq!(panics(|| show(c"hello".as_ptr())), 78);
        is_as_before(&app);
    }
}

#[test]
fn a_panic_that_c_catches_in_the_middle_ends_there() {
    let app = app();
    for depth in [100, 101, 105] {
        assert_eq!(app.call("run", &[Value::I32(depth)]).unwrap(), [Value::I32(1000)]);
        is_as_before(&app);
    }
    // Between two that pass on.
    assert_eq!(app.call("run", &[Value::I32(203)]).unwrap(), [Value::I32(1000)]);
    is_as_before(&app);
}

#[test]
fn a_panic_in_a_start_function_is_the_hosts() {
    std::panic::set_hook(Box::new(|_| {}));
    let engine = engine();
    let module = module(&engine, r#"(module (import "env" "fail" (func $fail)) (start $fail))"#);
    extern "C-unwind" fn fail() {
        panic_any(79);
    }
    let linker = linker(&engine, &[("void fail(void)", fail as extern "C-unwind" fn() as *const u8)]);
    for _ in 0..3 {
        assert_eq!(panics(|| drop(linker.instantiate(&module))), 79);
    }
}

#[test]
fn many_panics_leave_nothing_behind() {
    let app = app();
    let run = app.callback("int run(int)", &CallbackOptions::default()).unwrap();
    let run: IntFn = unsafe { std::mem::transmute(run.0) };
    // More than the instance has room for crossings.
    for _ in 0..70_000 {
        assert_eq!(panics(|| _ = run(0)), 77);
    }
    is_as_before(&app);
}

#[test]
fn panics_find_their_way_through_every_page_of_callbacks() {
    // More callbacks than one group of pages holds: each group has an unwind table of its own.
    let engine = engine();
    let module = module(&engine, APP);
    let visit = visit as extern "C-unwind" fn(IntFn, c_int) -> c_int as *const u8;
    let text = text as extern "C-unwind" fn(*const i8) as *const u8;
    let linker =
        linker(&engine, &[("int visit(int (*f)(int), int left)", visit), ("void text(const char *s[str])", text)]);
    std::panic::set_hook(Box::new(|_| {}));
    let apps: Vec<Instance> = (0..40).map(|_| linker.instantiate(&module).unwrap()).collect();
    for app in &apps {
        let run = app.callback("int run(int)", &CallbackOptions::default()).unwrap();
        let run: IntFn = unsafe { std::mem::transmute(run.0) };
        assert_eq!(panics(|| _ = run(2)), 77);
        is_as_before(app);
    }
}
