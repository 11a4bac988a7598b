//! `wasmbridge wast`: specification scripts, run through the whole path.

use crate::compile::{Code, Target};
use anyhow::{Context, bail};
use std::fs;
use std::path::PathBuf;

/// Run WebAssembly specification scripts (.wast)
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scripts
    #[arg(value_name = "SCRIPT.wast", required = true)]
    scripts: Vec<PathBuf>,
    /// Also list what was skipped, and why
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    code: Code,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.code.config(Target::Baseline);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for script in &args.scripts {
        let name = script.display();
        let text = fs::read_to_string(script).with_context(|| format!("cannot read {name}"))?;
        let report =
            wasmbridge_wast::run(&text, &config).map_err(anyhow::Error::msg).with_context(|| name.to_string())?;
        println!("{name}: {} passed, {} failed, {} skipped", report.passed, report.failed.len(), report.skipped.len());
        for outcome in &report.failed {
            println!("  {outcome}");
        }
        for outcome in report.skipped.iter().filter(|_| args.verbose) {
            println!("  skipped, {outcome}");
        }
        passed += report.passed;
        failed += report.failed.len();
        skipped += report.skipped.len();
    }
    if args.scripts.len() > 1 {
        println!("total: {passed} passed, {failed} failed, {skipped} skipped");
    }
    if failed > 0 {
        bail!("{failed} assertions failed");
    }
    Ok(())
}
