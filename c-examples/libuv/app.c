#include "app.h"

#include <stddef.h>

static uv_timer_t *timer;
static uv_idle_t *idle;
static uv_async_t *async;
static uv_loop_t *loop_of_all;
static int ticks, spins, open_handles;

/* A piece of work: how many primes there are below a limit. */
struct primes {
    int limit, count;
};

static struct primes pieces[] = {{100, 0}, {1000, 0}, {10000, 0}};

/* libuv calls it on one of its threads. */
static void count_primes(uv_work_t *work) {
    struct primes *piece = (struct primes *)uv_req_get_data((uv_req_t *)work);
    int n, d;
    for (n = 2; n < piece->limit; n++) {
        for (d = 2; d * d <= n && n % d != 0; d++)
            ;
        piece->count += d * d > n;
    }
}

/* And this on the loop's, when the work is done. */
static void counted(uv_work_t *work, int status) {
    struct primes *piece = (struct primes *)uv_req_get_data((uv_req_t *)work);
    note(status == 0 ? "primes" : uv_err_name(status), piece->count);
    if (++piece == pieces + sizeof pieces / sizeof pieces[0]) {
        free_work(work);
        return;
    }
    uv_req_set_data((uv_req_t *)work, piece);
    note("work", uv_queue_work(loop_of_all, work, count_primes, counted));
}

static void closed(uv_handle_t *handle) {
    open_handles--;
    note(uv_handle_type_name(uv_handle_get_type(handle)), open_handles);
    if (uv_handle_get_type(handle) == UV_IDLE)
        send_from_a_thread(async);
    if (open_handles == 0) {
        uv_work_t *work = new_work();
        uv_req_set_data((uv_req_t *)work, pieces);
        note("work", uv_queue_work(loop_of_all, work, count_primes, counted));
    }
}

static void woken(uv_async_t *handle) {
    /* User data comes back as it was given: here it is a number. */
    note("woken by a thread", (int)(size_t)uv_handle_get_data((uv_handle_t *)handle));
    uv_close((uv_handle_t *)handle, closed);
}

static void spin(uv_idle_t *handle) {
    if (++spins < 1000)
        return;
    note("idle", spins);
    uv_idle_stop(handle);
    uv_close((uv_handle_t *)handle, closed);
}

static void tick(uv_timer_t *handle) {
    /* The handle in a callback is the one that the app knows. */
    note(handle == timer ? "tick" : "tick of another timer", ++ticks);
    if (ticks == 2)
        uv_timer_set_repeat(handle, 2);
    if (ticks < 5)
        return;
    note("repeats every", (int)uv_timer_get_repeat(handle));
    uv_timer_stop(handle);
    uv_close((uv_handle_t *)handle, closed);
    uv_idle_start(idle, spin);
}

static void visit(uv_handle_t *handle, void *count) {
    if (!uv_is_closing(handle))
        ++*(int *)count;
}

void start(uv_loop_t *loop) {
    int count = 0;
    loop_of_all = loop;
    timer = new_timer(loop);
    idle = new_idle(loop);
    async = new_async(loop, woken);
    open_handles = 3;
    uv_handle_set_data((uv_handle_t *)async, (void *)(size_t)0xc0ffee);

    uv_walk(loop, visit, &count);
    note("handles", count);
    /* An error of libuv's, as it is to any program. */
    note(uv_err_name(uv_timer_start(timer, NULL, 0, 0)), uv_is_active((uv_handle_t *)timer));
    uv_timer_start(timer, tick, 0, 1);
    note("active", uv_is_active((uv_handle_t *)timer));
}

void misuse(int how) {
    if (how == 0)
        uv_idle_start((uv_idle_t *)async, spin);
    else
        uv_timer_start(timer, tick, 0, 1);
}
