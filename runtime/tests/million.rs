//! A million live callbacks.
#![allow(clippy::undocumented_unsafe_blocks, reason = "the test plays the part of C, which knows no unsafe")]

mod common;

use common::{engine, linker, module};
use std::collections::HashSet;
use std::ffi::c_int;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use wasmbridge_runtime::{CallbackOptions, Instance, NativeFn};

const FUNCTIONS: u32 = 2000;
const INSTANCES: u32 = 500;
/// More than it takes, much less than a page for each.
const BYTES_EACH: u64 = 1024;

/// Bytes of memory that the process has.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A callback for each function of each instance.
fn make(instances: &[Instance]) -> (Vec<NativeFn>, Duration) {
    let start = Instant::now();
    let mut callbacks = Vec::with_capacity((FUNCTIONS * INSTANCES) as usize);
    for app in instances {
        for index in 0..FUNCTIONS {
            callbacks.push(app.callback_at(index, "int (int)", &CallbackOptions::default()).unwrap());
        }
    }
    (callbacks, start.elapsed())
}

#[test]
fn a_million_callbacks_live_and_are_freed() {
    let engine = engine();
    let mut wat = format!("(module (table {FUNCTIONS} funcref) (elem (i32.const 0)");
    (0..FUNCTIONS).for_each(|i| write!(wat, " $f{i}").unwrap());
    wat.push(')');
    for i in 0..FUNCTIONS {
        write!(wat, "(func $f{i} (param i32) (result i32) (i32.add (local.get 0) (i32.const {i})))").unwrap();
    }
    wat.push(')');
    let module = module(&engine, &wat);
    let linker = linker(&engine, &[]);
    let instances: Vec<Instance> = (0..INSTANCES).map(|_| linker.instantiate(&module).unwrap()).collect();

    let before = resident();
    let (callbacks, first) = make(&instances);
    let with_all = resident();
    assert_eq!(callbacks.len(), 1_000_000);
    assert_eq!(callbacks.iter().map(|f| f.0).collect::<HashSet<_>>().len(), callbacks.len(), "all are different");
    let each = with_all.saturating_sub(before) / callbacks.len() as u64;
    assert!(each < BYTES_EACH, "{each} bytes for each callback");
    // Of every group of code some are called.
    for (i, callback) in callbacks.iter().enumerate().step_by(997) {
        let function: extern "C" fn(c_int) -> c_int = unsafe { std::mem::transmute(callback.0) };
        assert_eq!(function(1_000_000), 1_000_000 + (i as u32 % FUNCTIONS) as c_int);
    }

    let start = Instant::now();
    callbacks.iter().for_each(|&callback| unsafe { wasmbridge_runtime::release_callback(callback) }.unwrap());
    let freed = start.elapsed();
    let stale: extern "C" fn(c_int) -> c_int = unsafe { std::mem::transmute(callbacks[0].0) };
    assert_eq!(stale(1), 0, "one that nobody has answers with its default");

    let (again, second) = make(&instances);
    assert_eq!(again.len(), callbacks.len());
    let grown = resident().saturating_sub(with_all) / callbacks.len() as u64;
    assert!(grown < BYTES_EACH / 4, "{grown} bytes more for each, the second time");
    // What takes a time that grows with the number of callbacks would take hours here.
    for (what, took) in [("made", first), ("freed", freed), ("made again", second)] {
        println!("a million callbacks {what} in {:.0} ns each", took.as_secs_f64() * 1e3);
        assert!(took < Duration::from_secs(60), "{what} in {took:?}");
    }
    drop(instances);
}
