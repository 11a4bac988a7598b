//! Where the programs are, and what running one gives.

use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The folders of programs, each of which is a program of its own.
const FOLDERS: [&str; 4] = ["libffi.call", "libffi.closures", "libffi.complex", "libffi.threads"];

/// Two programs that try so many functions each, and print what a direct call and what libffi's gave, one below the other.
const PAIRS: [(&str, usize); 2] = [("libffi.bhaible/test-call.c", 79), ("libffi.bhaible/test-callback.c", 78)];

/// What libffi's `configure` would have found out, as far as the programs look at it.
const CONFIG: &str = "
#define STDC_HEADERS 1
#define HAVE_ALLOCA_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_STDINT_H 1
#define HAVE_LONG_DOUBLE 1
#define HAVE_MEMCPY 1
#define HAVE_MMAP_ANON 1
#define FFI_EXEC_STATIC_TRAMP 1
#define FFI_HIDDEN
";

/// The programs, and a folder to build them in.
pub(crate) struct Suite {
    sources: PathBuf,
    build: TempDir,
}

/// A program.
pub(crate) struct Program {
    /// below the folder of all of them
    pub(crate) name: String,
}

/// What a program gave.
pub(crate) struct Outcome {
    /// `passes`, or why it does not
    pub(crate) summary: String,
    /// all that it printed
    pub(crate) output: String,
}

impl Outcome {
    pub(crate) fn passes(&self) -> bool {
        self.summary == "passes"
    }
}

impl Suite {
    /// Finds the sources, and writes the headers that libffi's `configure` makes.
    pub(crate) fn new() -> Suite {
        let suite = Suite { sources: package().join("libffi"), build: tempfile::tempdir().unwrap() };
        let template = std::fs::read_to_string(suite.sources.join("include/ffi.h.in")).unwrap();
        let header = [
            ("@TARGET@", "X86_64"),
            ("@HAVE_LONG_DOUBLE@", "1"),
            ("@FFI_EXEC_TRAMPOLINE_TABLE@", "0"),
            ("@FFI_VERSION_NUMBER@", "0"),
        ]
        .iter()
        .fold(template, |text, (name, value)| text.replace(name, value));
        std::fs::write(suite.build.path().join("ffi.h"), header).unwrap();
        std::fs::write(suite.build.path().join("fficonfig.h"), CONFIG).unwrap();
        suite
    }

    /// All programs, sorted.
    pub(crate) fn programs(&self) -> Vec<Program> {
        let mut names: Vec<String> = PAIRS.map(|(name, _)| name.to_owned()).into();
        for folder in FOLDERS {
            for file in std::fs::read_dir(self.folder().join(folder)).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".c") || name.ends_with(".cc") {
                    names.push(format!("{folder}/{name}"));
                }
            }
        }
        names.sort();
        names.into_iter().map(|name| Program { name }).collect()
    }

    fn folder(&self) -> PathBuf {
        self.sources.join("testsuite")
    }

    /// Compiles and runs a program.
    pub(crate) fn run(&self, program: &Program) -> Outcome {
        let source = self.folder().join(&program.name);
        let executable = self.build.path().join(program.name.replace(['/', '.'], "_"));
        let compiled = output(&mut self.compiler(&source, &executable));
        if !compiled.status.success() {
            return outcome("does not compile".to_owned(), &compiled);
        }
        // A minute is a thousand times what each takes.
        let ran = output(Command::new("timeout").arg("60").arg(&executable));
        let error = String::from_utf8_lossy(&ran.stderr);
        let complaint = error.lines().find_map(|line| line.strip_prefix("wasmbridge: "));
        let summary = if let Some(complaint) = complaint {
            complaint.trim().to_owned()
        } else if let Some(signal) = ran.status.signal() {
            format!("ends with signal {signal}")
        } else if !ran.status.success() {
            format!("ends with code {}", ran.status.code().unwrap())
        } else if let Some(wrong) = self.wrong_output(program, &source, &ran) {
            wrong
        } else {
            "passes".to_owned()
        };
        outcome(summary, &ran)
    }

    fn compiler(&self, source: &Path, executable: &Path) -> Command {
        let library = std::env::current_exe().unwrap().with_file_name("libwasmbridge_libffi.so");
        assert!(library.exists(), "{} is missing", library.display());
        let mut command = Command::new(if source.extension().unwrap() == "cc" { "g++" } else { "gcc" });
        command.args(["-O2", "-w", "-I"]).arg(self.build.path());
        for folder in ["include", "src/x86", "testsuite/libffi.call"] {
            command.arg("-I").arg(self.sources.join(folder));
        }
        command.arg(source).arg("-o").arg(executable).arg(&library);
        command.arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display())).args(["-lm", "-lpthread"]);
        command
    }

    /// What is wrong with what a program has printed, if something is.
    fn wrong_output(&self, program: &Program, source: &Path, ran: &Output) -> Option<String> {
        let printed = String::from_utf8_lossy(&ran.stdout);
        if let Some((_, count)) = PAIRS.iter().find(|(name, _)| *name == program.name) {
            let lines: Vec<&str> = printed.lines().collect();
            let (pairs, rest) = lines.as_chunks::<2>();
            return match pairs.iter().find(|[direct, ours]| direct != ours) {
                Some([direct, ours]) => Some(format!("prints `{ours}`, not `{direct}`")),
                None if pairs.len() != *count || !rest.is_empty() => Some(format!("prints {} lines", lines.len())),
                None => None,
            };
        }
        let text = std::fs::read_to_string(source).unwrap();
        let expected: String = text.lines().filter_map(expected_output).collect();
        (!printed.contains(&expected)).then(|| "prints something else than it should".to_owned())
    }
}

/// The output that a line of a program says that the program prints: `{ dg-output "..." }`.
fn expected_output(line: &str) -> Option<String> {
    let (_, text) = line.split_once("dg-output \"")?;
    // What follows says for which systems something else is expected.
    let text = &text[..text.find("\" {").or_else(|| text.rfind('"'))?];
    Some(text.replace("\\n", "\n").replace('\\', ""))
}

fn outcome(summary: String, output: &Output) -> Outcome {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    Outcome { summary, output: text }
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Where cargo has put the package `libffi-sys`.
fn package() -> PathBuf {
    let done = output(
        Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--locked", "--features=sources", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .arg("--filter-platform=x86_64-unknown-linux-gnu"),
    );
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let metadata: Value = serde_json::from_slice(&done.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "libffi-sys").expect("the feature needs it");
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}
