//! WASI's functions take buffers that lie in windows.

use std::io::{Read, Seek, Write};
use wasmbridge_runtime::{Engine, Instance, Linker, Module, Region, Rights, TrapCode, Value};
use wasmbridge_wasi::WasiConfig;

const APP: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "own memory, ")
    ;; Two buffers.
    (func $vectors (param $at i32) (param i32 i32 i32 i32)
        (i32.store (local.get $at) (local.get 1))
        (i32.store offset=4 (local.get $at) (local.get 2))
        (i32.store offset=8 (local.get $at) (local.get 3))
        (i32.store offset=12 (local.get $at) (local.get 4)))
    (func (export "write") (param $at i32) (param i32 i32 i32 i32) (param $out i32) (result i32)
        (call $vectors (local.get $at) (local.get 1) (local.get 2) (local.get 3) (local.get 4))
        (call $write (i32.const 1) (local.get $at) (i32.const 2) (local.get $out)))
    (func (export "read") (param $at i32) (param i32 i32 i32 i32) (param $out i32) (result i32)
        (call $vectors (local.get $at) (local.get 1) (local.get 2) (local.get 3) (local.get 4))
        (call $read (i32.const 0) (local.get $at) (i32.const 2) (local.get $out)))
    (func (export "open") (param i32 i32 i32) (result i32)
        (call $open (i32.const 3) (i32.const 0) (local.get 0) (local.get 1)
            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (local.get 2)))
    (func (export "random") (param i32 i32) (result i32) (call $random (local.get 0) (local.get 1)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#;

struct World {
    app: Instance,
    region: Region,
    output: std::fs::File,
    _directory: tempfile::TempDir,
}

/// An app with a region of two pages, and an input that says "0123456789".
fn world(rights: Rights) -> World {
    let engine = Engine::new(Default::default()).unwrap();
    let wasm = wat::parse_str(APP).unwrap();
    let module = Module::load(&engine, &wasmbridge_compiler::compile(&wasm, &Default::default()).unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("there"), b"").unwrap();
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(b"0123456789").unwrap();
    input.rewind().unwrap();
    let output = tempfile::tempfile().unwrap();
    let mut linker = Linker::new(&engine);
    let mut wasi = WasiConfig::new();
    wasi.stdin_file(input).stdout_file(output.try_clone().unwrap());
    wasi.preopen_dir(directory.path(), "/").unwrap();
    wasi.define(&mut linker).unwrap();
    let app = linker.instantiate(&module).unwrap();
    let region = Region::new(8192).unwrap();
    region.grant(&app, rights).unwrap();
    World { app, region, output, _directory: directory }
}

impl World {
    /// A guest address in the region.
    fn at(&self, offset: u64) -> u32 {
        (self.region.guest_addr() + offset) as u32
    }

    fn fill(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= 8192);
        // SAFETY: inside the region, to which the app does not write now.
        unsafe { self.region.native_ptr().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    fn bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        assert!(offset + len <= 8192);
        // SAFETY: as in `fill`.
        unsafe { std::slice::from_raw_parts(self.region.native_ptr().add(offset), len) }.to_vec()
    }

    fn call(&self, name: &str, args: &[u32]) -> i32 {
        let args: Vec<Value> = args.iter().map(|&arg| Value::I32(arg as i32)).collect();
        match self.app.call(name, &args).unwrap()[..] {
            [Value::I32(result)] => result,
            ref other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn fails(&self, name: &str, args: &[u32], words: &str) {
        let args: Vec<Value> = args.iter().map(|&arg| Value::I32(arg as i32)).collect();
        let error = self.app.call(name, &args).unwrap_err();
        assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::HostFailed), "{error}");
        assert!(error.message().contains(words), "{error}\nexpected: {words}");
    }

    fn output(&mut self) -> String {
        let mut text = String::new();
        self.output.rewind().unwrap();
        self.output.read_to_string(&mut text).unwrap();
        text
    }
}

#[test]
fn what_is_written_comes_from_windows_too() {
    let mut world = world(Rights::ReadWrite);
    world.fill(8192 - 6, b"window");
    // A buffer here and one there, the array and the count in the window as well.
    assert_eq!(world.call("write", &[world.at(32), 64, 12, world.at(8192 - 6), 6, world.at(0)]), 0);
    assert_eq!(world.output(), "own memory, window");
    assert_eq!(world.bytes(0, 4), 18u32.to_le_bytes());
    assert_eq!(world.call("write", &[16, world.at(8192 - 6), 6, 64, 3, 8]), 0);
    assert_eq!(world.output(), "own memory, windowwindowown");
    assert_eq!(world.call("load", &[8]), 9);
    world.fails("write", &[16, 64, 12, world.at(8192 - 6), 7, 8], "past the end of the window");
    world.fails("write", &[16, 64, 12, 0xc000_0000, 1, 8], "not in the app's memory");
    world.fails("write", &[16, 64, 12, u32::MAX, u32::MAX, 8], "not in the app's memory");
    assert_eq!(world.output(), "own memory, windowwindowown", "nothing of a call that fails");
    world.region.revoke(&world.app).unwrap();
    world.fails("write", &[16, world.at(0), 6, 64, 3, 8], "revoked");
}

#[test]
fn a_long_buffer_is_written_in_parts() {
    let mut world = world(Rights::Read);
    let long = Region::new(3 << 20).unwrap();
    long.grant(&world.app, Rights::Read).unwrap();
    assert_eq!(world.call("write", &[16, long.guest_addr() as u32, 3 << 20, 64, 12, 8]), 0);
    let written = world.call("load", &[8]);
    assert!(written > 0 && written <= 3 << 20, "{written}");
    assert_eq!(world.output().len(), written as usize);
}

#[test]
fn what_is_read_goes_to_windows_too_if_they_may_be_written() {
    let reader = world(Rights::ReadWrite);
    reader.fill(0, &[0xee; 8192]);
    // The implementation may fill the first buffer only. It has room for more than the ten bytes that come.
    assert_eq!(reader.call("read", &[16, reader.at(100), 12, 80, 4, reader.at(200)]), 0);
    assert_eq!(reader.bytes(99, 14), b"\xee0123456789\xee\xee\xee", "the rest is as it was");
    assert_eq!(reader.bytes(200, 5), [10, 0, 0, 0, 0xee]);
    assert_eq!(reader.call("read", &[16, reader.at(100), 12, 80, 4, reader.at(200)]), 0);
    assert_eq!((reader.bytes(100, 1), reader.bytes(200, 1)), (b"0".to_vec(), vec![0]), "the end");

    let refused = world(Rights::Read);
    refused.fill(0, &[0xee; 8192]);
    refused.fails("read", &[16, 80, 4, refused.at(100), 9, 8], "may not be written");
    refused.fails("read", &[16, 80, 4, refused.at(100), 9, 8], "which is read-only");
    refused.fails("read", &[16, 80, 4, 90, 4, refused.at(200)], "may not be written");
    assert_eq!(refused.bytes(96, 16), [0xee; 16]);
    assert_eq!(refused.call("read", &[16, 80, 4, 90, 4, 8]), 0);
    assert_eq!(refused.call("load", &[80]), i32::from_le_bytes(*b"0123"), "nothing was read before");
}

#[test]
fn paths_and_plain_buffers_are_in_windows_too() {
    let world = world(Rights::ReadWrite);
    world.fill(0, b"there");
    assert_eq!(world.call("open", &[world.at(0), 5, world.at(64)]), 0);
    assert!(world.bytes(64, 1)[0] > 3, "a descriptor");
    world.fill(0, b"nowhere");
    world.fill(64, &[0xee; 4]);
    assert_eq!(world.call("open", &[world.at(0), 7, world.at(64)]), 44, "ENOENT");
    assert_eq!(world.bytes(64, 4), [0xee; 4], "nothing was opened");
    assert_eq!(world.call("random", &[world.at(4096), 4096]), 0);
    assert!(world.bytes(4096, 4096).iter().any(|&byte| byte != 0));
    world.fails("random", &[world.at(4096), 4097], "past the end of the window");
}
