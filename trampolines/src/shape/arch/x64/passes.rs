//! What is done where an object's type is not the one that a prototype has: it may pass for it, as its base or because it is only read.
//!
//! The sandbox stands on this code. [`Pass`] says what there is. With `known` for the word that the object's type is in:
//!
//! ```text
//!     mov   eax, known
//!     add   eax, start
//!     and   eax, mask
//!     cmp   [r11 + 8 * rax + wanted], number
//!     jne   failed
//!     mov   eax, [r11 + 8 * rax + known]
//!     cmp   eax, known
//!     je    passed
//!     jmp   failed
//! ```

use super::asm::{Assembler, If, Label, element};
use cranelift_assembler_x64::gpr::enc::*;
use cranelift_assembler_x64::{GprMem, Imm32, inst};
use std::mem::offset_of;
use wasmbridge_artifact::vmctx::handles::{PASSES, Pass};

/// A type that was not the wanted one.
pub(super) struct Mismatch {
    /// where that is found
    pub(super) other: Label,
    /// where it goes on, if it passes
    pub(super) passed: Label,
    /// where it goes otherwise
    pub(super) failed: Label,
    /// of the type that is wanted
    pub(super) wanted: u32,
    /// where the number of the known one is
    pub(super) known: GprMem<u8, u8>,
}

impl Mismatch {
    /// Sorts it out. The table of handles is in `r11`.
    pub(super) fn finish(self, asm: &mut Assembler) {
        let field = |offset: usize| element(R11, RAX, PASSES + offset as i32);
        const { assert!(size_of::<Pass>() == 8) };
        asm.bind(self.other);
        asm.emit(inst::movl_rm::new(RAX, self.known));
        asm.emit(inst::addl_mi::new(RAX, Imm32::new(Pass::start(self.wanted))));
        asm.emit(inst::andl_mi::new(RAX, Imm32::new(Pass::MASK)));
        asm.emit(inst::cmpl_mi::new(field(offset_of!(Pass, wanted)), Imm32::new(self.wanted)));
        asm.jump(If::NotEqual, self.failed);
        asm.emit(inst::movl_rm::new(RAX, field(offset_of!(Pass, known))));
        asm.emit(inst::cmpl_rm::new(RAX, self.known));
        asm.jump(If::Equal, self.passed);
        asm.jump(If::Always, self.failed);
    }
}
