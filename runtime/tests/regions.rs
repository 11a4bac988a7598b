//! Regions: memory that several apps have at the same guest address.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the tests play the part of C, which knows neither unsafe nor borrowing"
)]

mod common;

use common::{call, instance, traps};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use wasmbridge_runtime::{ErrorKind, Grant, Instance, Region, Rights, WindowOptions};

const APP: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "notify") (param i32) (result i32) (memory.atomic.notify (local.get 0) (i32.const 1)))
    ;; Follows `count` pointers of 8 bytes each, of which it takes the low half.
    (func (export "walk") (param $at i32) (param $count i32) (result i32)
        (loop $next
            (local.set $at (i32.load (local.get $at)))
            (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (local.get $at))
    (func (export "count") (param $at i32) (param $n i32)
        (loop $next
            (drop (i32.atomic.rmw.add (local.get $at) (i32.const 1)))
            (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    ;; Writes counting numbers for ever, and says that it has begun.
    (func (export "run") (param $at i32) (param $flag i32) (local $n i32)
        (i32.atomic.store (local.get $flag) (i32.const 1))
        (loop $next
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (i32.store (local.get $at) (local.get $n))
            (br $next))))"#;

fn word(region: &Region, at: usize) -> &'static AtomicU32 {
    assert!(at + 4 <= region.len_bytes() as usize);
    unsafe { AtomicU32::from_ptr(region.native_ptr().add(at).cast()) }
}

/// What a `wb_instance` is to C: an address, which any thread may have.
#[derive(Clone, Copy)]
struct Anywhere(*const Instance);
unsafe impl Send for Anywhere {}
impl Anywhere {
    fn app(&self) -> &Instance {
        unsafe { &*self.0 }
    }
}

#[test]
fn every_app_has_it_at_the_same_address_with_its_own_rights() {
    let (writer, reader, stranger) = (instance(APP), instance(APP), instance(APP));
    let region = Region::new(10_000).unwrap();
    let at = region.guest_addr();
    assert_eq!(region.native_ptr() as usize as u32 as u64, at);
    region.grant(&writer, Rights::ReadWrite).unwrap();
    region.grant(&reader, Rights::Read).unwrap();
    call(&writer, "store", &[at + 9_996, 5]).unwrap();
    assert_eq!(call(&reader, "load", &[at + 9_996]).unwrap(), 5);
    assert_eq!(word(&region, 9_996).load(Ordering::Relaxed), 5);
    traps(&reader, "store", &[at, 1], "read-only");
    traps(&stranger, "load", &[at], "guest address");
    traps(&writer, "load", &[at - 4], "4 bytes before the window of 10000 bytes");
    traps(&writer, "copy", &[0, at + 9_999, 2], "past the end");

    // Downgraded, upgraded, revoked, granted again.
    region.grant(&writer, Rights::Read).unwrap();
    traps(&writer, "store", &[at, 1], "read-only");
    region.grant(&reader, Rights::ReadWrite).unwrap();
    call(&reader, "store", &[at, 8]).unwrap();
    assert_eq!(region.rights_of(&reader), Some(Rights::ReadWrite.into()));
    assert!(region.revoke(&reader).unwrap());
    assert!(!region.revoke(&reader).unwrap());
    assert_eq!(region.rights_of(&reader), None);
    traps(&reader, "load", &[at], "which has been revoked");
    traps(&reader, "copy", &[0, at, 4], "revoked");
    region.grant(&reader, Rights::Read).unwrap();
    assert_eq!(call(&reader, "load", &[at]).unwrap(), 8);
    assert_eq!(region.revoke_all().unwrap(), 2);
    traps(&writer, "load", &[at], "revoked");
    traps(&reader, "load", &[at], "revoked");
}

#[test]
fn native_pointers_in_the_data_are_the_apps_pointers() {
    let app = instance(APP);
    let region = Region::new(64 << 10).unwrap();
    region.grant(&app, Rights::Read).unwrap();
    // A native list: each node holds the 64-bit address of the next.
    let node = |i: usize| region.native_ptr().wrapping_add((i * 7919 % 4096) * 16);
    for i in 0..1000 {
        unsafe { node(i).cast::<u64>().write(node(i + 1) as u64) };
    }
    let first = app.guest_addr(node(0)).unwrap();
    assert_eq!(first, node(0) as u64 & 0xffff_ffff);
    let last = call(&app, "walk", &[first, 1000]).unwrap() as u32 as u64;
    assert_eq!(app.native_ptr(last, 16).unwrap(), node(1000));
}

#[test]
fn it_is_moved_and_outlives_the_app_that_had_it_first() {
    let (first, second) = (instance(APP), instance(APP));
    let region = Region::new(4096).unwrap();
    let at = region.guest_addr();
    region.grant(&first, Rights::ReadWrite).unwrap();
    call(&first, "store", &[at, 31]).unwrap();
    region.move_to(&first, &second, Rights::Read).unwrap();
    traps(&first, "load", &[at], "revoked");
    let error = region.move_to(&first, &second, Rights::Read).unwrap_err();
    assert!(error.message().contains("does not have it"), "{error}");
    drop(first);
    // The host lets go of it too: the second app has it still.
    let native = region.native_ptr();
    drop(region);
    assert_eq!(call(&second, "load", &[at]).unwrap(), 31);
    assert_eq!(second.guest_addr(native).unwrap(), at);
    drop(second);
}

#[test]
fn a_failed_move_changes_nothing() {
    let (app, no_room) = (instance(APP), instance("(module (memory 65536))"));
    let region = Region::new(4096).unwrap();
    region.grant(&app, Rights::Read).unwrap();
    assert_eq!(region.move_to(&app, &no_room, Rights::ReadWrite).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(region.rights_of(&app), Some(Rights::Read.into()));
    call(&app, "load", &[region.guest_addr()]).unwrap();
}

#[test]
fn its_place_is_used_again_when_nobody_has_it() {
    let app = instance(APP);
    let mut seen = std::collections::HashSet::new();
    for round in 0..100u32 {
        let region = Region::new(4096).unwrap();
        seen.insert(region.guest_addr());
        assert_eq!(word(&region, 0).load(Ordering::Relaxed), 0, "it begins with zeros");
        region.grant(&app, Rights::ReadWrite).unwrap();
        call(&app, "store", &[region.guest_addr(), u64::from(round)]).unwrap();
        if round % 2 == 0 {
            region.revoke(&app).unwrap();
        } else {
            app.unmap_window(region.guest_addr()).unwrap();
        }
        let at = region.guest_addr();
        drop(region);
        traps(&app, "load", &[at], "guest address");
    }
    // Other tests have regions too, at the same time.
    assert!(seen.len() < 50, "{}", seen.len());
}

#[test]
fn a_window_leaves_the_place_of_a_region_that_was_there_to_the_next() {
    let app = instance(APP);
    let places = [0, 1].map(|_| {
        let region = Region::new(5 * 4096).unwrap();
        region.grant(&app, Rights::Read).unwrap();
        region.revoke(&app).unwrap();
        region.guest_addr()
    });
    let private =
        unsafe { libc::mmap(std::ptr::null_mut(), 5 * 4096, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    let window = unsafe { app.map_window(private.cast(), 5 * 4096, Rights::Read, &WindowOptions::default()) }.unwrap();
    assert!(!places.contains(&window.guest_addr));
    app.unmap_window(window.guest_addr).unwrap();
    unsafe { libc::munmap(private, 5 * 4096) };
}

#[test]
fn bad_input_is_an_error() {
    assert_eq!(Region::new(0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(Region::new(1 << 40).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(Region::new(u64::MAX).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let region = Region::new(4096).unwrap();
    assert_eq!(region.grant(&instance("(module)"), Rights::Read).unwrap_err().kind(), ErrorKind::NotFound);
    let app = instance(APP);
    // A part of a region as a window is at its own address; the whole then overlaps it.
    let window = unsafe { app.map_window(region.native_ptr(), 4096, Rights::Read, &WindowOptions::default()) }.unwrap();
    assert_eq!(window.guest_addr, region.guest_addr());
    assert!(region.grant(&app, Rights::Read).unwrap_err().message().contains("some are in the app's window"));
    assert!(!region.revoke(&app).unwrap());
    app.unmap_window(window.guest_addr).unwrap();
    region.grant(&app, Rights::Read).unwrap();
    // Nobody can make it shorter.
    let found = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| {
        let path = fd.unwrap().path();
        let target = std::fs::read_link(&path).ok()?;
        target.to_string_lossy().contains("wasmbridge-region").then_some(path)
    });
    let mut count = 0;
    for path in found {
        if let Ok(file) = std::fs::OpenOptions::new().write(true).open(path) {
            assert!(file.set_len(0).is_err());
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn apps_on_two_threads_count_together() {
    let region = Region::new(4096).unwrap();
    let at = region.guest_addr();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let app = instance(APP);
                region.grant(&app, Rights::ReadWrite).unwrap();
                call(&app, "count", &[at, 100_000]).unwrap();
            });
        }
    });
    assert_eq!(word(&region, 0).load(Ordering::SeqCst), 200_000);
}

#[test]
fn revoke_is_complete_when_it_returns_also_for_an_app_that_is_running() {
    let (data, flags) = (Region::new(4096).unwrap(), Region::new(4096).unwrap());
    for round in 0..10 {
        word(&flags, 0).store(0, Ordering::SeqCst);
        let stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let (data, flags, stopped) = (&data, &flags, &stopped);
            scope.spawn(move || {
                let app = instance(APP);
                data.grant(&app, Rights::ReadWrite).unwrap();
                flags.grant(&app, Rights::ReadWrite).unwrap();
                sender.send(Anywhere(&app)).unwrap();
                traps(&app, "run", &[data.guest_addr(), flags.guest_addr()], "revoked");
                stopped.store(true, Ordering::SeqCst);
                // The other thread uses the app until then.
                while word(flags, 4).load(Ordering::SeqCst) <= round {
                    std::thread::yield_now();
                }
            });
            let app = receiver.recv().unwrap();
            while word(flags, 0).load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            assert!(data.revoke(app.app()).unwrap());
            let last = word(data, 0).load(Ordering::SeqCst);
            for _ in 0..1000 {
                assert_eq!(word(data, 0).load(Ordering::SeqCst), last, "no write after the revocation");
            }
            while !stopped.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            word(flags, 4).store(round + 1, Ordering::SeqCst);
        });
    }
}

#[test]
fn only_in_callbacks_is_closed_elsewhere() {
    let app = instance(APP);
    let region = Region::new(4096).unwrap();
    region.grant(&app, Grant { rights: Rights::Read, in_callbacks_only: true }).unwrap();
    traps(&app, "load", &[region.guest_addr()], "open only in callbacks");
    assert!(app.guest_addr(region.native_ptr()).is_err());
    region.grant(&app, Rights::Read).unwrap();
    call(&app, "load", &[region.guest_addr()]).unwrap();
}

#[test]
fn many_apps_have_one_region() {
    let region = Region::new(1 << 20).unwrap();
    let apps: Vec<Instance> = (0..8).map(|_| instance(APP)).collect();
    for (i, app) in apps.iter().enumerate() {
        region.grant(app, Rights::ReadWrite).unwrap();
        call(app, "store", &[region.guest_addr() + 4 * i as u64, i as u64]).unwrap();
    }
    for app in &apps {
        for i in 0..apps.len() {
            assert_eq!(call(app, "load", &[region.guest_addr() + 4 * i as u64]).unwrap(), i as i32);
        }
    }
    assert_eq!(region.revoke_all().unwrap(), apps.len());
}
