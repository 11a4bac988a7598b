#include "app.h"

#include <stddef.h>

static uv_timer_t *timer;
static uv_idle_t *idle;
static uv_async_t *async;
static int ticks, spins, open_handles;

static void closed(uv_handle_t *handle) {
    open_handles--;
    note(uv_handle_type_name(uv_handle_get_type(handle)), open_handles);
    if (uv_handle_get_type(handle) == UV_IDLE)
        send_from_a_thread(async);
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
