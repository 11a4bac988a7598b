//! `wasmbridge run` with programs that clang makes of C for WASI.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A directory with `program.wasm` and `reactor.wasm`, for all tests to read.
fn guests() -> &'static Path {
    static GUESTS: OnceLock<TempDir> = OnceLock::new();
    GUESTS
        .get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            for (name, flags) in [("program", &[][..]), ("reactor", &["-mexec-model=reactor"])] {
                let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name).with_extension("c");
                let clang = Command::new("clang-19")
                    .args(["--target=wasm32-wasi", "--sysroot=/usr", "-O1", "-g", "-Wall", "-Werror"])
                    .args(flags)
                    .arg(source)
                    .arg("-o")
                    .arg(directory.path().join(name).with_extension("wasm"))
                    .output()
                    .expect("clang-19 runs: `make setup` installs it");
                assert!(clang.status.success(), "{}", String::from_utf8_lossy(&clang.stderr));
            }
            directory
        })
        .path()
}

/// A directory of its own, with a cache below it.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Workshop {
        Workshop(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasmbridge"));
        command.env("XDG_CACHE_HOME", self.path("cache")).current_dir(self.0.path());
        command
    }

    /// Runs `program.wasm`: options, then arguments.
    fn run(&self, options: &[&str], args: &[&str]) -> Outcome {
        self.run_app(&guests().join("program.wasm"), options, args)
    }

    fn run_app(&self, app: &Path, options: &[&str], args: &[&str]) -> Outcome {
        let output =
            self.command().arg("run").arg(app).args(options).arg("--").args(args).stdin(Stdio::null()).output();
        Outcome(output.unwrap())
    }

    /// Names of what is in the cache.
    fn kept(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("cache/wasmbridge")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[derive(Debug)]
struct Outcome(Output);

impl Outcome {
    #[track_caller]
    fn prints(&self, expected: &str) {
        let (out, error) = (String::from_utf8_lossy(&self.0.stdout), String::from_utf8_lossy(&self.0.stderr));
        assert_eq!((out.as_ref(), error.as_ref(), self.0.status.code()), (expected, "", Some(0)));
    }

    #[track_caller]
    fn fails(&self, status: i32, words: &[&str]) {
        let error = String::from_utf8_lossy(&self.0.stderr);
        assert_eq!(self.0.status.code(), Some(status), "{error}");
        for word in words {
            assert!(error.contains(word), "no `{word}` in: {error}");
        }
    }
}

#[test]
fn a_program_gets_its_arguments_and_named_variables_only() {
    let workshop = Workshop::new();
    let name = guests().join("program.wasm");
    workshop.run(&[], &["echo", "--dir", "ä b", ""]).prints(&format!("{}\necho\n--dir\nä b\n\n", name.display()));
    let mut command = workshop.command();
    command.env("SECRET", "no").env("SHARED", "yes").arg("run").arg(&name);
    let output = command.args(["--env", "SHARED", "--env", "X=a=b", "--", "echo"]).output().unwrap();
    Outcome(output).prints(&format!("{}\necho\nSHARED=yes\nX=a=b\n", name.display()));
    workshop.run(&["--env", "ABSENT_VARIABLE"], &["echo"]).fails(1, &["--env ABSENT_VARIABLE"]);
    workshop.run(&["--env", "=x"], &["echo"]).fails(1, &["cannot be the name of a variable"]);
}

#[test]
fn streams_go_through() {
    let workshop = Workshop::new();
    let mut child = workshop
        .command()
        .arg("run")
        .arg(guests().join("program.wasm"))
        .args(["--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = "line\n".repeat(50_000);
    let mut stdin = child.stdin.take().unwrap();
    let written = text.clone();
    let writer = std::thread::spawn(move || stdin.write_all(written.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.stdout, text.as_bytes());
    assert_eq!(output.stderr, b"done\n");
    workshop.run(&[], &["floats"]).prints("0.10000000000000001 0x1.5555555555555p-2 -1.000000e-300 inf\n");
    workshop.run(&[], &["clocks"]).prints("slept long enough, date plausible, random yes\n");
}

#[test]
fn a_directory_is_open_where_it_is_named_and_nothing_outside_of_it() {
    let workshop = Workshop::new();
    fs::create_dir(workshop.path("shared")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", workshop.path("shared/out")).unwrap();
    workshop.run(&["--dir", "shared::/data"], &["files"]).prints(
        "read: 42 and 2.500\n\
         mkdir 0, again -1 File exists\n\
         rename 0\n\
         stat 0, 20 bytes\n\
         symlink 0, readlink 13\n\
         truncate 0\n\
         linked: number\n\
         unlink 0, rmdir of what is not empty -1 Directory not empty\n\
         below: Operation not permitted\n\
         beside: Capabilities insufficient\n\
         through a link: Operation not permitted\n",
    );
    assert_eq!(fs::read(workshop.path("shared/sub/moved.txt")).unwrap(), b"number");
    workshop.run(&[], &["files"]).prints("open: Capabilities insufficient\n");
    workshop.run(&["--dir", "nowhere"], &["files"]).fails(1, &["cannot open the directory `nowhere`"]);

    // More entries than one buffer of readdir holds.
    fs::create_dir(workshop.path("many")).unwrap();
    for i in 0..700 {
        fs::write(workshop.path(&format!("many/a file with a long name {i}")), "").unwrap();
    }
    workshop.run(&["--dir", "many"], &["list", "many"]).prints("700 entries\n");
    workshop.run(&["--dir", "many"], &["list", "shared"]).prints("opendir: Capabilities insufficient\n");
}

#[test]
fn the_exit_status_is_the_programs() {
    let workshop = Workshop::new();
    for (command, status, expected) in
        [("exit", "0", 0), ("exit", "3", 3), ("exit", "126", 126), ("exit", "-1", 255), ("return", "7", 7)]
    {
        let outcome = workshop.run(&[], &[command, status]);
        assert_eq!(outcome.0.status.code(), Some(expected), "{command} {status}: {outcome:?}");
        assert!(outcome.0.stderr.is_empty(), "{outcome:?}");
        assert_eq!(outcome.0.stdout, if command == "exit" { &b"before\n"[..] } else { b"" });
    }
}

#[test]
fn a_trap_prints_a_backtrace_and_ends_with_134() {
    let workshop = Workshop::new();
    let outcome = workshop.run(&[], &["trap"]);
    outcome.fails(134, &["program.wasm: trap: out of bounds memory access: guest address 0x7fffff00", "0: ", "_start"]);
    assert_eq!(outcome.0.stdout, b"before\n");
}

#[test]
fn what_is_compiled_is_kept_and_mended() {
    let workshop = Workshop::new();
    let echo = || assert!(workshop.run(&[], &["echo"]).0.status.success());
    echo();
    let kept = workshop.kept();
    assert_eq!(kept.len(), 1);
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&kept[0]).unwrap());
    let first = inode();
    echo();
    assert_eq!(inode(), first, "it was compiled again");

    // Damaged, it is made anew.
    fs::write(&kept[0], b"\x7fELF and nothing more").unwrap();
    echo();
    assert_eq!(workshop.kept(), kept);
    assert!(fs::metadata(&kept[0]).unwrap().len() > 10_000);

    // Other code is another artifact; and without the cache nothing is kept.
    assert!(workshop.run(&["-O0"], &["echo"]).0.status.success());
    assert_eq!(workshop.kept().len(), 2);
    assert!(workshop.run(&["--no-cache", "-O1"], &["echo"]).0.status.success());
    assert_eq!(workshop.kept().len(), 2);
}

#[test]
fn many_may_compile_the_same_program_at_once() {
    let workshop = Workshop::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| workshop.run(&["-O0"], &["exit", "9"]).fails(9, &[]));
        }
    });
    assert_eq!(workshop.kept().len(), 1);
}

#[test]
fn a_cache_that_others_may_write_to_is_not_used() {
    let workshop = Workshop::new();
    fs::create_dir_all(workshop.path("cache/wasmbridge")).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(workshop.path("cache/wasmbridge"), open).unwrap();
    workshop.run(&["-O0"], &["exit", "4"]).fails(4, &["is not used: others may write to it"]);
    assert!(workshop.kept().is_empty());
}

#[test]
fn functions_of_libraries_are_invoked() {
    let workshop = Workshop::new();
    let app = guests().join("reactor.wasm");
    workshop.run_app(&app, &["--invoke", "add"], &["1", "-2"]).prints("39\n");
    workshop.run_app(&app, &["--invoke", "half"], &["2.5"]).prints("1.25\n");
    workshop.run_app(&app, &["--invoke", "hello"], &[]).prints("hello from a library, 40\n");
    workshop.run_app(&app, &["--invoke", "add"], &["1"]).fails(1, &["takes 2 arguments, 1 are given"]);
    workshop.run_app(&app, &["--invoke", "add"], &["1", "x"]).fails(1, &["`x`", "expected an integer of 32 bits"]);
    workshop.run_app(&app, &["--invoke", "missing"], &[]).fails(1, &["exports no function `missing`", "half"]);
    workshop.run_app(&app, &[], &[]).fails(1, &["it exports no `_start`", "--invoke", "add"]);
}

#[test]
fn artifacts_and_text_run_as_well() {
    let workshop = Workshop::new();
    let wasm = guests().join("program.wasm");
    let artifact = workshop.path("program.wbm");
    assert!(workshop.command().arg("compile").arg(&wasm).arg("-o").arg(&artifact).status().unwrap().success());
    workshop.run_app(&artifact, &[], &["exit", "5"]).fails(5, &[]);
    assert!(workshop.kept().is_empty());
    fs::write(
        workshop.path("f.wat"),
        r#"(module (func (export "f") (result i64 f32) (i64.const -9) (f32.const 0.5)))"#,
    )
    .unwrap();
    workshop.run_app(Path::new("f.wat"), &["--invoke", "f"], &[]).prints("-9\n0.5\n");
}

#[test]
fn what_cannot_be_run_says_why() {
    let workshop = Workshop::new();
    let write = |name: &str, text: &str| {
        fs::write(workshop.path(name), text).unwrap();
        PathBuf::from(name)
    };
    let run = |path: &Path| workshop.run_app(path, &[], &[]);
    run(Path::new("absent.wasm")).fails(1, &["absent.wasm: cannot read the file"]);
    run(&write("empty.wasm", "")).fails(1, &["the file is empty"]);
    run(&write("elf.wbm", "\x7fELF")).fails(1, &["elf.wbm", "truncated"]);
    run(&write("import.wat", r#"(module (import "env" "f" (func)) (func (export "_start")))"#))
        .fails(1, &["`env.f`: not defined"]);
    let wrong = r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64))) (func (export "_start")))"#;
    run(&write("type.wat", wrong)).fails(1, &["`wasi_snapshot_preview1.fd_close`", "(i64) -> ()", "(i32) -> i32"]);
    let no_memory = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $y (result i32)))
        (func (export "_start") (drop (call $y))))"#;
    run(&write("memory.wat", no_memory)).fails(134, &["host function failed", "exports no memory named `memory`"]);
}
