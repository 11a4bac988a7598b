//! Values that take more than a check: strings, extents, handles, arrays, and integers of different widths.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::mut_from_ref,
    reason = "the tests play the part of C, which knows neither unsafe nor borrowing"
)]

mod common;

use common::{instance, instance_with};
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use wasmbridge_runtime::{CallbackOptions, NativeFn, TrapCode, Value};

fn stamp(app: &wasmbridge_runtime::Instance, prototype: &str) -> NativeFn {
    app.callback(prototype, &CallbackOptions::default()).unwrap()
}

macro_rules! cast {
    ($function:expr, $type:ty) => {
        // SAFETY: each test casts to what its prototype says.
        unsafe { std::mem::transmute::<*const u8, $type>($function.0) }
    };
}

/// Sums the bytes of what it is shown; counts arrays.
const READER: &str = r#"
(module
  (memory (export "memory") 1)
  (func $strlen (export "length") (param i32) (result i32)
    (local i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const -1))))
    (loop $next
      (if (i32.load8_u (i32.add (local.get 0) (local.get 1)))
        (then (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br $next))))
    (local.get 1))
  (func (export "total") (param i32 i32) (result i32)
    (local i32)
    (loop $next
      (if (local.get 0)
        (then
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (local.set 2 (i32.add (local.get 2) (call $strlen (i32.load (i32.add (local.get 1) (i32.mul (local.get 0) (i32.const 4)))))))
          (br $next))))
    (local.get 2))
  (func $sum (export "sum") (param i32 i32) (result i32)
    (local i32)
    (loop $next
      (if (local.get 0)
        (then
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (local.set 2 (i32.add (local.get 2) (i32.load8_u (i32.add (local.get 1) (local.get 0)))))
          (br $next))))
    (local.get 2))
  (func (export "sum_at") (param i32 i32) (result i32) (call $sum (i32.load (local.get 0)) (local.get 1)))
  (func (export "size") (result i32) memory.size)
  (func (export "outside") (param i32) (result i32) (i32.load8_u (i32.add (local.get 0) (i32.const 4096))))
  (func (export "copy_in") (param i32 i32) (result i32)
    (memory.copy (i32.const 64) (local.get 0) (local.get 1))
    (i32.load8_u (i32.const 64))))"#;

#[test]
fn a_native_string_is_shown_to_the_app() {
    let app = instance(READER);
    let length = cast!(stamp(&app, "int length(const char *s[str])"), extern "C" fn(*const c_char) -> c_int);
    for text in [c"", c"a", c"hello, world"] {
        assert_eq!(length(text.as_ptr()), text.count_bytes() as c_int);
    }
    let long = std::ffi::CString::new(vec![b'x'; 300_000]).unwrap();
    for _ in 0..1000 {
        assert_eq!(length(long.as_ptr()), 300_000, "scratch memory is given back after each call");
    }
    assert_eq!(length(std::ptr::null()), -1);
    let own = app.native_ptr(100, 4).unwrap();
    unsafe { own.copy_from_nonoverlapping(c"own".as_ptr().cast(), 4) };
    assert_eq!(length(own.cast()), 3, "a string of the app's own is where it is");
    assert_eq!(app.call("size", &[]).unwrap(), [Value::I32(1)], "memory.size knows nothing of it");
    assert!(app.take_error().is_none());
}

#[test]
fn what_was_shown_ends_with_the_callback_and_its_neighbours_are_guarded() {
    let app = instance(READER);
    let outside = cast!(stamp(&app, "int outside(const char *s[str])"), extern "C" fn(*const c_char) -> c_int);
    // Far behind the string, but inside the step in which scratch memory becomes accessible, there is nothing of the host's.
    assert_eq!(outside(c"x".as_ptr()), 0);
    let error = app.call("outside", &[Value::I32(0xc000_0000u32 as i32 - 4096)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::MemoryOutOfBounds, "the page before it is a guard");
}

#[test]
fn arrays_of_strings_and_extents_are_shown() {
    let app = instance(READER);
    let prototype = "int total(int n, char **strings[str: n])";
    let total = cast!(stamp(&app, prototype), extern "C" fn(c_int, *const *const c_char) -> c_int);
    assert_eq!(total(3, [c"one".as_ptr(), c"".as_ptr(), c"three".as_ptr()].as_ptr()), 8);
    assert_eq!(total(1, [std::ptr::null()].as_ptr()), -1, "NULL in an array is 0");
    let sum =
        cast!(stamp(&app, "int sum(int n, const void *data[in: n])"), extern "C" fn(c_int, *const c_void) -> c_int);
    assert_eq!(sum(4, [1u8, 2, 3, 250].as_ptr().cast()), 256);
    assert_eq!(sum(0, std::ptr::dangling()), 0);
    assert!(app.take_error().is_none());
    assert_eq!(sum(-1, [0u8].as_ptr().cast()), 0);
    let error = app.take_error().unwrap();
    assert!(error.message().contains("`sum` argument 2 (`data`): its length is -1"), "{error}");
}

#[test]
fn bulk_operations_reach_what_is_shown() {
    let app = instance(READER);
    let prototype = "int copy_in(const void *data[in: n], int n)";
    let copy_in = cast!(stamp(&app, prototype), extern "C" fn(*const c_void, c_int) -> c_int);
    assert_eq!(copy_in([77u8; 9].as_ptr().cast(), 9), 77);
    assert!(app.take_error().is_none());
}

#[test]
fn more_than_the_scratch_memory_holds_is_an_error() {
    let app = instance(READER);
    let sum =
        cast!(stamp(&app, "int sum(int n, const void *data[in: n])"), extern "C" fn(c_int, *const c_void) -> c_int);
    let big = vec![1u8; 100 << 20];
    assert_eq!(sum(big.len() as c_int, big.as_ptr().cast()), 0);
    let error = app.take_error().unwrap();
    assert!(error.message().contains("do not fit the app's scratch memory"), "{error}");
    assert_eq!(sum(3, big.as_ptr().cast()), 3);
}

/// An object of a library's, which the app only has handles of.
#[repr(C)]
struct Object {
    value: c_int,
}

extern "C" fn object_value(object: *const Object) -> c_int {
    unsafe { (*object).value }
}

static mut OBJECTS: [Object; 2] = [Object { value: 10 }, Object { value: 32 }];

extern "C" fn object_get(index: c_int) -> *const Object {
    match index {
        0 | 1 => unsafe { (&raw const OBJECTS).cast::<Object>().add(index as usize) },
        _ => std::ptr::null(),
    }
}

extern "C" fn other_value(_: *const c_void) -> c_int {
    unreachable!("no handle has this type")
}

extern "C" fn greeting() -> *const c_char {
    c"good morning".as_ptr()
}

extern "C" fn length_of(text: *const c_char) -> c_long {
    unsafe { CStr::from_ptr(text) }.count_bytes() as c_long
}

extern "C" fn long_identity(value: c_long) -> c_long {
    value
}

extern "C" fn huge() -> c_long {
    1 << 40
}

const HANDLES: &str = r#"
(module
  (import "env" "object_value" (func $value (param i32) (result i32)))
  (import "env" "object_get" (func $get (param i32) (result i32)))
  (import "env" "other_value" (func $other (param i32) (result i32)))
  (import "env" "greeting" (func $greeting (result i32)))
  (import "env" "length_of" (func $length_of (param i32) (result i32)))
  (import "env" "long_identity" (func $long (param i32) (result i32)))
  (import "env" "huge" (func $huge (result i32)))
  (memory (export "memory") 1)
  (global $kept (export "kept") (mut i32) (i32.const 0))
  (func (export "add_both") (result i32)
    (i32.add (call $value (call $get (i32.const 0))) (call $value (call $get (i32.const 1)))))
  (func (export "same") (result i32) (i32.eq (call $get (i32.const 0)) (call $get (i32.const 0))))
  (func (export "get") (param i32) (result i32) (call $get (local.get 0)))
  (func (export "value") (param i32) (result i32) (call $value (local.get 0)))
  (func (export "mistyped") (result i32) (call $other (call $get (i32.const 0))))
  (func (export "visit") (param i32) (result i32) (global.set $kept (local.get 0)) (call $value (local.get 0)))
  (func (export "visit_all") (param i32 i32) (result i32)
    (i32.add (call $value (i32.load (local.get 1))) (call $value (i32.load offset=4 (local.get 1)))))
  (func (export "greet") (result i32) (call $length_of (call $greeting)))
  (func (export "greet_often") (param i32) (result i32)
    (loop $again
      (drop (call $greeting))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (call $length_of (call $greeting)))
  (func (export "count") (param i32) (result i32) (call $length_of (local.get 0)))
  (func (export "long") (param i32) (result i32) (call $long (local.get 0)))
  (func (export "huge") (result i32) (call $huge)))"#;

fn handles() -> wasmbridge_runtime::Instance {
    instance_with(
        HANDLES,
        &[
            ("int object_value(object *o[handle])", object_value as extern "C" fn(*const Object) -> c_int as *const u8),
            (
                "object *object_get(int index) [handle]",
                object_get as extern "C" fn(c_int) -> *const Object as *const u8,
            ),
            ("int other_value(other *o[handle])", other_value as extern "C" fn(*const c_void) -> c_int as *const u8),
            ("const char *greeting(void) [str]", greeting as extern "C" fn() -> *const c_char as *const u8),
            ("long length_of(const char *text[str])", length_of as extern "C" fn(*const c_char) -> c_long as *const u8),
            ("long long_identity(long)", long_identity as extern "C" fn(c_long) -> c_long as *const u8),
            ("unsigned long huge(void)", huge as extern "C" fn() -> c_long as *const u8),
        ],
    )
}

#[test]
fn handles_stand_for_native_objects() {
    let app = handles();
    assert_eq!(app.call("add_both", &[]).unwrap(), [Value::I32(42)]);
    assert_eq!(app.call("same", &[]).unwrap(), [Value::I32(1)], "one object has one handle");
    assert_eq!(app.call("get", &[Value::I32(7)]).unwrap(), [Value::I32(0)], "NULL is 0");
    let crossing = |name: &str, args: &[Value], expected: &str| {
        let error = app.call(name, args).unwrap_err();
        assert_eq!(error.trap().unwrap().code, TrapCode::Crossing);
        assert!(error.message().contains(expected), "{error}");
    };
    crossing("value", &[Value::I32(12345)], "`object_value` argument 1 (`o`): ");
    crossing("mistyped", &[], "is a `object *`, expected `other *`");
    let Value::I32(handle) = app.call("get", &[Value::I32(0)]).unwrap()[0] else { unreachable!() };
    let other = handles();
    assert!(other.call("value", &[Value::I32(handle)]).is_err(), "another app's handle means nothing here");
}

#[test]
fn handles_of_a_callbacks_arguments_end_with_it() {
    let app = handles();
    let visit = cast!(stamp(&app, "int visit(object *o[handle])"), extern "C" fn(*const Object) -> c_int);
    let local = Object { value: 5 };
    assert_eq!(visit(&local), 5);
    let kept = app.global("kept").unwrap();
    let error = app.call("value", &[kept]).unwrap_err();
    assert!(error.message().contains("is stale"), "{error}");
    let prototype = "int visit_all(int n, object **all[handle: n])";
    let visit_all = cast!(stamp(&app, prototype), extern "C" fn(c_int, *const *const Object) -> c_int);
    for _ in 0..10_000 {
        assert_eq!(visit_all(2, [&local as *const Object, &Object { value: 6 }].as_ptr()), 11);
    }
    assert!(app.take_error().is_none());
}

#[test]
fn strings_that_c_returns_last_as_long_as_the_callback() {
    let app = handles();
    assert_eq!(app.call("greet", &[]).unwrap(), [Value::I32(12)]);
    assert_eq!(app.call("greet_often", &[Value::I32(1000)]).unwrap(), [Value::I32(12)]);
    // Without a scope for each callback, the copies of 4 million strings would fill the scratch memory.
    let greet_often = cast!(stamp(&app, "int greet_often(int)"), extern "C" fn(c_int) -> c_int);
    for _ in 0..40 {
        assert_eq!(greet_often(100_000), 12, "{:?}", app.take_error());
    }
}

#[test]
fn a_string_without_an_end_is_refused() {
    let app = handles();
    let memory = app.memory().unwrap();
    unsafe { memory.base.write_bytes(b'x', memory.len_bytes as usize) };
    let error = app.call("count", &[Value::I32(65000)]).unwrap_err();
    assert!(error.message().contains("the string at 0xfde8 has no end in the app's memory"), "{error}");
    unsafe { memory.base.add(65535).write(0) };
    assert_eq!(app.call("count", &[Value::I32(65000)]).unwrap(), [Value::I32(535)]);
}

#[test]
fn longs_widen_and_are_range_checked() {
    let app = handles();
    for value in [0, 1, -1, i32::MIN, i32::MAX] {
        assert_eq!(app.call("long", &[Value::I32(value)]).unwrap(), [Value::I32(value)]);
    }
    let error = app.call("huge", &[]).unwrap_err();
    assert!(error.message().contains("`huge` result: 1099511627776 does not fit the app's 32-bit `long`"), "{error}");
    let callback = instance(r#"(module (func (export "id") (param i32) (result i32) local.get 0))"#);
    let id = cast!(stamp(&callback, "long id(long)"), extern "C" fn(c_long) -> c_long);
    assert_eq!(id(-5), -5);
    assert_eq!(id(1 << 33), 0);
    let error = callback.take_error().unwrap();
    assert!(error.message().contains("`id` argument 1: 8589934592 does not fit"), "{error}");
}

#[test]
fn user_data_comes_back_as_it_went() {
    let app = instance(r#"(module (func (export "id") (param i32) (result i32) local.get 0))"#);
    let id = cast!(stamp(&app, "void *id(void *data[user]) [user]"), extern "C" fn(usize) -> usize);
    for value in [0, 1, 0x8000_0000, 0xffff_ffff] {
        assert_eq!(id(value), value);
    }
}

#[test]
fn a_pointer_of_the_hosts_is_no_user_data() {
    let app = instance(
        r#"(module
            (func (export "id") (param i32) (result i32) local.get 0)
            (memory 1)
            (func (export "both") (param i32 i32) (result i32) local.get 0))"#,
    );
    let id = cast!(stamp(&app, "void *id(void *data[user]) [user]"), extern "C" fn(usize) -> usize);
    let both = cast!(
        stamp(&app, "int both(void *data[user], const char *s[str])"),
        extern "C" fn(usize, *const c_char) -> c_int
    );
    let host = Box::new(5);
    let pointer = std::ptr::from_ref(&*host) as usize;
    assert_eq!(id(pointer), 0, "not cut to 32 bits");
    let error = app.take_error().unwrap();
    assert!(error.message().contains("is no user data of the app's"), "{error}");
    assert_eq!(both(pointer, c"".as_ptr()), 0);
    assert!(app.take_error().unwrap().message().contains("`both` argument 1 (`data`)"));
}

#[test]
fn a_length_behind_a_pointer_is_read_on_the_callers_side() {
    let app = instance(READER);
    let prototype = "int sum_at(const int *n[in], const void *data[in: *n])";
    let sum_at = cast!(stamp(&app, prototype), extern "C" fn(*const c_int, *const c_void) -> c_int);
    assert_eq!(sum_at(&3, [7u8, 8, 9, 100].as_ptr().cast()), 24);
    assert!(app.take_error().is_none());
    assert_eq!(sum_at(&-1, [7u8].as_ptr().cast()), 0);
    assert!(app.take_error().unwrap().message().contains("argument 2 (`data`): its length is -1"));

    // And out of the app: the integer lies in its memory.
    let wat = r#"(module
        (import "env" "fill" (func $fill (param i32 i32)))
        (memory (export "memory") 1)
        (func (export "run") (param i32 i32) (result i32)
            (i32.store (i32.const 8) (local.get 0))
            (call $fill (local.get 1) (i32.const 8))
            (i32.load8_u (local.get 1))))"#;
    let fill = fill as extern "C" fn(*mut u8, *const c_int) as *const u8;
    let app = instance_with(wat, &[("void fill(void *data[out: *n], const int *n)", fill)]);
    let run = |len, at| app.call("run", &[Value::I32(len), Value::I32(at)]);
    assert_eq!(run(16, 100).unwrap(), [Value::I32(0x5a)]);
    assert_eq!(run(16, 65536 - 16).unwrap(), [Value::I32(0x5a)]);
    let error = run(17, 65536 - 16).unwrap_err();
    assert!(error.message().contains("17 bytes at 0xfff0 are not in the app's memory"), "{error}");
}

extern "C" fn fill(data: *mut u8, len: *const c_int) {
    unsafe { data.write_bytes(0x5a, *len as usize) };
}
