/* An instance belongs to one thread; on others its functions fail and its callbacks answer with their default values. */

#define _POSIX_C_SOURCE 200809L
#include "common.h"
#include <pthread.h>

static host h;
static wb_fn callback;

static void *refused(void *unused) {
    (void)unused;
    CHECK(((int (*)(int))callback)(21) == -1);
    FAILS(wb_instance_call(h.app, "nothing", NULL, 0, NULL, 0), WB_ERROR_BUSY, "another thread");
    return NULL;
}

static void *attached(void *unused) {
    (void)unused;
    OK(wb_instance_attach(h.app));
    CHECK(((int (*)(int))callback)(21) == 42);
    CHECK(call_int(h.app, "twice", 1) == 2);
    return NULL;
}

static void run(void *(*body)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv) {
    wb_callback_options options;
    uint64_t count;
    CHECK(argc == 2);
    h = new_host(argv[1]);
    memset(&options, 0, sizeof options);
    options.default_int = -1;
    OK(wb_callback(h.app, "int twice(int)", &options, &callback));

    run(refused);
    OK(wb_callback_refused(callback, &count));
    CHECK(count == 1);
    CHECK(((int (*)(int))callback)(21) == 42);
    run(attached);
    CHECK(((int (*)(int))callback)(21) == -1);
    OK(wb_instance_attach(h.app));
    CHECK(((int (*)(int))callback)(21) == 42);

    delete_host(h);
    return 0;
}
