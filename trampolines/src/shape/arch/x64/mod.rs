//! x86-64.

mod fast;

pub(in crate::shape) use fast::{FastEntry, fast_entry};

use cranelift_codegen::binemit::{CodeOffset, Reloc};
use cranelift_codegen::isa::unwind::UnwindInst;
use wasmbridge_artifact::frames::FrameLayout;

/// Encodings of [`CALLEE_SAVED`](wasmbridge_artifact::frames::CALLEE_SAVED), in its order: `rbx`, `r12` to `r15`.
const CALLEE_SAVED: [u8; 5] = [3, 12, 13, 14, 15];

/// Where a function keeps its caller's registers, from the unwinding pseudo-instructions of its prologue.
///
/// # Errors
/// What does not fit the layout, which no function that Cranelift makes today does.
pub(in crate::shape) fn frame_layout(prologue: &[(CodeOffset, UnwindInst)]) -> Result<FrameLayout, String> {
    let mut layout = FrameLayout::default();
    let mut below_fp = 0;
    for (offset, inst) in prologue {
        match *inst {
            UnwindInst::DefineNewFrame { offset_downward_to_clobbers, .. } => below_fp = offset_downward_to_clobbers,
            UnwindInst::SaveReg { clobber_offset, reg } => {
                let encoding = reg.hw_enc();
                let place = below_fp.checked_sub(clobber_offset).filter(|place| place % 8 == 0).map(|place| place / 8);
                let save = CALLEE_SAVED.iter().position(|&r| r == encoding).zip(place);
                let (register, place) = save.ok_or_else(|| format!("the prologue saves register {encoding}"))?;
                layout.saves[register] =
                    u8::try_from(place).map_err(|_| "a register is saved too far away".to_owned())?;
                layout.prologue = u16::try_from(*offset).map_err(|_| "the prologue is too long".to_owned())?;
            }
            _ => {}
        }
    }
    Ok(layout)
}

/// Whether the relocation is the four bytes of a `lea reg, [rip + distance]`, which is how the address of a symbol that lies nearby is
/// taken.
pub(in crate::shape) fn is_record_reloc(kind: Reloc) -> bool {
    matches!(kind, Reloc::X86PCRel4 | Reloc::X86CallPCRel4)
}
