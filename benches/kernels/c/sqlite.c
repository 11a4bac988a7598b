/* SQLite's own speedtest on a database in memory: inserts, indexed and other selects, joins, updates, deletes, sorting. It is the same source for
 * the host and for WebAssembly, with a file system that has no files and nothing printed. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __wasm__
#define EXPORT __attribute__((visibility("default")))
#else
#define EXPORT
#endif

#undef putchar
#undef stdout
#undef stderr
#define stdout NULL
#define stderr NULL
#define printf(...) ((void)0)
#define fprintf(...) ((void)0)
#define vfprintf(...) ((void)0)
#define putchar(c) ((void)0)
#define puts(text) ((void)0)
#define fflush(file) ((void)0)
#define fopen(name, mode) NULL
#define fclose(file) ((void)0)
#define fgets(text, len, file) NULL
#define fwrite(data, size, count, file) ((void)0)
#define unlink(name) ((void)0)
#define getpid() 0
#define exit(status) __builtin_trap()
#define main speedtest1_main
/* It may be called again. */
#define SQLITE_SPEEDTEST1_WASM 1
#include "speedtest1.c"

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs, (void)name, (void)flags, (void)out_flags;
    file->pMethods = NULL;
    return SQLITE_CANTOPEN;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    (void)vfs, (void)name, (void)sync;
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    (void)vfs, (void)name, (void)flags;
    *out = 0;
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int len, char *out) {
    (void)vfs;
    sqlite3_snprintf(len, out, "%s", name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int len, char *out) {
    (void)vfs;
    memset(out, 7, (size_t)len);
    return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    return microseconds;
}

static int vfs_current_time(sqlite3_vfs *vfs, double *out) {
    (void)vfs;
    *out = 2461000.5;
    return SQLITE_OK;
}

int sqlite3_os_init(void) {
    static sqlite3_vfs vfs = {
        .iVersion = 1,
        .szOsFile = sizeof(sqlite3_file),
        .mxPathname = 100,
        .zName = "none",
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
    };
    return sqlite3_vfs_register(&vfs, 1);
}

int sqlite3_os_end(void) { return SQLITE_OK; }

EXPORT uint32_t kernel_sqlite(uint32_t n) {
    char *arguments[] = {"speedtest1", "--memdb", "--size", "1", "--testset", "main", "--verify"};
    uint32_t sum = 0;
    while (n-- > 0) {
        if (speedtest1_main(sizeof arguments / sizeof arguments[0], arguments) != 0)
            __builtin_trap();
        /* What the queries have answered. */
        for (size_t i = 0; i < 24; i++)
            sum = sum * 31 + g.hash.r[i];
    }
    return sum;
}
