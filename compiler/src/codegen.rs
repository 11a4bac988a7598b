//! Compiles functions, in parallel. What comes out does not depend on which thread compiled what.

use crate::leaf;
use crate::limits;
use crate::link::frame::{Prologue, callee_saved};
use crate::read::{Body, Input};
use crate::room::Room;
use crate::translate::{self, Scratch, Translated, trap_from_clif};
use crate::{CompileError, Config, Progress, entry};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{ExternalName, UserExternalNameRef};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{
    CompiledCode, Context, ExceptionContextLoc, FinalizedMachExceptionHandler, FinalizedRelocTarget,
};
use cranelift_frontend::FunctionBuilderContext;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use wasmbridge_artifact::frames::FrameLayout;
use wasmbridge_artifact::handlers::{Call, Handler, Place};
use wasmbridge_artifact::{FunctionKind, TrapCode};

/// A compiled function. Offsets are in bytes from its start.
pub(crate) struct Compiled {
    pub(crate) kind: FunctionKind,
    /// index of the function, or of the type of an entry trampoline
    pub(crate) index: u32,
    /// offset of the body in the wasm file
    pub(crate) wasm_offset: u32,
    pub(crate) code: Vec<u8>,
    /// alignment in bytes
    pub(crate) align: u32,
    /// calls of other functions of the module
    pub(crate) calls: Vec<CallSite>,
    /// instructions that can trap
    pub(crate) traps: Vec<(u32, TrapCode)>,
    /// from code to the wasm file
    pub(crate) addresses: Vec<(u32, u32)>,
    /// calls in the reach of handlers; code offsets from the function's start
    pub(crate) handlers: Vec<Call<Vec<Handler>>>,
    /// calls of imports that a standing crossing frame covers: offset in the wasm file, and import
    pub(crate) covered: Vec<(u32, u32)>,
    pub(crate) frame: FrameLayout,
    pub(crate) prologue: Prologue,
}

/// A place in the code that names another function.
pub(crate) struct CallSite {
    pub(crate) offset: u32,
    pub(crate) kind: Reloc,
    pub(crate) addend: i64,
    /// index of the function that is called
    pub(crate) callee: u32,
}

/// What a thread reuses from one function to the next.
struct Worker {
    context: Context,
    scratch: Scratch,
    entries: FunctionBuilderContext,
}

/// Bytes of a body after which a worker starts with new buffers.
const LARGE_BODY: u64 = 128 << 10;

impl Worker {
    fn new() -> Worker {
        Worker { context: Context::new(), scratch: Scratch::default(), entries: FunctionBuilderContext::new() }
    }
}

/// What is to be compiled.
enum Job<'i, 'a> {
    Function(&'i Body<'a>),
    /// the entry trampoline of a type
    Entry(u32),
}

impl Job<'_, '_> {
    /// Bytes of wasm: a measure of how long it takes.
    fn size(&self) -> u64 {
        match self {
            Job::Function(body) => body.body.range().end - body.body.range().start,
            Job::Entry(_) => 0,
        }
    }
}

/// Compiles the functions and entry trampolines of a module: functions in the order of their indices, then entries.
pub(crate) fn compile_all(
    input: &Input<'_>,
    isa: &dyn TargetIsa,
    config: &Config,
    progress: Progress<'_>,
) -> Result<Vec<Compiled>, CompileError> {
    let entries = input.module.entries.iter().map(|&ty| Job::Entry(ty));
    let jobs: Vec<Job<'_, '_>> = input.bodies.iter().map(Job::Function).chain(entries).collect();
    let run = || run(&jobs, input, isa, progress);
    match config.threads {
        None => run(),
        Some(threads) => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
            pool.map_err(|e| CompileError::Config(format!("{threads} threads cannot be started: {e}")))?.install(run)
        }
    }
}

/// Runs the jobs on the threads of the current pool, large functions first, so that none is left alone with one at the end.
fn run(
    jobs: &[Job<'_, '_>],
    input: &Input<'_>,
    isa: &dyn TargetIsa,
    progress: Progress<'_>,
) -> Result<Vec<Compiled>, CompileError> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&position| Reverse(jobs[position].size()));
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // The error to report is that of the first function that has one, in the order of the module and not of time. What comes
    // after it need not be compiled any more.
    let first_error = AtomicUsize::new(usize::MAX);
    let results = Mutex::new(Vec::with_capacity(jobs.len()));
    let room = Room::new(limits::BODIES_AT_ONCE);
    let work = || {
        let mut worker = Worker::new();
        let mut compiled = Vec::new();
        while let Some(&position) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            if position > first_error.load(Ordering::Relaxed) {
                continue;
            }
            let place = room.enter(jobs[position].size());
            let result = compile(&jobs[position], input, isa, &mut worker);
            match &result {
                Ok(_) => progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len()),
                Err(_) => drop(first_error.fetch_min(position, Ordering::Relaxed)),
            }
            compiled.push((position, result));
            if jobs[position].size() > LARGE_BODY {
                // Its buffers would stay as large as this function needed them.
                worker = Worker::new();
            }
            drop(place);
        }
        results.lock().unwrap_or_else(PoisonError::into_inner).append(&mut compiled);
    };
    rayon::scope(|scope| (0..rayon::current_num_threads().min(jobs.len())).for_each(|_| scope.spawn(|_| work())));
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|&(position, _)| position);
    results.into_iter().map(|(_, result)| result).collect()
}

fn compile(
    job: &Job<'_, '_>,
    input: &Input<'_>,
    isa: &dyn TargetIsa,
    worker: &mut Worker,
) -> Result<Compiled, CompileError> {
    worker.context.clear();
    let ((kind, index, wasm_offset), translated) = build(job, input, isa, worker)?;
    finish(kind, index, wasm_offset, translated, isa, worker).map_err(|message| {
        let name = match kind {
            FunctionKind::Wasm => input.display_name(index),
            FunctionKind::Entry => entry_name(input, index),
        };
        CompileError::Codegen { function: index, name, message }
    })
}

/// A function's kind, index and offset in the wasm file, and what else there is to know of it.
type Built = ((FunctionKind, u32, u32), Translated);

/// Makes the CLIF of a job in the worker's context.
fn build(
    job: &Job<'_, '_>,
    input: &Input<'_>,
    isa: &dyn TargetIsa,
    worker: &mut Worker,
) -> Result<Built, CompileError> {
    let func = &mut worker.context.func;
    match *job {
        Job::Function(body) => {
            let translated = translate::translate(input, body, isa, func, &mut worker.scratch)?;
            Ok(((FunctionKind::Wasm, body.function, body.body.range().start as u32), translated))
        }
        Job::Entry(ty) => {
            entry::entry(ty, input.module.func_type(ty), isa, func, &mut worker.entries);
            Ok(((FunctionKind::Entry, ty, 0), Translated::default()))
        }
    }
}

/// The symbol of an entry trampoline.
pub(crate) fn entry_name(input: &Input<'_>, ty: u32) -> String {
    format!("wasmbridge_entry[{}]", input.module.types[ty as usize])
}

/// Compiles what is in the worker's context.
fn finish(
    kind: FunctionKind,
    index: u32,
    wasm_offset: u32,
    Translated { covered, returns }: Translated,
    isa: &dyn TargetIsa,
    worker: &mut Worker,
) -> Result<Compiled, String> {
    let context = &mut worker.context;
    context.compile(isa, &mut ControlPlane::default()).map_err(|e| match e.inner {
        cranelift_codegen::CodegenError::Verifier(errors) => errors.to_string(),
        other => other.to_string(),
    })?;
    let compiled = context.take_compiled_code().ok_or("there is no code")?;
    let names = context.func.params.user_named_funcs();
    let callee = |name: UserExternalNameRef| names[name].index;
    let buffer = &compiled.buffer;
    let (mut traps, mut addresses) = (traps(&compiled)?, addresses(&compiled, wasm_offset));
    let (code, prologue) = match leaf::without_frame(&compiled, &context.func.signature, &returns) {
        None => (compiled.code_buffer().to_vec(), Prologue::new(&buffer.unwind_info)?),
        Some(code) => {
            traps.iter_mut().for_each(|trap| trap.0 -= leaf::CUT);
            addresses.iter_mut().for_each(|address| address.0 = address.0.saturating_sub(leaf::CUT));
            (code, Prologue::none())
        }
    };
    Ok(Compiled {
        kind,
        index,
        wasm_offset,
        align: alignment(buffer.alignment.max(isa.function_alignment().preferred), code.len()),
        code,
        calls: calls(&compiled, callee)?,
        traps,
        addresses,
        handlers: handlers(&compiled)?,
        covered,
        frame: prologue.layout()?,
        prologue,
    })
}

/// Where a function of so many bytes begins, if it must begin at a multiple of `least`: a large one on a line of its own. Processors fetch
/// and cache instructions by lines, so that the speed of a loop depends on where it lies in them (a state machine of a thousand bytes took 1.4
/// times as long at an odd half of a line): at least it should not depend on the functions before it.
fn alignment(least: u32, len: usize) -> u32 {
    if len >= LARGE { least.max(CACHE_LINE) } else { least }
}

/// From so many bytes on a function is large: those that it is moved by are few, then.
const LARGE: usize = 256;
/// Bytes of a line of the processor's caches.
const CACHE_LINE: u32 = 64;

fn calls(compiled: &CompiledCode, callee: impl Fn(UserExternalNameRef) -> u32) -> Result<Vec<CallSite>, String> {
    let site = |reloc: &cranelift_codegen::FinalizedMachReloc| match reloc.target {
        FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
            Ok(CallSite { offset: reloc.offset, kind: reloc.kind, addend: reloc.addend, callee: callee(name) })
        }
        ref other => Err(format!("the code needs {}, which an artifact cannot have", other.display(None))),
    };
    compiled.buffer.relocs().iter().map(site).collect()
}

fn traps(compiled: &CompiledCode) -> Result<Vec<(u32, TrapCode)>, String> {
    let trap = |trap: &cranelift_codegen::MachTrap| {
        let code = trap_from_clif(trap.code).ok_or_else(|| format!("the code has the unknown trap {}", trap.code))?;
        Ok((trap.offset, code))
    };
    let mut traps: Vec<_> = compiled.buffer.traps().iter().map(trap).collect::<Result<_, String>>()?;
    traps.sort_by_key(|t| t.0);
    traps.dedup_by_key(|t| t.0);
    Ok(traps)
}

/// The calls in the reach of handlers. Each set of handlers begins with the place of the vmctx, in which their tags are found.
fn handlers(compiled: &CompiledCode) -> Result<Vec<Call<Vec<Handler>>>, String> {
    use FinalizedMachExceptionHandler::{Context, Default, Tag};
    let mut calls = Vec::new();
    for site in compiled.buffer.call_sites().filter(|site| !site.exception_handlers.is_empty()) {
        let frame = site.frame_offset.ok_or("a call with handlers in a frame of unknown size")?;
        let mut vmctx = None;
        let mut handlers = Vec::new();
        for &item in site.exception_handlers {
            let (tag, code) = match item {
                Context(ExceptionContextLoc::SPOffset(offset)) => {
                    vmctx = Some(Place::Stack(offset));
                    continue;
                }
                Context(ExceptionContextLoc::GPR(number)) => {
                    let position = callee_saved(number).ok_or("a vmctx is in a register that a call changes")?;
                    vmctx = Some(Place::Register(position));
                    continue;
                }
                Tag(tag, code) => (Some(tag.as_u32()), code),
                Default(code) => (None, code),
            };
            let vmctx = vmctx.ok_or("a call with handlers does not say where its vmctx is")?;
            handlers.push(Handler { tag, code, vmctx });
        }
        calls.push(Call { return_address: site.ret_addr, frame, handlers });
    }
    calls.sort_by_key(|call| call.return_address);
    Ok(calls)
}

/// Pairs of code offset and wasm offset. What belongs to no instruction, such as the prologue, belongs to the function's start.
///
/// Only what a backtrace can ask for is kept: instructions that trap, and calls. All of it would be a third of an artifact.
fn addresses(compiled: &CompiledCode, wasm_offset: u32) -> Vec<(u32, u32)> {
    let buffer = &compiled.buffer;
    let traps = buffer.traps().iter().map(|t| t.offset);
    // A return address may be where the next range begins: what is looked up is the byte before it.
    let mut asked: Vec<u32> = traps.chain(buffer.call_sites().map(|c| c.ret_addr - 1)).collect();
    asked.sort_unstable();
    let mut asked = asked.into_iter().peekable();
    let mut pairs = vec![(0, wasm_offset)];
    let mut add = |code: u32, wasm: u32| {
        if pairs.last().is_some_and(|last| last.1 != wasm) {
            pairs.push((code, wasm));
        }
    };
    for range in buffer.get_srclocs_sorted() {
        // Between two ranges: code of no instruction.
        if let Some(code) = asked.next_if(|&code| code < range.start) {
            add(code, wasm_offset);
        }
        while asked.next_if(|&code| code < range.start).is_some() {}
        if asked.peek().is_some_and(|&code| code < range.end) {
            add(range.start, if range.loc.is_default() { wasm_offset } else { range.loc.bits() });
        }
        while asked.next_if(|&code| code < range.end).is_some() {}
    }
    if let Some(code) = asked.next() {
        add(code, wasm_offset);
    }
    pairs
}
