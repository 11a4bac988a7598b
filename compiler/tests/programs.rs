//! Programs in C, compiled with clang, compile: with a libc in them, with vectors, with tail calls.

use std::process::Command;
use wasmbridge_artifact::Artifact;
use wasmbridge_compiler::{Config, OptLevel, compile};

const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct node { struct node *next; double weight; char name[16]; };
static int compare(const void *a, const void *b) { return strcmp(((const struct node *)a)->name, ((const struct node *)b)->name); }
__attribute__((export_name("run"))) double run(int count) {
    struct node *nodes = calloc(count, sizeof *nodes);
    double sum = 0;
    for (int i = 0; i < count; i++) {
        snprintf(nodes[i].name, sizeof nodes[i].name, "%08x", i * 2654435761u);
        nodes[i].weight = i / 3.0;
    }
    qsort(nodes, count, sizeof *nodes, compare);
    for (int i = 0; i < count; i++) sum += nodes[i].weight * (i % 7);
    printf("%g\n", sum);
    free(nodes);
    return sum;
}
"#;

/// Compiles the program to wasm with these flags; `None` if there is no clang for it.
fn wasm(name: &str, flags: &[&str]) -> Option<Vec<u8>> {
    let folder = std::env::temp_dir().join(format!("wasmbridge-programs-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("program.c"), PROGRAM).unwrap();
    let common = [
        "--target=wasm32-wasi",
        "--sysroot=/usr",
        "-mexec-model=reactor",
        "-Wl,--export-table",
        "-Wl,--growable-table",
    ];
    let clang = Command::new("clang-19")
        .current_dir(&folder)
        .args(common)
        .args(flags)
        .args(["program.c", "-o", "program.wasm"])
        .output();
    let wasm = match clang {
        Ok(output) if output.status.success() => Some(std::fs::read(folder.join("program.wasm")).unwrap()),
        Ok(output) => panic!("clang-19: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            println!("clang-19: {error}: not tested");
            None
        }
    };
    std::fs::remove_dir_all(folder).unwrap();
    wasm
}

#[test]
fn programs_in_c_compile() {
    for (name, flags) in [
        ("debug", &["-O0", "-g"][..]),
        ("fast", &["-O2"]),
        ("vectors", &["-O3", "-msimd128", "-mrelaxed-simd", "-mtail-call", "-mbulk-memory"]),
    ] {
        let Some(wasm) = wasm(name, flags) else { return };
        for opt_level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
            let config = Config { opt_level, verify: true, ..Config::default() };
            let file = compile(&wasm, &config).unwrap_or_else(|e| panic!("{name}: {e}"));
            let artifact = Artifact::parse(&file, 62).unwrap();
            assert!(artifact.module.stack_pointer.is_some(), "{name}: LLVM names its stack pointer");
            assert!(artifact.module.image.is_some(), "{name}");
            assert!(artifact.module.export("run").is_some(), "{name}");
        }
    }
}
