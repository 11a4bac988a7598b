//! Memory is never writable and executable at once, and the kernel is asked to enforce it.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the tests play the part of C, which knows neither unsafe nor borrowing"
)]

mod common;

use common::instance_with;
use std::ffi::c_int;
use wasmbridge_runtime::{CallbackOptions, Instance, Region, Rights, Value, WindowMode, WindowOptions};

extern "C" fn twice(function: extern "C" fn(c_int) -> c_int, n: c_int) -> c_int {
    function(function(n))
}

/// Code of every kind: wasm, an entry, callbacks of two groups, a thunk; and a trap.
fn use_everything() {
    let app = instance_with(
        r#"(module
            (import "env" "twice" (func $twice (param i32 i32) (result i32)))
            (memory 1) (data (i32.const 0) "image")
            (table 2 funcref) (elem (i32.const 1) $inc)
            (func $inc (export "inc") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
            (func (export "run") (result i32) (call $twice (i32.const 1) (i32.const 40)))
            (func (export "fail") (drop (i32.load (i32.const -1)))))"#,
        &[(
            "int twice(int (*function)(int), int n)",
            twice as extern "C" fn(extern "C" fn(c_int) -> c_int, c_int) -> c_int as *const u8,
        )],
    );
    assert_eq!(app.call("run", &[]).unwrap(), [Value::I32(42)]);
    let inc = app.callback("int inc(int)", &CallbackOptions::default()).unwrap();
    let inc: extern "C" fn(c_int) -> c_int = unsafe { std::mem::transmute(inc.0) };
    assert_eq!(inc(1), 2);
    assert!(app.call("fail", &[]).is_err());
    use_windows(&app);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let both: Vec<&str> = maps.lines().filter(|l| l.split(' ').nth(1).is_some_and(|p| p.starts_with("rwx"))).collect();
    assert!(both.is_empty(), "writable and executable: {both:#?}");
    assert!(maps.lines().any(|l| l.contains("r-xp") && l.contains("wasmbridge")), "the code is where it is looked for");
}

/// Every way in which native data becomes visible.
fn use_windows(app: &Instance) {
    let base = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), 8192, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    for (mode, len, options) in [
        (WindowMode::Copied, 100, WindowOptions { allow_copy: true, ..WindowOptions::default() }),
        (WindowMode::Adopted, 8192, WindowOptions::default()),
        (WindowMode::Aliased, 8192, WindowOptions::default()),
    ] {
        let window = unsafe { app.map_window(base.cast(), len, Rights::Read, &options) }.unwrap();
        assert_eq!(window.mode, mode);
        let upgraded = app.protect_window(window.guest_addr, Rights::ReadWrite).is_ok();
        assert_eq!(upgraded, mode != WindowMode::Copied);
        app.unmap_window(window.guest_addr).unwrap();
    }
    let region = Region::new(5000).unwrap();
    region.grant(app, Rights::ReadWrite).unwrap();
    region.grant(app, Rights::Read).unwrap();
    assert!(region.revoke(app).unwrap());
}

#[test]
fn nothing_is_writable_and_executable() {
    use_everything();
}

#[test]
fn it_all_works_where_the_kernel_refuses_to_make_memory_executable() {
    // The setting cannot be taken back, so a child process of this test has it.
    if std::env::var_os("WASMBRIDGE_TEST_CHILD").is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "it_all_works_where_the_kernel_refuses_to_make_memory_executable", "--nocapture"])
            .env("WASMBRIDGE_TEST_CHILD", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    const PR_SET_MDWE: c_int = 65;
    const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    let set = unsafe { libc::prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) };
    if set != 0 {
        println!("this kernel has no PR_SET_MDWE (Linux 6.3)");
        return;
    }
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    assert_ne!(unsafe { libc::mprotect(page, 4096, 5) }, 0, "the setting is in force");
    use_everything();
}
