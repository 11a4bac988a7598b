//! What it takes to load an artifact of about a megabyte, to make an instance, and to make another: the memory image is mapped, not copied.
//!
//! The file is in the page cache, as that of an app which was run before is. An engine opens it for the first time, which reads it through, and
//! again. Times are of this machine and this moment.
//! `load --write PATH` only writes the artifact: compiling is a matter of minutes where instructions are counted.

use std::time::{Duration, Instant};
use wasmbridge_benches::{LargeApp, write_large};
use wasmbridge_runtime::Value;

const ROUNDS: usize = 401;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [] => {}
        [option, path] if option == "--write" => return write_large(path.as_ref()),
        _ => panic!("usage: load [--write PATH]"),
    }
    let app = LargeApp::new(write_large);
    println!("an artifact of {} bytes, {ROUNDS} times", app.len_bytes());
    println!(" for the first time:");
    measure(&app, || app.forget());
    app.settle();
    println!(" again:");
    measure(&app, || ());
}

/// Opens the file and makes two instances, again and again, and prints what that takes.
fn measure(app: &LargeApp, before: impl Fn()) {
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        before();
        let start = Instant::now();
        let module = app.open();
        let opened = Instant::now();
        let first = app.instantiate(&module);
        let instantiated = Instant::now();
        let second = app.instantiate(&module);
        let again = Instant::now();
        let result = first.call("large", &[Value::I32(5), Value::I32(0), Value::I32(0)]);
        assert_eq!(result.expect("it does not trap"), [Value::I32(5)]);
        drop((first, second, module));
        let durations = [opened - start, instantiated - opened, instantiated - start, again - instantiated];
        for (times, duration) in times.iter_mut().zip(durations) {
            times.push(duration);
        }
    }
    let names = ["open", "instantiate", "both", "instantiate again"];
    for (name, times) in names.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 10].as_secs_f64() * 1e6;
        println!("  {name:18} {:7.1} us (median; {:.1} to {:.1} are eight of ten)", at(5), at(1), at(9));
    }
}
