//! Memory behind a pointer that both sides cannot use where it lies.
//!
//! | | a callback is given it | the app passes it |
//! |---|---|---|
//! | elements alike on both sides | the app's own memory as it is; other memory as a copy in scratch memory | as it is |
//! | elements that are converted, member by member | an array in scratch memory | an array of the host's |
//! | `[shadow]` | the app's own struct | a struct that stands for it: see [`shadow`] |
//!
//! What was made for one call is its [`Copies`]. Those of a callback belong to its scope; those of a C function's call are remembered with the place of
//! the call's crossing frame: a call that a trap or a `longjmp` has ended is found by that.
//!
//! Bytes of the app are read once: what was checked is what is used. After the call everything is converted before anything is written: if one
//! value is refused, memory is as if the function had written none.

mod arrays;
mod convert;
pub(crate) mod counts;
pub(super) mod leaf;
mod memory;
pub(crate) mod shadow;

pub(crate) use convert::{Converter, shown_out};
pub(crate) use counts::Operands;
pub(crate) use leaf::Side;
pub(crate) use memory::NativeBytes;
pub(crate) use shadow::Shadows;

use self::arrays::{Change, Mirror};
use self::shadow::Shadow;
use super::{Refused, value_name};
use crate::callback;
use crate::instance::InstanceData;
use std::rc::Rc;
use wasmbridge_artifact::vmctx::CallbackRecord;
use wasmbridge_trampolines::Signature;
use wasmbridge_trampolines::signature::Operand;

/// The most native memory that one call's copies may take up, in bytes: the app could otherwise have a few structs that point to each
/// other become any number of them.
const MAX_BYTES: u64 = 64 << 20;

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
    /// The native arguments, if they are needed after the call: something goes back, or the result has a length.
    arguments: Vec<u64>,
    mirrors: Vec<Mirror>,
    /// what C reads and writes
    native: Vec<NativeBytes>,
    /// all of that together
    bytes: u64,
    /// callbacks that are held as long
    functions: Vec<*mut CallbackRecord>,
    shadows: Vec<(usize, Rc<Shadow>, End)>,
    /// of objects that end with the call
    handles: Vec<u32>,
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

impl Copies {
    pub(crate) fn is_empty(&self) -> bool {
        self.arguments.is_empty()
            && self.mirrors.is_empty()
            && self.native.is_empty()
            && self.functions.is_empty()
            && self.shadows.is_empty()
            && self.handles.is_empty()
    }

    /// Bytes for C that are zero and aligned for any type, as long as this lives.
    pub(crate) fn allocate(&mut self, len: u64) -> Result<*mut u8, Refused> {
        self.bytes = self.bytes.saturating_add(len);
        if self.bytes > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes would have to be converted for one call"));
        }
        self.native.push(NativeBytes::new(len as usize));
        Ok(self.native.last().expect("just pushed").as_ptr())
    }

    /// Remembers the native arguments, if anything depends on them after the call.
    pub(crate) fn keep_arguments(&mut self, native: &[u64], signature: &Signature) {
        if !self.mirrors.is_empty() || signature.has_counted_result() {
            self.arguments = native.to_vec();
        }
    }

    /// The call has returned as it should: its caller gets what was written, and the result, which `convert` converts. `called` is the side that ran;
    /// `result` is what it returned, extended by its C type.
    ///
    /// # Safety
    /// The call for which this was made has just returned, and C keeps the prototype's promises.
    pub(crate) unsafe fn finish(
        &mut self,
        instance: &InstanceData,
        signature: &Signature,
        called: Side,
        result: u64,
        convert: impl FnOnce(Operands<'_>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let returned = Returned { signature, called, arguments: std::mem::take(&mut self.arguments), result };
        let shadows = std::mem::take(&mut self.shadows);
        // SAFETY: the caller's promise.
        let mut done = unsafe { self.give_back(instance, &returned, convert) };
        for (argument, shadow, end) in &shadows {
            // The app may have freed what C gives up: only what it points to is looked at.
            let alike = match end {
                End::GivenUp => instance.synchronise_linked(shadow, called),
                _ => instance.synchronise(shadow, called),
            };
            done = done.and(alike.map_err(|why| returned.named(*argument, why)));
            if *end == End::GivenUp {
                instance.end_shadow(shadow);
            }
        }
        self.shadows.extend(shadows);
        done
    }

    /// # Safety
    /// As for [`finish`](Copies::finish).
    unsafe fn give_back(
        &mut self,
        instance: &InstanceData,
        returned: &Returned<'_>,
        convert: impl FnOnce(Operands<'_>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let mirrors = std::mem::take(&mut self.mirrors);
        let phase = if returned.called == Side::Native { Phase::ThunkLeave } else { Phase::CallbackLeave };
        let mut changes = Vec::with_capacity(mirrors.len());
        // Integers first that tell how much of the others is valid.
        for measured in [false, true] {
            for mirror in mirrors.iter().filter(|mirror| mirror.is_measured() == measured) {
                let operand = |operand| returned.operand(operand, &changes);
                let mut converter = Converter::new(instance, self, phase, Operands(&operand));
                converter.copies.argument = mirror.argument;
                // SAFETY: the caller's promise.
                let change = unsafe { converter.back(mirror) };
                changes.push(change.map_err(|why| returned.named(mirror.argument, why))?);
            }
        }
        convert(Operands(&|operand| returned.operand(operand, &changes)))?;
        for change in changes {
            // SAFETY: as many bytes are there to be written, by the prototype.
            unsafe { change.write(instance) }?;
        }
        Ok(())
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

/// A call that has returned.
struct Returned<'a> {
    signature: &'a Signature,
    called: Side,
    /// native, as they were before the call
    arguments: Vec<u64>,
    /// extended by its C type
    result: u64,
}

impl Returned<'_> {
    fn named(&self, argument: usize, why: Refused) -> Refused {
        format!("{}: {why}", value_name(self.signature, Some(argument)))
    }

    /// What an operand of a length is worth that is computed now: arguments as they were before the call, integers that it has left behind
    /// pointers, as its caller gets them, and its result.
    fn operand(&self, operand: Operand, changes: &[Change]) -> Option<i128> {
        match operand {
            Operand::Param(index) => counts::argument(self.signature, &self.arguments, index as usize),
            Operand::Deref(index) => {
                let index = index as usize;
                let int = counts::integer_behind(self.signature, index)?;
                let made = changes.iter().find(|change| change.argument == index);
                match made.filter(|_| self.called == Side::Guest) {
                    Some(change) => Some(counts::extended(int, &change.new)),
                    // SAFETY: the C side has such an integer there, by the prototype, or has got one.
                    None => unsafe { counts::integer_at(int, *self.arguments.get(index)?) },
                }
            }
            Operand::Result => counts::result(self.signature, self.result),
        }
    }
}
