//! How guests are stopped, and what is left as it was.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::mut_from_ref,
    reason = "the tests play the part of C, which knows neither unsafe nor borrowing"
)]

mod common;

use common::{engine, instance, instance_with, linker, module, module_with};
use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmbridge_compiler::Config;
use wasmbridge_runtime::{CallbackOptions, ErrorKind, TrapCode, Value};

const TRAPS: &str = r#"
(module
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 0) $callee)
  (type $other (func (param i64)))
  (func $callee)
  (func (export "unreachable") unreachable)
  (func (export "load") (param i32) (drop (i32.load (local.get 0))))
  (func (export "store") (param i32) (i64.store (local.get 0) (i64.const 1)))
  (func (export "far") (param i32) (drop (i64.load offset=0xffffffff (local.get 0))))
  (func (export "div") (param i32) (drop (i32.div_s (i32.const 7) (local.get 0))))
  (func (export "rem") (param i64) (drop (i64.rem_u (i64.const 7) (local.get 0))))
  (func (export "overflow") (param i32) (drop (i32.div_s (i32.const 0x80000000) (local.get 0))))
  (func (export "convert") (param f64) (drop (i32.trunc_f64_s (local.get 0))))
  (func (export "indirect") (param i32) (call_indirect (local.get 0)))
  (func (export "mistyped") (param i32) (call_indirect (type $other) (i64.const 0) (local.get 0)))
  (func (export "table") (param i32) (drop (table.get (local.get 0))))
  (func (export "copy") (param i32) (memory.copy (i32.const 0) (local.get 0) (i32.const 8)))
  (func $recurse (export "recurse") (param i32) (call $recurse (i32.add (local.get 0) (i32.const 1)))))
"#;

fn check_all(app: &wasmbridge_runtime::Instance) {
    use TrapCode::*;
    let cases = [
        ("unreachable", vec![], Unreachable),
        ("load", vec![Value::I32(65533)], MemoryOutOfBounds),
        ("load", vec![Value::I32(-1)], MemoryOutOfBounds),
        ("store", vec![Value::I32(65529)], MemoryOutOfBounds),
        ("far", vec![Value::I32(-1)], MemoryOutOfBounds),
        ("div", vec![Value::I32(0)], IntegerDivideByZero),
        ("rem", vec![Value::I64(0)], IntegerDivideByZero),
        ("overflow", vec![Value::I32(-1)], IntegerOverflow),
        ("convert", vec![Value::F64(1e10)], IntegerOverflow),
        ("convert", vec![Value::F64(f64::NAN)], InvalidConversion),
        ("indirect", vec![Value::I32(1)], UninitializedElement),
        ("indirect", vec![Value::I32(2)], UndefinedElement),
        ("mistyped", vec![Value::I32(0)], IndirectCallTypeMismatch),
        ("table", vec![Value::I32(9)], TableOutOfBounds),
        ("copy", vec![Value::I32(65530)], MemoryOutOfBounds),
        ("recurse", vec![Value::I32(0)], StackOverflow),
    ];
    for (name, args, expected) in cases {
        let error = app.call(name, &args).unwrap_err();
        let trap = error.trap().unwrap_or_else(|| panic!("{name}: {error}"));
        assert_eq!(trap.code, expected, "{name}: {error}");
        assert!(error.to_string().contains(&format!("0: {name} at wasm offset")), "{name}: {error}");
    }
    assert!(app.call("div", &[Value::I32(1)]).is_ok(), "the instance goes on");
}

#[test]
fn every_trap_is_told_apart() {
    check_all(&instance(TRAPS));
}

#[test]
fn the_same_with_a_small_reservation_and_explicit_checks() {
    let engine = engine();
    let config = Config { memory_reservation: 64 << 20, ..Config::default() };
    let module = module_with(&engine, TRAPS, &config);
    check_all(&linker(&engine, &[]).instantiate(&module).unwrap());
}

#[test]
fn a_memory_access_says_where() {
    let error = instance(TRAPS).call("load", &[Value::I32(0x12345678)]).unwrap_err();
    assert!(error.message().contains("guest address 0x12345678, memory has 0x10000 bytes"), "{error}");
}

#[test]
fn callee_saved_registers_come_back_after_a_trap() {
    // A function with so many live values that it saves all callee-saved registers, and traps in the middle of a loop.
    let app = instance(
        r#"(module
            (memory 1)
            (func $leaf (param i32) (result i32) (i32.load (i32.mul (local.get 0) (local.get 0))))
            (func (export "busy") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
              (loop $again
                (local.set 0 (i32.add (local.get 0) (call $leaf (local.get 1))))
                (local.set 1 (i32.add (local.get 1) (call $leaf (local.get 2))))
                (local.set 2 (i32.add (local.get 2) (call $leaf (local.get 3))))
                (local.set 3 (i32.add (local.get 3) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get 3) (i32.const 100000))))
              (i32.add (i32.add (local.get 0) (local.get 4))
                       (i32.add (local.get 5) (i32.add (local.get 6) (local.get 7))))))"#,
    );
    let prototype = "int busy(int, int, int, int, int, int, int, int)";
    let function = app.callback(prototype, &CallbackOptions::default()).unwrap();
    let (before, after): ([u64; 6], [u64; 6]);
    {
        let (mut before_, mut after_) = ([0u64; 6], [0u64; 6]);
        // SAFETY: calls the callback with eight arguments by the System V convention, with a recognisable value in each
        // callee-saved register that Rust lets us use, and looks at them afterwards.
        unsafe {
            std::arch::asm!(
                "push rbx",
                "push rbp",
                "mov rbx, 0x1111",
                "mov r12, 0x2222",
                "mov r13, 0x3333",
                "mov r14, 0x4444",
                "mov r15, 0x5555",
                "mov rbp, rsp",
                "and rsp, -16",
                "push 8",
                "push 7",
                "mov [rsi], rbx",
                "mov [rsi+8], r12",
                "mov [rsi+16], r13",
                "mov [rsi+24], r14",
                "mov [rsi+32], r15",
                "mov [rsi+40], rbp",
                "push rdi",
                "push rdi",
                "mov rax, rdx",
                "mov edi, 1", "mov esi, 2", "mov edx, 3", "mov ecx, 4", "mov r8d, 5", "mov r9d, 6",
                "sub rsp, 16",
                "push 8",
                "push 7",
                "call rax",
                "add rsp, 32",
                "pop rdi",
                "mov [rdi], rbx",
                "mov [rdi+8], r12",
                "mov [rdi+16], r13",
                "mov [rdi+24], r14",
                "mov [rdi+32], r15",
                "mov [rdi+40], rbp",
                "mov rsp, rbp",
                "pop rbp",
                "pop rbx",
                inout("rdi") after_.as_mut_ptr() => _,
                inout("rsi") before_.as_mut_ptr() => _,
                inout("rdx") function.0 => _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                clobber_abi("C"),
            );
        }
        (before, after) = (before_, after_);
    }
    assert!(app.take_error().unwrap().trap().is_some(), "it trapped");
    assert_eq!(before, after, "rbx, r12, r13, r14, r15, rbp");
}

static RECURSION: AtomicUsize = AtomicUsize::new(0);

extern "C" fn call_back(function: extern "C" fn(c_int) -> c_int, n: c_int) -> c_int {
    RECURSION.fetch_add(1, Ordering::Relaxed);
    function(n)
}

/// The app calls C, which calls the app, `n` deep; at the bottom it divides by the argument of `run`.
const NESTED: &str = r#"
(module
  (import "env" "call_back" (func $call_back (param i32 i32) (result i32)))
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 1) $step)
  (global $__stack_pointer (export "sp") (mut i32) (i32.const 65536))
  (global $divisor (mut i32) (i32.const 1))
  (func $step (param i32) (result i32)
    (local i32)
    (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
    (if (result i32) (local.get 0)
      (then (call $call_back (i32.const 1) (i32.sub (local.get 0) (i32.const 1))))
      (else (i32.div_u (i32.const 84) (global.get $divisor))))
    (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 16))))
  (func (export "run") (param i32 i32) (result i32)
    (global.set $divisor (local.get 1))
    (call $step (local.get 0))))"#;

const CALL_BACK: (&str, *const u8) = (
    "int call_back(int (*function)(int), int n)",
    call_back as extern "C" fn(extern "C" fn(c_int) -> c_int, c_int) -> c_int as *const u8,
);

#[test]
fn app_to_c_to_app_a_thousand_deep() {
    let app = instance_with(NESTED, &[CALL_BACK]);
    let run = |depth, divisor| app.call("run", &[Value::I32(depth), Value::I32(divisor)]);
    assert_eq!(run(1000, 2).unwrap(), [Value::I32(42)]);
    let error = run(1000, 0).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::IntegerDivideByZero, "{error}");
    assert_eq!(app.global("sp").unwrap(), Value::I32(65536));
    assert_eq!(run(10, 2).unwrap(), [Value::I32(42)]);
}

#[test]
fn a_recursion_through_c_without_end_is_a_trap() {
    let app = instance_with(NESTED, &[CALL_BACK]);
    let error = app.call("run", &[Value::I32(100_000_000), Value::I32(1)]).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::StackOverflow, "{error}");
    assert_eq!(app.global("sp").unwrap(), Value::I32(65536));
    assert!(app.call("run", &[Value::I32(10), Value::I32(1)]).is_ok());
}

#[test]
fn the_backtrace_goes_through_c() {
    let app = instance_with(NESTED, &[CALL_BACK]);
    let error = app.call("run", &[Value::I32(1), Value::I32(0)]).unwrap_err();
    let lines: Vec<String> = error.trap().unwrap().frames.iter().map(|f| f.to_string()).collect();
    let starts = ["step at", "step (callback", "call_back (native)", "step at", "run at"];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{lines:#?}");
    }
}

#[test]
fn a_start_function_that_traps_is_an_error_of_instantiation() {
    let engine = engine();
    let module = module(&engine, "(module (func $start unreachable) (start $start))");
    let error = linker(&engine, &[]).instantiate(&module).unwrap_err();
    assert_eq!(error.trap().unwrap().code, TrapCode::Unreachable);
}

#[test]
fn reactors_are_initialised_once() {
    let app = instance(
        r#"(module (global $n (export "n") (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 1)))))"#,
    );
    assert_eq!(app.global("n").unwrap(), Value::I32(1));
}

#[test]
fn instances_belong_to_a_thread() {
    let app = instance(TRAPS);
    let app = std::thread::spawn(move || {
        let error = app.call("div", &[Value::I32(1)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        app.attach().unwrap();
        check_all(&app);
        app
    })
    .join()
    .unwrap();
    assert_eq!(app.call("div", &[Value::I32(1)]).unwrap_err().kind(), ErrorKind::Busy);
    app.attach().unwrap();
    check_all(&app);
}

/// Runs this test binary again for one test, with a variable set, and says how it ended.
fn child(test: &str) -> std::process::Output {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("WASMBRIDGE_TEST_CHILD", "1")
        .output()
        .unwrap()
}

fn is_child() -> bool {
    std::env::var_os("WASMBRIDGE_TEST_CHILD").is_some()
}

extern "C" fn crash() {
    // SAFETY: not safe at all: a library's own bug.
    unsafe { std::ptr::without_provenance_mut::<u8>(0x10).write_volatile(1) };
}

#[test]
fn a_crash_in_the_library_is_a_crash_and_no_trap() {
    use std::os::unix::process::ExitStatusExt;
    if is_child() {
        let app = instance_with(
            r#"(module (import "env" "crash" (func $crash)) (func (export "run") (call $crash)))"#,
            &[("void crash(void)", crash as extern "C" fn() as *const u8)],
        );
        let _ = app.call("run", &[]);
        println!("survived");
        return;
    }
    let output = child("a_crash_in_the_library_is_a_crash_and_no_trap");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("survived"));
}

unsafe extern "C" fn hosts_handler(signal: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let expected = signal == libc::SIGSEGV && unsafe { (*info).si_addr() } as usize == 0x10;
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(if expected { 77 } else { 78 }) };
}

#[test]
fn a_crash_in_the_library_goes_to_the_hosts_handler() {
    if is_child() {
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) = hosts_handler;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut());
        }
        let app = instance_with(
            r#"(module (import "env" "crash" (func $crash)) (memory 1)
                (func (export "run") (call $crash))
                (func (export "trap") (drop (i32.load (i32.const -1)))))"#,
            &[("void crash(void)", crash as extern "C" fn() as *const u8)],
        );
        assert!(app.call("trap", &[]).is_err(), "the app's own traps do not reach it");
        let _ = app.call("run", &[]);
        return;
    }
    let output = child("a_crash_in_the_library_goes_to_the_hosts_handler");
    assert_eq!(output.status.code(), Some(77), "{output:?}");
}

#[test]
fn memories_of_bytes_end_at_the_byte() {
    use Value::I32;
    let instance = instance(
        r#"(module (memory (export "memory") 5 4099 (pagesize 1))
            (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (data (i32.const 1) "abcd"))"#,
    );
    let trap = |name: &str, args: &[Value]| {
        let error = instance.call(name, args).unwrap_err();
        assert_eq!(error.trap().map(|t| t.code), Some(TrapCode::MemoryOutOfBounds), "{error}");
    };
    assert_eq!(instance.call("load", &[I32(4)]).unwrap(), [I32(i32::from(b'd'))]);
    trap("load", &[I32(5)]);
    trap("store", &[I32(2), I32(0)]);
    trap("store", &[I32(-1), I32(0)]);
    assert_eq!(instance.memory().unwrap().len_bytes, 5);
    assert!(instance.native_ptr(1, 5).is_err());
    assert_eq!(instance.call("grow", &[I32(4095)]).unwrap(), [I32(-1)], "beyond the maximum");
    assert_eq!(instance.call("grow", &[I32(4094)]).unwrap(), [I32(5)]);
    instance.call("store", &[I32(4095), I32(0)]).unwrap();
    trap("store", &[I32(4096), I32(0)]);
}

/// The least that a frame of [`large_frames`] has: more than what guards a stack, which is a page.
const LARGE_FRAME: usize = 12 << 10;

/// A function that calls itself, and uses all of its frame afterwards.
fn large_frames() -> String {
    let (mut before, mut after) = (String::new(), String::new());
    for local in 0..5_000 {
        use std::fmt::Write;
        // What is loaded before a call cannot be loaded again after it: it is kept.
        write!(before, "(local.set $l{local} (i64.load offset={} (i32.const 0)))", 8 * local).unwrap();
        write!(after, "(local.set $n (i64.xor (local.get $n) (local.get $l{local})))").unwrap();
    }
    let locals: String = (0..5_000).map(|local| format!("(local $l{local} i64)")).collect();
    format!(
        r#"(module (memory 3) (global $depth (export "depth") (mut i32) (i32.const 0))
        (func $f (export "f") (param $n i64) (result i64) {locals}
          (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
          {before} (call $f (local.get $n)) (local.set $n) {after} (local.get $n)))"#
    )
}

#[test]
fn frames_larger_than_the_stack_trap() {
    let engine = engine();
    let module = module(&engine, &large_frames());
    for stack in [128 << 10, 1 << 20] {
        let on_thread = || {
            let app = linker(&engine, &[]).instantiate(&module).unwrap();
            for _ in 0..3 {
                let error = app.call("f", &[Value::I64(5)]).unwrap_err();
                assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::StackOverflow), "{error}");
            }
            let Value::I32(depth) = app.global("depth").unwrap() else { unreachable!() };
            let most = 3 * stack / LARGE_FRAME;
            assert!((1..most).contains(&(depth as usize)), "{depth} frames on three stacks of {stack} bytes");
        };
        std::thread::scope(|scope| {
            std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, on_thread).unwrap().join().unwrap();
        });
    }
}
