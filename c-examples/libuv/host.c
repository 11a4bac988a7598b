/* The distribution's libuv runs an event loop whose timers, idle handlers, wake-ups from another thread, close callbacks and work are functions of an app; then the
 * same program, compiled natively. Both must note the same. libuv's objects stay opaque to the app: it has handles of them, and a wrong one is refused before libuv
 * sees it.
 *
 * libuv calls a piece of work on a thread of its own, where the app does not run. The prototype says that such a call waits for the app's thread, and the host wakes
 * that through the loop: the work is then done there. */

#include "app.h"
#include "example.h"
#include <pthread.h>
#include <stdint.h>
#include <string.h>

/* A handle of libuv's, with what the host knows of it. */
struct object {
    union uv_any_handle handle;
    uv_close_cb on_close;
    struct object *next;
};

static struct object *objects;
static wb_instance *app;
static pthread_t sender;
static char notes[4096];

static void uv_check(int status) {
    if (status < 0) {
        fprintf(stderr, "error: libuv: %s\n", uv_strerror(status));
        exit(1);
    }
}

void note(const char *what, int number) {
    size_t len = strlen(notes);
    snprintf(notes + len, sizeof notes - len, "  %s: %d\n", what, number);
}

/* Memory for a handle. It lives until the loop is closed, and the app never has one that is not initialised. */
static union uv_any_handle *new_object(void) {
    struct object *object = calloc(1, sizeof *object);
    expect(object != NULL, "no memory");
    object->next = objects;
    objects = object;
    return &object->handle;
}

uv_timer_t *new_timer(uv_loop_t *loop) {
    uv_timer_t *timer = &new_object()->timer;
    uv_check(uv_timer_init(loop, timer));
    return timer;
}

uv_idle_t *new_idle(uv_loop_t *loop) {
    uv_idle_t *idle = &new_object()->idle;
    uv_check(uv_idle_init(loop, idle));
    return idle;
}

uv_async_t *new_async(uv_loop_t *loop, uv_async_cb woken) {
    uv_async_t *async = &new_object()->async;
    uv_check(uv_async_init(loop, async, woken));
    return async;
}

uv_work_t *new_work(void) {
    uv_work_t *work = calloc(1, sizeof *work);
    expect(work != NULL, "no memory");
    return work;
}

void free_work(uv_work_t *work) { free(work); }

/* A call of the app's has been left by another thread, for this one. */
static void wake(void *waker) { uv_check(uv_async_send((uv_async_t *)waker)); }

static size_t calls_from_threads;

static void woken(uv_async_t *waker) {
    size_t calls;
    (void)waker;
    check(wb_instance_poll(app, 0, &calls));
    calls_from_threads += calls;
}

static void *send_async(void *async) {
    uv_check(uv_async_send((uv_async_t *)async));
    return NULL;
}

void send_from_a_thread(uv_async_t *async) {
    expect(pthread_create(&sender, NULL, send_async, async) == 0, "no thread");
}

/* The app's uv_close. A closed handle is gone, so the app's handle of it ends; and libuv aborts when one is closed twice. */
static void closed(uv_handle_t *handle) {
    struct object *object = (struct object *)handle;
    if (object->on_close != NULL)
        object->on_close(handle);
    check(wb_handle_end(app, "uv_handle_t", handle));
}

static void close_once(uv_handle_t *handle, uv_close_cb on_close) {
    if (uv_is_closing(handle))
        return;
    ((struct object *)handle)->on_close = on_close;
    uv_close(handle, closed);
}

/* What the app calls. */
static const struct {
    const char *prototype;
    wb_fn function;
} imports[] = {
    {"void note(const char *what[str], int number)", (wb_fn)note},
    {"uv_timer_t *new_timer(uv_loop_t *loop[handle]) [handle]", (wb_fn)new_timer},
    {"uv_idle_t *new_idle(uv_loop_t *loop[handle]) [handle]", (wb_fn)new_idle},
    {"uv_async_t *new_async(uv_loop_t *loop[handle], void (*woken)(uv_async_t *async[handle])) [handle]", (wb_fn)new_async},
    {"void send_from_a_thread(uv_async_t *async[handle])", (wb_fn)send_from_a_thread},
    {"int uv_timer_start(uv_timer_t *timer[handle], void (*cb)(uv_timer_t *timer[handle]), uint64_t timeout, uint64_t repeat)",
     (wb_fn)uv_timer_start},
    {"int uv_timer_stop(uv_timer_t *timer[handle])", (wb_fn)uv_timer_stop},
    {"void uv_timer_set_repeat(uv_timer_t *timer[handle], uint64_t repeat)", (wb_fn)uv_timer_set_repeat},
    {"uint64_t uv_timer_get_repeat(const uv_timer_t *timer[handle])", (wb_fn)uv_timer_get_repeat},
    {"int uv_idle_start(uv_idle_t *idle[handle], void (*cb)(uv_idle_t *idle[handle]))", (wb_fn)uv_idle_start},
    {"int uv_idle_stop(uv_idle_t *idle[handle])", (wb_fn)uv_idle_stop},
    {"void uv_close(uv_handle_t *handle[handle], void (*cb)(uv_handle_t *handle[handle]))", (wb_fn)close_once},
    {"int uv_is_active(const uv_handle_t *handle[handle])", (wb_fn)uv_is_active},
    {"int uv_is_closing(const uv_handle_t *handle[handle])", (wb_fn)uv_is_closing},
    {"void uv_walk(uv_loop_t *loop[handle], void (*visit[scope: call])(uv_handle_t *handle[handle], void *arg[user]), void *arg[user])",
     (wb_fn)uv_walk},
    {"uv_handle_type uv_handle_get_type(const uv_handle_t *handle[handle])", (wb_fn)uv_handle_get_type},
    {"const char *uv_handle_type_name(uv_handle_type type) [str]", (wb_fn)uv_handle_type_name},
    {"void *uv_handle_get_data(const uv_handle_t *handle[handle]) [user]", (wb_fn)uv_handle_get_data},
    {"void uv_handle_set_data(uv_handle_t *handle[handle], void *data[user])", (wb_fn)uv_handle_set_data},
    {"const char *uv_err_name(int status) [str]", (wb_fn)uv_err_name},
    {"uv_work_t *new_work(void) [handle]", (wb_fn)new_work},
    {"void free_work(uv_work_t *work[handle, scope: call])", (wb_fn)free_work},
    {"int uv_queue_work(uv_loop_t *loop[handle], uv_work_t *work[handle], void (*cb[thread: wait])(uv_work_t *work[handle]),"
     " void (*after)(uv_work_t *work[handle], int status))",
     (wb_fn)uv_queue_work},
    {"void *uv_req_get_data(const uv_req_t *request[handle]) [user]", (wb_fn)uv_req_get_data},
    {"void uv_req_set_data(uv_req_t *request[handle], void *data[user])", (wb_fn)uv_req_set_data},
};

static wb_linker *linker_for_libuv(wb_engine *engine) {
    static const char *const kinds[] = {"uv_timer_t", "uv_idle_t", "uv_async_t"};
    wb_linker *linker;
    check(wb_linker_new(engine, &linker));
    check(wb_linker_typedef(linker, "uv_handle_type", "int"));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        check(wb_linker_handle_base(linker, kinds[i], "uv_handle_t"));
    check(wb_linker_handle_base(linker, "uv_work_t", "uv_req_t"));
    for (size_t i = 0; i < sizeof imports / sizeof imports[0]; i++)
        check(wb_linker_define(linker, "env", imports[i].prototype, imports[i].function));
    return linker;
}

/* Runs the loop until nothing is left in it. */
static void run(uv_loop_t *loop) {
    uv_check(uv_run(loop, UV_RUN_DEFAULT));
    expect(pthread_join(sender, NULL) == 0, "the sender does not end");
    uv_check(uv_loop_close(loop));
}

static void free_objects(void) {
    while (objects != NULL) {
        struct object *next = objects->next;
        free(objects);
        objects = next;
    }
}

/* The app is stopped with these words, and libuv is not called. */
static void expect_refusal(int how, const char *words) {
    wb_val arg = wb_i32(how);
    wb_error *error = wb_instance_call(app, "misuse", &arg, 1, NULL, 0);
    expect(error != NULL && wb_error_kind(error) == WB_ERROR_TRAP, "the app's mistake went through");
    expect(strstr(wb_error_message(error), words) != NULL, wb_error_message(error));
    printf("refused: a handle that %s\n", words);
    wb_error_delete(error);
}

int main(int argc, char **argv) {
    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    uv_loop_t loop;
    uv_async_t waker;
    char of_the_app[sizeof notes];
    uint32_t loop_handle;
    wb_val arg;
    expect(argc == 2, "usage: libuv APP.wbm");

    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    linker = linker_for_libuv(engine);
    check(wb_linker_instantiate(linker, module, &app));

    uv_check(uv_loop_init(&loop));
    check(wb_handle_new(app, "uv_loop_t", &loop, &loop_handle));
    arg = wb_i32((int)loop_handle);
    check(wb_instance_call(app, "start", &arg, 1, NULL, 0));
    expect_refusal(0, "is a `uv_async_t *`, expected `uv_idle_t *`");
    uv_check(uv_async_init(&loop, &waker, woken));
    check(wb_instance_set_notify(app, wake, &waker));
    /* It alone does not keep the loop running. */
    uv_unref((uv_handle_t *)&waker);
    uv_check(uv_run(&loop, UV_RUN_DEFAULT));
    check(wb_instance_set_notify(app, NULL, NULL));
    uv_close((uv_handle_t *)&waker, NULL);
    run(&loop);
    check(wb_instance_take_error(app));
    expect_refusal(1, "is stale");
    check(wb_handle_end(app, "uv_loop_t", &loop));
    free_objects();
    memcpy(of_the_app, notes, sizeof notes);
    printf("the app notes:\n%s", of_the_app);
    printf("calls that came from libuv's threads: %d\n", (int)calls_from_threads);

    notes[0] = '\0';
    uv_check(uv_loop_init(&loop));
    start(&loop);
    run(&loop);
    free_objects();
    expect(strcmp(notes, of_the_app) == 0, notes);
    printf("the native program notes the same\n");

    wb_instance_delete(app);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
