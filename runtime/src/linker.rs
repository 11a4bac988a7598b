//! Giving a module what it imports.

use crate::callback::NativeFn;
use crate::code::arena::ThunkPages;
use crate::crossing::handles::{HandleDestructor, HandleTypes};
use crate::engine::{DirectCode, Engine};
use crate::error::{Error, ErrorKind};
use crate::exception::{Tag, TagData};
use crate::group::Group;
use crate::host::{self, Caller, HostFunction, Stop};
use crate::instance::build::{self, link_error};
use crate::instance::{FunctionParam, Instance, InstanceData};
use crate::memory::Memory;
use crate::module::Module;
use crate::table::Table;
use crate::value::Value;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use wasmbridge_artifact::module::{ExternIndex, ImportKind, Module as Metadata};
use wasmbridge_artifact::vmctx::{VmFuncRef, is_direct};
use wasmbridge_artifact::{FuncType, MemoryType, TableType, ValType};
use wasmbridge_trampolines::{Signature, TypeNames};

/// Names that modules may import: C functions, and what instances export.
///
/// It belongs to one thread at a time.
#[derive(Debug)]
pub struct Linker {
    engine: Engine,
    names: Arc<TypeNames>,
    handle_types: Arc<HandleTypes>,
    functions: HashMap<(String, String), Definition>,
    tags: HashMap<(String, String), Tag>,
    instances: HashMap<String, Arc<InstanceData>>,
}

/// A C function, or a function of the host's that is called through [`host::call`]; its signature then has its name only.
#[derive(Debug, Clone)]
struct Definition {
    signature: Arc<Signature>,
    function: NativeFn,
    host: Option<Arc<HostFunction>>,
    wasm_type: FuncType,
    code: Arc<ThunkPages>,
    /// what call instructions call, if the wasm type is direct
    direct: Option<DirectCode>,
}

impl Definition {
    /// Makes the code, so that what is not supported is refused where it is defined.
    fn new(
        engine: &Engine,
        signature: Signature,
        function: NativeFn,
        host: Option<Arc<HostFunction>>,
    ) -> Result<Definition, Error> {
        let wasm_type = host.as_ref().map_or_else(|| signature.wasm_type(), |host| host.ty.clone());
        let (code, direct) = match &host {
            Some(_) => {
                let adaptor = || engine.adaptor(&wasm_type).map(DirectCode::Pages);
                (engine.host_thunk(&wasm_type)?, is_direct(&wasm_type).then(adaptor).transpose()?)
            }
            None => {
                signature
                    .check_import()
                    .map_err(|why| Error::new(ErrorKind::Prototype, format!("`{signature}`: {why}")))?;
                let direct = || engine.direct(&signature);
                (engine.thunk(&signature)?, is_direct(&wasm_type).then(direct).transpose()?)
            }
        };
        Ok(Definition { signature: Arc::new(signature), function, host, wasm_type, code, direct })
    }
}

// SAFETY: the address of a function; the instances belong to this thread by the contract of `Linker`.
unsafe impl Send for Definition {}

/// What a thunk's builtins know of it.
#[derive(Debug)]
pub(crate) struct ThunkInfo {
    pub(crate) signature: Arc<Signature>,
    /// the host's function, where the C function is [`host::call`]
    pub(crate) host: Option<Arc<HostFunction>>,
    /// parameters that are functions
    pub(crate) functions: Box<[FunctionParam]>,
    /// it is an import, and the signature's name is the C function's
    is_import: bool,
}

impl ThunkInfo {
    /// Of an import.
    pub(crate) fn of_import(signature: Arc<Signature>, host: Option<Arc<HostFunction>>) -> ThunkInfo {
        let functions = FunctionParam::all(&signature);
        ThunkInfo { signature, host, functions, is_import: true }
    }

    /// Of a function that C gives the app a pointer of. The signature's name is only what that pointer is called.
    pub(crate) fn of_pointer(signature: Arc<Signature>) -> ThunkInfo {
        ThunkInfo { is_import: false, ..ThunkInfo::of_import(signature, None) }
    }

    /// The C function's name.
    pub(crate) fn name(&self) -> &str {
        let name = self.signature.name.as_deref().filter(|_| self.is_import);
        name.unwrap_or("(unnamed function)")
    }
}

/// An import that has been found. Pointers are to things of instances that are in the new instance's group.
#[derive(Debug)]
pub(crate) enum Resolved {
    Native {
        signature: Arc<Signature>,
        function: *const u8,
        host: Option<Arc<HostFunction>>,
        code: Arc<ThunkPages>,
        /// what call instructions call, if the wasm type is direct
        direct: Option<DirectCode>,
    },
    Function(*const VmFuncRef),
    Table(*const Table),
    Memory(*const Memory),
    Global(*mut u8),
    Tag(Arc<TagData>),
}

impl Linker {
    /// A linker that defines nothing.
    pub fn new(engine: &Engine) -> Linker {
        Linker {
            engine: engine.clone(),
            names: Arc::default(),
            handle_types: Arc::default(),
            functions: HashMap::new(),
            tags: HashMap::new(),
            instances: HashMap::new(),
        }
    }

    /// Makes `name` a name for a C type, such as `unsigned long long`, in the prototypes that follow.
    ///
    /// # Errors
    /// [`ErrorKind::Prototype`] if `text` is no C type or `name` no identifier.
    pub fn define_type(&mut self, name: &str, text: &str) -> Result<(), Error> {
        Arc::make_mut(&mut self.names).define(name, text).map_err(|e| Error::new(ErrorKind::Prototype, e.to_string()))
    }

    /// Makes every `derived *` that has a handle a `base *` too, for instances that are made after: an app may pass it where the
    /// prototype has either. Both are names as prototypes have them, without `struct`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `derived` has another base, or `base` is itself derived from it.
    pub fn derive_handle(&mut self, derived: &str, base: &str) -> Result<(), Error> {
        let derived = Arc::make_mut(&mut self.handle_types).derive(derived, base);
        derived.map_err(|why| Error::new(ErrorKind::InvalidArgument, why))
    }

    /// Sets what is done with objects of the type `type_name *` that an instance, made after this, still has handles of when the host gives it up: statements
    /// that the app has not finalised, for instance. Each is handed to the destructor once, the newest first, before the app's callbacks
    /// end. Not so those whose handle has ended before: because it was lent to a callback, the prototype of a call said so (`scope: call`), or
    /// the host ended it. A type that has no destructor has its base's.
    ///
    /// # Safety
    /// The function may be called with every object of this type that the app is given, on the thread on which the instance is dropped.
    pub unsafe fn handle_destructor(&mut self, type_name: &str, destructor: HandleDestructor) {
        Arc::make_mut(&mut self.handle_types).set_destructor(type_name, destructor);
    }

    /// Parses a prototype with the type names of this linker.
    ///
    /// # Errors
    /// [`ErrorKind::Prototype`].
    pub fn signature(&self, prototype: &str) -> Result<Signature, Error> {
        Signature::parse_with(prototype, &self.names).map_err(|e| Error::new(ErrorKind::Prototype, e.to_string()))
    }

    /// Defines `module` and the prototype's name as a C function. A later definition of the same name replaces it, for
    /// instances made after.
    ///
    /// # Errors
    /// [`ErrorKind::Prototype`] if the prototype does not parse, names no function, or is not supported; [`ErrorKind::InvalidArgument`]
    /// if the function is NULL.
    ///
    /// # Safety
    /// `function` is a C function of this prototype, for as long as instances that import it live. What the prototype says of its
    /// arguments and result is true: that is all the runtime has to go by.
    pub unsafe fn define(&mut self, module: &str, prototype: &str, function: NativeFn) -> Result<(), Error> {
        let signature = self.signature(prototype)?;
        let name = signature.name.clone().ok_or_else(|| {
            Error::new(ErrorKind::Prototype, format!("the prototype names no function: `{prototype}`"))
        })?;
        if function.0.is_null() {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("the function `{name}` is NULL")));
        }
        let definition = Definition::new(&self.engine, signature, function, None)?;
        self.functions.insert((module.to_owned(), name), definition);
        Ok(())
    }

    /// Defines `module` and `name` as a function of this wasm type, which is told who calls it, and may stop the caller: for functions that
    /// work on the app's own memory, or end it. It gets its arguments and, in the same order, results to fill in.
    ///
    /// All instances that are made with this linker share it. A panic of it stops the caller. A later definition of the same name
    /// replaces it, for instances made after.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the type names a type of a module.
    pub fn define_host(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        function: impl Fn(&Caller<'_>, &[Value], &mut [Value]) -> Result<(), Stop> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        host::check_type(name, &ty)?;
        let signature =
            Signature { name: Some(name.to_owned()), params: Vec::new(), result: None, leaf: false, unwind: false };
        let function_ptr: unsafe extern "C" fn(_, _) -> u64 = host::call;
        let host = Some(Arc::new(HostFunction::new(ty, function)));
        let function = NativeFn(function_ptr as *const u8);
        let definition = Definition::new(&self.engine, signature, function, host)?;
        self.functions.insert((module.to_owned(), name.to_owned()), definition);
        Ok(())
    }

    /// Defines `module` and `name` as a tag: apps that import it throw and catch exceptions which they and the host know as the same.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the tag is another engine's.
    pub fn define_tag(&mut self, module: &str, name: &str, tag: &Tag) -> Result<(), Error> {
        if !tag.0.engine.same(&self.engine) {
            return Err(Error::new(ErrorKind::InvalidArgument, "the tag belongs to another engine"));
        }
        self.tags.insert((module.to_owned(), name.to_owned()), tag.clone());
        Ok(())
    }

    /// Defines `module` and each of the instance's exports. The instance and those that import from it belong together: to one
    /// thread, and a trap stops them together.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the instance is another engine's.
    pub fn define_instance(&mut self, module: &str, instance: &Instance) -> Result<(), Error> {
        if !instance.data().engine().same(&self.engine) {
            return Err(Error::new(ErrorKind::InvalidArgument, "the instance belongs to another engine"));
        }
        self.instances.insert(module.to_owned(), instance.data().clone());
        Ok(())
    }

    /// Makes an instance: resolves imports, fills tables and memories, and runs the start function, and then `_initialize` if the
    /// module exports it, as tool chains for libraries ("reactors") want it.
    ///
    /// # Errors
    /// [`ErrorKind::Link`] with all imports that are missing or have another type; [`ErrorKind::Limit`] if there is not enough memory or
    /// address space; [`ErrorKind::Trap`] if a segment does not fit or a start function traps. Writes to what was
    /// imported stay.
    pub fn instantiate(&self, module: &Module) -> Result<Instance, Error> {
        if !module.engine().same(&self.engine) {
            return Err(Error::new(ErrorKind::InvalidArgument, "the module was loaded by another engine"));
        }
        let mut problems = Vec::new();
        let mut resolved = Vec::new();
        let mut sources: Vec<Arc<InstanceData>> = Vec::new();
        for import in module.imports() {
            match self.resolve(module, &import.module, &import.name, import.kind, &mut sources) {
                Ok(found) => resolved.push(found),
                Err(why) => problems.push(format!("`{}.{}`: {why}", import.module, import.name)),
            }
        }
        if !problems.is_empty() {
            let count = problems.len();
            let plural = if count == 1 { "import is" } else { "imports are" };
            return Err(link_error(format!("{count} {plural} not as needed: {}", problems.join("; "))));
        }
        let group = self.group_of(&sources)?;
        let data = build::allocate(module, resolved, &group, self.handle_types.clone())?;
        let instance = Instance::new(data, self.names.clone());
        instance.data().initialise()?;
        Ok(instance)
    }

    /// The group that an instance which imports from these joins.
    fn group_of(&self, sources: &[Arc<InstanceData>]) -> Result<Arc<Group>, Error> {
        let Some(first) = sources.first() else { return Ok(Group::new(&self.engine)) };
        let here = 0u8;
        let group = first.group();
        for source in sources {
            let other = source.group();
            other.check_entry(std::ptr::from_ref(&here) as usize)?;
            group.absorb(&other);
        }
        Ok(group)
    }

    fn resolve(
        &self,
        module: &Module,
        from: &str,
        name: &str,
        kind: ImportKind,
        sources: &mut Vec<Arc<InstanceData>>,
    ) -> Result<Resolved, String> {
        let metadata = module.metadata();
        if let Some(definition) = self.functions.get(&(from.to_owned(), name.to_owned())) {
            let ImportKind::Func(ty) = kind else { return Err("it is defined as a function".to_owned()) };
            let (expected, found) = (metadata.func_type(ty), &definition.wasm_type);
            if expected != found {
                let prototype = &definition.signature;
                return Err(match &definition.host {
                    Some(_) => format!("the module imports `{expected}`, the host's function is `{found}`"),
                    None => format!("the module imports `{expected}`, its prototype `{prototype}` is `{found}`"),
                });
            }
            let Definition { signature, function, host, code, direct, .. } = definition.clone();
            return Ok(Resolved::Native { signature, function: function.0, host, code, direct });
        }
        if let Some(tag) = self.tags.get(&(from.to_owned(), name.to_owned())) {
            return tag_import(module, kind, &tag.0);
        }
        let Some(instance) = self.instances.get(from) else {
            return Err(match kind {
                ImportKind::Func(ty) => {
                    format!("not defined; the module imports a function `{}`", metadata.types[ty as usize])
                }
                _ => "not defined".to_owned(),
            });
        };
        let item = instance.export(name).ok_or("the instance has no such export")?;
        if !sources.iter().any(|s| Arc::ptr_eq(s, instance)) {
            sources.push(instance.clone());
        }
        let theirs = instance.module().metadata();
        match (kind, item) {
            (ImportKind::Func(ty), ExternIndex::Func(function)) => {
                let (expected, found) = (metadata.func_type(ty), theirs.function_type(function));
                let funcref = instance.funcref(function).expect("exported functions escape");
                // SAFETY: a function reference of a live instance. A function that it imports itself has the type that it was defined with.
                let their_type = unsafe { (*funcref).type_id };
                match self.engine.types().is_subtype(their_type, module.type_ids()[ty as usize]) {
                    true => Ok(Resolved::Function(funcref)),
                    false => Err(format!(
                        "the module imports {}, the export is {}",
                        shown(expected, expected.type_indices(), metadata),
                        shown(found, found.type_indices(), theirs)
                    )),
                }
            }
            (ImportKind::Table(expected), ExternIndex::Table(index)) => {
                let table = instance.table(index);
                match table_fits(&module.shared_table(expected), &table.ty()) {
                    true => Ok(Resolved::Table(table)),
                    false => {
                        // The table's own type has the engine's numbers, which say nothing to anyone.
                        let found = TableType { element: theirs.tables[index as usize].element, ..table.ty() };
                        Err(format!(
                            "the module imports {}, the export is {}",
                            shown(expected, ValType::Ref(expected.element).type_index(), metadata),
                            shown(found, ValType::Ref(found.element).type_index(), theirs)
                        ))
                    }
                }
            }
            (ImportKind::Memory(expected), ExternIndex::Memory(index)) => {
                let memory = instance.memory(index);
                let (needs, has) = (metadata.target.memory_reservation, theirs.target.memory_reservation);
                if has < needs {
                    return Err(format!(
                        "the module is compiled for memories that reserve {needs} bytes, the exported one reserves {has}: compile both with the same --memory-reservation"
                    ));
                }
                match memory_fits(&expected, &memory.ty()) {
                    true => Ok(Resolved::Memory(memory)),
                    false => Err(format!("the module imports `{expected}`, the export is `{}`", memory.ty())),
                }
            }
            (ImportKind::Global(expected), ExternIndex::Global(index)) => {
                let found = theirs.globals[index as usize];
                let ours = module.shared_type(expected.content);
                let found_type = instance.module().shared_type(found.content);
                // What may be written must be the same on both sides, what is only read may be more exact than asked for.
                let fits = if expected.mutable { ours == found_type } else { module.is_subtype(found_type, ours) };
                match fits && expected.mutable == found.mutable {
                    true => Ok(Resolved::Global(instance.global_ptr(index))),
                    false => Err(format!(
                        "the module imports {}, the export is {}",
                        shown(expected, expected.content.type_index(), metadata),
                        shown(found, found.content.type_index(), theirs)
                    )),
                }
            }
            (kind @ ImportKind::Tag(_), ExternIndex::Tag(index)) => tag_import(module, kind, instance.tag_data(index)),
            _ => Err("the export is of another kind".to_owned()),
        }
    }
}

/// A tag for an import. Tags must have the same type, not only one that fits (Wasm 3.0, 3.3.11).
fn tag_import(module: &Module, kind: ImportKind, tag: &Arc<TagData>) -> Result<Resolved, String> {
    let ImportKind::Tag(ty) = kind else { return Err("it is defined as a tag".to_owned()) };
    match module.type_ids()[ty as usize] == tag.type_id {
        true => Ok(Resolved::Tag(tag.clone())),
        false => {
            let (expected, found) = (module.metadata().func_type(ty), tag.ty());
            Err(format!("the module imports a tag `{expected}`, it is defined as a tag `{found}`"))
        }
    }
}

/// A type as a message has it, with what the type indices in it stand for in its module.
fn shown(ty: impl Display, indices: impl IntoIterator<Item = u32>, module: &Metadata) -> String {
    let mut text = format!("`{ty}`");
    for index in indices {
        text += &format!(" (type {index}: `{}`)", module.types[index as usize]);
    }
    text
}

/// Whether limits are inside those that are asked for (specification, 3.4.8: matching).
fn limits_fit(expected: (u64, Option<u64>), found: (u64, Option<u64>)) -> bool {
    let maximum = match (expected.1, found.1) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(expected), Some(found)) => found <= expected,
    };
    found.0 >= expected.0 && maximum
}

fn table_fits(expected: &TableType, found: &TableType) -> bool {
    (expected.element, expected.table64) == (found.element, found.table64)
        && limits_fit((expected.minimum, expected.maximum), (found.minimum, found.maximum))
}

fn memory_fits(expected: &MemoryType, found: &MemoryType) -> bool {
    let kind = |ty: &MemoryType| (ty.memory64, ty.shared, ty.page_size_log2);
    kind(expected) == kind(found) && limits_fit((expected.minimum, expected.maximum), (found.minimum, found.maximum))
}
