//! Unwind information, for debuggers, `backtrace()` and exceptions of the host that pass through wasm frames.
//!
//! Addresses in it are relative to themselves, because an artifact is mapped anywhere and nothing in it is relocated. It ends
//! with a word of zeros, so that the runtime can hand it to `__register_frame` where it lies (LSB 5.0, 10.6.1).
//!
//! It is made from the prologue and not by the code generator's own function, which misplaces the saved registers of a function
//! that makes room for a tail call's arguments.

use super::frame::{Prologue, Setup};
use cranelift_codegen::isa::TargetIsa;
use gimli::write::{Address, CallFrameInstruction, EhFrame, EndianVec, FrameDescriptionEntry, FrameTable, Writer};
use gimli::{DW_EH_PE_pcrel, DW_EH_PE_sdata4, LittleEndian, Register, X86_64};

/// A function of `.text`, to be unwound through.
pub(super) struct Extent<'a> {
    /// offset of its first byte in `.text`
    pub(super) start: u32,
    /// bytes
    pub(super) len: u32,
    pub(super) prologue: &'a Prologue,
}

/// Bytes from the frame pointer up to the canonical frame address: the caller's frame pointer and the return address.
const FRAME_TO_CFA: i32 = 16;

/// The section's bytes for functions of a `.text` which lies `distance` bytes after the section.
pub(super) fn eh_frame(isa: &dyn TargetIsa, functions: &[Extent<'_>], distance: i64) -> Result<Vec<u8>, String> {
    let mut cie = isa.create_systemv_cie().ok_or("there is no unwind information for this processor")?;
    cie.fde_address_encoding = DW_EH_PE_pcrel | DW_EH_PE_sdata4;
    let mut table = FrameTable::default();
    let cie = table.add_cie(cie);
    for function in functions {
        let address = Address::Constant(distance.wrapping_add(i64::from(function.start)) as u64);
        table.add_fde(cie, entry(address, function));
    }
    let mut section = EhFrame(EndianVec::new(LittleEndian));
    table.write_eh_frame(&mut section).map_err(|e| e.to_string())?;
    section.0.write_u32(0).map_err(|e| e.to_string())?;
    Ok(section.0.into_vec())
}

fn entry(address: Address, function: &Extent<'_>) -> FrameDescriptionEntry {
    let mut entry = FrameDescriptionEntry::new(address, function.len);
    let Prologue { frame: Some(Setup { pushed, framed }), saves } = function.prologue else { return entry };
    entry.add_instruction(*pushed, CallFrameInstruction::CfaOffset(FRAME_TO_CFA));
    entry.add_instruction(*pushed, CallFrameInstruction::Offset(X86_64::RBP, -FRAME_TO_CFA));
    entry.add_instruction(*framed, CallFrameInstruction::CfaRegister(X86_64::RBP));
    for save in saves {
        let place = -FRAME_TO_CFA - 8 * i32::from(save.words);
        let register = Register(u16::from(save.register));
        entry.add_instruction(save.offset, CallFrameInstruction::Offset(register, place));
    }
    entry
}
