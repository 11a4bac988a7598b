//! The list of an app's windows, and of what of its window area is free.

use super::calls::Opened;
use super::gaps::Gaps;
use super::region::Shared;
use super::source::Source;
use super::space::WindowSpace;
use super::{Rights, Window, WindowMode};
use crate::error::{Error, ErrorKind};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use wasmbridge_artifact::vmctx::HOST_PAGE;

/// The alignment that a copy keeps of the data's address, in bytes: that of the largest scalar.
const COPY_ALIGN: u64 = 16;

/// What is where.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) gaps: Gaps,
    /// by the guest address of their pages
    pub(super) windows: BTreeMap<u64, Entry>,
    /// Key of `windows` by the native address of the data. No two windows have the same native bytes.
    pub(super) by_native: BTreeMap<usize, u64>,
    /// Regions that have been revoked: their places are closed and wait for them. Length by address of the pages.
    pub(super) revoked: BTreeMap<u64, u64>,
    /// Windows for calls on memory that is no region, by the address of their pages; the oldest first.
    pub(super) kept: VecDeque<u64>,
    /// Not among the gaps; the oldest first.
    pub(super) vacant: VecDeque<Vacant>,
}

/// The place of a window that has ended: empty, but a mapping of its own yet.
#[derive(Debug)]
pub(super) struct Vacant {
    pub(super) pages: Range<u64>,
    /// It has the low 32 bits of a native address: other windows leave it free, for a region may come back there.
    pub(super) is_congruent: bool,
}

/// A window, or a region's place.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) data: Range<u64>,
    pub(super) pages: Range<u64>,
    pub(super) rights: Rights,
    /// 0 if the host has it nowhere
    pub(super) native: usize,
    pub(super) mode: WindowMode,
    /// Whether it is closed outside of callbacks that are given it.
    pub(super) for_calls: bool,
    /// whether its pages can be accessed now
    pub(super) open: bool,
    /// the region that it is, for as long as the app has it
    pub(super) region: Option<Arc<Shared>>,
    /// What was mapped, if it is one that was made for a call: another time there may be something else.
    pub(super) identity: Option<Identity>,
}

/// Device and inode of a file, and where in it the pages begin.
pub(super) type Identity = ((u32, u32, u64), u64);

impl Entry {
    /// An open window, for good. `native` is where the host has the data, or 0.
    pub(super) fn new(data: Range<u64>, pages: Range<u64>, rights: Rights, native: usize, mode: WindowMode) -> Entry {
        Entry { data, pages, rights, native, mode, for_calls: false, open: true, region: None, identity: None }
    }

    pub(super) fn is_region(&self) -> bool {
        self.region.is_some()
    }

    pub(super) fn native_range(&self) -> Range<usize> {
        self.native..self.native + (self.data.end - self.data.start) as usize
    }
}

impl Table {
    /// No windows yet, in these guest addresses.
    pub(super) fn new(area: Range<u64>) -> Table {
        Table {
            gaps: Gaps::new(area),
            windows: BTreeMap::new(),
            by_native: BTreeMap::new(),
            revoked: BTreeMap::new(),
            kept: VecDeque::new(),
            vacant: VecDeque::new(),
        }
    }

    /// The window whose data has a guest address, or ends there.
    pub(super) fn at(&self, guest_addr: u64) -> Option<&Entry> {
        let (_, entry) = self.windows.range(..=guest_addr).next_back()?;
        (entry.data.start <= guest_addr && guest_addr <= entry.data.end).then_some(entry)
    }

    /// The key of the window that begins at a guest address.
    pub(super) fn key(&self, guest_addr: u64) -> Option<u64> {
        self.at(guest_addr).filter(|e| e.data.start == guest_addr).map(|e| e.pages.start)
    }

    pub(super) fn key_at_native(&self, native: usize) -> Option<u64> {
        let (_, &key) = self.by_native.range(..=native).next_back()?;
        self.windows[&key].native_range().contains(&native).then_some(key)
    }

    pub(super) fn at_native(&self, native: usize) -> Option<&Entry> {
        Some(&self.windows[&self.key_at_native(native)?])
    }

    /// Refuses bytes that are visible already: a pointer to them would have two guest addresses.
    pub(super) fn check_native(&self, native: usize, len: usize) -> Result<(), Error> {
        let before = self.by_native.range(..native + len).next_back().map(|(_, key)| &self.windows[key]);
        match before.filter(|entry| entry.native_range().end > native) {
            None => Ok(()),
            Some(entry) => {
                let (other, at) = (entry.native_range(), entry.data.start);
                let message = format!(
                    "of the {len} bytes at {native:#x}, some are in the app's window at {at:#x}, which has {} bytes at {:#x}",
                    other.len(),
                    other.start
                );
                Err(Error::new(ErrorKind::InvalidArgument, message))
            }
        }
    }

    /// Takes room for pages and the guard behind them.
    pub(super) fn take(&mut self, space: &WindowSpace, pages: u64, wanted: Option<u64>) -> Result<u64, Error> {
        if let Some(start) = wanted {
            // A part of a region that the app had: the place is not kept any longer.
            let place = self.revoked.range(..=start).next_back().map(|(&place, &len)| place..place + len);
            if let Some(place) = place.filter(|place| place.contains(&start)) {
                self.revoked.remove(&place.start);
                space.empty(self, place, true);
            }
            if self.take_at(space, start, pages) {
                return Ok(start);
            }
        }
        let fits = |place: &Vacant| !place.is_congruent && place.pages.end - place.pages.start == pages;
        if let Some(vacant) = self.take_vacant(fits) {
            return Ok(vacant.start);
        }
        if let Some(start) = self.gaps.take(pages + HOST_PAGE) {
            return Ok(start);
        }
        space.give_back(self, self.vacant.len());
        self.gaps.take(pages + HOST_PAGE).ok_or_else(|| {
            let whole = space.area.end - space.area.start;
            let longest = self.gaps.longest().saturating_sub(HOST_PAGE);
            let message = format!(
                "a window of {pages:#x} bytes does not fit the app's window area of {whole:#x} bytes, whose longest gap has {longest:#x}"
            );
            Error::new(ErrorKind::Limit, message)
        })
    }

    /// Takes the vacant place that has been empty for the shortest time, of those that will do.
    pub(super) fn take_vacant(&mut self, will_do: impl Fn(&Vacant) -> bool) -> Option<Range<u64>> {
        let vacant = self.vacant.iter().rposition(will_do)?;
        self.vacant.remove(vacant).map(|place| place.pages)
    }

    /// Takes this room, if it is free.
    pub(super) fn take_at(&mut self, space: &WindowSpace, start: u64, pages: u64) -> bool {
        let len = pages + HOST_PAGE;
        if self.take_vacant(|place| place.pages == (start..start + pages)).is_some() || self.gaps.take_at(start, len) {
            return true;
        }
        if self.vacant.is_empty() {
            return false;
        }
        space.give_back(self, self.vacant.len());
        self.gaps.take_at(start, len)
    }

    pub(super) fn place_pages(
        &mut self,
        space: &WindowSpace,
        source: &Source,
        rights: Rights,
        mode: WindowMode,
        wanted: Option<u64>,
    ) -> Result<Entry, Error> {
        let pages = source.pages.len() as u64;
        let start = self.take(space, pages, wanted)?;
        let data = start + (source.native - source.pages.start) as u64;
        Ok(Entry::new(data..data + source.len as u64, start..start + pages, rights, source.native, mode))
    }

    /// A place for a copy that ends at the guard, or as close to it as the data's alignment allows. An object's length is a multiple of its
    /// alignment, so that `exactly` there breaks it for no C object.
    pub(super) fn place_copy(
        &mut self,
        space: &WindowSpace,
        source: &Source,
        rights: Rights,
        exactly: bool,
    ) -> Result<Entry, Error> {
        let len = source.len as u64;
        let alignment = |value: u64| 1 << value.trailing_zeros().min(COPY_ALIGN.trailing_zeros());
        let align: u64 = match exactly {
            true => alignment(len | source.native as u64),
            false => alignment(source.native as u64),
        };
        let pages = len.next_multiple_of(align).next_multiple_of(HOST_PAGE);
        let start = self.take(space, pages, None)?;
        let data = start + pages - len.next_multiple_of(align);
        Ok(Entry::new(data..data + len, start..start + pages, rights, source.native, WindowMode::Copied))
    }

    pub(super) fn forget(&mut self, key: u64) -> Entry {
        let entry = self.windows.remove(&key).expect("the key of a window");
        if entry.native != 0 {
            self.by_native.remove(&entry.native);
        }
        entry
    }
}

impl Entry {
    /// Where C has the byte at a guest address. A copy is the app's: C gets the copy.
    pub(super) fn native_of(&self, guest_addr: u64) -> Option<usize> {
        let known = self.native != 0 && self.mode != WindowMode::Copied;
        known.then(|| self.native + (guest_addr - self.data.start) as usize)
    }

    /// Whether its addresses have the low 32 bits of the native ones.
    pub(super) fn is_congruent(&self) -> bool {
        self.native as u32 == self.data.start as u32
    }

    pub(super) fn opened(&self) -> Opened {
        Opened {
            key: self.pages.start,
            native: self.native,
            len: self.data.end - self.data.start,
            guest_addr: self.data.start,
            write: self.rights.can_write(),
            may_change: self.identity.is_some(),
        }
    }

    pub(super) fn info(&self) -> Window {
        Window {
            guest_addr: self.data.start,
            len_bytes: self.data.end - self.data.start,
            rights: self.rights,
            mode: self.mode,
            native_ptr: self.native as *mut u8,
        }
    }
}
