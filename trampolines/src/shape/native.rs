//! The C function, as Cranelift is to see it.
//!
//! Cranelift passes scalars by the psABI's rules. A struct in registers is a scalar for each eightbyte; since all of them have found a
//! register, so will Cranelift find the same. A struct on the stack, behind which there may be arguments in registers again, is another matter:
//!
//! - A function that is *called* declares it as Cranelift's `StructArgument`: such a parameter is the address of the bytes on the caller's stack.
//! - A function that *calls* would have them copied by a call of `memcpy`, which a shape cannot make. It passes what is in registers first, then
//!   nothing in the registers that are left, and then eight bytes after eight as integers, for which only the stack is left.

use crate::abi::sysv::{self, Class, INTEGER_REGISTERS, Piece, Place, Returned, SSE_REGISTERS};
use crate::signature::Signature;
use cranelift_codegen::ir::{self, AbiParam, ArgumentPurpose, Type, types};
use cranelift_codegen::isa::CallConv;

/// What is passed as a parameter of Cranelift's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// the address of the room for the result
    Room,
    /// eight bytes of a parameter of the C function, or all of a scalar
    Piece {
        /// number of the parameter
        param: usize,
        /// number of the eight bytes
        piece: usize,
    },
    /// anything
    Nothing,
}

/// The C function, to be called by C. Integers of up to four bytes are passed as 32 bits, so that what is beyond them is never believed and
/// always filled by us.
pub(super) fn called(signature: &Signature) -> ir::Signature {
    let call = sysv::classify(signature);
    let mut native = start(&call.result);
    for place in &call.params {
        match place {
            // All registers that are left: whatever is in them.
            Place::Variadic => {
                let (integer, sse, _) = call.taken();
                native.params.extend((integer..INTEGER_REGISTERS).map(|_| AbiParam::new(types::I64)));
                native.params.extend((sse..SSE_REGISTERS).map(|_| AbiParam::new(types::F64)));
            }
            Place::Registers(pieces) => native.params.extend(pieces.iter().map(|&piece| scalar(piece))),
            Place::Stack(piece) => native.params.push(scalar(*piece)),
            Place::StackStruct(eightbytes) => {
                native.params.push(AbiParam::special(types::I64, ArgumentPurpose::StructArgument(8 * eightbytes)));
            }
        }
    }
    native
}

/// The C function, to be called by us, and what to pass.
pub(super) fn calling(signature: &Signature) -> (ir::Signature, Vec<Source>) {
    let call = sysv::classify(signature);
    let mut native = start(&call.result);
    let mut sources = vec![Source::Room; native.params.len()];
    let mut pass = |param: usize, pieces: &mut dyn Iterator<Item = AbiParam>| {
        for (piece, ty) in pieces.enumerate() {
            native.params.push(ty);
            sources.push(Source::Piece { param, piece });
        }
    };
    let struct_on_stack = call.params.iter().any(|place| matches!(place, Place::StackStruct(_)));
    for (param, place) in call.params.iter().enumerate() {
        match place {
            Place::Registers(pieces) => pass(param, &mut pieces.iter().map(|&piece| scalar(piece))),
            Place::Stack(piece) if !struct_on_stack => pass(param, &mut std::iter::once(scalar(*piece))),
            _ => {}
        }
    }
    if struct_on_stack {
        let integers = native.params.iter().filter(|param| param.value_type.is_int()).count();
        for _ in integers..INTEGER_REGISTERS {
            native.params.push(AbiParam::new(types::I64));
            sources.push(Source::Nothing);
        }
        for (param, place) in call.params.iter().enumerate() {
            let eightbytes = match place {
                Place::Registers(_) | Place::Variadic => continue,
                Place::Stack(_) => 1,
                Place::StackStruct(eightbytes) => *eightbytes,
            };
            for piece in 0..eightbytes as usize {
                native.params.push(AbiParam::new(types::I64));
                sources.push(Source::Piece { param, piece });
            }
        }
    }
    (native, sources)
}

/// The function with its result, and the parameter that this takes.
fn start(result: &Returned) -> ir::Signature {
    let mut native = ir::Signature::new(CallConv::SystemV);
    match result {
        Returned::Void => {}
        Returned::Registers(pieces) => native.returns.extend(pieces.iter().map(|&piece| scalar(piece))),
        Returned::Memory => {
            native.params.push(AbiParam::new(types::I64));
            native.returns.push(AbiParam::new(types::I64));
        }
    }
    native
}

fn scalar(piece: Piece) -> AbiParam {
    AbiParam::new(scalar_type(piece))
}

/// The type of a piece.
pub(super) fn scalar_type(piece: Piece) -> Type {
    match (piece.class, piece.bytes) {
        (Class::Integer, 8) => types::I64,
        (Class::Integer, _) => types::I32,
        (Class::Sse, 4) => types::F32,
        (Class::Sse, _) => types::F64,
    }
}
