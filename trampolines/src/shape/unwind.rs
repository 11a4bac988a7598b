//! Unwinding through shapes, in DWARF's words.

use super::arch::FastEntry;
use cranelift_codegen::CompiledCode;
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::{UnwindInfo, systemv};
use gimli::RunTimeEndian;
use gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, EhFrame, EndianVec, FrameDescriptionEntry, FrameTable,
};

/// How to unwind through a shape.
#[derive(Debug, Clone)]
pub(super) struct Unwind {
    cie: CommonInformationEntry,
    /// the fast entry's bytes and rules, if there is one
    fast: Option<(u32, Vec<(u32, CallFrameInstruction)>)>,
    complete: systemv::UnwindInfo,
}

impl Unwind {
    pub(super) fn of(fast: Option<&FastEntry>, code: &CompiledCode, isa: &dyn TargetIsa) -> Result<Unwind, String> {
        let info = code.create_unwind_info(isa).map_err(|error| error.to_string())?;
        match (info, isa.create_systemv_cie()) {
            (Some(UnwindInfo::SystemV(complete)), Some(cie)) => {
                let fast = fast.map(|fast| (fast.code.len() as u32, fast.unwind.clone()));
                Ok(Unwind { cie, fast, complete })
            }
            _ => Err("there is no unwind information".to_owned()),
        }
    }

    pub(super) fn eh_frame(&self, copies: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut table = FrameTable::default();
        let cie = table.add_cie(self.cie.clone());
        for copy in copies {
            let mut complete = copy;
            if let Some((len, rules)) = &self.fast {
                let mut entry = FrameDescriptionEntry::new(Address::Constant(copy), *len);
                for (offset, rule) in rules {
                    entry.add_instruction(*offset, rule.clone());
                }
                table.add_fde(cie, entry);
                complete += u64::from(*len);
            }
            table.add_fde(cie, self.complete.to_fde(Address::Constant(complete)));
        }
        let mut section = EhFrame(EndianVec::new(RunTimeEndian::Little));
        table.write_eh_frame(&mut section).expect("constant addresses of eight bytes can always be written");
        // An entry of length 0 ends the section (Linux Standard Base, 10.6.1).
        let mut bytes = section.0.into_vec();
        bytes.extend([0; 4]);
        bytes
    }
}
