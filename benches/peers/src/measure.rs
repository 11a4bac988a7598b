//! The work that is measured, and how long it takes.

use crate::peers::Peer;
use std::ffi::c_int;
use std::hint::black_box;
use std::time::Instant;

/// `int (int)`
pub type Import = unsafe extern "C" fn(c_int) -> c_int;

/// Ints that each peer has room for.
pub const INTS: usize = SORTED;

/// How many ints are sorted.
const SORTED: usize = 1_000_000;

/// Calls in one round.
const CALLS: usize = 20_000;

/// What is measured of each peer.
#[derive(Clone, Copy, PartialEq)]
#[repr(C)]
pub enum Row {
    /// C calls wasm: `int (int, int)`
    CallbackAdd,
    /// C calls wasm: `int (const void *, const void *)`
    CallbackCompare,
    /// wasm calls C: `int (int, int)`
    Import,
    /// `qsort`
    Sort,
}

pub const ROWS: [Row; 4] = [Row::CallbackAdd, Row::CallbackCompare, Row::Import, Row::Sort];

impl Row {
    pub fn title(self) -> &'static str {
        match self {
            Row::CallbackAdd => "callback `int (int, int)`",
            Row::CallbackCompare => "callback, two pointers",
            Row::Import => "import `int (int, int)`",
            Row::Sort => "`qsort` of 1,000,000 ints",
        }
    }

    /// Rounds that are timed, and how much work each is.
    fn rounds(self) -> (usize, usize) {
        if self == Row::Sort { (3, SORTED) } else { (21, CALLS) }
    }
}

/// Does the work of a row: so many calls, or a sort of so many ints, which must have been filled.
pub fn work(peer: &Peer, row: Row, amount: usize) {
    let amount_int = c_int::try_from(amount).expect("a small number");
    // SAFETY: the peer's functions have these types, and there are so many ints.
    unsafe {
        match row {
            Row::CallbackAdd => {
                let mut sum = 0;
                for i in 0..amount_int {
                    sum = black_box(peer.add)(sum, i);
                }
                black_box(sum);
            }
            Row::CallbackCompare => {
                let (a, b) = (peer.ints, peer.ints.wrapping_add(1));
                let mut sum = 0;
                for _ in 0..amount {
                    sum += black_box(peer.compare)(a.cast(), b.cast());
                }
                black_box(sum);
            }
            Row::Import => {
                black_box(black_box(peer.import)(amount_int));
            }
            Row::Sort => libc::qsort(peer.ints.cast(), amount, size_of::<c_int>(), Some(peer.compare)),
        }
    }
}

/// Puts the same numbers into each peer's ints.
pub fn fill(peer: &Peer, count: usize) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for i in 0..count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // SAFETY: there are so many ints.
        unsafe { peer.ints.add(i).write(state as c_int) };
    }
}

/// Stops if the work has not done what it should.
pub fn check(peer: &Peer, count: usize) {
    // SAFETY: there are so many ints, and functions of these types.
    unsafe {
        let sorted = (1..count).all(|i| *peer.ints.add(i - 1) <= *peer.ints.add(i));
        assert!(sorted, "{}: not sorted", peer.name);
        assert_eq!((peer.add)(40, 2), 42, "{}", peer.name);
        assert_eq!((peer.import)(10), 45, "{}", peer.name);
    }
}

/// What a peer took for a row.
#[derive(Clone, Copy)]
pub struct Time {
    /// nanoseconds for a call, or for the sort; the median of all rounds
    pub nanoseconds: f64,
    /// the median of the ratios to the first peer in the same round
    pub ratio: f64,
}

/// For each row, for each peer.
pub fn times(peers: &[Peer]) -> Vec<Vec<Time>> {
    ROWS.iter().map(|row| row_times(peers, *row)).collect()
}

fn row_times(peers: &[Peer], row: Row) -> Vec<Time> {
    let (rounds, amount) = row.rounds();
    let mut took = vec![Vec::with_capacity(rounds); peers.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for (peer, took) in peers.iter().zip(&mut took) {
            fill(peer, if row == Row::Sort { amount } else { 2 });
            let start = Instant::now();
            work(peer, row, amount);
            let time = start.elapsed().as_nanos() as f64;
            if round > 0 {
                took.push(time);
            }
            if row == Row::Sort {
                check(peer, amount);
            }
        }
    }
    let per_unit = if row == Row::Sort { 1.0 } else { amount as f64 };
    let native = took[0].clone();
    let time = |took: &Vec<f64>| Time {
        nanoseconds: median(took.iter().copied()) / per_unit,
        ratio: median(took.iter().zip(&native).map(|(time, native)| time / native)),
    };
    took.iter().map(time).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
