//! What the benches share: the guest on both sides.

use std::ffi::{c_int, c_void};
use wasmbridge_runtime::{CallbackOptions, Engine, Instance, Linker, Module, NativeFn};

/// `int (int, int)`
pub type Add = unsafe extern "C" fn(c_int, c_int) -> c_int;
/// `int (const void *, const void *)`
pub type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;

unsafe extern "C" {
    /// The guest's function, compiled by the host's compiler.
    pub fn bench_add(a: c_int, b: c_int) -> c_int;
    /// See above.
    pub fn bench_compare(a: *const c_void, b: *const c_void) -> c_int;
    /// See above; calls [`host_add`].
    pub fn bench_import(n: c_int) -> c_int;
}

/// The guest, compiled by clang.
pub const WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.wasm"));

/// What the guest imports.
#[unsafe(no_mangle)]
pub extern "C" fn host_add(a: c_int, b: c_int) -> c_int {
    a.wrapping_add(b)
}

/// An app: the guest, compiled by clang and wasmbridge.
pub struct App {
    /// its instance
    pub instance: Instance,
    /// its module
    pub module: Module,
    /// what it was linked with
    pub linker: Linker,
}

impl App {
    /// Compiles, loads and instantiates the guest.
    pub fn new() -> App {
        let engine = Engine::new(Default::default()).expect("the engine starts");
        let artifact = wasmbridge_compiler::compile(WASM, &Default::default()).expect("the guest compiles");
        let module = Module::load(&engine, &artifact).expect("the artifact loads");
        let mut linker = Linker::new(&engine);
        let function: extern "C" fn(c_int, c_int) -> c_int = host_add;
        // SAFETY: `host_add` has this prototype.
        unsafe { linker.define("env", "int host_add(int a, int b)", NativeFn(function as *const u8)) }
            .expect("the prototype parses");
        let instance = linker.instantiate(&module).expect("the guest instantiates");
        App { instance, module, linker }
    }

    fn callback(&self, prototype: &str) -> *const u8 {
        self.instance.callback(prototype, &CallbackOptions::default()).expect("the prototype fits").0
    }

    /// `bench_add` as a C function pointer.
    pub fn add(&self) -> Add {
        // SAFETY: a callback is a C function of its prototype.
        unsafe { std::mem::transmute(self.callback("int bench_add(int, int)")) }
    }

    /// `bench_compare` as a C function pointer.
    pub fn compare(&self) -> Compare {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback("int bench_compare(const void *, const void *)")) }
    }

    /// `bench_import` as a C function pointer.
    pub fn import(&self) -> unsafe extern "C" fn(c_int) -> c_int {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback("int bench_import(int)")) }
    }

    /// The address of an int in the app's memory.
    pub fn ints(&self, count: usize) -> *mut c_int {
        self.instance.native_ptr(1 << 20, 4 * count as u64).expect("the memory is large enough").cast()
    }
}

impl Default for App {
    fn default() -> App {
        App::new()
    }
}
