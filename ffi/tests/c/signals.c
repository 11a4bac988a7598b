/* A callback in a signal handler, wherever that has interrupted the app, C below it, or the library: one that only computes gives what it gives otherwise, and disturbs nobody. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "common.h"
#include <signal.h>
#include <sys/time.h>

static int (*volatile twice)(int);
static volatile sig_atomic_t signals, wrong;

static void on_alarm(int signal) {
    (void)signal;
    signals++;
    if (twice(signals) != 2 * signals)
        wrong++;
}

static void ticks(int microseconds) {
    struct itimerval timer;
    timer.it_interval.tv_sec = timer.it_value.tv_sec = 0;
    timer.it_interval.tv_usec = timer.it_value.tv_usec = microseconds;
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static int is_sorted(const int *numbers, int count) {
    int i;
    for (i = 1; i < count; i++)
        if (numbers[i - 1] > numbers[i])
            return 0;
    return 1;
}

int main(int argc, char **argv) {
    enum { COUNT = 1000 };
    host h;
    wb_fn fn, compare, add_up;
    wb_val args[2], result;
    struct sigaction action;
    uint64_t refused;
    int *numbers, i, round, enough = under_valgrind() ? 50 : 2000;
    CHECK(argc == 2);
    h = new_host(argv[1]);
    OK(wb_callback(h.app, "int twice(int)", NULL, &fn));
    twice = (int (*)(int))fn;
    OK(wb_callback(h.app, "int compare(const void *, const void *)", NULL, &compare));
    OK(wb_callback(h.app, "int add_up(int n, int times)", NULL, &add_up));
    OK(wb_native_ptr(h.app, 4096, COUNT * sizeof *numbers, (void **)&numbers));

    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    action.sa_flags = SA_RESTART;
    CHECK(sigemptyset(&action.sa_mask) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    ticks(200);
    for (round = 0; round < 20 || (signals < enough && round < 100000); round++) {
        /* C, which calls the app. */
        for (i = 0; i < COUNT; i++)
            numbers[i] = (i * 7919 + round) % COUNT;
        qsort(numbers, COUNT, sizeof *numbers, (int (*)(const void *, const void *))compare);
        CHECK(is_sorted(numbers, COUNT));
        /* The app, which calls C, with and without a loop. */
        CHECK(((int (*)(int, int))add_up)(3, 2000) == 6000);
        args[0] = wb_i32(round);
        args[1] = wb_i32(2);
        OK(wb_instance_call(h.app, "add", args, 2, &result, 1));
        CHECK(result.of.i32 == round + 2);
        /* C, which calls the app, which calls C. */
        args[0] = wb_i32(1);
        args[1] = wb_i32(round);
        OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
        CHECK(result.of.i32 == 2 * round + 1);
        /* The library itself, and its locks. */
        CHECK(call_int(h.app, "grow", 0) >= 2);
        OK(wb_callback(h.app, round % 2 ? "int load(int)" : "int grow(int)", NULL, &fn));
        if (round % 16 == 0)
            raise(SIGALRM);
    }
    ticks(0);
    CHECK(signals > 0 && wrong == 0);
    OK(wb_instance_take_error(h.app));
    OK(wb_callback_refused((wb_fn)twice, &refused));
    CHECK(refused == 0);
    delete_host(h);
    return 0;
}
