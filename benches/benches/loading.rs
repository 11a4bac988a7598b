//! What it takes to load an artifact of about a megabyte, and to make an instance of it. The kernel's work does not count here: `load` times it.

mod common;

use common::budget;
use iai_callgrind::{library_benchmark, library_benchmark_group, main};
use std::process::Command;
use wasmbridge_benches::LargeApp;
use wasmbridge_runtime::{Instance, Module};

fn loaded() -> (LargeApp, Module) {
    let app = LargeApp::new(|path| {
        let written = Command::new(env!("CARGO_BIN_EXE_load")).arg("--write").arg(path).status();
        assert!(written.expect("`load` is built").success());
    });
    let module = app.open();
    // The first instance of a process finds out about the thread's stack.
    drop(app.instantiate(&module));
    (app, module)
}

fn settled() -> (LargeApp, Module) {
    let (app, module) = loaded();
    app.settle();
    (app, module)
}

// With the engine's types known, and the file in memory: for the first time, and again.
#[library_benchmark]
#[bench::large(args = (), setup = loaded, config = budget(OPEN))]
#[bench::again(args = (), setup = settled, config = budget(OPEN_AGAIN))]
fn open((app, first): (LargeApp, Module)) -> (LargeApp, Module, Module) {
    let module = app.open();
    (app, first, module)
}

#[library_benchmark]
#[bench::large(args = (), setup = loaded, config = budget(INSTANTIATE))]
fn instantiate((app, module): (LargeApp, Module)) -> (LargeApp, Module, Instance) {
    let instance = app.instantiate(&module);
    (app, module, instance)
}

/// 517,000 now: 347,000 hash the file, and the rest reads the metadata and checks that nothing in it leads astray.
const OPEN: u64 = 540_000;
/// 170,000 now: the same without the hash.
const OPEN_AGAIN: u64 = 180_000;
/// 93,000 now, for 1200 functions in a table: fifty for each, and what every instance takes.
const INSTANTIATE: u64 = 98_000;

library_benchmark_group!(
    name = loading;
    benchmarks = open, instantiate
);
main!(library_benchmark_groups = loading);
