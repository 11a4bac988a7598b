//! What crossings between C and wasm cost, and what they cost with others: one program, one run, one table.
//!
//! Each peer gives three C function pointers: to the guest's `bench_add` and `bench_compare`, and to `bench_import`, which calls an imported function in a
//! loop (`benches/guest.c`). Times are medians of rounds in which the peers take turns; instructions are counted by callgrind in a run of this same program.
//!
//! `scripts/peers` (`make peers`) runs it.

mod counts;
mod measure;
mod peers;
mod table;

fn main() {
    let peers = peers::all();
    if std::env::args().nth(1).as_deref() == Some(counts::ARGUMENT) {
        return counts::run(&peers);
    }
    let counts = counts::with_callgrind(peers.len());
    let times = measure::times(&peers);
    print!("{}", table::table(&peers, &times, counts.as_deref()));
}
