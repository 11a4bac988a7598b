//! Compiles the kernels twice: with the host's C compiler, and with clang for WebAssembly.

use std::path::Path;
use std::process::Command;

fn main() {
    let source = "c/kernels.c";
    println!("cargo::rerun-if-changed={source}");
    // What they are compared with is `gcc -O2`, whatever the profile says.
    cc::Build::new().file(source).opt_level(2).compile("kernels");
    let wasm = Path::new(&std::env::var_os("OUT_DIR").expect("cargo sets it")).join("kernels.wasm");
    let status = Command::new("clang-19")
        .args(["--target=wasm32-unknown-unknown", "-O2", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", source, "-o"])
        .arg(wasm)
        .status()
        .expect("clang-19 runs: `make setup` installs it");
    assert!(status.success(), "clang-19 does not compile {source}");
}
