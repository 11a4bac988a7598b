//! Structs behind pointers that C and the app lay out differently, and whatever their members point to.
//!
//! | annotation | the other side gets | afterwards |
//! |---|---|---|
//! | `[in: n]` | converted copies, which last for the call | nothing |
//! | `[out: n]` | zero bytes | all members are converted back |
//! | `[inout: n]` | converted copies | the members that have changed are converted back |
//! | `[shadow]` | a struct that stands for the app's own | see [`shadow`] |
//!
//! The copies of one call are its [`Copies`]. Those of a callback are in the app's scratch memory and belong to its scope; those of a C function's
//! call are native memory, remembered with the place of the call's crossing frame, as callbacks that end with a call are: a call that a trap or a
//! `longjmp` has ended is found by that. What lies alike on both sides is used where it is, if both can see it there.
//!
//! Bytes of the app are read once: what was checked is what is used.

pub(super) mod leaf;
mod memory;
pub(crate) mod shadow;

pub(crate) use leaf::Side;
pub(crate) use memory::NativeBytes;
pub(crate) use shadow::Shadows;

use self::shadow::Shadow;
use super::inbound::{function_or_pointer_in, scalar_in, user_in};
use super::outbound::{in_memory, pointer_like, scalar_out};
use super::{Refused, value_name};
use crate::callback;
use crate::instance::InstanceData;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use wasmbridge_artifact::vmctx::CallbackRecord;
use wasmbridge_trampolines::signature::{Element as ExtentElement, Extent, Length, Record, Value};
use wasmbridge_trampolines::{Crossing, Direction, Expr, Scalar, Scope, Signature};

/// The most native memory that one call's copies may take up, in bytes: the app could otherwise have a few structs that point to each
/// other become any number of them.
const MAX_BYTES: u64 = 64 << 20;

/// An element of an array of strings.
static STRING: LazyLock<Arc<Record>> = LazyLock::new(|| element_of(Crossing::Str));

/// An array's element that is no struct, as the only member of one.
fn element_of(crossing: Crossing) -> Arc<Record> {
    Arc::new(Record::of_value(Value::of(crossing)))
}

/// What an array consists of.
#[derive(Debug, Clone)]
enum Element {
    /// so many bytes, alike on both sides
    Bytes(u32),
    /// converted member by member
    Record(Arc<Record>),
}

impl Element {
    fn sizes(&self) -> (u64, u64) {
        match self {
            Element::Bytes(size) => ((*size).into(), (*size).into()),
            Element::Record(record) => (record.native.size.into(), record.guest.size.into()),
        }
    }
}

/// What a pointer to an array says of it.
struct ArrayType<'a> {
    direction: Direction,
    count: &'a Expr,
    element: Element,
}

impl ArrayType<'_> {
    fn of(crossing: &Crossing) -> Option<ArrayType<'_>> {
        Some(match crossing {
            Crossing::Extent(Extent { direction, length: Length::Count(count), element, .. }) => {
                let element = match element {
                    ExtentElement::Alike { size, .. } => Element::Bytes(*size),
                    ExtentElement::Converted(crossing) if **crossing == Crossing::Str => {
                        Element::Record(STRING.clone())
                    }
                    ExtentElement::Converted(crossing) => Element::Record(element_of((**crossing).clone())),
                };
                ArrayType { direction: *direction, count, element }
            }
            Crossing::Copied { direction, count, element } => {
                ArrayType { direction: *direction, count, element: Element::Record(element.clone()) }
            }
            _ => return None,
        })
    }
}

/// An array that both sides have for the time of a call.
#[derive(Debug)]
struct Mirror {
    /// the number of the parameter that it belongs to
    argument: usize,
    direction: Direction,
    element: Element,
    count: usize,
    native: *mut u8,
    guest_addr: u64,
    /// the bytes of the side that is called, before the call; empty for `[out]`
    before: Vec<u8>,
    /// if it is the runtime's
    _native: Option<NativeBytes>,
}

/// When a call lets go of a shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// not at all
    Never,
    /// its hold ends with the call
    Hold,
    /// C gives it up
    GivenUp,
}

/// What was converted for one call, or for one shadow.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// the number of the parameter that is being converted
    pub(crate) argument: usize,
    mirrors: Vec<Mirror>,
    /// callbacks that are held as long
    functions: Vec<*mut CallbackRecord>,
    shadows: Vec<(usize, Rc<Shadow>, End)>,
    /// of objects that end with the call
    handles: Vec<u32>,
    bytes: u64,
    /// of a shadow
    kept: bool,
}

/// At which point of a call something is converted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Phase<'a> {
    CallbackEnter,
    CallbackLeave,
    /// the C function's name
    ThunkEnter(&'a str),
    ThunkLeave,
    /// a shadow is made like the app's struct, or the reverse
    Shadow,
}

/// A conversion.
pub(crate) struct Converter<'a> {
    instance: &'a InstanceData,
    copies: &'a mut Copies,
    phase: Phase<'a>,
}

impl<'a> Converter<'a> {
    pub(crate) fn new(instance: &'a InstanceData, copies: &'a mut Copies, phase: Phase<'a>) -> Converter<'a> {
        Converter { instance, copies, phase }
    }

    /// From C's value to the app's. `count` evaluates a count where the value stands.
    pub(crate) fn value_in(
        &mut self,
        value: &Value,
        native: u64,
        count: &dyn Fn(&Expr) -> Result<u64, Refused>,
    ) -> Result<u64, Refused> {
        match &value.crossing {
            Crossing::Scalar(Scalar::Bool) => Ok(u64::from(native != 0)),
            Crossing::Scalar(scalar) => scalar_in(*scalar, native),
            Crossing::User => user_in(native),
            _ if native == 0 => null(value),
            Crossing::Shadow { type_name, record, scope } => {
                let shadow = match self.instance.shadow_in(type_name, record.as_ref(), native)? {
                    Ok(shadow) => shadow,
                    Err(guest_addr) => return Ok(guest_addr),
                };
                let given_up = matches!(self.phase, Phase::CallbackEnter) && *scope == Some(Scope::Call);
                let guest_addr = shadow.guest_addr();
                self.remember(shadow, if given_up { End::GivenUp } else { End::Never });
                Ok(guest_addr)
            }
            Crossing::Handle { ends: true, .. } => {
                let lent = matches!(self.phase, Phase::CallbackEnter);
                // SAFETY: as below.
                let handle = unsafe { function_or_pointer_in(self.instance, &value.crossing, native, !lent) }?;
                // What C gives the app for good is not gone when the call is.
                if lent {
                    self.copies.handles.push(handle as u32);
                }
                Ok(handle)
            }
            crossing => match ArrayType::of(crossing) {
                Some(array) => self.array_in(&array, count(array.count)?, native),
                // What the app gets as an argument ends with the callback, everything else is its own to keep.
                // SAFETY: pointers are what the prototype says: the C side of the contract.
                None => unsafe {
                    let keep = !matches!(self.phase, Phase::CallbackEnter);
                    function_or_pointer_in(self.instance, crossing, native, keep)
                },
            },
        }
    }

    /// From the app's value to C's.
    pub(crate) fn value_out(
        &mut self,
        value: &Value,
        guest: u64,
        count: &dyn Fn(&Expr) -> Result<u64, Refused>,
    ) -> Result<u64, Refused> {
        match &value.crossing {
            Crossing::Scalar(scalar) => Ok(scalar_out(*scalar, guest)),
            Crossing::User => Ok(guest & 0xffff_ffff),
            _ if guest == 0 => {
                // C would follow a NULL that is said to have something behind it. A pointer to one may be left out.
                let nullable = match &value.crossing {
                    Crossing::Extent(extent) => extent.nullable,
                    Crossing::Copied { count, .. } => matches!(count, Expr::Const(_)),
                    _ => true,
                };
                match ArrayType::of(&value.crossing).filter(|_| !nullable) {
                    Some(array) => match count(array.count)? {
                        0 => Ok(0),
                        count => Err(format!("NULL, with a length of {count} elements")),
                    },
                    None => null(value),
                }
            }
            Crossing::Function { signature, scope, policy } => {
                let held = (self.copies.kept || *scope == Scope::Call).then_some(&mut self.copies.functions);
                self.instance.member_function_out(signature, scope, policy, guest as u32, held)
            }
            Crossing::Handle { ends: true, .. } => {
                let object = pointer_like(self.instance, &value.crossing, guest, value.is_const)?;
                // What a struct that C keeps has in it C has now.
                match self.copies.kept {
                    true => self.instance.scopes.handles().remove(guest as u32),
                    false => self.copies.handles.push(guest as u32),
                }
                Ok(object)
            }
            Crossing::Shadow { type_name, record, scope } => {
                let shadow = match self.instance.shadow_out(type_name, record.as_ref(), guest)? {
                    Ok(shadow) => shadow,
                    Err(native) => return Ok(native),
                };
                let caller = if let Phase::ThunkEnter(name) = self.phase { Some(name) } else { None };
                let end = if shadow.hold(scope.as_ref(), caller) { End::Hold } else { End::Never };
                let native = shadow.native();
                self.remember(shadow, end);
                Ok(native)
            }
            crossing => match ArrayType::of(crossing) {
                Some(array) => self.array_out(&array, count(array.count)?, guest),
                None => pointer_like(self.instance, crossing, guest, false),
            },
        }
    }

    fn remember(&mut self, shadow: Rc<Shadow>, end: End) {
        if !self.copies.kept {
            self.copies.shadows.push((self.copies.argument, shadow, end));
        }
    }

    /// An array of C's for the app.
    fn array_in(&mut self, array: &ArrayType<'_>, count: u64, native: u64) -> Result<u64, Refused> {
        let (native_size, guest_size) = array.element.sizes();
        count.checked_mul(native_size).filter(|&len| len < 1 << 47).ok_or("its length overflows")?;
        if let (Element::Bytes(_), Some(guest_addr)) = (&array.element, self.instance.guest_addr(native as usize)) {
            return Ok(guest_addr);
        }
        let len = count.checked_mul(guest_size).ok_or("its length overflows")?;
        let (guest_addr, room) = self.instance.scratch(len)?;
        let count = count as usize;
        let mut guest = vec![0; len as usize];
        if array.direction != Direction::Out {
            // SAFETY: C has `count` elements there, by the prototype.
            let from = unsafe { std::slice::from_raw_parts(native as *const u8, count * native_size as usize) };
            match &array.element {
                Element::Bytes(_) => guest.copy_from_slice(from),
                Element::Record(record) => {
                    for (from, to) in elements(from, native_size).zip(elements_mut(&mut guest, guest_size)) {
                        for leaf in record.leaves() {
                            leaf::to_guest(self, leaf, from, to)?;
                        }
                    }
                }
            }
        }
        // SAFETY: just allocated, as many bytes.
        unsafe { room.copy_from_nonoverlapping(guest.as_ptr(), guest.len()) };
        // A pointer that is found in a struct while the call ends is read by whoever gets the struct, and by nobody afterwards.
        let written = array.direction != Direction::In && matches!(self.phase, Phase::CallbackEnter);
        if written {
            self.copies.mirrors.push(Mirror {
                argument: self.copies.argument,
                direction: array.direction,
                element: array.element.clone(),
                count,
                native: native as *mut u8,
                guest_addr,
                before: if array.direction == Direction::InOut { guest } else { Vec::new() },
                _native: None,
            });
        }
        Ok(guest_addr)
    }

    /// An array of the app's for C.
    fn array_out(&mut self, array: &ArrayType<'_>, count: u64, guest_addr: u64) -> Result<u64, Refused> {
        let (native_size, guest_size) = array.element.sizes();
        let guest_len = count.checked_mul(guest_size).ok_or("its length overflows")?;
        let Element::Record(record) = &array.element else {
            return in_memory(self.instance, guest_addr, guest_len, array.direction != Direction::In);
        };
        let from = self.instance.bytes(guest_addr, guest_len, array.direction != Direction::In)?;
        if matches!(self.phase, Phase::CallbackLeave) {
            return Err("the app cannot give C a new array here: C reads it when the copy is gone; \
                        write to the one that is there"
                .to_owned());
        }
        let native_len = count.checked_mul(native_size).ok_or("its length overflows")?;
        self.copies.bytes = self.copies.bytes.saturating_add(native_len);
        if self.copies.bytes > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes would have to be converted for one call"));
        }
        let native = NativeBytes::new(native_len as usize);
        if array.direction != Direction::Out {
            // They are read once: what is checked is what is used.
            let mut guest = vec![0; guest_len as usize];
            from.read(&mut guest)?;
            let mut converted = vec![0; native_len as usize];
            for (from, to) in elements(&guest, guest_size).zip(elements_mut(&mut converted, native_size)) {
                for leaf in record.leaves() {
                    leaf::to_native(self, leaf, from, to)?;
                }
            }
            native.write(&converted);
        }
        let pointer = native.as_ptr();
        self.copies.mirrors.push(Mirror {
            argument: self.copies.argument,
            direction: array.direction,
            element: array.element.clone(),
            count: count as usize,
            native: pointer,
            guest_addr,
            before: if array.direction == Direction::InOut { native.read() } else { Vec::new() },
            _native: Some(native),
        });
        Ok(pointer as u64)
    }

    /// Converts what C has written during its call.
    fn back_to_guest(&mut self, mirror: &Mirror) -> Result<(), Refused> {
        let Element::Record(record) = &mirror.element else { return Ok(()) };
        let (native_size, guest_size) = mirror.element.sizes();
        let guest = self.instance.bytes(mirror.guest_addr, mirror.count as u64 * guest_size, true)?;
        let mut converted = vec![0; mirror.count * guest_size as usize];
        guest.read(&mut converted)?;
        // SAFETY: the mirror's own bytes; C has returned.
        let native = unsafe { std::slice::from_raw_parts(mirror.native, mirror.count * native_size as usize) }.to_vec();
        let each = elements(&native, native_size).zip(elements_mut(&mut converted, guest_size));
        for (i, (from, to)) in each.enumerate() {
            self.update(mirror, record, i, from, to, Side::Native)?;
        }
        guest.write(&converted)
    }

    /// Converts what the app has written during its call.
    fn back_to_native(&mut self, mirror: &Mirror) -> Result<(), Refused> {
        let (native_size, guest_size) = mirror.element.sizes();
        let len = mirror.count as u64 * guest_size;
        let mut guest = vec![0; len as usize];
        self.instance.bytes(mirror.guest_addr, len, false)?.read(&mut guest)?;
        let Element::Record(record) = &mirror.element else {
            memory::write_changes(mirror.native, &mirror.before, &guest);
            return Ok(());
        };
        for (i, guest) in elements(&guest, guest_size).enumerate() {
            // SAFETY: C has `count` elements there, by the prototype.
            let (start, native) = unsafe {
                let start = mirror.native.add(i * native_size as usize);
                (start, std::slice::from_raw_parts(start, native_size as usize).to_vec())
            };
            let mut converted = native.clone();
            self.update(mirror, record, i, guest, &mut converted, Side::Guest)?;
            if mirror.direction == Direction::Out {
                memory::write_changes(start, &[], &converted);
                continue;
            }
            // Members only: nobody need have set the padding between them.
            for bytes in record.leaves().iter().map(leaf::native_bytes) {
                // SAFETY: inside the element.
                let to = unsafe { start.add(bytes.start) };
                memory::write_changes(to, &native[bytes.clone()], &converted[bytes]);
            }
        }
        Ok(())
    }

    /// Converts an element's members from one side: all of an `[out]`, otherwise those that have changed.
    fn update(
        &mut self,
        mirror: &Mirror,
        record: &Record,
        index: usize,
        from: &[u8],
        to: &mut [u8],
        side: Side,
    ) -> Result<(), Refused> {
        if mirror.direction == Direction::Out {
            to.fill(0);
        }
        for leaf in record.leaves() {
            let same = mirror.direction == Direction::InOut && {
                let before = &mirror.before[index * from.len()..(index + 1) * from.len()];
                !leaf::changed(leaf, side, from, before)
            };
            match side {
                _ if same => {}
                Side::Native => leaf::to_guest(self, leaf, from, to)?,
                Side::Guest => leaf::to_native(self, leaf, from, to)?,
            }
        }
        Ok(())
    }
}

impl Copies {
    pub(crate) fn is_empty(&self) -> bool {
        self.mirrors.is_empty() && self.functions.is_empty() && self.shadows.is_empty() && self.handles.is_empty()
    }

    /// The call has returned as it should: the caller gets what was written.
    pub(crate) fn give_back(
        &mut self,
        instance: &InstanceData,
        signature: &Signature,
        phase: Phase<'_>,
    ) -> Result<(), Refused> {
        let (mirrors, shadows) = (std::mem::take(&mut self.mirrors), std::mem::take(&mut self.shadows));
        let from = if matches!(phase, Phase::ThunkLeave) { Side::Native } else { Side::Guest };
        let named = |argument, why| format!("{}: {why}", value_name(signature, Some(argument)));
        let mut converter = Converter::new(instance, self, phase);
        let mut done = Ok(());
        for mirror in mirrors.iter().filter(|mirror| mirror.direction != Direction::In) {
            let back = match from {
                Side::Native => converter.back_to_guest(mirror),
                Side::Guest => converter.back_to_native(mirror),
            };
            done = done.and(back.map_err(|why| named(mirror.argument, why)));
        }
        for (argument, shadow, end) in &shadows {
            // The app may have freed what C gives up: only what it points to is looked at.
            let alike = match end {
                End::GivenUp => instance.synchronise_linked(shadow, from),
                _ => instance.synchronise(shadow, from),
            };
            done = done.and(alike.map_err(|why| named(*argument, why)));
            if *end == End::GivenUp {
                instance.end_shadow(shadow);
            }
        }
        self.shadows.extend(shadows);
        done
    }

    /// The call is over, however it ended.
    pub(crate) fn end(mut self, instance: &InstanceData) {
        self.release(instance);
    }

    fn release(&mut self, instance: &InstanceData) {
        for record in self.functions.drain(..) {
            // SAFETY: a callback of this instance's: `forget` removes those that are freed.
            unsafe {
                callback::holds(record).end_call();
                callback::end_unless_held(record);
            }
        }
        for handle in self.handles.drain(..) {
            instance.scopes.handles().remove(handle);
        }
        for (_, shadow, end) in self.shadows.drain(..) {
            if end == End::Hold && shadow.end_call() {
                instance.end_shadow(&shadow);
            }
        }
    }

    /// A callback was freed.
    pub(crate) fn forget(&mut self, record: *const CallbackRecord) {
        self.functions.retain(|held| !std::ptr::eq(*held, record));
    }
}

fn null(value: &Value) -> Result<u64, Refused> {
    if value.nonnull { Err("it is NULL, the prototype says [nonnull]".to_owned()) } else { Ok(0) }
}

fn elements(bytes: &[u8], size: u64) -> std::slice::ChunksExact<'_, u8> {
    bytes.chunks_exact(size as usize)
}

fn elements_mut(bytes: &mut [u8], size: u64) -> std::slice::ChunksExactMut<'_, u8> {
    bytes.chunks_exact_mut(size as usize)
}

impl InstanceData {
    /// Keeps what was converted for a C function that is about to be called.
    pub(crate) fn keep_copies(&self, copies: Copies) {
        if !copies.is_empty() {
            self.calls.borrow_mut().push((self.crossings_now().wrapping_sub(1) as usize, copies));
        }
    }

    /// What was converted for the C function that has just returned.
    pub(crate) fn take_copies(&self) -> Option<Copies> {
        let frame = self.crossings_now().wrapping_sub(1) as usize;
        let mut calls = self.calls.borrow_mut();
        // Those of calls further in were skipped by a `longjmp`; `end_copies` sees to them.
        let at = calls.iter().position(|call| call.0 == frame)?;
        Some(calls.remove(at).1)
    }

    /// Ends what was converted for calls that are over.
    pub(crate) fn end_copies(&self) {
        let innermost = self.crossings_now() as usize;
        loop {
            let mut calls = self.calls.borrow_mut();
            let Some((_, copies)) = calls.pop_if(|call| call.0 < innermost) else { return };
            drop(calls);
            copies.end(self);
        }
    }
}
