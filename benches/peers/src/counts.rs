//! Instructions, counted by callgrind in a run of this program with an argument.
//!
//! Callgrind collects inside of [`peers_measured`] only, and writes what it has when [`peers_counted`] is called: one file for each peer and row, in
//! the order in which they are run.

use crate::measure::{self, ROWS, Row};
use crate::peers::Peer;
use std::path::Path;
use std::process::{Command, Stdio};

/// The argument.
pub const ARGUMENT: &str = "count";

/// Calls that are counted; their loop takes four instructions or so of each call's.
const CALLS: usize = 1000;

/// Ints that are sorted: a million would take callgrind an hour.
const SORTED: usize = 5000;

fn amount(row: Row) -> usize {
    if row == Row::Sort { SORTED } else { CALLS }
}

/// Does the work; callgrind collects in here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn peers_measured(peer: &Peer, row: Row) {
    measure::work(peer, row, amount(row));
}

/// Callgrind writes a file when this is called.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn peers_counted() {
    std::hint::black_box(());
}

/// What runs below callgrind.
pub fn run(peers: &[Peer]) {
    for row in ROWS {
        for peer in peers {
            measure::fill(peer, SORTED);
            // The first calls do what is done once, such as binding symbols.
            measure::work(peer, row, 10);
            measure::fill(peer, SORTED);
            peers_measured(peer, row);
            peers_counted();
        }
    }
    peers.iter().for_each(|peer| measure::check(peer, SORTED));
}

/// For each row, for each peer: instructions for a call, or for a sort of [`SORTED`] ints relative to the first peer's. `None`
/// without valgrind.
pub fn with_callgrind(peers: usize) -> Option<Vec<Vec<f64>>> {
    let folder = std::env::temp_dir().join(format!("wasmbridge-peers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for callgrind's files");
    let counted = count_in(&folder, peers);
    // What is left behind is in a folder for temporary files.
    let _ = std::fs::remove_dir_all(&folder);
    counted
}

fn count_in(folder: &Path, peers: usize) -> Option<Vec<Vec<f64>>> {
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=peers_measured"])
        .arg("--dump-before=peers_counted")
        .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
        .arg(std::env::current_exe().expect("the program's path"))
        .arg(ARGUMENT)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).expect("a file"))
        .status();
    let Ok(status) = status else {
        eprintln!("peers: valgrind cannot be run: no instructions are counted");
        return None;
    };
    let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    assert!(status.success(), "callgrind: {status}\n{}", log());
    let mut part = 0;
    let mut next = || {
        part += 1;
        total(&folder.join(format!("out.{part}")))
    };
    let mut rows = Vec::new();
    for row in ROWS {
        let totals: Vec<f64> = (0..peers).map(|_| next() as f64).collect();
        let unit = if row == Row::Sort { totals[0] } else { CALLS as f64 };
        rows.push(totals.iter().map(|total| total / unit).collect());
    }
    Some(rows)
}

/// The instructions in one of callgrind's files.
fn total(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let line = text.lines().find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_else(|| panic!("{} has no total", file.display()))
}
