//! Callbacks: native function pointers of wasm functions.

mod holds;
mod policy;
mod refusal;
mod shared;

pub(crate) use self::holds::Holds;
use self::policy::Policies;
pub use self::refusal::Refusal;
use self::refusal::Refusals;
pub(crate) use self::shared::Shared;
use crate::code::registry::{Place, Reader};
use crate::code::stamped::Slot;
use crate::crossing::replay::{Cells, replay};
use crate::error::{Error, ErrorKind};
use crate::instance::{InstanceData, Known};
use crate::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use wasmbridge_artifact::builtins::admission;
use wasmbridge_artifact::vmctx::{CallbackRecord, CrossingFrame, ShownWindow, VmFuncRef, VmHead};
use wasmbridge_trampolines::shape::result_cells;
use wasmbridge_trampolines::{Crossing, OnThread, OnTrap, Policy, Scalar, Signature, WhilePending};

/// A C function pointer of an unknown type: cast it to what the prototype says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NativeFn(pub *const u8);

/// What a callback answers when it cannot run: because the guest has trapped, the instance is gone, or the call came on
/// another thread.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Answer {
    /// 0, 0.0, or NULL
    #[default]
    Zero,
    /// an integer, for a result that is one
    Int(i64),
    /// a float, for a result that is `float` or `double`
    Float(f64),
}

/// Settings of a callback.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CallbackOptions {
    /// what it answers when it cannot run
    pub default: Answer,
    /// what it does when the app's function traps, or a value does not cross
    pub trap: OnTrap,
    /// what it does on a thread that its app does not belong to
    pub thread: OnThread,
    /// what it does while an error of its app waits to be taken
    pub pending: WhilePending,
}

/// The name of a callback that messages use.
#[derive(Debug)]
pub(crate) enum Name {
    /// the prototype's
    OfPrototype,
    /// another one that the host has for it
    Given(Box<str>),
    /// that of the function, which its module knows
    OfFunction,
}

/// What the runtime keeps of a callback, behind its record.
#[derive(Debug)]
pub(crate) struct CallbackInfo {
    pub(crate) known: Arc<Known>,
    name: Name,
    slot: Slot,
    funcref: *const VmFuncRef,
    /// null when the instance is gone or the callback was freed
    instance: AtomicPtr<InstanceData>,
    /// who keeps it from ending
    holds: Holds,
    pub(crate) policies: Policies,
    /// it opens a scope even if no value of its needs one: on which of its pages it is
    opens_scope: bool,
    /// its shape calls `callback_leave`, so that the end of a call is seen
    scoped: bool,
    /// freed: the slot waits for its next use
    released: AtomicBool,
    /// calls that were answered with the default value without running the guest to its end
    pub(crate) refusals: Refusals,
}

// SAFETY: `holds` is for the owner's thread only (`holds()`), the function reference is only compared elsewhere, and what other threads read is atomic.
unsafe impl Send for CallbackInfo {}
// SAFETY: see above.
unsafe impl Sync for CallbackInfo {}

impl CallbackInfo {
    /// The callback's address.
    pub(crate) fn entry(&self) -> *const u8 {
        self.slot.entry
    }

    /// The name that messages use. On the owner's thread.
    pub(crate) fn name(&self) -> String {
        match &self.name {
            Name::OfPrototype => self.known.named.name.clone().unwrap_or_default(),
            Name::Given(name) => name.to_string(),
            Name::OfFunction => self.live_instance().map_or_else(
                || "a function of an app that is gone".to_owned(),
                // SAFETY: a function reference of the instance's group, which is alive.
                |instance| instance.function_name(unsafe { *self.funcref }),
            ),
        }
    }

    /// The instance, unless it is gone or the callback was freed. On the owner's thread.
    fn live_instance(&self) -> Option<&InstanceData> {
        // SAFETY: null, or the instance, which this thread would delete.
        unsafe { self.instance.load(Ordering::Acquire).as_ref() }
    }

    /// Whether it was freed, or its instance is gone. Ordered with the count of an inbox's calls (`Inbox::cancel_ended`).
    pub(crate) fn has_ended(&self) -> bool {
        self.instance.load(Ordering::SeqCst).is_null()
    }

    /// What it answers by default. Other threads may read either word while its owner changes it.
    fn default(&self) -> DefaultBits {
        // SAFETY: the callback's own record, whose words are aligned.
        unsafe {
            let word = |word| AtomicU64::from_ptr(word).load(Ordering::Relaxed);
            let record = self.slot.record;
            DefaultBits { int: word(&raw mut (*record).default_int), float: word(&raw mut (*record).default_float) }
        }
    }

    /// Leaves the default value where a call's result goes.
    ///
    /// # Safety
    /// The cells are those of a call of this callback: nobody else uses them.
    pub(crate) unsafe fn write_default(&self, cells: Cells) {
        // SAFETY: the caller's promise.
        unsafe { self.default().write(&self.known.shared.signature, cells) };
    }

    /// A call of it failed before C could have noticed. On the owner's thread.
    pub(crate) fn fail(&self, why: String) {
        self.refusals.add(Refusal::Failed);
        if let Some(instance) = self.live_instance() {
            instance.refused_at_boundary(why, Some(self.name()));
        }
    }
}

/// A default value, as it lies in the integer and the float result register. Of a result that is a struct, all bytes are zero.
#[derive(Debug, Clone, Copy)]
struct DefaultBits {
    int: u64,
    float: u64,
}

impl DefaultBits {
    /// Leaves it where a call's result goes.
    ///
    /// # Safety
    /// The cells are those of a call of a callback of this signature: nobody else uses them.
    unsafe fn write(self, signature: &Signature, cells: Cells) {
        let Some(result) = &signature.result else { return };
        let value = match &result.crossing {
            Crossing::Struct(record) => {
                // SAFETY: the caller's promise: the cell has the address of room for the struct.
                unsafe {
                    let room = cells.result.add(result_cells::NATIVE).read() as *mut u8;
                    room.write_bytes(0, record.native.size as usize);
                }
                return;
            }
            Crossing::Scalar(Scalar::Float | Scalar::Double) => self.float,
            _ => self.int,
        };
        // SAFETY: the caller's promise: there is a cell for the result.
        unsafe { cells.result.write(value) };
    }
}

/// Answers a call of a callback on a thread that its app does not belong to: an [`admission`].
///
/// # Safety
/// `record` is that of a callback that is being called, and the cells are those of the call.
pub(crate) unsafe fn answer_foreign(record: *const CallbackRecord, cells: Cells) -> u32 {
    // SAFETY: the caller's promise. Its owner changes the word, and either value is good.
    let (info, vmctx) = unsafe {
        let vmctx = AtomicPtr::from_ptr(&raw mut (*record.cast_mut()).vmctx).load(Ordering::Acquire);
        (crate::crossing::inbound::info(record), vmctx)
    };
    let why = match info.policies.thread() {
        _ if std::ptr::eq(vmctx, &DEAD.0) => Refusal::Gone,
        OnThread::Refuse => Refusal::OtherThread,
        _ => {
            // The owner may free the callback while its caller waits.
            // SAFETY: `info` is from `Arc::into_raw`, and the record's.
            let info = unsafe {
                Arc::increment_strong_count(info);
                Arc::from_raw(info)
            };
            let default = info.default();
            // SAFETY: the caller's promise.
            let answer = unsafe { thread::answer(&info, cells) };
            if let Err(why) = answer {
                info.refusals.add(why);
            }
            if answer != Ok(thread::Answered::Made) {
                // SAFETY: the caller's promise; nobody has the cells any more.
                unsafe { default.write(&info.known.shared.signature, cells) };
            }
            return admission::ANSWERED;
        }
    };
    info.refusals.add(why);
    admission::REFUSE
}

/// A head that refuses every entry: records of callbacks that nobody may call, or not so, point to it.
struct DeadHead(VmHead);

/// What the entry check reads of such an instance.
struct ReadOnly<T>(T);

// SAFETY: never written to, and no entry passes the check: what it points to is read as far as the check goes, which is constant, too.
unsafe impl Sync for DeadHead {}
// SAFETY: never written to; its pointers are null, and nothing follows them.
unsafe impl<T> Sync for ReadOnly<T> {}

static NOBODY: ReadOnly<CrossingFrame> =
    ReadOnly(CrossingFrame { frame: 0, stack_pointer: 0, record: std::ptr::null() });
static NO_WINDOW: ReadOnly<ShownWindow> = ReadOnly(ShownWindow::NONE);

static DEAD: DeadHead = DeadHead::new();
/// The one of callbacks whose next call is [watched](call_watched).
static WATCHED: DeadHead = DeadHead::new();

impl DeadHead {
    const fn new() -> DeadHead {
        DeadHead(VmHead {
            host: std::ptr::null_mut(),
            stack_limit: usize::MAX,
            reach: 0,
            crossings: (&raw const NOBODY.0).cast_mut(),
            memory0_base: std::ptr::null_mut(),
            memory0: std::ptr::null(),
            builtins: crate::builtins::TABLE.as_ptr(),
            capture: std::ptr::null_mut(),
            stack_pointer: 0,
            refusing: CrossingFrame { frame: 0, stack_pointer: 0, record: std::ptr::null() },
            shown: (&raw const NO_WINDOW.0).cast_mut(),
            handles: std::ptr::null(),
        })
    }
}

/// Stamps a callback: a function of `instance` as a C function. Nobody holds it yet. `opens_scope` says that it opens a scope even if no value of its needs one,
/// which also has the end of each call seen.
pub(crate) fn stamp(
    instance: &InstanceData,
    funcref: *const VmFuncRef,
    known: &Arc<Known>,
    name: Name,
    options: &CallbackOptions,
    opens_scope: bool,
) -> Result<Slot, Error> {
    let shared = &known.shared;
    let signature = &shared.signature;
    let (default_int, default_float) = check(options, signature)?;
    let (slot, has_fast_entry) = {
        let mut pages = shared.pages(instance.engine(), opens_scope)?.lock().unwrap_or_else(|e| e.into_inner());
        (pages.take()?, pages.has_fast_entry())
    };
    let info = CallbackInfo {
        known: known.clone(),
        name,
        slot,
        funcref,
        opens_scope,
        scoped: opens_scope || (shared.needs_slots && !has_fast_entry),
        holds: Holds::default(),
        policies: Policies::new(options),
        instance: AtomicPtr::new(std::ptr::from_ref(instance).cast_mut()),
        released: AtomicBool::new(false),
        refusals: Refusals::default(),
    };
    // SAFETY: the slot has just been taken, so its record is zero or that of a callback that was freed; a call of that one which
    // were still running would be the host's breach of `release`'s contract.
    let former = unsafe {
        let former = (*slot.record).info.cast_const().cast::<CallbackInfo>();
        (!former.is_null()).then(|| Arc::from_raw(former))
    };
    // In the same memory, unless a call that was left for another thread still looks at it.
    let info = match former {
        Some(mut former) => match Arc::get_mut(&mut former) {
            Some(place) => {
                *place = info;
                former
            }
            None => Arc::new(info),
        },
        None => Arc::new(info),
    };
    // SAFETY: a function reference of a live instance.
    let function = unsafe { *funcref };
    let record = CallbackRecord {
        vmctx: instance.vmctx(),
        code: function.code,
        callee_vmctx: function.vmctx,
        memory_base: instance.memory_base(),
        default_int,
        default_float,
        info: Arc::into_raw(info).cast_mut().cast(),
        owner: instance.vmctx(),
    };
    // SAFETY: the slot has just been taken: nobody else has its record, and no code that reads it has been given out.
    unsafe { slot.record.write(record) };
    Ok(slot)
}

/// Checks options for a callback of a signature: its default value, as it lies in the integer and the float result register.
fn check(options: &CallbackOptions, signature: &Signature) -> Result<(u64, u64), Error> {
    if options.thread == OnThread::Queue {
        let error = |why| Error::new(ErrorKind::Prototype, format!("its calls cannot be queued: {why}: `{signature}`"));
        signature.can_be_queued().map_err(error)?;
    }
    default_bits(signature, options.default)
}

/// Has options hold from now on for a callback that there is already. Those that are not said, because they are what an option is by
/// default, stay as they are.
///
/// # Errors
/// As for [`stamp`]; then nothing has changed.
///
/// # Safety
/// As for [`holds()`].
pub(crate) unsafe fn set_options(record: *mut CallbackRecord, options: &CallbackOptions) -> Result<(), Error> {
    let nothing = CallbackOptions::default();
    if *options == nothing {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    let info = unsafe { crate::crossing::inbound::info(record) };
    let bits = check(options, &info.known.shared.signature)?;
    let CallbackOptions { default, trap, thread, pending } = *options;
    info.policies.say(&Policy {
        trap: (trap != nothing.trap).then_some(trap),
        thread: (thread != nothing.thread).then_some(thread),
        pending: (pending != nothing.pending).then_some(pending),
        default: None,
    });
    if default != nothing.default {
        // SAFETY: the caller's promise.
        unsafe { set_default(record, bits) };
    }
    Ok(())
}

/// Changes what a callback answers by default.
///
/// # Safety
/// As for [`holds()`].
unsafe fn set_default(record: *mut CallbackRecord, (int, float): (u64, u64)) {
    // SAFETY: the caller's promise. Other threads may read either word while it changes.
    unsafe {
        AtomicU64::from_ptr(&raw mut (*record).default_int).store(int, Ordering::Relaxed);
        AtomicU64::from_ptr(&raw mut (*record).default_float).store(float, Ordering::Relaxed);
    }
}

/// Redirects a callback: it refuses from now on, and holds nothing of its instance but what a call that is running needs. The calls that other threads have left
/// for it are still in its inbox.
///
/// # Safety
/// `record` is one that [`stamp`] wrote, and has not been freed.
pub(crate) unsafe fn kill(record: *mut CallbackRecord) {
    // SAFETY: the caller's promise.
    unsafe {
        redirect(record, &DEAD);
        crate::crossing::inbound::info(record).instance.store(std::ptr::null_mut(), Ordering::SeqCst);
    }
}

/// Who holds a callback.
///
/// # Safety
/// `record` is one that [`stamp`] wrote, and has not been freed. On the owner's thread.
pub(crate) unsafe fn holds<'a>(record: *const CallbackRecord) -> &'a Holds {
    // SAFETY: the caller's promise.
    unsafe { &crate::crossing::inbound::info(record).holds }
}

/// What a prototype says of a callback that is passed by it holds from now on.
///
/// # Safety
/// As for [`holds()`].
pub(crate) unsafe fn say(record: *mut CallbackRecord, policy: &Policy) {
    if policy.is_silent() {
        return;
    }
    // SAFETY: the caller's promise.
    let info = unsafe { crate::crossing::inbound::info(record) };
    info.policies.say(policy);
    if let Some(value) = policy.default {
        let answer = match info.known.shared.signature.result_number() {
            Some(Scalar::Float | Scalar::Double) => Answer::Float(value as f64),
            _ => Answer::Int(value),
        };
        // A prototype says it of functions that have a default only.
        if let Ok(bits) = default_bits(&info.known.shared.signature, answer) {
            // SAFETY: the caller's promise.
            unsafe { set_default(record, bits) };
        }
    }
}

/// Has a callback answer with its default value from now on, if nobody holds it any more.
///
/// # Safety
/// As for [`holds()`].
pub(crate) unsafe fn end_unless_held(record: *mut CallbackRecord) {
    // SAFETY: the caller's promise.
    unsafe {
        if !holds(record).any() {
            redirect(record, &DEAD);
        }
    }
}

/// Has a callback refuse every entry, for as what the head stands.
///
/// # Safety
/// As for [`holds()`].
unsafe fn redirect(record: *mut CallbackRecord, head: &'static DeadHead) {
    // SAFETY: the caller's promise. Callbacks on other threads read `vmctx` while it changes: one aligned word, either
    // value of which is good, because the check on the old head refuses other threads.
    unsafe {
        AtomicPtr::from_ptr(&raw mut (*record).vmctx).store(std::ptr::from_ref(&head.0).cast_mut(), Ordering::Release)
    };
}

/// Undoes [`end_unless_held`], for a callback that is about to be held.
///
/// # Safety
/// As for [`holds()`]; the instance is not being dropped.
pub(crate) unsafe fn revive(record: *mut CallbackRecord) {
    // SAFETY: the caller's promise.
    unsafe {
        admit_owner(record);
        watch(record, crate::crossing::inbound::info(record));
    }
}

/// Has a callback's entry check look at its own instance.
///
/// # Safety
/// As for [`revive`].
unsafe fn admit_owner(record: *mut CallbackRecord) {
    // SAFETY: the caller's promise; see `redirect` for the store.
    unsafe { AtomicPtr::from_ptr(&raw mut (*record).vmctx).store((*record).owner, Ordering::Release) };
}

/// Holds a callback until it has been called once more. One whose shape does not tell when it has returned is called by [`call_watched`] then.
///
/// # Safety
/// As for [`revive`].
pub(crate) unsafe fn hold_once(record: *mut CallbackRecord) {
    // SAFETY: the caller's promise.
    unsafe {
        let info = crate::crossing::inbound::info(record);
        info.holds.add_once();
        watch(record, info);
    }
}

/// Has calls of a callback watched, if one of them is to be its last and its shape does not tell.
///
/// # Safety
/// As for [`revive`].
unsafe fn watch(record: *mut CallbackRecord, info: &CallbackInfo) {
    if !info.scoped && !info.holds.is_forever() && info.holds.is_once() {
        // SAFETY: the caller's promise.
        unsafe { redirect(record, &WATCHED) };
    }
}

/// Makes a call that is watched, and sees its end; whether it is one.
///
/// # Safety
/// The cells are those of a call of this callback that is running on this thread, the owner's.
pub(crate) unsafe fn call_watched(record: *const CallbackRecord, cells: Cells) -> bool {
    /// It is over, also where an exception passes through.
    struct Over(*mut CallbackRecord);
    impl Drop for Over {
        fn drop(&mut self) {
            // SAFETY: the record of a callback that has been called: it stays until its slot is used again. One that was freed meanwhile is
            // nobody's to call again.
            unsafe {
                let info = crate::crossing::inbound::info(self.0);
                if info.has_ended() {
                    return;
                }
                info.holds.end_once();
                end_unless_held(self.0);
                watch(self.0, info);
            }
        }
    }
    let record = record.cast_mut();
    // SAFETY: the caller's promise.
    unsafe {
        if !std::ptr::eq((*record).vmctx, &WATCHED.0) {
            return false;
        }
        let info = crate::crossing::inbound::info(record);
        admit_owner(record);
        let _over = Over(record);
        if let Err(why) = replay(info, cells) {
            info.fail(why);
        }
    }
    true
}

/// A call of a callback is over, however it ended.
///
/// # Safety
/// As for [`holds()`].
pub(crate) unsafe fn returned(record: *const CallbackRecord) {
    // SAFETY: the caller's promise. A callback that was freed while it ran is not held, and stays ended.
    unsafe {
        let info = crate::crossing::inbound::info(record);
        if !info.holds.is_forever() && info.scoped {
            info.holds.end_once();
            end_unless_held(record.cast_mut());
        }
    }
}

/// The record of a callback, by its address; `None` if it is not the address of a callback that is alive.
fn find(function: NativeFn) -> Option<*mut CallbackRecord> {
    let address = function.0 as usize;
    let reader = Reader::new();
    let located = reader.locate(address)?;
    match located.place {
        Place::Callback { record } if located.start == address => {
            // SAFETY: a record inside a group of slots: all zero if it was never stamped, otherwise with its `info`.
            let released = unsafe {
                (*record).info.is_null() || crate::crossing::inbound::info(record).released.load(Ordering::Acquire)
            };
            (!released).then_some(record.cast_mut())
        }
        _ => None,
    }
}

/// The function of a callback of this instance and this interned signature, if the address is that of one.
pub(crate) fn function_of(
    instance: &InstanceData,
    function: NativeFn,
    signature: &Arc<Signature>,
) -> Option<*const VmFuncRef> {
    let record = find(function)?;
    // SAFETY: found among the records that are stamped.
    let info = unsafe { crate::crossing::inbound::info(record) };
    let same = std::ptr::eq(info.instance.load(Ordering::Acquire), instance)
        && Arc::ptr_eq(&info.known.shared.signature, signature);
    same.then_some(info.funcref)
}

/// How often a callback answered with its default value.
pub(crate) fn refused(function: NativeFn) -> Result<u64, Error> {
    let record = find(function).ok_or_else(|| unknown(function))?;
    // SAFETY: found among the records that are stamped.
    Ok(unsafe { crate::crossing::inbound::info(record) }.refusals.count())
}

/// Why a callback answered with its default value last.
pub(crate) fn last_refusal(function: NativeFn) -> Result<Option<Refusal>, Error> {
    let record = find(function).ok_or_else(|| unknown(function))?;
    // SAFETY: found among the records that are stamped.
    Ok(unsafe { crate::crossing::inbound::info(record) }.refusals.last())
}

/// Ends a callback and frees its address.
pub(crate) fn release(function: NativeFn) -> Result<(), Error> {
    let record = find(function).ok_or_else(|| unknown(function))?;
    // SAFETY: found among the records that are stamped; an instance that is alive is told, so that it does not hand the
    // address out again.
    unsafe {
        let info = crate::crossing::inbound::info(record);
        if let Some(instance) = info.instance.load(Ordering::Acquire).as_ref() {
            instance.forget_callback(info.funcref, &info.known.shared.signature);
        }
        kill(record);
        info.known.shared.inbox.cancel_ended();
        // A call that is still running needs the record and its `info` to the end: they stay until the slot is used again.
        info.released.store(true, Ordering::Release);
        info.known.shared.made_on(info.opens_scope).lock().unwrap_or_else(|e| e.into_inner()).give_back(info.slot);
    }
    Ok(())
}

fn unknown(function: NativeFn) -> Error {
    Error::new(ErrorKind::NotFound, format!("{:p} is not the address of a callback", function.0))
}

/// Counts a call that got the default value.
pub(crate) fn count_refused(record: &CallbackRecord, why: Refusal) {
    // SAFETY: a record that is being called was stamped and not freed.
    unsafe { crate::crossing::inbound::info(record) }.refusals.add(why);
}

/// The default value as it lies in the integer and the float result register.
fn default_bits(signature: &Signature, answer: Answer) -> Result<(u64, u64), Error> {
    if answer == Answer::Zero {
        return Ok((0, 0));
    }
    let wrong = |given: &str| {
        let result = signature.result.as_ref().map_or("void".to_owned(), |r| r.wasm_type().to_string());
        let message = format!("the default value is {given}, the callback's result is {result}: `{signature}`");
        Err(Error::new(ErrorKind::InvalidArgument, message))
    };
    let scalar = match signature.result.as_ref().map(|r| &r.crossing) {
        None => None,
        Some(Crossing::Struct(_)) if answer != Answer::Zero => return wrong("a number, and a struct can only be zero"),
        Some(Crossing::Scalar(scalar)) => Some(*scalar),
        Some(_) => Some(Scalar::ULONG),
    };
    match (answer, scalar) {
        (Answer::Zero, _) => Ok((0, 0)),
        (Answer::Int(_) | Answer::Float(_), None) => wrong("given"),
        (Answer::Float(value), Some(Scalar::Double)) => Ok((0, value.to_bits())),
        (Answer::Float(value), Some(Scalar::Float)) => Ok((0, u64::from((value as f32).to_bits()))),
        (Answer::Float(_), Some(_)) => wrong("a float"),
        (Answer::Int(_), Some(Scalar::Float | Scalar::Double)) => wrong("an integer"),
        (Answer::Int(value), Some(Scalar::Bool)) => Ok((u64::from(value != 0), 0)),
        (Answer::Int(value), Some(_)) => Ok((value as u64, 0)),
    }
}
