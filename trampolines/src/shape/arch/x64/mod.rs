//! x86-64.

mod asm;
mod direct;
mod fast;
mod lent;
mod numbers;
mod passes;
mod shown;

pub(in crate::shape) use asm::Assembled;
pub(in crate::shape) use direct::{Direct, adaptor, direct};
pub(in crate::shape) use fast::fast_entry;

use cranelift_codegen::binemit::{CodeOffset, Reloc};
use cranelift_codegen::isa::unwind::UnwindInst;
use gimli::write::CallFrameInstruction;
use gimli::{Register, X86_64};
use wasmbridge_artifact::frames::FrameLayout;

/// Encodings of [`CALLEE_SAVED`](wasmbridge_artifact::frames::CALLEE_SAVED), in its order: `rbx`, `r12` to `r15`.
const CALLEE_SAVED: [u8; 5] = [3, 12, 13, 14, 15];

/// Where a function keeps its caller's registers, from the unwinding pseudo-instructions of its prologue.
///
/// # Errors
/// What does not fit the layout, which no function that Cranelift makes today does.
pub(in crate::shape) fn frame_layout(prologue: &[(CodeOffset, UnwindInst)]) -> Result<FrameLayout, String> {
    let mut layout = FrameLayout::default();
    for save in saves(prologue)? {
        layout.saves[save.register] =
            u8::try_from(save.words).map_err(|_| "a register is saved too far away".to_owned())?;
        layout.prologue = u16::try_from(save.offset).map_err(|_| "the prologue is too long".to_owned())?;
    }
    Ok(layout)
}

/// How to unwind through a function, from its prologue's pseudo-instructions.
///
/// # Errors
/// As for [`frame_layout`].
pub(in crate::shape) fn unwind_rules(
    prologue: &[(CodeOffset, UnwindInst)],
) -> Result<Vec<(u32, CallFrameInstruction)>, String> {
    let mut rules = Vec::new();
    for (offset, inst) in prologue {
        match inst {
            UnwindInst::PushFrameRegs { .. } => {
                rules.push((*offset, CallFrameInstruction::CfaOffset(FRAME_TO_CFA)));
                rules.push((*offset, CallFrameInstruction::Offset(X86_64::RBP, -FRAME_TO_CFA)));
            }
            UnwindInst::DefineNewFrame { .. } => {
                rules.push((*offset, CallFrameInstruction::CfaRegister(X86_64::RBP)));
            }
            _ => {}
        }
    }
    for save in saves(prologue)? {
        // For these registers the processor's numbers are DWARF's too (System V psABI, figure 3.36).
        let register = Register(CALLEE_SAVED[save.register].into());
        let place = -FRAME_TO_CFA - 8 * save.words as i32;
        rules.push((save.offset, CallFrameInstruction::Offset(register, place)));
    }
    Ok(rules)
}

/// Bytes from the frame pointer up to the canonical frame address: the caller's frame pointer and the return address.
const FRAME_TO_CFA: i32 = 16;

/// A register of the caller's that a prologue saves.
struct Save {
    /// of the instruction after it
    offset: CodeOffset,
    /// its place in [`CALLEE_SAVED`]
    register: usize,
    /// it is so many words below the frame pointer
    words: u32,
}

fn saves(prologue: &[(CodeOffset, UnwindInst)]) -> Result<Vec<Save>, String> {
    let mut below_fp = 0;
    let mut saves = Vec::new();
    for (offset, inst) in prologue {
        match *inst {
            UnwindInst::DefineNewFrame { offset_downward_to_clobbers, .. } => below_fp = offset_downward_to_clobbers,
            UnwindInst::SaveReg { clobber_offset, reg } => {
                let encoding = reg.hw_enc();
                let words = below_fp.checked_sub(clobber_offset).filter(|place| place % 8 == 0).map(|place| place / 8);
                let register = CALLEE_SAVED.iter().position(|&r| r == encoding);
                let (register, words) =
                    register.zip(words).ok_or_else(|| format!("the prologue saves register {encoding}"))?;
                saves.push(Save { offset: *offset, register, words });
            }
            _ => {}
        }
    }
    Ok(saves)
}

/// Whether the relocation is the four bytes of a `lea reg, [rip + distance]`, which is how the address of a symbol that lies nearby is
/// taken.
pub(in crate::shape) fn is_record_reloc(kind: Reloc) -> bool {
    matches!(kind, Reloc::X86PCRel4 | Reloc::X86CallPCRel4)
}
