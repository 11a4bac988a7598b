/* Native data that the app sees in place. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "common.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static int store(wb_instance *app, uint64_t addr, int value) {
    wb_val args[2], result;
    wb_error *error;
    args[0] = wb_i32((int32_t)addr);
    args[1] = wb_i32(value);
    error = wb_instance_call(app, "store", args, 2, &result, 1);
    if (error == NULL)
        return 1;
    CHECK(wb_error_trap_code(error) == WB_TRAP_MEMORY_OUT_OF_BOUNDS);
    wb_error_delete(error);
    return 0;
}

static void traps(wb_instance *app, const char *name, uint64_t addr, const char *words) {
    wb_val arg = wb_i32((int32_t)addr), result;
    FAILS(wb_instance_call(app, name, &arg, 1, &result, 1), WB_ERROR_TRAP, words);
}

static char *pages(int count, int flags, int fd) {
    void *p = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(p != MAP_FAILED);
    return (char *)p;
}

/* What can be mapped, and how it was. */
static char fixed[2 * PAGE] __attribute__((aligned(PAGE)));

static void modes(wb_instance *app) {
    char *shared = pages(1, MAP_SHARED | MAP_ANONYMOUS, -1), local[64], name[64];
    void *heap = NULL;
    uint64_t at;
    wb_window window;
    int shm;

    OK(wb_window_map(app, shared, PAGE, WB_WRITE, &at));
    OK(wb_window_at(app, at + 100, &window));
    CHECK(window.mode == WB_WINDOW_ALIASED && window.ptr == shared && window.len == PAGE && window.guest_addr == at);
    CHECK(window.rights == (WB_READ | WB_WRITE));
    CHECK(store(app, at + 8, 5) && *(int *)(shared + 8) == 5);
    OK(wb_window_unmap(app, at));
    munmap(shared, PAGE);

    *(int *)fixed = 7;
    OK(wb_window_map(app, fixed, sizeof fixed, WB_READ, &at));
    OK(wb_window_at(app, at, &window));
    CHECK(window.mode == WB_WINDOW_ADOPTED && window.rights == WB_READ);
    CHECK(call_int(app, "load", (int)at) == 7);
    *(int *)fixed = 8;
    CHECK(call_int(app, "load", (int)at) == 8);
    CHECK(!store(app, at, 9) && *(int *)fixed == 8);
    OK(wb_window_protect(app, at, WB_WRITE));
    CHECK(store(app, at, 9) && *(int *)fixed == 9);
    OK(wb_window_unmap(app, at));

    CHECK(posix_memalign(&heap, PAGE, 4 * PAGE) == 0);
    memset(heap, 3, 4 * PAGE);
    if (under_valgrind()) {
        FAILS(wb_window_map(app, heap, 4 * PAGE, WB_WRITE, &at), WB_ERROR_INVALID_ARGUMENT, "executable memory");
        ((char *)heap)[PAGE] = 1;
    } else {
        OK(wb_window_map(app, heap, 4 * PAGE, WB_WRITE, &at));
        OK(wb_window_at(app, at, &window));
        CHECK(window.mode == WB_WINDOW_ADOPTED && store(app, at + PAGE, 1) && ((char *)heap)[PAGE] == 1);
        OK(wb_window_unmap(app, at));
    }
    heap = realloc(heap, 100 * PAGE);
    CHECK(heap != NULL && ((char *)heap)[PAGE] == 1 && ((char *)heap)[4 * PAGE - 1] == 3);
    free(heap);

    memset(local, 4, sizeof local);
    FAILS(wb_window_map(app, local, sizeof local, WB_WRITE, &at), WB_ERROR_INVALID_ARGUMENT, "hold other data too");
    OK(wb_window_map(app, local, sizeof local, WB_WRITE | WB_ALLOW_COPY, &at));
    OK(wb_window_at(app, at, &window));
    CHECK(window.mode == WB_WINDOW_COPIED);
    CHECK(store(app, at, 0) && local[0] == 4);
    OK(wb_window_copy_out(app, at));
    CHECK(local[0] == 0 && local[4] == 4);
    local[5] = 6;
    OK(wb_window_copy_in(app, at));
    CHECK(call_int(app, "load", (int)at + 4) == 0x04040604);
    traps(app, "load", at + sizeof local, "past the end of the window of 64 bytes");
    CHECK(store(app, at + sizeof local - 4, 1));
    OK(wb_window_unmap(app, at));
    CHECK(local[sizeof local - 4] == 1);

    snprintf(name, sizeof name, "/wasmbridge-test-%d", (int)getpid());
    shm = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    CHECK(shm >= 0 && shm_unlink(name) == 0 && ftruncate(shm, PAGE) == 0);
    shared = pages(1, MAP_SHARED, shm);
    OK(wb_window_map_file(app, shm, 0, PAGE, WB_WRITE, shared, &at));
    CHECK(store(app, at, 11) && *(int *)shared == 11);
    {
        void *native;
        uint64_t again;
        OK(wb_native_ptr(app, at + 4, 4, &native));
        CHECK(native == shared + 4);
        OK(wb_guest_addr(app, shared + 4, &again));
        CHECK(again == at + 4);
    }
    /* Its file is cut. */
    CHECK(ftruncate(shm, 0) == 0);
    traps(app, "load", at, "the file behind it is shorter");
    OK(wb_window_unmap(app, at));
    munmap(shared, PAGE);
    close(shm);
}

static void forks(wb_instance *app);

static void bad_input(wb_instance *app) {
    char *p = pages(4, MAP_SHARED | MAP_ANONYMOUS, -1);
    uint64_t at = 77, other;
    wb_window window;
    const wb_errorkind invalid = WB_ERROR_INVALID_ARGUMENT;
    FAILS(wb_window_map(app, p, 0, WB_READ, &at), invalid, "0 bytes");
    FAILS(wb_window_map(app, NULL, PAGE, WB_READ, &at), invalid, "not all of the 4096 bytes");
    FAILS(wb_window_map(app, p + 1, PAGE, WB_READ, &at), invalid, "hold other data too");
    FAILS(wb_window_map(app, p, (size_t)-1, WB_READ, &at), invalid, "beyond the address space");
    FAILS(wb_window_map(app, p, PAGE, 0, &at), invalid, "neither WB_READ nor WB_WRITE");
    FAILS(wb_window_map(app, p, PAGE, WB_READ | 1024, &at), invalid, "mean nothing");
    FAILS(wb_window_map(app, p, PAGE, WB_READ | WB_IN_CALLBACKS, &at), invalid, "mean nothing");
    FAILS(wb_window_map(app, (void *)(uintptr_t)forks, 1, WB_WRITE | WB_ALLOW_COPY, &at), invalid, "cannot write");
    FAILS(wb_window_map_file(app, -1, 0, PAGE, WB_READ, NULL, &at), invalid, "`fd` is -1");
    FAILS(wb_window_map_file(app, 999, 0, PAGE, WB_READ, NULL, &at), WB_ERROR_OS, "file");
    NULL_FAILS(wb_window_map(NULL, p, PAGE, WB_READ, &at), "instance");
    NULL_FAILS(wb_window_map(app, p, PAGE, WB_READ, NULL), "guest_addr");
    NULL_FAILS(wb_window_map_file(app, 0, 0, PAGE, WB_READ, NULL, NULL), "guest_addr");
    NULL_FAILS(wb_window_unmap(NULL, 0), "instance");
    NULL_FAILS(wb_window_protect(NULL, 0, WB_READ), "instance");
    NULL_FAILS(wb_window_copy_in(NULL, 0), "instance");
    NULL_FAILS(wb_window_copy_out(NULL, 0), "instance");
    NULL_FAILS(wb_window_at(app, 0, NULL), "window");
    NULL_FAILS(wb_window_at(NULL, 0, &window), "instance");
    CHECK(at == 77);

    munmap(p + 3 * PAGE, PAGE);
    FAILS(wb_window_map(app, p, 4 * PAGE, WB_READ, &at), invalid, "not all of the 16384 bytes");
    OK(wb_window_map(app, p + PAGE, PAGE, WB_READ, &at));
    FAILS(wb_window_map(app, p, 2 * PAGE, WB_READ, &other), invalid, "some are in the app's window at");
    FAILS(wb_window_unmap(app, at + 1), WB_ERROR_NOT_FOUND, "inside the window");
    /* The owner unmaps it while the app sees it: the pages stay until the window goes. */
    *(int *)(p + PAGE) = 12;
    munmap(p, 3 * PAGE);
    CHECK(call_int(app, "load", (int)at) == 12);
    OK(wb_window_unmap(app, at));
    FAILS(wb_window_unmap(app, at), WB_ERROR_NOT_FOUND, "has been unmapped");
    FAILS(wb_window_at(app, at, &window), WB_ERROR_NOT_FOUND, "no window");
    FAILS(wb_window_protect(app, at, WB_READ), WB_ERROR_NOT_FOUND, "no window");
    traps(app, "load", at, "guest address");
}

/* A child shares what its parent has adopted, and going its own way does not disturb the parent. */
static void forks(wb_instance *app) {
    char *p = pages(1, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    uint64_t at;
    int status;
    pid_t child;
    OK(wb_window_map(app, p, PAGE, WB_WRITE, &at));
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char *own = pages(1, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        uint64_t own_at;
        if (!store(app, at, 21) || *(int *)p != 21)
            _exit(1);
        OK(wb_window_unmap(app, at));
        traps(app, "load", at, "guest address");
        OK(wb_window_map(app, own, PAGE, WB_WRITE, &own_at));
        if (!store(app, own_at, 22) || *(int *)own != 22)
            _exit(1);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(*(int *)p == 21 && call_int(app, "load", (int)at) == 21);
    OK(wb_window_unmap(app, at));
    munmap(p, PAGE);
}

/* Unmapped on another thread, while the app is in it. */
typedef struct {
    wb_instance *app;
    uint64_t at;
    volatile int *counter;
} unmapper;

static void *unmap(void *arg) {
    unmapper *u = (unmapper *)arg;
    while (*u->counter == 0)
        ;
    OK(wb_window_unmap(u->app, u->at));
    return (void *)(intptr_t)*u->counter;
}

static void on_another_thread(wb_instance *app) {
    char *p = pages(1, MAP_SHARED | MAP_ANONYMOUS, -1);
    unmapper u;
    pthread_t thread;
    void *last;
    u.app = app;
    u.counter = (volatile int *)p;
    OK(wb_window_map(app, p, PAGE, WB_WRITE, &u.at));
    CHECK(pthread_create(&thread, NULL, unmap, &u) == 0);
    traps(app, "spin", u.at, "guest address");
    CHECK(pthread_join(thread, &last) == 0);
    CHECK(*(int *)p == (int)(intptr_t)last);
    munmap(p, PAGE);
}

static void *map_elsewhere(void *arg) {
    unmapper *u = (unmapper *)arg;
    uint64_t at;
    FAILS(wb_window_map(u->app, (void *)u->counter, PAGE, WB_READ, &at), WB_ERROR_BUSY, "another thread");
    return NULL;
}

static void mapped_on_another_thread(wb_instance *app) {
    char *p = pages(1, MAP_SHARED | MAP_ANONYMOUS, -1);
    unmapper u;
    pthread_t thread;
    u.app = app;
    u.counter = (volatile int *)p;
    CHECK(pthread_create(&thread, NULL, map_elsewhere, &u) == 0 && pthread_join(thread, NULL) == 0);
    munmap(p, PAGE);
}

int main(int argc, char **argv) {
    host h;
    CHECK(argc == 2);
    h = new_host(argv[1]);
    /* Before pages of the heap are adopted: the child would allocate in its parent's. */
    forks(h.app);
    modes(h.app);
    bad_input(h.app);
    on_another_thread(h.app);
    mapped_on_another_thread(h.app);
    delete_host(h);
    return 0;
}
