//! Calls of callbacks that arrive on a thread which the app does not belong to.
//!
//! | file | does |
//! |---|---|
//! | `inbox.rs` | where calls are left, who waits for them, and who takes them |
//! | `copies.rs` | what a call is that outlives its caller |
//!
//! # How such a call goes
//! A callback's entry check fails on any thread but the owner's, because the stack pointer is not on the owner's stack. The slow path
//! ([`answer`] below) looks at nothing of the instance's: an instance may be deleted by its owner at any moment. It has the callback's record and
//! [`CallbackInfo`], which outlive the instance, and the [`Inbox`] that this holds.
//!
//! By its policy the call is refused, or it is *left* in the inbox: as it is, while its caller waits, or with copies of its arguments. The
//! instance never moves to another thread. Its owner takes the calls when it polls ([`Instance::poll`](crate::Instance::poll)), and makes each as
//! if C had called the callback on the owner's thread ([`replay`](crate::crossing::replay)): by the callback's own address, so that checks, scopes and policies are
//! those of every call. Calls that somebody waits for are also made when the host's outermost call of the app returns.
//!
//! # What can happen meanwhile
//! | while a call is left | its caller, if it waits | because |
//! |---|---|---|
//! | its callback is freed, or the instance deleted | gets the default | who ends a callback takes its calls out afterwards; who leaves a call looks at the callback again under the lock |
//! | the owner becomes another thread (`attach`) | waits on | the inbox stays |
//! | the owner's thread ends | gets the default | it looks now and then |
//! | its time is over | gets the default | the call is taken out |
//! | the app traps in the call | gets the default | the call returns to the owner as it would to C |
//! | an exception passes through the call | gets the default | what the owner holds of the call is dropped |
//! | the process forks | is not there in the child | the child's inboxes are empty |
//!
//! A caller that waits could be waited for itself. Such a circle of threads in callbacks is found before it closes, and the last call of it is refused. That
//! an owner waits for a caller in some other way, in `pthread_join` for instance, cannot be found out; a timeout ends it.

mod copies;
mod inbox;

pub(crate) use inbox::{Inbox, Notify, install_fork_handlers};

use crate::callback::{CallbackInfo, Refusal};
use crate::crossing::replay::Cells;
use copies::Copies;
use inbox::Call;
use std::sync::Arc;
use std::time::Duration;
use wasmbridge_trampolines::OnThread;

/// What has become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// it has been made: its result is in the cells
    Made,
    /// it is kept to be made later
    Kept,
}

/// Answers a call that has arrived on a thread that is not the owner's, by the callback's policy.
///
/// # Safety
/// The cells are those of a call of this callback that is running on this thread.
pub(crate) unsafe fn answer(info: &Arc<CallbackInfo>, cells: Cells) -> Result<Answered, Refusal> {
    match info.policies.thread() {
        OnThread::Refuse => Err(Refusal::OtherThread),
        OnThread::Wait { timeout_ms } => {
            let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
            info.known.shared.inbox.wait(Call { info: info.clone(), cells }, timeout)?;
            Ok(Answered::Made)
        }
        OnThread::Queue => {
            // SAFETY: the caller's promise; what C passes is what the prototype says.
            info.known.shared.inbox.keep(unsafe { Copies::of(info, cells) }?)?;
            Ok(Answered::Kept)
        }
    }
}
