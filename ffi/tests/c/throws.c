/* C functions that throw: caught where the app says, or not at all. */

#include "common.h"
#include <pthread.h>
#include <setjmp.h>

static wb_instance *current;
static wb_tag *number, *all, *empty;
static int calls;

/* Throws `number` of -n if n is negative. */
static int minus(int n) {
    calls++;
    if (n < 0) {
        wb_val value = wb_i32(-n);
        OK(wb_instance_throw(current, number, &value, 1));
        return 12345;
    }
    return n;
}

static int object;
static void throw_all(void) {
    wb_val values[5];
    values[0] = wb_i32(-1);
    values[1] = wb_i64(INT64_MIN);
    values[2] = wb_f32(1.5f);
    values[3] = wb_f64(-2.5);
    values[4] = wb_externref(&object);
    OK(wb_instance_throw(current, all, values, 5));
}

static void throw_empty(void) { OK(wb_instance_throw(current, empty, NULL, 0)); }

/* Its argument takes more than a check. */
static int text(const char *text) { return *text == 0 ? minus(-1) : (int)strlen(text); }

/* `long` is wider than the app's: it gets copies. */
static void fill(long *v, int n) {
    v[0] = 77;
    v[1] = 78;
    minus(n);
}

typedef struct {
    double x, y;
} point_result;

static double point(int n) { return minus(n) + 0.5; }

static int many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j) {
    return minus(a) + b + c + d + e + f + g + h + i + j;
}

/* Calls a function of the app, which may call others that throw. */
static int each(int (*visit)(int), int value) { return visit(value) + 1; }

/* Calls the app, and throws on what it throws. */
static int again(int n) {
    wb_val arg = wb_i32(n), result = wb_i32(0);
    wb_error *error = wb_instance_call(current, "throws", &arg, 1, &result, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNCAUGHT_EXCEPTION);
    OK(wb_instance_throw_error(current, error));
    /* One at a time. */
    FAILS(wb_instance_throw_error(current, error), WB_ERROR_BUSY, "an error of the app is on its way");
    wb_error_delete(error);
    return 0;
}

static int leaf(int n) {
    wb_val value = wb_i32(n);
    FAILS(wb_instance_throw(current, number, &value, 1), WB_ERROR_INVALID_ARGUMENT, "`[leaf]`");
    return n;
}

/* Throws, and then thinks better of it. */
static int take_back(int n) {
    wb_val value = wb_i32(n);
    OK(wb_instance_throw(current, number, &value, 1));
    FAILS(wb_instance_take_error(current), WB_ERROR_TRAP, "tag `number` with (");
    return n;
}

/* What must not be thrown. */
static int mistakes(int n) {
    wb_engine *other;
    wb_tag *foreign;
    wb_val values[2];
    values[0] = wb_i32(n);
    values[1] = wb_i32(n);
    FAILS(wb_instance_throw(current, number, values, 2), WB_ERROR_INVALID_ARGUMENT, "cannot have the values (i32, i32)");
    FAILS(wb_instance_throw(current, number, NULL, 0), WB_ERROR_INVALID_ARGUMENT, "cannot have the values ()");
    values[0] = wb_f32(1);
    FAILS(wb_instance_throw(current, number, values, 1), WB_ERROR_INVALID_ARGUMENT, "cannot have the values (f32)");
    values[0].kind = 99;
    FAILS(wb_instance_throw(current, number, values, 1), WB_ERROR_INVALID_ARGUMENT, "value 1 is of kind 99");
    NULL_FAILS(wb_instance_throw(current, number, NULL, 1), "values");
    NULL_FAILS(wb_instance_throw(current, NULL, values, 1), "tag");
    NULL_FAILS(wb_instance_throw(NULL, number, values, 1), "instance");
    OK(wb_engine_new(NULL, &other));
    OK(wb_tag_new(other, "foreign", NULL, 0, &foreign));
    FAILS(wb_instance_throw(current, foreign, NULL, 0), WB_ERROR_INVALID_ARGUMENT, "belongs to another engine");
    wb_tag_delete(foreign);
    wb_engine_delete(other);
    return n;
}

static void *throw_elsewhere(void *unused) {
    (void)unused;
    FAILS(wb_instance_throw(current, empty, NULL, 0), WB_ERROR_BUSY, "another thread");
    return NULL;
}

static int on_another_thread(int n) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, throw_elsewhere, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return n;
}

/* Throws, and calls the app before it returns. */
static int call_after(int (*visit)(int), int value) {
    wb_val arg = wb_i32(1), result;
    OK(wb_instance_throw(current, empty, NULL, 0));
    CHECK(visit(value) == 0);
    FAILS(wb_instance_call(current, "caught", &arg, 1, &result, 1), WB_ERROR_BUSY, "tag `empty` with ()");
    return 5;
}

/* A callback further in calls a function that leaves it, and another one, by a longjmp; then it throws. */
static jmp_buf away;
static int jumps(int n) {
    if (n == 3)
        longjmp(away, 1);
    return n;
}
static int jump_and_throw(int (*visit)(int), int n) {
    if (setjmp(away) == 0)
        visit(3);
    return minus(n);
}

static host open_throws(const char *directory) {
    host h = open_host(directory, "throws.wbm", NULL);
    static const wb_valkind kinds[] = {WB_I32, WB_I64, WB_F32, WB_F64, WB_EXTERNREF};
    OK(wb_tag_new(h.engine, "number", kinds, 1, &number));
    OK(wb_tag_new(h.engine, "all", kinds, 5, &all));
    OK(wb_tag_new(h.engine, "empty", NULL, 0, &empty));
    OK(wb_linker_define_tag(h.linker, "env", "number", number));
    OK(wb_linker_define_tag(h.linker, "env", "all", all));
    OK(wb_linker_define_tag(h.linker, "env", "empty", empty));
    DEFINE(minus, "int minus(int)");
    DEFINE(throw_all, "void throw_all(void)");
    DEFINE(throw_empty, "void throw_empty(void)");
    DEFINE(text, "int text(const char *text[str])");
    DEFINE(fill, "void fill(long *v[inout: 2], int n)");
    DEFINE(point, "double point(int n)");
    DEFINE(many, "int many(int, int, int, int, int, int, int, int, int, int)");
    DEFINE(each, "int each(int (*visit)(int), int value)");
    DEFINE(again, "int again(int)");
    DEFINE(leaf, "int leaf(int) [leaf]");
    return h;
}

static void start(host *h) {
    OK(wb_linker_instantiate(h->linker, h->module, &h->app));
    current = h->app;
}

static int call_two(const char *name, int a, int b) {
    wb_val args[2], result;
    args[0] = wb_i32(a);
    args[1] = wb_i32(b);
    OK(wb_instance_call(current, name, args, 2, &result, 1));
    return result.of.i32;
}

static void expect_uncaught(const char *name, int arg, const char *words) {
    wb_val in = wb_i32(arg), out = wb_i32(0);
    wb_error *error = wb_instance_call(current, name, &in, 1, &out, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNCAUGHT_EXCEPTION);
    CHECK(wb_error_frame_count(error) >= 1);
    expect_error(error, WB_ERROR_TRAP, words, __FILE__, __LINE__);
}

static void caught(host *h) {
    wb_val results[5], arg;
    int i;
    CHECK(call_int(h->app, "caught", 5) == 5 && call_int(h->app, "caught", -5) == 1005);
    CHECK(call_int(h->app, "below", 5) == 6 && call_int(h->app, "below", -5) == -30);
    CHECK(call_two("indirect", 1, 5) == 5 && call_two("indirect", 1, -5) == 1005);
    CHECK(call_int(h->app, "catch_all", -1) == -1 && call_int(h->app, "catch_all", 1) == 1);
    CHECK(call_int(h->app, "text", 1024) == 5 && call_int(h->app, "text", 1029) == 1001);
    CHECK(call_int(h->app, "many", 1) == 55 && call_int(h->app, "many", -1) == 1001);
    OK(wb_instance_call(h->app, "empty", NULL, 0, results, 1));
    CHECK(results[0].of.i32 == 1);
    arg = wb_i32(-9);
    OK(wb_instance_call(h->app, "point", &arg, 1, results, 1));
    CHECK(results[0].of.f64 == 9);
    /* What C has written to copies is dropped. */
    CHECK(call_int(h->app, "fill", 1) == 77 && call_int(h->app, "fill", -1) == 12);
    /* In loops, a thousand times: nothing piles up. */
    arg = wb_i32(1000);
    OK(wb_instance_call(h->app, "each_time", &arg, 1, results, 1));
    CHECK(results[0].of.i64 == 500500 + 3 + 5 * 500500);
    calls = 0;
    CHECK(call_int(h->app, "until", 100) == 100 && calls == 102 * 101 / 2 - 1 + 100);
    for (i = 0; i < 100000; i++)
        CHECK(call_int(h->app, "caught", -1 - i) == 1001 + i);
    OK(wb_instance_call(h->app, "all", NULL, 0, results, 5));
    CHECK(results[0].of.i32 == -1 && results[1].of.i64 == INT64_MIN && results[2].of.f32 == 1.5f);
    CHECK(results[3].of.f64 == -2.5 && results[4].kind == WB_EXTERNREF && results[4].of.ref == &object);
    OK(wb_instance_take_error(h->app));
}

static void uncaught(host *h) {
    wb_val arg = wb_i32(-7), value = wb_i32(0);
    wb_error *error;
    wb_tag *mine;
    wb_fn callback;
    wb_callback_options options;
    OK(wb_instance_global(h->app, "sp", &value));
    CHECK(value.of.i32 == 65536);
    error = wb_instance_call(h->app, "through", &arg, 1, &value, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNCAUGHT_EXCEPTION);
    CHECK(strcmp(wb_error_message(error), "trap: unhandled exception: tag `number` with (7)") == 0);
    CHECK(strstr(wb_error_backtrace(error), "minus (native)") != NULL && strstr(wb_error_backtrace(error), "through"));
    CHECK(wb_tag_is_same(wb_error_tag(error), number) && !wb_tag_is_same(wb_error_tag(error), all));
    CHECK(wb_error_value_count(error) == 1);
    OK(wb_error_value(error, 0, &value));
    CHECK(value.kind == WB_I32 && value.of.i32 == 7);
    FAILS(wb_error_value(error, 1, &value), WB_ERROR_INVALID_ARGUMENT, "1 values, there is no number 1");
    NULL_FAILS(wb_error_value(error, 0, NULL), "value");
    wb_error_delete(error);
    expect_uncaught("wrong", -3, "tag `number` with (3)");
    expect_uncaught("rethrow", -4, "tag `number` with (4)");
    CHECK(call_int(h->app, "through", 1) == 2);

    /* Through a callback: its policy. */
    memset(&options, 0, sizeof options);
    options.default_int = -8;
    OK(wb_callback(h->app, "int through(int)", &options, &callback));
    CHECK(((int (*)(int))callback)(-6) == -8);
    FAILS(wb_instance_take_error(h->app), WB_ERROR_TRAP, "tag `number` with (6)");
    CHECK(((int (*)(int))callback)(6) == 7);

    /* The app's own. */
    OK(wb_instance_tag(h->app, "mine", &mine));
    error = wb_instance_call(h->app, "throws", &arg, 1, &value, 1);
    CHECK(wb_tag_is_same(wb_error_tag(error), mine) && !wb_tag_is_same(mine, number));
    wb_error_delete(error);
    FAILS(wb_instance_tag(h->app, "yours", &mine), WB_ERROR_NOT_FOUND, "yours");
    wb_tag_delete(mine);
    wb_tag_delete(NULL);
    CHECK(wb_error_tag(NULL) == NULL && wb_error_value_count(NULL) == 0 && wb_tag_is_same(NULL, NULL));
}

/* App, C, app, C: each goes to its own. */
static void nested(host *h) {
    CHECK(call_two("each", 2, -5) == 1006 && call_two("each", 2, 5) == 6);
    CHECK(call_int(h->app, "recurse", -5) == 1006);
    CHECK(call_int(h->app, "again", 41) == 42);
    /* It does not pass the C function in between: the callback answers with its default value, and the app is stopped. */
    {
        wb_val args[2], result;
        args[0] = wb_i32(3);
        args[1] = wb_i32(-5);
        FAILS(wb_instance_call(h->app, "each", args, 2, &result, 1), WB_ERROR_TRAP, "tag `number` with (5)");
    }
    CHECK(call_two("each", 3, 5) == 7);
    CHECK(call_int(h->app, "leaf", 9) == 9 && call_two("indirect", 4, 9) == 9 && call_two("each", 4, 9) == 10);
}

/* The same function in other places of an app. */
static void redefined(host h) {
    DEFINE(take_back, "int minus(int)");
    start(&h);
    CHECK(call_int(h.app, "caught", -5) == -5 && call_int(h.app, "below", -5) == -4);
    wb_instance_delete(h.app);
    DEFINE(mistakes, "int minus(int)");
    start(&h);
    CHECK(call_int(h.app, "caught", -5) == -5);
    wb_instance_delete(h.app);
    DEFINE(on_another_thread, "int minus(int)");
    start(&h);
    CHECK(call_int(h.app, "caught", -5) == -5);
    wb_instance_delete(h.app);
    DEFINE(minus, "int minus(int)");
    DEFINE(call_after, "int each(int (*visit)(int), int value)");
    start(&h);
    CHECK(call_two("each", 2, 1) == -1 && call_int(h.app, "caught", -5) == 1005);
    wb_instance_delete(h.app);
    DEFINE(jump_and_throw, "int each(int (*visit)(int), int value)");
    DEFINE(jumps, "int minus(int)");
    start(&h);
    CHECK(call_two("each", 3, -5) == -1 && call_two("each", 3, 5) == 5 && call_int(h.app, "caught", -5) == -5);
    wb_instance_delete(h.app);
}

/* Two apps that know nothing of each other: each catches what is thrown to it. */
static wb_instance *first, *second;
static int into_second(int n) {
    wb_val arg = wb_i32(n), result = wb_i32(0);
    wb_error *error;
    current = second;
    error = wb_instance_call(second, "through", &arg, 1, &result, 1);
    current = first;
    if (error == NULL)
        return result.of.i32;
    /* `second` is not running any more. */
    FAILS(wb_instance_throw_error(second, error), WB_ERROR_INVALID_ARGUMENT, "nobody to throw to");
    OK(wb_instance_throw_error(first, error));
    wb_error_delete(error);
    return 0;
}

/* The same below each other: what is thrown to the one that has not called innermost waits for nobody. */
static int to_first(int n) {
    wb_val value = wb_i32(n);
    FAILS(wb_instance_throw(first, number, &value, 1), WB_ERROR_INVALID_ARGUMENT, "nobody to throw to");
    return n;
}

static void two_apps(host h) {
    DEFINE(each, "int each(int (*visit)(int), int value)");
    DEFINE(minus, "int minus(int)");
    start(&h);
    second = h.app;
    DEFINE(into_second, "int minus(int)");
    start(&h);
    first = h.app;
    CHECK(call_int(first, "caught", 5) == 6 && call_int(first, "caught", -5) == 1005);
    current = first;
    CHECK(call_int(first, "below", -5) == -30);
    wb_instance_delete(second);
    DEFINE(to_first, "int minus(int)");
    start(&h);
    second = h.app;
    current = first;
    CHECK(call_int(first, "caught", 5) == 6);
    wb_instance_delete(first);
    wb_instance_delete(second);
}

int main(int argc, char **argv) {
    host h;
    wb_val value = wb_i32(1);
    CHECK(argc == 2);
    h = open_throws(argv[1]);
    start(&h);
    caught(&h);
    uncaught(&h);
    nested(&h);
    FAILS(wb_instance_throw(h.app, number, &value, 1), WB_ERROR_INVALID_ARGUMENT, "there is nobody to throw to");
    OK(wb_instance_take_error(h.app));
    wb_instance_delete(h.app);
    redefined(h);
    two_apps(h);

    NULL_FAILS(wb_tag_new(NULL, "n", NULL, 0, &number), "engine");
    NULL_FAILS(wb_tag_new(h.engine, NULL, NULL, 0, &number), "name");
    NULL_FAILS(wb_tag_new(h.engine, "n", NULL, 1, &number), "kinds");
    NULL_FAILS(wb_tag_new(h.engine, "n", NULL, 0, NULL), "tag");
    NULL_FAILS(wb_linker_define_tag(h.linker, "env", "n", NULL), "tag");
    NULL_FAILS(wb_instance_throw_error(NULL, NULL), "instance");
    {
        static const wb_valkind kinds[] = {WB_I32, 17};
        FAILS(wb_tag_new(h.engine, "n", kinds, 2, &number), WB_ERROR_INVALID_ARGUMENT, "kind 2 is 17");
    }
    wb_tag_delete(number);
    wb_tag_delete(all);
    wb_tag_delete(empty);
    h.app = NULL;
    delete_host(h);
    return 0;
}
