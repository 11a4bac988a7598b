/* A host that loads a plug-in with a wasmbridge in it, and closes it again; and has one itself. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../common.h"

#include "plugin.h"
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *directory;
static int (*left_behind)(int);
static sigjmp_buf after_fault;
static volatile sig_atomic_t faults;

static void handler(int signal) {
    (void)signal;
    faults++;
    siglongjmp(after_fault, 1);
}

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    CHECK(found != NULL);
    return found;
}

/* Loads, uses and closes it, on a thread of its own: what the thread has left in the plug-in ends with the thread, and keeps it no longer. */
static void *use(void *app) {
    char path[4096];
    void *plugin;
    int (*begin)(const char *, int (**)(int));
    int (*traps)(void);
    void (*end)(void);
    snprintf(path, sizeof path, "%s/plugin.so", directory);
    plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(plugin != NULL);
    *(void **)&begin = symbol(plugin, "plugin_begin");
    *(void **)&traps = symbol(plugin, "plugin_traps");
    *(void **)&end = symbol(plugin, "plugin_end");
    CHECK(begin(directory, &left_behind) == 8 && left_behind(21) == 42);
    CHECK(traps());
    /* Each copy knows its own apps' traps, whichever stands before the other. */
    OK(wb_instance_attach((wb_instance *)app));
    for (int i = 0; i < 10; i++) {
        wb_val arg = wb_i32(-4), result;
        FAILS(wb_instance_call((wb_instance *)app, "load", &arg, 1, &result, 1), WB_ERROR_TRAP, "out of bounds");
        CHECK(traps() && left_behind(i) == 2 * i && call_int((wb_instance *)app, "twice", i) == 2 * i);
    }
    end();
    CHECK(left_behind(21) == 0);
    return plugin;
}

int main(int argc, char **argv) {
    host h;
    int round, status;
    void *nobodys = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(argc == 2 && nobodys != MAP_FAILED);
    directory = argv[1];
    CHECK(signal(SIGSEGV, handler) != SIG_ERR);
    h = new_host(directory);
    for (round = 0; round < 3; round++) {
        pthread_t thread;
        pid_t child;
        void *plugin;
        CHECK(pthread_create(&thread, NULL, use, h.app) == 0 && pthread_join(thread, &plugin) == 0);
        CHECK(dlclose(plugin) == 0);

        /* Whoever still has the callback gets its default value. */
        CHECK(left_behind(21) == 0);
        /* A fault of the host's reaches the host's handler. */
        if (sigsetjmp(after_fault, 1) == 0) {
            /* Valgrind would report it. */
            if (under_valgrind())
                raise(SIGSEGV);
            else
                *(volatile char *)nobodys = 1;
            CHECK(0);
        }
        CHECK(faults == round + 1);
        /* So does a fork what it has registered. */
        child = fork();
        CHECK(child >= 0);
        if (child == 0)
            _exit(left_behind(21));
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    OK(wb_instance_attach(h.app));
    CHECK(call_int(h.app, "twice", 4) == 8);
    delete_host(h);
    return 0;
}
