//! C code calls wasm functions through plain function pointers.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::mut_from_ref,
    reason = "the tests play the part of C, which knows neither unsafe nor borrowing"
)]

mod common;

use common::{engine, instance, instance_with, linker, module};
use std::ffi::{c_int, c_void};
use wasmbridge_runtime::{
    Answer, CallbackOptions, ErrorKind, Frame, NativeFn, TrapCode, Value, callback_refusals, release_callback,
};

type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;

const COMPARE: &str = "int compare(const void *, const void *)";

/// Sorts ints by value, counts its calls, and traps in the way that `mode` says.
const SORTER: &str = r#"
(module
  (import "env" "qsort" (func $qsort (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (global $calls (export "calls") (mut i32) (i32.const 0))
  (global $mode (export "mode") (mut i32) (i32.const 0))
  (global $__stack_pointer (export "sp") (mut i32) (i32.const 65536))
  (table (export "table") 4 funcref)
  (elem (i32.const 1) $compare $other)
  (func $other (result i32) i32.const 7)
  (func $compare (export "compare") (param i32 i32) (result i32)
    (local i32 i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.and (i32.eq (global.get $mode) (i32.const 1)) (i32.gt_u (global.get $calls) (i32.const 5)))
      (then
        (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 160)))
        (drop (i32.load (i32.const 0xfff00000)))))
    (local.set 2 (i32.load (local.get 0)))
    (local.set 3 (i32.load (local.get 1)))
    (i32.sub (i32.gt_s (local.get 2) (local.get 3)) (i32.lt_s (local.get 2) (local.get 3))))
  (func (export "sort") (param i32 i32) (result i32)
    (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
    (call $qsort (local.get 0) (local.get 1) (i32.const 4) (i32.const 1))
    (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 16)))
    (i32.const 99))
  (func (export "sort_with") (param i32)
    (call $qsort (i32.const 1024) (i32.const 4) (i32.const 4) (local.get 0)))
)"#;

const QSORT: &str = "void qsort(void *base[inout: nmemb * size], size_t nmemb, size_t size,
                                int (*compar)(const void *, const void *))";

#[test]
fn messages_have_the_names_of_the_prototype_that_a_callback_was_made_by() {
    const APP: &str = r#"
(module
  (import "env" "first" (func $first (param i32)))
  (import "env" "second" (func $second (param i32)))
  (table 4 funcref)
  (elem (i32.const 1) $one $two)
  (func $one (export "one") (param i32) (result i32) local.get 0)
  (func $two (export "two") (param i32) (result i32) local.get 0)
  (func (export "give") (call $first (i32.const 1)) (call $second (i32.const 2))))"#;
    thread_local! { static KEPT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) }; }
    extern "C" fn keep(function: usize) {
        KEPT.set(function);
    }
    type Long = extern "C" fn(i64) -> i64;
    let fails = |app: &wasmbridge_runtime::Instance, function: usize, said: &str| {
        let function: Long = unsafe { std::mem::transmute(function) };
        assert_eq!(function(7), 7);
        assert_eq!(function(1 << 40), 0);
        let error = app.take_error().unwrap().to_string();
        assert!(error.contains(said), "expected {said}: {error}");
    };
    let keep = keep as extern "C" fn(usize) as *const u8;
    let imports = [("void first(long (*shrink)(long amount))", keep), ("void second(long (*grow)(long by))", keep)];
    let app = instance_with(APP, &imports);
    let made = |prototype: &str| app.callback(prototype, &CallbackOptions::default()).unwrap().0 as usize;
    let one = made("long one(long count)");
    fails(&app, one, "`one` argument 1 (`count`)");
    fails(&app, made("long two(long number)"), "`two` argument 1 (`number`)");
    // By another prototype it is the same callback.
    assert_eq!(made("long one(long other)"), one);
    fails(&app, one, "`one` argument 1 (`count`)");
    unsafe { release_callback(NativeFn(one as *const u8)) }.unwrap();
    fails(&app, made("long one(long)"), "`one` argument 1:");
    // Of functions that the app passes, the parameters'.
    let app = instance_with(APP, &imports);
    app.call("give", &[]).unwrap();
    fails(&app, KEPT.get(), "`grow` argument 1 (`by`)");
}

fn sorter() -> wasmbridge_runtime::Instance {
    instance_with(SORTER, &[(QSORT, libc::qsort as *const u8)])
}

/// Writes numbers in a scrambled order to the app's memory.
fn scramble(app: &wasmbridge_runtime::Instance, count: usize) -> &mut [i32] {
    let at = app.native_ptr(1024, 4 * count as u64).unwrap().cast::<i32>();
    let numbers = unsafe { std::slice::from_raw_parts_mut(at, count) };
    for (i, n) in numbers.iter_mut().enumerate() {
        *n = (i as i32).wrapping_mul(0x9e37_79b1u32 as i32) >> 8;
    }
    numbers
}

fn compare_of(app: &wasmbridge_runtime::Instance) -> (NativeFn, Compare) {
    let function = app.callback(COMPARE, &CallbackOptions::default()).unwrap();
    (function, unsafe { std::mem::transmute::<*const u8, Compare>(function.0) })
}

#[test]
fn qsort_of_libc_calls_a_wasm_comparator() {
    let app = sorter();
    let numbers = scramble(&app, 1000);
    let mut expected = numbers.to_vec();
    expected.sort();
    let (_, compare) = compare_of(&app);
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), 4, Some(compare)) };
    assert_eq!(numbers, expected);
    assert!(matches!(app.global("calls"), Ok(Value::I32(n)) if n > 1000));
}

#[test]
fn an_app_passes_its_comparator_to_an_imported_qsort() {
    let app = sorter();
    let numbers = scramble(&app, 1000);
    let mut expected = numbers.to_vec();
    expected.sort();
    assert_eq!(app.call("sort", &[Value::I32(1024), Value::I32(1000)]).unwrap(), [Value::I32(99)]);
    assert_eq!(numbers, expected);
}

#[test]
fn the_same_function_and_prototype_give_the_same_address() {
    let app = sorter();
    let (a, _) = compare_of(&app);
    let respelled = "int compare(void const *first, void const *second);";
    assert_eq!(app.callback(respelled, &CallbackOptions::default()).unwrap(), a);
    assert_eq!(
        app.callback_at(1, COMPARE, &CallbackOptions::default()).unwrap(),
        a,
        "table index 1 is the same function"
    );
    assert_ne!(app.callback("int compare(const int *, const int *)", &CallbackOptions::default()).unwrap(), a);
}

#[test]
fn a_trap_in_the_middle_of_qsort_is_an_error_of_the_host_and_the_default_for_c() {
    let app = sorter();
    app.set_global("mode", Value::I32(1)).unwrap();
    let numbers = scramble(&app, 100);
    let (function, compare) = compare_of(&app);
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), 4, Some(compare)) };

    assert_eq!(app.global("calls").unwrap(), Value::I32(6), "later calls answer without running the guest");
    assert_eq!(app.global("sp").unwrap(), Value::I32(65536), "the guest's stack pointer is put back");
    assert!(callback_refusals(function).unwrap() > 50);
    let busy = app.call("sort", &[Value::I32(0), Value::I32(0)]).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);

    let error = app.take_error().expect("the trap waits for the host");
    let trap = error.trap().unwrap();
    assert_eq!(trap.code, TrapCode::MemoryOutOfBounds);
    assert!(trap.detail.as_ref().unwrap().contains("0xfff00000"), "{error}");
    assert!(
        matches!(&trap.frames[0], Frame::Wasm { name: Some(name), offset: Some(_), .. } if name == "compare"),
        "{error}"
    );
    assert_eq!(trap.frames[1], Frame::Callback { name: "compare".into() });
    assert!(app.take_error().is_none());

    // And it can be used again.
    app.set_global("mode", Value::I32(0)).unwrap();
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), 4, Some(compare)) };
    assert!(numbers.is_sorted());
}

#[test]
fn a_trap_below_an_imported_qsort_surfaces_in_the_apps_own_call() {
    let app = sorter();
    app.set_global("mode", Value::I32(1)).unwrap();
    scramble(&app, 100);
    let error = app.call("sort", &[Value::I32(1024), Value::I32(100)]).unwrap_err();
    let trap = error.trap().expect("a trap");
    assert_eq!(trap.code, TrapCode::MemoryOutOfBounds);
    let names: Vec<String> = trap.frames.iter().map(|f| f.to_string()).collect();
    assert!(names[0].starts_with("compare at"), "{names:?}");
    assert_eq!(names[1], "compare (callback, entered from native code)");
    assert_eq!(names[2], "qsort (native)");
    assert!(names[3].starts_with("sort at"), "{names:?}");
    assert_eq!(app.global("sp").unwrap(), Value::I32(65536));
    assert!(app.take_error().is_none(), "the call has returned it");
    app.set_global("mode", Value::I32(0)).unwrap();
    assert!(app.call("sort", &[Value::I32(1024), Value::I32(100)]).is_ok());
}

#[test]
fn the_declared_default_is_what_c_gets() {
    let app = instance(
        r#"(module
            (func (export "int_") (result i32) unreachable)
            (func (export "wide") (result i64) unreachable)
            (func (export "single") (result f32) unreachable)
            (func (export "double_") (param f64) (result f64) unreachable))"#,
    );
    let stamp = |prototype: &str, default| {
        app.callback(prototype, &CallbackOptions { default, ..Default::default() }).unwrap().0
    };
    unsafe {
        let f: extern "C" fn() -> c_int = std::mem::transmute(stamp("int int_(void)", Answer::Int(-7)));
        assert_eq!(f(), -7);
        assert!(app.take_error().is_some());
        let f: extern "C" fn() -> i64 = std::mem::transmute(stamp("long long wide(void)", Answer::Int(i64::MIN)));
        assert_eq!(f(), i64::MIN);
        assert!(app.take_error().is_some());
        let f: extern "C" fn() -> f32 = std::mem::transmute(stamp("float single(void)", Answer::Float(1.5)));
        assert_eq!(f(), 1.5);
        assert!(app.take_error().is_some());
        let f: extern "C" fn(f64) -> f64 = std::mem::transmute(stamp("double double_(double)", Answer::Float(-2.25)));
        assert_eq!(f(1.0), -2.25);
    }
}

#[test]
fn callbacks_answer_after_their_instance_is_gone() {
    let app = sorter();
    let options = CallbackOptions { default: Answer::Int(42), ..Default::default() };
    let function = app.callback(COMPARE, &options).unwrap();
    let compare = unsafe { std::mem::transmute::<*const u8, Compare>(function.0) };
    drop(app);
    assert_eq!(unsafe { compare(std::ptr::null(), std::ptr::null()) }, 42);
    assert_eq!(callback_refusals(function).unwrap(), 1);
    unsafe { release_callback(function) }.unwrap();
    assert_eq!(callback_refusals(function).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(unsafe { release_callback(function) }.unwrap_err().kind(), ErrorKind::NotFound, "freed twice");
}

#[test]
fn null_is_zero_and_a_foreign_pointer_is_refused() {
    let app = instance(
        r#"(module (memory (export "memory") 1)
            (func (export "id") (param i32) (result i32) local.get 0))"#,
    );
    let function = app.callback("char *id(char *)", &CallbackOptions::default()).unwrap();
    let id: extern "C" fn(*mut u8) -> *mut u8 = unsafe { std::mem::transmute(function.0) };
    assert!(id(std::ptr::null_mut()).is_null());
    let inside = app.native_ptr(100, 1).unwrap();
    assert_eq!(id(inside), inside);
    let mut foreign = 0u8;
    assert!(id(&mut foreign).is_null());
    let error = app.take_error().unwrap();
    assert!(error.message().contains("`id` argument 1: the pointer is not into the app's memory"), "{error}");
    // A result beyond the memory's end is refused too.
    let beyond = app.memory().unwrap().base.wrapping_add(70_000);
    assert!(id(beyond).is_null());
    let error = app.take_error().unwrap();
    assert!(error.message().contains("are not in the app's memory"), "{error}");
}

#[test]
fn wrong_prototypes_are_refused_with_both_types() {
    let app = sorter();
    let options = CallbackOptions::default();
    let error = app.callback("int compare(const void *)", &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    assert!(error.message().contains("(i32, i32) -> i32"), "{error}");
    assert!(error.message().contains("(i32) -> i32"), "{error}");
    assert_eq!(app.callback("int absent(void)", &options).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(app.callback("int compare(", &options).unwrap_err().kind(), ErrorKind::Prototype);
    let error = app.callback_at(3, COMPARE, &options).unwrap_err();
    assert!(error.message().contains("index 3 of the app's table is null"), "{error}");
    let error = app.callback_at(4, COMPARE, &options).unwrap_err();
    assert!(error.message().contains("outside of the app's table of 4 elements"), "{error}");
    let error = app.callback(
        "int compare(const void *, const void *)",
        &CallbackOptions { default: Answer::Float(1.0), ..Default::default() },
    );
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_table_index_that_is_no_such_callback_is_a_trap_in_the_app() {
    let app = sorter();
    for (index, expected) in [(2, "() -> i32"), (3, "is null"), (77, "outside of the app's table")] {
        let error = app.call("sort_with", &[Value::I32(index)]).unwrap_err();
        assert_eq!(error.trap().unwrap().code, TrapCode::Crossing);
        assert!(error.message().contains("`qsort` argument 4 (`compar`)"), "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn a_guest_pointer_or_length_outside_of_memory_never_reaches_c() {
    let app = sorter();
    for (at, count) in [(65536, 1), (65532, 2), (-4, 1), (0, -1), (1024, 0x4000_0000)] {
        let error = app.call("sort", &[Value::I32(at), Value::I32(count)]).unwrap_err();
        assert_eq!(error.trap().unwrap().code, TrapCode::Crossing, "{error}");
        assert!(error.message().contains("`qsort` argument 1 (`base`)"), "{error}");
    }
    assert!(app.call("sort", &[Value::I32(65532), Value::I32(1)]).is_ok(), "the last element");
}

#[test]
fn another_thread_gets_the_default_answer() {
    let app = sorter();
    let function = app.callback(COMPARE, &CallbackOptions { default: Answer::Int(5), ..Default::default() }).unwrap();
    let address = function.0 as usize;
    let answer = std::thread::spawn(move || {
        let compare = unsafe { std::mem::transmute::<usize, Compare>(address) };
        unsafe { compare(std::ptr::null(), std::ptr::null()) }
    });
    assert_eq!(answer.join().unwrap(), 5);
    assert_eq!(callback_refusals(function).unwrap(), 1);
    assert_eq!(app.global("calls").unwrap(), Value::I32(0));
    assert!(app.take_error().is_none());
}

#[test]
fn many_callbacks_have_addresses_of_their_own() {
    let engine = engine();
    let module = module(&engine, r#"(module (func (export "f") (param i32) (result i32) local.get 0))"#);
    let linker = linker(&engine, &[]);
    let mut apps = Vec::new();
    let mut addresses = std::collections::HashSet::new();
    for i in 0..100 {
        let app = linker.instantiate(&module).unwrap();
        let function = app.callback("int f(int)", &CallbackOptions::default()).unwrap();
        assert!(addresses.insert(function.0));
        let f: extern "C" fn(c_int) -> c_int = unsafe { std::mem::transmute(function.0) };
        assert_eq!(f(i), i);
        apps.push(app);
    }
}

#[test]
fn a_struct_can_only_be_zero_by_default() {
    let app = instance(r#"(module (memory 1) (func (export "pair") (param i32) unreachable))"#);
    let prototype = "struct { long long a, b; } pair(void)";
    for default in [Answer::Int(1), Answer::Float(1.0)] {
        let error = app.callback(prototype, &CallbackOptions { default, ..Default::default() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    assert!(app.callback(prototype, &CallbackOptions::default()).is_ok());
}
