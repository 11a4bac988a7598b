//! Puts compiled functions together into an artifact: one `.text` in which every call is resolved, and the tables that lead
//! from a pc to what is known of it.

pub(crate) mod frame;
mod unwind;

use crate::codegen::{Compiled, entry_name};
use crate::read::Input;
use crate::{CompileError, limits};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::TargetIsa;
use unwind::Extent;
use wasmbridge_artifact::handlers::{Call, Handler};
use wasmbridge_artifact::writer::{self, Architecture, Contents};
use wasmbridge_artifact::{FunctionKind, FunctionRecord};

/// Writes the artifact. The functions are those of the module in the order of their indices, then the entry trampolines.
pub(crate) fn link(input: Input<'_>, isa: &dyn TargetIsa, functions: Vec<Compiled>) -> Result<Vec<u8>, CompileError> {
    let bytes: u64 = functions.iter().map(|f| f.code.len() as u64 + u64::from(f.align)).sum();
    limits::check("bytes of code", bytes, limits::CODE_BYTES)?;
    let (text, starts) = text(&input, isa, &functions)?;
    let placed = || functions.iter().zip(starts.iter().copied());
    let records: Vec<FunctionRecord> = placed().map(|(function, start)| record(function, start)).collect();
    let symbols: Vec<String> = functions.iter().map(|f| symbol(&input, f)).collect();
    let at = |start: u32| move |&(offset, what): &(u32, _)| (start + offset, what);
    let traps: Vec<_> = placed().flat_map(|(f, start)| f.traps.iter().map(move |t| (start + t.0, t.1))).collect();
    let addresses: Vec<_> = placed().flat_map(|(f, start)| f.addresses.iter().map(at(start))).collect();
    let calls: Vec<_> = functions.iter().flat_map(|f| f.covered.iter().copied()).collect();
    let handlers: Vec<_> =
        placed().flat_map(|(f, start)| f.handlers.iter().map(move |call| shifted(call, start))).collect();
    let frames: Vec<_> = functions
        .iter()
        .zip(&starts)
        .map(|(f, &start)| Extent { start, len: f.code.len() as u32, prologue: &f.prologue })
        .collect();
    // Whether it can be written does not depend on where it lies: found out once, so that the closure below cannot fail.
    unwind::eh_frame(isa, &frames, 0).map_err(CompileError::Write)?;
    writer::write(&Contents {
        architecture: Architecture::X86_64,
        module: &input.module,
        text: &text,
        functions: &records,
        symbols: &symbols,
        traps: &traps,
        addresses: &addresses,
        calls: &calls,
        names: &input.names,
        handlers: &handlers,
        data: &input.data,
        image: &input.image,
        eh_frame: &|distance| unwind::eh_frame(isa, &frames, distance).unwrap_or_default(),
    })
    .map_err(CompileError::Write)
}

/// Lays out the code and resolves the calls in it. Returns it with the offset of each function.
fn text(input: &Input<'_>, isa: &dyn TargetIsa, functions: &[Compiled]) -> Result<(Vec<u8>, Vec<u32>), CompileError> {
    let control = &mut ControlPlane::default();
    let mut builder = isa.text_section_builder(functions.len());
    let mut starts = Vec::with_capacity(functions.len());
    for function in functions {
        let start = builder.append(true, &function.code, function.align, control);
        starts.push(start as u32);
        for call in &function.calls {
            // Functions are labelled in the order of their indices, of which imported ones are the first.
            let label = (call.callee - input.imported.functions) as usize;
            if !builder.resolve_reloc(start + u64::from(call.offset), call.kind, call.addend, label) {
                return Err(CompileError::Write(format!("a call of kind {:?} cannot be resolved", call.kind)));
            }
        }
    }
    Ok((builder.finish(control), starts))
}

/// A call of a function that begins at this offset of `.text`.
fn shifted(call: &Call<Vec<Handler>>, start: u32) -> Call<Vec<Handler>> {
    let handlers = call.handlers.iter().map(|handler| Handler { code: start + handler.code, ..*handler }).collect();
    Call { return_address: start + call.return_address, frame: call.frame, handlers }
}

fn record(function: &Compiled, start: u32) -> FunctionRecord {
    FunctionRecord {
        start,
        len: function.code.len() as u32,
        index: function.index,
        wasm_offset: function.wasm_offset,
        frame: function.frame,
        kind: function.kind,
    }
}

/// The function's name in the symbol table, where a zero byte would end it.
fn symbol(input: &Input<'_>, function: &Compiled) -> String {
    let name = match function.kind {
        FunctionKind::Wasm => input.display_name(function.index),
        FunctionKind::Entry => entry_name(input, function.index),
    };
    name.replace('\0', "\u{fffd}")
}
