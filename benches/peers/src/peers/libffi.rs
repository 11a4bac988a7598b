//! libffi: closures whose handlers call the native functions, and calls of the native function that the guest imports. No wasm is
//! involved: it is what C programs use to make function pointers at run time.

use super::Peer;
use libffi_sys::{
    ffi_abi_FFI_DEFAULT_ABI, ffi_arg, ffi_call, ffi_cif, ffi_closure, ffi_closure_alloc, ffi_prep_cif,
    ffi_prep_closure_loc, ffi_status_FFI_OK, ffi_type, ffi_type_pointer, ffi_type_sint32,
};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use wasmbridge_benches::{Add, Compare, bench_add, bench_compare, host_add};

/// The type of a function of two parameters of one type that returns an `int`.
fn prepare(param: *mut ffi_type) -> &'static mut ffi_cif {
    let cif: &mut ffi_cif = Box::leak(Box::default());
    let params = Box::leak(Box::new([param, param]));
    // SAFETY: all of it lives as long as the process.
    let status =
        unsafe { ffi_prep_cif(cif, ffi_abi_FFI_DEFAULT_ABI, 2, &raw mut ffi_type_sint32, params.as_mut_ptr()) };
    assert_eq!(status, ffi_status_FFI_OK);
    cif
}

type Handler = unsafe extern "C" fn(*mut ffi_cif, *mut c_void, *mut *mut c_void, *mut c_void);

/// The address of a closure.
fn closure(cif: &'static mut ffi_cif, handler: Handler) -> *const c_void {
    let mut code = ptr::null_mut();
    // SAFETY: the closure and its type live as long as the process.
    unsafe {
        let closure: *mut ffi_closure = ffi_closure_alloc(size_of::<ffi_closure>(), &mut code).cast();
        let status = ffi_prep_closure_loc(closure, cif, Some(handler), ptr::null_mut(), code);
        assert_eq!(status, ffi_status_FFI_OK);
    }
    code
}

unsafe extern "C" fn add(_: *mut ffi_cif, result: *mut c_void, args: *mut *mut c_void, _: *mut c_void) {
    // SAFETY: libffi passes pointers to two ints, and has room for the result.
    unsafe {
        let sum = bench_add(*(*args).cast(), *(*args.add(1)).cast());
        result.cast::<ffi_arg>().write(sum as ffi_arg);
    }
}

unsafe extern "C" fn compare(_: *mut ffi_cif, result: *mut c_void, args: *mut *mut c_void, _: *mut c_void) {
    // SAFETY: as above, with two pointers.
    unsafe {
        let order = bench_compare(*(*args).cast(), *(*args.add(1)).cast());
        result.cast::<ffi_arg>().write(order as ffi_arg);
    }
}

thread_local! {
    static CALL: Cell<*mut ffi_cif> = const { Cell::new(ptr::null_mut()) };
}

/// `bench_import`, with calls through libffi.
extern "C" fn import(n: c_int) -> c_int {
    let (mut sum, cif) = (0, CALL.get());
    let target: extern "C" fn(c_int, c_int) -> c_int = host_add;
    for mut i in 0..n {
        let mut args: [*mut c_void; 2] = [(&raw mut sum).cast(), (&raw mut i).cast()];
        let mut result: ffi_arg = 0;
        // SAFETY: a function of this type, pointers to its two arguments, and room for its result.
        unsafe {
            let target = std::mem::transmute::<extern "C" fn(c_int, c_int) -> c_int, unsafe extern "C" fn()>(target);
            ffi_call(cif, Some(target), (&raw mut result).cast(), args.as_mut_ptr());
        }
        sum = result as c_int;
    }
    sum
}

pub fn peer() -> Peer {
    let ints = &raw mut ffi_type_sint32;
    CALL.set(prepare(ints));
    // SAFETY: closures are C functions of the types that they were prepared for.
    let (add, compare) = unsafe {
        (
            std::mem::transmute::<*const c_void, Add>(closure(prepare(ints), add)),
            std::mem::transmute::<*const c_void, Compare>(closure(prepare(&raw mut ffi_type_pointer), compare)),
        )
    };
    Peer { name: "libffi, native code", add, compare, import, ints: super::native_ints() }
}
