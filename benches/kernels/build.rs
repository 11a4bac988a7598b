//! Compiles the kernels twice: with the host's C compiler, and with clang for WebAssembly.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What SQLite leaves out or decides: threads, files, statistics.
const SQLITE: [&str; 7] = [
    "-DSQLITE_OS_OTHER=1",
    "-DSQLITE_THREADSAFE=0",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DSQLITE_OMIT_LOCALTIME",
    "-DSQLITE_DEFAULT_MEMSTATUS=0",
    "-DSQLITE_TEMP_STORE=3",
    "-DNDEBUG",
];

fn main() {
    let freestanding = ["--target=wasm32-unknown-unknown", "-nostdlib", "-Wl,--no-entry"];
    build("kernels", &[Path::new("c/kernels.c")], &[], &freestanding);

    // SQLite's speedtest is in no package beside its sources: scripts/kernels says where it is, if it could be had.
    println!("cargo::rustc-check-cfg=cfg(speedtest1)");
    println!("cargo::rerun-if-env-changed=SPEEDTEST1_DIR");
    if let Some(speedtest) = std::env::var_os("SPEEDTEST1_DIR").filter(|directory| !directory.is_empty()) {
        println!("cargo::rustc-cfg=speedtest1");
        let sqlite =
            PathBuf::from(std::env::var_os("DEP_SQLITE3_INCLUDE").expect("libsqlite3-sys says where its sources are"));
        let mut flags: Vec<String> = SQLITE.map(String::from).to_vec();
        flags.extend([&sqlite, Path::new(&speedtest)].map(|directory| format!("-I{}", directory.display())));
        let reactor = ["--target=wasm32-wasi", "--sysroot=/usr", "-mexec-model=reactor", "-Wl,--export=kernel_sqlite"];
        build("sqlite", &[Path::new("c/sqlite.c"), &sqlite.join("sqlite3.c")], &flags, &reactor);
    }
}

/// Compiles sources into a native library and a module.
fn build(name: &str, sources: &[&Path], flags: &[String], wasm_flags: &[&str]) {
    for source in sources {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    // What they are compared with is `gcc -O2`, whatever the profile says.
    let mut native = cc::Build::new();
    for flag in flags {
        native.flag(flag);
    }
    native.files(sources).opt_level(2).warnings(flags.is_empty()).compile(name);
    let wasm = Path::new(&std::env::var_os("OUT_DIR").expect("cargo sets it")).join(format!("{name}.wasm"));
    let status = Command::new("clang-19")
        .args(wasm_flags)
        .args(["-O2", "-mbulk-memory"])
        .args(flags)
        .args(sources)
        .arg("-o")
        .arg(wasm)
        .status()
        .expect("clang-19 runs: `make setup` installs it");
    assert!(status.success(), "clang-19 does not compile {sources:?}");
}
