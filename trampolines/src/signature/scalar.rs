//! Numbers: what C calls them, how wide they are on either side, and the wasm type that carries them.

use std::fmt;
use wasmbridge_artifact::ValType;

/// An arithmetic type. Two spellings of one type, and two types that cross alike, are one value: `signed char` is `char`,
/// an enum is `int`, `uint64_t` is `unsigned long long`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// `_Bool`: one byte, 0 or 1
    Bool,
    /// any other integer
    Int(Int),
    /// `float`
    Float,
    /// `double`
    Double,
}

/// An integer type other than `_Bool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Int {
    /// bytes in the host's C: 1, 2, 4 or 8
    pub native_bytes: u8,
    /// Bytes in the guest's C. Less than `native_bytes` for `long` and its kin: a wasm32 app is ILP32, the host is LP64.
    pub guest_bytes: u8,
    /// Whether it has a sign. `char` has one, on x86-64 (psABI, 3.1.2) as in wasm.
    pub signed: bool,
}

impl Int {
    const fn new(native_bytes: u8, guest_bytes: u8, signed: bool) -> Int {
        Int { native_bytes, guest_bytes, signed }
    }

    /// Whether a native value may not fit the guest's type, so that coming in it is checked.
    pub const fn narrows(self) -> bool {
        self.guest_bytes < self.native_bytes
    }
}

impl Scalar {
    /// `char`, `signed char`
    pub const CHAR: Scalar = Scalar::Int(Int::new(1, 1, true));
    /// `unsigned char`
    pub const UCHAR: Scalar = Scalar::Int(Int::new(1, 1, false));
    /// `short`
    pub const SHORT: Scalar = Scalar::Int(Int::new(2, 2, true));
    /// `unsigned short`
    pub const USHORT: Scalar = Scalar::Int(Int::new(2, 2, false));
    /// `int`, enums
    pub const INT: Scalar = Scalar::Int(Int::new(4, 4, true));
    /// `unsigned int`
    pub const UINT: Scalar = Scalar::Int(Int::new(4, 4, false));
    /// `long`, `ssize_t`, `ptrdiff_t`, `intptr_t`
    pub const LONG: Scalar = Scalar::Int(Int::new(8, 4, true));
    /// `unsigned long`, `size_t`, `uintptr_t`
    pub const ULONG: Scalar = Scalar::Int(Int::new(8, 4, false));
    /// `long long`, `int64_t`
    pub const LONG_LONG: Scalar = Scalar::Int(Int::new(8, 8, true));
    /// `unsigned long long`, `uint64_t`
    pub const ULONG_LONG: Scalar = Scalar::Int(Int::new(8, 8, false));

    /// `sizeof` in the host's C, in bytes.
    pub const fn native_bytes(self) -> u8 {
        match self {
            Scalar::Bool => 1,
            Scalar::Int(int) => int.native_bytes,
            Scalar::Float => 4,
            Scalar::Double => 8,
        }
    }

    /// `sizeof` in the guest's C, in bytes.
    pub const fn guest_bytes(self) -> u8 {
        match self {
            Scalar::Int(int) => int.guest_bytes,
            other => other.native_bytes(),
        }
    }

    /// The wasm type of a parameter or result of this type: the wasm C ABI passes every integer of up to four bytes as `i32`.
    pub const fn wasm_type(self) -> ValType {
        match self {
            Scalar::Float => ValType::F32,
            Scalar::Double => ValType::F64,
            Scalar::Bool => ValType::I32,
            Scalar::Int(int) if int.guest_bytes == 8 => ValType::I64,
            Scalar::Int(_) => ValType::I32,
        }
    }

    /// Whether it is an integer or `_Bool`.
    pub const fn is_integer(self) -> bool {
        matches!(self, Scalar::Bool | Scalar::Int(_))
    }
}

impl fmt::Display for Scalar {
    /// Its shortest C spelling.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Scalar::Bool => "_Bool",
            Scalar::Float => "float",
            Scalar::Double => "double",
            Scalar::CHAR => "char",
            Scalar::UCHAR => "unsigned char",
            Scalar::SHORT => "short",
            Scalar::USHORT => "unsigned short",
            Scalar::INT => "int",
            Scalar::UINT => "unsigned int",
            Scalar::LONG => "long",
            Scalar::ULONG => "unsigned long",
            Scalar::ULONG_LONG => "unsigned long long",
            Scalar::Int(_) => "long long",
        })
    }
}
