/* Walks a native list, a native tree and a native hash table where they are, by C's own pointers. */

#include "nodes.h"

__attribute__((export_name("sum_list"))) long long sum_list(const root *r) {
    long long sum = 0;
    for (const item *i = r->list; i; i = i->next)
        sum += i->value;
    return sum;
}

static int in_order(const tree *t, int *last) {
    if (!t)
        return 0;
    int count = in_order(t->left, last);
    if (t->key <= *last)
        return -1000000;
    *last = t->key;
    return count + 1 + in_order(t->right, last);
}

/* How many nodes the tree has, if they are in order. */
__attribute__((export_name("count_tree"))) int count_tree(const root *r) {
    int last = -1;
    return in_order(r->tree, &last);
}

/* The value of a name, or -1. */
__attribute__((export_name("look_up"))) int look_up(const root *r, const char *name) {
    for (const entry *e = r->buckets[hash(name) % BUCKETS].first; e; e = e->next) {
        const char *a = e->name, *b = name;
        while (*a && *a == *b)
            a++, b++;
        if (*a == *b)
            return e->value;
    }
    return -1;
}
