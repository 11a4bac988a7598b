//! From a signature to a shape: drives Cranelift and checks what it made.

use super::arch::{Assembled, Direct};
use super::{Listing, RecordReloc, Shape, ShapeError, ShapeKind, arch, callback, host, thunk, unwind};
use crate::objects::ObjectTypes;
use crate::signature::Signature;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CompiledCode, Context, FinalizedMachReloc, FinalizedRelocTarget};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use wasmbridge_artifact::frames::FrameLayout;
use wasmbridge_artifact::{FuncType, TrapCode};

/// What call instructions are to call for a C function.
#[derive(Debug, Clone)]
pub enum DirectShape {
    /// the function itself: there is nothing to do
    Itself,
    /// code of its own
    Code(Box<Shape>),
    /// an [adaptor](ShapeCompiler::adaptor) that calls its thunk
    Thunk,
}

/// Compiles shapes for this host; keeps its working memory between them.
pub struct ShapeCompiler {
    isa: OwnedTargetIsa,
    context: Context,
    builder: FunctionBuilderContext,
    listings: bool,
    objects: ObjectTypes,
}

/// The settings that differ from Cranelift's own.
const SETTINGS: &[(&str, &str)] = &[
    ("opt_level", "speed"),
    // The signal handler walks frame pointers.
    ("preserve_frame_pointers", "true"),
    ("unwind_info", "true"),
    // As in compiled code: results for which there are no registers go through memory.
    ("enable_multi_ret_implicit_sret", "true"),
    ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
];

impl ShapeCompiler {
    /// A compiler for the processor this runs on. It uses no instructions beyond the processor family's first: there is nothing here that
    /// newer ones would make faster.
    ///
    /// # Errors
    /// [`ShapeError::Host`] if shapes cannot be made for it.
    pub fn new() -> Result<ShapeCompiler, ShapeError> {
        let mut flags = settings::builder();
        for (name, value) in SETTINGS {
            flags.set(name, value).map_err(|error| ShapeError::Host(error.to_string()))?;
        }
        let isa = cranelift_native::builder_with_options(false).map_err(|error| ShapeError::Host(error.to_owned()))?;
        let isa = isa.finish(settings::Flags::new(flags)).map_err(|error| ShapeError::Host(error.to_string()))?;
        let (builder, objects) = Default::default();
        Ok(ShapeCompiler { isa, context: Context::new(), builder, listings: false, objects })
    }

    /// From now on, the types of handles have these numbers.
    #[must_use]
    pub fn with_objects(mut self, objects: ObjectTypes) -> ShapeCompiler {
        self.objects = objects;
        self
    }

    /// From now on, shapes come with a [`Listing`].
    #[must_use]
    pub fn with_listings(mut self) -> ShapeCompiler {
        self.listings = true;
        self
    }

    /// The code that calls a wasm function as a C function of this signature.
    ///
    /// # Errors
    /// [`ShapeError::Compile`] if Cranelift refuses it.
    pub fn callback(&mut self, signature: &Signature) -> Result<Shape, ShapeError> {
        self.compile_with(ShapeKind::Callback, signature, false)
    }

    /// [`callback`](ShapeCompiler::callback), which calls the builtins before and after the wasm function even if no argument needs
    /// them: for apps to which C functions return what lasts only until the callback returns.
    ///
    /// # Errors
    /// [`ShapeError::Compile`] if Cranelift refuses it.
    pub fn callback_with_slots(&mut self, signature: &Signature) -> Result<Shape, ShapeError> {
        self.compile_with(ShapeKind::Callback, signature, true)
    }

    /// The code that calls a C function of this signature from wasm.
    ///
    /// # Errors
    /// [`ShapeError::Compile`] if Cranelift refuses it.
    pub fn thunk(&mut self, signature: &Signature) -> Result<Shape, ShapeError> {
        self.compile_with(ShapeKind::Thunk, signature, false)
    }

    /// The code that calls a host function of this wasm type: the C function `uint64_t (ThunkRecord *, slots)` of its record, with the arguments
    /// in slots of 16 bytes, where it leaves the results. What it returns is an exception to throw, or 0.
    ///
    /// # Errors
    /// [`ShapeError::Compile`] if Cranelift refuses it.
    pub fn host(&mut self, ty: &FuncType) -> Result<Shape, ShapeError> {
        let signature = Signature::parse(host::PROTOTYPE).expect("the prototype is written as prototypes are");
        self.context.clear();
        self.context.set_disasm(self.listings);
        let builder = FunctionBuilder::new(&mut self.context.func, &mut self.builder);
        host::build(builder, ty, &signature, &self.objects, self.isa.frontend_config());
        let clif = self.listings.then(|| self.context.func.display().to_string());
        let shape = self.finish(ShapeKind::Thunk, None, clif);
        shape.map_err(|cause| ShapeError::Compile { signature: ty.to_string(), cause })
    }

    /// What call instructions are to call for a C function of this signature, whose wasm type is
    /// [direct](wasmbridge_artifact::vmctx::is_direct).
    ///
    /// # Errors
    /// [`ShapeError::Compile`] if there is no unwind information for it.
    pub fn direct(&self, signature: &Signature) -> Result<DirectShape, ShapeError> {
        match arch::direct(signature, &self.objects) {
            Direct::Itself => Ok(DirectShape::Itself),
            Direct::Thunk => Ok(DirectShape::Thunk),
            Direct::Code(code, covered) => {
                let shape = self.assembled(code, covered, &signature.to_string());
                shape.map(|shape| DirectShape::Code(Box::new(shape)))
            }
        }
    }

    /// What call instructions are to call for a function in the `Tail` convention of which nothing else is known, with so many integer
    /// parameters: at most [`DIRECT_INTEGERS`](wasmbridge_artifact::vmctx::DIRECT_INTEGERS).
    ///
    /// # Errors
    /// [`ShapeError::Compile`] if there is no unwind information for it.
    pub fn adaptor(&self, integers: usize) -> Result<Shape, ShapeError> {
        self.assembled(arch::adaptor(integers), Some(0), "wasm function")
    }

    fn assembled(&self, code: Assembled, covered: Option<u32>, signature: &str) -> Result<Shape, ShapeError> {
        let unwind = unwind::Unwind::of_assembled(&code, &*self.isa)
            .map_err(|cause| ShapeError::Compile { signature: signature.to_owned(), cause })?;
        let Assembled { code, record_relocs, traps, assembly, .. } = code;
        let listing = self.listings.then(|| Listing { clif: String::new(), fast: assembly, assembly: String::new() });
        let frame = FrameLayout::default();
        Ok(Shape { kind: ShapeKind::Direct, code, complete: 0, covered, record_relocs, frame, traps, listing, unwind })
    }

    fn compile_with(&mut self, kind: ShapeKind, signature: &Signature, slots: bool) -> Result<Shape, ShapeError> {
        self.context.clear();
        self.context.set_disasm(self.listings);
        let builder = FunctionBuilder::new(&mut self.context.func, &mut self.builder);
        match kind {
            ShapeKind::Callback => callback::build(builder, signature, slots, self.isa.frontend_config()),
            ShapeKind::Thunk => thunk::build(builder, signature, &self.objects, self.isa.frontend_config()),
            ShapeKind::Direct => unreachable!("these are assembled"),
        }
        let clif = self.listings.then(|| self.context.func.display().to_string());
        let fast =
            if kind == ShapeKind::Callback && !slots { arch::fast_entry(signature, &self.objects) } else { None };
        self.finish(kind, fast, clif).map_err(|cause| ShapeError::Compile { signature: signature.to_string(), cause })
    }

    /// Compiles what has been built, and puts it behind the fast entry.
    fn finish(&mut self, kind: ShapeKind, fast: Option<Assembled>, clif: Option<String>) -> Result<Shape, String> {
        let compiled = self.context.compile(&*self.isa, &mut ControlPlane::default());
        let compiled = compiled.map_err(|error| format!("{:?}", error.inner))?;
        let frame = arch::frame_layout(&compiled.buffer.unwind_info)?;
        let unwind = unwind::Unwind::of(fast.as_ref(), compiled, &*self.isa)?;
        let traps = traps(compiled)?;
        let fast = fast.unwrap_or_default();
        let complete = fast.code.len() as u32;
        let mut record_relocs = fast.record_relocs;
        for reloc in compiled.buffer.relocs() {
            record_relocs.push(record_reloc(reloc, complete)?);
        }
        match kind {
            // A trap in a callback would be at a pc of which the signal handler knows nothing.
            ShapeKind::Callback if !traps.is_empty() => return Err("a callback can trap".to_owned()),
            ShapeKind::Thunk if !record_relocs.is_empty() => return Err("a thunk refers to a record".to_owned()),
            _ => {}
        }
        let listing = clif.map(|clif| {
            let assembly = compiled.vcode.clone().unwrap_or_default();
            Listing { clif, fast: fast.assembly, assembly }
        });
        let code = [&fast.code, compiled.code_buffer()].concat();
        Ok(Shape { kind, code, complete, covered: Some(0), record_relocs, frame, traps, listing, unwind })
    }
}

fn record_reloc(reloc: &FinalizedMachReloc, start: u32) -> Result<RecordReloc, String> {
    match reloc.target {
        FinalizedRelocTarget::ExternalName(ir::ExternalName::User(_)) if arch::is_record_reloc(reloc.kind) => {
            Ok(RecordReloc { offset: start + reloc.offset, addend: reloc.addend })
        }
        _ => Err(format!("relocation {reloc:?}")),
    }
}

fn traps(code: &CompiledCode) -> Result<Vec<(u32, TrapCode)>, String> {
    let traps = code.buffer.traps().iter().map(|trap| {
        let code = TrapCode::from_byte(trap.code.as_raw().get());
        code.map(|code| (trap.offset, code)).ok_or_else(|| format!("trap {}", trap.code))
    });
    traps.collect()
}

impl std::fmt::Debug for ShapeCompiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShapeCompiler").field("isa", &self.isa.triple().to_string()).finish_non_exhaustive()
    }
}
