/* Handles that the host gives and takes, and types that are others, too. */

#include "common.h"

struct object {
    int value;
};

/* What the app calls as `host_add`: for it the first parameter is a number. */
static int timer_add(struct object *timer, int b) { return timer->value + b; }

static wb_error *add(wb_instance *app, uint32_t handle, int *result) {
    wb_val args[2], sum;
    wb_error *error;
    args[0] = wb_i32((int)handle);
    args[1] = wb_i32(2);
    error = wb_instance_call(app, "add", args, 2, &sum, 1);
    if (error == NULL)
        *result = sum.of.i32;
    return error;
}

int main(int argc, char **argv) {
    static struct object timer = {40}, idle = {1};
    host h;
    wb_linker *linker;
    wb_instance *app;
    uint32_t handle = 0, other = 0;
    void *object;
    int sum = 0;
    CHECK(argc == 2);
    h = new_host(argv[1]);

    OK(wb_linker_new(h.engine, &linker));
    OK(wb_linker_handle_base(linker, "timer", "thing"));
    OK(wb_linker_handle_base(linker, "idle", "thing"));
    FAILS(wb_linker_handle_base(linker, "thing", "idle"), WB_ERROR_INVALID_ARGUMENT, "each would be the other");
    FAILS(wb_linker_handle_base(linker, "idle", "timer"), WB_ERROR_INVALID_ARGUMENT, "one base");
    NULL_FAILS(wb_linker_handle_base(linker, NULL, "thing"), "derived");
    NULL_FAILS(wb_linker_handle_base(linker, "timer", NULL), "base");
    OK(wb_linker_define(linker, "env", "int host_add(struct timer *t[handle], int b)", (wb_fn)timer_add));
    OK(wb_linker_define(linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)host_each));
    OK(wb_linker_instantiate(linker, h.module, &app));

    OK(wb_handle_new(app, "timer", &timer, &handle));
    OK(add(app, handle, &sum));
    CHECK(sum == 42);
    OK(wb_handle_new(app, "thing", &timer, &other));
    CHECK(other == handle);
    OK(wb_handle_new(app, "idle", &idle, &other));
    CHECK(other != handle);
    FAILS(add(app, other, &sum), WB_ERROR_TRAP, "is a `idle *`, expected `timer *`");

    OK(wb_handle_object(app, other, "thing", &object));
    CHECK(object == &idle);
    OK(wb_handle_object(app, 0, "thing", &object));
    CHECK(object == NULL);
    FAILS(wb_handle_object(app, other, "timer", &object), WB_ERROR_INVALID_ARGUMENT, "expected `timer *`");
    FAILS(wb_handle_object(app, 0x12345678, "timer", &object), WB_ERROR_INVALID_ARGUMENT, "handle");

    OK(wb_handle_end(app, "thing", &timer));
    FAILS(add(app, handle, &sum), WB_ERROR_TRAP, "stale");
    OK(wb_handle_end(app, "thing", &timer));
    OK(wb_handle_end(app, "thing", NULL));

    FAILS(wb_handle_new(app, "timer", NULL, &handle), WB_ERROR_INVALID_ARGUMENT, "NULL");
    NULL_FAILS(wb_handle_new(NULL, "timer", &timer, &handle), "instance");
    NULL_FAILS(wb_handle_new(app, NULL, &timer, &handle), "type");
    NULL_FAILS(wb_handle_new(app, "timer", &timer, NULL), "handle");
    NULL_FAILS(wb_handle_object(app, handle, "timer", NULL), "object");
    NULL_FAILS(wb_handle_object(NULL, handle, "timer", &object), "instance");
    NULL_FAILS(wb_handle_object(app, handle, NULL, &object), "type");
    NULL_FAILS(wb_handle_end(NULL, "timer", &timer), "instance");
    NULL_FAILS(wb_handle_end(app, NULL, &timer), "type");

    wb_instance_delete(app);
    wb_linker_delete(linker);
    delete_host(h);
    return 0;
}
