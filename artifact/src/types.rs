//! The types of WebAssembly values, functions, tables, memories and globals.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A reference type. The GC proposal's types will be added here as further heap types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RefType {
    /// `funcref`: null or a pointer to a [`VmFuncRef`](crate::vmctx::VmFuncRef).
    Func,
    /// `externref`: null or a pointer-sized value of the host's, opaque to the guest.
    Extern,
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

/// A function type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct FuncType {
    /// parameter types
    pub params: Vec<ValType>,
    /// result types
    pub results: Vec<ValType>,
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

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::V128 => "v128",
            ValType::Ref(RefType::Func) => "funcref",
            ValType::Ref(RefType::Extern) => "externref",
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

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.shared { "shared memory " } else { "memory " })?;
        f.write_str(if self.memory64 { "i64 " } else { "" })?;
        limits(f, self.minimum, self.maximum)?;
        f.write_str(" pages")
    }
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.table64 { "table i64 " } else { "table " })?;
        limits(f, self.minimum, self.maximum)?;
        write!(f, " {}", ValType::Ref(self.element))
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
        assert_eq!(ty(&[], &[ValType::I32, ValType::Ref(RefType::Func)]), "() -> (i32, funcref)");
    }
}
