/* A queue for one writer and one reader, in memory that both have. Its messages are where they are: nothing is copied out of it to be sent. */
#ifndef SHARED_QUEUE_H
#define SHARED_QUEUE_H

#include <stdint.h>

#define SLOTS 4096

typedef struct {
    uint32_t number;
    uint32_t text[3];
} message;

typedef struct {
    /* How many messages have been written, and read; each on a cache line of its own. */
    _Alignas(64) uint32_t written;
    _Alignas(64) uint32_t read;
    _Alignas(64) message slots[SLOTS];
} queue;

#endif
