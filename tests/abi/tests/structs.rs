//! What random prototypes do not come to: traps, refusals, and what is left behind.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the tests play the part of C, and cast to what their prototypes say"
)]

use wasmbridge_runtime::{CallbackOptions, Engine, Instance, Linker, Module, NativeFn};

/// Functions that trap or return; with a result by address.
const APP: &str = r#"
(module
  (memory (export "memory") 1)
  (func (export "trap") (param i32) unreachable)
  (func (export "deep") (param i32) (local i64) (i64.store (i32.const -8) (local.get 1)))
  (func (export "three") (param i32)
    (i64.store (local.get 0) (i64.const 1))
    (i64.store offset=8 (local.get 0) (i64.const 2))
    (i64.store offset=16 (local.get 0) (i64.const 3)))
  (func (export "sum") (param i32) (result i64)
    (i64.add (i64.load (local.get 0)) (i64.load offset=8 (local.get 0))))
  (func (export "far") (param i32) (i32.store (local.get 0) (i32.const 70000)))
  (func (export "first") (param i32) (result i32) (i32.load (local.get 0))))"#;

#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
struct Three(u64, u64, u64);

#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
struct Two(u64, u64);

#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
struct Floats(f64, f64);

#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
struct Mixed(f32, u64);

fn app() -> Instance {
    let engine = Engine::new(Default::default()).unwrap();
    let artifact = wasmbridge_compiler::compile(&wat::parse_str(APP).unwrap(), &Default::default()).unwrap();
    Linker::new(&engine).instantiate(&Module::load(&engine, &artifact).unwrap()).unwrap()
}

fn callback(app: &Instance, prototype: &str) -> NativeFn {
    app.callback(prototype, &CallbackOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

macro_rules! call {
    ($function:expr, $type:ty $(, $arg:expr)*) => {
        unsafe { std::mem::transmute::<*const u8, $type>($function.0)($($arg),*) }
    };
}

#[test]
fn a_struct_is_all_zero_after_a_trap() {
    let app = app();
    for name in ["trap", "deep"] {
        let three = callback(&app, &format!("struct {{ long long a, b, c; }} {name}(void)"));
        assert_eq!(call!(three, extern "C" fn() -> Three), Three(0, 0, 0));
        assert!(app.take_error().is_some());
        let two = callback(&app, &format!("struct {{ long long a, b; }} {name}(void)"));
        assert_eq!(call!(two, extern "C" fn() -> Two), Two(0, 0));
        assert!(app.take_error().is_some());
        let floats = callback(&app, &format!("struct {{ double a, b; }} {name}(void)"));
        assert_eq!(call!(floats, extern "C" fn() -> Floats), Floats(0.0, 0.0));
        assert!(app.take_error().is_some());
        let mixed = callback(&app, &format!("struct {{ float a; long long b; }} {name}(void)"));
        assert_eq!(call!(mixed, extern "C" fn() -> Mixed), Mixed(0.0, 0));
        // The entry is refused now, and answers alike.
        assert_eq!(call!(three, extern "C" fn() -> Three), Three(0, 0, 0));
        assert_eq!(call!(two, extern "C" fn() -> Two), Two(0, 0));
        assert_eq!(call!(floats, extern "C" fn() -> Floats), Floats(0.0, 0.0));
        assert!(app.take_error().is_some());
    }
    let three = callback(&app, "struct { long long a, b, c; } three(void)");
    assert_eq!(call!(three, extern "C" fn() -> Three), Three(1, 2, 3));
}

/// The address comes back in `rax`, after a trap too (psABI, 3.2.3): C compilers rely on it.
#[test]
fn the_room_for_a_result_is_returned() {
    let app = app();
    for name in ["three", "trap", "three"] {
        let function = callback(&app, &format!("struct {{ long long a, b, c; }} {name}(void)"));
        let mut room = Three(7, 7, 7);
        let returned = call!(function, extern "C" fn(*mut Three) -> *mut Three, &mut room);
        assert_eq!(returned, &raw mut room);
        let trapped = app.take_error().is_some();
        assert_eq!((room, trapped), if name == "trap" { (Three(0, 0, 0), true) } else { (Three(1, 2, 3), false) });
    }
    // Refused at the entry.
    let _ = call!(callback(&app, "struct { long long a, b, c; } trap(void)"), extern "C" fn() -> Three);
    let function = callback(&app, "struct { long long a, b, c; } three(void)");
    let mut room = Three(7, 7, 7);
    assert_eq!(call!(function, extern "C" fn(*mut Three) -> *mut Three, &mut room), &raw mut room);
    assert_eq!(room, Three(0, 0, 0));
}

#[test]
fn members_that_do_not_cross_are_refused() {
    let app = app();
    let sum = callback(&app, "long long sum(struct { long long a, b; })");
    assert_eq!(call!(sum, extern "C" fn(Two) -> u64, Two(3, 4)), 7);
    let first = callback(&app, "int first(struct { long a; char *p; })");
    assert_eq!(call!(first, extern "C" fn(Two) -> u32, Two(3, 0)), 3);
    for (argument, why) in [(Two(1 << 40, 0), "does not fit"), (Two(1, 1), "not into the app's memory")] {
        assert_eq!(call!(first, extern "C" fn(Two) -> u32, argument), 0);
        let error = app.take_error().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
    // A result with a pointer out of memory.
    let far = callback(&app, "struct { char *p, *q; } far(void)");
    assert_eq!(call!(far, extern "C" fn() -> Two), Two(0, 0));
    let error = app.take_error().unwrap().to_string();
    assert!(error.contains("not in the app's memory"), "{error}");
}

#[test]
fn many_calls_leave_nothing_behind() {
    let app = app();
    let three = callback(&app, "struct { long long a, b, c; } three(void)");
    let sum = callback(&app, "long long sum(struct { long long a, b; })");
    let trap = callback(&app, "struct { long long a, b, c; } trap(void)");
    // More than scratch memory could hold if it were not given back.
    for i in 0..1_500_000u64 {
        assert_eq!(call!(sum, extern "C" fn(Two) -> u64, Two(i, 1)), i + 1);
        assert_eq!(call!(three, extern "C" fn() -> Three), Three(1, 2, 3));
        if i % 100 == 0 {
            assert_eq!(call!(trap, extern "C" fn() -> Three), Three(0, 0, 0));
            assert!(app.take_error().is_some());
        }
    }
}
