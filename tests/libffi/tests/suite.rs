//! libffi's test programs: each is compiled by gcc, linked with this crate instead of libffi, and run.
//!
//! `expected.txt` records what each gave. A program that passed and does not any more is an error, and so is one that passes now or fails in another
//! way: `WASMBRIDGE_BLESS=1 cargo test -p wasmbridge-libffi-tests` records it, but never fewer that pass. The programs come with the
//! package `libffi-sys`; they lie where cargo has put it.

mod programs;

use programs::{Outcome, Program, Suite};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs the programs on all processors, with what each gave.
fn run_all(suite: &Suite, programs: &[Program]) -> BTreeMap<String, Outcome> {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(program) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = suite.run(program);
                    outcomes.lock().unwrap().insert(program.name.clone(), outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

/// How many programs a list says pass.
fn passing(list: &str) -> usize {
    list.lines().filter(|line| line.ends_with(": passes")).count()
}

#[test]
fn libffi_programs_give_what_is_recorded() {
    let suite = Suite::new();
    let programs = suite.programs();
    assert!(programs.len() > 150, "only {} programs were found", programs.len());
    let outcomes = run_all(&suite, &programs);
    let (mut list, mut details) = (String::new(), String::new());
    for (name, outcome) in &outcomes {
        writeln!(list, "{name}: {}", outcome.summary).unwrap();
        if !outcome.passes() {
            writeln!(details, "{name}: {}\n{}", outcome.summary, outcome.output).unwrap();
        }
    }
    println!("{} programs, {} pass", programs.len(), passing(&list));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected.txt");
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let lost: Vec<&str> =
        expected.lines().filter(|line| line.ends_with(": passes") && !list.lines().any(|now| now == *line)).collect();
    assert!(lost.is_empty(), "these passed, and do not any more:\n{}\n\n{details}", lost.join("\n"));
    if std::env::var_os("WASMBRIDGE_BLESS").is_some() {
        std::fs::write(&path, &list).unwrap();
    } else {
        let changed: Vec<&str> = list.lines().filter(|now| !expected.lines().any(|line| line == *now)).collect();
        assert_eq!(
            expected,
            list,
            "not as recorded; if it is an improvement, record it with WASMBRIDGE_BLESS=1:\n{}\n\n{details}",
            changed.join("\n")
        );
    }
}
