//! The option for canonical NaNs: what arithmetic makes of a NaN has the same bits on every machine.

mod common;

use common::{engine, module_with};
use wasmbridge_compiler::{Config, OptLevel};
use wasmbridge_runtime::{Linker, Value};

/// NaNs that are not canonical: a sign, and bits in the payload.
const F32_NAN: u32 = 0xffc0_1234;
const F64_NAN: u64 = 0xfff8_0000_0056_789a;
const F32_CANONICAL: u32 = 0x7fc0_0000;
const F64_CANONICAL: u64 = 0x7ff8_0000_0000_0000;

const BINARY: [&str; 6] = ["add", "sub", "mul", "div", "min", "max"];
const UNARY: [&str; 5] = ["sqrt", "ceil", "floor", "trunc", "nearest"];

/// Functions without parameters that make NaNs out of a NaN that is known or not, by the name of what makes it.
fn functions() -> Vec<(String, String)> {
    let mut functions = Vec::new();
    let mut add = |name: &str, nan: &str, result: &str, body: String| {
        let name = format!("{name} of {nan}");
        let text = format!("(func (export \"{name}\") (result {result}) {body})");
        functions.push((name, text));
    };
    for (ty, result, constant) in [("f32", "f32", "nan:0x401234"), ("f64", "f64", "nan:0x800000056789a")] {
        for nan in [format!("(global.get ${ty})"), format!("({ty}.const -{constant})")] {
            let one = format!("({ty}.const 1)");
            for op in BINARY {
                add(op, &nan, result, format!("({ty}.{op} {nan} {one})"));
                add(&format!("{op} second"), &nan, result, format!("({ty}.{op} {one} {nan})"));
            }
            for op in UNARY {
                add(op, &nan, result, format!("({ty}.{op} {nan})"));
            }
        }
        let zero = format!("({ty}.const 0)");
        add("0/0", ty, result, format!("({ty}.div {zero} {zero})"));
        add("sqrt(-1)", ty, result, format!("({ty}.sqrt ({ty}.const -1))"));
    }
    add("demote", "f64", "f32", "(f32.demote_f64 (global.get $f64))".into());
    add("promote", "f32", "f64", "(f64.promote_f32 (global.get $f32))".into());
    for (shape, ty) in [("f32x4", "f32"), ("f64x2", "f64")] {
        let nan = format!("({shape}.splat (global.get ${ty}))");
        for op in BINARY {
            add(op, shape, "v128", format!("({shape}.{op} {nan} {nan})"));
        }
        for op in UNARY {
            add(op, shape, "v128", format!("({shape}.{op} {nan})"));
        }
        add("relaxed_madd", shape, "v128", format!("({shape}.relaxed_madd {nan} {nan} {nan})"));
        add("relaxed_nmadd", shape, "v128", format!("({shape}.relaxed_nmadd {nan} {nan} {nan})"));
    }
    let wide = "(f64x2.splat (global.get $f64))";
    add("promote_low", "f32x4", "v128", "(f64x2.promote_low_f32x4 (f32x4.splat (global.get $f32)))".into());
    // The other half is zero: taken twice, so that all lanes are NaNs.
    let demoted = format!("(f32x4.demote_f64x2_zero {wide})");
    let lanes = "0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7";
    add("demote", "f64x2", "v128", format!("(i8x16.shuffle {lanes} {demoted} {demoted})"));
    functions
}

/// Whether all lanes are canonical, of one width or the other.
fn is_canonical(value: &Value) -> bool {
    match *value {
        Value::F32(v) => v.to_bits() == F32_CANONICAL,
        Value::F64(v) => v.to_bits() == F64_CANONICAL,
        Value::V128(v) => {
            let f32s = (0..4).all(|lane| (v >> (lane * 32)) as u32 == F32_CANONICAL);
            f32s || (0..2).all(|lane| (v >> (lane * 64)) as u64 == F64_CANONICAL)
        }
        _ => false,
    }
}

#[test]
fn arithmetic_makes_canonical_nans_only() {
    let functions = functions();
    let texts: String = functions.iter().map(|f| f.1.as_str()).collect();
    let wat = format!(
        "(module (global $f32 (export \"f32\") (mut f32) (f32.const 0)) (global $f64 (export \"f64\") (mut f64) (f64.const 0)) {texts})"
    );
    let engine = engine();
    for opt_level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
        let config = Config { canonicalize_nans: true, opt_level, ..Config::default() };
        let instance = Linker::new(&engine).instantiate(&module_with(&engine, &wat, &config)).unwrap();
        instance.set_global("f32", Value::F32(f32::from_bits(F32_NAN))).unwrap();
        instance.set_global("f64", Value::F64(f64::from_bits(F64_NAN))).unwrap();
        let wrong: Vec<String> = functions
            .iter()
            .map(|(name, _)| (name, instance.call(name, &[]).unwrap().remove(0)))
            .filter(|(_, value)| !is_canonical(value))
            .map(|(name, value)| match value {
                Value::F32(v) => format!("{name}: {:#x}", v.to_bits()),
                Value::F64(v) => format!("{name}: {:#x}", v.to_bits()),
                other => format!("{name}: {other:x?}"),
            })
            .collect();
        assert!(wrong.is_empty(), "{opt_level:?}:\n{}", wrong.join("\n"));
    }
}

#[test]
fn what_only_moves_bits_keeps_them() {
    let wat = r#"(module
        (func (export "abs") (param f32) (result f32) (f32.abs (local.get 0)))
        (func (export "neg") (param f32) (result f32) (f32.neg (local.get 0)))
        (func (export "copysign") (param f32) (result f32) (f32.copysign (local.get 0) (f32.const 1)))
        (func (export "same") (param f32) (result f32) (local.get 0)))"#;
    let engine = engine();
    let config = Config { canonicalize_nans: true, ..Config::default() };
    let instance = Linker::new(&engine).instantiate(&module_with(&engine, wat, &config)).unwrap();
    let positive = F32_NAN & 0x7fff_ffff;
    for (name, expected) in [("abs", positive), ("neg", positive), ("copysign", positive), ("same", F32_NAN)] {
        let result = instance.call(name, &[Value::F32(f32::from_bits(F32_NAN))]).unwrap().remove(0);
        let Value::F32(result) = result else { panic!("{name} returned {result:?}") };
        assert_eq!(result.to_bits(), expected, "{name}");
    }
}
