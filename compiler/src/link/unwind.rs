//! Unwind information, for debuggers, `backtrace()` and exceptions of the host that pass through wasm frames.
//!
//! Addresses in it are relative to themselves, because an artifact is mapped anywhere and nothing in it is relocated. It ends
//! with a word of zeros, so that the runtime can hand it to `__register_frame` where it lies (LSB 5.0, 10.6.1).

use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::UnwindInfo;
use gimli::write::{Address, EhFrame, EndianVec, FrameTable, Writer};
use gimli::{DW_EH_PE_pcrel, DW_EH_PE_sdata4, LittleEndian};

/// The section's bytes for functions that start at these offsets of a `.text` which lies `distance` bytes after the section.
pub(super) fn eh_frame(
    isa: &dyn TargetIsa,
    functions: &[(u32, &UnwindInfo)],
    distance: i64,
) -> Result<Vec<u8>, String> {
    let mut cie = isa.create_systemv_cie().ok_or("there is no unwind information for this processor")?;
    cie.fde_address_encoding = DW_EH_PE_pcrel | DW_EH_PE_sdata4;
    let mut table = FrameTable::default();
    let cie = table.add_cie(cie);
    for &(start, info) in functions {
        let UnwindInfo::SystemV(info) = info else {
            return Err("the unwind information is of another system".to_owned());
        };
        let address = Address::Constant(distance.wrapping_add(i64::from(start)) as u64);
        table.add_fde(cie, info.to_fde(address));
    }
    let mut section = EhFrame(EndianVec::new(LittleEndian));
    table.write_eh_frame(&mut section).map_err(|e| e.to_string())?;
    section.0.write_u32(0).map_err(|e| e.to_string())?;
    Ok(section.0.into_vec())
}
