/* Two apps on two threads exchange messages through a region that both have at the same address. The host does nothing meanwhile. */

#define _POSIX_C_SOURCE 200809L
#include "example.h"
#include <pthread.h>
#include <sched.h>
#include <time.h>

#define MESSAGES 2000000
/* As in queue.h, which is the apps' own affair: two counters, and 4,096 messages of 16 bytes. */
#define QUEUE_BYTES (128 + 4096 * 16)

static wb_engine *engine;
static wb_module *module;
static wb_region *region;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* An app of this thread, with the region. */
static wb_instance *new_app(void) {
    wb_linker *linker;
    wb_instance *app;
    check(wb_linker_new(engine, &linker));
    check(wb_linker_define(linker, "env", "int sched_yield(void)", (wb_fn)sched_yield));
    check(wb_linker_instantiate(linker, module, &app));
    wb_linker_delete(linker);
    check(wb_region_grant(region, app, WB_WRITE));
    return app;
}

static void *send(void *unused) {
    wb_instance *app = new_app();
    wb_val args[] = {wb_i32((int32_t)wb_region_guest_addr(region)), wb_i32(MESSAGES)};
    (void)unused;
    check(wb_instance_call(app, "send", args, 2, NULL, 0));
    wb_instance_delete(app);
    return NULL;
}

int main(int argc, char **argv) {
    expect(argc == 2, "usage: shared-queue APP.wbm");
    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_region_new(QUEUE_BYTES, &region));

    pthread_t sender;
    expect(pthread_create(&sender, NULL, send, NULL) == 0, "no thread");
    wb_instance *app = new_app();
    wb_val args[] = {wb_i32((int32_t)wb_region_guest_addr(region)), wb_i32(MESSAGES)}, right;
    double start = now();
    check(wb_instance_call(app, "receive", args, 2, &right, 1));
    double seconds = now() - start;
    pthread_join(sender, NULL);
    expect(right.of.i32 == MESSAGES, "a message was not what was sent");
    printf("%d messages from app to app, all of them right\n", MESSAGES);
    fprintf(stderr, "%.1f million messages a second\n", MESSAGES / seconds / 1e6);

    /* The queue is taken away: no app has it any more. */
    check(wb_region_revoke_all(region));
    wb_error *error = wb_instance_call(app, "receive", args, 2, &right, 1);
    expect(error != NULL && wb_error_trap_code(error) == WB_TRAP_MEMORY_OUT_OF_BOUNDS, "the queue is still there");
    printf("after the revocation the receiver traps\n");
    wb_error_delete(error);

    wb_instance_delete(app);
    wb_region_delete(region);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
