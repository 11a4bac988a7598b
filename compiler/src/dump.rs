//! CLIF and assembly, for people and for golden tests.

use crate::read::{self, Body, Input};
use crate::translate::{self, Scratch};
use crate::{CompileError, Config};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::TargetIsa;
use std::fmt::Write;

/// The CLIF of every function of a module, as it is before any optimisation.
///
/// # Errors
/// As [`compile`](crate::compile).
pub fn emit_clif(wasm: &[u8], config: &Config) -> Result<String, CompileError> {
    each_function(wasm, config, |_, _, context| Ok(context.func.display().to_string()))
}

/// The assembly of every function of a module, as the code generator writes it: with labels, before calls are resolved.
///
/// # Errors
/// As [`compile`](crate::compile).
pub fn disassemble(wasm: &[u8], config: &Config) -> Result<String, CompileError> {
    each_function(wasm, config, |isa, name, context| {
        context.set_disasm(true);
        let failed = |message: String| CompileError::Codegen { function: 0, name: name.to_owned(), message };
        let compiled = context.compile(isa, &mut ControlPlane::default()).map_err(|e| failed(e.inner.to_string()))?;
        let text = compiled.vcode.as_deref().unwrap_or_default();
        // Notes for the unwinder are not code.
        Ok(text.lines().filter(|l| !l.trim_start().starts_with("unwind ")).map(|l| format!("{l}\n")).collect())
    })
}

fn each_function(
    wasm: &[u8],
    config: &Config,
    show: impl Fn(&dyn TargetIsa, &str, &mut Context) -> Result<String, CompileError>,
) -> Result<String, CompileError> {
    let isa = config.isa()?;
    let input = read::read(wasm, config, &*isa)?;
    let mut text = String::new();
    let mut context = Context::new();
    let mut scratch = Scratch::default();
    for body in &input.bodies {
        context.clear();
        translate::translate(&input, body, &*isa, &mut context.func, &mut scratch)?;
        let name = name(&input, body);
        let shown = show(&*isa, &name, &mut context)?;
        writeln!(text, "{name}:\n{}", shown.trim_end()).expect("writing to a string does not fail");
    }
    Ok(text)
}

fn name(input: &Input<'_>, body: &Body<'_>) -> String {
    input.display_name(body.function)
}
