/* The app of nested.c: each function that C enters calls C again, and looks at what is its own whenever C comes back. */
#define EXPORT(name) __attribute__((export_name(#name))) name
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) name
#define WORDS 16

int IMPORT(step)(unsigned object, int level, unsigned handle, unsigned data);
int IMPORT(plain_step)(int level);

static inline __attribute__((always_inline)) void fill(volatile int *frame, int level) {
    for (int i = 0; i < WORDS; i++) frame[i] = level * 1000 + i;
}

static inline __attribute__((always_inline)) void check(const volatile int *frame, int level) {
    for (int i = 0; i < WORDS; i++)
        if (frame[i] != level * 1000 + i) __builtin_trap();
}

static inline __attribute__((always_inline)) int visit(const int *data, int n, const char *name, unsigned object, int level) {
    volatile int frame[WORDS];
    int sum, more;
    fill(frame, level);
    do {
        more = step(object, level, object, (unsigned)data);
        check(frame, level);
        sum = 0;
        for (int i = 0; i < n; i++) sum += data[i];
        for (const char *c = name; c && *c; c++) sum += *c;
    } while (more);
    return sum;
}

int EXPORT(visit_many)(const int *data, unsigned object, int level) { return visit(data, WORDS, 0, object, level); }
int EXPORT(visit_one)(const int *data, int level) { return visit(data, 1, 0, 0, level); }
int EXPORT(visit_copies)(const int *data, const char *name, unsigned object, int level) {
    return visit(data, WORDS, name, object, level);
}

/* The only call is in no loop, and nothing of it is converted. */
int EXPORT(visit_once)(int level) {
    volatile int frame[WORDS];
    int result;
    fill(frame, level);
    result = plain_step(level);
    check(frame, level);
    return result;
}

/* The same in a loop. */
int EXPORT(visit_loop)(int level) {
    volatile int frame[WORDS];
    fill(frame, level);
    while (plain_step(level)) check(frame, level);
    check(frame, level);
    return level;
}

int EXPORT(peek)(const int *address) { return *(const volatile int *)address; }

/* Where its frame would be. */
unsigned EXPORT(stack_now)(void) {
    volatile int frame[WORDS];
    fill(frame, 0);
    volatile unsigned at = (unsigned)(unsigned long)frame;
    return at;
}
