/* What the C tests share. Each is a program that gets the directory with app.wasm and app.wbm, and exits with 0 if all is well. */
#ifndef COMMON_H
#define COMMON_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasmbridge.h>

#define CHECK(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The call succeeds. */
#define OK(call) expect_ok((call), __FILE__, __LINE__)
/* The call fails with this kind, and with these words in the message. */
#define FAILS(call, kind, words) expect_error((call), (kind), (words), __FILE__, __LINE__)
/* The call fails because a pointer is NULL, and names it. */
#define NULL_FAILS(call, name) expect_error((call), WB_ERROR_INVALID_ARGUMENT, "`" name "` is NULL", __FILE__, __LINE__)

static inline void expect_ok(wb_error *error, const char *file, int line) {
    if (error == NULL)
        return;
    fprintf(stderr, "%s:%d: %s\n%s", file, line, wb_error_message(error), wb_error_backtrace(error));
    exit(1);
}

static inline void expect_error(wb_error *error, wb_errorkind kind, const char *words, const char *file, int line) {
    if (error == NULL) {
        fprintf(stderr, "%s:%d: it did not fail\n", file, line);
        exit(1);
    }
    if (wb_error_kind(error) != kind || strstr(wb_error_message(error), words) == NULL) {
        fprintf(stderr, "%s:%d: kind %d: %s\nexpected: kind %d, with: %s\n", file, line, (int)wb_error_kind(error),
                wb_error_message(error), (int)kind, words);
        exit(1);
    }
    wb_error_delete(error);
}

/* Whether the program runs under valgrind (`make sanitize`), on a processor that is not quite this machine's. */
static inline int under_valgrind(void) {
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

/* A file's bytes; the caller frees them. */
static inline char *read_file(const char *directory, const char *name, size_t *len) {
    char path[4096];
    FILE *file;
    long size;
    char *bytes;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "rb");
    CHECK(file != NULL);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    size = ftell(file);
    CHECK(size >= 0 && fseek(file, 0, SEEK_SET) == 0);
    bytes = (char *)malloc((size_t)size + 1);
    CHECK(bytes != NULL && fread(bytes, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    *len = (size_t)size;
    return bytes;
}

/* What most tests begin with: an instance of the app. */
typedef struct {
    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_instance *app;
} host;

static inline int host_add(int a, int b) { return a + b; }

/* Calls a function of the app, and adds one. */
static inline int host_each(int (*visit)(int), int value) { return visit(value) + 1; }

/* All but the instance, of an app whose imports the test defines. */
static inline host open_host(const char *directory, const char *artifact, const wb_config *config) {
    host h;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, artifact);
    OK(wb_engine_new(config, &h.engine));
    OK(wb_module_open(h.engine, path, &h.module));
    OK(wb_linker_new(h.engine, &h.linker));
    h.app = NULL;
    return h;
}

/* Defines an import of the app's, in the module that clang puts them in. */
#define DEFINE(function, prototype) OK(wb_linker_define(h.linker, "env", prototype, (wb_fn)function))

static inline host new_host_with(const char *directory, const wb_config *config) {
    host h = open_host(directory, "app.wbm", config);
    DEFINE(host_add, "int host_add(int a, int b)");
    DEFINE(host_each, "int each(int (*visit)(int), int value)");
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    return h;
}

static inline host new_host(const char *directory) {
    return new_host_with(directory, NULL);
}

static inline void delete_host(host h) {
    wb_instance_delete(h.app);
    wb_linker_delete(h.linker);
    wb_module_delete(h.module);
    wb_engine_delete(h.engine);
}

/* Calls a function of the app that takes and returns an int. */
static inline int call_int(wb_instance *app, const char *name, int arg) {
    wb_val in = wb_i32(arg), out = wb_i32(0);
    OK(wb_instance_call(app, name, &in, 1, &out, 1));
    CHECK(out.kind == WB_I32);
    return out.of.i32;
}

#endif
