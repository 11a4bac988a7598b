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

#[cfg(test)]
mod tests {
    use crate::ShapeCompiler;
    use gimli::{BaseAddresses, CfaRule, EhFrame, LittleEndian, UnwindContext, UnwindSection, X86_64};

    /// The rule for the frame's address at each offset of the code of a copy.
    fn rules(bytes: &[u8], copy: u64, offsets: &[u32]) -> Vec<String> {
        let section = EhFrame::new(bytes, LittleEndian);
        let bases = BaseAddresses::default();
        let rule = |&offset: &u32| {
            let address = copy + u64::from(offset);
            let entry = section.fde_for_address(&bases, address, EhFrame::cie_from_offset).unwrap();
            let mut context = UnwindContext::new();
            let row = entry.unwind_info_for_address(&section, &bases, &mut context, address).unwrap();
            match row.cfa() {
                CfaRule::RegisterAndOffset { register, offset } if *register == X86_64::RSP => format!("rsp+{offset}"),
                CfaRule::RegisterAndOffset { register, offset } if *register == X86_64::RBP => format!("rbp+{offset}"),
                other => panic!("{other:?}"),
            }
        };
        offsets.iter().map(rule).collect()
    }

    #[test]
    fn frames_can_be_unwound_in_both_parts_of_every_copy() {
        let shape = ShapeCompiler::new().unwrap().callback(&"int f(int, int)".parse().unwrap()).unwrap();
        let copies = [0x10_0000, 0x10_0100];
        let bytes = shape.eh_frame(copies);
        let push = shape.code.windows(4).position(|code| code == [0x55, 0x48, 0x89, 0xe5]).unwrap() as u32;
        assert!(push < shape.complete);
        let complete = shape.complete;
        let offsets = [0, push, push + 1, push + 4, complete - 1, complete, complete + 1, complete + 4];
        let expected = ["rsp+8", "rsp+8", "rsp+16", "rbp+16", "rsp+8", "rsp+8", "rsp+16", "rbp+16"];
        for copy in copies {
            assert_eq!(rules(&bytes, copy, &offsets), expected);
        }
    }
}
