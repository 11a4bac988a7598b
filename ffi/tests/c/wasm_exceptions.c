/* Exceptions: the app's own business, until nobody catches one. */

#include "common.h"

int main(int argc, char **argv) {
    host h;
    wb_val arg, result;
    wb_error *error;
    wb_fn throw_it;
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
    delete_host(h);
    return 0;
}
