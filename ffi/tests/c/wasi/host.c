/* An app with WASI: what it is given, and how it ends. Gets the directory with program.wasm. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../common.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* A standard stream from or to a file. */
static void stream(wb_wasi_config *wasi, wb_wasi_stream which, const char *directory, const char *name) {
    char path[4096];
    int fd;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    fd = which == WB_WASI_STDIN ? open(path, O_RDONLY) : open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    OK(wb_wasi_config_stream(wasi, which, fd));
    /* It has its own. */
    close(fd);
}

static void expect_file(const char *directory, const char *name, const char *expected) {
    size_t len;
    char *bytes = read_file(directory, name, &len);
    if (len != strlen(expected) || memcmp(bytes, expected, len) != 0) {
        fprintf(stderr, "%s: %.*s\nexpected: %s\n", name, (int)len, bytes, expected);
        exit(1);
    }
    free(bytes);
}

int main(int argc, char **argv) {
    const char *directory = argv[argc - 1];
    char seen[64];
    int captured;
    size_t len;
    char *wasm = read_file(directory, "program.wasm", &len);
    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_instance *app;
    wb_wasi_config *wasi;
    wb_error *error;
    int status = 77;

    OK(wb_engine_new(NULL, &engine));
    OK(wb_module_compile(engine, wasm, len, NULL, &module));
    free(wasm);

    /* Without WASI it is not linked. */
    OK(wb_linker_new(engine, &linker));
    FAILS(wb_linker_instantiate(linker, module, &app), WB_ERROR_LINK, "wasi_snapshot_preview1.");

    /* With everything. */
    OK(wb_wasi_config_new(&wasi));
    OK(wb_wasi_config_arg(wasi, "program"));
    OK(wb_wasi_config_arg(wasi, "second"));
    OK(wb_wasi_config_arg(wasi, "300"));
    OK(wb_wasi_config_env(wasi, "COLOUR", "green"));
    OK(wb_wasi_config_env(wasi, "COLOUR", "red"));
    OK(wb_wasi_config_stdin_bytes(wasi, "typed\n", 6));
    stream(wasi, WB_WASI_STDOUT, directory, "stdout.txt");
    stream(wasi, WB_WASI_STDERR, directory, "stderr.txt");
    OK(wb_wasi_config_preopen_dir(wasi, directory, "/data"));
    OK(wb_linker_define_wasi(linker, wasi));
    wb_wasi_config_delete(wasi);
    OK(wb_linker_instantiate(linker, module, &app));
    error = wb_instance_call(app, "_start", NULL, 0, NULL, 0);
    CHECK(wb_error_kind(error) == WB_ERROR_TRAP && wb_error_trap_code(error) == WB_TRAP_EXITED);
    CHECK(wb_error_exit_status(error, &status) && status == 300);
    CHECK(wb_error_exit_status(error, NULL));
    CHECK(strstr(wb_error_backtrace(error), "proc_exit") != NULL);
    wb_error_delete(error);
    expect_file(directory, "stdout.txt", "3 second red typed\n");
    expect_file(directory, "stderr.txt", "open\n");
    expect_file(directory, "out.txt", "written");
    wb_instance_delete(app);
    wb_linker_delete(linker);

    /* With a file to read, memory to write to, and nothing open: it exits with 0, which is an exit all the same. */
    OK(wb_linker_new(engine, &linker));
    OK(wb_wasi_config_new(&wasi));
    OK(wb_wasi_config_arg(wasi, "program"));
    OK(wb_wasi_config_arg(wasi, "only"));
    stream(wasi, WB_WASI_STDIN, directory, "out.txt");
    captured = memfd_create("stdout", MFD_CLOEXEC);
    CHECK(captured >= 0);
    OK(wb_wasi_config_stream(wasi, WB_WASI_STDOUT, captured));
    stream(wasi, WB_WASI_STDERR, directory, "stderr.txt");
    OK(wb_linker_define_wasi(linker, wasi));
    OK(wb_linker_instantiate(linker, module, &app));
    error = wb_instance_call(app, "_start", NULL, 0, NULL, 0);
    CHECK(wb_error_exit_status(error, &status) && status == 0);
    wb_error_delete(error);
    expect_file(directory, "stderr.txt", "closed\n");
    CHECK(pread(captured, seen, sizeof seen, 0) == 21 && memcmp(seen, "2 only (null) written", 21) == 0);
    close(captured);
    wb_instance_delete(app);
    wb_linker_delete(linker);

    /* What cannot be given, and what is no exit. */
    FAILS(wb_wasi_config_preopen_dir(wasi, "/nowhere/at/all", "/"), WB_ERROR_INVALID_ARGUMENT, "/nowhere/at/all");
    FAILS(wb_wasi_config_stream(wasi, WB_WASI_STDIN, captured), WB_ERROR_OS, "Bad file descriptor");
    FAILS(wb_wasi_config_stream(wasi, WB_WASI_STDIN, -1), WB_ERROR_INVALID_ARGUMENT, "-1");
    FAILS(wb_wasi_config_stream(wasi, 3, 0), WB_ERROR_INVALID_ARGUMENT, "no standard stream");
    NULL_FAILS(wb_wasi_config_stream(NULL, WB_WASI_STDIN, 0), "config");
    OK(wb_wasi_config_inherit_stdio(wasi));
    OK(wb_wasi_config_env(wasi, "A=B", "C"));
    OK(wb_linker_new(engine, &linker));
    FAILS(wb_linker_define_wasi(linker, wasi), WB_ERROR_INVALID_ARGUMENT, "cannot be the name");
    NULL_FAILS(wb_linker_define_wasi(NULL, wasi), "linker");
    NULL_FAILS(wb_linker_define_wasi(linker, NULL), "config");
    NULL_FAILS(wb_wasi_config_new(NULL), "config");
    NULL_FAILS(wb_wasi_config_arg(wasi, NULL), "arg");
    NULL_FAILS(wb_wasi_config_arg(NULL, "a"), "config");
    NULL_FAILS(wb_wasi_config_env(wasi, NULL, "x"), "name");
    NULL_FAILS(wb_wasi_config_env(wasi, "x", NULL), "value");
    NULL_FAILS(wb_wasi_config_stdin_bytes(wasi, NULL, 1), "bytes");
    NULL_FAILS(wb_wasi_config_preopen_dir(wasi, NULL, "/"), "host");
    NULL_FAILS(wb_wasi_config_preopen_dir(wasi, "/", NULL), "guest");
    error = wb_linker_new(NULL, NULL);
    status = 77;
    CHECK(!wb_error_exit_status(error, &status) && !wb_error_exit_status(NULL, &status) && status == 77);
    wb_error_delete(error);

    wb_wasi_config_delete(wasi);
    wb_wasi_config_delete(NULL);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
