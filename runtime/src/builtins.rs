//! The functions that compiled code, thunks and callbacks call. See the artifact crate for what each takes and gives.
//!
//! They run on the owner's thread, between two instructions of the guest, or, for callbacks, before it; only `callback_admit` on any thread. None unwinds: they are
//! `extern "C"`, a panic aborts. Only what `callback_admit` and `call_variadic` call may, and passes through.

use crate::callback::{self, Refusal};
use crate::crossing::copies::Operands;
use crate::crossing::replay::Cells;
use crate::crossing::variadic::call_variadic;
use crate::crossing::{Refused, inbound, outbound, value_name};
use crate::exception::returned::{covered_returned, thunk_returned};
use crate::exception::throw::throw;
use crate::gc::{self, NoArray, Object, Outside};
use crate::instance::{Admission, InstanceData};
use crate::linker::ThunkInfo;
use crate::memory::Bytes;
use crate::os::guarded::{self, Fault};
use crate::trap::policy;
use crate::wait;
use wasmbridge_artifact::Builtin;
use wasmbridge_artifact::builtins::admission;
use wasmbridge_artifact::gc::VmTag;
use wasmbridge_artifact::vmctx::{CallbackRecord, ThunkRecord, VmHead};

/// A word of the table. Functions of different types stand in it as addresses.
#[repr(transparent)]
pub(crate) struct Entry(*const u8);

// SAFETY: the address of a function.
unsafe impl Sync for Entry {}

/// The table that [`VmHead::builtins`] points to.
pub(crate) struct Table([Entry; Builtin::ALL.len()]);

impl Table {
    pub(crate) const fn as_ptr(&self) -> *const *const u8 {
        std::ptr::from_ref(&self.0).cast()
    }
}

macro_rules! table {
    ($($builtin:ident: $function:ident,)*) => {{
        // The names are matched against the list, so that the order cannot differ from it.
        let mut table = [const { Entry(std::ptr::null()) }; Builtin::ALL.len()];
        $(table[Builtin::$builtin as usize] = Entry($function as *const u8);)*
        Table(table)
    }};
}

pub(crate) static TABLE: Table = table! {
    MemoryGrow: memory_grow,
    MemoryCopy: memory_copy,
    MemoryFill: memory_fill,
    MemoryInit: memory_init,
    DataDrop: data_drop,
    TableGrow: table_grow,
    TableFill: table_fill,
    TableCopy: table_copy,
    TableInit: table_init,
    ElemDrop: elem_drop,
    MemoryWait32: memory_wait32,
    MemoryWait64: memory_wait64,
    MemoryNotify: memory_notify,
    ExceptionNew: exception_new,
    Throw: throw,
    StructNew: struct_new,
    ArrayNew: array_new,
    ArrayNewData: array_new_data,
    ArrayNewElem: array_new_elem,
    ArrayFill: array_fill,
    ArrayCopy: array_copy,
    ArrayInitData: array_init_data,
    ArrayInitElem: array_init_elem,
    IsSubtype: is_subtype,
    AnyConvertExtern: any_convert_extern,
    ExternConvertAny: extern_convert_any,
    CallbackAdmit: callback_admit,
    CallbackEnter: callback_enter,
    CallbackLeave: callback_leave,
    CallbackPointer: callback_pointer,
    CallbackResult: callback_result,
    CallbackExtent: callback_extent,
    CallbackLend: callback_lend,
    CallbackLentEnd: callback_lent_end,
    CallbackRange: callback_range,
    ThunkEnter: thunk_enter,
    ThunkLeave: thunk_leave,
    ThunkPointer: thunk_pointer,
    ThunkResult: thunk_result,
    ThunkFunction: thunk_function,
    ThunkRange: thunk_range,
    ThunkReturned: thunk_returned,
    CallVariadic: call_variadic,
    CallbackShown: callback_shown,
    CoveredReturned: covered_returned,
    ThunkFunctionsEnd: thunk_functions_end,
};

/// What a status says.
fn status(done: Option<()>) -> u32 {
    u32::from(done.is_none())
}

/// What a status says of an instruction on memory. The trap that follows says why.
fn memory_status(instance: &InstanceData, done: Result<(), Refused>) -> u32 {
    let failed = done.map_err(|why| instance.refused_in_builtin(why)).is_err();
    u32::from(failed)
}

/// The instance that calls.
///
/// # Safety
/// `vmctx` is that of a live instance, whose code is calling.
unsafe fn instance<'a>(vmctx: *mut VmHead) -> &'a InstanceData {
    // SAFETY: the caller's promise.
    unsafe { InstanceData::of(vmctx) }
}

// Compiled code calls these with its own vmctx and with indices that exist in its module: the compiler's side of the contract, and
// the reason why each `instance` below is sound.

unsafe extern "C" fn memory_grow(vmctx: *mut VmHead, memory: u32, delta: u64) -> u64 {
    // SAFETY: called by compiled code.
    unsafe { instance(vmctx) }.memory(memory).grow(delta).unwrap_or(u64::MAX)
}

unsafe extern "C" fn memory_copy(vmctx: *mut VmHead, to: u32, from: u32, dst: u64, src: u64, len: u64) -> u32 {
    // SAFETY: called by compiled code.
    let instance = unsafe { instance(vmctx) };
    let copy = || {
        let dst = instance.memory(to).bytes(dst, len, true)?;
        dst.copy_from(&instance.memory(from).bytes(src, len, false)?)
    };
    memory_status(instance, copy())
}

unsafe extern "C" fn memory_fill(vmctx: *mut VmHead, memory: u32, dst: u64, byte: u32, len: u64) -> u32 {
    // SAFETY: called by compiled code.
    let instance = unsafe { instance(vmctx) };
    memory_status(instance, instance.memory(memory).bytes(dst, len, true).and_then(|bytes| bytes.fill(byte as u8)))
}

unsafe extern "C" fn memory_init(vmctx: *mut VmHead, memory: u32, segment: u32, dst: u64, src: u64, len: u64) -> u32 {
    // SAFETY: called by compiled code.
    let instance = unsafe { instance(vmctx) };
    memory_status(instance, instance.memory_init(memory, segment, dst, src, len))
}

unsafe extern "C" fn data_drop(vmctx: *mut VmHead, segment: u32) {
    // SAFETY: called by compiled code.
    unsafe { instance(vmctx) }.data_drop(segment);
}

/// What a wait or notify says of an address that is out of bounds.
const OUT_OF_BOUNDS: i64 = -1;

/// The bytes that a wait or notify is about, and the key of its queue: where the host has them, if they are in a window, so that apps
/// that share them meet.
fn waiting_place(instance: &InstanceData, memory: u32, addr: u64, len: u64) -> Option<(Bytes, *const u8)> {
    let memory = instance.memory(memory);
    let place =
        memory.bytes(addr, len, false).and_then(|bytes| Ok((bytes, memory.native(addr, len, false)?.cast_const())));
    place.map_err(|why| instance.refused_in_builtin(why)).ok()
}

/// Waits at a place whose value is as expected; a value that has vanished is out of bounds.
fn wait(key: *const u8, load: impl FnOnce() -> Result<bool, Fault>, timeout_ns: i64) -> i64 {
    let mut vanished = false;
    let is_expected = || {
        load().unwrap_or_else(|Fault| {
            vanished = true;
            false
        })
    };
    let woken = wait::wait(key, is_expected, timeout_ns) as i64;
    if vanished { OUT_OF_BOUNDS } else { woken }
}

unsafe extern "C" fn memory_wait32(vmctx: *mut VmHead, memory: u32, addr: u64, expected: u32, timeout_ns: i64) -> i64 {
    // SAFETY: called by compiled code.
    let instance = unsafe { instance(vmctx) };
    let Some((bytes, key)) = waiting_place(instance, memory, addr, 4) else { return OUT_OF_BOUNDS };
    // SAFETY: in the guest's memory or a window; compiled code has checked the alignment.
    wait(key, || unsafe { guarded::load32(bytes.view()) }.map(|value| value == expected), timeout_ns)
}

unsafe extern "C" fn memory_wait64(vmctx: *mut VmHead, memory: u32, addr: u64, expected: u64, timeout_ns: i64) -> i64 {
    // SAFETY: called by compiled code.
    let instance = unsafe { instance(vmctx) };
    let Some((bytes, key)) = waiting_place(instance, memory, addr, 8) else { return OUT_OF_BOUNDS };
    // SAFETY: as in `memory_wait32`.
    wait(key, || unsafe { guarded::load64(bytes.view()) }.map(|value| value == expected), timeout_ns)
}

unsafe extern "C" fn memory_notify(vmctx: *mut VmHead, memory: u32, addr: u64, count: u32) -> i64 {
    // SAFETY: called by compiled code.
    let place = waiting_place(unsafe { instance(vmctx) }, memory, addr, 4);
    place.map_or(OUT_OF_BOUNDS, |(_, key)| i64::from(wait::notify(key, count)))
}

unsafe extern "C" fn table_grow(vmctx: *mut VmHead, table: u32, delta: u64, value: u64) -> u64 {
    // SAFETY: called by compiled code.
    unsafe { instance(vmctx) }.table(table).grow(delta, value).unwrap_or(u64::MAX)
}

unsafe extern "C" fn table_fill(vmctx: *mut VmHead, table: u32, to: u64, value: u64, len: u64) -> u32 {
    // SAFETY: called by compiled code.
    status(unsafe { instance(vmctx) }.table(table).fill(to, value, len))
}

unsafe extern "C" fn table_copy(vmctx: *mut VmHead, to: u32, from: u32, dst: u64, src: u64, len: u64) -> u32 {
    // SAFETY: called by compiled code.
    let instance = unsafe { instance(vmctx) };
    status(instance.table(to).copy(dst, instance.table(from), src, len))
}

unsafe extern "C" fn table_init(vmctx: *mut VmHead, table: u32, segment: u32, dst: u64, src: u64, len: u64) -> u32 {
    // SAFETY: called by compiled code.
    status(unsafe { instance(vmctx) }.table_init(table, segment, dst, src, len))
}

unsafe extern "C" fn elem_drop(vmctx: *mut VmHead, segment: u32) {
    // SAFETY: called by compiled code.
    unsafe { instance(vmctx) }.elem_drop(segment);
}

/// A new object as a reference; 0 if there is no room.
fn reference(object: Option<Object>) -> u64 {
    object.map_or(0, |object| object.as_ptr() as u64)
}

unsafe extern "C" fn exception_new(vmctx: *mut VmHead, tag: *const VmTag) -> u64 {
    // SAFETY: called by compiled code.
    reference(unsafe { instance(vmctx) }.exception_new(tag))
}

unsafe extern "C" fn struct_new(vmctx: *mut VmHead, ty: u32) -> u64 {
    // SAFETY: called by compiled code.
    reference(unsafe { instance(vmctx) }.struct_new(ty))
}

unsafe extern "C" fn array_new(vmctx: *mut VmHead, ty: u32, len: u32) -> u64 {
    // SAFETY: called by compiled code.
    reference(unsafe { instance(vmctx) }.array_new(ty, len))
}

/// A new array as a reference, or what there is instead.
fn array_or(array: Result<Object, NoArray>) -> u64 {
    match array {
        Ok(array) => array.as_ptr() as u64,
        Err(NoArray::NoRoom) => 0,
        Err(NoArray::Segment) => 1,
    }
}

unsafe extern "C" fn array_new_data(vmctx: *mut VmHead, ty: u32, segment: u32, from: u32, len: u32) -> u64 {
    // SAFETY: called by compiled code.
    array_or(unsafe { instance(vmctx) }.array_new_data(ty, segment, from, len))
}

unsafe extern "C" fn array_new_elem(vmctx: *mut VmHead, ty: u32, segment: u32, from: u32, len: u32) -> u64 {
    // SAFETY: called by compiled code.
    array_or(unsafe { instance(vmctx) }.array_new_elem(ty, segment, from, len))
}

unsafe extern "C" fn array_fill(_: *mut VmHead, array: u64, to: u32, value: *const u8, len: u32) -> u32 {
    // SAFETY: called by compiled code, with the address of a stack slot of 16 bytes.
    status(unsafe { gc::fill(gc::array(array), to, value, len) }.ok())
}

unsafe extern "C" fn array_copy(_: *mut VmHead, to_array: u64, to: u32, from_array: u64, from: u32, len: u32) -> u32 {
    status(gc::copy(gc::array(to_array), to, gc::array(from_array), from, len).ok())
}

/// What an instruction on an array and a segment says.
fn outside(done: Result<(), Outside>) -> u32 {
    match done {
        Ok(()) => 0,
        Err(Outside::Array) => 1,
        Err(Outside::Segment) => 2,
    }
}

unsafe extern "C" fn array_init_data(
    vmctx: *mut VmHead,
    array: u64,
    segment: u32,
    to: u32,
    from: u32,
    len: u32,
) -> u32 {
    // SAFETY: called by compiled code.
    outside(unsafe { instance(vmctx) }.array_init_data(gc::array(array), segment, to, from, len))
}

unsafe extern "C" fn array_init_elem(
    vmctx: *mut VmHead,
    array: u64,
    segment: u32,
    to: u32,
    from: u32,
    len: u32,
) -> u32 {
    // SAFETY: called by compiled code.
    outside(unsafe { instance(vmctx) }.array_init_elem(gc::array(array), segment, to, from, len))
}

unsafe extern "C" fn is_subtype(vmctx: *mut VmHead, sub: u32, sup: u32) -> u32 {
    // SAFETY: called by compiled code.
    unsafe { instance(vmctx) }.engine().types().is_subtype(sub, sup).into()
}

unsafe extern "C" fn any_convert_extern(vmctx: *mut VmHead, reference: u64) -> u64 {
    // SAFETY: called by compiled code.
    unsafe { instance(vmctx) }.internalise(reference).unwrap_or(0)
}

unsafe extern "C" fn extern_convert_any(vmctx: *mut VmHead, reference: u64) -> u64 {
    // SAFETY: called by compiled code.
    unsafe { instance(vmctx) }.externalise(reference)
}

// Shapes call these with the record that they were given.

/// What a callback's failed conversion answers, after it has been recorded.
unsafe fn refuse(record: *const CallbackRecord, why: String) {
    // SAFETY: the record of a callback that is being called, on its instance's thread: its entry check has passed.
    unsafe {
        instance((*record).owner).refused_at_boundary(why, Some(inbound::info(record).name()));
        callback::count_refused(&*record, Refusal::Failed);
        callback::returned(record);
        policy::failed(record, policy::From::Builtin);
    }
}

unsafe extern "C-unwind" fn callback_admit(
    record: *const CallbackRecord,
    sp: u64,
    arguments: *mut u64,
    result: *mut u64,
) -> u32 {
    let cells = Cells { arguments, result };
    // SAFETY: the record of a callback that is being called: it was stamped and not freed.
    let info = unsafe { inbound::info(record) };
    if !info.known.shared.inbox.is_own() {
        // SAFETY: see above; the shape gives its own cells.
        return unsafe { callback::answer_foreign(record, cells) };
    }
    // SAFETY: see above; on the owner's thread.
    if unsafe { callback::call_watched(record, cells) } {
        return admission::ANSWERED;
    }
    // SAFETY: see above. On this thread its instance is not deleted meanwhile; it may be gone.
    let instance = unsafe { (!(*(*record).vmctx).host.is_null()).then(|| instance((*record).vmctx)) };
    let admission = instance
        .map(|instance| (instance, instance.admit(sp as usize, || info.known.shared.signature.shows_windows())));
    let why = match admission {
        Some((_, Admission::Entered)) => return admission::ENTER,
        Some((instance, Admission::Pending)) if info.policies.runs_while_pending() => {
            // SAFETY: see above.
            unsafe { instance.run_while_pending(info, cells) };
            return admission::ANSWERED;
        }
        Some((_, Admission::Pending)) => Refusal::Pending,
        Some((_, Admission::Refused)) => Refusal::OtherThread,
        Some((_, Admission::Failed)) => Refusal::Failed,
        None => Refusal::Gone,
    };
    info.refusals.add(why);
    if why == Refusal::Failed {
        // SAFETY: see above; a callback fails on its instance's thread.
        unsafe { policy::failed(record, policy::From::Builtin) };
    }
    admission::REFUSE
}

unsafe extern "C" fn callback_enter(record: *const CallbackRecord, slots: *mut u64) -> u32 {
    // SAFETY: the shape has as many slots as parameters, at least one; the instance is live, since the entry check has passed.
    let entered = unsafe {
        let (instance, info) = (instance((*record).vmctx), inbound::info(record));
        instance.open_scope(slots as usize);
        let slots = std::slice::from_raw_parts_mut(slots, info.known.shared.signature.params.len());
        inbound::enter(instance, info, slots).inspect_err(|_| instance.close_scope(slots.as_ptr() as usize))
    };
    // SAFETY: see above.
    entered.map_err(|why| unsafe { refuse(record, why) }).is_ok().into()
}

unsafe extern "C" fn callback_lend(record: *const CallbackRecord, argument: u32, value: u64, cells: u64) -> u64 {
    // SAFETY: as in `callback_enter`.
    let (instance, info) = unsafe { (instance((*record).vmctx), inbound::info(record)) };
    let argument = argument as usize;
    let lent = match value {
        0 => Err("it is NULL, the prototype says [nonnull]".to_owned()),
        _ => instance.scopes.lend_to(cells as usize, value as usize, info.known.shared.handle_type(argument)),
    };
    lent.map(u64::from).unwrap_or_else(|why| {
        // Those of the arguments before it.
        instance.scopes.end_lent(cells as usize);
        // SAFETY: see above.
        unsafe { refuse(record, format!("{}: {why}", value_name(&info.known.named, Some(argument)))) };
        u64::MAX
    })
}

unsafe extern "C" fn callback_lent_end(vmctx: *mut VmHead, address: u64) {
    // SAFETY: as in `callback_shown`.
    let scopes = &unsafe { instance(vmctx) }.scopes;
    scopes.end_lent(address as usize);
    scopes.handles().renew_lent();
}

unsafe extern "C" fn callback_shown(vmctx: *mut VmHead, frame: u64) {
    // SAFETY: called by the callback of an instance that is live, since its code was running.
    unsafe { instance(vmctx) }.shown_returned(frame as usize);
}

unsafe extern "C" fn callback_leave(record: *const CallbackRecord, slots: *mut u64) -> u32 {
    // SAFETY: as in `callback_enter`. The owner, because the callback may have been ended while it ran.
    let left = unsafe {
        let (instance, info) = (instance((*record).owner), inbound::info(record));
        let left = inbound::leave(instance, info, slots);
        instance.close_scope(slots as usize);
        left
    };
    match left {
        Ok(()) => {
            // SAFETY: see above; on the owner's thread, since its code was running.
            unsafe { callback::returned(record) };
            1
        }
        Err(why) => {
            // SAFETY: see above.
            unsafe { refuse(record, why) };
            0
        }
    }
}

unsafe extern "C" fn callback_pointer(record: *const CallbackRecord, argument: u32, value: u64) -> u64 {
    // SAFETY: as in `callback_enter`.
    let (instance, info) = unsafe { (instance((*record).vmctx), inbound::info(record)) };
    let name = || value_name(&info.known.named, Some(argument as usize));
    let converted = match value {
        0 => Err(format!("{} is NULL, the prototype says [nonnull]", name())),
        _ => inbound::pointer_in(instance, value).map_err(|why| format!("{}: {why}", name())),
    };
    // SAFETY: see above.
    converted.unwrap_or_else(|why| unsafe {
        refuse(record, why);
        u64::MAX
    })
}

unsafe extern "C" fn callback_result(record: *const CallbackRecord, value: u64) -> u64 {
    // SAFETY: as in `callback_leave`.
    let (instance, info) = unsafe { (instance((*record).owner), inbound::info(record)) };
    let mut slot = value;
    match inbound::result(instance, info, &mut slot, Operands::NOTHING) {
        Ok(()) => slot,
        Err(why) => {
            // SAFETY: see above.
            unsafe { refuse(record, why) };
            u64::MAX
        }
    }
}

unsafe extern "C" fn callback_extent(record: *const CallbackRecord, cells: *const u64, value: u64) -> u64 {
    // SAFETY: as in `callback_leave`; the cells hold the wasm arguments.
    unsafe {
        let (instance, info) = (instance((*record).owner), inbound::info(record));
        inbound::extent_result(instance, info, cells, value).unwrap_or_else(|why| {
            refuse(record, why);
            u64::MAX
        })
    }
}

unsafe extern "C" fn callback_range(record: *const CallbackRecord, argument: u32, value: u64) {
    // SAFETY: as in `callback_enter`.
    let info = unsafe { inbound::info(record) };
    let index = argument as usize;
    let why = inbound::range_error_of(&info.known.shared.signature.params[index].crossing, value);
    let why = format!("{}: {why}", value_name(&info.known.named, Some(index)));
    // SAFETY: see above.
    unsafe { refuse(record, why) };
}

/// What a thunk's record stands for.
///
/// # Safety
/// `record` is that of an import of a live instance, whose code is calling.
unsafe fn thunk<'a>(record: *const ThunkRecord) -> (&'a InstanceData, &'a ThunkInfo) {
    // SAFETY: the caller's promise; `info` is boxed in the importing instance.
    unsafe { (instance((*record).vmctx), &*(*record).info.cast::<ThunkInfo>()) }
}

/// Records why a thunk is about to trap.
fn refuse_thunk(instance: &InstanceData, why: String) {
    instance.refused_in_thunk(why);
}

unsafe extern "C" fn thunk_enter(record: *const ThunkRecord, slots: *mut u64) -> u32 {
    // SAFETY: called by a thunk, whose slots are as many as its parameters.
    let (instance, info, slots) = unsafe {
        let (instance, info) = thunk(record);
        (instance, info, std::slice::from_raw_parts_mut(slots, info.signature.params.len()))
    };
    outbound::enter(instance, info, slots).map_err(|why| refuse_thunk(instance, why)).is_ok().into()
}

unsafe extern "C" fn thunk_leave(record: *const ThunkRecord, slots: *mut u64) -> u32 {
    // SAFETY: called by a thunk, which has at least one slot; the C function keeps the prototype's promises.
    let (instance, left) = unsafe {
        let (instance, info) = thunk(record);
        (instance, outbound::leave(instance, info, &mut *slots))
    };
    instance.end_calls();
    left.map_err(|why| refuse_thunk(instance, why)).is_ok().into()
}

unsafe extern "C" fn thunk_pointer(record: *const ThunkRecord, argument: u32, value: u64) -> u64 {
    // SAFETY: called by a thunk.
    let (instance, info) = unsafe { thunk(record) };
    let param = &info.signature.params[argument as usize];
    let converted = match value {
        0 => Err("it is NULL, the prototype says [nonnull]".to_owned()),
        _ => outbound::pointer_like(instance, &param.crossing, value, param.is_const),
    };
    converted.unwrap_or_else(|why| {
        refuse_thunk(instance, format!("{}: {why}", value_name(&info.signature, Some(argument as usize))));
        u64::MAX
    })
}

unsafe extern "C" fn thunk_result(record: *const ThunkRecord, value: u64) -> u64 {
    let mut slot = value;
    // SAFETY: as in `thunk_leave`.
    let (instance, left) = unsafe {
        let (instance, info) = thunk(record);
        (instance, outbound::result(instance, info, &mut slot, Operands::NOTHING))
    };
    match left {
        Ok(()) => slot,
        Err(why) => {
            refuse_thunk(instance, why);
            u64::MAX
        }
    }
}

unsafe extern "C" fn thunk_function(record: *const ThunkRecord, argument: u32, index: u32) -> u64 {
    // SAFETY: called by a thunk.
    let (instance, info) = unsafe { thunk(record) };
    instance.function_pointer(info, argument as usize, index).unwrap_or_else(|why| {
        refuse_thunk(instance, why);
        u64::MAX
    })
}

unsafe extern "C" fn thunk_functions_end(vmctx: *mut VmHead) {
    // SAFETY: called by a thunk.
    unsafe { instance(vmctx) }.end_calls();
}

unsafe extern "C" fn thunk_range(record: *const ThunkRecord, value: u64) {
    // SAFETY: called by a thunk.
    let (instance, info) = unsafe { thunk(record) };
    let why = info.signature.result.as_ref().map(|r| inbound::range_error_of(&r.crossing, value)).unwrap_or_default();
    refuse_thunk(instance, format!("{}: {why}", value_name(&info.signature, None)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_is_there() {
        for (entry, builtin) in TABLE.0.iter().zip(Builtin::ALL) {
            assert!(!entry.0.is_null(), "{} is missing", builtin.name());
        }
    }
}
