//! What can be chosen, and Cranelift's settings that follow from it.

use crate::CompileError;
use cranelift_codegen::isa::{self, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable, SetError};
use target_lexicon::triple;
use wasmbridge_artifact::module::{FULL_RESERVATION, MAX_RESERVATION, RESERVATION_GUARD, Target};

/// How a module is compiled.
#[derive(Debug, Clone)]
pub struct Config {
    /// how much the code generator tries
    pub opt_level: OptLevel,
    /// the processor that the code is for
    pub cpu: Cpu,
    /// Bytes of address space that a 32-bit memory reserves: see [`Target::memory_reservation`]. With less than
    /// [`FULL_RESERVATION`], every access is checked by an explicit comparison.
    pub memory_reservation: u64,
    /// The index of the global that is the guest's stack pointer, where it is not named `__stack_pointer`.
    pub stack_pointer: Option<u32>,
    /// Threads to compile with. `None`: those of rayon's global pool.
    pub threads: Option<usize>,
    /// Code of the deterministic profile (Wasm 3.0, appendix 7.3), which computes the same on every machine: each NaN that arithmetic makes is the
    /// canonical one, and relaxed vector instructions do the same everywhere. Costs an instruction or two for each operation on floats,
    /// and relaxed instructions their speed.
    pub deterministic: bool,
    /// What an index that is out of bounds leads to is not even read by a processor that runs ahead of the comparison: of tables, arrays,
    /// `br_table`, and memories whose accesses are compared. On by default. Costs an instruction or two for each such access; with the full
    /// reservation, accesses to memory have none.
    pub spectre_mitigations: bool,
    /// Checks the intermediate code of every function: on by default in debug builds, for about a tenth of the time.
    pub verify: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            opt_level: OptLevel::default(),
            cpu: Cpu::default(),
            memory_reservation: FULL_RESERVATION,
            stack_pointer: None,
            threads: None,
            deterministic: false,
            spectre_mitigations: true,
            verify: cfg!(debug_assertions),
        }
    }
}

/// How much the code generator tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OptLevel {
    /// Compile as fast as can be: nothing is optimised, and registers are given out in one pass.
    None,
    /// Compile fast: nothing is optimised, but registers are given out with care.
    Less,
    /// Make fast code.
    #[default]
    Speed,
    /// Make fast code, and prefer the shorter of two equally fast.
    SpeedAndSize,
}

impl OptLevel {
    /// The name that the artifact records.
    pub fn name(self) -> &'static str {
        match self {
            OptLevel::None => "none",
            OptLevel::Less => "less",
            OptLevel::Speed => "speed",
            OptLevel::SpeedAndSize => "speed_and_size",
        }
    }
}

/// The processor that code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cpu {
    /// x86-64-v2: SSE 4.2 and POPCNT, as every x86-64 processor since 2009 has them.
    #[default]
    Baseline,
    /// This machine's, with all that Cranelift can use of it.
    Native,
}

/// Cranelift's names of what x86-64-v2 has beyond x86-64 (System V psABI, 3.1.1).
const X86_64_V2: [&str; 6] = ["has_cmpxchg16b", "has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt"];

impl Config {
    /// The code generator for this configuration.
    pub(crate) fn isa(&self) -> Result<OwnedTargetIsa, CompileError> {
        if !Target::is_reservation(self.memory_reservation) {
            let found = self.memory_reservation;
            let message = format!(
                "there is no memory reservation of {found} bytes: it is a multiple of 64 KiB, more than the guard of {RESERVATION_GUARD} bytes and at most {MAX_RESERVATION}"
            );
            return Err(CompileError::Config(message));
        }
        self.settings().map_err(|e| CompileError::Config(format!("the code generator refuses its settings: {e}")))
    }

    fn settings(&self) -> Result<OwnedTargetIsa, String> {
        let text = |e: SetError| e.to_string();
        let mut shared = settings::builder();
        let (opt_level, registers) = match self.opt_level {
            OptLevel::None => ("none", "single_pass"),
            OptLevel::Less => ("none", "backtracking"),
            OptLevel::Speed => ("speed", "backtracking"),
            OptLevel::SpeedAndSize => ("speed_and_size", "backtracking"),
        };
        let flags = [
            ("opt_level", opt_level),
            ("regalloc_algorithm", registers),
            // Of `br_table`; the translator does it for what else it compares with a limit.
            ("enable_table_access_spectre_mitigation", if self.spectre_mitigations { "true" } else { "false" }),
            ("enable_verifier", if self.verify { "true" } else { "false" }),
            ("enable_nan_canonicalization", if self.deterministic { "true" } else { "false" }),
            // The signal handler and backtraces walk the frame pointers.
            ("preserve_frame_pointers", "true"),
            ("unwind_info", "true"),
            // A large frame must not jump over the guard page below the stack.
            ("enable_probestack", "true"),
            ("probestack_strategy", "inline"),
            // Functions with more results than registers for them return the others through memory.
            ("enable_multi_ret_implicit_sret", "true"),
        ];
        for (name, value) in flags {
            shared.set(name, value).map_err(text)?;
        }
        let mut isa = isa::lookup(triple!("x86_64-unknown-linux-gnu")).map_err(|e| e.to_string())?;
        match self.cpu {
            Cpu::Baseline => X86_64_V2.iter().try_for_each(|name| isa.enable(name)).map_err(text)?,
            Cpu::Native if cfg!(target_arch = "x86_64") => cranelift_native::infer_native_flags(&mut isa)?,
            Cpu::Native => return Err("this machine is not an x86-64: code for it cannot be made yet".to_owned()),
        }
        isa.finish(settings::Flags::new(shared)).map_err(|e| e.to_string())
    }

    /// All that an artifact depends on beside the module, as a text: with equal ones, equal modules become equal artifacts.
    ///
    /// # Errors
    /// A configuration that makes no sense.
    pub fn fingerprint(&self) -> Result<String, CompileError> {
        let isa = self.isa()?;
        // Threads change nothing. The processor's features are in the flags: they are the machine's with `Cpu::Native`.
        let config = Config { threads: None, ..self.clone() };
        let features: Vec<String> = isa.isa_flags().iter().map(|flag| flag.to_string()).collect();
        let versions = (wasmbridge_artifact::FORMAT_VERSION, wasmbridge_artifact::COMPILER_VERSION);
        Ok(format!("{versions:?}\n{config:?}\n{}\n{}\n{features:?}", isa.triple(), isa.flags()))
    }

    /// What the artifact records of the configuration.
    pub(crate) fn target(&self, isa: &dyn TargetIsa) -> Target {
        let features = isa.isa_flags();
        Target {
            triple: isa.triple().to_string(),
            cpu_features: features.iter().filter(|v| v.as_bool() == Some(true)).map(|v| v.name.to_owned()).collect(),
            opt_level: self.opt_level.name().to_owned(),
            memory_reservation: self.memory_reservation,
            deterministic: self.deterministic,
            spectre_mitigations: self.spectre_mitigations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_artifact_records_the_features_of_the_baseline() {
        let config = Config::default();
        let target = config.target(&*config.isa().unwrap());
        let mut features = target.cpu_features;
        features.sort();
        let mut expected = X86_64_V2.map(str::to_owned);
        expected.sort();
        assert_eq!(features, expected);
        assert_eq!(target.triple, "x86_64-unknown-linux-gnu");
    }

    /// Cranelift's settings, when a new version brings new ones, are compared with those of wasmtime's and entered there.
    #[test]
    fn every_setting_of_the_code_generator_is_documented() {
        let documented = include_str!("../../docs/code-generator.md");
        let config = Config { verify: false, ..Config::default() };
        let isa = config.isa().unwrap();
        for flag in isa.flags().iter().chain(isa.isa_flags()) {
            let name = format!("`{}`", flag.name);
            assert!(
                documented.lines().any(|line| line.starts_with("| ") && line.contains(&name)),
                "{name} is not there"
            );
        }
        let expected = [
            "bb_padding_log2_minus_one=0",
            "enable_alias_analysis=1",
            "enable_compact_unwind_abi=0",
            "enable_heap_access_spectre_mitigation=1",
            "enable_incremental_compilation_cache_checks=0",
            "enable_llvm_abi_extensions=0",
            "enable_multi_ret_implicit_sret=1",
            "enable_nan_canonicalization=0",
            "enable_pinned_reg=0",
            "enable_probestack=1",
            "enable_table_access_spectre_mitigation=1",
            "enable_verifier=0",
            "is_pic=0",
            "libcall_call_conv=isa_default",
            "log2_min_function_alignment=0",
            "machine_code_cfg_info=0",
            "opt_level=speed",
            "preserve_frame_pointers=1",
            "probestack_size_log2=12",
            "probestack_strategy=inline",
            "regalloc_algorithm=backtracking",
            "regalloc_checker=0",
            "regalloc_verbose_logs=0",
            "stack_switch_model=none",
            "tls_model=none",
            "unwind_info=1",
            "use_colocated_libcalls=0",
        ];
        let mut shared: Vec<String> = isa.flags().iter().map(|flag| flag.to_string()).collect();
        shared.sort();
        assert_eq!(shared, expected);
    }

    #[test]
    fn the_fingerprint_tells_configurations_apart() {
        let print = |config: &Config| config.fingerprint().unwrap();
        let base = Config::default();
        let threads = Config { threads: Some(3), ..Config::default() };
        let others = [
            Config { opt_level: OptLevel::None, ..Config::default() },
            Config { memory_reservation: 1 << 20, ..Config::default() },
            Config { deterministic: true, ..Config::default() },
            Config { opt_level: OptLevel::Less, ..Config::default() },
            Config { spectre_mitigations: false, ..Config::default() },
            Config { stack_pointer: Some(1), ..Config::default() },
            Config { cpu: Cpu::Native, ..Config::default() },
        ];
        assert_eq!(print(&base), print(&threads));
        for other in &others {
            assert_ne!(print(&base), print(other), "{other:?}");
        }
    }

    #[test]
    fn a_reservation_that_no_memory_can_have_is_refused() {
        for memory_reservation in [0, RESERVATION_GUARD, (1 << 20) + 1, MAX_RESERVATION + (1 << 16)] {
            let config = Config { memory_reservation, ..Config::default() };
            assert!(matches!(config.isa().map(|_| ()), Err(CompileError::Config(_))), "{memory_reservation}");
        }
    }
}
