//! Modules that two engines must run alike.

use crate::case::Verdict;
use crate::engines::{Family, Guest, Refused, Trap, Val, ours, wasmi};
use wasmparser::{AbstractHeapType, ExternalKind, HeapType, Parser, Payload, RefType, ValType};

/// Calls of one module, at least.
const CALLS: usize = 12;

/// wasmbridge and wasmi.
pub fn against_wasmi(number: u64, wasm: &[u8]) -> Verdict {
    let settings = ours::settings(number, converts_floats(wasm));
    judge(number, wasm, ours::start(&settings, wasm), wasmi::start(wasm))
}

/// Whether floats are converted to others: then NaNs come of NaNs that the module has not made canonical, and wasmi has the processor's.
fn converts_floats(wasm: &[u8]) -> bool {
    use wasmparser::Operator::{F32DemoteF64, F32x4DemoteF64x2Zero, F64PromoteF32, F64x2PromoteLowF32x4};
    Parser::new(0).parse_all(wasm).any(|payload| {
        let Ok(Payload::CodeSectionEntry(body)) = payload else { return false };
        let converts =
            |op| matches!(op, Ok(F32DemoteF64 | F64PromoteF32 | F32x4DemoteF64x2Zero | F64x2PromoteLowF32x4));
        body.get_operators_reader().is_ok_and(|ops| ops.into_iter().any(converts))
    })
}

/// wasmbridge twice, with opposite settings: for what wasmi has not.
pub fn against_itself(number: u64, wasm: &[u8]) -> Verdict {
    let [a, b] = ours::opposites(number);
    judge(number, wasm, ours::start(&a, wasm), ours::start(&b, wasm))
}

fn judge<A: Guest, B: Guest>(number: u64, wasm: &[u8], a: Result<A, Refused>, b: Result<B, Refused>) -> Verdict {
    match (a, b) {
        (Ok(mut a), Ok(mut b)) => compare(number, wasm, &mut a, &mut b),
        (Err(Refused::Trap(Trap::Resource)), _) | (_, Err(Refused::Trap(Trap::Resource))) => Verdict::Refused,
        (Err(Refused::Trap(a)), Err(Refused::Trap(b))) if a == b => Verdict::Ran(1),
        (Err(Refused::Module(_)), Err(Refused::Module(_))) => Verdict::Refused,
        (a, b) => {
            let say = |error: Option<Refused>| error.map_or("works".to_owned(), |error| error.to_string());
            Verdict::Failed(format!("instantiation: {}, the other {}", say(a.err()), say(b.err())))
        }
    }
}

/// What a module exports, as far as it is looked at.
#[derive(Default)]
struct Exports {
    /// functions whose parameters can be made up
    functions: Vec<(String, Vec<ValType>)>,
    globals: Vec<String>,
    memories: Vec<String>,
}

/// Calls all functions of both, and compares what came of it. The number of comparisons.
fn compare(number: u64, wasm: &[u8], a: &mut dyn Guest, b: &mut dyn Guest) -> Verdict {
    let exports = exports(wasm);
    let mut random = fastrand::Rng::with_seed(number ^ 0xa4615);
    let mut compared = 0;
    for (name, params) in exports.functions.iter().cycle().take(CALLS.max(exports.functions.len())) {
        let args: Vec<Val> = params.iter().filter_map(|&ty| value(ty, &mut random)).collect();
        let (left, right) = (a.call(name, &args), b.call(name, &args));
        if left == Err(Trap::Resource) || right == Err(Trap::Resource) {
            // From here on they may differ: one of them has done less than the other.
            return Verdict::Ran(compared);
        }
        if left != right {
            return Verdict::Failed(format!("`{name}` of {args:?}: {left:?}, the other {right:?}"));
        }
        compared += 1;
        if let Some(difference) = state(&exports, a, b) {
            return Verdict::Failed(format!("after `{name}` of {args:?}: {difference}"));
        }
        compared += (exports.globals.len() + exports.memories.len()) as u64;
    }
    Verdict::Ran(compared)
}

/// What differs in globals, memories and what the host was told.
fn state(exports: &Exports, a: &mut dyn Guest, b: &mut dyn Guest) -> Option<String> {
    for name in &exports.globals {
        let (a, b) = (a.global(name), b.global(name));
        if a != b {
            return Some(format!("global `{name}`: {a:?}, the other {b:?}"));
        }
    }
    for name in &exports.memories {
        let (a, b) = (a.memory(name), b.memory(name));
        if a != b {
            return Some(format!("memory `{name}`, length and hash: {a:?}, the other {b:?}"));
        }
    }
    (a.notes() != b.notes()).then(|| "the calls of imports differ".to_owned())
}

/// An argument: often one of those at which things happen. `None` if none can be made up.
fn value(ty: ValType, random: &mut fastrand::Rng) -> Option<Val> {
    let int = match random.u8(..8) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => 1 << 63,
        4 => 0x7fff_ffff,
        5 => 0x8000_0000,
        6 => random.u64(..70_000),
        _ => random.u64(..),
    };
    let float = match random.u8(..8) {
        0 => 0.0,
        1 => -0.0,
        2 => f64::INFINITY,
        3 => f64::NAN,
        4 => -2147483648.9,
        5 => 1e19,
        6 => f64::from(random.i32(..)),
        _ => random.f64() * 1e6 - 5e5,
    };
    Some(match ty {
        ValType::I32 => Val::I32(int as i32),
        ValType::I64 => Val::I64(int as i64),
        // The canonical NaN of each type: what conversion makes of another one is an engine's own business.
        ValType::F32 if float.is_nan() => Val::F32(0x7fc0_0000),
        ValType::F64 if float.is_nan() => Val::F64(0x7ff8_0000_0000_0000),
        ValType::F32 => Val::F32((float as f32).to_bits()),
        ValType::F64 => Val::F64(float.to_bits()),
        ValType::V128 => Val::V128(u128::from(int) << 64 | u128::from(random.u64(..))),
        ValType::Ref(ty) => Val::Null(null(ty)?),
    })
}

/// Whose null is a value of the type, if any is.
fn null(ty: RefType) -> Option<Family> {
    use AbstractHeapType::{Exn, Extern, Func, NoExn, NoExtern, NoFunc};
    match ty.heap_type() {
        _ if !ty.is_nullable() => None,
        HeapType::Abstract { ty: Func | NoFunc, .. } => Some(Family::Func),
        HeapType::Abstract { ty: Extern | NoExtern, .. } => Some(Family::Extern),
        HeapType::Abstract { ty: Exn | NoExn, .. } => Some(Family::Exn),
        HeapType::Abstract { .. } => Some(Family::Any),
        // What it is stands in the type section.
        _ => None,
    }
}

fn exports(wasm: &[u8]) -> Exports {
    let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
    let types = validator.validate_all(wasm).expect("both engines have taken it");
    let types = types.as_ref();
    let mut exports = Exports::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(Payload::ExportSection(section)) = payload else { continue };
        for export in section {
            let export = export.expect("it is valid");
            let name = export.name.to_owned();
            match export.kind {
                ExternalKind::Func => {
                    let id = types.core_function_at(export.index);
                    let params = types[id].unwrap_func().params().to_vec();
                    if params.iter().all(|&ty| value(ty, &mut fastrand::Rng::with_seed(0)).is_some()) {
                        exports.functions.push((name, params));
                    }
                }
                ExternalKind::Global => exports.globals.push(name),
                ExternalKind::Memory => exports.memories.push(name),
                _ => {}
            }
        }
    }
    exports
}
