/* Memory that several apps have, and arenas in it. */
#include "common.h"
#include <pthread.h>

static void traps(wb_instance *app, const char *name, uint64_t addr, const char *words) {
    wb_val arg = wb_i32((int32_t)addr), result;
    FAILS(wb_instance_call(app, name, &arg, 1, &result, 1), WB_ERROR_TRAP, words);
}

static void store(wb_instance *app, uint64_t addr, int value) {
    wb_val args[2], result;
    args[0] = wb_i32((int32_t)addr);
    args[1] = wb_i32(value);
    OK(wb_instance_call(app, "store", args, 2, &result, 1));
}

static void rights(host *h) {
    wb_instance *other;
    wb_region *region;
    uint64_t at;
    char *p;
    OK(wb_linker_instantiate(h->linker, h->module, &other));
    OK(wb_region_new(5000, &region));
    p = (char *)wb_region_ptr(region);
    at = wb_region_guest_addr(region);
    CHECK(((uintptr_t)p & 0xffffffff) == at && wb_region_len(region) == 5000);
    CHECK(wb_region_rights(region, other) == 0);
    OK(wb_region_grant(region, h->app, WB_WRITE));
    OK(wb_region_grant(region, other, WB_READ));
    CHECK(wb_region_rights(region, h->app) == (WB_READ | WB_WRITE) && wb_region_rights(region, other) == WB_READ);
    store(h->app, at + 16, 5);
    CHECK(call_int(other, "load", (int)at + 16) == 5 && *(int *)(p + 16) == 5);
    OK(wb_region_grant(region, h->app, WB_READ));
    traps(other, "spin", at, "read-only");
    traps(h->app, "spin", at, "read-only");

    OK(wb_region_revoke(region, h->app));
    OK(wb_region_revoke(region, h->app));
    traps(h->app, "load", at, "revoked");
    OK(wb_region_move(region, other, h->app, WB_WRITE));
    traps(other, "load", at, "revoked");
    FAILS(wb_region_move(region, other, h->app, WB_READ), WB_ERROR_INVALID_ARGUMENT, "does not have it");
    store(h->app, at, 6);
    OK(wb_region_grant(region, other, WB_READ | WB_IN_CALLBACKS));
    CHECK(wb_region_rights(region, other) == (WB_READ | WB_IN_CALLBACKS));
    traps(other, "load", at, "only in callbacks");
    OK(wb_region_revoke_all(region));
    traps(h->app, "load", at, "revoked");

    /* It lives as long as someone has it. */
    OK(wb_region_grant(region, other, WB_READ));
    wb_region_delete(region);
    CHECK(call_int(other, "load", (int)at) == 6);
    OK(wb_window_unmap(other, at));
    traps(other, "load", at, "guest address");
    wb_instance_delete(other);
}

typedef struct node {
    struct node *next;
    int value;
} node;

/* A native list in an arena: the app follows C's own 64-bit pointers. */
static void arenas(wb_instance *app) {
    wb_arena *arena;
    node *list = NULL;
    char *text, *page;
    uint64_t at;
    int i, sum = 0;
    OK(wb_arena_new(1 << 20, &arena));
    for (i = 1; i <= 1000; i++) {
        node *n = (node *)wb_alloc(arena, sizeof *n);
        CHECK(n != NULL && wb_alloc_len(arena, n) == sizeof *n);
        n->next = list;
        n->value = i;
        list = n;
        sum += i;
    }
    OK(wb_region_grant(wb_arena_region(arena), app, WB_READ));
    OK(wb_guest_addr(app, list, &at));
    CHECK(at == ((uintptr_t)list & 0xffffffff));
    CHECK(call_int(app, "sum_list", (int)at) == sum);

    text = (char *)wb_alloc(arena, 10);
    strcpy(text, "wasm");
    text = (char *)wb_realloc(arena, text, 5000);
    CHECK(text != NULL && strcmp(text, "wasm") == 0);
    CHECK(wb_free(arena, text) && !wb_free(arena, text) && !wb_free(arena, &sum) && wb_free(arena, NULL));
    CHECK(wb_alloc(arena, (size_t)1 << 40) == NULL && wb_alloc(arena, (size_t)-1) == NULL);
    CHECK(wb_alloc_aligned(arena, 3, 8) == NULL && wb_alloc_len(arena, text) == 0);
    CHECK(wb_realloc(arena, &sum, 10) == NULL);

    /* Whole pages can be shown alone, once the arena as a whole is not. */
    OK(wb_region_revoke(wb_arena_region(arena), app));
    page = (char *)wb_alloc_aligned(arena, 4096, 4096);
    *(int *)page = 99;
    OK(wb_window_map(app, page, 4096, WB_READ, &at));
    CHECK(at == ((uintptr_t)page & 0xffffffff) && call_int(app, "load", (int)at) == 99);
    traps(app, "load", at + 4096, "past the end of the window");
    FAILS(wb_window_map(app, list, sizeof *list, WB_READ, &at), WB_ERROR_INVALID_ARGUMENT, "hold other data too");
    OK(wb_window_unmap(app, at));
    wb_arena_delete(arena);
}

static void bad_input(wb_instance *app) {
    wb_region *region = NULL;
    wb_arena *arena = NULL;
    FAILS(wb_region_new(0, &region), WB_ERROR_INVALID_ARGUMENT, "0 bytes");
    FAILS(wb_region_new((size_t)1 << 33, &region), WB_ERROR_LIMIT, "no room for a region");
    FAILS(wb_region_new((size_t)-1, &region), WB_ERROR_INVALID_ARGUMENT, "region");
    NULL_FAILS(wb_region_new(1, NULL), "region");
    FAILS(wb_arena_new(0, &arena), WB_ERROR_INVALID_ARGUMENT, "0 bytes");
    NULL_FAILS(wb_arena_new(1, NULL), "arena");
    CHECK(region == NULL && arena == NULL);
    OK(wb_region_new(1, &region));
    FAILS(wb_region_grant(region, app, 0), WB_ERROR_INVALID_ARGUMENT, "neither");
    FAILS(wb_region_grant(region, app, WB_READ | WB_ALLOW_COPY), WB_ERROR_INVALID_ARGUMENT, "mean nothing");
    NULL_FAILS(wb_region_grant(NULL, app, WB_READ), "region");
    NULL_FAILS(wb_region_grant(region, NULL, WB_READ), "instance");
    NULL_FAILS(wb_region_revoke(region, NULL), "instance");
    NULL_FAILS(wb_region_revoke(NULL, app), "region");
    NULL_FAILS(wb_region_revoke_all(NULL), "region");
    NULL_FAILS(wb_region_move(region, app, NULL, WB_READ), "to");
    NULL_FAILS(wb_region_move(region, NULL, app, WB_READ), "from");
    NULL_FAILS(wb_region_move(NULL, app, app, WB_READ), "region");
    CHECK(wb_region_ptr(NULL) == NULL && wb_region_guest_addr(NULL) == 0 && wb_region_len(NULL) == 0);
    CHECK(wb_region_rights(NULL, app) == 0 && wb_region_rights(region, NULL) == 0);
    CHECK(wb_alloc(NULL, 1) == NULL && wb_alloc_aligned(NULL, 1, 1) == NULL && wb_realloc(NULL, NULL, 1) == NULL);
    CHECK(wb_alloc_len(NULL, NULL) == 0 && wb_free(NULL, NULL) && !wb_free(NULL, region) && wb_arena_region(NULL) == NULL);
    wb_region_delete(region);
    wb_region_delete(NULL);
    wb_arena_delete(NULL);
}

/* Open while a callback runs that is given a pointer into it, and closed before anything else of the app does. */
static void in_callbacks(wb_instance *app) {
    wb_region *region;
    wb_fn callback;
    int (*load)(const int *), *ints, local = 4, i;
    wb_window_counts counts;
    OK(wb_region_new(4096, &region));
    OK(wb_region_grant(region, app, WB_READ | WB_IN_CALLBACKS));
    OK(wb_callback(app, "int load(const int *p[window: read])", NULL, &callback));
    load = (int (*)(const int *))callback;
    ints = (int *)wb_region_ptr(region);
    for (i = 0; i < 100; i++) {
        ints[i] = i;
        CHECK(load(&ints[i]) == i);
    }
    CHECK(load(&local) == 4);
    CHECK(load(ints) == 0);
    traps(app, "load", wb_region_guest_addr(region), "open only in callbacks");
    OK(wb_instance_window_counts(app, &counts));
    CHECK(counts.mapped == 2 && counts.cached == 99 && counts.copied == 1 && counts.visible == 0);
    NULL_FAILS(wb_instance_window_counts(app, NULL), "counts");
    NULL_FAILS(wb_instance_window_counts(NULL, &counts), "instance");
    wb_region_delete(region);
}

/* Revoked by one thread while the app runs on another. */
typedef struct {
    wb_instance *app;
    wb_region *region;
} revoker;

static void *revoke(void *arg) {
    revoker *r = (revoker *)arg;
    volatile int *counter = (volatile int *)wb_region_ptr(r->region);
    int last, i;
    while (*counter == 0)
        ;
    OK(wb_region_revoke(r->region, r->app));
    last = *counter;
    for (i = 0; i < 100000; i++)
        CHECK(*counter == last);
    return NULL;
}

static void revoked_elsewhere(wb_instance *app) {
    revoker r;
    pthread_t thread;
    r.app = app;
    OK(wb_region_new(4096, &r.region));
    OK(wb_region_grant(r.region, app, WB_WRITE));
    CHECK(pthread_create(&thread, NULL, revoke, &r) == 0);
    traps(app, "spin", wb_region_guest_addr(r.region), "revoked");
    CHECK(pthread_join(thread, NULL) == 0);
    wb_region_delete(r.region);
}

int main(int argc, char **argv) {
    host h;
    CHECK(argc == 2);
    h = new_host(argv[1]);
    rights(&h);
    arenas(h.app);
    bad_input(h.app);
    in_callbacks(h.app);
    revoked_elsewhere(h.app);
    delete_host(h);
    return 0;
}
