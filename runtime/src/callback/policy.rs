//! What a callback does where it cannot simply run: as the prototypes that it was passed by say, and its options.

use super::CallbackOptions;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use wasmbridge_trampolines::{OnThread, OnTrap, Policy, WhilePending};

/// The policies of one callback. Other threads read them while the owner's changes them; each is one word, of which any state will do.
#[derive(Debug)]
pub(crate) struct Policies {
    trap: AtomicU8,
    run_while_pending: AtomicBool,
    thread: AtomicU64,
}

const RETURN: u8 = 0;
const ABORT: u8 = 1;
const UNWIND: u8 = 2;

const REFUSE: u64 = 0;
const QUEUE: u64 = 1;
const WAIT: u64 = 2;
/// A wait with a limit, which is above this many bits.
const WAIT_MS: u64 = 3;
const MS_SHIFT: u32 = 8;

impl Policies {
    pub(super) fn new(options: &CallbackOptions) -> Policies {
        let policies = Policies {
            trap: AtomicU8::new(RETURN),
            run_while_pending: AtomicBool::new(false),
            thread: AtomicU64::new(REFUSE),
        };
        let CallbackOptions { trap, thread, pending, .. } = *options;
        policies.say(&Policy { trap: Some(trap), thread: Some(thread), pending: Some(pending), default: None });
        policies
    }

    /// What a prototype says. The default value is in the callback's record.
    pub(super) fn say(&self, policy: &Policy) {
        if let Some(trap) = policy.trap {
            let trap = match trap {
                OnTrap::Return => RETURN,
                OnTrap::Abort => ABORT,
                OnTrap::Unwind => UNWIND,
            };
            self.trap.store(trap, Ordering::Relaxed);
        }
        if let Some(pending) = policy.pending {
            self.run_while_pending.store(pending == WhilePending::Run, Ordering::Relaxed);
        }
        if let Some(thread) = policy.thread {
            let thread = match thread {
                OnThread::Refuse => REFUSE,
                OnThread::Queue => QUEUE,
                OnThread::Wait { timeout_ms: None } => WAIT,
                OnThread::Wait { timeout_ms: Some(ms) } => WAIT_MS | u64::from(ms) << MS_SHIFT,
            };
            self.thread.store(thread, Ordering::Relaxed);
        }
    }

    pub(crate) fn trap(&self) -> OnTrap {
        match self.trap.load(Ordering::Relaxed) {
            ABORT => OnTrap::Abort,
            UNWIND => OnTrap::Unwind,
            _ => OnTrap::Return,
        }
    }

    pub(crate) fn runs_while_pending(&self) -> bool {
        self.run_while_pending.load(Ordering::Relaxed)
    }

    pub(crate) fn thread(&self) -> OnThread {
        match self.thread.load(Ordering::Relaxed) {
            REFUSE => OnThread::Refuse,
            QUEUE => OnThread::Queue,
            WAIT => OnThread::Wait { timeout_ms: None },
            wait => OnThread::Wait { timeout_ms: Some((wait >> MS_SHIFT) as u32) },
        }
    }
}
