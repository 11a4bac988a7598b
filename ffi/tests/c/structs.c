/* Structs behind pointers, which the app lays out otherwise: converted for a call, or kept by C. */

#include "common.h"
#include "apps/structs.h"

static wb_instance *app;

/* What the library is told of its own structs. */
static const struct {
    const char *name, *type;
} types[] = {
    {"point", "struct point { long x; char tag; long y; }"},
    {"item", "struct item { const char *name[str]; size_t n_values; int *values[in: n_values]; struct point where[2];"
             " unsigned kind : 3, n_points : 5; struct point *points[in: n_points]; void *user[user];"
             " const char **aliases[str: n_aliases]; int n_aliases; }"},
    {"totals", "struct totals { long values, points; char padding_before; double weight; const char *last_name[str]; }"},
    {"object", "struct object { const driver *driver[shadow]; int uses; char *error[str]; long size; }"},
    {"command", "struct command { const char **argv[str: NULL]; long priority; }"},
    {"cursor", "struct cursor { struct object *object[shadow]; long position; }"},
    {"driver", "struct driver { int version; const char *name[str];"
               " int (*create)(void *user[user], const char *text[str], struct object **object[out shadow]);"
               " int (*open)(struct object *object[shadow], struct cursor **cursor[out shadow]);"
               " long (*next)(struct cursor *cursor[shadow]);"
               " void (*close)(struct cursor *cursor[shadow, scope: call]);"
               " void (*destroy)(struct object *object[shadow, scope: call]);"
               " int (*check)(struct object *object[shadow], struct totals *totals[inout]); }"},
};

long add_up(const struct item *items, int n, struct totals *totals) {
    long sum = 0, points = 0;
    CHECK(totals->values == 0 && totals->weight == 0 && totals->last_name == NULL);
    for (int i = 0; i < n; i++) {
        for (size_t j = 0; j < items[i].n_values; j++)
            sum += items[i].values[j];
        CHECK(items[i].kind == 5 && items[i].user == (void *)(size_t)0xfedcba98u);
        CHECK(items[i].where[0].y == 0 && items[i].where[1].y == 100 + i);
        CHECK(items[i].n_aliases == 2 && strcmp(items[i].aliases[1], "three") == 0);
        for (unsigned j = 0; j < items[i].n_points; j++)
            CHECK(items[i].points[j].tag == (int)('a' + j));
        points += items[i].n_points;
        totals->last_name = items[i].name;
    }
    totals->values = sum;
    totals->points = points * 1000 + 1;
    totals->weight = 2.5;
    memset(&totals->padding_before + 1, 0x7e, sizeof(double) - 1);
    return sum + points;
}

void move(struct point *points, size_t n) {
    for (size_t i = 0; i < n; i++) {
        points[i].x += 10;
        points[i].y *= -1;
    }
}

int read_text(struct point *at, char *text, size_t len) {
    at->y = 77;
    snprintf(text, len, "at %ld", at->x);
    return (int)strlen(text);
}

static const struct driver *registered;
static void *registered_user;
static struct object *current;

int driver_register(const struct driver *driver, void *user) {
    CHECK(registered == NULL || registered == driver);
    CHECK(driver->version == 7 && strcmp(driver->name, "mine") == 0);
    registered = driver;
    registered_user = user;
    return driver->version;
}

int driver_unregister(const struct driver *driver) {
    CHECK(driver == registered && driver->version == 7);
    registered = NULL;
    return 1;
}

void object_touch(struct object *object) {
    CHECK(object == current && object->uses == 12);
    object->uses += 100;
    object->size++;
}

struct object *object_current(void) { return current; }

struct list {
    struct list *next;
    long value;
};

int node_count(void *nodes) {
    int n = 0;
    for (struct list *node = (struct list *)nodes; node; node = node->next)
        CHECK(node->value == n++);
    return n;
}

int drivers_count(const struct driver **all) {
    int n = 0;
    while (all[n] != NULL)
        CHECK(all[n++] == registered);
    return n;
}

static const char *build[] = {"make", "-j", "all", NULL}, *test[] = {"test", NULL};

int commands_fetch(struct command *into, int room, long long priority) {
    for (int i = 0; i < room; i++)
        CHECK(into[i].argv == NULL && into[i].priority == 0);
    into[0].argv = build;
    into[0].priority = 1;
    into[1].argv = test;
    into[1].priority = (long)priority;
    into[2].priority = 1L << 40;
    return 2;
}

/* The length of all words. */
long commands_run(const struct command *commands, int n) {
    long length = 0;
    for (int i = 0; i < n; i++)
        for (const char **word = commands[i].argv; *word != NULL; word++)
            length += (long)strlen(*word) * commands[i].priority;
    return length;
}

void measure(long *width, struct point *at, long long x) {
    *width = 5;
    at->x = (long)x;
    at->tag = 'm';
}

static int call_none(const char *name) {
    wb_val out = wb_i32(0);
    OK(wb_instance_call(app, name, NULL, 0, &out, 1));
    return out.of.i32;
}

static void expect_wrong(int how, const char *words) {
    wb_val in = wb_i32(how), out = wb_i32(0);
    FAILS(wb_instance_call(app, "wrong", &in, 1, &out, 1), WB_ERROR_TRAP, words);
}

/* The app calls C. */
static void calls(void) {
    CHECK(call_none("adding") == 15);
    CHECK(call_int(app, "moving", 2) == 11 * 100 - 4 * 10 + 'c');
    expect_wrong(0, "`add_up` argument 1 (`items`): 56 bytes at 0xfffffff0 are not in the app's memory");
    expect_wrong(1, "`add_up` argument 1 (`items`): member `values`: 4294967296 bytes at");
    expect_wrong(2, "`add_up` argument 1 (`items`): member `values`: NULL, with a length of 16 bytes");
    expect_wrong(3, "member `aliases`: 8 bytes at 0x7ffffff0");
    expect_wrong(4, "member `points`: 24 bytes at 0xfffff000");
    expect_wrong(5, "`add_up` argument 3 (`totals`): 32 bytes at 0xfffffff8");
    expect_wrong(6, "member `name`: 1 bytes at 0x80000000");
    expect_wrong(7, "are not in the app's memory");
    expect_wrong(8, "its length is -1");
    expect_wrong(9, "`add_up` argument 1 (`items`): element 1: member `name`: 1 bytes at 0x80000000");
    CHECK(call_none("adding") == 15);
}

/* Arrays up to a NULL in structs; and of what is written, only so much goes back as means something, or nothing. */
static void commands(void) {
    const char *one[] = {"one", NULL}, *none[] = {NULL};
    struct command two[] = {{one, 2}, {none, 3}};
    long (*run)(const struct command *, int);
    int (*make)(struct command *, int);
    wb_fn f;
    wb_val priority = wb_i64(7), out = wb_i32(0);
    OK(wb_instance_call(app, "fetching", &priority, 1, &out, 1));
    CHECK(out.of.i32 == 9 * 1 + 4 * 7);
    priority = wb_i64(1L << 40);
    FAILS(wb_instance_call(app, "fetching", &priority, 1, &out, 1), WB_ERROR_TRAP,
          "`commands_fetch` argument 1 (`into`): element 1: member `priority`: 1099511627776 does not fit");
    CHECK(call_none("untouched") == 1);
    FAILS(wb_instance_call(app, "measuring", &priority, 1, NULL, 0), WB_ERROR_TRAP,
          "`measure` argument 2 (`at`): member `x`: 1099511627776 does not fit");
    CHECK(call_none("untouched") == 1);
    priority = wb_i64(-3);
    OK(wb_instance_call(app, "measuring", &priority, 1, NULL, 0));
    CHECK(call_none("untouched") == 0);

    OK(wb_callback(app, "long running(const command *commands[in: n], int n)", NULL, &f));
    run = (long (*)(const struct command *, int))f;
    CHECK(run(two, 2) == 3 * 2);
    OK(wb_instance_take_error(app));
    /* Nobody would know how long C needs the app's words. */
    OK(wb_callback(app, "int making(command *into[out: n, valid: return], int n)", NULL, &f));
    make = (int (*)(struct command *, int))f;
    CHECK(make(two, 2) == 0 && two[0].argv == one && two[0].priority == 2);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP,
          "`making` argument 1 (`into`): element 0: member `argv`: the app cannot give C a new array here");
}

/* C calls the app. */
static void callbacks(void) {
    long (*summing)(const struct item *, int, struct totals *);
    void (*moved)(struct point *, int);
    int (*texting)(struct point *, char *, size_t);
    wb_fn f;
    int values[] = {5, 6};
    char text[16];
    struct point points[] = {{7, 'x', 8}, {9, 'y', 10}, {11, 'w', 12}}, big = {1L << 40, 'x', 0};
    const char *aliases[] = {"ab", "cde"};
    struct item items[2];
    struct totals totals;
    memset(items, 0, sizeof items);
    for (int i = 0; i < 2; i++) {
        items[i].name = "an item of C's";
        items[i].n_values = 2;
        items[i].values = values;
        items[i].n_points = i;
        items[i].points = points;
        items[i].aliases = aliases;
        items[i].n_aliases = 2;
        items[i].where[1].y = 1000;
    }
    OK(wb_callback(app, "long summing(const item *items[in: n], int n, totals *out[out])", NULL, &f));
    summing = (long (*)(const struct item *, int, struct totals *))f;
    memset(&totals, 0x55, sizeof totals);
    CHECK(summing(items, 2, &totals) == 2 * (11 + 5 + 1000) + 7);
    OK(wb_instance_take_error(app));
    CHECK(totals.values == 2039 && totals.points == -1 && totals.weight == 0.5);
    CHECK(memchr(&totals.padding_before, 0x55, 8) == &totals.padding_before);
    CHECK((&totals.padding_before)[1] == 0);

    OK(wb_callback(app, "void moved(point *at[inout: n], int n)", NULL, &f));
    moved = (void (*)(struct point *, int))f;
    (&points[1].tag)[1] = 0x33;
    moved(points, 3);
    OK(wb_instance_take_error(app));
    CHECK(points[0].x == 8 && points[0].tag == 'z' && points[0].y == 8 && points[2].x == 12);
    CHECK(points[1].x == 9 && points[1].tag == 'y' && (&points[1].tag)[1] == 0x33);
    moved(&big, 1);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "`moved` argument 1 (`at`): member `x`: 1099511627776 does not fit");
    CHECK(big.x == 1L << 40 && big.tag == 'x');

    OK(wb_callback(app, "int texting(point *at[inout], char *text[in: len], size_t len)", NULL, &f));
    texting = (int (*)(struct point *, char *, size_t))f;
    memset(text, 0, sizeof text);
    CHECK(texting(points, text, sizeof text) == 4);
    OK(wb_instance_take_error(app));
    CHECK(points[0].y == 77);
}

/* C keeps structs of the app's. */
static void kept(void) {
    struct object *object = NULL, *other = NULL;
    struct cursor *cursor = NULL;
    struct totals totals;
    const struct driver *d;
    CHECK(call_int(app, "registering", 0) == 7);
    d = registered;
    CHECK(d != NULL && d->check != NULL);
    CHECK(call_int(app, "registering", 0) == 7 && registered == d);
    CHECK(call_none("counting") == 2);
    CHECK(d->create(registered_user, "fail", &other) == 1 && other == NULL);
    CHECK(d->create(registered_user, "four", &object) == 0 && object->size == 40 && object->uses == 0);
    object->driver = d;
    object->uses++;
    CHECK(d->open(object, &cursor) == 0 && cursor != NULL && cursor->object == NULL);
    cursor->object = object;
    for (int i = 0; i < 4; i++) {
        CHECK(d->next(cursor) == 4000 + i);
        cursor->position++;
    }
    CHECK(object->error == NULL);
    CHECK(d->next(cursor) == -1 && strcmp(object->error, "at the end") == 0 && object->size == 42);
    object->error = NULL;
    object->size = 40;
    object->uses++;
    d->close(cursor);
    OK(wb_instance_take_error(app));
    CHECK(call_none("live_objects") == 1);
    d->next(cursor);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "argument 1 (`cursor`): C's `cursor` stands for none of this app's");

    memset(&totals, 0, sizeof totals);
    totals.values = -7;
    totals.last_name = "from C";
    current = object;
    CHECK(d->check(object, &totals) == 0);
    OK(wb_instance_take_error(app));
    CHECK(totals.points == -14 && strcmp(totals.last_name, "from the app") == 0 && object->uses == 112);
    d->destroy(object);
    OK(wb_instance_take_error(app));
    CHECK(call_none("live_objects") == 0);

    CHECK(call_int(app, "registering", 1) == 1);
    CHECK(registered == NULL);
    /* Registered anew it lives to the end of the app, and beyond: C still has it. */
    CHECK(call_int(app, "registering", 0) == 7);

    CHECK(call_int(app, "listing", 20) == 20);
    {
        wb_val in = wb_i32(100000), out = wb_i32(0);
        FAILS(wb_instance_call(app, "listing", &in, 1, &out, 1), WB_ERROR_TRAP, "more than 64 structs");
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *prototype;
        wb_fn function;
    } imports[] = {
        {"long add_up(const item *items[in: n], int n, totals *totals[out])", (wb_fn)add_up},
        {"void move(point *points[inout: n], size_t n)", (wb_fn)move},
        {"int read_text(point *at[inout], char *text[out: len], size_t len)", (wb_fn)read_text},
        {"int driver_register(const driver *driver[shadow, scope: until driver_unregister], void *user[user])",
         (wb_fn)driver_register},
        {"int driver_unregister(const driver *driver[shadow])", (wb_fn)driver_unregister},
        {"void object_touch(object *object[shadow])", (wb_fn)object_touch},
        {"object *object_current(void) [shadow]", (wb_fn)object_current},
        {"int node_count(struct node { struct node *next[shadow]; long value; } *nodes[shadow, scope: call])",
         (wb_fn)node_count},
        {"int drivers_count(const driver **all[in shadow: NULL])", (wb_fn)drivers_count},
        {"int commands_fetch(command *into[out: room, valid: return], int room, long long priority)", (wb_fn)commands_fetch},
        {"long commands_run(const command *commands[in: n], int n)", (wb_fn)commands_run},
        {"void measure(long *width[out], point *at[out], long long x)", (wb_fn)measure},
    };
    char path[4096];
    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    CHECK(argc == 2);
    snprintf(path, sizeof path, "%s/structs.wbm", argv[1]);
    OK(wb_engine_new(NULL, &engine));
    OK(wb_module_open(engine, path, &module));
    OK(wb_linker_new(engine, &linker));
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        OK(wb_linker_typedef(linker, types[i].name, types[i].type));
    for (size_t i = 0; i < sizeof imports / sizeof imports[0]; i++)
        OK(wb_linker_define(linker, "env", imports[i].prototype, imports[i].function));
    OK(wb_linker_instantiate(linker, module, &app));
    calls();
    callbacks();
    commands();
    kept();
    wb_instance_delete(app);
    /* The library still has the driver. */
    CHECK(registered->version == 7 && registered->next(NULL) == 0);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
