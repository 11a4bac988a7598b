//! What the benches share: the guest on both sides.

use std::ffi::{c_int, c_void};
use std::path::{Path, PathBuf};
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
    /// See above; calls [`host_leaf`].
    pub fn bench_import_leaf(n: c_int) -> c_int;
    /// See above; calls [`host_pointer`].
    pub fn bench_import_pointer(ints: *const c_int, n: c_int) -> c_int;
    /// See above; calls [`host_pointers`].
    pub fn bench_import_pointers(ints: *const c_int, n: c_int) -> c_int;
    /// See above; calls [`host_visit`].
    pub fn bench_import_function(n: c_int) -> c_int;
    /// See above; calls [`host_object`].
    pub fn bench_import_object(object: *const c_void, n: c_int) -> c_int;
    /// See above.
    pub fn bench_object(object: *const c_void, b: c_int) -> c_int;
    /// See above; the sum of as many numbers.
    pub fn bench_sum(numbers: *const i64, count: c_int) -> i64;
}

/// The guest as other runtimes get it, compiled by clang: it imports [`host_add`] only.
pub const WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/peers.wasm"));
/// The large guest: its artifact has about a megabyte.
const LARGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/large.wasm"));
/// The whole guest.
const GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.wasm"));

/// `int (const int *, int)`: calls an import in a loop.
pub type ImportWith = unsafe extern "C" fn(*const c_int, c_int) -> c_int;
/// `int (struct object *, int)`
pub type WithObject = unsafe extern "C" fn(*const c_void, c_int) -> c_int;
/// `long long (const long long *, int)`
pub type Sum = unsafe extern "C" fn(*const i64, c_int) -> i64;
/// `void (long long *, int)`
pub type Fill = unsafe extern "C" fn(*mut i64, c_int);
/// `int (const void *)`
pub type Event = unsafe extern "C" fn(*const c_void) -> c_int;

/// What the guest imports.
#[unsafe(no_mangle)]
pub extern "C" fn host_add(a: c_int, b: c_int) -> c_int {
    a.wrapping_add(b)
}

/// What the guest imports, as a `[leaf]`.
#[unsafe(no_mangle)]
pub extern "C" fn host_leaf(a: c_int, b: c_int) -> c_int {
    a.wrapping_add(b)
}

/// What the guest imports: with a pointer, which is only passed.
#[unsafe(no_mangle)]
pub extern "C" fn host_pointer(_: *const c_void, b: c_int) -> c_int {
    b.wrapping_add(1)
}

/// What the guest imports: with two pointers.
#[unsafe(no_mangle)]
pub extern "C" fn host_pointers(a: *const c_void, b: *const c_void) -> c_int {
    (a < b).into()
}

/// What the guest imports: with a function, which is only passed.
#[unsafe(no_mangle)]
pub extern "C" fn host_visit(_: Option<Add>, b: c_int) -> c_int {
    b.wrapping_add(1)
}

/// What the guest imports: with an object of the host's.
#[unsafe(no_mangle)]
pub extern "C" fn host_object(_: *const c_void, b: c_int) -> c_int {
    b.wrapping_add(1)
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
        let artifact = wasmbridge_compiler::compile(GUEST, &Default::default()).expect("the guest compiles");
        let module = Module::load(&engine, &artifact).expect("the artifact loads");
        let mut linker = Linker::new(&engine);
        let functions = [
            ("int host_add(int a, int b)", host_add as *const u8),
            ("int host_leaf(int a, int b) [leaf]", host_leaf as *const u8),
            ("int host_pointer(const void *a, int b)", host_pointer as *const u8),
            ("int host_pointers(const void *a, const void *b)", host_pointers as *const u8),
            ("int host_object(struct object *o[handle], int b)", host_object as *const u8),
            ("int host_visit(int (*visit[scope: call])(int, int), int b)", host_visit as *const u8),
        ];
        for (prototype, function) in functions {
            // SAFETY: each function has this prototype.
            unsafe { linker.define("env", prototype, NativeFn(function)) }.expect("the prototype parses");
        }
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

    /// `bench_import_leaf` as a C function pointer.
    pub fn import_leaf(&self) -> unsafe extern "C" fn(c_int) -> c_int {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback("int bench_import_leaf(int)")) }
    }

    /// `bench_import_function` as a C function pointer.
    pub fn import_function(&self) -> unsafe extern "C" fn(c_int) -> c_int {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback("int bench_import_function(int)")) }
    }

    /// `bench_import_pointer` or `bench_import_pointers` as a C function pointer.
    pub fn import_with(&self, name: &str) -> ImportWith {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback(&format!("int {name}(const int *, int)"))) }
    }

    /// `bench_object` or `bench_import_object` as a C function pointer.
    pub fn with_object(&self, name: &str) -> WithObject {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback(&format!("int {name}(struct object *o[handle], int)"))) }
    }

    /// `bench_sum` as a C function pointer.
    pub fn sum(&self) -> Sum {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback("long long bench_sum(const long long *, int)")) }
    }

    /// `bench_fill` as a C function pointer.
    pub fn fill(&self) -> Fill {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback("void bench_fill(long long *, int)")) }
    }

    /// `bench_event` as a C function pointer with this annotation.
    pub fn event(&self, annotation: &str) -> Event {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self.callback(&format!("int bench_event(const void *event[{annotation}])"))) }
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

/// Compiles the large guest into a file.
pub fn write_large(path: &Path) {
    let artifact = wasmbridge_compiler::compile(LARGE, &Default::default()).expect("the large guest compiles");
    std::fs::write(path, artifact).expect("the file can be written to");
}

/// A large artifact in a file, as a host deploys it.
pub struct LargeApp {
    /// the engine that loads it
    pub engine: Engine,
    /// where the file is; removed in the end
    path: PathBuf,
}

impl LargeApp {
    /// Has the file written by `write`, which gets its path.
    pub fn new(write: impl FnOnce(&Path)) -> LargeApp {
        let path = std::env::temp_dir().join(format!("wasmbridge-large-{}.wbm", std::process::id()));
        write(&path);
        LargeApp { engine: Engine::new(Default::default()).expect("the engine starts"), path }
    }

    /// The size of the file in bytes.
    pub fn len_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).expect("it was written").len()
    }

    /// Changes the file's times: what the engine knows of it does not count any more.
    pub fn forget(&self) {
        let file = std::fs::File::options().write(true).open(&self.path).expect("it was written");
        file.set_modified(std::time::SystemTime::now()).expect("it is this process's own");
    }

    /// Waits until the engine remembers the file when it opens it, and opens it.
    pub fn settle(&self) {
        std::thread::sleep(std::time::Duration::from_millis(3500));
        self.open();
    }

    /// Maps the file.
    pub fn open(&self) -> Module {
        Module::open(&self.engine, &self.path).expect("it loads")
    }

    /// An instance.
    pub fn instantiate(&self, module: &Module) -> Instance {
        Linker::new(&self.engine).instantiate(module).expect("it instantiates")
    }
}

impl Drop for LargeApp {
    fn drop(&mut self) {
        // Nothing is lost if it stays.
        let _ = std::fs::remove_file(&self.path);
    }
}
