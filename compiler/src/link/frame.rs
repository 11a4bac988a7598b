//! Where a function keeps its caller's registers, for the signal handler.

use cranelift_codegen::isa::unwind::UnwindInst;
use wasmbridge_artifact::frames::{CALLEE_SAVED, FrameLayout};

/// Hardware numbers of [`CALLEE_SAVED`], in its order (Intel SDM, volume 2, table 3-1).
const HARDWARE: [u8; CALLEE_SAVED.len()] = [3, 12, 13, 14, 15];

/// Derives the frame's layout from what the prologue does. Each step comes with the offset of the instruction after it.
///
/// # Errors
/// If something was saved that the layout cannot say.
pub(crate) fn layout(prologue: &[(u32, UnwindInst)]) -> Result<FrameLayout, String> {
    let mut layout = FrameLayout::default();
    // Bytes from the frame pointer down to the area that registers are saved in.
    let mut area = None;
    for (offset, step) in prologue {
        match *step {
            UnwindInst::PushFrameRegs { .. } | UnwindInst::StackAlloc { .. } => {}
            UnwindInst::DefineNewFrame { offset_downward_to_clobbers, .. } => area = Some(offset_downward_to_clobbers),
            UnwindInst::SaveReg { clobber_offset, reg } => {
                let area = area.ok_or("a register is saved before there is a frame")?;
                let number = HARDWARE.iter().position(|&n| n == reg.hw_enc());
                let position = number.filter(|_| reg.class() == cranelift_codegen::RegClass::Int);
                let position = position.ok_or_else(|| format!("{reg:?} is saved, which no caller relies on"))?;
                layout.saves[position] = slot(area, clobber_offset)?;
                layout.prologue = (*offset).try_into().map_err(|_| format!("the prologue has {offset} bytes"))?;
            }
            UnwindInst::RegStackOffset { .. } | UnwindInst::Aarch64SetPointerAuth { .. } => {
                return Err(format!("the prologue does something unknown: {step:?}"));
            }
        }
    }
    if area.is_none() {
        return Err("the function sets up no frame".to_owned());
    }
    Ok(layout)
}

/// A register is saved `area - clobber_offset` bytes below the frame pointer: as a number of words.
fn slot(area: u32, clobber_offset: u32) -> Result<u8, String> {
    let below = area.checked_sub(clobber_offset).filter(|below| *below > 0 && below.is_multiple_of(8));
    let words = below.and_then(|below| u8::try_from(below / 8).ok());
    words.ok_or_else(|| format!("a register is saved at {clobber_offset} of an area of {area} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::{PReg, RegClass};

    fn save(number: usize, class: RegClass, clobber_offset: u32) -> UnwindInst {
        UnwindInst::SaveReg { clobber_offset, reg: PReg::new(number, class).into() }
    }

    const FRAME: UnwindInst =
        UnwindInst::DefineNewFrame { offset_upward_to_caller_sp: 16, offset_downward_to_clobbers: 48 };

    #[test]
    fn registers_are_counted_in_words_below_the_frame_pointer() {
        let steps = [(4, FRAME), (20, save(3, RegClass::Int, 0)), (25, save(15, RegClass::Int, 40))];
        assert_eq!(layout(&steps), Ok(FrameLayout { saves: [6, 0, 0, 0, 1], prologue: 25 }));
    }

    #[test]
    fn a_function_that_saves_nothing_has_no_prologue_to_wait_for() {
        assert_eq!(layout(&[(4, FRAME)]), Ok(FrameLayout::default()));
    }

    #[test]
    fn what_the_layout_cannot_say_is_an_error() {
        assert!(layout(&[(4, FRAME), (9, save(3, RegClass::Float, 0))]).is_err(), "a float register");
        assert!(layout(&[(4, FRAME), (9, save(0, RegClass::Int, 0))]).is_err(), "rax");
        assert!(layout(&[(4, FRAME), (9, save(3, RegClass::Int, 48))]).is_err(), "at the frame pointer");
        assert!(layout(&[(4, FRAME), (70_000, save(3, RegClass::Int, 0))]).is_err(), "a prologue of 70,000 bytes");
        assert!(layout(&[]).is_err(), "no frame");
    }
}
