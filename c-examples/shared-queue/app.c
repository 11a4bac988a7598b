/* Sends and receives messages. The other side is another app, on another thread. */

#include "queue.h"

/* Of C's library: lets other threads run. */
__attribute__((import_module("env"), import_name("sched_yield"))) int host_yield(void);

static uint32_t load(const uint32_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
static void store(uint32_t *at, uint32_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

__attribute__((export_name("send"))) void send(queue *q, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (i - load(&q->read) == SLOTS)
            host_yield();
        message *m = &q->slots[i % SLOTS];
        m->number = i;
        m->text[0] = i * 2654435761u;
        store(&q->written, i + 1);
    }
}

/* How many messages were right. */
__attribute__((export_name("receive"))) uint32_t receive(queue *q, uint32_t count) {
    uint32_t right = 0;
    for (uint32_t i = 0; i < count; i++) {
        while (load(&q->written) == i)
            host_yield();
        const message *m = &q->slots[i % SLOTS];
        right += m->number == i && m->text[0] == i * 2654435761u;
        store(&q->read, i + 1);
    }
    return right;
}
