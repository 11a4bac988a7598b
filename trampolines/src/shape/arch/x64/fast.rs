//! The fast entry of a callback: the part of its code that runs when there is nothing to sort out.
//!
//! The sandbox stands on this code, as it does on [`callback`](super::super::super::callback), which is complete without it. The fast entry
//! does the same for signatures whose arguments all travel in registers and are all converted inline. Where anything is out of the
//! ordinary, it jumps to the complete callback behind it with every argument register and the stack as they came, as if the C caller
//! had called that. For `int compare(const void *, const void *)`, with `record` standing for the copy's own record:
//!
//! ```text
//!     mov   rax, [record.vmctx]
//!     mov   r10, [rax + crossings]
//!     mov   r10, [r10 + frame]
//!     sub   r10, rsp                     ; how far below the innermost crossing are we?
//!     cmp   r10, [rax + reach]           ; in this order: see artifact, `CrossingFrame`
//!     jae   slow
//!     mov   r10, rdi                     ; the high halves of pointers into memory are its base's
//!     xor   r10, [record.memory_base]
//!     mov   rdx, rsi
//!     xor   rdx, [record.memory_base]
//!     or    r10, rdx                     ; its lower half is the guest's pointer already
//!     shr   r10, 32
//!     jne   slow
//!     push  rbp
//!     mov   rbp, rsp
//!     mov   esi, edi
//!     mov   rdi, [record.callee_vmctx]
//!     call  [record.code]
//!     pop   rbp
//!     ret
//! slow:
//! ```
//!
//! Cranelift's version of the same takes 34 instructions: it takes the record's address and the stack pointer into registers, does not
//! compare or call with memory operands there, and allocates the slow path's spill space for both.
//!
//! `rax`, `r10` and `r11` are free at a function's start (psABI, figure 3.4; `al` matters to variadic functions only). The wasm function takes
//! the same registers as the C function but one place further, behind its vmctx; floats stay where they are.

use super::asm::{ARGUMENTS, Assembled, Assembler, If, Label, memory};
use super::lent::{self, Lent};
use super::numbers;
use super::shown::{self, Shown};
use crate::objects::ObjectTypes;
use crate::signature::{Crossing, Scalar, Signature, Value};
use cranelift_assembler_x64::gpr::enc::*;
use cranelift_assembler_x64::{Imm8, inst};
use gimli::X86_64;
use gimli::write::CallFrameInstruction;
use wasmbridge_artifact::vmctx::{callback, crossing, head};

/// Float arguments that travel in registers, in C as in wasm.
const FLOAT_ARGUMENTS: usize = 8;

/// The fast entry of a signature, if it can have one.
pub(in crate::shape) fn fast_entry(signature: &Signature, objects: &ObjectTypes) -> Option<Assembled> {
    let arguments = Argument::all(signature, objects)?;
    let result = match signature.result.as_ref().map(|result| &result.crossing) {
        None => None,
        Some(Crossing::Scalar(scalar)) => Some(*scalar),
        // Zero-extended, as an `unsigned long` is.
        Some(Crossing::User) => Some(Scalar::ULONG),
        Some(_) => return None,
    };
    let mut asm = Assembler::default();
    let slow = asm.label();
    // At most as many as there are registers.
    let windows = arguments.iter().filter(|argument| matches!(argument.kind, Kind::Window(_))).count();
    let lents: Vec<(Lent, u8)> = arguments.iter().filter_map(Argument::lent).collect();
    let can_open = Lent::can_open(lents.len());
    if windows > 0 && !lents.is_empty() || !can_open && !lent::may_be_known(&lents) {
        return None;
    }
    let mut entry = Entry { asm, slow, arguments, result, lents };
    if windows > 0 {
        shown::admit(&mut entry.asm, slow);
    } else {
        entry.admit();
    }
    entry.check();
    match entry.lents.is_empty() {
        true if windows > 0 => entry.run(Run::Showing(windows)),
        true => entry.run(Run::Plain),
        false => entry.run_with_handles(can_open),
    }
    // The complete callback follows.
    entry.asm.bind(slow);
    Some(entry.asm.finish())
}

/// An argument in an integer register.
struct Argument {
    from: u8,
    to: u8,
    kind: Kind,
}

enum Kind {
    Number(Scalar),
    Pointer,
    Window(Shown),
    Handle(Lent),
}

/// What there is to do around the call of the wasm function.
#[derive(Clone, Copy)]
enum Run {
    Plain,
    /// so many arguments are shown
    Showing(usize),
    /// slots are opened for handles
    Lending,
}

impl Argument {
    /// Whether it is a pointer and the last argument: its register is none of another argument's in C.
    fn is_last_pointer(&self, place: usize, arguments: &[Argument]) -> bool {
        place + 1 == arguments.len() && matches!(self.kind, Kind::Pointer)
    }

    /// What the app gets a handle of, and its register.
    fn lent(&self) -> Option<(Lent, u8)> {
        match self.kind {
            Kind::Handle(lent) => Some((lent, self.from)),
            _ => None,
        }
    }

    /// The arguments in integer registers; `None` if some travel on the stack or are not converted inline.
    fn all(signature: &Signature, objects: &ObjectTypes) -> Option<Vec<Argument>> {
        let is_float = |param: &&Value| matches!(param.crossing, Crossing::Scalar(Scalar::Float | Scalar::Double));
        let floats = signature.params.iter().filter(is_float).count();
        let mut handles = 0;
        let kinds = signature.params.iter().filter(|param| !is_float(param)).map(|param| match param.crossing {
            Crossing::Scalar(scalar) => Some(Kind::Number(scalar)),
            Crossing::Pointer { .. } => Some(Kind::Pointer),
            // Zero-extended on its way out; of a native value that has more, nothing is cut off.
            Crossing::User => Some(Kind::Number(Scalar::ULONG)),
            _ if param.window => Shown::of(param, signature).map(Kind::Window),
            Crossing::Handle { .. } => {
                handles += 1;
                Lent::of(param, objects, handles - 1).map(Kind::Handle)
            }
            _ => None,
        });
        let kinds = kinds.collect::<Option<Vec<Kind>>>()?;
        if floats > FLOAT_ARGUMENTS || kinds.len() >= ARGUMENTS.len() {
            return None;
        }
        let places = ARGUMENTS.iter().zip(&ARGUMENTS[1..]);
        Some(kinds.into_iter().zip(places).map(|(kind, (&from, &to))| Argument { from, to, kind }).collect())
    }
}

/// Whether the check of one of these arguments is that a high half is 0.
fn gathers(arguments: &[Argument]) -> bool {
    arguments.iter().any(|argument| match argument.kind {
        Kind::Pointer => true,
        Kind::Number(Scalar::Int(int)) => int.narrows() && !int.signed,
        Kind::Number(_) | Kind::Window(_) | Kind::Handle(_) => false,
    })
}

struct Entry {
    asm: Assembler,
    /// the complete callback
    slow: Label,
    arguments: Vec<Argument>,
    /// as what the result crosses
    result: Option<Scalar>,
    /// the arguments that the app gets handles of, and their registers
    lents: Vec<(Lent, u8)>,
}

impl Entry {
    /// The entry check.
    fn admit(&mut self) {
        let Entry { asm, slow, .. } = self;
        asm.with_record(callback::VMCTX, |record| inst::movq_rm::new(RAX, record).into());
        asm.emit(inst::movq_rm::new(R10, memory(RAX, head::CROSSINGS)));
        asm.emit(inst::movq_rm::new(R10, memory(R10, crossing::FRAME)));
        asm.emit(inst::subq_rm::new(R10, RSP));
        asm.emit(inst::cmpq_rm::new(R10, memory(RAX, head::REACH)));
        asm.jump(If::AboveOrEqual, *slow);
    }

    /// The checks of all arguments but handles: nothing that the C caller passed is changed before they are all done.
    fn check(&mut self) {
        let Entry { asm, slow, arguments, .. } = self;
        for argument in &*arguments {
            if let Kind::Window(shown) = &argument.kind {
                shown.check(asm, *slow, argument.from);
            }
        }
        // Of what is gathered here, the high half must be 0.
        let mut gathered = false;
        for (place, argument) in arguments.iter().enumerate() {
            let from = argument.from;
            let (with_base, high_half) = match argument.kind {
                Kind::Pointer => (true, true),
                Kind::Number(Scalar::Int(int)) if int.narrows() && !int.signed => (false, true),
                Kind::Number(Scalar::Int(int)) if int.narrows() => {
                    asm.emit(inst::movslq_rm::new(R11, from));
                    asm.emit(inst::cmpq_rm::new(R11, from));
                    asm.jump(If::NotEqual, *slow);
                    (false, false)
                }
                _ => (false, false),
            };
            if !high_half {
                continue;
            }
            // The last pointer's place is nobody else's. What is gathered there is the pointer as wasm has it, once the check has passed: the
            // lower half of the memory's address is 0.
            let into = match (gathered, argument.is_last_pointer(place, arguments)) {
                (true, true) => argument.to,
                (true, false) => R11,
                (false, _) => R10,
            };
            asm.emit(inst::movq_mr::new(into, from));
            if with_base {
                asm.with_record(callback::MEMORY_BASE, |record| inst::xorq_rm::new(into, record).into());
            }
            if gathered {
                asm.emit(inst::orq_rm::new(R10, into));
            }
            gathered = true;
        }
        if gathered {
            asm.emit(inst::shrq_mi::new(R10, Imm8::new(32)));
            asm.jump(If::NotEqual, *slow);
        }
    }

    /// Runs the callback in two ways, with the entry check and the other arguments' checks behind it: where the app has handles of all objects, and, if there are
    /// slots for so many, where it is lent some.
    fn run_with_handles(&mut self, can_open: bool) {
        let lend = if can_open { self.asm.label() } else { self.slow };
        let mut mismatches = Vec::new();
        lent::load_table(&mut self.asm);
        if lent::may_be_known(&self.lents) {
            mismatches.extend(lent::check(&mut self.asm, &self.lents, lend, self.slow));
            self.run(Run::Plain);
        }
        if can_open {
            self.asm.bind(lend);
            mismatches.extend(lent::check_slots(&mut self.asm, &self.lents, self.slow));
            self.run(Run::Lending);
        }
        mismatches.into_iter().for_each(|mismatch| mismatch.finish(&mut self.asm));
    }

    /// Calls the wasm function and returns what it does: all has been checked.
    fn run(&mut self, run: Run) {
        self.push_frame();
        match run {
            Run::Plain => {}
            Run::Showing(windows) => shown::begin(&mut self.asm, windows),
            Run::Lending => lent::begin(&mut self.asm),
        }
        self.convert(run);
        self.call();
        let (shown, lent) = match run {
            Run::Plain => (None, None),
            Run::Showing(_) => (Some(shown::end(&mut self.asm)), None),
            Run::Lending => (None, Some(lent::end(&mut self.asm, &self.lents))),
        };
        if let Some(scalar) = self.result {
            numbers::result_into_native(&mut self.asm, scalar);
        }
        self.pop_frame();
        if let Run::Plain = run {
            return;
        }
        self.in_frame_again();
        if let Some(end) = shown {
            end.finish(&mut self.asm);
        }
        if let Some(end) = lent {
            end.finish(&mut self.asm);
        }
        self.frame_is_gone();
    }

    /// Moves arguments to where the wasm function takes them: from the last one on, because each takes the next one's register.
    fn convert(&mut self, run: Run) {
        let Entry { asm, arguments, lents, .. } = self;
        let only = lents.len() == 1;
        for (place, argument) in arguments.iter().enumerate().rev() {
            let &Argument { from, to, ref kind } = argument;
            match *kind {
                Kind::Number(scalar) => numbers::into_wasm(asm, scalar, to, from),
                Kind::Handle(lent) => match run {
                    Run::Lending => lent.open(asm, to, from, only),
                    _ => lent.take(asm, to, from, only),
                },
                // Already there, if an earlier check was gathered first.
                Kind::Pointer
                    if place > 0 && argument.is_last_pointer(place, arguments) && gathers(&arguments[..place]) => {}
                // Of a window too: it is a region.
                Kind::Pointer | Kind::Window(_) => asm.emit(inst::movl_mr::new(to, from)),
            }
        }
    }

    fn call(&mut self) {
        self.asm.with_record(callback::CALLEE_VMCTX, |record| inst::movq_rm::new(RDI, record).into());
        self.asm.with_record(callback::CODE, |record| inst::callq_m::new(record).into());
    }

    fn push_frame(&mut self) {
        self.asm.emit(inst::pushq_o::new(RBP));
        self.asm.unwind(CallFrameInstruction::CfaOffset(16));
        self.asm.unwind(CallFrameInstruction::Offset(X86_64::RBP, -16));
        self.asm.emit(inst::movq_mr::new(RBP, RSP));
        self.asm.unwind(CallFrameInstruction::CfaRegister(X86_64::RBP));
    }

    fn pop_frame(&mut self) {
        self.asm.emit(inst::popq_o::new(RBP));
        self.frame_is_gone();
        self.asm.emit(inst::retq_zo::new());
    }

    /// What follows is code outside of the frame.
    fn frame_is_gone(&mut self) {
        self.asm.unwind(CallFrameInstruction::Cfa(X86_64::RSP, 8));
        self.asm.unwind(CallFrameInstruction::SameValue(X86_64::RBP));
    }

    /// What follows is code inside of it.
    fn in_frame_again(&mut self) {
        self.asm.unwind(CallFrameInstruction::Cfa(X86_64::RBP, 16));
        self.asm.unwind(CallFrameInstruction::Offset(X86_64::RBP, -16));
    }
}
