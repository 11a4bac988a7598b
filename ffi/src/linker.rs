//! Linkers.

use crate::boundary::{Out, delete, guard, guard_app, invalid, object, object_mut, text};
use crate::engine::wb_engine;
use crate::error::wb_error;
use crate::instance::wb_instance;
use crate::module::wb_module;
use crate::value::wb_fn;
use std::ffi::c_char;
use wasmbridge_runtime::{Linker, NativeFn};

/// A linker: what apps may import. What an app imports and the linker does not have is an error when the app is instantiated.
///
/// It may be used on any thread, by one at a time.
pub struct wb_linker(pub(crate) Linker);

/// Makes a linker, without definitions.
///
/// `*linker` is the caller's, who ends it with `wb_linker_delete`. Any thread.
///
/// # Safety
/// `engine` is NULL or an engine; `linker` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_new(engine: *const wb_engine, linker: *mut *mut wb_linker) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let engine = unsafe { object(engine, "engine") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(linker, "linker") }?;
        out.give(wb_linker(Linker::new(&engine.0)));
        Ok(())
    })
}

/// Makes `name` a name for the C type that `type` spells, such as `"unsigned long long"` or `"int (*)(void *, int)"`, in the prototypes that
/// this linker is given from then on. The names of C's own headers (`size_t`, `uint8_t`, ...) are known.
///
/// Both are only read. Fails with WB_ERROR_PROTOTYPE if `type` is no C type or `name` no identifier.
///
/// # Safety
/// `linker` is NULL or a linker that nobody else uses; `name` and `type` are NULL or texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_typedef(
    linker: *mut wb_linker,
    name: *const c_char,
    r#type: *const c_char,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let linker = unsafe { object_mut(linker, "linker") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let ty = unsafe { text(r#type, "type") }?;
        linker.0.define_type(name, ty)?;
        Ok(())
    })
}

/// Defines a C function that apps may import: under the name in `prototype`, from the module `module` (clang's apps import from
/// `"env"`, where they do not say otherwise).
///
/// The app calls it directly: its arguments are converted and checked as the prototype says, and a function pointer among them
/// becomes a C function that calls the app. A value that is refused is a trap of the app (WB_TRAP_CROSSING); the function is not
/// called then. A definition of the same name replaces the one before, for later instances.
///
/// `module` and `prototype` are only read. `function` must stay callable as long as there are instances made with this linker, and must be
/// what the prototype says. It is called on the thread that runs the app, and may call the app's callbacks and exports.
///
/// Fails with WB_ERROR_PROTOTYPE if the prototype cannot be parsed, has no name, or is not supported: the message says where.
///
/// # Safety
/// `linker` is NULL or a linker that nobody else uses; the texts are NULL or texts; `function` is as the prototype says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_define(
    linker: *mut wb_linker,
    module: *const c_char,
    prototype: *const c_char,
    function: wb_fn,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let linker = unsafe { object_mut(linker, "linker") }?;
        // SAFETY: as above.
        let module = unsafe { text(module, "module") }?;
        // SAFETY: as above.
        let prototype = unsafe { text(prototype, "prototype") }?;
        let function = function.ok_or_else(|| invalid("`function` is NULL"))?;
        // SAFETY: as above: the function is what the prototype says.
        unsafe { linker.0.define(module, prototype, NativeFn(function as *const u8)) }?;
        Ok(())
    })
}

/// Defines all exports of an instance under the module name `name`, for other apps to import: functions, memories, tables, globals.
///
/// Apps that share an instance's exports belong to one thread together, and a trap stops them together. The instance may be deleted before
/// those that import from it. `name` is only read. On the instance's thread.
///
/// # Safety
/// `linker` is NULL or a linker that nobody else uses; `name` is NULL or a text; `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_define_instance(
    linker: *mut wb_linker,
    name: *const c_char,
    instance: *const wb_instance,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let linker = unsafe { object_mut(linker, "linker") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: as above.
        let instance = unsafe { object(instance, "instance") }?;
        linker.0.define_instance(name, &instance.0)?;
        Ok(())
    })
}

/// Makes an instance of a module: a running copy, with its own memory. Its start function and its `_initialize`, where it has them, have
/// run when this returns.
///
/// `*instance` is the caller's, who ends it with `wb_instance_delete`. It belongs to the calling thread. The linker may be deleted or
/// changed afterwards.
///
/// Fails with WB_ERROR_LINK if the module imports what is not defined, or is defined with another type: the message names the import
/// and both types; with WB_ERROR_TRAP if the start function traps; with WB_ERROR_LIMIT if there is no memory or address space for it.
///
/// # Safety
/// `linker` is NULL or a linker; `module` is NULL or a module; `instance` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn wb_linker_instantiate(
    linker: *const wb_linker,
    module: *const wb_module,
    instance: *mut *mut wb_instance,
) -> *mut wb_error {
    guard_app(|| {
        // SAFETY: the caller's duty, as below.
        let linker = unsafe { object(linker, "linker") }?;
        // SAFETY: as above.
        let module = unsafe { object(module, "module") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(instance, "instance") }?;
        out.give(wb_instance(linker.0.instantiate(&module.0)?));
        Ok(())
    })
}

/// Ends a linker; the instances made with it live on. NULL does nothing.
///
/// # Safety
/// `linker` is NULL or a linker that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_linker_delete(linker: *mut wb_linker) {
    // SAFETY: the caller's duty.
    unsafe { delete(linker) }
}
