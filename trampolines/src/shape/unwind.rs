//! Unwinding through shapes, in DWARF's words.
//!
//! A thunk's code is there once, and its table is an ordinary one. A callback's code is there as often as fits its pages: the table of a whole group
//! of copies is one entry, in which the rules are expressions (DWARF 5, 2.5) over the distance of the program counter from the start of its
//! copy. Linkers describe the copies of a procedure linkage table in the same way. So it takes no more memory and no more time for a
//! million callbacks than for one.

use super::arch::{self, Assembled};
use cranelift_codegen::CompiledCode;
use cranelift_codegen::isa::TargetIsa;
use gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, EhFrame, EndianVec, Expression, FrameDescriptionEntry,
    FrameTable,
};
use gimli::{Register, RunTimeEndian, X86_64, constants};

/// How to unwind through a shape.
#[derive(Debug, Clone)]
pub(super) struct Unwind {
    cie: CommonInformationEntry,
    /// what changes at an offset of the code, ascending
    rules: Vec<(u32, CallFrameInstruction)>,
    len: u32,
}

impl Unwind {
    pub(super) fn of(fast: Option<&Assembled>, code: &CompiledCode, isa: &dyn TargetIsa) -> Result<Unwind, String> {
        let cie = isa.create_systemv_cie().ok_or("there is no unwind information for this processor")?;
        let mut rules = fast.map(|fast| fast.unwind.clone()).unwrap_or_default();
        let complete = fast.map_or(0, |fast| fast.code.len()) as u32;
        let prologue = arch::unwind_rules(&code.buffer.unwind_info)?;
        rules.extend(prologue.into_iter().map(|(offset, rule)| (complete + offset, rule)));
        Ok(Unwind { cie, rules, len: complete + code.code_buffer().len() as u32 })
    }

    pub(super) fn of_assembled(code: &Assembled, isa: &dyn TargetIsa) -> Result<Unwind, String> {
        let cie = isa.create_systemv_cie().ok_or("there is no unwind information for this processor")?;
        Ok(Unwind { cie, rules: code.unwind.clone(), len: code.code.len() as u32 })
    }

    /// The section for code that is there once.
    pub(super) fn eh_frame(&self, code: u64) -> Vec<u8> {
        let mut entry = FrameDescriptionEntry::new(Address::Constant(code), self.len);
        for (offset, rule) in &self.rules {
            entry.add_instruction(*offset, rule.clone());
        }
        self.section(entry)
    }

    /// The section for copies of the code, of which one begins every `stride` bytes.
    pub(super) fn eh_frame_of_copies(&self, code: u64, stride: u32, copies: u32) -> Vec<u8> {
        let rows = self.rows();
        let mut entry = FrameDescriptionEntry::new(Address::Constant(code), stride * copies);
        let place = Place { code, stride };
        entry.add_instruction(0, CallFrameInstruction::CfaExpression(place.frame_address(&rows)));
        let mut saved: Vec<(Register, i32)> = rows.iter().flat_map(|row| row.saved.iter().copied()).collect();
        saved.sort_unstable_by_key(|&(register, offset)| (register.0, offset));
        saved.dedup();
        for save in saved {
            entry.add_instruction(0, CallFrameInstruction::ValExpression(save.0, place.register(&rows, save)));
        }
        self.section(entry)
    }

    fn section(&self, entry: FrameDescriptionEntry) -> Vec<u8> {
        let mut table = FrameTable::default();
        let cie = table.add_cie(self.cie.clone());
        table.add_fde(cie, entry);
        let mut section = EhFrame(EndianVec::new(RunTimeEndian::Little));
        table.write_eh_frame(&mut section).expect("constant addresses of eight bytes can always be written");
        // An entry of length 0 ends the section (Linux Standard Base, 10.6.1).
        let mut bytes = section.0.into_vec();
        bytes.extend([0; 4]);
        bytes
    }

    /// What holds from an offset on.
    fn rows(&self) -> Vec<Row> {
        // What the common entry says: a call has pushed the return address, and nothing else has happened.
        let mut rows = vec![Row { from: 0, frame: (X86_64::RSP, 8), saved: Vec::new() }];
        for (offset, rule) in &self.rules {
            let last = rows.last().expect("there is always one");
            let mut row = if *offset == last.from { rows.pop().expect("see above") } else { last.clone() };
            row.from = *offset;
            match rule {
                CallFrameInstruction::Cfa(register, offset) => row.frame = (*register, *offset),
                CallFrameInstruction::CfaRegister(register) => row.frame.0 = *register,
                CallFrameInstruction::CfaOffset(offset) => row.frame.1 = *offset,
                CallFrameInstruction::Offset(register, offset) => row.saved.push((*register, *offset)),
                CallFrameInstruction::SameValue(register) => row.saved.retain(|saved| saved.0 != *register),
                other => unreachable!("no prologue has {other:?}"),
            }
            rows.push(row);
        }
        rows
    }
}

/// What holds from an offset of a copy on.
#[derive(Debug, Clone)]
struct Row {
    from: u32,
    /// where the frame's address is
    frame: (Register, i32),
    /// registers of the caller's, and where they are, from the frame's address on
    saved: Vec<(Register, i32)>,
}

/// Where the copies are.
#[derive(Clone, Copy)]
struct Place {
    code: u64,
    stride: u32,
}

impl Place {
    /// Begins an expression with the distance of the program counter from the start of its copy.
    fn begin(self) -> Expression {
        let mut expression = Expression::new();
        expression.op_breg(X86_64::RA, 0);
        expression.op_constu(self.code);
        expression.op(constants::DW_OP_minus);
        expression.op_constu(self.stride.into());
        expression.op(constants::DW_OP_mod);
        expression
    }

    /// The frame's address: the first row's, and at each later row that has been reached, the difference that it makes.
    fn frame_address(self, rows: &[Row]) -> Expression {
        let mut expression = self.begin();
        let push = |expression: &mut Expression, row: &Row| expression.op_breg(row.frame.0, row.frame.1.into());
        push(&mut expression, &rows[0]);
        for pair in rows.windows(2).filter(|pair| pair[0].frame != pair[1].frame) {
            reached(&mut expression, pair[1].from);
            push(&mut expression, &pair[1]);
            push(&mut expression, &pair[0]);
            expression.op(constants::DW_OP_minus);
            expression.op(constants::DW_OP_mul);
            expression.op(constants::DW_OP_plus);
        }
        expression
    }

    /// The value that a register has in the caller: what is saved of it, in rows that have saved it, and else what it has here. The frame's
    /// address is on the stack when the expression begins.
    fn register(self, rows: &[Row], save: (Register, i32)) -> Expression {
        let mut expression = self.begin();
        // Whether it is saved: how often it has been, less how often that has been undone.
        expression.op_constu(0);
        for pair in rows.windows(2) {
            let is_saved = |row: &Row| row.saved.contains(&save);
            if is_saved(&pair[0]) != is_saved(&pair[1]) {
                reached(&mut expression, pair[1].from);
                expression.op(if is_saved(&pair[1]) { constants::DW_OP_plus } else { constants::DW_OP_minus });
            }
        }
        let if_saved = expression.op_bra();
        expression.op_breg(save.0, 0);
        let to_end = expression.op_skip();
        let saved = expression.next_index();
        expression.set_target(if_saved, saved);
        expression.op(constants::DW_OP_drop);
        expression.op_consts(save.1.into());
        expression.op(constants::DW_OP_plus);
        expression.op_deref();
        let end = expression.next_index();
        expression.set_target(to_end, end);
        expression
    }
}

/// Pushes 1 if the distance, which is the second value on the stack, is not below an offset; else 0.
fn reached(expression: &mut Expression, offset: u32) {
    expression.op(constants::DW_OP_over);
    expression.op_constu(offset.into());
    expression.op(constants::DW_OP_ge);
}

#[cfg(test)]
mod tests {
    use super::Unwind;
    use crate::{Shape, ShapeCompiler};
    use gimli::{
        BaseAddresses, CfaRule, EhFrame, EvaluationResult, LittleEndian, RegisterRule, UnwindContext, UnwindSection,
        Value, X86_64,
    };

    const RSP: u64 = 0x7000;
    const RBP: u64 = 0x7100;

    /// Where the frame is at a pc, and where the caller's `rbp` is; `None` if it still has it.
    fn unwind(bytes: &[u8], pc: u64) -> (u64, Option<u64>) {
        let section = EhFrame::new(bytes, LittleEndian);
        let bases = BaseAddresses::default();
        let entry = section.fde_for_address(&bases, pc, EhFrame::cie_from_offset).unwrap();
        let mut context = UnwindContext::new();
        let row = entry.unwind_info_for_address(&section, &bases, &mut context, pc).unwrap();
        // The memory's value at an address is the next address, so that a register that is found there says where.
        let evaluate = |expression: &gimli::UnwindExpression<usize>, initial: Option<u64>| {
            let expression = expression.get(&section).unwrap();
            let mut evaluation = expression.evaluation(entry.cie().encoding());
            if let Some(initial) = initial {
                evaluation.set_initial_value(initial);
            }
            let mut result = evaluation.evaluate().unwrap();
            loop {
                result = match result {
                    EvaluationResult::Complete => break,
                    EvaluationResult::RequiresRegister { register, .. } => {
                        let value = match register {
                            X86_64::RSP => RSP,
                            X86_64::RBP => RBP,
                            X86_64::RA => pc,
                            other => panic!("{other:?}"),
                        };
                        evaluation.resume_with_register(Value::Generic(value)).unwrap()
                    }
                    EvaluationResult::RequiresMemory { address, .. } => {
                        evaluation.resume_with_memory(Value::Generic(address + 1)).unwrap()
                    }
                    other => panic!("{other:?}"),
                };
            }
            evaluation.value_result().unwrap().to_u64(u64::MAX).unwrap()
        };
        let frame = match row.cfa() {
            CfaRule::RegisterAndOffset { register: X86_64::RSP, offset } => RSP.wrapping_add_signed(*offset),
            CfaRule::RegisterAndOffset { register: X86_64::RBP, offset } => RBP.wrapping_add_signed(*offset),
            CfaRule::RegisterAndOffset { register, .. } => panic!("{register:?}"),
            CfaRule::Expression(expression) => evaluate(expression, None),
        };
        let saved = match row.register(X86_64::RBP) {
            None | Some(RegisterRule::SameValue) => None,
            Some(RegisterRule::Offset(offset)) => Some(frame.wrapping_add_signed(offset)),
            Some(RegisterRule::ValExpression(expression)) => match evaluate(&expression, Some(frame)) {
                RBP => None,
                next => Some(next - 1),
            },
            Some(other) => panic!("{other:?}"),
        };
        (frame, saved)
    }

    const BEFORE: (u64, Option<u64>) = (RSP + 8, None);
    const PUSHED: (u64, Option<u64>) = (RSP + 16, Some(RSP));
    const FRAMED: (u64, Option<u64>) = (RBP + 16, Some(RBP));

    #[test]
    fn frames_can_be_unwound_in_both_parts_of_every_copy() {
        let shape = ShapeCompiler::new().unwrap().callback(&"int f(int, int)".parse().unwrap()).unwrap();
        let push = shape.code.windows(4).position(|code| code == [0x55, 0x48, 0x89, 0xe5]).unwrap() as u32;
        assert!(push < shape.complete);
        let complete = shape.complete;
        let offsets = [0, push, push + 1, push + 4, complete - 1, complete, complete + 1, complete + 4];
        let expected = [BEFORE, BEFORE, PUSHED, FRAMED, BEFORE, BEFORE, PUSHED, FRAMED];
        let stride = (shape.code.len() as u32).next_multiple_of(32);
        let bytes = shape.eh_frame_of_copies(0x10_0000, stride, 3);
        for copy in 0..3 {
            let at = offsets.map(|offset| unwind(&bytes, 0x10_0000 + u64::from(copy * stride + offset)));
            assert_eq!(at, expected, "copy {copy}");
        }
    }

    #[test]
    fn one_copy_and_many_are_unwound_alike() {
        // So many arguments that the callback saves registers of its caller.
        let ints = ["int"; 40].join(", ");
        let signature = format!("long long f({ints})").parse().unwrap();
        let mut compiler = ShapeCompiler::new().unwrap();
        for shape in [compiler.callback(&signature).unwrap(), compiler.thunk(&signature).unwrap()] {
            let Shape { unwind, code, .. } = &shape;
            let Unwind { len, .. } = unwind;
            assert_eq!(*len as usize, code.len());
            let (one, many) = (unwind.eh_frame(0x4000), unwind.eh_frame_of_copies(0x4000, *len, 1));
            for offset in 0..u64::from(*len) {
                let pc = 0x4000 + offset;
                assert_eq!(super::tests::unwind(&one, pc), super::tests::unwind(&many, pc), "at {offset}");
            }
        }
    }
}
