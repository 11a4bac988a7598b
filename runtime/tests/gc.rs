//! The collected heap: what is reached stays as it was, what is not goes, whatever keeps the reference.

mod common;

use common::{instance, module};
use wasmbridge_runtime::{AnyRefKind, Config, Engine, ErrorKind, Instance, Linker, TrapCode, Value};

fn instance_of(config: Config, wat: &str) -> Instance {
    let engine = Engine::new(config).unwrap();
    Linker::new(&engine).instantiate(&module(&engine, wat)).unwrap()
}

/// Builds trees, whose nodes nothing but locals and operands of all the frames hold, and sums them up; and lists in globals, tables and arrays.
const TREES: &str = r#"
(module
  (rec (type $node (sub (struct (field $left (ref null $node)) (field $value i64) (field $right (ref null $node))))))
  (type $big (sub final $node (struct (field (ref null $node)) (field i64) (field (ref null $node)) (field v128) (field (mut i8)))))
  (type $list (array (mut anyref)))
  (global $kept (mut (ref null $node)) (ref.null $node))
  (table $table 4 anyref)
  (func $tree (param $depth i32) (param $value i64) (result (ref null $node))
    (if (i32.eqz (local.get $depth)) (then (return (ref.null $node))))
    (struct.new $big
      (call $tree (i32.sub (local.get $depth) (i32.const 1)) (i64.mul (local.get $value) (i64.const 2)))
      (local.get $value)
      (call $tree (i32.sub (local.get $depth) (i32.const 1)) (i64.add (i64.mul (local.get $value) (i64.const 2)) (i64.const 1)))
      (v128.const i64x2 -1 -1) (i32.const 255)))
  (func $sum (param $node (ref null $node)) (result i64)
    (if (ref.is_null (local.get $node)) (then (return (i64.const 0))))
    (i64.add (struct.get $node $value (local.get $node))
      (i64.add (call $sum (struct.get $node $left (local.get $node))) (call $sum (struct.get $node $right (local.get $node))))))
  (func (export "tree") (param $depth i32) (result i64)
    (call $sum (call $tree (local.get $depth) (i64.const 1))))
  (func (export "keep") (param $depth i32)
    (local $list (ref $list))
    (global.set $kept (call $tree (local.get $depth) (i64.const 1)))
    (table.set $table (i32.const 2) (call $tree (local.get $depth) (i64.const 1)))
    (local.set $list (array.new $list (ref.null any) (i32.const 3)))
    (array.set $list (local.get $list) (i32.const 1) (call $tree (local.get $depth) (i64.const 1)))
    (table.set $table (i32.const 3) (local.get $list)))
  (func (export "kept") (result i64)
    (i64.add (call $sum (global.get $kept))
      (i64.add (call $sum (ref.cast (ref null $node) (table.get $table (i32.const 2))))
        (call $sum (ref.cast (ref null $node)
          (array.get $list (ref.cast (ref $list) (table.get $table (i32.const 3))) (i32.const 1)))))))
  (func (export "drop") (global.set $kept (ref.null $node)) (table.fill $table (i32.const 0) (ref.null any) (i32.const 4)))
  (func (export "give") (param $depth i32) (result anyref) (call $tree (local.get $depth) (i64.const 1)))
  (func (export "take") (param anyref) (result i64) (call $sum (ref.cast (ref null $node) (local.get 0))))
  (func (export "external") (param $depth i32) (result externref)
    (extern.convert_any (call $tree (local.get $depth) (i64.const 1))))
  (func (export "many") (param $n i32)
    (loop $again
      (drop (call $tree (i32.const 4) (i64.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

/// The sum of a tree of this depth: its nodes have the numbers from 1 on.
fn sum(depth: u32) -> i64 {
    let nodes = (1i64 << depth) - 1;
    nodes * (nodes + 1) / 2
}

#[test]
fn a_collection_before_each_object_changes_nothing() {
    let app = instance_of(Config { gc_stress: true, ..Config::default() }, TREES);
    for depth in [1, 5, 8] {
        assert_eq!(app.call("tree", &[Value::I32(depth)]).unwrap(), [Value::I64(sum(depth as u32))], "{depth}");
    }
    app.call("keep", &[Value::I32(6)]).unwrap();
    app.call("tree", &[Value::I32(6)]).unwrap();
    assert_eq!(app.call("kept", &[]).unwrap(), [Value::I64(3 * sum(6))]);
}

#[test]
fn what_nobody_reaches_goes_and_what_the_host_holds_stays() {
    let app = instance(TREES);
    app.call("keep", &[Value::I32(8)]).unwrap();
    let given = app.call("give", &[Value::I32(7)]).unwrap().remove(0);
    let external = app.call("external", &[Value::I32(7)]).unwrap().remove(0);
    let Value::AnyRef(Some(object)) = &external else { panic!("{external:?}") };
    assert_eq!(object.kind(), AnyRefKind::Struct);
    app.collect_garbage().unwrap();
    assert_eq!(app.call("kept", &[]).unwrap(), [Value::I64(3 * sum(8))]);
    for held in [&given, &external] {
        assert_eq!(app.call("take", std::slice::from_ref(held)).unwrap(), [Value::I64(sum(7))]);
    }
    let all = app.heap_bytes();
    app.call("drop", &[]).unwrap();
    app.collect_garbage().unwrap();
    let held = app.heap_bytes();
    assert!(held < all / 2, "{held} of {all}");
    drop((given, external));
    app.collect_garbage().unwrap();
    assert!(app.heap_bytes() < held / 2, "{} of {held}", app.heap_bytes());
}

#[test]
fn a_heap_of_a_few_megabytes_is_enough_for_any_amount_of_garbage() {
    let app = instance_of(Config { gc_heap_bytes: 2 << 20, ..Config::default() }, TREES);
    // 15 nodes of 80 bytes each time: 120 MB.
    app.call("many", &[Value::I32(100_000)]).unwrap();
    let error = app.call("tree", &[Value::I32(20)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::AllocationTooLarge);
    assert_eq!(app.call("tree", &[Value::I32(5)]).unwrap(), [Value::I64(sum(5))]);
}

#[test]
fn objects_of_instances_that_are_not_linked_are_refused() {
    let (app, other) = (instance(TREES), instance(TREES));
    let given = app.call("give", &[Value::I32(2)]).unwrap();
    assert_eq!(other.call("take", &given).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let reserved = Value::ExternRef(0xfff7_0000_0000_0010);
    assert_eq!(app.call("take", &[reserved]).unwrap_err().kind(), ErrorKind::InvalidArgument);
}
