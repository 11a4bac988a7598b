/* What happens to C when a callback fails: by options, and by what the prototype says of a function pointer. */

#define _POSIX_C_SOURCE 200809L
#include "common.h"
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int (*int_fn)(int);

static int returned;
static int_fn visited;

static int each(int (*visit)(int), int value) {
    int result = visit(value);
    visited = visit;
    returned++;
    return result;
}

static host with(const char *directory, const char *prototype) {
    host h = new_host(directory);
    wb_instance_delete(h.app);
    OK(wb_linker_define(h.linker, "env", prototype, (wb_fn)each));
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    returned = 0;
    return h;
}

/* The app has `each` call its function `fail`, which traps. */
static void fails(host h, int expected) {
    wb_val args[2], result;
    wb_error *error;
    args[0] = wb_i32(2);
    args[1] = wb_i32(5);
    error = wb_instance_call(h.app, "each", args, 2, &result, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNREACHABLE);
    CHECK(strstr(wb_error_backtrace(error), "each (native)") != NULL);
    wb_error_delete(error);
    CHECK(returned == expected);
    OK(wb_instance_take_error(h.app));
    args[0] = wb_i32(1);
    OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
    CHECK(result.of.i32 == 10);
}

/* What a child process that does this prints to stderr, and that it is aborted. */
static void aborts(host h, const char *words) {
    char text[8192];
    size_t len = 0;
    ssize_t got;
    int out[2], status;
    pid_t child;
    CHECK(pipe(out) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        wb_val args[2], result;
        dup2(out[1], 2);
        args[0] = wb_i32(2);
        args[1] = wb_i32(5);
        wb_error_delete(wb_instance_call(h.app, "each", args, 2, &result, 1));
        _exit(0);
    }
    close(out[1]);
    while ((got = read(out[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = 0;
    close(out[0]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(text, words) != NULL && strstr(text, "inner") != NULL && strstr(text, "(native)") != NULL);
}

int main(int argc, char **argv) {
    host h;
    wb_fn f;
    wb_callback_options options;
    CHECK(argc == 2);

    h = with(argv[1], "int each(int (*visit)(int), int value)");
    fails(h, 1);
    delete_host(h);
    h = with(argv[1], "int each(int (*visit[trap: return, default: 3])(int), int value) [unwind]");
    fails(h, 1);
    delete_host(h);
    h = with(argv[1], "int each(int (*visit[trap: unwind])(int), int value) [unwind]");
    fails(h, 0);
    delete_host(h);
    h = with(argv[1], "int each(int (*visit[trap: unwind])(int), int value)");
    fails(h, 1);
    delete_host(h);
    h = with(argv[1], "int each(int (*visit[trap: abort])(int), int value)");
    aborts(h, "trap: unreachable");
    delete_host(h);

    /* By options. C that nobody has called is not skipped. */
    h = new_host(argv[1]);
    memset(&options, 0, sizeof options);
    options.on_trap = WB_ON_TRAP_UNWIND;
    options.default_int = -4;
    OK(wb_callback(h.app, "int fail(int)", &options, &f));
    CHECK(((int_fn)f)(1) == -4);
    FAILS(wb_instance_take_error(h.app), WB_ERROR_TRAP, "unreachable");
    options.on_trap = 99;
    f = NULL;
    FAILS(wb_callback(h.app, "int twice(int)", &options, &f), WB_ERROR_INVALID_ARGUMENT, "on_trap");
    CHECK(f == NULL);
    FAILS(wb_linker_define(h.linker, "env", "void f(int (*g[trap: never])(int))", (wb_fn)each), WB_ERROR_PROTOTYPE, "unwind");
    delete_host(h);

    /* The same function again is the same pointer, which ends with each call. */
    h = with(argv[1], "int each(int (*visit[scope: call])(int), int value)");
    {
        wb_val args[2], result;
        int_fn first = NULL;
        int i;
        args[0] = wb_i32(1);
        args[1] = wb_i32(5);
        for (i = 0; i < 3; i++) {
            OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
            CHECK(result.of.i32 == 10 && (first == NULL || visited == first));
            first = visited;
            CHECK(first(5) == 0);
        }
        /* Freed, it is another one. */
        OK(wb_callback_delete((wb_fn)first));
        OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
        CHECK(result.of.i32 == 10);
    }
    delete_host(h);

    /* Options hold for what the app has passed before, and stay where none are given. */
    h = with(argv[1], "int each(int (*visit)(int), int value)");
    fails(h, 1);
    memset(&options, 0, sizeof options);
    options.default_int = -9;
    OK(wb_callback_at(h.app, 2, "int fail(int)", &options, &f));
    OK(wb_callback_at(h.app, 2, "int fail(int)", NULL, &f));
    CHECK(((int_fn)f)(1) == -9);
    FAILS(wb_instance_take_error(h.app), WB_ERROR_TRAP, "unreachable");
    delete_host(h);
    return 0;
}
