//! The ELF container, writing side: see [`container`](crate::container) for the format.

use crate::container::{HEAD_OFFSET, Head, IMAGE_PAGE, hash, section};
use crate::frames::{AddressMap, FunctionRecord, NameTable, TrapTable};
use crate::handlers::{Call, Handler, HandlerTable};
use crate::module::Module;
use crate::trap::TrapCode;
pub use object::Architecture;
use object::write::{Object, SectionId, Symbol, SymbolSection};
use object::{BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};
use std::ops::Range;

/// What goes into an artifact.
pub struct Contents<'a> {
    /// for which processor the code is
    pub architecture: Architecture,
    /// metadata
    pub module: &'a Module,
    /// code
    pub text: &'a [u8],
    /// functions of the code, sorted by their start
    pub functions: &'a [FunctionRecord],
    /// names of the symbols of `functions`, in the same order
    pub symbols: &'a [String],
    /// sorted by code offset
    pub traps: &'a [(u32, TrapCode)],
    /// pairs of code offset and wasm offset, sorted by code offset
    pub addresses: &'a [(u32, u32)],
    /// calls of imports that standing crossing frames cover: pairs of wasm offset and import, sorted by wasm offset
    pub calls: &'a [(u32, u32)],
    /// names of the module's functions, imported ones first; empty where there is none
    pub names: &'a [String],
    /// calls in the reach of handlers, sorted by return address
    pub handlers: &'a [Call<Vec<Handler>>],
    /// bytes of data segments
    pub data: &'a [u8],
    /// the image of memory 0, whole pages
    pub image: &'a [u8],
    /// Makes `.eh_frame`'s bytes, given the distance in bytes from the section's first byte to `.text`'s first byte. Its
    /// length must not depend on the distance.
    pub eh_frame: &'a dyn Fn(i64) -> Vec<u8>,
}

/// Writes an artifact.
///
/// # Errors
/// The ELF writer's words if a section is larger than the format can say.
pub fn write(contents: &Contents<'_>) -> Result<Vec<u8>, String> {
    // `.eh_frame` needs its distance to `.text`, which is known when the file has been laid out once.
    let draft = layout(contents, 0)?;
    let (distance, text) = places(&draft)?;
    let mut file = layout(contents, distance)?;
    if places(&file)? != (distance, text.clone()) {
        return Err("the length of .eh_frame depends on where it lies".to_owned());
    }
    let head = Head {
        format: crate::FORMAT_VERSION,
        machine: u16::from_le_bytes([file[18], file[19]]),
        file_len: file.len() as u64,
        hash: 0,
        text,
        compiler: crate::COMPILER_VERSION.to_owned(),
    };
    file[HEAD_OFFSET..HEAD_OFFSET + Head::SIZE].copy_from_slice(&head.encode());
    let hash = hash(&file);
    file[Head::HASH].copy_from_slice(&hash.to_le_bytes());
    Ok(file)
}

/// The distance from `.eh_frame` to `.text` in bytes, and where the latter is in the file.
fn places(file: &[u8]) -> Result<(i64, Range<u64>), String> {
    use object::{Object as _, ObjectSection as _};
    let elf = object::read::elf::ElfFile64::<object::LittleEndian>::parse(file).map_err(|e| e.to_string())?;
    let place = |name: &str| {
        let range = elf.section_by_name(name).and_then(|s| s.file_range());
        let (start, len) = range.ok_or_else(|| format!("{name} has no place in the file"))?;
        Ok::<_, String>(start..start + len)
    };
    let head = place(section::HEAD)?.start;
    if head != HEAD_OFFSET as u64 {
        return Err(format!("{} is at {head}, not at {HEAD_OFFSET}", section::HEAD));
    }
    let text = place(section::TEXT)?;
    Ok((text.start as i64 - place(section::EH_FRAME)?.start as i64, text))
}

fn layout(contents: &Contents<'_>, eh_frame_to_text: i64) -> Result<Vec<u8>, String> {
    let mut object = Object::new(BinaryFormat::Elf, contents.architecture, Endianness::Little);
    let mut add = |name: &str, kind: SectionKind, bytes: &[u8], align: u64| -> SectionId {
        let id = object.add_section(Vec::new(), name.as_bytes().to_vec(), kind);
        object.set_section_data(id, bytes.to_vec(), align);
        id
    };
    let metadata = postcard::to_stdvec(contents.module).map_err(|e| e.to_string())?;
    let functions: Vec<u8> = contents.functions.iter().flat_map(|f| f.encode()).collect();
    add(section::HEAD, SectionKind::ReadOnlyData, &[0; Head::SIZE], 8);
    add(section::MODULE, SectionKind::ReadOnlyData, &metadata, 8);
    add(section::FUNCTIONS, SectionKind::ReadOnlyData, &functions, 8);
    add(section::TRAPS, SectionKind::ReadOnlyData, &TrapTable::encode(contents.traps), 8);
    add(section::ADDRESSES, SectionKind::ReadOnlyData, &AddressMap::encode(contents.addresses), 8);
    add(section::CALLS, SectionKind::ReadOnlyData, &AddressMap::encode(contents.calls), 8);
    add(section::NAMES, SectionKind::ReadOnlyData, &NameTable::encode(contents.names), 8);
    add(section::HANDLERS, SectionKind::ReadOnlyData, &HandlerTable::encode(contents.handlers), 8);
    add(section::DATA, SectionKind::ReadOnlyData, contents.data, 16);
    add(section::EH_FRAME, SectionKind::ReadOnlyData, &(contents.eh_frame)(eh_frame_to_text), 8);
    let text = add(section::TEXT, SectionKind::Text, contents.text, IMAGE_PAGE);
    add(section::IMAGE, SectionKind::ReadOnlyData, contents.image, IMAGE_PAGE);
    for (record, name) in contents.functions.iter().zip(contents.symbols) {
        object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: u64::from(record.start),
            size: u64::from(record.len),
            kind: SymbolKind::Text,
            scope: SymbolScope::Compilation,
            weak: false,
            section: SymbolSection::Section(text),
            flags: SymbolFlags::None,
        });
    }
    object.write().map_err(|e| e.to_string())
}
