/* C jumps over frames of the app, as Lua, libpng and libjpeg do with their errors. */

#include "common.h"
#include <setjmp.h>

static jmp_buf target;
static int (*framed)(int);
static int leave_always;

/* What the app calls: jumps over it for a positive number. For 0, it has the app call C again, below a place to jump to, and then
 * goes on with the app as if nothing had happened. */
static int leave(int (*visit)(int), int value) {
    if (value > 0 || leave_always)
        longjmp(target, 1);
    if (value == 0) {
        if (setjmp(target) == 0) {
            framed(7);
            return -1;
        }
        return visit(21);
    }
    return visit(value);
}

static int stack_pointer(wb_instance *app) {
    wb_val out;
    OK(wb_instance_call(app, "stack_pointer", NULL, 0, &out, 1));
    return out.of.i32;
}

/* Writes over the stack that a jump has left, so that nothing there can be relied on. */
static void scribble(void) {
    volatile char bytes[4096];
    size_t i;
    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)0xa5;
}

static int (*add_up)(int, int);

/* The same for what the app calls in a loop: for 0, the app is jumped over and called again, each time more of it. */
static int add_or_leave(int sum, int n) {
    volatile int left = 3;
    if (n > 0)
        longjmp(target, 1);
    if (n < 0)
        return sum - n;
    if (setjmp(target) == 0) {
        add_up(1, 1);
        return -1;
    }
    scribble();
    if (--left > 0) {
        add_up(1, 1);
        return -2;
    }
    return sum + add_up(-2, 3);
}

/* Over functions that call C in a loop. */
static void loops(wb_instance *app) {
    wb_val args[2], result;
    wb_fn fn;
    volatile int round;
    OK(wb_callback(app, "int add_up(int n, int times)", NULL, &fn));
    add_up = (int (*)(int, int))fn;
    for (round = 0; round < 100000; round++) {
        if (setjmp(target) == 0) {
            add_up(1, 2);
            CHECK(0);
        }
        if (round % 1000 == 0)
            scribble();
    }
    CHECK(stack_pointer(app) == 65536);
    CHECK(add_up(-3, 5) == 15);
    args[0] = wb_i32(0);
    args[1] = wb_i32(4);
    for (round = 0; round < 1000; round++) {
        OK(wb_instance_call(app, "add_up", args, 2, &result, 1));
        CHECK(result.of.i32 == 4 * 6);
        CHECK(add_up(0, 2) == 2 * 6);
    }
    CHECK(stack_pointer(app) == 65536);
}

/* Out of a callback that is shown a region: whoever comes next does not find it open, unless he is shown it himself. */
static void shown(wb_instance *app) {
    wb_region *region;
    wb_fn fns[3];
    wb_val at, result;
    wb_error *error;
    const int *ints;
    volatile int round;
    OK(wb_region_new(4096, &region));
    OK(wb_region_grant(region, app, WB_READ | WB_IN_CALLBACKS));
    OK(wb_callback(app, "int framed(const int *p[window: read])", NULL, &fns[0]));
    OK(wb_callback(app, "int load(const int *p[window: read])", NULL, &fns[1]));
    OK(wb_callback(app, "int load(unsigned at)", NULL, &fns[2]));
    ints = (const int *)wb_region_ptr(region);
    *(int *)wb_region_ptr(region) = 77;
    at = wb_i32((int32_t)wb_region_guest_addr(region));
    leave_always = 1;
    for (round = 0; round < 1000; round++) {
        /* Sometimes it finds it open itself, from the callback before. */
        if (round & 4)
            CHECK(((int (*)(const int *))fns[1])(ints) == 77);
        if (setjmp(target) == 0) {
            ((int (*)(const int *))fns[0])(ints);
            CHECK(0);
        }
        if (round & 8)
            scribble();
        switch (round & 3) {
        case 0:
            CHECK(((int (*)(unsigned))fns[2])((unsigned)at.of.i32) == 0);
            error = wb_instance_take_error(app);
            CHECK(error != NULL && strstr(wb_error_message(error), "open only in callbacks"));
            wb_error_delete(error);
            break;
        case 1:
            FAILS(wb_instance_call(app, "load", &at, 1, &result, 1), WB_ERROR_TRAP, "open only in callbacks");
            break;
        case 2:
            CHECK(((int (*)(const int *))fns[1])(ints) == 77);
            break;
        default:
            break;
        }
        CHECK(stack_pointer(app) == 65536);
    }
    leave_always = 0;
    FAILS(wb_instance_call(app, "load", &at, 1, &result, 1), WB_ERROR_TRAP, "open only in callbacks");
    wb_region_delete(region);
}

int main(int argc, char **argv) {
    host h;
    wb_fn fn;
    wb_val args[2], result;
    wb_error *error;
    volatile int round;
    CHECK(argc == 2);
    h = new_host(argv[1]);
    wb_instance_delete(h.app);
    OK(wb_linker_define(h.linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)leave));
    OK(wb_linker_define(h.linker, "env", "int host_add(int sum, int n)", (wb_fn)add_or_leave));
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    OK(wb_callback(h.app, "int framed(int)", NULL, &fn));
    framed = (int (*)(int))fn;

    /* Out of a callback, again and again: the app's stack would be used up if it were not put back. */
    for (round = 0; round < 100000; round++) {
        if (setjmp(target) == 0) {
            framed(1);
            CHECK(0);
        }
        if (round % 1000 == 0)
            scribble();
    }
    CHECK(framed(-4) == -8);
    CHECK(stack_pointer(h.app) == 65536);

    /* Below a call of the app that is still running: it goes on, on its own stack. */
    args[0] = wb_i32(1);
    args[1] = wb_i32(0);
    for (round = 0; round < 1000; round++) {
        OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
        CHECK(result.of.i32 == 42);
    }
    CHECK(framed(0) == 42);
    CHECK(stack_pointer(h.app) == 65536);

    /* A trap after jumps finds its way. */
    if (setjmp(target) == 0)
        framed(1);
    scribble();
    error = wb_instance_call(h.app, "fail", args, 1, &result, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNREACHABLE);
    CHECK(wb_error_frame_count(error) == 2);
    wb_error_delete(error);
    CHECK(stack_pointer(h.app) == 65536);
    loops(h.app);
    shown(h.app);

    delete_host(h);
    return 0;
}
