/* Values of every kind go to the app and come back; wrong ones are refused. */

#include "common.h"

static wb_val call(wb_instance *app, const char *name, wb_val arg) {
    wb_val result;
    OK(wb_instance_call(app, name, &arg, 1, &result, 1));
    CHECK(result.kind == arg.kind);
    return result;
}

int main(int argc, char **argv) {
    host h;
    int object;
    wb_val args[2], results[2];
    CHECK(argc == 2);
    h = new_host(argv[1]);
    CHECK(strcmp(wb_version(), WB_VERSION) == 0);

    CHECK(call(h.app, "echo_i32", wb_i32(-2147483647 - 1)).of.i32 == -2147483647 - 1);
    CHECK(call(h.app, "echo_i64", wb_i64(-5000000000)).of.i64 == -5000000000);
    CHECK(call(h.app, "echo_f32", wb_f32(1.5f)).of.f32 == 1.5f);
    CHECK(call(h.app, "echo_f64", wb_f64(-0.1)).of.f64 == -0.1);
    CHECK(call(h.app, "echo_externref", wb_externref(&object)).of.ref == &object);
    CHECK(call(h.app, "echo_externref", wb_externref(NULL)).of.ref == NULL);

    args[0] = wb_i32(1);
    args[1] = wb_i64(2);
    OK(wb_instance_call(h.app, "swap", args, 2, results, 2));
    CHECK(results[0].kind == WB_I64 && results[0].of.i64 == 2 && results[1].kind == WB_I32 && results[1].of.i32 == 1);

    results[0] = wb_i32(99);
    FAILS(wb_instance_call(h.app, "missing", NULL, 0, NULL, 0), WB_ERROR_NOT_FOUND, "missing");
    FAILS(wb_instance_call(h.app, "memory", NULL, 0, NULL, 0), WB_ERROR_NOT_FOUND, "memory");
    FAILS(wb_instance_call(h.app, "swap", args, 1, results, 2), WB_ERROR_INVALID_ARGUMENT, "2 arguments, 1 given");
    FAILS(wb_instance_call(h.app, "swap", args, 2, results, 1), WB_ERROR_INVALID_ARGUMENT, "2 results");
    FAILS(wb_instance_call(h.app, "nothing", NULL, 0, results, 1), WB_ERROR_INVALID_ARGUMENT, "0 results");
    FAILS(wb_instance_call(h.app, "echo_f64", args, 1, results, 1), WB_ERROR_INVALID_ARGUMENT, "f64");
    FAILS(wb_instance_call(h.app, "function", NULL, 0, results, 1), WB_ERROR_INVALID_ARGUMENT, "funcref");
    args[0].kind = 17;
    FAILS(wb_instance_call(h.app, "echo_i32", args, 1, results, 1), WB_ERROR_INVALID_ARGUMENT, "kind 17");
    FAILS(wb_instance_call(h.app, "\xff", NULL, 0, NULL, 0), WB_ERROR_INVALID_ARGUMENT, "UTF-8");
    CHECK(results[0].kind == WB_I32 && results[0].of.i32 == 99);

    OK(wb_instance_call(h.app, "initialized", NULL, 0, results, 1));
    CHECK(results[0].of.i32 == 1);

    delete_host(h);
    return 0;
}
