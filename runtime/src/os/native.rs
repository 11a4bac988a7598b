//! What the process has mapped at its native addresses, and how private pages become ones that can be shared.

use super::mapping::{Access, Mapping, shared_file};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use wasmbridge_artifact::vmctx::HOST_PAGE;

/// A mapping of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) pages: Range<usize>,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
    /// whether a write is seen by others who map the same: `MAP_SHARED`
    pub(crate) shared: bool,
    /// bytes of one of its pages
    pub(crate) page_size: u64,
    /// what is mapped: device and inode of the file, all 0 if there is none
    pub(crate) file: (u32, u32, u64),
    /// where `pages.start` is in that
    pub(crate) offset: u64,
}

impl Area {
    /// What one of its pages is: the file, and where in it.
    pub(crate) fn identity(&self, page: usize) -> ((u32, u32, u64), u64) {
        (self.file, self.offset + (page - self.pages.start) as u64)
    }
}

/// The mapping that an address is in, if it is in one.
pub(crate) fn area_at(address: usize) -> io::Result<Option<Area>> {
    let mut maps = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
    if maps.as_ref().is_none_or(|open| !open.process.is_this()) {
        *maps = Some(Maps { process: Process::this()?, file: File::open("/proc/self/maps")?, can_query: true });
    }
    let maps = maps.as_mut().expect("just opened");
    if maps.can_query {
        match query(&maps.file, address) {
            // Linux before 6.11.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL)) => maps.can_query = false,
            done => return done,
        }
    }
    read(address)
}

/// All mappings that a range touches, without a gap; `None` if there is one.
pub(crate) fn areas(pages: &Range<usize>) -> io::Result<Option<Vec<Area>>> {
    let mut areas: Vec<Area> = Vec::new();
    let mut at = pages.start;
    while at < pages.end {
        let Some(area) = area_at(at)? else { return Ok(None) };
        at = area.pages.end;
        areas.push(area);
    }
    Ok(Some(areas))
}

/// The file of the shared mapping that a page is in, where the page is in it, and what the mapping allows; `None` if it is not mapped from a regular
/// file or shared memory. The kernel lets those open it who have `CAP_CHECKPOINT_RESTORE` (proc_pid_map_files(5)).
pub(crate) fn shared_file_at(page: usize) -> io::Result<Option<(File, u64, Access)>> {
    let Some(area) = area_at(page)?.filter(|area| area.shared) else { return Ok(None) };
    let path = format!("/proc/self/map_files/{:x}-{:x}", area.pages.start, area.pages.end);
    // A device would be opened a second time, which may do anything.
    if !std::fs::metadata(&path)?.is_file() {
        return Ok(None);
    }
    let file = File::options().read(true).write(area.writable).open(path)?;
    let access = if area.writable { Access::ReadWrite } else { Access::Read };
    Ok(Some((file, area.identity(page).1, access)))
}

/// How many mappings the process has, and how many the kernel allows.
pub(crate) fn mapping_count() -> Option<(usize, usize)> {
    let maps = std::fs::read("/proc/self/maps").ok()?;
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    Some((maps.iter().filter(|&&byte| byte == b'\n').count(), limit.trim().parse().ok()?))
}

/// Whether some of these pages are a thread's stack.
///
/// Nothing says so of a mapping: the kernel names the main thread's only. But the C library keeps what it knows of a thread at the top of the thread's
/// stack, and with it the list of robust mutexes, whose address the kernel is told and tells (get_robust_list(2)). So a stack is what lies below
/// that in its mapping. Stacks of which no thread of the C library's begins, such as those of coroutines, are not known.
pub(crate) fn has_stack(pages: &Range<usize>) -> bool {
    let overlaps = |stack: Range<usize>| stack.start < pages.end && pages.start < stack.end;
    let own = super::thread_stack();
    overlaps(own.low..own.high) || main_stack().is_some_and(overlaps) || thread_stacks().into_iter().any(overlaps)
}

fn main_stack() -> Option<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).and_then(parse)?;
    Some(stack.pages)
}

/// The stacks of all threads but the main one.
fn thread_stacks() -> Vec<Range<usize>> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let ids = threads.filter_map(|thread| thread.ok()?.file_name().to_str()?.parse::<libc::pid_t>().ok());
    let stacks = ids.filter_map(|id| {
        let (mut list, mut len) = (0usize, 0usize);
        // SAFETY: the kernel writes two words. A thread may have ended meanwhile: then it says so.
        let done = unsafe { libc::syscall(libc::SYS_get_robust_list, id, &raw mut list, &raw mut len) };
        let area = if done == 0 && list != 0 { area_at(list).ok()?? } else { return None };
        Some(area.pages.start..(list + 1).next_multiple_of(HOST_PAGE as usize))
    });
    stacks.collect()
}

/// Copies private pages to a file in memory and maps that in their place: every pointer to them stays good, and they can be shared.
/// The file is as long as `pages`.
///
/// # Safety
/// `areas` are all mappings that `pages` touches, private and readable; nobody writes to the pages meanwhile.
pub(crate) unsafe fn adopt(pages: &Range<usize>, areas: &[Area]) -> io::Result<File> {
    let file = shared_file(c"wasmbridge-adopted", pages.len() as u64)?;
    // SAFETY: readable, and not written to: the caller's promise. `write` itself copes with pages that are not there.
    let bytes = unsafe { std::slice::from_raw_parts(pages.start as *const u8, pages.len()) };
    file.write_all_at(bytes, 0)?;
    for area in areas {
        let start = area.pages.start.max(pages.start);
        let end = area.pages.end.min(pages.end);
        let access = if area.writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        // SAFETY: replaces private pages of the process by ones with the same content and access.
        let address = unsafe {
            let at = start as *mut libc::c_void;
            let flags = libc::MAP_SHARED | libc::MAP_FIXED;
            libc::mmap(at, end - start, access, flags, file.as_raw_fd(), (start - pages.start) as libc::off_t)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(file)
}

/// The descriptor shows the process that has opened it: not the one that asks, after a `fork`.
struct Maps {
    process: Process,
    file: File,
    can_query: bool,
}

/// Which process this is, as far as it can be told without a system call: a page that the kernel wipes in a child.
struct Process(Mapping);

impl Process {
    fn this() -> io::Result<Process> {
        let len = HOST_PAGE as usize;
        let page = Mapping::reserve(len, len, 0)?;
        page.protect(0, len, Access::ReadWrite)?;
        // Before Linux 4.14 the page stays as it is, 0, and is that of no process: then the file is opened each time.
        // SAFETY: the mapping's own page, whose content nobody has an interest in.
        if unsafe { libc::madvise(page.start().cast(), len, libc::MADV_WIPEONFORK) } == 0 {
            // SAFETY: writable, and only this function writes to it.
            unsafe { page.start().write_volatile(1) };
        }
        Ok(Process(page))
    }

    fn is_this(&self) -> bool {
        // SAFETY: readable; the kernel writes to it between two processes only.
        unsafe { self.0.start().read_volatile() == 1 }
    }
}

static MAPS: Mutex<Option<Maps>> = Mutex::new(None);

/// `struct procmap_query` of `linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

/// `PROCMAP_QUERY`: `_IOWR('f', 17, struct procmap_query)`
const PROCMAP_QUERY: libc::c_ulong =
    3 << 30 | (size_of::<Query>() as libc::c_ulong) << 16 | (b'f' as libc::c_ulong) << 8 | 17;

/// Asks for one mapping: a system call, however many there are.
fn query(maps: &File, address: usize) -> io::Result<Option<Area>> {
    let mut query = Query { size: size_of::<Query>() as u64, query_addr: address as u64, ..Query::default() };
    // SAFETY: the kernel reads and writes a structure of the size that it is told.
    if unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY as _, &raw mut query) } != 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENOENT) { Ok(None) } else { Err(error) };
    }
    let has = |flag: u64| query.vma_flags & flag != 0;
    Ok(Some(Area {
        pages: query.vma_start as usize..query.vma_end as usize,
        readable: has(1),
        writable: has(2),
        executable: has(4),
        shared: has(8),
        page_size: query.vma_page_size,
        file: (query.dev_major, query.dev_minor, query.inode),
        offset: query.vma_offset,
    }))
}

/// The same from the text that every kernel has.
fn read(address: usize) -> io::Result<Option<Area>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    Ok(maps.lines().filter_map(parse).find(|area| area.pages.contains(&address)))
}

/// A line of `/proc/self/maps` (proc_pid_maps(5)).
fn parse(line: &str) -> Option<Area> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let access = fields.next()?.as_bytes();
    let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let inode = fields.next()?.parse().ok()?;
    Some(Area {
        pages: usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?,
        readable: access.first() == Some(&b'r'),
        writable: access.get(1) == Some(&b'w'),
        executable: access.get(2) == Some(&b'x'),
        shared: access.get(3) == Some(&b's'),
        page_size: HOST_PAGE,
        file: (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?, inode),
        offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn both_ways_of_asking_agree() {
        let mapping = Mapping::reserve(3 << 12, 1 << 12, 0).unwrap();
        let file = shared_file(c"test", 1 << 12).unwrap();
        mapping.share_file(1 << 12, 1 << 12, file.as_fd(), 0, Access::Read).unwrap();
        let address = mapping.start() as usize + (1 << 12);
        let area = area_at(address + 5).unwrap().unwrap();
        assert_eq!(area.pages, address..address + (1 << 12));
        assert!(area.shared && area.readable && !area.writable && !area.executable);
        for address in [address, address - 1, both_ways_of_asking_agree as fn() as usize] {
            assert_eq!(read(address).unwrap(), area_at(address).unwrap());
        }
        assert_eq!(area_at(8).unwrap(), None);
        let span = mapping.start() as usize..mapping.start() as usize + (3 << 12);
        assert_eq!(areas(&span).unwrap().unwrap().len(), 3);
    }

    #[test]
    fn the_file_behind_a_shared_mapping() {
        let mapping = Mapping::reserve(4 << 12, 1 << 12, 0).unwrap();
        let file = shared_file(c"test", 2 << 12).unwrap();
        file.write_all_at(&[5], 1 << 12).unwrap();
        mapping.share_file(0, 2 << 12, file.as_fd(), 0, Access::ReadWrite).unwrap();
        let at = |page: usize| mapping.start() as usize + (page << 12);
        assert!(shared_file_at(at(2)).unwrap().is_none(), "private");
        assert!(shared_file_at(8).unwrap().is_none(), "not mapped");
        match shared_file_at(at(1)) {
            Ok(found) => {
                let (found, offset, access) = found.unwrap();
                assert_eq!((offset, access), (1 << 12, Access::ReadWrite));
                mapping.share_file(2 << 12, 1 << 12, found.as_fd(), offset, access).unwrap();
                // SAFETY: readable and writable pages of this test's.
                unsafe {
                    assert_eq!((at(2) as *const u8).read(), 5);
                    (at(2) as *mut u8).write(6);
                    assert_eq!((at(1) as *const u8).read(), 6);
                }
            }
            Err(e) => assert_eq!(e.raw_os_error(), Some(libc::EPERM), "{e}"),
        }
    }

    #[test]
    fn stacks_are_known() {
        let around = |address: usize| address & !0xfff..(address & !0xfff) + 0x1000;
        let local = 0u8;
        assert!(has_stack(&around(std::ptr::from_ref(&local) as usize)));
        assert!(!has_stack(&around(stacks_are_known as fn() as usize)));
        let heap = Box::new([0u8; 64 << 10]);
        assert!(!has_stack(&around(heap.as_ptr() as usize + 0x8000)));
        // Another thread's, near its top and far below it.
        let (sender, receiver) = std::sync::mpsc::channel();
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let deep = [1u8; 256 << 10];
            sender.send(std::hint::black_box(&deep).as_ptr() as usize).unwrap();
            let _ = wait.recv();
        });
        let deep = receiver.recv().unwrap();
        assert!(has_stack(&around(deep)) && has_stack(&around(deep + (255 << 10))));
        assert!(has_stack(&(deep & !0xfff..(deep & !0xfff) + 0x10000)));
        drop(done);
        thread.join().unwrap();
    }

    #[test]
    fn adopted_pages_keep_their_bytes_and_access() {
        let mapping = Mapping::reserve(2 << 12, 1 << 12, 0).unwrap();
        mapping.protect(0, 2 << 12, Access::ReadWrite).unwrap();
        let start = mapping.start();
        // SAFETY: writable pages of this test's.
        unsafe { start.add(5000).write(77) };
        mapping.protect(0, 1 << 12, Access::Read).unwrap();
        let pages = start as usize..start as usize + (2 << 12);
        let before = areas(&pages).unwrap().unwrap();
        // SAFETY: pages of this test's.
        let file = unsafe { adopt(&pages, &before) }.unwrap();
        let after = areas(&pages).unwrap().unwrap();
        assert_eq!(after.iter().map(|a| a.writable).collect::<Vec<_>>(), [false, true]);
        assert!(after.iter().all(|a| a.shared));
        let mut byte = [0];
        file.read_exact_at(&mut byte, 5000).unwrap();
        assert_eq!(byte, [77]);
        assert!(file.set_len(0).is_err(), "it is sealed");
    }
}
