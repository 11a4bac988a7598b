//! What windows and regions cost: reading through one, making and ending one, and copying instead.
//!
//! Times are of this machine and this moment: medians, and the fastest of the rounds for what the kernel does. The ratios are of one run, pair by pair.

use std::time::{Duration, Instant};
use wasmbridge_benches::{App, bench_sum};
use wasmbridge_runtime::{Grant, Instance, Region, Rights, WindowOptions};

const PAGE: usize = 4096;
const ROUNDS: usize = 401;

/// The median, in nanoseconds, of what a step takes, which says itself what counts.
fn median(mut step: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| step()).collect();
    times.sort();
    times[ROUNDS / 2].as_nanos() as f64
}

fn timed<T>(step: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(step());
    start.elapsed()
}

fn shared(len: usize) -> *mut u8 {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
    // SAFETY: a new mapping.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), len, 3, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "no memory");
    start.cast()
}

/// 256 MiB through a window against C over the same data.
fn sum() {
    let len = 256 << 20;
    let (app, data) = (App::new(), shared(len));
    // SAFETY: fresh memory of this length.
    unsafe { data.write_bytes(1, len) };
    // SAFETY: nobody has a reference to the memory.
    unsafe { app.instance.map_window(data, len, Rights::Read, &WindowOptions::default()) }.expect("it fits");
    let (wasm, count) = (app.sum(), (len / 8) as i32);
    let run = |function: wasmbridge_benches::Sum| {
        // SAFETY: `count` numbers are there.
        timed(|| unsafe { function(data.cast(), count) }).as_secs_f64()
    };
    run(wasm);
    let mut ratios: Vec<f64> = (0..15).map(|_| run(bench_sum) / run(wasm)).collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "sum of 256 MiB through a window: {:.3} of native C's speed (median of 15 pairs; {:.3} to {:.3})",
        ratios[7], ratios[0], ratios[14]
    );
}

/// What the system calls take by themselves, in nanoseconds: the floor of what windows can cost.
struct Bare {
    /// a mapping anywhere, and its end: the least that a pair takes, without a place that it must have
    pair: f64,
    /// shared memory a second time, over a place that is a mapping of its own
    map: f64,
    /// that place again
    unmap: f64,
    /// a file over a part of a reservation
    grant: f64,
    /// pages that are in use, closed
    revoke: f64,
    /// what is mapped at an address
    ask: f64,
}

fn bare(len: usize) -> Bare {
    use libc::{
        MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED, MREMAP_FIXED, MREMAP_MAYMOVE, PROT_NONE,
    };
    let null = std::ptr::null_mut();
    let (data, whole) = (shared(len), 4 * len);
    // SAFETY (all): mappings of this function's own, at addresses that are in them.
    let map = |at, len, access, flags, file| {
        let at = unsafe { libc::mmap(at, len, access, flags, file, 0) };
        assert_ne!(at, libc::MAP_FAILED, "no memory");
        at
    };
    let reserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    let start = map(null, whole, PROT_NONE, reserved, -1);
    let place = start.wrapping_byte_add(len);
    let file = unsafe { libc::memfd_create(c"bare".as_ptr(), 0) };
    assert_eq!(unsafe { libc::ftruncate(file, len as i64) }, 0);
    let vacate = || map(place, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
    let alias = || unsafe { libc::mremap(data.cast(), 0, len, MREMAP_MAYMOVE | MREMAP_FIXED, place) };
    let share = || map(place, len, 3, MAP_SHARED | MAP_FIXED, file);
    let after = |took: Duration, _: *mut std::ffi::c_void| took;
    let pair = median(|| {
        timed(|| {
            let at = map(null, len, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1);
            unsafe { libc::munmap(at, len) }
        })
    });
    vacate();
    let times = Bare {
        pair,
        map: median(|| after(timed(alias), vacate())),
        unmap: median(|| {
            alias();
            timed(vacate)
        }),
        grant: median(|| {
            map(start, whole, PROT_NONE, reserved | MAP_FIXED, -1);
            timed(share)
        }),
        revoke: median(|| {
            share();
            unsafe { place.cast::<u8>().write_bytes(1, len) };
            timed(|| unsafe { libc::mprotect(place, len, PROT_NONE) })
        }),
        ask: asking(data),
    };
    unsafe { (libc::munmap(start, whole), libc::munmap(data.cast(), len), libc::close(file)) };
    times
}

/// What it takes to ask the kernel what is mapped at an address (`PROCMAP_QUERY`); not a number before Linux 6.11.
fn asking(address: *const u8) -> f64 {
    use std::os::fd::AsRawFd;
    const QUERY: libc::c_ulong = 3 << 30 | 104 << 16 | (b'f' as libc::c_ulong) << 8 | 17;
    let maps = std::fs::File::open("/proc/self/maps").expect("proc is mounted");
    let mut failed = false;
    let took = median(|| {
        let mut query = [0u64; 13];
        (query[0], query[2]) = (104, address as u64);
        // SAFETY: the kernel reads and writes a structure of the size that it is told.
        timed(|| failed |= unsafe { libc::ioctl(maps.as_raw_fd(), QUERY as _, query.as_mut_ptr()) } != 0)
    });
    if failed { f64::NAN } else { took }
}

/// Map and unmap, region grants, revocation, and a copy, by size.
fn sizes() {
    let app = App::new();
    let mut floors = Vec::new();
    println!("medians in microseconds");
    println!(
        "{:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "bytes", "copy", "map", "unmap", "grant", "revoke", "re-grant", "map+use"
    );
    for len in [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20] {
        let data = shared(len);
        let mut target = vec![1u8; len];
        // SAFETY: both have this length.
        let copy = median(|| timed(|| unsafe { target.as_mut_ptr().copy_from_nonoverlapping(data, len) }));
        // SAFETY: nobody has a reference to the memory.
        let map = || {
            unsafe { app.instance.map_window(data, len, Rights::ReadWrite, &WindowOptions::default()) }
                .expect("it fits")
        };
        let map_time = median(|| {
            let start = Instant::now();
            let window = map();
            let took = start.elapsed();
            app.instance.unmap_window(window.guest_addr).expect("it is there");
            took
        });
        let unmap = median(|| {
            let window = map();
            timed(|| app.instance.unmap_window(window.guest_addr).expect("it is there"))
        });
        let fill = app.sum();
        let used = median(|| {
            timed(|| {
                let window = map();
                // SAFETY: as many numbers.
                unsafe { fill(data.cast(), (len / 8) as i32) };
                app.instance.unmap_window(window.guest_addr).expect("it is there");
            })
        });
        let grant = median(|| {
            let region = Region::new(len as u64).expect("there is room");
            let took = timed(|| region.grant(&app.instance, Rights::ReadWrite).expect("the app has room"));
            // What an app has stays.
            region.revoke(&app.instance).expect("the kernel closes it");
            took
        });
        let region = Region::new(len as u64).expect("there is room");
        let (mut regrant, mut revoke) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            regrant.push(timed(|| region.grant(&app.instance, Rights::ReadWrite).expect("the app has room")));
            // Its pages are there, as in use.
            let fill = app.fill();
            // SAFETY: as many numbers.
            unsafe { fill(region.native_ptr().cast(), (len / 8) as i32) };
            revoke.push(timed(|| region.revoke(&app.instance).expect("the kernel closes it")));
        }
        regrant.sort();
        revoke.sort();
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        println!(
            "{len:>10} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
            copy / 1e3,
            map_time / 1e3,
            unmap / 1e3,
            grant / 1e3,
            us(revoke[ROUNDS / 2]),
            us(regrant[ROUNDS / 2]),
            used / 1e3
        );
        floors.push((len, bare(len), [map_time, unmap, grant, us(revoke[ROUNDS / 2]) * 1e3]));
        // SAFETY: this mapping.
        unsafe { libc::munmap(data.cast(), len) };
    }
    println!("the system calls alone, in microseconds, and how many times as long ours take");
    println!(
        "{:>10} {:>12} {:>6} {:>14} {:>14} {:>14} {:>14}",
        "bytes", "mmap+munmap", "ask", "map", "unmap", "grant", "revoke"
    );
    for (len, bare, ours) in floors {
        print!("{len:>10} {:>12.2} {:>6.2}", bare.pair / 1e3, bare.ask / 1e3);
        for (floor, ours) in [bare.ask + bare.map, bare.unmap, bare.grant, bare.revoke].into_iter().zip(ours) {
            print!(" {:>7.2} {:>5.2}x", floor / 1e3, ours / floor);
        }
        println!();
    }
}

/// What a callback takes that is shown an event of so many bytes.
fn callbacks() {
    const CALLS: u32 = 20_000;
    println!("a callback that is shown data, in nanoseconds a call ({CALLS} calls, the fastest of 15 rounds)");
    println!("{:>10} {:>10} {:>12} {:>12} {:>14}", "bytes", "copied", "window", "opened anew", "mapped and asked");
    for len in [64, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10] {
        let app = App::new();
        let region = Region::new(len as u64).expect("there is room");
        let other = Region::new(PAGE as u64).expect("there is room");
        for region in [&region, &other] {
            region.grant(&app.instance, Grant { rights: Rights::Read, in_callbacks_only: true }).expect("room");
        }
        let private = Box::leak(vec![1u8; len].into_boxed_slice()).as_ptr();
        let pages = shared(len.next_multiple_of(PAGE));
        let copied = app.event(&format!("in: {len}"));
        let window = app.event(&format!("window: read, in: {len}"));
        let other_window = app.event("window: read, in: 8");
        let fastest = |round: &dyn Fn()| {
            let rounds = (0..15).map(|_| timed(round)).min().expect("some");
            rounds.as_nanos() as f64 / f64::from(CALLS)
        };
        // SAFETY (all): a function of a pointer to as many bytes.
        let each = |function: wasmbridge_benches::Event, at: *const u8| {
            fastest(&|| {
                (0..CALLS).for_each(|_| {
                    std::hint::black_box(unsafe { function(at.cast()) });
                })
            })
        };
        let cached = each(window, region.native_ptr());
        let alternating = fastest(&|| {
            for i in 0..CALLS {
                let (function, at) = if i % 2 == 0 { (window, &region) } else { (other_window, &other) };
                std::hint::black_box(unsafe { function(at.native_ptr().cast_const().cast()) });
            }
        });
        let foreign = if len >= PAGE { format!("{:14.0}", each(window, pages)) } else { format!("{:>14}", "-") };
        println!("{len:>10} {:>10.0} {cached:>12.0} {alternating:>12.0} {foreign}", each(copied, private));
    }
}

/// One region in many apps.
fn many_apps() {
    let region = Region::new(1 << 20).expect("there is room");
    let first = App::new();
    let others: Vec<Instance> =
        (0..63).map(|_| first.linker.instantiate(&first.module).expect("it did before")).collect();
    for app in others.iter().chain([&first.instance]) {
        region.grant(app, Rights::Read).expect("the app has room");
    }
    let sum = |app: &Instance| -> wasmbridge_benches::Sum {
        let callback = app
            .callback("long long bench_sum(const long long *, int)", &Default::default())
            .expect("the prototype fits");
        // SAFETY: a callback is a C function of its prototype.
        unsafe { std::mem::transmute(callback.0) }
    };
    let sums: Vec<_> = others.iter().chain([&first.instance]).map(sum).collect();
    // SAFETY (both): a function of as many numbers.
    let run = |f: wasmbridge_benches::Sum| timed(|| unsafe { f(region.native_ptr().cast(), 1 << 17) }).as_secs_f64();
    sums.iter().for_each(|&f| {
        run(f);
    });
    let mut ratios: Vec<f64> = (0..21)
        .map(|_| {
            let one: f64 = (0..64).map(|_| run(sums[0])).sum();
            let all: f64 = sums.iter().map(|&f| run(f)).sum();
            one / all
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "64 apps read one region of 1 MiB in turn: {:.3} of the speed of one app (median of 21 pairs)",
        ratios[10]
    );
    println!(
        "revoking it from all of them: {:.1} us",
        timed(|| region.revoke_all().expect("the kernel closes it")).as_nanos() as f64 / 1e3
    );
}

fn main() {
    sum();
    many_apps();
    sizes();
    callbacks();
}
