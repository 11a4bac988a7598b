//! Compiles `guest.c` for both sides.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=guest.c");
    cc::Build::new().file("guest.c").opt_level(2).compile("guest");
    wasm("guest.wasm", &[]);
    // What other runtimes are given imports one function only.
    wasm("peers.wasm", &["-DPEERS"]);
}

fn wasm(name: &str, options: &[&str]) {
    let wasm = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(name);
    let status = Command::new("clang-19")
        .args(["--target=wasm32-wasi", "-O2", "-nostdlib", "-Wl,--no-entry", "-Wl,--allow-undefined"])
        .args(["-Wl,--initial-memory=16777216", "-o"])
        .arg(&wasm)
        .args(options)
        .arg("guest.c")
        .status()
        .expect("clang-19 is needed to compile the guest: `make setup` installs it");
    assert!(status.success(), "clang-19 could not compile guest.c");
}
