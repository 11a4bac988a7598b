//! The command line, run as a person runs it, on real files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A module with an import, a memory, a table, a global and two functions.
const APP: &str = r#"
    (module $app
        (import "env" "log" (func $log (param i32)))
        (memory (export "memory") 1)
        (table (export "table") 1 4 funcref)
        (global (export "level") (mut i64) (i64.const 3))
        (func $twice (export "twice") (param i32) (result i32)
            local.get 0 call $log
            local.get 0 i32.const 2 i32.mul)
        (func $quiet))
"#;

/// A directory with `app.wat` in it.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Workshop {
        let workshop = Workshop(tempfile::tempdir().unwrap());
        workshop.write("app.wat", APP);
        workshop
    }

    /// A directory with `app.wbm` in it, too.
    fn with_artifact() -> Workshop {
        let workshop = Workshop::new();
        workshop.run(&["compile", "app.wat"]).succeeds();
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let output = wasmbridge().args(args).current_dir(self.0.path()).output().unwrap();
        Outcome { args: args.join(" "), output }
    }
}

fn wasmbridge() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wasmbridge"))
}

struct Outcome {
    args: String,
    output: Output,
}

impl Outcome {
    /// What it printed; nothing may be on the standard error.
    #[track_caller]
    fn succeeds(self) -> String {
        let error = String::from_utf8(self.output.stderr).unwrap();
        assert!(self.output.status.success() && error.is_empty(), "`{}`: {error}", self.args);
        String::from_utf8(self.output.stdout).unwrap()
    }

    /// It fails in one `error:`, with these words in it, and prints nothing else.
    #[track_caller]
    fn fails(self, words: &[&str]) {
        let error = String::from_utf8(self.output.stderr).unwrap();
        assert_eq!(self.output.status.code(), Some(1), "`{}`: {error}", self.args);
        assert!(error.starts_with("error: "), "`{}`: {error}", self.args);
        assert_eq!(error.matches("error: ").count(), 1, "`{}`: {error}", self.args);
        assert!(self.output.stdout.is_empty(), "`{}`", self.args);
        for word in words {
            assert!(error.contains(word), "`{}` says:\n{error}expected in it: {word}", self.args);
        }
    }
}

#[test]
fn compile_takes_text_and_binary_alike() {
    let workshop = Workshop::with_artifact();
    workshop.write("binary.wasm", wat::parse_str(APP).unwrap());
    assert_eq!(workshop.run(&["compile", "binary.wasm", "-o", "other"]).succeeds(), "");
    assert_eq!(workshop.read("app.wbm"), workshop.read("other"));
    assert_eq!(workshop.files(), ["app.wat", "app.wbm", "binary.wasm", "other"], "nothing is left behind");
}

#[test]
fn inspect_shows_imports_exports_and_functions() {
    let workshop = Workshop::with_artifact();
    let text = workshop.run(&["inspect", "app.wbm"]).succeeds();
    for line in [
        "module        app",
        "target        x86_64-unknown-linux-gnu",
        "optimisation  speed",
        "spectre       mitigations on",
        "  function env.log: (i32) -> ()",
        "  memory memory: memory 1.. pages",
        "  table table: table 1..=4 funcref",
        "  global level: global mut i64",
        "  function twice: (i32) -> i32",
    ] {
        assert!(text.lines().any(|l| l == line), "no line `{line}` in\n{text}");
    }
    for end in ["  .text", "  quiet: () -> ()", "  twice: (i32) -> i32"] {
        assert!(text.lines().any(|l| l.ends_with(end)), "no line ends in `{end}` in\n{text}");
    }
}

#[test]
fn inspect_prints_json() {
    let workshop = Workshop::with_artifact();
    let text = workshop.run(&["inspect", "--json", "app.wbm"]).succeeds();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["file_bytes"], workshop.read("app.wbm").len());
    assert_eq!(report["name"], "app");
    assert_eq!(report["target"]["triple"], "x86_64-unknown-linux-gnu");
    assert_eq!(report["target"]["bounds_checks"], false);
    assert_eq!(report["imports"][0]["module"], "env");
    assert_eq!(report["imports"][0]["type"], "(i32) -> ()");
    let find = |list: &str, name: &str| {
        let list = report[list].as_array().unwrap();
        list.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name} in {list:?}")).clone()
    };
    assert_eq!(find("exports", "level")["type"], "global mut i64");
    assert_eq!(find("exports", "twice")["index"], 1);
    let twice = find("functions", "twice");
    assert_eq!(twice["kind"], "wasm");
    assert!(twice["bytes"].as_u64().unwrap() > 0);
    let text = find("sections", ".text")["bytes"].as_u64().unwrap();
    let end = twice["offset"].as_u64().unwrap() + twice["bytes"].as_u64().unwrap();
    assert!(end <= text, "{end} {text}");
}

#[test]
fn options_are_recorded_in_the_artifact() {
    let workshop = Workshop::new();
    for (args, pointer, expected) in [
        (&["-O0"][..], "/target/opt_level", serde_json::json!("none")),
        (&["-O1"], "/target/opt_level", serde_json::json!("less")),
        (&["-O2"], "/target/opt_level", serde_json::json!("speed")),
        (&["-Os"], "/target/opt_level", serde_json::json!("speed_and_size")),
        (&["--memory-reservation", "64M"], "/target/memory_reservation", serde_json::json!(64 << 20)),
        (&["--memory-reservation", "64M"], "/target/bounds_checks", serde_json::json!(true)),
        (&["-O2"], "/target/spectre_mitigations", serde_json::json!(true)),
        (&["--no-spectre-mitigations"], "/target/spectre_mitigations", serde_json::json!(false)),
        (&["--target", "native", "--threads", "1"], "/target/triple", serde_json::json!("x86_64-unknown-linux-gnu")),
    ] {
        workshop.run(&[&["compile", "app.wat"], args].concat()).succeeds();
        let report = workshop.run(&["inspect", "--json", "app.wbm"]).succeeds();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report.pointer(pointer), Some(&expected), "{args:?}");
    }
}

#[test]
fn objdump_shows_named_functions() {
    let workshop = Workshop::with_artifact();
    let output = Command::new("objdump").arg("-d").arg(workshop.path("app.wbm")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("<twice>:"), "{text}");
}

#[test]
fn compile_refuses_what_is_no_module() {
    let workshop = Workshop::with_artifact();
    let wasm = wat::parse_str(APP).unwrap();
    workshop.write("empty", "");
    workshop.write("truncated", &wasm[..wasm.len() - 3]);
    workshop.write("header", &wasm[..6]);
    workshop.write("garbage", b"\xff\0\x01");
    workshop.write("text", "(module (func (result i32)))");
    workshop.write("syntax", "(module (fnuc))");
    workshop.run(&["compile", "missing", "-o", "out"]).fails(&["cannot read missing", "No such file"]);
    workshop.run(&["compile", ".", "-o", "out"]).fails(&["cannot read ."]);
    workshop.run(&["compile", "empty", "-o", "out"]).fails(&["empty: the file is empty"]);
    workshop.run(&["compile", "truncated", "-o", "out"]).fails(&["truncated: ", "offset"]);
    workshop.run(&["compile", "header", "-o", "out"]).fails(&["header: "]);
    workshop.run(&["compile", "garbage", "-o", "out"]).fails(&["garbage: ", "neither"]);
    workshop.run(&["compile", "text", "-o", "out"]).fails(&["text: invalid module", "type mismatch"]);
    workshop.run(&["compile", "syntax", "-o", "out"]).fails(&["syntax", "fnuc"]);
    workshop.run(&["compile", "app.wbm", "-o", "out"]).fails(&["app.wbm: ", "artifact already"]);
    workshop.run(&["compile", "app.wat", "--stack-pointer", "7", "-o", "out"]).fails(&["app.wat: "]);
    workshop.run(&["compile", "app.wat", "--memory-reservation", "1K", "-o", "out"]).fails(&["reservation", "1024"]);
    assert!(!workshop.path("out").exists());
}

/// A module with any one bit changed compiles or is refused, and never takes the compiler down.
#[test]
fn compile_survives_flipped_bits() {
    let workshop = Workshop::new();
    let wasm = wat::parse_str(APP).unwrap();
    for at in (8..wasm.len()).step_by(7) {
        let mut flipped = wasm.clone();
        flipped[at] ^= 1 << (at % 8);
        workshop.write("flipped", flipped);
        let outcome = workshop.run(&["compile", "flipped", "-o", "out", "--threads", "1"]);
        match outcome.output.status.code() {
            Some(0) => {}
            _ => outcome.fails(&["flipped: "]),
        }
    }
}

#[test]
fn inspect_refuses_what_is_no_artifact() {
    let workshop = Workshop::with_artifact();
    let artifact = workshop.read("app.wbm");
    workshop.write("app.wasm", wat::parse_str(APP).unwrap());
    workshop.write("empty", "");
    workshop.write("truncated", &artifact[..artifact.len() - 1]);
    workshop.write("head", &artifact[..100]);
    workshop.write("longer", [&artifact[..], b"x"].concat());
    workshop.write("garbage", "int main(void) { return 0; }");
    // The format version and the compiler's version: bytes 8 and 56 of the head, which is behind the ELF header of 64 bytes.
    for (name, at) in [("format", 64 + 8), ("compiler", 64 + 56)] {
        let mut other = artifact.clone();
        other[at] ^= 0x0a;
        workshop.write(name, other);
    }
    workshop.run(&["inspect", "missing"]).fails(&["cannot read missing", "No such file"]);
    workshop.run(&["inspect", "app.wasm"]).fails(&["app.wasm: ", "WebAssembly module", "wasmbridge compile"]);
    workshop.run(&["inspect", "empty"]).fails(&["empty: the file is empty"]);
    workshop.run(&["inspect", "truncated"]).fails(&["truncated: ", "bytes"]);
    workshop.run(&["inspect", "head"]).fails(&["head: ", "truncated"]);
    workshop.run(&["inspect", "longer"]).fails(&["longer: ", "was written with"]);
    workshop.run(&["inspect", "garbage"]).fails(&["garbage: ", "not a wasmbridge artifact"]);
    workshop.run(&["inspect", "format"]).fails(&["format: ", "format version"]);
    workshop.run(&["inspect", "compiler"]).fails(&["compiler: ", "compiler version"]);
}

/// Whichever bit of an artifact is changed, it is refused.
#[test]
fn inspect_refuses_flipped_bits() {
    let workshop = Workshop::with_artifact();
    let artifact = workshop.read("app.wbm");
    for at in (0..artifact.len()).step_by(artifact.len() / 97) {
        let mut flipped = artifact.clone();
        flipped[at] ^= 1 << (at % 8);
        workshop.write("flipped", flipped);
        workshop.run(&["inspect", "flipped"]).fails(&["flipped: "]);
    }
}

#[test]
fn a_failed_write_leaves_everything_as_it_was() {
    let workshop = Workshop::new();
    fs::create_dir(workshop.path("directory")).unwrap();
    workshop.run(&["compile", "app.wat", "-o", "nowhere/app.wbm"]).fails(&["cannot write nowhere/app.wbm"]);
    workshop.run(&["compile", "app.wat", "-o", "directory"]).fails(&["cannot write directory"]);
    workshop.run(&["compile", "app.wat", "-o", "/dev/full"]).fails(&["cannot write /dev/full", "No space"]);
    assert_eq!(workshop.files(), ["app.wat", "directory"]);
}

/// Who has mapped the old artifact keeps it: the new one is another file of the same name.
#[test]
fn an_artifact_is_replaced_not_overwritten() {
    let workshop = Workshop::with_artifact();
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let old = fs::File::open(workshop.path("app.wbm")).unwrap();
    let old_inode = inode(&workshop.path("app.wbm"));
    workshop.run(&["compile", "app.wat", "-O0"]).succeeds();
    assert_ne!(inode(&workshop.path("app.wbm")), old_inode);
    drop(old);
    workshop.run(&["compile", "app.wat", "-o", "/dev/null"]).succeeds();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn wrong_options_say_what_is_expected() {
    let workshop = Workshop::new();
    for (args, words) in [
        (&["compile", "app.wat", "-O7"][..], "possible values"),
        (&["compile", "app.wat", "--target", "z80"], "x86-64-v2"),
        (&["compile", "app.wat", "--memory-reservation", "lots"], "64M or 4G"),
        (&["compile", "app.wat", "--threads", "0"], "threads"),
        (&["compile"], "APP.wasm"),
        (&["inspect"], "APP.wbm"),
        (&["frobnicate"], "frobnicate"),
    ] {
        let outcome = workshop.run(args);
        let error = String::from_utf8(outcome.output.stderr).unwrap();
        assert_eq!(outcome.output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
}

#[test]
fn wast_counts_assertions_and_fails_when_one_does() {
    let workshop = Workshop::new();
    let module = r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;
    let assertion = |sum| format!(r#"(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const {sum}))"#);
    workshop.write("good.wast", format!("{module}\n{}\n{}", assertion(3), assertion(3)));
    workshop.write("bad.wast", format!("{module}\n{}\n{}", assertion(3), assertion(4)));
    workshop.write("broken.wast", "(module");
    assert_eq!(workshop.run(&["wast", "good.wast"]).succeeds(), "good.wast: 3 passed, 0 failed, 0 skipped\n");

    let outcome = workshop.run(&["wast", "good.wast", "bad.wast"]);
    assert_eq!(outcome.output.status.code(), Some(1));
    let printed = String::from_utf8(outcome.output.stdout).unwrap();
    assert!(printed.contains("bad.wast: 2 passed, 1 failed, 0 skipped\n  line 3: returned [I32(3)]"), "{printed}");
    assert!(printed.ends_with("total: 5 passed, 1 failed, 0 skipped\n"), "{printed}");
    assert!(String::from_utf8(outcome.output.stderr).unwrap().contains("1 assertions failed"));

    workshop.run(&["wast", "broken.wast"]).fails(&["broken.wast"]);
    workshop.run(&["wast", "absent.wast"]).fails(&["cannot read absent.wast"]);
}
