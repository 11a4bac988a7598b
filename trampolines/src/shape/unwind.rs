//! Unwinding through shapes, in DWARF's words.

use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::UnwindInfo;
use cranelift_codegen::{CompiledCode, isa::unwind::systemv};
use gimli::RunTimeEndian;
use gimli::write::{Address, CommonInformationEntry, EhFrame, EndianVec, FrameTable};

/// How to unwind through a function.
#[derive(Debug, Clone)]
pub(super) struct Unwind {
    cie: CommonInformationEntry,
    info: systemv::UnwindInfo,
}

impl Unwind {
    pub(super) fn of(code: &CompiledCode, isa: &dyn TargetIsa) -> Result<Unwind, String> {
        let info = code.create_unwind_info(isa).map_err(|error| error.to_string())?;
        match (info, isa.create_systemv_cie()) {
            (Some(UnwindInfo::SystemV(info)), Some(cie)) => Ok(Unwind { cie, info }),
            _ => Err("there is no unwind information".to_owned()),
        }
    }

    pub(super) fn eh_frame(&self, copies: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut table = FrameTable::default();
        let cie = table.add_cie(self.cie.clone());
        for copy in copies {
            table.add_fde(cie, self.info.to_fde(Address::Constant(copy)));
        }
        let mut section = EhFrame(EndianVec::new(RunTimeEndian::Little));
        table.write_eh_frame(&mut section).expect("constant addresses of eight bytes can always be written");
        // An entry of length 0 ends the section (Linux Standard Base, 10.6.1).
        let mut bytes = section.0.into_vec();
        bytes.extend([0; 4]);
        bytes
    }
}
