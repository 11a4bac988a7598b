//! Atomic instructions and shared memories, on the one thread that an instance runs on.

mod common;

use common::{engine, instance, module, module_with};
use wasmbridge_compiler::Config;
use wasmbridge_runtime::{ErrorKind, Instance, Linker, TrapCode, Value};

const ATOMICS: &str = r#"(module
    (memory (export "memory") 1 3 shared)
    (func (export "add") (param i32 i32) (result i32) (i32.atomic.rmw.add offset=2 (local.get 0) (local.get 1)))
    (func (export "or") (param i32 i32) (result i32) (i32.atomic.rmw.or (local.get 0) (local.get 1)))
    (func (export "load") (param i32) (result i64) (i64.atomic.load (local.get 0)))
    (func (export "store8") (param i32 i32) (i32.atomic.store8 (local.get 0) (local.get 1)))
    (func (export "cas16") (param i32 i32 i32) (result i32)
        (i32.atomic.rmw16.cmpxchg_u (local.get 0) (local.get 1) (local.get 2)))
    (func (export "wait32") (param i32 i32 i64) (result i32)
        (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
    (func (export "wait64") (param i32 i64 i64) (result i32)
        (memory.atomic.wait64 offset=8 (local.get 0) (local.get 1) (local.get 2)))
    (func (export "notify") (param i32 i32) (result i32) (memory.atomic.notify offset=4 (local.get 0) (local.get 1)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "size") (result i32) memory.size))"#;

const PAGE: i32 = 65536;

fn call(instance: &Instance, name: &str, args: &[Value]) -> Value {
    instance.call(name, args).unwrap().remove(0)
}

fn trap(instance: &Instance, name: &str, args: &[Value]) -> TrapCode {
    instance.call(name, args).unwrap_err().trap().expect("it must trap").code
}

#[test]
fn accesses_are_checked_for_alignment_and_then_for_bounds() {
    use Value::{I32, I64};
    // With a reservation of less than 4 GiB, bounds are compared and not left to guard pages.
    let small = Config { memory_reservation: 64 << 20, ..Config::default() };
    let engine = engine();
    for config in [Config::default(), small] {
        let instance = Linker::new(&engine).instantiate(&module_with(&engine, ATOMICS, &config)).unwrap();
        assert_eq!(call(&instance, "add", &[I32(2), I32(5)]), I32(0));
        assert_eq!(call(&instance, "add", &[I32(2), I32(-1)]), I32(5));
        assert_eq!(call(&instance, "load", &[I32(0)]), I64(4 << 32));
        assert_eq!(call(&instance, "or", &[I32(4), I32(3)]), I32(4));
        assert_eq!(call(&instance, "or", &[I32(4), I32(0)]), I32(7));
        instance.call("store8", &[I32(PAGE - 1), I32(0x1ff)]).unwrap();
        assert_eq!(call(&instance, "cas16", &[I32(PAGE - 2), I32(0xff00), I32(0x1_1234)]), I32(0xff00));
        assert_eq!(call(&instance, "cas16", &[I32(PAGE - 2), I32(0), I32(7)]), I32(0x1234));

        assert_eq!(trap(&instance, "add", &[I32(4), I32(1)]), TrapCode::UnalignedAtomic);
        assert_eq!(trap(&instance, "load", &[I32(PAGE + 4)]), TrapCode::UnalignedAtomic);
        assert_eq!(trap(&instance, "load", &[I32(PAGE)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, "load", &[I32(-8)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, "add", &[I32(-2), I32(1)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, "or", &[I32(PAGE), I32(1)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, "store8", &[I32(PAGE), I32(1)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, "cas16", &[I32(PAGE), I32(1), I32(1)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, "wait32", &[I32(2), I32(0), I64(0)]), TrapCode::UnalignedAtomic);
        assert_eq!(trap(&instance, "wait32", &[I32(PAGE), I32(0), I64(0)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, "wait64", &[I32(PAGE - 8), I64(0), I64(0)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, "notify", &[I32(PAGE - 4), I32(0)]), TrapCode::MemoryOutOfBounds);
    }
}

#[test]
fn atomics_of_64_bit_memories_do_not_wrap() {
    let instance = instance(
        r#"(module (memory i64 1 1 shared)
            (func (export "load") (param i64) (result i32) (i32.atomic.load offset=16 (local.get 0)))
            (func (export "notify") (param i64) (result i32) (memory.atomic.notify offset=16 (local.get 0) (i32.const 1))))"#,
    );
    for name in ["load", "notify"] {
        assert_eq!(call(&instance, name, &[Value::I64(0)]), Value::I32(0));
        assert_eq!(trap(&instance, name, &[Value::I64(-16)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, name, &[Value::I64(1 << 40)]), TrapCode::MemoryOutOfBounds);
        assert_eq!(trap(&instance, name, &[Value::I64(-15)]), TrapCode::UnalignedAtomic);
    }
}

#[test]
fn waiting_ends_by_itself_on_one_thread() {
    use Value::{I32, I64};
    let instance = instance(ATOMICS);
    assert_eq!(call(&instance, "wait32", &[I32(0), I32(1), I64(-1)]), I32(1), "not as expected");
    assert_eq!(call(&instance, "wait32", &[I32(0), I32(0), I64(1000)]), I32(2), "nobody came");
    assert_eq!(call(&instance, "wait64", &[I32(0), I64(1 << 32), I64(-1)]), I32(1));
    assert_eq!(call(&instance, "wait64", &[I32(0), I64(0), I64(0)]), I32(2));
    assert_eq!(call(&instance, "notify", &[I32(0), I32(-1)]), I32(0), "nobody waits");
}

#[test]
fn waiting_needs_a_shared_memory() {
    let instance = instance(
        r#"(module (memory 1)
            (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
            (func (export "notify") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 1))))"#,
    );
    assert_eq!(trap(&instance, "wait", &[]), TrapCode::WaitOnUnsharedMemory);
    assert_eq!(call(&instance, "notify", &[]), Value::I32(0));
}

#[test]
fn a_shared_memory_is_imported_as_such() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    let exporter = linker.instantiate(&module(&engine, ATOMICS)).unwrap();
    linker.define_instance("m", &exporter).unwrap();
    let importer = linker.instantiate(&module(
        &engine,
        r#"(module (import "m" "memory" (memory 1 3 shared))
            (func (export "size") (result i32) memory.size)
            (func (export "xchg") (param i32 i32) (result i32) (i32.atomic.rmw.xchg (local.get 0) (local.get 1))))"#,
    ));
    let importer = importer.unwrap();
    assert_eq!(call(&exporter, "grow", &[Value::I32(1)]), Value::I32(1));
    assert_eq!(call(&importer, "size", &[]), Value::I32(2));
    assert_eq!(call(&importer, "xchg", &[Value::I32(PAGE), Value::I32(9)]), Value::I32(0));
    assert_eq!(call(&exporter, "load", &[Value::I32(PAGE)]), Value::I64(9));
    let unshared = module(&engine, r#"(module (import "m" "memory" (memory 1 3)))"#);
    let error = linker.instantiate(&unshared).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    assert!(
        error.message().contains("imports `memory 1..=3 pages`, the export is `shared memory 2..=3 pages`"),
        "{error}"
    );
}
