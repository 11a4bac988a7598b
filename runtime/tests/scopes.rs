//! How long C may call a callback: `[scope: call]`, `[scope: once]`, `[scope: until NAME]`.

mod common;

use common::instance_with;
use std::cell::Cell;
use std::ffi::c_int;
use wasmbridge_runtime::{
    Answer, CallbackOptions, Instance, NativeFn, OnThread, Refusal, Value, WhilePending, callback_last_refusal,
    callback_refusals, release_callback,
};

type IntFn = extern "C" fn(c_int) -> c_int;

thread_local! {
    static KEPT: Cell<Option<IntFn>> = const { Cell::new(None) };
}

fn kept() -> IntFn {
    KEPT.get().unwrap()
}

/// Keeps a function although it may not, and calls it `n` times.
extern "C" fn run(function: IntFn, n: c_int) -> c_int {
    KEPT.set(Some(function));
    (0..n).map(|i| function(i)).sum()
}

extern "C" fn keep(function: IntFn) {
    KEPT.set(Some(function));
}

extern "C" fn give_back(function: IntFn) -> c_int {
    function(100)
}

/// Keeps the second function and calls each that is not NULL.
extern "C" fn second(first: Option<IntFn>, second: IntFn, n: c_int) -> c_int {
    KEPT.set(Some(second));
    first.map_or(0, |first| first(n)) + second(n)
}

/// Calls the app, which calls the others.
const APP: &str = r#"
(module
  (import "env" "run" (func $run (param i32 i32) (result i32)))
  (import "env" "run_twice" (func $run_twice (param i32 i32) (result i32)))
  (import "env" "post" (func $post (param i32)))
  (import "env" "add" (func $add (param i32)))
  (import "env" "remove" (func $remove (param i32) (result i32)))
  (import "env" "remove_plain" (func $remove_plain (param i32) (result i32)))
  (import "env" "add_plain" (func $add_plain (param i32)))
  (import "env" "set" (func $set (param i32)))
  (import "env" "second" (func $second (param i32 i32 i32) (result i32)))
  (memory 1)
  (table 10 funcref)
  (elem (i32.const 1) $increment $nest $trap $other)
  (func $increment (export "increment") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $other (param i32) (result i32) (i32.const 77))
  (func $nest (param i32) (result i32) (call $run (i32.const 1) (local.get 0)))
  (func $trap (param i32) (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
  (func (export "run") (param i32 i32) (result i32) (call $run (local.get 0) (local.get 1)))
  (func (export "post") (param i32) (call $post (local.get 0)))
  (func (export "add") (param i32) (call $add (local.get 0)))
  (func (export "remove") (param i32) (result i32) (call $remove (local.get 0)))
  (func (export "remove_plain") (param i32) (result i32) (call $remove_plain (local.get 0)))
  (func (export "add_plain") (param i32) (call $add_plain (local.get 0)))
  (func (export "set") (param i32) (call $set (local.get 0)))
  (func (export "second") (param i32 i32 i32) (result i32) (call $second (local.get 0) (local.get 1) (local.get 2)))
  (func (export "put") (param i32 i32) (table.set (local.get 0) (table.get (local.get 1)))))"#;

fn app() -> Instance {
    let run = run as extern "C" fn(IntFn, c_int) -> c_int as *const u8;
    let keep = keep as extern "C" fn(IntFn) as *const u8;
    let give_back = give_back as extern "C" fn(IntFn) -> c_int as *const u8;
    let second = second as extern "C" fn(Option<IntFn>, IntFn, c_int) -> c_int as *const u8;
    instance_with(
        APP,
        &[
            ("int run(int (*f[scope: call])(int), int n)", run),
            ("int run_twice(int (*f[scope: call])(int), int n)", run),
            ("void post(int (*f[scope: once])(int))", keep),
            ("void add(int (*f[scope: until remove])(int))", keep),
            ("int remove(int (*f[scope: call])(int))", give_back),
            ("void add_plain(int (*f[scope: until remove_plain])(int))", keep),
            ("int remove_plain(int (*f)(int))", give_back),
            ("void set(int (*f)(int))", keep),
            ("int second(int (*f[scope: call])(int), int (*g[scope: call, nonnull])(int), int n)", second),
        ],
    )
}

fn call(app: &Instance, name: &str, args: &[i32]) -> i32 {
    let args: Vec<Value> = args.iter().map(|&n| Value::I32(n)).collect();
    match app.call(name, &args).unwrap_or_else(|e| panic!("{name}: {e}"))[..] {
        [Value::I32(n)] => n,
        _ => 0,
    }
}

#[test]
fn a_callback_for_a_call_ends_with_it() {
    let app = app();
    assert_eq!(call(&app, "run", &[1, 3]), 1 + 2 + 3);
    let address = kept();
    assert_eq!(address(5), 0, "it answers with the default");
    assert_eq!(callback_refusals(NativeFn(address as *const u8)).unwrap(), 1);
    assert_eq!(call(&app, "run", &[1, 3]), 6, "the next call has it again");
    assert_eq!(kept() as usize, address as usize);
    assert_eq!(call(&app, "run", &[4, 2]), 154);
    assert_ne!(kept() as usize, address as usize, "no other function gets its address");
    assert_eq!((address(5), kept()(5)), (0, 0));
}

#[test]
fn each_parameter_is_passed_what_the_table_has_now() {
    let app = app();
    // By one parameter, in turn; and at one index, in turn.
    for _ in 0..3 {
        assert_eq!(call(&app, "run", &[1, 3]), 6);
        let increment = kept();
        assert_eq!(call(&app, "run", &[4, 3]), 231);
        let other = kept();
        call(&app, "put", &[5, 1]);
        assert_eq!(call(&app, "run", &[5, 3]), 6);
        assert_eq!(kept() as usize, increment as usize);
        call(&app, "put", &[5, 4]);
        assert_eq!(call(&app, "run", &[5, 3]), 231);
        assert_eq!(kept() as usize, other as usize);
        assert_eq!((increment(1), other(1)), (0, 0));
    }
    call(&app, "put", &[5, 9]);
    let null = app.call("run", &[Value::I32(5), Value::I32(3)]).unwrap_err();
    assert!(null.message().contains("`run` argument 1 (`f`): index 5 of the app's table is null"), "{null}");
    assert!(app.call("run", &[Value::I32(10), Value::I32(3)]).unwrap_err().message().contains("outside"));
    assert_eq!(call(&app, "run", &[1, 3]), 6);
}

#[test]
fn a_function_whose_callback_was_freed_is_passed_by_a_new_one() {
    let app = app();
    for _ in 0..100 {
        assert_eq!(call(&app, "run", &[1, 3]), 6);
        // SAFETY: C does not call it any more.
        unsafe { release_callback(NativeFn(kept() as *const u8)) }.unwrap();
        // Another function may have its address now.
        assert_eq!(call(&app, "run", &[4, 1]), 77);
    }
    call(&app, "set", &[1]);
    let set = kept();
    // SAFETY: as above.
    unsafe { release_callback(NativeFn(set as *const u8)) }.unwrap();
    call(&app, "set", &[1]);
    assert_eq!(kept()(1), 2);
}

#[test]
fn all_functions_of_a_call_end_with_it() {
    let app = app();
    for _ in 0..3 {
        assert_eq!(call(&app, "second", &[1, 4, 5]), 6 + 77);
        assert_eq!(kept()(1), 0);
        // NULL is passed without a callback, where it may be.
        assert_eq!(call(&app, "second", &[0, 4, 5]), 77);
        assert_eq!(kept()(1), 0);
        assert_eq!(call(&app, "second", &[4, 4, 5]), 154);
        assert_eq!(kept()(1), 0);
        let null = app.call("second", &[Value::I32(1), Value::I32(0), Value::I32(5)]).unwrap_err();
        assert!(null.message().contains("`second` argument 2 (`g`): it is NULL"), "{null}");
        // The first one was held already when the second was refused.
        assert_eq!(call(&app, "second", &[0, 4, 5]), 77);
        let first = app.callback_at(1, "int first(int)", &CallbackOptions::default());
        assert!(first.is_ok());
        // SAFETY: nobody else has it.
        unsafe { release_callback(first.unwrap()) }.unwrap();
    }
}

#[test]
fn an_inner_call_does_not_end_what_an_outer_one_holds() {
    let app = app();
    // nest calls run(increment, n) for each n below 4; then increment itself is called below run.
    assert_eq!(call(&app, "run", &[2, 4]), 1 + (1 + 2) + (1 + 2 + 3));
    assert_eq!(kept()(1), 0);
    for _ in 0..1000 {
        assert_eq!(call(&app, "run", &[2, 4]), 10);
    }
}

#[test]
fn a_trap_ends_it_too() {
    let app = app();
    assert!(app.call("run", &[Value::I32(3), Value::I32(2)]).is_err());
    let trapping = kept();
    assert_eq!(trapping(1), 0);
    assert!(app.take_error().is_none(), "it did not run again");
    assert_eq!(call(&app, "run", &[1, 2]), 3);
}

#[test]
fn a_callback_that_is_called_once_ends_with_that() {
    let app = app();
    for round in 0..3 {
        call(&app, "post", &[1]);
        assert_eq!(kept()(round), round + 1);
        assert_eq!(kept()(round), 0);
    }
    // Posted twice, called twice.
    call(&app, "post", &[1]);
    call(&app, "post", &[1]);
    assert_eq!([1, 2, 3].map(|n| kept()(n)), [2, 3, 0]);
    // A call that traps is a call.
    call(&app, "post", &[3]);
    assert_eq!(kept()(1), 0);
    assert!(app.take_error().is_some());
    assert_eq!(kept()(1), 0);
    assert!(app.take_error().is_none());
}

#[test]
fn it_is_called_once_also_if_it_was_passed_otherwise_before() {
    let app = app();
    call(&app, "run", &[1, 1]);
    let increment = kept() as usize;
    for round in 0..3 {
        call(&app, "post", &[1]);
        assert_eq!(kept() as usize, increment);
        assert_eq!([kept()(round), kept()(round)], [round + 1, 0]);
    }
    call(&app, "post", &[1]);
    call(&app, "post", &[1]);
    assert_eq!([1, 2, 3].map(|n| kept()(n)), [2, 3, 0]);
    // A call of one that is held by another call, too, is not counted: nobody knows whose it is.
    call(&app, "post", &[1]);
    assert_eq!(call(&app, "run", &[1, 2]), 3);
    assert_eq!([1, 2].map(|n| kept()(n)), [2, 0]);
    // A call that traps is a call.
    assert!(app.call("run", &[Value::I32(3), Value::I32(1)]).is_err());
    call(&app, "post", &[3]);
    assert_eq!(kept()(1), 0);
    assert!(app.take_error().is_some());
    assert_eq!(kept()(1), 0);
    assert!(app.take_error().is_none());
    // What is held for good meanwhile stays.
    call(&app, "post", &[1]);
    call(&app, "set", &[1]);
    assert_eq!([1, 2, 3].map(|n| kept()(n)), [2, 3, 4]);
    // It may be freed while it runs.
    call(&app, "run", &[4, 1]);
    call(&app, "post", &[4]);
    let other = kept();
    // SAFETY: C does not call it any more, but to see what it answers.
    unsafe { release_callback(NativeFn(other as *const u8)) }.unwrap();
    assert_eq!(other(1), 0);
}

#[test]
fn options_hold_for_what_the_app_has_passed_already() {
    let app = app();
    call(&app, "set", &[3]);
    let trap = kept();
    assert_eq!(trap(1), 0);
    assert!(app.take_error().is_some());
    let options = |default| CallbackOptions { default, ..CallbackOptions::default() };
    let ask = |options| app.callback_at(3, "int trap(int)", &options);
    assert_eq!(ask(options(Answer::Int(-5))).unwrap(), NativeFn(trap as *const u8));
    assert_eq!(trap(1), -5);
    assert!(app.take_error().is_some());
    // What is not said stays; what is wrong changes nothing.
    ask(CallbackOptions { pending: WhilePending::Run, ..CallbackOptions::default() }).unwrap();
    assert!(ask(CallbackOptions { thread: OnThread::Queue, ..options(Answer::Float(0.5)) }).is_err());
    ask(CallbackOptions::default()).unwrap();
    assert_eq!(trap(1), -5);
    assert!(app.take_error().is_some());
    assert_eq!(std::thread::spawn(move || trap(1)).join().unwrap(), -5);
    assert_eq!(callback_last_refusal(NativeFn(trap as *const u8)).unwrap(), Some(Refusal::OtherThread));
}

#[test]
fn a_callback_until_a_function_ends_when_that_has_it() {
    let app = app();
    call(&app, "add", &[1]);
    let added = kept();
    assert_eq!((added(1), added(2)), (2, 3));
    assert_eq!(call(&app, "remove", &[1]), 101, "the function that gives it back may still call it");
    assert_eq!(added(1), 0);
    call(&app, "add", &[1]);
    call(&app, "add", &[1]);
    assert_eq!(call(&app, "remove", &[1]), 101);
    assert_eq!(added(1), 2, "it was added twice");
    assert_eq!(call(&app, "remove_plain", &[4]), 77, "of another function");
    assert_eq!(call(&app, "remove", &[1]), 101);
    assert_eq!(added(1), 0);
    // Where nothing is said of how long the function that removes it keeps it, it does not keep it.
    call(&app, "add_plain", &[1]);
    assert_eq!(call(&app, "remove_plain", &[1]), 101);
    assert_eq!(added(1), 0);
}

#[test]
fn what_is_held_for_good_does_not_end() {
    let app = app();
    call(&app, "set", &[1]);
    let set = kept();
    call(&app, "run", &[1, 1]);
    assert_eq!(kept() as usize, set as usize);
    call(&app, "add", &[1]);
    call(&app, "remove", &[1]);
    call(&app, "post", &[1]);
    assert_eq!([1, 2, 3].map(|n| set(n)), [2, 3, 4]);
    // Nor what the host has.
    assert_eq!(call(&app, "run", &[4, 1]), 77);
    let other = app.callback_at(4, "int other(int)", &CallbackOptions::default()).unwrap();
    assert_eq!(other.0, kept() as *const u8);
    assert_eq!(kept()(1), 77);
    call(&app, "run", &[4, 1]);
    assert_eq!(kept()(1), 77);
}

#[test]
fn a_callback_ends_with_its_instance_whoever_holds_it() {
    let app = app();
    call(&app, "add", &[1]);
    call(&app, "post", &[4]);
    drop(app);
    assert_eq!(kept()(1), 0);
}
