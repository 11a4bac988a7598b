//! The calling convention of C on x86-64: System V Application Binary Interface, AMD64 Architecture Processor Supplement
//! (psABI), section 3.2.3, "Parameter Passing".
//!
//! The rules that apply to scalars and pointers, under their headings in the document:
//!
//! *Classification*
//! - `_Bool`, `char`, `short`, `int`, `long`, `long long` (each with or without sign) and pointers are INTEGER.
//! - `float` and `double` are SSE.
//!
//! *Passing*
//! - rule 2: INTEGER takes the next of `rdi`, `rsi`, `rdx`, `rcx`, `r8`, `r9`;
//! - rule 3: SSE takes the next of `xmm0` to `xmm7`;
//! - what finds no register free is passed on the stack, each in eight bytes, in the order of the parameters.
//!
//! *Returning of values*
//! - rule 3: INTEGER is returned in `rax`; rule 4: SSE is returned in `xmm0`.
//!
//! *Small integers*. The document leaves the upper bits of a register undefined beyond the type's own (footnote on `_Bool`: of its eight
//! bits only bit 0 may be set). GCC and clang extend arguments to 32 bits all the same, and clang relies on it in a callee. So shapes
//! extend what they pass and return to 32 bits, and believe nothing beyond the type's own bits of what they get.
//!
//! Cranelift's `SystemV` convention hands out registers and stack by the same rules; what this module decides is how many
//! registers of which class a value takes. Structs by value, whose eightbytes are classified and merged, will join here.

use crate::signature::{Crossing, Scalar, Signature, Value};

/// The class of an eightbyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// a general register
    Integer,
    /// a vector register
    Sse,
}

/// A value's part that travels in one register, or in eight bytes of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Piece {
    /// its class
    pub class: Class,
    /// Bytes of it that mean something: 1, 2, 4 or 8, from the lowest on.
    pub bytes: u8,
}

/// How a function of a signature is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// a piece for each parameter
    pub params: Vec<Piece>,
    /// the result's
    pub result: Option<Piece>,
}

/// Classifies a signature.
pub fn classify(signature: &Signature) -> Call {
    Call { params: signature.params.iter().map(piece).collect(), result: signature.result.as_ref().map(piece) }
}

fn piece(value: &Value) -> Piece {
    let (class, bytes) = match value.crossing {
        Crossing::Scalar(scalar @ (Scalar::Float | Scalar::Double)) => (Class::Sse, scalar.native_bytes()),
        Crossing::Scalar(scalar) => (Class::Integer, scalar.native_bytes()),
        _ => (Class::Integer, 8),
    };
    Piece { class, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_and_pointers() {
        let signature = "float f(_Bool, short, enum e, long, long long, void *, int (*)(int), double, char *[str])";
        let call = classify(&signature.parse().unwrap());
        let integer = |bytes| Piece { class: Class::Integer, bytes };
        let sse = |bytes| Piece { class: Class::Sse, bytes };
        let expected = [1, 2, 4, 8, 8, 8, 8].map(integer).into_iter().chain([sse(8), integer(8)]);
        assert_eq!(call.params, expected.collect::<Vec<_>>());
        assert_eq!(call.result, Some(sse(4)));
    }
}
