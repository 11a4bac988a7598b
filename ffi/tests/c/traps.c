/* Traps: told apart, with a backtrace; of the host's calls, of callbacks, and through a C function that the app calls. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "common.h"
#include <signal.h>

/* Valgrind delivers no signal to a handler that takes an alternate stack if there is one, when there is none and the main thread's stack has to grow
 * for it. */
static void have_an_alternate_stack(void) {
    static char pages[1 << 16];
    stack_t stack;
    memset(&stack, 0, sizeof stack);
    stack.ss_sp = pages;
    stack.ss_size = sizeof pages;
    CHECK(sigaltstack(&stack, NULL) == 0);
}

static void traps(wb_instance *app, const char *name, const wb_val *args, size_t nargs, wb_trapcode code, const char *words) {
    wb_val result;
    wb_error *error = wb_instance_call(app, name, args, nargs, &result, 1);
    CHECK(error != NULL && wb_error_kind(error) == WB_ERROR_TRAP);
    if (wb_error_trap_code(error) != code || strstr(wb_error_message(error), words) == NULL) {
        fprintf(stderr, "%s: trap %d: %s\n", name, (int)wb_error_trap_code(error), wb_error_message(error));
        exit(1);
    }
    CHECK(wb_error_frame_count(error) > 0);
    wb_error_delete(error);
    /* The app goes on. */
    CHECK(call_int(app, "twice", 4) == 8);
}

int main(int argc, char **argv) {
    host h;
    wb_val args[2], result;
    wb_error *error;
    wb_frame frame;
    wb_fn fail;
    CHECK(argc == 2);
    if (under_valgrind())
        have_an_alternate_stack();
    h = new_host(argv[1]);

    args[0] = wb_i32(1);
    args[1] = wb_i32(0);
    traps(h.app, "fail", args, 1, WB_TRAP_UNREACHABLE, "unreachable");
    traps(h.app, "divide", args, 2, WB_TRAP_INTEGER_DIVIDE_BY_ZERO, "divide by zero");
    args[0] = wb_i32(-2147483647 - 1);
    args[1] = wb_i32(-1);
    traps(h.app, "divide", args, 2, WB_TRAP_INTEGER_OVERFLOW, "overflow");
    args[0] = wb_i32(-4);
    traps(h.app, "load", args, 1, WB_TRAP_MEMORY_OUT_OF_BOUNDS, "out of bounds");
    args[0] = wb_i32(0);
    traps(h.app, "indirect", args, 1, WB_TRAP_UNINITIALIZED_ELEMENT, "uninitialized");
    args[0] = wb_i32(3);
    traps(h.app, "indirect", args, 1, WB_TRAP_INDIRECT_CALL_TYPE_MISMATCH, "type mismatch");
    args[0] = wb_i32(4);
    traps(h.app, "indirect", args, 1, WB_TRAP_UNDEFINED_ELEMENT, "undefined");
    traps(h.app, "forever", NULL, 0, WB_TRAP_STACK_OVERFLOW, "stack");

    /* A backtrace, frame by frame. */
    error = wb_instance_call(h.app, "fail", args, 1, &result, 1);
    CHECK(wb_error_frame_count(error) == 2);
    OK(wb_error_frame(error, 0, &frame));
    CHECK(frame.kind == WB_FRAME_WASM && strcmp(frame.name, "inner") == 0);
    CHECK(frame.function != UINT32_MAX && frame.wasm_offset != UINT32_MAX);
    CHECK(frame.module != NULL && strcmp(frame.module, "app") == 0);
    OK(wb_error_frame(error, 1, &frame));
    CHECK(frame.kind == WB_FRAME_WASM && strcmp(frame.name, "fail") == 0);
    CHECK(strstr(wb_error_backtrace(error), "0: inner") != NULL && strstr(wb_error_backtrace(error), "1: fail") != NULL);
    FAILS(wb_error_frame(error, 2, &frame), WB_ERROR_INVALID_ARGUMENT, "2 frames");
    wb_error_delete(error);

    /* A callback that C calls: the error waits, and nothing else runs until it is taken. */
    OK(wb_callback(h.app, "int fail(int)", NULL, &fail));
    CHECK(((int (*)(int))fail)(1) == 0);
    FAILS(wb_instance_call(h.app, "nothing", NULL, 0, NULL, 0), WB_ERROR_BUSY, "take the error");
    error = wb_instance_take_error(h.app);
    CHECK(error != NULL && wb_error_frame_count(error) == 3);
    OK(wb_error_frame(error, 2, &frame));
    CHECK(frame.kind == WB_FRAME_CALLBACK && strcmp(frame.name, "fail") == 0 && frame.module == NULL);
    CHECK(frame.function == UINT32_MAX && frame.wasm_offset == UINT32_MAX);
    wb_error_delete(error);
    OK(wb_instance_take_error(h.app));

    /* A C function that the app calls and that calls the app: the trap comes out of the outer call. */
    args[0] = wb_i32(1);
    args[1] = wb_i32(20);
    OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
    CHECK(result.of.i32 == 41);
    args[0] = wb_i32(2);
    error = wb_instance_call(h.app, "each", args, 2, &result, 1);
    CHECK(error != NULL && wb_error_kind(error) == WB_ERROR_TRAP);
    CHECK(strstr(wb_error_backtrace(error), "inner") != NULL && strstr(wb_error_backtrace(error), "each") != NULL);
    wb_error_delete(error);
    OK(wb_instance_take_error(h.app));
    /* Index 3 has another type than `each` says, 0 is a null pointer, and 9 is none. */
    args[0] = wb_i32(3);
    traps(h.app, "each", args, 2, WB_TRAP_CROSSING, "each");
    args[0] = wb_i32(9);
    traps(h.app, "each", args, 2, WB_TRAP_CROSSING, "4 elements");

    delete_host(h);
    return 0;
}
