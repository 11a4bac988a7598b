//! The ELF container, reading side.
//!
//! # The file
//!
//! An ELF relocatable object that `objdump -d`, `readelf` and `nm` read, with nothing to relocate:
//!
//! ```text
//!   0    ELF header (64 bytes)
//!   64   .wasmbridge.head: the Head, at this fixed place, so that it can be judged before anything else is believed
//!        .wasmbridge.module     metadata (postcard), see module.rs
//!        .wasmbridge.functions  \
//!        .wasmbridge.traps       | see frames.rs
//!        .wasmbridge.addresses   |
//!        .wasmbridge.calls       |
//!        .wasmbridge.names      /
//!        .wasmbridge.handlers   calls in the reach of handlers of exceptions, see handlers.rs
//!        .wasmbridge.data       the bytes of data segments
//!        .eh_frame              one CIE, an FDE for each function, pc-relative to .text as it lies in the file
//!   n*4K .text                  code, mapped straight from the file
//!   n*4K .wasmbridge.image      the image of memory 0, mapped copy-on-write
//!        .symtab, .strtab       a symbol for each function
//! ```
//!
//! # The head
//!
//! | bytes | field |
//! |---|---|
//! | 0..8 | magic, `"wasmbrg\n"` |
//! | 8..12 | format version, [`FORMAT_VERSION`](crate::FORMAT_VERSION) |
//! | 12..16 | ELF machine number the code is for |
//! | 16..24 | length of the file in bytes |
//! | 24..40 | XXH3-128 of the file with these sixteen bytes taken out |
//! | 40..48 | where `.text` begins in the file, a multiple of 4096 |
//! | 48..56 | length of `.text` in bytes |
//! | 56..80 | the compiler's version, padded with zero bytes |
//!
//! The hash finds damage, not forgery: an artifact is native code, and whoever can write it can run anything. What the hash lets pass is
//! checked all the same, down to the last index (`check.rs`): whatever a file holds beside code, loading and instantiating it is an
//! error or works.
//!
//! The head says where the code is so that a loader can map it executable before it reads the file through for the hash: otherwise each
//! page of code would be mapped twice ([`code`]).

use crate::check;
use crate::frames::{AddressMap, FunctionKind, FunctionTable, NameTable, TrapTable};
use crate::handlers::HandlerTable;
use crate::module::Module;
use crate::vmctx::VmLayout;
use object::read::elf::{ElfFile64, FileHeader};
use object::{LittleEndian, Object, ObjectSection};
use std::fmt;
use std::ops::Range;
use twox_hash::XxHash3_128;

/// Pages of the memory image and of `.text` in the file, in bytes.
pub const IMAGE_PAGE: u64 = 4096;

/// Names of the sections.
pub mod section {
    /// the [`Head`](super::Head)
    pub const HEAD: &str = ".wasmbridge.head";
    /// metadata
    pub const MODULE: &str = ".wasmbridge.module";
    /// the function table
    pub const FUNCTIONS: &str = ".wasmbridge.functions";
    /// the trap table
    pub const TRAPS: &str = ".wasmbridge.traps";
    /// the address map
    pub const ADDRESSES: &str = ".wasmbridge.addresses";
    /// calls of imports that standing crossing frames cover
    pub const CALLS: &str = ".wasmbridge.calls";
    /// the name table
    pub const NAMES: &str = ".wasmbridge.names";
    /// the handler table
    pub const HANDLERS: &str = ".wasmbridge.handlers";
    /// bytes of data segments
    pub const DATA: &str = ".wasmbridge.data";
    /// unwind information
    pub const EH_FRAME: &str = ".eh_frame";
    /// code
    pub const TEXT: &str = ".text";
    /// the image of memory 0
    pub const IMAGE: &str = ".wasmbridge.image";
}

/// Where the head is in the file: just after the ELF header.
pub const HEAD_OFFSET: usize = 64;

/// The fixed head of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// the format's version
    pub format: u32,
    /// the ELF machine number
    pub machine: u16,
    /// the file's length in bytes
    pub file_len: u64,
    /// the file's hash
    pub hash: u128,
    /// the code, as a range of the file
    pub text: Range<u64>,
    /// the compiler's version
    pub compiler: String,
}

impl Head {
    /// Bytes of a head.
    pub const SIZE: usize = 80;
    /// What an artifact begins with, behind its ELF header.
    pub const MAGIC: [u8; 8] = *b"wasmbrg\n";
    /// Where the hash is in the file.
    pub const HASH: Range<usize> = HEAD_OFFSET + 24..HEAD_OFFSET + 40;

    /// The head's bytes. A compiler version longer than 24 bytes is cut.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0..8].copy_from_slice(&Self::MAGIC);
        bytes[8..12].copy_from_slice(&self.format.to_le_bytes());
        bytes[12..16].copy_from_slice(&u32::from(self.machine).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_len.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.hash.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.text.start.to_le_bytes());
        bytes[48..56].copy_from_slice(&(self.text.end - self.text.start).to_le_bytes());
        let version = &self.compiler.as_bytes()[..self.compiler.len().min(24)];
        bytes[56..56 + version.len()].copy_from_slice(version);
        bytes
    }

    fn decode(bytes: &[u8; Self::SIZE]) -> Option<Head> {
        if bytes[0..8] != Self::MAGIC {
            return None;
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Some(Head {
            format: word(8),
            machine: word(12) as u16,
            file_len: long(16),
            hash: u128::from_le_bytes(bytes[24..40].try_into().expect("sixteen bytes")),
            text: long(40)..long(40).saturating_add(long(48)),
            compiler: String::from_utf8_lossy(&bytes[56..80]).trim_end_matches('\0').to_owned(),
        })
    }

    /// That of a file, if it has one.
    fn of(file: &[u8]) -> Option<Head> {
        Head::decode(file.get(HEAD_OFFSET..)?.first_chunk()?)
    }
}

/// Where a file says that its code is, if there are whole pages of it in the file. Nothing has been checked: only
/// [`Artifact::parse`] tells whether it is so.
pub fn code(file: &[u8]) -> Option<Range<usize>> {
    let text = Head::of(file).filter(|head| head.format == crate::FORMAT_VERSION)?.text;
    let inside = text.start < text.end && text.end <= file.len() as u64 && text.start.is_multiple_of(IMAGE_PAGE);
    inside.then_some(text.start as usize..text.end as usize)
}

/// The hash of an artifact's bytes, which are at least as many as an ELF header and a head.
pub fn hash(file: &[u8]) -> u128 {
    let mut hasher = XxHash3_128::new();
    hasher.write(&file[..Head::HASH.start]);
    hasher.write(&file[Head::HASH.end..]);
    hasher.finish_128()
}

/// Why a file is not an artifact that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the messages show")]
pub enum ArtifactError {
    #[error("the file is empty; expected an artifact made by `wasmbridge compile`")]
    Empty,
    #[error(
        "this is a WebAssembly module, not an artifact: compile it first, with `wasmbridge compile app.wasm -o app.wbm`"
    )]
    IsWasm,
    #[error("this is not a wasmbridge artifact: {0}")]
    NotAnArtifact(&'static str),
    #[error(
        "the artifact has format version {found}, this library reads version {expected}: compile the module again with `wasmbridge compile` of this version"
    )]
    Format { found: u32, expected: u32 },
    #[error(
        "the artifact was made by compiler version {found}, this library is version {expected}: compile the module again with `wasmbridge compile` of this version"
    )]
    Compiler { found: String, expected: &'static str },
    #[error("the artifact is truncated: it has {found} of {expected} bytes; copy or compile it again")]
    Truncated { found: u64, expected: u64 },
    #[error(
        "the artifact has {found} bytes, but was written with {expected}: it was changed after; copy or compile it again"
    )]
    TooLong { found: u64, expected: u64 },
    #[error("the artifact is damaged: its hash is {found:032x}, expected {expected:032x}; copy or compile it again")]
    Damaged { found: u128, expected: u128 },
    #[error(
        "the artifact holds code for ELF machine {found}, this host is machine {expected}: compile it with `--target` for this host"
    )]
    Machine { found: u16, expected: u16 },
    #[error("the artifact's section `{section}` is not as the format says: {what}; compile it again")]
    Section { section: &'static str, what: String },
}

impl ArtifactError {
    fn section(section: &'static str, what: impl fmt::Display) -> ArtifactError {
        ArtifactError::Section { section, what: what.to_string() }
    }
}

/// An artifact whose container has been checked: every range lies inside the file, and the metadata is consistent.
#[derive(Debug)]
pub struct Artifact {
    /// the head
    pub head: Head,
    /// the metadata
    pub module: Module,
    /// the layout of this module's vmctx
    pub layout: VmLayout,
    /// code, as a range of the file; starts on a page of [`IMAGE_PAGE`] bytes
    pub text: Range<usize>,
    /// the memory image, as a range of the file; starts on a page of [`IMAGE_PAGE`] bytes; empty if there is none
    pub image: Range<usize>,
    /// unwind information, as a range of the file
    pub eh_frame: Range<usize>,
    functions: Range<usize>,
    traps: Range<usize>,
    addresses: Range<usize>,
    calls: Range<usize>,
    names: Range<usize>,
    handlers: Range<usize>,
    data: Range<usize>,
}

impl Artifact {
    /// Reads and checks a file's bytes; `machine` is the ELF machine number of code that is wanted.
    ///
    /// The bytes are borrowed only for the call: what is kept are ranges of them.
    ///
    /// # Errors
    /// Whatever is wrong, in this order: not an artifact, another version, another length, another hash, another machine,
    /// a section that is not as it should be.
    pub fn parse(file: &[u8], machine: u16) -> Result<Artifact, ArtifactError> {
        Artifact::parse_hashed(file, machine, None)
    }

    /// The same, of a file of which this is [the hash](hash) if it is known. It is computed if it is not the one that the file should have.
    ///
    /// # Errors
    /// As for [`Artifact::parse`].
    pub fn parse_hashed(file: &[u8], machine: u16, known: Option<u128>) -> Result<Artifact, ArtifactError> {
        let head = judge(file, machine, known)?;
        let elf: ElfFile64<'_, LittleEndian> = ElfFile64::parse(file).map_err(|e| ArtifactError::section("ELF", e))?;
        let range = |name: &'static str| -> Result<Range<usize>, ArtifactError> {
            let section =
                elf.section_by_name(name).ok_or_else(|| ArtifactError::section(name, "there is no such section"))?;
            let (start, len) = section.file_range().unwrap_or((0, 0));
            let end = start.checked_add(len).filter(|&end| end <= file.len() as u64);
            let end = end.ok_or_else(|| ArtifactError::section(name, "it reaches beyond the file"))?;
            Ok(start as usize..end as usize)
        };
        let metadata = &file[range(section::MODULE)?];
        let module: Module = postcard::from_bytes(metadata).map_err(|e| ArtifactError::section(section::MODULE, e))?;
        check::metadata(&module).map_err(|e| ArtifactError::section(section::MODULE, e))?;
        let layout = VmLayout::new(&module)
            .ok_or_else(|| ArtifactError::section(section::MODULE, "its vmctx would be too large"))?;
        let artifact = Artifact {
            head,
            layout,
            text: range(section::TEXT)?,
            image: range(section::IMAGE)?,
            eh_frame: range(section::EH_FRAME)?,
            functions: range(section::FUNCTIONS)?,
            traps: range(section::TRAPS)?,
            addresses: range(section::ADDRESSES)?,
            calls: range(section::CALLS)?,
            names: range(section::NAMES)?,
            handlers: range(section::HANDLERS)?,
            data: range(section::DATA)?,
            module,
        };
        artifact.check(file)?;
        Ok(artifact)
    }

    /// What instantiation relies on and the types alone do not say.
    fn check(&self, file: &[u8]) -> Result<(), ArtifactError> {
        let wrong = |section: &'static str, what: &str| Err(ArtifactError::section(section, what));
        let module = &self.module;
        for (name, range) in [(section::TEXT, &self.text), (section::IMAGE, &self.image)] {
            if !(range.start as u64).is_multiple_of(IMAGE_PAGE) {
                return wrong(name, "it does not start on a page");
            }
        }
        if self.head.text != (self.text.start as u64..self.text.end as u64) {
            return wrong(section::TEXT, "it is not where the head says");
        }
        let table = self.functions(file);
        let text_len = (self.text.end - self.text.start) as u64;
        let imported = module.imported_functions();
        let defined = module.functions.len() - imported;
        if table.len() != defined + module.entries.len() {
            return wrong(section::FUNCTIONS, "the number of functions is not that of the module");
        }
        // The module's functions come first and then the entries, both in their order: each is found by its position.
        let functions = (imported as u32..).take(defined).map(|index| (FunctionKind::Wasm, index));
        let entries = module.entries.iter().map(|&ty| (FunctionKind::Entry, ty));
        let mut end = 0;
        for (record, expected) in table.iter().zip(functions.chain(entries)) {
            if (record.kind, record.index) != expected {
                return wrong(section::FUNCTIONS, "the functions are not those of the module, in their order");
            }
            if u64::from(record.start) < end {
                return wrong(section::FUNCTIONS, "functions overlap or are not sorted");
            }
            end = u64::from(record.start) + u64::from(record.len);
        }
        if end > text_len {
            return wrong(section::FUNCTIONS, "a function ends beyond the code");
        }
        if !self.handlers(file).is_sound(text_len, module.tags.len()) {
            return wrong(section::HANDLERS, "it is not a table of handlers for tags of the module");
        }
        if !check::is_unwind_table(&file[self.eh_frame.clone()], self.eh_frame.start, &self.text) {
            return wrong(section::EH_FRAME, "it is not an unwind table of functions in the code");
        }
        let image_len = module.image.map_or(0, |i| i.len_bytes);
        if image_len != (self.image.end - self.image.start) as u64 {
            return wrong(section::IMAGE, "its length is not that in the metadata");
        }
        let data_len = (self.data.end - self.data.start) as u64;
        if module.data.iter().any(|d| d.start > d.end || d.end > data_len) {
            return wrong(section::DATA, "a segment ends beyond it");
        }
        Ok(())
    }

    /// The functions of `.text`. `file` is what was parsed, here and below.
    pub fn functions<'a>(&self, file: &'a [u8]) -> FunctionTable<'a> {
        FunctionTable::new(&file[self.functions.clone()])
    }

    /// The instructions that can trap.
    pub fn traps<'a>(&self, file: &'a [u8]) -> TrapTable<'a> {
        TrapTable::new(&file[self.traps.clone()])
    }

    /// From code to the wasm file.
    pub fn addresses<'a>(&self, file: &'a [u8]) -> AddressMap<'a> {
        AddressMap::new(&file[self.addresses.clone()])
    }

    /// The calls of imports that standing crossing frames cover: from where they are in the wasm file to the import.
    pub fn calls<'a>(&self, file: &'a [u8]) -> AddressMap<'a> {
        AddressMap::new(&file[self.calls.clone()])
    }

    /// The names of functions.
    pub fn names<'a>(&self, file: &'a [u8]) -> NameTable<'a> {
        NameTable::new(&file[self.names.clone()])
    }

    /// The calls in the reach of handlers.
    pub fn handlers<'a>(&self, file: &'a [u8]) -> HandlerTable<'a> {
        HandlerTable::new(&file[self.handlers.clone()])
    }

    /// The bytes of the data segments.
    pub fn data<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        &file[self.data.clone()]
    }

    /// The sections with their sizes in bytes, in the order of the file; for people.
    pub fn sections(&self) -> [(&'static str, usize); 10] {
        let len = |range: &Range<usize>| range.end - range.start;
        [
            (section::FUNCTIONS, len(&self.functions)),
            (section::TRAPS, len(&self.traps)),
            (section::ADDRESSES, len(&self.addresses)),
            (section::CALLS, len(&self.calls)),
            (section::NAMES, len(&self.names)),
            (section::HANDLERS, len(&self.handlers)),
            (section::DATA, len(&self.data)),
            (section::EH_FRAME, len(&self.eh_frame)),
            (section::TEXT, len(&self.text)),
            (section::IMAGE, len(&self.image)),
        ]
    }
}

/// Judges a file by its fixed parts: nothing else in it is read before this has passed.
fn judge(file: &[u8], machine: u16, known: Option<u128>) -> Result<Head, ArtifactError> {
    if file.is_empty() {
        return Err(ArtifactError::Empty);
    }
    if file.starts_with(b"\0asm") {
        return Err(ArtifactError::IsWasm);
    }
    let magic = object::elf::ELFMAG;
    if !file.starts_with(&magic[..file.len().min(4)]) {
        return Err(ArtifactError::NotAnArtifact("it does not begin as an ELF file does"));
    }
    if file.len() < HEAD_OFFSET + Head::SIZE {
        let expected = (HEAD_OFFSET + Head::SIZE) as u64;
        return Err(ArtifactError::Truncated { found: file.len() as u64, expected });
    }
    let head = Head::of(file).ok_or(ArtifactError::NotAnArtifact("it is an ELF file without a wasmbridge head"))?;
    if head.format != crate::FORMAT_VERSION {
        return Err(ArtifactError::Format { found: head.format, expected: crate::FORMAT_VERSION });
    }
    if head.compiler != crate::COMPILER_VERSION {
        return Err(ArtifactError::Compiler { found: head.compiler, expected: crate::COMPILER_VERSION });
    }
    let (found, expected) = (file.len() as u64, head.file_len);
    if found < expected {
        return Err(ArtifactError::Truncated { found, expected });
    }
    if found > expected {
        return Err(ArtifactError::TooLong { found, expected });
    }
    if known != Some(head.hash) {
        let found = hash(file);
        if found != head.hash {
            return Err(ArtifactError::Damaged { found, expected: head.hash });
        }
    }
    if head.machine != machine {
        return Err(ArtifactError::Machine { found: head.machine, expected: machine });
    }
    let elf = object::elf::FileHeader64::<LittleEndian>::parse(file).map_err(|e| ArtifactError::section("ELF", e))?;
    if elf.e_machine(LittleEndian) != object::elf::Machine(machine) {
        return Err(ArtifactError::section("ELF", "its machine is not that of the head"));
    }
    Ok(head)
}
