//! The functions, defined in a linker, and how they see the app's memory.

use crate::windows::{self, MEMORY};
use std::cell::UnsafeCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasi_common::{I32Exit, WasiCtx};
use wasmbridge_runtime::{Caller, Error, FuncType, Linker, MemoryView, Stop, ValType, Value};
use wiggle::GuestMemory;

/// A type of C's that WASI's functions take and return.
trait Scalar: Sized {
    const TYPE: ValType;
    fn of(value: &Value) -> Self;
}

impl Scalar for i32 {
    const TYPE: ValType = ValType::I32;
    fn of(value: &Value) -> i32 {
        match *value {
            Value::I32(value) => value,
            _ => unreachable!("the linker checked the type"),
        }
    }
}

impl Scalar for i64 {
    const TYPE: ValType = ValType::I64;
    fn of(value: &Value) -> i64 {
        match *value {
            Value::I64(value) => value,
            _ => unreachable!("the linker checked the type"),
        }
    }
}

/// Defines functions of one snapshot, each of which returns an `errno`. The types of the parameters are checked against the
/// implementation's by the compiler.
macro_rules! functions {
    ($linker:ident, $context:ident, $name:literal, $snapshot:ident :: $module:ident, $filestat:literal; $($function:ident: $($param:ident: $ty:ty),*;)*) => {
        $({
            let context = $context.clone();
            let pointers = windows::pointers(stringify!($function), $filestat);
            let ty = FuncType { params: vec![$(<$ty as Scalar>::TYPE),*], results: vec![ValType::I32] };
            $linker.define_host($name, stringify!($function), ty, move |caller, args, results| {
                let view = memory(caller)?;
                let mut carried = windows::carry(caller, view.len_bytes, args, &pointers)?;
                let (args, mut memory) = match &mut carried {
                    None => (args, whole(&view)),
                    Some(carried) => (&carried.args[..], GuestMemory::Unshared(&mut carried.bytes)),
                };
                let [$($param),*] = args else { unreachable!("the linker checked the type") };
                let mut context = context.clone();
                let call = wasi_common::snapshots::$snapshot::$module::$function(
                    &mut context, &mut memory $(, <$ty as Scalar>::of($param))*
                );
                let errno = complete(call)?;
                results[0] = Value::I32(errno);
                // What a call writes that fails means nothing.
                carried.filter(|_| errno == 0).map_or(Ok(()), |carried| carried.deliver(caller))
            })?;
        })*
    };
}

/// Defines all functions of both snapshots.
pub(crate) fn define(linker: &mut Linker, context: &WasiCtx) -> Result<(), Error> {
    /// What both snapshots have.
    macro_rules! both {
        ($name:literal, $snapshot:ident :: $module:ident, $filestat:literal) => {
            functions! {
                linker, context, $name, $snapshot::$module, $filestat;
                args_get: argv: i32, bytes: i32;
                args_sizes_get: count: i32, len: i32;
                environ_get: environ: i32, bytes: i32;
                environ_sizes_get: count: i32, len: i32;
                clock_res_get: id: i32, out: i32;
                clock_time_get: id: i32, precision: i64, out: i32;
                fd_advise: fd: i32, offset: i64, len: i64, advice: i32;
                fd_allocate: fd: i32, offset: i64, len: i64;
                fd_close: fd: i32;
                fd_datasync: fd: i32;
                fd_fdstat_get: fd: i32, out: i32;
                fd_fdstat_set_flags: fd: i32, flags: i32;
                fd_fdstat_set_rights: fd: i32, base: i64, inheriting: i64;
                fd_filestat_get: fd: i32, out: i32;
                fd_filestat_set_size: fd: i32, size: i64;
                fd_filestat_set_times: fd: i32, atim: i64, mtim: i64, flags: i32;
                fd_pread: fd: i32, iovs: i32, count: i32, offset: i64, out: i32;
                fd_prestat_get: fd: i32, out: i32;
                fd_prestat_dir_name: fd: i32, path: i32, len: i32;
                fd_pwrite: fd: i32, iovs: i32, count: i32, offset: i64, out: i32;
                fd_read: fd: i32, iovs: i32, count: i32, out: i32;
                fd_readdir: fd: i32, buffer: i32, len: i32, cookie: i64, out: i32;
                fd_renumber: from: i32, to: i32;
                fd_seek: fd: i32, offset: i64, whence: i32, out: i32;
                fd_sync: fd: i32;
                fd_tell: fd: i32, out: i32;
                fd_write: fd: i32, iovs: i32, count: i32, out: i32;
                path_create_directory: fd: i32, path: i32, len: i32;
                path_filestat_get: fd: i32, flags: i32, path: i32, len: i32, out: i32;
                path_filestat_set_times: fd: i32, flags: i32, path: i32, len: i32, atim: i64, mtim: i64, set: i32;
                path_link: from: i32, flags: i32, path: i32, len: i32, to: i32, new_path: i32, new_len: i32;
                path_open: fd: i32, dir: i32, path: i32, len: i32, flags: i32, base: i64, inheriting: i64, set: i32, out: i32;
                path_readlink: fd: i32, path: i32, len: i32, buffer: i32, buffer_len: i32, out: i32;
                path_remove_directory: fd: i32, path: i32, len: i32;
                path_rename: fd: i32, path: i32, len: i32, new_fd: i32, new_path: i32, new_len: i32;
                path_symlink: target: i32, target_len: i32, fd: i32, path: i32, len: i32;
                path_unlink_file: fd: i32, path: i32, len: i32;
                poll_oneoff: subscriptions: i32, events: i32, count: i32, out: i32;
                proc_raise: signal: i32;
                random_get: buffer: i32, len: i32;
                sched_yield: ;
                sock_recv: fd: i32, iovs: i32, count: i32, flags: i32, out: i32, out_flags: i32;
                sock_send: fd: i32, iovs: i32, count: i32, flags: i32, out: i32;
                sock_shutdown: fd: i32, how: i32;
            }
            // Not the implementation's, which refuses every status from 126 on: C's `exit(255)` is one.
            let ty = FuncType { params: vec![ValType::I32], results: vec![] };
            linker.define_host($name, "proc_exit", ty, |_, args, _| Err(Stop::Exit(i32::of(&args[0]))))?;
        };
    }
    both!("wasi_snapshot_preview1", preview_1::wasi_snapshot_preview1, 64);
    both!("wasi_unstable", preview_0::wasi_unstable, 56);
    functions! {
        linker, context, "wasi_snapshot_preview1", preview_1::wasi_snapshot_preview1, 64;
        sock_accept: fd: i32, flags: i32, out: i32;
    }
    Ok(())
}

/// The memory that the caller exports for WASI to use.
fn memory(caller: &Caller<'_>) -> Result<MemoryView, Stop> {
    let none = || Stop::Failed("the app exports no memory named `memory`, which WASI needs".to_owned());
    caller.memory(MEMORY).ok_or_else(none)
}

/// All of it, while its instance waits for a call.
fn whole(view: &MemoryView) -> GuestMemory<'_> {
    let len = view.len_bytes as usize;
    // SAFETY: the memory's bytes stay where they are as long as the instance lives, which waits for this call. Only this thread may run it or
    // touch a memory that is not shared; a shared one is given as cells, which others may write to.
    unsafe {
        match view.shared {
            false => GuestMemory::Unshared(std::slice::from_raw_parts_mut(view.base, len)),
            true => GuestMemory::Shared(std::slice::from_raw_parts(view.base.cast::<UnsafeCell<u8>>(), len)),
        }
    }
}

/// The result of a function of the implementation's. Its futures never wait: what takes time blocks.
fn complete<T>(call: impl Future<Output = Result<T, wiggle::anyhow::Error>>) -> Result<T, Stop> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => Ok(value),
        Poll::Ready(Err(error)) => Err(match error.downcast_ref::<I32Exit>() {
            Some(exit) => Stop::Exit(exit.0),
            None => Stop::Failed(format!("{error:#}")),
        }),
        Poll::Pending => Err(Stop::Failed("it would wait for ever".to_owned())),
    }
}
