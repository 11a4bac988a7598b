/* What apps import: prototypes that do not parse or do not fit, type names, other instances. */

#include "common.h"

static unsigned twice_u8(unsigned char x) { return 2u * x; }

int main(int argc, char **argv) {
    host h;
    wb_linker *linker;
    wb_instance *app = NULL;
    wb_val args[2], result;
    CHECK(argc == 2);
    h = new_host(argv[1]);

    OK(wb_linker_new(h.engine, &linker));
    FAILS(wb_linker_instantiate(linker, h.module, &app), WB_ERROR_LINK, "host_add");
    FAILS(wb_linker_define(linker, "env", "int host_add(int a, int", (wb_fn)host_add), WB_ERROR_PROTOTYPE, "expected");
    FAILS(wb_linker_define(linker, "env", "", (wb_fn)host_add), WB_ERROR_PROTOTYPE, "");
    FAILS(wb_linker_define(linker, "env", "int (int)", (wb_fn)host_add), WB_ERROR_PROTOTYPE, "name");
    FAILS(wb_linker_define(linker, "env", "int f(my_int a)", (wb_fn)host_add), WB_ERROR_PROTOTYPE, "my_int");
    FAILS(wb_linker_typedef(linker, "t", "unsigned float"), WB_ERROR_PROTOTYPE, "");
    FAILS(wb_linker_typedef(linker, "2t", "int"), WB_ERROR_PROTOTYPE, "2t");

    /* The wrong type, and then the right one instead: the last definition counts. */
    OK(wb_linker_define(linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)host_each));
    OK(wb_linker_define(linker, "env", "double host_add(int a, int b)", (wb_fn)host_add));
    FAILS(wb_linker_instantiate(linker, h.module, &app), WB_ERROR_LINK, "(i32, i32) -> i32");
    FAILS(wb_linker_instantiate(linker, h.module, &app), WB_ERROR_LINK, "(i32, i32) -> f64");
    CHECK(app == NULL);
    OK(wb_linker_typedef(linker, "my_int", "int"));
    OK(wb_linker_define(linker, "env", "my_int host_add(my_int a, my_int b)", (wb_fn)host_add));
    OK(wb_linker_define(linker, "other", "unsigned twice(uint8_t x)", (wb_fn)twice_u8));
    OK(wb_linker_instantiate(linker, h.module, &app));
    args[0] = wb_i32(40);
    args[1] = wb_i32(2);
    OK(wb_instance_call(app, "add", args, 2, &result, 1));
    CHECK(result.of.i32 == 42);
    wb_instance_delete(app);

    wb_linker_delete(linker);

    /* An instance's exports as imports: its `each` needs no bridge. */
    OK(wb_linker_new(h.engine, &linker));
    OK(wb_linker_define(linker, "env", "int host_add(int a, int b)", (wb_fn)host_add));
    OK(wb_linker_define_instance(linker, "env", h.app));
    OK(wb_linker_instantiate(linker, h.module, &app));
    wb_instance_delete(h.app);
    args[0] = wb_i32(1);
    args[1] = wb_i32(20);
    OK(wb_instance_call(app, "each", args, 2, &result, 1));
    CHECK(result.of.i32 == 41);

    h.app = app;
    wb_linker_delete(linker);
    delete_host(h);
    return 0;
}
