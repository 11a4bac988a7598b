//! How a guest is stopped: what is recorded, what is put back, and who may enter afterwards.
//!
//! A trap that happens below a C function cannot unwind it: the trap is kept in the group (`pending`), everyone who would enter gets
//! the default answer, and it surfaces where control comes back: in the thunk, which traps, or in the host's call, which
//! returns it. (What a C function throws surfaces in the same way, and is caught there: see `exception/returned.rs`.) If C was called by nobody of ours, the host takes it ([`Instance::take_error`](super::Instance::take_error)).

use super::InstanceData;
use crate::callback::CallbackInfo;
use crate::crossing::replay::{Cells, replay};
use crate::error::Trap;
use crate::group::{Group, State};
use crate::os::thread_id;
use crate::trap::{Capture, backtrace};
use crate::window::Fault;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wasmbridge_artifact::TrapCode;
use wasmbridge_artifact::vmctx::CrossingFrame;

/// What the slow path of a callback's entry check finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// it enters after all
    Entered,
    /// it answers with its default value: this is not the owner's thread
    Refused,
    /// it does, unless it may run all the same: an error has not been taken
    Pending,
    /// so it does, and the app has an error now
    Failed,
}

impl InstanceData {
    /// The landing's work: wasm code of the group, entered through this instance, has trapped.
    pub(crate) fn trapped(&self, capture: &Capture) {
        let group = self.group();
        let mut state = group.lock();
        // Before windows close that the access may have been to.
        let detail = match capture.code {
            TrapCode::MemoryOutOfBounds if let Some(fault) = capture.fault => Some(self.describe(fault)),
            _ => state.members.iter().find_map(|m| m.refusal.take()),
        };
        for member in &state.members {
            member.drop_below(capture.frame_pointer, &state.members);
        }
        // Nobody has caught it.
        state.thrown_at = None;
        if state.pending.is_none() {
            let exception = match capture.code {
                TrapCode::UncaughtException => self.heap().take_uncaught().map(|e| Box::new(self.exception(e))),
                _ => None,
            };
            let detail = exception.as_ref().map(ToString::to_string).or(detail);
            let name = (!capture.record.is_null()).then(|| {
                // SAFETY: the record of the callback that trapped: it was stamped, and lives at least until its call returns.
                unsafe { crate::crossing::inbound::info(capture.record) }.name()
            });
            let frames = backtrace::of(&capture.pcs[..capture.depth], name, &state);
            state.pending = Some(Box::new(Trap { exception, ..Trap::new(capture.code, detail, frames) }));
        }
        // A host's own call takes the trap at once; until then, and in a callback until C comes back, nobody enters.
        state.block();
    }

    fn describe(&self, fault: Fault) -> String {
        let window = self.windows().map(|windows| windows.describe(fault)).unwrap_or_default();
        format!("guest address {:#x}, memory has {:#x} bytes{window}", fault.guest_addr, self.memory_len())
    }

    /// A builtin could not carry out an instruction, which is about to trap.
    pub(crate) fn refused_in_builtin(&self, why: String) {
        *self.refusal.borrow_mut() = Some(why);
    }

    /// A value for a callback was refused, before its function ran or after it.
    pub(crate) fn refused_at_boundary(&self, why: String, callback: Option<String>) {
        let group = self.group();
        let mut state = group.lock();
        if state.pending.is_none() {
            let frames = backtrace::of(&[], callback, &state);
            state.pending = Some(Box::new(Trap::new(TrapCode::Crossing, Some(why), frames)));
        }
        state.block();
    }

    /// A thunk refused a value, and is about to trap.
    pub(crate) fn refused_in_thunk(&self, why: String) {
        *self.refusal.borrow_mut() = Some(why);
    }

    /// The slow path of a callback's entry check.
    pub(crate) fn admit(&self, sp: usize, shows_windows: impl FnOnce() -> bool) -> Admission {
        // On another thread the stack pointer is not on the owner's stack: nothing of the owner's is touched before that is known.
        if self.call_windows.has_idle() && self.may_enter_idle(sp) {
            // What this callback is shown itself it finds open: the rest is closed when that is known.
            if !shows_windows() {
                self.close_idle_windows();
            }
            return Admission::Entered;
        }
        let group = self.group();
        let mut state = group.lock();
        if state.owner != thread_id() {
            return Admission::Refused;
        }
        if state.pending.is_some() && self.trapped.get() {
            return Admission::Pending;
        }
        if let Err(why) = group.check_stack(&mut state, sp) {
            let frames = backtrace::of(&[], None, &state);
            let trap = || Box::new(Trap::new(TrapCode::StackOverflow, Some(why), frames));
            state.pending.get_or_insert_with(trap);
            state.block();
            return Admission::Failed;
        }
        // What is left is a crossing whose thunk lies below the caller, which a `longjmp` has skipped, or a caller far below the innermost one.
        self.drop_below(sp, &state.members);
        self.follow(sp);
        Admission::Entered
    }

    /// Makes a call of a callback while an error waits to be taken, which waits on afterwards.
    ///
    /// # Safety
    /// The cells are those of a call of this callback that is running on this thread, the owner's.
    pub(crate) unsafe fn run_while_pending(&self, info: &CallbackInfo, cells: Cells) {
        /// The error waits on, also where an exception passes through; and if it is one that is thrown when C returns, it is so still.
        struct Pending(Arc<Group>, Option<usize>);
        impl Drop for Pending {
            fn drop(&mut self) {
                let mut state = self.0.lock();
                if state.pending.is_some() {
                    state.thrown_at = self.1;
                    state.block();
                }
            }
        }
        let group = self.group();
        let thrown_at = {
            let mut state = group.lock();
            state.members.iter().for_each(|member| member.unblock());
            state.thrown_at.take()
        };
        let _pending = Pending(group, thrown_at);
        // SAFETY: the caller's promise. The callback is called where C calls it.
        unsafe {
            if let Err(why) = replay(info, cells) {
                info.fail(why);
            }
        }
    }

    /// Forgets crossings and scopes of native frames below an address, and puts the guest's stack pointer back to where the innermost
    /// crossing that is left has it. Who may not enter still may not.
    ///
    /// A callback that has led to a crossing which is forgotten is over, too, though its frame may lie above the address: C, which is there now, is not between a crossing and the
    /// callback, nor can a callback call C without a crossing. So all scopes go up to the next crossing of the group's, whose `members` these are.
    pub(crate) fn drop_below(&self, native_addr: usize, members: &[Arc<InstanceData>]) {
        let is_below = |crossing: &CrossingFrame| crossing.frame <= native_addr;
        let ended = if self.crossings().next().is_some_and(|innermost| is_below(&innermost)) {
            let others = members.iter().flat_map(|member| member.crossings());
            let left = self.crossings().chain(others).filter(|crossing| !is_below(crossing));
            left.map(|crossing| crossing.frame - 1).min().unwrap_or(self.stack.get().high)
        } else {
            native_addr
        };
        self.close_scope(ended);
        self.close_idle_windows();
        let dropped = self.crossings().take_while(is_below).count();
        // SAFETY: as many are in the array below the outermost one, which is nobody's.
        let left = unsafe { self.innermost().add(dropped) };
        self.set_innermost(left);
        // SAFETY: the vmctx is live; none of the instance's code is running, but for code further up the stack that waits for C. The crossing is
        // in the array.
        unsafe { (*self.head()).stack_pointer = (*left).stack_pointer };
        self.end_calls();
    }

    /// A C function has returned to a thunk whose crossing, with this `frame`, is not the innermost one. Whether the thunk may go on;
    /// then its crossing is over.
    pub(crate) fn returned(&self, frame: usize) -> bool {
        if self.trapped.get() {
            return false;
        }
        let Some(own) = self.drop_skipped(frame) else { return false };
        // SAFETY: the thunk's own is not the outermost one.
        self.set_innermost(unsafe { own.add(1) });
        true
    }

    /// The same for a wasm function whose crossing frame stands, and goes on to stand.
    pub(crate) fn returned_covered(&self, frame: usize) -> bool {
        if self.trapped.get() {
            return false;
        }
        self.drop_skipped(frame).is_some()
    }

    /// Drops the crossings that a `longjmp` has skipped below the one with this `frame`, to which C has returned: it stays until then. `None` if it is not there, because a signal
    /// handler has had the app call C just when this call had filled the same crossing frame: its caller traps.
    fn drop_skipped(&self, frame: usize) -> Option<*mut CrossingFrame> {
        // Above them is the own one, whoever else has some.
        self.drop_below(frame - 1, &[]);
        let own = self.innermost();
        // SAFETY: the innermost crossing is in the array.
        if unsafe { (*own).frame } != frame {
            self.refused_in_thunk("a signal handler has called the app in the middle of its call of C".to_owned());
            return None;
        }
        Some(own)
    }

    /// Forgets the crossing frames of wasm functions that an exception of the app's has left, to a handler in a function with this stack pointer. C has no part
    /// in that: there is nothing else to end.
    pub(crate) fn forget_thrown(&self, stack_pointer: usize) {
        let left = self.crossings().take_while(|crossing| crossing.frame < stack_pointer).count();
        if left > 0 {
            // SAFETY: as many are in the array below the outermost one, which is nobody's.
            self.set_innermost(unsafe { self.innermost().add(left) });
        }
    }

    /// Whether a callback could enter if no window were open that nobody uses: the entry check, as it is then.
    fn may_enter_idle(&self, sp: usize) -> bool {
        // In this order, as in a callback's own code.
        let depth = self.ceiling().load(Ordering::Acquire).wrapping_sub(sp);
        let is_owners = depth < self.reach().load(Ordering::Acquire);
        is_owners && !self.trapped.get() && !self.has_crossings()
    }

    /// Moves the ceiling to where callbacks enter from about here by their entry check, if nothing of the app's is on the stack. `sp` is on the owner's.
    fn follow(&self, sp: usize) {
        let reach = self.reach().load(Ordering::Relaxed);
        let depth = self.ceiling().load(Ordering::Relaxed).wrapping_sub(sp);
        if reach > 0 && depth >= reach && !self.has_crossings() {
            let ceiling = self.stack.get().high.min(sp + reach / 2);
            self.ceiling().store(ceiling, Ordering::Release);
        }
    }

    /// Whoever enters takes the slow path: windows are open that nobody uses.
    pub(super) fn bar_entry(&self) {
        self.blocked_at.set(self.innermost());
        // SAFETY: as in `drop_below`.
        unsafe { (*self.head()).crossings = self.refusing() };
    }

    /// No window is open any more that nobody uses.
    pub(super) fn allow_entry(&self) {
        self.withdraw_window();
        if !self.trapped.get() {
            // SAFETY: as in `drop_below`.
            unsafe { (*self.head()).crossings = self.innermost() };
            self.blocked_at.set(std::ptr::null_mut());
        }
    }

    /// Nobody enters, and thunks that C returns to trap.
    fn block(&self) {
        self.withdraw_window();
        self.trapped.set(true);
        self.blocked_at.set(self.innermost());
        // SAFETY: as in `drop_below`.
        unsafe { (*self.head()).crossings = self.refusing() };
    }

    /// The trap has been taken.
    fn unblock(&self) {
        self.trapped.set(false);
        self.close_idle_windows();
        // SAFETY: as in `drop_below`.
        unsafe { (*self.head()).crossings = self.innermost() };
        self.blocked_at.set(std::ptr::null_mut());
    }
}

impl State {
    pub(crate) fn block(&self) {
        self.members.iter().for_each(|m| m.block());
    }

    /// The pending trap, which is no longer pending then.
    pub(crate) fn take_pending(&mut self) -> Option<Trap> {
        let trap = self.pending.take()?;
        self.thrown_at = None;
        self.members.iter().for_each(|m| m.unblock());
        Some(*trap)
    }

    /// The crossing frames of members, innermost first.
    pub(crate) fn waiting(&self) -> Vec<(&InstanceData, CrossingFrame)> {
        let members = self.members.iter().map(AsRef::as_ref);
        let of = |member: _| InstanceData::crossings(member).map(move |crossing| (member, crossing));
        let mut crossings: Vec<(&InstanceData, CrossingFrame)> = members.flat_map(of).collect();
        crossings.sort_by_key(|(_, crossing)| crossing.frame);
        crossings
    }
}
