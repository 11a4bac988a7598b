/* The distribution's SQLite calls functions, an aggregate, a collation and a row callback that are WebAssembly, over a table of
 * 100,000 rows; then the same functions, compiled natively. The results must be the same. */

#include "app.h"
#include "example.h"
#include <string.h>

#define ROWS 100000

/* The functions that SQLite gets, native or the app's. */
struct functions {
    void (*digest)(sqlite3_context *, int, sqlite3_value **);
    void (*variance_step)(sqlite3_context *, int, sqlite3_value **);
    void (*variance_final)(sqlite3_context *);
    int (*natural)(void *, int, const void *, int, const void *);
    int (*row)(void *, int, char **, char **);
};

/* What the queries gave. */
struct results {
    unsigned long long digests, variances, order;
    int groups, rows;
};

static void sql_check(sqlite3 *db, int status) {
    if (status == SQLITE_OK)
        return;
    fprintf(stderr, "error: sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

void count_row(void *counter) { ++*(int *)counter; }

static sqlite3 *open_database(void) {
    sqlite3 *db;
    sql_check(NULL, sqlite3_open(":memory:", &db));
    /* Every seventh name and every eleventh weight is NULL. */
    sql_check(db, sqlite3_exec(db,
                               "CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, weight REAL);"
                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
                               " INSERT INTO items SELECT i,"
                               " CASE WHEN i % 7 THEN 'item ' || (i * 7919 % 100003) || ' of row ' || i END,"
                               " CASE WHEN i % 11 THEN (i * 104729 % 100003) / 7.0 END FROM n;",
                               NULL, NULL, NULL));
    return db;
}

/* Runs a query and folds all that it returns, byte for byte and in its order, into a checksum. */
static unsigned long long query(sqlite3 *db, const char *sql, int *count) {
    sqlite3_stmt *statement;
    unsigned long long hash = 0xcbf29ce484222325ull;
    int status;
    *count = 0;
    sql_check(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            /* A double as its bits: its text has fewer digits. */
            double number = sqlite3_column_double(statement, i);
            unsigned long long bits;
            memcpy(&bits, &number, sizeof bits);
            bits ^= (unsigned long long)sqlite3_column_int64(statement, i);
            hash = (hash ^ bits) * 0x100000001b3ull;
        }
        ++*count;
    }
    sql_check(db, status == SQLITE_DONE ? SQLITE_OK : status);
    sql_check(db, sqlite3_finalize(statement));
    return hash;
}

static struct results run(sqlite3 *db, const struct functions *f) {
    struct results results = {0, 0, 0, 0, 0};
    int count;
    sql_check(db, sqlite3_create_function(db, "digest", 2, SQLITE_UTF8, NULL, f->digest, NULL, NULL));
    sql_check(db, sqlite3_create_function(db, "variance", 1, SQLITE_UTF8, NULL, NULL, f->variance_step, f->variance_final));
    sql_check(db, sqlite3_create_collation(db, "natural_order", SQLITE_UTF8, NULL, f->natural));

    results.digests = query(db, "SELECT digest(id, name) FROM items", &count);
    expect(count == ROWS, "not every row was there");
    results.variances = query(db, "SELECT variance(weight) FROM items GROUP BY id % 1000", &results.groups);
    results.order = query(db, "SELECT id FROM items ORDER BY name COLLATE natural_order, id", &count);
    expect(count == ROWS, "not every row was there");
    /* Its callback gets the address of a counter of the host's, and for the app it is a handle. */
    sql_check(db, sqlite3_exec(db, "SELECT * FROM items", f->row, &results.rows, NULL));
    return results;
}

static wb_fn callback(wb_instance *app, const char *prototype) {
    wb_fn function;
    check(wb_callback(app, prototype, NULL, &function));
    return function;
}

int main(int argc, char **argv) {
    expect(argc == 2, "usage: sqlite APP.wbm");

    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_instance *app;
    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_linker_new(engine, &linker));

    /* What the app calls: SQLite's objects stay opaque to it, as handles; a text it sees as its own. */
    static const struct {
        const char *prototype;
        wb_fn function;
    } imports[] = {
        {"int sqlite3_value_type(sqlite3_value *v[handle])", (wb_fn)sqlite3_value_type},
        {"long long sqlite3_value_int64(sqlite3_value *v[handle])", (wb_fn)sqlite3_value_int64},
        {"double sqlite3_value_double(sqlite3_value *v[handle])", (wb_fn)sqlite3_value_double},
        {"const unsigned char *sqlite3_value_text(sqlite3_value *v[handle]) [str]", (wb_fn)sqlite3_value_text},
        {"void sqlite3_result_int64(sqlite3_context *c[handle], long long n)", (wb_fn)sqlite3_result_int64},
        {"void sqlite3_result_double(sqlite3_context *c[handle], double x)", (wb_fn)sqlite3_result_double},
        {"void sqlite3_result_null(sqlite3_context *c[handle])", (wb_fn)sqlite3_result_null},
        {"void count_row(void *counter[handle])", (wb_fn)count_row},
    };
    for (size_t i = 0; i < sizeof imports / sizeof imports[0]; i++)
        check(wb_linker_define(linker, "env", imports[i].prototype, imports[i].function));
    check(wb_linker_instantiate(linker, module, &app));

    const struct functions native = {digest, variance_step, variance_final, natural, row};
    struct functions wasm;
    const char *step = "void variance_step(sqlite3_context *ctx[handle], int argc, sqlite3_value **argv[handle: argc])";
    wasm.digest = (void (*)(sqlite3_context *, int, sqlite3_value **))callback(
        app, "void digest(sqlite3_context *ctx[handle], int argc, sqlite3_value **argv[handle: argc])");
    wasm.variance_step = (void (*)(sqlite3_context *, int, sqlite3_value **))callback(app, step);
    wasm.variance_final =
        (void (*)(sqlite3_context *))callback(app, "void variance_final(sqlite3_context *ctx[handle])");
    wasm.natural = (int (*)(void *, int, const void *, int, const void *))callback(
        app, "int natural(void *arg[user], int n1, const void *s1[in: n1], int n2, const void *s2[in: n2])");
    wasm.row = (int (*)(void *, int, char **, char **))callback(
        app, "int row(void *counter[handle], int n, char **vals[str: n], char **names[str: n])");

    sqlite3 *db = open_database();
    struct results got = run(db, &wasm);
    wb_val checksum;
    check(wb_instance_take_error(app));
    check(wb_instance_call(app, "row_checksum", NULL, 0, &checksum, 1));
    struct results want = run(db, &native);
    sql_check(db, sqlite3_close(db));

    expect(got.digests == want.digests, "digest() differs");
    printf("scalar function over %d rows: as native\n", ROWS);
    expect(got.variances == want.variances, "variance() differs");
    expect(got.groups == want.groups, "variance() has other groups");
    printf("aggregate over %d groups: as native\n", got.groups);
    expect(got.order == want.order, "the collation sorts differently");
    printf("collation over %d rows: as native\n", ROWS);
    expect(checksum.of.i64 == row_checksum(), "the row callback saw other rows");
    expect(got.rows == want.rows && got.rows == ROWS, "the row callback counted other rows");
    printf("row callback over %d rows: as native\n", got.rows);

    wb_instance_delete(app);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
