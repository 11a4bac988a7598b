//! Objects of C's as externrefs: wherever an app may have one, its object lasts, and no longer.
#![allow(clippy::undocumented_unsafe_blocks, reason = "the test plays the part of C, which knows no unsafe")]

mod common;

use common::{call, engine, module};
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ptr;
use wasmbridge_runtime::{Config, Engine, HandleDestructor, Instance, Linker, NativeFn, Value};

thread_local! {
    static NEXT: Cell<usize> = const { Cell::new(0) };
    static DESTROYED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Objects are numbers: nobody looks at what they point to.
extern "C" fn make() -> *const c_void {
    NEXT.set(NEXT.get() + 0x1_0000);
    ptr::without_provenance(NEXT.get())
}

extern "C" fn number(object: *const c_void) -> c_int {
    (object.addr() >> 16) as c_int
}

unsafe extern "C" fn destroy(object: *mut c_void, _: *mut c_void) {
    DESTROYED.with_borrow_mut(|destroyed| destroyed.push(object.addr() >> 16));
}

fn destroyed() -> Vec<usize> {
    let mut destroyed = DESTROYED.take();
    destroyed.sort_unstable();
    destroyed
}

const APP: &str = r#"(module
  (import "env" "make" (func $make (result externref)))
  (import "env" "number" (func $number (param externref) (result i32)))
  (type $box (struct (field (mut externref))))
  (type $list (array (mut externref)))
  (global $global (export "global") (mut externref) (ref.null extern))
  (global $boxed (mut (ref null $box)) (ref.null $box))
  (global $listed (mut (ref null $list)) (ref.null $list))
  (global $any (mut anyref) (ref.null any))
  (table $table (export "table") 4 externref)
  (func (export "fill")
    (global.set $global (call $make))
    (global.set $boxed (struct.new $box (call $make)))
    (global.set $listed (array.new $list (call $make) (i32.const 3)))
    (global.set $any (any.convert_extern (call $make)))
    (table.set $table (i32.const 2) (call $make)))
  (func (export "numbers") (result i32)
    (i32.add (i32.add (i32.add (i32.add
      (call $number (global.get $global))
      (call $number (struct.get $box 0 (global.get $boxed))))
      (call $number (array.get $list (global.get $listed) (i32.const 1))))
      (call $number (extern.convert_any (global.get $any))))
      (call $number (table.get $table (i32.const 2)))))
  (func (export "clear")
    (global.set $global (ref.null extern))
    (global.set $boxed (ref.null $box))
    (global.set $listed (ref.null $list))
    (global.set $any (ref.null any))
    (table.set $table (i32.const 2) (ref.null extern)))
  (func (export "waste") (param $n i32)
    (loop $more
      (drop (call $make))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $more (local.get $n)))))"#;

fn app_of(engine: &Engine) -> Instance {
    let mut linker = Linker::new(engine);
    unsafe {
        linker.define("env", "object *make(void) [externref]", NativeFn(make as *const u8)).unwrap();
        linker.define("env", "int number(object *o[externref])", NativeFn(number as *const u8)).unwrap();
        linker.handle_destructor("object", HandleDestructor { function: destroy, data: ptr::null_mut() });
    }
    NEXT.set(0);
    linker.instantiate(&module(engine, APP)).unwrap()
}

/// Has what the native stack holds by mistake overwritten, and collects.
fn collect(app: &Instance) {
    call(app, "waste", &[200]).unwrap();
    app.collect_garbage().unwrap();
}

#[test]
fn an_object_lasts_as_long_as_the_app_has_a_reference_to_it() {
    let app = app_of(&engine());
    call(&app, "fill", &[]).unwrap();
    collect(&app);
    let wasted = destroyed();
    assert!(wasted.len() >= 190 && wasted.iter().all(|&number| number > 5), "{wasted:?}");
    assert_eq!(call(&app, "numbers", &[]).unwrap(), 1 + 2 + 3 + 4 + 5);
    call(&app, "clear", &[]).unwrap();
    collect(&app);
    assert_eq!(destroyed()[..5], [1, 2, 3, 4, 5]);
    drop(app);
    assert!(destroyed().iter().all(|&number| number > 5));
}

#[test]
fn collections_come_by_themselves() {
    let app = app_of(&engine());
    call(&app, "waste", &[20_000]).unwrap();
    let all = destroyed().len();
    assert!(all > 15_000, "{all} of 20,000");
    drop(app);
    assert_eq!(all + destroyed().len(), 20_000, "each is destroyed once");
}

#[test]
fn collections_come_again_while_the_app_keeps_something() {
    let app = app_of(&engine());
    call(&app, "fill", &[]).unwrap();
    call(&app, "waste", &[20_000]).unwrap();
    let all = destroyed().len();
    assert!(all > 15_000, "{all} of 20,000");
    assert_eq!(call(&app, "numbers", &[]).unwrap(), 15);
}

#[test]
fn under_stress_nothing_that_is_in_use_goes() {
    let app = app_of(&Engine::new(Config { gc_stress: true, ..Config::default() }).unwrap());
    call(&app, "fill", &[]).unwrap();
    assert_eq!(call(&app, "numbers", &[]).unwrap(), 15);
    assert!(destroyed().is_empty());
}

#[test]
fn what_the_host_gives_is_not_collected() {
    let app = app_of(&engine());
    let object: *const c_void = ptr::without_provenance(0x77_0000);
    let externref = app.externref("object", object).unwrap();
    app.collect_garbage().unwrap();
    assert_eq!(app.externref_object(&externref, "object").unwrap().cast_const(), object);
    app.set_table("table", 1, &externref).unwrap();
    assert_eq!(app.table_get("table", 1).unwrap(), externref);
    app.set_global("global", externref.clone()).unwrap();
    assert_eq!(app.global("global").unwrap(), externref);
    assert!(app.end_handle("object", object).unwrap());
    let error = app.externref_object(&externref, "object").unwrap_err();
    assert!(error.message().contains("stale"), "{error}");
    assert_eq!(app.grow_table("table", 1, &Value::ExternRef(0)).unwrap(), 4);
    drop(app);
    assert!(destroyed().is_empty());
}
