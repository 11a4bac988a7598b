//! Values that take more than a check to cross: strings, extents, handles, arrays.
//!
//! Shapes put all arguments of such a signature into an array of 8-byte slots and call a builtin, which replaces each by its
//! value for the other side. Numbers lie in a slot extended to 64 bits by their C type, floats as their bits, wasm values zero-extended.
//!
//! What a callback is shown (copies in scratch memory, handles of its arguments) lasts until it returns; what a call returned to
//! the app lasts until the innermost callback or host call that is running returns ([`scope`]).

pub(crate) mod calls;
pub(crate) mod copies;
pub(crate) mod handles;
pub(crate) mod inbound;
pub(crate) mod outbound;
pub(crate) mod replay;
pub(crate) mod scope;
pub(crate) mod scratch;
pub(crate) mod structs;
pub(crate) mod variadic;

use wasmbridge_trampolines::Signature;

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
