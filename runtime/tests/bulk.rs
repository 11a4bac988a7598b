//! `memory.copy` and `memory.fill` of constant lengths, which compiled code does itself: as the runtime does it, byte by byte the same.

mod common;

use common::{call, engine, linker, module_with, traps};
use std::fmt::Write;
use wasmbridge_compiler::{Config, OptLevel};
use wasmbridge_runtime::Instance;

const MEMORY: u64 = 3 * 65536;
const LENGTHS: [u64; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 20, 23, 24, 31, 32, 33, 40, 47, 48, 63, 64, 65, 96, 127, 128,
    129,
];

/// A function for each length, and what looks at the memory.
fn app(config: &Config) -> Instance {
    let mut text = "(module (memory (export \"memory\") 1) (memory $other 1)
        (func (export \"grow\") (drop (memory.grow (i32.const 2))))
        (func (export \"load8\") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export \"store8\") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))"
        .to_owned();
    for len in LENGTHS {
        write!(
            text,
            "(func (export \"copy{len}\") (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const {len})))
            (func (export \"fill{len}\") (param i32 i32) (memory.fill (local.get 0) (local.get 1) (i32.const {len})))
            (func (export \"zero{len}\") (param i32) (memory.fill (local.get 0) (i32.const 0x1ffa5) (i32.const {len})))
            (func (export \"away{len}\") (param i32 i32)
              (memory.copy $other 0 (local.get 0) (local.get 1) (i32.const {len})))
            (func (export \"back{len}\") (param i32 i32)
              (memory.copy 0 $other (local.get 0) (local.get 1) (i32.const {len})))"
        )
        .unwrap();
    }
    let engine = engine();
    let app = linker(&engine, &[]).instantiate(&module_with(&engine, &(text + ")"), config)).unwrap();
    call(&app, "grow", &[]).unwrap();
    app
}

/// What the memory must be, beside what it is.
struct Model {
    app: Instance,
    bytes: Vec<u8>,
}

impl Model {
    fn new(config: &Config) -> Model {
        let app = app(config);
        let bytes: Vec<u8> = (0..MEMORY).map(|i| (i * 7 + i / 251) as u8).collect();
        let model = Model { app, bytes };
        model.seen().copy_from_slice(&model.bytes);
        model
    }

    #[allow(clippy::mut_from_ref, reason = "the tests play the part of C, which knows no borrowing")]
    fn seen(&self) -> &mut [u8] {
        let start = self.app.native_ptr(0, MEMORY).unwrap();
        // SAFETY: the memory is there as long as the app, and nothing of it runs while the slice is used.
        unsafe { std::slice::from_raw_parts_mut(start.cast(), MEMORY as usize) }
    }

    #[track_caller]
    fn same(&self, what: &str) {
        if let Some(at) = self.seen().iter().zip(&self.bytes).position(|(a, b)| a != b) {
            panic!("{what}: byte {at:#x} is {}, not {}", self.seen()[at], self.bytes[at]);
        }
    }

    fn copy(&mut self, len: u64, to: u64, from: u64) {
        let what = format!("copy{len} {to:#x} {from:#x}");
        if to + len <= MEMORY && from + len <= MEMORY {
            call(&self.app, &format!("copy{len}"), &[to, from]).unwrap_or_else(|e| panic!("{what}: {e}"));
            self.bytes.copy_within(from as usize..(from + len) as usize, to as usize);
        } else {
            traps(&self.app, &format!("copy{len}"), &[to, from], "out of bounds");
        }
        self.same(&what);
    }

    fn fill(&mut self, len: u64, to: u64, byte: u64) {
        for (name, args, byte) in [("fill", vec![to, byte], byte as u8), ("zero", vec![to], 0xa5)] {
            let what = format!("{name}{len} {to:#x}");
            if to + len <= MEMORY {
                call(&self.app, &format!("{name}{len}"), &args).unwrap_or_else(|e| panic!("{what}: {e}"));
                self.bytes[to as usize..(to + len) as usize].fill(byte);
            } else {
                traps(&self.app, &format!("{name}{len}"), &args, "out of bounds");
            }
            self.same(&what);
        }
    }
}

fn check(config: &Config) {
    let mut model = Model::new(config);
    for len in LENGTHS {
        // In a page, across two, at the memory's start and end, beyond it, and as far as an index goes.
        for to in [0, 100, 4096 - len, 4097 - len, 4095, 65536 - len / 2, MEMORY - len, MEMORY - len + 1, MEMORY] {
            for from in [0, 90, to, to + 1, to + len / 2, to.saturating_sub(3), 8190, MEMORY - len, MEMORY - 1] {
                model.copy(len, to, from);
            }
            model.fill(len, to, 0xfff0 + len);
        }
        model.copy(len, 50, 0xffff_ffff);
        model.copy(len, 0xffff_ffff, 50);
        model.fill(len, 0xffff_fff0, 1);
    }
}

#[test]
fn a_constant_length_is_as_any() {
    check(&Config::default());
}

#[test]
fn the_same_unoptimised() {
    check(&Config { opt_level: OptLevel::None, ..Config::default() });
}

#[test]
fn the_same_with_explicit_checks() {
    check(&Config { memory_reservation: 64 << 20, ..Config::default() });
}

#[test]
fn between_two_memories() {
    let mut model = Model::new(&Config::default());
    for len in LENGTHS {
        call(&model.app, &format!("away{len}"), &[5000, 300]).unwrap();
        call(&model.app, &format!("back{len}"), &[70_000, 5000]).unwrap();
        model.bytes.copy_within(300..300 + len as usize, 70_000);
        model.same(&format!("away{len}, back{len}"));
        if len > 0 {
            traps(&model.app, &format!("away{len}"), &[65536 - len + 1, 300], "out of bounds");
            traps(&model.app, &format!("back{len}"), &[300, 65536 - len + 1], "out of bounds");
            model.same("what trapped");
        }
    }
}
