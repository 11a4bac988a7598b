//! The calling convention of C on 64-bit ARM: Procedure Call Standard for the Arm 64-bit Architecture (AAPCS64), section 6.8,
//! "Parameter passing", and 6.9, "Result return". No shapes are made for it yet.
//!
//! The rules that apply, with the document's letters. Vectors, 128-bit integers and `long double` do not cross; nothing is aligned to more than
//! eight bytes.
//!
//! *Stage B*, before anything is assigned:
//! - B.4: a struct or union of more than 16 bytes that is no HFA is copied by the caller, and the copy's address passed in its place;
//! - B.5: the size of a struct or union is rounded up to a multiple of 8 bytes.
//!
//! *Stage C*, for each argument:
//! - C.1: `float` and `double` take the next of `v0` to `v7`;
//! - C.2: an HFA (one to four members, counted through all nesting, of the same floating-point type) takes a vector register for each
//!   member, if there are enough;
//! - C.3: otherwise no vector register is used any more, and it goes to the stack (C.4, C.6);
//! - C.9: an integer or pointer takes the next of `x0` to `x7`;
//! - C.12: a struct or union takes as many of those as it has eightbytes, if there are enough;
//! - C.13: otherwise no general register is used any more;
//! - C.14 to C.17: and it goes to the stack, at a multiple of eight bytes.
//!
//! *Result*: in the registers in which it would be passed as the first argument; if that is memory, or its address, the caller passes the
//! address of room for it in `x8`, which takes no argument's register.

use crate::signature::{Crossing, MemberType, Record, Scalar, Signature, Value};

/// Registers for integer arguments, and as many for floating-point ones.
const REGISTERS: u8 = 8;

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// in so many general registers from this one on
    General {
        /// number of the first
        first: u8,
        /// how many
        count: u8,
    },
    /// in so many vector registers from this one on, each with one floating-point number
    Vector {
        /// number of the first
        first: u8,
        /// how many
        count: u8,
    },
    /// on the stack
    Stack {
        /// bytes from the stack pointer at the call
        offset: u32,
        /// bytes, a multiple of 8
        bytes: u32,
    },
    /// a copy whose address is in this general register
    Copy {
        /// its number
        register: u8,
    },
    /// a copy whose address is on the stack
    StackCopy {
        /// bytes from the stack pointer at the call
        offset: u32,
    },
    /// A result, written by the function to the address that the caller passes in `x8`.
    Indirect,
}

/// How a function of a signature is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// of each parameter
    pub params: Vec<Place>,
    /// of the result, if there is one
    pub result: Option<Place>,
}

/// What of it is taken (the document's NGRN, NSRN and NSAA).
#[derive(Default)]
struct Taken {
    general: u8,
    vector: u8,
    stack: u32,
}

/// Classifies a signature.
pub fn classify(signature: &Signature) -> Call {
    let mut taken = Taken::default();
    let params = signature.params.iter().map(|param| taken.place(param)).collect();
    let result = signature.result.as_ref().map(|result| match Taken::default().place(result) {
        Place::Copy { .. } => Place::Indirect,
        place => place,
    });
    Call { params, result }
}

impl Taken {
    fn place(&mut self, value: &Value) -> Place {
        match &value.crossing {
            Crossing::Scalar(Scalar::Float | Scalar::Double) => self.vectors(1, 8),
            Crossing::Struct(record) => match homogeneous(record) {
                Some((_, count)) => self.vectors(count, record.native.size.next_multiple_of(8)),
                None if record.native.size > 16 => match self.general(1, 8) {
                    Place::General { first, .. } => Place::Copy { register: first },
                    Place::Stack { offset, .. } => Place::StackCopy { offset },
                    _ => unreachable!("`general` gives nothing else"),
                },
                None => self.general(record.native.size.div_ceil(8) as u8, record.native.size.next_multiple_of(8)),
            },
            _ => self.general(1, 8),
        }
    }

    fn general(&mut self, count: u8, bytes: u32) -> Place {
        let first = self.general;
        if first + count <= REGISTERS {
            self.general += count;
            return Place::General { first, count };
        }
        self.general = REGISTERS;
        self.stack(bytes)
    }

    fn vectors(&mut self, count: u8, bytes: u32) -> Place {
        let first = self.vector;
        if first + count <= REGISTERS {
            self.vector += count;
            return Place::Vector { first, count };
        }
        self.vector = REGISTERS;
        self.stack(bytes)
    }

    fn stack(&mut self, bytes: u32) -> Place {
        let offset = self.stack;
        self.stack += bytes;
        Place::Stack { offset, bytes }
    }
}

/// The type and number of the members of a homogeneous floating-point aggregate (5.9.5.1).
pub fn homogeneous(record: &Record) -> Option<(Scalar, u8)> {
    let (scalar, count) = members(record)?;
    // Bytes beyond the members' are padding; there is none in an HFA.
    let packed = count * u32::from(scalar.native_bytes()) == record.native.size;
    (packed && count <= 4).then_some((scalar, count as u8))
}

/// The one floating-point type of all members, and how many there are: in a union, in the member that has most.
fn members(record: &Record) -> Option<(Scalar, u32)> {
    let mut found: Option<(Scalar, u32)> = None;
    for member in &record.members {
        if member.bits.is_some() {
            return None;
        }
        let (scalar, count) = of_type(&member.ty)?;
        found = Some(match found {
            None => (scalar, count),
            Some((first, _)) if first != scalar => return None,
            Some((_, before)) => (scalar, if record.union { before.max(count) } else { before + count }),
        });
    }
    found
}

fn of_type(ty: &MemberType) -> Option<(Scalar, u32)> {
    match ty {
        MemberType::Value(value) => match value.crossing {
            Crossing::Scalar(scalar @ (Scalar::Float | Scalar::Double)) => Some((scalar, 1)),
            _ => None,
        },
        MemberType::Record(record) => members(record),
        MemberType::Array(element, len) => {
            of_type(element).and_then(|(scalar, count)| Some((scalar, count.checked_mul(*len)?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &str) -> Call {
        classify(&text.parse().unwrap_or_else(|error| panic!("{error}")))
    }

    fn result(text: &str) -> Place {
        call(&format!("{text} f(void)")).result.unwrap()
    }

    #[test]
    fn homogeneous_aggregates_take_vector_registers() {
        let vectors = |count| Place::Vector { first: 0, count };
        assert_eq!(result("struct { float x; }"), vectors(1));
        assert_eq!(result("struct { double x, y, z, w; }"), vectors(4));
        assert_eq!(result("struct { struct { float x; } a[2]; float z; }"), vectors(3));
        assert_eq!(result("union { float x; float xy[2]; }"), vectors(2));
        assert_eq!(result("struct { double d[5]; }"), Place::Indirect);
        assert_eq!(result("struct { float x; double y; }"), Place::General { first: 0, count: 2 });
        assert_eq!(result("struct { float x; int n; }"), Place::General { first: 0, count: 1 });
    }

    #[test]
    fn other_structs_take_general_registers_or_a_copy() {
        assert_eq!(result("struct { char c[3]; }"), Place::General { first: 0, count: 1 });
        assert_eq!(result("struct { char c[16]; }"), Place::General { first: 0, count: 2 });
        assert_eq!(result("struct { char c[17]; }"), Place::Indirect);
        let call = call("void f(int, struct { long a[3]; }, struct { long b[2]; }, float)");
        assert_eq!(
            call.params[1..],
            [Place::Copy { register: 1 }, Place::General { first: 2, count: 2 }, Place::Vector { first: 0, count: 1 },]
        );
    }

    #[test]
    fn what_does_not_fit_goes_to_the_stack_and_nothing_after_it_to_registers() {
        let pair = "struct { long a, b; }";
        let found = call(&format!("void f(int, int, int, int, int, int, int, {pair}, int, struct {{ char c[40]; }})"));
        assert_eq!(
            found.params[7..],
            [
                Place::Stack { offset: 0, bytes: 16 },
                Place::Stack { offset: 16, bytes: 8 },
                Place::StackCopy { offset: 24 },
            ]
        );
        let hfa = "struct { float x, y, z; }";
        let found = call(&format!("void f({hfa}, {hfa}, {hfa}, float)"));
        assert_eq!(
            found.params[1..],
            [
                Place::Vector { first: 3, count: 3 },
                Place::Stack { offset: 0, bytes: 16 },
                Place::Stack { offset: 16, bytes: 8 },
            ]
        );
    }
}
