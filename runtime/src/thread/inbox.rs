//! Where calls are left for an app's own thread.
//!
//! One lock is for all inboxes of the process: who waits for whom is a question across them, and a `fork` has one thing to hold. It is held
//! for a few instructions each time, and nothing of the app's or the host's runs under it.

use super::copies::{Copies, MAX_BYTES};
use crate::callback::{CallbackInfo, Refusal};
use crate::crossing::replay::{Cells, replay};
use crate::os::{Condition, Guard, Lock, ThreadMark, in_child_of_fork, thread_id};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often a thread that waits looks whether the owner's thread is still there.
const LOOK: Duration = Duration::from_millis(200);
/// How many calls are kept if the host says nothing.
const DEFAULT_LIMIT: usize = 1024;

/// A call of a callback that has not been made.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) info: Arc<CallbackInfo>,
    pub(super) cells: Cells,
}

/// A caller that waits. Its phase changes under the lock only.
struct Waiter {
    phase: AtomicU8,
    changed: Arc<Condition>,
}

const LEFT: u8 = 0;
const RUNNING: u8 = 1;
const MADE: u8 = 2;
const CANCELLED: u8 = 3;

impl Waiter {
    fn new() -> Arc<Waiter> {
        Arc::new(Waiter { phase: AtomicU8::new(LEFT), changed: Condition::new() })
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    fn turn(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
        self.changed.wake();
    }
}

/// What is in an inbox.
enum Left {
    /// a call whose caller waits, with its cells where the caller has them
    Waited {
        call: Call,
        waiter: Arc<Waiter>,
    },
    Kept(Copies),
}

// SAFETY: the caller of a call that is waited for keeps the cells until the phase is a last one, and does not touch them while it is `RUNNING`; the
// lock orders the two threads' accesses.
unsafe impl Send for Left {}

impl Left {
    fn call(&self) -> &Call {
        match self {
            Left::Waited { call, .. } => call,
            Left::Kept(copies) => &copies.call,
        }
    }
}

/// Who is told that a call has arrived.
pub(crate) type Notify = Arc<dyn Fn() + Send + Sync>;

/// What the lock guards of one inbox.
struct Contents {
    owner: ThreadMark,
    /// each with its number among all calls of the process
    calls: VecDeque<(u64, Left)>,
    kept: usize,
    kept_bytes: usize,
    limit: usize,
    notify: Option<Notify>,
    /// calls of `notify` that are running
    notifying: usize,
    /// nobody is being notified any more
    notified: Arc<Condition>,
    /// what the owner waits for a call with
    arrived: Option<Arc<Condition>>,
}

impl Contents {
    /// A call has been taken out.
    fn removed(&mut self, left: &Left) {
        if let Left::Kept(copies) = left {
            self.kept -= 1;
            self.kept_bytes -= copies.size;
        }
    }
}

struct World {
    inboxes: BTreeMap<u64, Contents>,
    /// threads that wait, and for calls in which inbox
    waits: BTreeMap<u64, u64>,
    /// calls that were left so far
    count: u64,
    /// Callers that waited in the parent of this process when it forked. They are not here, and to destroy what they wait with would be to wait for
    /// them.
    ghosts: Vec<Arc<Waiter>>,
}

static WORLD: Lock<World> =
    Lock::new(World { inboxes: BTreeMap::new(), waits: BTreeMap::new(), count: 0, ghosts: Vec::new() });

fn world() -> Guard<World> {
    WORLD.lock()
}

impl World {
    fn inbox(&mut self, id: u64) -> &mut Contents {
        self.inboxes.get_mut(&id).expect("an inbox has contents as long as it lives")
    }

    /// Whether a thread would wait for itself if it waited for the owner of this inbox.
    fn closes_circle(&self, thread: u64, id: u64) -> bool {
        let mut id = id;
        // A thread waits for one other at a time: after as many steps as there are that wait, this has come to an end or round a circle.
        for _ in 0..=self.waits.len() {
            let Some(contents) = self.inboxes.get(&id) else { return false };
            let owner = contents.owner.id();
            if owner == thread {
                return true;
            }
            let Some(next) = self.waits.get(&owner) else { return false };
            id = *next;
        }
        true
    }
}

/// The calls that other threads have left for an instance.
pub(crate) struct Inbox {
    id: u64,
    /// the thread that the instance belongs to
    owner: AtomicU64,
    /// calls in it; changed under the lock
    len: AtomicUsize,
    /// those of them that somebody waits for
    waited: AtomicUsize,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("id", &self.id).field("len", &self.len).finish_non_exhaustive()
    }
}

// The owner's side.
impl Inbox {
    /// An empty one, of this thread.
    pub(crate) fn new() -> Arc<Inbox> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let owner = ThreadMark::here();
        let contents = Contents {
            owner: owner.clone(),
            calls: VecDeque::new(),
            kept: 0,
            kept_bytes: 0,
            limit: DEFAULT_LIMIT,
            notify: None,
            notifying: 0,
            notified: Condition::new(),
            arrived: None,
        };
        world().inboxes.insert(id, contents);
        Arc::new(Inbox { id, owner: AtomicU64::new(owner.id()), len: AtomicUsize::new(0), waited: AtomicUsize::new(0) })
    }

    /// Whether this thread is the owner.
    pub(crate) fn is_own(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == thread_id()
    }

    /// Makes this thread the owner.
    pub(crate) fn attach(&self) {
        let owner = ThreadMark::here();
        let mut world = world();
        self.owner.store(owner.id(), Ordering::Relaxed);
        world.inbox(self.id).owner = owner;
    }

    /// Who is to be told of calls that arrive, on the thread of their caller. When this returns, nobody is in the former one.
    pub(crate) fn set_notify(&self, notify: Option<Notify>) {
        let mut world = world();
        let former = std::mem::replace(&mut world.inbox(self.id).notify, notify);
        while world.inbox(self.id).notifying > 0 {
            let notified = world.inbox(self.id).notified.clone();
            notified.wait(&mut world, None);
        }
        drop(world);
        drop(former);
    }

    /// How many calls are kept at most; further ones are refused.
    pub(crate) fn set_limit(&self, limit: usize) {
        world().inbox(self.id).limit = limit;
    }

    /// Whether anybody waits, as far as one can see without the lock.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waited.load(Ordering::Relaxed) > 0
    }

    /// How many calls there are in these inboxes.
    pub(crate) fn count(inboxes: &[Arc<Inbox>]) -> usize {
        let mut world = world();
        inboxes.iter().map(|inbox| world.inbox(inbox.id).calls.len()).sum()
    }

    /// Waits until there is a call in one of these inboxes. An owner that waits here may be waited for.
    pub(crate) fn wait_for_call(inboxes: &[Arc<Inbox>], timeout: Option<Duration>) {
        let mut world = world();
        let changed = Condition::new();
        inboxes.iter().for_each(|inbox| world.inbox(inbox.id).arrived = Some(changed.clone()));
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while inboxes.iter().all(|inbox| world.inbox(inbox.id).calls.is_empty()) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            changed.wait(&mut world, left);
        }
        inboxes.iter().for_each(|inbox| world.inbox(inbox.id).arrived = None);
    }

    /// Takes the call that was left first in any of these inboxes.
    pub(crate) fn take(inboxes: &[Arc<Inbox>]) -> Option<Taken> {
        let mut world = world();
        let first = |inbox: &&Arc<Inbox>| {
            let contents = world.inboxes.get(&inbox.id)?;
            contents.calls.front().map(|call| call.0)
        };
        let inbox = inboxes.iter().filter(|inbox| first(inbox).is_some()).min_by_key(first)?;
        let contents = world.inbox(inbox.id);
        let (_, left) = contents.calls.pop_front().expect("just seen");
        contents.removed(&left);
        inbox.removed(&left);
        if let Left::Waited { waiter, .. } = &left {
            waiter.turn(RUNNING);
        }
        Some(Taken(left))
    }

    /// Takes out the calls of callbacks that have ended: who waits gets the default value. The callbacks have ended before this is called.
    pub(crate) fn cancel_ended(&self) {
        // Whoever leaves a call counts it before it looks whether the callback has ended.
        if self.len.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut ended = Vec::new();
        let mut world = world();
        let contents = world.inbox(self.id);
        for (number, left) in std::mem::take(&mut contents.calls) {
            if !left.call().info.has_ended() {
                contents.calls.push_back((number, left));
                continue;
            }
            contents.removed(&left);
            self.removed(&left);
            if let Left::Waited { waiter, .. } = &left {
                waiter.turn(CANCELLED);
            }
            ended.push(left);
        }
        // What goes with them is dropped without the lock.
        drop(world);
    }
}

// The side of other threads.
impl Inbox {
    /// Leaves a call with copies of its arguments.
    pub(super) fn keep(&self, copies: Copies) -> Result<(), Refusal> {
        let mut world = world();
        let contents = world.inbox(self.id);
        if contents.kept >= contents.limit || contents.kept_bytes + copies.size > MAX_BYTES {
            drop(world);
            return Err(Refusal::QueueFull);
        }
        self.leave(world, Left::Kept(copies)).map(drop)
    }

    /// Leaves a call, and waits until it has been made.
    pub(super) fn wait(&self, call: Call, timeout: Option<Duration>) -> Result<(), Refusal> {
        let own = thread_id();
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut world = world();
        if world.closes_circle(own, self.id) {
            return Err(Refusal::Circle);
        }
        let waiter = Waiter::new();
        world.waits.insert(own, self.id);
        let (mut world, result) = match self.leave(world, Left::Waited { call, waiter: waiter.clone() }) {
            Ok(world) => self.wait_until(world, &waiter, deadline),
            Err(why) => (self::world(), Err(why)),
        };
        world.waits.remove(&own);
        result
    }

    /// Waits until a call is over, or is given up.
    fn wait_until(
        &self,
        mut world: Guard<World>,
        waiter: &Arc<Waiter>,
        deadline: Option<Instant>,
    ) -> (Guard<World>, Result<(), Refusal>) {
        loop {
            match waiter.phase() {
                MADE => return (world, Ok(())),
                CANCELLED => return (world, Err(Refusal::Gone)),
                RUNNING => waiter.changed.wait(&mut world, None),
                _ => {
                    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    let why = match left {
                        Some(Duration::ZERO) => Refusal::Timeout,
                        _ if !world.inbox(self.id).owner.is_alive() => Refusal::OwnerEnded,
                        _ => {
                            let wait = left.map_or(LOOK, |left| left.min(LOOK));
                            waiter.changed.wait(&mut world, Some(wait));
                            continue;
                        }
                    };
                    self.take_out(&mut world, waiter);
                    return (world, Err(why));
                }
            }
        }
    }

    /// Takes out the call of a caller that waits no longer.
    fn take_out(&self, world: &mut World, waiter: &Arc<Waiter>) {
        let calls = &mut world.inbox(self.id).calls;
        let is_its = |left: &Left| matches!(left, Left::Waited { waiter: of, .. } if Arc::ptr_eq(of, waiter));
        let at = calls.iter().position(|(_, left)| is_its(left));
        // Its callback is not dropped here, under the lock: the caller has it, too.
        if let Some((_, left)) = at.and_then(|at| calls.remove(at)) {
            self.removed(&left);
        }
    }

    fn removed(&self, left: &Left) {
        self.len.fetch_sub(1, Ordering::Relaxed);
        if let Left::Waited { .. } = left {
            self.waited.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Puts a call in, and tells who wants to know.
    fn leave(&self, mut world: Guard<World>, left: Left) -> Result<Guard<World>, Refusal> {
        self.len.fetch_add(1, Ordering::SeqCst);
        if left.call().info.has_ended() {
            self.len.fetch_sub(1, Ordering::Relaxed);
            drop(world);
            return Err(Refusal::Gone);
        }
        let number = world.count;
        world.count += 1;
        let contents = world.inbox(self.id);
        match &left {
            Left::Waited { .. } => _ = self.waited.fetch_add(1, Ordering::Relaxed),
            Left::Kept(copies) => {
                (contents.kept, contents.kept_bytes) = (contents.kept + 1, contents.kept_bytes + copies.size)
            }
        }
        contents.calls.push_back((number, left));
        contents.arrived.iter().for_each(|arrived| arrived.wake());
        let Some(notify) = contents.notify.clone() else { return Ok(world) };
        contents.notifying += 1;
        drop(world);
        let notifying = Notifying(self.id);
        notify();
        drop(notify);
        Ok(notifying.end())
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // Nobody can leave calls any more; what is left is dropped without the lock.
        let contents = world().inboxes.remove(&self.id);
        drop(contents);
    }
}

/// Somebody is being told.
struct Notifying(u64);

impl Notifying {
    fn end(self) -> Guard<World> {
        let world = self.ended();
        std::mem::forget(self);
        world
    }

    fn ended(&self) -> Guard<World> {
        let mut world = world();
        let contents = world.inbox(self.0);
        contents.notifying = contents.notifying.saturating_sub(1);
        contents.notified.wake();
        world
    }
}

impl Drop for Notifying {
    fn drop(&mut self) {
        drop(self.ended());
    }
}

/// A call that is to be made now.
pub(crate) struct Taken(Left);

impl Taken {
    /// Makes the call. If its arguments cannot be passed on, that is the app's error.
    ///
    /// # Safety
    /// On the owner's thread, where C could call the callback.
    pub(crate) unsafe fn make(self) {
        let Call { info, cells } = self.0.call();
        // SAFETY: the cells are those of a call of this callback: the caller waits, or the call has copies. It has not been freed: that takes its calls out, on this
        // thread.
        unsafe {
            if let Err(why) = replay(info, *cells) {
                info.fail(why);
            }
        }
    }
}

impl Drop for Taken {
    /// Lets the caller go on, also where an exception passes through.
    fn drop(&mut self) {
        if let Left::Waited { waiter, .. } = &self.0 {
            let _world = world();
            waiter.turn(MADE);
        }
    }
}

thread_local! {
    /// the lock, while this thread forks
    static FORKING: RefCell<Option<Guard<World>>> = const { RefCell::new(None) };
}

/// Has a `fork` wait until nobody changes an inbox, and its child begin with empty ones: what was left there is the parent's. Once for the
/// process.
pub(crate) fn install_fork_handlers() -> std::io::Result<()> {
    extern "C" fn before() {
        let lock = world();
        let _ = FORKING.try_with(|forking| forking.replace(Some(lock)));
    }
    extern "C" fn after() {
        let _ = FORKING.try_with(RefCell::take);
    }
    extern "C" fn in_child() {
        in_child_of_fork();
        let Ok(Some(mut world)) = FORKING.try_with(RefCell::take) else { return };
        world.waits.clear();
        let mut parents = Vec::new();
        for contents in world.inboxes.values_mut() {
            (contents.kept, contents.kept_bytes, contents.notifying) = (0, 0, 0);
            parents.extend(std::mem::take(&mut contents.calls));
        }
        let waiters = parents.iter().filter_map(|(_, left)| match left {
            Left::Waited { waiter, .. } => Some(waiter.clone()),
            Left::Kept(_) => None,
        });
        world.ghosts.extend(waiters);
        drop(world);
        for (_, left) in &parents {
            left.call().info.known.shared.inbox.removed(left);
        }
    }
    // SAFETY: functions of the type that it takes, which last as long as the process.
    match unsafe { libc::pthread_atfork(Some(before), Some(after), Some(in_child)) } {
        0 => Ok(()),
        code => Err(std::io::Error::from_raw_os_error(code)),
    }
}
