//! Function pointers cross both ways, and back.

mod common;

use common::{instance, instance_with};
use std::cell::Cell;
use std::ffi::c_int;
use wasmbridge_runtime::{CallbackOptions, Instance, TrapCode, Value};

type IntFn = extern "C" fn(c_int) -> c_int;

extern "C" fn double_it(n: c_int) -> c_int {
    2 * n
}

extern "C" fn negate(n: c_int) -> c_int {
    -n
}

thread_local! {
    static KEPT: Cell<Option<IntFn>> = const { Cell::new(None) };
}

extern "C" fn keep(function: Option<IntFn>) {
    KEPT.set(function);
}

extern "C" fn lookup(which: c_int) -> Option<IntFn> {
    match which {
        1 => Some(double_it),
        2 => Some(negate),
        3 => KEPT.get(),
        _ => None,
    }
}

fn kept() -> usize {
    KEPT.get().map_or(0, |f| f as usize)
}

/// Calls functions by their index, gives them to C, and gets them from there.
const APP: &str = r#"
(module
  (import "env" "keep" (func $keep (param i32)))
  (import "env" "lookup" (func $lookup (param i32) (result i32)))
  (memory 1)
  (type $int_fn (func (param i32) (result i32)))
  (table (export "table") 4 funcref)
  (elem (i32.const 2) $own)
  (func $own (export "own") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1000)))
  (func $unlisted (export "unlisted") (param i32) (result i32) (i32.add (local.get 0) (i32.const 5)))
  (func $apply (export "apply") (param i32 i32) (result i32)
    (call_indirect (type $int_fn) (local.get 1) (local.get 0)))
  (func (export "mistyped") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
  (func (export "index") (param i32) (result i32) (local.get 0))
  (func (export "keep") (param i32) (call $keep (local.get 0)))
  (func (export "lookup") (param i32) (result i32) (call $lookup (local.get 0)))
  (func (export "overwrite") (param i32) (table.set (local.get 0) (ref.null func)))
  (func (export "size") (result i32) table.size))"#;

const KEEP: (&str, *const u8) = ("void keep(int (*function)(int))", keep as extern "C" fn(Option<IntFn>) as *const u8);
const LOOKUP: (&str, *const u8) =
    ("int (*lookup(int which))(int)", lookup as extern "C" fn(c_int) -> Option<IntFn> as *const u8);

fn app() -> Instance {
    instance_with(APP, &[KEEP, LOOKUP])
}

/// A callback as a function of this type.
macro_rules! callback {
    ($app:expr, $prototype:expr, $type:ty) => {
        // SAFETY: each test casts to what its prototype says.
        unsafe {
            std::mem::transmute::<*const u8, $type>($app.callback($prototype, &CallbackOptions::default()).unwrap().0)
        }
    };
}

fn index_fn(app: &Instance) -> extern "C" fn(Option<IntFn>) -> c_int {
    callback!(app, "int index(int (*f)(int))", extern "C" fn(Option<IntFn>) -> c_int)
}

fn call(app: &Instance, name: &str, args: &[i32]) -> i32 {
    let args: Vec<Value> = args.iter().map(|&n| Value::I32(n)).collect();
    match app.call(name, &args).unwrap()[..] {
        [Value::I32(n)] => n,
        _ => 0,
    }
}

#[test]
fn an_app_calls_a_native_function_pointer() {
    let app = app();
    let apply = callback!(app, "int apply(int (*f)(int), int n)", extern "C" fn(Option<IntFn>, c_int) -> c_int);
    assert_eq!(apply(Some(double_it), 21), 42);
    assert_eq!(apply(Some(negate), 21), -21);
    assert_eq!(apply(None, 21), 0, "NULL is index 0, which is null here");
    assert_eq!(app.take_error().unwrap().trap().unwrap().code, TrapCode::UninitializedElement);
    assert_eq!(apply(Some(double_it), 4), 8);
}

#[test]
fn the_same_pointer_has_the_same_index() {
    let app = app();
    let index = index_fn(&app);
    let (two, minus) = (index(Some(double_it)), index(Some(negate)));
    assert!(two >= 4 && minus >= 4 && two != minus, "behind what the app has: {two}, {minus}");
    for _ in 0..100 {
        assert_eq!((index(Some(double_it)), index(Some(negate)), index(None)), (two, minus, 0));
    }
    assert_eq!(call(&app, "lookup", &[1]), two, "a result is the same as an argument");
    assert_eq!(call(&app, "apply", &[two, 8]), 16);
    assert!(call(&app, "size", &[]) < 40);
}

#[test]
fn a_native_pointer_comes_back_as_it_went() {
    let app = app();
    let index = index_fn(&app);
    call(&app, "keep", &[index(Some(negate))]);
    assert_eq!(kept(), negate as IntFn as usize);
    call(&app, "keep", &[0]);
    assert_eq!(kept(), 0);
    let identity = callback!(app, "int (*index(int (*f)(int)))(int)", extern "C" fn(Option<IntFn>) -> Option<IntFn>);
    assert_eq!(identity(Some(double_it)).map(|f| f as usize), Some(double_it as IntFn as usize));
    assert!(identity(None).is_none());
}

#[test]
fn an_apps_own_function_comes_back_as_its_index() {
    let app = app();
    call(&app, "keep", &[2]);
    let own = KEPT.get().unwrap();
    assert_eq!(own(1), 1001);
    assert_eq!(call(&app, "lookup", &[3]), 2);
    // Made by the host, of a function that the table has, and of one that it has not.
    let by_host = callback!(app, "int own(int)", IntFn);
    assert_eq!(by_host as usize, own as usize, "it is the same function");
    let unlisted = callback!(app, "int unlisted(int)", IntFn);
    let index = index_fn(&app);
    let at = index(Some(unlisted));
    assert!(at >= 4);
    assert_eq!(index(Some(unlisted)), at);
    assert_eq!(call(&app, "apply", &[at, 1]), 6);
    call(&app, "keep", &[at]);
    assert_eq!(kept(), unlisted as usize);
}

#[test]
fn a_slot_that_the_app_overwrote_is_not_believed() {
    let app = app();
    let index = index_fn(&app);
    let first = index(Some(double_it));
    call(&app, "overwrite", &[first]);
    let again = index(Some(double_it));
    assert_ne!(again, 0);
    assert_eq!(call(&app, "apply", &[again, 3]), 6);
    call(&app, "keep", &[2]);
    call(&app, "overwrite", &[2]);
    let own = call(&app, "lookup", &[3]);
    assert_eq!(call(&app, "apply", &[own, 3]), 1003, "its own function, too");
}

#[test]
fn another_apps_callback_is_called_through_and_comes_back() {
    let (app, other) = (app(), app());
    let theirs = callback!(other, "int unlisted(int)", IntFn);
    let index = index_fn(&app);
    let at = index(Some(theirs));
    assert_eq!(call(&app, "apply", &[at, 10]), 15);
    call(&app, "keep", &[at]);
    assert_eq!(kept(), theirs as usize);
    drop(other);
    assert_eq!(call(&app, "apply", &[at, 10]), 0, "an app that is gone answers with the default");
}

#[test]
fn a_pointer_of_another_signature_is_called_through_both() {
    // As wasm functions they have one type; as C functions they have not.
    let app = instance_with(APP, &[("void keep(short (*function)(short))", KEEP.1), LOOKUP]);
    let at = index_fn(&app)(Some(double_it));
    call(&app, "keep", &[at]);
    assert_ne!(kept(), double_it as IntFn as usize);
    let narrow = KEPT.get().unwrap();
    assert_eq!(narrow(0x7fff) as i16, -2, "the result is what fits a short");
}

#[test]
fn the_wrong_type_is_a_trap_in_the_app() {
    let app = app();
    let at = index_fn(&app)(Some(double_it));
    let error = app.call("mistyped", &[Value::I32(at)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::IndirectCallTypeMismatch);
}

#[test]
fn a_table_that_cannot_grow_is_an_error() {
    let fixed = APP.replace(r#"(table (export "table") 4 funcref)"#, "(table 4 4 funcref)");
    let app = instance_with(&fixed, &[KEEP, LOOKUP]);
    let error = app.call("lookup", &[Value::I32(1)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::Crossing);
    assert!(error.message().contains("`lookup` result: the app's table of 4 elements cannot grow"), "{error}");
    assert_eq!(call(&app, "lookup", &[0]), 0);
    call(&app, "keep", &[2]);
    assert_eq!(call(&app, "lookup", &[3]), 2, "its own functions come back all the same");
    // A table that can grow by a little is used to its end.
    let small = APP.replace(r#"(table (export "table") 4 funcref)"#, "(table 4 5 funcref)");
    let app = instance_with(&small, &[KEEP, LOOKUP]);
    assert_eq!(call(&app, "lookup", &[1]), 4);
    assert!(app.call("lookup", &[Value::I32(2)]).is_err());
    let without = instance(r#"(module (func (export "index") (param i32) (result i32) local.get 0))"#);
    assert_eq!(index_fn(&without)(Some(negate)), 0);
    assert!(without.take_error().unwrap().message().contains("no table of functions"));
}

#[test]
fn a_pointer_for_a_while_is_refused() {
    let app = app();
    let prototype = "int index(int (*f[scope: call])(int))";
    let index = callback!(app, prototype, extern "C" fn(Option<IntFn>) -> c_int);
    assert_eq!(index(Some(negate)), 0);
    assert!(app.take_error().unwrap().message().contains("the app's for good"));
}
