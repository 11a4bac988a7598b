//! What a callback that fails does to C: `[trap: return]`, `[trap: abort]`, `[trap: unwind]`.
#![allow(clippy::undocumented_unsafe_blocks, reason = "the tests play the part of C, which does not know unsafe")]

mod common;

use common::instance_with;
use std::cell::Cell;
use std::ffi::c_int;
use std::os::unix::process::ExitStatusExt;
use wasmbridge_runtime::{CallbackOptions, Frame, Instance, OnTrap, TrapCode, Value};

type IntFn = extern "C-unwind" fn(c_int) -> c_int;

thread_local! {
    /// how many C functions have returned
    static RETURNED: Cell<u32> = const { Cell::new(0) };
    static KEPT: Cell<Option<IntFn>> = const { Cell::new(None) };
}

/// A C function that keeps its caller's registers where only it knows, and fills them with something else.
#[unsafe(naked)]
extern "C-unwind" fn scramble(function: IntFn, n: c_int) -> c_int {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_adjust_cfa_offset 8",
        "push r12",
        ".cfi_adjust_cfa_offset 8",
        "push r13",
        ".cfi_adjust_cfa_offset 8",
        "push r14",
        ".cfi_adjust_cfa_offset 8",
        "push r15",
        ".cfi_adjust_cfa_offset 8",
        "mov rax, rdi",
        "mov edi, esi",
        "mov rbx, -1",
        "mov r12, -1",
        "mov r13, -1",
        "mov r14, -1",
        "mov r15, -1",
        "call rax",
        "pop r15",
        ".cfi_adjust_cfa_offset -8",
        "pop r14",
        ".cfi_adjust_cfa_offset -8",
        "pop r13",
        ".cfi_adjust_cfa_offset -8",
        "pop r12",
        ".cfi_adjust_cfa_offset -8",
        "pop rbx",
        ".cfi_adjust_cfa_offset -8",
        "ret",
        ".cfi_endproc",
    )
}

/// Calls a function with known values in the registers that it must keep. Its result, and whether they were kept.
#[unsafe(naked)]
extern "C-unwind" fn with_known_registers(function: IntFn, n: c_int, kept: &mut [u64; 6]) -> c_int {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "push rbx",
        ".cfi_def_cfa_offset 24",
        "push r12",
        ".cfi_def_cfa_offset 32",
        "push r13",
        ".cfi_def_cfa_offset 40",
        "push r14",
        ".cfi_def_cfa_offset 48",
        "push r15",
        ".cfi_def_cfa_offset 56",
        "push rdx",
        ".cfi_def_cfa_offset 64",
        "sub rsp, 8",
        ".cfi_def_cfa_offset 72",
        "mov rax, rdi",
        "mov edi, esi",
        "mov rbx, 1",
        "mov rbp, 2",
        "mov r12, 3",
        "mov r13, 4",
        "mov r14, 5",
        "mov r15, 6",
        "sub rsp, 8",
        ".cfi_def_cfa_offset 80",
        "call rax",
        "add rsp, 16",
        ".cfi_def_cfa_offset 64",
        "pop rdx",
        ".cfi_def_cfa_offset 56",
        "mov [rdx], rbx",
        "mov [rdx + 8], rbp",
        "mov [rdx + 16], r12",
        "mov [rdx + 24], r13",
        "mov [rdx + 32], r14",
        "mov [rdx + 40], r15",
        "pop r15",
        ".cfi_def_cfa_offset 48",
        "pop r14",
        ".cfi_def_cfa_offset 40",
        "pop r13",
        ".cfi_def_cfa_offset 32",
        "pop r12",
        ".cfi_def_cfa_offset 24",
        "pop rbx",
        ".cfi_def_cfa_offset 16",
        "pop rbp",
        ".cfi_def_cfa_offset 8",
        "ret",
        ".cfi_endproc",
    )
}

/// The library: calls the function below a frame that hides registers.
extern "C-unwind" fn each(function: IntFn, n: c_int) -> c_int {
    let result = scramble(function, n);
    RETURNED.set(RETURNED.get() + 1);
    result
}

extern "C-unwind" fn keep(function: IntFn) {
    KEPT.set(Some(function));
}

/// Calls what it was given earlier.
extern "C-unwind" fn run(n: c_int) -> c_int {
    let result = scramble(KEPT.get().unwrap(), n);
    RETURNED.set(RETURNED.get() + 1);
    result
}

/// `nest(n)` has its own stack in use, calls `each` or `run`, and these `fail` or `nest(n - 1)`.
const APP: &str = r#"
(module
  (import "env" "each" (func $each (param i32 i32) (result i32)))
  (import "env" "each_plain" (func $each_plain (param i32 i32) (result i32)))
  (import "env" "keep" (func $keep (param i32)))
  (import "env" "run" (func $run (param i32) (result i32)))
  (import "env" "text" (func $text (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $__stack_pointer (export "sp") (mut i32) (i32.const 65536))
  (global $after (export "after") (mut i32) (i32.const 0))
  (table 6 funcref)
  (elem (i32.const 1) $fail $nest $plain $kept $text_fails)
  (func $fail (export "fail") (param i32) (result i32) unreachable)
  (func $step (param i32) (result i32)
    (call $each (if (result i32) (local.get 0) (then (i32.const 2)) (else (i32.const 1)))
                (i32.sub (local.get 0) (i32.const 1))))
  (func $nest (export "nest") (param i32) (result i32)
    (local i32)
    (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 64)))
    (local.set 1 (call $step (local.get 0)))
    (global.set $after (i32.add (global.get $after) (i32.const 1)))
    (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 64)))
    (local.get 1))
  (func $plain (export "plain") (param i32) (result i32)
    (local i32)
    (local.set 1 (call $each_plain (i32.const 1) (local.get 0)))
    (global.set $after (i32.add (global.get $after) (i32.const 1)))
    (local.get 1))
  (func $kept (export "kept") (param i32) (result i32) (call $keep (i32.const 1)) (call $run (local.get 0)))
  (func $text_fails (param i32 i32) (result i32) unreachable)
  (func (export "text") (param i32) (result i32) (call $text (i32.const 5) (local.get 0)))
  (func (export "refused") (result i32) (call $each_plain (i32.const 3) (i32.const 0)))
)"#;

extern "C-unwind" fn text(function: extern "C-unwind" fn(*const i8, c_int) -> c_int, n: c_int) -> c_int {
    let result = function(c"text".as_ptr(), n);
    RETURNED.set(RETURNED.get() + 1);
    result
}

fn app(policy: &str) -> Instance {
    RETURNED.set(0);
    let each = each as extern "C-unwind" fn(IntFn, c_int) -> c_int as *const u8;
    let text = text as extern "C-unwind" fn(extern "C-unwind" fn(*const i8, c_int) -> c_int, c_int) -> c_int;
    instance_with(
        APP,
        &[
            (&format!("int each(int (*f[{policy}])(int), int n) [unwind]"), each),
            (&format!("int each_plain(int (*f[{policy}])(int), int n)"), each),
            (&format!("void keep(int (*f[{policy}])(int))"), keep as extern "C-unwind" fn(IntFn) as *const u8),
            ("int run(int n) [unwind]", run as extern "C-unwind" fn(c_int) -> c_int as *const u8),
            (
                &format!("int text(int (*f[scope: call, {policy}])(const char *s[str], int n), int n) [unwind]"),
                text as *const u8,
            ),
        ],
    )
}

fn is_as_before(app: &Instance) {
    assert!(!app.is_running());
    assert!(app.take_error().is_none());
    assert_eq!(app.global("sp").unwrap(), Value::I32(65536));
}

#[test]
fn c_is_skipped_where_it_may_be() {
    let app = app("trap: unwind");
    for (name, arg) in [("nest", 0), ("nest", 1), ("nest", 9), ("kept", 3), ("text", 4)] {
        let error = app.call(name, &[Value::I32(arg)]).unwrap_err();
        let trap = error.trap().unwrap();
        assert_eq!(trap.code, TrapCode::Unreachable, "{error}");
        assert!(matches!(&trap.frames[1], Frame::Callback { .. }), "{error}");
        assert!(matches!(&trap.frames[2], Frame::Native { .. }), "{error}");
        assert_eq!(RETURNED.get(), 0, "no C function has gone on");
        assert_eq!(app.global("after").unwrap(), Value::I32(0), "nor has the app");
        is_as_before(&app);
    }
}

#[test]
fn where_it_may_not_c_goes_on() {
    let app = app("trap: unwind");
    let error = app.call("plain", &[Value::I32(0)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::Unreachable);
    assert_eq!(RETURNED.get(), 1, "the library was not declared safe");
    is_as_before(&app);
    // Called by nobody of ours.
    let options = CallbackOptions { trap: OnTrap::Unwind, ..CallbackOptions::default() };
    let fail = app.callback("int fail(int)", &options).unwrap();
    let fail: IntFn = unsafe { std::mem::transmute(fail.0) };
    assert_eq!(fail(1), 0);
    assert!(app.take_error().is_some());
    is_as_before(&app);
}

#[test]
fn what_is_not_said_is_return() {
    let app = app("pending: default");
    let error = app.call("nest", &[Value::I32(3)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::Unreachable);
    assert_eq!(RETURNED.get(), 4, "every C function has returned");
    assert_eq!(app.global("after").unwrap(), Value::I32(0), "and the app has not gone on");
    is_as_before(&app);
}

#[test]
fn the_caller_has_its_registers_back() {
    let app = app("trap: unwind");
    let options = CallbackOptions::default();
    for (name, arg) in [("nest", 0), ("nest", 4), ("kept", 0)] {
        let callback = app.callback(&format!("int {name}(int)"), &options).unwrap();
        let callback: IntFn = unsafe { std::mem::transmute(callback.0) };
        for _ in 0..100 {
            let mut kept = [0; 6];
            assert_eq!(with_known_registers(callback, arg, &mut kept), 0);
            assert_eq!(kept, [1, 2, 3, 4, 5, 6], "{name}");
            assert_eq!(RETURNED.get(), 0);
            assert!(app.take_error().is_some());
            is_as_before(&app);
        }
    }
}

#[test]
fn a_thunk_that_a_longjmp_has_skipped_is_not_gone_back_to() {
    // An exception instead of a `longjmp`: it leaves the same behind.
    thread_local! {
        static THROW: Cell<bool> = const { Cell::new(true) };
    }
    extern "C-unwind" fn each(function: IntFn, n: c_int) -> c_int {
        if THROW.get() { std::panic::resume_unwind(Box::new(())) } else { function(n) }
    }
    let each = each as extern "C-unwind" fn(IntFn, c_int) -> c_int as *const u8;
    let keep = keep as extern "C-unwind" fn(IntFn) as *const u8;
    let run = run as extern "C-unwind" fn(c_int) -> c_int as *const u8;
    let app = instance_with(
        APP,
        &[
            ("int each(int (*f[trap: unwind])(int), int n) [unwind]", each),
            ("int each_plain(int (*f[trap: unwind])(int), int n)", each),
            ("void keep(int (*f[trap: unwind])(int))", keep),
            ("int run(int n) [unwind]", run),
            ("int text(int (*f)(const char *s[str], int n), int n)", each),
        ],
    );
    let options = CallbackOptions { trap: OnTrap::Unwind, ..CallbackOptions::default() };
    let function = |name: &str| -> IntFn {
        unsafe { std::mem::transmute(app.callback(&format!("int {name}(int)"), &options).unwrap().0) }
    };
    let (nest, fail) = (function("nest"), function("fail"));
    fn deep(depth: u32, fail: IntFn) {
        let space = std::hint::black_box([depth; 64]);
        if depth == 0 {
            assert_eq!(fail(1), 0)
        } else {
            deep(depth - 1, fail)
        }
        std::hint::black_box(space);
    }
    for _ in 0..10 {
        assert!(std::panic::catch_unwind(|| nest(0)).is_err());
        // Below where the thunk was, whose crossing is still there.
        deep(20, fail);
        assert!(app.take_error().is_some());
    }
    THROW.set(false);
    assert!(app.call("nest", &[Value::I32(2)]).is_err());
    is_as_before(&app);
}

#[test]
fn another_app_in_between_is_not_skipped() {
    thread_local! {
        static OTHER: Cell<Option<IntFn>> = const { Cell::new(None) };
    }
    // The library calls another app, of another group, which calls the library, which calls the first app.
    extern "C-unwind" fn through(function: IntFn, n: c_int) -> c_int {
        KEPT.set(Some(function));
        let result = OTHER.get().unwrap()(n);
        RETURNED.set(RETURNED.get() + 1);
        result
    }
    let other = instance_with(
        r#"(module (import "env" "run" (func $run (param i32) (result i32)))
            (global $after (export "after") (mut i32) (i32.const 0))
            (func (export "other") (param i32) (result i32)
              (call $run (local.get 0)) (global.set $after (i32.const 1))))"#,
        &[("int run(int n) [unwind]", run as extern "C-unwind" fn(c_int) -> c_int as *const u8)],
    );
    let callback = other.callback("int other(int)", &CallbackOptions::default()).unwrap();
    OTHER.set(Some(unsafe { std::mem::transmute::<*const u8, IntFn>(callback.0) }));
    let first = instance_with(
        r#"(module (import "env" "through" (func $through (param i32 i32) (result i32)))
            (table 2 funcref) (elem (i32.const 1) $fail)
            (func $fail (param i32) (result i32) unreachable)
            (func (export "go") (result i32) (call $through (i32.const 1) (i32.const 5))))"#,
        &[(
            "int through(int (*f[trap: unwind])(int), int n) [unwind]",
            through as extern "C-unwind" fn(IntFn, c_int) -> c_int as *const u8,
        )],
    );
    RETURNED.set(0);
    assert_eq!(first.call("go", &[]).unwrap_err().trap().unwrap().code, TrapCode::Unreachable);
    assert_eq!(RETURNED.get(), 2, "both C functions have returned");
    assert_eq!(other.global("after").unwrap(), Value::I32(1), "the other app has gone on");
    assert!(!other.is_running() && !first.is_running());
}

fn child(test: &str) -> Option<std::process::Output> {
    if std::env::var_os("WASMBRIDGE_TEST_CHILD").is_some() {
        return None;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("WASMBRIDGE_TEST_CHILD", "1");
    Some(command.output().unwrap())
}

fn aborts(test: &str, run: impl FnOnce(), expected: &[&str]) {
    let Some(output) = child(test) else {
        run();
        println!("survived");
        return;
    };
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{printed}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("survived"));
    let mut rest = &*printed;
    for expected in expected {
        let at = rest.find(expected).unwrap_or_else(|| panic!("no `{expected}` in its place: {printed}"));
        rest = &rest[at + expected.len()..];
    }
}

#[test]
fn the_process_aborts_with_a_backtrace_through_c_and_apps() {
    aborts(
        "the_process_aborts_with_a_backtrace_through_c_and_apps",
        || drop(app("trap: abort").call("nest", &[Value::I32(1)])),
        &[
            "`abort` has failed",
            "trap: unreachable",
            ": fail at",
            "(callback,",
            "(native)",
            ": nest",
            "(native)",
            ": nest",
        ],
    );
}

#[test]
fn the_process_aborts_when_a_value_does_not_cross() {
    aborts(
        "the_process_aborts_when_a_value_does_not_cross",
        || {
            let app =
                instance_with(r#"(module (memory 1) (func (export "f") (param i32) (result i32) (i32.const 1)))"#, &[]);
            let options = CallbackOptions { trap: OnTrap::Abort, ..CallbackOptions::default() };
            let f = app.callback("int f(char *p)", &options).unwrap();
            let f: extern "C-unwind" fn(*const u8) -> c_int = unsafe { std::mem::transmute(f.0) };
            f(&0);
        },
        &["`f` argument 1", "(callback,", "(native)"],
    );
}

#[test]
fn a_default_is_what_the_prototype_says() {
    let app = app("default: -3");
    thread_local! {
        static ANSWER: Cell<c_int> = const { Cell::new(0) };
    }
    drop(app.call("kept", &[Value::I32(1)]));
    let kept = KEPT.get().unwrap();
    assert_eq!(kept(1), -3);
    assert!(app.take_error().is_some());
    drop(app);
    assert_eq!(kept(1), -3);
}

#[test]
fn a_crash_in_c_below_a_callback_is_a_crash() {
    extern "C-unwind" fn crash(_: IntFn, _: c_int) -> c_int {
        unsafe { std::ptr::without_provenance_mut::<u8>(0x10).write_volatile(1) };
        0
    }
    if let Some(output) = child("a_crash_in_c_below_a_callback_is_a_crash") {
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("survived"));
        return;
    }
    let crash = crash as extern "C-unwind" fn(IntFn, c_int) -> c_int as *const u8;
    let app = instance_with(
        r#"(module (import "env" "crash" (func $crash (param i32 i32) (result i32)))
            (table 2 funcref) (elem (i32.const 1) $f)
            (func $f (export "f") (param i32) (result i32) (call $crash (i32.const 1) (local.get 0))))"#,
        &[("int crash(int (*f[trap: unwind])(int), int n) [unwind]", crash)],
    );
    let f = app.callback("int f(int)", &CallbackOptions::default()).unwrap();
    let f: IntFn = unsafe { std::mem::transmute(f.0) };
    f(1);
    println!("survived");
}
