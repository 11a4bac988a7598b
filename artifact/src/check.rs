//! What a module's metadata must fulfil so that instantiating it can rely on it: every index names something, of the kind that is
//! wanted, and every constant expression leaves one value of the type that is expected.
//!
//! References are told apart by their families and by whether they may be null, not by their exact types: code was compiled from a
//! module that the validator has seen, and nothing that the runtime does with a reference depends on more. What code does cannot be
//! checked here.

use crate::container::IMAGE_PAGE;
use crate::module::{
    ConstExpr, ConstOp, DataSegment, ElementItems, ElementSegment, ExternIndex, ImportKind, Module, SegmentMode, Target,
};
use crate::types::{FieldType, FuncType, HeapType, RefType, Storage, TypeKind, ValType};
use std::ops::Range;

type Check = Result<(), String>;

fn ensure(holds: bool, otherwise: &str) -> Check {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// Checks the metadata of a module; what is wrong, if anything is.
pub(crate) fn metadata(module: &Module) -> Check {
    let reservation = Target::is_reservation(module.target.memory_reservation);
    ensure(reservation, "memories cannot reserve so many bytes")?;
    types(module)?;
    // Counts come before what is counted from them.
    imports(module)?;
    let defined = |all: usize, imported: usize, inits: usize| all - imported == inits;
    ensure(
        defined(module.globals.len(), module.imported_globals(), module.global_inits.len())
            && defined(module.tables.len(), module.imported_tables(), module.table_inits.len()),
        "globals or tables and their first values are not equally many",
    )?;
    definitions(module)?;
    let check = Expressions { module, escapes: escaping(module)? };
    check.initialisers()?;
    module.elements.iter().enumerate().try_for_each(|(index, segment)| {
        check.elements(segment).map_err(|e| format!("element segment {index}: {e}"))
    })?;
    module
        .data
        .iter()
        .enumerate()
        .try_for_each(|(index, segment)| check.data(segment).map_err(|e| format!("data segment {index}: {e}")))?;
    exports(&check)?;
    image(module)
}

fn target_of(mode: &SegmentMode) -> usize {
    match mode {
        SegmentMode::Active { index, .. } => *index as usize,
        SegmentMode::Passive | SegmentMode::Declared => 0,
    }
}

/// Every type that is named is there, and of the kind that it is named as.
fn types(module: &Module) -> Check {
    let mut end = 0usize;
    for &len in &module.groups {
        let start = end;
        end = start.saturating_add(len as usize);
        let group = module.types.get(start..end).ok_or("a group has more types than there are")?;
        for (i, ty) in group.iter().enumerate() {
            if let Some(supertype) = ty.supertype {
                ensure((supertype as usize) < start + i, "a type comes before its supertype")?;
                ensure(module.types[supertype as usize].kind() == ty.kind(), "a supertype is of another kind")?;
            }
            for ty in ty.value_types() {
                ensure(
                    ty.type_index().is_none_or(|index| (index as usize) < end),
                    "a type names one of a later group",
                )?;
                ensure(is_named_right(module, ty), "a type is named as one of another kind")?;
            }
        }
    }
    ensure(end == module.types.len(), "a type is in no group")
}

/// Whether the type that a reference names is there, and of that kind.
fn is_named_right(module: &Module, ty: ValType) -> bool {
    match ty {
        ValType::Ref(RefType { heap: HeapType::Type(kind, index), .. }) => is(module, index, kind),
        _ => true,
    }
}

fn is(module: &Module, ty: u32, kind: TypeKind) -> bool {
    module.types.get(ty as usize).is_some_and(|ty| ty.kind() == kind)
}

/// Imports come first in the index spaces, with the types that they are imported with.
fn imports(module: &Module) -> Check {
    let mut functions = module.functions.iter();
    let mut tables = module.tables.iter();
    let mut memories = module.memories.iter();
    let mut globals = module.globals.iter();
    let mut tags = module.tags.iter();
    for (index, import) in module.imports.iter().enumerate() {
        let same = match &import.kind {
            ImportKind::Func(ty) => functions.next() == Some(ty),
            ImportKind::Table(ty) => tables.next() == Some(ty),
            ImportKind::Memory(ty) => memories.next() == Some(ty),
            ImportKind::Global(ty) => globals.next() == Some(ty),
            ImportKind::Tag(ty) => tags.next() == Some(ty),
        };
        if !same {
            return Err(format!("import {index} is not in its index space"));
        }
    }
    Ok(())
}

/// What is in the index spaces.
fn definitions(module: &Module) -> Check {
    let functions = module.functions.iter().chain(&module.tags).all(|&ty| is(module, ty, TypeKind::Func));
    ensure(functions, "a function or tag has a type that is not a function's")?;
    let elements = module.tables.iter().map(|table| ValType::Ref(table.element));
    let contents = module.globals.iter().map(|global| global.content);
    let named = elements.chain(contents).all(|ty| is_named_right(module, ty));
    ensure(named, "a table or global has a type that the module has not")?;
    ensure(
        module.memories.iter().all(|m| matches!(m.page_size_log2, 0 | 16)),
        "a memory has pages of an unknown size",
    )?;
    if let Some(index) = module.stack_pointer {
        let global = module.globals.get(index as usize).filter(|_| index as usize >= module.imported_globals());
        let fits = global.is_some_and(|g| g.mutable && matches!(g.content, ValType::I32 | ValType::I64));
        ensure(fits, "the stack pointer is not a mutable integer of the module's own")?;
    }
    let entries =
        module.entries.is_sorted_by(|a, b| a < b) && module.entries.iter().all(|&ty| is(module, ty, TypeKind::Func));
    ensure(entries, "the entries are not sorted function types")
}

/// Of each function, whether it escapes.
fn escaping(module: &Module) -> Result<Vec<bool>, String> {
    ensure(module.escaping.is_sorted_by(|a, b| a < b), "the escaping functions are not sorted")?;
    let mut escapes = vec![false; module.functions.len()];
    for &function in &module.escaping {
        *escapes.get_mut(function as usize).ok_or("an escaping function is none of the module's")? = true;
    }
    Ok(escapes)
}

fn exports(check: &Expressions<'_>) -> Check {
    let module = check.module;
    for export in &module.exports {
        let there = match export.item {
            ExternIndex::Func(index) => check.is_reference(index),
            ExternIndex::Table(index) => (index as usize) < module.tables.len(),
            ExternIndex::Memory(index) => (index as usize) < module.memories.len(),
            ExternIndex::Global(index) => (index as usize) < module.globals.len(),
            ExternIndex::Tag(index) => (index as usize) < module.tags.len(),
        };
        if !there {
            return Err(format!("the export `{}` is of nothing", export.name));
        }
    }
    match module.start {
        Some(start) if !check.is_reference(start) => Err("the start function is none of the module's".to_owned()),
        Some(start) if *module.function_type(start) != FuncType::default() => {
            Err("the start function has parameters or results".to_owned())
        }
        _ => Ok(()),
    }
}

/// The image lies in memory 0, which is the module's own.
fn image(module: &Module) -> Check {
    let Some(image) = &module.image else { return Ok(()) };
    let memory = module.memories.first().filter(|_| module.imported_memories() == 0);
    let bytes = memory.and_then(|memory| memory.minimum.checked_mul(1 << memory.page_size_log2));
    let fits = image.guest_addr.checked_add(image.len_bytes).is_some_and(|end| bytes.is_some_and(|bytes| end <= bytes));
    let whole = [image.guest_addr, image.len_bytes].iter().all(|n| n.is_multiple_of(IMAGE_PAGE));
    ensure(fits && whole, "the memory image does not lie in memory 0, or not on whole pages")
}

/// Checks constant expressions.
struct Expressions<'m> {
    module: &'m Module,
    escapes: Vec<bool>,
}

impl Expressions<'_> {
    /// Whether references to the function can be made.
    fn is_reference(&self, function: u32) -> bool {
        self.escapes.get(function as usize) == Some(&true)
    }

    /// First values of globals and of tables' elements.
    fn initialisers(&self) -> Check {
        let module = self.module;
        let (globals, tables) = (module.imported_globals(), module.imported_tables());
        for (index, init) in (globals..).zip(&module.global_inits) {
            let checked = self.leaves(init, module.globals[index].content, index);
            checked.map_err(|e| format!("the first value of global {index}: {e}"))?;
        }
        for (index, init) in (tables..).zip(&module.table_inits) {
            let element = module.tables[index].element;
            let checked = match init {
                Some(init) => self.leaves(init, ValType::Ref(element), module.globals.len()),
                None => ensure(element.nullable, "there is none, and null is no element"),
            };
            checked.map_err(|e| format!("the first elements of table {index}: {e}"))?;
        }
        Ok(())
    }

    fn elements(&self, segment: &ElementSegment) -> Check {
        // Functions that are named by their indices are not null, whatever the segment is called.
        let nullable = segment.element.nullable && matches!(segment.items, ElementItems::Expressions(_));
        let element = ValType::Ref(RefType { nullable, ..segment.element });
        ensure(is_named_right(self.module, element), "its type is none of the module's")?;
        match &segment.items {
            ElementItems::Functions(functions) => {
                let fits = functions.is_empty() || segment.element.is_function();
                ensure(fits, "it has functions among other references")?;
                ensure(functions.iter().all(|&f| self.is_reference(f)), "it has a function that does not escape")?;
            }
            ElementItems::Expressions(items) => {
                items.iter().try_for_each(|item| self.leaves(item, element, self.module.globals.len()))?;
            }
        }
        let table = self.module.tables.get(target_of(&segment.mode));
        if let (SegmentMode::Active { .. }, Some(table)) = (&segment.mode, table) {
            ensure(fits(element, ValType::Ref(table.element)), "it is for a table of other references")?;
        }
        self.placed(&segment.mode, table, |table| table.table64)
    }

    fn data(&self, segment: &DataSegment) -> Check {
        let memory = self.module.memories.get(target_of(&segment.mode));
        self.placed(&segment.mode, memory, |memory| memory.memory64)?;
        let first = matches!(segment.mode, SegmentMode::Active { index: 0, .. });
        ensure(!segment.in_image || first && self.module.image.is_some(), "it is in no image")
    }

    /// A segment's table or memory is there, and its place an index of that.
    fn placed<T>(&self, mode: &SegmentMode, target: Option<&T>, is_64: impl Fn(&T) -> bool) -> Check {
        let SegmentMode::Active { offset, .. } = mode else { return Ok(()) };
        let target = target.ok_or("it is for a table or memory that the module has not")?;
        let index = if is_64(target) { ValType::I64 } else { ValType::I32 };
        self.leaves(offset, index, self.module.globals.len()).map_err(|e| format!("its place: {e}"))
    }

    /// The expression leaves one value of a type. It may read the first so many globals.
    fn leaves(&self, expr: &ConstExpr, ty: ValType, globals: usize) -> Check {
        let mut stack = Vec::with_capacity(expr.0.len().min(16));
        for op in &expr.0 {
            self.step(*op, &mut stack, globals).ok_or_else(|| format!("{op:?} has not what it needs"))?;
        }
        match stack[..] {
            [found] if fits(found, ty) => Ok(()),
            _ => Err(format!("it leaves {stack:?}, not one {ty}")),
        }
    }

    /// What an instruction does to the types on the stack; `None` if they are not those that it takes.
    fn step(&self, op: ConstOp, stack: &mut Vec<ValType>, globals: usize) -> Option<()> {
        let pop = |stack: &mut Vec<ValType>, ty: ValType| stack.pop().filter(|&found| fits(found, ty)).map(drop);
        let field = |ty: u32| match &self.module.types.get(ty as usize)?.composite {
            crate::Composite::Array(element) => Some(*element),
            _ => None,
        };
        let fields = |ty: u32| match &self.module.types.get(ty as usize)?.composite {
            crate::Composite::Struct(fields) => Some(fields.as_slice()),
            _ => None,
        };
        let object = ValType::Ref(RefType { nullable: false, ..RefType::ANY });
        let left = match op {
            ConstOp::I32Const(_) => ValType::I32,
            ConstOp::I64Const(_) => ValType::I64,
            ConstOp::F32Const(_) => ValType::F32,
            ConstOp::F64Const(_) => ValType::F64,
            ConstOp::V128Const(_) => ValType::V128,
            ConstOp::GlobalGet(index) => self.module.globals[..globals].get(index as usize)?.content,
            ConstOp::RefNull(ty) => ValType::Ref(RefType { nullable: true, ..ty }),
            ConstOp::RefFunc(function) => {
                self.is_reference(function).then_some(ValType::Ref(RefType { nullable: false, ..RefType::FUNC }))?
            }
            ConstOp::I32Add | ConstOp::I32Sub | ConstOp::I32Mul => {
                pop(stack, ValType::I32)?;
                pop(stack, ValType::I32)?;
                ValType::I32
            }
            ConstOp::I64Add | ConstOp::I64Sub | ConstOp::I64Mul => {
                pop(stack, ValType::I64)?;
                pop(stack, ValType::I64)?;
                ValType::I64
            }
            ConstOp::StructNew(ty) => {
                fields(ty)?.iter().rev().try_for_each(|field| pop(stack, field.value()))?;
                object
            }
            ConstOp::StructNewDefault(ty) => fields(ty)?.iter().all(has_default).then_some(object)?,
            ConstOp::ArrayNew(ty) => {
                pop(stack, ValType::I32)?;
                pop(stack, field(ty)?.value())?;
                object
            }
            ConstOp::ArrayNewDefault(ty) => {
                pop(stack, ValType::I32)?;
                has_default(&field(ty)?).then_some(object)?
            }
            ConstOp::ArrayNewFixed(ty, len) => {
                let element = field(ty)?.value();
                (0..len).try_for_each(|_| pop(stack, element))?;
                object
            }
            ConstOp::RefI31 => {
                pop(stack, ValType::I32)?;
                object
            }
            ConstOp::AnyConvertExtern => converted(stack.pop()?, RefType::EXTERN, RefType::ANY)?,
            ConstOp::ExternConvertAny => converted(stack.pop()?, RefType::ANY, RefType::EXTERN)?,
        };
        stack.push(left);
        Some(())
    }
}

/// Whether a value of one type is stored as the other says.
fn fits(found: ValType, wanted: ValType) -> bool {
    match (found, wanted) {
        (ValType::Ref(found), ValType::Ref(wanted)) => {
            found.heap.hierarchy() == wanted.heap.hierarchy() && (wanted.nullable || !found.nullable)
        }
        (found, wanted) => found == wanted,
    }
}

/// A reference of one family as one of the other.
fn converted(found: ValType, from: RefType, to: RefType) -> Option<ValType> {
    match found {
        ValType::Ref(ty) if ty.heap.hierarchy() == from.heap.hierarchy() => {
            Some(ValType::Ref(RefType { nullable: ty.nullable, ..to }))
        }
        _ => None,
    }
}

/// Whether zeros are a value of it.
fn has_default(field: &FieldType) -> bool {
    !matches!(field.storage, Storage::Value(ValType::Ref(RefType { nullable: false, .. })))
}

/// Whether an `.eh_frame` section is what the compiler writes (LSB 5.0, 10.6.1): one CIE, whose FDEs have addresses relative to
/// themselves, then the FDEs, all of functions in `.text`, then a length of zero. It is walked by the process's unwinder, which believes it. `start` and
/// `text` are places in the file. An empty section is none.
pub(crate) fn is_unwind_table(section: &[u8], start: usize, text: &Range<usize>) -> bool {
    section.len() <= 4 || unwind_entries(section, start, text).is_some()
}

fn unwind_entries(section: &[u8], start: usize, text: &Range<usize>) -> Option<()> {
    let word = |at: usize| Some(u32::from_le_bytes(section.get(at..at + 4)?.try_into().ok()?));
    let first = 4 + word(0)? as usize;
    // Identifier 0, version 1, "zR"; then alignments and return address in a byte each, and one byte that says how addresses are written.
    let augmented = word(4)? == 0 && section.get(8..12)? == b"\x01zR\0";
    let single = section.get(12..15)?.iter().all(|byte| byte & 0x80 == 0);
    if !augmented || !single || section.get(15..17)? != [1, PCREL_SDATA4] || first < 17 {
        return None;
    }
    let mut at = first;
    loop {
        let entry = section.get(at..)?;
        if entry == [0; 4] {
            return Some(());
        }
        // The length of what follows; how far back the CIE is, from here; first address, from there; length.
        let [entry_len, back, address, len] = words(entry.first_chunk()?);
        let next = at + 4 + entry_len as usize;
        let function = (start + at + 8).checked_add_signed(address as i32 as isize)?;
        let inside = text.start <= function && function.checked_add(len as usize)? <= text.end;
        if next >= section.len() || back as usize != at + 4 || !inside || next < at + 17 {
            return None;
        }
        at = next;
    }
}

fn words(bytes: &[u8; 16]) -> [u32; 4] {
    std::array::from_fn(|i| u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]))
}

/// DW_EH_PE_pcrel | DW_EH_PE_sdata4
const PCREL_SDATA4: u8 = 0x1b;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{Export, Import, MemoryImage};
    use crate::types::{Composite, GlobalType, MemoryType, SubType, TableType};

    const I32: ValType = ValType::I32;

    fn value(op: ConstOp) -> ConstExpr {
        ConstExpr(vec![op])
    }

    /// A sound module with something of everything.
    fn module() -> Module {
        let function = FuncType { params: vec![I32], results: vec![] };
        let object = RefType { nullable: false, heap: HeapType::Type(TypeKind::Struct, 2) };
        let field = |ty, mutable| FieldType { storage: Storage::Value(ty), mutable };
        let global = |content, mutable| GlobalType { content, mutable };
        let composite = |composite| SubType { is_final: true, supertype: None, composite };
        let table = TableType { element: RefType::FUNC, minimum: 1, maximum: None, table64: false };
        Module {
            name: None,
            target: Target::for_tests(),
            types: vec![
                SubType::func(FuncType::default()),
                SubType::func(function),
                composite(Composite::Struct(vec![field(I32, true), field(ValType::Ref(RefType::ANY), false)])),
                composite(Composite::Array(field(ValType::Ref(object), false))),
            ],
            groups: vec![1, 1, 2],
            imports: vec![
                Import { module: "m".into(), name: "f".into(), kind: ImportKind::Func(1) },
                Import { module: "m".into(), name: "g".into(), kind: ImportKind::Global(global(I32, false)) },
            ],
            functions: vec![1, 0, 1],
            tables: vec![table],
            memories: vec![MemoryType {
                minimum: 1,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: 16,
            }],
            globals: vec![global(I32, false), global(I32, true), global(ValType::Ref(object), false)],
            tags: vec![1],
            global_inits: vec![
                ConstExpr(vec![ConstOp::GlobalGet(0), ConstOp::I32Const(1), ConstOp::I32Add]),
                ConstExpr(vec![ConstOp::I32Const(1), ConstOp::RefNull(RefType::ANY), ConstOp::StructNew(2)]),
            ],
            table_inits: vec![None],
            exports: vec![Export { name: "f".into(), item: ExternIndex::Func(2) }],
            start: Some(1),
            elements: vec![ElementSegment {
                mode: SegmentMode::Active { index: 0, offset: value(ConstOp::I32Const(0)) },
                element: RefType::FUNC,
                items: ElementItems::Functions(vec![1, 2]),
            }],
            data: vec![DataSegment {
                mode: SegmentMode::Active { index: 0, offset: value(ConstOp::GlobalGet(0)) },
                start: 0,
                end: 0,
                in_image: true,
            }],
            escaping: vec![1, 2],
            entries: vec![0, 1],
            stack_pointer: Some(1),
            image: Some(MemoryImage { guest_addr: 4096, len_bytes: 61440 }),
        }
    }

    #[test]
    fn a_table_without_null_takes_functions_by_their_indices() {
        let mut module = module();
        module.tables[0].element.nullable = false;
        module.table_inits[0] = Some(value(ConstOp::RefFunc(1)));
        assert_eq!(metadata(&module), Ok(()));
    }

    /// Changes a sound module, and expects to be told so.
    fn refuses(expected: &str, damage: impl Fn(&mut Module)) {
        let mut module = module();
        damage(&mut module);
        let found = metadata(&module).expect_err(expected);
        assert!(found.contains(expected), "`{found}` does not say `{expected}`");
    }

    #[test]
    fn what_is_sound_is_taken() {
        assert_eq!(metadata(&module()), Ok(()));
    }

    #[test]
    fn types_that_are_not_there_are_refused() {
        refuses("more types than there are", |m| m.groups[2] = 3);
        refuses("in no group", |m| m.groups[2] = 1);
        refuses("before its supertype", |m| m.types[1].supertype = Some(1));
        refuses("of another kind", |m| m.types[2].supertype = Some(0));
        refuses("of another kind", |m| m.types.swap(2, 3));
        refuses("one of a later group", |m| {
            let array = RefType { nullable: true, heap: HeapType::Type(TypeKind::Array, 3) };
            let field = FieldType { storage: Storage::Value(ValType::Ref(array)), mutable: true };
            m.types[2].composite = Composite::Struct(vec![field]);
            m.groups = vec![1; 4];
        });
        refuses("not a function's", |m| m.functions[1] = 2);
        refuses("not a function's", |m| m.tags[0] = 9);
        let named = RefType { nullable: true, heap: HeapType::Type(TypeKind::Struct, 3) };
        refuses("a type that the module has not", |m| m.tables[0].element = named);
        refuses("sorted function types", |m| m.entries = vec![0, 0]);
        refuses("sorted function types", |m| m.entries = vec![2]);
    }

    #[test]
    fn index_spaces_begin_with_the_imports() {
        refuses("import 0", |m| m.functions[0] = 0);
        refuses("import 1", |m| m.globals.clear());
        refuses("equally many", |m| m.global_inits.truncate(1));
        refuses("equally many", |m| m.table_inits.push(None));
    }

    #[test]
    fn indices_of_nothing_are_refused() {
        for item in [ExternIndex::Func(3), ExternIndex::Func(0), ExternIndex::Table(1), ExternIndex::Memory(1)] {
            refuses("export `f` is of nothing", |m| m.exports[0].item = item);
        }
        for item in [ExternIndex::Global(3), ExternIndex::Tag(1)] {
            refuses("export `f` is of nothing", |m| m.exports[0].item = item);
        }
        refuses("start function is none", |m| m.start = Some(0));
        refuses("start function has parameters", |m| m.start = Some(2));
        refuses("none of the module's", |m| m.escaping.push(3));
        refuses("not sorted", |m| m.escaping = vec![2, 1]);
        refuses("stack pointer", |m| m.stack_pointer = Some(0));
        refuses("stack pointer", |m| m.stack_pointer = Some(2));
        refuses("stack pointer", |m| m.stack_pointer = Some(3));
    }

    #[test]
    fn constant_expressions_leave_what_is_expected() {
        let global = |init: &[ConstOp]| {
            let init = init.to_vec();
            move |m: &mut Module| m.global_inits[0] = ConstExpr(init.clone())
        };
        refuses("global 1: it leaves [], not one i32", global(&[]));
        refuses("not one i32", global(&[ConstOp::I64Const(0)]));
        refuses("not one i32", global(&[ConstOp::I32Const(0), ConstOp::I32Const(0)]));
        refuses("I32Mul has not", global(&[ConstOp::I32Const(0), ConstOp::I32Mul]));
        refuses("GlobalGet(1) has not", global(&[ConstOp::GlobalGet(1)]));
        refuses("RefFunc(0) has not", global(&[ConstOp::RefFunc(0)]));
        refuses("StructNew(0) has not", global(&[ConstOp::StructNew(0)]));
        refuses("StructNew(2) has not", global(&[ConstOp::I32Const(0), ConstOp::StructNew(2)]));
        refuses("ArrayNewDefault(3) has not", global(&[ConstOp::I32Const(0), ConstOp::ArrayNewDefault(3)]));
        refuses("ArrayNewFixed(3, 4000000000) has not", global(&[ConstOp::ArrayNewFixed(3, 4_000_000_000)]));
        refuses("AnyConvertExtern has not", global(&[ConstOp::RefNull(RefType::ANY), ConstOp::AnyConvertExtern]));
        refuses("global 2", |m| m.global_inits[1] = value(ConstOp::RefNull(RefType::ANY)));
        refuses("table 0", |m| m.table_inits[0] = Some(value(ConstOp::RefNull(RefType::EXTERN))));
        refuses("table 0", |m| m.tables[0].element.nullable = false);
    }

    #[test]
    fn segments_fit_what_they_are_for() {
        refuses("element segment 0: it has a function", |m| m.elements[0].items = ElementItems::Functions(vec![0]));
        refuses("functions among other references", |m| m.elements[0].element = RefType::EXTERN);
        refuses("a table of other references", |m| m.tables[0].element = RefType::EXTERN);
        refuses("element segment 0: it leaves", |m| {
            m.elements[0].items = ElementItems::Expressions(vec![value(ConstOp::I32Const(0))]);
        });
        refuses("element segment 0: its place", |m| m.tables[0].table64 = true);
        refuses("data segment 0: its place", |m| m.memories[0].memory64 = true);
        refuses("has not", |m| m.data[0].mode = SegmentMode::Active { index: 1, offset: value(ConstOp::I32Const(0)) });
        refuses("in no image", |m| m.image = None);
        refuses("in no image", |m| m.data[0].mode = SegmentMode::Passive);
    }

    #[test]
    fn memories_are_those_that_there_can_be() {
        refuses("pages of an unknown size", |m| m.memories[0].page_size_log2 = 64);
        for bytes in [0, 64 << 10, (1 << 20) + 1, u64::MAX - 65535] {
            refuses("reserve", |m| m.target.memory_reservation = bytes);
        }
        refuses("memory image", |m| m.memories[0].minimum = 0);
        refuses("memory image", |m| m.memories[0].minimum = u64::MAX);
        refuses("memory image", |m| m.image = Some(MemoryImage { guest_addr: 1, len_bytes: 4096 }));
        refuses("memory image", |m| m.image = Some(MemoryImage { guest_addr: u64::MAX - 4095, len_bytes: 4096 }));
    }

    /// An unwind table of a function of 16 bytes, 64 bytes behind the table's start.
    fn unwind_table() -> Vec<u8> {
        let mut table =
            vec![20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, PCREL_SDATA4, 0, 0, 0, 0, 0, 0, 0];
        table.extend([20, 0, 0, 0, 28, 0, 0, 0, 32, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        table.extend([0; 4]);
        table
    }

    #[test]
    fn an_unwind_table_is_followed_to_its_end() {
        let is = |table: &[u8]| is_unwind_table(table, 1000, &(1064..1080));
        let table = unwind_table();
        assert!(is(&table) && is(&[]) && is(&[0; 4]));
        assert!(!is_unwind_table(&table, 1000, &(1064..1079)), "the function ends behind the code");
        assert!((5..table.len()).all(|len| !is(&table[..len])), "cut");
        for at in [0, 3, 4, 8, 9, 16, 24, 27, 28, 32, 35, 36, 39, 48, 51] {
            let mut damaged = table.clone();
            damaged[at] ^= 0x80;
            assert!(!is(&damaged), "byte {at}");
        }
    }
}
