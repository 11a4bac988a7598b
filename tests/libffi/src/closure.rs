//! Closures: callbacks whose wasm function has a native handler do the work.

use crate::guest::{Frame, callee_module};
use crate::stub::Stub;
use crate::types::{Cif, Closure, Function, Handler, Status};
use std::ffi::c_void;
use std::ptr;
use wasmbridge_runtime::{CallbackOptions, Error, Instance, Linker, NativeFn, Value};

/// What lies in a closure where libffi's own has its code.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Trampoline {
    stub: Stub,
    /// null before its type is known
    served: *mut Served,
    spare: usize,
}

/// A closure whose type is known.
#[derive(Debug)]
struct Served {
    /// keeps the callback alive
    _instance: Instance,
    frame: Frame,
}

/// Allocates a closure, and says where its code will be.
///
/// # Safety
/// `code` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_closure_alloc(size: usize, code: *mut *const u8) -> *mut Closure {
    // SAFETY: memory of the right size, where there is any; the caller's promise.
    unsafe {
        let closure: *mut Closure = libc::calloc(1, size.max(size_of::<Closure>())).cast();
        if !closure.is_null() {
            let stub = Stub::new();
            (&raw mut (*closure).trampoline).write(Trampoline { stub, served: ptr::null_mut(), spare: 0 });
            code.write(stub.code);
        }
        closure
    }
}

/// Ends a closure.
///
/// # Safety
/// One that [`ffi_closure_alloc`] made, which is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_closure_free(closure: *mut Closure) {
    // SAFETY: the caller's promise.
    unsafe {
        forget(closure);
        (*closure).trampoline.stub.free();
        libc::free(closure.cast());
    }
}

/// # Safety
/// As for [`ffi_closure_free`], but that it may be prepared again.
unsafe fn forget(closure: *mut Closure) {
    // SAFETY: the caller's promise; `served` is null or a box.
    unsafe {
        let served = std::mem::replace(&mut (*closure).trampoline.served, ptr::null_mut());
        if !served.is_null() {
            drop(Box::from_raw(served));
        }
    }
}

/// Gives a closure its type, and the handler that it calls.
///
/// # Safety
/// As libffi's manual says: a closure that [`ffi_closure_alloc`] made, with its code; `cif` has been prepared, and lives as long as the closure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ffi_prep_closure_loc(
    closure: *mut Closure,
    cif: *mut Cif,
    handler: Option<Handler>,
    user_data: *mut c_void,
    _code: *mut c_void,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        if !(*cif).is_supported() {
            return Status::BadAbi;
        }
        let Some(function) = Function::read(cif) else { return Status::BadTypedef };
        forget(closure);
        match serve_as(&function, closure) {
            Ok((served, callback)) => {
                (*closure).trampoline.served = Box::into_raw(Box::new(served));
                (*closure).trampoline.stub.set(callback.0);
                ((*closure).cif, (*closure).handler, (*closure).user_data) = (cif, handler, user_data);
                Status::Ok
            }
            Err(error) => {
                crate::complain(&error);
                Status::BadTypedef
            }
        }
    }
}

/// Makes the callback of a closure.
fn serve_as(function: &Function, closure: *mut Closure) -> Result<(Served, NativeFn), Error> {
    let frame = Frame::new(function);
    let mut linker = Linker::new(crate::engine());
    let address = serve as unsafe extern "C-unwind" fn(*mut Closure, *mut u8);
    let prototype = "void serve(unsigned long long closure, char *frame)";
    // SAFETY: `serve` is such a function: a pointer is passed as a number is.
    unsafe { linker.define("c", prototype, NativeFn(address as *const u8))? };
    let instance = linker.instantiate(&callee_module(function, &frame)?)?;
    instance.set_global("closure_id", Value::I64(closure as i64))?;
    let callback = instance.callback(&function.prototype("closure"), &CallbackOptions::default())?;
    Ok((Served { _instance: instance, frame }, callback))
}

/// What the wasm function calls: calls the handler with what is in the frame.
///
/// # Safety
/// `closure` is the number that the instance was given, `frame` one of its frames.
unsafe extern "C-unwind" fn serve(closure: *mut Closure, frame: *mut u8) {
    // SAFETY: the caller's promise; a closure that is called is prepared and not freed. The handler may free it.
    unsafe {
        let Closure { ref trampoline, cif, handler, user_data } = *closure;
        let args = &(*trampoline.served).frame.args;
        let mut args: Vec<*mut c_void> = args.iter().map(|at| frame.add(*at as usize).cast()).collect();
        if let Some(handler) = handler {
            handler(cif, frame.cast(), args.as_mut_ptr(), user_data);
        }
    }
}
