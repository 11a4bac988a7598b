//! Where a function keeps its caller's registers, for the signal handler.

use cranelift_codegen::RegClass;
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
    for &(offset, ref step) in prologue {
        match *step {
            UnwindInst::PushFrameRegs { .. } | UnwindInst::StackAlloc { .. } => {}
            UnwindInst::DefineNewFrame { offset_downward_to_clobbers, .. } => area = Some(offset_downward_to_clobbers),
            UnwindInst::SaveReg { clobber_offset, reg } => {
                let area = area.ok_or("a register is saved before there is a frame")?;
                if reg.class() != RegClass::Int {
                    return Err(format!("{reg:?} is saved, which no caller relies on"));
                }
                save(&mut layout, reg.hw_enc(), area, clobber_offset, offset)?;
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

/// Enters that the integer register of this hardware number is saved `area - clobber_offset` bytes below the frame pointer, by the
/// instruction before `offset`.
fn save(layout: &mut FrameLayout, register: u8, area: u32, clobber_offset: u32, offset: u32) -> Result<(), String> {
    let position = HARDWARE.iter().position(|&n| n == register);
    let position = position.ok_or_else(|| format!("register {register} is saved, which no caller relies on"))?;
    let below = area.checked_sub(clobber_offset).filter(|below| *below > 0 && below.is_multiple_of(8));
    let words = below.and_then(|below| u8::try_from(below / 8).ok());
    layout.saves[position] =
        words.ok_or_else(|| format!("a register is saved at {clobber_offset} of an area of {area} bytes"))?;
    layout.prologue = offset.try_into().map_err(|_| format!("the prologue has {offset} bytes"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RBX: u8 = 3;
    const R15: u8 = 15;

    #[test]
    fn registers_are_counted_in_words_below_the_frame_pointer() {
        let mut layout = FrameLayout::default();
        save(&mut layout, RBX, 48, 0, 20).unwrap();
        save(&mut layout, R15, 48, 40, 25).unwrap();
        assert_eq!(layout, FrameLayout { saves: [6, 0, 0, 0, 1], prologue: 25 });
    }

    #[test]
    fn a_function_that_saves_nothing_has_no_prologue_to_wait_for() {
        let frame = UnwindInst::DefineNewFrame { offset_upward_to_caller_sp: 16, offset_downward_to_clobbers: 0 };
        assert_eq!(layout(&[(4, frame)]), Ok(FrameLayout::default()));
    }

    #[test]
    fn what_the_layout_cannot_say_is_an_error() {
        let mut layout = FrameLayout::default();
        assert!(save(&mut layout, 0, 48, 0, 9).is_err(), "rax");
        assert!(save(&mut layout, RBX, 48, 48, 9).is_err(), "at the frame pointer");
        assert!(save(&mut layout, RBX, 48, 56, 9).is_err(), "above the frame pointer");
        assert!(save(&mut layout, RBX, 1 << 20, 0, 9).is_err(), "a megabyte below");
        assert!(save(&mut layout, RBX, 48, 0, 70_000).is_err(), "a prologue of 70,000 bytes");
        assert!(super::layout(&[]).is_err(), "no frame");
    }
}
