/* Callbacks that are called from far down a stack, from near its end, and on stacks of the host's own, such as a coroutine's. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "common.h"
#include <pthread.h>
#include <ucontext.h>

static int (*twice)(int);
static int (*add)(int, int);
static wb_instance *app;

/* Calls a callback that only computes, and one that calls C, from at least so many bytes further down. The answer is 0 if all is well. */
static int from_below(size_t bytes) {
    volatile char room[1024];
    room[0] = 1;
    if (bytes > sizeof room)
        return from_below(bytes - sizeof room) + room[0] - 1;
    return (twice(21) != 42) + (add(40, 2) != 42);
}

/* If nothing has been refused, `why` stays what it was. */
static void deep_and_shallow(wb_refusal expected) {
    static const size_t places[] = {0, 3 << 20, 0, 200 << 10, 400 << 10, 2 << 20, 300 << 10, 1};
    wb_refusal why;
    size_t i;
    int round;
    for (round = 0; round < 3; round++)
        for (i = 0; i < sizeof places / sizeof *places; i++)
            CHECK(from_below(places[i]) == 0);
    OK(wb_callback_last_refusal((wb_fn)twice, &why));
    CHECK(why == expected);
}

/* What the app calls: calls back from 2 MiB below it for 0, and on another stack for 1. */
static __thread ucontext_t here, there;
static int answer;

static void on_other_stack(void) { answer = twice(4); }

static void switch_to(char *stack, size_t bytes, void (*function)(void)) {
    CHECK(getcontext(&there) == 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = bytes;
    there.uc_link = &here;
    makecontext(&there, function, 0);
    CHECK(swapcontext(&here, &there) == 0);
}

static int each(int (*visit)(int), int value) {
    static char stack[256 << 10];
    if (value == 0)
        return from_below(2 << 20) == 0 ? visit(7) : -1;
    switch_to(stack, sizeof stack, on_other_stack);
    return visit(answer);
}

static void below_a_crossing(void) {
    wb_val args[2], result;
    args[0] = wb_i32(1);
    args[1] = wb_i32(0);
    OK(wb_instance_call(app, "each", args, 2, &result, 1));
    CHECK(result.of.i32 == 14);
    CHECK(from_below(0) == 0);
    /* Where the app is running, it cannot be entered on another stack: a backtrace or a collection would not find its way. */
    args[1] = wb_i32(1);
    FAILS(wb_instance_call(app, "each", args, 2, &result, 1), WB_ERROR_TRAP, "another stack than the one it is running on");
    CHECK(answer == 0);
    CHECK(from_below(0) == 0);
}

/* A thread that has its stack in the same piece of memory. */
static void *from_another_thread(void *stack) {
    switch_to((char *)stack, 64 << 10, on_other_stack);
    return NULL;
}

static volatile int results;

static void coroutine(void) { results += from_below(0); }

/* Nothing of the app runs: it goes where it is called, be the stack small, and be it above or below. */
static void coroutines(void) {
    static char in_data[64 << 10];
    char in_frame[64 << 10];
    char *on_heap = (char *)malloc(64 << 10), *beside = (char *)malloc(64 << 10), *large = (char *)malloc(1 << 20);
    pthread_t thread;
    wb_refusal why;
    int round;
    CHECK(on_heap != NULL && beside != NULL && large != NULL);
    for (round = 0; round < 50; round++) {
        switch_to(on_heap, 64 << 10, coroutine);
        CHECK(from_below(0) == 0);
        switch_to(in_data, sizeof in_data, coroutine);
        switch_to(in_frame, sizeof in_frame, coroutine);
        switch_to(large, 1 << 20, coroutine);
    }
    CHECK(results == 0);
    switch_to(on_heap, 64 << 10, coroutine);
    answer = 7;
    CHECK(pthread_create(&thread, NULL, from_another_thread, beside) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(answer == 0);
    OK(wb_callback_last_refusal((wb_fn)twice, &why));
    CHECK(why == WB_REFUSED_OTHER_THREAD);
    deep_and_shallow(WB_REFUSED_OTHER_THREAD);
    free(on_heap);
    free(beside);
    free(large);
}

/* Goes down until there is not enough left to enter, and comes up again. */
static int to_the_end(int depth) {
    volatile char room[4096];
    room[0] = 1;
    if (depth > 10000 || add(40, 2) != 42)
        return depth + room[0] - 1;
    return to_the_end(depth + 1) + room[0] - 1;
}

static void *on_a_small_stack(void *unused) {
    wb_error *error;
    int depth, round;
    (void)unused;
    OK(wb_instance_attach(app));
    for (round = 0; round < 2; round++) {
        CHECK(from_below(1) == 0);
        depth = to_the_end(0);
        /* A quarter of it is not for apps. */
        CHECK(depth > 50 && depth < 96);
        error = wb_instance_take_error(app);
        CHECK(wb_error_trap_code(error) == WB_TRAP_STACK_OVERFLOW);
        wb_error_delete(error);
    }
    return NULL;
}

int main(int argc, char **argv) {
    host h;
    wb_fn fn;
    pthread_t thread;
    pthread_attr_t attributes;
    CHECK(argc == 2);
    if (under_valgrind())
        return 0; /* It takes the stacks for one that grows by megabytes. */
    h = open_host(argv[1], "app.wbm", NULL);
    DEFINE(host_add, "int host_add(int a, int b)");
    DEFINE(each, "int each(int (*visit)(int), int value)");
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    app = h.app;
    OK(wb_callback(app, "int twice(int)", NULL, &fn));
    twice = (int (*)(int))fn;
    OK(wb_callback(app, "int add(int, int)", NULL, &fn));
    add = (int (*)(int, int))fn;

    deep_and_shallow(WB_REFUSED_NEVER);
    below_a_crossing();
    coroutines();
    below_a_crossing();

    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 512 << 10) == 0);
    CHECK(pthread_create(&thread, &attributes, on_a_small_stack, NULL) == 0 && pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
    OK(wb_instance_attach(app));
    deep_and_shallow(WB_REFUSED_PENDING);
    delete_host(h);
    return 0;
}
