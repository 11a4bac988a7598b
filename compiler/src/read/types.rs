//! The validator's types, as the artifact's.

use crate::CompileError;
use wasmbridge_artifact::{
    Composite, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType, Storage, SubType, TableType, TypeKind,
    ValType,
};
use wasmparser::{AbstractHeapType, CompositeInnerType, RecGroup, StorageType, UnpackedIndex};

/// What is known of the types that may be named: of each, by its index, what it describes.
pub(crate) type Kinds<'k> = &'k [TypeKind];

/// An error for something that is valid and not supported.
pub(super) fn unsupported(what: String, offset: u64) -> CompileError {
    CompileError::Unsupported { what, offset }
}

/// What the types of a group describe: they may name each other before they are read.
pub(super) fn kinds(group: &RecGroup, offset: u64) -> Result<Vec<TypeKind>, CompileError> {
    let kind = |ty: &wasmparser::SubType| match &ty.composite_type.inner {
        CompositeInnerType::Func(_) => Ok(TypeKind::Func),
        CompositeInnerType::Struct(_) => Ok(TypeKind::Struct),
        CompositeInnerType::Array(_) => Ok(TypeKind::Array),
        CompositeInnerType::Cont(_) => Err(unsupported(format!("the type {ty}"), offset)),
    };
    group.types().map(kind).collect()
}

/// A type of the type section.
pub(super) fn sub_type(ty: &wasmparser::SubType, offset: u64, kinds: Kinds<'_>) -> Result<SubType, CompileError> {
    let composite = match &ty.composite_type.inner {
        CompositeInnerType::Func(ty) => Composite::Func(func(ty, offset, kinds)?),
        CompositeInnerType::Struct(ty) => {
            Composite::Struct(ty.fields.iter().map(|f| field(f, offset, kinds)).collect::<Result<_, _>>()?)
        }
        CompositeInnerType::Array(ty) => Composite::Array(field(&ty.0, offset, kinds)?),
        CompositeInnerType::Cont(_) => return Err(unsupported(format!("the type {ty}"), offset)),
    };
    let supertype = ty.supertype_idxs.first().and_then(|index| index.as_module_index());
    Ok(SubType { is_final: ty.is_final, supertype, composite })
}

fn func(ty: &wasmparser::FuncType, offset: u64, kinds: Kinds<'_>) -> Result<FuncType, CompileError> {
    let list = |types: &[wasmparser::ValType]| types.iter().map(|&t| value(t, offset, kinds)).collect::<Result<_, _>>();
    Ok(FuncType { params: list(ty.params())?, results: list(ty.results())? })
}

fn field(ty: &wasmparser::FieldType, offset: u64, kinds: Kinds<'_>) -> Result<FieldType, CompileError> {
    let storage = match ty.element_type {
        StorageType::I8 => Storage::I8,
        StorageType::I16 => Storage::I16,
        StorageType::Val(ty) => Storage::Value(value(ty, offset, kinds)?),
    };
    Ok(FieldType { storage, mutable: ty.mutable })
}

/// A value type.
pub(crate) fn value(ty: wasmparser::ValType, offset: u64, kinds: Kinds<'_>) -> Result<ValType, CompileError> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ValType::Ref(reference(ty, offset, kinds)?),
    })
}

/// A reference type.
pub(crate) fn reference(ty: wasmparser::RefType, offset: u64, kinds: Kinds<'_>) -> Result<RefType, CompileError> {
    Ok(RefType { nullable: ty.is_nullable(), heap: heap(ty.heap_type(), offset, kinds)? })
}

/// A heap type.
pub(crate) fn heap(ty: wasmparser::HeapType, offset: u64, kinds: Kinds<'_>) -> Result<HeapType, CompileError> {
    Ok(match ty {
        wasmparser::HeapType::Abstract { shared: false, ty } => match ty {
            AbstractHeapType::Func => HeapType::Func,
            AbstractHeapType::NoFunc => HeapType::NoFunc,
            AbstractHeapType::Extern => HeapType::Extern,
            AbstractHeapType::NoExtern => HeapType::NoExtern,
            AbstractHeapType::Any => HeapType::Any,
            AbstractHeapType::Eq => HeapType::Eq,
            AbstractHeapType::I31 => HeapType::I31,
            AbstractHeapType::Struct => HeapType::Struct,
            AbstractHeapType::Array => HeapType::Array,
            AbstractHeapType::None => HeapType::None,
            AbstractHeapType::Exn => HeapType::Exn,
            AbstractHeapType::NoExn => HeapType::NoExn,
            AbstractHeapType::Cont | AbstractHeapType::NoCont => {
                return Err(unsupported(format!("references to the heap type {ty:?}"), offset));
            }
        },
        wasmparser::HeapType::Concrete(UnpackedIndex::Module(index)) => HeapType::Type(kinds[index as usize], index),
        other => return Err(unsupported(format!("references to the heap type {other:?}"), offset)),
    })
}

/// A table type.
pub(super) fn table(ty: &wasmparser::TableType, offset: u64, kinds: Kinds<'_>) -> Result<TableType, CompileError> {
    Ok(TableType {
        element: reference(ty.element_type, offset, kinds)?,
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
pub(super) fn global(ty: &wasmparser::GlobalType, offset: u64, kinds: Kinds<'_>) -> Result<GlobalType, CompileError> {
    Ok(GlobalType { content: value(ty.content_type, offset, kinds)?, mutable: ty.mutable })
}
