//! Instructions that windows cost, counted by callgrind as in `instructions.rs`: of the app's accesses, none.

mod common;

use common::budget;
use iai_callgrind::{library_benchmark, library_benchmark_group, main};
use std::ffi::c_int;
use std::hint::black_box;
use wasmbridge_benches::{App, Event, Fill, Sum};
use wasmbridge_runtime::{Grant, Region, Rights};

/// Numbers, and calls, in each count.
const CALLS: c_int = 1000;

/// Numbers to look at: in the app's own memory, or in a region that it has.
struct Numbers {
    sum: Sum,
    fill: Fill,
    _app: App,
    numbers: *mut i64,
    _region: Option<Region>,
}

fn own_numbers() -> Numbers {
    let app = App::new();
    let numbers = app.ints(2 * CALLS as usize).cast();
    Numbers { sum: app.sum(), fill: app.fill(), _app: app, numbers, _region: None }
}

fn window_numbers() -> Numbers {
    let app = App::new();
    let region = Region::new(8 * CALLS as u64).expect("there is room");
    region.grant(&app.instance, Rights::ReadWrite).expect("the app has room");
    Numbers { sum: app.sum(), fill: app.fill(), _app: app, numbers: region.native_ptr().cast(), _region: Some(region) }
}

// Reading and writing a thousand numbers each. The window's address takes the slow path of the pointer's check: some 400 instructions for a call; the
// loops are the same code, so they take the same.
#[library_benchmark]
#[bench::own(args = (), setup = own_numbers, config = budget(NUMBERS))]
#[bench::window(args = (), setup = window_numbers, config = budget(NUMBERS))]
fn numbers(case: Numbers) -> (i64, Numbers) {
    let (sum, fill) = (case.sum, case.fill);
    // SAFETY: there are as many numbers.
    unsafe { black_box(fill)(case.numbers, CALLS) };
    // SAFETY: see above.
    (unsafe { black_box(sum)(case.numbers, CALLS) }, case)
}

/// An event, and the callback that is shown it.
struct Shown {
    app: App,
    event: Event,
    place: *const std::ffi::c_void,
    region: Option<Region>,
}

fn shown(annotation: &str, grant: Option<Grant>) -> Shown {
    let app = App::new();
    let region = grant.map(|grant| {
        let region = Region::new(4096).expect("there is room");
        region.grant(&app.instance, grant).expect("the app has room");
        region
    });
    let place =
        region.as_ref().map_or_else(|| Box::leak(Box::new([7u8; 64])).as_ptr(), |r| r.native_ptr().cast_const());
    let event = app.event(annotation);
    // The first call opens the region.
    // SAFETY: a function of a pointer.
    unsafe { event(place.cast()) };
    Shown { app, event, place: place.cast(), region }
}

fn shown_copy() -> Shown {
    shown("in: 64", None)
}

fn shown_cached() -> Shown {
    shown("window: read, in: 64", Some(Grant { rights: Rights::Read, in_callbacks_only: true }))
}

// A callback that is shown 64 bytes, a thousand times: as a copy, and in place, where the window is open from the callback before.
#[library_benchmark]
#[bench::copy(args = (), setup = shown_copy, config = budget(COPIED))]
#[bench::cached(args = (), setup = shown_cached, config = budget(CACHED))]
fn shown_event(case: Shown) -> (c_int, App, Option<Region>) {
    let mut sum = 0;
    for _ in 0..CALLS {
        // SAFETY: a function of a pointer to 64 bytes.
        sum += unsafe { black_box(case.event)(case.place) };
    }
    (sum, case.app, case.region)
}

/// 8,653 now in the app's own memory, 9,424 through the window: 386 more for each of the two calls, none for the 2,000 accesses.
const NUMBERS: u64 = 10_000;
/// 2,080,060 now for copies: for each call slots, a scope, and scratch memory. It was 2,003,060 when arrays of plain data had a converter of their own.
const COPIED: u64 = 2_120_000;
/// 53,060 now for windows that are open already: the fast entry, the app's function, and the loop.
const CACHED: u64 = 54_000;

library_benchmark_group!(name = windows; benchmarks = numbers, shown_event);
main!(library_benchmark_groups = windows);
