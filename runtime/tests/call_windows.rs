//! `[window]` parameters: what C passes to a callback is visible in place while the callback runs.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the tests play the part of C, which knows neither unsafe nor borrowing"
)]

mod common;

use common::{instance, instance_with};
use std::ffi::c_int;
use wasmbridge_runtime::{
    CallbackOptions, Grant, Instance, Region, Rights, TrapCode, Value, WindowCounts, WindowOptions,
};

const APP: &str = r#"(module
    (memory (export "memory") 1)
    (global $kept (mut i32) (i32.const 0))
    (func (export "look") (param i32) (result i32) (global.set $kept (local.get 0)) (i32.load (local.get 0)))
    (func (export "change") (param i32) (result i32) (i32.store (local.get 0) (i32.const 99)) (i32.const 1))
    (func (export "kept") (result i32) (i32.load (global.get $kept)))
    (func (export "where") (result i32) (global.get $kept))
    (func (export "sum") (param i32 i32) (result i32) (i32.add (i32.load (local.get 0)) (i32.load (local.get 1))))
    (func (export "plain") (param i32) (result i32) (i32.load (local.get 0))))"#;

const LOOK: &str = "int look(const int *p[window: read])";
const CHANGE: &str = "int change(int *p[window: write])";

type OnInt = extern "C" fn(*mut c_int) -> c_int;

fn callback(app: &Instance, prototype: &str) -> OnInt {
    let function = app.callback(prototype, &CallbackOptions::default()).unwrap();
    unsafe { std::mem::transmute(function.0) }
}

fn in_callbacks(rights: Rights) -> Grant {
    Grant { rights, in_callbacks_only: true }
}

fn word(region: &Region, at: usize) -> *mut c_int {
    region.native_ptr().wrapping_add(at).cast()
}

fn kept_traps(app: &Instance) {
    let error = app.call("kept", &[]).unwrap_err();
    assert_eq!(error.trap().map(|t| t.code), Some(TrapCode::MemoryOutOfBounds));
    assert!(error.message().contains("open only in callbacks"), "{error}");
}

fn took(app: &Instance, words: &str) {
    let error = app.take_error().expect("the callback failed");
    assert!(error.message().contains(words), "{error}");
}

#[test]
fn a_region_is_open_in_callbacks_and_closed_after() {
    let (app, region) = (instance(APP), Region::new(8192).unwrap());
    region.grant(&app, in_callbacks(Rights::Read)).unwrap();
    let (look, plain) = (callback(&app, LOOK), callback(&app, "int plain(const int *p)"));
    for i in 0..100 {
        unsafe { word(&region, 4 * i).write(i as c_int) };
        assert_eq!(look(word(&region, 4 * i)), i as c_int);
    }
    assert_eq!(app.window_counts(), WindowCounts { mapped: 1, cached: 99, visible: 0, copied: 0 });
    assert_eq!(app.call("where", &[]).unwrap(), [Value::I32((region.guest_addr() + 4 * 99) as i32)]);
    kept_traps(&app);
    // Another callback does not find it open either.
    assert_eq!(look(word(&region, 8)), 2);
    assert_eq!(plain(word(&region, 8)), 0);
    took(&app, "not into the app's memory");
    assert_eq!(look(word(&region, 8)), 2);
    kept_traps(&app);
}

#[test]
fn rights_are_those_of_the_grant() {
    let (app, region) = (instance(APP), Region::new(4096).unwrap());
    let (look, change) = (callback(&app, LOOK), callback(&app, CHANGE));
    region.grant(&app, in_callbacks(Rights::Read)).unwrap();
    assert_eq!(look(word(&region, 0)), 0);
    // It may not be written, and neither may a copy be written back.
    change(word(&region, 0));
    took(&app, "may only read it");
    assert_eq!(unsafe { word(&region, 0).read() }, 0);
    region.grant(&app, in_callbacks(Rights::ReadWrite)).unwrap();
    assert_eq!(change(word(&region, 0)), 1);
    assert_eq!(unsafe { word(&region, 0).read() }, 99);
    region.revoke(&app).unwrap();
    assert_eq!(look(word(&region, 0)), 99, "as a copy");
    assert_eq!(app.window_counts().copied, 1);
    assert!(app.call("where", &[]).unwrap() != [Value::I32(region.guest_addr() as i32)]);
}

#[test]
fn a_change_by_the_host_counts_at_once() {
    let (app, region) = (instance(APP), Region::new(4096).unwrap());
    let look = callback(&app, LOOK);
    region.grant(&app, in_callbacks(Rights::Read)).unwrap();
    assert_eq!(look(word(&region, 0)), 0);
    region.revoke(&app).unwrap();
    region.grant(&app, in_callbacks(Rights::Read)).unwrap();
    assert_eq!(look(word(&region, 0)), 0, "closed and opened behind the cache");
    assert_eq!(app.window_counts(), WindowCounts { mapped: 2, cached: 0, visible: 0, copied: 0 });
    region.grant(&app, Rights::Read).unwrap();
    assert_eq!(look(word(&region, 0)), 0);
    assert_eq!(app.window_counts().visible, 1);
    assert_eq!(app.call("kept", &[]).unwrap(), [Value::I32(0)], "it has the region for good now");
}

#[test]
fn several_windows_of_one_callback() {
    let (app, one, two) = (instance(APP), Region::new(4096).unwrap(), Region::new(4096).unwrap());
    one.grant(&app, in_callbacks(Rights::Read)).unwrap();
    two.grant(&app, in_callbacks(Rights::Read)).unwrap();
    let sum =
        app.callback("int sum(const int *a[window: read], const int *b[window: read])", &CallbackOptions::default());
    let sum: extern "C" fn(*mut c_int, *mut c_int) -> c_int = unsafe { std::mem::transmute(sum.unwrap().0) };
    unsafe { (word(&one, 0).write(30), word(&two, 0).write(12)) };
    assert_eq!(sum(word(&one, 0), word(&two, 0)), 42);
    assert_eq!(sum(word(&one, 0), word(&one, 0)), 60);
    assert_eq!(sum(word(&two, 0), word(&one, 0)), 42);
    assert_eq!(app.window_counts(), WindowCounts { mapped: 3, cached: 3, visible: 0, copied: 0 });
    // A NULL is none.
    sum(std::ptr::null_mut(), word(&one, 0));
}

extern "C" fn twice(look: OnInt, p: *mut c_int) -> c_int {
    look(p) + look(p)
}

#[test]
fn below_the_app_itself_it_is_closed_with_each_return() {
    let region = Region::new(4096).unwrap();
    let app = instance_with(
        r#"(module
            (import "env" "twice" (func $twice (param i32 i32) (result i32)))
            (memory 1) (table (export "table") 2 funcref) (elem (i32.const 1) $look)
            (global $kept (mut i32) (i32.const 0))
            (func $look (param i32) (result i32) (global.set $kept (local.get 0)) (i32.load (local.get 0)))
            (func (export "run") (param i32) (result i32) (call $twice (i32.const 1) (local.get 0)))
            (func (export "run_and_look") (param i32) (result i32)
                (drop (call $twice (i32.const 1) (local.get 0))) (i32.load (global.get $kept))))"#,
        &[(
            "int twice(int (*look)(const int *p[window: read]), void *p[handle])",
            twice as extern "C" fn(OnInt, *mut c_int) -> c_int as *const u8,
        )],
    );
    region.grant(&app, in_callbacks(Rights::Read)).unwrap();
    unsafe { word(&region, 0).write(21) };
    // The app passes on a pointer that it cannot see, by its handle.
    let handle = app.handle("void", word(&region, 0).cast()).unwrap();
    assert_eq!(app.call("run", &[Value::I32(handle as i32)]).unwrap(), [Value::I32(42)]);
    assert_eq!(app.window_counts().mapped, 2);
    let error = app.call("run_and_look", &[Value::I32(handle as i32)]).unwrap_err();
    assert!(error.message().contains("open only in callbacks"), "{error}");
}

#[test]
fn whole_pages_of_shared_memory_are_mapped_and_looked_at_each_time() {
    let app = instance(APP);
    let page = |hint: *mut libc::c_void| unsafe {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | if hint.is_null() { 0 } else { libc::MAP_FIXED };
        libc::mmap(hint, 4096, 3, flags, -1, 0)
    };
    let look = app.callback("int look(const void *p[window: read, in: 4096])", &CallbackOptions::default()).unwrap();
    let look: OnInt = unsafe { std::mem::transmute(look.0) };
    let p: *mut c_int = page(std::ptr::null_mut()).cast();
    unsafe { p.write(5) };
    assert_eq!((look(p), look(p)), (5, 5));
    assert_eq!(app.window_counts(), WindowCounts { mapped: 2, cached: 0, visible: 0, copied: 0 });
    kept_traps(&app);
    // Other memory is there now: the app must not see what was.
    page(p.cast());
    unsafe { p.write(6) };
    assert_eq!(look(p), 6);
    // A small object on a page with others is copied.
    let small = callback(&app, LOOK);
    assert_eq!(small(unsafe { p.add(1) }), 0);
    assert_eq!(app.window_counts(), WindowCounts { mapped: 3, cached: 0, visible: 0, copied: 1 });
    assert_eq!(small(&mut 77), 77);
    unsafe { libc::munmap(p.cast(), 4096) };
}

#[test]
fn a_trap_in_a_callback_closes_its_window() {
    let (app, region) = (instance(APP), Region::new(4096).unwrap());
    region.grant(&app, in_callbacks(Rights::Read)).unwrap();
    let prototype = "int change(const int *p[window: read])";
    let change = callback(&app, prototype);
    change(word(&region, 0));
    took(&app, "which is read-only");
    let look = callback(&app, LOOK);
    assert_eq!(look(word(&region, 4)), 0);
    change(word(&region, 0));
    took(&app, "which is read-only");
    kept_traps(&app);
}

#[test]
fn a_standing_window_is_enough() {
    let (app, region) = (instance(APP), Region::new(4096).unwrap());
    let window = unsafe { app.map_window(region.native_ptr(), 4096, Rights::Read, &WindowOptions::default()) }.unwrap();
    let look = callback(&app, LOOK);
    assert_eq!(look(word(&region, 16)), 0);
    assert_eq!(app.window_counts().visible, 1);
    let own = app.native_ptr(64, 4).unwrap().cast();
    assert_eq!(look(own), 0);
    assert_eq!(app.window_counts().visible, 2);
    app.unmap_window(window.guest_addr).unwrap();
}

#[test]
fn the_prototype_is_checked() {
    let app = instance(APP);
    for (prototype, words) in [
        ("int look(const void *p[window: read])", "known size"),
        ("int look(const int *p[window])", "`:` after `window`"),
        ("int look(const int *p[window: all])", "`read` or `write`"),
        ("int look(int *p[window: read, out: 1])", "goes with `[in: n]`"),
        ("int look(const int *p[window: write, in: 1])", "goes with `[inout: n]`"),
        ("int look(const char *p[window: read, str])", "not with `[str]`"),
        ("int look(const long *p[window: read])", "not laid out alike"),
        ("int look(int n[window: read], int m)", ""),
        ("int *look(int n) [window: read]", "a parameter that points to data"),
        ("int look(int (*f[window: read])(void))", "a parameter that points to data"),
    ] {
        let result = app.callback(prototype, &CallbackOptions::default());
        let error = result.expect_err(prototype);
        assert!(error.message().contains(words), "{prototype}: {error}");
    }
}

thread_local! {
    /// what the C function `step` does
    static STEP: std::cell::Cell<&'static dyn Fn()> = const { std::cell::Cell::new(&|| ()) };
}

extern "C" fn step() {
    STEP.get()();
}

const STEPPER: &str = r#"(module
    (import "env" "step" (func $step))
    (memory (export "memory") 1)
    (global $kept (mut i32) (i32.const 0))
    (func (export "step_and_look") (param i32) (result f64)
        (global.set $kept (local.get 0))
        (call $step)
        (f64.convert_i32_s (i32.load (local.get 0))))
    (func (export "look") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "plain") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "kept") (result i32) (i32.load (global.get $kept))))"#;

type Stepping = extern "C" fn(*mut c_int) -> f64;

/// An app whose callback is shown a word and calls C, with the region, which is open from a call before.
fn stepper() -> (&'static Instance, &'static Region, Stepping) {
    STEP.set(&|| ());
    let app = Box::leak(Box::new(instance_with(STEPPER, &[("void step(void)", step as extern "C" fn() as *const u8)])));
    let region: &Region = Box::leak(Box::new(Region::new(4096).unwrap()));
    region.grant(app, in_callbacks(Rights::Read)).unwrap();
    unsafe { (word(region, 0).write(5), word(region, 4).write(6)) };
    let function = app.callback("double step_and_look(const int *p[window: read])", &CallbackOptions::default());
    let stepping: Stepping = unsafe { std::mem::transmute(function.unwrap().0) };
    assert_eq!((stepping(word(region, 0)), stepping(word(region, 4))), (5.0, 6.0));
    assert_eq!(app.window_counts(), WindowCounts { mapped: 1, cached: 1, visible: 0, copied: 0 });
    (app, region, stepping)
}

/// Does something in C below a callback that has found its window open, which must find it open afterwards. `shown` is how often data is
/// shown so, without a copy.
#[track_caller]
fn below(shown: u64, step: impl Fn(&'static Instance, &'static Region) + 'static) {
    let (app, region, stepping) = stepper();
    let in_place = || app.window_counts().cached + app.window_counts().mapped;
    let before = in_place();
    STEP.set(Box::leak(Box::new(move || step(app, region))));
    assert_eq!(stepping(word(region, 4)), 6.0);
    assert!(app.take_error().is_none());
    assert_eq!((in_place(), app.window_counts().copied), (before + shown, 0));
    STEP.set(&|| ());
    assert_eq!(stepping(word(region, 0)), 5.0);
    assert_eq!(in_place(), before + shown + 1);
    kept_traps(app);
}

#[test]
fn a_window_stays_open_for_the_callback_that_found_it_so_whatever_happens_below() {
    below(1, |_, _| ());
    below(2, |app, region| assert_eq!(callback(app, LOOK)(word(region, 0)), 5));
    below(3, |app, region| (0..2).for_each(|_| assert_eq!(callback(app, LOOK)(word(region, 0)), 5)));
    // It is open for what is below, too, which is not given it: its pages are the app's.
    below(1, |app, _| assert_eq!(app.call("kept", &[]).unwrap(), [Value::I32(6)]));
    below(1, |app, region| {
        let at = app.call("look", &[Value::I32(region.guest_addr() as i32)]).unwrap();
        assert_eq!(at, [Value::I32(5)]);
    });
    below(1, |app, region| assert_eq!(callback(app, "int plain(const int *p)")(word(region, 0)), 5));
    below(2, |app, region| {
        let other = Region::new(4096).unwrap();
        other.grant(app, Rights::Read).unwrap();
        // The host has changed something: what is open is found by asking again.
        assert_eq!(callback(app, LOOK)(word(region, 0)), 5);
    });
}

#[test]
fn a_trap_below_closes_the_window_of_the_callback_that_found_it_open() {
    let (app, region, stepping) = stepper();
    for round in 0..3 {
        STEP.set(Box::leak(Box::new(|| {
            // Not a pointer that the app has: the callback fails, and with it the app that has called C.
            callback(app, "int plain(const int *p)")(&mut 1);
        })));
        assert_eq!(stepping(word(region, 0)), 0.0, "{round}");
        took(app, "not into the app's memory");
        kept_traps(app);
        STEP.set(&|| ());
        assert_eq!((stepping(word(region, 0)), stepping(word(region, 4))), (5.0, 6.0));
    }
    STEP.set(Box::leak(Box::new(|| assert!(region.revoke(app).unwrap()))));
    assert_eq!(stepping(word(region, 0)), 0.0);
    took(app, "which has been revoked");
    STEP.set(&|| ());
    assert_eq!(stepping(word(region, 0)), 5.0, "as a copy");
    assert_eq!(app.window_counts().copied, 1);
}

#[test]
fn another_thread_does_not_find_it_open() {
    let (app, region, stepping) = stepper();
    let at = word(region, 0) as usize;
    for _ in 0..3 {
        assert_eq!(std::thread::spawn(move || stepping(at as *mut c_int)).join().unwrap(), 0.0);
        assert_eq!(stepping(word(region, 0)), 5.0);
    }
    assert!(app.take_error().is_none());
    // Neither while a callback runs with it.
    STEP.set(Box::leak(Box::new(move || {
        assert_eq!(std::thread::spawn(move || stepping(at as *mut c_int)).join().unwrap(), 0.0);
    })));
    assert_eq!(stepping(word(region, 4)), 6.0);
    assert_eq!(app.window_counts(), WindowCounts { mapped: 1, cached: 5, visible: 0, copied: 0 });
    kept_traps(app);
}

#[test]
fn lengths_that_arguments_say_are_checked_each_time() {
    let region = Region::new(4096).unwrap();
    let prototype = "int counted(const int *p[window: read, in: n], int n)";
    let app = instance(
        r#"(module (memory (export "memory") 1)
            (func (export "counted") (param i32 i32) (result i32)
                (i32.load (i32.add (local.get 0) (i32.mul (i32.const 4) (i32.sub (local.get 1) (i32.const 1)))))))"#,
    );
    region.grant(&app, in_callbacks(Rights::Read)).unwrap();
    let counted = app.callback(prototype, &CallbackOptions::default()).unwrap();
    let counted: extern "C" fn(*mut c_int, c_int) -> c_int = unsafe { std::mem::transmute(counted.0) };
    unsafe { (word(&region, 0).write(1), word(&region, 4092).write(2)) };
    assert_eq!(
        (counted(word(&region, 0), 1), counted(word(&region, 0), 1024), counted(word(&region, 4092), 1)),
        (1, 2, 2)
    );
    assert_eq!(app.window_counts(), WindowCounts { mapped: 1, cached: 2, visible: 0, copied: 0 });
    counted(word(&region, 0), -1);
    took(&app, "its length is -1");
    assert_eq!(counted(word(&region, 0), 1), 1);
    assert_eq!(counted(word(&region, 0), 1024), 2);
}
