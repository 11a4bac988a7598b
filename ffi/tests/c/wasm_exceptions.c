/* Exceptions: the app's own business, until nobody catches one; and how much the app may collect. */

#include "common.h"

int main(int argc, char **argv) {
    host h;
    wb_val arg, result;
    wb_error *error;
    wb_fn throw_it;
    wb_config config;
    int i;
    CHECK(argc == 2);
    h = new_host(argv[1]);

    CHECK(call_int(h.app, "catch", 0) == 1);
    CHECK(call_int(h.app, "catch", 77) == 77);

    /* An uncaught one is an error with the tag and the values. */
    arg = wb_i32(-5);
    error = wb_instance_call(h.app, "throw", &arg, 1, &result, 1);
    CHECK(error != NULL && wb_error_kind(error) == WB_ERROR_TRAP);
    CHECK(wb_error_trap_code(error) == WB_TRAP_UNCAUGHT_EXCEPTION);
    CHECK(strcmp(wb_error_message(error), "trap: unhandled exception: tag `refused` with (-5, 1.5)") == 0);
    CHECK(wb_error_frame_count(error) == 1);
    wb_error_delete(error);
    CHECK(call_int(h.app, "throw", 0) == 1);

    /* It does not pass C: a callback answers with its default value, and the error waits for the host. */
    OK(wb_callback(h.app, "int throw(int)", NULL, &throw_it));
    CHECK(((int (*)(int))throw_it)(9) == 0);
    FAILS(wb_instance_take_error(h.app), WB_ERROR_TRAP, "tag `refused` with (9, 1.5)");
    CHECK(((int (*)(int))throw_it)(0) == 1);
    OK(wb_instance_take_error(h.app));

    /* What is an object of the app's cannot be given to C. */
    arg = wb_i32(1);
    FAILS(wb_instance_call(h.app, "wrap", &arg, 1, &result, 1), WB_ERROR_INVALID_ARGUMENT, "an object of the app's");

    /* A megabyte of objects, if the host wants no more. */
    CHECK(call_int(h.app, "allocate", 2 << 20) == 2 << 20);
    delete_host(h);
    memset(&config, 0, sizeof config);
    config.gc_heap_bytes = 1 << 20;
    h = new_host_with(argv[1], &config);
    for (i = 0; i < 100; i++)
        CHECK(call_int(h.app, "allocate", 100000) == 100000);
    arg = wb_i32(2 << 20);
    error = wb_instance_call(h.app, "allocate", &arg, 1, &result, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_ALLOCATION_TOO_LARGE);
    wb_error_delete(error);
    CHECK(call_int(h.app, "allocate", 7) == 7);
    delete_host(h);
    return 0;
}
