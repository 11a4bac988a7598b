//! Compiles both sides of a world with the C compilers, and has them call each other.

use crate::random::World;
use std::ffi::{CString, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmbridge_runtime::{CallbackOptions, Engine, Linker, Module, NativeFn, Value};

/// The C compiler for the host.
const CC: &str = "gcc";
/// The C compiler for wasm.
const WASM_CC: &str = "clang-19";

/// Whether both compilers are installed.
pub fn can_run() -> bool {
    [CC, WASM_CC].iter().all(|cc| Command::new(cc).arg("--version").output().is_ok())
}

/// Runs all functions of a world in both directions. How many there were; what was wrong.
pub fn run(world: &World, folder: &Path, optimise: &str) -> (usize, Vec<String>) {
    std::fs::create_dir_all(folder).unwrap();
    let native = compile(folder, "native.c", &world.native(), |c| {
        let mut command = Command::new(CC);
        command.args([optimise, "-w", "-shared", "-fPIC", "-o"]).arg(folder.join("native.so")).arg(c);
        (command, folder.join("native.so"))
    });
    let guest = compile(folder, "guest.c", &world.guest(), |c| {
        let mut command = Command::new(WASM_CC);
        command.args(["--target=wasm32", optimise, "-w", "-ffreestanding", "-fno-builtin", "-nostdlib"]);
        command
            .args(["-Wl,--no-entry", "-Wl,--export-table", "-Wl,--growable-table", "-o"])
            .arg(folder.join("guest.wasm"))
            .arg(c);
        (command, folder.join("guest.wasm"))
    });
    let native = Library::open(&native);
    let artifact = wasmbridge_compiler::compile(&std::fs::read(guest).unwrap(), &Default::default()).unwrap();

    let engine = Engine::new(Default::default()).unwrap();
    let mut linker = Linker::new(&engine);
    for (i, record) in world.records.iter().enumerate() {
        let text = record.prototype(i);
        linker.define_type(&format!("T{i}"), &text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    }
    for (k, function) in world.functions.iter().enumerate() {
        let prototype = function.prototype(world, &format!("n{k}"));
        let address = NativeFn(native.find(&format!("n{k}")).cast());
        // SAFETY: the prototype is what the function was compiled from.
        unsafe { linker.define("c", &prototype, address) }.unwrap_or_else(|error| panic!("{prototype}\n{error}"));
    }
    let module = Module::load(&engine, &artifact).unwrap();
    let app = linker.instantiate(&module).unwrap();
    // SAFETY: a variable of this type in the library.
    unsafe { *native.find("base").cast::<*mut u8>() = app.native_ptr(0, 1).unwrap() };

    let number = |name: &str, k: usize| match app.call(name, &[Value::I32(k as i32)]).unwrap()[..] {
        [Value::I32(number)] => number as u32,
        ref other => panic!("{name}: {other:?}"),
    };
    let counter = |name: &str, k: usize| {
        // SAFETY: arrays in the library with an element for each function.
        unsafe { *native.find(name).cast::<u32>().add(k) }
    };
    // Wrong arguments of functions that were called by pointers, and how many calls there were, on both sides.
    let through_pointers = || {
        let native = |name: &str| counter(name, 0);
        let wrong = native("wrong_through_pointers") | number("through_pointers", 0);
        (wrong, native("calls_through_pointers") + number("through_pointers", 1))
    };
    let mut calls_before = 0;
    let mut problems = Vec::new();
    for (k, function) in world.functions.iter().enumerate() {
        let prototype = function.prototype(world, &format!("g{k}"));
        let mut problem = |what: String| problems.push(format!("{prototype}: {what}"));
        let signature = linker.signature(&prototype).unwrap();
        match app.callback_of(&format!("g{k}"), &signature, &CallbackOptions::default()) {
            Err(error) => problem(format!("no callback: {error}")),
            Ok(callback) => {
                // SAFETY: this is how `call{k}` is declared; it calls the callback by its prototype.
                let wrong_result = unsafe {
                    let call: extern "C" fn(*const u8) -> c_int = std::mem::transmute(native.find(&format!("call{k}")));
                    call(callback.0)
                };
                if let Some(error) = app.take_error() {
                    problem(format!("callback: {error}"));
                }
                if (wrong_result, number("wrong", k), number("called", k)) != (0, 0, 1) {
                    let wrong = number("wrong", k);
                    problem(format!(
                        "callback: wrong arguments {wrong:#b}, result {wrong_result}, calls {}",
                        number("called", k)
                    ));
                }
            }
        }
        match app.call(&format!("try{k}"), &[]) {
            Err(error) => problem(format!("thunk: {error}")),
            Ok(result) => {
                let (wrong, calls) = (counter("wrong_arguments", k), counter("calls", k));
                if (&result[..], wrong, calls) != (&[Value::I32(0)], 0, 1) {
                    problem(format!("thunk: wrong arguments {wrong:#b}, result {result:?}, calls {calls}"));
                }
            }
        }
        let (wrong, calls) = through_pointers();
        if (wrong, calls - calls_before) != (0, 2 * function.calls as u32) {
            problem(format!(
                "through pointers: wrong arguments {wrong:#b}, {} calls instead of {}",
                calls - calls_before,
                2 * function.calls
            ));
        }
        calls_before = calls;
    }
    (world.functions.len(), problems)
}

/// Writes and compiles a file; what came out.
fn compile(folder: &Path, name: &str, text: &str, command: impl FnOnce(&Path) -> (Command, PathBuf)) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    let (mut command, output) = command(&file);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&done.stderr));
    output
}

/// A shared library. It stays loaded.
struct Library(*mut c_void);

impl Library {
    fn open(path: &Path) -> Library {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the library was just compiled, and has no constructors.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "{path:?} cannot be loaded");
        Library(handle)
    }

    fn find(&self, name: &str) -> *mut c_void {
        let text = CString::new(name).unwrap();
        // SAFETY: the library is loaded, the name ends with a zero.
        let address = unsafe { libc::dlsym(self.0, text.as_ptr()) };
        assert!(!address.is_null(), "{name} is not in the library");
        address
    }
}
