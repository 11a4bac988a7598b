/* A sensor hub: one native ring of events, which three apps read where it is, each only while the hub calls it. One of them misbehaves. */

#include "example.h"
#include "sensor-hub/events.h"

#define APPS 3
#define EVENTS 1000
#define MALICIOUS 2

typedef void (*handler)(const event *e);

static wb_instance *apps[APPS];
static handler handlers[APPS];
static event *ring;
static uint32_t sequence;

/* The next event goes into the ring, and every app is called with it. */
static void deliver(void) {
    event *e = &ring[sequence % RING];
    e->time_ns = 1000000ull * sequence;
    e->sensor = 1;
    e->sequence = sequence;
    e->x = (float)(sequence * 7919 % 1000);
    sequence++;
    for (int i = 0; i < APPS; i++)
        handlers[i](e);
}

/* What an app says of itself. */
static wb_val ask(int app, const char *question) {
    wb_val answer;
    check(wb_instance_call(apps[app], question, NULL, 0, &answer, 1));
    return answer;
}

static void misbehave(int how) {
    wb_val arg = wb_i32(how);
    check(wb_instance_call(apps[MALICIOUS], "misbehave", &arg, 1, NULL, 0));
}

static void report(const char *what, wb_error *error) {
    expect(error != NULL, "the malicious app was not stopped");
    expect(wb_error_trap_code(error) == WB_TRAP_MEMORY_OUT_OF_BOUNDS, "not the trap that was expected");
    printf("app %d %s: %s\n", MALICIOUS, what, wb_error_message(error));
    wb_error_delete(error);
}

int main(int argc, char **argv) {
    expect(argc == 2, "usage: sensor-hub APP.wbm");

    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_region *region;
    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_linker_new(engine, &linker));
    check(wb_linker_typedef(linker, "event",
                            "struct { uint64_t time_ns; uint32_t sensor; uint32_t sequence; float x, y, z; uint32_t reserved; }"));
    check(wb_region_new(RING * sizeof(event), &region));
    ring = wb_region_ptr(region);

    for (int i = 0; i < APPS; i++) {
        wb_fn callback;
        check(wb_linker_instantiate(linker, module, &apps[i]));
        /* Readable, and only in callbacks that are given a pointer into it. */
        check(wb_region_grant(region, apps[i], WB_READ | WB_IN_CALLBACKS));
        check(wb_callback(apps[i], "void on_event(const event *e[window: read])", NULL, &callback));
        handlers[i] = (handler)callback;
    }

    for (int i = 0; i < EVENTS; i++)
        deliver();
    for (int i = 0; i < APPS; i++) {
        expect(ask(i, "count").of.i32 == EVENTS, "an app has missed events");
        printf("app %d has seen %d events in place, the highest is %.0f\n", i, EVENTS, ask(i, "highest").of.f32);
    }

    misbehave(1);
    deliver();
    report("writes to an event", wb_instance_take_error(apps[MALICIOUS]));
    misbehave(2);
    deliver();
    report("reads past the end", wb_instance_take_error(apps[MALICIOUS]));
    misbehave(3);
    deliver();
    wb_val result;
    report("keeps a pointer", wb_instance_call(apps[MALICIOUS], "idle", NULL, 0, &result, 1));

    /* The hub and the others have not noticed. */
    misbehave(0);
    deliver();
    for (int i = 0; i < APPS; i++) {
        check(wb_instance_take_error(apps[i]));
        printf("app %d has seen %d events\n", i, ask(i, "count").of.i32);
    }
    for (uint32_t i = 0; i < RING; i++)
        expect(ring[i].x < 1000, "an event was changed");
    wb_window_counts counts;
    check(wb_instance_window_counts(apps[0], &counts));
    expect(counts.cached > counts.mapped, "the ring was mapped for each event anew");

    for (int i = 0; i < APPS; i++)
        wb_instance_delete(apps[i]);
    wb_region_delete(region);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
