//! Handles that a callback is lent: they end when it returns, however it does. All ways in which a callback comes to them are tried: it asks for
//! them, it opens slots that an earlier one has left, or, in an app that imports what opens scopes, slots of arguments are converted.

mod common;

use common::instance_with;
use std::cell::Cell;
use std::ffi::{c_char, c_int};
use wasmbridge_runtime::{CallbackOptions, Instance, Value};

type Use = extern "C-unwind" fn(*const c_int, c_int, *const c_int) -> c_int;

thread_local! {
    static CALLBACK: Cell<Option<Use>> = const { Cell::new(None) };
    /// the app that calls `tell`
    static APP_NOW: Cell<*const Instance> = const { Cell::new(std::ptr::null()) };
}

static OBJECTS: [c_int; 4] = [40, 2, 7, 9];

/// How a callback comes to handles.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Asks,
    Opens,
    Slots,
}

const WAYS: [Way; 3] = [Way::Asks, Way::Opens, Way::Slots];

extern "C" fn value(object: *const c_int) -> c_int {
    if object.is_null() {
        return -1;
    }
    // SAFETY: the runtime passes only objects that the test gave.
    unsafe { *object }
}

/// Calls the callback with the object that the caller has, and with another.
extern "C-unwind" fn again(object: *const c_int, how: c_int) -> c_int {
    if how < 0 {
        panic!("through the app");
    }
    CALLBACK.get().unwrap()(object, how, &OBJECTS[1])
}

/// The host keeps (1) or ends (0) the handle of an object that the app is lent.
extern "C" fn tell(object: *const c_int, keep: c_int) {
    // SAFETY: the test's own, which is alive while the app runs.
    let app = unsafe { &*APP_NOW.get() };
    if keep == 1 {
        app.handle("object", object.cast()).unwrap();
    } else {
        assert!(app.end_handle("object", object.cast()).unwrap());
    }
}

extern "C" fn name() -> *const c_char {
    c"name".as_ptr()
}

const APP: &str = r#"
  (import "env" "value" (func $value (param i32) (result i32)))
  (import "env" "again" (func $again (param i32 i32) (result i32)))
  (import "env" "tell" (func $tell (param i32 i32)))
  (memory 1)
  (global $first (mut i32) (i32.const 0))
  (global $second (mut i32) (i32.const 0))
  (export "last" (global $first))
  ;; 0: the sum of both; 1: a trap; 2: once more, inside, and then the first is still there; 3: C throws; 4, 5: the host ends or keeps the first
  (func (export "use") (param $a i32) (param $how i32) (param $b i32) (result i32)
    (global.set $first (local.get $a))
    (global.set $second (local.get $b))
    (if (i32.eq (local.get $how) (i32.const 1)) (then unreachable))
    (if (i32.eq (local.get $how) (i32.const 2)) (then
      (return (i32.add
        (i32.mul (call $again (local.get $a) (i32.const 0)) (i32.const 100))
        (call $value (local.get $a))))))
    (if (i32.eq (local.get $how) (i32.const 3)) (then (drop (call $again (local.get $a) (i32.const -1)))))
    (if (i32.ge_u (local.get $how) (i32.const 4)) (then
      (call $tell (local.get $a) (i32.sub (local.get $how) (i32.const 4)))
      (return (call $value (local.get $b)))))
    (i32.add (call $value (local.get $a)) (call $value (local.get $b))))
  (func (export "one") (param $a i32) (result i32)
    (global.set $first (local.get $a))
    (global.set $second (local.get $a))
    (call $value (local.get $a)))
  (func (export "first") (result i32) (call $value (global.get $first)))
  (func (export "second") (result i32) (call $value (global.get $second))))"#;

/// The app and its callback.
fn app(way: Way) -> (Instance, Use) {
    let import = if way == Way::Slots { r#"(import "env" "name" (func (result i32)))"# } else { "" };
    let app = instance_with(
        &format!("(module {import} {APP}"),
        &[
            ("const char *name(void) [str]", name as *const u8),
            ("int value(object *o[handle])", value as *const u8),
            ("int again(object *o[handle], int how)", again as *const u8),
            ("void tell(object *o[handle], int keep)", tell as *const u8),
        ],
    );
    let prototype = "int use(object *a[handle], int how, object *b[handle])";
    let callback = app.callback(prototype, &CallbackOptions::default()).unwrap();
    // SAFETY: the prototype's type.
    let function = unsafe { std::mem::transmute::<*const u8, Use>(callback.0) };
    CALLBACK.set(Some(function));
    if way == Way::Opens {
        // The first callback leaves slots for others.
        assert_eq!(function(&OBJECTS[3], 0, &OBJECTS[3]), 18);
    }
    (app, function)
}

fn kept(app: &Instance, name: &str) -> Result<Vec<Value>, String> {
    app.call(name, &[]).map_err(|error| error.to_string())
}

#[track_caller]
fn are_stale(app: &Instance) {
    for name in ["first", "second"] {
        let error = kept(app, name).unwrap_err();
        assert!(error.contains("is stale: its object is gone, or was only lent"), "{name}: {error}");
    }
}

#[test]
fn they_end_when_the_callback_returns() {
    for way in WAYS {
        let (app, function) = app(way);
        for _ in 0..5000 {
            // More often than a slot has generations.
            assert_eq!(function(&OBJECTS[0], 0, &OBJECTS[1]), 42);
        }
        assert!(app.take_error().is_none());
        are_stale(&app);
        assert_eq!(function(std::ptr::null(), 0, &OBJECTS[1]), 1);
        assert_eq!(kept(&app, "first").unwrap(), [Value::I32(-1)], "NULL is 0");
    }
}

#[test]
fn what_the_app_had_before_stays() {
    for way in WAYS {
        let (app, function) = app(way);
        let handle = app.handle("object", (&raw const OBJECTS[0]).cast()).unwrap();
        assert_eq!(function(&OBJECTS[0], 0, &OBJECTS[0]), 80);
        assert_eq!(kept(&app, "first").unwrap(), [Value::I32(40)]);
        assert_eq!(app.object(handle, "object").unwrap().cast_const(), (&raw const OBJECTS[0]).cast());
    }
}

#[test]
fn the_same_object_twice_is_one_handle_that_ends_once() {
    for way in WAYS {
        let (app, function) = app(way);
        assert_eq!(function(&OBJECTS[2], 0, &OBJECTS[2]), 14);
        are_stale(&app);
    }
}

#[test]
fn those_of_an_inner_callback_end_before_the_outer_ones() {
    for way in WAYS {
        let (app, function) = app(way);
        assert_eq!(
            function(&OBJECTS[0], 2, &OBJECTS[2]),
            4240,
            "the inner one had the outer's object, which is still there"
        );
        are_stale(&app);
        assert!(app.take_error().is_none());
    }
}

#[test]
fn they_end_with_a_trap() {
    for way in WAYS {
        let (app, function) = app(way);
        assert_eq!(function(&OBJECTS[0], 1, &OBJECTS[1]), 0);
        assert!(app.take_error().unwrap().to_string().contains("unreachable"));
        are_stale(&app);
    }
}

#[test]
fn they_end_when_c_skips_the_callback() {
    for way in WAYS {
        let (app, function) = app(way);
        let thrown = std::panic::catch_unwind(|| function(&OBJECTS[0], 3, &OBJECTS[1]));
        assert!(thrown.is_err());
        // Nobody tells the app that it was skipped; the next callback finds out, and what it is lent itself ends, too.
        assert_eq!(function(&OBJECTS[2], 0, &OBJECTS[2]), 14);
        are_stale(&app);
        assert!(
            !app.end_handle("object", (&raw const OBJECTS[0]).cast()).unwrap(),
            "the app does not have it any more"
        );
    }
}

#[test]
fn a_callback_with_one_handle_is_lent_new_ones_for_ever() {
    for way in WAYS {
        let (app, _) = app(way);
        let one = app.callback("int one(object *a[handle])", &CallbackOptions::default()).unwrap();
        // SAFETY: the prototype's type.
        let one = unsafe { std::mem::transmute::<*const u8, extern "C" fn(*const c_int) -> c_int>(one.0) };
        let mut seen = std::collections::HashSet::new();
        for i in 0..20_000 {
            assert_eq!(one(&OBJECTS[i % 3]), OBJECTS[i % 3]);
            let Value::I32(handle) = app.global("last").unwrap() else { panic!("it is a number") };
            assert!(seen.insert(handle), "{handle:#x} was lent twice");
        }
        are_stale(&app);
        assert!(app.take_error().is_none());
    }
}

#[test]
fn the_host_keeps_and_ends_what_is_lent() {
    for way in WAYS {
        let (app, function) = app(way);
        APP_NOW.set(&app);
        assert_eq!(function(&OBJECTS[0], 5, &OBJECTS[1]), 2);
        assert_eq!(kept(&app, "first").unwrap(), [Value::I32(40)], "the app has it for good");
        assert!(kept(&app, "second").unwrap_err().contains("is stale"));
        assert_eq!(function(&OBJECTS[0], 4, &OBJECTS[1]), 2);
        are_stale(&app);
        // What was lent only.
        assert_eq!(function(&OBJECTS[0], 4, &OBJECTS[1]), 2);
        are_stale(&app);
        assert_eq!(function(&OBJECTS[0], 0, &OBJECTS[1]), 42);
        assert!(app.take_error().is_none());
    }
}

#[test]
fn they_end_when_the_app_moves_to_another_thread() {
    for way in WAYS {
        let (app, function) = app(way);
        assert!(std::panic::catch_unwind(|| function(&OBJECTS[0], 3, &OBJECTS[1])).is_err());
        std::thread::spawn(move || {
            app.attach().unwrap();
            are_stale(&app);
            let prototype = "int use(object *a[handle], int how, object *b[handle])";
            let callback = app.callback(prototype, &CallbackOptions::default()).unwrap();
            // SAFETY: the prototype's type.
            let function = unsafe { std::mem::transmute::<*const u8, Use>(callback.0) };
            for _ in 0..3 {
                assert_eq!(function(&OBJECTS[0], 0, &OBJECTS[1]), 42);
            }
            are_stale(&app);
        })
        .join()
        .unwrap();
    }
}

#[test]
fn null_is_refused_where_it_may_not_be() {
    for way in WAYS {
        let (app, _) = app(way);
        let prototype = "int use(object *a[handle], int how, object *b[handle, nonnull])";
        let callback = app.callback(prototype, &CallbackOptions::default()).unwrap();
        // SAFETY: the prototype's type.
        let function = unsafe { std::mem::transmute::<*const u8, Use>(callback.0) };
        assert_eq!(function(&OBJECTS[0], 0, std::ptr::null()), 0);
        let error = app.take_error().unwrap().to_string();
        assert!(error.contains("`use` argument 3 (`b`)"), "{error}");
        assert!(error.contains("is NULL, the prototype says [nonnull]"), "{error}");
        assert_eq!(function(&OBJECTS[0], 0, &OBJECTS[1]), 42);
    }
}
