//! Ranges of address space.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasmbridge_artifact::vmctx::HOST_PAGE;

/// What may be done with pages. There is no "write and execute".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// nothing
    None,
    /// read
    Read,
    /// read and write
    ReadWrite,
    /// read and execute
    ReadExecute,
}

impl Access {
    fn bits(self) -> libc::c_int {
        match self {
            Access::None => libc::PROT_NONE,
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Access::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        }
    }
}

/// A range of address space of this process, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: *mut u8,
    len: usize,
    /// where the pages are that stay for a while ([`Mapping::outlive`]), and how many bytes; 0 if there are none
    outliving: (AtomicUsize, AtomicUsize),
    /// the address that was to be aligned; 0 if there is none
    aligned: usize,
}

/// Pages of mappings that are gone: the oldest first.
static OUTLIVING: Mutex<VecDeque<Outliving>> = Mutex::new(VecDeque::new());
/// How long such pages stay at least, if there are not too many.
const STAY: Duration = Duration::from_secs(1);
/// How many there may be: each keeps the address space around it, some 12 GiB of a 131,072, from being used as a whole again. Whoever makes and ends instances as fast as can be needs 15
/// milliseconds for as many.
const STAYING: usize = 512;
/// How many stay when there is no room.
const FEW_STAYING: usize = 4;

/// Pages that stay for a while.
struct Outliving {
    since: Instant,
    _pages: Mapping,
    /// where the next aligned reservation may be when they are gone
    aligned: usize,
}

/// Where the byte at `offset` of the latest aligned reservation is, or was, or of one that is gone: who makes and ends instances finds a place free again, and need not
/// reserve more than it takes to cut an aligned part out of it.
static FREE_AGAIN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: a `Mapping` is an address and a length; what is done with the memory is its owner's affair.
unsafe impl Send for Mapping {}
// SAFETY: see above; all methods that change the mapping take the kernel's own lock.
unsafe impl Sync for Mapping {}

fn check_pages(offset: usize, len: usize, whole: usize) {
    assert!((offset as u64 | len as u64).is_multiple_of(HOST_PAGE), "{offset:#x} + {len:#x}: not whole pages");
    assert!(offset.checked_add(len).is_some_and(|end| end <= whole), "{offset:#x} + {len:#x}: beyond {whole:#x}");
}

impl Mapping {
    /// Reserves `len` bytes, inaccessible, so that the byte at `offset` lies at a multiple of `align` (a power of two).
    pub(crate) fn reserve(len: usize, align: usize, offset: usize) -> io::Result<Mapping> {
        check_pages(offset, len - offset, len);
        assert!(align.is_power_of_two() && (align as u64).is_multiple_of(HOST_PAGE));
        if align as u64 <= HOST_PAGE {
            return Mapping::new(std::ptr::null_mut(), len, 0);
        }
        let aligned = FREE_AGAIN.load(Ordering::Relaxed);
        if aligned >= offset && aligned != 0 && aligned.is_multiple_of(align) {
            let start = (aligned - offset) as *mut libc::c_void;
            if let Ok(mut mapping) = Mapping::new(start, len, libc::MAP_FIXED_NOREPLACE)
                && mapping.start.cast() == start
            {
                mapping.aligned = aligned;
                return Ok(mapping);
            }
        }
        let whole = len.checked_add(align).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let reserve = || Mapping::new(std::ptr::null_mut(), whole, 0);
        // What stays between others may be in the way, where there is less address space (valgrind's programs have less).
        let mapping = reserve().or_else(|error| if give_up_outliving(FEW_STAYING) { reserve() } else { Err(error) })?;
        let aligned = (mapping.start as usize + offset).next_multiple_of(align);
        FREE_AGAIN.store(aligned, Ordering::Relaxed);
        let skip = aligned - offset - mapping.start as usize;
        let mut mapping = mapping.trim(skip, len);
        mapping.aligned = aligned;
        Ok(mapping)
    }

    /// Reserves address space: anywhere, or at `place` if that is free (`MAP_FIXED_NOREPLACE`, which kernels before 4.17 take as a wish).
    fn new(place: *mut libc::c_void, len: usize, flags: libc::c_int) -> io::Result<Mapping> {
        let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping touches nothing that exists: `MAP_FIXED` is not among the flags.
        let address = unsafe { libc::mmap(place, len, libc::PROT_NONE, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping::of(address.cast(), len))
    }

    /// A mapping of a file's first `len` bytes, whole pages, copied on the first write where `access` allows it.
    pub(crate) fn of_file(file: &File, len: usize, access: Access) -> io::Result<Mapping> {
        check_pages(0, len, len);
        // SAFETY: as in `new`.
        let address =
            unsafe { libc::mmap(std::ptr::null_mut(), len, access.bits(), libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Mapping::of(address.cast(), len)) }
    }

    /// Keeps `[skip, skip + len)` and unmaps what is before and after.
    fn trim(self, skip: usize, len: usize) -> Mapping {
        let whole = std::mem::ManuallyDrop::new(self);
        let after = whole.len - skip - len;
        // SAFETY: `skip + len <= whole.len` by the caller's choice of slack, so all pointers stay inside the mapping.
        let (start, end) = unsafe { (whole.start.add(skip), whole.start.add(skip + len)) };
        if skip > 0 {
            // SAFETY: the range is the front of a mapping that `whole` owns and gives up here.
            unsafe { libc::munmap(whole.start.cast(), skip) };
        }
        if after > 0 {
            // SAFETY: likewise its end.
            unsafe { libc::munmap(end.cast(), after) };
        }
        Mapping::of(start, len)
    }

    fn of(start: *mut u8, len: usize) -> Mapping {
        Mapping { start, len, outliving: Default::default(), aligned: 0 }
    }

    /// Lets `[offset, offset + len)` stay for a while after the mapping is gone, as it is then, for readers who were late.
    pub(crate) fn outlive(&self, offset: usize, len: usize) {
        check_pages(offset, len, self.len);
        self.outliving.0.store(offset, Ordering::Relaxed);
        self.outliving.1.store(len, Ordering::Relaxed);
    }

    /// First byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start
    }

    /// Changes what may be done with `[offset, offset + len)`, whole pages.
    ///
    /// Not for making pages executable: that is refused under `PR_SET_MDWE`. Map a file instead ([`Mapping::map_file`]).
    pub(crate) fn protect(&self, offset: usize, len: usize, access: Access) -> io::Result<()> {
        check_pages(offset, len, self.len);
        assert_ne!(access, Access::ReadExecute, "code is mapped from a file, not made executable");
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range is inside this mapping (checked above); its memory is reached by raw pointers only, whose users
        // know that pages they have not been given fault.
        let done = unsafe { libc::mprotect(self.start.add(offset).cast(), len, access.bits()) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Replaces `[offset, offset + len)` by that range of a file from `file_offset` on: writable pages are copied on the first write.
    pub(crate) fn map_file(
        &self,
        offset: usize,
        len: usize,
        file: &File,
        file_offset: u64,
        access: Access,
    ) -> io::Result<()> {
        check_pages(offset, len, self.len);
        assert_eq!(file_offset % HOST_PAGE, 0, "file offset {file_offset:#x} is not on a page");
        if len == 0 {
            return Ok(());
        }
        self.replace(offset, len, access.bits(), libc::MAP_PRIVATE, file.as_raw_fd(), file_offset)
    }

    /// Replaces `[offset, offset + len)` by the pages of a file themselves: what is written there is in the file.
    pub(crate) fn share_file(
        &self,
        offset: usize,
        len: usize,
        file: BorrowedFd<'_>,
        file_offset: u64,
        access: Access,
    ) -> io::Result<()> {
        check_pages(offset, len, self.len);
        assert_ne!(access, Access::ReadExecute, "what is shared is not executed");
        self.replace(offset, len, access.bits(), libc::MAP_SHARED, file.as_raw_fd(), file_offset)
    }

    /// Replaces `[offset, offset + len)` by new zero pages.
    pub(crate) fn fresh(&self, offset: usize, len: usize, access: Access) -> io::Result<()> {
        check_pages(offset, len, self.len);
        self.replace(offset, len, access.bits(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// Takes everything out of `[offset, offset + len)`: inaccessible, as it was reserved.
    pub(crate) fn clear(&self, offset: usize, len: usize) -> io::Result<()> {
        check_pages(offset, len, self.len);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        self.replace(offset, len, libc::PROT_NONE, flags, -1, 0)
    }

    /// The same, but it stays one mapping of the kernel's: it does not grow together with the reservation around it. Filling it again splits
    /// nothing then, which takes about half of the time.
    pub(crate) fn vacate(&self, offset: usize, len: usize) -> io::Result<()> {
        check_pages(offset, len, self.len);
        // Mappings that differ in `MAP_NORESERVE` are not merged. Where the kernel ignores that flag (`vm.overcommit_memory` is 2), they are, and all
        // is as right as it was.
        self.replace(offset, len, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    fn replace(
        &self,
        offset: usize,
        len: usize,
        bits: libc::c_int,
        flags: libc::c_int,
        descriptor: RawFd,
        file_offset: u64,
    ) -> io::Result<()> {
        // SAFETY: `MAP_FIXED` replaces pages inside this mapping only: the callers have checked.
        let address = unsafe {
            let at = self.start.add(offset).cast();
            libc::mmap(at, len, bits, flags | libc::MAP_FIXED, descriptor, file_offset as libc::off_t)
        };
        if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Replaces `[offset, offset + len)` by the pages of another, shared mapping of this process, with the access that it has there.
    ///
    /// # Safety
    /// `[native, native + len)` are whole pages of one mapping, which is shared. No code that must not access them so runs before
    /// [`Mapping::protect`] has changed it.
    pub(crate) unsafe fn alias(&self, offset: usize, len: usize, native: usize) -> io::Result<()> {
        check_pages(offset, len, self.len);
        check_pages(native, len, usize::MAX);
        // With an old length of 0, `mremap` makes a second mapping of the same pages and leaves the first where it is
        // (mremap(2)).
        // SAFETY: `MREMAP_FIXED` replaces pages inside this mapping only (checked above); the rest is the caller's promise.
        let address = unsafe {
            let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
            libc::mremap(native as *mut libc::c_void, 0, len, flags, self.start.add(offset))
        };
        if address != libc::MAP_FAILED {
            return Ok(());
        }
        let refused = io::Error::last_os_error();
        if refused.raw_os_error() != Some(libc::EINVAL) {
            return Err(refused);
        }
        // Not every system that poses as Linux knows the old length of 0; valgrind does not. Whoever may open the files behind mappings maps them again.
        let Ok(Some((file, file_offset, access))) = super::native::shared_file_at(native) else { return Err(refused) };
        self.share_file(offset, len, file.as_fd(), file_offset, access)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let (offset, len) = (*self.outliving.0.get_mut(), *self.outliving.1.get_mut());
        if len == 0 {
            // SAFETY: the mapping is this value's own, and its owner gives up all pointers into it.
            unsafe { libc::munmap(self.start.cast(), self.len) };
            return;
        }
        let pages = Mapping::of(self.start, self.len).trim(offset, len);
        let staying = Outliving { since: Instant::now(), _pages: pages, aligned: self.aligned };
        OUTLIVING.lock().unwrap_or_else(PoisonError::into_inner).push_back(staying);
        give_up_outliving(STAYING);
    }
}

/// Gives up pages of mappings that are gone: so many may stay, if it is not too long ago. Whether there were others.
fn give_up_outliving(most: usize) -> bool {
    let mut over = Vec::new();
    let mut outliving = OUTLIVING.lock().unwrap_or_else(PoisonError::into_inner);
    while outliving.len() > most || outliving.front().is_some_and(|first| first.since.elapsed() > STAY) {
        over.extend(outliving.pop_front());
    }
    drop(outliving);
    let Some(aligned) = over.last().map(|last| last.aligned) else { return false };
    drop(over);
    FREE_AGAIN.store(aligned, Ordering::Relaxed);
    true
}

/// An anonymous file in memory.
pub(crate) fn memfd(name: &std::ffi::CStr) -> io::Result<File> {
    // SAFETY: `name` is a C string; the result is checked before it is taken as a descriptor that nobody else owns.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// A file in memory with these bytes, padded to whole pages and sealed: its content cannot change any more.
pub(crate) fn code_file(bytes: &[u8]) -> io::Result<File> {
    let mut file = memfd(c"wasmbridge-code")?;
    file.write_all(bytes)?;
    file.set_len((bytes.len() as u64).next_multiple_of(HOST_PAGE))?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
    // SAFETY: a plain call on a descriptor we own.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// A file in memory of `len` bytes, all zero, that can neither shrink nor grow: whoever maps it never meets its end.
pub(crate) fn shared_file(name: &std::ffi::CStr, len: u64) -> io::Result<File> {
    let file = memfd(name)?;
    file.set_len(len)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: a plain call on a descriptor we own.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// A mapping's bytes.
///
/// # Safety
/// `[offset, offset + len)` of the mapping is readable and does not change for as long as the result is used.
pub(crate) unsafe fn file_bytes(mapping: &Mapping, offset: usize, len: usize) -> &[u8] {
    assert!(offset.checked_add(len).is_some_and(|end| end <= mapping.len));
    // SAFETY: inside the mapping (just checked); readable and constant by the caller's promise.
    unsafe { std::slice::from_raw_parts(mapping.start.add(offset), len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_aligned_at_its_offset() {
        for offset in [0, 4096, 3 * 4096] {
            let mapping = Mapping::reserve(8 << 20, 1 << 22, offset).unwrap();
            assert_eq!((mapping.start() as usize + offset) % (1 << 22), 0);
            assert_eq!(mapping.len, 8 << 20);
            // Its place is taken, and free again later.
            let other = Mapping::reserve(8 << 20, 1 << 22, offset).unwrap();
            assert_eq!((other.start() as usize + offset) % (1 << 22), 0);
            assert!(
                other.start() as usize >= mapping.start() as usize + mapping.len
                    || mapping.start() as usize >= other.start() as usize + other.len
            );
        }
    }

    #[test]
    fn more_than_the_address_space_is_an_error() {
        assert_eq!(Mapping::reserve(1 << 60, 4096, 0).unwrap_err().raw_os_error(), Some(libc::ENOMEM));
    }

    #[test]
    fn a_code_file_cannot_be_written_again() {
        let mut file = code_file(b"\xc3").unwrap();
        assert_eq!(file.metadata().unwrap().len(), HOST_PAGE);
        assert!(file.write_all(b"x").is_err());
    }
}
