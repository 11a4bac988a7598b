//! The deterministic profile: what arithmetic makes of a NaN has the same bits on every machine, and relaxed vector instructions do the same there.

mod common;

use common::{engine, module_with};
use wasmbridge_compiler::{Config, Cpu, OptLevel};
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
        let config = Config { deterministic: true, opt_level, ..Config::default() };
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
    let config = Config { deterministic: true, ..Config::default() };
    let instance = Linker::new(&engine).instantiate(&module_with(&engine, wat, &config)).unwrap();
    let positive = F32_NAN & 0x7fff_ffff;
    for (name, expected) in [("abs", positive), ("neg", positive), ("copysign", positive), ("same", F32_NAN)] {
        let result = instance.call(name, &[Value::F32(f32::from_bits(F32_NAN))]).unwrap().remove(0);
        let Value::F32(result) = result else { panic!("{name} returned {result:?}") };
        assert_eq!(result.to_bits(), expected, "{name}");
    }
}

/// Operands for which processors differ, and what the profile says (Wasm 3.0, 4.3: the first choice of each relaxed instruction).
#[test]
fn relaxed_instructions_have_one_result() {
    let cases: &[(&str, u128)] = &[
        // An index of 16 or more gives 0.
        (
            "(i8x16.relaxed_swizzle (v128.const i8x16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16) (i8x16.splat (i32.const 17)))",
            0,
        ),
        // Saturates; a NaN is 0.
        (
            "(i32x4.relaxed_trunc_f32x4_s (v128.const f32x4 3e9 -3e9 nan 1.5))",
            0x0000_0001_0000_0000_8000_0000_7fff_ffff,
        ),
        ("(i32x4.relaxed_trunc_f32x4_u (v128.const f32x4 5e9 -1 nan 1.5))", 0x0000_0001_0000_0000_0000_0000_ffff_ffff),
        ("(i32x4.relaxed_trunc_f64x2_s_zero (v128.const f64x2 3e9 nan))", 0x7fff_ffff),
        // (1 + 2^-12)^2 - (1 + 2^-11): 2^-24 is lost when the product is rounded.
        (
            "(f32x4.relaxed_madd (f32x4.splat (f32.const 0x1.001p0)) (f32x4.splat (f32.const 0x1.001p0)) (f32x4.splat (f32.const -0x1.002p0)))",
            0,
        ),
        (
            "(f32x4.relaxed_nmadd (f32x4.splat (f32.const 0x1.001p0)) (f32x4.splat (f32.const 0x1.001p0)) (f32x4.splat (f32.const 0x1.002p0)))",
            0,
        ),
        // Bit by bit, not by the lane's highest bit.
        (
            "(i8x16.relaxed_laneselect (i8x16.splat (i32.const 0xff)) (i8x16.splat (i32.const 0)) (i8x16.splat (i32.const 0x81)))",
            0x8181_8181_8181_8181_8181_8181_8181_8181,
        ),
        // The one result that does not fit.
        (
            "(i16x8.relaxed_q15mulr_s (i16x8.splat (i32.const 0x8000)) (i16x8.splat (i32.const 0x8000)))",
            0x7fff_7fff_7fff_7fff_7fff_7fff_7fff_7fff,
        ),
        // -128 * -127 * 2: both operands have a sign.
        (
            "(i16x8.relaxed_dot_i8x16_i7x16_s (i8x16.splat (i32.const -128)) (i8x16.splat (i32.const -127)))",
            0x7f00_7f00_7f00_7f00_7f00_7f00_7f00_7f00,
        ),
        // -128 * -128 * 2 saturates.
        (
            "(i16x8.relaxed_dot_i8x16_i7x16_s (i8x16.splat (i32.const -128)) (i8x16.splat (i32.const -128)))",
            0x7fff_7fff_7fff_7fff_7fff_7fff_7fff_7fff,
        ),
        (
            "(i32x4.relaxed_dot_i8x16_i7x16_add_s (i8x16.splat (i32.const -128)) (i8x16.splat (i32.const -128)) (i32x4.splat (i32.const 3)))",
            0x0001_0001_0001_0001_0001_0001_0001_0001,
        ),
        // The smaller zero, and a canonical NaN.
        (
            "(f32x4.relaxed_min (v128.const f32x4 0 1 nan 2) (v128.const f32x4 -0 nan 1 3))",
            0x4000_0000_7fc0_0000_7fc0_0000_8000_0000,
        ),
        (
            "(f32x4.relaxed_max (v128.const f32x4 -0 1 nan 2) (v128.const f32x4 0 nan 1 3))",
            0x4040_0000_7fc0_0000_7fc0_0000_0000_0000,
        ),
    ];
    let functions = cases.iter().enumerate();
    let functions: String =
        functions.map(|(i, (body, _))| format!("(func (export \"{i}\") (result v128) {body})")).collect();
    let engine = engine();
    for (cpu, opt_level) in
        [(Cpu::Baseline, OptLevel::Speed), (Cpu::Native, OptLevel::Speed), (Cpu::Native, OptLevel::None)]
    {
        let config = Config { deterministic: true, cpu, opt_level, ..Config::default() };
        let module = module_with(&engine, &format!("(module {functions})"), &config);
        let instance = Linker::new(&engine).instantiate(&module).unwrap();
        for (i, &(body, expected)) in cases.iter().enumerate() {
            let Value::V128(found) = instance.call(&i.to_string(), &[]).unwrap().remove(0) else { panic!("{body}") };
            assert_eq!(found, expected, "{body} is {found:#034x}, {cpu:?}, {opt_level:?}");
        }
    }
}
