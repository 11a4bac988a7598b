//! The C API from C and C++: each program in `c/` is built without a warning, those in C as C99 and as C++17, and run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What a program needs that links the static library; as in `wasmbridge.pc.in`.
const LIBS: [&str; 7] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// `libwasmbridge.a`, which cargo has built for this test, into the same directory.
fn library() -> PathBuf {
    let library = std::env::current_exe().unwrap().with_file_name("libwasmbridge.a");
    assert!(library.exists(), "{} is missing", library.display());
    library
}

/// A directory with `app.wasm`, `app.wbm` and the like of each app in text, and the apps in C and C++ of `c/apps`.
fn app() -> &'static Path {
    static APP: OnceLock<tempfile::TempDir> = OnceLock::new();
    APP.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(source("")).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "wat") {
                let wasm = wat::parse_file(&file).unwrap();
                let artifact = wasmbridge_compiler::compile(&wasm, &wasmbridge_compiler::Config::default()).unwrap();
                let output = directory.path().join(file.file_name().unwrap());
                std::fs::write(output.with_extension("wasm"), wasm).unwrap();
                std::fs::write(output.with_extension("wbm"), artifact).unwrap();
            }
        }
        for file in std::fs::read_dir(source("apps")).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "c" || extension == "cpp") {
                compile_app(&file, directory.path());
            }
        }
        directory
    })
    .path()
}

/// An app in C, `NAME.c`, or in C++ with exceptions, `NAME.cpp`, to `NAME.wbm`.
fn compile_app(file: &Path, directory: &Path) {
    let wasm = directory.join(file.with_extension("wasm").file_name().unwrap());
    let (compiler, flags) = match file.extension() {
        Some(extension) if extension == "cpp" => {
            ("clang++-19", &["-fwasm-exceptions", "-nostdlib++", "-Wl,--export=__cpp_exception"][..])
        }
        _ => ("clang-19", &[][..]),
    };
    run(Command::new(compiler)
        .args(["--target=wasm32-wasi", "--sysroot=/usr", "-O1", "-mexec-model=reactor"])
        .args(flags)
        .args(["-Wl,--export-table", "-Wl,--growable-table", "-Wl,--allow-undefined"])
        .args(WARNINGS)
        .arg(file)
        .arg("-o")
        .arg(&wasm));
    let bytes = std::fs::read(&wasm).unwrap();
    let artifact = wasmbridge_compiler::compile(&bytes, &wasmbridge_compiler::Config::default()).unwrap();
    std::fs::write(wasm.with_extension("wbm"), artifact).unwrap();
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && error.is_empty(), "{command:?}: {}\n{out}{error}", output.status);
}

/// Words of an environment variable that `scripts/sanitize` sets: flags of the compiler, or a program that runs the tests' programs.
fn words(variable: &str) -> Vec<String> {
    std::env::var(variable).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[track_caller]
fn builds_and_runs(file: &str) {
    let directory = tempfile::tempdir().unwrap();
    let c = ("cc", &["-std=c99"][..]);
    let cpp = ("c++", &["-x", "c++", "-std=c++17"][..]);
    let compilers = if file.ends_with(".c") { vec![c, cpp] } else { vec![cpp] };
    for (compiler, flags) in compilers {
        let program = directory.path().join(compiler);
        run(Command::new(compiler)
            .args(flags)
            .args(WARNINGS)
            .args(["-g", "-O1"])
            .args(words("WASMBRIDGE_C_FLAGS"))
            .arg("-I")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
            .arg(source(file))
            // What follows is not C++ any more.
            .args(["-x", "none"])
            .arg(library())
            .args(LIBS)
            .arg("-o")
            .arg(&program));
        let mut command = words("WASMBRIDGE_C_RUNNER");
        command.push(program.to_str().unwrap().to_owned());
        run(Command::new(&command[0]).args(&command[1..]).arg(app()));
    }
}

macro_rules! programs {
    ($($name:ident.$kind:ident)*) => {
        $(#[test]
        fn $name() {
            builds_and_runs(concat!(stringify!($name), ".", stringify!($kind)));
        })*

        #[test]
        fn every_program_is_run() {
            let listed = [$(concat!(stringify!($name), ".", stringify!($kind)),)*];
            for file in std::fs::read_dir(source("")).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                let is_program = name.ends_with(".c") || name.ends_with(".cpp");
                assert!(!is_program || listed.contains(&name.as_str()), "{name} is not run");
            }
        }
    };
}

programs! {
    callbacks.c cpp_app.c exceptions.cpp externrefs.c given.c handles.c header_twice.c lifetime.c linkers.c longjmp.c memory.c modules.c nested.c nulls.c pointers.c policies.c regions.c signals.c
    stacks.c structs.c threads.c throws.c traps.c values.c variadic.c waiting.c wasm_exceptions.c windows.c
}

#[test]
fn plugin() {
    run(Command::new("cc")
        .args(["-std=c99", "-shared", "-fPIC", "-g", "-O1"])
        .args(WARNINGS)
        .args(words("WASMBRIDGE_C_FLAGS"))
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
        .arg(source("plugin/plugin.c"))
        .arg(library())
        .args(LIBS)
        .arg("-o")
        .arg(app().join("plugin.so")));
    builds_and_runs("plugin/host.c");
}

#[cfg(feature = "wasi")]
#[test]
fn wasi() {
    run(Command::new("clang-19")
        .args(["--target=wasm32-wasi", "--sysroot=/usr", "-O1"])
        .args(WARNINGS)
        .arg(source("wasi/program.c"))
        .arg("-o")
        .arg(app().join("program.wasm")));
    builds_and_runs("wasi/host.c");
}
