//! Instructions, counted by callgrind: exact, and the same on every machine of a kind.
//!
//! Each count is of [`CALLS`] calls in a loop, and stands beside the same loop over a native function: the difference, divided by
//! `CALLS`, is what a crossing costs. Each has a budget (`hard_limits`), a little above what it takes now; exceeding it fails the run.
//! A budget is raised on purpose only, with the reason in the commit.

use iai_callgrind::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use std::ffi::c_int;
use std::hint::black_box;
use wasmbridge_benches::{Add, App, Compare, bench_add, bench_compare, bench_import};

/// Calls in each count.
const CALLS: c_int = 1000;

fn budget(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// A function to call, what it needs to live, and two ints it may look at.
struct Case<F> {
    function: F,
    ints: *const c_int,
    app: Option<App>,
}

fn wasm_add() -> Case<Add> {
    let app = App::new();
    Case { function: app.add(), ints: std::ptr::null(), app: Some(app) }
}

fn native_add() -> Case<Add> {
    Case { function: bench_add, ints: std::ptr::null(), app: None }
}

fn wasm_compare() -> Case<Compare> {
    let app = App::new();
    let ints = app.ints(2);
    Case { function: app.compare(), ints, app: Some(app) }
}

fn native_compare() -> Case<Compare> {
    Case { function: bench_compare, ints: Box::leak(Box::new([1, 2])).as_ptr(), app: None }
}

fn wasm_import() -> Case<unsafe extern "C" fn(c_int) -> c_int> {
    let app = App::new();
    Case { function: app.import(), ints: std::ptr::null(), app: Some(app) }
}

fn native_import() -> Case<unsafe extern "C" fn(c_int) -> c_int> {
    Case { function: bench_import, ints: std::ptr::null(), app: None }
}

// A callback `int (int, int)`.
#[library_benchmark]
#[bench::native(args = (), setup = native_add)]
#[bench::wasm(args = (), setup = wasm_add, config = budget(CALLBACK_ADD))]
fn callback_add(case: Case<Add>) -> (c_int, Option<App>) {
    let mut sum = 0;
    for i in 0..CALLS {
        // SAFETY: a function of two ints.
        sum = unsafe { black_box(case.function)(sum, i) };
    }
    (sum, case.app)
}

// A callback with two checked pointers.
#[library_benchmark]
#[bench::native(args = (), setup = native_compare)]
#[bench::wasm(args = (), setup = wasm_compare, config = budget(CALLBACK_COMPARE))]
fn callback_compare(case: Case<Compare>) -> (c_int, Option<App>) {
    let (a, b) = (case.ints, case.ints.wrapping_add(1));
    let mut sum = 0;
    for _ in 0..CALLS {
        // SAFETY: a function of two pointers to ints.
        sum += unsafe { black_box(case.function)(a.cast(), b.cast()) };
    }
    (sum, case.app)
}

// An imported `int (int, int)`, called from a loop in the guest.
#[library_benchmark]
#[bench::native(args = (), setup = native_import)]
#[bench::wasm(args = (), setup = wasm_import, config = budget(IMPORT_ADD))]
fn import_add(case: Case<unsafe extern "C" fn(c_int) -> c_int>) -> (c_int, Option<App>) {
    // SAFETY: a function of an int.
    (unsafe { black_box(case.function)(CALLS) }, case.app)
}

// One instance more of a module that is loaded, with a memory of 16 MiB and one import.
#[library_benchmark]
#[bench::wasm(args = (), setup = App::new, config = budget(INSTANTIATE))]
fn instantiate(app: App) -> (App, wasmbridge_runtime::Instance) {
    let instance = app.linker.instantiate(&app.module).expect("it did before");
    (app, instance)
}

/// 26,056 now: 13 for the callback, 6 for the wasm function, and the loop.
const CALLBACK_ADD: u64 = 27_000;
/// 43,060 now: 20 for the callback, 16 for the wasm function, and the loop.
const CALLBACK_COMPARE: u64 = 44_000;
/// 48,087 now: the crossing frame, the check for failed callbacks, moving arguments, and the loop.
const IMPORT_ADD: u64 = 49_000;
/// 14,768 now, not counting the kernel's work.
const INSTANTIATE: u64 = 18_000;

library_benchmark_group!(name = crossings; benchmarks = callback_add, callback_compare, import_add, instantiate);
main!(library_benchmark_groups = crossings);
