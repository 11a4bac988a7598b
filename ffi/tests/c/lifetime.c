/* How long callbacks last: freed inside themselves and inside others, made inside others, called while the app is instantiated and after it is gone;
 * a thousand calls deep; traps in the middle of a sort at depth. */

#include "common.h"

typedef int (*int_fn)(int);

static host h;
static wb_fn current, other;
static int deepest;

/* Frees the callback that is calling it, through the app. */
static int free_it(int (*visit)(int), int value) {
    (void)visit;
    OK(wb_callback_delete(current));
    FAILS(wb_callback_delete(current), WB_ERROR_NOT_FOUND, "not the address of a callback");
    return value + 1;
}

/* Makes one inside of another, calls it, and frees that which waits. */
static int make_another(int (*visit)(int), int value) {
    (void)visit;
    OK(wb_callback(h.app, "long twice(long)", NULL, &other));
    CHECK(((long (*)(long))other)(value) == 2L * value);
    OK(wb_callback_delete(current));
    return value;
}

/* The app, C, the app, C ... */
static int deeper(int (*visit)(int), int value) {
    if (deepest < value)
        deepest = value;
    if (value == 1000)
        return visit(value);
    return ((int_fn)current)(value + 1) + 1;
}

/* As `deeper`, and traps at the bottom. */
static int deeper_and_fail(int (*visit)(int), int value) {
    wb_val arg = wb_i32(1), result;
    (void)visit;
    if (value < 50)
        return ((int_fn)current)(value + 1);
    /* A trap in a call of the host's own ends that call, and nothing else. */
    FAILS(wb_instance_call(h.app, "fail", &arg, 1, &result, 1), WB_ERROR_TRAP, "unreachable");
    return ((int_fn)other)(1);
}

static int fails_now;

/* Sorts with a comparator of the app's, which reads outside of memory after some calls. */
static int sort(int (*visit)(int), int value) {
    int *numbers, i, compared;
    wb_fn compare;
    (void)visit;
    OK(wb_callback(h.app, "int compare(const void *, const void *)", NULL, &compare));
    OK(wb_native_ptr(h.app, 4096, 64 * sizeof(int), (void **)&numbers));
    for (i = 0; i < 64; i++)
        numbers[i] = (i * 37) % 64;
    qsort(numbers, 64, sizeof(int), (int (*)(const void *, const void *))compare);
    if (!fails_now) {
        for (i = 0; i < 64; i++)
            CHECK(numbers[i] == i);
        return value;
    }
    /* One comparison of a pointer that is not the app's: the rest of the sort gets the default. */
    compared = ((int (*)(const void *, const void *))compare)(&i, &i);
    CHECK(compared == 0);
    qsort(numbers, 64, sizeof(int), (int (*)(const void *, const void *))compare);
    return value;
}

/* Thirty calls deep, sorts with a comparator that traps in the middle if it has been given too little fuel. */
static int fuel;

static int sort_deep(int (*visit)(int), int value) {
    int *numbers, i;
    wb_fn compare;
    (void)visit;
    if (value < 30)
        return ((int_fn)current)(value + 1);
    CHECK(call_int(h.app, "fuel", fuel) == fuel);
    OK(wb_callback(h.app, "int compare_fuelled(const void *, const void *)", NULL, &compare));
    OK(wb_native_ptr(h.app, 4096, 64 * sizeof(int), (void **)&numbers));
    for (i = 0; i < 64; i++)
        numbers[i] = (i * 37) % 64;
    qsort(numbers, 64, sizeof(int), (int (*)(const void *, const void *))compare);
    for (i = 1; i < 64; i++)
        if (numbers[i - 1] > numbers[i])
            return -1;
    return value;
}

/* What an app calls while it is instantiated. */
static int_fn kept;
static int start_fails;

static int while_starting(int (*visit)(int), int value) {
    int result;
    kept = visit;
    if (value == 5 && !start_fails)
        return 1000;
    result = visit(value);
    CHECK(value != 5 || result == 0);
    return result + 100;
}

static void starts(const char *directory) {
    char path[4096];
    wb_module *module;
    wb_instance *app = NULL;
    wb_refusal why;
    snprintf(path, sizeof path, "%s/starting.wbm", directory);
    OK(wb_module_open(h.engine, path, &module));
    OK(wb_linker_define(h.linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)while_starting));
    start_fails = 0;
    OK(wb_linker_instantiate(h.linker, module, &app));
    CHECK(call_int(app, "seen", 0) == 42 + 100 + 1000);
    wb_instance_delete(app);
    app = NULL;
    /* One that traps ends the instantiation where C comes back; what C keeps of it answers with the default. */
    start_fails = 1;
    FAILS(wb_linker_instantiate(h.linker, module, &app), WB_ERROR_TRAP, "unreachable");
    CHECK(app == NULL && kept(7) == 0);
    OK(wb_callback_last_refusal((wb_fn)kept, &why));
    CHECK(why == WB_REFUSED_GONE);
    wb_module_delete(module);
}

static void with(int (*each)(int (*)(int), int)) {
    wb_instance_delete(h.app);
    OK(wb_linker_define(h.linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)each));
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    OK(wb_callback(h.app, "int framed(int)", NULL, &current));
}

int main(int argc, char **argv) {
    wb_callback_options options;
    wb_val args[2], result;
    wb_error *error;
    uint64_t refused;
    int i, copy;
    CHECK(argc == 2);
    h = new_host(argv[1]);

    /* Freed inside itself: the call that is running goes on to its end. */
    for (i = 0; i < 100; i++) {
        with(free_it);
        CHECK(((int_fn)current)(7) == 8);
        FAILS(wb_callback_refused(current, &refused), WB_ERROR_NOT_FOUND, "not the address of a callback");
    }
    /* Made inside another, which is freed while it waits. */
    for (i = 0; i < 100; i++) {
        with(make_another);
        CHECK(((int_fn)current)(9) == 9);
        CHECK(((long (*)(long))other)(4) == 8);
        OK(wb_callback_delete(other));
        FAILS(wb_callback_delete(other), WB_ERROR_NOT_FOUND, "not the address of a callback");
    }
    OK(wb_callback_delete(NULL));
    NULL_FAILS(wb_callback_refused(current, NULL), "count");

    /* A thousand deep, from C and from the host's call. */
    with(deeper);
    CHECK(((int_fn)current)(1) == 2000 + 999);
    CHECK(deepest == 1000);
    args[0] = wb_i32(1);
    args[1] = wb_i32(1);
    OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
    CHECK(result.of.i32 == 2000 + 999);

    /* A trap at depth surfaces in the outermost call, and what C gets on the way is the default. */
    with(deeper_and_fail);
    memset(&options, 0, sizeof options);
    options.default_int = -9;
    OK(wb_callback(h.app, "int fail(int)", &options, &other));
    error = wb_instance_call(h.app, "each", args, 2, &result, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNREACHABLE);
    CHECK(wb_error_frame_count(error) > 100);
    wb_error_delete(error);
    OK(wb_instance_take_error(h.app));
    OK(wb_callback_refused(other, &refused));
    CHECK(refused == 1);
    CHECK(call_int(h.app, "twice", 4) == 8);

    /* In the middle of a sort below the app. */
    with(sort);
    args[1] = wb_i32(5);
    OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
    CHECK(result.of.i32 == 5);
    fails_now = 1;
    FAILS(wb_instance_call(h.app, "each", args, 2, &result, 1), WB_ERROR_TRAP, "not into the app's memory");
    fails_now = 0;
    OK(wb_instance_call(h.app, "each", args, 2, &result, 1));

    /* A trap in the middle of a sort, thirty calls deep: C and the app alternate, and each C function comes back with the default before the app is stopped. */
    with(sort_deep);
    args[1] = wb_i32(1);
    fuel = 40;
    error = wb_instance_call(h.app, "each", args, 2, &result, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNREACHABLE);
    CHECK(wb_error_frame_count(error) > 60 && strstr(wb_error_backtrace(error), "compare_fuelled") != NULL);
    wb_error_delete(error);
    fuel = 1000;
    OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
    CHECK(result.of.i32 == 30);

    starts(argv[1]);

    /* After the app is gone: the default, counted, as often as C likes. */
    with(deeper);
    options.default_int = 5;
    OK(wb_callback(h.app, "short twice(short)", &options, &other));
    delete_host(h);
    for (i = 1; i <= 1000; i++) {
        copy = ((short (*)(short))other)(21);
        CHECK(copy == 5);
        OK(wb_callback_refused(other, &refused));
        CHECK(refused == (uint64_t)i);
    }
    CHECK(((int_fn)current)(1) == 0);
    OK(wb_callback_delete(other));
    FAILS(wb_callback_delete(other), WB_ERROR_NOT_FOUND, "not the address of a callback");
    OK(wb_callback_delete(current));
    return 0;
}
