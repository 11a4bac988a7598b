//! The types of WebAssembly values, functions, tables, memories and globals.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a reference may refer to. The GC proposal's types will be added here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HeapType {
    /// `func`: any function, by the address of its [`VmFuncRef`](crate::vmctx::VmFuncRef).
    Func,
    /// `extern`: a pointer-sized value of the host's, opaque to the guest.
    Extern,
    /// A function of this type, by the same address. The number is an index in the module's types; in a type of which
    /// [`FuncType::map_types`] has made an engine's, it is the engine's.
    Type(u32),
}

/// A reference type: what it may refer to, and whether it may be null. Null is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefType {
    /// null is one of its values
    pub nullable: bool,
    /// what it may refer to
    pub heap: HeapType,
}

impl RefType {
    /// `funcref`
    pub const FUNC: RefType = RefType { nullable: true, heap: HeapType::Func };
    /// `externref`
    pub const EXTERN: RefType = RefType { nullable: true, heap: HeapType::Extern };

    /// Whether it refers to functions.
    pub const fn is_function(self) -> bool {
        matches!(self.heap, HeapType::Func | HeapType::Type(_))
    }

    /// Whether each value of it is one of `other`, whose type indices are in the same index space (Wasm 3.0, 3.3.3 and 3.3.4).
    pub fn is_subtype_of(self, other: RefType) -> bool {
        let heap = self.heap == other.heap || (other.heap == HeapType::Func && self.is_function());
        heap && (other.nullable || !self.nullable)
    }

    /// The type with its type index replaced.
    #[must_use]
    pub fn map_type(self, map: impl Fn(u32) -> u32) -> RefType {
        match self.heap {
            HeapType::Type(index) => RefType { heap: HeapType::Type(map(index)), ..self },
            HeapType::Func | HeapType::Extern => self,
        }
    }
}

/// A value type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ValType {
    /// 32-bit integer
    I32,
    /// 64-bit integer
    I64,
    /// 32-bit float
    F32,
    /// 64-bit float
    F64,
    /// 128-bit vector
    V128,
    /// reference
    Ref(RefType),
}

impl ValType {
    /// Whether each value of it is one of `other`, whose type indices are in the same index space.
    pub fn is_subtype_of(self, other: ValType) -> bool {
        match (self, other) {
            (ValType::Ref(sub), ValType::Ref(sup)) => sub.is_subtype_of(sup),
            (sub, sup) => sub == sup,
        }
    }

    /// The type with its type index, if it has one, replaced.
    #[must_use]
    pub fn map_type(self, map: impl Fn(u32) -> u32) -> ValType {
        match self {
            ValType::Ref(ty) => ValType::Ref(ty.map_type(map)),
            number => number,
        }
    }

    /// The type index in it, if it has one.
    pub fn type_index(self) -> Option<u32> {
        match self {
            ValType::Ref(RefType { heap: HeapType::Type(index), .. }) => Some(index),
            _ => None,
        }
    }
}

/// A function type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct FuncType {
    /// parameter types
    pub params: Vec<ValType>,
    /// result types
    pub results: Vec<ValType>,
}

impl FuncType {
    /// The type with its type indices replaced.
    #[must_use]
    pub fn map_types(&self, map: impl Fn(u32) -> u32) -> FuncType {
        let list = |types: &[ValType]| types.iter().map(|ty| ty.map_type(&map)).collect();
        FuncType { params: list(&self.params), results: list(&self.results) }
    }

    /// The type indices in it.
    pub fn type_indices(&self) -> impl Iterator<Item = u32> {
        self.params.iter().chain(&self.results).filter_map(|ty| ty.type_index())
    }
}

/// A memory type; sizes are in pages of `1 << page_size_log2` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoryType {
    /// pages at instantiation
    pub minimum: u64,
    /// the most pages it may grow to, if stated
    pub maximum: Option<u64>,
    /// 64-bit addresses
    pub memory64: bool,
    /// may be shared between threads
    pub shared: bool,
    /// 16, unless custom page sizes are used
    pub page_size_log2: u8,
}

/// A table type; sizes are in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableType {
    /// what it holds
    pub element: RefType,
    /// elements at instantiation
    pub minimum: u64,
    /// the most elements it may grow to, if stated
    pub maximum: Option<u64>,
    /// 64-bit indices
    pub table64: bool,
}

/// A global's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GlobalType {
    /// what it holds
    pub content: ValType,
    /// may be written
    pub mutable: bool,
}

impl fmt::Display for RefType {
    /// As in the text format: `funcref`, `(ref null 3)`, `(ref extern)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let null = if self.nullable { "null " } else { "" };
        match self.heap {
            HeapType::Func if self.nullable => f.write_str("funcref"),
            HeapType::Extern if self.nullable => f.write_str("externref"),
            HeapType::Func => f.write_str("(ref func)"),
            HeapType::Extern => f.write_str("(ref extern)"),
            HeapType::Type(index) => write!(f, "(ref {null}{index})"),
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::V128 => "v128",
            ValType::Ref(ty) => return ty.fmt(f),
        })
    }
}

impl fmt::Display for FuncType {
    /// `(i32, i64) -> f32`; no result is `()`, several are in parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.params)?;
        f.write_str(" -> ")?;
        match self.results.as_slice() {
            [one] => write!(f, "{one}"),
            many => list(f, many),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, types: &[ValType]) -> fmt::Result {
    f.write_str("(")?;
    for (i, ty) in types.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{ty}")?;
    }
    f.write_str(")")
}

fn limits(f: &mut fmt::Formatter<'_>, minimum: u64, maximum: Option<u64>) -> fmt::Result {
    match maximum {
        Some(maximum) => write!(f, "{minimum}..={maximum}"),
        None => write!(f, "{minimum}.."),
    }
}

/// A page of linear memory has `1 << 16` bytes, unless its type says otherwise.
const STANDARD_PAGE_LOG2: u8 = 16;

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.shared { "shared memory " } else { "memory " })?;
        f.write_str(if self.memory64 { "i64 " } else { "" })?;
        limits(f, self.minimum, self.maximum)?;
        match self.page_size_log2 {
            STANDARD_PAGE_LOG2 => f.write_str(" pages"),
            0 => f.write_str(" pages of 1 byte"),
            log2 => write!(f, " pages of {} bytes", 1u64 << log2),
        }
    }
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.table64 { "table i64 " } else { "table " })?;
        limits(f, self.minimum, self.maximum)?;
        write!(f, " {}", self.element)
    }
}

impl fmt::Display for GlobalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "global {}{}", if self.mutable { "mut " } else { "" }, self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_types_read_as_people_write_them() {
        let ty = |params: &[ValType], results: &[ValType]| {
            FuncType { params: params.to_vec(), results: results.to_vec() }.to_string()
        };
        assert_eq!(ty(&[], &[]), "() -> ()");
        assert_eq!(ty(&[ValType::I32, ValType::F64], &[ValType::I64]), "(i32, f64) -> i64");
        assert_eq!(ty(&[], &[ValType::I32, ValType::Ref(RefType::FUNC)]), "() -> (i32, funcref)");
        let typed = RefType { nullable: false, heap: HeapType::Type(3) };
        let nullable = RefType { nullable: true, ..typed };
        assert_eq!(ty(&[ValType::Ref(typed)], &[ValType::Ref(nullable)]), "((ref 3)) -> (ref null 3)");
    }

    #[test]
    fn memory_types_say_the_size_of_their_pages() {
        let ty = MemoryType {
            minimum: 1,
            maximum: Some(7),
            memory64: false,
            shared: false,
            page_size_log2: STANDARD_PAGE_LOG2,
        };
        assert_eq!(ty.to_string(), "memory 1..=7 pages");
        assert_eq!(MemoryType { page_size_log2: 0, ..ty }.to_string(), "memory 1..=7 pages of 1 byte");
    }

    #[test]
    fn subtypes_are_what_the_specification_says() {
        let reference = |nullable, heap| RefType { nullable, heap };
        let (func, exact) = (HeapType::Func, HeapType::Type(1));
        for nullable in [false, true] {
            assert!(reference(nullable, exact).is_subtype_of(reference(nullable, func)));
            assert!(!reference(nullable, func).is_subtype_of(reference(nullable, exact)));
            assert!(!reference(nullable, exact).is_subtype_of(reference(nullable, HeapType::Type(2))));
            assert!(!reference(nullable, exact).is_subtype_of(reference(true, HeapType::Extern)));
        }
        assert!(reference(false, exact).is_subtype_of(RefType::FUNC));
        assert!(!RefType::FUNC.is_subtype_of(reference(false, func)), "null is not one of its values");
        assert!(!ValType::I32.is_subtype_of(ValType::I64));
    }
}
