//! Element and data segments, and what follows from them.

use super::constexpr;
use super::types::{Kinds, reference};
use crate::CompileError;
use wasmbridge_artifact::RefType;
use wasmbridge_artifact::module::{
    ConstExpr, ConstOp, DataSegment, ElementItems, ElementSegment, ExternIndex, Module, SegmentMode,
};
use wasmparser::{DataKind, ElementKind};

/// An element segment.
pub(super) fn element(
    segment: wasmparser::Element<'_>,
    offset: u64,
    kinds: Kinds<'_>,
) -> Result<ElementSegment, CompileError> {
    let mode = match segment.kind {
        ElementKind::Passive => SegmentMode::Passive,
        ElementKind::Declared => SegmentMode::Declared,
        ElementKind::Active { table_index, offset_expr } => {
            SegmentMode::Active { index: table_index.unwrap_or(0), offset: constexpr::read(&offset_expr, kinds)? }
        }
    };
    let (element, items) = match segment.items {
        wasmparser::ElementItems::Functions(items) => {
            (RefType::FUNC, ElementItems::Functions(items.into_iter().collect::<Result<_, _>>()?))
        }
        wasmparser::ElementItems::Expressions(ty, items) => {
            let mut expressions = Vec::new();
            for item in items {
                expressions.push(constexpr::read(&item?, kinds)?);
            }
            (reference(ty, offset, kinds)?, shortest(expressions))
        }
    };
    Ok(ElementSegment { mode, element, items })
}

/// Expressions that are all `ref.func` are kept as the functions' indices.
fn shortest(expressions: Vec<ConstExpr>) -> ElementItems {
    let function = |e: &ConstExpr| match e.0.as_slice() {
        [ConstOp::RefFunc(function)] => Some(*function),
        _ => None,
    };
    match expressions.iter().map(function).collect() {
        Some(functions) => ElementItems::Functions(functions),
        None => ElementItems::Expressions(expressions),
    }
}

/// A data segment, whose bytes have no place yet.
pub(super) fn data(segment: &wasmparser::Data<'_>, kinds: Kinds<'_>) -> Result<DataSegment, CompileError> {
    let mode = match &segment.kind {
        DataKind::Passive => SegmentMode::Passive,
        DataKind::Active { memory_index, offset_expr } => {
            SegmentMode::Active { index: *memory_index, offset: constexpr::read(offset_expr, kinds)? }
        }
    };
    Ok(DataSegment { mode, start: 0, end: 0, in_image: false })
}

/// Gives the data segments that are not in the image their place in the artifact's data section, and returns that section.
///
/// Bytes in the image are not stored twice: such a segment is dropped at instantiation, so that nothing can ask for them.
pub(super) fn place(module: &mut Module, bytes: &[&[u8]]) -> Vec<u8> {
    let mut section = Vec::new();
    for (segment, bytes) in module.data.iter_mut().zip(bytes) {
        segment.start = section.len() as u64;
        if !segment.in_image {
            section.extend_from_slice(bytes);
        }
        segment.end = section.len() as u64;
    }
    section
}

/// The functions that can become a funcref, sorted.
///
/// The validator lets `ref.func` in a function's body name only functions that are exported or named outside of bodies
/// (Wasm 3.0, 3.4.10: `C.REFS`), so that no body needs to be looked at. The start function is among them because the host calls it.
pub(super) fn escaping(module: &Module) -> Vec<u32> {
    let mut functions: Vec<u32> = module.start.into_iter().collect();
    functions.extend(module.exports.iter().filter_map(|e| match e.item {
        ExternIndex::Func(function) => Some(function),
        _ => None,
    }));
    let named = |e: &ConstExpr| {
        e.0.clone().into_iter().filter_map(|op| if let ConstOp::RefFunc(f) = op { Some(f) } else { None })
    };
    functions.extend(module.global_inits.iter().flat_map(named));
    functions.extend(module.table_inits.iter().flatten().flat_map(named));
    for segment in &module.elements {
        match &segment.items {
            ElementItems::Functions(items) => functions.extend(items),
            ElementItems::Expressions(items) => functions.extend(items.iter().flat_map(named)),
        }
    }
    functions.sort_unstable();
    functions.dedup();
    functions
}
