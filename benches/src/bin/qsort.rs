//! `qsort` of a million ints with the guest's comparator, against the same comparator compiled by the host's compiler.
//!
//! Times are of this machine and this moment; the ratio, pair by pair in one run, is what to look at.

use std::time::{Duration, Instant};
use wasmbridge_benches::{App, Compare, bench_compare};

const COUNT: usize = 1_000_000;
const ROUNDS: usize = 11;

fn fill(numbers: &mut [i32]) {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    for n in numbers {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *n = state as i32;
    }
}

/// Sorts the same numbers and says how long it took.
fn sort(numbers: &mut [i32], compare: Compare) -> Duration {
    fill(numbers);
    let start = Instant::now();
    // SAFETY: `numbers` are that many ints, and `compare` compares two.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), 4, Some(compare)) };
    let took = start.elapsed();
    assert!(numbers.is_sorted(), "not sorted");
    took
}

fn main() {
    let app = App::new();
    // SAFETY: the ints lie in the app's memory, which nobody else uses meanwhile.
    let numbers = unsafe { std::slice::from_raw_parts_mut(app.ints(COUNT), COUNT) };
    let (wasm, native) = (app.compare(), bench_compare as Compare);
    sort(numbers, wasm);
    let mut pairs: Vec<(Duration, Duration)> =
        (0..ROUNDS).map(|_| (sort(numbers, wasm), sort(numbers, native))).collect();
    pairs.sort_by(|a, b| (a.0.as_secs_f64() / a.1.as_secs_f64()).total_cmp(&(b.0.as_secs_f64() / b.1.as_secs_f64())));
    let ratio = |p: &(Duration, Duration)| p.0.as_secs_f64() / p.1.as_secs_f64();
    let median = pairs[ROUNDS / 2];
    println!("qsort of {COUNT} ints, {ROUNDS} pairs of runs");
    println!("  wasm comparator    {:7.1} ms", median.0.as_secs_f64() * 1e3);
    println!("  native comparator  {:7.1} ms", median.1.as_secs_f64() * 1e3);
    println!(
        "  ratio              {:.3} (median; {:.3} to {:.3})",
        ratio(&median),
        ratio(&pairs[0]),
        ratio(&pairs[ROUNDS - 1])
    );
}
