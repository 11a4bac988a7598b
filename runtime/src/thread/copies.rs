//! Calls with copies of their arguments: what `[thread: queue]` keeps.

use super::inbox::Call;
use crate::callback::{CallbackInfo, Refusal};
use crate::crossing::copies::counts::count_of;
use crate::crossing::replay::Cells;
use std::ffi::CStr;
use std::sync::Arc;
use wasmbridge_trampolines::signature::{Element, Length};
use wasmbridge_trampolines::{Crossing, Scalar, Signature};

/// A call, and what it points to.
#[derive(Debug)]
pub(super) struct Copies {
    pub(super) call: Call,
    /// bytes of all of it
    pub(super) size: usize,
    _cells: Box<[u64]>,
    _bytes: Vec<Box<[u8]>>,
}

// SAFETY: it owns what its pointers point to, but for the callback, which its `info` keeps.
unsafe impl Send for Copies {}

impl Copies {
    /// Copies a call. Its signature is one that [can be queued](Signature::can_be_queued).
    ///
    /// # Safety
    /// The cells are those of a call of this callback, and what its arguments point to is what the prototype says.
    pub(super) unsafe fn of(info: &Arc<CallbackInfo>, cells: Cells) -> Result<Copies, Refusal> {
        let signature = &*info.known.shared.signature;
        // SAFETY: a callback has as many cells as parameters.
        let raw = unsafe { std::slice::from_raw_parts(cells.arguments, signature.params.len()) };
        let native: Vec<u64> = raw.iter().enumerate().map(|(i, &cell)| extended(signature, i, cell)).collect();
        let mut copied = native.clone();
        let mut bytes = Vec::new();
        for (i, param) in signature.params.iter().enumerate() {
            // SAFETY: the caller's promise.
            let copy: Option<Box<[u8]>> = unsafe {
                match &param.crossing {
                    Crossing::Str | Crossing::Extent(_) if native[i] == 0 => None,
                    Crossing::Str => Some(CStr::from_ptr(native[i] as *const libc::c_char).to_bytes_with_nul().into()),
                    Crossing::Extent(extent) => {
                        let (Element::Alike { size, .. }, Length::Count(count)) = (&extent.element, &extent.length)
                        else {
                            unreachable!("a signature with such an extent cannot be queued");
                        };
                        let count = count_of(count, &native, signature).map_err(|_| Refusal::Failed)?;
                        let len = count.checked_mul(u64::from(*size)).filter(|&len| len <= MAX_BYTES as u64);
                        let len = len.ok_or(Refusal::QueueFull)? as usize;
                        Some(std::slice::from_raw_parts(native[i] as *const u8, len).into())
                    }
                    _ => None,
                }
            };
            if let Some(copy) = copy {
                copied[i] = copy.as_ptr() as u64;
                bytes.push(copy);
            }
        }
        // The result goes where the arguments were: at least one cell.
        copied.resize(copied.len().max(1), 0);
        let mut own = copied.into_boxed_slice();
        let size = size_of_val(&*own) + bytes.iter().map(|copy| copy.len()).sum::<usize>();
        let cells = Cells { arguments: own.as_mut_ptr(), result: own.as_mut_ptr() };
        Ok(Copies { call: Call { info: info.clone(), cells }, size, _cells: own, _bytes: bytes })
    }
}

/// The most bytes that the arguments of the calls in one inbox may take.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// A native argument as a number: what is in the cell beyond its own bytes means nothing.
fn extended(signature: &Signature, index: usize, cell: u64) -> u64 {
    let Crossing::Scalar(scalar) = signature.params[index].crossing else { return cell };
    let unused = 64 - 8 * u32::from(scalar.native_bytes());
    match scalar {
        Scalar::Int(int) if int.signed => ((cell << unused) as i64 >> unused) as u64,
        _ => cell << unused >> unused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_extended_by_their_types() {
        let signature =
            Signature::parse("void f(signed char a, unsigned short b, int c, long long d, float e)").unwrap();
        let extended = |i| extended(&signature, i, 0xf0f0_f0f0_f0f0_f0f0);
        assert_eq!(extended(0), 0xffff_ffff_ffff_fff0);
        assert_eq!(extended(1), 0xf0f0);
        assert_eq!(extended(2), 0xffff_ffff_f0f0_f0f0);
        assert_eq!(extended(3), 0xf0f0_f0f0_f0f0_f0f0);
        assert_eq!(extended(4), 0xf0f0_f0f0);
    }
}
