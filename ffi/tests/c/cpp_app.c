/* An app in C++ that throws and catches, also what a C function throws to it. */

#include "common.h"

static wb_instance *app;
static wb_tag *tag;

/* Throws what the app's C++ throws. */
static int host_divide(int a, int b) {
    if (b == 13) {
        wb_val object = wb_i32(4096);
        OK(wb_instance_throw(app, tag, &object, 1));
        return 0;
    }
    return a / b;
}

static int call_two(const char *name, int a, int b) {
    wb_val args[2], result;
    args[0] = wb_i32(a);
    args[1] = wb_i32(b);
    OK(wb_instance_call(app, name, args, 2, &result, 1));
    return result.of.i32;
}

static int destroyed(void) {
    wb_val result;
    OK(wb_instance_call(app, "destroyed", NULL, 0, &result, 1));
    return result.of.i32;
}

int main(int argc, char **argv) {
    host h;
    wb_val args[2], result;
    wb_error *error;
    int i;
    CHECK(argc == 2);
    h = open_host(argv[1], "throwing.wbm", NULL);
    DEFINE(host_divide, "int host_divide(int, int)");
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    app = h.app;
    OK(wb_instance_tag(app, "__cpp_exception", &tag));

    for (i = 0; i < 1000; i++) {
        CHECK(call_two("quotient", 7, 2) == 3 && destroyed() == 115 + 22);
        CHECK(call_two("quotient", 7, 0) == -1 && destroyed() == 115 + 22);
        CHECK(call_two("quotient", 1, 13) == -1 && destroyed() == 115 + 16);
        CHECK(call_two("again", 7, 0) == 7 && destroyed() == 22 + 1000);
        CHECK(call_two("again", 8, 4) == 2 && destroyed() == 23);
    }
    args[0] = wb_i32(5);
    args[1] = wb_i32(0);
    error = wb_instance_call(app, "uncaught", args, 2, &result, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNCAUGHT_EXCEPTION);
    CHECK(wb_tag_is_same(wb_error_tag(error), tag) && wb_error_value_count(error) == 1);
    CHECK(strstr(wb_error_message(error), "tag `__cpp_exception`") != NULL);
    wb_error_delete(error);
    CHECK(destroyed() == 20);
    wb_tag_delete(tag);
    delete_host(h);
    return 0;
}
