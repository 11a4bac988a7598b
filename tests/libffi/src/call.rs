//! Calls of native functions, from wasm.

use crate::guest::{CALL_FRAME, Frame, caller_module};
use crate::stub::Stub;
use crate::types::{CType, Cif, Function};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;
use wasmbridge_runtime::{Error, Instance, Linker, NativeFn};

/// Calls a function.
///
/// # Safety
/// As libffi's manual says: `function` is of the type that `cif` has been prepared for, `args` are pointers to its arguments, and `result` is NULL or may be
/// written to: eight bytes for an integer that has fewer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ffi_call(
    cif: *mut Cif,
    function: *const u8,
    result: *mut c_void,
    args: *const *const c_void,
) {
    // SAFETY: the caller's promise.
    let called = unsafe { call(&*cif, function, result.cast(), args.cast()) };
    called.unwrap_or_else(|error| crate::give_up(&error));
}

thread_local! {
    /// Instances that are not in use, by the prototype and the function they call: programs call the same one many times.
    static IDLE: RefCell<HashMap<(String, NativeFn), Vec<Instance>>> = RefCell::default();
}

/// # Safety
/// As for [`ffi_call`].
unsafe fn call(cif: &Cif, target: *const u8, result: *mut u8, args: *const *const u8) -> Result<(), Error> {
    // SAFETY: the caller's promise: the cif has been prepared.
    let function = unsafe { Function::read(cif) }.unwrap_or_else(|| crate::give_up(&"a type of an unknown kind"));
    let frame = Frame::new(&function);
    // What a variadic function wants to know beyond its arguments, the stub says.
    let target = NativeFn(if cif.is_variadic() { stub_of(target).code } else { target });
    let key = (function.prototype("target"), target);
    // Taken out of the map, so that a call from inside of the function has a frame of its own.
    let idle = IDLE.with_borrow_mut(|idle| idle.get_mut(&key).and_then(Vec::pop));
    let instance = match idle {
        Some(instance) => instance,
        None => {
            let mut linker = Linker::new(crate::engine());
            // SAFETY: the caller's promise: a function of this type.
            unsafe { linker.define("c", &key.0, target)? };
            linker.instantiate(&caller_module(&function, &frame)?)?
        }
    };

    let memory = instance.memory().expect("the module has one").base.wrapping_add(CALL_FRAME as usize);
    for (i, (param, at)) in function.params.iter().zip(&frame.args).enumerate() {
        // SAFETY: the frame lies in the memory; the caller's promise: the argument has so many bytes.
        unsafe { ptr::copy_nonoverlapping(*args.add(i), memory.add(*at as usize), param.layout().0 as usize) };
    }
    instance.call("call", &[])?;
    if !result.is_null() {
        // SAFETY: the result lies at the frame's start; the caller's promise: there is room for it.
        unsafe { copy_result(&function.result, memory, result) };
    }
    IDLE.with_borrow_mut(|idle| idle.entry(key).or_default().push(instance));
    Ok(())
}

/// The one stub of a variadic function.
fn stub_of(target: *const u8) -> Stub {
    static STUBS: Mutex<Vec<Stub>> = Mutex::new(Vec::new());
    let mut stubs = STUBS.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(stub) = stubs.iter().find(|stub| stub.target() == target) {
        return *stub;
    }
    let stub = Stub::new();
    stub.set(target);
    stubs.push(stub);
    stub
}

/// Copies a result; an integer of fewer than eight bytes as one that has eight.
///
/// # Safety
/// `from` is where the wasm code has stored it, `to` has room.
unsafe fn copy_result(ty: &CType, from: *const u8, to: *mut u8) {
    // SAFETY: the caller's promise; wasm has stored smaller integers as 32 bits, extended.
    unsafe {
        match ty {
            CType::Int(1 | 2 | 4, true) => to.cast::<i64>().write_unaligned(i64::from(from.cast::<i32>().read())),
            CType::Int(1 | 2 | 4, false) => to.cast::<u64>().write_unaligned(u64::from(from.cast::<u32>().read())),
            ty => ptr::copy_nonoverlapping(from, to, ty.layout().0 as usize),
        }
    }
}
