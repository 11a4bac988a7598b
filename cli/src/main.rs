//! The command line. It holds no logic of its own: it reads files, calls the library, and writes files.

mod compile;
mod inspect;
mod output;
mod wast;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Compiles WebAssembly ahead of time, for C programs to link.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Compile(compile::Args),
    Inspect(inspect::Args),
    Wast(wast::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Compile(args) => compile::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Wast(args) => wast::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
