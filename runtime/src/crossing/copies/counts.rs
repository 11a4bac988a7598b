//! How long an array is: expressions over a call's numbers.

use crate::crossing::Refused;
use wasmbridge_trampolines::signature::{Int, Operand};
use wasmbridge_trampolines::{Crossing, Expr, Scalar, Signature};

/// What the operands of counts are worth where a value stands: those of parameters before the call or after it, or those of the other members of a
/// struct. `None` if that cannot be known.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a>(pub(crate) &'a dyn Fn(Operand) -> Option<i128>);

impl Operands<'_> {
    /// Nothing: where no length is computed.
    pub(crate) const NOTHING: Operands<'static> = Operands(&|_| None);

    /// A count.
    pub(crate) fn count(self, expr: &Expr) -> Result<u64, Refused> {
        let count = self.value(expr).ok_or("its length overflows or cannot be read")?;
        u64::try_from(count).map_err(|_| format!("its length is {count}"))
    }

    pub(super) fn value(self, expr: &Expr) -> Option<i128> {
        expr.evaluate(&mut |operand| (self.0)(operand))
    }
}

/// The operands before a call, from its native arguments: of a pointer to a C function, it is the array that was made for the call.
///
/// # Safety
/// The arguments are what the prototype says, wherever the operands are asked for.
pub(crate) unsafe fn arguments<'a>(
    signature: &'a Signature,
    native: &'a [u64],
) -> impl Fn(Operand) -> Option<i128> + 'a {
    move |operand| match operand {
        Operand::Param(index) => argument(signature, native, index as usize),
        // SAFETY: the caller's promise: NULL or a pointer to such an integer.
        Operand::Deref(index) => unsafe {
            integer_at(integer_behind(signature, index as usize)?, *native.get(index as usize)?)
        },
        Operand::Result => None,
    }
}

/// A count over native arguments.
///
/// # Safety
/// As for [`arguments`].
pub(crate) unsafe fn count_of(expr: &Expr, native: &[u64], signature: &Signature) -> Result<u64, Refused> {
    // SAFETY: the caller's promise.
    let operands = unsafe { arguments(signature, native) };
    Operands(&operands).count(expr)
}

/// The value of an integer argument.
pub(super) fn argument(signature: &Signature, native: &[u64], index: usize) -> Option<i128> {
    let bits = *native.get(index)?;
    Some(number(&signature.params[index].crossing, bits))
}

/// A call's result as a number.
pub(super) fn result(signature: &Signature, bits: u64) -> Option<i128> {
    Some(number(&signature.result.as_ref()?.crossing, bits))
}

/// A value of 64 extended bits as a number.
pub(crate) fn number(crossing: &Crossing, bits: u64) -> i128 {
    match crossing {
        Crossing::Scalar(Scalar::Int(Int { signed: true, .. })) => i128::from(bits as i64),
        _ => i128::from(bits),
    }
}

/// The type of the integer behind a pointer parameter.
pub(super) fn integer_behind(signature: &Signature, index: usize) -> Option<Scalar> {
    match &signature.params[index].crossing {
        Crossing::Extent(extent) => extent.cell(),
        _ => None,
    }
}

/// The integer at a native address, if that is not NULL. It need not be aligned.
///
/// # Safety
/// There is one.
pub(super) unsafe fn integer_at(scalar: Scalar, native: u64) -> Option<i128> {
    let len = usize::from(scalar.native_bytes());
    // SAFETY: the caller's promise.
    (native != 0).then(|| extended(scalar, unsafe { std::slice::from_raw_parts(native as *const u8, len) }))
}

/// A native integer's value.
pub(super) fn extended(scalar: Scalar, bytes: &[u8]) -> i128 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let raw = u64::from_le_bytes(word);
    let unused = 64 - 8 * bytes.len() as u32;
    match scalar {
        Scalar::Int(Int { signed: true, .. }) => i128::from((raw << unused) as i64 >> unused),
        _ => i128::from(raw),
    }
}
