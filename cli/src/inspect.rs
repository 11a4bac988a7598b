//! `wasmbridge inspect`: what is in an artifact.

use anyhow::Context;
use object::{Object, ObjectSection};
use serde::Serialize;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use wasmbridge_artifact::module::{ExternIndex, ImportKind};
use wasmbridge_artifact::{Artifact, FunctionKind, Module};

/// Show what is in an artifact: sections, imports, exports, functions, and what it was compiled for
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The artifact
    #[arg(value_name = "APP.wbm")]
    artifact: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// All that is shown; the names of the fields are those of the JSON.
#[derive(Serialize)]
struct Report {
    format: u32,
    compiler: String,
    name: Option<String>,
    file_bytes: u64,
    target: Target,
    sections: Vec<Section>,
    imports: Vec<Import>,
    exports: Vec<Export>,
    functions: Vec<Function>,
}

#[derive(Serialize)]
struct Target {
    triple: String,
    cpu_features: Vec<String>,
    opt_level: String,
    memory_reservation: u64,
    deterministic: bool,
    spectre_mitigations: bool,
    bounds_checks: bool,
}

#[derive(Serialize)]
struct Section {
    name: String,
    offset: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Import {
    module: String,
    name: String,
    kind: &'static str,
    r#type: String,
}

#[derive(Serialize)]
struct Export {
    name: String,
    kind: &'static str,
    index: u32,
    r#type: String,
}

#[derive(Serialize)]
struct Function {
    /// index of the function; of the type for an entry trampoline
    index: u32,
    kind: &'static str,
    name: Option<String>,
    r#type: String,
    /// offset in `.text`
    offset: u32,
    bytes: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let path = args.artifact.display();
    let file = fs::read(&args.artifact).with_context(|| format!("cannot read {path}"))?;
    let report = report(&file).with_context(|| path.to_string())?;
    let mut text = Vec::new();
    if args.json {
        serde_json::to_writer_pretty(&mut text, &report)?;
        text.push(b'\n');
    } else {
        print(&mut text, &report)?;
    }
    match io::stdout().write_all(&text) {
        // Whoever reads (`head`) has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to the standard output"),
    }
}

fn report(file: &[u8]) -> anyhow::Result<Report> {
    // Any machine's artifact can be looked into: the one it says it is for is the one to expect. Where these bytes are in an
    // ELF file: e_machine, System V gABI, figure 4-3. `parse` finds out whether it is one.
    let machine = file.get(18..20).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let artifact = Artifact::parse(file, machine)?;
    let module = &artifact.module;
    let elf = object::File::parse(file)?;
    let sections = elf.sections().map(|section| {
        let (offset, bytes) = section.file_range().unwrap_or((0, 0));
        Ok(Section { name: section.name()?.to_owned(), offset, bytes })
    });
    let names = artifact.names(file);
    let functions = artifact.functions(file);
    let functions = functions.iter().map(|record| {
        let (kind, name, ty) = match record.kind {
            FunctionKind::Wasm => {
                ("wasm", names.get(record.index).map(str::to_owned), module.function_type(record.index).to_string())
            }
            FunctionKind::Entry => {
                ("entry", None, module.types.get(record.index as usize).map(ToString::to_string).unwrap_or_default())
            }
        };
        Function { index: record.index, kind, name, r#type: ty, offset: record.start, bytes: record.len }
    });
    let imports = module.imports.iter().map(|import| {
        let (kind, ty) = import_type(module, import.kind);
        Import { module: import.module.clone(), name: import.name.clone(), kind, r#type: ty }
    });
    let exports = module.exports.iter().map(|export| {
        let (kind, index, ty) = export_type(module, export.item);
        Export { name: export.name.clone(), kind, index, r#type: ty }
    });
    Ok(Report {
        format: artifact.head.format,
        compiler: artifact.head.compiler.clone(),
        name: module.name.clone(),
        file_bytes: file.len() as u64,
        target: Target {
            triple: module.target.triple.clone(),
            cpu_features: module.target.cpu_features.clone(),
            opt_level: module.target.opt_level.clone(),
            memory_reservation: module.target.memory_reservation,
            deterministic: module.target.deterministic,
            spectre_mitigations: module.target.spectre_mitigations,
            bounds_checks: module.target.checked_bytes().is_some(),
        },
        sections: sections.collect::<anyhow::Result<_>>()?,
        imports: imports.collect(),
        exports: exports.collect(),
        functions: functions.collect(),
    })
}

fn import_type(module: &Module, kind: ImportKind) -> (&'static str, String) {
    match kind {
        ImportKind::Func(ty) => {
            ("function", module.types.get(ty as usize).map(ToString::to_string).unwrap_or_default())
        }
        ImportKind::Table(ty) => ("table", ty.to_string()),
        ImportKind::Memory(ty) => ("memory", ty.to_string()),
        ImportKind::Global(ty) => ("global", ty.to_string()),
        ImportKind::Tag(ty) => ("tag", module.types.get(ty as usize).map(ToString::to_string).unwrap_or_default()),
    }
}

fn export_type(module: &Module, item: ExternIndex) -> (&'static str, u32, String) {
    fn text<T: ToString>(list: &[T], index: u32) -> String {
        list.get(index as usize).map(ToString::to_string).unwrap_or_default()
    }
    match item {
        ExternIndex::Func(index) => {
            let ty = module.functions.get(index as usize).and_then(|&ty| module.types.get(ty as usize));
            ("function", index, ty.map(ToString::to_string).unwrap_or_default())
        }
        ExternIndex::Table(index) => ("table", index, text(&module.tables, index)),
        ExternIndex::Memory(index) => ("memory", index, text(&module.memories, index)),
        ExternIndex::Global(index) => ("global", index, text(&module.globals, index)),
        ExternIndex::Tag(index) => {
            let ty = module.tags.get(index as usize).and_then(|&ty| module.types.get(ty as usize));
            ("tag", index, ty.map(ToString::to_string).unwrap_or_default())
        }
    }
}

fn print(out: &mut Vec<u8>, report: &Report) -> io::Result<()> {
    let target = &report.target;
    let features = if target.cpu_features.is_empty() { "none".to_owned() } else { target.cpu_features.join(" ") };
    writeln!(out, "module        {}", report.name.as_deref().unwrap_or("(unnamed)"))?;
    writeln!(out, "file          {} bytes, format {}, compiler {}", report.file_bytes, report.format, report.compiler)?;
    writeln!(out, "target        {}", target.triple)?;
    writeln!(out, "CPU features  {features}")?;
    writeln!(out, "optimisation  {}", target.opt_level)?;
    writeln!(out, "deterministic {}", if target.deterministic { "yes" } else { "no" })?;
    writeln!(out, "spectre       mitigations {}", if target.spectre_mitigations { "on" } else { "off" })?;
    let checks = if target.bounds_checks { "with bounds checks" } else { "bounds checked by guard pages" };
    writeln!(out, "memory        {} bytes reserved, {checks}", target.memory_reservation)?;

    writeln!(out, "\nsections ({})", report.sections.len())?;
    writeln!(out, "    offset      bytes  name")?;
    for section in &report.sections {
        writeln!(out, "{:>10} {:>10}  {}", section.offset, section.bytes, section.name)?;
    }
    writeln!(out, "\nimports ({})", report.imports.len())?;
    for import in &report.imports {
        writeln!(out, "  {} {}.{}: {}", import.kind, import.module, import.name, import.r#type)?;
    }
    writeln!(out, "\nexports ({})", report.exports.len())?;
    for export in &report.exports {
        writeln!(out, "  {} {}: {}", export.kind, export.name, export.r#type)?;
    }
    writeln!(out, "\nfunctions ({})", report.functions.len())?;
    writeln!(out, "    offset      bytes  name: type")?;
    for function in &report.functions {
        let name = match (&function.name, function.kind) {
            (Some(name), _) => name.clone(),
            (None, "wasm") => format!("wasm-function[{}]", function.index),
            (None, _) => format!("({} trampoline)", function.kind),
        };
        writeln!(out, "{:>10} {:>10}  {name}: {}", function.offset, function.bytes, function.r#type)?;
    }
    Ok(())
}
