//! A module's metadata: what the runtime must know to instantiate it, beside the code.
//!
//! It is stored with `postcard`, in one piece: it is small (kilobytes for a module of a megabyte), and its size grows with
//! imports, exports and segments, not with code. What there is for each function is stored so that it is read in one piece. Bytes of segments and tables by pc are stored beside it, used where they lie.

use crate::types::{Composite, FieldType, FuncType, GlobalType, MemoryType, RefType, SubType, TableType};
use serde::{Deserialize, Serialize};

/// How code was compiled, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// the target triple, such as `x86_64-unknown-linux-gnu`
    pub triple: String,
    /// CPU features that the code uses beyond the triple's baseline, by Cranelift's names (`has_avx2`)
    pub cpu_features: Vec<String>,
    /// `none`, `less`, `speed` or `speed_and_size`
    pub opt_level: String,
    /// Bytes of address space that a 32-bit memory reserves, from its base on, its guard included. Code has no bounds checks
    /// of its own if this is at least [`FULL_RESERVATION`]; with a smaller one it checks against [`Target::checked_bytes`].
    pub memory_reservation: u64,
    /// The code is of the deterministic profile (Wasm 3.0, appendix 7.3): it computes the same on every machine.
    pub deterministic: bool,
    /// What an index that is out of bounds leads to is not read speculatively either.
    pub spectre_mitigations: bool,
}

/// Reservation from which on every 32-bit index plus 32-bit offset plus access size lands inside: 8 GiB and a guard of 64 KiB.
pub const FULL_RESERVATION: u64 = (8 << 30) + RESERVATION_GUARD;
/// The last bytes of each reservation, never mapped: an access that starts below them never ends beyond. In bytes.
pub const RESERVATION_GUARD: u64 = 64 << 10;

/// The most bytes that a memory may reserve: half of what a process has of addresses on x86-64.
pub const MAX_RESERVATION: u64 = 1 << 46;

impl Target {
    /// That of a module which is only looked at.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Target {
        Target {
            triple: String::new(),
            cpu_features: vec![],
            opt_level: String::new(),
            memory_reservation: FULL_RESERVATION,
            deterministic: false,
            spectre_mitigations: true,
        }
    }

    /// Whether a memory can reserve so many bytes: more than the guard, pages of 64 KiB, and no more than [`MAX_RESERVATION`].
    pub fn is_reservation(bytes: u64) -> bool {
        (RESERVATION_GUARD + 1..=MAX_RESERVATION).contains(&bytes) && bytes.is_multiple_of(64 << 10)
    }

    /// The limit that compiled code checks `index + offset + size` against: a constant. What lies below it and is not mapped traps.
    /// `None` if the reservation makes the check needless.
    pub fn checked_bytes(&self) -> Option<u64> {
        (self.memory_reservation < FULL_RESERVATION).then(|| self.memory_reservation - RESERVATION_GUARD)
    }
}

/// A module's metadata. Index spaces are the specification's: imports first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// the module's name, from its name section
    pub name: Option<String>,
    /// how the code was compiled
    pub target: Target,
    /// Types. One that names another comes after that one or is in the same group.
    pub types: Vec<SubType>,
    /// How many types each recursion group has, in the order of `types`: the types of a group may name each other, and are the same
    /// as those of another group only all together (Wasm 3.0, 3.3.2).
    pub groups: Vec<u32>,
    /// imports, in order
    pub imports: Vec<Import>,
    /// of each function, imported ones first, its index in `types`
    #[serde(with = "crate::words")]
    pub functions: Vec<u32>,
    /// tables, imported ones first
    pub tables: Vec<TableType>,
    /// memories, imported ones first
    pub memories: Vec<MemoryType>,
    /// globals, imported ones first
    pub globals: Vec<GlobalType>,
    /// tags, imported ones first: of each its type's index in `types`
    pub tags: Vec<u32>,
    /// of each global that is not imported, its first value
    pub global_inits: Vec<ConstExpr>,
    /// of each table that is not imported, the value its elements start with (`None`: null)
    pub table_inits: Vec<Option<ConstExpr>>,
    /// exports, in order
    pub exports: Vec<Export>,
    /// the start function
    pub start: Option<u32>,
    /// element segments, in order
    pub elements: Vec<ElementSegment>,
    /// data segments, in order
    pub data: Vec<DataSegment>,
    /// The functions that can become a funcref or that the host calls, sorted, without repetition: exported ones, the start
    /// function, those in element segments and global initialisers, and those named by `ref.func`. Each has a [`VmFuncRef`](crate::vmctx::VmFuncRef) in the vmctx, in this order.
    #[serde(with = "crate::words")]
    pub escaping: Vec<u32>,
    /// The types of escaping functions that have an entry trampoline in `.text`, by index in `types`, sorted: the host
    /// calls a function through the entry of its type.
    pub entries: Vec<u32>,
    /// The global that is the guest's `__stack_pointer`, if it is known, defined here, and a mutable integer:
    /// its storage is [`VmHead::stack_pointer`](crate::vmctx::VmHead::stack_pointer), and it is put back after a trap.
    pub stack_pointer: Option<u32>,
    /// The image of memory 0: what the leading active data segments leave behind, when they could be laid out by the
    /// compiler. The runtime maps it copy-on-write.
    pub image: Option<MemoryImage>,
}

/// A name and type that an instance needs from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// the module part of the name
    pub module: String,
    /// the field part of the name
    pub name: String,
    /// what it must be
    pub kind: ImportKind,
}

/// What an import must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportKind {
    /// a function; index in [`Module::types`]
    Func(u32),
    /// a table
    Table(TableType),
    /// a memory
    Memory(MemoryType),
    /// a global
    Global(GlobalType),
    /// a tag; index in [`Module::types`]
    Tag(u32),
}

/// A named thing of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// its name
    pub name: String,
    /// what it is, with its index in the index space of its kind
    pub item: ExternIndex,
}

/// An index in one of the index spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExternIndex {
    /// a function
    Func(u32),
    /// a table
    Table(u32),
    /// a memory
    Memory(u32),
    /// a global
    Global(u32),
    /// a tag
    Tag(u32),
}

/// A constant expression: instructions of a stack machine that leave one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConstExpr(pub Vec<ConstOp>);

/// An instruction of a constant expression. Floats are kept as their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's names")]
pub enum ConstOp {
    I32Const(i32),
    I64Const(i64),
    F32Const(u32),
    F64Const(u64),
    V128Const(u128),
    GlobalGet(u32),
    RefNull(RefType),
    RefFunc(u32),
    I32Add,
    I32Sub,
    I32Mul,
    I64Add,
    I64Sub,
    I64Mul,
    /// of a type of the module: the fields are on the stack
    StructNew(u32),
    StructNewDefault(u32),
    /// of a type of the module: the elements' value and their number are on the stack
    ArrayNew(u32),
    ArrayNewDefault(u32),
    /// of a type of the module, with so many elements, which are on the stack
    ArrayNewFixed(u32, u32),
    RefI31,
    AnyConvertExtern,
    ExternConvertAny,
}

/// Where a segment goes when the module is instantiated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SegmentMode {
    /// copied into a table or memory, then dropped
    Active {
        /// index of the table or memory
        index: u32,
        /// first element or byte
        offset: ConstExpr,
    },
    /// kept for `table.init` or `memory.init`
    Passive,
    /// only declares functions for `ref.func`; dropped
    Declared,
}

/// An element segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElementSegment {
    /// where it goes
    pub mode: SegmentMode,
    /// the type of its elements
    pub element: RefType,
    /// its elements
    pub items: ElementItems,
}

/// The elements of a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ElementItems {
    /// indices of functions
    Functions(#[serde(with = "crate::words")] Vec<u32>),
    /// constant expressions
    Expressions(Vec<ConstExpr>),
}

impl ElementItems {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            ElementItems::Functions(items) => items.len(),
            ElementItems::Expressions(items) => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A data segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSegment {
    /// where it goes
    pub mode: SegmentMode,
    /// its bytes: `[start, end)` in the artifact's data section
    pub start: u64,
    /// end of its bytes in the artifact's data section
    pub end: u64,
    /// it is part of [`Module::image`]: nothing is left to copy at instantiation
    pub in_image: bool,
}

/// The image of memory 0, in the artifact's image section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryImage {
    /// guest address of the image's first byte, a multiple of [`IMAGE_PAGE`](crate::container::IMAGE_PAGE)
    pub guest_addr: u64,
    /// length in bytes, a multiple of [`IMAGE_PAGE`](crate::container::IMAGE_PAGE)
    pub len_bytes: u64,
}

impl Module {
    /// How many functions are imported.
    pub fn imported_functions(&self) -> usize {
        self.imports.iter().filter(|i| matches!(i.kind, ImportKind::Func(_))).count()
    }

    /// How many tables are imported.
    pub fn imported_tables(&self) -> usize {
        self.imports.iter().filter(|i| matches!(i.kind, ImportKind::Table(_))).count()
    }

    /// Whether the runtime puts C functions that the app is given into a table: into table 0, if it is one of functions and can grow. The compiler takes it
    /// that what is in other tables was put there by WebAssembly.
    pub fn takes_native_functions(&self, table: u32) -> bool {
        let can = |ty: &TableType| ty.element == RefType::FUNC && ty.maximum != Some(ty.minimum);
        table == 0 && self.tables.first().is_some_and(can)
    }

    /// How many memories are imported.
    pub fn imported_memories(&self) -> usize {
        self.imports.iter().filter(|i| matches!(i.kind, ImportKind::Memory(_))).count()
    }

    /// How many globals are imported.
    pub fn imported_globals(&self) -> usize {
        self.imports.iter().filter(|i| matches!(i.kind, ImportKind::Global(_))).count()
    }

    /// How many tags are imported.
    pub fn imported_tags(&self) -> usize {
        self.imports.iter().filter(|i| matches!(i.kind, ImportKind::Tag(_))).count()
    }

    /// The type of a function of this module's index space.
    pub fn function_type(&self, function: u32) -> &FuncType {
        self.func_type(self.functions[function as usize])
    }

    /// A type that is a function's, or a tag's.
    pub fn func_type(&self, ty: u32) -> &FuncType {
        self.types[ty as usize].as_func().expect("checked where the module was read")
    }

    /// The fields of a type that is a struct's.
    pub fn struct_type(&self, ty: u32) -> &[FieldType] {
        match &self.types[ty as usize].composite {
            Composite::Struct(fields) => fields,
            other => unreachable!("checked where the module was read: {other:?}"),
        }
    }

    /// The elements of a type that is an array's.
    pub fn array_type(&self, ty: u32) -> FieldType {
        match self.types[ty as usize].composite {
            Composite::Array(element) => element,
            ref other => unreachable!("checked where the module was read: {other:?}"),
        }
    }

    /// Whether it has types of the collected heap.
    pub fn has_collected_types(&self) -> bool {
        self.types.iter().any(|ty| ty.as_func().is_none())
    }

    /// Whether one type is the other, or declared a subtype of it, by their indices. Types with other indices may be the same; this one does not see it.
    pub fn is_declared_subtype(&self, sub: u32, sup: u32) -> bool {
        std::iter::successors(Some(sub), |&ty| self.types[ty as usize].supertype).any(|ty| ty == sup)
    }

    /// The export of this name.
    pub fn export(&self, name: &str) -> Option<ExternIndex> {
        self.exports.iter().find(|e| e.name == name).map(|e| e.item)
    }
}
