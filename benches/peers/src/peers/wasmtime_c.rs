//! wasmtime through its C API, with values that it checks, and with values that it does not. `wasmtime_c.c` is the user of it.

use super::Peer;
use crate::measure::Import;
use std::ffi::c_int;
use wasmbridge_benches::{Add, Compare, WASM};
// The C API is linked because of it.
use wasmtime_c_api as _;

/// What `wasmtime_c.c` gives.
#[repr(C)]
struct Functions {
    add: Add,
    compare: Compare,
    import: Import,
    memory: *mut u8,
    memory_bytes: usize,
}

unsafe extern "C" {
    fn peer_wasmtime_c(wasm: *const u8, wasm_bytes: usize, checked: c_int) -> Functions;
}

fn peer(name: &'static str, checked: bool) -> Peer {
    // SAFETY: the bytes of the guest; each of the two is asked for once.
    let f = unsafe { peer_wasmtime_c(WASM.as_ptr(), WASM.len(), c_int::from(checked)) };
    let ints = super::guest_ints(f.memory, f.memory_bytes);
    Peer { name, add: f.add, compare: f.compare, import: f.import, ints }
}

pub fn unchecked() -> Peer {
    peer("wasmtime, C API, unchecked", false)
}

pub fn checked() -> Peer {
    peer("wasmtime, C API", true)
}
