//! The types of WebAssembly values, functions, tables, memories and globals.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a defined type describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TypeKind {
    /// functions
    Func,
    /// structs of the collected heap
    Struct,
    /// arrays of the collected heap
    Array,
}

/// What a reference may refer to (Wasm 3.0, 2.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's names")]
pub enum HeapType {
    /// any function, by the address of its [`VmFuncRef`](crate::vmctx::VmFuncRef)
    Func,
    NoFunc,
    /// a pointer-sized value of the host's, opaque to the guest, or an internal reference that was made external
    Extern,
    NoExtern,
    /// an object of the collected heap, an `i31`, or a value of the host's that was made internal
    Any,
    Eq,
    I31,
    Struct,
    Array,
    None,
    /// an exception
    Exn,
    NoExn,
    /// A defined type. The number is an index in the module's types; in a type of which
    /// [`SubType::map_types`] has made an engine's, it is the engine's.
    Type(TypeKind, u32),
}

/// The four families of references: a value of one is never a value of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named by their top types")]
pub enum Hierarchy {
    Func,
    Extern,
    Any,
    Exn,
}

impl HeapType {
    /// The family.
    pub const fn hierarchy(self) -> Hierarchy {
        match self {
            HeapType::Func | HeapType::NoFunc | HeapType::Type(TypeKind::Func, _) => Hierarchy::Func,
            HeapType::Extern | HeapType::NoExtern => Hierarchy::Extern,
            HeapType::Exn | HeapType::NoExn => Hierarchy::Exn,
            HeapType::Any
            | HeapType::Eq
            | HeapType::I31
            | HeapType::Struct
            | HeapType::Array
            | HeapType::None
            | HeapType::Type(TypeKind::Struct | TypeKind::Array, _) => Hierarchy::Any,
        }
    }

    /// Whether it is the least type of its family, which only null has.
    pub const fn is_bottom(self) -> bool {
        matches!(self, HeapType::NoFunc | HeapType::NoExtern | HeapType::None | HeapType::NoExn)
    }

    /// Whether each value of it is one of `other` (Wasm 3.0, 3.3.3); `declared` says it of two defined types in the same index space.
    pub fn is_subtype_of(self, other: HeapType, declared: impl Fn(u32, u32) -> bool) -> bool {
        use HeapType::{Any, Array, Eq, Exn, Extern, Func, I31, Struct, Type};
        if self == other {
            return true;
        }
        match (self, other) {
            (Type(_, sub), Type(_, sup)) => declared(sub, sup),
            (Type(TypeKind::Func, _), Func) => true,
            (Type(TypeKind::Struct, _), Struct | Eq | Any) | (Type(TypeKind::Array, _), Array | Eq | Any) => true,
            (I31 | Struct | Array, Eq | Any) | (Eq, Any) => true,
            (sub, Func | Extern | Any | Exn | Eq | I31 | Struct | Array | Type(..)) => {
                sub.is_bottom() && sub.hierarchy() == other.hierarchy()
            }
            _ => false,
        }
    }

    /// The type with its type index, if it has one, replaced.
    #[must_use]
    pub fn map_type(self, map: impl Fn(u32) -> u32) -> HeapType {
        match self {
            HeapType::Type(kind, index) => HeapType::Type(kind, map(index)),
            other => other,
        }
    }

    /// The type index in it, if it has one.
    pub const fn type_index(self) -> Option<u32> {
        match self {
            HeapType::Type(_, index) => Some(index),
            _ => None,
        }
    }
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
    /// `anyref`
    pub const ANY: RefType = RefType { nullable: true, heap: HeapType::Any };
    /// `exnref`
    pub const EXN: RefType = RefType { nullable: true, heap: HeapType::Exn };

    /// Whether it refers to functions.
    pub const fn is_function(self) -> bool {
        matches!(self.heap.hierarchy(), Hierarchy::Func)
    }

    /// Whether a value of it may lead to an object of the collected heap.
    pub const fn is_collected(self) -> bool {
        !self.is_function()
    }

    /// Whether each value of it is one of `other` (Wasm 3.0, 3.3.4); `declared` says it of two defined types in the same index space.
    pub fn is_subtype_of(self, other: RefType, declared: impl Fn(u32, u32) -> bool) -> bool {
        (other.nullable || !self.nullable) && self.heap.is_subtype_of(other.heap, declared)
    }

    /// The type with its type index replaced.
    #[must_use]
    pub fn map_type(self, map: impl Fn(u32) -> u32) -> RefType {
        RefType { heap: self.heap.map_type(map), ..self }
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
    /// Whether each value of it is one of `other`; `declared` says it of two defined types in the same index space.
    pub fn is_subtype_of(self, other: ValType, declared: impl Fn(u32, u32) -> bool) -> bool {
        match (self, other) {
            (ValType::Ref(sub), ValType::Ref(sup)) => sub.is_subtype_of(sup, declared),
            (sub, sup) => sub == sup,
        }
    }

    /// Whether a value of it may lead to an object of the collected heap.
    pub const fn is_collected(self) -> bool {
        matches!(self, ValType::Ref(ty) if ty.is_collected())
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
            ValType::Ref(ty) => ty.heap.type_index(),
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

/// What a field of a struct or an element of an array holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Storage {
    /// 8 bits of an `i32`
    I8,
    /// 16 bits of an `i32`
    I16,
    /// a value
    Value(ValType),
}

/// A field of a struct, or the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FieldType {
    /// what it holds
    pub storage: Storage,
    /// may be written
    pub mutable: bool,
}

impl FieldType {
    /// The type of the value that is read from it and written to it.
    pub const fn value(self) -> ValType {
        match self.storage {
            Storage::I8 | Storage::I16 => ValType::I32,
            Storage::Value(ty) => ty,
        }
    }

    fn map_types(self, map: impl Fn(u32) -> u32) -> FieldType {
        let storage = match self.storage {
            Storage::Value(ty) => Storage::Value(ty.map_type(map)),
            packed => packed,
        };
        FieldType { storage, ..self }
    }
}

/// What a defined type describes, with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Composite {
    /// a function
    Func(FuncType),
    /// a struct's fields
    Struct(Vec<FieldType>),
    /// an array's elements
    Array(FieldType),
}

/// A defined type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubType {
    /// nothing may be declared a subtype of it
    pub is_final: bool,
    /// what it is declared a subtype of
    pub supertype: Option<u32>,
    /// what it describes
    pub composite: Composite,
}

impl SubType {
    /// A function type as it is written without a word about subtypes.
    pub fn func(ty: FuncType) -> SubType {
        SubType { is_final: true, supertype: None, composite: Composite::Func(ty) }
    }

    /// What it describes.
    pub const fn kind(&self) -> TypeKind {
        match self.composite {
            Composite::Func(_) => TypeKind::Func,
            Composite::Struct(_) => TypeKind::Struct,
            Composite::Array(_) => TypeKind::Array,
        }
    }

    /// The function type, if it is one.
    pub const fn as_func(&self) -> Option<&FuncType> {
        match &self.composite {
            Composite::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// The type with its type indices replaced.
    #[must_use]
    pub fn map_types(&self, map: impl Fn(u32) -> u32) -> SubType {
        let composite = match &self.composite {
            Composite::Func(ty) => Composite::Func(ty.map_types(&map)),
            Composite::Struct(fields) => Composite::Struct(fields.iter().map(|f| f.map_types(&map)).collect()),
            Composite::Array(element) => Composite::Array(element.map_types(&map)),
        };
        SubType { is_final: self.is_final, supertype: self.supertype.map(map), composite }
    }

    /// The types of the values in it.
    pub fn value_types(&self) -> Vec<ValType> {
        match &self.composite {
            Composite::Func(ty) => ty.params.iter().chain(&ty.results).copied().collect(),
            Composite::Struct(fields) => fields.iter().map(|field| field.value()).collect(),
            Composite::Array(element) => vec![element.value()],
        }
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
        let name = match self.heap {
            HeapType::Func => "func",
            HeapType::NoFunc => "nofunc",
            HeapType::Extern => "extern",
            HeapType::NoExtern => "noextern",
            HeapType::Any => "any",
            HeapType::Eq => "eq",
            HeapType::I31 => "i31",
            HeapType::Struct => "struct",
            HeapType::Array => "array",
            HeapType::None => "none",
            HeapType::Exn => "exn",
            HeapType::NoExn => "noexn",
            HeapType::Type(_, index) if self.nullable => return write!(f, "(ref null {index})"),
            HeapType::Type(_, index) => return write!(f, "(ref {index})"),
        };
        match (self.nullable, self.heap.is_bottom()) {
            (false, _) => write!(f, "(ref {name})"),
            (true, false) => write!(f, "{name}ref"),
            // `nullref`, `nullfuncref` and so on.
            (true, true) => write!(f, "null{}ref", name.trim_start_matches("no").trim_start_matches("ne")),
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

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.mutable { "mut " } else { "" })?;
        match self.storage {
            Storage::I8 => f.write_str("i8"),
            Storage::I16 => f.write_str("i16"),
            Storage::Value(ty) => ty.fmt(f),
        }
    }
}

impl fmt::Display for SubType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.composite {
            Composite::Func(ty) => ty.fmt(f),
            Composite::Struct(fields) => {
                f.write_str("struct ")?;
                list(f, fields)
            }
            Composite::Array(element) => write!(f, "array ({element})"),
        }
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

fn list(f: &mut fmt::Formatter<'_>, types: &[impl fmt::Display]) -> fmt::Result {
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
        let typed = RefType { nullable: false, heap: HeapType::Type(TypeKind::Func, 3) };
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
    fn reference_types_read_as_in_the_text_format() {
        let shown = |nullable, heap| RefType { nullable, heap }.to_string();
        assert_eq!(shown(true, HeapType::None), "nullref");
        assert_eq!(shown(true, HeapType::NoFunc), "nullfuncref");
        assert_eq!(shown(true, HeapType::NoExtern), "nullexternref");
        assert_eq!(shown(true, HeapType::NoExn), "nullexnref");
        assert_eq!(shown(false, HeapType::NoExn), "(ref noexn)");
        assert_eq!(shown(true, HeapType::I31), "i31ref");
        let fields = [Storage::I8, Storage::Value(ValType::F64)];
        let fields = fields.map(|storage| FieldType { storage, mutable: storage == Storage::I8 });
        let ty = SubType { is_final: true, supertype: None, composite: Composite::Struct(fields.to_vec()) };
        assert_eq!(ty.to_string(), "struct (mut i8, f64)");
    }

    #[test]
    fn subtypes_are_what_the_specification_says() {
        use HeapType::*;
        let (f1, f2) = (Type(TypeKind::Func, 1), Type(TypeKind::Func, 2));
        let (s3, a4) = (Type(TypeKind::Struct, 3), Type(TypeKind::Array, 4));
        let chains: [&[HeapType]; 6] = [
            &[NoFunc, f1, Func],
            &[None, s3, Struct, Eq, Any],
            &[None, a4, Array, Eq, Any],
            &[None, I31, Eq, Any],
            &[NoExtern, Extern],
            &[NoExn, Exn],
        ];
        for chain in chains {
            for (i, sub) in chain.iter().enumerate() {
                for (j, sup) in chain.iter().enumerate() {
                    assert_eq!(sub.is_subtype_of(*sup, |_, _| false), i <= j, "{sub:?} <= {sup:?}");
                }
            }
        }
        for (sub, sup) in
            [(f1, f2), (s3, Array), (I31, Struct), (None, Func), (None, Extern), (Exn, Any), (Struct, I31)]
        {
            assert!(!sub.is_subtype_of(sup, |_, _| false), "{sub:?} <= {sup:?}");
        }
        assert!(f1.is_subtype_of(f2, |sub, sup| (sub, sup) == (1, 2)), "declared");
        let reference = |nullable| RefType { nullable, heap: f1 };
        assert!(reference(false).is_subtype_of(RefType::FUNC, |_, _| false));
        assert!(!reference(true).is_subtype_of(reference(false), |_, _| false), "null is not one of its values");
        assert!(!ValType::I32.is_subtype_of(ValType::I64, |_, _| false));
    }
}
