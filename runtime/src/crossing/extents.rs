//! Extents: memory behind a pointer that both sides cannot use where it lies.
//!
//! | | a callback is given it | the app passes it |
//! |---|---|---|
//! | elements alike on both sides | the app's own memory as it is; other memory as a copy in scratch memory | as it is |
//! | elements that are converted | an array in scratch memory | an array of the host's, for the call |
//!
//! What the function only reads is converted before the call, what it only writes after it: until then its array is zero, so that nothing of
//! the other side's is seen that was never meant to be, and nothing stale goes out. What goes both ways is converted twice, but elements
//! that the function has left alone keep the very value they had: a pointer comes back as it went.
//!
//! After the call everything is converted before anything is written: if one value is refused, memory is as if the function had written none.
//!
//! What a function gives (a result, or a pointer that it writes: `[out in: n]`) is looked at when it has returned ([`given_in`], [`given_out`]): the other
//! side gets no pointer of which it may use more than is there.

use super::inbound::{function_or_pointer_in, scalar_in, user_in};
use super::outbound::{in_memory, pointer_like, scalar_out};
use super::{Refused, count, value_name};
use crate::instance::InstanceData;
use std::ops::Range;
use wasmbridge_trampolines::signature::{Element, Extent, Length, Operand};
use wasmbridge_trampolines::{Crossing, Direction, Expr, Int, Scalar, Signature};

/// The most bytes that an array is converted to for a C function.
const MAX_CONVERTED: u64 = 64 << 20;

/// An array that goes back when the call returns. Its extent is the parameter's.
#[derive(Debug)]
pub(crate) struct Back {
    /// number of the parameter
    param: usize,
    /// the array in C
    native: *mut u8,
    /// the guest's array
    guest_addr: u64,
    /// elements
    count: u64,
    /// What the called side's array was before the call, if it had values then.
    before: Option<Vec<u8>>,
}

/// What a call needs after it: the arrays that go back, and the arguments that C has or gave.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    back: Vec<Back>,
    native: Vec<u64>,
}

/// Native memory for a call's arrays.
#[derive(Debug, Default)]
pub(crate) struct Arrays(Vec<Vec<u64>>);

/// Bytes that are ready to be written.
pub(crate) struct Ready(Vec<Copy>);

struct Copy {
    param: usize,
    to: Target,
    bytes: Vec<u8>,
}

enum Target {
    Native(*mut u8),
    Guest(u64),
}

/// Which side the called function is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callee {
    Guest,
    Native,
}

impl Pending {
    /// Whether nothing is wanted of it after the call.
    pub(crate) fn is_empty(&self) -> bool {
        self.native.is_empty()
    }

    /// Remembers the arguments, if anything goes back, or the result has a length: it may depend on them.
    pub(crate) fn keep(&mut self, native: &[u64], signature: &Signature) {
        if !self.back.is_empty() || signature.has_counted_result() {
            self.native = native.to_vec();
        }
    }

    /// Converts what goes back. `result` is the function's, extended by its C type.
    ///
    /// # Safety
    /// The call for which this was made has just returned, and C keeps the prototype's promises.
    pub(crate) unsafe fn convert(
        &self,
        instance: &InstanceData,
        signature: &Signature,
        callee: Callee,
        result: u64,
    ) -> Result<Ready, Refused> {
        let mut ready = Ready(Vec::with_capacity(self.back.len()));
        // Integers first that tell how much of the others is valid.
        for measured in [false, true] {
            for back in &self.back {
                let Crossing::Extent(extent) = &signature.params[back.param].crossing else { continue };
                if (extent.valid.is_some() || extent.inner().is_some()) != measured {
                    continue;
                }
                // SAFETY: the caller's promise.
                let converted = unsafe {
                    let operand = |operand| self.operand(operand, signature, callee, &ready, result);
                    let after = After(&operand);
                    let count = after.valid(extent, back.count);
                    count.and_then(|count| back.convert(instance, extent, callee, count, after))
                };
                let name = || value_name(signature, Some(back.param));
                let bytes = converted.map_err(|why| format!("{}: {why}", name()))?;
                let to = match callee {
                    Callee::Guest => Target::Native(back.native),
                    Callee::Native => Target::Guest(back.guest_addr),
                };
                ready.0.push(Copy { param: back.param, to, bytes });
            }
        }
        Ok(ready)
    }

    /// The value of an operand of an expression after the call.
    pub(crate) unsafe fn operand(
        &self,
        operand: Operand,
        signature: &Signature,
        callee: Callee,
        ready: &Ready,
        result: u64,
    ) -> Option<i128> {
        match operand {
            Operand::Param(index) => Some(super::integer(signature, index as usize, *self.native.get(index as usize)?)),
            Operand::Deref(index) => {
                let index = index as usize;
                let int = integer_behind(signature, index)?;
                match ready.made(index).filter(|_| callee == Callee::Guest) {
                    Some(bytes) => Some(extended(int, bytes)),
                    // SAFETY: the C side has such an integer there, by the prototype, or has got one.
                    None => unsafe { integer_at(int, *self.native.get(index)?) },
                }
            }
            Operand::Result => {
                let signed = matches!(
                    signature.result.as_ref().map(|result| &result.crossing),
                    Some(Crossing::Scalar(Scalar::Int(Int { signed: true, .. })))
                );
                Some(if signed { i128::from(result as i64) } else { i128::from(result) })
            }
        }
    }
}

/// What is known when a call has returned, for lengths that are computed then: its arguments as they were before it, integers that it has left
/// behind pointers, as the caller gets them, and its result.
#[derive(Clone, Copy)]
pub(crate) struct After<'a>(pub(crate) &'a dyn Fn(Operand) -> Option<i128>);

impl After<'_> {
    /// Nothing: of a call that has no such lengths.
    pub(crate) const NOTHING: After<'static> = After(&|_| None);

    pub(super) fn count(self, count: &Expr) -> Result<u64, Refused> {
        super::counted(count.evaluate(&mut |operand| (self.0)(operand)))
    }

    /// How many elements of an extent mean something.
    fn valid(self, extent: &Extent, count: u64) -> Result<u64, Refused> {
        let Some(valid) = &extent.valid else { return Ok(count) };
        let valid = valid.evaluate(&mut |operand| (self.0)(operand));
        let valid = valid.ok_or("how much of it is valid overflows or cannot be read")?;
        Ok(valid.clamp(0, i128::from(count)) as u64)
    }
}

impl Back {
    /// What goes to the caller's side.
    ///
    /// # Safety
    /// As for [`Pending::convert`].
    unsafe fn convert(
        &self,
        instance: &InstanceData,
        extent: &Extent,
        callee: Callee,
        count: u64,
        after: After<'_>,
    ) -> Result<Vec<u8>, Refused> {
        let (native_size, guest_size) = extent_sizes(extent);
        let native_len = count as usize * native_size;
        let mut guest = vec![0; count as usize * guest_size];
        let theirs = instance.bytes(self.guest_addr, guest.len() as u64, callee == Callee::Native)?;
        // SAFETY: so many bytes are there on the C side, by the prototype or since it was made for the call.
        let native = || unsafe { std::slice::from_raw_parts(self.native, native_len) };
        let crossing = match &extent.element {
            Element::Converted(crossing) => &**crossing,
            Element::Alike { .. } => {
                theirs.read(&mut guest)?;
                return Ok(guest);
            }
        };
        if callee == Callee::Guest || self.before.is_some() {
            theirs.read(&mut guest)?;
        }
        let mut converted = Vec::with_capacity(if callee == Callee::Guest { native_len } else { guest.len() });
        for i in 0..count as usize {
            let (native_at, guest_at) = (i * native_size..(i + 1) * native_size, i * guest_size..(i + 1) * guest_size);
            let unchanged = |now: &[u8], at: &Range<usize>| {
                self.before.as_ref().is_some_and(|before| before[at.clone()] == now[at.clone()])
            };
            match callee {
                Callee::Guest if unchanged(&guest, &guest_at) => converted.extend_from_slice(&native()[native_at]),
                Callee::Native if unchanged(native(), &native_at) => converted.extend_from_slice(&guest[guest_at]),
                Callee::Guest => {
                    let value = shown_out(instance, crossing, of_bytes(&guest[guest_at]), after);
                    let value = value.map_err(|why| format!("element {i}: {why}"))?;
                    converted.extend_from_slice(&value.to_le_bytes()[..native_size]);
                }
                Callee::Native => {
                    // SAFETY: the C function has written it, by the prototype.
                    let value = unsafe { element_in(instance, crossing, of_bytes(&native()[native_at]), true, after) };
                    let value = value.map_err(|why| format!("element {i}: {why}"))?;
                    converted.extend_from_slice(&value.to_le_bytes()[..guest_size]);
                }
            }
        }
        Ok(converted)
    }
}

impl Ready {
    fn made(&self, param: usize) -> Option<&[u8]> {
        self.0.iter().find(|copy| copy.param == param).map(|copy| &copy.bytes[..])
    }

    /// Writes all of it.
    ///
    /// # Safety
    /// As for [`Pending::convert`].
    pub(crate) unsafe fn write(self, instance: &InstanceData) -> Result<(), Refused> {
        for Copy { to, bytes, .. } in self.0 {
            match to {
                // SAFETY: as many bytes are there to be written, by the prototype.
                Target::Native(to) => unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) },
                Target::Guest(guest_addr) => instance.bytes(guest_addr, bytes.len() as u64, true)?.write(&bytes)?,
            }
        }
        Ok(())
    }
}

/// Memory for a callback.
///
/// # Safety
/// `native` holds the arguments that the C caller has passed, which are what the prototype says.
pub(super) unsafe fn extent_in(
    instance: &InstanceData,
    signature: &Signature,
    native: &[u64],
    index: usize,
    extent: &Extent,
    pending: &mut Pending,
) -> Result<u64, Refused> {
    let value = native[index];
    let pointer = value as *mut u8;
    if let Some(guest_addr) = instance.guest_addr(value as usize).filter(|_| is_alike(&extent.element)) {
        return Ok(guest_addr);
    }
    // A length that is behind a pointer is read where the C caller has it.
    // SAFETY: the C caller passes NULL or a pointer to such an integer, by the prototype.
    let mut deref = |at: usize| unsafe { integer_at(integer_behind(signature, at)?, native[at]) };
    let count = match &extent.length {
        Length::Count(expr) => count(expr, native, signature, &mut deref)?,
        // SAFETY: the C caller's array has a NULL at its end, by the prototype.
        Length::Terminated => unsafe { terminated_in(pointer) },
    };
    // SAFETY: the C caller has so many elements there, by the prototype.
    let (guest_addr, before) = unsafe { copy_in(instance, extent, pointer, count, false) }?;
    if extent.direction != Direction::In {
        pending.back.push(Back { param: index, native: pointer, guest_addr, count, before });
    }
    Ok(guest_addr)
}

/// Whether elements are the same bytes on both sides.
fn is_alike(element: &Element) -> bool {
    match element {
        Element::Alike { .. } => true,
        Element::Converted(crossing) => {
            matches!(**crossing, Crossing::Scalar(scalar) if scalar.native_bytes() == scalar.guest_bytes())
        }
    }
}

/// A copy of C's memory in scratch memory; and, of elements that go both ways and are converted, what it was at first. Handles are the app's to
/// `keep`, or end with the innermost scope.
///
/// # Safety
/// There are so many elements, which are what the prototype says.
unsafe fn copy_in(
    instance: &InstanceData,
    extent: &Extent,
    pointer: *mut u8,
    count: u64,
    keep: bool,
) -> Result<(u64, Option<Vec<u8>>), Refused> {
    let mut before = None;
    let guest_addr = match &extent.element {
        Element::Alike { size, .. } => {
            let len = bytes(count, u64::from(*size))?;
            let (guest_addr, copy) = instance.scratch(len)?;
            // SAFETY: the C caller has that many bytes there, by the prototype; the copy has as many.
            unsafe {
                match extent.direction {
                    Direction::Out => copy.write_bytes(0, len as usize),
                    _ => copy.copy_from_nonoverlapping(pointer, len as usize),
                }
            }
            instance.scopes.show(guest_addr, len, pointer as u64);
            guest_addr
        }
        Element::Converted(crossing) => {
            let (native_size, guest_size) = sizes(crossing);
            bytes(count, native_size as u64).map(drop)?;
            let end = u64::from(extent.length == Length::Terminated);
            let len = bytes(count + end, guest_size as u64)?;
            let (guest_addr, copy) = instance.scratch(len)?;
            // SAFETY: just allocated.
            unsafe { copy.write_bytes(0, len as usize) };
            if extent.direction != Direction::Out {
                for i in 0..count as usize {
                    // SAFETY: the C caller has that many elements there, by the prototype; so has the copy.
                    unsafe {
                        let value = read(pointer.add(i * native_size), native_size);
                        let converted = element_in(instance, crossing, value, keep, After::NOTHING);
                        let converted = converted.map_err(|why| format!("element {i}: {why}"))?;
                        write(copy.add(i * guest_size), guest_size, converted);
                    }
                }
            }
            if extent.direction == Direction::InOut {
                // SAFETY: as many bytes were just written.
                before = Some(unsafe { std::slice::from_raw_parts(copy, len as usize) }.to_vec());
            }
            guest_addr
        }
    };
    Ok((guest_addr, before))
}

/// How many pointers of C's there are before a NULL.
///
/// # Safety
/// There is one.
unsafe fn terminated_in(pointer: *const u8) -> u64 {
    let mut count = 0;
    // SAFETY: the caller's promise.
    while unsafe { pointer.cast::<u64>().add(count).read_unaligned() } != 0 {
        count += 1;
    }
    count as u64
}

/// Memory of C's that a C function gives the app: it returns the pointer, or has written it. A copy is shown like a string that C returns.
///
/// # Safety
/// It is what the prototype says.
pub(super) unsafe fn given_in(
    instance: &InstanceData,
    extent: &Extent,
    native: u64,
    after: After<'_>,
) -> Result<u64, Refused> {
    if native == 0 && extent.nullable {
        return Ok(0);
    }
    let count = match &extent.length {
        Length::Count(count) => after.count(count)?,
        Length::Terminated if native == 0 => 0,
        // SAFETY: the caller's promise.
        Length::Terminated => unsafe { terminated_in(native as *const u8) },
    };
    let len = bytes(count, extent_sizes(extent).1 as u64)?;
    if native == 0 {
        return null_with_length(len);
    }
    let written = extent.direction != Direction::In;
    if let Some(guest_addr) = instance.guest_addr(native as usize).filter(|_| is_alike(&extent.element)) {
        return instance.bytes(guest_addr, len, written).map(|_| guest_addr);
    }
    if written {
        return Err(format!(
            "the app may write {len} bytes of C's that it cannot see, and nobody would give a copy back: put them in its memory, a \
             window or a region, or say [in: n]"
        ));
    }
    // SAFETY: the caller's promise.
    unsafe { copy_in(instance, extent, native as *mut u8, count, true) }.map(|(guest_addr, _)| guest_addr)
}

/// Memory of the app's that a callback gives C: it returns the address, or has written it. All of it is the app's, or what the address is shown in
/// is C's own as far.
pub(crate) fn given_out(
    instance: &InstanceData,
    extent: &Extent,
    guest_addr: u64,
    after: After<'_>,
) -> Result<u64, Refused> {
    if guest_addr == 0 && extent.nullable {
        return Ok(0);
    }
    let (Length::Count(count), Element::Alike { size, .. }) = (&extent.length, &extent.element) else {
        return Err(
            "its elements are laid out differently in C, and nobody knows how long C would need a copy".to_owned()
        );
    };
    let len = bytes(after.count(count)?, u64::from(*size))?;
    match guest_addr {
        0 => null_with_length(len),
        _ if instance.is_shown(guest_addr) => original(instance, guest_addr, len),
        _ => in_memory(instance, guest_addr, len, extent.direction != Direction::In),
    }
}

/// NULL is good for nothing only.
fn null_with_length(len: u64) -> Result<u64, Refused> {
    // Whoever gets it would follow a NULL that is said to have bytes behind it.
    if len == 0 { Ok(0) } else { Err(format!("NULL, with a length of {len} bytes")) }
}

/// Where C has the bytes of which the app is shown a copy.
fn original(instance: &InstanceData, guest_addr: u64, len: u64) -> Result<u64, Refused> {
    instance.scopes.original(guest_addr, len).ok_or_else(|| {
        let what = if len == 0 { format!("{guest_addr:#x} is") } else { format!("{len} bytes at {guest_addr:#x} are") };
        format!("{what} in memory that the app is only shown until the callback returns, and C would keep it")
    })
}

/// Memory for a C function. `native` has the numbers among the arguments, and the arrays of those that are
/// [one integer](Extent::cell).
pub(super) fn extent_out(
    instance: &InstanceData,
    signature: &Signature,
    native: &[u64],
    guest_addr: u64,
    index: usize,
    extent: &Extent,
    call: (&mut Arrays, &mut Pending),
) -> Result<u64, Refused> {
    if guest_addr == 0 && extent.nullable {
        return Ok(0);
    }
    // SAFETY: the array was made for this call.
    let mut deref = |at: usize| unsafe { integer_at(integer_behind(signature, at)?, native[at]) };
    let (native_size, guest_size) = extent_sizes(extent);
    let count = match &extent.length {
        Length::Count(expr) => count(expr, native, signature, &mut deref)?,
        Length::Terminated => terminated(instance, guest_addr)?,
    };
    let len = bytes(count, guest_size as u64)?;
    if guest_addr == 0 {
        return null_with_length(len);
    }
    let written = extent.direction != Direction::In;
    let Element::Converted(crossing) = &extent.element else {
        return in_memory(instance, guest_addr, len, written);
    };
    let theirs = instance.bytes(guest_addr, len, written)?;
    let end = u64::from(extent.length == Length::Terminated);
    let (arrays, pending) = call;
    let array = arrays.allocate(bytes(count + end, native_size as u64)?)?;
    if extent.direction != Direction::Out {
        // Each element is read once.
        let mut guest = vec![0; len as usize];
        theirs.read(&mut guest)?;
        for (i, element) in guest.chunks_exact(guest_size).enumerate() {
            let converted = element_out(instance, crossing, of_bytes(element));
            let converted = converted.map_err(|why| format!("element {i}: {why}"))?;
            // SAFETY: the array was just made, of as many elements.
            unsafe { write(array.add(i * native_size), native_size, converted) };
        }
    }
    if written {
        let before = (extent.direction == Direction::InOut)
            // SAFETY: as many bytes were just written.
            .then(|| unsafe { std::slice::from_raw_parts(array, count as usize * native_size) }.to_vec());
        pending.back.push(Back { param: index, native: array, guest_addr, count, before });
    }
    Ok(array as u64)
}

/// How many pointers there are in the app's memory before a NULL.
fn terminated(instance: &InstanceData, guest_addr: u64) -> Result<u64, Refused> {
    let available = instance.available(guest_addr) / 4;
    let mut word = [0; 4];
    for i in 0..available {
        instance.bytes(guest_addr + 4 * i, 4, false)?.read(&mut word)?;
        if word == [0; 4] {
            return Ok(i);
        }
    }
    Err(format!("the array at {guest_addr:#x} has no NULL at its end in the app's memory"))
}

impl Arrays {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that are zero, aligned for any scalar, as long as this lives.
    pub(crate) fn allocate(&mut self, len: u64) -> Result<*mut u8, Refused> {
        if len > MAX_CONVERTED {
            return Err(format!("it takes {len} bytes in C, and at most {MAX_CONVERTED} are converted for a call"));
        }
        // At least one word, so that C never gets a pointer to nothing at all; and an even number of them.
        self.0.push(vec![0; 2 * (len as usize).div_ceil(16).max(1)]);
        Ok(self.0.last_mut().expect("just pushed").as_mut_ptr().cast())
    }
}

fn bytes(count: u64, size: u64) -> Result<u64, Refused> {
    count.checked_mul(size).filter(|&len| len < 1 << 47).ok_or_else(|| "its length overflows".to_owned())
}

/// Bytes of an extent's element in C and in the guest.
fn extent_sizes(extent: &Extent) -> (usize, usize) {
    match &extent.element {
        Element::Alike { size, .. } => (*size as usize, *size as usize),
        Element::Converted(crossing) => sizes(crossing),
    }
}

/// Bytes of an element in C and in the guest.
fn sizes(crossing: &Crossing) -> (usize, usize) {
    match crossing {
        Crossing::Scalar(scalar) => (scalar.native_bytes().into(), scalar.guest_bytes().into()),
        _ => (8, 4),
    }
}

/// An element from C, zero-extended. A handle is the app's to `keep`, or ends with the innermost scope.
///
/// # Safety
/// It is what the prototype says.
unsafe fn element_in(
    instance: &InstanceData,
    crossing: &Crossing,
    native: u64,
    keep: bool,
    after: After<'_>,
) -> Result<u64, Refused> {
    match crossing {
        Crossing::Scalar(Scalar::Bool) => Ok(u64::from(native != 0)),
        Crossing::Scalar(scalar) => scalar_in(*scalar, native),
        Crossing::User => user_in(native),
        // SAFETY: the caller's promise.
        Crossing::Extent(extent) => unsafe { given_in(instance, extent, native, after) },
        _ if native == 0 => Ok(0),
        // SAFETY: the caller's promise.
        crossing => unsafe { function_or_pointer_in(instance, crossing, native, keep) },
    }
}

/// An element for C.
fn element_out(instance: &InstanceData, crossing: &Crossing, guest: u64) -> Result<u64, Refused> {
    match crossing {
        Crossing::Scalar(scalar) => Ok(scalar_out(*scalar, guest)),
        Crossing::User => Ok(guest),
        _ if guest == 0 => Ok(0),
        crossing => pointer_like(instance, crossing, guest, false),
    }
}

/// A value for C that outlives the callback it comes from. A pointer into the copy of something of C's is a pointer into that; a pointer
/// into anything else that ends with the callback is refused.
pub(super) fn shown_out(
    instance: &InstanceData,
    crossing: &Crossing,
    guest: u64,
    after: After<'_>,
) -> Result<u64, Refused> {
    match crossing {
        Crossing::Extent(extent) => given_out(instance, extent, guest, after),
        // The end of a copy belongs to it: C may point there.
        Crossing::Pointer { .. } | Crossing::Str if instance.is_shown(guest) => original(instance, guest, 0),
        crossing => element_out(instance, crossing, guest),
    }
}

/// A count over native arguments.
///
/// # Safety
/// Those are what the prototype says, or the arrays that were made for them.
pub(crate) unsafe fn count_of(expr: &Expr, native: &[u64], signature: &Signature) -> Result<u64, Refused> {
    // SAFETY: the caller's promise.
    count(expr, native, signature, &mut |at| unsafe { integer_at(integer_behind(signature, at)?, native[at]) })
}

/// The type of the integer behind a pointer parameter.
fn integer_behind(signature: &Signature, index: usize) -> Option<Scalar> {
    match &signature.params[index].crossing {
        Crossing::Extent(extent) => extent.cell(),
        _ => None,
    }
}

/// The integer at a native address, if that is not NULL. It need not be aligned.
///
/// # Safety
/// There is one.
unsafe fn integer_at(scalar: Scalar, native: u64) -> Option<i128> {
    let len = usize::from(scalar.native_bytes());
    // SAFETY: the caller's promise.
    (native != 0).then(|| extended(scalar, unsafe { std::slice::from_raw_parts(native as *const u8, len) }))
}

/// A native integer's value.
fn extended(scalar: Scalar, bytes: &[u8]) -> i128 {
    let raw = of_bytes(bytes);
    let unused = 64 - 8 * bytes.len() as u32;
    match scalar {
        Scalar::Int(Int { signed: true, .. }) => i128::from((raw << unused) as i64 >> unused),
        _ => i128::from(raw),
    }
}

fn of_bytes(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// # Safety
/// So many bytes are readable there.
unsafe fn read(from: *const u8, len: usize) -> u64 {
    let mut word = [0; 8];
    // SAFETY: the caller's promise; no element has more than eight bytes.
    unsafe { word.as_mut_ptr().copy_from_nonoverlapping(from, len) };
    u64::from_le_bytes(word)
}

/// # Safety
/// So many bytes are writable there.
unsafe fn write(to: *mut u8, len: usize, value: u64) {
    // SAFETY: the caller's promise; no element has more than eight bytes.
    unsafe { to.copy_from_nonoverlapping(value.to_le_bytes().as_ptr(), len) };
}
