/* What the hub and its apps share: the layout of an event is the same for both. */
#ifndef SENSOR_HUB_EVENTS_H
#define SENSOR_HUB_EVENTS_H

#include <stdint.h>

#define RING 256

typedef struct {
    uint64_t time_ns;
    uint32_t sensor;
    uint32_t sequence;
    float x, y, z;
    uint32_t reserved;
} event;

#endif
