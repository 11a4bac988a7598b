//! Calls that other threads have left for the app, made on its own thread.

use super::{Instance, InstanceData};
use crate::error::Error;
use crate::thread::{Inbox, Notify};
use std::sync::Arc;
use std::time::Duration;

impl Instance {
    /// Makes the calls of callbacks that other threads have left, by `[thread: wait]` and `[thread: queue]`, for this instance and those it is linked to: as
    /// many as there are now, in the order in which they were left. How many that were.
    ///
    /// If there is none, it waits for one: for so long at most, `None` for as long as it takes. It may be called from inside C functions that the app
    /// calls, too. A C `longjmp` out of it is not allowed; exceptions and panics of C functions that the app calls pass through.
    ///
    /// # Errors
    /// The error of a call that failed, if C that no app had called would have left it to [`Instance::take_error`]. Then calls
    /// may be left: poll again. [`ErrorKind::Busy`](crate::ErrorKind::Busy) on a thread that does not own the instance, or while an error waits to be taken;
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) if too little of the stack is left.
    pub fn poll(&self, timeout: Option<Duration>) -> Result<usize, Error> {
        // Whatever a call does to this `Instance`, the data stays.
        let data = self.data().clone();
        data.poll(timeout)
    }

    /// Has a function called whenever another thread has left a call, on that thread: to wake the thread that is to poll. `None` for none. When this
    /// returns, the former function is not running, and is not called any more; the same holds when the instance is dropped.
    ///
    /// The function should only pass the notice on: it must not call functions of the instance's, nor wait for its thread.
    pub fn set_notify(&self, notify: Option<Arc<dyn Fn() + Send + Sync>>) {
        let notify: Option<Notify> = notify;
        self.data().inbox().set_notify(notify);
    }

    /// How many calls are kept at most for `[thread: queue]`; 1024 if nothing is said. Further ones are refused.
    pub fn set_queue_limit(&self, calls: usize) {
        self.data().inbox().set_limit(calls);
    }
}

impl InstanceData {
    fn poll(&self, timeout: Option<Duration>) -> Result<usize, Error> {
        let here = 0u8;
        let group = self.group();
        group.check_entry(std::ptr::from_ref(&here) as usize)?;
        let members = group.lock().members.clone();
        let inboxes: Vec<Arc<Inbox>> = members.iter().map(|member| member.inbox().clone()).collect();
        if Inbox::count(&inboxes) == 0 && timeout != Some(Duration::ZERO) {
            Inbox::wait_for_call(&inboxes, timeout);
        }
        let mut made = 0;
        for _ in 0..Inbox::count(&inboxes) {
            let Some(call) = Inbox::take(&inboxes) else { break };
            // SAFETY: this thread may enter, and holds nothing that a callback could want.
            unsafe { call.make() };
            made += 1;
            let mut state = group.lock();
            if state.pending.is_some() {
                // Where the app has called C, that is where the error comes out.
                let error = if members.iter().any(|m| m.is_busy()) { None } else { state.take_pending() };
                drop(state);
                return error.map_or(Ok(made), |trap| Err(Error::from_trap(trap)));
            }
        }
        Ok(made)
    }

    /// The host's call has returned: makes the calls that somebody waits for, and those that were left before them. An error waits to be taken.
    pub(super) fn make_waited(&self) {
        if self.alone.get() && !self.inbox().is_waited_for() {
            return;
        }
        let group = self.group();
        let members = group.lock().members.clone();
        if members.iter().any(|member| member.is_busy()) {
            return;
        }
        let inboxes: Vec<Arc<Inbox>> = members.iter().map(|member| member.inbox().clone()).collect();
        // As many as there are now: who waits again waits for the next time.
        for _ in 0..Inbox::count(&inboxes) {
            if group.lock().pending.is_some() || !inboxes.iter().any(|inbox| inbox.is_waited_for()) {
                return;
            }
            let Some(call) = Inbox::take(&inboxes) else { return };
            // SAFETY: on the owner's thread, where nothing of the group's runs.
            unsafe { call.make() };
        }
    }

    /// Whether a call of the host's is running, or a C function that the app has called.
    fn is_busy(&self) -> bool {
        self.depth.get() > 0 || self.has_crossings()
    }
}
