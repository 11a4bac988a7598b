//! Native to wasm, with slots: the arguments of a callback, and its result back.

use super::copies::counts::{arguments, count_of, number};
use super::copies::{Converter, Copies, Operands, Phase, Side, shown_out};
use super::variadic::{self, Packed};
use super::{Refused, value_name};
use crate::callback::CallbackInfo;
use crate::instance::InstanceData;
use std::ffi::CStr;
use wasmbridge_artifact::vmctx::CallbackRecord;
use wasmbridge_trampolines::signature::{Element, Length, Operand};
use wasmbridge_trampolines::{Crossing, Direction, Scalar, Signature, VarArgs};

/// Replaces each native argument by its wasm value.
///
/// # Safety
/// `slots` has a cell for each parameter of the callback's signature, and pointers among the arguments are what the prototype says
/// they are: the C caller's side of the contract.
pub(crate) unsafe fn enter(instance: &InstanceData, info: &CallbackInfo, slots: &mut [u64]) -> Result<(), Refused> {
    let mut copies = Copies::default();
    // SAFETY: the caller's promise.
    let converted = unsafe { convert(instance, info, slots, &mut copies) };
    match converted {
        Ok(()) => instance.scopes.keep_copies(copies),
        Err(_) => copies.end(instance),
    }
    converted
}

/// # Safety
/// As for [`enter`].
unsafe fn convert(
    instance: &InstanceData,
    info: &CallbackInfo,
    slots: &mut [u64],
    copies: &mut Copies,
) -> Result<(), Refused> {
    let signature = &*info.known.named;
    let Some((index, _, args)) = signature.var_args() else {
        // SAFETY: the caller's promise.
        return unsafe { convert_all(instance, signature, slots, copies) };
    };
    let (count, list) = (slots.len(), slots[index]);
    let named = |why| format!("{}: {why}", value_name(signature, Some(index)));
    // SAFETY: the caller's promise: the variable arguments are what the prototype or the format says.
    let packed = unsafe {
        match args {
            VarArgs::Listed(full) => {
                let listed = &full.params[count..];
                let mut natives = variadic::Listed::new(listed);
                let mut all = slots.to_vec();
                all[index] = 0;
                all.extend(natives.read_native(list).map_err(named)?);
                convert_all(instance, full, &mut all, copies)?;
                slots.copy_from_slice(&all[..count]);
                Packed::of_listed(listed, &all[count..])
            }
            VarArgs::Format(format) => {
                let format = slots[*format as usize];
                convert_all(instance, signature, slots, copies)?;
                variadic::formatted_in(instance, list, format).map_err(named)?
            }
        }
    };
    slots[index] = packed.show(instance).map_err(named)?;
    Ok(())
}

/// # Safety
/// As for [`enter`].
unsafe fn convert_all(
    instance: &InstanceData,
    signature: &Signature,
    slots: &mut [u64],
    copies: &mut Copies,
) -> Result<(), Refused> {
    let native: Vec<u64> = slots.to_vec();
    // Windows first: those that are open from an earlier callback, and that this one is not shown, are not there for it.
    let mut shown = vec![None; if signature.shows_windows() { native.len() } else { 0 }];
    for (index, shown) in shown.iter_mut().enumerate().filter(|(index, _)| signature.params[*index].window) {
        let window = window(instance, signature, &native, index);
        *shown = window.map_err(|why| format!("{}: {why}", value_name(signature, Some(index))))?;
    }
    instance.close_idle_windows();
    for (index, param) in signature.params.iter().enumerate() {
        if let Some(Some(guest_addr)) = shown.get(index) {
            slots[index] = *guest_addr;
            continue;
        }
        if param.nonnull && native[index] == 0 {
            return Err(format!("{} is NULL, the prototype says [nonnull]", value_name(signature, Some(index))));
        }
        // SAFETY: the caller's promise.
        let converted = unsafe { argument(instance, signature, &native, index, copies) };
        slots[index] = converted.map_err(|why| format!("{}: {why}", value_name(signature, Some(index))))?;
    }
    copies.keep_arguments(&native, signature);
    Ok(())
}

/// The guest address of a `[window]` argument, if it can be shown in place.
fn window(
    instance: &InstanceData,
    signature: &Signature,
    native: &[u64],
    index: usize,
) -> Result<Option<u64>, Refused> {
    let Crossing::Extent(extent) = &signature.params[index].crossing else { return Ok(None) };
    let (Element::Alike { size, .. }, Length::Count(count)) = (&extent.element, &extent.length) else {
        return Ok(None);
    };
    if native[index] == 0 {
        return Ok(None);
    }
    // SAFETY: the C caller passes what the prototype says.
    let count = unsafe { count_of(count, native, signature) }?;
    match count.checked_mul(u64::from(*size)).ok_or("its length overflows")? {
        0 => Ok(None),
        len => instance.show_window(native[index] as usize, len, extent.direction != Direction::In),
    }
}

/// # Safety
/// As for [`enter`].
unsafe fn argument(
    instance: &InstanceData,
    signature: &Signature,
    native: &[u64],
    index: usize,
    copies: &mut Copies,
) -> Result<u64, Refused> {
    let (param, value) = (&signature.params[index], native[index]);
    match &param.crossing {
        // SAFETY: the shape gives the address of the argument's bytes.
        Crossing::Struct(record) => unsafe { super::structs::argument_in(instance, copies, record, value) },
        // The caller sees to them.
        Crossing::VarArgs { .. } => Ok(0),
        _ => {
            copies.argument = index;
            // SAFETY: the C caller passes what the prototype says.
            unsafe {
                let operands = arguments(signature, native);
                let operands = Operands(&operands);
                Converter::new(instance, copies, Phase::CallbackEnter, operands).value_in(param, value, operands)
            }
        }
    }
}

/// A number: it must fit the guest's type.
pub(crate) fn scalar_in(scalar: Scalar, value: u64) -> Result<u64, Refused> {
    let Scalar::Int(int) = scalar else { return Ok(value) };
    if int.narrows() {
        let fits = if int.signed { value as i64 == i64::from(value as i32) } else { value >> 32 == 0 };
        if !fits {
            return Err(range_error(int.signed, value));
        }
    }
    Ok(if int.guest_bytes == 8 { value } else { value & 0xffff_ffff })
}

/// User data: 32 bits that the app gave.
pub(crate) fn user_in(value: u64) -> Result<u64, Refused> {
    if value >> 32 == 0 { Ok(value) } else { Err(user_error(value)) }
}

fn user_error(value: u64) -> Refused {
    format!("{value:#x} is no user data of the app's, which has 32 bits; say [handle] for a pointer of the host's")
}

/// Whether a value is a signed integer in C.
fn is_signed(crossing: &Crossing) -> bool {
    matches!(crossing, Crossing::Scalar(Scalar::Int(int)) if int.signed)
}

/// Why a number or user data does not cross into the app.
pub(crate) fn range_error_of(crossing: &Crossing, value: u64) -> Refused {
    match crossing {
        Crossing::User => user_error(value),
        crossing => range_error(is_signed(crossing), value),
    }
}

/// Why an integer of eight bytes does not cross into four.
pub(crate) fn range_error(signed: bool, value: u64) -> Refused {
    let value = if signed { i128::from(value as i64) } else { i128::from(value) };
    format!("{value} does not fit the app's 32-bit `long`")
}

/// A pointer that is not NULL and must be into memory the app can see.
pub(crate) fn pointer_in(instance: &InstanceData, pointer: u64) -> Result<u64, Refused> {
    instance.guest_addr(pointer as usize).ok_or_else(|| {
        "the pointer is not into the app's memory; say [in: n], [str], [handle] or [user] in the prototype".to_owned()
    })
}

/// A member of a struct, not 0, that is a pointer in C. A handle is the app's to `keep`, or ends with the innermost scope.
///
/// # Safety
/// It is what the prototype says.
pub(crate) unsafe fn function_or_pointer_in(
    instance: &InstanceData,
    crossing: &Crossing,
    native: u64,
    keep: bool,
) -> Result<u64, Refused> {
    match crossing {
        Crossing::Handle { type_name, .. } if keep => instance.scopes.give(native as usize, type_name).map(u64::from),
        Crossing::Handle { type_name, .. } => lend(instance, native, type_name),
        Crossing::Externref { type_name, .. } if keep => instance.externref_in(native, type_name),
        Crossing::Externref { type_name, .. } => {
            let handle = lend(instance, native, type_name)?;
            Ok(instance.scopes.handles().externref(handle as u32))
        }
        // SAFETY: the caller's promise.
        Crossing::Str => unsafe { string_in(instance, native) },
        Crossing::Function { signature, scope, policy } => instance.function_in(signature, scope, policy, native),
        _ => pointer_in(instance, native),
    }
}

/// A handle that ends with the innermost scope, unless the object had one before.
pub(super) fn lend(instance: &InstanceData, object: u64, type_name: &str) -> Result<u64, Refused> {
    let (handle, had) = instance.scopes.handles().insert(object as usize, type_name)?;
    instance.scopes.lend(handle, had);
    Ok(u64::from(handle))
}

/// A string, copied if the app cannot see it.
///
/// # Safety
/// `pointer` points to bytes that end with a zero.
pub(crate) unsafe fn string_in(instance: &InstanceData, pointer: u64) -> Result<u64, Refused> {
    if let Some(guest_addr) = instance.guest_addr(pointer as usize) {
        return Ok(guest_addr);
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(pointer as *const libc::c_char) }.to_bytes_with_nul();
    let (guest_addr, copy) = instance.scratch(bytes.len() as u64)?;
    // SAFETY: the copy has as many bytes.
    unsafe { copy.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    instance.scopes.show(guest_addr, bytes.len() as u64, pointer);
    Ok(guest_addr)
}

/// Replaces a callback's wasm result by its native value, and gives its C caller what it has written.
///
/// # Safety
/// The wasm function of the callback whose slots are at this address has just returned; slot 0 holds its result, extended to 64 bits: a number by
/// its C type.
pub(crate) unsafe fn leave(instance: &InstanceData, info: &CallbackInfo, slots: *mut u64) -> Result<(), Refused> {
    // Scopes of callbacks further down that a `longjmp` has skipped.
    instance.close_scope(slots as usize - 1);
    // SAFETY: there is at least one slot.
    let slot = unsafe { &mut *slots };
    let Some(mut copies) = instance.scopes.take_copies(slots as usize) else {
        return result(instance, info, slot, Operands::NOTHING);
    };
    let signature = info.known.named.with_listed();
    let number = *slot;
    // SAFETY: the caller's promise.
    let left = unsafe {
        copies.finish(instance, signature, Side::Guest, number, |operands| result(instance, info, slot, operands))
    };
    copies.end(instance);
    left
}

/// Replaces a callback's wasm result by its native value.
pub(crate) fn result(
    instance: &InstanceData,
    info: &CallbackInfo,
    slot: &mut u64,
    operands: Operands<'_>,
) -> Result<(), Refused> {
    let signature = &*info.known.named;
    let Some(result) = &signature.result else { return Ok(()) };
    let name = || value_name(signature, None);
    let guest = *slot;
    if result.nonnull && guest == 0 {
        return Err(format!("{} is NULL, the prototype says [nonnull]", name()));
    }
    *slot = match &result.crossing {
        Crossing::Scalar(scalar) => super::outbound::scalar_out(*scalar, guest),
        Crossing::User => guest & 0xffff_ffff,
        Crossing::Struct(record) => {
            // SAFETY: the shape gives the address of the result's cells.
            let converted = unsafe { super::structs::result_out(instance, record, guest) };
            converted.map_err(|why| format!("{}: {why}", name()))?
        }
        Crossing::Extent(_) | Crossing::Shadow { .. } => {
            let mut copies = Copies::default();
            let mut converter = Converter::new(instance, &mut copies, Phase::CallbackLeave, operands);
            let converted = converter.value_out(result, guest, operands);
            copies.end(instance);
            converted.map_err(|why| format!("{}: {why}", name()))?
        }
        _ if guest == 0 => 0,
        crossing => shown_out(instance, crossing, guest).map_err(|why| format!("{}: {why}", name()))?,
    };
    Ok(())
}

/// Checks memory that a callback returns, whose length is computed from numbers among its arguments.
///
/// # Safety
/// `cells` holds the wasm arguments of the callback, which has just returned.
pub(crate) unsafe fn extent_result(
    instance: &InstanceData,
    info: &CallbackInfo,
    cells: *const u64,
    guest: u64,
) -> Result<u64, Refused> {
    let signature = &*info.known.named;
    let operand = |operand| match operand {
        Operand::Param(index) => {
            let Crossing::Scalar(scalar) = signature.params.get(index as usize)?.crossing else { return None };
            // SAFETY: the caller's promise; `scalar_out` looks at no more bytes than the wasm type has.
            let cell = unsafe { *cells.add(index as usize) };
            Some(number(&Crossing::Scalar(scalar), super::outbound::scalar_out(scalar, cell)))
        }
        Operand::Deref(_) | Operand::Result => None,
    };
    let mut slot = guest;
    result(instance, info, &mut slot, Operands(&operand))?;
    Ok(slot)
}

/// The callback's record's own structure.
///
/// # Safety
/// `record` is a record that has been given out and not been taken back.
pub(crate) unsafe fn info<'a>(record: *const CallbackRecord) -> &'a CallbackInfo {
    // SAFETY: `info` is from `Arc::into_raw`, set when the record is, and lives until the slot is used again.
    unsafe { &*(*record).info.cast::<CallbackInfo>() }
}
