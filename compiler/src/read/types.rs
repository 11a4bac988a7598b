//! The validator's types, as the artifact's.

use crate::CompileError;
use wasmbridge_artifact::{FuncType, GlobalType, HeapType, MemoryType, RefType, TableType, ValType};
use wasmparser::{CompositeInnerType, SubType, UnpackedIndex};

/// An error for something that is valid and not supported.
pub(super) fn unsupported(what: String, offset: u64) -> CompileError {
    CompileError::Unsupported { what, offset }
}

/// A type of the type section, which must be a function type.
pub(super) fn sub_type(ty: &SubType, offset: u64) -> Result<FuncType, CompileError> {
    match &ty.composite_type.inner {
        CompositeInnerType::Func(ty) => func(ty, offset),
        _ => Err(unsupported(format!("the type {ty}"), offset)),
    }
}

fn func(ty: &wasmparser::FuncType, offset: u64) -> Result<FuncType, CompileError> {
    let list = |types: &[wasmparser::ValType]| types.iter().map(|&t| value(t, offset)).collect::<Result<_, _>>();
    Ok(FuncType { params: list(ty.params())?, results: list(ty.results())? })
}

/// A value type.
pub(crate) fn value(ty: wasmparser::ValType, offset: u64) -> Result<ValType, CompileError> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ValType::Ref(reference(ty, offset)?),
    })
}

/// A reference type.
pub(super) fn reference(ty: wasmparser::RefType, offset: u64) -> Result<RefType, CompileError> {
    Ok(RefType { nullable: ty.is_nullable(), heap: heap(ty.heap_type(), offset)? })
}

/// A heap type.
pub(super) fn heap(ty: wasmparser::HeapType, offset: u64) -> Result<HeapType, CompileError> {
    match ty {
        wasmparser::HeapType::FUNC => Ok(HeapType::Func),
        wasmparser::HeapType::EXTERN => Ok(HeapType::Extern),
        wasmparser::HeapType::Concrete(UnpackedIndex::Module(index)) => Ok(HeapType::Type(index)),
        other => Err(unsupported(format!("references to the heap type {other:?}"), offset)),
    }
}

/// A table type.
pub(super) fn table(ty: &wasmparser::TableType, offset: u64) -> Result<TableType, CompileError> {
    Ok(TableType {
        element: reference(ty.element_type, offset)?,
        minimum: ty.initial,
        maximum: ty.maximum,
        table64: ty.table64,
    })
}

/// A memory type.
pub(super) fn memory(ty: &wasmparser::MemoryType) -> MemoryType {
    MemoryType {
        minimum: ty.initial,
        maximum: ty.maximum,
        memory64: ty.memory64,
        shared: ty.shared,
        page_size_log2: ty.page_size_log2() as u8,
    }
}

/// A global's type.
pub(super) fn global(ty: &wasmparser::GlobalType, offset: u64) -> Result<GlobalType, CompileError> {
    Ok(GlobalType { content: value(ty.content_type, offset)?, mutable: ty.mutable })
}
