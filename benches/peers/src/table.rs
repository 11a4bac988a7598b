//! The table, as Markdown.

use crate::measure::{ROWS, Row, Time};
use crate::peers::Peer;
use std::fmt::Write as _;

const NOTES: &str = "
In a cell: the time of a call (of the sort), the median of rounds in which the peers take turns; how many times the native one's that is, the median of the
rounds' ratios; and instructions for a call, with the loop around it (for a sort of 5,000 ints: as a multiple of the native one's).

- Only wasmbridge and libffi make C function pointers. wasmtime's users write a native function that finds the instance in a thread-local (C: static) variable,
  and checks and translates pointers; it is part of what is measured.
- libffi calls native code; it converts nothing and checks nothing.
- wasmtime is built without the features that these calls do not need.
";

pub fn table(peers: &[Peer], times: &[Vec<Time>], counts: Option<&[Vec<f64>]>) -> String {
    let mut text = String::from("| |");
    ROWS.iter().for_each(|row| write!(text, " {} |", row.title()).expect("writing to a string"));
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(ROWS.len()));
    for (i, peer) in peers.iter().enumerate() {
        write!(text, "\n| {} |", peer.name).expect("writing to a string");
        for (r, row) in ROWS.iter().enumerate() {
            let count = counts.map(|counts| counts[r][i]);
            write!(text, " {} |", cell(*row, times[r][i], count)).expect("writing to a string");
        }
    }
    text.push('\n');
    text.push_str(NOTES);
    text
}

fn cell(row: Row, time: Time, count: Option<f64>) -> String {
    let Time { nanoseconds, ratio } = time;
    let ratio = if ratio < 10.0 { format!("{ratio:.2}×") } else { format!("{ratio:.0}×") };
    if row == Row::Sort {
        let count = count.map_or(String::new(), |count| format!(", {count:.2}×"));
        return format!("{:.0} ms, {ratio}{count}", nanoseconds / 1e6);
    }
    let time = if nanoseconds < 10.0 { format!("{nanoseconds:.1} ns") } else { format!("{nanoseconds:.0} ns") };
    let count = count.map_or(String::new(), |count| format!(", {count:.0}"));
    format!("{time}, {ratio}{count}")
}
