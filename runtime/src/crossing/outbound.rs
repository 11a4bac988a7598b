//! Wasm to native, with slots: the arguments of an imported C function, and its result back.

use super::copies::counts::arguments;
use super::copies::{Converter, Copies, Operands, Phase, Side};
use super::inbound::{range_error, user_in};
use super::variadic::{self, Listed};
use super::{Refused, value_name};
use crate::instance::InstanceData;
use crate::linker::ThunkInfo;
use wasmbridge_trampolines::signature::Value;
use wasmbridge_trampolines::{Crossing, Scalar, Signature, VarArgs};

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
    match signature.var_args() {
        None => convert_all(instance, info, signature, slots, copies)?,
        Some((index, ellipsis, args)) => {
            let (count, guest_addr) = (slots.len(), slots[index]);
            let named = |why| format!("{}: {why}", value_name(signature, Some(index)));
            let mut listed = Listed::new(&signature.with_listed().params[count..]);
            let words = match args {
                VarArgs::Listed(full) => {
                    let mut all = slots.to_vec();
                    all.extend(listed.read_guest(instance, guest_addr).map_err(named)?);
                    convert_all(instance, info, full, &mut all, copies)?;
                    slots.copy_from_slice(&all[..count]);
                    listed.words(&all[count..])
                }
                VarArgs::Format(format) => {
                    convert_all(instance, info, signature, slots, copies)?;
                    let format = *format as usize;
                    let (copy, arguments) = variadic::format_out(copies, slots[format])
                        .map_err(|why| format!("{}: {why}", value_name(signature, Some(format))))?;
                    slots[format] = copy;
                    variadic::formatted_out(instance, guest_addr, &arguments).map_err(named)?
                }
            };
            slots[index] = match ellipsis {
                true => variadic::call_out(copies, signature, slots, &words),
                false => variadic::va_list_out(copies, &words),
            }
            .map_err(named)?;
        }
    }
    Ok(())
}

/// Replaces each wasm argument but the variable ones.
fn convert_all(
    instance: &InstanceData,
    info: &ThunkInfo,
    signature: &Signature,
    slots: &mut [u64],
    copies: &mut Copies,
) -> Result<(), Refused> {
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
    // Then integers that lengths are read from, and then everything else.
    let is_cell = |param: &Value| matches!(&param.crossing, Crossing::Extent(extent) if extent.cell().is_some());
    for first in [true, false] {
        if first && !signature.params.iter().any(is_cell) {
            continue;
        }
        let natives = slots.to_vec();
        // SAFETY: what lengths are read from was made for this call.
        let operands = unsafe { arguments(signature, &natives) };
        let operands = Operands(&operands);
        for (index, param) in signature.params.iter().enumerate() {
            if is_cell(param) != first {
                continue;
            }
            let value = guest[index];
            let converted = match &param.crossing {
                Crossing::Scalar(_) | Crossing::User | Crossing::VarArgs { .. } => continue,
                // SAFETY: the shape gives the address of the argument's cells.
                Crossing::Struct(record) => unsafe {
                    super::structs::argument_out(instance, copies, info.name(), record, value)
                },
                Crossing::Function { .. } if index < info.signature.params.len() => {
                    slots[index] = instance.function_pointer(info, index, value as u32)?;
                    continue;
                }
                Crossing::Function { .. } if value == 0 => Ok(0),
                // A variable argument is not the call's to hold: C may keep it for good.
                Crossing::Function { .. } => pointer_like(instance, &param.crossing, value, param.is_const),
                _ => {
                    copies.argument = index;
                    let phase = Phase::ThunkEnter(info.name());
                    Converter::new(instance, copies, phase, operands).value_out(param, value, operands)
                }
            };
            slots[index] = converted.map_err(|why| format!("{}: {why}", name(index)))?;
        }
    }
    copies.keep_arguments(slots, signature);
    Ok(())
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

/// A guest value, not 0, that is a pointer in C and is neither an extent nor a function. C may write through a plain one unless it `is_const`.
pub(crate) fn pointer_like(
    instance: &InstanceData,
    crossing: &Crossing,
    guest: u64,
    is_const: bool,
) -> Result<u64, Refused> {
    match crossing {
        Crossing::Pointer { pointee_size, .. } => in_memory(instance, guest, u64::from(*pointee_size), !is_const),
        Crossing::Handle { type_name, .. } => {
            instance.scopes.handles().get(guest as u32, type_name).map(|object| object as u64)
        }
        Crossing::Externref { type_name, .. } => {
            instance.scopes.handles().get_externref(guest, type_name).map(|object| object as u64)
        }
        Crossing::Str => {
            let start = in_memory(instance, guest, 1, false)?;
            match instance.bytes(guest, instance.available(guest), false)?.find_zero()? {
                Some(_) => Ok(start),
                None => Err(format!("the string at {guest:#x} has no end in the app's memory")),
            }
        }
        Crossing::Function { signature, policy, .. } => instance.function_out(signature, policy, guest as u32),
        Crossing::Extent(_)
        | Crossing::Scalar(_)
        | Crossing::User
        | Crossing::Struct(_)
        | Crossing::Shadow { .. }
        | Crossing::VarArgs { .. } => {
            unreachable!("the callers convert numbers, extents, structs and variable arguments")
        }
    }
}

/// Replaces a C function's native result by its wasm value, gives the app what it has written, and ends what was made for the call. `slot` holds the
/// result, extended to 64 bits: a number by its C type.
///
/// # Safety
/// The C function has just returned, and keeps the prototype's promises.
pub(crate) unsafe fn leave(instance: &InstanceData, info: &ThunkInfo, slot: &mut u64) -> Result<(), Refused> {
    let Some(mut copies) = instance.take_copies() else {
        // SAFETY: the caller's promise.
        return unsafe { result(instance, info, slot, Operands::NOTHING) };
    };
    let (signature, number) = (info.signature.with_listed(), *slot);
    // SAFETY: the caller's promise.
    let left = unsafe {
        copies.finish(instance, signature, Side::Native, number, |operands| result(instance, info, slot, operands))
    };
    copies.end(instance);
    left
}

/// Replaces a C function's native result by its wasm value.
///
/// # Safety
/// A pointer result is what the prototype says.
pub(crate) unsafe fn result(
    instance: &InstanceData,
    info: &ThunkInfo,
    slot: &mut u64,
    operands: Operands<'_>,
) -> Result<(), Refused> {
    let signature = &*info.signature;
    let Some(result) = &signature.result else { return Ok(()) };
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
        _ if native == 0 && result.nonnull => Err("it is NULL, the prototype says [nonnull]".to_owned()),
        Crossing::VarArgs { .. } => unreachable!("a result is not variable arguments"),
        // What a result says is its own: nothing of it ends with the call.
        crossing => {
            let mut copies = Copies::default();
            let mut converter = Converter::new(instance, &mut copies, Phase::ThunkLeave, operands);
            // SAFETY: the C function returned what the prototype says.
            unsafe {
                match crossing {
                    // NULL too.
                    Crossing::Extent(extent) => converter.given_in(extent, native, operands),
                    _ => converter.value_in(result, native, operands),
                }
            }
        }
    };
    *slot = converted.map_err(|why| format!("{}: {why}", value_name(signature, None)))?;
    Ok(())
}
