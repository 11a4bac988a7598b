//! Exceptions: thrown, caught, and not caught, inside of one instance, between instances, and where C is in between.
#![allow(clippy::undocumented_unsafe_blocks, reason = "the tests play the part of C, which knows no unsafe")]

mod common;

use common::{engine, instance, instance_with, linker, module};
use std::ffi::c_int;
use wasmbridge_runtime::{
    AnyRef, CallbackOptions, Config, Engine, ErrorKind, Frame, Linker, RefType, Tag, TrapCode, ValType, Value,
};

/// Throws from below `depth` frames, each of which keeps values of its own across the call, and returns what came and what was kept.
const DEEP: &str = r#"
(module
  (tag $oops (param i32 f64))
  (tag $other)
  (func $down (param $depth i32) (param $x i64) (result i64)
    (local $a i64) (local $b i64) (local $c i64)
    (local.set $a (i64.add (local.get $x) (i64.const 1)))
    (local.set $b (i64.mul (local.get $x) (i64.const 3)))
    (local.set $c (i64.xor (local.get $x) (i64.const 5)))
    (if (i32.eqz (local.get $depth)) (then (throw $oops (i32.const 42) (f64.const 2.5))))
    (drop (call $down (i32.sub (local.get $depth) (i32.const 1)) (local.get $a)))
    (i64.add (local.get $a) (i64.add (local.get $b) (local.get $c))))
  (func (export "run") (param $depth i32) (param $kept i64) (result i32 f64 i64)
    (local $twice i64)
    (local.set $twice (i64.mul (local.get $kept) (i64.const 2)))
    (block $wrong
      (block $caught (result i32 f64)
        (try_table (catch $other $wrong) (catch $oops $caught)
          (drop (call $down (local.get $depth) (local.get $kept))))
        unreachable)
      (return (local.get $twice)))
    unreachable))"#;

#[test]
fn what_a_handler_needs_has_survived_all_frames_in_between() {
    let app = instance(DEEP);
    for depth in [0, 1, 2, 100, 5000] {
        let results = app.call("run", &[Value::I32(depth), Value::I64(1 << 40)]).unwrap();
        assert_eq!(results, [Value::I32(42), Value::F64(2.5), Value::I64(2 << 40)], "{depth}");
    }
}

#[test]
fn calls_with_arguments_on_the_stack_are_left_with_a_stack_in_order() {
    // Thirty arguments and thirty results: far more than there are registers, in either direction. The caller's frame must be as it was.
    let list = "i64 ".repeat(30);
    let consts: String = (0..30).map(|i| format!("(i64.const {i})")).collect();
    let wat = format!(
        r#"(module
          (tag $e (param i64))
          (func $many (param $throw i32) (param {list}) (result {list})
            (if (local.get $throw) (then (throw $e (local.get 30))))
            {consts})
          (func (export "run") (param $throw i32) (result i64)
            (local $i i32) (local $sum i64)
            (loop $again
              (block $caught (result i64)
                (try_table (result {list}) (catch $e $caught) (call $many (local.get $throw) {consts}))
                {adds})
              (local.set $sum (i64.add (local.get $sum)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $again (i32.lt_u (local.get $i) (i32.const 10000))))
            (local.get $sum)))"#,
        adds = "i64.add ".repeat(29)
    );
    let app = instance(&wat);
    assert_eq!(app.call("run", &[Value::I32(1)]).unwrap(), [Value::I64(29 * 10_000)]);
    assert_eq!(app.call("run", &[Value::I32(0)]).unwrap(), [Value::I64(435 * 10_000)]);
}

#[test]
fn an_uncaught_exception_is_an_error_with_its_tag_and_values() {
    let app = instance(
        r#"(module
          (tag $e (export "failure") (param i32 f32 v128 externref anyref))
          (func $inner (throw $e (i32.const 7) (f32.const 0.5) (v128.const i64x2 1 2) (ref.null extern) (ref.null any)))
          (func (export "run") (call $inner)))"#,
    );
    let error = app.call("run", &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap);
    assert_eq!(error.trap().unwrap().code, TrapCode::UncaughtException);
    let exception = error.exception().unwrap();
    assert_eq!(*exception.tag(), app.tag("failure").unwrap());
    let expected =
        [Value::I32(7), Value::F32(0.5), Value::V128((2 << 64) | 1), Value::ExternRef(0), Value::AnyRef(None)];
    assert_eq!(exception.values(), expected);
    let message =
        "trap: unhandled exception: tag `failure` with (7, 0.5, 0x00000000000000020000000000000001, null, null)";
    assert_eq!(error.message(), message);
    let names: Vec<_> = error.trap().unwrap().frames.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[1].starts_with("run at wasm offset"), "{names:?}");
    app.call("run", &[]).unwrap_err();
    assert_eq!(app.tag("run").unwrap_err().kind(), ErrorKind::NotFound);
}

/// Throws the tag that it imports, from a function that others import, reach through a table, and get as a reference.
const THROWER: &str = r#"
(module
  (import "host" "error" (tag $e (param i64)))
  (table (export "table") 1 funcref)
  (elem (i32.const 0) $throw)
  (func $throw (export "throw") (param i64) (result i64) (throw $e (local.get 0))))"#;

const CATCHER: &str = r#"
(module
  (type $f (func (param i64) (result i64)))
  (import "host" "error" (tag $e (param i64)))
  (import "thrower" "throw" (func $throw (type $f)))
  (import "thrower" "table" (table 1 funcref))
  (tag $mine (param i64))
  (elem declare func $throw)
  (func (export "direct") (param i64) (result i64)
    (block $h (result i64) (try_table (result i64) (catch $mine 0) (catch $e $h) (call $throw (local.get 0)))))
  (func (export "indirect") (param i64) (result i64)
    (block $h (result i64) (try_table (result i64) (catch $e $h) (call_indirect (type $f) (local.get 0) (i32.const 0)))))
  (func (export "reference") (param i64) (result i64)
    (block $h (result i64) (try_table (result i64) (catch $e $h) (call_ref $f (local.get 0) (ref.func $throw)))))
  (func $tail (param i64) (result i64)
    (block $h (result i64) (try_table (result i64) (catch $e $h) (return_call $throw (local.get 0)))))
  (func (export "tail") (param i64) (result i64)
    (block $h (result i64)
      (try_table (result i64) (catch $e $h) (call $tail (local.get 0)))
      (return (i64.const -1)))
    (i64.const 100) i64.add)
  (func (export "mine") (param i64) (result i64)
    (block $h (result i64) (try_table (result i64) (catch $mine $h) (call $throw (local.get 0))))))"#;

#[test]
fn tags_are_the_same_in_all_instances_that_share_them_and_no_others() {
    let engine = engine();
    let tag = Tag::new(&engine, "host.error", &[ValType::I64]).unwrap();
    let mut linker = Linker::new(&engine);
    linker.define_tag("host", "error", &tag).unwrap();
    let thrower = linker.instantiate(&module(&engine, THROWER)).unwrap();
    linker.define_instance("thrower", &thrower).unwrap();
    let catcher = linker.instantiate(&module(&engine, CATCHER)).unwrap();
    for name in ["direct", "indirect", "reference"] {
        assert_eq!(catcher.call(name, &[Value::I64(-5)]).unwrap(), [Value::I64(-5)], "{name}");
    }
    // A call that takes its caller's place is in the reach of the caller's caller.
    assert_eq!(catcher.call("tail", &[Value::I64(1)]).unwrap(), [Value::I64(101)]);
    // A tag of the same type is another tag.
    let error = catcher.call("mine", &[Value::I64(9)]).unwrap_err();
    let exception = error.exception().unwrap();
    assert_eq!((exception.tag(), exception.values()), (&tag, &[Value::I64(9)][..]));
    assert_eq!(error.message(), "trap: unhandled exception: tag `host.error` with (9)");
    assert_ne!(*exception.tag(), Tag::new(&engine, "host.error", &[ValType::I64]).unwrap());
}

#[test]
fn tags_are_linked_by_their_exact_type() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    linker.define_tag("host", "error", &Tag::new(&engine, "e", &[ValType::I32]).unwrap()).unwrap();
    let error = linker.instantiate(&module(&engine, THROWER)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    assert!(error.message().contains("imports a tag `(i64) -> ()`, it is defined as a tag `(i32) -> ()`"), "{error}");
    let error = Linker::new(&engine).instantiate(&module(&engine, THROWER)).unwrap_err();
    assert!(error.message().contains("`host.error`: not defined"), "{error}");
    let foreign = Tag::new(&common::engine(), "e", &[]).unwrap();
    assert_eq!(linker.define_tag("host", "e", &foreign).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// Sorts with a comparator that throws, inside of a `try_table` that takes everything.
const SORTER: &str = r#"
(module
  (import "env" "qsort" (func $qsort (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (table (export "table") 4 funcref)
  (elem (i32.const 1) $compare)
  (tag $e (param i32))
  (global $caught (export "caught") (mut i32) (i32.const 0))
  (func $compare (export "compare") (param i32 i32) (result i32)
    (throw $e (i32.load (local.get 0))))
  (func (export "sort")
    (block $h
      (try_table (catch_all $h) (call $qsort (i32.const 64) (i32.const 4) (i32.const 4) (i32.const 1)))
      return)
    (global.set $caught (i32.const 1))))"#;

const QSORT: &str = "void qsort(void *base[inout: nmemb * size], size_t nmemb, size_t size,
                                int (*compar)(const void *, const void *))";

#[test]
fn an_exception_does_not_pass_frames_of_c() {
    let app = instance_with(SORTER, &[(QSORT, libc::qsort as *const u8)]);
    // C gets the default answer, and the app a trap when C returns to it: nothing catches that.
    let error = app.call("sort", &[]).unwrap_err();
    let trap = error.trap().unwrap();
    assert_eq!(trap.code, TrapCode::UncaughtException);
    assert_eq!(error.exception().unwrap().values(), [Value::I32(0)]);
    assert!(trap.frames.iter().any(|f| matches!(f, Frame::Native { name } if name == "qsort")), "{error}");
    assert_eq!(app.global("caught").unwrap(), Value::I32(0));
}

#[test]
fn a_callback_that_throws_answers_with_its_default_value() {
    let app = instance_with(SORTER, &[(QSORT, libc::qsort as *const u8)]);
    let options = CallbackOptions { default: wasmbridge_runtime::Answer::Int(-3), ..Default::default() };
    let compare = app.callback("int compare(const void *, const void *)", &options).unwrap();
    let compare: unsafe extern "C" fn(*const c_int, *const c_int) -> c_int = unsafe { std::mem::transmute(compare.0) };
    let at = app.native_ptr(128, 8).unwrap().cast::<c_int>();
    unsafe { *at = 77 };
    assert_eq!(unsafe { compare(at, at) }, -3);
    let error = app.take_error().unwrap();
    assert_eq!(error.exception().unwrap().values(), [Value::I32(77)]);
    assert!(app.take_error().is_none());
}

#[test]
fn exceptions_that_nobody_holds_take_no_room() {
    let engine = Engine::new(Config { gc_heap_bytes: 32 << 20, ..Config::default() }).unwrap();
    let app = Linker::new(&engine)
        .instantiate(&module(
            &engine,
            r#"(module
              (tag $e (param i64 exnref))
              (func (export "run") (param $n i32) (result i64)
                (local $sum i64) (local $last exnref)
                (loop $again
                  (block $h (result i64 exnref exnref)
                    (try_table (catch_ref $e $h)
                      (throw $e (i64.extend_i32_u (local.get $n)) (ref.null exn)))
                    unreachable)
                  (local.set $last) drop
                  (local.set $sum (i64.add (local.get $sum)))
                  (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (block $h (result i64 exnref)
                  (try_table (catch $e $h) (throw_ref (local.get $last)))
                  unreachable)
                drop (i64.add (local.get $sum))))"#,
        ))
        .unwrap();
    // 48 bytes each: about 100 MB, of which the heap may have 32. The last one must still be there.
    let n = 2_000_000i64;
    assert_eq!(app.call("run", &[Value::I32(n as i32)]).unwrap(), [Value::I64(n * (n + 1) / 2 + 1)]);
    app.collect_garbage().unwrap();
    assert!(app.heap_bytes() < 1 << 20, "{}", app.heap_bytes());
}

#[test]
fn a_heap_full_of_exceptions_that_are_held_is_a_trap() {
    let engine = Engine::new(Config { gc_heap_bytes: 1 << 20, ..Config::default() }).unwrap();
    let app = Linker::new(&engine)
        .instantiate(&module(
            &engine,
            r#"(module
              (tag $e (param exnref))
              (global $chain (mut exnref) (ref.null exn))
              (func (export "run")
                (loop $again
                  (block $h (result exnref exnref)
                    (try_table (catch_ref $e $h) (throw $e (global.get $chain)))
                    unreachable)
                  (global.set $chain) drop
                  (br $again))))"#,
        ))
        .unwrap();
    let error = app.call("run", &[]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::AllocationTooLarge);
    let held = app.heap_bytes();
    assert!(held > 900 << 10, "{held}");
}

#[test]
fn exceptions_are_values_that_the_host_can_hold_and_give_back() {
    let wat = r#"(module
      (tag $e (param i32))
      (func (export "make") (param i32) (result exnref) (local exnref)
        (block $h (result i32 exnref) (try_table (catch_ref $e $h) (throw $e (local.get 0))) unreachable)
        (local.set 1) drop (local.get 1))
      (func (export "look") (param exnref) (result i32)
        (block $h (result i32) (try_table (catch $e $h) (throw_ref (local.get 0))) unreachable)))"#;
    let app = instance(wat);
    let made: Vec<Value> = (0..10).map(|i| app.call("make", &[Value::I32(i)]).unwrap().remove(0)).collect();
    app.collect_garbage().unwrap();
    for (i, exception) in made.iter().enumerate() {
        assert_eq!(app.call("look", std::slice::from_ref(exception)).unwrap(), [Value::I32(i as i32)]);
    }
    let error = app.call("look", &[Value::ExnRef(None)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::NullReference);
    // Instances that are not linked do not know each other's exceptions.
    let other = instance(wat);
    assert_eq!(other.call("look", &made[..1]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let held = app.heap_bytes();
    drop(made);
    app.collect_garbage().unwrap();
    assert!(app.heap_bytes() < held);
}

#[test]
fn a_tag_of_the_hosts_may_carry_references() {
    let engine = engine();
    let tag = Tag::new(&engine, "e", &[ValType::Ref(RefType::EXTERN), ValType::Ref(RefType::ANY)]).unwrap();
    let mut linker = linker(&engine, &[]);
    linker.define_tag("host", "e", &tag).unwrap();
    let app = linker
        .instantiate(&module(
            &engine,
            r#"(module (import "host" "e" (tag $e (param externref anyref)))
                 (func (export "run") (param externref anyref) (throw $e (local.get 0) (local.get 1))))"#,
        ))
        .unwrap();
    let values = [Value::ExternRef(0x1234), Value::AnyRef(Some(AnyRef::i31(-6)))];
    let error = app.call("run", &values).unwrap_err();
    assert_eq!(error.exception().unwrap().values(), values);
}
