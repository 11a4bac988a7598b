//! The image of memory 0: what the leading active data segments leave behind, laid out ahead of time.
//!
//! The runtime maps the image copy-on-write instead of copying segments. A segment goes into the image if instantiation would
//! certainly copy it: its offset is a constant and it lies within the memory's first size. The first active segment of which
//! that is not certain ends the image, because the order shows: it may overlap, or trap and keep later ones from being copied
//! (Wasm 3.0, 4.7.2).

use crate::limits;
use wasmbridge_artifact::container::IMAGE_PAGE;
use wasmbridge_artifact::module::{ConstOp, MemoryImage, Module, SegmentMode};

/// Lays out the image and marks the segments that are in it. Returns the image's bytes, empty if there is none.
pub(crate) fn lay_out(module: &mut Module, segments: &[&[u8]]) -> Vec<u8> {
    let placed = placed(module, segments);
    let bytes: u64 = placed.iter().map(|p| segments[p.segment].len() as u64).sum();
    let filled = || placed.iter().filter(|p| !segments[p.segment].is_empty());
    let first = filled().map(|p| p.start).min().unwrap_or(0);
    let last = filled().map(|p| p.start + segments[p.segment].len() as u64).max().unwrap_or(0);
    let guest_addr = first / IMAGE_PAGE * IMAGE_PAGE;
    let len_bytes = last.next_multiple_of(IMAGE_PAGE) - guest_addr;
    let dense = len_bytes <= limits::SMALL_IMAGE || len_bytes / limits::IMAGE_SPREAD <= bytes;
    if bytes == 0 || !dense {
        return Vec::new();
    }
    let mut image = vec![0; len_bytes as usize];
    for Placed { segment, start } in placed {
        let start = (start - guest_addr.min(start)) as usize;
        // An empty segment may lie outside of the image, but its start was checked against the memory.
        if !segments[segment].is_empty() {
            image[start..start + segments[segment].len()].copy_from_slice(segments[segment]);
        }
        module.data[segment].in_image = true;
    }
    module.image = Some(MemoryImage { guest_addr, len_bytes });
    image
}

/// A segment whose place is known.
struct Placed {
    /// its index
    segment: usize,
    /// guest address of its first byte
    start: u64,
}

/// The leading segments whose place is known.
fn placed(module: &Module, segments: &[&[u8]]) -> Vec<Placed> {
    let mut placed = Vec::new();
    let Some(memory) = module.memories.first().filter(|m| !m.memory64 && !m.shared) else { return placed };
    if module.imported_memories() > 0 {
        return placed;
    }
    let size = memory.minimum << memory.page_size_log2;
    // Whole pages of the host must lie inside the memory; with the standard's pages they always do.
    let size = size / IMAGE_PAGE * IMAGE_PAGE;
    for (segment, data) in module.data.iter().enumerate() {
        let start = match &data.mode {
            SegmentMode::Active { index: 0, offset } => match offset.0.as_slice() {
                [ConstOp::I32Const(start)] => u64::from(*start as u32),
                _ => break,
            },
            SegmentMode::Active { .. } => break,
            SegmentMode::Passive | SegmentMode::Declared => continue,
        };
        if start + segments[segment].len() as u64 > size {
            break;
        }
        placed.push(Placed { segment, start });
    }
    placed
}
