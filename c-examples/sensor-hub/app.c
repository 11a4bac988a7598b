/* A sensor app: it looks at events where the hub has them. Told to misbehave, it does. */

#include "events.h"

static int mischief;
static uint32_t count;
static float highest;
static const event *kept;

__attribute__((export_name("misbehave"))) void misbehave(int how) { mischief = how; }
__attribute__((export_name("count"))) uint32_t seen(void) { return count; }
__attribute__((export_name("highest"))) float highest_seen(void) { return highest; }

__attribute__((export_name("on_event"))) void on_event(const event *e) {
    if (mischief == 1)
        ((event *)e)->x = 1e9f;
    if (mischief == 2) {
        const volatile event *all = e;
        for (uint32_t i = 0;; i++)
            highest = all[i].x;
    }
    kept = e;
    count++;
    if (e->x > highest)
        highest = e->x;
}

/* Called by the hub when there is nothing to do. */
__attribute__((export_name("idle"))) float idle(void) { return mischief == 3 ? *(const volatile float *)&kept->x : 0; }
