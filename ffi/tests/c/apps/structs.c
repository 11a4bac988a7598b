/* The app of structs.c: it calls a library with structs whose layout differs here, and is called with them. */
#include "structs.h"
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

static int numbers[] = {1, 2, 3, 4};
static struct point points[] = {{1, 'a', 2}, {3, 'b', 4}, {-5, 'c', -6}};
static const char *aliases[] = {"one", "three"};
static struct totals totals;

static void set(struct item *item, int i) {
    memset(item, 0, sizeof *item);
    item->name = i ? "second" : "first";
    item->n_values = i ? 0 : 4;
    item->values = i ? NULL : numbers;
    item->where[1].y = 100 + i;
    item->kind = 5;
    item->n_points = i ? 3 : 2;
    item->points = points;
    item->user = (void *)(size_t)0xfedcba98u;
    item->aliases = aliases;
    item->n_aliases = 2;
}

long EXPORT(adding)(void) {
    struct item items[2];
    set(&items[0], 0);
    set(&items[1], 1);
    memset(&totals, 0x55, sizeof totals);
    long sum = add_up(items, 2, &totals);
    if (totals.values != 10 || totals.points != 5 * 1000 + 1 || totals.weight != 2.5 || strcmp(totals.last_name, "second"))
        return -1;
    for (size_t i = offsetof(struct totals, padding_before) + 1; i < offsetof(struct totals, weight); i++)
        if (((char *)&totals)[i] != 0)
            return -2;
    return sum;
}

long EXPORT(moving)(int n) {
    move(points, n);
    return points[0].x * 100 + points[1].y * 10 + points[2].tag;
}

/* Which way the library is called wrongly. */
int EXPORT(wrong)(int how) {
    struct item item;
    set(&item, 0);
    switch (how) {
    case 0: return (int)add_up((struct item *)0xfffffff0u, 1, &totals);
    case 1: item.n_values = 0x40000000; return (int)add_up(&item, 1, &totals);
    case 2: item.values = NULL; return (int)add_up(&item, 1, &totals);
    case 3: item.aliases = (const char **)0x7ffffff0; return (int)add_up(&item, 1, &totals);
    case 4: item.points = (struct point *)0xfffff000u; return (int)add_up(&item, 1, &totals);
    case 5: return (int)add_up(&item, 1, (struct totals *)0xfffffff8u);
    case 6: item.name = (const char *)0x80000000u; return (int)add_up(&item, 1, &totals);
    case 7: return (int)add_up(&item, 0x7fffffff, &totals);
    case 8: return (int)add_up(&item, -1, &totals);
    case 9: {
        struct item items[] = {item, item};
        items[1].name = (const char *)0x80000000u;
        return (int)add_up(items, 2, &totals);
    }
    default: return 0;
    }
}

/* An app's own object, around what the library knows of it. */
struct my_object {
    struct object base;
    long secret;
};

struct my_cursor {
    struct cursor base;
    long secret, left;
};

static int live, the_user;
static struct my_object *last;

static int create(void *user, const char *text, struct object **object) {
    if (user != &the_user || strcmp(text, "fail") == 0)
        return 1;
    struct my_object *mine = calloc(1, sizeof *mine);
    mine->secret = (long)strlen(text);
    mine->base.size = 40;
    *object = &mine->base;
    last = mine;
    live++;
    return 0;
}

static int open_cursor(struct object *object, struct cursor **cursor) {
    struct my_object *mine = (struct my_object *)object;
    struct my_cursor *made = calloc(1, sizeof *made);
    made->secret = mine->secret * 1000;
    made->left = mine->secret;
    *cursor = &made->base;
    live++;
    return mine->base.uses == 1 ? 0 : 2;
}

/* The library has set `object`, and moves the position by one. */
static long next(struct cursor *cursor) {
    struct my_cursor *mine = (struct my_cursor *)cursor;
    struct my_object *object = (struct my_object *)cursor->object;
    if (object != last || cursor->position + mine->left != object->secret)
        __builtin_trap();
    if (mine->left == 0) {
        object->base.error = "at the end";
        object->base.size += 2;
        return -1;
    }
    mine->left--;
    return mine->secret + cursor->position;
}

static void close_cursor(struct cursor *cursor) {
    live--;
    memset(cursor, 0x7f, sizeof(struct my_cursor));
    free(cursor);
}

static void destroy(struct object *object) {
    live--;
    memset(object, 0x7f, sizeof(struct my_object));
    free(object);
}

static const struct driver driver;

static int check(struct object *object, struct totals *in_out) {
    if (object->driver != &driver || strcmp(in_out->last_name, "from C") || in_out->values != -7)
        return 1;
    in_out->points = in_out->values * 2;
    in_out->last_name = "from the app";
    if (object_current() != object)
        return 2;
    object->uses += 10;
    object_touch(object);
    return object->uses == 112 && object->size == 41 ? 0 : 3;
}

static const struct driver driver = {7, "mine", create, open_cursor, next, close_cursor, destroy, check};

int EXPORT(registering)(int how) {
    return how ? driver_unregister(&driver) : driver_register(&driver, &the_user);
}

int EXPORT(counting)(void) {
    const struct driver *all[] = {&driver, &driver, NULL};
    return drivers_count(all);
}

int EXPORT(live_objects)(void) { return live; }

/* For the host, as a callback: what C passes. */
long EXPORT(summing)(const struct item *items, int n, struct totals *out) {
    long sum = 0;
    for (int i = 0; i < n; i++) {
        for (size_t j = 0; j < items[i].n_values; j++)
            sum += items[i].values[j];
        for (unsigned j = 0; j < items[i].n_points; j++)
            sum += items[i].points[j].x;
        for (int j = 0; j < items[i].n_aliases; j++)
            sum += (long)strlen(items[i].aliases[j]);
        sum += items[i].where[1].y;
    }
    memset(out, 0x55, sizeof *out);
    out->values = sum;
    out->points = -1;
    out->weight = 0.5;
    out->last_name = items[n - 1].name;
    return sum;
}

void EXPORT(moved)(struct point *at, int n) {
    for (int i = 0; i < n; i += 2)
        at[i].x += 1, at[i].tag = 'z';
}

int EXPORT(texting)(struct point *at, char *text, size_t len) {
    struct point local = *at;
    int n = read_text(&local, text, len);
    at->y = local.y;
    return n;
}

static struct command fetched[3];
static long width;
static struct point place;

/* What the library writes to, before it does. */
static void fill(void) {
    memset(fetched, 0x55, sizeof fetched);
    memset(&width, 0x55, sizeof width);
    memset(&place, 0x55, sizeof place);
}

static int is_filled(const void *start, size_t len) {
    for (const char *at = start; at < (const char *)start + len; at++)
        if (*at != 0x55)
            return 0;
    return 1;
}

int EXPORT(untouched)(void) {
    return is_filled(fetched, sizeof fetched) && is_filled(&width, sizeof width) && is_filled(&place, sizeof place);
}

long EXPORT(fetching)(long long priority) {
    fill();
    int n = commands_fetch(fetched, 3, priority);
    if (n != 2 || !is_filled(&fetched[2], sizeof fetched[2]) || strcmp(fetched[0].argv[2], "all") != 0)
        return -1;
    return commands_run(fetched, n);
}

void EXPORT(measuring)(long long x) {
    fill();
    measure(&width, &place, x);
    if (width != 5 || place.x != x || place.tag != 'm')
        __builtin_trap();
}

long EXPORT(running)(const struct command *commands, int n) {
    return commands_run(commands, n);
}

int EXPORT(making)(struct command *into, int n) {
    static const char *words[] = {"word", NULL};
    for (int i = 0; i < n; i++)
        into[i].argv = words, into[i].priority = 9;
    return n;
}

/* A list of `n` nodes, which the library is to keep. */
struct node {
    struct node *next;
    long value;
};

int EXPORT(listing)(int n) {
    struct node *nodes = calloc((size_t)n, sizeof *nodes);
    for (int i = 0; i < n; i++)
        nodes[i].next = i + 1 < n ? &nodes[i + 1] : NULL, nodes[i].value = i;
    return node_count(nodes);
}
