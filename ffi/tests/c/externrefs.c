/* Objects of the host's as externrefs, and what hosts see of globals and tables. */

#include "common.h"

#define OBJECTS 5000

struct object {
    int value;
    int destroyed;
};

static struct object objects[OBJECTS];
static int opened, destroyed;

static struct object *open_object(int value) {
    struct object *o = &objects[opened++ % OBJECTS];
    o->value = value;
    o->destroyed = 0;
    return o;
}

static int value_of(const struct object *o) { return o == NULL ? -1 : o->value; }
static int change(struct object *o, int by) { return o->value += by; }
static int close_object(struct object *o) { return o->value; }

static void destroy(void *object, void *data) {
    CHECK(data == &destroyed && !((struct object *)object)->destroyed);
    ((struct object *)object)->destroyed = 1;
    destroyed++;
}

static wb_error *call(wb_instance *app, const char *name, int a, int b, int nargs, int *result) {
    wb_val args[2], value;
    wb_error *error;
    args[0] = wb_i32(a);
    args[1] = wb_i32(b);
    error = wb_instance_call(app, name, args, (size_t)nargs, &value, result != NULL);
    if (error == NULL && result != NULL)
        *result = value.of.i32;
    return error;
}

static wb_instance *new_app(wb_linker *linker, wb_module *module) {
    wb_instance *app;
    OK(wb_linker_instantiate(linker, module, &app));
    OK(call(app, "room", 10, 0, 1, NULL));
    return app;
}

/* An app keeps objects in a table, and each is looked at when it comes back. */
static void kept(wb_linker *linker, wb_module *module) {
    wb_instance *app = new_app(linker, module), *other = new_app(linker, module);
    wb_val ref, slot, args[2];
    void *object;
    uint32_t handle;
    int value;
    OK(call(app, "open", 1, 40, 2, NULL));
    OK(call(app, "value", 1, 0, 1, &value));
    CHECK(value == 40);
    OK(call(app, "add", 1, 2, 2, &value));
    CHECK(value == 42 && objects[0].value == 42);
    OK(call(app, "value", 2, 0, 1, &value));
    CHECK(value == -1);

    /* The host sees the same, and gives its own. */
    slot = wb_i32(1);
    OK(wb_instance_call(app, "get", &slot, 1, &ref, 1));
    CHECK(ref.kind == WB_EXTERNREF && ref.of.ref != &objects[0]);
    OK(wb_externref_object(app, &ref, "object", &object));
    CHECK(object == &objects[0]);
    FAILS(wb_externref_object(app, &ref, "other", &object), WB_ERROR_INVALID_ARGUMENT, "is a `object *`, expected `other *`");
    FAILS(wb_externref_object(other, &ref, "object", &object), WB_ERROR_INVALID_ARGUMENT, "another app");
    slot = wb_i32(3);
    FAILS(wb_externref_object(app, &slot, "object", &object), WB_ERROR_INVALID_ARGUMENT, "it is i32, expected externref");
    ref = wb_externref(&objects[0]);
    FAILS(wb_externref_object(app, &ref, "object", &object), WB_ERROR_INVALID_ARGUMENT, "stands for no object");
    ref = wb_externref(NULL);
    OK(wb_externref_object(app, &ref, "object", &object));
    CHECK(object == NULL);

    /* One object has one handle. */
    OK(wb_handle_externref(app, "object", &objects[0], &ref));
    OK(wb_handle_new(app, "object", &objects[0], &handle));
    OK(wb_instance_call(app, "get", (slot = wb_i32(1), &slot), 1, &args[1], 1));
    CHECK(args[1].of.ref == ref.of.ref);
    args[0] = wb_i32(4);
    OK(wb_instance_call(app, "put", args, 2, NULL, 0));
    OK(call(app, "value", 4, 0, 1, &value));
    CHECK(value == 42);

    /* A value that is no object; another app's; of another type; a stale one. */
    args[1] = wb_externref(&objects[0]);
    OK(wb_instance_call(app, "put", args, 2, NULL, 0));
    FAILS(call(app, "value", 4, 0, 1, &value), WB_ERROR_TRAP, "stands for no object");
    OK(wb_handle_externref(other, "object", &objects[0], &args[1]));
    OK(wb_instance_call(app, "put", args, 2, NULL, 0));
    FAILS(call(app, "value", 4, 0, 1, &value), WB_ERROR_TRAP, "of another app");
    OK(wb_handle_externref(app, "other", &destroyed, &args[1]));
    OK(wb_instance_call(app, "put", args, 2, NULL, 0));
    FAILS(call(app, "value", 4, 0, 1, &value), WB_ERROR_TRAP, "is a `other *`, expected `const object *`");
    OK(call(app, "close", 1, 0, 1, &value));
    FAILS(call(app, "value", 1, 0, 1, &value), WB_ERROR_TRAP, "stale");
    FAILS(wb_handle_externref(app, "object", NULL, &ref), WB_ERROR_INVALID_ARGUMENT, "NULL");
    OK(wb_handle_end(other, "object", &objects[0]));

    /* What may only be read. */
    OK(call(app, "open_to_read", 5, 3, 2, NULL));
    OK(call(app, "value", 5, 0, 1, &value));
    CHECK(value == 3);
    FAILS(call(app, "add", 5, 1, 2, &value), WB_ERROR_TRAP, "may only read the object");

    NULL_FAILS(wb_handle_externref(NULL, "object", &objects[0], &ref), "instance");
    NULL_FAILS(wb_handle_externref(app, NULL, &objects[0], &ref), "type");
    NULL_FAILS(wb_handle_externref(app, "object", &objects[0], NULL), "externref");
    NULL_FAILS(wb_externref_object(NULL, &ref, "object", &object), "instance");
    NULL_FAILS(wb_externref_object(app, NULL, "object", &object), "externref");
    NULL_FAILS(wb_externref_object(app, &ref, NULL, &object), "type");
    NULL_FAILS(wb_externref_object(app, &ref, "object", NULL), "object");
    wb_instance_delete(other);
    wb_instance_delete(app);
}

/* What nobody refers to any more is destroyed; what is in a table is when the app goes. */
static void collected(wb_linker *linker, wb_module *module) {
    wb_instance *app = new_app(linker, module);
    int value, first;
    uint32_t handle;
    opened = destroyed = 0;
    OK(call(app, "open", 1, 10, 2, NULL));
    OK(call(app, "open", 2, 20, 2, NULL));
    OK(call(app, "open", 3, 30, 2, NULL));
    OK(call(app, "forget", 1, 0, 1, NULL));
    /* The host has given this one as a number, too. */
    OK(wb_handle_new(app, "object", &objects[2], &handle));
    OK(call(app, "forget", 3, 0, 1, NULL));
    CHECK(destroyed == 0);
    /* The native stack may hold it by mistake: not for as long as it takes to make many. */
    OK(call(app, "waste", 3000, 0, 1, &value));
    CHECK(value == 3000);
    OK(wb_instance_collect(app));
    first = destroyed;
    CHECK(first >= 2990 && first <= 3001);
    CHECK(objects[0].destroyed && !objects[1].destroyed && !objects[2].destroyed);
    OK(call(app, "value", 2, 0, 1, &value));
    CHECK(value == 20);
    NULL_FAILS(wb_instance_collect(NULL), "instance");
    wb_instance_delete(app);
    CHECK(destroyed == 3003);
}

/* In callbacks. */
static void lent(wb_linker *linker, wb_module *module) {
    static struct object object = {5, 0};
    wb_instance *app = new_app(linker, module);
    wb_fn f;
    int (*on_object)(struct object *, int), (*ending)(struct object *, int), value;
    struct object *(*pick)(int);
    destroyed = 0;
    OK(wb_callback(app, "int on_object(struct object *o[externref], int n)", NULL, &f));
    on_object = (int (*)(struct object *, int))f;
    OK(wb_callback(app, "struct object *pick(int slot) [externref]", NULL, &f));
    pick = (struct object * (*)(int)) f;
    CHECK(on_object(&object, 0) == 5 && on_object(NULL, 0) == -1 && on_object(&object, 0) == 5);
    FAILS(call(app, "value", 0, 0, 1, &value), WB_ERROR_TRAP, "stale");
    CHECK(pick(0) == NULL);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "result: handle");
    OK(call(app, "open", 1, 6, 2, NULL));
    CHECK(pick(1) == &objects[(opened - 1) % OBJECTS] && pick(2) == NULL);
    /* One that the app has already stays, unless it is said that it ends. */
    CHECK(on_object(pick(1), 0) == 6);
    OK(call(app, "value", 0, 0, 1, &value));
    OK(wb_callback(app, "int on_object(struct object *o[externref, scope: call], int n)", NULL, &f));
    ending = (int (*)(struct object *, int))f;
    CHECK(ending(pick(1), 0) == 6);
    FAILS(call(app, "value", 1, 0, 1, &value), WB_ERROR_TRAP, "stale");
    wb_instance_delete(app);
    CHECK(destroyed == 0);
}

/* Where an externref cannot be. */
static void refused(wb_linker *linker) {
    static const char in_memory[] = "an externref cannot lie in the app's memory";
    FAILS(wb_linker_define(linker, "env", "void f(struct s { struct o *p[externref]; } *s[in])", (wb_fn)destroy),
          WB_ERROR_PROTOTYPE, in_memory);
    FAILS(wb_linker_define(linker, "env", "void f(int n, ...[varargs: struct o *p[externref]])", (wb_fn)destroy),
          WB_ERROR_PROTOTYPE, in_memory);
    FAILS(wb_linker_define(linker, "env", "void f(int n[externref])", (wb_fn)destroy), WB_ERROR_PROTOTYPE,
          "`[externref]` is for pointers");
    FAILS(wb_linker_define(linker, "env", "void f(struct o *p[externref, handle])", (wb_fn)destroy), WB_ERROR_PROTOTYPE,
          "`externref` does not go with `handle`");
    FAILS(wb_linker_define(linker, "env", "void f(struct o *p[externref, scope: once])", (wb_fn)destroy),
          WB_ERROR_PROTOTYPE, "an object ends with a call");
}

static void places(const char *directory) {
    static int objects[2];
    host h = open_host(directory, "places.wbm", NULL);
    wb_instance *app;
    wb_val value, index;
    uint64_t len;
    OK(wb_linker_instantiate(h.linker, h.module, &app));

    OK(wb_instance_global(app, "number", &value));
    CHECK(value.kind == WB_I64 && value.of.i64 == 7);
    value = wb_i64(8);
    OK(wb_instance_set_global(app, "number", &value));
    OK(wb_instance_global(app, "number", &value));
    CHECK(value.of.i64 == 8);
    FAILS(wb_instance_set_global(app, "fixed", &value), WB_ERROR_INVALID_ARGUMENT, "`fixed` is");
    value = wb_f64(2);
    FAILS(wb_instance_set_global(app, "fixed", &value), WB_ERROR_INVALID_ARGUMENT, "`fixed` is");
    FAILS(wb_instance_global(app, "function", &value), WB_ERROR_INVALID_ARGUMENT, "no kind for");
    FAILS(wb_instance_global(app, "refs", &value), WB_ERROR_NOT_FOUND, "not a global");
    value.kind = 99;
    FAILS(wb_instance_set_global(app, "ref", &value), WB_ERROR_INVALID_ARGUMENT, "kind 99");
    value = wb_externref(&objects[0]);
    OK(wb_instance_set_global(app, "ref", &value));
    OK(wb_instance_call(app, "from_global", NULL, 0, &value, 1));
    CHECK(value.of.ref == &objects[0]);

    OK(wb_instance_table_len(app, "refs", &len));
    CHECK(len == 2);
    OK(wb_instance_table_get(app, "refs", 1, &value));
    CHECK(value.kind == WB_EXTERNREF && value.of.ref == NULL);
    value = wb_externref(&objects[1]);
    OK(wb_instance_table_set(app, "refs", 1, &value));
    OK(wb_instance_call(app, "from_table", (index = wb_i32(1), &index), 1, &value, 1));
    CHECK(value.of.ref == &objects[1]);
    OK(wb_instance_table_grow(app, "refs", 3, &value, &len));
    CHECK(len == 2);
    OK(wb_instance_table_get(app, "refs", 4, &value));
    CHECK(value.of.ref == &objects[1]);
    FAILS(wb_instance_table_grow(app, "refs", 1, &value, &len), WB_ERROR_LIMIT, "cannot grow by 1");
    OK(wb_instance_table_grow(app, "refs", 0, &value, NULL));
    FAILS(wb_instance_table_get(app, "refs", 5, &value), WB_ERROR_INVALID_ARGUMENT, "none at index 5");
    FAILS(wb_instance_table_set(app, "refs", 5, &value), WB_ERROR_INVALID_ARGUMENT, "none at index 5");
    FAILS(wb_instance_table_set(app, "refs", 0, &index), WB_ERROR_INVALID_ARGUMENT, "the value is of type i32");
    FAILS(wb_instance_table_set(app, "functions", 0, &value), WB_ERROR_INVALID_ARGUMENT, "the elements of table `functions`");
    FAILS(wb_instance_table_get(app, "functions", 0, &value), WB_ERROR_INVALID_ARGUMENT, "no kind for");
    FAILS(wb_instance_table_len(app, "number", &len), WB_ERROR_NOT_FOUND, "not a table");

    NULL_FAILS(wb_instance_global(NULL, "number", &value), "instance");
    NULL_FAILS(wb_instance_global(app, NULL, &value), "name");
    NULL_FAILS(wb_instance_global(app, "number", NULL), "value");
    NULL_FAILS(wb_instance_set_global(NULL, "number", &value), "instance");
    NULL_FAILS(wb_instance_set_global(app, NULL, &value), "name");
    NULL_FAILS(wb_instance_set_global(app, "number", NULL), "value");
    NULL_FAILS(wb_instance_table_len(NULL, "refs", &len), "instance");
    NULL_FAILS(wb_instance_table_len(app, NULL, &len), "name");
    NULL_FAILS(wb_instance_table_len(app, "refs", NULL), "len");
    NULL_FAILS(wb_instance_table_get(NULL, "refs", 0, &value), "instance");
    NULL_FAILS(wb_instance_table_get(app, NULL, 0, &value), "name");
    NULL_FAILS(wb_instance_table_get(app, "refs", 0, NULL), "value");
    NULL_FAILS(wb_instance_table_set(NULL, "refs", 0, &value), "instance");
    NULL_FAILS(wb_instance_table_set(app, NULL, 0, &value), "name");
    NULL_FAILS(wb_instance_table_set(app, "refs", 0, NULL), "value");
    NULL_FAILS(wb_instance_table_grow(NULL, "refs", 0, &value, &len), "instance");
    NULL_FAILS(wb_instance_table_grow(app, NULL, 0, &value, &len), "name");
    NULL_FAILS(wb_instance_table_grow(app, "refs", 0, NULL, &len), "value");
    wb_instance_delete(app);
    delete_host(h);
}

static int number_of(int n) { return n; }

int main(int argc, char **argv) {
    host h;
    CHECK(argc == 2);
    h = open_host(argv[1], "externrefs.wbm", NULL);
    OK(wb_linker_handle_destructor(h.linker, "object", destroy, &destroyed));
    refused(h.linker);
    DEFINE(open_object, "struct object *open_object(int value) [externref]");
    DEFINE(open_object, "const struct object *read_only(int value) [externref]");
    DEFINE(value_of, "int value_of(const struct object *o[externref])");
    DEFINE(change, "int change(struct object *o[externref, nonnull], int by)");
    DEFINE(close_object, "int close_object(struct object *o[externref, scope: call])");
    DEFINE(number_of, "int number_of(int n)");
    kept(h.linker, h.module);
    collected(h.linker, h.module);
    lent(h.linker, h.module);
    places(argv[1]);
    delete_host(h);
    return 0;
}
