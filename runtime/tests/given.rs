//! Memory that the app gives C: what a callback returns and what it writes through a pointer, against what it has. Both ways in which a callback may
//! be made are tried: with its arguments converted inline, and, in an app that imports what opens scopes, through slots.

mod common;

use common::instance_with;
use std::ffi::{c_char, c_int, c_uint, c_void};
use wasmbridge_runtime::{CallbackOptions, Instance, Value};

const GIVER: &str = r#"
  (memory (export "memory") 1)
  (global $where (mut i32) (i32.const 0))
  (global $count (mut i32) (i32.const 0))
  (func (export "set") (param i32 i32) (global.set $where (local.get 0)) (global.set $count (local.get 1)))
  (func (export "alloc") (param i32 i32 i32) (result i32) (global.get $where))
  (func (export "next") (param i32 i32) (result i32)
    (i32.store (local.get 1) (global.get $where)) (global.get $count)))"#;

extern "C" fn name() -> *const c_char {
    c"name".as_ptr()
}

/// The app; if it is `scoped`, it imports a function that returns a string, so that its callbacks open scopes.
fn giver(scoped: bool) -> Instance {
    let import = if scoped { r#"(import "env" "name" (func (result i32)))"# } else { "" };
    instance_with(&format!("(module {import} {GIVER}"), &[("const char *name(void) [str]", name as *const u8)])
}

type Alloc = extern "C" fn(*mut c_void, c_uint, c_uint) -> *mut u8;

fn alloc(app: &Instance, prototype: &str) -> Alloc {
    let callback = app.callback(prototype, &CallbackOptions::default()).unwrap();
    // SAFETY: the callers' prototypes have this type.
    unsafe { std::mem::transmute::<*const u8, Alloc>(callback.0) }
}

fn set(app: &Instance, place: u32, count: u32) {
    app.call("set", &[Value::I32(place as i32), Value::I32(count as i32)]).unwrap();
}

#[test]
fn c_gets_no_address_of_which_not_all_is_the_apps() {
    const PLACES: [u32; 9] = [1, 16, 0x8000, 0xfff0, 0xffff, 0x1_0000, 0x1_0001, 0x8000_0000, u32::MAX];
    const COUNTS: [u32; 9] = [0, 1, 15, 16, 17, 0x8000, 0xffff, 0x1_0000, u32::MAX];
    for scoped in [false, true] {
        let app = giver(scoped);
        let base = app.memory().unwrap().base as usize;
        for (item, prototype) in [
            (1, "void *alloc(void *opaque[user], unsigned items, unsigned size) [inout: items * size]"),
            (4, "int *alloc(void *opaque[user], unsigned items, unsigned size) [out: items * size]"),
        ] {
            let alloc = alloc(&app, prototype);
            for (place, items, size) in PLACES
                .into_iter()
                .flat_map(|place| COUNTS.into_iter().map(move |items| (place, items)))
                .flat_map(|(place, items)| COUNTS.into_iter().map(move |size| (place, items, size)))
            {
                set(&app, place, 0);
                let got = alloc(std::ptr::null_mut(), items, size);
                let len = u128::from(items) * u128::from(size) * item;
                if u128::from(place) + len <= 0x1_0000 {
                    assert_eq!(got as usize, base + place as usize, "{items} * {size} at {place:#x}");
                    assert!(app.take_error().is_none());
                } else {
                    assert!(got.is_null(), "{items} * {size} at {place:#x}, scoped: {scoped}");
                    let error = app.take_error().unwrap();
                    let words =
                        if len < 1 << 47 { format!("{len} bytes at {place:#x}") } else { "overflows".to_owned() };
                    assert!(error.message().contains("`alloc` result: "), "{error}");
                    assert!(error.message().contains(&words), "{error}\nexpected: {words}");
                }
            }
        }
    }
}

#[test]
fn what_the_app_writes_is_not_seen_by_c_if_it_is_refused() {
    for scoped in [false, true] {
        let app = giver(scoped);
        let prototype = "int next(void *[user], const char **piece[out in: return])";
        let callback = app.callback(prototype, &CallbackOptions::default()).unwrap();
        // SAFETY: the prototype's type.
        let next = unsafe {
            std::mem::transmute::<*const u8, extern "C" fn(*mut c_void, *mut *const u8) -> c_int>(callback.0)
        };
        let untouched = std::ptr::dangling();
        for (place, count) in [(0xfff0, 17), (0x1_0000, 1), (100, -1), (0, 1)] {
            set(&app, place, count as u32);
            let mut piece = untouched;
            assert_eq!(next(std::ptr::null_mut(), &mut piece), 0);
            assert_eq!(piece, untouched);
            assert!(app.take_error().unwrap().message().contains("`next` argument 2 (`piece`): element 0: "));
        }
        set(&app, 0xfff0, 16);
        let mut piece = untouched;
        assert_eq!(next(std::ptr::null_mut(), &mut piece), 16);
        assert_eq!(piece as usize, app.memory().unwrap().base as usize + 0xfff0);
    }
}

#[test]
fn a_default_is_what_c_gets_instead() {
    let app = giver(false);
    let options = CallbackOptions { default: wasmbridge_runtime::Answer::Int(0x1234), ..Default::default() };
    let callback = app.callback("void *alloc(void *[user], unsigned, unsigned n) [inout: n]", &options).unwrap();
    // SAFETY: the prototype's type.
    let alloc = unsafe { std::mem::transmute::<*const u8, Alloc>(callback.0) };
    set(&app, 0xffff, 0);
    assert_eq!(alloc(std::ptr::null_mut(), 0, 2) as usize, 0x1234);
    assert_eq!(alloc(std::ptr::null_mut(), 0, 1) as usize, 0x1234, "an error waits to be taken");
    assert!(app.take_error().is_some());
    assert_eq!(alloc(std::ptr::null_mut(), 0, 1) as usize, app.memory().unwrap().base as usize + 0xffff);
}
