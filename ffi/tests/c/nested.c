/* Calls from the app to C to the app and so on, of all kinds, out of which C jumps at random, over several of them at once: whoever is still there finds its data,
 * its handle and its own stack, and what was jumped over is gone as soon as C has come back to the app. */

#include "common.h"
#include <setjmp.h>

#define LEVELS 7
#define WORDS 16
#define REGIONS 3
#define PAGE 4096

struct object {
    int value;
};

static wb_instance *app;
static wb_region *regions[REGIONS];
static struct object objects[LEVELS + 1];

static int (*visit_many)(const int *, struct object *, int);
static int (*visit_one)(const int *, int);
static int (*visit_copies)(const int *, const char *, struct object *, int);
static int (*visit_once)(int);
static int (*visit_loop)(int);
static int (*peek)(unsigned);
static unsigned (*stack_now)(void);

/* How the app was entered. */
enum kind { MANY, ONE, COPIES, ONCE, LOOP, CALL, KINDS };

/* Level 0 is C's own; at level n, n functions of the app wait for C. */
static struct {
    enum kind kind;
    /* the app's own stack, where C has it */
    unsigned stack;
    /* what the app was lent */
    uint32_t handle;
    /* the region it was shown, or -1 */
    int region;
    /* whether a jump may come back here */
    int is_target;
    jmp_buf target;
    /* whether what was jumped over may still be there */
    int is_dirty;
} levels[LEVELS + 1];

static unsigned now;
static unsigned long jumps, checks;

static unsigned below(unsigned limit) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % limit;
}

/* Writes over the stack that a jump has left, so that nothing there can be relied on. */
static void scribble(void) {
    volatile char bytes[4096];
    size_t i;
    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)0xa5;
}

/* All that must be so at this level when C has been called anew. */
static void check(void) {
    unsigned level, region, frames = 2;
    void *object;
    checks++;
    CHECK(stack_now() == levels[now].stack);
    for (level = 1; level <= now; level++) {
        frames += levels[level].kind == CALL ? 2 : 3;
        if (levels[level].handle != 0) {
            OK(wb_handle_object(app, levels[level].handle, "object", &object));
            CHECK(object == &objects[level]);
        }
    }
    for (; level <= LEVELS; level++) {
        if (levels[level].handle != 0)
            FAILS(wb_handle_object(app, levels[level].handle, "object", &object), WB_ERROR_INVALID_ARGUMENT, "stale");
        levels[level].handle = 0;
    }
    /* What is open is what those have been shown that have not returned. */
    for (region = 0; region < REGIONS; region++) {
        unsigned address = (unsigned)wb_region_guest_addr(regions[region]);
        int is_open = 0;
        for (level = 1; level <= now; level++)
            is_open |= levels[level].region == (int)region;
        if (is_open) {
            CHECK(peek(address) == *(int *)wb_region_ptr(regions[region]));
        } else {
            wb_error *error;
            CHECK(peek(address) == 0);
            error = wb_instance_take_error(app);
            CHECK(error != NULL && strstr(wb_error_message(error), "open only in callbacks"));
            if (wb_error_frame_count(error) != frames)
                fprintf(stderr, "%s, expected %u frames\n", wb_error_backtrace(error), frames);
            CHECK(wb_error_frame_count(error) == frames);
            wb_error_delete(error);
        }
    }
    CHECK(stack_now() == levels[now].stack);
}

static int sum_of(const int *data, int n) {
    int i, sum = 0;
    for (i = 0; i < n; i++)
        sum += data[i];
    return sum;
}

/* Enters the app, one level further in. */
static void enter(void) {
    unsigned level = now, next = now + 1;
    enum kind kind = (enum kind)below(KINDS);
    int region = (int)below(REGIONS), is_target = levels[level].is_target, i;
    const int *data = (const int *)wb_region_ptr(regions[region]) + below(PAGE / sizeof *data - WORDS);
    int local[WORDS];
    char name[20];
    unsigned targets[LEVELS + 1];
    levels[next].kind = kind;
    levels[next].handle = 0;
    levels[next].region = kind == MANY || kind == ONE ? region : -1;
    levels[next].is_target = 0;
    levels[next].is_dirty = 0;
    levels[next].stack = 0;
    switch (kind) {
    case MANY:
        CHECK(visit_many(data, &objects[next], (int)next) == sum_of(data, WORDS));
        break;
    case ONE:
        CHECK(visit_one(data, (int)next) == data[0]);
        break;
    case COPIES:
        for (i = 0; i < WORDS; i++)
            local[i] = (int)below(1000);
        snprintf(name, sizeof name, "%c%c", 'a' + (int)below(26), 'a' + (int)below(26));
        CHECK(visit_copies(local, name, &objects[next], (int)next) == sum_of(local, WORDS) + name[0] + name[1]);
        break;
    case ONCE:
        CHECK(visit_once((int)next) == 0);
        break;
    case LOOP:
        CHECK(visit_loop((int)next) == (int)next);
        break;
    default:
        /* A call of this API is not jumped over. */
        for (i = 0; i <= LEVELS; i++) {
            targets[i] = (unsigned)levels[i].is_target;
            levels[i].is_target = 0;
        }
        CHECK(call_int(app, "visit_loop", (int)next) == (int)next);
        for (i = 0; i <= LEVELS; i++)
            levels[i].is_target = (int)targets[i];
        break;
    }
    CHECK(now == next);
    now = level;
    levels[now].is_target = is_target;
}

/* The same, with a place that C further in may jump to. */
static void enter_as_target(void) {
    volatile unsigned level = now;
    volatile int was = levels[now].is_target;
    jmp_buf outer;
    memcpy(&outer, &levels[level].target, sizeof outer);
    levels[level].is_target = 1;
    if (setjmp(levels[level].target) == 0) {
        enter();
    } else {
        now = level;
        levels[level].is_dirty = 1;
        if (below(2))
            scribble();
    }
    levels[level].is_target = was;
    memcpy(&levels[level].target, &outer, sizeof outer);
}

/* What C does at a level: it may not return. */
static void act(void) {
    unsigned actions = below(now == 0 ? 6 : 4), target;
    if (!levels[now].is_dirty)
        check();
    while (actions-- > 0) {
        switch (below(4)) {
        case 0:
            if (now < LEVELS)
                enter();
            break;
        case 1:
        case 2:
            if (now < LEVELS)
                enter_as_target();
            break;
        default:
            target = below(LEVELS);
            if (target < now && levels[target].is_target) {
                jumps++;
                longjmp(levels[target].target, 1);
            }
            break;
        }
    }
}

/* The app is there again, and all that C has jumped over is not. */
static void arrive(int level) {
    now = (unsigned)level;
    levels[now].is_dirty = 0;
    if (levels[now].stack == 0)
        levels[now].stack = stack_now();
}

static int step(struct object *object, int level, unsigned handle, unsigned data) {
    arrive(level);
    CHECK(object == (levels[now].kind == MANY || levels[now].kind == COPIES ? &objects[now] : NULL));
    levels[now].handle = handle;
    if (levels[now].region >= 0)
        CHECK(data - (unsigned)wb_region_guest_addr(regions[levels[now].region]) < PAGE);
    act();
    return below(3) == 0;
}

static int plain_step(int level) {
    arrive(level);
    act();
    return levels[level].kind != ONCE && below(3) == 0;
}

int main(int argc, char **argv) {
    host h;
    wb_fn fns[7];
    wb_val result;
    int round, rounds = under_valgrind() ? 100 : 2000, i, k;
    CHECK(argc == 2);
    h = open_host(argv[1], "nested.wbm", NULL);
    DEFINE(step, "int step(struct object *o[handle], int level, unsigned handle, unsigned data)");
    DEFINE(plain_step, "int plain_step(int level)");
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    app = h.app;
    OK(wb_callback(app, "int visit_many(const int *data[window: read, in: 16], struct object *o[handle], int level)", NULL, &fns[0]));
    OK(wb_callback(app, "int visit_one(const int *data[window: read], int level)", NULL, &fns[1]));
    OK(wb_callback(app, "int visit_copies(const int *data[in: 16], const char *name[str], struct object *o[handle], int level)", NULL,
                   &fns[2]));
    OK(wb_callback(app, "int visit_once(int level)", NULL, &fns[3]));
    OK(wb_callback(app, "int visit_loop(int level)", NULL, &fns[4]));
    OK(wb_callback(app, "int peek(unsigned address)", NULL, &fns[5]));
    OK(wb_callback(app, "unsigned stack_now(void)", NULL, &fns[6]));
    visit_many = (int (*)(const int *, struct object *, int))fns[0];
    visit_one = (int (*)(const int *, int))fns[1];
    visit_copies = (int (*)(const int *, const char *, struct object *, int))fns[2];
    visit_once = (int (*)(int))fns[3];
    visit_loop = (int (*)(int))fns[4];
    peek = (int (*)(unsigned))fns[5];
    stack_now = (unsigned (*)(void))fns[6];
    for (i = 0; i < REGIONS; i++) {
        OK(wb_region_new(PAGE, &regions[i]));
        OK(wb_region_grant(regions[i], app, WB_READ | WB_IN_CALLBACKS));
        for (k = 0; k < PAGE / 4; k++)
            ((int *)wb_region_ptr(regions[i]))[k] = i * PAGE + k + 1;
    }
    levels[0].stack = stack_now();

    for (round = 0; round < rounds; round++) {
        act();
        CHECK(now == 0);
        /* The host's own call puts right what a jump out of all of the app has left. */
        if (levels[0].is_dirty && below(2)) {
            scribble();
            OK(wb_instance_call(app, "stack_now", NULL, 0, &result, 1));
            CHECK((unsigned)result.of.i32 == levels[0].stack);
            levels[0].is_dirty = 0;
        }
    }
    CHECK(jumps > (unsigned)rounds / 10 && checks > (unsigned)rounds);

    for (i = 0; i < REGIONS; i++)
        wb_region_delete(regions[i]);
    delete_host(h);
    return 0;
}
