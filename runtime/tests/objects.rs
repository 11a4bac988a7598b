//! Handles that the host gives and takes, and types of objects that are others, too.

mod common;

use common::{engine, module};
use std::ffi::{c_int, c_void};
use std::ptr;
use wasmbridge_runtime::{ErrorKind, Instance, Linker, NativeFn, Value};

/// What the C functions below get: their type is only a matter of the prototypes.
static OBJECTS: [c_int; 2] = [40, 2];

extern "C" fn read(object: *const c_int) -> c_int {
    // SAFETY: the runtime passes only objects that the test gave.
    unsafe { *object }
}

extern "C" fn first() -> *const c_int {
    &OBJECTS[0]
}

const APP: &str = r#"(module
  (import "env" "read_timer" (func $read_timer (param i32) (result i32)))
  (import "env" "read_any" (func $read_any (param i32) (result i32)))
  (import "env" "first_of_all" (func $first (result i32)))
  (memory 1)
  (func (export "timer") (param i32) (result i32) (call $read_timer (local.get 0)))
  (func (export "any") (param i32) (result i32) (call $read_any (local.get 0)))
  (func (export "first") (result i32) (call $first)))"#;

fn app() -> Instance {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    linker.derive_handle("timer", "any").unwrap();
    linker.derive_handle("idle", "any").unwrap();
    // SAFETY: a pointer to an int, whatever it is called.
    unsafe {
        linker.define("env", "int read_timer(timer *t[handle])", NativeFn(read as *const u8)).unwrap();
        linker.define("env", "int read_any(any *a[handle])", NativeFn(read as *const u8)).unwrap();
        linker.define("env", "any *first_of_all(void) [handle]", NativeFn(first as *const u8)).unwrap();
    }
    linker.instantiate(&module(&engine, APP)).unwrap()
}

fn object(index: usize) -> *const c_void {
    (&raw const OBJECTS[index]).cast()
}

fn int(values: &[Value]) -> i32 {
    match values {
        [Value::I32(value)] => *value,
        other => panic!("{other:?}"),
    }
}

fn call(app: &Instance, name: &str, handle: u32) -> Result<i32, String> {
    match app.call(name, &[Value::I32(handle as i32)]) {
        Ok(values) => Ok(int(&values)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn an_object_of_a_derived_type_passes_as_its_base_and_not_as_a_sibling() {
    let app = app();
    let timer = app.handle("timer", object(0)).unwrap();
    let idle = app.handle("idle", object(1)).unwrap();
    assert_eq!((call(&app, "timer", timer), call(&app, "any", timer)), (Ok(40), Ok(40)));
    assert_eq!(call(&app, "any", idle), Ok(2));
    let why = call(&app, "timer", idle).unwrap_err();
    assert!(why.contains("is a `idle *`, expected `timer *`"), "{why}");
    // What comes as its base is the object that the app knows.
    assert_eq!(int(&app.call("first", &[]).unwrap()), timer as i32);
    assert_eq!(app.handle("any", object(0)).unwrap(), timer);
}

#[test]
fn an_ended_handle_is_stale_and_its_object_can_have_another() {
    let app = app();
    let timer = app.handle("timer", object(0)).unwrap();
    assert_eq!(app.object(timer, "any").unwrap().cast_const(), object(0));
    assert!(app.end_handle("any", object(0)).unwrap());
    assert!(!app.end_handle("any", object(0)).unwrap(), "there is none any more");
    assert!(call(&app, "any", timer).unwrap_err().contains("stale"));
    assert_eq!(app.object(timer, "any").unwrap_err().kind(), ErrorKind::InvalidArgument);
    let again = app.handle("timer", object(0)).unwrap();
    assert_ne!(again, timer);
    assert_eq!(call(&app, "timer", again), Ok(40));
}

#[test]
fn null_is_no_object_and_another_type_is_not_the_one_asked_for() {
    let app = app();
    assert_eq!(app.handle("timer", ptr::null()).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(app.object(0, "timer").unwrap().is_null());
    let idle = app.handle("idle", object(1)).unwrap();
    assert!(!app.end_handle("timer", object(1)).unwrap(), "it is no timer");
    assert_eq!(call(&app, "any", idle), Ok(2));
    assert!(app.object(idle ^ 0x10_0000, "idle").unwrap_err().message().contains("never given"));
}

#[test]
fn bases_do_not_go_in_a_circle_and_are_not_two() {
    let mut linker = Linker::new(&engine());
    linker.derive_handle("timer", "any").unwrap();
    for (derived, base) in [("any", "timer"), ("any", "any"), ("timer", "stream")] {
        let error = linker.derive_handle(derived, base).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{derived}: {base}: {error}");
    }
}

#[test]
fn another_thread_gives_and_takes_nothing() {
    let app = app();
    let timer = app.handle("timer", object(0)).unwrap();
    let app = std::thread::spawn(move || {
        assert_eq!(app.handle("idle", object(1)).unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(app.object(timer, "timer").unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(app.end_handle("timer", object(0)).unwrap_err().kind(), ErrorKind::Busy);
        app
    })
    .join()
    .unwrap();
    assert_eq!(call(&app, "timer", timer), Ok(40));
}
