//! What the counts share.

use iai_callgrind::{Callgrind, EventKind, LibraryBenchmarkConfig};

/// A limit that fails the run.
pub fn budget(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    // What a set-up runs does not count, and takes long where it is traced.
    config.valgrind_args(["--trace-children=no"]);
    config
}
