//! `wasmbridge compile`: a WebAssembly module becomes an artifact.

use anyhow::{Context, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use wasmbridge_artifact::module::FULL_RESERVATION;
use wasmbridge_compiler::{Config, Cpu, OptLevel};

/// Compile a WebAssembly module, binary or text, to an artifact
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The module: .wasm, or the text format, .wat
    #[arg(value_name = "APP.wasm")]
    module: PathBuf,
    /// Where to write the artifact [default: the module's name, ending in .wbm]
    #[arg(short, long, value_name = "APP.wbm")]
    output: Option<PathBuf>,
    #[command(flatten)]
    code: Code,
}

/// What code is made
#[derive(clap::Args)]
pub(crate) struct Code {
    /// Optimisation: 0 compiles as fast as can be, 1 compiles fast, 2 makes fast code, s makes fast code and prefers it short
    #[arg(short = 'O', value_enum, default_value = "2", hide_possible_values = true, value_name = "0|1|2|s")]
    optimisation: Optimisation,
    /// The processor that the code is for [default: x86-64-v2; of `run`: native]
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Address space that each 32-bit memory reserves, in bytes or with K, M or G; less than `full` (8 GiB and a guard)
    /// costs a comparison for each access
    #[arg(long, value_name = "BYTES", value_parser = reservation, default_value = "full")]
    memory_reservation: u64,
    /// Code that computes the same on every machine: canonical NaNs, and relaxed vector instructions that do not depend on the processor
    #[arg(long)]
    deterministic: bool,
    /// Leave out what keeps processors from reading, ahead of a comparison with a limit, what lies beyond it (Spectre)
    #[arg(long)]
    no_spectre_mitigations: bool,
    /// Index of the global that is the stack pointer, where it is not named __stack_pointer
    #[arg(long, value_name = "N")]
    stack_pointer: Option<u32>,
    /// Threads to compile with [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl Code {
    /// The compiler's configuration; `target` is what the code is for if nothing is said.
    pub(crate) fn config(&self, target: Target) -> Config {
        Config {
            opt_level: match self.optimisation {
                Optimisation::Zero => OptLevel::None,
                Optimisation::One => OptLevel::Less,
                Optimisation::Two => OptLevel::Speed,
                Optimisation::Small => OptLevel::SpeedAndSize,
            },
            cpu: match self.target.unwrap_or(target) {
                Target::Baseline => Cpu::Baseline,
                Target::Native => Cpu::Native,
            },
            memory_reservation: self.memory_reservation,
            stack_pointer: self.stack_pointer,
            deterministic: self.deterministic,
            spectre_mitigations: !self.no_spectre_mitigations,
            threads: self.threads.map(usize::from),
            ..Config::default()
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Optimisation {
    #[value(name = "0")]
    Zero,
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
    #[value(name = "s")]
    Small,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Target {
    /// every x86-64 processor since about 2009
    #[value(name = "x86-64-v2")]
    Baseline,
    /// this machine's processor, with all that it has
    Native,
}

/// How long a compilation runs before it shows how far it is.
const PATIENCE: Duration = Duration::from_millis(400);

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let path = args.module.display();
    let output = args.output.clone().unwrap_or_else(|| args.module.with_extension("wbm"));
    let file = fs::read(&args.module).with_context(|| format!("cannot read {path}"))?;
    let wasm = binary(&args.module, &file).with_context(|| path.to_string())?;
    let artifact = compile(&wasm, &args.code.config(Target::Baseline)).with_context(|| path.to_string())?;
    crate::output::write(&output, &artifact)
}

/// Compiles, with a progress bar if it takes long.
pub(crate) fn compile(wasm: &[u8], config: &Config) -> Result<Vec<u8>, wasmbridge_compiler::CompileError> {
    let bar = Bar::new();
    let artifact = wasmbridge_compiler::compile_with_progress(wasm, config, &|done, total| bar.show(done, total));
    bar.finish();
    artifact
}

/// The module in the binary format.
pub(crate) fn binary<'a>(path: &Path, file: &'a [u8]) -> anyhow::Result<Cow<'a, [u8]>> {
    if file.is_empty() {
        bail!("the file is empty; expected a WebAssembly module");
    }
    if file.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(file));
    }
    if file.starts_with(b"\x7fELF") {
        bail!("this is an ELF file, perhaps an artifact already; expected a WebAssembly module");
    }
    let text = std::str::from_utf8(file).ok().filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        bail!("this is neither a WebAssembly module nor its text format");
    };
    let wasm = wat::parse_str(text).map_err(|mut error| {
        error.set_path(path);
        error
    })?;
    Ok(Cow::Owned(wasm))
}

/// `full`, or a number of bytes, with K, M or G for units of 1024.
fn reservation(text: &str) -> Result<u64, String> {
    if text == "full" {
        return Ok(FULL_RESERVATION);
    }
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "expected `full`, or a number like 1048576, 64M or 4G".to_owned())?;
    let bytes = number.checked_mul(1 << shift).filter(|&bytes| bytes <= FULL_RESERVATION);
    bytes.ok_or_else(|| format!("more than {FULL_RESERVATION} bytes, which is `full`, is of no use"))
}

/// A progress bar, on terminals, for what takes long.
struct Bar {
    start: Instant,
    bar: OnceLock<ProgressBar>,
}

impl Bar {
    fn new() -> Bar {
        Bar { start: Instant::now(), bar: OnceLock::new() }
    }

    /// Called from several threads, in any order.
    fn show(&self, done: usize, total: usize) {
        if self.bar.get().is_none() && self.start.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let style = ProgressStyle::with_template("compiling {wide_bar} {pos}/{len} functions");
            ProgressBar::new(total as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_position(bar.position().max(done as u64));
    }

    fn finish(self) {
        if let Some(bar) = self.bar.into_inner() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_have_units() {
        assert_eq!(reservation("full"), Ok(FULL_RESERVATION));
        assert_eq!(reservation("65537"), Ok(65537));
        assert_eq!(reservation("64M"), Ok(64 << 20));
        assert_eq!(reservation("8g"), Ok(8 << 30));
        for wrong in ["", "M", "-1", "1T", "1.5G", "9G", "99999999999999999999", "18014398509481984K"] {
            assert!(reservation(wrong).is_err(), "{wrong}");
        }
    }
}
