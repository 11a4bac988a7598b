//! Values of scripts: arguments, and patterns that results must match.

use wasmbridge_runtime::{AnyRefKind, Value};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Const, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// An argument; `None` for a type that the runtime has not.
pub(crate) fn argument(arg: &WastArg<'_>) -> Option<Value> {
    let WastArg::Core(arg) = arg else { return None };
    Some(match arg {
        WastArgCore::I32(v) => Value::I32(*v),
        WastArgCore::I64(v) => Value::I64(*v),
        WastArgCore::F32(v) => Value::F32(f32::from_bits(v.bits)),
        WastArgCore::F64(v) => Value::F64(f64::from_bits(v.bits)),
        WastArgCore::V128(v) => Value::V128(v128_bits(v)),
        WastArgCore::RefNull(ty) => null(ty)?,
        // The host's value 0 is null, so that a script's n is our n + 1.
        WastArgCore::RefExtern(n) => Value::ExternRef(*n as usize + 1),
        WastArgCore::RefHost(n) => Value::ExternRef(*n as usize + 1),
    })
}

fn null(ty: &HeapType<'_>) -> Option<Value> {
    use AbstractHeapType::{Any, Array, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None as Bottom, Struct};
    match ty {
        HeapType::Abstract { ty: Func | NoFunc, .. } => Some(Value::FuncRef(None)),
        HeapType::Abstract { ty: Extern | NoExtern, .. } => Some(Value::ExternRef(0)),
        HeapType::Abstract { ty: Any | Eq | I31 | Struct | Array | Bottom, .. } => Some(Value::AnyRef(None)),
        HeapType::Abstract { ty: Exn | NoExn, .. } => Some(Value::ExnRef(None)),
        HeapType::Concrete(_) => Some(Value::FuncRef(None)),
        _ => None,
    }
}

fn v128_bits(v: &V128Const) -> u128 {
    u128::from_le_bytes(v.to_le_bytes())
}

/// Whether a value matches a pattern.
pub(crate) fn matches(value: &Value, pattern: &WastRet<'_>) -> bool {
    match pattern {
        WastRet::Core(pattern) => matches_core(value, pattern),
        #[allow(unreachable_patterns, reason = "component values, where that feature is on")]
        _ => false,
    }
}

fn matches_core(value: &Value, pattern: &WastRetCore<'_>) -> bool {
    match (value, pattern) {
        (Value::I32(v), WastRetCore::I32(p)) => v == p,
        (Value::I64(v), WastRetCore::I64(p)) => v == p,
        (Value::F32(v), WastRetCore::F32(p)) => f32_matches(v.to_bits(), p),
        (Value::F64(v), WastRetCore::F64(p)) => f64_matches(v.to_bits(), p),
        (Value::V128(v), WastRetCore::V128(p)) => v128_matches(*v, p),
        (
            Value::FuncRef(None) | Value::ExternRef(0) | Value::AnyRef(None) | Value::ExnRef(None),
            WastRetCore::RefNull(_),
        ) => true,
        // The host sees through conversions: an external reference may be to an object of the guest's, an internal one to a value of the host's.
        (Value::AnyRef(Some(_)), WastRetCore::RefExtern(None) | WastRetCore::RefAny | WastRetCore::RefEq) => true,
        (Value::AnyRef(Some(v)), WastRetCore::RefI31) => v.kind() == AnyRefKind::I31,
        (Value::AnyRef(Some(v)), WastRetCore::RefStruct) => v.kind() == AnyRefKind::Struct,
        (Value::AnyRef(Some(v)), WastRetCore::RefArray) => v.kind() == AnyRefKind::Array,
        (Value::ExternRef(v), WastRetCore::RefAny) => *v != 0,
        (Value::ExternRef(v), WastRetCore::RefHost(p)) => *v == *p as usize + 1,
        (Value::ExternRef(v), WastRetCore::RefExtern(p)) => *v != 0 && p.is_none_or(|p| *v == p as usize + 1),
        (Value::FuncRef(v), WastRetCore::RefFunc(_)) => v.is_some(),
        (value, WastRetCore::Either(patterns)) => patterns.iter().any(|p| matches_core(value, p)),
        _ => false,
    }
}

fn f32_matches(bits: u32, pattern: &NanPattern<F32>) -> bool {
    match pattern {
        NanPattern::Value(value) => bits == value.bits,
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
    }
}

fn f64_matches(bits: u64, pattern: &NanPattern<F64>) -> bool {
    match pattern {
        NanPattern::Value(value) => bits == value.bits,
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
    }
}

fn v128_matches(bits: u128, pattern: &V128Pattern) -> bool {
    let lane = |index: usize, width: usize| (bits >> (index * width)) as u64;
    match pattern {
        V128Pattern::I8x16(p) => p.iter().enumerate().all(|(i, p)| lane(i, 8) as i8 == *p),
        V128Pattern::I16x8(p) => p.iter().enumerate().all(|(i, p)| lane(i, 16) as i16 == *p),
        V128Pattern::I32x4(p) => p.iter().enumerate().all(|(i, p)| lane(i, 32) as i32 == *p),
        V128Pattern::I64x2(p) => p.iter().enumerate().all(|(i, p)| lane(i, 64) as i64 == *p),
        V128Pattern::F32x4(p) => p.iter().enumerate().all(|(i, p)| f32_matches(lane(i, 32) as u32, p)),
        V128Pattern::F64x2(p) => p.iter().enumerate().all(|(i, p)| f64_matches(lane(i, 64), p)),
    }
}
