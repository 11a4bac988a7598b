#include "app.h"

#include <stdlib.h>
#include <string.h>

static unsigned long long fold(unsigned long long hash, const char *text) {
    if (text == NULL)
        return hash * 31 + 7;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
    return hash;
}

static void digest(sqlite3_context *context, int argc, sqlite3_value **argv) {
    unsigned long long hash = argc == 2 ? (unsigned long long)sqlite3_value_int64(argv[0]) : 0;
    hash = argc == 2 ? fold(hash, (const char *)sqlite3_value_text(argv[1])) : 0;
    sqlite3_result_int64(context, (long long)hash);
}

/* The state of the group that is being aggregated (Welford's method). SQLite finishes a group before it begins the next, so one
 * is enough as long as a query uses the aggregate once. sqlite3_aggregate_context, where a native function would keep it, returns
 * memory of SQLite's, which the app cannot see. */
static struct {
    double count, mean, squares;
} group;

static void variance_step(sqlite3_context *context, int argc, sqlite3_value **argv) {
    (void)context;
    if (argc != 1 || sqlite3_value_type(argv[0]) == SQLITE_NULL)
        return;
    double x = sqlite3_value_double(argv[0]);
    double delta = x - group.mean;
    group.count += 1;
    group.mean += delta / group.count;
    group.squares += delta * (x - group.mean);
}

static void variance_final(sqlite3_context *context) {
    if (group.count > 1)
        sqlite3_result_double(context, group.squares / (group.count - 1));
    else
        sqlite3_result_null(context);
    group.count = group.mean = group.squares = 0;
}

static int is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

static int natural(void *arg, int left_len, const void *left, int right_len, const void *right) {
    const unsigned char *l = left, *l_end = l + left_len;
    const unsigned char *r = right, *r_end = r + right_len;
    (void)arg;
    while (l < l_end && r < r_end) {
        if (is_digit(*l) && is_digit(*r)) {
            unsigned long long x = 0, y = 0;
            for (; l < l_end && is_digit(*l); l++)
                x = x * 10 + (*l - '0');
            for (; r < r_end && is_digit(*r); r++)
                y = y * 10 + (*r - '0');
            if (x != y)
                return x < y ? -1 : 1;
        } else if (*l != *r) {
            return *l < *r ? -1 : 1;
        } else {
            l++;
            r++;
        }
    }
    return (l < l_end) - (r < r_end);
}

static unsigned long long rows;

int row(void *counter, int columns, char **values, char **names) {
    for (int i = 0; i < columns; i++)
        rows = fold(fold(rows, names[i]), values[i]);
    count_row(counter);
    return 0;
}

long long row_checksum(void) { return (long long)rows; }

/* The virtual table steps: the numbers from `start` to `stop`, `step` apart, in either order.
 *
 *     SELECT value FROM steps(10, 100, 5) WHERE value > 50 ORDER BY value DESC
 *
 * Its objects begin with SQLite's and go on with what is theirs. */
typedef struct {
    sqlite3_vtab base;
    int queries;
} steps_table;

typedef struct {
    sqlite3_vtab_cursor base;
    sqlite3_int64 rowid, value, start, stop, step;
    int downwards;
} steps_cursor;

enum { VALUE, START, STOP, STEP };

static int objects;

int live_objects(void) { return objects; }

static void *new_object(size_t size) {
    void *object = calloc(1, size);
    objects += object != NULL;
    return object;
}

static void delete_object(void *object) {
    objects--;
    free(object);
}

/* A text of SQLite's, which SQLite frees. */
static char *text_of(sqlite3 *db, const char *text, const char *more) {
    sqlite3_str *built = sqlite3_str_new(db);
    sqlite3_str_appendall(built, text);
    sqlite3_str_appendall(built, more);
    return sqlite3_str_finish(built);
}

static int steps_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **vtab, char **error) {
    if (argc != 3) {
        *error = text_of(db, "no arguments are expected: ", argv[3]);
        return SQLITE_ERROR;
    }
    int status = sqlite3_declare_vtab(db, aux);
    if (status != SQLITE_OK)
        return status;
    steps_table *table = new_object(sizeof *table);
    if (table == NULL)
        return SQLITE_NOMEM;
    *vtab = &table->base;
    return SQLITE_OK;
}

static int steps_disconnect(sqlite3_vtab *vtab) {
    delete_object(vtab);
    return SQLITE_OK;
}

static int steps_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor) {
    steps_cursor *made = new_object(sizeof *made);
    if (made == NULL)
        return SQLITE_NOMEM;
    ((steps_table *)vtab)->queries++;
    *cursor = &made->base;
    return SQLITE_OK;
}

static int steps_close(sqlite3_vtab_cursor *cursor) {
    delete_object(cursor);
    return SQLITE_OK;
}

/* Each argument is an equation on a hidden column; how far the values may go, a comparison with `value`. idxStr says which are
 * given, in the order of xFilter's arguments. */
static int steps_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    static char plans[64][8];
    int plan = 0, used = 0;
    char letters[8] = "";
    (void)vtab;
    for (int column = VALUE; column <= STEP; column++) {
        for (int i = 0; i < info->nConstraint; i++) {
            const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
            if (constraint->iColumn != column)
                continue;
            if (column != VALUE && constraint->op == SQLITE_INDEX_CONSTRAINT_EQ) {
                if (!constraint->usable)
                    return SQLITE_CONSTRAINT;
                plan |= 1 << column;
                letters[used++] = (char)('a' + column);
                info->aConstraintUsage[i].argvIndex = used;
                info->aConstraintUsage[i].omit = 1;
            } else if (column == VALUE && constraint->op == SQLITE_INDEX_CONSTRAINT_LE && constraint->usable &&
                       !(plan & 1)) {
                plan |= 1;
                letters[used++] = 'a';
                info->aConstraintUsage[i].argvIndex = used;
            }
        }
    }
    if (info->nOrderBy == 1 && info->aOrderBy[0].iColumn == VALUE) {
        info->orderByConsumed = 1;
        plan |= info->aOrderBy[0].desc ? 32 : 16;
    }
    /* Such a text stays: SQLite need not copy or free it. */
    memcpy(plans[plan], letters, sizeof letters);
    info->idxStr = plans[plan];
    info->needToFreeIdxStr = 0;
    info->idxNum = plan;
    info->estimatedRows = plan & (1 << STOP) ? 1000 : 1000000;
    info->estimatedCost = (double)info->estimatedRows;
    return SQLITE_OK;
}

static int steps_filter(sqlite3_vtab_cursor *cursor, int plan, const char *letters, int argc, sqlite3_value **argv) {
    steps_cursor *c = (steps_cursor *)cursor;
    sqlite3_int64 limit = 0;
    int limited = 0;
    c->start = 0;
    c->stop = 999;
    c->step = 1;
    for (int i = 0; i < argc; i++) {
        sqlite3_int64 value = sqlite3_value_int64(argv[i]);
        switch (letters[i] - 'a') {
        case VALUE: limit = value, limited = 1; break;
        case START: c->start = value; break;
        case STOP: c->stop = value; break;
        default: c->step = value;
        }
    }
    if (c->step <= 0) {
        cursor->pVtab->zErrMsg = text_of(NULL, "steps: the step is not ", "positive");
        return SQLITE_ERROR;
    }
    if (limited && limit < c->stop)
        c->stop = limit;
    c->downwards = (plan & 32) != 0;
    c->rowid = 1;
    c->value = c->downwards && c->stop >= c->start ? c->stop - (c->stop - c->start) % c->step : c->start;
    return SQLITE_OK;
}

static int steps_next(sqlite3_vtab_cursor *cursor) {
    steps_cursor *c = (steps_cursor *)cursor;
    c->value += c->downwards ? -c->step : c->step;
    c->rowid++;
    return SQLITE_OK;
}

static int steps_eof(sqlite3_vtab_cursor *cursor) {
    const steps_cursor *c = (const steps_cursor *)cursor;
    return c->downwards ? c->value < c->start : c->value > c->stop;
}

static int steps_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    const steps_cursor *c = (const steps_cursor *)cursor;
    const sqlite3_int64 columns[] = {c->value, c->start, c->stop, c->step};
    sqlite3_result_int64(context, columns[column]);
    return SQLITE_OK;
}

static int steps_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    *rowid = ((const steps_cursor *)cursor)->rowid;
    return SQLITE_OK;
}

static const sqlite3_module steps = {
    .xCreate = NULL, /* it is there without CREATE VIRTUAL TABLE */
    .xConnect = steps_connect,
    .xBestIndex = steps_best_index,
    .xDisconnect = steps_disconnect,
    .xDestroy = steps_disconnect,
    .xOpen = steps_open,
    .xClose = steps_close,
    .xFilter = steps_filter,
    .xNext = steps_next,
    .xEof = steps_eof,
    .xColumn = steps_column,
    .xRowid = steps_rowid,
};

int extend(sqlite3 *db) {
    static char columns[] = "CREATE TABLE steps(value, start HIDDEN, stop HIDDEN, step HIDDEN)";
    int status = sqlite3_create_function_v2(db, "digest", 2, SQLITE_UTF8, NULL, digest, NULL, NULL, NULL);
    if (status == SQLITE_OK)
        status = sqlite3_create_function_v2(db, "variance", 1, SQLITE_UTF8, NULL, NULL, variance_step, variance_final, NULL);
    if (status == SQLITE_OK)
        status = sqlite3_create_collation_v2(db, "natural_order", SQLITE_UTF8, NULL, natural, NULL);
    if (status == SQLITE_OK)
        status = sqlite3_create_module_v2(db, "steps", &steps, columns, NULL);
    return status;
}
