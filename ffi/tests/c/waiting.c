/* Callbacks that arrive on another thread than the app's: calls that wait, calls that are queued, and what ends them. */

#define _POSIX_C_SOURCE 200809L
#include "common.h"
#include <pthread.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define CALLS 50

typedef int (*int_fn)(int);

static host h;
static wb_fn waiting, queued;

/* What the app calls in `framed`, on its own thread: notes the value. */
static int noted[THREADS * CALLS], notes;
static pthread_t owner;

static int note(int (*visit)(int), int value) {
    (void)visit;
    CHECK(pthread_equal(pthread_self(), owner));
    CHECK(notes < THREADS * CALLS);
    noted[notes++] = value;
    return 2 * value;
}

/* Who wakes the app's thread, as a library's event loop would be. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int arrived, finished;

static void notify(void *data) {
    CHECK(data == &arrived);
    pthread_mutex_lock(&lock);
    arrived++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for_arrivals(int count) {
    pthread_mutex_lock(&lock);
    while (arrived < count)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void *caller(void *number) {
    int base = 1000 * (int)(size_t)number, i;
    for (i = 0; i < CALLS; i++) {
        if (i % 5 == 4)
            CHECK(((int_fn)waiting)(base + i) == 2 * (base + i));
        else
            CHECK(((int_fn)queued)(base + i) == -2);
    }
    pthread_mutex_lock(&lock);
    finished++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* An event loop: polls whenever it has been woken. */
static void loop(void) {
    size_t calls;
    pthread_mutex_lock(&lock);
    while (finished < THREADS) {
        while (arrived == 0 && finished < THREADS)
            pthread_cond_wait(&changed, &lock);
        arrived = 0;
        pthread_mutex_unlock(&lock);
        OK(wb_instance_poll(h.app, 0, &calls));
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
}

static int in_order(void) {
    int next[THREADS] = {0}, i;
    for (i = 0; i < notes; i++)
        if (noted[i] % 1000 != next[noted[i] / 1000]++)
            return 0;
    return 1;
}

/* Calls a callback and expects a value. */
typedef struct {
    wb_fn function;
    int arg, expected, line;
} expectation;

static void *expect(void *data) {
    expectation *e = (expectation *)data;
    int result = ((int_fn)e->function)(e->arg);
    if (result != e->expected) {
        fprintf(stderr, "line %d: the callback returned %d, expected %d\n", e->line, result, e->expected);
        exit(1);
    }
    return NULL;
}

#define START(e) start((e), __LINE__)
static pthread_t start(expectation *e, int line) {
    pthread_t thread;
    e->line = line;
    CHECK(pthread_create(&thread, NULL, expect, e) == 0);
    return thread;
}

static void join(pthread_t thread) { CHECK(pthread_join(thread, NULL) == 0); }

static wb_refusal why(wb_fn callback) {
    wb_refusal why;
    OK(wb_callback_last_refusal(callback, &why));
    return why;
}

static wb_fn callback(const char *prototype, wb_onthread on_thread, uint32_t wait_ms, int value) {
    wb_callback_options options;
    wb_fn made;
    memset(&options, 0, sizeof options);
    options.on_thread = on_thread;
    options.wait_ms = wait_ms;
    options.default_int = value;
    OK(wb_callback(h.app, prototype, &options, &made));
    return made;
}

static void fresh(const char *directory) {
    h = new_host(directory);
    wb_instance_delete(h.app);
    OK(wb_linker_define(h.linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)note));
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    OK(wb_instance_set_notify(h.app, notify, &arrived));
    arrived = notes = 0;
}

/* Two threads with an app each; the second one's calls the first one's callback while the first waits for it. */
static wb_fn first_fn, second_fn;
static pthread_barrier_t ready;

static int into_first(int (*visit)(int), int value) {
    (void)visit;
    return ((int_fn)first_fn)(value);
}

static void *second_thread(void *directory) {
    host own = new_host((const char *)directory);
    wb_callback_options options;
    size_t calls = 0;
    wb_instance_delete(own.app);
    OK(wb_linker_define(own.linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)into_first));
    OK(wb_linker_instantiate(own.linker, own.module, &own.app));
    memset(&options, 0, sizeof options);
    options.on_thread = WB_ON_THREAD_WAIT;
    OK(wb_callback(own.app, "int framed(int)", &options, &second_fn));
    pthread_barrier_wait(&ready);
    OK(wb_instance_poll(own.app, -1, &calls));
    CHECK(calls == 1);
    delete_host(own);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS], thread;
    expectation e[THREADS];
    wb_callback_options options;
    wb_fn fn;
    uint64_t count;
    size_t calls;
    int i, status;
    pid_t child;
    CHECK(argc == 2);
    memset(e, 0, sizeof e);
    owner = pthread_self();

    /* Many threads, both policies: results are right, and each thread's calls in order. */
    fresh(argv[1]);
    waiting = callback("int framed(int)", WB_ON_THREAD_WAIT, 0, -1);
    queued = callback("unsigned framed(unsigned)", WB_ON_THREAD_QUEUE, 0, -2);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, caller, (void *)(size_t)i) == 0);
    loop();
    for (i = 0; i < THREADS; i++)
        join(threads[i]);
    OK(wb_instance_poll(h.app, 0, &calls));
    CHECK(calls == 0 && notes == THREADS * CALLS && in_order());
    OK(wb_callback_refused(waiting, &count));
    CHECK(count == 0 && why(waiting) == WB_REFUSED_NEVER);

    /* A full queue, and a wait that is over. */
    notes = 0;
    OK(wb_instance_set_queue_limit(h.app, 2));
    e[0].function = queued;
    e[0].expected = -2;
    for (i = 0; i < 3; i++)
        join(START(&e[0]));
    CHECK(why(queued) == WB_REFUSED_QUEUE_FULL);
    OK(wb_instance_poll(h.app, -1, &calls));
    CHECK(calls == 2 && notes == 2);
    e[0].function = callback("signed char twice(signed char)", WB_ON_THREAD_WAIT, 10, -3);
    e[0].expected = -3;
    join(START(&e[0]));
    CHECK(why(e[0].function) == WB_REFUSED_TIMEOUT);

    /* A trap in a call that is waited for is the error of who polls. */
    e[0].function = callback("int fail(int)", WB_ON_THREAD_WAIT, 0, -4);
    e[0].expected = -4;
    arrived = 0;
    thread = START(&e[0]);
    wait_for_arrivals(1);
    FAILS(wb_instance_poll(h.app, 0, &calls), WB_ERROR_TRAP, "unreachable");
    join(thread);
    CHECK(why(e[0].function) == WB_REFUSED_FAILED);
    OK(wb_instance_take_error(h.app));

    /* Freed while it is waited for. */
    e[0].function = callback("short twice(short)", WB_ON_THREAD_WAIT, 0, -5);
    e[0].expected = -5;
    arrived = 0;
    thread = START(&e[0]);
    wait_for_arrivals(1);
    OK(wb_callback_delete(e[0].function));
    join(thread);

    /* The child of a fork has none of its parent's calls. */
    e[0].function = callback("unsigned twice(unsigned)", WB_ON_THREAD_WAIT, 0, -6);
    e[0].arg = 8;
    e[0].expected = 16;
    arrived = 0;
    thread = START(&e[0]);
    wait_for_arrivals(1);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        OK(wb_instance_poll(h.app, 0, &calls));
        _exit(calls != 0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    OK(wb_instance_poll(h.app, 0, &calls));
    CHECK(calls == 1);
    join(thread);

    /* Deleted while many wait: everyone gets the default, and the callback goes on answering with it. */
    arrived = 0;
    for (i = 0; i < THREADS; i++) {
        e[i].function = waiting;
        e[i].arg = i;
        e[i].expected = -1;
        threads[i] = START(&e[i]);
    }
    wait_for_arrivals(THREADS);
    wb_instance_delete(h.app);
    for (i = 0; i < THREADS; i++)
        join(threads[i]);
    OK(wb_callback_refused(waiting, &count));
    CHECK(count == THREADS && why(waiting) == WB_REFUSED_GONE);
    join(START(&e[0]));
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));

    /* A circle. */
    first_fn = callback("int twice(int)", WB_ON_THREAD_WAIT, 0, -7);
    CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, second_thread, argv[1]) == 0);
    pthread_barrier_wait(&ready);
    CHECK(((int_fn)second_fn)(1) == -7);
    CHECK(why(first_fn) == WB_REFUSED_CIRCLE);
    join(thread);
    pthread_barrier_destroy(&ready);

    /* What makes no sense is refused when it is said. */
    memset(&options, 0, sizeof options);
    options.on_thread = WB_ON_THREAD_QUEUE;
    FAILS(wb_callback(h.app, "int add(int *p[out], int n)", &options, &fn), WB_ERROR_PROTOTYPE, "parameter 1 (`p`) cannot be kept");
    options.wait_ms = 5;
    FAILS(wb_callback(h.app, "int twice(int)", &options, &fn), WB_ERROR_INVALID_ARGUMENT, "wait_ms");
    options.on_thread = 9;
    FAILS(wb_callback(h.app, "int twice(int)", &options, &fn), WB_ERROR_INVALID_ARGUMENT, "on_thread");
    options.on_thread = options.wait_ms = 0;
    options.while_pending = 9;
    FAILS(wb_callback(h.app, "int twice(int)", &options, &fn), WB_ERROR_INVALID_ARGUMENT, "while_pending");
    FAILS(wb_linker_define(h.linker, "env", "void f(void (*g[thread: queue])(int *into[out: n], int n))", (wb_fn)note),
          WB_ERROR_PROTOTYPE, "parameter 1 (`into`) cannot be kept until the call is made: its caller waits");
    NULL_FAILS(wb_instance_poll(NULL, 0, NULL), "instance");
    NULL_FAILS(wb_instance_set_notify(NULL, NULL, NULL), "instance");
    NULL_FAILS(wb_callback_last_refusal(first_fn, NULL), "why");

    /* While an error waits, only those run that say so. */
    options.while_pending = WB_WHILE_PENDING_RUN;
    options.default_int = -8;
    OK(wb_callback(h.app, "short twice(short)", &options, &fn));
    CHECK(((int_fn)callback("int fail(int)", WB_ON_THREAD_REFUSE, 0, -9))(1) == -9);
    CHECK(((short (*)(short))fn)(4) == 8);
    CHECK(((int_fn)first_fn)(4) == -7 && why(first_fn) == WB_REFUSED_PENDING);
    FAILS(wb_instance_poll(h.app, 0, NULL), WB_ERROR_BUSY, "take the error first");
    FAILS(wb_instance_take_error(h.app), WB_ERROR_TRAP, "unreachable");
    CHECK(((int_fn)first_fn)(4) == 8);
    delete_host(h);
    return 0;
}
