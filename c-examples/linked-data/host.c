/* A list, a tree and a hash table as any C library has them, allocated in an arena. An app of 32 bits walks them in place. */

#include "example.h"
#include "linked-data/nodes.h"
#include <string.h>

#define COUNT 10000

static wb_arena *arena;

static void *allocate(size_t len) {
    void *piece = wb_alloc(arena, len);
    expect(piece != NULL, "the arena is full");
    return memset(piece, 0, len);
}

static void insert(tree **place, int key) {
    while (*place)
        place = key < (*place)->key ? &(*place)->left : &(*place)->right;
    *place = allocate(sizeof **place);
    (*place)->key = key;
}

static root *build(void) {
    root *r = allocate(sizeof *r);
    for (int i = 0; i < COUNT; i++) {
        item *list = allocate(sizeof *list);
        list->next = r->list;
        list->value = i;
        r->list = list;

        insert(&r->tree, i * 7919 % COUNT);

        char name[16];
        snprintf(name, sizeof name, "name %d", i);
        bucket *b = &r->buckets[hash(name) % BUCKETS];
        entry *e = allocate(sizeof *e);
        e->name = strcpy(allocate(strlen(name) + 1), name);
        e->value = i;
        e->next = b->first;
        b->first = e;
    }
    return r;
}

int main(int argc, char **argv) {
    expect(argc == 2, "usage: linked-data APP.wbm");

    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_instance *app;
    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_linker_new(engine, &linker));
    check(wb_linker_instantiate(linker, module, &app));
    check(wb_arena_new(8 << 20, &arena));
    check(wb_region_grant(wb_arena_region(arena), app, WB_READ));
    root *r = build();

    wb_fn sum_list, count_tree, look_up;
    check(wb_callback(app, "long long sum_list(const void *root)", NULL, &sum_list));
    check(wb_callback(app, "int count_tree(const void *root)", NULL, &count_tree));
    check(wb_callback(app, "int look_up(const void *root, const char *name[str])", NULL, &look_up));
    long long sum = ((long long (*)(const void *))sum_list)(r);
    int nodes = ((int (*)(const void *))count_tree)(r);
    int found = ((int (*)(const void *, const char *))look_up)(r, "name 4711");
    int missing = ((int (*)(const void *, const char *))look_up)(r, "nobody");
    check(wb_instance_take_error(app));
    expect(sum == (long long)COUNT * (COUNT - 1) / 2, "the list is not what the app sees");
    printf("list of %d items: the sum is %lld\n", COUNT, sum);
    printf("tree: %d nodes in order\n", nodes);
    printf("hash table: `name 4711` is %d, `nobody` is %d\n", found, missing);

    wb_instance_delete(app);
    wb_arena_delete(arena);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
