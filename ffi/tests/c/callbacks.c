/* C functions of wasm functions: by name and by table index; defaults; refusals; after the instance. */

#include "common.h"

typedef int (*int_fn)(int);
typedef double (*double_fn)(double);

int main(int argc, char **argv) {
    host h;
    wb_fn f, same, g = NULL;
    wb_callback_options options;
    uint64_t refused = 77;
    int stack[2] = {1, 2};
    void *memory;
    wb_error *error;
    CHECK(argc == 2);
    h = new_host(argv[1]);

    OK(wb_callback(h.app, "int twice(int x)", NULL, &f));
    CHECK(((int_fn)f)(21) == 42);
    OK(wb_callback(h.app, "int twice(int)", NULL, &same));
    CHECK(f == same);
    OK(wb_callback_at(h.app, 1, "int (int)", NULL, &same));
    CHECK(f == same);
    OK(wb_callback(h.app, "signed char twice(signed char)", NULL, &g));
    CHECK(f != g && ((signed char (*)(signed char))g)(100) == -56);
    g = NULL;

    FAILS(wb_callback(h.app, "int missing(int x)", NULL, &g), WB_ERROR_NOT_FOUND, "missing");
    FAILS(wb_callback(h.app, "int memory(int x)", NULL, &g), WB_ERROR_NOT_FOUND, "memory");
    FAILS(wb_callback(h.app, "double twice(int x)", NULL, &g), WB_ERROR_LINK, "(i32) -> f64");
    FAILS(wb_callback(h.app, "float half(int x)", NULL, &g), WB_ERROR_LINK, "(f64) -> f64");
    FAILS(wb_callback(h.app, "float half(int x)", NULL, &g), WB_ERROR_LINK, "(i32) -> f32");
    FAILS(wb_callback(h.app, "int twice(int x", NULL, &g), WB_ERROR_PROTOTYPE, "expected");
    FAILS(wb_callback(h.app, "int (int x)", NULL, &g), WB_ERROR_PROTOTYPE, "name");
    FAILS(wb_callback_at(h.app, 0, "int (int)", NULL, &g), WB_ERROR_NOT_FOUND, "null");
    FAILS(wb_callback_at(h.app, 4, "int (int)", NULL, &g), WB_ERROR_NOT_FOUND, "4 elements");
    FAILS(wb_callback_at(h.app, 4000000000u, "int (int)", NULL, &g), WB_ERROR_NOT_FOUND, "4 elements");
    FAILS(wb_callback_at(h.app, 3, "int (int)", NULL, &g), WB_ERROR_LINK, "(i32, i32) -> i32");
    CHECK(g == NULL);

    /* Defaults: what the app's function would return is unknown when it traps. */
    memset(&options, 0, sizeof options);
    options.default_int = -7;
    OK(wb_callback(h.app, "int fail(int x)", &options, &f));
    FAILS(wb_callback(h.app, "double half_fails(double x)", &options, &g), WB_ERROR_INVALID_ARGUMENT, "integer");
    options.default_float = 2.5;
    FAILS(wb_callback(h.app, "double half_fails(double x)", &options, &g), WB_ERROR_INVALID_ARGUMENT, "two");
    options.default_int = 0;
    OK(wb_callback(h.app, "double half_fails(double x)", &options, &g));
    OK(wb_callback_refused(f, &refused));
    CHECK(refused == 0);
    CHECK(((int_fn)f)(1) == -7);
    CHECK(((double_fn)g)(1) == 2.5);
    OK(wb_callback_refused(f, &refused));
    CHECK(refused == 1);
    error = wb_instance_take_error(h.app);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNREACHABLE);
    wb_error_delete(error);
    CHECK(((double_fn)g)(1) == 2.5);
    FAILS(wb_instance_take_error(h.app), WB_ERROR_TRAP, "unreachable");
    OK(wb_instance_take_error(h.app));

    /* A native pointer that is not into the app's memory is refused. */
    OK(wb_callback(h.app, "int compare(const void *a, const void *b)", NULL, &f));
    OK(wb_instance_memory(h.app, &memory, NULL));
    CHECK(((int (*)(const void *, const void *))f)(memory, memory) == 0);
    OK(wb_instance_take_error(h.app));
    CHECK(((int (*)(const void *, const void *))f)(stack, stack + 1) == 0);
    error = wb_instance_take_error(h.app);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_CROSSING);
    CHECK(strstr(wb_error_message(error), "compare") != NULL);
    wb_error_delete(error);

    /* What is no callback. */
    FAILS(wb_callback_refused((wb_fn)host_add, &refused), WB_ERROR_NOT_FOUND, "not the address of a callback");
    FAILS(wb_callback_delete((wb_fn)host_add), WB_ERROR_NOT_FOUND, "not the address of a callback");
    OK(wb_callback_delete(f));
    FAILS(wb_callback_delete(f), WB_ERROR_NOT_FOUND, "not the address of a callback");
    OK(wb_callback(h.app, "int compare(const void *a, const void *b)", NULL, &f));
    CHECK(((int (*)(const void *, const void *))f)(memory, memory) == 0);

    /* When the app is gone its callbacks answer with their default values. */
    options.default_int = 5;
    options.default_float = 0;
    OK(wb_callback(h.app, "short twice(short)", &options, &g));
    delete_host(h);
    CHECK(((short (*)(short))g)(21) == 5);
    CHECK(((int (*)(const void *, const void *))f)(stack, stack) == 0);
    OK(wb_callback_refused(g, &refused));
    CHECK(refused == 1);
    OK(wb_callback_delete(g));
    return 0;
}
