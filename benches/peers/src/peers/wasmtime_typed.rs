//! wasmtime from Rust, through typed functions.
//!
//! It has no C function pointers of wasm functions. So there are native functions that find the instance in a thread-local variable, and check and
//! translate pointers: what somebody who passes them to `qsort` has to write.

use super::Peer;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use wasmbridge_benches::{WASM, host_add};
use wasmtime::{Engine, Linker, Module, Store, TypedFunc};

struct State {
    store: Store<()>,
    add: TypedFunc<(i32, i32), i32>,
    compare: TypedFunc<(i32, i32), i32>,
    import: TypedFunc<i32, i32>,
    memory: *mut u8,
    memory_bytes: usize,
}

thread_local! {
    static STATE: Cell<*mut State> = const { Cell::new(ptr::null_mut()) };
}

/// The instance of this thread.
#[inline]
fn state<'a>() -> &'a mut State {
    // SAFETY: `peer` has set it, on the program's only thread; none of the functions is called by another.
    unsafe { &mut *STATE.get() }
}

extern "C" fn add(a: c_int, b: c_int) -> c_int {
    let state = state();
    state.add.call(&mut state.store, (a, b)).unwrap_or(0)
}

extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
    let state = state();
    let guest_addr = |pointer: *const c_void| {
        let offset = (pointer as usize).wrapping_sub(state.memory as usize);
        (offset < state.memory_bytes).then_some(offset as i32)
    };
    let (Some(a), Some(b)) = (guest_addr(a), guest_addr(b)) else { return 0 };
    state.compare.call(&mut state.store, (a, b)).unwrap_or(0)
}

extern "C" fn import(n: c_int) -> c_int {
    let state = state();
    state.import.call(&mut state.store, n).unwrap_or(0)
}

pub fn peer() -> Peer {
    let engine = Engine::default();
    let module = Module::new(&engine, WASM).expect("the guest is a module");
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "host_add", |a: i32, b: i32| host_add(a, b)).expect("there is no other of this name");
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).expect("the guest instantiates");
    let memory = instance.get_memory(&mut store, "memory").expect("the guest has a memory");
    let (base, memory_bytes) = (memory.data_ptr(&store), memory.data_size(&store));
    let state = State {
        add: instance.get_typed_func(&mut store, "bench_add").expect("its type"),
        compare: instance.get_typed_func(&mut store, "bench_compare").expect("its type"),
        import: instance.get_typed_func(&mut store, "bench_import").expect("its type"),
        memory: base,
        memory_bytes,
        store,
    };
    STATE.set(Box::leak(Box::new(state)));
    Peer { name: "wasmtime, typed, from Rust", add, compare, import, ints: super::guest_ints(base, memory_bytes) }
}
