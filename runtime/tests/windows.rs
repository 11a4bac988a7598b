//! Windows: native data in linear memory.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the tests play the part of C, which knows neither unsafe nor borrowing"
)]

mod common;

use common::{call, instance, instance_with, traps};
use std::os::fd::{AsFd, FromRawFd};
use wasmbridge_runtime::{Error, ErrorKind, Instance, Rights, TrapCode, Window, WindowMode, WindowOptions};

const PAGE: usize = 4096;
const STRICT: WindowOptions =
    WindowOptions { expose_neighbours: false, allow_copy: false, no_adoption: false, right_aligned: false };

const APP: &str = r#"(module
    (memory (export "memory") 2)
    (data $d "segment")
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "add") (param i32 i32) (result i32) (i32.atomic.rmw.add (local.get 0) (local.get 1)))
    (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
    (func (export "notify") (param i32) (result i32) (memory.atomic.notify (local.get 0) (i32.const 1)))
    (func (export "v128") (param i32) (v128.store (local.get 0) (i8x16.splat (i32.const 7))))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "size") (result i32) (memory.size)))"#;

/// Native memory of whole pages.
struct Pages {
    start: *mut u8,
    len: usize,
}

impl Pages {
    fn new(count: usize, flags: i32, fd: i32) -> Pages {
        let len = count * PAGE;
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, 3, flags, fd, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        Pages { start: start.cast(), len }
    }

    fn private(count: usize) -> Pages {
        Pages::new(count, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    fn shared(count: usize) -> Pages {
        Pages::new(count, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
    }

    fn word(&self, at: usize) -> *mut i32 {
        assert!(at + 4 <= self.len);
        unsafe { self.start.add(at).cast() }
    }

    fn map(&self, app: &Instance, rights: Rights) -> Result<Window, Error> {
        unsafe { app.map_window(self.start, self.len, rights, &STRICT) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

fn memfd(len: usize) -> std::fs::File {
    let fd = unsafe { libc::memfd_create(c"test".as_ptr(), 0) };
    let file = unsafe { std::fs::File::from_raw_fd(fd) };
    file.set_len(len as u64).unwrap();
    file
}

#[track_caller]
fn fails<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(words), "{error}\nexpected: {words}");
}

#[test]
fn shared_pages_are_aliased() {
    let (app, pages) = (instance(APP), Pages::shared(2));
    unsafe { pages.word(PAGE).write(17) };
    let window = pages.map(&app, Rights::ReadWrite).unwrap();
    assert_eq!((window.mode, window.len_bytes, window.native_ptr), (WindowMode::Aliased, 2 * PAGE as u64, pages.start));
    let at = window.guest_addr;
    assert!(at >= 3 << 30);
    assert_eq!(call(&app, "load", &[at + PAGE as u64]).unwrap(), 17);
    call(&app, "store", &[at + 8, 42]).unwrap();
    assert_eq!(unsafe { pages.word(8).read() }, 42);
    assert_eq!(call(&app, "add", &[at + 8, 3]).unwrap(), 42);
    assert_eq!(unsafe { pages.word(8).read() }, 45);
    call(&app, "v128", &[at + 2 * PAGE as u64 - 16]).unwrap();
    assert_eq!(unsafe { pages.word(2 * PAGE - 4).read() }, 0x0707_0707);
    app.unmap_window(at).unwrap();
    traps(&app, "load", &[at], "guest address");
    assert_eq!(unsafe { pages.word(8).read() }, 45, "the data is the host's");
}

#[test]
fn private_pages_are_adopted_where_they_are() {
    let (app, pages) = (instance(APP), Pages::private(3));
    unsafe { pages.word(4).write(1) };
    let inner = unsafe { pages.start.add(PAGE) };
    unsafe { inner.cast::<i32>().write(99) };
    // Of three pages, the one in the middle.
    let window = unsafe { app.map_window(inner, PAGE, Rights::ReadWrite, &STRICT) }.unwrap();
    assert_eq!(window.mode, WindowMode::Adopted);
    assert_eq!(call(&app, "load", &[window.guest_addr]).unwrap(), 99);
    call(&app, "store", &[window.guest_addr, 100]).unwrap();
    assert_eq!(unsafe { inner.cast::<i32>().read() }, 100, "the pointer is good");
    unsafe { inner.cast::<i32>().write(101) };
    assert_eq!(call(&app, "load", &[window.guest_addr]).unwrap(), 101);
    app.unmap_window(window.guest_addr).unwrap();
    // The second time they are shared already.
    let window = unsafe { app.map_window(inner, PAGE, Rights::Read, &STRICT) }.unwrap();
    assert_eq!(window.mode, WindowMode::Aliased);
    assert_eq!(call(&app, "load", &[window.guest_addr]).unwrap(), 101);
    assert_eq!(unsafe { pages.word(4).read() }, 1);
    let no_adoption = WindowOptions { no_adoption: true, ..STRICT };
    fails(
        unsafe { app.map_window(pages.start, PAGE, Rights::Read, &no_adoption) },
        ErrorKind::InvalidArgument,
        "are not to be adopted",
    );
}

#[repr(C, align(4096))]
struct Static(std::cell::UnsafeCell<[u8; PAGE]>);
unsafe impl Sync for Static {}
static DATA: Static = Static(std::cell::UnsafeCell::new([5; PAGE]));

#[test]
fn static_data_is_adopted_and_code_is_not() {
    let app = instance(APP);
    let window = unsafe { app.map_window(DATA.0.get().cast(), PAGE, Rights::ReadWrite, &STRICT) }.unwrap();
    assert_eq!(window.mode, WindowMode::Adopted);
    call(&app, "fill", &[window.guest_addr + 10, 7, 10]).unwrap();
    let bytes = unsafe { DATA.0.get().read() };
    assert_eq!(bytes[8..22], [5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 5, 5]);
    let code = (static_data_is_adopted_and_code_is_not as fn() as usize & !(PAGE - 1)) as *mut u8;
    fails(unsafe { app.map_window(code, PAGE, Rights::Read, &STRICT) }, ErrorKind::InvalidArgument, "executable");
}

#[test]
fn a_small_object_is_refused_or_copied_or_shown_with_its_neighbours() {
    let (app, pages) = (instance(APP), Pages::shared(1));
    let object = unsafe { pages.start.add(100) };
    unsafe { object.write_bytes(9, 20) };
    let map = |options| unsafe { app.map_window(object, 20, Rights::ReadWrite, &options) };
    fails(map(STRICT), ErrorKind::InvalidArgument, "100 bytes before it, 3976 behind it");

    let window = map(WindowOptions { allow_copy: true, ..STRICT }).unwrap();
    assert_eq!(window.mode, WindowMode::Copied);
    let at = window.guest_addr;
    assert_eq!(at % 4, 0, "aligned like the data");
    assert_eq!(call(&app, "load", &[at + 16]).unwrap(), 0x0909_0909);
    traps(&app, "load", &[at + 17], "");
    traps(&app, "load8", &[at + 20], "0 bytes past the end of the window of 20 bytes");
    call(&app, "store", &[at, 1]).unwrap();
    assert_eq!(unsafe { object.cast::<i32>().read_unaligned() }, 0x0909_0909, "not yet");
    unsafe { app.copy_out_of_window(at) }.unwrap();
    assert_eq!(unsafe { object.cast::<i32>().read_unaligned() }, 1);
    unsafe { object.cast::<i32>().write_unaligned(2) };
    unsafe { app.copy_into_window(at) }.unwrap();
    assert_eq!(call(&app, "load", &[at]).unwrap(), 2);
    call(&app, "store", &[at, 3]).unwrap();
    app.unmap_window(at).unwrap();
    assert_eq!(unsafe { object.cast::<i32>().read_unaligned() }, 3);
    assert_eq!(unsafe { (object.sub(1).read(), object.add(20).read()) }, (0, 0), "the neighbours are as they were");

    let window = map(WindowOptions { expose_neighbours: true, ..STRICT }).unwrap();
    assert_eq!((window.mode, window.guest_addr % PAGE as u64), (WindowMode::Aliased, 100));
    assert_eq!(call(&app, "load", &[window.guest_addr]).unwrap(), 3);
}

#[test]
fn a_stack_is_copied_only() {
    let app = instance(APP);
    let mut local = [3i32; 3000];
    let options = WindowOptions { expose_neighbours: true, ..STRICT };
    let start = local.as_mut_ptr().cast::<u8>();
    fails(unsafe { app.map_window(start, 12_000, Rights::Read, &options) }, ErrorKind::InvalidArgument, "on a stack");
    let options = WindowOptions { allow_copy: true, ..options };
    let window = unsafe { app.map_window(start, 12_000, Rights::ReadWrite, &options) }.unwrap();
    call(&app, "store", &[window.guest_addr + 11_996, 4]).unwrap();
    app.unmap_window(window.guest_addr).unwrap();
    assert_eq!((local[0], local[2999]), (3, 4));

    // Another thread's, which looks like any private memory.
    let (sender, receiver) = std::sync::mpsc::channel();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let mut local = [5i32; 3000];
        sender.send(local.as_mut_ptr() as usize).unwrap();
        let _ = wait.recv();
        std::hint::black_box(local)[2999]
    });
    let start = receiver.recv().unwrap();
    let page = start.next_multiple_of(PAGE) as *mut u8;
    fails(unsafe { app.map_window(page, PAGE, Rights::Read, &STRICT) }, ErrorKind::InvalidArgument, "on a stack");
    let window = unsafe { app.map_window(start as *mut u8, 12_000, Rights::ReadWrite, &options) }.unwrap();
    assert_eq!((window.mode, call(&app, "load", &[window.guest_addr]).unwrap()), (WindowMode::Copied, 5));
    call(&app, "store", &[window.guest_addr + 11_996, 6]).unwrap();
    app.unmap_window(window.guest_addr).unwrap();
    drop(done);
    assert_eq!(thread.join().unwrap(), 6);
}

#[test]
fn right_aligned_data_ends_at_the_guard() {
    let (app, pages) = (instance(APP), Pages::shared(1));
    let options = WindowOptions { right_aligned: true, expose_neighbours: true, ..STRICT };
    let map = |from: usize, len, options: &WindowOptions| unsafe {
        app.map_window(pages.start.add(from), len, Rights::Read, options)
    };
    let window = map(PAGE - 12, 12, &options).unwrap();
    assert_eq!(window.mode, WindowMode::Aliased);
    call(&app, "load", &[window.guest_addr + 8]).unwrap();
    traps(&app, "load", &[window.guest_addr + 9], "past the end");
    fails(map(0, 12, &options), ErrorKind::InvalidArgument, "4084 bytes before the end of a page");
    let window = map(0, 12, &WindowOptions { allow_copy: true, ..options }).unwrap();
    traps(&app, "load", &[window.guest_addr + 9], "");
}

#[test]
fn rights_are_the_mmus() {
    let (app, pages) = (instance(APP), Pages::shared(1));
    let at = pages.map(&app, Rights::Read).unwrap().guest_addr;
    call(&app, "load", &[at]).unwrap();
    for (name, args) in [("store", vec![at, 1]), ("add", vec![at, 1]), ("v128", vec![at])] {
        traps(&app, name, &args, "in the window of 4096 bytes at");
        traps(&app, name, &args, "which is read-only");
    }
    traps(&app, "fill", &[at, 1, 1], "may not be written");
    traps(&app, "copy", &[at, 0, 1], "may not be written");
    traps(&app, "init", &[at, 0, 1], "may not be written");
    call(&app, "copy", &[0, at, 100]).unwrap();
    app.protect_window(at, Rights::ReadWrite).unwrap();
    call(&app, "store", &[at, 5]).unwrap();
    app.protect_window(at, Rights::Read).unwrap();
    traps(&app, "store", &[at, 6], "read-only");
    assert_eq!(unsafe { pages.word(0).read() }, 5);
    assert_eq!(app.window_at(at + 5).unwrap().rights, Rights::Read);
    assert_eq!(app.window_at(at - 5), None);
}

#[test]
fn a_read_only_mapping_gives_a_read_only_window() {
    let (app, file) = (instance(APP), memfd(PAGE));
    use std::os::fd::AsRawFd;
    let start =
        unsafe { libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    let map = |rights| unsafe { app.map_window(start.cast(), PAGE, rights, &STRICT) };
    fails(map(Rights::ReadWrite), ErrorKind::InvalidArgument, "ask for read-only");
    map(Rights::Read).unwrap();

    let directory = std::env::temp_dir().join(format!("wasmbridge-windows-{}", std::process::id()));
    std::fs::write(&directory, [1; PAGE]).unwrap();
    let read_only = std::fs::File::open(&directory).unwrap();
    std::fs::remove_file(&directory).unwrap();
    let null = std::ptr::null_mut();
    let window = app.map_file_window(read_only.as_fd(), 0, PAGE as u64, Rights::Read, null).unwrap();
    assert_eq!(call(&app, "load", &[window.guest_addr]).unwrap(), 0x0101_0101);
    fails(app.protect_window(window.guest_addr, Rights::ReadWrite), ErrorKind::InvalidArgument, "reading only");
    assert!(app.map_file_window(read_only.as_fd(), 0, PAGE as u64, Rights::ReadWrite, null).is_err());
    assert_eq!(call(&app, "load", &[window.guest_addr]).unwrap(), 0x0101_0101);
}

#[test]
fn bulk_instructions_know_windows_and_their_edges() {
    let (app, pages) = (instance(APP), Pages::shared(2));
    let at = pages.map(&app, Rights::ReadWrite).unwrap().guest_addr;
    let (end, len) = (at + pages.len as u64, pages.len as u64);
    call(&app, "fill", &[at, 0x11, len]).unwrap();
    call(&app, "init", &[end - 7, 0, 7]).unwrap();
    assert_eq!(unsafe { std::slice::from_raw_parts(pages.start.add(pages.len - 8), 8) }, b"\x11segment");
    call(&app, "copy", &[100, end - 7, 7]).unwrap();
    assert_eq!(call(&app, "load", &[100]).unwrap(), i32::from_le_bytes(*b"segm"));
    // Overlapping, both ways.
    call(&app, "copy", &[end - 9, end - 7, 7]).unwrap();
    assert_eq!(unsafe { std::slice::from_raw_parts(pages.start.add(pages.len - 9), 9) }, b"segmentnt");
    call(&app, "copy", &[end - 7, end - 9, 7]).unwrap();
    assert_eq!(unsafe { std::slice::from_raw_parts(pages.start.add(pages.len - 9), 9) }, b"sesegment");
    // Nothing at the edge is something; one byte beyond it is not.
    for (name, args) in [("fill", [end, 0, 0]), ("copy", [end, at, 0]), ("copy", [at, end, 0]), ("init", [end, 0, 0])] {
        call(&app, name, &args).unwrap();
    }
    let before = unsafe { pages.word(pages.len - 4).read() };
    traps(&app, "fill", &[end - 4, 1, 5], "0 bytes past the end of the window of 8192 bytes");
    traps(&app, "copy", &[end - 4, 0, 5], "5 bytes at");
    traps(&app, "init", &[end - 4, 0, 5], "5 bytes at");
    traps(&app, "fill", &[at - 1, 0, 2], "1 bytes before the window");
    traps(&app, "fill", &[end + 1, 0, 0], "1 bytes past");
    traps(&app, "copy", &[0, end - 4, 5], "5 bytes at");
    traps(&app, "notify", &[end], "4 bytes at");
    assert_eq!(call(&app, "notify", &[end - 4]).unwrap(), 0);
    assert_eq!(unsafe { pages.word(pages.len - 4).read() }, before, "a trap writes nothing");
    traps(&app, "load", &[end - 3], "past the end");
}

/// What compiled code copies itself, without asking what it copies from or to.
#[test]
fn small_copies_keep_to_the_rights_of_windows() {
    let app = instance(
        r#"(module (memory 1) (data (i32.const 64) "0123456789abcdefghijABCDEFGHIJ!-----")
            (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
            (func (export "copy") (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 30)))
            (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (local.get 1) (i32.const 30))))"#,
    );
    let (data, shown) = (Pages::shared(2), Pages::shared(2));
    let writable = data.map(&app, Rights::ReadWrite).unwrap().guest_addr;
    let read_only = shown.map(&app, Rights::Read).unwrap().guest_addr;
    unsafe { *shown.word(0) = 0x7777 };
    call(&app, "copy", &[writable + 4090, 64]).unwrap();
    assert_eq!(unsafe { *data.word(4092) }, i32::from_le_bytes(*b"2345"));
    call(&app, "copy", &[128, read_only]).unwrap();
    assert_eq!(call(&app, "load", &[128]).unwrap(), 0x7777);
    let end = writable + data.len as u64;
    for name in ["copy", "fill"] {
        traps(&app, name, &[read_only, 64], "read-only");
        traps(&app, name, &[read_only + 4090, 64], "window");
        // Across an end, and nothing is written on this side of it.
        traps(&app, name, &[writable - 8, 64], "window");
        traps(&app, name, &[end - 8, 64], "window");
    }
    traps(&app, "copy", &[64, end - 8], "past the end of the window");
    assert_eq!(unsafe { (*data.word(0), *data.word(data.len - 8), *shown.word(4092)) }, (0, 0, 0));
    assert_eq!(call(&app, "load", &[64]).unwrap(), i32::from_le_bytes(*b"0123"));
}

#[test]
fn a_file_that_is_cut_traps_and_names_the_window() {
    let (app, file) = (instance(APP), memfd(4 * PAGE));
    let null = std::ptr::null_mut();
    let window = app.map_file_window(file.as_fd(), PAGE as u64, 2 * PAGE as u64, Rights::ReadWrite, null).unwrap();
    let at = window.guest_addr;
    call(&app, "store", &[at + PAGE as u64, 77]).unwrap();
    file.set_len(2 * PAGE as u64).unwrap();
    call(&app, "load", &[at]).unwrap();
    let words = "in the window of 8192 bytes at";
    traps(&app, "load", &[at + PAGE as u64], words);
    traps(&app, "load", &[at + PAGE as u64], "the file behind it is shorter than that");
    traps(&app, "fill", &[at, 5, 2 * PAGE as u64], "its file cut");
    traps(&app, "copy", &[0, at + PAGE as u64, 64], "its file cut");
    traps(&app, "copy", &[at + PAGE as u64 + 1, at + PAGE as u64, 64], "its file cut");
    traps(&app, "init", &[at + PAGE as u64, 0, 4], "its file cut");
    assert_eq!(call(&app, "load", &[at]).unwrap(), 0x0505_0505, "what was there has been filled");
    file.set_len(4 * PAGE as u64).unwrap();
    assert_eq!(call(&app, "load", &[at + PAGE as u64]).unwrap(), 0);
}

#[test]
fn bad_input_is_an_error_and_changes_nothing() {
    let (app, pages) = (instance(APP), Pages::shared(4));
    let map = |start: usize, len| unsafe { app.map_window(start as *mut u8, len, Rights::Read, &STRICT) };
    let start = pages.start as usize;
    let invalid = ErrorKind::InvalidArgument;
    fails(map(start, 0), invalid, "0 bytes");
    fails(map(start + 1, PAGE), invalid, "hold other data too");
    fails(map(usize::MAX - 10, 100), invalid, "beyond the address space");
    fails(map(start, usize::MAX - start), invalid, "beyond the address space");
    fails(map(1 << 46, PAGE), invalid, "not all of the 4096 bytes");
    fails(map(0, PAGE), invalid, "not all of the 4096 bytes");
    let own = app.memory().unwrap().base as usize;
    fails(map(own, PAGE), invalid, "in the memory of an app");
    unsafe { libc::mprotect(pages.start.add(PAGE).cast(), PAGE, libc::PROT_NONE) };
    fails(map(start, 2 * PAGE), invalid, "not all of the 8192 bytes");
    unsafe { libc::mprotect(pages.start.add(PAGE).cast(), PAGE, libc::PROT_READ) };
    let window = map(start + PAGE, 2 * PAGE).unwrap();
    fails(map(start, 2 * PAGE), invalid, "some are in the app's window at");
    fails(map(start + PAGE, 2 * PAGE), invalid, "some are in the app's window at");
    fails(map(start + 2 * PAGE, 2 * PAGE), invalid, "some are in the app's window at");
    map(start, PAGE).unwrap();
    map(start + 3 * PAGE, PAGE).unwrap();
    let at = window.guest_addr;
    fails(app.unmap_window(at + 1), ErrorKind::NotFound, "inside the window that begins at");
    app.unmap_window(at).unwrap();
    fails(app.unmap_window(at), ErrorKind::NotFound, "has been unmapped");
    fails(app.protect_window(at, Rights::Read), ErrorKind::NotFound, "no window");
    fails(unsafe { app.copy_into_window(at) }, ErrorKind::NotFound, "no window");
    let file = memfd(PAGE + 100);
    let null = std::ptr::null_mut();
    let file_map = |offset, len| app.map_file_window(file.as_fd(), offset, len, Rights::Read, null);
    fails(file_map(0, 0), invalid, "0 bytes");
    fails(file_map(8, 10), invalid, "multiple of 4096");
    fails(file_map(0, 2 * PAGE as u64), invalid, "the file has 4196 bytes");
    fails(file_map(0, 100), invalid, "other bytes of the file");
    fails(file_map(!4095, 4096), invalid, "the file has");
    file_map(0, PAGE as u64 + 100).unwrap();
}

#[test]
fn the_window_area_is_full_some_time() {
    let app = instance(APP);
    let file = memfd(1 << 29);
    let map = || app.map_file_window(file.as_fd(), 0, 1 << 29, Rights::Read, std::ptr::null_mut());
    let window = map().unwrap();
    fails(map(), ErrorKind::Limit, "longest gap");
    app.unmap_window(window.guest_addr).unwrap();
    assert_eq!(map().unwrap().guest_addr, window.guest_addr);
}

#[test]
fn places_of_windows_that_have_ended_serve_any_length() {
    let app = instance(APP);
    let file = memfd(1 << 29);
    let map = |len: u64| app.map_file_window(file.as_fd(), 0, len, Rights::Read, std::ptr::null_mut());
    let small = map(PAGE as u64).unwrap().guest_addr;
    app.unmap_window(small).unwrap();
    traps(&app, "load", &[small], "guest address");
    assert_eq!(map(PAGE as u64).unwrap().guest_addr, small, "one of its length takes it as it is");
    app.unmap_window(small).unwrap();
    let places: Vec<u64> = std::iter::from_fn(|| map(32 << 20).ok()).map(|window| window.guest_addr).collect();
    assert!(places.len() >= 29, "{}", places.len());
    places.iter().for_each(|&at| app.unmap_window(at).unwrap());
    let long = map(1 << 29).expect("they grow together again").guest_addr;
    assert_eq!(call(&app, "load", &[long + (1 << 29) - 4]).unwrap(), 0);
}

#[test]
fn memory_stops_growing_below_the_windows() {
    let (app, pages) = (instance(APP), Pages::shared(1));
    let at = pages.map(&app, Rights::ReadWrite).unwrap().guest_addr;
    call(&app, "store", &[at, 3]).unwrap();
    assert_eq!(call(&app, "size", &[]).unwrap(), 2);
    assert_eq!(call(&app, "grow", &[49_152 - 2]).unwrap(), 2);
    assert_eq!(call(&app, "grow", &[1]).unwrap(), -1);
    assert_eq!(call(&app, "size", &[]).unwrap(), 49_152);
    assert_eq!(call(&app, "load", &[at]).unwrap(), 3);
}

#[test]
fn an_app_without_room_for_windows_is_told_apart() {
    for memory in ["(memory 65536)", "(memory 1 1 (pagesize 1))", "(memory i64 1)"] {
        let app = instance(&format!("(module {memory})"));
        fails(Pages::shared(1).map(&app, Rights::Read), ErrorKind::Limit, "no room for windows");
    }
    fails(Pages::shared(1).map(&instance("(module)"), Rights::Read), ErrorKind::NotFound, "no memory");
}

#[test]
fn ten_thousand_windows() {
    let app = instance(APP);
    let pages = Pages::shared(20_000);
    for i in 0..10_000 {
        unsafe { pages.word(2 * i * PAGE).write(i as i32) };
    }
    let mut windows: Vec<u64> = (0..10_000)
        .map(|i| {
            let start = pages.start.wrapping_add(2 * i * PAGE);
            unsafe { app.map_window(start, PAGE, Rights::Read, &STRICT) }.unwrap().guest_addr
        })
        .collect();
    for i in [0, 1, 777, 9_999] {
        assert_eq!(call(&app, "load", &[windows[i]]).unwrap(), i as i32);
        assert_eq!(app.guest_addr(pages.start.wrapping_add(2 * i * PAGE + 5)).unwrap(), windows[i] + 5);
        assert_eq!(app.native_ptr(windows[i] + 5, 1).unwrap(), pages.start.wrapping_add(2 * i * PAGE + 5));
    }
    // Every second one goes, and its place comes back.
    let gone: Vec<u64> = windows.iter().copied().step_by(2).collect();
    gone.iter().for_each(|&at| app.unmap_window(at).unwrap());
    traps(&app, "load", &[gone[100]], "window of 4096 bytes");
    windows.retain(|at| !gone.contains(at));
    let again = unsafe { app.map_window(pages.start, PAGE, Rights::Read, &STRICT) }.unwrap();
    assert!(gone.contains(&again.guest_addr));
    windows.iter().for_each(|&at| app.unmap_window(at).unwrap());
}

#[test]
fn the_kernels_limit_is_an_error_and_not_the_end() {
    if std::env::var_os("WASMBRIDGE_TEST_CHILD").is_none() {
        // In a process of its own: the mappings are the whole process's.
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_kernels_limit_is_an_error_and_not_the_end", "--nocapture"])
            .env("WASMBRIDGE_TEST_CHILD", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let limit: usize = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
    if limit > 100_000 {
        println!("vm.max_map_count is {limit}: not reached within the window area");
        return;
    }
    let app = instance(APP);
    let pages = Pages::shared(limit + 10);
    let mut windows = Vec::new();
    let error = loop {
        let start = pages.start.wrapping_add(windows.len() * PAGE);
        match unsafe { app.map_window(start, PAGE, Rights::Read, &STRICT) } {
            Ok(window) => windows.push(window.guest_addr),
            Err(error) => break error,
        }
    };
    assert!(windows.len() >= 10_000, "{}", windows.len());
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().contains("vm.max_map_count") && error.message().contains("unmap some"), "{error}");
    call(&app, "load", &[windows[0]]).unwrap();
    for &at in &windows {
        app.unmap_window(at).unwrap();
    }
    traps(&app, "load", &[windows[5]], "guest address");
    assert!(pages.map(&app, Rights::Read).is_ok());
}

static mut SEEN: usize = 0;

extern "C" fn take(data: *mut i32, len: usize) -> i32 {
    unsafe { SEEN = data as usize };
    if len == 0 { 0 } else { unsafe { *data } }
}

extern "C" fn give() -> *mut i32 {
    unsafe { SEEN as *mut i32 }
}

#[test]
fn pointers_are_translated_both_ways_and_keep_their_identity() {
    let app = instance_with(
        r#"(module
            (import "env" "take" (func $take (param i32 i32) (result i32)))
            (import "env" "plain" (func $plain (param i32 i32) (result i32)))
            (import "env" "constant" (func $constant (param i32 i32) (result i32)))
            (import "env" "give" (func $give (result i32)))
            (memory 1)
            (func (export "constant") (param i32) (result i32) (call $constant (local.get 0) (i32.const 1)))
            (func (export "take") (param i32 i32) (result i32) (call $take (local.get 0) (local.get 1)))
            (func (export "plain") (param i32) (result i32) (call $plain (local.get 0) (i32.const 1)))
            (func (export "give") (result i32) (call $give)))"#,
        &[
            (
                "int take(const int *data[in: len], size_t len)",
                take as extern "C" fn(*mut i32, usize) -> i32 as *const u8,
            ),
            ("int plain(int *data, size_t len)", take as extern "C" fn(*mut i32, usize) -> i32 as *const u8),
            ("int constant(int const *data, size_t len)", take as extern "C" fn(*mut i32, usize) -> i32 as *const u8),
            ("int *give(void)", give as extern "C" fn() -> *mut i32 as *const u8),
        ],
    );
    let pages = Pages::shared(1);
    unsafe { pages.word(64).write(7) };
    let at = pages.map(&app, Rights::ReadWrite).unwrap().guest_addr;
    for (name, args) in [("take", vec![at + 64, 2]), ("plain", vec![at + 64])] {
        assert_eq!(call(&app, name, &args).unwrap(), 7);
        assert_eq!(unsafe { SEEN }, pages.word(64) as usize, "{name}: C sees the pointer that it knows");
    }
    assert_eq!(call(&app, "give", &[]).unwrap() as u32 as u64, at + 64);
    assert_eq!(app.guest_addr(pages.word(64).cast()).unwrap(), at + 64);

    let refused = |name: &str, args: &[u64], words: &str| {
        let error = call(&app, name, args).unwrap_err();
        assert_eq!(error.trap().map(|t| t.code), Some(TrapCode::Crossing), "{error}");
        assert!(error.message().contains(words), "{error}");
    };
    refused("take", &[at + 64, 2000], "past the end of the window");
    refused("plain", &[at + 4093], "past the end of the window");
    app.protect_window(at, Rights::Read).unwrap();
    assert_eq!(call(&app, "take", &[at + 64, 2]).unwrap(), 7);
    refused("plain", &[at + 64], "may not be written");
    assert_eq!(call(&app, "constant", &[at + 64]).unwrap(), 7, "C says that it does not write");
    app.unmap_window(at).unwrap();
    refused("take", &[at + 64, 2], "not in the app's memory");
    refused("give", &[], "not into the app's memory");
}

#[test]
fn a_window_is_unmapped_while_a_bulk_copy_runs() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (app, pages) = (instance(APP), Pages::shared(1024));
    // What a `wb_instance` is to C: an address, which another thread may have too.
    struct Anywhere(*const Instance);
    unsafe impl Send for Anywhere {}
    for round in 0..20 {
        let at = pages.map(&app, Rights::ReadWrite).unwrap().guest_addr;
        let (running, address) = (AtomicBool::new(false), Anywhere(&app));
        std::thread::scope(|scope| {
            let running = &running;
            scope.spawn(move || {
                let address = address;
                while !running.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
                std::thread::sleep(std::time::Duration::from_micros(round * 30));
                unsafe { &*address.0 }.unmap_window(at).unwrap();
            });
            running.store(true, Ordering::Release);
            let error = loop {
                if let Err(error) = call(&app, "copy", &[at + 1, at, pages.len as u64 - 1]) {
                    break error;
                }
            };
            assert_eq!(error.trap().map(|t| t.code), Some(TrapCode::MemoryOutOfBounds), "{error}");
        });
    }
}

#[test]
fn the_owner_unmaps_its_memory_while_it_is_visible() {
    let app = instance(APP);
    let pages = Pages::shared(1);
    unsafe { pages.word(0).write(5) };
    let at = pages.map(&app, Rights::Read).unwrap().guest_addr;
    drop(pages);
    assert_eq!(call(&app, "load", &[at]).unwrap(), 5, "the pages live as long as someone maps them");
    app.unmap_window(at).unwrap();
}
