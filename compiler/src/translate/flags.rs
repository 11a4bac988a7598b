//! What the code generator may assume of each kind of memory access.
//!
//! An alias region is memory that accesses in other regions do not touch. Linear memories are one region, because the same
//! memory may be imported twice; so are tables, and imported globals.

use super::Translator;
use cranelift_codegen::ir::{AliasRegionData, Endianness, MemFlagsData};
use wasmbridge_artifact::TrapCode;

/// A kind of memory that compiled code reads and writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Region {
    /// linear memories
    Memory,
    /// elements of tables
    Tables,
    /// lengths of memories and tables, and bases of tables
    Definitions,
    /// imported globals
    ImportedGlobals,
    /// fields and elements of objects of the collected heap
    Objects,
    /// lengths of arrays, which never change
    ObjectHeads,
    /// crossing frames, and which is the innermost
    Crossings,
    /// a global that the module defines, by its index among those
    Global(u32),
}

/// The globals from this one on share a region: there are only so many kinds of flags in a function.
const LAST_GLOBAL: u32 = 255;

impl Region {
    fn data(self) -> AliasRegionData {
        let (user_id, description) = match self {
            Region::Memory => (0, "linear memory".into()),
            Region::Tables => (1, "tables".into()),
            Region::Definitions => (2, "definitions".into()),
            Region::ImportedGlobals => (3, "imported globals".into()),
            Region::Objects => (4, "objects".into()),
            Region::ObjectHeads => (5, "heads of objects".into()),
            Region::Crossings => (6, "crossing frames".into()),
            Region::Global(index) if index < LAST_GLOBAL => (7 + index, format!("defined global {index}").into()),
            Region::Global(_) => (7 + LAST_GLOBAL, format!("defined globals from {LAST_GLOBAL} on").into()),
        };
        AliasRegionData { user_id, description }
    }
}

/// What never changes while the instance lives, such as imports and bases of memories: loads of it may be merged and moved.
pub(super) fn fixed() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly().with_can_move()
}

impl Translator<'_, '_> {
    /// The runtime's own memory, which is always there.
    pub(super) fn trusted(&mut self, region: Region) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.region(region)))
    }

    /// A guest's access to linear memory: it may fault, and it may be unaligned.
    pub(super) fn guest(&mut self) -> MemFlagsData {
        MemFlagsData::new()
            .with_trap_code(Some(super::trap::to_clif(TrapCode::MemoryOutOfBounds)))
            .with_endianness(Endianness::Little)
            .with_alias_region(Some(self.region(Region::Memory)))
    }

    fn region(&mut self, region: Region) -> cranelift_codegen::ir::AliasRegion {
        self.builder.func.dfg.alias_regions.insert(region.data())
    }
}
