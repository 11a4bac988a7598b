//! The host's own calls into an instance.

use super::InstanceData;
use crate::error::{Error, ErrorKind, Trap};
use crate::trap::{backtrace, native};
use crate::value::Value;
use std::sync::Arc;
use wasmbridge_artifact::TrapCode;
use wasmbridge_artifact::vmctx::{EntryRecord, VmFuncRef, entry};

/// An entry trampoline: see the artifact crate's `vmctx::entry`. Exceptions of C++ and panics of Rust may pass through.
type Entry = unsafe extern "C-unwind" fn(
    code: *const u8,
    callee_vmctx: *mut u8,
    values: *mut u128,
    unused: usize,
    unused: usize,
    unused: usize,
    record: *const EntryRecord,
);

impl InstanceData {
    /// Calls a function of this module.
    pub(crate) fn call(&self, function: u32, args: &[Value]) -> Result<Vec<Value>, Error> {
        let module = self.module.metadata();
        let name = || self.module.function_name(function);
        let ty = module.function_type(function);
        if let Some(why) = self.mismatch(ty, args) {
            let message = format!("`{}` is `{ty}`: {why}", name());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let missing = || Error::new(ErrorKind::NotFound, format!("`{}` is not exported, nor in a table", name()));
        let funcref = self.funcref(function).ok_or_else(missing)?;
        let entry = self.module.entry(module.functions[function as usize]).ok_or_else(missing)?;

        // Nothing is collected until the guest has them: what stands for a value of the host's is held by nobody until then.
        let no_room = || self.trap(TrapCode::AllocationTooLarge, None);
        let heap = self.heap().clone();
        let bits = || args.iter().zip(&ty.params).map(|(arg, &ty)| self.bits(arg, ty)).collect::<Option<Vec<u128>>>();
        let mut values = heap.without_collections(bits).ok_or_else(no_room)?;
        values.resize(ty.params.len().max(ty.results.len()).max(1), 0);
        const { assert!(size_of::<u128>() == entry::VALUE_SIZE) };

        // SAFETY: the entry is the one for the function's type, the function reference is this instance's, and the slots hold its arguments.
        unsafe { self.enter(entry, funcref, &mut values) }?;
        Ok(ty.results.iter().zip(&values).map(|(&ty, &bits)| self.value(ty, bits)).collect())
    }

    /// Runs a function, in a scope of its own.
    ///
    /// # Safety
    /// `entry` is the entry trampoline for the type of `funcref`, which is a function reference of this group's, and `values` holds
    /// its arguments and has room for its results.
    unsafe fn enter(&self, entry: usize, funcref: *const VmFuncRef, values: &mut [u128]) -> Result<(), Error> {
        let group = self.group();
        let record = EntryRecord { owner: self.vmctx };
        let here = std::ptr::from_ref(&record) as usize;
        self.close_idle_windows();
        group.check_entry(here)?;
        // A `longjmp` or an exception out of an earlier call may have left crossings behind.
        {
            let state = group.lock();
            state.members.iter().for_each(|member| member.drop_stale(here, &state.members));
        }
        if self.depth.get() == 0 && !self.has_crossings() {
            // SAFETY: the vmctx is live, and no code of the instance runs.
            unsafe { (*self.outermost).stack_pointer = (*self.vmctx).stack_pointer };
        }
        let running = Running::start(self, here);
        // SAFETY: the caller's promise; entry trampolines have the type `Entry`, and after a trap they return.
        unsafe {
            let function = *funcref;
            let entry: Entry = std::mem::transmute::<usize, Entry>(entry);
            entry(function.code, function.vmctx, values.as_mut_ptr(), 0, 0, 0, &record);
        }
        running.finish();
        // The lock is released before the error is built.
        let trap = group.lock().take_pending();
        match trap {
            None => {
                self.make_waited();
                Ok(())
            }
            Some(trap) => Err(Error::from_trap(trap)),
        }
    }

    /// Drops crossings that a `longjmp` or an exception has skipped. The host's frames lie above `here`, by how much is not known: a crossing just above
    /// it is dropped if its frame has been written over. One that has not been is dropped by the next callback, and costs nothing until
    /// then but the bytes of the app's own stack that it had in use. But if a callback was shown a window, the unwinder is asked whether it is there.
    fn drop_stale(&self, here: usize, members: &[Arc<InstanceData>]) {
        let high = self.stack.get().high;
        while self.call_windows.are_used()
            && let Some(callback) = self.scopes.innermost_shown()
            && native::is_in_callback(callback) == Some(false)
        {
            self.drop_below(callback, members);
        }
        while let Some(frame) = self.crossings().next() {
            if frame.frame > here && backtrace::waits(&frame, high) {
                break;
            }
            self.drop_below(frame.frame, members);
        }
    }

    /// The error of a callback that failed, for the host to see.
    pub(crate) fn take_error(&self) -> Option<Error> {
        self.group().lock().take_pending().map(Error::from_trap)
    }

    /// A trap outside of wasm code: of an instruction that the runtime carries out itself.
    pub(crate) fn trap(&self, code: TrapCode, detail: Option<String>) -> Error {
        Error::from_trap(Trap::new(code, detail, Vec::new()))
    }
}

/// A call of the host's that is running.
struct Running<'a> {
    instance: &'a InstanceData,
    /// where it is on the stack
    here: usize,
    finished: bool,
}

impl<'a> Running<'a> {
    fn start(instance: &'a InstanceData, here: usize) -> Running<'a> {
        instance.depth.set(instance.depth.get() + 1);
        instance.open_scope(here);
        Running { instance, here, finished: false }
    }

    /// It has returned, from the guest's function or from a trap.
    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Running<'_> {
    /// Ends it; where an exception of C++ or a panic of Rust passes through, also what it has skipped.
    fn drop(&mut self) {
        if self.finished {
            self.instance.close_scope(self.here);
            self.instance.end_calls();
        } else {
            let group = self.instance.group();
            let state = group.lock();
            state.members.iter().for_each(|member| member.drop_below(self.here, &state.members));
        }
        self.instance.depth.set(self.instance.depth.get() - 1);
        if self.finished {
            self.instance.destroy_dead();
        }
    }
}
