//! Arenas: regions that are given out piece by piece, for libraries that let their host allocate.
//!
//! What is in use is kept outside of the region (the crate `offset-allocator`, which takes constant time): an app that may write to the region can
//! spoil the data of others that may, but never what the allocator believes.

use super::Region;
use crate::error::{Error, ErrorKind};
use offset_allocator::{Allocation, Allocator};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pieces begin at multiples of this many bytes, and the allocator counts in them: any scalar may lie at their start.
const UNIT: u64 = 16;
/// The fewest and the most pieces of an arena, free ones counted; between them one for each [`BYTES_A_PIECE`].
const PIECES: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 18;
/// The allocator takes room for all pieces when it is made, 28 bytes for each.
const BYTES_A_PIECE: u64 = 64;

/// Memory to allocate from that apps can see in place: see [`Arena::region`].
///
/// Cloning it gives another name for the same arena. All of its functions may be called on any thread.
#[derive(Debug, Clone)]
pub struct Arena(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    region: Region,
    state: Mutex<State>,
}

struct State {
    allocator: Allocator,
    /// by the unit where the piece that was given out begins
    pieces: HashMap<u32, Piece>,
    in_use: u64,
}

struct Piece {
    allocation: Allocation,
    len: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("pieces", &self.pieces.len())
            .field("in_use", &self.in_use)
            .finish_non_exhaustive()
    }
}

impl Arena {
    /// Makes an arena of `len_bytes`, of which a piece has at least 16.
    ///
    /// # Errors
    /// As for [`Region::new`].
    pub fn new(len_bytes: u64) -> Result<Arena, Error> {
        let region = Region::new(len_bytes)?;
        // A region has less than 4 GiB, so that its units fit.
        let units = (len_bytes / UNIT) as u32;
        let pieces = (len_bytes / BYTES_A_PIECE).clamp(*PIECES.start(), *PIECES.end()) as u32;
        let allocator = Allocator::with_max_allocs(units, pieces);
        let state = State { allocator, pieces: HashMap::new(), in_use: 0 };
        Ok(Arena(Arc::new(Inner { region, state: Mutex::new(state) })))
    }

    /// Its memory: what is granted to apps.
    pub fn region(&self) -> &Region {
        &self.0.region
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that are given out now.
    pub fn in_use(&self) -> u64 {
        self.lock().in_use
    }

    /// A piece of `len` bytes at a multiple of `align`, a power of two; null if there is no room, as `malloc` does it. The bytes are what was
    /// there before. 0 bytes are a piece of their own.
    pub fn allocate(&self, len: usize, align: usize) -> *mut u8 {
        if !align.is_power_of_two() || len as u64 > self.0.region.len_bytes() {
            return std::ptr::null_mut();
        }
        let (len, align) = (len as u64, (align as u64).max(UNIT));
        let base = self.0.region.native_ptr() as u64;
        let mut state = self.lock();
        // The region begins on a page, so only a larger alignment needs room to move.
        let slack = align - UNIT;
        let Some(units) = (len.max(1) + slack).div_ceil(UNIT).try_into().ok() else { return std::ptr::null_mut() };
        let Some(allocation) = state.allocator.allocate(units) else { return std::ptr::null_mut() };
        let start = (base + u64::from(allocation.offset) * UNIT).next_multiple_of(align) - base;
        state.pieces.insert((start / UNIT) as u32, Piece { allocation, len });
        state.in_use += len;
        self.0.region.native_ptr().wrapping_add(start as usize)
    }

    /// The unit where a piece begins, if it can be one of this arena's.
    fn unit(&self, piece: *const u8) -> Option<u32> {
        let offset = (piece as u64).checked_sub(self.0.region.native_ptr() as u64)?;
        (offset < self.0.region.len_bytes() && offset.is_multiple_of(UNIT)).then_some((offset / UNIT) as u32)
    }

    /// The length of a piece as it was asked for; `None` if it is none of this arena's.
    pub fn len_of(&self, piece: *const u8) -> Option<usize> {
        let unit = self.unit(piece)?;
        self.lock().pieces.get(&unit).map(|piece| piece.len as usize)
    }

    /// Gives a piece back. Null is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is none of this arena's, or has been given back before: then nothing has changed.
    pub fn free(&self, piece: *mut u8) -> Result<(), Error> {
        if piece.is_null() {
            return Ok(());
        }
        let mut state = self.lock();
        let found = self.unit(piece).and_then(|unit| state.pieces.remove(&unit));
        let Some(found) = found else {
            let message = format!("{piece:p} is not allocated in this arena, or has been freed before");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        state.in_use -= found.len;
        state.allocator.free(found.allocation);
        Ok(())
    }

    /// Makes a piece longer or shorter, at another place if need be, as `realloc` does it; null is a new one. Null if there is no room or the piece is
    /// none of this arena's: then nothing has changed.
    ///
    /// # Safety
    /// Nobody writes to the piece meanwhile.
    pub unsafe fn reallocate(&self, piece: *mut u8, len: usize) -> *mut u8 {
        if piece.is_null() {
            return self.allocate(len, UNIT as usize);
        }
        let Some(before) = self.len_of(piece) else { return std::ptr::null_mut() };
        let moved = self.allocate(len, UNIT as usize);
        if !moved.is_null() {
            // SAFETY: two pieces of the region, of which each has as many bytes.
            unsafe { moved.copy_from_nonoverlapping(piece, before.min(len)) };
            let freed = self.free(piece);
            debug_assert!(freed.is_ok());
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_overlap_and_come_back() {
        let arena = Arena::new(1 << 16).unwrap();
        let mut pieces = Vec::new();
        for (len, align) in [(1, 1), (100, 8), (0, 16), (4096, 4096), (24, 64), (17, 32)] {
            let piece = arena.allocate(len, align);
            assert!(!piece.is_null() && (piece as usize).is_multiple_of(align.max(16)));
            assert_eq!(arena.len_of(piece), Some(len));
            // SAFETY: a piece of this length.
            unsafe { piece.write_bytes(0xaa, len) };
            pieces.push((piece as usize, len));
        }
        pieces.sort_unstable();
        assert!(pieces.windows(2).all(|p| p[0].0 + p[0].1.max(1) <= p[1].0), "{pieces:x?}");
        for &(piece, _) in &pieces {
            arena.free(piece as *mut u8).unwrap();
        }
        assert_eq!(arena.in_use(), 0);
        assert!(!arena.allocate(1 << 16, 1).is_null(), "all of it is free again");
    }

    #[test]
    fn bad_pointers_and_too_much_are_told() {
        let arena = Arena::new(5000).unwrap();
        assert!(arena.allocate(6000, 1).is_null());
        assert!(arena.allocate(usize::MAX, 1).is_null());
        assert!(arena.allocate(16, 1 << 40).is_null());
        assert!(arena.allocate(16, 3 << 8).is_null());
        let piece = arena.allocate(32, 1);
        assert!(arena.free(piece.wrapping_add(16)).is_err());
        assert!(arena.free(piece.wrapping_add(1)).is_err());
        assert!(arena.free(std::ptr::without_provenance_mut(8)).is_err());
        arena.free(std::ptr::null_mut()).unwrap();
        arena.free(piece).unwrap();
        assert!(arena.free(piece).unwrap_err().message().contains("freed before"));
        assert_eq!(arena.len_of(piece), None);
    }

    #[test]
    fn a_piece_keeps_its_bytes_when_it_grows() {
        let arena = Arena::new(1 << 14).unwrap();
        // SAFETY: nobody else has the pieces.
        unsafe {
            let piece = arena.reallocate(std::ptr::null_mut(), 20);
            piece.write_bytes(7, 20);
            let longer = arena.reallocate(piece, 2000);
            assert_eq!(std::slice::from_raw_parts(longer, 20), [7; 20]);
            assert!(arena.reallocate(longer, 1 << 20).is_null());
            assert_eq!(arena.len_of(longer), Some(2000), "as it was");
            assert!(arena.reallocate(longer.wrapping_add(16), 10).is_null());
        }
    }

    #[test]
    fn threads_allocate_at_once() {
        let arena = Arena::new(1 << 20).unwrap();
        std::thread::scope(|scope| {
            for byte in 0..4u8 {
                let arena = &arena;
                scope.spawn(move || {
                    for round in 0..2000usize {
                        let len = 1 + round * 31 % 500;
                        let piece = arena.allocate(len, 16);
                        // SAFETY: this thread's piece.
                        unsafe {
                            piece.write_bytes(byte, len);
                            assert!(std::slice::from_raw_parts(piece, len).iter().all(|&b| b == byte));
                        }
                        arena.free(piece).unwrap();
                    }
                });
            }
        });
        assert_eq!(arena.in_use(), 0);
    }
}
