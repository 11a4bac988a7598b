//! Loaded modules.

use crate::code::UnwindTable;
use crate::code::registry::{ModuleCode, Range, Registration, register};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::os::{Access, Mapping, file_bytes, has_feature, memfd};
use crate::unchanged::FileState;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use wasmbridge_artifact::container;
use wasmbridge_artifact::module::{Export, Import};
use wasmbridge_artifact::vmctx::HOST_PAGE;
use wasmbridge_artifact::{Artifact, ArtifactError, Module as Metadata, TableType, ValType};

/// The ELF machine number of the code that this host runs: EM_X86_64 (System V psABI, 4.1).
const MACHINE: u16 = 62;

/// No position among the escaping functions.
const NOT_ESCAPING: u32 = u32::MAX;

/// A compiled module, mapped into the process: immutable, and shared by all its instances.
///
/// Cloning it gives another name for the same module. It may be used on any thread.
#[derive(Debug, Clone)]
pub struct Module(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // Dropped first: the signal handler must not find what the fields after it own.
    _registration: Option<Registration>,
    _unwind: Option<UnwindTable>,
    code: Box<ModuleCode>,
    engine: Engine,
    artifact: Artifact,
    /// engine-wide ids of the module's types
    type_ids: Vec<u32>,
    /// entry trampolines: index of the type, address; sorted
    entries: Vec<(u32, usize)>,
    /// by index of the function, which of the escaping ones it is, or [`NOT_ESCAPING`]
    escaping: Vec<u32>,
    /// the file, for mapping its memory image
    file: File,
    /// the file's bytes; `.text` is executable
    mapping: Mapping,
}

// SAFETY: `ModuleCode` points into the mapping, which is never written after loading.
unsafe impl Send for Inner {}
// SAFETY: see above: everything here is read-only.
unsafe impl Sync for Inner {}

impl Module {
    /// Loads the artifact at a path, by mapping it. The file may be replaced by renaming another over it, not written to.
    ///
    /// It is read through to find damage. When this engine opens the same file again, and it has not changed since, that is not done again, which takes
    /// a third of the time.
    ///
    /// # Errors
    /// [`ErrorKind::Os`] if it cannot be read, [`ErrorKind::Artifact`] if it is no artifact that can be used here.
    pub fn open(engine: &Engine, path: impl AsRef<Path>) -> Result<Module, Error> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::os(format!("cannot open `{}`", path.display()), e))?;
        let metadata = file.metadata().map_err(|e| Error::os(format!("cannot read `{}`", path.display()), e))?;
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Artifact, format!("`{}` is not a file", path.display())));
        }
        Module::map(engine, file, &metadata).map_err(|e| match e.kind() {
            ErrorKind::Artifact => Error::new(ErrorKind::Artifact, format!("`{}`: {}", path.display(), e.message())),
            _ => e,
        })
    }

    /// Loads an artifact from memory. The bytes are copied.
    ///
    /// # Errors
    /// As for [`Module::open`].
    pub fn load(engine: &Engine, artifact: &[u8]) -> Result<Module, Error> {
        let parsed = Artifact::parse(artifact, MACHINE)?;
        let copy = || -> std::io::Result<File> {
            let mut file = memfd(c"wasmbridge-artifact")?;
            file.write_all(artifact)?;
            Ok(file)
        };
        let file = copy().map_err(|e| Error::os("cannot copy the artifact", e))?;
        let mapping = map(&file, artifact.len())?;
        Module::new(engine, file, mapping, parsed)
    }

    fn map(engine: &Engine, file: File, metadata: &std::fs::Metadata) -> Result<Module, Error> {
        if metadata.len() == 0 {
            return Err(ArtifactError::Empty.into());
        }
        let too_large = |_| Error::new(ErrorKind::Limit, "the artifact is too large to map");
        let len = usize::try_from(metadata.len()).map_err(too_large)?;
        let (state, now) = (FileState::of(metadata), SystemTime::now());
        let known = engine.files().find(state);
        let mapping = map(&file, len)?;
        // SAFETY: mapped, readable; the documentation of `open` tells the host not to write to the file.
        let artifact = Artifact::parse_hashed(unsafe { file_bytes(&mapping, 0, len) }, MACHINE, known)?;
        if known != Some(artifact.head.hash) {
            engine.files().remember(state, now, artifact.head.hash);
        }
        Module::new(engine, file, mapping, artifact)
    }

    /// A module of an artifact that has been checked, and is mapped.
    fn new(engine: &Engine, file: File, mapping: Mapping, artifact: Artifact) -> Result<Module, Error> {
        check_cpu(&artifact.module)?;
        // SAFETY: mapped, readable; the documentation of `open` tells the host not to write to the file. The tables are dropped before the mapping.
        let bytes: &'static [u8] =
            unsafe { &*std::ptr::from_ref(file_bytes(&mapping, 0, artifact.head.file_len as usize)) };
        let text = artifact.text.clone();
        let text_start = mapping.start() as usize + text.start;
        let code = Box::new(ModuleCode {
            text: text_start,
            functions: artifact.functions(bytes),
            traps: artifact.traps(bytes),
            addresses: artifact.addresses(bytes),
            calls: artifact.calls(bytes),
            names: artifact.names(bytes),
            handlers: artifact.handlers(bytes),
            module_name: artifact.module.name.clone(),
        });
        let metadata = &artifact.module;
        // Behind the functions that the module defines.
        let defined = metadata.functions.len() - metadata.imported_functions();
        let mut entries: Vec<(u32, usize)> = (defined..code.functions.len())
            .filter_map(|position| code.functions.get(position))
            .map(|entry| (entry.index, text_start + entry.start as usize))
            .collect();
        entries.sort_unstable();
        let mut escaping = vec![NOT_ESCAPING; metadata.functions.len()];
        for (position, &function) in metadata.escaping.iter().enumerate() {
            escaping[function as usize] = position as u32;
        }
        let type_ids = engine.types().intern(&artifact.module.types, &artifact.module.groups);
        let registration = (!text.is_empty()).then(|| {
            // SAFETY: `code` is boxed, points into the mapping, and both are dropped after the registration.
            unsafe { register(text_start, text_start + text.len(), Range::Module(&*code)) }
        });
        let eh_frame = &artifact.eh_frame;
        let unwind = (eh_frame.len() > 4).then(|| {
            // SAFETY: inside the mapping: the ranges of a parsed artifact are. The section is a whole unwind table that ends with a zero
            // length, and it stays mapped until after it is deregistered.
            unsafe { UnwindTable::at(mapping.start().add(eh_frame.start)) }
        });
        let inner = Inner {
            _registration: registration,
            _unwind: unwind,
            code,
            engine: engine.clone(),
            artifact,
            type_ids,
            entries,
            escaping,
            file,
            mapping,
        };
        Ok(Module(Arc::new(inner)))
    }

    /// The module's name, from its name section.
    pub fn name(&self) -> Option<&str> {
        self.metadata().name.as_deref()
    }

    /// What it must be given to be instantiated.
    pub fn imports(&self) -> &[Import] {
        &self.metadata().imports
    }

    /// What its instances offer.
    pub fn exports(&self) -> &[Export] {
        &self.metadata().exports
    }

    /// All that is known of it.
    pub fn metadata(&self) -> &Metadata {
        &self.0.artifact.module
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn artifact(&self) -> &Artifact {
        &self.0.artifact
    }

    pub(crate) fn file(&self) -> &File {
        &self.0.file
    }

    pub(crate) fn type_ids(&self) -> &[u32] {
        &self.0.type_ids
    }

    /// A value type of this module with the engine's type id: comparable with those of other modules.
    pub(crate) fn shared_type(&self, ty: ValType) -> ValType {
        ty.map_type(|index| self.0.type_ids[index as usize])
    }

    /// Whether each value of a type is one of another; both have the engine's type ids.
    pub(crate) fn is_subtype(&self, sub: ValType, sup: ValType) -> bool {
        sub.is_subtype_of(sup, |sub, sup| self.engine().types().is_subtype(sub, sup))
    }

    /// A table type of this module with the engine's type id.
    pub(crate) fn shared_table(&self, ty: TableType) -> TableType {
        TableType { element: ty.element.map_type(|index| self.0.type_ids[index as usize]), ..ty }
    }

    /// The bytes of the data segments.
    pub(crate) fn data(&self) -> &[u8] {
        // SAFETY: outside of `.text`'s pages or not, all of the mapping is readable, and nobody writes to it.
        let bytes = unsafe { file_bytes(&self.0.mapping, 0, self.0.artifact.head.file_len as usize) };
        self.0.artifact.data(bytes)
    }

    /// The name of a function, or `wasm-function[N]`.
    pub(crate) fn function_name(&self, function: u32) -> String {
        self.0.code.names.get(function).map_or_else(|| format!("wasm-function[{function}]"), str::to_owned)
    }

    /// Native addresses of the defined functions' code, by their indices among the defined ones.
    pub(crate) fn code(&self) -> impl Fn(u32) -> *const u8 {
        let (functions, text) = (self.0.code.functions, self.0.code.text);
        // They come first in the table, in their order: the artifact was checked for it.
        move |defined| (text + functions.start(defined as usize).expect("the module defines it") as usize) as *const u8
    }

    /// Which of the [escaping](Metadata::escaping) functions a function is.
    pub(crate) fn escaping_position(&self, function: u32) -> Option<u32> {
        self.0.escaping.get(function as usize).copied().filter(|&position| position != NOT_ESCAPING)
    }

    /// The entry trampoline for functions of a type of this module.
    pub(crate) fn entry(&self, ty: u32) -> Option<usize> {
        let found = self.0.entries.binary_search_by_key(&ty, |e| e.0).ok()?;
        Some(self.0.entries[found].1)
    }
}

/// Maps a file of `len` bytes, not zero: its code, if it is an artifact, to be run, and the rest to be read.
fn map(file: &File, len: usize) -> Result<Mapping, Error> {
    let cannot_map = |e| Error::os("cannot map the artifact", e);
    let whole = len.next_multiple_of(HOST_PAGE as usize);
    let mapping = Mapping::of_file(file, whole, Access::Read).map_err(cannot_map)?;
    // SAFETY: just mapped, readable; the documentation of `open` tells the host not to write to the file.
    let text = container::code(unsafe { file_bytes(&mapping, 0, len) });
    if let Some(text) = text {
        // Its pages are mapped again: `mprotect` would be refused under `PR_SET_MDWE`. Nobody has their address before the artifact has been
        // checked, which reads all of them: what it makes the kernel map is mapped for good.
        let text_len = text.len().next_multiple_of(HOST_PAGE as usize);
        mapping.map_file(text.start, text_len, file, text.start as u64, Access::ReadExecute).map_err(cannot_map)?;
    }
    Ok(mapping)
}

/// Refuses code that uses instructions that this processor has not.
fn check_cpu(module: &Metadata) -> Result<(), Error> {
    let target = &module.target;
    let missing: Vec<&str> =
        target.cpu_features.iter().map(String::as_str).filter(|f| has_feature(f) != Some(true)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    let message = format!(
        "the artifact was compiled for a processor with {missing}, which this one has not: compile it without `--target native`"
    );
    Err(Error::new(ErrorKind::Artifact, message))
}
