//! Arrays that the two sides do not have in one place.
//!
//! What the function that is called only reads is converted before the call, what it only writes after it: until then its array is zero, so that
//! nothing of the other side's is seen that was never meant to be, and nothing stale goes out. What goes both ways is converted twice, but
//! members and elements that the function has left alone keep the very value they had: a pointer comes back as it went.
//!
//! What a function gives (a result, a pointer that it writes) is looked at when it has returned ([`Converter::given_in`],
//! [`Converter::given_out`]): the other side gets no pointer of which it may use more than is there.

use super::convert::original;
use super::counts::Operands;
use super::leaf::{self, Side};
use super::{Converter, Phase, memory};
use crate::crossing::Refused;
use crate::crossing::outbound::in_memory;
use crate::instance::InstanceData;
use wasmbridge_trampolines::signature::{Element, Extent, Leaf, Length, Value};
use wasmbridge_trampolines::{Crossing, Direction, Expr};

/// An array that both sides have for the time of a call, and that goes back when it returns.
#[derive(Debug)]
pub(super) struct Mirror {
    /// the number of the parameter that it belongs to
    pub(super) argument: usize,
    direction: Direction,
    element: Element,
    /// elements
    count: u64,
    /// how many of them mean something after the call, if not all
    valid: Option<Expr>,
    native: *mut u8,
    guest_addr: u64,
    /// the bytes of the side that is called, before the call; empty for `[out]`
    before: Vec<u8>,
}

/// Bytes that are ready to be written.
pub(super) struct Change {
    /// the number of the parameter that they belong to
    pub(super) argument: usize,
    to: Target,
    /// what of it is there already; nothing, if all of it is to be written
    old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

enum Target {
    Native(*mut u8),
    Guest(u64),
}

impl Mirror {
    /// Whether how much of it goes back depends on integers that the function has written.
    pub(super) fn is_measured(&self) -> bool {
        self.valid.is_some() || matches!(self.element, Element::Pointers(_))
    }
}

impl Change {
    /// Writes it.
    ///
    /// # Safety
    /// If the target is native, as many bytes may be written there.
    pub(super) unsafe fn write(self, instance: &InstanceData) -> Result<(), Refused> {
        match self.to {
            // SAFETY: the caller's promise.
            Target::Native(to) => unsafe { memory::write_changes(to, &self.old, &self.new) },
            Target::Guest(guest_addr) => instance.bytes(guest_addr, self.new.len() as u64, true)?.write(&self.new)?,
        }
        Ok(())
    }
}

/// Before the call.
impl Converter<'_> {
    /// An array of C's for a callback.
    ///
    /// # Safety
    /// It is what the prototype says, and `native` is not NULL.
    pub(super) unsafe fn array_in(
        &mut self,
        extent: &Extent,
        native: u64,
        operands: Operands<'_>,
    ) -> Result<u64, Refused> {
        if let Some(guest_addr) = self.visible(extent, native) {
            return Ok(guest_addr);
        }
        // SAFETY: the caller's promise.
        let (count, guest_addr) = unsafe {
            let count = count_in(extent, native, operands)?;
            (count, self.copy_in(extent, native, count)?)
        };
        self.mirror(extent, count, native as *mut u8, guest_addr, Side::Guest)?;
        Ok(guest_addr)
    }

    /// An array of the app's for a C function.
    pub(super) fn array_out(
        &mut self,
        extent: &Extent,
        guest_addr: u64,
        operands: Operands<'_>,
    ) -> Result<u64, Refused> {
        if guest_addr == 0 && extent.nullable {
            return Ok(0);
        }
        let (native_size, guest_size) = sizes(&extent.element);
        let count = match &extent.length {
            Length::Count(expr) => operands.count(expr)?,
            Length::Terminated => terminated_out(self.instance, guest_addr)?,
        };
        let len = bytes(count, guest_size)?;
        if guest_addr == 0 {
            return null_with_length(len);
        }
        let written = extent.direction != Direction::In;
        if let Element::Alike { .. } = extent.element {
            return in_memory(self.instance, guest_addr, len, written);
        }
        let theirs = self.instance.bytes(guest_addr, len, written)?;
        let array = self.copies.allocate(bytes(count + end(extent), native_size)?)?;
        if extent.direction != Direction::Out {
            // They are read once: what is checked is what is used.
            let mut guest = vec![0; len as usize];
            theirs.read(&mut guest)?;
            let mut converted = vec![0; (count * native_size) as usize];
            self.convert(&extent.element, &[], &guest, &mut converted, Side::Guest)?;
            // SAFETY: just allocated, of at least as many bytes.
            unsafe { array.copy_from_nonoverlapping(converted.as_ptr(), converted.len()) };
        }
        self.mirror(extent, count, array, guest_addr, Side::Native)?;
        Ok(array as u64)
    }

    /// Remembers an array that goes back. `called` is the side that uses it until then.
    fn mirror(
        &mut self,
        extent: &Extent,
        count: u64,
        native: *mut u8,
        guest_addr: u64,
        called: Side,
    ) -> Result<(), Refused> {
        if extent.direction == Direction::In {
            return Ok(());
        }
        let (native_size, guest_size) = sizes(&extent.element);
        let before = match (extent.direction, called) {
            (Direction::InOut, Side::Guest) => {
                let mut before = vec![0; (count * guest_size) as usize];
                self.instance.bytes(guest_addr, before.len() as u64, false)?.read(&mut before)?;
                before
            }
            // SAFETY: made for the call.
            (Direction::InOut, Side::Native) => unsafe { native_bytes(native, count * native_size) }.to_vec(),
            _ => Vec::new(),
        };
        self.copies.mirrors.push(Mirror {
            argument: self.copies.argument,
            direction: extent.direction,
            element: extent.element.clone(),
            count,
            valid: extent.valid.clone(),
            native,
            guest_addr,
            before,
        });
        Ok(())
    }

    /// A copy of C's array in scratch memory.
    ///
    /// # Safety
    /// There are so many elements, which are what the prototype says.
    unsafe fn copy_in(&mut self, extent: &Extent, native: u64, count: u64) -> Result<u64, Refused> {
        let (native_size, guest_size) = sizes(&extent.element);
        let native_len = bytes(count, native_size)?;
        let len = bytes(count + end(extent), guest_size)?;
        let (guest_addr, room) = self.instance.scratch(len)?;
        let is_alike = matches!(extent.element, Element::Alike { .. });
        if is_alike {
            self.instance.scopes.show(guest_addr, len, native);
        }
        if is_alike && extent.direction != Direction::Out {
            // SAFETY: the caller's promise; just allocated, as many bytes.
            unsafe { room.copy_from_nonoverlapping(native as *const u8, len as usize) };
            return Ok(guest_addr);
        }
        let mut converted = vec![0; len as usize];
        if extent.direction != Direction::Out {
            // SAFETY: the caller's promise.
            let from = unsafe { native_bytes(native as *mut u8, native_len) };
            let to = &mut converted[..(count * guest_size) as usize];
            self.convert(&extent.element, &[], from, to, Side::Native)?;
        }
        // SAFETY: as above.
        unsafe { room.copy_from_nonoverlapping(converted.as_ptr(), converted.len()) };
        Ok(guest_addr)
    }

    /// Where the app has C's memory, if it can use it as it is.
    fn visible(&self, extent: &Extent, native: u64) -> Option<u64> {
        let alike = match &extent.element {
            Element::Alike { .. } => true,
            element => match element.value() {
                Some(Value { crossing: Crossing::Scalar(scalar), .. }) => scalar.native_bytes() == scalar.guest_bytes(),
                _ => false,
            },
        };
        self.instance.guest_addr(native as usize).filter(|_| alike)
    }
}

/// What a function gives.
impl Converter<'_> {
    /// Memory of C's that the app gets for good: a C function returns the pointer, or has written it. A copy is shown like a string that C returns.
    ///
    /// # Safety
    /// It is what the prototype says.
    pub(crate) unsafe fn given_in(
        &mut self,
        extent: &Extent,
        native: u64,
        operands: Operands<'_>,
    ) -> Result<u64, Refused> {
        if native == 0 && extent.nullable {
            return Ok(0);
        }
        // SAFETY: the caller's promise.
        let count = unsafe { count_in(extent, native, operands) }?;
        let len = bytes(count, sizes(&extent.element).1)?;
        if native == 0 {
            return null_with_length(len);
        }
        let written = extent.direction != Direction::In;
        if let Some(guest_addr) = self.visible(extent, native) {
            return self.instance.bytes(guest_addr, len, written).map(|_| guest_addr);
        }
        if written {
            return Err(format!(
                "the app may write {len} bytes of C's that it cannot see, and nobody would give a copy back: put them in its memory, a \
                 window or a region, or say [in: n]"
            ));
        }
        // SAFETY: the caller's promise.
        unsafe { self.copy_in(extent, native, count) }
    }

    /// Memory of the app's that a callback gives C: it returns the address, or has written it. All of it is the app's, or what the address is
    /// shown in is C's own as far.
    pub(crate) fn given_out(&self, extent: &Extent, guest_addr: u64, operands: Operands<'_>) -> Result<u64, Refused> {
        if guest_addr == 0 && extent.nullable {
            return Ok(0);
        }
        let (Length::Count(count), Element::Alike { size, .. }) = (&extent.length, &extent.element) else {
            return Err("the app cannot give C a new array here: its elements are laid out differently in C, and nobody knows how long C \
                        would need a copy; write to the one that is there"
                .to_owned());
        };
        let len = bytes(operands.count(count)?, u64::from(*size))?;
        match guest_addr {
            0 => null_with_length(len),
            _ if self.instance.is_shown(guest_addr) => original(self.instance, guest_addr, len),
            _ => in_memory(self.instance, guest_addr, len, extent.direction != Direction::In),
        }
    }
}

/// After the call.
impl Converter<'_> {
    /// What goes to the caller's side.
    ///
    /// # Safety
    /// The call for which the mirror was made has just returned, and C keeps the prototype's promises.
    pub(super) unsafe fn back(&mut self, mirror: &Mirror) -> Result<Change, Refused> {
        let count = self.valid(mirror)?;
        let (native_size, guest_size) = sizes(&mirror.element);
        let (native_len, guest_len) = (count * native_size, count * guest_size);
        let from_native = matches!(self.phase, Phase::ThunkLeave);
        let theirs = self.instance.bytes(mirror.guest_addr, guest_len, from_native)?;
        let mut guest = vec![0; guest_len as usize];
        let stays = mirror.direction == Direction::InOut;
        if stays || !from_native {
            theirs.read(&mut guest)?;
        }
        // SAFETY: so many bytes are there on the C side, by the prototype or since they were made for the call.
        let native = unsafe { native_bytes(mirror.native, native_len) }.to_vec();
        let argument = mirror.argument;
        if from_native {
            self.convert(&mirror.element, &mirror.before, &native, &mut guest, Side::Native)?;
            return Ok(Change { argument, to: Target::Guest(mirror.guest_addr), old: Vec::new(), new: guest });
        }
        let to = Target::Native(mirror.native);
        if let Element::Alike { .. } = mirror.element {
            return Ok(Change { argument, to, old: mirror.before.clone(), new: guest });
        }
        let mut new = if stays { native.clone() } else { vec![0; native_len as usize] };
        self.convert(&mirror.element, &mirror.before, &guest, &mut new, Side::Guest)?;
        Ok(Change { argument, to, old: if stays { native } else { Vec::new() }, new })
    }

    /// How many elements mean something.
    fn valid(&self, mirror: &Mirror) -> Result<u64, Refused> {
        let Some(valid) = &mirror.valid else { return Ok(mirror.count) };
        let valid = self.operands.value(valid).ok_or("how much of it is valid overflows or cannot be read")?;
        Ok(valid.clamp(0, i128::from(mirror.count)) as u64)
    }

    /// Converts elements from one side's bytes: the members that are not as they were `before`; all, where there is nothing before.
    fn convert(
        &mut self,
        element: &Element,
        before: &[u8],
        from: &[u8],
        to: &mut [u8],
        side: Side,
    ) -> Result<(), Refused> {
        let each = elements(element, side, from, to);
        let count = each.len();
        for (i, (from, to)) in each.enumerate() {
            let before = before.get(i * from.len()..(i + 1) * from.len());
            let is_changed = |leaf: &&Leaf| before.is_none_or(|before| leaf::changed(leaf, side, from, before));
            let converted = match element {
                Element::Alike { .. } => Ok(()),
                Element::Converted(record) => record
                    .leaves()
                    .iter()
                    .filter(is_changed)
                    .try_for_each(|leaf| leaf::convert(self, record, leaf, side, from, to)),
                Element::Pointers(inner) => self.given(inner, from, to, side),
            };
            converted.map_err(|why| named(element, count, i, why))?;
        }
        Ok(())
    }

    /// A pointer that the function has written.
    fn given(&mut self, inner: &Extent, from: &[u8], to: &mut [u8], side: Side) -> Result<(), Refused> {
        let (value, operands) = (leaf::read(from, 0, from.len()), self.operands);
        let value = match side {
            // SAFETY: C has written it, and keeps the prototype's promises.
            Side::Native => unsafe { self.given_in(inner, value, operands) },
            Side::Guest => self.given_out(inner, value, operands),
        }?;
        leaf::write(to, 0, to.len(), value);
        Ok(())
    }
}

/// Bytes of an element in C and in the guest.
fn sizes(element: &Element) -> (u64, u64) {
    match element {
        Element::Alike { size, .. } => ((*size).into(), (*size).into()),
        Element::Converted(record) => (record.native.size.into(), record.guest.size.into()),
        Element::Pointers(_) => (8, 4),
    }
}

/// Elements of one side, and where they go on the other.
fn elements<'a>(
    element: &Element,
    side: Side,
    from: &'a [u8],
    to: &'a mut [u8],
) -> impl ExactSizeIterator<Item = (&'a [u8], &'a mut [u8])> {
    let (native, guest) = sizes(element);
    let (from_size, to_size) = if side == Side::Native { (native, guest) } else { (guest, native) };
    from.chunks_exact(from_size as usize).zip(to.chunks_exact_mut(to_size as usize))
}

/// An error in one of so many elements. A struct alone has members with names.
fn named(element: &Element, count: usize, index: usize, why: Refused) -> Refused {
    let alone = count == 1 && matches!(element, Element::Converted(record) if record.wrapped().is_none());
    if alone { why } else { format!("element {index}: {why}") }
}

/// How many elements stand for the end of an array.
fn end(extent: &Extent) -> u64 {
    u64::from(extent.length == Length::Terminated)
}

fn bytes(count: u64, size: u64) -> Result<u64, Refused> {
    count.checked_mul(size).filter(|&len| len < 1 << 47).ok_or_else(|| "its length overflows".to_owned())
}

/// NULL is good for nothing only.
fn null_with_length(len: u64) -> Result<u64, Refused> {
    // Whoever gets it would follow a NULL that is said to have bytes behind it.
    if len == 0 { Ok(0) } else { Err(format!("NULL, with a length of {len} bytes")) }
}

/// How many elements C has.
///
/// # Safety
/// They are what the prototype says.
unsafe fn count_in(extent: &Extent, native: u64, operands: Operands<'_>) -> Result<u64, Refused> {
    match &extent.length {
        Length::Count(expr) => operands.count(expr),
        Length::Terminated if native == 0 => Ok(0),
        Length::Terminated => {
            let mut count = 0;
            // SAFETY: pointers of C's, with a NULL at their end.
            while unsafe { (native as *const u64).add(count).read_unaligned() } != 0 {
                count += 1;
            }
            Ok(count as u64)
        }
    }
}

/// How many pointers there are in the app's memory before a NULL.
fn terminated_out(instance: &InstanceData, guest_addr: u64) -> Result<u64, Refused> {
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

/// # Safety
/// So many bytes are there, and nobody writes to them meanwhile.
unsafe fn native_bytes<'a>(start: *mut u8, len: u64) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start, len as usize) }
}
