//! Trap codes as Cranelift has them: ours by their byte, and its own for what its instructions do by themselves.

use cranelift_codegen::ir;
use wasmbridge_artifact::TrapCode;

/// Our code, for Cranelift.
pub(crate) fn to_clif(code: TrapCode) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(code as u8)
}

/// What a trap in compiled code means. `None` for a code that nothing here has given to Cranelift.
pub(crate) fn from_clif(code: ir::TrapCode) -> Option<TrapCode> {
    Some(match code {
        ir::TrapCode::STACK_OVERFLOW => TrapCode::StackOverflow,
        ir::TrapCode::HEAP_OUT_OF_BOUNDS => TrapCode::MemoryOutOfBounds,
        ir::TrapCode::INTEGER_OVERFLOW => TrapCode::IntegerOverflow,
        ir::TrapCode::INTEGER_DIVISION_BY_ZERO => TrapCode::IntegerDivideByZero,
        ir::TrapCode::BAD_CONVERSION_TO_INTEGER => TrapCode::InvalidConversion,
        user => return TrapCode::from_byte(user.as_raw().get()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_codes_come_back() {
        for &code in TrapCode::ALL {
            assert_eq!(from_clif(to_clif(code)), Some(code));
        }
    }

    #[test]
    fn each_of_cranelifts_codes_is_known() {
        for &code in ir::TrapCode::non_user_traps() {
            assert!(from_clif(code).is_some(), "{code}");
        }
        assert_eq!(from_clif(ir::TrapCode::unwrap_user(200)), None);
    }
}
