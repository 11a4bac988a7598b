//! A callback of a known signature is made and freed, beside a closure of libffi's of a prepared type.
//!
//! Times are of this machine and this moment; the ratio, pair by pair in one run, is what to look at.

use libffi_sys::{
    ffi_abi_FFI_DEFAULT_ABI, ffi_cif, ffi_closure, ffi_closure_alloc, ffi_closure_free, ffi_prep_cif,
    ffi_prep_closure_loc, ffi_status_FFI_OK, ffi_type_sint32,
};
use std::ffi::c_void;
use std::hint::black_box;
use std::ptr;
use std::time::Instant;
use wasmbridge_benches::App;
use wasmbridge_runtime::{CallbackOptions, release_callback};

const CALLBACKS: u32 = 20_000;
const ROUNDS: usize = 21;

/// Nanoseconds that one of them takes.
fn time(mut one: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLBACKS {
        one();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLBACKS)
}

unsafe extern "C" fn handler(_: *mut ffi_cif, _: *mut c_void, _: *mut *mut c_void, _: *mut c_void) {}

fn closure(cif: &mut ffi_cif) {
    let mut code = ptr::null_mut();
    // SAFETY: the type is prepared, and nobody calls the closure.
    unsafe {
        let closure: *mut ffi_closure = ffi_closure_alloc(size_of::<ffi_closure>(), &mut code).cast();
        let status = ffi_prep_closure_loc(closure, cif, Some(handler), ptr::null_mut(), code);
        assert_eq!(status, ffi_status_FFI_OK);
        black_box(code);
        ffi_closure_free(closure.cast());
    }
}

fn callback(app: &App) {
    let made = app.instance.callback("int bench_add(int, int)", &CallbackOptions::default());
    let made = black_box(made.expect("the prototype fits"));
    // SAFETY: nobody calls it.
    unsafe { release_callback(made) }.expect("it is alive");
}

fn main() {
    let app = App::new();
    let mut cif = ffi_cif::default();
    let mut params = [&raw mut ffi_type_sint32; 2];
    // SAFETY: a type of two parameters.
    let status = unsafe {
        ffi_prep_cif(&mut cif, ffi_abi_FFI_DEFAULT_ABI, 2, &raw mut ffi_type_sint32, params.as_mut_ptr())
    };
    assert_eq!(status, ffi_status_FFI_OK);
    // The first round warms up.
    let mut pairs: Vec<(f64, f64)> =
        (0..=ROUNDS).map(|_| (time(|| callback(&app)), time(|| closure(&mut cif)))).skip(1).collect();
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (ours, libffi) = pairs[ROUNDS / 2];
    println!("{CALLBACKS} callbacks made and freed, {ROUNDS} pairs of runs");
    println!("  wasmbridge       {ours:7.1} ns");
    println!("  libffi closure   {libffi:7.1} ns");
    println!("  ratio            {:7.3} (median)", ours / libffi);
}
