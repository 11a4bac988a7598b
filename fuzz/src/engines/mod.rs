//! Engines, as the differential fuzzers see them.

pub mod ours;
pub mod wasmi;

use std::hash::{DefaultHasher, Hash, Hasher};

/// Whose null a reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    Func,
    Extern,
    Any,
    Exn,
}

/// A value that every engine can be given, or what can be said of one: references are null or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Val {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
    Null(Family),
    Reference,
}

/// Why a call did not return. Engines have different names, and some make differences that others do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    Unreachable,
    Memory,
    Table,
    Array,
    Null,
    Cast,
    Type,
    Overflow,
    DivideByZero,
    Conversion,
    Exception,
    /// The stack, the heap or another resource: not the same in two engines.
    Resource,
}

/// A running module.
pub trait Guest {
    /// Calls an export.
    fn call(&mut self, name: &str, args: &[Val]) -> Result<Vec<Val>, Trap>;
    /// The value of an exported global.
    fn global(&mut self, name: &str) -> Val;
    /// Length and hash of an exported memory.
    fn memory(&mut self, name: &str) -> (usize, u64);
    /// What the app has told the host, as a hash.
    fn notes(&self) -> u64;
}

/// Why a module does not run.
pub enum Refused {
    /// It is none, or has what the engine has not.
    Module(String),
    /// Its instantiation trapped.
    Trap(Trap),
}

/// What modules may import from `host`: the same functions in all engines. Parameters and results are letters: I, L, F and D.
pub const IMPORTS: [(&str, &str, &str); 4] =
    [("mix", "IL", "L"), ("scale", "DF", "D"), ("many", "ILFDILFDIL", "IDL"), ("note", "I", "")];

/// The types of these letters, by what an engine calls `i32`, `i64`, `f32` and `f64`.
fn types<T: Clone>(letters: &str, [i32, i64, f32, f64]: [T; 4]) -> Vec<T> {
    let of = |letter| match letter {
        'I' => &i32,
        'L' => &i64,
        'F' => &f32,
        _ => &f64,
    };
    letters.chars().map(|letter| of(letter).clone()).collect()
}

/// What the imports do: anything that depends on every argument.
fn import(name: &str, args: &[Val], notes: &mut u64) -> Vec<Val> {
    let hash = hash(&(name, args));
    *notes = notes.rotate_left(7) ^ hash;
    // No NaN, whose bits are an engine's own business.
    let float = ((hash >> 12) as f64).to_bits();
    match name {
        "mix" => vec![Val::I64(hash as i64)],
        "scale" => vec![Val::F64(float)],
        "many" => vec![Val::I32(hash as i32), Val::F64(float), Val::I64(!hash as i64)],
        _ => vec![],
    }
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash.finish()
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Module(why) => f.write_str(why),
            Refused::Trap(trap) => write!(f, "trap {trap:?}"),
        }
    }
}
