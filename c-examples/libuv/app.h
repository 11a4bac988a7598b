/* A small program of timers, idle handlers, wake-ups and work on libuv's threads, written against uv.h. It is compiled twice: to WebAssembly, for the app, and natively, as the
 * reference. */
#ifndef APP_H
#define APP_H

#include <uv.h>

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

/* Sets all up, and returns; the rest happens in callbacks, from the host's uv_run. */
EXPORT(start) void start(uv_loop_t *loop);

/* What an app must not do: uses a timer as an idle handler (0), or one that is closed (1). */
EXPORT(misuse) void misuse(int how);

/* Of the host. libuv leaves the memory of its objects to its users; here they are the host's, and the app has handles of them. */
uv_timer_t *new_timer(uv_loop_t *loop);
uv_idle_t *new_idle(uv_loop_t *loop);
uv_async_t *new_async(uv_loop_t *loop, uv_async_cb woken);
uv_work_t *new_work(void);
void free_work(uv_work_t *work);
/* Calls uv_async_send from another thread, soon. */
void send_from_a_thread(uv_async_t *async);
/* Notes that something has happened. */
void note(const char *what, int number);

#endif
