//! Exceptions as they were before the standard's: `try`, `catch`, `catch_all`, `delegate`, `rethrow`.

mod common;

use common::{engine, instance, module};
use wasmbridge_runtime::{Exception, FuncType, Linker, Stop, Tag, TrapCode, ValType, Value};

const APP: &str = r#"
(module
  (tag $a (export "a") (param i32))
  (tag $b (param i64 f64))
  (tag $none)
  (global $passed (export "passed") (mut i32) (i32.const 0))
  ;; 1: $a with 10; 2: $b with 20 and 0.5; 3: $none; 4: a trap; else nothing
  (func $throw (param i32) (result i32)
    (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $0 (local.get 0)))
      (return (i32.const 7)))
      (throw $a (i32.const 10)))
      (throw $b (i64.const 20) (f64.const 0.5)))
      (throw $none))
    (unreachable))
  (func (export "each") (param i32) (result i32)
    try (result i32)
      (i32.add (i32.const 1) (call $throw (local.get 0)))
      catch $a
      catch $b (drop) (i32.wrap_i64) (i32.add (i32.const 2))
      catch_all (i32.const 99) end)
  ;; Only one; the others go to the caller.
  (func $one (param i32) (result i32) (local $kept i64)
    (local.set $kept (i64.extend_i32_u (local.get 0)))
    try (result i32)
      (call $throw (local.get 0))
      catch $a (i32.add (i32.const 100)) (i32.add (i32.wrap_i64 (local.get $kept))) end)
  (func (export "one") (param i32) (result i32) (call $one (local.get 0)))
  (func (export "outer") (param i32) (result i32)
    try (result i32) (call $one (local.get 0)) catch_all (i32.const -1) end)
  ;; What a C++ destructor is: something is done, and the exception goes on, also with its values.
  (func $clean (param i32) (result i32)
    try $t (result i32)
      (call $throw (local.get 0))
      catch_all
        (global.set $passed (i32.add (global.get $passed) (i32.const 1)))
        (rethrow $t) end)
  (func (export "clean") (param i32) (result i32)
    try (result i32) (call $clean (local.get 0)) catch $a catch $b (drop) (i32.wrap_i64) end)
  ;; From a clause inside of another's.
  (func (export "inner_rethrow") (result i32)
    try (result i32)
        try $x (result i32)
          (throw $a (i32.const 5))
          catch $a
            (drop)
            try $y (result i32)
              (throw $b (i64.const 1) (f64.const 1))
              catch $b (drop) (drop) (rethrow $x) end end
      catch $a (i32.add (i32.const 1))
      catch $b (drop) (drop) (i32.const -1) end)
  ;; What is thrown in a clause is not in the reach of the same `try`.
  (func (export "in_clause") (result i32)
    try (result i32)
      try (result i32)
         (throw $a (i32.const 1))
        catch $a (throw $none)
        catch $none (i32.const -2) end
      catch $none (i32.const 8) end)
  ;; Past the `try` in between.
  (func (export "delegate") (param i32) (result i32)
    try $out (result i32)
        try $between (result i32)
          try (result i32) (call $throw (local.get 0)) delegate $out
          catch_all (i32.const -3) end
      catch $a (i32.add (i32.const 1000)) end)
  (func $to_caller (param i32) (result i32)
    try (result i32)
      try (result i32) (call $throw (local.get 0)) delegate 1
      catch_all (i32.const -4) end)
  (func (export "to_caller") (param i32) (result i32)
    try (result i32) (call $to_caller (local.get 0)) catch $a (i32.add (i32.const 2000)) end)
  ;; To a block: what is around that catches it.
  (func (export "to_block") (param i32) (result i32)
    try (result i32)
      (block $b (result i32)
        try (result i32)
          try (result i32) (call $throw (local.get 0)) delegate $b
          catch_all (i32.const -5) end)
      catch $a (i32.add (i32.const 3000)) end)
  ;; To a `try` that itself delegates.
  (func (export "twice") (param i32) (result i32)
    try $far (result i32)
      try (result i32)
         try $near (result i32)
          try (result i32) (call $throw (local.get 0)) delegate $near
          delegate $far
        catch_all (i32.const -6) end
      catch $a (i32.add (i32.const 4000)) end)
  ;; Parameters, values below, and a try without clauses.
  (func (export "values") (param i32) (result i32)
    (i32.const 1) (i32.const 2)
    try (param i32) (result i32)
      (i32.add (call $throw (local.get 0)))
      catch $a (i32.mul (i32.const 2)) end
    (i32.add)
    try  end
    try (result i32) (i32.const 1) catch $a end
    (i32.add))
  ;; Code that is not reached.
  (func (export "dead") (result i32)
    (block $b (result i32)
      (br $b (i32.const 3))
      try (result i32)
         try (result i32) (call $throw (i32.const 1)) catch $a catch_all (rethrow 0) end
        delegate 0))
  (func (export "dead_clause") (result i32)
    try  catch $a (drop) try  (drop (call $throw (i32.const 1))) catch_all (rethrow 1) end catch_all (rethrow 0) end
    try (result i32) (unreachable) catch_all (i32.const 1) end)
  ;; Beside the standard's: the innermost that takes it does.
  (func (export "both") (param i32) (result i32)
    (block $h (result i32)
      (try_table (result i32) (catch $a $h)
        try (result i32)
          (block $n (try_table (catch $none $n) (drop (call $throw (local.get 0)))) (return (i32.const 1))) (i32.const 2)
          catch $b (drop) (i32.wrap_i64) end)))
  (func (export "loops") (param $n i32) (result i32) (local $sum i32)
    (loop $next
      (local.get $sum)
        try (result i32)
          (call $clean (i32.add (i32.const 1) (i32.and (local.get $n) (i32.const 1))))
          catch $a
          catch $b (drop) (i32.wrap_i64) end
      (local.set $sum (i32.add))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

#[test]
fn what_is_thrown_goes_where_the_instructions_say() {
    let app = instance(APP);
    let call = |name: &str, arg: i32| app.call(name, &[Value::I32(arg)]).map(|results| results[0].clone());
    let expect = |name: &str, results: [Result<i32, ()>; 4]| {
        for (arg, result) in results.into_iter().enumerate() {
            match (call(name, arg as i32), result) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, Value::I32(wanted), "{name} {arg}"),
                (Err(error), Err(())) => {
                    assert_eq!(error.trap().unwrap().code, TrapCode::UncaughtException, "{name} {arg}");
                }
                (found, wanted) => panic!("{name} {arg}: {found:?}, not {wanted:?}"),
            }
        }
        // A trap is no exception: `catch_all` does not take it.
        let error = call(name, 4).unwrap_err();
        assert_eq!(error.trap().unwrap().code, TrapCode::Unreachable, "{name}");
    };
    expect("each", [Ok(8), Ok(10), Ok(22), Ok(99)]);
    expect("one", [Ok(7), Ok(111), Err(()), Err(())]);
    expect("outer", [Ok(7), Ok(111), Ok(-1), Ok(-1)]);
    expect("clean", [Ok(7), Ok(10), Ok(20), Err(())]);
    assert_eq!(app.global("passed").unwrap(), Value::I32(3));
    expect("delegate", [Ok(7), Ok(1010), Err(()), Err(())]);
    expect("to_caller", [Ok(7), Ok(2010), Err(()), Err(())]);
    expect("to_block", [Ok(7), Ok(3010), Err(()), Err(())]);
    expect("twice", [Ok(7), Ok(4010), Err(()), Err(())]);
    expect("values", [Ok(11), Ok(22), Err(()), Err(())]);
    expect("both", [Ok(1), Ok(10), Ok(20), Ok(2)]);
    for (name, result) in [("inner_rethrow", 6), ("in_clause", 8), ("dead", 3)] {
        assert_eq!(app.call(name, &[]).unwrap(), [Value::I32(result)], "{name}");
    }
    assert_eq!(app.call("dead_clause", &[]).unwrap_err().trap().unwrap().code, TrapCode::Unreachable);
    assert_eq!(call("loops", 1000).unwrap(), Value::I32(500 * 30));
}

#[test]
fn a_host_function_throws_to_a_catch() {
    let engine = engine();
    let tag = Tag::new(&engine, "oops", &[ValType::I32]).unwrap();
    let mut linker = Linker::new(&engine);
    linker.define_tag("host", "oops", &tag).unwrap();
    let ty = FuncType { params: vec![], results: vec![] };
    let thrown = tag.clone();
    linker
        .define_host("host", "f", ty, move |_, _, _| {
            Err(Stop::Throw(Exception::new(&thrown, vec![Value::I32(33)]).expect("it is the tag's type")))
        })
        .unwrap();
    let app = linker
        .instantiate(&module(
            &engine,
            r#"(module (import "host" "oops" (tag $oops (param i32))) (import "host" "f" (func $f))
                 (func (export "run") (result i32) try (result i32)  (call $f) (i32.const 0) catch $oops end)
                 (func (export "rethrow") try $t  (call $f) catch $oops (drop) (rethrow $t) end))"#,
        ))
        .unwrap();
    assert_eq!(app.call("run", &[]).unwrap(), [Value::I32(33)]);
    assert_eq!(app.call("rethrow", &[]).unwrap_err().exception().unwrap().values(), [Value::I32(33)]);
}
