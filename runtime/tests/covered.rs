//! Functions that call imports in a loop, and leave one crossing frame for all of these calls.
#![allow(clippy::undocumented_unsafe_blocks, reason = "the tests play the part of C, which knows no unsafe")]

mod common;

use common::{engine, instance_with, linker, module};
use std::cell::Cell;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmbridge_runtime::{CallbackOptions, Frame, Instance, TrapCode, Value};

type IntFn = extern "C-unwind" fn(c_int) -> c_int;

thread_local! {
    static CALLBACK: Cell<Option<IntFn>> = const { Cell::new(None) };
    /// a callback that says where the guest's stack pointer is
    static WHERE: Cell<Option<IntFn>> = const { Cell::new(None) };
}

/// Calls what the test has set.
extern "C-unwind" fn call_back(n: c_int) -> c_int {
    CALLBACK.get().map_or(-1, |function| function(n) + 1)
}

/// Calls back, and goes on if what it calls ends in a panic, which leaves the same behind as a `longjmp`. How far the guest's stack pointer is from where it was
/// before.
extern "C-unwind" fn moved_by(n: c_int) -> c_int {
    let place = WHERE.get().expect("set by the test");
    let before = place(0);
    for _ in 0..3 {
        let _ = catch_unwind(AssertUnwindSafe(|| CALLBACK.get().map(|function| function(n))));
    }
    before - place(0)
}

extern "C-unwind" fn panics(_: c_int) -> c_int {
    std::panic::panic_any(1)
}

const APP: &str = r#"(module
    (import "env" "call_back" (func $call_back (param i32) (result i32)))
    (import "env" "moved_by" (func $moved_by (param i32) (result i32)))
    (import "env" "panics" (func $panics (param i32) (result i32)))
    (memory 1)
    (global $__stack_pointer (export "sp") (mut i32) (i32.const 65536))
    (func (export "where") (param i32) (result i32) (global.get $__stack_pointer))
    (func (export "inner") (param i32) (result i32)
      (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
      (if (i32.eqz (local.get 0)) (then unreachable))
      (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 16)))
      (i32.mul (local.get 0) (i32.const 10)))
    ;; The sum of what is called with n, n - 1, ... 1 and `last`.
    (func $sum (export "sum") (param $n i32) (param $last i32) (result i32)
      (local $sum i32)
      (loop $again
        (if (local.get $n)
          (then
            (local.set $sum (i32.add (local.get $sum) (call $call_back (local.get $n))))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $again))))
      (i32.add (local.get $sum) (call $call_back (local.get $last))))
    ;; Leaves by an exception of C's from inside of a loop, with 32 bytes of its own in use.
    (func (export "left") (param $n i32) (result i32)
      (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 32)))
      (loop $again
        (drop (call $panics (local.get $n)))
        (br_if $again (local.get $n)))
      (i32.const 0))
    (func $alloc (param i32)
      (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (local.get 0))))
    ;; By how much the stack pointer is wrong after callbacks were skipped: at first, after the function has set it, after another function has.
    (func (export "wrong_by") (param $n i32) (result i32)
      (local $sum i32)
      (loop $again
        (local.set $sum (i32.or (local.get $sum) (call $moved_by (local.get $n))))
        (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 48)))
        (local.set $sum (i32.or (local.get $sum) (call $moved_by (local.get $n))))
        (call $alloc (i32.const 80))
        (local.set $sum (i32.or (local.get $sum) (call $moved_by (local.get $n))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $again (local.get $n)))
      (global.set $__stack_pointer (i32.const 65536))
      (local.get $sum))
    ;; Calls itself through C, n deep, from a loop.
    (func (export "deep") (param $n i32) (result i32)
      (local $i i32)
      (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
      (local.set $i (i32.const 1))
      (loop $again
        (local.set $n (call $call_back (i32.sub (local.get $n) (i32.const 1))))
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (br_if $again (local.get $i)))
      (local.get $n))
    (func $endless (export "endless") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (loop (br_if 0 (call $call_back (i32.const 1))))))
      (i32.add (call $endless (local.get 0)) (i32.const 1))))"#;

fn function(app: &Instance, prototype: &str) -> IntFn {
    let callback = app.callback(prototype, &CallbackOptions::default()).unwrap();
    unsafe { std::mem::transmute::<*const u8, IntFn>(callback.0) }
}

fn app() -> Instance {
    let app = instance_with(
        APP,
        &[
            ("int call_back(int n)", call_back as *const u8),
            ("int moved_by(int n)", moved_by as *const u8),
            ("int panics(int n)", panics as *const u8),
        ],
    );
    CALLBACK.set(Some(function(&app, "int inner(int n)")));
    WHERE.set(Some(function(&app, "int where(int)")));
    app
}

fn names(frames: &[Frame]) -> Vec<String> {
    let name = |frame: &Frame| match frame {
        Frame::Wasm { name, .. } => name.clone().unwrap_or_default(),
        Frame::Native { name } | Frame::Callback { name } => name.clone(),
        other => format!("{other:?}"),
    };
    frames.iter().map(name).collect()
}

#[test]
fn a_callback_that_fails_stops_the_loop_there() {
    let app = app();
    let sum = |n, last| app.call("sum", &[Value::I32(n), Value::I32(last)]);
    assert_eq!(sum(3, 7).unwrap(), [Value::I32(31 + 21 + 11 + 71)]);
    for _ in 0..3 {
        let error = sum(2, 0).unwrap_err();
        let trap = error.trap().expect("a trap");
        assert_eq!(trap.code, TrapCode::Unreachable);
        assert_eq!(names(&trap.frames), ["inner", "inner", "call_back", "sum"]);
        assert_eq!(app.global("sp").unwrap(), Value::I32(65536), "put back");
    }
    assert_eq!(sum(1, 2).unwrap(), [Value::I32(11 + 21)], "and it goes on");
}

#[test]
fn each_of_nested_loops_is_in_the_backtrace_once() {
    thread_local! {
        static INNER_AND_DEEP: Cell<Option<[IntFn; 2]>> = const { Cell::new(None) };
    }
    extern "C-unwind" fn descend(n: c_int) -> c_int {
        let [inner, deep] = INNER_AND_DEEP.get().expect("set below");
        if n == 0 { inner(0) } else { deep(n) }
    }
    let app = app();
    INNER_AND_DEEP.set(Some([CALLBACK.get().unwrap(), function(&app, "int deep(int n)")]));
    CALLBACK.set(Some(descend));
    let error = app.call("deep", &[Value::I32(3)]).unwrap_err();
    let expected = ["inner", "inner", "call_back", "deep", "deep", "call_back", "deep", "deep", "call_back", "deep"];
    assert_eq!(names(&error.trap().expect("a trap").frames), expected);
}

#[test]
fn the_guests_stack_pointer_is_put_back_to_where_the_function_has_it() {
    std::panic::set_hook(Box::new(|_| {}));
    let app = app();
    CALLBACK.set(Some(function(&app, "int left(int n)")));
    for rounds in [1, 2, 100] {
        assert_eq!(app.call("wrong_by", &[Value::I32(rounds)]).unwrap(), [Value::I32(0)]);
    }
    assert!(!app.is_running());
}

#[test]
fn loops_below_loops_leave_nothing_behind() {
    let app = app();
    CALLBACK.set(Some(function(&app, "int deep(int n)")));
    for _ in 0..200 {
        assert_eq!(app.call("deep", &[Value::I32(1000)]).unwrap(), [Value::I32(1000)]);
    }
    // More than there is room for crossing frames.
    let deep = CALLBACK.get().unwrap();
    for _ in 0..200_000 {
        assert_eq!(deep(1), 1);
    }
    assert!(!app.is_running());
}

#[test]
fn panics_through_loops_leave_nothing_behind() {
    std::panic::set_hook(Box::new(|_| {}));
    let app = app();
    let left = function(&app, "int left(int n)");
    for _ in 0..1000 {
        assert!(catch_unwind(AssertUnwindSafe(|| left(1))).is_err());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(app.call("left", &[Value::I32(1)])))).is_err());
    assert!(!app.is_running());
    assert_eq!(WHERE.get().unwrap()(0), 65536);
    assert_eq!(app.call("sum", &[Value::I32(1), Value::I32(1)]).unwrap(), [Value::I32(22)]);
}

#[test]
fn a_recursion_without_end_is_a_stack_overflow() {
    let app = app();
    for _ in 0..3 {
        let error = app.call("endless", &[Value::I32(1)]).unwrap_err();
        assert_eq!(error.trap().expect("a trap").code, TrapCode::StackOverflow, "{error}");
        assert_eq!(app.call("sum", &[Value::I32(1), Value::I32(1)]).unwrap(), [Value::I32(22)]);
    }
}

#[test]
fn exceptions_and_tail_calls_leave_loops() {
    let app = instance_with(
        r#"(module
            (import "env" "call_back" (func $call_back (param i32) (result i32)))
            (tag $stop (param i32))
            (func $throwing (param $n i32)
              (loop $again
                (if (i32.eqz (local.get $n)) (then (throw $stop (i32.const 7))))
                (local.set $n (i32.sub (local.get $n) (call $call_back (i32.const 0))))
                (br $again)))
            ;; Catches, calls C again, and leaves by a tail call.
            (func $catching (export "catching") (param $n i32) (result i32)
              (local $sum i32)
              (loop $again
                (local.set $sum (i32.add (local.get $sum)
                  (block $caught (result i32)
                    (try_table (catch $stop $caught) (call $throwing (i32.const 2)))
                    (unreachable))))
                (local.set $sum (i32.add (local.get $sum) (call $call_back (i32.const 1))))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $again (local.get $n)))
              (return_call $same (local.get $sum)))
            (func $same (param i32) (result i32) (local.get 0))
            (func (export "inner") (param i32) (result i32) (local.get 0)))"#,
        &[("int call_back(int n)", call_back as *const u8)],
    );
    CALLBACK.set(Some(function(&app, "int inner(int n)")));
    let catching = function(&app, "int catching(int n)");
    // More than there is room for crossing frames.
    for _ in 0..70_000 {
        assert_eq!(catching(2), 2 * (7 + 2));
    }
    assert!(!app.is_running());
    assert_eq!(app.call("catching", &[Value::I32(3)]).unwrap(), [Value::I32(27)]);
}

#[test]
fn every_kind_of_import_can_be_called_in_a_loop() {
    extern "C" fn add(a: c_int, b: c_int) -> c_int {
        a + b
    }
    extern "C" fn length(s: *const u8) -> usize {
        unsafe { std::ffi::CStr::from_ptr(s.cast()) }.count_bytes()
    }
    extern "C" fn swap(a: *mut c_int, b: *mut c_int) -> *mut c_int {
        if !a.is_null() && !b.is_null() {
            unsafe { std::ptr::swap(a, b) };
        }
        b
    }
    extern "C" fn half(x: f64) -> f64 {
        x / 2.0
    }
    let engine = engine();
    let library = module(
        &engine,
        r#"(module (func (export "twice") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1))))"#,
    );
    let app = module(
        &engine,
        r#"(module
            (import "env" "add" (func $add (param i32 i32) (result i32)))
            (import "env" "add_leaf" (func $add_leaf (param i32 i32) (result i32)))
            (import "env" "length" (func $length (param i32) (result i32)))
            (import "env" "swap" (func $swap (param i32 i32) (result i32)))
            (import "env" "half" (func $half (param f64) (result f64)))
            (import "lib" "twice" (func $twice (param i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 100) "four\00")
            (data (i32.const 65532) "abc\00")
            (func (export "all") (param $n i32) (param $pointer i32) (result i32)
              (local $sum i32) (local $x f64)
              (local.set $x (f64.const 1024))
              (i32.store (i32.const 16) (i32.const 5))
              (loop $again
                (local.set $sum (call $add (local.get $sum) (local.get $n)))
                (local.set $sum (call $add_leaf (local.get $sum) (call $length (i32.const 100))))
                (local.set $sum (call $add (local.get $sum) (call $length (i32.const 65532))))
                (local.set $sum (call $add (local.get $sum) (call $swap (local.get $pointer) (i32.const 20))))
                (local.set $sum (call $add (local.get $sum) (call $swap (i32.const 0) (i32.const 0))))
                (local.set $sum (call $add (local.get $sum) (call $twice (local.get $n))))
                (local.set $x (call $half (local.get $x)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $again (local.get $n)))
              (i32.add (local.get $sum) (i32.trunc_f64_s (local.get $x)))))"#,
    );
    let mut linker = linker(
        &engine,
        &[
            ("int add(int a, int b)", add as *const u8),
            ("int add_leaf(int a, int b) [leaf]", add as *const u8),
            ("size_t length(const char *s)", length as *const u8),
            ("int *swap(int *a, int *b)", swap as *const u8),
            ("double half(double x)", half as *const u8),
        ],
    );
    linker.define_instance("lib", &linker.instantiate(&library).unwrap()).unwrap();
    let app = linker.instantiate(&app).unwrap();
    let all = |n, pointer| app.call("all", &[Value::I32(n), Value::I32(pointer)]);
    assert_eq!(all(2, 16).unwrap(), [Value::I32((2 + 4 + 3 + 20 + 4) + (1 + 4 + 3 + 20 + 2) + 256)]);
    let error = all(2, 65533).unwrap_err();
    assert!(error.message().contains("`swap` argument 1 (`a`): 4 bytes at 0xfffd"), "{error}");
    assert_eq!(names(&error.trap().unwrap().frames), ["all"]);
    assert!(all(1, 65532).is_ok(), "the last four bytes");
}
