/* Functions for SQLite, written against sqlite3.h and nothing else. They are compiled twice: to WebAssembly, for the app,
 * and natively, as the reference. */
#ifndef APP_H
#define APP_H

#include <sqlite3.h>

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

/* digest(id, name): an integer made of both. */
EXPORT(digest) void digest(sqlite3_context *context, int argc, sqlite3_value **argv);

/* variance(x): an aggregate. */
EXPORT(variance_step) void variance_step(sqlite3_context *context, int argc, sqlite3_value **argv);
EXPORT(variance_final) void variance_final(sqlite3_context *context);

/* The collation natural_order: "item 9" comes before "item 10". */
EXPORT(natural) int natural(void *arg, int left_len, const void *left, int right_len, const void *right);

/* For sqlite3_exec: folds each row into a checksum, and calls count_row with `counter`, a handle. */
EXPORT(row) int row(void *counter, int columns, char **values, char **names);
EXPORT(row_checksum) long long row_checksum(void);

/* Of the host. */
void count_row(void *counter);

#endif
