//! Regions, and arenas to allocate from.

use crate::boundary::{Out, delete, guard, guard_or, object};
use crate::error::wb_error;
use crate::instance::wb_instance;
use crate::window::{WB_IN_CALLBACKS, rights, rights_flags};
use std::ffi::c_void;
use std::ptr;
use wasmbridge_runtime::{Arena, Grant, Region};

/// A region: memory that several apps may be given, each with rights of its own, all of them at the same address.
///
/// The low 32 bits of its native address are that address, so a native pointer into it that lies in the data itself is, cut to its low four bytes,
/// the app's pointer: native lists and trees can be walked in place. Nobody can make it shorter. All functions on it may be called on any
/// thread, at the same time, and while the apps that have it are running; the instances they are given must not be deleted meanwhile.
pub struct wb_region(Region);

/// An arena: a region that is given out piece by piece, for libraries that let their host allocate.
///
/// What is in use is known outside of the region, so that no app can spoil it. All functions on it may be called on any thread, at the same time.
pub struct wb_arena {
    arena: Arena,
    region: wb_region,
}

fn grant(flags: u32) -> crate::boundary::Result<Grant> {
    Ok(Grant { rights: rights(flags, WB_IN_CALLBACKS)?, in_callbacks_only: flags & WB_IN_CALLBACKS != 0 })
}

/// Makes a region of `len` bytes, all zero, that no app has yet.
///
/// `*region` is the caller's, who ends it with `wb_region_delete`. All regions of a process together have not quite 1 GiB, each with a page more
/// than it needs. Fails with WB_ERROR_INVALID_ARGUMENT if `len` is 0, with WB_ERROR_LIMIT if there is no room.
///
/// # Safety
/// `region` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_new(len: usize, region: *mut *mut wb_region) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let out = unsafe { Out::new(region, "region") }?;
        out.give(wb_region(Region::new(len as u64)?));
        Ok(())
    })
}

/// Where the host has a region: it may always read and write there. NULL for NULL.
///
/// # Safety
/// `region` is NULL or a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_ptr(region: *const wb_region) -> *mut c_void {
    // SAFETY: the caller's duty.
    unsafe { region.as_ref() }.map_or(ptr::null_mut(), |region| region.0.native_ptr().cast())
}

/// Where every app that has a region has it. 0 for NULL.
///
/// # Safety
/// `region` is NULL or a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_guest_addr(region: *const wb_region) -> u64 {
    // SAFETY: the caller's duty.
    unsafe { region.as_ref() }.map_or(0, |region| region.0.guest_addr())
}

/// The length of a region in bytes. 0 for NULL.
///
/// # Safety
/// `region` is NULL or a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_len(region: *const wb_region) -> usize {
    // SAFETY: the caller's duty.
    unsafe { region.as_ref() }.map_or(0, |region| region.0.len_bytes() as usize)
}

/// Gives a region to an app, or changes what an app that has it may do with it. It takes effect at once, in code that is running too.
///
/// `flags` is WB_READ or WB_WRITE. With WB_IN_CALLBACKS the app sees it only in callbacks that have a `[window]` parameter which points into it.
/// Fails with WB_ERROR_LIMIT if a window of the app is at the region's address, or the app has no room for windows.
///
/// # Safety
/// `region` is NULL or a region; `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_grant(
    region: *const wb_region,
    instance: *const wb_instance,
    flags: u32,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let region = unsafe { object(region, "region") }?;
        // SAFETY: as above.
        let instance = unsafe { object(instance, "instance") }?;
        region.0.grant(&instance.0, grant(flags)?)?;
        Ok(())
    })
}

/// Takes a region from an app. When this returns no access of the app's to it succeeds, on any thread: the app traps, if it tries. An app that does
/// not have the region stays as it is.
///
/// C functions that the app has called with pointers into the region, and that are running yet, are not stopped.
///
/// # Safety
/// `region` is NULL or a region; `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_revoke(region: *const wb_region, instance: *const wb_instance) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let region = unsafe { object(region, "region") }?;
        // SAFETY: as above.
        let instance = unsafe { object(instance, "instance") }?;
        region.0.revoke(&instance.0)?;
        Ok(())
    })
}

/// Takes a region from all apps that have it.
///
/// # Safety
/// `region` is NULL or a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_revoke_all(region: *const wb_region) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        unsafe { object(region, "region") }?.0.revoke_all()?;
        Ok(())
    })
}

/// Takes a region from the app `from` and gives it to the app `to`, with `flags` as for `wb_region_grant`. At no moment both have it.
///
/// Fails with WB_ERROR_INVALID_ARGUMENT if `from` does not have it, else as `wb_region_grant`: then `from` has it as before.
///
/// # Safety
/// `region` is NULL or a region; `from` and `to` are NULL or instances.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_move(
    region: *const wb_region,
    from: *const wb_instance,
    to: *const wb_instance,
    flags: u32,
) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty, as below.
        let region = unsafe { object(region, "region") }?;
        // SAFETY: as above.
        let (from, to) = unsafe { (object(from, "from")?, object(to, "to")?) };
        region.0.move_to(&from.0, &to.0, grant(flags)?)?;
        Ok(())
    })
}

/// What an app may do with a region, as the flags of `wb_region_grant`; 0 if it does not have it, and for NULL.
///
/// # Safety
/// `region` is NULL or a region; `instance` is NULL or an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_rights(region: *const wb_region, instance: *const wb_instance) -> u32 {
    // SAFETY: the caller's duty.
    let (Some(region), Some(instance)) = (unsafe { region.as_ref() }, unsafe { instance.as_ref() }) else { return 0 };
    let flags = |grant: Grant| rights_flags(grant.rights) | if grant.in_callbacks_only { WB_IN_CALLBACKS } else { 0 };
    region.0.rights_of(&instance.0).map_or(0, flags)
}

/// Ends the host's use of a region. Apps that have it keep it; its memory goes when none has it any more. NULL does nothing.
///
/// # Safety
/// `region` is NULL or a region, and is not used again; the host uses no pointer into it unless an app has it yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_region_delete(region: *mut wb_region) {
    // SAFETY: the caller's duty.
    unsafe { delete(region) }
}

/// Makes an arena of `len` bytes: a region, and what is known of its pieces.
///
/// `*arena` is the caller's, who ends it with `wb_arena_delete`. It has up to one piece for each 64 bytes (at least 1,024, at most 262,144), free
/// ones between others counted. Fails as `wb_region_new`.
///
/// # Safety
/// `arena` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_arena_new(len: usize, arena: *mut *mut wb_arena) -> *mut wb_error {
    guard(|| {
        // SAFETY: the caller's duty.
        let out = unsafe { Out::new(arena, "arena") }?;
        let arena = Arena::new(len as u64)?;
        let region = wb_region(arena.region().clone());
        out.give(wb_arena { arena, region });
        Ok(())
    })
}

/// The region that an arena's pieces are in, to grant it to apps. It is borrowed: it lives as long as the arena. NULL for NULL.
///
/// # Safety
/// `arena` is NULL or an arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_arena_region(arena: *const wb_arena) -> *const wb_region {
    // SAFETY: the caller's duty.
    unsafe { arena.as_ref() }.map_or(ptr::null(), |arena| &raw const arena.region)
}

/// Allocates `len` bytes in an arena, as `malloc` does it: NULL if there is no room. They begin at a multiple of 16.
///
/// # Safety
/// `arena` is NULL or an arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_alloc(arena: *const wb_arena, len: usize) -> *mut c_void {
    // SAFETY: the caller's duty.
    unsafe { wb_alloc_aligned(arena, 1, len) }
}

/// Allocates `len` bytes in an arena at a multiple of `align`, a power of two: NULL if there is no room, or `align` is no power of two. Whole
/// pages (both a multiple of 4,096) can be shown to an app on their own, by `wb_window_map` or a `[window]` parameter.
///
/// # Safety
/// `arena` is NULL or an arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_alloc_aligned(arena: *const wb_arena, align: usize, len: usize) -> *mut c_void {
    // SAFETY: the caller's duty.
    let arena = unsafe { arena.as_ref() };
    guard_or(ptr::null_mut(), || arena.map_or(ptr::null_mut(), |arena| arena.arena.allocate(len, align).cast()))
}

/// Makes a piece of an arena `len` bytes long, as `realloc` does it: at another place if need be. NULL if there is no room, or `piece` is none of this arena's;
/// then the piece is as it was. A `piece` that is NULL is a new one.
///
/// # Safety
/// `arena` is NULL or an arena; nobody writes to the piece meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_realloc(arena: *const wb_arena, piece: *mut c_void, len: usize) -> *mut c_void {
    // SAFETY: the caller's duty.
    let arena = unsafe { arena.as_ref() };
    guard_or(ptr::null_mut(), || {
        // SAFETY: as above.
        arena.map_or(ptr::null_mut(), |arena| unsafe { arena.arena.reallocate(piece.cast(), len) }.cast())
    })
}

/// The length of a piece of an arena, as it was asked for. 0 if it is none of this arena's.
///
/// # Safety
/// `arena` is NULL or an arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_alloc_len(arena: *const wb_arena, piece: *const c_void) -> usize {
    // SAFETY: the caller's duty.
    let arena = unsafe { arena.as_ref() };
    guard_or(0, || arena.and_then(|arena| arena.arena.len_of(piece.cast())).unwrap_or(0))
}

/// Gives a piece back to its arena. NULL is nothing to give back. False if `piece` is none of this arena's, or has been freed before: then nothing has happened.
///
/// # Safety
/// `arena` is NULL or an arena; nobody uses the piece any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_free(arena: *const wb_arena, piece: *mut c_void) -> bool {
    // SAFETY: the caller's duty.
    let arena = unsafe { arena.as_ref() };
    guard_or(false, || arena.map_or(piece.is_null(), |arena| arena.arena.free(piece.cast()).is_ok()))
}

/// Ends an arena. Apps that have its region keep it. NULL does nothing.
///
/// # Safety
/// `arena` is NULL or an arena, and neither it nor its pieces nor its region are used again by the host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wb_arena_delete(arena: *mut wb_arena) {
    // SAFETY: the caller's duty.
    unsafe { delete(arena) }
}
