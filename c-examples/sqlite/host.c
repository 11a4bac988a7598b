/* The distribution's SQLite is extended by an app: with a function, an aggregate, a collation and a virtual table that are WebAssembly. They
 * work on a table of 100,000 rows; then the same extension does, compiled natively. The results must be the same.
 *
 * What the app gives SQLite it registers itself, as any extension does: the host only says what SQLite's functions and structs are. */

#include "app.h"
#include "example.h"
#include <string.h>

#define ROWS 100000

/* What the queries gave. */
struct results {
    unsigned long long digests, variances, order, steps, joined;
    int groups, rows, steps_rows;
    char error[64];
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

/* Runs everything with an extension, and a callback for rows. */
static struct results run(int (*extend)(sqlite3 *), int (*row)(void *, int, char **, char **)) {
    struct results results = {0};
    int count;
    sqlite3 *db = open_database();
    sqlite3_stmt *statement;
    sql_check(db, extend(db));

    results.digests = query(db, "SELECT digest(id, name) FROM items", &count);
    expect(count == ROWS, "not every row was there");
    results.variances = query(db, "SELECT variance(weight) FROM items GROUP BY id % 1000", &results.groups);
    results.order = query(db, "SELECT id FROM items ORDER BY name COLLATE natural_order, id", &count);
    expect(count == ROWS, "not every row was there");
    results.steps = query(db,
                          "SELECT rowid, value, step FROM steps(7, 500000, 3) WHERE value <= 400000 ORDER BY value DESC",
                          &results.steps_rows);
    results.joined = query(db,
                           "SELECT items.id, a.value, count(b.value) FROM steps(1, 100, 9) a, items, steps b"
                           " WHERE items.id = a.value * 50 AND b.start = a.value AND b.stop = 200 AND b.step = 2"
                           " GROUP BY items.id ORDER BY items.id",
                           &count);
    expect(count == 12, "the join has other rows");
    /* What the virtual table says is wrong. */
    sql_check(db, sqlite3_prepare_v2(db, "SELECT * FROM steps(1, 2, 0)", -1, &statement, NULL));
    expect(sqlite3_step(statement) == SQLITE_ERROR, "a step of 0 is an error");
    snprintf(results.error, sizeof results.error, "%s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    /* Its callback gets the address of a counter of the host's, and for the app it is a handle. */
    sql_check(db, sqlite3_exec(db, "SELECT * FROM items", row, &results.rows, NULL));
    sql_check(db, sqlite3_close(db));
    return results;
}

static wb_fn callback(wb_instance *app, const char *prototype) {
    wb_fn function;
    check(wb_callback(app, prototype, NULL, &function));
    return function;
}

/* SQLite as its header has it, and what the header does not say: which objects stay opaque to the app, as handles; which texts it sees
 * as its own; and which structs SQLite keeps. */
static void define_sqlite(wb_linker *linker) {
    static const struct {
        const char *name, *type;
    } types[] = {
        {"sqlite3_int64", "long long"},
        /* SQLite frees the message, so it must be one of SQLite's. */
        {"sqlite3_vtab", "struct sqlite3_vtab { const sqlite3_module *pModule[shadow]; int nRef; char *zErrMsg[handle, scope: call]; }"},
        {"sqlite3_vtab_cursor", "struct sqlite3_vtab_cursor { sqlite3_vtab *pVtab[shadow]; }"},
        {"sqlite3_index_info",
         "struct sqlite3_index_info {"
         " int nConstraint;"
         " struct sqlite3_index_constraint { int iColumn; unsigned char op, usable; int iTermOffset; }"
         "  *aConstraint[in: nConstraint];"
         " int nOrderBy;"
         " struct sqlite3_index_orderby { int iColumn; unsigned char desc; } *aOrderBy[in: nOrderBy];"
         " struct sqlite3_index_constraint_usage { int argvIndex; unsigned char omit; } *aConstraintUsage[inout: nConstraint];"
         " int idxNum;"
         " char *idxStr[str];"
         " int needToFreeIdxStr, orderByConsumed;"
         " double estimatedCost;"
         " sqlite3_int64 estimatedRows;"
         " int idxFlags;"
         " unsigned long long colUsed;"
         "}"},
        {"create_fn", "int (*)(sqlite3 *db[handle], void *aux[user], int argc, const char *const *argv[str: argc],"
                      " sqlite3_vtab **vtab[out shadow], char **error[inout handle])"},
        /* With these calls SQLite gives up what it was given. */
        {"table_end_fn", "int (*)(sqlite3_vtab *vtab[shadow, scope: call])"},
        {"cursor_end_fn", "int (*)(sqlite3_vtab_cursor *cursor[shadow, scope: call])"},
        {"table_fn", "int (*)(sqlite3_vtab *vtab[shadow])"},
        {"cursor_fn", "int (*)(sqlite3_vtab_cursor *cursor[shadow])"},
        {"sqlite3_module",
         "struct sqlite3_module {"
         " int iVersion;"
         " create_fn xCreate, xConnect;"
         " int (*xBestIndex)(sqlite3_vtab *vtab[shadow], sqlite3_index_info *info[inout]);"
         " table_end_fn xDisconnect, xDestroy;"
         " int (*xOpen)(sqlite3_vtab *vtab[shadow], sqlite3_vtab_cursor **cursor[out shadow]);"
         " cursor_end_fn xClose;"
         " int (*xFilter)(sqlite3_vtab_cursor *cursor[shadow], int idxNum, const char *idxStr[str], int argc,"
         "  sqlite3_value **argv[handle: argc]);"
         " cursor_fn xNext, xEof;"
         " int (*xColumn)(sqlite3_vtab_cursor *cursor[shadow], sqlite3_context *context[handle], int column);"
         " int (*xRowid)(sqlite3_vtab_cursor *cursor[shadow], sqlite3_int64 *rowid[out]);"
         " int (*xUpdate)(sqlite3_vtab *vtab[shadow], int argc, sqlite3_value **argv[handle: argc], sqlite3_int64 *rowid[out]);"
         " table_fn xBegin, xSync, xCommit, xRollback;"
         " void *xFindFunction[user];" /* it returns a function through a pointer: not for apps */
         " int (*xRename)(sqlite3_vtab *vtab[shadow], const char *name[str]);"
         " int (*xSavepoint)(sqlite3_vtab *vtab[shadow], int n);"
         " int (*xRelease)(sqlite3_vtab *vtab[shadow], int n);"
         " int (*xRollbackTo)(sqlite3_vtab *vtab[shadow], int n);"
         " int (*xShadowName)(const char *name[str]);"
         "}"},
        {"value_fn", "void (*)(sqlite3_context *context[handle], int argc, sqlite3_value **argv[handle: argc])"},
        {"final_fn", "void (*)(sqlite3_context *context[handle])"},
        {"compare_fn", "int (*)(void *arg[user], int n1, const void *s1[in: n1], int n2, const void *s2[in: n2])"},
        {"destroy_fn", "void (*)(void *arg[user])"},
    };
    static const struct {
        const char *prototype;
        wb_fn function;
    } functions[] = {
        {"int sqlite3_create_function_v2(sqlite3 *db[handle], const char *name[str], int n, int flags, void *arg[user],"
         " value_fn func, value_fn step, final_fn final, destroy_fn destroy)",
         (wb_fn)sqlite3_create_function_v2},
        {"int sqlite3_create_collation_v2(sqlite3 *db[handle], const char *name[str], int flags, void *arg[user],"
         " compare_fn compare, destroy_fn destroy)",
         (wb_fn)sqlite3_create_collation_v2},
        {"int sqlite3_create_module_v2(sqlite3 *db[handle], const char *name[str], const sqlite3_module *module[shadow],"
         " void *arg[user], destroy_fn destroy)",
         (wb_fn)sqlite3_create_module_v2},
        {"int sqlite3_declare_vtab(sqlite3 *db[handle], const char *sql[str])", (wb_fn)sqlite3_declare_vtab},
        {"sqlite3_str *sqlite3_str_new(sqlite3 *db[handle]) [handle]", (wb_fn)sqlite3_str_new},
        {"void sqlite3_str_appendall(sqlite3_str *s[handle], const char *text[str])", (wb_fn)sqlite3_str_appendall},
        {"char *sqlite3_str_finish(sqlite3_str *s[handle, scope: call]) [handle]", (wb_fn)sqlite3_str_finish},
        {"int sqlite3_value_type(sqlite3_value *v[handle])", (wb_fn)sqlite3_value_type},
        {"long long sqlite3_value_int64(sqlite3_value *v[handle])", (wb_fn)sqlite3_value_int64},
        {"double sqlite3_value_double(sqlite3_value *v[handle])", (wb_fn)sqlite3_value_double},
        {"const unsigned char *sqlite3_value_text(sqlite3_value *v[handle]) [str]", (wb_fn)sqlite3_value_text},
        {"void sqlite3_result_int64(sqlite3_context *c[handle], long long n)", (wb_fn)sqlite3_result_int64},
        {"void sqlite3_result_double(sqlite3_context *c[handle], double x)", (wb_fn)sqlite3_result_double},
        {"void sqlite3_result_null(sqlite3_context *c[handle])", (wb_fn)sqlite3_result_null},
        {"void count_row(void *counter[handle])", (wb_fn)count_row},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        check(wb_linker_typedef(linker, types[i].name, types[i].type));
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        check(wb_linker_define(linker, "env", functions[i].prototype, functions[i].function));
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

    define_sqlite(linker);
    check(wb_linker_instantiate(linker, module, &app));

    wb_fn app_extend = callback(app, "int extend(sqlite3 *db[handle])");
    wb_fn app_row = callback(app, "int row(void *counter[handle], int n, char **vals[str: n], char **names[str: n])");
    struct results got = run((int (*)(sqlite3 *))app_extend, (int (*)(void *, int, char **, char **))app_row);
    wb_val checksum, objects;
    check(wb_instance_take_error(app));
    check(wb_instance_call(app, "row_checksum", NULL, 0, &checksum, 1));
    check(wb_instance_call(app, "live_objects", NULL, 0, &objects, 1));
    struct results want = run(extend, row);

    expect(got.digests == want.digests, "digest() differs");
    printf("scalar function over %d rows: as native\n", ROWS);
    expect(got.variances == want.variances, "variance() differs");
    expect(got.groups == want.groups, "variance() has other groups");
    printf("aggregate over %d groups: as native\n", got.groups);
    expect(got.order == want.order, "the collation sorts differently");
    printf("collation over %d rows: as native\n", ROWS);
    expect(got.steps == want.steps && got.joined == want.joined, "the virtual table has other values");
    expect(got.steps_rows == want.steps_rows, "the virtual table has other rows");
    expect(objects.of.i32 == 0 && live_objects() == 0, "the virtual table has left objects behind");
    printf("virtual table of %d rows, and a join with it: as native\n", got.steps_rows);
    expect(strcmp(got.error, want.error) == 0, "the virtual table's error differs");
    printf("its error: %s\n", got.error);
    expect(checksum.of.i64 == row_checksum(), "the row callback saw other rows");
    expect(got.rows == want.rows && got.rows == ROWS, "the row callback counted other rows");
    printf("row callback over %d rows: as native\n", got.rows);

    wb_instance_delete(app);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
