//! Wasm to native, with slots: the arguments of an imported C function, and its result back.

use super::extents::{After, Arrays, Callee, Pending, extent_out, given_in};
use super::inbound::{pointer_in, range_error, string_in, user_in};
use super::records::{Converter, Copies, Phase};
use super::{Refused, value_name, variadic};
use crate::instance::InstanceData;
use crate::linker::ThunkInfo;
use wasmbridge_trampolines::{Crossing, Expr, Scalar, Signature, VarArgs};

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
    let (mut arrays, mut pending) = (Arrays::default(), Pending::default());
    let made = (&mut arrays, &mut pending);
    match signature.var_args() {
        None => convert_all(instance, info, signature, slots, copies, made)?,
        Some((index, ellipsis, args)) => {
            let (count, guest_addr) = (slots.len(), slots[index]);
            let named = |why| format!("{}: {why}", value_name(signature, Some(index)));
            let words = match args {
                VarArgs::Listed(full) => {
                    let listed = &full.params[count..];
                    let mut all = slots.to_vec();
                    all.extend(variadic::listed_out(instance, guest_addr, listed).map_err(named)?);
                    convert_all(instance, info, full, &mut all, copies, made)?;
                    slots.copy_from_slice(&all[..count]);
                    variadic::listed_words(listed, &all[count..])
                }
                VarArgs::Format(format) => {
                    convert_all(instance, info, signature, slots, copies, made)?;
                    let format = *format as usize;
                    let (copy, arguments) = variadic::format_out(&mut arrays, slots[format])
                        .map_err(|why| format!("{}: {why}", value_name(signature, Some(format))))?;
                    slots[format] = copy;
                    variadic::formatted_out(instance, guest_addr, &arguments).map_err(named)?
                }
            };
            slots[index] = match ellipsis {
                true => variadic::call_out(&mut arrays, signature, slots, &words),
                false => variadic::va_list_out(&mut arrays, &words),
            }
            .map_err(named)?;
        }
    }
    if !arrays.is_empty() || !pending.is_empty() {
        instance.converted.begin(instance.next_crossing(), arrays, pending);
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
    (arrays, pending): (&mut Arrays, &mut Pending),
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
    instance.converted.end_below(instance.crossings_now());
    // Then integers that lengths are read from, and then everything else.
    for first in [true, false] {
        for (index, param) in signature.params.iter().enumerate() {
            let Crossing::Extent(extent) = &param.crossing else { continue };
            if extent.cell().is_some() == first {
                let call = (&mut *arrays, &mut *pending);
                slots[index] = extent_out(instance, signature, slots, guest[index], index, extent, call)
                    .map_err(|why| format!("{}: {why}", name(index)))?;
            }
        }
    }
    let natives = slots.to_vec();
    for (index, param) in signature.params.iter().enumerate() {
        let value = guest[index];
        slots[index] = match &param.crossing {
            Crossing::Scalar(_) | Crossing::User | Crossing::Extent(_) | Crossing::VarArgs { .. } => continue,
            // SAFETY: the shape gives the address of the argument's cells.
            Crossing::Struct(record) => unsafe {
                super::structs::argument_out(instance, copies, info.name(), record, value)
                    .map_err(|why| format!("{}: {why}", name(index)))?
            },
            Crossing::Copied { .. } | Crossing::Shadow { .. } | Crossing::Handle { ends: true, .. } => {
                copies.argument = index;
                // SAFETY: what lengths are read from was made for this call.
                let count = |expr: &Expr| unsafe { super::extents::count_of(expr, &natives, signature) };
                let mut converter = Converter::new(instance, copies, Phase::ThunkEnter(info.name()));
                converter.value_out(param, value, &count).map_err(|why| format!("{}: {why}", name(index)))?
            }
            _ if value == 0 => 0,
            // A variable argument is not the call's to hold: C may keep it for good.
            Crossing::Function { signature: callback, .. } if index < info.signature.params.len() => {
                instance.function_pointer(callback, info, index, value as u32)?
            }
            crossing => pointer_like(instance, crossing, value, param.is_const)
                .map_err(|why| format!("{}: {why}", name(index)))?,
        };
    }
    pending.keep(slots, signature);
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
        | Crossing::Copied { .. }
        | Crossing::Shadow { .. }
        | Crossing::VarArgs { .. } => {
            unreachable!("the callers convert numbers, extents, structs and variable arguments")
        }
    }
}

/// Gives what a C function has written to the app.
pub(crate) fn give_back(instance: &InstanceData, info: &ThunkInfo) -> Result<(), Refused> {
    let Some(mut copies) = instance.take_copies() else { return Ok(()) };
    let given = copies.give_back(instance, info.signature.with_listed(), Phase::ThunkLeave);
    copies.end(instance);
    given
}

/// Replaces a C function's native result by its wasm value, gives the app what it has written, and ends what was made for the call. `slot` holds the
/// result, extended to 64 bits: a number by its C type.
///
/// # Safety
/// The C function has just returned, and keeps the prototype's promises.
pub(crate) unsafe fn leave(instance: &InstanceData, info: &ThunkInfo, slot: &mut u64) -> Result<(), Refused> {
    let Some(call) = instance.converted.take(instance.next_crossing()) else {
        // SAFETY: the caller's promise.
        return unsafe { result(instance, info, slot, After::NOTHING) };
    };
    let (pending, signature, number) = (&call.pending, info.signature.with_listed(), *slot);
    // SAFETY: the caller's promise.
    unsafe {
        let ready = pending.convert(instance, signature, Callee::Native, number)?;
        let operand = |operand| pending.operand(operand, signature, Callee::Native, &ready, number);
        result(instance, info, slot, After(&operand))?;
        ready.write(instance)
    }
}

/// Replaces a C function's native result by its wasm value.
///
/// # Safety
/// A pointer result is what the prototype says.
pub(crate) unsafe fn result(
    instance: &InstanceData,
    info: &ThunkInfo,
    slot: &mut u64,
    after: After<'_>,
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
        // SAFETY: the C function returned a pointer to so much, by the prototype.
        Crossing::Extent(extent) => unsafe { given_in(instance, extent, native, after) },
        _ if native == 0 => Ok(0),
        Crossing::Pointer { .. } => pointer_in(instance, native),
        // A result is the app's to keep: its handle does not end with a scope.
        Crossing::Handle { type_name, .. } => instance.scopes.give(native as usize, type_name).map(u64::from),
        // SAFETY: the C function returned a string, by the prototype.
        Crossing::Str => unsafe { string_in(instance, native) },
        Crossing::VarArgs { .. } => unreachable!("a result is not variable arguments"),
        Crossing::Copied { .. } | Crossing::Shadow { .. } => {
            let mut copies = Copies::default();
            Converter::new(instance, &mut copies, Phase::ThunkLeave)
                .value_in(result, native, &|count| after.count(count))
        }
        Crossing::Function { signature, scope, policy } => instance.function_in(signature, scope, policy, native),
    };
    *slot = converted.map_err(|why| format!("{}: {why}", value_name(signature, None)))?;
    Ok(())
}
