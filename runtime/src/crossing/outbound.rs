//! Wasm to native, with slots: the arguments of an imported C function, and its result back.

use super::inbound::{pointer_in, range_error, string_in, user_in};
use super::records::{Converter, Copies, Phase};
use super::{Refused, count, integer_behind, read_integer, value_name};
use crate::instance::InstanceData;
use crate::linker::ThunkInfo;
use wasmbridge_trampolines::{Crossing, Direction, Expr, Scalar, Signature};

/// Replaces each wasm argument by its native value.
pub(crate) fn enter(instance: &InstanceData, info: &ThunkInfo, slots: &mut [u64]) -> Result<(), Refused> {
    instance.end_copies();
    let mut copies = Copies::default();
    let converted = convert(instance, info, slots, &mut copies);
    match converted {
        Ok(()) => instance.keep_copies(copies),
        Err(_) => copies.end(instance),
    }
    converted
}

fn convert(instance: &InstanceData, info: &ThunkInfo, slots: &mut [u64], copies: &mut Copies) -> Result<(), Refused> {
    let signature = &*info.signature;
    let guest: Vec<u64> = slots.to_vec();
    let name = |index| value_name(signature, Some(index));
    // Numbers first: lengths are computed from their native values.
    for (index, param) in signature.params.iter().enumerate() {
        if param.nonnull && guest[index] == 0 {
            return Err(format!("{} is NULL, the prototype says [nonnull]", name(index)));
        }
        match &param.crossing {
            Crossing::Scalar(scalar) => slots[index] = scalar_out(*scalar, guest[index]),
            Crossing::User => slots[index] = guest[index] & 0xffff_ffff,
            _ => slots[index] = 0,
        }
    }
    let numbers = slots.to_vec();
    for (index, param) in signature.params.iter().enumerate() {
        let value = guest[index];
        slots[index] = match &param.crossing {
            Crossing::Scalar(_) | Crossing::User => continue,
            Crossing::Extent { count, element_size, direction, .. } => {
                let len = extent(instance, signature, count, &numbers, &guest, *element_size)
                    .map_err(|why| format!("{}: {why}", name(index)))?;
                // C would follow a NULL that is said to have bytes behind it.
                match value {
                    0 if len == 0 => 0,
                    0 => return Err(format!("{}: NULL, with a length of {len} bytes", name(index))),
                    _ => in_memory(instance, value, len, *direction != Direction::In)
                        .map_err(|why| format!("{}: {why}", name(index)))?,
                }
            }
            // SAFETY: the shape gives the address of the argument's cells.
            Crossing::Struct(record) => unsafe {
                super::structs::argument_out(instance, copies, info.name(), record, value)
                    .map_err(|why| format!("{}: {why}", name(index)))?
            },
            Crossing::Copied { .. } | Crossing::Shadow { .. } => {
                copies.argument = index;
                let count = |expr: &Expr| extent(instance, signature, expr, &numbers, &guest, 1);
                let mut converter = Converter::new(instance, copies, Phase::ThunkEnter(info.name()));
                converter.value_out(param, value, &count).map_err(|why| format!("{}: {why}", name(index)))?
            }
            _ if value == 0 => 0,
            Crossing::Function { signature: callback, .. } => {
                instance.function_pointer(callback, info, index, value as u32)?
            }
            crossing => pointer_like(instance, crossing, value).map_err(|why| format!("{}: {why}", name(index)))?,
        };
    }
    Ok(())
}

/// An extent's length in bytes.
fn extent(
    instance: &InstanceData,
    signature: &Signature,
    expr: &Expr,
    numbers: &[u64],
    guest: &[u64],
    element_size: u32,
) -> Result<u64, Refused> {
    let mut deref = |at: usize| {
        let int = integer_behind(signature, at)?;
        let mut bytes = [0; 8];
        let integer = instance.bytes(guest[at], u64::from(int.native_bytes), false).ok()?;
        integer.read(&mut bytes[..usize::from(int.native_bytes)]).ok()?;
        // SAFETY: no integer has more than eight bytes.
        Some(unsafe { read_integer(int, bytes.as_ptr()) })
    };
    let elements = count(expr, numbers, signature, &mut deref)?;
    elements.checked_mul(u64::from(element_size)).ok_or_else(|| "its length overflows".to_owned())
}

/// A number, extended by its C type.
pub(crate) fn scalar_out(scalar: Scalar, guest: u64) -> u64 {
    match scalar {
        Scalar::Bool => u64::from(guest as u32 != 0),
        Scalar::Int(int) => {
            // What the guest's type holds, extended: the native type is at least as wide.
            let unused = 64 - 8 * u32::from(int.guest_bytes);
            if int.signed { ((guest << unused) as i64 >> unused) as u64 } else { guest << unused >> unused }
        }
        Scalar::Float => guest & 0xffff_ffff,
        Scalar::Double => guest,
    }
}

/// The native address of `len` bytes of the app's, which C reads, or writes too.
pub(crate) fn in_memory(instance: &InstanceData, guest_addr: u64, len: u64, write: bool) -> Result<u64, Refused> {
    instance.native(guest_addr, len, write).map(|native| native as u64)
}

/// A guest value, not 0, that is a pointer in C and is neither an extent nor a function.
pub(crate) fn pointer_like(instance: &InstanceData, crossing: &Crossing, guest: u64) -> Result<u64, Refused> {
    match crossing {
        Crossing::Pointer { pointee_size, .. } => in_memory(instance, guest, u64::from(*pointee_size), true),
        Crossing::Handle { type_name } => {
            instance.scopes.handles.borrow().get(guest as u32, type_name).map(|object| object as u64)
        }
        Crossing::Str => {
            let start = in_memory(instance, guest, 1, false)?;
            match instance.bytes(guest, instance.available(guest), false)?.find_zero()? {
                Some(_) => Ok(start),
                None => Err(format!("the string at {guest:#x} has no end in the app's memory")),
            }
        }
        Crossing::HandleArray { .. } | Crossing::StrArray { .. } => {
            Err("an array of handles or strings cannot be passed to C yet".to_owned())
        }
        Crossing::Function { signature, .. } => instance.function_out(signature, guest as u32),
        // As a result: its length is not known to this side, so it is checked like any pointer.
        Crossing::Extent { direction, .. } => in_memory(instance, guest, 1, *direction != Direction::In),
        Crossing::Scalar(_)
        | Crossing::User
        | Crossing::Struct(_)
        | Crossing::Copied { .. }
        | Crossing::Shadow { .. } => {
            unreachable!("the callers convert numbers and structs")
        }
    }
}

/// Gives what a C function has written to the app.
pub(crate) fn give_back(instance: &InstanceData, info: &ThunkInfo) -> Result<(), Refused> {
    let Some(mut copies) = instance.take_copies() else { return Ok(()) };
    let given = copies.give_back(instance, &info.signature, Phase::ThunkLeave);
    copies.end(instance);
    given
}

/// Replaces a C function's native result by its wasm value.
///
/// # Safety
/// A pointer result is what the prototype says.
pub(crate) unsafe fn leave(instance: &InstanceData, info: &ThunkInfo, slot: &mut u64) -> Result<(), Refused> {
    let signature = &*info.signature;
    let Some(result) = &signature.result else { return Ok(()) };
    let name = value_name(signature, None);
    let native = *slot;
    let converted = match &result.crossing {
        Crossing::Scalar(Scalar::Int(int)) if int.narrows() => {
            let fits = if int.signed { native as i64 == i64::from(native as i32) } else { native >> 32 == 0 };
            if fits { Ok(native & 0xffff_ffff) } else { Err(range_error(int.signed, native)) }
        }
        Crossing::Scalar(scalar) if scalar.wasm_type() == wasmbridge_artifact::ValType::I32 => Ok(native & 0xffff_ffff),
        Crossing::Scalar(_) => Ok(native),
        Crossing::User => user_in(native),
        // SAFETY: the shape gives the address of the result's cells.
        Crossing::Struct(record) => unsafe { super::structs::result_in(instance, record, native) },
        _ if native == 0 => {
            if result.nonnull {
                Err("it is NULL, the prototype says [nonnull]".to_owned())
            } else {
                Ok(0)
            }
        }
        Crossing::Pointer { .. } => pointer_in(instance, native),
        // A result is the app's to keep: its handle does not end with a scope.
        Crossing::Handle { type_name } => {
            let inserted = instance.scopes.handles.borrow_mut().insert(native as usize, type_name);
            inserted.map(|(handle, _)| u64::from(handle))
        }
        // SAFETY: the C function returned a string, by the prototype.
        Crossing::Str => unsafe { string_in(instance, native) },
        Crossing::HandleArray { .. } | Crossing::StrArray { .. } | Crossing::Extent { .. } => {
            pointer_in(instance, native)
        }
        Crossing::Copied { .. } | Crossing::Shadow { .. } => {
            let mut copies = Copies::default();
            Converter::new(instance, &mut copies, Phase::ThunkLeave).value_in(result, native, &|_| Ok(1))
        }
        Crossing::Function { signature, scope } => instance.function_in(signature, scope, native),
    };
    *slot = converted.map_err(|why| format!("{name}: {why}"))?;
    Ok(())
}
