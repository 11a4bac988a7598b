//! The peers: ways to have C call wasm, and wasm call C.

mod libffi;
mod wasmtime_c;
mod wasmtime_typed;

use crate::measure::Import;
use std::ffi::c_int;
use wasmbridge_benches::{Add, App, Compare, bench_add, bench_compare, bench_import};

/// One way. Its functions live as long as the process.
pub struct Peer {
    /// the name in the table
    pub name: &'static str,
    /// `bench_add`
    pub add: Add,
    /// `bench_compare`
    pub compare: Compare,
    /// `bench_import`
    pub import: Import,
    /// ints that `compare` may look at: so many as `measure` needs
    pub ints: *mut c_int,
}

/// All of them; the first is what the others are compared with.
pub fn all() -> Vec<Peer> {
    vec![native(), wasmbridge(), wasmtime_typed::peer(), wasmtime_c::unchecked(), wasmtime_c::checked(), libffi::peer()]
}

/// Memory for ints of native code.
fn native_ints() -> *mut c_int {
    Box::leak(vec![0; crate::measure::INTS].into_boxed_slice()).as_mut_ptr()
}

/// The same in a guest's memory: behind the first MiB, where it has its own data.
fn guest_ints(memory: *mut u8, memory_bytes: usize) -> *mut c_int {
    const START: usize = 1 << 20;
    assert!(START + 4 * crate::measure::INTS <= memory_bytes, "the guest's memory is too small");
    memory.wrapping_add(START).cast()
}

fn native() -> Peer {
    Peer {
        name: "native function pointer",
        add: bench_add,
        compare: bench_compare,
        import: bench_import,
        ints: native_ints(),
    }
}

fn wasmbridge() -> Peer {
    let app: &App = Box::leak(Box::new(App::new()));
    let (add, compare, import) = (app.add(), app.compare(), app.import());
    Peer { name: "wasmbridge", add, compare, import, ints: app.ints(crate::measure::INTS) }
}
