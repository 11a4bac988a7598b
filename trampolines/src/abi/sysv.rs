//! The calling convention of C on x86-64: System V Application Binary Interface, AMD64 Architecture Processor Supplement
//! (psABI), section 3.2.3, "Parameter Passing".
//!
//! The rules that apply, under their headings in the document and with its numbers. Arguments of more than eight bytes other than structs and
//! unions (`long double`, `__int128`, `_Complex`, vectors) do not cross, so the classes X87 to SSEUP do not occur.
//!
//! *Classification*
//! - `_Bool`, `char`, `short`, `int`, `long`, `long long` (each with or without sign) and pointers are INTEGER.
//! - `float` and `double` are SSE.
//! - Aggregates (structs and arrays in them) and unions:
//!   1. larger than two eightbytes (for us), or with unaligned members (not for us: nothing is packed): MEMORY;
//!   2. (C++ only);
//!   3. otherwise each eightbyte gets a class of its own, to begin with NO_CLASS;
//!   4. each member is classified, recursively, and merged into the class of its eightbyte: (a) equal classes are that class; (b) with
//!      NO_CLASS it is the other; (c) with MEMORY it is MEMORY; (d) with INTEGER it is INTEGER; (f) otherwise it is SSE;
//!   5. (post merger) nothing is left to do.
//!
//!   Of bit-fields without a name, the document says nothing. Clang skips them, GCC takes them for INTEGER: where that makes a difference, a struct
//!   is refused.
//!
//! *Passing*
//! - rule 1: MEMORY is passed on the stack, at a multiple of eight bytes;
//! - rule 2: INTEGER takes the next of `rdi`, `rsi`, `rdx`, `rcx`, `r8`, `r9`;
//! - rule 3: SSE takes the next of `xmm0` to `xmm7`;
//! - if there is no register for one eightbyte of an argument, the whole argument is passed on the stack, and takes no register;
//! - what is on the stack lies there in the order of the parameters.
//!
//! *Returning of values*
//! - rule 2: for MEMORY, the caller passes the address of room for it as if it were the first argument, in `rdi`; the address is returned in `rax`;
//! - rule 3: INTEGER is returned in the next of `rax`, `rdx`; rule 4: SSE in the next of `xmm0`, `xmm1`.
//!
//! *Small integers*. The document leaves the upper bits of a register undefined beyond the type's own (footnote on `_Bool`: of its eight
//! bits only bit 0 may be set). GCC and clang extend arguments to 32 bits all the same, and clang relies on it in a callee. So shapes
//! extend what they pass and return to 32 bits, and believe nothing beyond the type's own bits of what they get.
//!
//! Cranelift's `SystemV` convention hands out registers and stack to scalars by the same rules; what this module decides is how many
//! registers of which class a value takes, and which struct goes to the stack.

use crate::signature::{Crossing, Part, Record, Scalar, Signature, Value};

/// Registers for INTEGER arguments.
pub const INTEGER_REGISTERS: usize = 6;
/// Registers for SSE arguments.
pub const SSE_REGISTERS: usize = 8;

/// The class of an eightbyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// a general register
    Integer,
    /// a vector register
    Sse,
}

/// A value's part that travels in one register, or in eight bytes of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Piece {
    /// its class
    pub class: Class,
    /// Bytes of it that mean something: 1, 2, 4 or 8, from the lowest on. 8 for a part of a struct, which may have padding in it.
    pub bytes: u8,
}

/// Where an argument is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// a piece in the next register of each piece's class
    Registers(Vec<Piece>),
    /// on the stack: a scalar, for which no register is left
    Stack(Piece),
    /// on the stack: a struct of so many eightbytes
    StackStruct(u32),
    /// `...`: in whatever is left, as each of them would be
    Variadic,
}

/// How a result comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// there is none
    Void,
    /// in registers, one or two pieces
    Registers(Vec<Piece>),
    /// in memory, whose address is the first argument
    Memory,
}

/// How a function of a signature is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// of each parameter
    pub params: Vec<Place>,
    /// the result's
    pub result: Returned,
}

/// Classifies a signature.
pub fn classify(signature: &Signature) -> Call {
    let result = match signature.result.as_ref().map(pieces) {
        None => Returned::Void,
        Some(Some(pieces)) => Returned::Registers(pieces),
        Some(None) => Returned::Memory,
    };
    let mut free = (INTEGER_REGISTERS - usize::from(result == Returned::Memory), SSE_REGISTERS);
    let params = signature.params.iter().map(|param| place(param, &mut free)).collect();
    Call { params, result }
}

impl Call {
    /// How many registers of each class, and eightbytes of the stack, the parameters take that are not variable.
    pub fn taken(&self) -> (usize, usize, usize) {
        let (mut integer, mut sse, mut stack) = (usize::from(self.result == Returned::Memory), 0, 0);
        for place in &self.params {
            match place {
                Place::Registers(pieces) => {
                    let vector = pieces.iter().filter(|piece| piece.class == Class::Sse).count();
                    (integer, sse) = (integer + pieces.len() - vector, sse + vector);
                }
                Place::Stack(_) => stack += 1,
                Place::StackStruct(eightbytes) => stack += *eightbytes as usize,
                Place::Variadic => {}
            }
        }
        (integer, sse, stack)
    }
}

fn place(param: &Value, free: &mut (usize, usize)) -> Place {
    if let Crossing::VarArgs { ellipsis: true, .. } = param.crossing {
        return Place::Variadic;
    }
    if let Some(pieces) = pieces(param) {
        let sse = pieces.iter().filter(|piece| piece.class == Class::Sse).count();
        let integer = pieces.len() - sse;
        if integer <= free.0 && sse <= free.1 {
            *free = (free.0 - integer, free.1 - sse);
            return Place::Registers(pieces);
        }
        if !matches!(param.crossing, Crossing::Struct(_)) {
            return Place::Stack(pieces[0]);
        }
    }
    let Crossing::Struct(record) = &param.crossing else { unreachable!("only structs have no pieces") };
    Place::StackStruct(record.native.size.div_ceil(8))
}

/// The pieces of a value; `None` for one of class MEMORY.
pub fn pieces(value: &Value) -> Option<Vec<Piece>> {
    let piece = |class, bytes| Some(vec![Piece { class, bytes }]);
    match &value.crossing {
        Crossing::Scalar(scalar) => piece(scalar_class(*scalar), scalar.native_bytes()),
        Crossing::Struct(record) => {
            let classes = eightbytes(record)?.into_iter();
            Some(classes.map(|class| Piece { class: class.unwrap_or(Class::Integer), bytes: 8 }).collect())
        }
        _ => piece(Class::Integer, 8),
    }
}

fn scalar_class(scalar: Scalar) -> Class {
    match scalar {
        Scalar::Float | Scalar::Double => Class::Sse,
        Scalar::Bool | Scalar::Int(_) => Class::Integer,
    }
}

/// The classes of the eightbytes of a struct or union, one or two; in there, `None` is NO_CLASS. `None` if it is of class MEMORY.
pub fn eightbytes(record: &Record) -> Option<Vec<Option<Class>>> {
    if record.native.size > 16 {
        return None;
    }
    let mut classes = vec![None; record.native.size.div_ceil(8) as usize];
    record.parts(&mut |part| merge(&mut classes, part));
    Some(classes)
}

/// Merges the class of a part into that of its eightbyte.
fn merge(classes: &mut [Option<Class>], part: Part<'_>) {
    let class = match part.value.crossing {
        Crossing::Scalar(scalar) => scalar_class(scalar),
        _ => Class::Integer,
    };
    let merged = &mut classes[part.native_bit as usize / 64];
    *merged = Some(match *merged {
        None => class,
        Some(other) if other == class => class,
        Some(_) => Class::Integer,
    });
}

/// Whether C compilers do not agree on the classes of a struct, because there are bit-fields without a name in it.
pub(crate) fn is_ambiguous(record: &Record) -> bool {
    eightbytes(record).is_some_and(|classes| {
        let mut with_padding = vec![None; classes.len()];
        record.parts_and_padding(&mut |part| merge(&mut with_padding, part));
        with_padding != classes || classes.contains(&None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn integer(bytes: u8) -> Piece {
        Piece { class: Class::Integer, bytes }
    }

    const fn sse(bytes: u8) -> Piece {
        Piece { class: Class::Sse, bytes }
    }

    fn call(text: &str) -> Call {
        classify(&text.parse().unwrap_or_else(|error| panic!("{error}")))
    }

    #[test]
    fn scalars_and_pointers() {
        let call = call("float f(_Bool, short, enum e, long, long long, void *, double, char *[str], int (*)(int))");
        let expected = [1, 2, 4, 8, 8, 8].map(integer).into_iter().chain([sse(8)]);
        let registers = expected.map(|piece| Place::Registers(vec![piece]));
        let stack = [Place::Stack(integer(8)), Place::Stack(integer(8))];
        assert_eq!(call.params, registers.chain(stack).collect::<Vec<_>>());
        assert_eq!(call.result, Returned::Registers(vec![sse(4)]));
    }

    /// The classes of a struct: I and S, `-` for NO_CLASS, M for MEMORY.
    fn classes(text: &str) -> String {
        let signature: Signature = format!("void f({text})").parse().unwrap_or_else(|error| panic!("{error}"));
        let Crossing::Struct(record) = &signature.params[0].crossing else { panic!("{text}") };
        let Some(classes) = eightbytes(record) else { return "M".to_owned() };
        let letter = |class| match class {
            None => '-',
            Some(Class::Integer) => 'I',
            Some(Class::Sse) => 'S',
        };
        classes.into_iter().map(letter).collect()
    }

    #[test]
    fn eightbytes_are_merged() {
        for (text, expected) in [
            ("struct { char c; }", "I"),
            ("struct { float x, y; }", "S"),
            ("struct { float x, y, z; }", "SS"),
            ("struct { float x; int n; }", "I"),
            ("struct { double x; int n; }", "SI"),
            ("struct { int n; double x; }", "IS"),
            ("struct { long a, b; }", "II"),
            ("struct { void *p; float f[2]; }", "IS"),
            ("struct { char c[17]; }", "M"),
            ("struct { double d[3]; }", "M"),
            ("union { double d; int n; }", "I"),
            ("union { float f; double d; }", "S"),
            ("struct { union { float f; int n; } u; float g; double d; }", "IS"),
            ("struct { float f; int : 0; float g; }", "S"),
            ("struct { int n; int : 5; float g; }", "IS"),
            ("struct { long long a : 40, b : 40; }", "II"),
            ("struct { float f; unsigned b : 3; }", "I"),
        ] {
            assert_eq!(classes(text), expected, "{text}");
        }
    }

    #[test]
    fn a_struct_is_in_registers_as_a_whole_or_not_at_all() {
        let two = "struct { long a, b; }";
        let found = call(&format!("void f(int, int, int, int, int, {two}, int, {two}, double)"));
        let one = |piece| Place::Registers(vec![piece]);
        assert_eq!(found.params[5..], [Place::StackStruct(2), one(integer(4)), Place::StackStruct(2), one(sse(8)),]);
        // The result's address takes a register.
        let found = call("struct { long a[3]; } f(int, int, int, int, int, int)");
        assert_eq!(found.result, Returned::Memory);
        assert_eq!(found.params[5], Place::Stack(integer(4)));
        let found = call("struct { long n; double d; } f(struct { char c[20]; })");
        assert_eq!(found.result, Returned::Registers(vec![integer(8), sse(8)]));
        assert_eq!(found.params, [Place::StackStruct(3)]);
    }
}
