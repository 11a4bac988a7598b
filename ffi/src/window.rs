//! Windows: native data that an app sees in place.

use crate::boundary::{Out, Result, guard, invalid, object};
use crate::error::wb_error;
use crate::instance::wb_instance;
use std::ffi::{c_int, c_void};
use std::os::fd::BorrowedFd;
use wasmbridge_runtime::{Rights, Window, WindowCounts, WindowMode, WindowOptions};

/// The app may read: said alone or with the other flags.
pub const WB_READ: u32 = 1;
/// The app may write, and read.
pub const WB_WRITE: u32 = 2;
/// `wb_window_map`: bytes beside the data may be visible, where they share its first or last page.
pub const WB_EXPOSE_NEIGHBOURS: u32 = 4;
/// `wb_window_map`: where the data cannot be shown in place the app gets a copy, which is copied back if it may write to it.
pub const WB_ALLOW_COPY: u32 = 8;
/// `wb_window_map`: private pages are left as they are, instead of being adopted.
pub const WB_NO_ADOPTION: u32 = 16;
/// `wb_window_map`: the data must end where its page does, so that the app cannot reach the byte behind it.
pub const WB_RIGHT_ALIGNED: u32 = 32;
/// `wb_region_grant`: the app sees the region only in callbacks with a `[window]` parameter that points into it.
pub const WB_IN_CALLBACKS: u32 = 64;

/// How native data came to be visible.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wb_windowmode {
    /// The same pages, mapped a second time.
    WB_WINDOW_ALIASED = 1,
    /// Private pages that were moved into a file in memory, which is mapped at their address and in the window.
    WB_WINDOW_ADOPTED = 2,
    /// A copy. It is copied back when the window is unmapped, if the app may write to it; see also `wb_window_copy_in` and `wb_window_copy_out`.
    WB_WINDOW_COPIED = 3,
    /// A region that was granted.
    WB_WINDOW_REGION = 4,
}

/// A window, as it is now.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct wb_window {
    /// Where the app has it.
    pub guest_addr: u64,
    /// Where the host has it; NULL if it was mapped from a file that the host has not mapped.
    pub ptr: *mut c_void,
    /// Its length in bytes.
    pub len: usize,
    /// WB_READ, or WB_READ | WB_WRITE.
    pub rights: u32,
    /// How it came to be visible.
    pub mode: wb_windowmode,
}

/// How often data of `[window]` parameters was shown to callbacks of an app, and in which way.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct wb_window_counts {
    /// It was visible anyway: in the app's memory, in a window, or in a region that it has.
    pub visible: u64,
    /// It was open yet, from a callback before.
    pub cached: u64,
    /// It was opened or mapped for the callback.
    pub mapped: u64,
    /// It was copied: there are no whole pages of shared memory that could be mapped, and no region that the app was granted.
    pub copied: u64,
}

/// What the app may do, of flags of which only `allowed` ones may be set.
pub(crate) fn rights(flags: u32, allowed: u32) -> Result<Rights> {
    let unknown = flags & !(allowed | WB_READ | WB_WRITE);
    if unknown != 0 {
        return Err(invalid(format!("`flags` has the bits {unknown:#x}, which mean nothing here")));
    }
    match flags & (WB_READ | WB_WRITE) {
        0 => Err(invalid("`flags` says neither WB_READ nor WB_WRITE")),
        WB_READ => Ok(Rights::Read),
        _ => Ok(Rights::ReadWrite),
    }
}

pub(crate) fn rights_flags(rights: Rights) -> u32 {
    if rights.can_write() { WB_READ | WB_WRITE } else { WB_READ }
}

fn window(window: Window) -> wb_window {
    let mode = match window.mode {
        WindowMode::Aliased => wb_windowmode::WB_WINDOW_ALIASED,
        WindowMode::Adopted => wb_windowmode::WB_WINDOW_ADOPTED,
        WindowMode::Copied => wb_windowmode::WB_WINDOW_COPIED,
        WindowMode::Region => wb_windowmode::WB_WINDOW_REGION,
    };
    wb_window {
        guest_addr: window.guest_addr,
        ptr: window.native_ptr.cast(),
        len: window.len_bytes as usize,
        rights: rights_flags(window.rights),
        mode,
    }
}

/// Makes `len` bytes at `ptr` visible to the app, in place, and writes the address that the app has them at to `*guest_addr`.
///
/// The app reads them, with WB_WRITE also writes them, with plain loads and stores until `wb_window_unmap` or until the instance is deleted; the
/// processor's memory management sees to its rights, and pages that nobody can access lie on both sides. Pointers to them are translated where
/// they cross: C's pointer becomes the app's, and the app's becomes the very pointer that C had.
///
/// What is at `ptr` decides how (`wb_window_at` tells which it was):
/// - Memory that is mapped MAP_SHARED (a memfd, POSIX shared memory, a file, a frame buffer) is mapped once more.
/// - Private memory is adopted: its pages are moved, once and for good, into a file in memory that is mapped at their own address and in the window, so
///   that every pointer to them stays good. No other thread may write to them during this call; after a `fork` the child shares them, also when the
///   window is gone and a heap block that was adopted has been freed. Memory on a stack, in an app's memory or with code in it is not adopted.
/// - Where the data does not fill its pages, what shares them would be visible: that is refused, unless WB_EXPOSE_NEIGHBOURS is set.
/// - With WB_ALLOW_COPY whatever would be refused so far is copied.
///
/// `flags` is WB_READ or WB_WRITE with any of WB_EXPOSE_NEIGHBOURS, WB_ALLOW_COPY, WB_NO_ADOPTION and WB_RIGHT_ALIGNED. `ptr` is not owned: unmap the window before
/// its memory is unmapped, freed or used for something else. An app that may write can change the bytes at any moment: take a copy before you
/// trust them.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if `len` is 0, if not all of the bytes are there and allow to the host what the app is to do, if some
/// are in another window of the app, or if the data cannot be shown as `flags` say: the message has the reason. With WB_ERROR_LIMIT if the
/// app's window area (the top of its 4 GiB) or the kernel's number of mappings (vm.max_map_count) is used up. On an error nothing has changed.
/// On the instance's thread; also from inside C functions that the app calls, and callbacks: it takes effect at once.
///
/// # Safety
/// `instance` is NULL or an instance; `guest_addr` is NULL or may be written to. `ptr` may be any address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_window_map(
    instance: *const wb_instance,
    ptr: *mut c_void,
    len: usize,
    flags: u32,
    guest_addr: *mut u64,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(guest_addr, "guest_addr") }?;
        let rights = rights(flags, WB_EXPOSE_NEIGHBOURS | WB_ALLOW_COPY | WB_NO_ADOPTION | WB_RIGHT_ALIGNED)?;
        let options = WindowOptions {
            expose_neighbours: flags & WB_EXPOSE_NEIGHBOURS != 0,
            allow_copy: flags & WB_ALLOW_COPY != 0,
            no_adoption: flags & WB_NO_ADOPTION != 0,
            right_aligned: flags & WB_RIGHT_ALIGNED != 0,
        };
        // SAFETY: as above; what the app may do to the bytes is said in the comment.
        let window = unsafe { instance.0.map_window(ptr.cast(), len, rights, &options) }?;
        out.set(window.guest_addr);
        Ok(())
    })
}

/// Makes `len` bytes of an open file visible to the app, from `offset` on, which is a multiple of the page size: also where the host has not mapped
/// them, and for devices whose mappings cannot be mapped a second time.
///
/// `fd` is only used during the call. `ptr` is where the host has mapped the same bytes itself, so that pointers are translated as in other windows,
/// or NULL. `flags` is WB_READ or WB_WRITE. A file that is cut while it is visible gives the app a trap where it has no bytes any more.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if the file is shorter, or has more bytes in the last page than `len` says; else as `wb_window_map`. On
/// the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `guest_addr` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_window_map_file(
    instance: *const wb_instance,
    fd: c_int,
    offset: u64,
    len: usize,
    flags: u32,
    ptr: *mut c_void,
    guest_addr: *mut u64,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(guest_addr, "guest_addr") }?;
        let rights = rights(flags, 0)?;
        if fd < 0 {
            return Err(invalid(format!("`fd` is {fd}")));
        }
        // SAFETY: not -1; a descriptor that is not open makes the call fail.
        let file = unsafe { BorrowedFd::borrow_raw(fd) };
        let window = instance.0.map_file_window(file, offset, len as u64, rights, ptr.cast())?;
        out.set(window.guest_addr);
        Ok(())
    })
}

/// Ends the window that begins at the app's address `guest_addr`. When this returns no access of the app's to it succeeds, on any thread; a copy
/// that the app may write to has been copied back.
///
/// C functions that the app has called with pointers into the window, and that are running yet, are not stopped. A region that was granted is
/// revoked. Fails with WB_ERROR_NOT_FOUND if no window begins there: it may have been unmapped before. Any thread, while the app runs too.
///
/// # Safety
/// `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_window_unmap(instance: *const wb_instance, guest_addr: u64) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        unsafe { object(instance, "instance") }?.0.unmap_window(guest_addr)?;
        Ok(())
    })
}

/// Changes what the app may do in the window that begins at `guest_addr`: `flags` is WB_READ or WB_WRITE. It takes effect at once, in code that is
/// running too.
///
/// Fails with WB_ERROR_NOT_FOUND if no window begins there, with WB_ERROR_INVALID_ARGUMENT if it cannot become writable: a file that was opened for
/// reading, or a copy that was made for reading. Any thread, while the app runs too.
///
/// # Safety
/// `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_window_protect(instance: *const wb_instance, guest_addr: u64, flags: u32) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let instance = unsafe { object(instance, "instance") }?;
        instance.0.protect_window(guest_addr, rights(flags, 0)?)?;
        Ok(())
    })
}

/// Copies the host's bytes into a window of the mode WB_WINDOW_COPIED that begins at `guest_addr`, whatever the app may do there. Other windows are
/// always up to date: nothing is done.
///
/// Fails with WB_ERROR_NOT_FOUND if no window begins there. Any thread.
///
/// # Safety
/// `instance` is NULL or an instance; the window's native bytes are where they were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_window_copy_in(instance: *const wb_instance, guest_addr: u64) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        unsafe { object(instance, "instance")?.0.copy_into_window(guest_addr) }?;
        Ok(())
    })
}

/// Copies what is in a window of the mode WB_WINDOW_COPIED that begins at `guest_addr` to the host's bytes, if the app may write to it. Nothing is
/// done for other windows.
///
/// Fails with WB_ERROR_NOT_FOUND if no window begins there. Any thread.
///
/// # Safety
/// `instance` is NULL or an instance; the window's native bytes are where they were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_window_copy_out(instance: *const wb_instance, guest_addr: u64) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        unsafe { object(instance, "instance")?.0.copy_out_of_window(guest_addr) }?;
        Ok(())
    })
}

/// The window that the app's address `guest_addr` lies in, in `*window`: among others how it came to be visible.
///
/// Fails with WB_ERROR_NOT_FOUND if there is none. Any thread.
///
/// # Safety
/// `instance` is NULL or an instance; `window` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_window_at(
    instance: *const wb_instance,
    guest_addr: u64,
    window: *mut wb_window,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(window, "window") }?;
        let none = || {
            let message = format!("there is no window at {guest_addr:#x}");
            wb_error::new(crate::error::wb_errorkind::WB_ERROR_NOT_FOUND, message)
        };
        out.set(self::window(instance.0.window_at(guest_addr).ok_or_else(none)?));
        Ok(())
    })
}

/// Counts how data of `[window]` parameters was shown to callbacks of an app so far, in `*counts`. On the instance's thread.
///
/// # Safety
/// `instance` is NULL or an instance; `counts` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_instance_window_counts(
    instance: *const wb_instance,
    counts: *mut wb_window_counts,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let instance = unsafe { object(instance, "instance") }?;
        // SAFETY: as above.
        let out = unsafe { Out::new(counts, "counts") }?;
        let WindowCounts { visible, cached, mapped, copied } = instance.0.window_counts();
        out.set(wb_window_counts { visible, cached, mapped, copied });
        Ok(())
    })
}
