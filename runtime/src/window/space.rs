//! What lies where in the window area of a memory, and whose it is.
//!
//! ```text
//!   limit of growth    scratch            area.start                                  area.end = end of the address space
//!   | guard | scratch ... | guard |  window | guard | window | guard | ... free ... | region | guard |
//! ```
//!
//! Every window is followed by a guard page, and the page before the area is one: so there is one on both sides of each. Windows are put at
//! the lowest addresses, regions have theirs from the top, for each process once. All lookups take time in the logarithm of
//! the number of windows.

use super::calls::Opened;
use super::region::Shared;
use super::source::{self, Plan, Source};
use super::table::{Entry, Identity, Table, Vacant};
use super::{Rights, Window, WindowMode, WindowOptions};
use crate::error::{Error, ErrorKind};
use crate::os::{Access, Mapping, native};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use wasmbridge_artifact::vmctx::HOST_PAGE;

/// How many windows for calls on memory that is no region stay mapped, closed, for the next time.
const KEPT_FOR_CALLS: usize = 64;
/// How many places of windows that have ended wait for the next window of their length.
const VACANT: usize = 16;

/// The window area of one memory. Any thread may use it.
#[derive(Debug)]
pub(crate) struct WindowSpace {
    mapping: Arc<Mapping>,
    /// where guest address 0 is in the mapping
    offset: usize,
    /// guest addresses; empty if the app can have no windows
    pub(super) area: Range<u64>,
    table: RwLock<Table>,
    /// how many windows there are, so that nobody without windows takes the lock
    count: AtomicUsize,
    /// how often the host has changed what is visible, and how
    changes: AtomicU64,
}

/// Bytes of a window that an app may touch now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// where C has them: an address that it knows, if there is one
    pub(crate) native: Option<usize>,
    pub(crate) rights: Rights,
    /// bytes from there on to the end of the data
    pub(crate) available: u64,
}

impl WindowSpace {
    /// No windows yet. `area` is a range of guest addresses of whole pages, the first of which is a guard.
    pub(crate) fn new(mapping: Arc<Mapping>, offset: usize, area: Range<u64>) -> WindowSpace {
        let table = Table::new(area.clone());
        WindowSpace {
            mapping,
            offset,
            area,
            table: RwLock::new(table),
            count: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table, for a change of the host's.
    fn change(&self) -> RwLockWriteGuard<'_, Table> {
        let table = self.write();
        self.changes.fetch_add(1, Ordering::Release);
        table
    }

    /// How often the host has changed what is visible, and how.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Where that number is, as long as this is there.
    pub(crate) fn changes_counter(&self) -> *const u64 {
        self.changes.as_ptr()
    }

    fn has_none(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Where a guest address is in the mapping.
    fn at(&self, guest_addr: u64) -> usize {
        self.offset + guest_addr as usize
    }

    /// The view of a guest address.
    fn view(&self, guest_addr: u64) -> *mut u8 {
        // SAFETY: guest addresses of the area are inside the mapping.
        unsafe { self.mapping.start().add(self.at(guest_addr)) }
    }

    // Lookups, on the paths of calls and callbacks.

    /// The window that has all of `[from, to)`, if it is open.
    pub(crate) fn find(&self, from: u64, to: u64) -> Option<Found> {
        if self.has_none() || from < self.area.start {
            return None;
        }
        let table = self.read();
        let entry = table.at(from)?;
        (to <= entry.data.end && entry.open).then(|| Found {
            native: entry.native_of(from),
            rights: entry.rights,
            available: entry.data.end - from,
        })
    }

    /// The guest address of a native address in the data of an open window.
    pub(crate) fn guest_addr(&self, native: usize) -> Option<u64> {
        if self.has_none() {
            return None;
        }
        let table = self.read();
        let entry = table.at_native(native)?;
        entry.open.then(|| entry.data.start + (native - entry.native) as u64)
    }

    /// Whether a native address is in the data of a window, open or closed, that the app may only read.
    pub(crate) fn is_read_only(&self, native: usize) -> bool {
        self.read().at_native(native).is_some_and(|entry| !entry.rights.can_write())
    }

    /// The window that begins at a guest address, or has it in it.
    pub(crate) fn info(&self, guest_addr: u64) -> Option<Window> {
        self.read().at(guest_addr).map(Entry::info)
    }

    // Windows of the host's.

    /// Makes native data visible.
    ///
    /// # Safety
    /// Until the window ends nobody takes it for private: the app reads the data, and writes it if it may. While this runs nobody writes
    /// to the data's pages, and the app does not run.
    pub(crate) unsafe fn map(
        &self,
        native: usize,
        len: usize,
        rights: Rights,
        options: &WindowOptions,
    ) -> Result<Window, Error> {
        self.check_possible()?;
        let source = source::look_at(native, len, rights, options)?;
        let mut table = self.change();
        table.check_native(native, len)?;
        match &source.plan {
            Plan::Alias => {
                let wanted = super::region::guest_addr_of(&source.pages);
                let entry = table.place_pages(self, &source, rights, WindowMode::Aliased, wanted);
                // SAFETY: shared mappings (the plan says so); the app does not run (the caller does).
                self.insert(&mut table, entry?, |at| unsafe { self.alias(&source, at, rights) })
            }
            Plan::Adopt => {
                let entry = table.place_pages(self, &source, rights, WindowMode::Adopted, None)?;
                // SAFETY: private and readable by the plan; nobody writes by the caller's promise.
                let adopted = unsafe { native::adopt(&source.pages, &source.areas) };
                self.insert(&mut table, entry, |at| {
                    self.mapping.share_file(self.at(at), source.pages.len(), adopted?.as_fd(), 0, rights.access())
                })
            }
            Plan::Copy(why) if !options.allow_copy => Err(source.refused(why)),
            Plan::Copy(_) => {
                let entry = table.place_copy(self, &source, rights, options.right_aligned)?;
                let data = entry.data.start;
                let pages = (entry.pages.end - entry.pages.start) as usize;
                self.insert(&mut table, entry, |at| {
                    self.mapping.fresh(self.at(at), pages, Access::ReadWrite)?;
                    // SAFETY: as many bytes of fresh pages, and readable ones of the process.
                    unsafe { self.view(data).copy_from_nonoverlapping(native as *const u8, len) };
                    match rights {
                        Rights::Read => self.mapping.protect(self.at(at), pages, Access::Read),
                        Rights::ReadWrite => Ok(()),
                    }
                })
            }
        }
    }

    /// Makes a part of a file visible. `native` is where the host has mapped that part itself, or 0.
    pub(crate) fn map_file(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        len: u64,
        rights: Rights,
        native: usize,
    ) -> Result<Window, Error> {
        self.check_possible()?;
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
        if len == 0 {
            return invalid("a window of 0 bytes".to_owned());
        }
        let Some(pages) = len.checked_next_multiple_of(HOST_PAGE).filter(|_| offset.is_multiple_of(HOST_PAGE)) else {
            return invalid(format!(
                "{len} bytes from {offset:#x} on: a window on a file begins at a multiple of {HOST_PAGE}"
            ));
        };
        if !(native as u64).is_multiple_of(HOST_PAGE) || (native > 0 && native.checked_add(len as usize).is_none()) {
            return invalid(format!("{native:#x} is not where the host can have mapped the file"));
        }
        let meta = file.try_clone_to_owned().and_then(|file| File::from(file).metadata());
        let meta = meta.map_err(|e| Error::os("the window's file", e))?;
        if meta.is_file() && offset.checked_add(len).is_none_or(|end| end > meta.len()) {
            return invalid(format!("{len} bytes from {offset:#x} on: the file has {} bytes", meta.len()));
        }
        if meta.is_file() && pages > len && meta.len() > offset + len {
            return invalid(format!(
                "the last page of {len} bytes from {offset:#x} on has other bytes of the file too"
            ));
        }
        let mut table = self.change();
        if native != 0 {
            table.check_native(native, len as usize)?;
        }
        let start = table.take(self, pages, None)?;
        let entry = Entry::new(start..start + len, start..start + pages, rights, native, WindowMode::Aliased);
        self.insert(&mut table, entry, |at| {
            self.mapping.share_file(self.at(at), pages as usize, file, offset, rights.access())
        })
    }

    /// # Safety
    /// The source's mappings are shared and allow what the rights say, and the app does not run.
    unsafe fn alias(&self, source: &Source, at: u64, rights: Rights) -> io::Result<()> {
        for piece in source.pieces() {
            let to = self.at(at) + (piece.start - source.pages.start);
            // SAFETY: the caller's promise; each piece is in one mapping.
            unsafe { self.mapping.alias(to, piece.len(), piece.start) }?;
        }
        match rights {
            Rights::ReadWrite => Ok(()),
            Rights::Read => self.mapping.protect(self.at(at), source.pages.len(), Access::Read),
        }
    }

    /// Fills a place that has been taken, and lists it.
    fn insert(
        &self,
        table: &mut Table,
        entry: Entry,
        fill: impl FnOnce(u64) -> io::Result<()>,
    ) -> Result<Window, Error> {
        let pages = entry.pages.clone();
        if let Err(e) = fill(pages.start) {
            self.empty(table, pages, entry.is_congruent());
            return Err(self.no_mapping(table, e));
        }
        let info = entry.info();
        if entry.native != 0 {
            table.by_native.insert(entry.native, pages.start);
        }
        table.windows.insert(pages.start, entry);
        self.count.fetch_add(1, Ordering::Release);
        Ok(info)
    }

    /// Takes everything out of a place, which another window may have then.
    pub(super) fn empty(&self, table: &mut Table, pages: Range<u64>, is_congruent: bool) {
        let len = (pages.end - pages.start) as usize;
        if self.mapping.vacate(self.at(pages.start), len).is_err() {
            // The process has too many mappings for the kernel to replace one. Closing them takes none; the place is not used again.
            let _ = self.mapping.protect(self.at(pages.start), len, Access::None);
            return;
        }
        table.vacant.push_back(Vacant { pages, is_congruent });
        if table.vacant.len() > VACANT {
            self.give_back(table, 1);
        }
    }

    /// Gives the oldest of the vacant places back to the gaps.
    pub(super) fn give_back(&self, table: &mut Table, count: usize) {
        for Vacant { pages, .. } in table.vacant.drain(..count) {
            let len = pages.end - pages.start;
            // If the kernel lacks what it takes to join it with what is around it, it stays a mapping of its own: no access succeeds there either way.
            let _ = self.mapping.clear(self.at(pages.start), len as usize);
            table.gaps.give_back(pages.start, len + HOST_PAGE);
        }
    }

    /// Ends the window that begins at a guest address.
    pub(crate) fn unmap(&self, guest_addr: u64) -> Result<(), Error> {
        // What is removed is dropped without the lock: with the last of a region goes the region, which looks at its places.
        let removed = {
            let mut table = self.change();
            let key = table.key(guest_addr).ok_or_else(|| self.no_window(&table, guest_addr))?;
            if table.windows[&key].is_region() {
                self.revoke(&mut table, key)?
            } else {
                let entry = table.forget(key);
                table.kept.retain(|&kept| kept != key);
                self.copy_out(&entry);
                self.empty(&mut table, entry.pages.clone(), entry.is_congruent());
                entry
            }
        };
        self.count.fetch_sub(1, Ordering::Release);
        drop(removed);
        Ok(())
    }

    /// Changes what the app may do in the window that begins at a guest address.
    pub(crate) fn protect(&self, guest_addr: u64, rights: Rights) -> Result<(), Error> {
        let mut table = self.change();
        let key = table.key(guest_addr).ok_or_else(|| self.no_window(&table, guest_addr))?;
        let entry = table.windows.get_mut(&key).expect("just found");
        if rights.can_write() && entry.mode == WindowMode::Copied && entry.rights == Rights::Read {
            // The copy would be written over data that the host may have changed meanwhile.
            let message = "a copy that was made read-only stays so; unmap it and map it read-write";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if entry.open {
            let len = (entry.pages.end - entry.pages.start) as usize;
            self.mapping.protect(self.at(entry.pages.start), len, rights.access()).map_err(|e| {
                match e.raw_os_error() {
                    Some(libc::EACCES) => Error::new(
                        ErrorKind::InvalidArgument,
                        format!("the window at {guest_addr:#x} is on a file that was opened for reading only"),
                    ),
                    _ => Error::os(format!("cannot change the rights of the window at {guest_addr:#x}"), e),
                }
            })?;
        }
        entry.rights = rights;
        Ok(())
    }

    /// Brings a copy up to date (`from_native`), or copies it back. Windows that are no copies are always up to date.
    ///
    /// # Safety
    /// The window's native data is there, and writable if it is written to.
    pub(crate) unsafe fn sync(&self, guest_addr: u64, from_native: bool) -> Result<(), Error> {
        let table = self.change();
        let key = table.key(guest_addr).ok_or_else(|| self.no_window(&table, guest_addr))?;
        let entry = &table.windows[&key];
        if entry.mode != WindowMode::Copied {
            return Ok(());
        }
        if !from_native {
            self.copy_out(entry);
            return Ok(());
        }
        let (pages, len) = ((entry.pages.end - entry.pages.start) as usize, entry.data.end - entry.data.start);
        let access = |access| self.mapping.protect(self.at(entry.pages.start), pages, access);
        let changed = access(Access::ReadWrite).and_then(|()| {
            // SAFETY: the caller's promise; the view has as many bytes, and is writable now.
            unsafe { self.view(entry.data.start).copy_from(entry.native as *const u8, len as usize) };
            access(entry.rights.access())
        });
        changed.map_err(|e| Error::os(format!("the window at {guest_addr:#x}"), e))
    }

    fn copy_out(&self, entry: &Entry) {
        if entry.mode == WindowMode::Copied && entry.rights.can_write() {
            let len = (entry.data.end - entry.data.start) as usize;
            // SAFETY: the view is readable; the native data is there and writable as long as the window is: `map`'s caller's promise.
            unsafe { (entry.native as *mut u8).copy_from(self.view(entry.data.start), len) };
        }
    }

    // Regions.

    /// Gives the app a region, or changes what it may do with it.
    pub(super) fn attach(&self, region: &Arc<Shared>, rights: Rights, for_calls: bool) -> Result<(), Error> {
        self.check_possible()?;
        let start = region.guest_addr();
        let pages = start..start + region.pages();
        if pages.start < self.area.start || pages.end > self.area.end {
            let message =
                format!("the region's place at {start:#x} is beyond the app's address space of {:#x}", self.area.end);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let len = region.pages() as usize;
        let access = if for_calls { Access::None } else { rights.access() };
        let mut table = self.change();
        if let Some(entry) = table.windows.get_mut(&start).filter(|e| e.is_region()) {
            let changed = self.mapping.protect(self.at(start), len, access);
            changed.map_err(|e| Error::os("cannot change the rights of a region", e))?;
            (entry.rights, entry.for_calls, entry.open) = (rights, for_calls, !for_calls);
            return Ok(());
        }
        table.check_native(region.native(), region.len() as usize)?;
        let data = start..start + region.len();
        let entry = Entry {
            for_calls,
            open: !for_calls,
            region: Some(region.clone()),
            ..Entry::new(data, pages.clone(), rights, region.native(), WindowMode::Region)
        };
        if table.revoked.contains_key(&start) {
            let opened = self.mapping.protect(self.at(start), len, access);
            opened.map_err(|e| Error::os("cannot open a region", e))?;
            table.revoked.remove(&start);
            self.insert(&mut table, entry, |_| Ok(()))?;
            return Ok(());
        }
        if !table.take_at(self, start, region.pages()) {
            let message = format!("the region's place at {start:#x} is taken by a window of the app; unmap it first");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        self.insert(&mut table, entry, |_| self.mapping.share_file(self.at(start), len, region.file(), 0, access))?;
        Ok(())
    }

    /// Takes a region away: when this returns no access to it succeeds. Whether the app had it.
    pub(super) fn detach(&self, region: &Shared) -> Result<bool, Error> {
        let removed = {
            let mut table = self.change();
            let start = region.guest_addr();
            match table.windows.get(&start) {
                Some(entry) if entry.is_region() => self.revoke(&mut table, start)?,
                _ => return Ok(false),
            }
        };
        self.count.fetch_sub(1, Ordering::Release);
        drop(removed);
        Ok(true)
    }

    /// Closes a region's place, which stays its own: opening it again is as cheap.
    fn revoke(&self, table: &mut Table, key: u64) -> Result<Entry, Error> {
        let pages = table.windows[&key].pages.clone();
        let len = (pages.end - pages.start) as usize;
        let closed = self.mapping.protect(self.at(pages.start), len, Access::None);
        closed.map_err(|e| Error::os("cannot close a region", e))?;
        table.revoked.insert(key, pages.end - pages.start);
        Ok(table.forget(key))
    }

    /// A region that has no users any more is about to go: its place can be another's.
    pub(super) fn release(&self, region: &Shared) {
        let mut table = self.change();
        if let Some(len) = table.revoked.remove(&region.guest_addr()) {
            self.empty(&mut table, region.guest_addr()..region.guest_addr() + len, true);
        }
    }

    // What is visible during callbacks.

    /// Opens or closes the pages of a window that is for calls.
    fn set_open(&self, entry: &mut Entry, open: bool) -> io::Result<()> {
        if entry.open != open {
            let access = if open { entry.rights.access() } else { Access::None };
            let len = (entry.pages.end - entry.pages.start) as usize;
            self.mapping.protect(self.at(entry.pages.start), len, access)?;
            entry.open = open;
        }
        Ok(())
    }

    /// Opens the window for calls that has `len` native bytes, for reading or writing. Whole pages of shared memory get one, if they have none.
    pub(super) fn open_for_call(&self, native: usize, len: u64, write: bool) -> Option<Opened> {
        let mut table = self.write();
        if let Some(key) = table.key_at_native(native) {
            let entry = table.windows.get_mut(&key)?;
            if !entry.for_calls {
                return None;
            }
            let allowed = entry.rights.can_write() || !write;
            let found = match entry.identity {
                // A part of a region that was granted.
                None => allowed && len <= (entry.native_range().end - native) as u64,
                // Nothing but the same pages: what was shown once is not shown with a part of it.
                Some(identity) => {
                    let same = entry.native == native && entry.native_range().len() as u64 == len;
                    allowed && same && identity_of(entry.native, &entry.pages) == Some(identity)
                }
            };
            if found {
                self.set_open(entry, true).ok()?;
                return Some(entry.opened());
            }
            if entry.identity.is_none() || entry.open {
                return None;
            }
            // Something else is there now, or something else is asked for.
            self.end_for_calls(&mut table, key);
        }
        let rights = if write { Rights::ReadWrite } else { Rights::Read };
        let options = WindowOptions { no_adoption: true, ..WindowOptions::default() };
        let source = source::look_at(native, usize::try_from(len).ok()?, rights, &options).ok()?;
        table.check_native(native, source.len).ok()?;
        let [area] = &source.areas[..] else { return None };
        if self.area.is_empty() || source.plan != Plan::Alias {
            return None;
        }
        let identity = area.identity(source.pages.start);
        let wanted = super::region::guest_addr_of(&source.pages);
        let entry = table.place_pages(self, &source, rights, WindowMode::Aliased, wanted).ok()?;
        let entry = Entry { for_calls: true, identity: Some(identity), ..entry };
        let (key, opened) = (entry.pages.start, entry.opened());
        // SAFETY: a shared mapping, by the plan; the callback that is given it has not begun.
        self.insert(&mut table, entry, |at| unsafe { self.alias(&source, at, rights) }).ok()?;
        table.kept.push_back(key);
        if table.kept.len() > KEPT_FOR_CALLS {
            let oldest = table.kept.iter().copied().find(|key| table.windows.get(key).is_some_and(|e| !e.open));
            oldest.into_iter().for_each(|key| self.end_for_calls(&mut table, key));
        }
        Some(opened)
    }

    /// Ends a window that was made for a call.
    fn end_for_calls(&self, table: &mut Table, key: u64) {
        table.kept.retain(|&kept| kept != key);
        let entry = table.forget(key);
        self.empty(table, entry.pages.clone(), entry.is_congruent());
        self.count.fetch_sub(1, Ordering::Release);
    }

    /// Closes a window for calls, if it is there yet.
    pub(super) fn close_for_call(&self, key: u64) {
        let mut table = self.write();
        if let Some(entry) = table.windows.get_mut(&key).filter(|e| e.for_calls) {
            // Closing whole mappings splits none, so that there is nothing the kernel could lack.
            let closed = self.set_open(entry, false);
            assert!(closed.is_ok(), "the kernel does not close a window: {closed:?}");
        }
    }

    // Errors.

    fn check_possible(&self) -> Result<(), Error> {
        if !self.area.is_empty() {
            return Ok(());
        }
        let message = "the app's memory has no room for windows: it has 64-bit addresses, small pages, or may itself be as large as the \
                       address space";
        Err(Error::new(ErrorKind::Limit, message))
    }

    fn no_mapping(&self, table: &Table, error: io::Error) -> Error {
        if error.raw_os_error() == Some(libc::ENOMEM)
            && let Some((count, limit)) = native::mapping_count()
            && count + 8 >= limit
        {
            let windows = table.windows.len();
            let message = format!(
                "the process has {count} mappings, of which the kernel allows {limit}, with {windows} windows of this app: unmap some, or \
                 raise vm.max_map_count"
            );
            return Error::new(ErrorKind::Limit, message);
        }
        Error::os("cannot map a window", error)
    }

    fn no_window(&self, table: &Table, guest_addr: u64) -> Error {
        let message = match table.at(guest_addr) {
            Some(entry) => format!("{guest_addr:#x} is inside the window that begins at {:#x}", entry.data.start),
            None => format!("there is no window at {guest_addr:#x}: it was never mapped, or has been unmapped"),
        };
        Error::new(ErrorKind::NotFound, message)
    }
}

/// What is mapped now where a window's pages are, if it is one shared mapping.
fn identity_of(native: usize, pages: &Range<u64>) -> Option<Identity> {
    let start = native & !(HOST_PAGE as usize - 1);
    let area = native::area_at(start).ok()??;
    let all = area.shared && start + (pages.end - pages.start) as usize <= area.pages.end;
    all.then(|| area.identity(start))
}
