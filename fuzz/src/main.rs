//! Fuzzers.
//!
//! | kind | a case is | it fails if |
//! |---|---|---|
//! | `differential` | a module that wasm-smith made, run by wasmbridge and by wasmi | results, traps, globals or memories differ |
//! | `settings` | a module with what wasmi has not, too, run by wasmbridge optimised and not, collecting always and seldom | as above |
//! | `modules` | a module, mutated by structure or byte by byte | the compiler crashes, hangs or contradicts the validator |
//! | `artifacts` | an artifact, damaged, with its hash put right | the loader crashes or hangs |
//!
//! A case is made from its number alone, so a number is all that is needed to see it again. Cases run in a process of their own, which
//! is watched: what kills it or hangs is a failure like any other.
//!
//! ```text
//! cargo run -- run --seconds 60              all kinds, a minute each
//! cargo run -- run differential --first 5000 --cases 100000
//! cargo run -- show differential 5017        runs one case here, and prints the module
//! cargo run -- shrink failures/differential-5017.wasm
//! ```

mod artifacts;
mod case;
mod differential;
mod engines;
mod generate;
mod modules;
mod watch;

use anyhow::{Context, bail};
use case::{Kind, Verdict};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run cases until the time or the number of cases is over
    Run {
        /// What to run [default: each kind in turn]
        kind: Option<Kind>,
        /// Number of the first case
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// How many cases, of each kind
        #[arg(long, default_value_t = u64::MAX)]
        cases: u64,
        /// How long, for each kind
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Where modules and artifacts of failing cases are written
        #[arg(long, default_value = "failures")]
        save: PathBuf,
    },
    /// Run one case in this process, and print what it is made of
    Show { kind: Kind, number: u64 },
    /// Run a module through the differential fuzzer, or a module or artifact through its own
    Replay { file: PathBuf },
    /// Make a failing module of the differential fuzzer smaller
    Shrink { file: PathBuf },
    /// What `run` starts: cases from `first` on, a line for each on the standard output
    #[command(hide = true)]
    Work { kind: Kind, first: u64 },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Run { kind, first, cases, seconds, save } => {
            let kinds = kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
            let mut failures = 0;
            for kind in kinds {
                failures += watch::run(kind, first, cases, Duration::from_secs(seconds), &save)?;
            }
            Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Show { kind, number } => {
            let bytes = case::material(kind, number);
            match kind {
                Kind::Artifacts => println!("an artifact of {} bytes", bytes.len()),
                _ => println!(
                    "{}",
                    wasmprinter::print_bytes(&bytes).unwrap_or_else(|e| format!("(cannot be printed: {e})"))
                ),
            }
            report(case::judge(kind, number, &bytes))
        }
        Command::Replay { file } => {
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            report(case::judge(kind_of(&file, &bytes), case::number_in(&file), &bytes))
        }
        Command::Shrink { file } => {
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let (kind, number) = (kind_of(&file, &bytes), case::number_in(&file));
            let fails = |bytes: &[u8]| matches!(case::judge(kind, number, bytes), Verdict::Failed(_));
            if !fails(&bytes) {
                bail!("{} does not fail, or kills this process before it can be judged", file.display());
            }
            let shrunk = wasm_shrink::WasmShrink::default().run(bytes, |wasm| Ok(fails(wasm)));
            let shrunk = shrunk.map_err(|e| anyhow::anyhow!("{e}"))?.output;
            let output = file.with_extension("small.wasm");
            std::fs::write(&output, &shrunk)?;
            println!("{}: {} bytes\n{}", output.display(), shrunk.len(), wasmprinter::print_bytes(&shrunk)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Work { kind, first } => watch::work(kind, first),
    }
}

/// The kind of a saved case: by its name, or by what it is.
fn kind_of(file: &std::path::Path, bytes: &[u8]) -> Kind {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let named = Kind::ALL.into_iter().find(|kind| name.starts_with(kind.name()));
    named.unwrap_or(if bytes.starts_with(b"\x7fELF") { Kind::Artifacts } else { Kind::Differential })
}

fn report(verdict: Verdict) -> anyhow::Result<ExitCode> {
    println!("{verdict:?}");
    Ok(if matches!(verdict, Verdict::Failed(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
