/* An extension of SQLite, written against sqlite3.h and nothing else. It is compiled twice: to WebAssembly, for the app, and
 * natively, as the reference. */
#ifndef APP_H
#define APP_H

#include <sqlite3.h>

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

/* Registers what the extension has with a database: the function digest(id, name), the aggregate variance(x), the collation
 * natural_order, and the virtual table steps(value, start, stop, step). Returns what SQLite returns. */
EXPORT(extend) int extend(sqlite3 *db);

/* For sqlite3_exec: folds each row into a checksum, and calls count_row with `counter`, a handle. */
EXPORT(row) int row(void *counter, int columns, char **values, char **names);
EXPORT(row_checksum) long long row_checksum(void);

/* How many of the virtual table's objects there are. */
EXPORT(live_objects) int live_objects(void);

/* Of the host. */
void count_row(void *counter);

#endif
