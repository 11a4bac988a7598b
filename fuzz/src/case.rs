//! Cases: what they are made of, and what comes of them.

use crate::{artifacts, differential, generate, modules};
use clap::ValueEnum;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Kinds of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// modules, run by wasmbridge and by wasmi
    Differential,
    /// modules, run by wasmbridge with opposite settings
    Settings,
    /// damaged modules, for the compiler
    Modules,
    /// damaged artifacts, for the loader
    Artifacts,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Differential, Kind::Settings, Kind::Modules, Kind::Artifacts];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Differential => "differential",
            Kind::Settings => "settings",
            Kind::Modules => "modules",
            Kind::Artifacts => "artifacts",
        }
    }

    /// What its cases are saved as.
    pub fn extension(self) -> &'static str {
        if self == Kind::Artifacts { "wbm" } else { "wasm" }
    }
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was run to its end: so many things were compared, or the reader took what it was given.
    Ran(u64),
    /// It says nothing: refused, as it may be.
    Refused,
    /// It must not be so.
    Failed(String),
}

/// The module or artifact of a case.
pub fn material(kind: Kind, number: u64) -> Vec<u8> {
    match kind {
        Kind::Differential => generate::runnable(number),
        Kind::Settings => generate::advanced(number),
        Kind::Modules => modules::material(number),
        Kind::Artifacts => artifacts::material(number),
    }
}

/// Runs a case. A panic is a failure.
pub fn judge(kind: Kind, number: u64, bytes: &[u8]) -> Verdict {
    let judge = || match kind {
        Kind::Differential => differential::against_wasmi(number, bytes),
        Kind::Settings => differential::against_itself(number, bytes),
        Kind::Modules => modules::judge(number, bytes),
        Kind::Artifacts => artifacts::judge(bytes),
    };
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Verdict::Failed(format!("panicked: {}", text.or_else(|| panic.downcast_ref().cloned()).unwrap_or_default()))
    })
}

/// The number in a saved case's name, on which its settings depend; 0 if there is none.
pub fn number_in(file: &Path) -> u64 {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}
