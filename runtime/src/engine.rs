//! The engine: what modules and instances of one host share.

use crate::code::arena::ThunkPages;
use crate::code::{CallbackPages, DirectPages};
use crate::crossing::copies::NativeBytes;
use crate::error::{Error, ErrorKind};
use crate::trap::signals;
use crate::types::Types;
use crate::unchanged::HashedFiles;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use wasmbridge_artifact::vmctx::{DIRECT_INTEGERS, HOST_PAGE};
use wasmbridge_artifact::{FuncType, ValType};
use wasmbridge_trampolines::{DirectShape, ObjectTypes, ShapeCompiler, Signature};

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes at the end of each native stack that wasm code leaves alone, so that the C functions it calls have room: a wasm
    /// function that would reach into them traps. At most a quarter of a stack is reserved.
    pub stack_reserve: usize,
    /// Bytes that the collected heap of instances which belong together may have: an app that would need more traps. An exception takes room there,
    /// too.
    pub gc_heap_bytes: u64,
    /// Collect before each new object: slow, and finds what a collection would break.
    pub gc_stress: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config { stack_reserve: 256 << 10, gc_heap_bytes: 1 << 30, gc_stress: false }
    }
}

/// What modules and instances of one host share: the types that their modules define, and the code that crosses, one piece for
/// each C signature.
///
/// Cloning it gives another name for the same engine. It may be used on any thread.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    config: Config,
    types: Types,
    files: HashedFiles,
    shapes: Mutex<Shapes>,
    /// what C may still look at of instances that are gone
    retired: Mutex<Vec<NativeBytes>>,
    /// instances that have been numbered
    apps: AtomicU16,
    /// its own number, which no other engine of the process has or had
    number: u64,
}

/// Engines that have been numbered.
static ENGINES: AtomicU64 = AtomicU64::new(0);

impl DirectCode {
    pub(crate) fn pages(self) -> Option<Arc<Mutex<DirectPages>>> {
        match self {
            DirectCode::Itself => None,
            DirectCode::Pages(pages) => Some(pages),
        }
    }
}

/// The code that crosses, by signature.
#[derive(Default)]
struct Shapes {
    compiler: Option<ShapeCompiler>,
    objects: ObjectTypes,
    signatures: HashMap<Signature, Arc<Signature>>,
    callbacks: HashMap<(Arc<Signature>, bool), Arc<Mutex<CallbackPages>>>,
    thunks: HashMap<Arc<Signature>, Arc<ThunkPages>>,
    hosts: HashMap<FuncType, Arc<ThunkPages>>,
    direct: HashMap<Arc<Signature>, DirectCode>,
    /// by how many integer parameters there are
    adaptors: [Option<Arc<Mutex<DirectPages>>>; DIRECT_INTEGERS + 1],
}

/// What call instructions call for an import.
#[derive(Debug, Clone)]
pub(crate) enum DirectCode {
    /// the C function
    Itself,
    /// a copy of this code
    Pages(Arc<Mutex<DirectPages>>),
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes an engine, and installs the handler of the signals that traps raise: once for the process, for good.
    ///
    /// A host that installs handlers of its own for SIGSEGV, SIGBUS, SIGILL or SIGFPE does it before, or hands on what is not its own.
    ///
    /// # Errors
    /// If the host's pages are not of 4 KiB, or a handler cannot be installed.
    pub fn new(config: Config) -> Result<Engine, Error> {
        let page = region::page::size() as u64;
        if page != HOST_PAGE {
            return Err(Error::new(ErrorKind::Os, format!("host pages have {page} bytes, expected {HOST_PAGE}")));
        }
        signals::install()?;
        let (files, shapes, retired, apps) = Default::default();
        let number = ENGINES.fetch_add(1, Ordering::Relaxed);
        Ok(Engine(Arc::new(Inner { config, types: Types::new(), files, shapes, retired, apps, number })))
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Keeps memory that C may still look at when its instance has gone.
    pub(crate) fn retire(&self, memory: Vec<NativeBytes>) {
        self.0.retired.lock().unwrap_or_else(|e| e.into_inner()).extend(memory);
    }

    pub(crate) fn same(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its number, which no other engine of the process has or had.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    /// The types of all its modules.
    pub(crate) fn types(&self) -> &Types {
        &self.0.types
    }

    /// The artifacts that were opened.
    pub(crate) fn files(&self) -> &HashedFiles {
        &self.0.files
    }

    fn shapes(&self) -> MutexGuard<'_, Shapes> {
        self.0.shapes.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A number for an instance, which the next 65,535 do not have.
    pub(crate) fn number_app(&self) -> u16 {
        self.0.apps.fetch_add(1, Ordering::Relaxed)
    }

    /// The numbers of the types of handles, which all its shapes and instances use.
    pub(crate) fn objects(&self) -> ObjectTypes {
        self.shapes().objects.clone()
    }

    /// The one copy of a signature: equal signatures have equal addresses in one engine.
    pub(crate) fn intern(&self, signature: &Signature) -> Arc<Signature> {
        self.shapes().intern(signature)
    }

    /// The callbacks of a signature; `scoped` ones open a scope even if their arguments need none.
    pub(crate) fn callback_pages(
        &self,
        signature: &Signature,
        scoped: bool,
    ) -> Result<Arc<Mutex<CallbackPages>>, Error> {
        let mut shapes = self.shapes();
        let key = (shapes.intern(signature), scoped);
        if let Some(pages) = shapes.callbacks.get(&key) {
            return Ok(pages.clone());
        }
        let compiler = shapes.compiler()?;
        let shape = if scoped { compiler.callback_with_slots(signature) } else { compiler.callback(signature) };
        let shape = shape.map_err(|e| Error::new(ErrorKind::Prototype, e.to_string()))?;
        let pages = Arc::new(Mutex::new(CallbackPages::new(shape)));
        shapes.callbacks.insert(key, pages.clone());
        Ok(pages)
    }

    /// The thunk of a signature.
    pub(crate) fn thunk(&self, signature: &Signature) -> Result<Arc<ThunkPages>, Error> {
        let mut shapes = self.shapes();
        let key = shapes.intern(signature);
        if let Some(thunk) = shapes.thunks.get(&key) {
            return Ok(thunk.clone());
        }
        let shape = shapes.compiler()?.thunk(signature).map_err(|e| Error::new(ErrorKind::Prototype, e.to_string()))?;
        let thunk = Arc::new(ThunkPages::new(&shape)?);
        shapes.thunks.insert(key, thunk.clone());
        Ok(thunk)
    }

    /// The thunk of host functions of a wasm type, which names no type of a module.
    pub(crate) fn host_thunk(&self, ty: &FuncType) -> Result<Arc<ThunkPages>, Error> {
        let mut shapes = self.shapes();
        if let Some(thunk) = shapes.hosts.get(ty) {
            return Ok(thunk.clone());
        }
        let shape = shapes.compiler()?.host(ty).map_err(|e| Error::new(ErrorKind::Limit, e.to_string()))?;
        let thunk = Arc::new(ThunkPages::new(&shape)?);
        shapes.hosts.insert(ty.clone(), thunk.clone());
        Ok(thunk)
    }
}

impl Engine {
    /// What call instructions call for a C function of a signature, whose wasm type is direct.
    pub(crate) fn direct(&self, signature: &Signature) -> Result<DirectCode, Error> {
        let mut shapes = self.shapes();
        let key = shapes.intern(signature);
        if let Some(code) = shapes.direct.get(&key) {
            return Ok(code.clone());
        }
        let shape = shapes.compiler()?.direct(signature);
        let code = match shape.map_err(|e| Error::new(ErrorKind::Prototype, e.to_string()))? {
            DirectShape::Itself => DirectCode::Itself,
            DirectShape::Code(shape) => DirectCode::Pages(Arc::new(Mutex::new(DirectPages::new(*shape)))),
            DirectShape::Thunk => DirectCode::Pages(shapes.adaptor(&signature.wasm_type())?),
        };
        shapes.direct.insert(key, code.clone());
        Ok(code)
    }

    /// What call instructions call for a wasm function of another instance, whose type is direct.
    pub(crate) fn adaptor(&self, ty: &FuncType) -> Result<Arc<Mutex<DirectPages>>, Error> {
        self.shapes().adaptor(ty)
    }
}

impl Shapes {
    fn adaptor(&mut self, ty: &FuncType) -> Result<Arc<Mutex<DirectPages>>, Error> {
        let integers = ty.params.iter().filter(|ty| matches!(ty, ValType::I32 | ValType::I64)).count();
        if let Some(pages) = &self.adaptors[integers] {
            return Ok(pages.clone());
        }
        let shape = self.compiler()?.adaptor(integers).map_err(|e| Error::new(ErrorKind::Os, e.to_string()))?;
        let pages = Arc::new(Mutex::new(DirectPages::new(shape)));
        self.adaptors[integers] = Some(pages.clone());
        Ok(pages)
    }

    fn intern(&mut self, signature: &Signature) -> Arc<Signature> {
        if let Some(interned) = self.signatures.get(signature) {
            return interned.clone();
        }
        // Equal signatures may differ in what is const: what they share must not claim it.
        let mut interned = signature.clone();
        interned.params.iter_mut().chain(&mut interned.result).for_each(|value| value.is_const = false);
        let interned = Arc::new(interned);
        self.signatures.insert(signature.clone(), interned.clone());
        interned
    }

    fn compiler(&mut self) -> Result<&mut ShapeCompiler, Error> {
        if self.compiler.is_none() {
            let compiler = ShapeCompiler::new().map_err(|e| Error::new(ErrorKind::Os, e.to_string()))?;
            self.compiler = Some(compiler.with_objects(self.objects.clone()));
        }
        Ok(self.compiler.as_mut().expect("just made"))
    }
}

impl Drop for Shapes {
    fn drop(&mut self) {
        // C may hold callbacks of this engine for as long as the process lives, and call them: they answer with their
        // default. Pages on which nobody has a callback any more go.
        for pages in self.callbacks.values() {
            let in_use = pages.lock().unwrap_or_else(|e| e.into_inner()).in_use();
            if in_use > 0 {
                std::mem::forget(pages.clone());
            }
        }
    }
}
