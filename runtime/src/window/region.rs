//! Regions: memory that several apps have at the same guest address.
//!
//! A region's pages are a file in memory that is sealed: nobody can make it shorter under a reader. Its native address and its
//! guest address have the same low 32 bits, so a native pointer into it that lies in the data is, cut to 32 bits, the app's pointer.
//! For that the process has one range of address space, whose end is a multiple of 4 GiB:
//!
//! ```text
//!   native   N * 4 GiB + 0xc410_0000 ...  | region | guard | ... | (N + 1) * 4 GiB
//!   guest                0xc410_0000 ...  | region | guard | ... | 0x1_0000_0000
//! ```
//!
//! So all regions of a process together have not quite 1 GiB.
//!
//! # Locks
//! A region's list of places is locked before the space of a place, never the other way round.

use super::Rights;
use super::gaps::Gaps;
use super::space::WindowSpace;
use crate::error::{Error, ErrorKind};
use crate::instance::Instance;
use crate::os::{Access, Mapping, shared_file};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use wasmbridge_artifact::vmctx::HOST_PAGE;

/// The guest addresses of regions: in the window area of every memory that reserves 8 GiB.
const AREA: Range<u64> = 0xc410_0000..0x1_0000_0000;

/// Where regions are.
struct Places {
    mapping: Mapping,
    gaps: Mutex<Gaps>,
}

static PLACES: OnceLock<Places> = OnceLock::new();

fn places() -> Result<&'static Places, Error> {
    if let Some(places) = PLACES.get() {
        return Ok(places);
    }
    let len = (AREA.end - AREA.start) as usize;
    let mapping = Mapping::reserve(len, 1 << 32, len);
    let mapping = mapping.map_err(|e| Error::os("cannot reserve address space for regions", e))?;
    // Another thread may have been faster: then this reservation goes again.
    Ok(PLACES.get_or_init(|| Places { mapping, gaps: Mutex::new(Gaps::new(AREA)) }))
}

impl Places {
    fn gaps(&self) -> MutexGuard<'_, Gaps> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(guest_addr: u64) -> usize {
        (guest_addr - AREA.start) as usize
    }
}

/// The guest address that has the same low 32 bits as native pages, if they are a region's.
pub(super) fn guest_addr_of(pages: &Range<usize>) -> Option<u64> {
    let start = PLACES.get()?.mapping.start() as usize;
    let len = (AREA.end - AREA.start) as usize;
    (start <= pages.start && pages.end <= start + len).then(|| AREA.start + (pages.start - start) as u64)
}

/// Memory that several apps may be given, each with rights of its own, at the same guest address.
///
/// Cloning it gives another name for the same region. Its memory goes when no name of it is left and no app has it. All of its functions may be
/// called on any thread, also while apps that have it are running.
#[derive(Debug, Clone)]
pub struct Region(pub(super) Arc<Shared>);

/// What an app is given of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// what the app may do
    pub rights: Rights,
    /// The app sees the region only in callbacks with a `[window]` parameter that points into it.
    pub in_callbacks_only: bool,
}

impl From<Rights> for Grant {
    fn from(rights: Rights) -> Grant {
        Grant { rights, in_callbacks_only: false }
    }
}

/// What a region is made of.
#[derive(Debug)]
pub(crate) struct Shared {
    file: File,
    guest_addr: u64,
    len: u64,
    native: usize,
    /// the apps that have it or had it
    places: Mutex<Vec<Weak<WindowSpace>>>,
}

impl Region {
    /// Makes a region of `len_bytes`, all zero.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the length is 0; [`ErrorKind::Limit`] if there is no room for it among the process's regions.
    pub fn new(len_bytes: u64) -> Result<Region, Error> {
        let Some(pages) = len_bytes.checked_next_multiple_of(HOST_PAGE).filter(|&pages| pages > 0) else {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("a region of {len_bytes} bytes")));
        };
        let places = places()?;
        let taken = pages.checked_add(HOST_PAGE).and_then(|len| places.gaps().take_high(len));
        let guest_addr = taken.ok_or_else(|| {
            let longest = places.gaps().longest().saturating_sub(HOST_PAGE);
            let message =
                format!("no room for a region of {len_bytes} bytes: the process has room for one of {longest} bytes");
            Error::new(ErrorKind::Limit, message)
        })?;
        let at = Places::at(guest_addr);
        let made = shared_file(c"wasmbridge-region", pages).and_then(|file| {
            places.mapping.share_file(at, pages as usize, file.as_fd(), 0, Access::ReadWrite)?;
            Ok(file)
        });
        let file = made.map_err(|e| {
            places.gaps().give_back(guest_addr, pages + HOST_PAGE);
            Error::os(format!("cannot make a region of {len_bytes} bytes"), e)
        })?;
        let native = places.mapping.start() as usize + at;
        Ok(Region(Arc::new(Shared { file, guest_addr, len: len_bytes, native, places: Mutex::default() })))
    }

    /// Where the host has it: readable and writable, whatever apps may do.
    pub fn native_ptr(&self) -> *mut u8 {
        self.0.native as *mut u8
    }

    /// Where every app that is granted it has it: the low 32 bits of the native address.
    pub fn guest_addr(&self) -> u64 {
        self.0.guest_addr
    }

    /// Its length in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.0.len
    }

    /// Gives the region to an app, or changes what the app may do with it. It takes effect at once, in code that is running too.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] if the app's address space has no place for it; [`ErrorKind::NotFound`] if the app has no memory.
    pub fn grant(&self, app: &Instance, grant: impl Into<Grant>) -> Result<(), Error> {
        self.grant_space(app.data().windows()?, grant.into())
    }

    /// Takes the region from an app. When it returns no access of the app's succeeds, on any thread. Whether the app had it.
    ///
    /// C functions that the app has called with pointers into the region, and that are still running, are not stopped.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the app has no memory; [`ErrorKind::Os`].
    pub fn revoke(&self, app: &Instance) -> Result<bool, Error> {
        let _order = self.0.lock();
        app.data().windows()?.detach(&self.0)
    }

    /// Takes the region from all apps that have it. How many these were.
    ///
    /// # Errors
    /// [`ErrorKind::Os`]: then some may have it yet.
    pub fn revoke_all(&self) -> Result<usize, Error> {
        let places = self.0.lock();
        let mut count = 0;
        for space in places.iter().filter_map(Weak::upgrade) {
            count += usize::from(space.detach(&self.0)?);
        }
        Ok(count)
    }

    /// Takes the region from one app and gives it to another one: at no time both have it. On an error all is as it was.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the first one does not have it; as for [`Region::grant`].
    pub fn move_to(&self, from: &Instance, to: &Instance, grant: impl Into<Grant>) -> Result<(), Error> {
        let (from, to) = (from.data().windows()?, to.data().windows()?);
        let before = from.grant_of(&self.0).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the region cannot be moved from an app that does not have it")
        })?;
        {
            let _order = self.0.lock();
            from.detach(&self.0)?;
        }
        self.grant_space(to, grant.into()).inspect_err(|_| {
            // The place is there yet, and opening it takes nothing that the kernel could lack.
            let _ = self.grant_space(from, before);
        })
    }

    /// What an app may do with the region; `None` if it does not have it.
    pub fn rights_of(&self, app: &Instance) -> Option<Grant> {
        app.data().windows().ok()?.grant_of(&self.0)
    }

    fn grant_space(&self, space: &Arc<WindowSpace>, grant: Grant) -> Result<(), Error> {
        let mut places = self.0.lock();
        space.attach(&self.0, grant.rights, grant.in_callbacks_only)?;
        let weak = Arc::downgrade(space);
        if !places.iter().any(|known| known.ptr_eq(&weak)) {
            places.retain(|known| known.strong_count() > 0);
            places.push(weak);
        }
        Ok(())
    }
}

impl WindowSpace {
    fn grant_of(&self, region: &Shared) -> Option<Grant> {
        let table = self.read();
        let entry = table.windows.get(&region.guest_addr).filter(|e| e.is_region())?;
        Some(Grant { rights: entry.rights, in_callbacks_only: entry.for_calls })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<WindowSpace>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn guest_addr(&self) -> u64 {
        self.guest_addr
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Its length in bytes of whole pages.
    pub(super) fn pages(&self) -> u64 {
        self.len.next_multiple_of(HOST_PAGE)
    }

    pub(super) fn native(&self) -> usize {
        self.native
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // No app has it any more: those that had it have a closed place.
        let spaces = std::mem::take(&mut *self.lock());
        for space in spaces.iter().filter_map(Weak::upgrade) {
            space.release(self);
        }
        let places = PLACES.get().expect("it has a place");
        let (at, pages) = (Places::at(self.guest_addr), self.pages());
        if places.mapping.clear(at, pages as usize).is_ok() {
            places.gaps().give_back(self.guest_addr, pages + HOST_PAGE);
        }
    }
}
