//! Callbacks that arrive on other threads than the app's: `[thread: wait]`, `[thread: queue]`; and those that run while an error waits: `[pending: run]`.
#![allow(clippy::undocumented_unsafe_blocks, reason = "the tests play the part of C, which does not know unsafe")]

mod common;

use common::{engine, instance_with, linker, module};
use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use wasmbridge_runtime::{
    Answer, CallbackOptions, ErrorKind, Instance, NativeFn, OnThread, Refusal, TrapCode, Value, WhilePending,
    callback_last_refusal, callback_refusals, release_callback,
};

type IntFn = extern "C-unwind" fn(c_int) -> c_int;

thread_local! {
    static LOG: RefCell<Vec<i64>> = const { RefCell::new(Vec::new()) };
}

const WAIT: OnThread = OnThread::Wait { timeout_ms: None };

fn options(thread: OnThread, default: i64) -> CallbackOptions {
    CallbackOptions { thread, default: Answer::Int(default), ..CallbackOptions::default() }
}

/// A callback, for other threads too.
#[derive(Clone, Copy)]
struct Callback(NativeFn);

unsafe impl Send for Callback {}
unsafe impl Sync for Callback {}

impl Callback {
    fn new(app: &Instance, prototype: &str, options: &CallbackOptions) -> Callback {
        Callback(app.callback(prototype, options).unwrap())
    }

    fn of<F: Copy>(self) -> F {
        assert_eq!(size_of::<F>(), size_of::<*const u8>());
        unsafe { std::mem::transmute_copy(&self.0.0) }
    }

    fn call(self, n: c_int) -> c_int {
        self.of::<IntFn>()(n)
    }

    #[track_caller]
    fn refused(self, count: u64, why: Refusal) {
        assert_eq!((callback_refusals(self.0).unwrap(), callback_last_refusal(self.0).unwrap()), (count, Some(why)));
    }
}

/// Polls until somebody says that it is enough.
fn serve(app: &Instance, done: &AtomicBool) -> usize {
    let mut made = 0;
    while !done.load(Ordering::Acquire) {
        made += app.poll(Some(Duration::from_millis(5))).unwrap();
    }
    made
}

/// Runs `body` on another thread while this one polls; its result and how many calls were made.
fn elsewhere<R: Send>(app: &Instance, body: impl FnOnce() -> R + Send) -> (R, usize) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let result = body();
            done.store(true, Ordering::Release);
            result
        });
        let made = serve(app, &done);
        (other.join().unwrap(), made)
    })
}

/// Waits until so many calls have been left.
fn left(arrived: &AtomicUsize, count: usize) {
    while arrived.load(Ordering::Acquire) < count {
        thread::yield_now();
    }
}

/// How many calls have been left.
fn count_arrivals(app: &Instance) -> Arc<AtomicUsize> {
    let arrived = Arc::new(AtomicUsize::new(0));
    let counted = arrived.clone();
    app.set_notify(Some(Arc::new(move || _ = counted.fetch_add(1, Ordering::Release))));
    arrived
}

const COUNTER: &str = r#"(module
    (import "env" "note" (func $note (param i32)))
    (memory (export "memory") 2)
    (global $sum (mut i32) (i32.const 0))
    (func (export "sum") (result i32) (global.get $sum))
    (func (export "add") (param i32) (result i32)
        (call $note (local.get 0))
        (global.set $sum (i32.add (global.get $sum) (local.get 0)))
        (global.get $sum))
    (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func (export "fails") (param i32) (result i32) (unreachable))
    (func (export "mean") (param f64 f32) (result f64) (f64.div (f64.add (local.get 0) (f64.promote_f32 (local.get 1))) (f64.const 2)))
    (func (export "first") (param i32 i32) (result i32) (call $note (local.get 1)) (i32.load8_u (local.get 0)))
    (func (export "many") (param i32 i64 i32 i32 i32 i32 i32 i64 f32 f64) (result i64)
        (i64.add (i64.extend_i32_s (local.get 0)) (i64.add (local.get 1) (i64.add (i64.extend_i32_s (local.get 6))
            (i64.add (local.get 7) (i64.trunc_f64_s (f64.add (f64.promote_f32 (local.get 8)) (local.get 9))))))))
    ;; { int, long long, double } in, { double, int } out
    (func (export "convert") (param $out i32) (param $in i32)
        (f64.store (local.get $out) (f64.load offset=16 (local.get $in)))
        (i32.store offset=8 (local.get $out) (i32.wrap_i64 (i64.load offset=8 (local.get $in)))))
    (func (export "listed") (param i32 i32) (result i32)
        (i32.add (local.get 0) (i32.add (i32.load (local.get 1)) (i32.trunc_f64_s (f64.load offset=8 (local.get 1))))))
)"#;

extern "C" fn note(n: c_int) {
    LOG.with_borrow_mut(|log| log.push(n.into()));
}

fn counter() -> Instance {
    instance_with(COUNTER, &[("void note(int n)", note as *const u8)])
}

#[test]
fn a_caller_that_waits_gets_the_result() {
    let app = counter();
    let twice = Callback::new(&app, "int twice(int)", &options(WAIT, -1));
    let (results, made) = elsewhere(&app, || (0..50).map(|n| twice.call(n)).collect::<Vec<_>>());
    assert_eq!(results, (0..50).map(|n| 2 * n).collect::<Vec<_>>());
    assert_eq!((made, callback_refusals(twice.0).unwrap()), (50, 0));
    assert_eq!(twice.call(4), 8, "on its own thread it is an ordinary call");
}

#[test]
fn arguments_and_results_of_all_kinds_cross_threads() {
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct In(c_int, i64, f64);
    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Out(f64, c_int);
    type Many = extern "C" fn(i8, i64, c_int, c_int, c_int, c_int, i16, i64, f32, f64) -> i64;
    let app = counter();
    let wait = options(WAIT, -1);
    let mean = Callback::new(
        &app,
        "double mean(double, float)",
        &CallbackOptions { thread: WAIT, ..CallbackOptions::default() },
    );
    let many = Callback::new(
        &app,
        "long long many(signed char, long long, int, int, int, int, short, long long, float, double)",
        &wait,
    );
    let structs = "struct { double d; int i; } convert(struct { int i; long long l; double d; } in)";
    let convert = Callback::new(&app, structs, &CallbackOptions { thread: WAIT, ..CallbackOptions::default() });
    let listed = Callback::new(&app, "int listed(int n, ...[varargs: int, double])", &wait);
    let (got, _) = elsewhere(&app, || {
        (
            mean.of::<extern "C" fn(f64, f32) -> f64>()(1.0, 2.0),
            many.of::<Many>()(-3, 1 << 40, 0, 0, 0, 0, -7, 1 << 41, 1.5, 2.5),
            convert.of::<extern "C" fn(In) -> Out>()(In(1, 2, 3.5)),
            unsafe { listed.of::<unsafe extern "C" fn(c_int, ...) -> c_int>()(1, 20 as c_int, 300.0f64) },
        )
    });
    assert_eq!(got, (1.5, (3 << 40) - 6, Out(3.5, 2), 321));
}

#[test]
fn calls_are_made_in_the_order_of_each_thread() {
    let app = counter();
    let wait = Callback::new(&app, "int add(int)", &options(WAIT, -1));
    let queue = Callback::new(&app, "unsigned add(unsigned)", &options(OnThread::Queue, 0));
    LOG.take();
    const THREADS: c_int = 8;
    const CALLS: c_int = 100;
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        for t in 0..THREADS {
            let done = &done;
            scope.spawn(move || {
                for i in 0..CALLS {
                    let n = 1000 * t + i;
                    // Each thread waits every tenth time: for all that it has queued, too.
                    if i % 10 == 9 {
                        assert_ne!(wait.call(n), -1);
                    } else {
                        assert_eq!(queue.call(n), 0);
                    }
                }
                done.fetch_add(1, Ordering::Release);
            });
        }
        while done.load(Ordering::Acquire) < THREADS as u32 {
            app.poll(Some(Duration::from_millis(5))).unwrap();
        }
    });
    assert_eq!(app.poll(Some(Duration::ZERO)).unwrap(), 0, "each thread has waited last");
    let log = LOG.take();
    assert_eq!(log.len() as c_int, THREADS * CALLS);
    for t in 0..i64::from(THREADS) {
        let own: Vec<i64> = log.iter().filter(|&&n| n / 1000 == t).map(|n| n % 1000).collect();
        assert_eq!(own, (0..i64::from(CALLS)).collect::<Vec<_>>(), "thread {t}");
    }
    let sum: i64 = log.iter().sum();
    assert_eq!(app.call("sum", &[]).unwrap(), [Value::I32(sum as i32)]);
    assert_eq!((callback_refusals(wait.0).unwrap(), callback_refusals(queue.0).unwrap()), (0, 0));
}

#[test]
fn what_is_queued_is_a_copy() {
    type Text = extern "C" fn(*const c_char, c_int);
    type Bytes = extern "C" fn(*const c_void, c_int);
    let app = counter();
    let queue = CallbackOptions { thread: OnThread::Queue, ..CallbackOptions::default() };
    let text = Callback::new(&app, "int first(const char *s[str], int n)", &queue);
    let bytes = Callback::new(&app, "unsigned first(const unsigned char *bytes[in: n], short n)", &queue);
    LOG.take();
    thread::spawn(move || {
        let mut s = *b"text\0";
        text.of::<Text>()(s.as_ptr().cast(), 1);
        s.fill(b'x');
        let mut b = vec![7u8; 300];
        bytes.of::<Bytes>()(b.as_ptr().cast(), 300 | 0x7_0000);
        b.fill(0);
        text.of::<Text>()(std::ptr::null(), 3);
    })
    .join()
    .unwrap();
    assert_eq!(app.poll(Some(Duration::ZERO)).unwrap(), 3);
    assert_eq!(LOG.take(), [1, 300, 3]);
    assert_eq!(callback_refusals(bytes.0).unwrap(), 0);
}

#[test]
fn a_full_queue_refuses() {
    let app = counter();
    app.set_queue_limit(3);
    let add = Callback::new(&app, "int add(int)", &options(OnThread::Queue, 77));
    let call = |n: c_int| thread::spawn(move || add.call(n)).join().unwrap();
    LOG.take();
    assert_eq!([call(1), call(2), call(3), call(4)], [77; 4]);
    add.refused(1, Refusal::QueueFull);
    assert_eq!(app.poll(None).unwrap(), 3);
    call(5);
    assert_eq!(app.poll(None).unwrap(), 1);
    assert_eq!(LOG.take(), [1, 2, 3, 5]);
}

#[test]
fn a_timeout_gives_the_default() {
    let app = counter();
    let twice = Callback::new(&app, "int twice(int)", &options(OnThread::Wait { timeout_ms: Some(20) }, -5));
    let start = Instant::now();
    assert_eq!(thread::spawn(move || twice.call(1)).join().unwrap(), -5);
    assert!(start.elapsed() >= Duration::from_millis(20));
    twice.refused(1, Refusal::Timeout);
    assert_eq!(app.poll(Some(Duration::ZERO)).unwrap(), 0, "it was taken out");
}

#[test]
fn an_owner_that_has_ended_is_not_waited_for() {
    let (app, twice) = thread::spawn(|| {
        let app = counter();
        let twice = Callback::new(&app, "int twice(int)", &options(WAIT, -5));
        (app, twice)
    })
    .join()
    .unwrap();
    assert_eq!(twice.call(1), -5);
    twice.refused(1, Refusal::OwnerEnded);
    app.attach().unwrap();
    assert_eq!(twice.call(1), 2);
}

#[test]
fn a_caller_waits_on_while_the_app_moves_to_another_thread() {
    let app = counter();
    let arrived = count_arrivals(&app);
    let twice = Callback::new(&app, "int twice(int)", &options(WAIT, -5));
    let waiter = thread::spawn(move || twice.call(8));
    left(&arrived, 1);
    thread::spawn(move || {
        app.attach().unwrap();
        assert_eq!(app.poll(Some(Duration::ZERO)).unwrap(), 1);
    })
    .join()
    .unwrap();
    assert_eq!(waiter.join().unwrap(), 16);
}

#[test]
fn deleting_an_instance_lets_its_callers_go() {
    let app = counter();
    let arrived = count_arrivals(&app);
    let wait = Callback::new(&app, "int twice(int)", &options(WAIT, -5));
    let queue = Callback::new(&app, "int add(int)", &options(OnThread::Queue, -6));
    let waiters: Vec<_> = (0..4).map(|n| thread::spawn(move || (wait.call(n), queue.call(n)))).collect();
    left(&arrived, 4);
    drop(app);
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), (-5, -6));
    }
    wait.refused(4, Refusal::Gone);
    queue.refused(4, Refusal::Gone);
    assert_eq!(wait.call(1), -5, "on the thread that it belonged to");
    wait.refused(5, Refusal::Gone);
}

#[test]
fn freeing_a_callback_lets_its_callers_go() {
    let app = counter();
    let arrived = count_arrivals(&app);
    let wait = Callback::new(&app, "int twice(int)", &options(WAIT, -5));
    let queue = Callback::new(&app, "int add(int)", &options(OnThread::Queue, -6));
    let other = Callback::new(&app, "unsigned add(unsigned)", &options(OnThread::Queue, -7));
    let waiter = thread::spawn(move || wait.call(1));
    assert_eq!(thread::spawn(move || (queue.call(2), other.call(3))).join().unwrap(), (-6, -7));
    left(&arrived, 3);
    LOG.take();
    unsafe { release_callback(wait.0) }.unwrap();
    unsafe { release_callback(queue.0) }.unwrap();
    assert_eq!(waiter.join().unwrap(), -5);
    assert_eq!(app.poll(Some(Duration::ZERO)).unwrap(), 1);
    assert_eq!(LOG.take(), [3]);
}

#[test]
fn a_trap_in_a_call_for_another_thread_is_the_owners_error() {
    let app = counter();
    let arrived = count_arrivals(&app);
    let fails = Callback::new(&app, "int fails(int)", &options(WAIT, -5));
    let twice = Callback::new(&app, "int twice(int)", &options(WAIT, -6));
    let first = thread::spawn(move || fails.call(1));
    left(&arrived, 1);
    let second = thread::spawn(move || twice.call(1));
    left(&arrived, 2);
    let error = app.poll(None).unwrap_err();
    assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::Unreachable), "{error}");
    assert_eq!(first.join().unwrap(), -5);
    fails.refused(1, Refusal::Failed);
    assert_eq!(app.poll(None).unwrap(), 1, "the other one is still there");
    assert_eq!(second.join().unwrap(), 2);
}

#[test]
fn circles_are_found() {
    // Each of three threads has an app, whose `relay` calls the next one's callback.
    static NEXT: Mutex<[Option<Callback>; 3]> = Mutex::new([None; 3]);
    thread_local! {
        static OWN: RefCell<usize> = const { RefCell::new(0) };
    }
    extern "C" fn relay(n: c_int) -> c_int {
        let own = OWN.with_borrow(|own| *own);
        let next = NEXT.lock().unwrap()[(own + 1) % 3].unwrap();
        next.call(n - 1)
    }
    let wat = r#"(module (import "env" "relay" (func $relay (param i32) (result i32)))
        (func (export "f") (param i32) (result i32)
            (if (result i32) (local.get 0) (then (call $relay (local.get 0))) (else (i32.const 100)))))"#;
    let (ready, wait_ready) = mpsc::channel();
    let over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|t| {
            let (ready, over) = (ready.clone(), over.clone());
            let (go, wait_go) = mpsc::channel::<()>();
            let handle = thread::spawn(move || {
                OWN.set(t);
                let app = instance_with(wat, &[("int relay(int n)", relay as *const u8)]);
                let f = Callback::new(&app, "int f(int)", &options(WAIT, -1 - t as i64));
                NEXT.lock().unwrap()[t] = Some(f);
                ready.send(()).unwrap();
                let result = match wait_go.recv() {
                    // The first one sets off round the circle.
                    Ok(()) => {
                        let result = app.call("f", &[Value::I32(3)]).unwrap();
                        over.store(true, Ordering::Release);
                        Some(result)
                    }
                    Err(_) => {
                        serve(&app, &over);
                        None
                    }
                };
                let f = NEXT.lock().unwrap()[t].unwrap();
                (result, callback_last_refusal(f.0).unwrap())
            });
            (handle, go)
        })
        .collect();
    (0..3).for_each(|_| wait_ready.recv().unwrap());
    let mut results = Vec::new();
    let (handles, mut go): (Vec<_>, Vec<_>) = threads.into_iter().unzip();
    go.truncate(1);
    go[0].send(()).unwrap();
    for handle in handles {
        results.push(handle.join().unwrap());
    }
    // The first thread's own callback would have been the last of the circle: thread 2 got its default.
    assert_eq!(results[0], (Some(vec![Value::I32(-1)]), Some(Refusal::Circle)));
    assert_eq!((results[1].1, results[2].1), (None, None));
}

#[test]
fn calls_that_somebody_waits_for_are_also_made_when_the_hosts_call_returns() {
    let app = counter();
    let arrived = count_arrivals(&app);
    let wait = Callback::new(&app, "int add(int)", &options(WAIT, -5));
    let queue = Callback::new(&app, "unsigned add(unsigned)", &options(OnThread::Queue, -6));
    LOG.take();
    let waiter = thread::spawn(move || (queue.call(1), wait.call(2), queue.call(3)));
    left(&arrived, 2);
    assert_eq!(app.call("sum", &[]).unwrap(), [Value::I32(0)]);
    assert_eq!(waiter.join().unwrap(), (-6, 3, -6));
    assert_eq!(LOG.take(), [1, 2], "and what was left before");
    assert_eq!(app.poll(Some(Duration::ZERO)).unwrap(), 1);
}

#[test]
fn a_c_function_that_the_app_calls_may_poll() {
    thread_local! {
        static APP: RefCell<Option<Instance>> = const { RefCell::new(None) };
        static POLLED: RefCell<Option<Result<usize, ErrorKind>>> = const { RefCell::new(None) };
    }
    extern "C-unwind" fn poll() {
        let made = APP.with_borrow(|app| app.as_ref().unwrap().poll(Some(Duration::ZERO)));
        POLLED.set(Some(made.map_err(|error| error.kind())));
    }
    let app = instance_with(
        r#"(module (import "env" "poll" (func $poll))
            (func (export "run") (call $poll))
            (func (export "fails") (param i32) (result i32) (unreachable)))"#,
        &[("void poll(void) [unwind]", poll as *const u8)],
    );
    let arrived = count_arrivals(&app);
    let wait = Callback::new(
        &app,
        "int fails(int)",
        &CallbackOptions { trap: wasmbridge_runtime::OnTrap::Unwind, ..options(WAIT, -5) },
    );
    let waiter = thread::spawn(move || wait.call(1));
    left(&arrived, 1);
    APP.set(Some(app));
    let error = APP.with_borrow(|app| app.as_ref().unwrap().call("run", &[])).unwrap_err();
    assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::Unreachable), "where the app called C: {error}");
    assert_eq!(POLLED.take(), Some(Ok(1)), "what makes calls for others is not skipped");
    assert_eq!(waiter.join().unwrap(), -5);
    APP.take();
}

#[test]
fn an_exception_that_passes_through_lets_the_caller_go() {
    extern "C-unwind" fn throw() {
        std::panic::resume_unwind(Box::new("thrown"));
    }
    let app = instance_with(
        r#"(module (import "env" "throw" (func $throw)) (func (export "f") (param i32) (result i32) (call $throw) (i32.const 1)))"#,
        &[("void throw(void)", throw as *const u8)],
    );
    let arrived = count_arrivals(&app);
    let f = Callback::new(&app, "int f(int)", &options(WAIT, -5));
    let waiter = thread::spawn(move || f.call(1));
    left(&arrived, 1);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| app.poll(None))).unwrap_err();
    assert_eq!(caught.downcast_ref::<&str>(), Some(&"thrown"));
    assert_eq!(waiter.join().unwrap(), -5);
}

#[test]
fn linked_instances_are_polled_together() {
    let engine = engine();
    let note = ("void note(int n)", note as *const u8);
    let lib = linker(&engine, &[note]).instantiate(&module(&engine, COUNTER)).unwrap();
    let alone = Callback::new(&lib, "int add(int)", &options(OnThread::Queue, 0));
    let mut second = linker(&engine, &[note]);
    second.define_instance("lib", &lib).unwrap();
    let wat = r#"(module (import "lib" "add" (func $add (param i32) (result i32)))
        (func (export "again") (param i32) (result i32) (call $add (local.get 0))))"#;
    let app = second.instantiate(&module(&engine, wat)).unwrap();
    let again = Callback::new(&app, "int again(int)", &options(OnThread::Queue, 0));
    LOG.take();
    thread::spawn(move || [alone.call(1), again.call(2), alone.call(3)]).join().unwrap();
    assert_eq!(app.poll(None).unwrap(), 3);
    assert_eq!(LOG.take(), [1, 2, 3]);
}

#[test]
fn what_cannot_be_queued_is_refused_when_it_is_said() {
    let app = counter();
    let queue = options(OnThread::Queue, 0);
    for (prototype, words) in [
        (
            "int first(char *into[out: n], int n)",
            "parameter 1 (`into`) cannot be kept until the call is made: its caller waits",
        ),
        ("int first(struct { int a, b; } s, int n)", "parameter 1 (`s`) cannot be kept"),
        (
            "int listed(int n, ...[varargs: int])",
            "parameter 2 cannot be kept until the call is made: variable arguments",
        ),
        ("int first(char **names[str: n], int n)", "more than bytes"),
    ] {
        let error = app.callback(prototype, &queue).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Prototype, "{error}");
        assert!(error.message().contains(words), "{error}\nexpected: {words}");
    }
}

#[test]
fn polling_is_for_the_owner() {
    let app = counter();
    let fails = Callback::new(&app, "int fails(int)", &options(WAIT, -5));
    fails.call(1);
    assert_eq!(app.poll(None).unwrap_err().kind(), ErrorKind::Busy, "an error waits to be taken");
    app.take_error().unwrap();
    let start = Instant::now();
    assert_eq!(app.poll(Some(Duration::from_millis(30))).unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(30));
    let error = thread::spawn(move || app.poll(None).unwrap_err()).join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[test]
fn the_child_of_a_fork_begins_with_nothing_left() {
    let app = counter();
    let arrived = count_arrivals(&app);
    let wait = Callback::new(&app, "int twice(int)", &options(WAIT, -5));
    let queue = Callback::new(&app, "int add(int)", &options(OnThread::Queue, -6));
    let waiter = thread::spawn(move || (queue.call(1), wait.call(2)));
    left(&arrived, 2);
    let child = unsafe { libc::fork() };
    if child == 0 {
        // Here the app's thread is the only one; another one may leave calls again.
        let none = app.poll(Some(Duration::ZERO)).is_ok_and(|made| made == 0);
        let other = thread::spawn(move || wait.call(3));
        let made = app.poll(None).is_ok_and(|made| made == 1);
        let right = other.join().is_ok_and(|result| result == 6);
        unsafe { libc::_exit(c_int::from(!(none && made && right))) };
    }
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:#x}");
    LOG.take();
    assert_eq!(app.poll(None).unwrap(), 2);
    assert_eq!(waiter.join().unwrap(), (-6, 4));
}

/// Calls `fails`, and then `add`, which may run all the same.
extern "C-unwind" fn two(fails: IntFn, then: IntFn) -> c_int {
    fails(1);
    then(5)
}

#[test]
fn a_callback_may_run_while_an_error_waits() {
    let app = counter();
    let fails = Callback::new(&app, "int fails(int)", &options(OnThread::Refuse, -1));
    let run = CallbackOptions { pending: WhilePending::Run, ..options(OnThread::Refuse, -2) };
    let add = Callback::new(&app, "int add(int)", &run);
    let twice = Callback::new(&app, "int twice(int)", &options(OnThread::Refuse, -3));
    LOG.take();
    assert_eq!((fails.call(1), add.call(5), twice.call(5), add.call(6)), (-1, 5, -3, 11));
    twice.refused(1, Refusal::Pending);
    assert_eq!(LOG.take(), [5, 6], "also what it calls of C");
    let error = app.take_error().unwrap();
    assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::Unreachable));
    assert!(app.take_error().is_none());
    assert_eq!(twice.call(5), 10);
}

#[test]
fn an_error_still_surfaces_where_the_app_called_c() {
    let app = instance_with(
        r#"(module
            (import "env" "two" (func $two (param i32 i32) (result i32)))
            (import "env" "note" (func $note (param i32)))
            (table (export "t") 3 funcref) (elem (i32.const 1) $fails $then)
            (func $fails (param i32) (result i32) (unreachable))
            (func $then (param i32) (result i32) (call $note (local.get 0)) (local.get 0))
            (func (export "run") (result i32) (call $two (i32.const 1) (i32.const 2))))"#,
        &[
            ("int two(int (*fails)(int), int (*then[pending: run])(int))", two as *const u8),
            ("void note(int n)", note as *const u8),
        ],
    );
    LOG.take();
    for _ in 0..3 {
        let error = app.call("run", &[]).unwrap_err();
        assert_eq!(error.trap().map(|trap| trap.code), Some(TrapCode::Unreachable));
        assert_eq!(LOG.take(), [5]);
    }
}

#[test]
fn a_callback_that_runs_while_an_error_waits_may_fail_itself() {
    let app = counter();
    let fails = Callback::new(
        &app,
        "int fails(int)",
        &CallbackOptions { pending: WhilePending::Run, ..options(OnThread::Refuse, -1) },
    );
    assert_eq!((fails.call(1), fails.call(2), fails.call(3)), (-1, -1, -1));
    fails.refused(3, Refusal::Failed);
    assert!(app.take_error().is_some() && app.take_error().is_none(), "the first one");
}

#[test]
fn callbacks_are_called_while_their_instances_come_and_go() {
    let engine = engine();
    let module = module(&engine, "(module (func (export \"one\") (param i32) (result i32) (i32.const 1)))");
    let linker = linker(&engine, &[]);
    let current: Mutex<Option<Callback>> = Mutex::new(None);
    let over = AtomicBool::new(false);
    let calls = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let Some(callback) = *current.lock().unwrap() else { continue };
                    for _ in 0..200 {
                        assert_eq!(callback.call(0), -1);
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for round in 0..300 {
            let app = linker.instantiate(&module).unwrap();
            let thread = if round % 2 == 0 { OnThread::Refuse } else { OnThread::Wait { timeout_ms: Some(1) } };
            let callback = Callback::new(&app, "int one(int)", &options(thread, -1));
            *current.lock().unwrap() = Some(callback);
            assert_eq!(callback.call(0), 1);
            let before = calls.load(Ordering::Relaxed);
            while calls.load(Ordering::Relaxed) < before + 3 {
                thread::yield_now();
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn no_other_thread_enters_while_an_app_moves() {
    let app = counter();
    let twice = Callback::new(&app, "int twice(int)", &options(OnThread::Refuse, -1));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(twice.call(4), -1);
                }
            });
        }
        let (there, from_here) = mpsc::channel::<Instance>();
        let (back, from_there) = mpsc::channel::<Instance>();
        scope.spawn(move || {
            for app in from_here {
                app.attach().unwrap();
                assert_eq!(twice.call(4), 8);
                back.send(app).unwrap();
            }
        });
        let mut app = app;
        for _ in 0..200 {
            there.send(app).unwrap();
            app = from_there.recv().unwrap();
            assert_eq!(twice.call(4), -1);
            app.attach().unwrap();
            assert_eq!(twice.call(4), 8);
        }
        drop(there);
        over.store(true, Ordering::Relaxed);
    });
}
