/* A library, as the host has it and as the app is written against it. */
#ifndef STRUCTS_H
#define STRUCTS_H

#include <stddef.h>

struct point {
    long x;
    char tag;
    long y;
};

struct item {
    const char *name;
    size_t n_values;
    int *values;
    struct point where[2];
    unsigned kind : 3, n_points : 5;
    struct point *points;
    void *user;
    const char **aliases;
    int n_aliases;
};

/* Two sums, and what is read of the items. */
struct totals {
    long values, points;
    char padding_before;
    double weight;
    const char *last_name;
};

long add_up(const struct item *items, int n, struct totals *totals);
void move(struct point *points, size_t n);
int read_text(struct point *at, char *text, size_t len);

/* A driver, which the library keeps, and objects that the app makes of a base that the library knows. */
struct driver;

struct object {
    const struct driver *driver;
    int uses;
    char *error;
    long size;
};

struct cursor {
    struct object *object;
    long position;
};

struct driver {
    int version;
    const char *name;
    int (*create)(void *user, const char *text, struct object **object);
    int (*open)(struct object *object, struct cursor **cursor);
    long (*next)(struct cursor *cursor);
    void (*close)(struct cursor *cursor);
    void (*destroy)(struct object *object);
    int (*check)(struct object *object, struct totals *totals);
};

int driver_register(const struct driver *driver, void *user);
int driver_unregister(const struct driver *driver);
void object_touch(struct object *object);
struct object *object_current(void);
int node_count(void *nodes);
int drivers_count(const struct driver **all);

/* A command: words up to a NULL. */
struct command {
    const char **argv;
    long priority;
};

/* Writes at most `room` of two commands, and says how many. */
int commands_fetch(struct command *into, int room, long long priority);
long commands_run(const struct command *commands, int n);
void measure(long *width, struct point *at, long long x);

#endif
