//! Functions of the host's that know their caller.

mod common;

use common::{engine, linker, module};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};
use wasmbridge_runtime::{Engine, ErrorKind, Exception, Frame, FuncType, Linker, Stop, Tag, TrapCode, ValType, Value};

fn ty(params: &[ValType], results: &[ValType]) -> FuncType {
    FuncType { params: params.to_vec(), results: results.to_vec() }
}

#[test]
fn every_kind_of_value_goes_through_slots() {
    use ValType::{F32, F64, I32, I64, V128};
    let engine = engine();
    let mut linker = Linker::new(&engine);
    let all = [I32, I64, F32, F64, V128];
    linker
        .define_host("host", "reverse", ty(&all, &[V128, F64, F32, I64, I32]), |_, args, results| {
            for (i, arg) in args.iter().rev().enumerate() {
                results[i] = arg.clone();
            }
            Ok(())
        })
        .unwrap();
    let app = linker
        .instantiate(&module(
            &engine,
            r#"(module
              (import "host" "reverse" (func $r (param i32 i64 f32 f64 v128) (result v128 f64 f32 i64 i32)))
              (func (export "run") (param i32 i64 f32 f64 v128) (result v128 f64 f32 i64 i32)
                (call $r (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))"#,
        ))
        .unwrap();
    let args = [Value::I32(-7), Value::I64(i64::MIN), Value::F32(0.5), Value::F64(-1e300), Value::V128(u128::MAX - 9)];
    let results = app.call("run", &args).unwrap();
    assert_eq!(results, args.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn more_values_than_there_are_registers() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    let many = [ValType::I64; 20];
    linker
        .define_host("host", "double", ty(&many, &many), |_, args, results| {
            for (arg, result) in args.iter().zip(results) {
                let Value::I64(n) = arg else { panic!("{arg:?}") };
                *result = Value::I64(2 * n);
            }
            Ok(())
        })
        .unwrap();
    let list = "i64 ".repeat(20);
    let gets: String = (0..20).map(|i| format!("(local.get {i})")).collect();
    let text = format!(
        r#"(module (import "host" "double" (func $d (param {list}) (result {list})))
             (func (export "run") (param {list}) (result {list}) (call $d {gets})))"#
    );
    let app = linker.instantiate(&module(&engine, &text)).unwrap();
    let args: Vec<Value> = (0..20).map(|n| Value::I64(n - 10)).collect();
    let expected: Vec<Value> = (0..20).map(|n| Value::I64(2 * (n - 10))).collect();
    assert_eq!(app.call("run", &args).unwrap(), expected);
}

const STOPS: &str = r#"(module
  (import "host" "stop" (func $stop (param i32)))
  (memory (export "memory") 1)
  (global $sp (mut i32) (i32.const 4096))
  (export "__stack_pointer" (global $sp))
  (func $inner (param i32) (global.set $sp (i32.const 16)) (call $stop (local.get 0)) unreachable)
  (func (export "run") (param i32) (call $inner (local.get 0)))
  (func (export "size") (result i32) (memory.size)))"#;

#[test]
fn a_host_function_ends_its_caller() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    linker
        .define_host("host", "stop", ty(&[ValType::I32], &[]), |_, args, _| match args[0] {
            Value::I32(-1) => Err(Stop::Failed("no more".into())),
            Value::I32(-2) => panic!("on purpose {}", 1 + 1),
            Value::I32(status) => Err(Stop::Exit(status)),
            _ => Ok(()),
        })
        .unwrap();
    let app = linker.instantiate(&module(&engine, STOPS)).unwrap();

    let error = app.call("run", &[Value::I32(3)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap);
    assert_eq!(error.message(), "trap: the app has exited: status 3");
    let trap = error.trap().unwrap();
    assert_eq!((trap.code, trap.exit_status), (TrapCode::Exited, Some(3)));
    assert_eq!(trap.frames[0], Frame::Native { name: "stop".into() });
    assert!(matches!(&trap.frames[1], Frame::Wasm { name: Some(name), .. } if name == "inner"), "{:?}", trap.frames);
    assert_eq!(trap.frames.len(), 3);

    // The instance is as it was, and can be called again.
    assert_eq!(app.call("size", &[]).unwrap(), [Value::I32(1)]);
    let error = app.call("run", &[Value::I32(-1)]).unwrap_err();
    assert_eq!(error.message(), "trap: a host function failed: `stop`: no more");
    assert_eq!(error.trap().unwrap().exit_status, None);
    let error = app.call("run", &[Value::I32(-2)]).unwrap_err();
    assert_eq!(error.message(), "trap: a host function failed: `stop`: it panicked: on purpose 2");
    assert_eq!(app.call("size", &[]).unwrap(), [Value::I32(1)]);
}

#[test]
fn the_caller_is_the_instance_that_imports_it() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    linker
        .define_host("host", "put", ty(&[ValType::I32], &[ValType::I32]), |caller, args, results| {
            let Value::I32(value) = args[0] else { unreachable!() };
            let Some(memory) = caller.memory("memory") else {
                results[0] = Value::I32(-1);
                return Ok(());
            };
            // SAFETY: the memory has a page, and the app waits.
            unsafe { memory.base.cast::<i32>().write(value) };
            results[0] = Value::I32((memory.len_bytes >> 16) as i32);
            Ok(())
        })
        .unwrap();
    let text = r#"(module (import "host" "put" (func $put (param i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "put") (param i32) (result i32) (call $put (local.get 0)))
      (func (export "get") (result i32) (i32.load (i32.const 0))))"#;
    let module = module(&engine, text);
    let (one, two) = (linker.instantiate(&module).unwrap(), linker.instantiate(&module).unwrap());
    assert_eq!(one.call("put", &[Value::I32(11)]).unwrap(), [Value::I32(1)]);
    assert_eq!(two.call("put", &[Value::I32(22)]).unwrap(), [Value::I32(1)]);
    assert_eq!(one.call("get", &[]).unwrap(), [Value::I32(11)]);
    assert_eq!(two.call("get", &[]).unwrap(), [Value::I32(22)]);

    let without = r#"(module (import "host" "put" (func $put (param i32) (result i32)))
      (memory 1) (func (export "put") (param i32) (result i32) (call $put (local.get 0))))"#;
    let app = linker.instantiate(&common::module(&engine, without)).unwrap();
    assert_eq!(app.call("put", &[Value::I32(1)]).unwrap(), [Value::I32(-1)]);
}

#[test]
fn calls_through_tables_and_back_into_the_app() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    static APP: Mutex<Option<usize>> = Mutex::new(None);
    static DEPTH: AtomicI32 = AtomicI32::new(0);
    linker
        .define_host("host", "again", ty(&[ValType::I32], &[ValType::I32]), |_, args, results| {
            let Value::I32(n) = args[0] else { unreachable!() };
            DEPTH.fetch_max(n, Ordering::Relaxed);
            let app = APP.lock().unwrap().expect("it was set");
            // SAFETY: the instance outlives the call.
            let app = unsafe { &*(app as *const wasmbridge_runtime::Instance) };
            results[0] = match n {
                5 => return Err(Stop::Exit(5)),
                _ => app
                    .call("run", &[Value::I32(n + 1)])
                    .map_err(|e| match e.trap().and_then(|t| t.exit_status) {
                        Some(status) => Stop::Exit(status + 1),
                        None => Stop::Failed(e.to_string()),
                    })?
                    .remove(0),
            };
            Ok(())
        })
        .unwrap();
    let app = linker
        .instantiate(&module(
            &engine,
            r#"(module (import "host" "again" (func $again (param i32) (result i32)))
              (table funcref (elem $again))
              (func (export "run") (param i32) (result i32)
                (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))"#,
        ))
        .unwrap();
    *APP.lock().unwrap() = Some(std::ptr::from_ref(&app) as usize);
    let error = app.call("run", &[Value::I32(0)]).unwrap_err();
    assert_eq!(error.trap().unwrap().exit_status, Some(10));
    assert_eq!(DEPTH.load(Ordering::Relaxed), 5);
}

#[test]
fn types_are_checked_when_linking_and_when_returning() {
    let engine = engine();
    let mut linker = linker(&engine, &[]);
    linker
        .define_host("host", "f", ty(&[], &[ValType::I32]), |_, _, results| {
            results[0] = Value::I64(1);
            Ok(())
        })
        .unwrap();
    let wrong = r#"(module (import "host" "f" (func (result i64))))"#;
    let error = linker.instantiate(&module(&engine, wrong)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    let text = "`host.f`: the module imports `() -> i64`, the host's function is `() -> i32`";
    assert!(error.message().contains(text), "{error}");

    let right = r#"(module (import "host" "f" (func $f (result i32))) (func (export "run") (result i32) (call $f)))"#;
    let app = linker.instantiate(&module(&engine, right)).unwrap();
    let error = app.call("run", &[]).unwrap_err();
    assert_eq!(error.message(), "trap: a host function failed: `f`: its result 1 is i64, its type says i32");
}

/// Catches what the host throws, below frames that keep values across the call, in a loop and outside of one.
const CATCHES: &str = r#"(module
  (import "host" "oops" (tag $oops (param i32 f64)))
  (import "host" "throw" (func $throw (param i32) (result i32)))
  (import "host" "many" (func $many (param i32 v128 i64 i64 i64 i64 i64 i64) (result i64 i64)))
  (memory (export "memory") 1)
  (global $sp (mut i32) (i32.const 4096))
  (export "__stack_pointer" (global $sp))
  (func $between (param i32 i64) (result i64)
    (local $kept i64)
    (local.set $kept (i64.mul (local.get 1) (i64.const 3)))
    (global.set $sp (i32.sub (global.get $sp) (i32.const 64)))
    (drop (call $throw (local.get 0)))
    (global.set $sp (i32.add (global.get $sp) (i32.const 64)))
    (local.get $kept))
  (func (export "run") (param i32 i64) (result i32 f64 i64)
    (local $twice i64) (local $sp_before i32)
    (local.set $twice (i64.mul (local.get 1) (i64.const 2)))
    (local.set $sp_before (global.get $sp))
    (block $caught (result i32 f64)
      (try_table (catch $oops $caught)
        (return (i32.const -1) (f64.const 0) (call $between (local.get 0) (local.get 1))))
      unreachable)
    (global.set $sp (local.get $sp_before))
    (local.get $twice))
  (func (export "loop") (param i32) (result i32)
    (local $sum i32)
    (loop $again
      (block $caught (result i32 f64)
        (try_table (catch $oops $caught) (drop (call $throw (local.get 0))))
        (return (i32.const -1)))
      drop
      (local.set $sum (i32.add (local.get $sum)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $sum))
  (func (export "many") (result i32)
    (block $caught
      (try_table (catch_all $caught)
        (drop (drop (call $many (i32.const 1) (v128.const i64x2 0 0) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)
          (i64.const 5) (i64.const 6)))))
      unreachable)
    (i32.const 7))
  (func (export "uncaught") (param i32) (result i32) (call $throw (local.get 0)))
  (func (export "sp") (result i32) (global.get $sp)))"#;

fn catching(engine: &Engine, oops: &Tag) -> wasmbridge_runtime::Instance {
    let mut linker = Linker::new(engine);
    linker.define_tag("host", "oops", oops).unwrap();
    let (tag, private) = (oops.clone(), Tag::new(engine, "private", &[]).unwrap());
    let throws = move |_: &wasmbridge_runtime::Caller<'_>, args: &[Value], results: &mut [Value]| match args[0] {
        Value::I32(0) => {
            results[0] = Value::I32(5);
            Ok(())
        }
        Value::I32(n) => {
            let values = vec![Value::I32(n), Value::F64(f64::from(n) / 2.0)];
            Err(Stop::Throw(Exception::new(&tag, values).expect("they are the tag's")))
        }
        _ => unreachable!("it has one argument"),
    };
    linker.define_host("host", "throw", ty(&[ValType::I32], &[ValType::I32]), throws).unwrap();
    let params = [&[ValType::I32, ValType::V128][..], &[ValType::I64; 6]].concat();
    let many = ty(&params, &[ValType::I64, ValType::I64]);
    let throws = move |_: &wasmbridge_runtime::Caller<'_>, _: &[Value], _: &mut [Value]| {
        Err(Stop::Throw(Exception::new(&private, vec![]).expect("it has no values")))
    };
    linker.define_host("host", "many", many, throws).unwrap();
    linker.instantiate(&module(engine, CATCHES)).unwrap()
}

#[test]
fn a_host_function_throws_and_the_app_catches() {
    let engine = engine();
    let oops = Tag::new(&engine, "oops", &[ValType::I32, ValType::F64]).unwrap();
    let app = catching(&engine, &oops);
    let sp = app.call("sp", &[]).unwrap();
    for round in 1..200 {
        let results = app.call("run", &[Value::I32(round), Value::I64(1 << 40)]).unwrap();
        assert_eq!(results, [Value::I32(round), Value::F64(f64::from(round) / 2.0), Value::I64(2 << 40)]);
    }
    let results = app.call("run", &[Value::I32(0), Value::I64(1 << 40)]).unwrap();
    assert_eq!(results, [Value::I32(-1), Value::F64(0.0), Value::I64(3 << 40)], "it did not throw");
    assert_eq!(app.call("loop", &[Value::I32(1000)]).unwrap(), [Value::I32(500_500)]);
    assert_eq!(app.call("many", &[]).unwrap(), [Value::I32(7)], "of a tag that only the host has");
    assert_eq!(app.call("sp", &[]).unwrap(), sp);
}

#[test]
fn what_a_host_function_throws_and_nobody_catches_is_an_error_with_it() {
    let engine = engine();
    let oops = Tag::new(&engine, "oops", &[ValType::I32, ValType::F64]).unwrap();
    let app = catching(&engine, &oops);
    for _ in 0..3 {
        let error = app.call("uncaught", &[Value::I32(8)]).unwrap_err();
        let trap = error.trap().unwrap();
        assert_eq!(trap.code, TrapCode::UncaughtException, "{error}");
        let exception = trap.exception.as_ref().unwrap();
        assert_eq!((exception.tag(), exception.values()), (&oops, &[Value::I32(8), Value::F64(4.0)][..]));
        assert_eq!(app.call("uncaught", &[Value::I32(0)]).unwrap(), [Value::I32(5)], "the app goes on");
    }
}

#[test]
fn an_exception_that_cannot_be_thrown_is_an_error() {
    let (engine, other) = (engine(), engine());
    let oops = Tag::new(&engine, "oops", &[ValType::I32, ValType::F64]).unwrap();
    for values in [vec![], vec![Value::I32(1)], vec![Value::F64(0.0), Value::I32(1)]] {
        let error = Exception::new(&oops, values).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    let foreign = Exception::new(&Tag::new(&other, "foreign", &[]).unwrap(), vec![]).unwrap();
    let mut linker = Linker::new(&engine);
    linker
        .define_host("host", "stop", ty(&[ValType::I32], &[]), move |_, _, _| Err(Stop::Throw(foreign.clone())))
        .unwrap();
    let app = linker.instantiate(&module(&engine, STOPS)).unwrap();
    let error = app.call("run", &[Value::I32(0)]).unwrap_err();
    assert!(error.message().contains("`foreign` of what it throws belongs to another engine"), "{error}");
}
