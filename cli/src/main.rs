//! The command line. It holds no logic of its own: it reads files, calls the library, and writes files.

mod cache;
mod compile;
mod inspect;
mod output;
mod run;
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
    Run(run::Args),
    Wast(wast::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Compile(args) => compile::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => inspect::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Run(args) => run::run(&args),
        Command::Wast(args) => wast::run(&args).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
