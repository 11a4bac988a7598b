//! One value, from one side to the other.

use super::counts::Operands;
use super::shadow::Shadow;
use super::{Copies, End, Phase};
use crate::crossing::Refused;
use crate::crossing::inbound::{function_or_pointer_in, scalar_in, user_in};
use crate::crossing::outbound::{pointer_like, scalar_out};
use crate::instance::InstanceData;
use std::rc::Rc;
use wasmbridge_trampolines::signature::Value;
use wasmbridge_trampolines::{Crossing, Scalar, Scope};

/// A conversion of the values of one call, at one point of it.
pub(crate) struct Converter<'a> {
    pub(super) instance: &'a InstanceData,
    pub(super) copies: &'a mut Copies,
    pub(super) phase: Phase<'a>,
    /// of the call
    pub(super) operands: Operands<'a>,
}

impl<'a> Converter<'a> {
    pub(crate) fn new(
        instance: &'a InstanceData,
        copies: &'a mut Copies,
        phase: Phase<'a>,
        operands: Operands<'a>,
    ) -> Converter<'a> {
        Converter { instance, copies, phase, operands }
    }

    /// From C's value to the app's. The operands are those where the value stands.
    ///
    /// # Safety
    /// It is what the prototype says.
    pub(crate) unsafe fn value_in(
        &mut self,
        value: &Value,
        native: u64,
        operands: Operands<'_>,
    ) -> Result<u64, Refused> {
        let called = matches!(self.phase, Phase::CallbackEnter);
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
                let given_up = called && *scope == Some(Scope::Call);
                let guest_addr = shadow.guest_addr();
                self.remember(shadow, if given_up { End::GivenUp } else { End::Never });
                Ok(guest_addr)
            }
            // The handle is in the lower half of an externref, too.
            Crossing::Handle { ends: true, .. } | Crossing::Externref { ends: true, .. } => {
                // SAFETY: the caller's promise.
                let handle = unsafe { function_or_pointer_in(self.instance, &value.crossing, native, !called) }?;
                // What C gives the app for good is not gone when the call is.
                if called {
                    self.copies.handles.push(handle as u32);
                }
                Ok(handle)
            }
            // SAFETY: the caller's promise.
            Crossing::Extent(extent) if called => unsafe { self.array_in(extent, native, operands) },
            // SAFETY: the caller's promise.
            Crossing::Extent(extent) => unsafe { self.given_in(extent, native, operands) },
            // What the app gets as an argument ends with the callback, everything else is its own to keep.
            // SAFETY: the caller's promise.
            crossing => unsafe { function_or_pointer_in(self.instance, crossing, native, !called) },
        }
    }

    /// From the app's value to C's. The operands are those where the value stands.
    pub(crate) fn value_out(&mut self, value: &Value, guest: u64, operands: Operands<'_>) -> Result<u64, Refused> {
        let returned = matches!(self.phase, Phase::CallbackLeave);
        match &value.crossing {
            Crossing::Scalar(scalar) => Ok(scalar_out(*scalar, guest)),
            Crossing::User => Ok(guest & 0xffff_ffff),
            _ if guest == 0 && value.nonnull => null(value),
            Crossing::Extent(extent) if returned => self.given_out(extent, guest, operands),
            Crossing::Extent(extent) => self.array_out(extent, guest, operands),
            _ if guest == 0 => Ok(0),
            Crossing::Function { signature, scope, policy } => {
                let held = (self.copies.kept || *scope == Scope::Call).then_some(&mut self.copies.functions);
                self.instance.member_function_out(signature, scope, policy, guest as u32, held)
            }
            Crossing::Handle { ends: true, .. } | Crossing::Externref { ends: true, .. } => {
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
            crossing if returned => shown_out(self.instance, crossing, guest),
            crossing => pointer_like(self.instance, crossing, guest, value.is_const),
        }
    }

    fn remember(&mut self, shadow: Rc<Shadow>, end: End) {
        if !self.copies.kept {
            self.copies.shadows.push((self.copies.argument, shadow, end));
        }
    }
}

/// A value, not 0, for C that outlives the callback it comes from: no extent and no struct. A pointer into the copy of something of C's is a pointer
/// into that; a pointer into anything else that ends with the callback is refused.
pub(crate) fn shown_out(instance: &InstanceData, crossing: &Crossing, guest: u64) -> Result<u64, Refused> {
    match crossing {
        // The end of a copy belongs to it: C may point there.
        Crossing::Pointer { .. } | Crossing::Str if instance.is_shown(guest) => original(instance, guest, 0),
        crossing => pointer_like(instance, crossing, guest, false),
    }
}

/// Where C has the bytes of which the app is shown a copy.
pub(super) fn original(instance: &InstanceData, guest_addr: u64, len: u64) -> Result<u64, Refused> {
    instance.scopes.original(guest_addr, len).ok_or_else(|| {
        let what = if len == 0 { format!("{guest_addr:#x} is") } else { format!("{len} bytes at {guest_addr:#x} are") };
        format!("{what} in memory that the app is only shown until the callback returns, and C would keep it")
    })
}

fn null(value: &Value) -> Result<u64, Refused> {
    if value.nonnull { Err("it is NULL, the prototype says [nonnull]".to_owned()) } else { Ok(0) }
}
