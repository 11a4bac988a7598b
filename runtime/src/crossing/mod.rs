//! Values that take more than a check to cross: strings, extents, handles, arrays.
//!
//! Shapes put all arguments of such a signature into an array of 8-byte slots and call a builtin, which replaces each by its
//! value for the other side. Numbers lie in a slot extended to 64 bits by their C type, floats as their bits, wasm values zero-extended.
//!
//! What a callback is shown (copies in scratch memory, handles of its arguments) lasts until it returns; what a call returned to
//! the app lasts until the innermost callback or host call that is running returns ([`scope`]).

pub(crate) mod handles;
pub(crate) mod inbound;
pub(crate) mod outbound;
pub(crate) mod records;
pub(crate) mod scope;
pub(crate) mod scratch;
pub(crate) mod structs;

use wasmbridge_trampolines::{CType, Crossing, Expr, Int, Operand, Scalar, Signature};

/// A refusal at the boundary: what is wrong, for the trap's detail.
pub(crate) type Refused = String;

/// `` `qsort` argument 2 (`nmemb`) ``, or `` `f` result ``: how messages name a value.
pub(crate) fn value_name(signature: &Signature, argument: Option<usize>) -> String {
    let function = signature.name.as_deref().unwrap_or("(unnamed function)");
    match argument {
        None => format!("`{function}` result"),
        Some(index) => {
            let name = signature.params.get(index).and_then(|p| p.name.as_deref());
            let name = name.map(|n| format!(" (`{n}`)")).unwrap_or_default();
            format!("`{function}` argument {}{name}", index + 1)
        }
    }
}

/// Evaluates a count over the native values of the parameters; `deref` reads the integer behind a pointer parameter.
pub(crate) fn count(
    expr: &Expr,
    native: &[u64],
    signature: &Signature,
    deref: &mut dyn FnMut(usize) -> Option<i128>,
) -> Result<u64, Refused> {
    let mut value = |operand| match operand {
        Operand::Param(index) => {
            let index = index as usize;
            Some(integer(signature, index, *native.get(index)?))
        }
        Operand::Deref(index) => deref(index as usize),
    };
    match expr.evaluate(&mut value) {
        None => Err("its length overflows or cannot be read".to_owned()),
        Some(count) => u64::try_from(count).map_err(|_| format!("its length is {count}")),
    }
}

/// A native integer of 64 extended bits, as a number.
fn integer(signature: &Signature, index: usize, bits: u64) -> i128 {
    match signature.params[index].crossing {
        Crossing::Scalar(Scalar::Int(int)) if int.signed => i128::from(bits as i64),
        _ => i128::from(bits),
    }
}

/// The type of the integer behind a pointer parameter, if it is one.
fn integer_behind(signature: &Signature, index: usize) -> Option<Int> {
    match &signature.params[index].crossing {
        Crossing::Pointer { pointee: CType::Scalar(Scalar::Int(int)), .. }
        | Crossing::Extent { element: CType::Scalar(Scalar::Int(int)), .. } => Some(*int),
        _ => None,
    }
}

/// An integer in memory, extended by its C type. It need not be aligned.
///
/// # Safety
/// `pointer` points to as many readable bytes as the type has in the host's C.
unsafe fn read_integer(int: Int, pointer: *const u8) -> i128 {
    let mut bytes = [0; 8];
    // SAFETY: the caller's promise; no integer has more than eight bytes.
    unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(pointer, usize::from(int.native_bytes)) };
    let raw = u64::from_le_bytes(bytes);
    let unused = 64 - 8 * u32::from(int.native_bytes);
    if int.signed { i128::from((raw << unused) as i64 >> unused) } else { i128::from(raw) }
}
