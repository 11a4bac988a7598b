//! Damaged modules, for the compiler: it must take or refuse them, and agree with the validator.

use crate::case::Verdict;
use crate::engines::ours;
use crate::generate;
use wasm_mutate::WasmMutate;
use wasmbridge_artifact::Artifact;
use wasmbridge_compiler::CompileError;

/// ELF machine number of x86-64.
pub const MACHINE: u16 = 62;

/// A module that wasm-smith made: as it is, mutated by structure, byte by byte, or with exceptions of the old form.
pub fn material(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number ^ 0x30d);
    let module = if random.bool() { generate::anything(number) } else { generate::runnable(number) };
    match random.u8(..5) {
        0 => module,
        4 => with_tries(module, &mut random),
        1 | 2 => {
            let mut mutate = WasmMutate::default();
            mutate.seed(random.u64(..)).fuel(1000).preserve_semantics(false);
            let mutated = mutate.run(&module).ok().and_then(|mut all| all.next()).and_then(Result::ok);
            mutated.unwrap_or(module)
        }
        _ => scramble(module, &mut random),
    }
}

/// Some blocks become `try`s without clauses, which changes nothing if they were blocks indeed; some other bytes become clauses.
fn with_tries(mut bytes: Vec<u8>, random: &mut fastrand::Rng) -> Vec<u8> {
    const BLOCK: [u8; 2] = [0x02, 0x40];
    const TRY: u8 = 0x06;
    const NOP: u8 = 0x01;
    const CATCH_ALL: u8 = 0x19;
    for at in 1..bytes.len() {
        if bytes[at - 1..=at] == BLOCK && random.bool() {
            bytes[at - 1] = TRY;
        } else if bytes[at] == NOP && random.u8(..8) == 0 {
            bytes[at] = CATCH_ALL;
        }
    }
    bytes
}

/// Damage: bits, bytes, lengths, pieces that are gone or there twice.
pub fn scramble(mut bytes: Vec<u8>, random: &mut fastrand::Rng) -> Vec<u8> {
    for _ in 0..random.u8(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = random.usize(..bytes.len());
        match random.u8(..7) {
            0 => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes[at] = random.u8(..),
            2 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.usize(..4)],
            3 => bytes.truncate(at),
            4 => bytes.insert(at, random.u8(..)),
            5 => drop(bytes.drain(at..(at + random.usize(..16)).min(bytes.len()))),
            _ => {
                let piece: Vec<u8> = bytes[at..(at + random.usize(..32)).min(bytes.len())].to_vec();
                let to = random.usize(..bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

pub fn judge(number: u64, bytes: &[u8]) -> Verdict {
    match wasmbridge_compiler::compile(bytes, &ours::settings(number, false).compiler) {
        Ok(artifact) => match Artifact::parse(&artifact, MACHINE) {
            Ok(_) if !valid(bytes) => Verdict::Failed("an invalid module was compiled".to_owned()),
            Ok(_) => Verdict::Ran(1),
            Err(error) => Verdict::Failed(format!("the artifact is not read: {error}")),
        },
        Err(CompileError::Codegen { message, .. }) => Verdict::Failed(format!("the code generator: {message}")),
        Err(error @ CompileError::Write(_)) => Verdict::Failed(error.to_string()),
        Err(CompileError::Invalid { message, .. }) if valid(bytes) => {
            Verdict::Failed(format!("a valid module was refused as invalid: {message}"))
        }
        Err(_) => Verdict::Refused,
    }
}

fn valid(bytes: &[u8]) -> bool {
    let features = wasmparser::WasmFeatures::all().difference(wasmparser::WasmFeatures::COMPONENT_MODEL);
    wasmparser::Validator::new_with_features(features).validate_all(bytes).is_ok()
}
