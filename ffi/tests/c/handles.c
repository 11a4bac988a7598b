/* Handles that the host gives and takes, and types that are others, too. */

#include "common.h"

#include <setjmp.h>

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

static int closed[8], closed_count;

static void destroy(void *object, void *data) {
    CHECK(data == &closed);
    closed[closed_count++] = ((struct object *)object)->value;
}

/* The app gives its object up: the handle is gone with the call. */
static int last_add(struct object *o, int b) { return o->value + b; }

/* What the app still has when it goes is destroyed, the newest first. */
static void destroying(host h) {
    static struct object objects[5] = {{1}, {2}, {3}, {4}, {5}};
    wb_linker *linker;
    wb_instance *app;
    uint32_t handles[5];
    int sum;
    OK(wb_linker_new(h.engine, &linker));
    OK(wb_linker_handle_base(linker, "part", "whole"));
    OK(wb_linker_handle_destructor(linker, "whole", destroy, &closed));
    NULL_FAILS(wb_linker_handle_destructor(NULL, "whole", destroy, NULL), "linker");
    NULL_FAILS(wb_linker_handle_destructor(linker, NULL, destroy, NULL), "type");
    NULL_FAILS(wb_linker_handle_destructor(linker, "whole", NULL, NULL), "destructor");
    OK(wb_linker_define(linker, "env", "int host_add(struct whole *o[handle, scope: call], int b)", (wb_fn)last_add));
    OK(wb_linker_define(linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)host_each));
    OK(wb_linker_instantiate(linker, h.module, &app));
    for (int i = 0; i < 5; i++)
        OK(wb_handle_new(app, i == 1 ? "part" : i == 4 ? "other" : "whole", &objects[i], &handles[i]));
    OK(add(app, handles[2], &sum));
    CHECK(sum == 5);
    FAILS(add(app, handles[2], &sum), WB_ERROR_TRAP, "stale");
    OK(wb_handle_new(app, "whole", &objects[2], &handles[2]));
    OK(wb_handle_end(app, "whole", &objects[0]));
    CHECK(closed_count == 0);
    wb_instance_delete(app);
    CHECK(closed_count == 3 && closed[0] == 3 && closed[1] == 4 && closed[2] == 2);
    wb_linker_delete(linker);
}

static jmp_buf out;
static int jumps;

static int object_add(struct object *o, int b) {
    if (o == NULL)
        return -b;
    if (jumps)
        longjmp(out, 1);
    return o->value + b;
}

typedef int (*add_fn)(struct object *, int);

/* Handles of a callback's arguments end with it, also where C skips it: more often than there are generations of a handle, or slots for them. */
static void lent(host h) {
    static struct object objects[3] = {{40}, {50}, {60}};
    wb_linker *linker;
    wb_instance *app;
    wb_fn f;
    add_fn adds, nonnull;
    uint32_t handle;
    volatile int i;
    OK(wb_linker_new(h.engine, &linker));
    OK(wb_linker_define(linker, "env", "int host_add(struct object *o[handle], int b)", (wb_fn)object_add));
    OK(wb_linker_define(linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)host_each));
    OK(wb_linker_instantiate(linker, h.module, &app));
    OK(wb_callback(app, "int add(struct object *o[handle], int b)", NULL, &f));
    adds = (add_fn)f;
    OK(wb_callback(app, "int add(struct object *o[handle, nonnull], int b)", NULL, &f));
    nonnull = (add_fn)f;
    for (i = 0; i < 10000; i++)
        CHECK(adds(&objects[i % 3], i) == objects[i % 3].value + i);
    CHECK(adds(NULL, 7) == -7 && nonnull(&objects[1], 1) == 51);
    CHECK(nonnull(NULL, 7) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "`add` argument 1 (`o`): it is NULL, the prototype says [nonnull]");

    jumps = 1;
    for (i = 0; i < 10000; i++)
        if (setjmp(out) == 0) {
            adds(&objects[i % 3], 0);
            CHECK(0);
        }
    jumps = 0;
    CHECK(adds(&objects[2], 3) == 63);

    /* One that the host has given is not lent, and stays. */
    OK(wb_handle_new(app, "object", &objects[0], &handle));
    CHECK(adds(&objects[0], 1) == 41);
    {
        void *object;
        OK(wb_handle_object(app, handle, "object", &object));
        CHECK(object == &objects[0]);
    }
    OK(wb_instance_take_error(app));
    wb_instance_delete(app);
    wb_linker_delete(linker);
}

/* What an app may only read it may only pass where the prototype says `const`. */
static void rights(host h) {
    static struct object objects[3] = {{40}, {50}, {60}};
    wb_linker *changes, *reads;
    wb_instance *changer, *reader;
    wb_fn f;
    add_fn lent, lent_const;
    uint32_t handle, other, again;
    void *object;
    int sum;
    OK(wb_linker_new(h.engine, &changes));
    OK(wb_linker_new(h.engine, &reads));
    OK(wb_linker_define(changes, "env", "int host_add(struct object *o[handle], int b)", (wb_fn)object_add));
    OK(wb_linker_define(reads, "env", "int host_add(const struct object *o[handle], int b)", (wb_fn)object_add));
    OK(wb_linker_define(changes, "env", "int each(int (*visit)(int), int value)", (wb_fn)host_each));
    OK(wb_linker_define(reads, "env", "int each(int (*visit)(int), int value)", (wb_fn)host_each));
    FAILS(wb_linker_handle_base(changes, "const object", "thing"), WB_ERROR_INVALID_ARGUMENT, "without `const`");
    OK(wb_linker_instantiate(changes, h.module, &changer));
    OK(wb_linker_instantiate(reads, h.module, &reader));

    OK(wb_handle_new(changer, "const object", &objects[0], &handle));
    FAILS(add(changer, handle, &sum), WB_ERROR_TRAP,
          "is a `const object *`, expected `object *`: the app may only read the object");
    OK(wb_handle_object(changer, handle, "const object", &object));
    CHECK(object == &objects[0]);
    FAILS(wb_handle_object(changer, handle, "object", &object), WB_ERROR_INVALID_ARGUMENT, "may only read");
    OK(wb_handle_new(changer, "object", &objects[0], &again));
    CHECK(again == handle);
    OK(add(changer, handle, &sum));
    CHECK(sum == 42);

    /* With fewer rights, not with more. */
    OK(wb_handle_grant(changer, handle, "const object", reader, &other));
    OK(add(reader, other, &sum));
    CHECK(sum == 42);
    FAILS(wb_handle_grant(reader, other, "object", changer, &again), WB_ERROR_INVALID_ARGUMENT, "may only read");
    OK(wb_handle_new(reader, "object", &objects[1], &other));
    OK(add(reader, other, &sum));
    CHECK(sum == 52);
    OK(wb_handle_grant(reader, other, "const object", changer, &again));
    FAILS(add(changer, again, &sum), WB_ERROR_TRAP, "may only read");

    /* In callbacks: more often than it takes until nobody is asked any more. */
    OK(wb_callback(changer, "int add(const struct object *o[handle], int b)", NULL, &f));
    lent_const = (add_fn)f;
    OK(wb_callback(changer, "int add(struct object *o[handle], int b)", NULL, &f));
    lent = (add_fn)f;
    for (int i = 0; i < 5; i++) {
        CHECK(lent_const(&objects[2], i) == 0);
        FAILS(wb_instance_take_error(changer), WB_ERROR_TRAP, "may only read");
        CHECK(lent_const(&objects[0], i) == 40 + i);
        CHECK(lent(&objects[1], i) == 50 + i);
        CHECK(lent(&objects[2], i) == 60 + i);
        FAILS(add(changer, again, &sum), WB_ERROR_TRAP, "may only read");
    }
    OK(wb_handle_end(changer, "object", &objects[1]));
    FAILS(add(changer, again, &sum), WB_ERROR_TRAP, "stale");
    wb_instance_delete(reader);
    wb_instance_delete(changer);
    wb_linker_delete(reads);
    wb_linker_delete(changes);
}

int main(int argc, char **argv) {
    static struct object timer = {40}, idle = {1};
    host h;
    wb_linker *linker;
    wb_instance *app, *second;
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

    OK(wb_handle_new(app, "timer", &timer, &handle));
    OK(wb_linker_instantiate(linker, h.module, &second));
    FAILS(add(second, handle, &sum), WB_ERROR_TRAP, "handle");
    OK(wb_handle_grant(app, handle, "thing", second, &other));
    OK(add(second, other, &sum));
    CHECK(sum == 42);
    OK(wb_handle_end(app, "timer", &timer));
    FAILS(add(app, handle, &sum), WB_ERROR_TRAP, "stale");
    OK(add(second, other, &sum));
    FAILS(wb_handle_grant(app, handle, "timer", second, &other), WB_ERROR_INVALID_ARGUMENT, "stale");
    FAILS(wb_handle_grant(second, other, "idle", app, &handle), WB_ERROR_INVALID_ARGUMENT, "expected `idle *`");
    FAILS(wb_handle_grant(second, 0, "timer", app, &handle), WB_ERROR_INVALID_ARGUMENT, "NULL");
    NULL_FAILS(wb_handle_grant(NULL, other, "timer", app, &handle), "from");
    NULL_FAILS(wb_handle_grant(second, other, NULL, app, &handle), "type");
    NULL_FAILS(wb_handle_grant(second, other, "timer", NULL, &handle), "to");
    NULL_FAILS(wb_handle_grant(second, other, "timer", app, NULL), "granted");

    destroying(h);
    lent(h);
    rights(h);

    FAILS(wb_handle_new(app, "timer", NULL, &handle), WB_ERROR_INVALID_ARGUMENT, "NULL");
    NULL_FAILS(wb_handle_new(NULL, "timer", &timer, &handle), "instance");
    NULL_FAILS(wb_handle_new(app, NULL, &timer, &handle), "type");
    NULL_FAILS(wb_handle_new(app, "timer", &timer, NULL), "handle");
    NULL_FAILS(wb_handle_object(app, handle, "timer", NULL), "object");
    NULL_FAILS(wb_handle_object(NULL, handle, "timer", &object), "instance");
    NULL_FAILS(wb_handle_object(app, handle, NULL, &object), "type");
    NULL_FAILS(wb_handle_end(NULL, "timer", &timer), "instance");
    NULL_FAILS(wb_handle_end(app, NULL, &timer), "type");

    wb_instance_delete(second);
    wb_instance_delete(app);
    wb_linker_delete(linker);
    delete_host(h);
    return 0;
}
