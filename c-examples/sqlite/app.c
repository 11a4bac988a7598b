#include "app.h"

#include <stddef.h>

static unsigned long long fold(unsigned long long hash, const char *text) {
    if (text == NULL)
        return hash * 31 + 7;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
    return hash;
}

void digest(sqlite3_context *context, int argc, sqlite3_value **argv) {
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

void variance_step(sqlite3_context *context, int argc, sqlite3_value **argv) {
    (void)context;
    if (argc != 1 || sqlite3_value_type(argv[0]) == SQLITE_NULL)
        return;
    double x = sqlite3_value_double(argv[0]);
    double delta = x - group.mean;
    group.count += 1;
    group.mean += delta / group.count;
    group.squares += delta * (x - group.mean);
}

void variance_final(sqlite3_context *context) {
    if (group.count > 1)
        sqlite3_result_double(context, group.squares / (group.count - 1));
    else
        sqlite3_result_null(context);
    group.count = group.mean = group.squares = 0;
}

static int is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

int natural(void *arg, int left_len, const void *left, int right_len, const void *right) {
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
