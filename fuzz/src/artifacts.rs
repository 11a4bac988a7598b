//! Damaged artifacts, for the loader. Their hash is put right, so that the damage gets past it.
//!
//! What is promised: the loader refuses, or loads something whose tables can be asked about any address and that can be instantiated as
//! long as none of its code runs. Code is believed: what a damaged `.text` would do, or sound code with another module's metadata, no loader can say.

use crate::case::Verdict;
use crate::modules::{MACHINE, scramble};
use crate::{engines::ours, generate};
use std::ops::Range;
use wasmbridge_artifact::container::{self, HEAD_OFFSET, Head};
use wasmbridge_artifact::{Artifact, FunctionKind};
use wasmbridge_runtime::{Engine, Module};

/// An artifact of a module that wasm-smith made, damaged.
pub fn material(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number ^ 0xa471fac7);
    // The same modules again and again: compiling takes longer than loading.
    let base = number / 64;
    let mut artifact = thread_local_artifact(base);
    if artifact.is_empty() {
        return artifact;
    }
    // Where the structure is, the damage does most.
    let metadata = Artifact::parse(&artifact, MACHINE).map(|a| (a.text.clone(), a.eh_frame.clone())).ok();
    if random.u8(..10) < 7 {
        let outside: Vec<usize> = (64..artifact.len())
            .filter(|at| metadata.as_ref().is_none_or(|(text, _)| !text.contains(at)))
            .filter(|&at| artifact[at] != 0 || random.u8(..) < 16)
            .collect();
        for _ in 0..random.u8(1..8) {
            let at = outside[random.usize(..outside.len())];
            artifact[at] = match random.u8(..4) {
                0 => artifact[at] ^ 1 << random.u8(..8),
                1 => artifact[at].wrapping_add(1),
                2 => [0, 0x7f, 0x80, 0xff][random.usize(..4)],
                _ => random.u8(..),
            };
        }
    } else {
        artifact = scramble(artifact, &mut random);
    }
    let text = metadata.map_or(0..0, |(text, _)| text.start as u64..text.end as u64);
    put_right(&mut artifact, text);
    artifact
}

/// The artifact of a module; the last one is kept.
fn thread_local_artifact(base: u64) -> Vec<u8> {
    use std::cell::RefCell;
    thread_local!(static LAST: RefCell<(u64, Vec<u8>)> = const { RefCell::new((u64::MAX, Vec::new())) });
    LAST.with_borrow_mut(|last| {
        if last.0 != base {
            let wasm = generate::runnable(base);
            *last =
                (base, wasmbridge_compiler::compile(&wasm, &ours::settings(base, false).compiler).unwrap_or_default());
        }
        last.1.clone()
    })
}

/// Makes the head say what the file is again: magic, versions, length, hash, where the code is.
fn put_right(artifact: &mut [u8], text: Range<u64>) {
    if artifact.len() < HEAD_OFFSET + Head::SIZE {
        return;
    }
    let mut head = Head {
        format: wasmbridge_artifact::FORMAT_VERSION,
        machine: MACHINE,
        file_len: artifact.len() as u64,
        hash: 0,
        text,
        compiler: wasmbridge_artifact::COMPILER_VERSION.to_owned(),
    };
    artifact[HEAD_OFFSET..HEAD_OFFSET + Head::SIZE].copy_from_slice(&head.encode());
    head.hash = container::hash(artifact);
    artifact[HEAD_OFFSET..HEAD_OFFSET + Head::SIZE].copy_from_slice(&head.encode());
}

pub fn judge(bytes: &[u8]) -> Verdict {
    let Ok(artifact) = Artifact::parse(bytes, MACHINE) else {
        return match Module::load(&engine(), bytes) {
            Ok(_) => Verdict::Failed("the loader takes what the parser refuses".to_owned()),
            Err(_) => Verdict::Refused,
        };
    };
    // What `inspect`, backtraces and the signal handler ask.
    let (functions, traps, addresses, names) =
        (artifact.functions(bytes), artifact.traps(bytes), artifact.addresses(bytes), artifact.names(bytes));
    let text = (artifact.text.end - artifact.text.start) as u32;
    for offset in (0..text).step_by(7).chain([0, text, u32::MAX]) {
        let _ = (functions.find(offset), traps.find(offset), addresses.find(offset));
    }
    for function in 0..artifact.module.functions.len() as u32 + 2 {
        let _ = names.get(function);
    }
    let engine = engine();
    let Ok(module) = Module::load(&engine, bytes) else { return Verdict::Refused };
    let runs = artifact.module.start.is_some() || artifact.module.export("_initialize").is_some();
    let wasm = functions.iter().any(|f| f.kind == FunctionKind::Wasm);
    if runs || !wasm {
        return Verdict::Ran(1);
    }
    let linker = ours::linker(&engine, &Default::default());
    let _ = linker.instantiate(&module);
    Verdict::Ran(1)
}

fn engine() -> Engine {
    thread_local!(static ENGINE: Engine = Engine::new(Default::default()).expect("an engine starts"));
    ENGINE.with(Clone::clone)
}
