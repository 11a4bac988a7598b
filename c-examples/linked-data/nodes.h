/* Native structures with native pointers in them, as both sides see them. In C a link is a pointer of 64 bits; in the app it is a pointer of 32 bits, which
 * are the low ones of C's, and padding. */
#ifndef LINKED_DATA_NODES_H
#define LINKED_DATA_NODES_H

#include <stdint.h>

#ifdef __wasm__
#define LINK(type, name) type *name; uint32_t name##_high
#else
#define LINK(type, name) type *name
#endif

#define BUCKETS 64

typedef struct item {
    LINK(struct item, next);
    int value;
} item;

typedef struct tree {
    LINK(struct tree, left);
    LINK(struct tree, right);
    int key;
} tree;

typedef struct entry {
    LINK(struct entry, next);
    LINK(const char, name);
    int value;
} entry;

typedef struct bucket {
    LINK(struct entry, first);
} bucket;

typedef struct root {
    LINK(struct item, list);
    LINK(struct tree, tree);
    bucket buckets[BUCKETS];
} root;

/* The hash of a name, for both. */
static inline uint32_t hash(const char *name) {
    uint32_t h = 2166136261u;
    while (*name)
        h = (h ^ (unsigned char)*name++) * 16777619u;
    return h;
}

#endif
