//! How fast compiled code runs, and how fast it is compiled.
//!
//! ```text
//! cargo run --release                          all kernels: native gcc -O2, wasmbridge, Wasmtime
//! cargo run --release -- kernels sort regex    some of them
//! cargo run --release -- compile app.wasm      compiling a module, on one thread each
//! cargo run --release -- dump .                both compilers' code, for objdump -d
//! ```
//!
//! What is compared runs in turn, in one process, again and again; of each the fastest run counts. So the ratios hold on a machine that
//! is busy with other things, where the times do not.

use std::time::{Duration, Instant};
use wasmbridge_compiler::{Config, Cpu, OptLevel};
use wasmbridge_runtime::{Engine, Instance, Linker, Module, Value};
use wasmtime::{Store, TypedFunc};

/// The modules, by their names, with the names of the kernels in them.
const MODULES: &[(&str, &[u8], &[(&str, Kernel)])] = &[
    ("kernels", include_bytes!(concat!(env!("OUT_DIR"), "/kernels.wasm")), KERNELS),
    #[cfg(speedtest1)]
    ("sqlite", include_bytes!(concat!(env!("OUT_DIR"), "/sqlite.wasm")), &[("sqlite", kernel_sqlite)]),
];

#[cfg(speedtest1)]
unsafe extern "C" {
    fn kernel_sqlite(n: u32) -> u32;
}

type Kernel = unsafe extern "C" fn(u32) -> u32;

macro_rules! kernels {
    ($($name:ident = $symbol:ident)*) => {
        unsafe extern "C" {
            $(fn $symbol(n: u32) -> u32;)*
        }
        /// Each kernel, compiled by the host's compiler.
        const KERNELS: &[(&str, Kernel)] = &[$((stringify!($name), $symbol),)*];
    };
}

kernels! {
    matmul = kernel_matmul
    stencil = kernel_stencil
    sha256 = kernel_sha256
    hash = kernel_hash
    regex = kernel_regex
    mandelbrot = kernel_mandelbrot
    sort = kernel_sort
    lists = kernel_lists
    states = kernel_states
    queens = kernel_queens
    lz = kernel_lz
    records = kernel_records
}

/// Rounds of each comparison.
const ROUNDS: usize = 150;
/// What a run of a kernel takes, about: so little that some run is not interrupted even where others use the machine.
const RUN: Duration = Duration::from_millis(2);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        None => kernels(&[]),
        Some("kernels") => kernels(&args[1..]),
        Some("compile") if args.len() == 2 => compile(&args[1]),
        Some("dump") if args.len() == 2 => dump(&args[1]),
        Some("once") if args.len() == 4 => once(&args[1], &args[2], &args[3]),
        _ => {
            eprintln!("usage: kernels [kernels NAME... | compile FILE.wasm | dump DIRECTORY]");
            std::process::exit(2);
        }
    }
}

fn kernels(wanted: &[String]) {
    println!(
        "{:<12} {:>9} {:>11} {:>9} {:>10} {:>10}",
        "kernel", "native", "wasmbridge", "wasmtime", "/ native", "/ wasmtime"
    );
    let (mut to_native, mut to_theirs) = (Vec::new(), Vec::new());
    for (_, wasm, kernels) in MODULES {
        let wanted = |name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
        let kernels: Vec<_> = kernels.iter().filter(|(name, _)| wanted(name)).collect();
        if kernels.is_empty() {
            continue;
        }
        let ours = ours(wasm);
        let (mut store, theirs) = theirs(wasm);
        for (name, native) in kernels {
            let [native, ours, theirs] = compare(name, *native, &ours, &mut store, &theirs);
            println!(
                "{name:<12} {native:>9.2} {ours:>11.2} {theirs:>9.2} {:>10.3} {:>10.3}",
                ours / native,
                ours / theirs
            );
            to_native.push(ours / native);
            to_theirs.push(ours / theirs);
        }
    }
    if cfg!(not(speedtest1)) && wanted.is_empty() {
        println!("{:<12} not run: scripts/kernels says why", "sqlite");
    }
    let (native, theirs) = (mean(&to_native), mean(&to_theirs));
    println!("{:<12} {:>9} {:>11} {:>9} {native:>10.3} {theirs:>10.3}", "geom. mean", "us", "us", "us");
}

/// What a kernel's work takes once, in microseconds: native, here, and with Wasmtime.
fn compare(
    name: &str,
    native: Kernel,
    ours: &Instance,
    store: &mut Store<()>,
    theirs: &wasmtime::Instance,
) -> [f64; 3] {
    let export = format!("kernel_{name}");
    let function: TypedFunc<u32, u32> = theirs.get_typed_func(&mut *store, &export).expect("it is exported");
    let mut runs: [Box<dyn FnMut(u32) -> u32 + '_>; 3] = [
        // SAFETY: the kernels are functions of a number; one thread calls them.
        Box::new(move |n| unsafe { native(n) }),
        Box::new(|n| match ours.call(&export, &[Value::I32(n as i32)]).expect("it does not trap")[0] {
            Value::I32(sum) => sum as u32,
            _ => unreachable!("it returns an i32"),
        }),
        Box::new(|n| function.call(&mut *store, n).expect("it does not trap")),
    ];
    let n = count(&mut *runs[0]);
    let mut best = [Duration::MAX; 3];
    for round in 0..ROUNDS {
        let mut sums = [0; 3];
        for turn in 0..3 {
            let which = (round + turn) % 3;
            let start = Instant::now();
            sums[which] = runs[which](n);
            best[which] = best[which].min(start.elapsed());
        }
        assert!(sums[0] == sums[1] && sums[1] == sums[2], "{name}: {sums:x?}");
    }
    best.map(|time| time.as_secs_f64() * 1e6 / f64::from(n))
}

/// How often a kernel does its work in one run.
fn count(run: &mut dyn FnMut(u32) -> u32) -> u32 {
    let mut n = 1;
    loop {
        let start = Instant::now();
        run(n);
        if start.elapsed() >= RUN || n > 1 << 24 {
            return n;
        }
        n *= 2;
    }
}

fn mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len().max(1) as f64).exp()
}

fn config() -> Config {
    Config { cpu: Cpu::Native, ..Config::default() }
}

fn ours(wasm: &[u8]) -> Instance {
    let engine = Engine::new(Default::default()).expect("an engine starts");
    let artifact = wasmbridge_compiler::compile(wasm, &config()).expect("the kernels compile");
    let module = Module::load(&engine, &artifact).expect("the artifact loads");
    Linker::new(&engine).instantiate(&module).expect("the kernels import nothing")
}

fn theirs(wasm: &[u8]) -> (Store<()>, wasmtime::Instance) {
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, wasm).expect("the kernels compile");
    let mut store = Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("the kernels import nothing");
    // A reactor's constructors, which wasmbridge calls by itself.
    if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut store, "_initialize") {
        initialize.call(&mut store, ()).expect("it does not trap");
    }
    (store, instance)
}

/// Writes the kernels' code, as both compilers make it: `objdump -d` reads it.
fn dump(directory: &str) {
    for (name, wasm, _) in MODULES {
        let ours = wasmbridge_compiler::compile(wasm, &config()).expect("the kernels compile");
        let theirs = wasmtime::Engine::default().precompile_module(wasm).expect("the kernels compile");
        for (engine, code) in [("wasmbridge", &ours), ("wasmtime", &theirs)] {
            let path = std::path::Path::new(directory).join(format!("{name}.{engine}.elf"));
            std::fs::write(&path, code).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
}

fn compile(path: &str) {
    let wasm = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    println!("{path}, {} bytes, on one thread; processor time, and the peak of memory", wasm.len());
    println!(
        "{:<10} {:>11} {:>9} {:>8} {:>14} {:>9} {:>8}",
        "opt level", "wasmbridge", "wasmtime", "ratio", "", "", "ratio"
    );
    for level in ["none", "less", "speed"] {
        let mut best = [Duration::MAX; 2];
        for _ in 0..5 {
            let start = cpu_time();
            by_ours(&wasm, level);
            let middle = cpu_time();
            by_theirs(&wasm, level);
            best = [best[0].min(middle - start), best[1].min(cpu_time() - middle)];
        }
        let [ours, theirs] = best.map(|time| time.as_secs_f64());
        let [our_peak, their_peak] = ["wasmbridge", "wasmtime"].map(|engine| peak(engine, level, path));
        println!(
            "{level:<10} {ours:>9.3} s {theirs:>7.3} s {:>8.3} {our_peak:>10} KiB {their_peak:>5} KiB {:>8.3}",
            ours / theirs,
            our_peak as f64 / their_peak as f64
        );
    }
}

fn by_ours(wasm: &[u8], level: &str) -> Vec<u8> {
    let opt_level = match level {
        "none" => OptLevel::None,
        "less" => OptLevel::Less,
        _ => OptLevel::Speed,
    };
    let config = Config { opt_level, threads: Some(1), ..config() };
    wasmbridge_compiler::compile(wasm, &config).expect("the module compiles")
}

fn by_theirs(wasm: &[u8], level: &str) -> Vec<u8> {
    let mut settings = wasmtime::Config::new();
    settings.cranelift_opt_level(if level == "speed" { wasmtime::OptLevel::Speed } else { wasmtime::OptLevel::None });
    if level == "none" {
        settings.cranelift_regalloc_algorithm(wasmtime::RegallocAlgorithm::SinglePass);
    }
    let engine = wasmtime::Engine::new(&settings).expect("the settings are good");
    engine.precompile_module(wasm).expect("the module compiles")
}

/// The most memory that a process has which compiles a module once, in KiB.
fn peak(engine: &str, level: &str, path: &str) -> u64 {
    let this = std::env::current_exe().expect("it is running");
    let output = std::process::Command::new(this).args(["once", engine, level, path]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| panic!("{engine} {level}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Compiles a module once and prints this process's peak of memory.
fn once(engine: &str, level: &str, path: &str) {
    let wasm = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let by = if engine == "wasmtime" { by_theirs } else { by_ours };
    std::hint::black_box(by(&wasm, level));
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux counts it");
    println!("{}", peak.trim_end_matches("kB").trim());
}

/// What this process has used of processors so far.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to what it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
