//! Numbers in registers, from C's to wasm's and back: what `scalar.rs` says for Cranelift.

use super::asm::Assembler;
use crate::signature::{Int, Scalar};
use cranelift_assembler_x64::gpr::enc::RAX;
use cranelift_assembler_x64::inst;

/// A native argument as wasm has it. Whether one of eight bytes fits four has been checked.
pub(super) fn into_wasm(asm: &mut Assembler, scalar: Scalar, to: u8, from: u8) {
    match scalar {
        Scalar::Bool => {
            asm.emit(inst::testb_mr::new(from, from));
            asm.emit(inst::setne_m::new(from));
            asm.emit(inst::movzbl_rm::new(to, from));
        }
        Scalar::Int(Int { native_bytes: 8, guest_bytes: 8, .. }) => asm.emit(inst::movq_mr::new(to, from)),
        Scalar::Int(int) => extend(asm, to, from, int),
        Scalar::Float | Scalar::Double => unreachable!("these are not in integer registers"),
    }
}

/// A wasm argument as C takes it, in its place. Doing it twice does no more than doing it once, and leaves the value in the lower half as wasm
/// had it, or as what C makes of that.
pub(super) fn into_native(asm: &mut Assembler, scalar: Scalar, register: u8) {
    match scalar {
        Scalar::Bool => truth(asm, register),
        Scalar::Int(int) if int.narrows() && int.signed => asm.emit(inst::movslq_rm::new(register, register)),
        Scalar::Int(int) if int.narrows() || int.native_bytes < 4 => extend(asm, register, register, int),
        _ => {}
    }
}

/// Whether a native value is the wasm value, in the same register.
pub(super) fn is_same(scalar: Scalar) -> bool {
    match scalar {
        Scalar::Bool => false,
        Scalar::Int(int) => !int.narrows() && int.native_bytes >= 4,
        Scalar::Float | Scalar::Double => true,
    }
}

/// From what the wasm function returned to what the C function's type says.
pub(super) fn result_into_native(asm: &mut Assembler, scalar: Scalar) {
    into_native(asm, scalar, RAX);
}

/// From what the C function returned to wasm's value, if it is not one of eight bytes that must fit four.
pub(super) fn result_into_wasm(asm: &mut Assembler, scalar: Scalar) {
    match scalar {
        Scalar::Bool => {
            // Eight bits of a `_Bool` mean something (psABI, 3.2.3).
            asm.emit(inst::testb_mr::new(RAX, RAX));
            asm.emit(inst::setne_m::new(RAX));
            asm.emit(inst::movzbl_rm::new(RAX, RAX));
        }
        Scalar::Int(int) if int.native_bytes < 4 => extend(asm, RAX, RAX, int),
        _ => {}
    }
}

fn truth(asm: &mut Assembler, register: u8) {
    asm.emit(inst::testl_mr::new(register, register));
    asm.emit(inst::setne_m::new(register));
    asm.emit(inst::movzbl_rm::new(register, register));
}

/// Extends an integer of up to 32 bits, of which more than it has of its own may be set; beyond 32, it is extended by zeros.
pub(super) fn extend(asm: &mut Assembler, to: u8, from: u8, int: Int) {
    match (int.native_bytes, int.signed) {
        (1, true) => asm.emit(inst::movsbl_rm::new(to, from)),
        (1, false) => asm.emit(inst::movzbl_rm::new(to, from)),
        (2, true) => asm.emit(inst::movswl_rm::new(to, from)),
        (2, false) => asm.emit(inst::movzwl_rm::new(to, from)),
        _ => asm.emit(inst::movl_mr::new(to, from)),
    }
}
