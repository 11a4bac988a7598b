//! Reads a module: its sections become the artifact's metadata, its function bodies wait for the translator.
//!
//! Everything here has passed the validator first, section by section, so that indices are in range and types match.

mod constexpr;
mod names;
mod segments;
mod tables;
mod types;

use crate::{CompileError, Config, image, limits};
use cranelift_codegen::isa::TargetIsa;
use names::Names;
pub(crate) use tables::KnownTable;
pub(crate) use types::{heap as heap_type, reference as reference_type, value as value_type};
use wasmbridge_artifact::module::{Export, ExternIndex, Import, ImportKind, Module};
use wasmbridge_artifact::{GlobalType, TypeKind, ValType, VmLayout};
use wasmparser::{
    Encoding, ExternalKind, FuncToValidate, FunctionBody, Parser, Payload, TableInit, TypeRef, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

/// The proposals that are translated.
const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::EXCEPTIONS)
    // What came before them, and compilers still make.
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::GC);

/// A module, read.
pub(crate) struct Input<'a> {
    /// the artifact's metadata
    pub(crate) module: Module,
    /// what each of its types describes
    pub(crate) kinds: Vec<TypeKind>,
    /// where everything is in the vmctx
    pub(crate) layout: VmLayout,
    /// how much of it is imported
    pub(crate) imported: Imported,
    /// what is known of each table
    pub(crate) tables: Vec<KnownTable>,
    /// the functions' bodies
    pub(crate) bodies: Vec<Body<'a>>,
    /// of each function, imported ones first, its name; empty where it has none
    pub(crate) names: Vec<String>,
    /// the bytes of the data segments that are not in the image
    pub(crate) data: Vec<u8>,
    /// the image of memory 0, whole pages
    pub(crate) image: Vec<u8>,
}

/// How many of each kind are imported: they come first in their index spaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Imported {
    pub(crate) functions: u32,
    pub(crate) memories: u32,
    pub(crate) globals: u32,
}

impl Imported {
    fn of(module: &Module) -> Imported {
        Imported {
            functions: module.imported_functions() as u32,
            memories: module.imported_memories() as u32,
            globals: module.imported_globals() as u32,
        }
    }
}

/// The body of a function, not yet validated.
pub(crate) struct Body<'a> {
    /// the function's index
    pub(crate) function: u32,
    /// the validator, with all it knows of the module
    pub(crate) to_validate: FuncToValidate<ValidatorResources>,
    /// locals and instructions
    pub(crate) body: FunctionBody<'a>,
}

impl Input<'_> {
    /// A name for messages and symbols: the function's own, or one from its index.
    pub(crate) fn display_name(&self, function: u32) -> String {
        match self.names[function as usize].as_str() {
            "" => format!("wasm-function[{function}]"),
            name => name.to_owned(),
        }
    }
}

/// Reads a module.
pub(crate) fn read<'a>(wasm: &'a [u8], config: &Config, isa: &dyn TargetIsa) -> Result<Input<'a>, CompileError> {
    limits::check("bytes", wasm.len() as u64, limits::MODULE_BYTES)?;
    let mut reader = Reader::new(config, isa);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::Version { encoding: Encoding::Component, range, .. } = &payload {
            let what = "the component model: extract the core module first".to_owned();
            return Err(CompileError::Unsupported { what, offset: range.start });
        }
        if let ValidPayload::Func(to_validate, body) = reader.validator.payload(&payload)? {
            let function = (reader.module.functions.len() - reader.defined + reader.bodies.len()) as u32;
            reader.bodies.push(Body { function, to_validate, body });
        }
        reader.section(payload)?;
    }
    reader.finish(config)
}

/// What has been read so far.
struct Reader<'a> {
    validator: Validator,
    module: Module,
    kinds: Vec<TypeKind>,
    bodies: Vec<Body<'a>>,
    names: Names,
    /// the data segments' bytes
    segments: Vec<&'a [u8]>,
    /// functions that the module defines
    defined: usize,
}

impl<'a> Reader<'a> {
    fn new(config: &Config, isa: &dyn TargetIsa) -> Reader<'a> {
        let module = Module {
            name: None,
            target: config.target(isa),
            types: vec![],
            groups: vec![],
            imports: vec![],
            functions: vec![],
            tables: vec![],
            memories: vec![],
            globals: vec![],
            tags: vec![],
            global_inits: vec![],
            table_inits: vec![],
            exports: vec![],
            start: None,
            elements: vec![],
            data: vec![],
            escaping: vec![],
            entries: vec![],
            stack_pointer: None,
            image: None,
        };
        Reader {
            validator: Validator::new_with_features(FEATURES),
            module,
            kinds: vec![],
            bodies: vec![],
            names: Names::default(),
            segments: vec![],
            defined: 0,
        }
    }

    fn section(&mut self, payload: Payload<'a>) -> Result<(), CompileError> {
        let module = &mut self.module;
        match payload {
            Payload::TypeSection(section) => {
                for group in section.into_iter_with_offsets() {
                    let (offset, group) = group?;
                    self.kinds.extend(types::kinds(&group, offset)?);
                    for ty in group.types() {
                        module.types.push(types::sub_type(ty, offset, &self.kinds)?);
                    }
                    module.groups.push(group.types().len() as u32);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import?;
                    self.import(import, offset)?;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    module.functions.push(ty?);
                    self.defined += 1;
                }
            }
            Payload::TableSection(section) => {
                for table in section.into_iter_with_offsets() {
                    let (offset, table) = table?;
                    module.tables.push(types::table(&table.ty, offset, &self.kinds)?);
                    module.table_inits.push(match &table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expr) => Some(constexpr::read(expr, &self.kinds)?),
                    });
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    module.memories.push(types::memory(&memory?));
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    module.tags.push(tag?.func_type_idx);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section.into_iter_with_offsets() {
                    let (offset, global) = global?;
                    module.globals.push(types::global(&global.ty, offset, &self.kinds)?);
                    module.global_inits.push(constexpr::read(&global.init_expr, &self.kinds)?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section.into_iter_with_offsets() {
                    let (offset, export) = export?;
                    let item = match export.kind {
                        ExternalKind::Func => ExternIndex::Func(export.index),
                        ExternalKind::Table => ExternIndex::Table(export.index),
                        ExternalKind::Memory => ExternIndex::Memory(export.index),
                        ExternalKind::Global => ExternIndex::Global(export.index),
                        ExternalKind::Tag => ExternIndex::Tag(export.index),
                        other => return Err(types::unsupported(format!("an export of kind {other:?}"), offset)),
                    };
                    module.exports.push(Export { name: export.name.to_owned(), item });
                }
            }
            Payload::StartSection { func, .. } => module.start = Some(func),
            Payload::ElementSection(section) => {
                for element in section.into_iter_with_offsets() {
                    let (offset, element) = element?;
                    module.elements.push(segments::element(element, offset, &self.kinds)?);
                }
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    module.data.push(segments::data(&data, &self.kinds)?);
                    self.segments.push(data.data);
                }
            }
            Payload::CustomSection(section) => self.names.section(&section),
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>, offset: u64) -> Result<(), CompileError> {
        let module = &mut self.module;
        let kind = match import.ty {
            TypeRef::Func(ty) => {
                module.functions.push(ty);
                ImportKind::Func(ty)
            }
            TypeRef::Table(ty) => {
                let ty = types::table(&ty, offset, &self.kinds)?;
                module.tables.push(ty);
                ImportKind::Table(ty)
            }
            TypeRef::Memory(ty) => {
                let ty = types::memory(&ty);
                module.memories.push(ty);
                ImportKind::Memory(ty)
            }
            TypeRef::Global(ty) => {
                let ty = types::global(&ty, offset, &self.kinds)?;
                module.globals.push(ty);
                ImportKind::Global(ty)
            }
            TypeRef::Tag(ty) => {
                module.tags.push(ty.func_type_idx);
                ImportKind::Tag(ty.func_type_idx)
            }
            TypeRef::FuncExact(_) => {
                return Err(types::unsupported(format!("the import `{}.{}`", import.module, import.name), offset));
            }
        };
        module.imports.push(Import { module: import.module.to_owned(), name: import.name.to_owned(), kind });
        Ok(())
    }

    fn finish(mut self, config: &Config) -> Result<Input<'a>, CompileError> {
        let mut module = self.module;
        module.name = self.names.module.take();
        module.stack_pointer = stack_pointer(&module, &self.names, config)?;
        module.escaping = segments::escaping(&module);
        module.entries = entries(&module);
        let image = image::lay_out(&mut module, &self.segments);
        let data = segments::place(&mut module, &self.segments);
        let layout = VmLayout::new(&module).ok_or_else(|| too_large(&module))?;
        let names = self.names.functions(&module);
        let (kinds, bodies) = (self.kinds, self.bodies);
        let tables = tables::known(&module, &bodies);
        Ok(Input { imported: Imported::of(&module), module, kinds, layout, tables, bodies, names, data, image })
    }
}

/// The vmctx is beyond its limit: what there is most of, for the message.
fn too_large(module: &Module) -> CompileError {
    let found = module.imports.len()
        + module.tables.len()
        + module.memories.len()
        + module.globals.len()
        + module.types.len()
        + module.escaping.len();
    let limit = u64::from(wasmbridge_artifact::vmctx::MAX_VMCTX_BYTES / wasmbridge_artifact::vmctx::GLOBAL_SIZE);
    CompileError::Limit { what: "imports, tables, globals, types and function references", found: found as u64, limit }
}

/// The types that need an entry trampoline.
fn entries(module: &Module) -> Vec<u32> {
    let mut entries: Vec<u32> = module.escaping.iter().map(|&f| module.functions[f as usize]).collect();
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// The global that is the guest's stack pointer: the one that was asked for, or else one that is named as LLVM names it.
fn stack_pointer(module: &Module, names: &Names, config: &Config) -> Result<Option<u32>, CompileError> {
    let imported = module.imported_globals();
    let fits = |global: u32| {
        let ty = module.globals.get(global as usize);
        let integer = |ty: &GlobalType| ty.mutable && matches!(ty.content, ValType::I32 | ValType::I64);
        global as usize >= imported && ty.is_some_and(integer)
    };
    if let Some(global) = config.stack_pointer {
        return if fits(global) {
            Ok(Some(global))
        } else {
            Err(CompileError::Config(format!(
                "global {global} cannot be the stack pointer: it must be a mutable i32 or i64 that the module defines"
            )))
        };
    }
    let exported = match module.export(names::STACK_POINTER) {
        Some(ExternIndex::Global(global)) => Some(global),
        _ => None,
    };
    Ok(names.stack_pointer.or(exported).filter(|&global| fits(global)))
}
