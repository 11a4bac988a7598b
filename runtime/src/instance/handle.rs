//! What the host holds of an instance.

use super::InstanceData;
use super::known::Known;
use crate::callback::{CallbackOptions, Name, NativeFn};
use crate::error::{Error, ErrorKind};
use crate::exception::{Exception, Tag};
use crate::module::Module;
use crate::value::Value;
use std::marker::PhantomData;
use std::sync::Arc;
use wasmbridge_artifact::module::ExternIndex;
use wasmbridge_artifact::vmctx::VmFuncRef;
use wasmbridge_trampolines::{Signature, TypeNames};

/// A running copy of a module: its memory, tables and globals.
///
/// It belongs to one thread at a time: the one that made it, until another one takes it with [`Instance::attach`]. Calls and
/// callbacks on other threads are refused. Instances that import from each other belong together.
///
/// When it is dropped, its callbacks refuse: C may still hold them, and gets their default answer.
#[derive(Debug)]
pub struct Instance {
    data: Arc<InstanceData>,
    /// what its linker knows: prototypes of callbacks may use them
    names: Arc<TypeNames>,
    /// not shared between threads: its owner's alone
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

/// Where a memory of the app's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryView {
    /// native address of guest address 0: a multiple of 4 GiB; it never changes
    pub base: *mut u8,
    /// bytes; grows only
    pub len_bytes: u64,
    /// whether other threads may write to it at any time
    pub shared: bool,
}

impl Instance {
    pub(crate) fn new(data: Arc<InstanceData>, names: Arc<TypeNames>) -> Instance {
        data.group().lock().handles += 1;
        Instance { data, names, _not_sync: PhantomData }
    }

    pub(crate) fn data(&self) -> &Arc<InstanceData> {
        &self.data
    }

    /// The module this is an instance of.
    pub fn module(&self) -> &Module {
        self.data.module()
    }

    /// Makes this thread the owner of the instance and of those it is linked to.
    ///
    /// The owner so far must not be in a call or callback of it, and must not enter any more. Callbacks may be called on other threads meanwhile: they do what they do on
    /// a thread that does not own the instance. (On a third thread whose stack lies between the two, one that is stopped for longer than a tenth of a millisecond
    /// just between two instructions of its entry check could be taken for the owner's. Hosts that cannot live with that move apps only while nobody calls.)
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if a call of it is running.
    pub fn attach(&self) -> Result<(), Error> {
        self.data.group().attach()
    }

    /// Calls an exported function.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::InvalidArgument`] if the arguments are not the function's, [`ErrorKind::Trap`] if it traps,
    /// [`ErrorKind::Busy`] on a thread that does not own the instance or while a callback's error waits to be taken.
    pub fn call(&self, name: &str, args: &[Value]) -> Result<Vec<Value>, Error> {
        self.data.call(self.function(name)?, args)
    }

    /// An exported function as a C function pointer of this prototype, whose name is the export's. It may use the type names that the
    /// linker knew when it made the instance. The same function and the
    /// same prototype give the same address. Options that are not the default hold from then on, for one that there was already as well: whether the
    /// host has made it or the app has passed the function to C. The others stay as they are.
    ///
    /// # Errors
    /// [`ErrorKind::Prototype`], [`ErrorKind::NotFound`], or [`ErrorKind::Link`] if the function has another type.
    pub fn callback(&self, prototype: &str, options: &CallbackOptions) -> Result<NativeFn, Error> {
        let known = self.data.prototype(prototype, &self.names)?;
        let name = known.known.named.name.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Prototype, format!("the prototype names no function to look up: `{prototype}`"))
        })?;
        let funcref = match known.export.get() {
            Some(funcref) => funcref,
            None => {
                let funcref = self.data.funcref(self.function(name)?).expect("exported functions escape");
                known.export.set(Some(funcref));
                funcref
            }
        };
        self.stamp(funcref, &known.known, None, options)
    }

    /// An exported function as a C function pointer of a signature.
    ///
    /// # Errors
    /// As for [`Instance::callback`].
    pub fn callback_of(
        &self,
        export: &str,
        signature: &Signature,
        options: &CallbackOptions,
    ) -> Result<NativeFn, Error> {
        let function = self.function(export)?;
        let funcref = self.data.funcref(function).expect("exported functions escape");
        self.stamp(funcref, &self.data.known(signature), Some(export), options)
    }

    /// The function at an index of the app's table 0 as a C function pointer of this prototype.
    ///
    /// # Errors
    /// As for [`Instance::callback`]; [`ErrorKind::NotFound`] if there is no function at the index.
    pub fn callback_at(&self, index: u32, prototype: &str, options: &CallbackOptions) -> Result<NativeFn, Error> {
        let known = self.data.prototype(prototype, &self.names)?;
        let funcref = self.data.table_function(0, index).map_err(|why| Error::new(ErrorKind::NotFound, why))?;
        let name = known.known.named.name.is_none().then(|| format!("table index {index}"));
        self.stamp(funcref, &known.known, name.as_deref(), options)
    }

    /// The callback for a function; its name is the prototype's, unless another one is given.
    fn stamp(
        &self,
        funcref: *const VmFuncRef,
        known: &Arc<Known>,
        name: Option<&str>,
        options: &CallbackOptions,
    ) -> Result<NativeFn, Error> {
        let given = name.map_or(Name::OfPrototype, |name| Name::Given(name.into()));
        match self.data.callback(funcref, known, given, options) {
            Ok(slot) => Ok(NativeFn(slot.entry)),
            Err(e) => {
                let name = name.or(known.named.name.as_deref()).unwrap_or_default();
                Err(Error::new(e.kind(), format!("`{name}`: {}", e.message())))
            }
        }
    }

    /// The error of a callback that failed while C code that no app had called was running, if there is one. Until it is taken, the
    /// instance's callbacks answer with their defaults and calls are refused.
    ///
    /// On a thread that does not own the instance it is an error of kind [`ErrorKind::Busy`], and nothing is taken.
    pub fn take_error(&self) -> Option<Error> {
        match self.data.group().check_thread() {
            Ok(()) => self.data.take_error(),
            Err(error) => Some(error),
        }
    }

    /// Where memory 0 is; `None` if the app has no memory.
    pub fn memory(&self) -> Option<MemoryView> {
        let len_bytes = self.data.memory_len();
        let ty = self.module().metadata().memories.first()?;
        Some(MemoryView { base: self.data.memory_base(), len_bytes, shared: ty.shared })
    }

    /// Where an exported memory is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn exported_memory(&self, name: &str) -> Result<MemoryView, Error> {
        self.data.memory_view(name).ok_or_else(|| self.no_export("memory", name))
    }

    /// The native address of `len` bytes at a guest address of memory 0. In a window that is the address that the data had before.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if they are not all in the app's memory.
    pub fn native_ptr(&self, guest_addr: u64, len: u64) -> Result<*mut u8, Error> {
        self.data.native(guest_addr, len, false).map_err(|why| Error::new(ErrorKind::InvalidArgument, why))
    }

    /// The guest address of a native address in memory 0, or in the data of a window.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is not in the app's memory.
    pub fn guest_addr(&self, native_ptr: *const u8) -> Result<u64, Error> {
        let inside = |&guest_addr: &u64| self.data.bytes(guest_addr, 1, false).is_ok();
        self.data
            .guest_addr(native_ptr as usize)
            .filter(inside)
            .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("{native_ptr:p} is not in the app's memory")))
    }

    /// The value of an exported global.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn global(&self, name: &str) -> Result<Value, Error> {
        let index = self.global_index(name)?;
        let ty = self.module().metadata().globals[index as usize].content;
        Ok(self.data.value(ty, self.data.global_bits(index)))
    }

    /// Sets an exported mutable global.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::InvalidArgument`] if it is immutable or of another type.
    pub fn set_global(&self, name: &str, value: Value) -> Result<(), Error> {
        let index = self.global_index(name)?;
        let ty = self.module().metadata().globals[index as usize];
        if !ty.mutable || !self.data.accepts(&value, ty.content) {
            let message =
                format!("`{name}` is `{ty}`: it cannot be set to a value of type {}", self.data.describe_value(&value));
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let heap = self.data.heap().clone();
        let bits = heap.without_collections(|| self.data.bits(&value, ty.content));
        let no_room = || self.data.trap(wasmbridge_artifact::TrapCode::AllocationTooLarge, None);
        self.data.set_global_bits(index, bits.ok_or_else(no_room)?);
        Ok(())
    }

    /// An exported tag: to tell its exceptions from others ([`Error::exception`]), or to give it to other modules.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn tag(&self, name: &str) -> Result<Tag, Error> {
        match self.data.export(name) {
            Some(ExternIndex::Tag(index)) => Ok(Tag(self.data.tag_data(index).clone())),
            _ => Err(self.no_export("tag", name)),
        }
    }

    /// Has the C function throw that the app has called, and which calls this: when it returns, what it returns is dropped, and the app's innermost `try_table` around
    /// the call that takes the exception goes on. No frame is skipped, and nothing runs before that: callbacks of the app answer with their default values, unless their policy
    /// lets them [run](crate::WhilePending::Run). What the function has written to copies that were made for the call does not reach the app.
    ///
    /// If nobody catches it, it is a trap of the call as any other exception. Among instances that are linked, the function may be one that any of them has
    /// called. Until the function has returned, the exception can be taken back with [`Instance::take_error`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if no C function runs that the app has called and waits for, or it is a `[leaf]` one, or has no unwind tables; if the tag
    /// is another engine's, or a reference of another type than the tag says. [`ErrorKind::Busy`] on another thread than the app's, or while another error has not been taken.
    pub fn throw(&self, exception: &Exception) -> Result<(), Error> {
        self.data.throw(exception)
    }

    /// Collects the objects that nobody reaches any more, now, and C's objects whose externrefs the app has let go of. The runtime does it by itself when enough
    /// have been made or given.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] on a thread that does not own the instance, or while a callback's error waits to be taken.
    pub fn collect_garbage(&self) -> Result<(), Error> {
        let here = 0u8;
        self.data.group().check_entry(std::ptr::from_ref(&here) as usize)?;
        self.data.collect();
        self.data.destroy_dead();
        Ok(())
    }

    /// Bytes that structs, arrays and exceptions take up, of this instance and of those that it is linked to; including those that nobody reaches any
    /// more and that no collection has found yet.
    pub fn heap_bytes(&self) -> u64 {
        self.data.heap().used() as u64
    }

    fn global_index(&self, name: &str) -> Result<u32, Error> {
        match self.data.export(name) {
            Some(ExternIndex::Global(index)) => Ok(index),
            _ => Err(self.no_export("global", name)),
        }
    }

    fn function(&self, name: &str) -> Result<u32, Error> {
        match self.data.export(name) {
            Some(ExternIndex::Func(index)) => Ok(index),
            _ => Err(self.no_export("function", name)),
        }
    }

    pub(super) fn no_export(&self, kind: &str, name: &str) -> Error {
        let exports = self.module().exports();
        let similar: Vec<&str> = exports.iter().map(|e| e.name.as_str()).take(12).collect();
        let more = if exports.len() > similar.len() { ", ..." } else { "" };
        let message = match exports.iter().any(|e| e.name == name) {
            true => format!("the module's export `{name}` is not a {kind}"),
            false => format!("the module exports no {kind} `{name}`; it exports {}{more}", similar.join(", ")),
        };
        Error::new(ErrorKind::NotFound, message)
    }

    /// Whether code of the instance is on the stack: then it must not be dropped.
    pub fn is_running(&self) -> bool {
        self.data.is_running()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.data.inbox().set_notify(None);
        self.data.destroy_objects();
        self.data.kill_callbacks();
        let group = self.data.group();
        let members = {
            let mut state = group.lock();
            state.handles -= 1;
            // Members hold each other's functions and memories; they go together, when the host has let go of all.
            if state.handles == 0 && !self.data.is_running() { std::mem::take(&mut state.members) } else { Vec::new() }
        };
        for member in &members {
            member.kill_callbacks();
        }
    }
}
