//! `wasmbridge run`: a program for WASI, compiled if it must be, and run.

use crate::cache::Cache;
use crate::compile::{self, Code, Target};
use anyhow::{Context, anyhow, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wasmbridge_runtime::metadata::ExternIndex;
use wasmbridge_runtime::{Engine, ErrorKind, Instance, Linker, Module, ValType, Value};
use wasmbridge_wasi::WasiConfig;

/// Run a WASI program, or a function of a module
///
/// The program gets the standard streams, its arguments, the clocks and random numbers, and nothing else: no directory and no variable of
/// the environment that is not named here. The exit status is the program's own; 134 after a trap, 1 if it cannot be run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The program: an artifact, .wbm, or a module, .wasm or .wat, which is compiled for this machine and kept in the cache
    #[arg(value_name = "APP")]
    app: PathBuf,
    /// Open a directory for the program, under the same path or the one behind `::`
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    dirs: Vec<String>,
    /// Set a variable of the program's environment; without a value, to that of this process
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Call this exported function instead of the program's `_start`, and print what it returns; its arguments come after `--`
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,
    /// Compile again, and keep nothing
    #[arg(long)]
    no_cache: bool,
    #[command(flatten)]
    code: Code,
    /// Arguments for the program
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// What a shell makes of a process that has aborted: 128 and SIGABRT.
const TRAPPED: u8 = 134;

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = args.app.display().to_string();
    let engine = Engine::new(Default::default())?;
    let module = load(args, &engine).with_context(|| path.clone())?;
    let mut linker = Linker::new(&engine);
    // The module's own answer to what is missing comes before what the program would be given.
    let values = match &args.invoke {
        Some(function) => parameters(&module, function, &args.args)?,
        None if matches!(module.metadata().export("_start"), Some(ExternIndex::Func(_))) => Vec::new(),
        None => bail!("{path}: {}", no_start(&module)),
    };
    wasi(args, values.is_empty())?.define(&mut linker)?;
    let outcome = linker.instantiate(&module).and_then(|app| call(&app, args.invoke.as_deref(), &values));
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == ErrorKind::Trap => {
            if let Some(status) = error.trap().and_then(|trap| trap.exit_status) {
                // As the operating system does with a process's own.
                return Ok(ExitCode::from(status as u8));
            }
            eprintln!("error: {path}: {error}");
            Ok(ExitCode::from(TRAPPED))
        }
        Err(error) => Err(anyhow!(error).context(path)),
    }
}

/// The module of an artifact, or of a module that is compiled now or was before.
fn load(args: &Args, engine: &Engine) -> anyhow::Result<Module> {
    let file = fs::read(&args.app).context("cannot read the file")?;
    if file.starts_with(b"\x7fELF") {
        return Ok(Module::open(engine, &args.app)?);
    }
    let wasm = compile::binary(&args.app, &file)?;
    let config = args.code.config(Target::Native);
    let cache = if args.no_cache { None } else { Cache::open() };
    let Some(cache) = cache else {
        return Ok(Module::load(engine, &compile::compile(&wasm, &config)?)?);
    };
    let kept = cache.place(&wasm, &config.fingerprint()?);
    // Whatever is wrong with what is kept: it can be made again.
    if let Ok(module) = Module::open(engine, &kept) {
        cache.used(&kept);
        return Ok(module);
    }
    let artifact = compile::compile(&wasm, &config)?;
    if let Err(error) = cache.keep(&kept, &artifact) {
        eprintln!("warning: the compiled program cannot be kept in {}: {error}", kept.display());
    }
    Ok(Module::load(engine, &artifact)?)
}

/// What the program is given.
fn wasi(args: &Args, with_args: bool) -> anyhow::Result<WasiConfig> {
    let mut wasi = WasiConfig::new();
    wasi.inherit_stdio().arg(&args.app.to_string_lossy());
    for arg in args.args.iter().filter(|_| with_args) {
        wasi.arg(arg);
    }
    for variable in &args.env {
        match variable.split_once('=') {
            Some((name, value)) => wasi.env(name, value),
            None => {
                let value = std::env::var(variable)
                    .with_context(|| format!("--env {variable}: this process has no such variable that is text"))?;
                wasi.env(variable, &value)
            }
        };
    }
    for dir in &args.dirs {
        let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
        wasi.preopen_dir(Path::new(host), guest)?;
    }
    Ok(wasi)
}

fn no_start(module: &Module) -> String {
    let functions = module.exports().iter().filter(|e| matches!(e.item, ExternIndex::Func(_)));
    let names: Vec<&str> = functions.map(|e| e.name.as_str()).take(12).collect();
    match names.is_empty() {
        true => "it exports no function, so there is nothing to run".to_owned(),
        false => {
            format!(
                "it exports no `_start`, so it is no program; --invoke calls one of its functions: {}",
                names.join(", ")
            )
        }
    }
}

/// The arguments of a function, read from the command line; none for one without parameters, where they are the program's.
fn parameters(module: &Module, function: &str, args: &[String]) -> anyhow::Result<Vec<Value>> {
    // What does not exist is for the call to say.
    let Some(ExternIndex::Func(index)) = module.metadata().export(function) else { return Ok(Vec::new()) };
    let ty = module.metadata().function_type(index);
    if ty.params.is_empty() {
        return Ok(Vec::new());
    }
    if ty.params.len() != args.len() {
        bail!("`{function}` is `{ty}`: it takes {} arguments, {} are given after `--`", ty.params.len(), args.len());
    }
    let values = ty.params.iter().zip(args);
    values
        .map(|(&ty, text)| value(ty, text).with_context(|| format!("the argument `{text}` of `{function}`")))
        .collect()
}

fn value(ty: ValType, text: &str) -> anyhow::Result<Value> {
    /// A number of so many bits, with a sign or without.
    fn integer(text: &str, bits: u32) -> anyhow::Result<i128> {
        let range = -(1 << (bits - 1))..1 << bits;
        let value: Option<i128> = text.parse().ok();
        value.filter(|value| range.contains(value)).with_context(|| format!("expected an integer of {bits} bits"))
    }
    Ok(match ty {
        ValType::I32 => Value::I32(integer(text, 32)? as i32),
        ValType::I64 => Value::I64(integer(text, 64)? as i64),
        ValType::F32 => Value::F32(text.parse().context("expected a number")?),
        ValType::F64 => Value::F64(text.parse().context("expected a number")?),
        _ => bail!("a value of type {ty} cannot be given on the command line"),
    })
}

fn call(app: &Instance, function: Option<&str>, values: &[Value]) -> Result<(), wasmbridge_runtime::Error> {
    for result in app.call(function.unwrap_or("_start"), values)? {
        match result {
            Value::I32(value) => println!("{value}"),
            Value::I64(value) => println!("{value}"),
            Value::F32(value) => println!("{value}"),
            Value::F64(value) => println!("{value}"),
            Value::V128(value) => println!("{value:#034x}"),
            other => println!("{}", other.ty()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_by_their_type() {
        let read = |ty, text| value(ty, text).ok();
        assert_eq!(read(ValType::I32, "-1"), Some(Value::I32(-1)));
        assert_eq!(read(ValType::I32, "4294967295"), Some(Value::I32(-1)));
        assert_eq!(read(ValType::I32, "4294967296"), None);
        assert_eq!(read(ValType::I32, "-2147483649"), None);
        assert_eq!(read(ValType::I64, "18446744073709551615"), Some(Value::I64(-1)));
        assert_eq!(read(ValType::I64, "-9223372036854775809"), None);
        assert_eq!(read(ValType::F64, "1e3"), Some(Value::F64(1000.0)));
        assert_eq!(read(ValType::F32, "one"), None);
        assert_eq!(read(ValType::V128, "1"), None);
    }
}
