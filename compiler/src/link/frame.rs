//! What a prologue does: pushes the frame pointer, sets it up, saves registers of the caller's. From it follow where the signal
//! handler finds those registers ([`FrameLayout`]), and the unwind information.

use cranelift_codegen::RegClass;
use cranelift_codegen::isa::unwind::UnwindInst;
use wasmbridge_artifact::frames::{CALLEE_SAVED, FrameLayout};

/// Numbers of [`CALLEE_SAVED`], in its order: the processor's (Intel SDM, volume 2, table 3-1), and for these registers also
/// DWARF's (System V psABI, figure 3.36).
const NUMBERS: [u8; CALLEE_SAVED.len()] = [3, 12, 13, 14, 15];

/// The position in [`CALLEE_SAVED`] of the register with this number of the processor's.
pub(crate) fn callee_saved(number: u8) -> Option<u8> {
    NUMBERS.iter().position(|&n| n == number).map(|position| position as u8)
}

/// A function's prologue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prologue {
    /// how it sets up its frame; `None` if it has none
    pub(crate) frame: Option<Setup>,
    /// the registers that are saved, in the order of the code
    pub(crate) saves: Vec<Save>,
}

/// How a frame is set up. Offsets are of the instruction after a step, in bytes from the function's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    /// after the caller's frame pointer has been pushed
    pub(crate) pushed: u32,
    /// after the frame pointer has been set
    pub(crate) framed: u32,
}

/// A register that is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Save {
    pub(crate) offset: u32,
    /// its number: one of [`NUMBERS`]
    pub(crate) register: u8,
    /// it is at `fp - 8 * words`
    pub(crate) words: u8,
}

impl Prologue {
    /// Reads the code generator's notes.
    ///
    /// # Errors
    /// If a frame is not as the artifact can describe it.
    pub(crate) fn new(steps: &[(u32, UnwindInst)]) -> Result<Prologue, String> {
        let (mut pushed, mut framed, mut saves) = (None, None, Vec::new());
        for &(offset, ref step) in steps {
            match *step {
                UnwindInst::StackAlloc { .. } => {}
                UnwindInst::PushFrameRegs { .. } => pushed = Some(offset),
                // A function that makes room for a tail call's arguments moves its frame down before this. What is counted
                // from the frame pointer stays right, and therefore everything is.
                UnwindInst::DefineNewFrame { offset_downward_to_clobbers, .. } => {
                    framed = Some((offset, offset_downward_to_clobbers));
                }
                UnwindInst::SaveReg { clobber_offset, reg } => {
                    let (_, area) = framed.ok_or("a register is saved before there is a frame")?;
                    if reg.class() != RegClass::Int {
                        return Err(format!("{reg:?} is saved, which no caller relies on"));
                    }
                    saves.push(Save::new(offset, reg.hw_enc(), area, clobber_offset)?);
                }
                UnwindInst::RegStackOffset { .. } | UnwindInst::Aarch64SetPointerAuth { .. } => {
                    return Err(format!("the prologue does something unknown: {step:?}"));
                }
            }
        }
        match (pushed, framed) {
            (Some(pushed), Some((framed, _))) => Ok(Prologue { frame: Some(Setup { pushed, framed }), saves }),
            _ => Err("the function sets up no frame".to_owned()),
        }
    }

    /// That of a function without a frame.
    pub(crate) fn none() -> Prologue {
        Prologue { frame: None, saves: Vec::new() }
    }

    /// What the signal handler must know.
    ///
    /// # Errors
    /// If the prologue is longer than the artifact can say.
    pub(crate) fn layout(&self) -> Result<FrameLayout, String> {
        let mut layout = FrameLayout { frameless: self.frame.is_none(), ..FrameLayout::default() };
        for save in &self.saves {
            let position = NUMBERS.iter().position(|&n| n == save.register).expect("`Save::new` has found it");
            layout.saves[position] = save.words;
            layout.prologue = save.offset.try_into().map_err(|_| format!("the prologue has {} bytes", save.offset))?;
        }
        Ok(layout)
    }
}

impl Save {
    /// A register saved at `clobber_offset` of an area that begins `area` bytes below the frame pointer.
    fn new(offset: u32, register: u8, area: u32, clobber_offset: u32) -> Result<Save, String> {
        if !NUMBERS.contains(&register) {
            return Err(format!("register {register} is saved, which no caller relies on"));
        }
        let below = area.checked_sub(clobber_offset).filter(|below| *below > 0 && below.is_multiple_of(8));
        let words = below.and_then(|below| u8::try_from(below / 8).ok());
        let words =
            words.ok_or_else(|| format!("a register is saved at {clobber_offset} of an area of {area} bytes"))?;
        Ok(Save { offset, register, words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RBX: u8 = 3;
    const R15: u8 = 15;
    const SETUP: Setup = Setup { pushed: 1, framed: 4 };
    const PUSH: UnwindInst = UnwindInst::PushFrameRegs { offset_upward_to_caller_sp: 16 };
    const FRAME: UnwindInst =
        UnwindInst::DefineNewFrame { offset_upward_to_caller_sp: 16, offset_downward_to_clobbers: 0 };

    #[test]
    fn registers_are_counted_in_words_below_the_frame_pointer() {
        let saves = vec![Save::new(20, RBX, 48, 0).unwrap(), Save::new(25, R15, 48, 40).unwrap()];
        let prologue = Prologue { frame: Some(SETUP), saves };
        assert_eq!(prologue.layout(), Ok(FrameLayout { saves: [6, 0, 0, 0, 1], prologue: 25, frameless: false }));
    }

    #[test]
    fn a_function_that_saves_nothing_has_no_prologue_to_wait_for() {
        let prologue = Prologue::new(&[(1, PUSH), (4, FRAME)]).unwrap();
        assert_eq!(prologue, Prologue { frame: Some(SETUP), saves: vec![] });
        assert_eq!(prologue.layout(), Ok(FrameLayout::default()));
        assert!(Prologue::none().layout().is_ok_and(|layout| layout.frameless));
    }

    #[test]
    fn what_the_layout_cannot_say_is_an_error() {
        assert!(Save::new(9, 0, 48, 0).is_err(), "rax");
        assert!(Save::new(9, RBX, 48, 48).is_err(), "at the frame pointer");
        assert!(Save::new(9, RBX, 48, 56).is_err(), "above the frame pointer");
        assert!(Save::new(9, RBX, 1 << 20, 0).is_err(), "a megabyte below");
        let late = Prologue { frame: Some(SETUP), saves: vec![Save::new(70_000, RBX, 48, 0).unwrap()] };
        assert!(late.layout().is_err(), "a prologue of 70,000 bytes");
        assert!(Prologue::new(&[]).is_err(), "no frame");
    }
}
