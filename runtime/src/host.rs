//! Host functions: what a Rust host defines by a wasm type, with a closure that knows its caller.
//!
//! A C function behind a prototype is called directly, and never learns who calls. This is the other way in: for functions that work on
//! the app itself (its memory, its end), such as those of WASI. A call costs what a C function with converted arguments costs.

use crate::crossing::Refused;
use crate::error::{Error, ErrorKind, Trap};
use crate::exception::Exception;
use crate::instance::{InstanceData, MemoryView};
use crate::linker::ThunkInfo;
use crate::memory::Bytes;
use crate::module::Module;
use crate::trap::backtrace;
use crate::value::Value;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmbridge_artifact::vmctx::{ThunkRecord, entry};
use wasmbridge_artifact::{FuncType, TrapCode, ValType};

/// What a host function does: it gets the arguments, and results to fill in, which are zero or null at first.
type Body = dyn Fn(&Caller<'_>, &[Value], &mut [Value]) -> Result<(), Stop> + Send + Sync;

/// Why a host function does not return to the app that called it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Stop {
    /// The app has ended itself, with this status: [`Trap::exit_status`] has it then.
    Exit(i32),
    /// Something went wrong, in the words of a message.
    Failed(String),
    /// The function throws this: the app's innermost `try_table` around the call that takes it goes on. If the frames of the app up to where C or the host has called
    /// it have none, it is a trap, [`TrapCode::UncaughtException`], which has the exception with it.
    Throw(Exception),
}

/// A function of the host's.
pub(crate) struct HostFunction {
    pub(crate) ty: FuncType,
    body: Box<Body>,
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFunction").field("ty", &self.ty).finish_non_exhaustive()
    }
}

impl HostFunction {
    pub(crate) fn new(
        ty: FuncType,
        body: impl Fn(&Caller<'_>, &[Value], &mut [Value]) -> Result<(), Stop> + Send + Sync + 'static,
    ) -> HostFunction {
        HostFunction { ty, body: Box::new(body) }
    }

    /// Runs it. A panic does not go through wasm frames: it stops the app, with its message.
    fn run(&self, caller: &Caller<'_>, slots: &mut [u128]) -> Result<(), Stop> {
        let instance = caller.instance;
        let args: Vec<Value> =
            self.ty.params.iter().zip(&*slots).map(|(&ty, &bits)| instance.value(ty, bits)).collect();
        let mut results: Vec<Value> = self.ty.results.iter().map(|&ty| instance.value(ty, 0)).collect();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.body)(caller, &args, &mut results)));
        outcome.unwrap_or_else(|panic| Err(Stop::Failed(format!("it panicked: {}", panic_text(&*panic)))))?;
        for (i, (result, &ty)) in results.iter().zip(&self.ty.results).enumerate() {
            if !instance.accepts(result, ty) {
                let found = instance.describe_value(result);
                return Err(Stop::Failed(format!("its result {} is {found}, its type says {ty}", i + 1)));
            }
            // The slots are on the stack, where a collection sees what they hold.
            let no_room = || Stop::Failed(format!("there is no room for its result {}", i + 1));
            slots[i] = instance.bits(result, ty).ok_or_else(no_room)?;
        }
        Ok(())
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The instance that calls a host function: the one that imports it.
#[derive(Debug)]
pub struct Caller<'a> {
    instance: &'a InstanceData,
}

impl Caller<'_> {
    /// The module of the instance.
    pub fn module(&self) -> &Module {
        self.instance.module()
    }

    /// The memory that the instance exports under a name.
    pub fn memory(&self, export: &str) -> Option<MemoryView> {
        self.instance.memory_view(export)
    }

    /// Whether bytes of the memory that the instance exports under a name may be read, or written: its own, or in a window.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such memory; [`ErrorKind::InvalidArgument`] if they may not, with the reason.
    pub fn check(&self, export: &str, guest_addr: u64, len_bytes: u64, write: bool) -> Result<(), Error> {
        self.bytes(export, guest_addr, len_bytes, write).map(drop)
    }

    /// Copies bytes out of the memory that the instance exports under a name: its own, or in a window.
    ///
    /// # Errors
    /// As for [`Caller::check`].
    pub fn read(&self, export: &str, guest_addr: u64, into: &mut [u8]) -> Result<(), Error> {
        self.bytes(export, guest_addr, into.len() as u64, false)?.read(into).map_err(refused)
    }

    /// Copies bytes into the memory that the instance exports under a name: its own, or in a window.
    ///
    /// # Errors
    /// As for [`Caller::check`].
    pub fn write(&self, export: &str, guest_addr: u64, bytes: &[u8]) -> Result<(), Error> {
        self.bytes(export, guest_addr, bytes.len() as u64, true)?.write(bytes).map_err(refused)
    }

    fn bytes(&self, export: &str, guest_addr: u64, len: u64, write: bool) -> Result<Bytes, Error> {
        let memory = self
            .instance
            .exported_memory(export)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("the app exports no memory named `{export}`")))?;
        memory.bytes(guest_addr, len, write).map_err(refused)
    }
}

fn refused(why: Refused) -> Error {
    Error::new(ErrorKind::InvalidArgument, why)
}

/// The C function behind every host function: called by the thunk with its record and its slots. An exception for the thunk to throw, or 0.
///
/// # Safety
/// `record` is that of an import of a live instance, whose code is calling; its information has the function, and `slots` its arguments and
/// room for its results.
pub(crate) unsafe extern "C" fn call(record: *const ThunkRecord, slots: *mut u128) -> u64 {
    // SAFETY: the caller's promise; `info` is boxed in the importing instance.
    let (instance, info) = unsafe { (InstanceData::of((*record).vmctx.cast()), &*(*record).info.cast::<ThunkInfo>()) };
    let host = info.host.as_deref().expect("the linker gives this function to host functions only");
    let count = host.ty.params.len().max(host.ty.results.len());
    const { assert!(size_of::<u128>() == entry::VALUE_SIZE) };
    // SAFETY: the thunk of this type has so many slots, aligned to 16 bytes, on its stack.
    let slots = unsafe { std::slice::from_raw_parts_mut(slots, count) };
    let stop = match host.run(&Caller { instance }, slots) {
        Ok(()) => return 0,
        Err(Stop::Throw(exception)) => match instance.thrown_by_host(&exception) {
            Ok(object) => return object.as_ptr() as u64,
            Err(why) => Stop::Failed(why),
        },
        Err(stop) => stop,
    };
    instance.stopped_by_host(info.name(), stop);
    0
}

impl InstanceData {
    /// A host function, which still runs, stops the guest: its thunk traps when it returns.
    fn stopped_by_host(&self, name: &str, stop: Stop) {
        let group = self.group();
        let mut state = group.lock();
        if state.pending.is_none() {
            let frames = backtrace::of(&[], None, &state);
            let trap = match stop {
                Stop::Exit(status) => {
                    let detail = Some(format!("status {status}"));
                    Trap { exit_status: Some(status), ..Trap::new(TrapCode::Exited, detail, frames) }
                }
                Stop::Throw(exception) => unreachable!("{exception} is thrown by the thunk"),
                Stop::Failed(why) => {
                    let detail = Some(format!("`{name}`: {why}"));
                    Trap::new(TrapCode::HostFailed, detail, frames)
                }
            };
            state.pending = Some(Box::new(trap));
        }
        state.block();
    }
}

/// Refuses types that name types of a module: a host function belongs to none.
pub(crate) fn check_type(name: &str, ty: &FuncType) -> Result<(), Error> {
    let named = ty.params.iter().chain(&ty.results).copied().find_map(ValType::type_index);
    match named {
        None => Ok(()),
        Some(index) => {
            let message = format!("the type of `{name}` names type {index} of a module; use funcref instead");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}
