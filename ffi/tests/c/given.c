/* Memory that a function gives: what it returns, and pointers that it writes. An app that says that it has more than it has is refused before C
 * has the address; of C's memory the app sees as much as the prototype says. */

#include "common.h"

#include <limits.h>

static wb_instance *app;
static char *memory;

/* For the app to call. */

static int fill(void *(*alloc)(unsigned), int n) {
    char *block = (char *)alloc((unsigned)n);
    if (block == NULL)
        return -1;
    memset(block, 7, (size_t)n);
    return n;
}

static int count_pieces(int (*next)(const char **)) {
    const char *piece = "";
    int n = next(&piece), sum = 0;
    for (int i = 0; i < n; i++)
        sum += piece[i];
    return sum;
}

static char bytes[100];
static const char *given;
static int given_len;

static const char *data(int *len) {
    *len = given_len;
    return given;
}

static const long *longs(int n) {
    static long values[] = {1, -2, 3, 1l << 40};
    return n == 0 ? NULL : values;
}

static const char *const *names(void) {
    static const char *const words[] = {"one", "two", NULL};
    return words;
}

typedef struct {
    long x, y;
} point;

static const point *points(int n) {
    static const point all[] = {{1, 2}, {-3, 1l << 40}};
    return n < 0 ? NULL : all;
}

static void *room(int n) {
    (void)n;
    return (void *)given;
}

static int piece(int n, const char **p) {
    if (n != 99)
        *p = given;
    return n == 99 ? 5 : n;
}

static void set(int where, int count) {
    wb_val args[2], result;
    args[0] = wb_i32(where), args[1] = wb_i32(count);
    OK(wb_instance_call(app, "set", args, 2, &result, 1));
}

static int call(const char *name, int n, int a, int b) {
    wb_val args[2], result;
    args[0] = wb_i32(a), args[1] = wb_i32(b);
    OK(wb_instance_call(app, name, args, (size_t)n, &result, 1));
    return result.of.i32;
}

static void refused(const char *name, int n, int a, int b, const char *words) {
    wb_val args[2], result;
    args[0] = wb_i32(a), args[1] = wb_i32(b);
    FAILS(wb_instance_call(app, name, args, (size_t)n, &result, 1), WB_ERROR_TRAP, words);
}

static wb_fn callback(const char *prototype) {
    wb_fn f;
    OK(wb_callback(app, prototype, NULL, &f));
    return f;
}

/* What has just been called was refused, and for this reason. */
static void failed(const char *words) { FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, words); }

typedef void *(*alloc_fn)(void *, unsigned, unsigned);
typedef void *(*move_fn)(void *, size_t);
typedef unsigned (*next_fn)(void *, const char **);

/* An allocator of the app's, as zlib wants one. */
static void allocators(const char *annotation, int nullable) {
    char prototype[200];
    snprintf(prototype, sizeof prototype, "void *alloc(void *opaque[user], unsigned items, unsigned size) [%s]", annotation);
    alloc_fn alloc = (alloc_fn)callback(prototype);

    set(1000, 0);
    memory[1012] = 5;
    char *block = (char *)alloc(NULL, 3, 4);
    CHECK(block == memory + 1000);
    memset(block, 1, 12);
    CHECK(memory[1011] == 1 && memory[1012] == 5);
    set(65536 - 12, 0);
    CHECK(alloc(NULL, 3, 4) == memory + 65536 - 12);
    CHECK(alloc(NULL, 0, 4) == memory + 65536 - 12);
    set(65536, 0);
    CHECK(alloc(NULL, 0, 4) == memory + 65536); /* nothing at the end is something */
    OK(wb_instance_take_error(app));

    /* Close to the end, outside, and anywhere with a size that overflows. */
    set(65536 - 11, 0);
    CHECK(alloc(NULL, 3, 4) == NULL);
    failed("`alloc` result: 12 bytes at 0xfff5 are not in the app's memory of 0x10000 bytes");
    set(65536, 0);
    CHECK(alloc(NULL, 1, 1) == NULL);
    failed("1 bytes at 0x10000 are not in the app's memory");
    set(-1, 0);
    CHECK(alloc(NULL, 3, 4) == NULL);
    failed("12 bytes at 0xffffffff are not");
    set(-4096, 0);
    CHECK(alloc(NULL, 0, 0) == NULL);
    failed("0 bytes at 0xfffff000 are not");
    set(16, 0);
    CHECK(alloc(NULL, UINT_MAX, UINT_MAX) == NULL);
    failed("`alloc` result: its length overflows");
    CHECK(alloc(NULL, 65536, 65536) == NULL); /* 0 in 32 bits */
    failed("4294967296 bytes at 0x10 are not in the app's memory");
    CHECK(alloc(NULL, 65521, 1) == NULL);
    failed("65521 bytes at 0x10 are not");
    CHECK(alloc(NULL, 65520, 1) == memory + 16);

    /* NULL says that there is no memory, where the prototype has it so. */
    set(0, 0);
    CHECK(alloc(NULL, 3, 4) == NULL);
    if (nullable)
        OK(wb_instance_take_error(app));
    else
        failed("`alloc` result: NULL, with a length of 12 bytes");
    CHECK(alloc(NULL, 0, 4) == NULL);
    OK(wb_instance_take_error(app));
}

static void results(void) {
    wb_fn f;
    int n = 8;
    allocators("inout: items * size, nullable", 1);
    allocators("out: items * size", 0);
    allocators("in: size * items", 0);

    /* By the new size. */
    {
        move_fn move = (move_fn)callback("void *move(void *block, size_t size) [inout: size, nullable]");
        set(2000, 0);
        CHECK(move(memory + 1000, 100) == memory + 2000);
        set(65000, 0);
        CHECK(move(memory + 1000, 537) == NULL);
        failed("`move` result: 537 bytes at 0xfde8");
        CHECK(move(memory + 1000, (size_t)1 << 40) == NULL);
        failed("`move` argument 2 (`size`): 1099511627776 does not fit");
    }

    /* Counts with a sign, elements larger than bytes, arguments of all kinds. */
    {
        int *(*ints)(int) = (int *(*)(int))callback("int *alloc_one(int n) [inout: n - 2]");
        set(65536 - 8, 0);
        CHECK(ints(4) == (int *)(void *)(memory + 65536 - 8));
        CHECK(ints(5) == NULL);
        failed("`alloc_one` result: 12 bytes at 0xfff8");
        CHECK(ints(1) == NULL);
        failed("`alloc_one` result: its length is -1");
        CHECK(ints(INT_MIN) == NULL);
        failed("its length is -2147483650");
    }
    {
        void *(*alloc)(double, signed char, long long) =
            (void *(*)(double, signed char, long long))callback("void *alloc_two(double, signed char a, long long b) [out: a * b]");
        set(65536 - 6, 0);
        CHECK(alloc(1.5, -2, -3) == memory + 65536 - 6);
        CHECK(alloc(1.5, 2, 4) == NULL);
        failed("8 bytes at 0xfffa");
        CHECK(alloc(1.5, -128, LLONG_MIN) == NULL);
        failed("its length is 1180591620717411303424");
        CHECK(alloc(1.5, 2, LLONG_MAX) == NULL);
        failed("its length overflows");
    }

    /* The app says how much, and C and the check get the same. */
    {
        void *(*take)(int *) = (void *(*)(int *))callback("void *take(int *n[inout]) [out: *n, nonnull]");
        set(65536 - 10, 10);
        CHECK(take(&n) == memory + 65536 - 10 && n == 10);
        set(65536 - 10, 11);
        CHECK(take(&n) == NULL && n == 10);
        failed("`take` result: 11 bytes at 0xfff6");
        set(65536 - 10, -1);
        CHECK(take(&n) == NULL && n == 10);
        failed("`take` result: its length is -1");
        set(0, 1);
        CHECK(take(&n) == NULL);
        failed("`take` result is NULL, the prototype says [nonnull]");
    }

    /* In a window that the app may only read: not for C to write. */
    {
        wb_region *region;
        alloc_fn reads = (alloc_fn)callback("const void *alloc(void *opaque[user], unsigned items, unsigned size) [in: items * size]");
        alloc_fn writes = (alloc_fn)callback("void *alloc(void *opaque[user], unsigned items, unsigned size) [out: items * size]");
        OK(wb_region_new(4096, &region));
        OK(wb_region_grant(region, app, WB_READ));
        set((int)wb_region_guest_addr(region), 0);
        CHECK(reads(NULL, 4096, 1) == wb_region_ptr(region));
        CHECK(reads(NULL, 4097, 1) == NULL);
        failed("are not in the app's memory");
        CHECK(writes(NULL, 1, 1) == NULL);
        failed("may not be written");
        OK(wb_region_revoke(region, app));
        CHECK(reads(NULL, 1, 1) == NULL);
        failed("are not in the app's memory");
        wb_region_delete(region);
    }

    /* C would need a copy that nobody frees. */
    FAILS(wb_callback(app, "long *alloc_one(int n) [in: n]", NULL, &f), WB_ERROR_PROTOTYPE, "the result: C would get a copy");
}

/* Pointers that the app writes, and as much as it then says. */
static void pieces(void) {
    const char *other = "other", *p;
    next_fn next = (next_fn)callback("unsigned next(void *desc[user], const char **piece[out in: return])");
    set(65536 - 10, 10);
    CHECK(next(NULL, &p) == 10 && p == memory + 65536 - 10);
    set(65536 - 10, 11);
    p = other;
    CHECK(next(NULL, &p) == 0 && p == other);
    failed("`next` argument 2 (`piece`): element 0: 11 bytes at 0xfff6 are not in the app's memory");
    set(100, -1); /* `unsigned` */
    CHECK(next(NULL, &p) == 0 && p == other);
    failed("4294967295 bytes at 0x64 are not");
    set(70000, 1);
    CHECK(next(NULL, &p) == 0 && p == other);
    failed("1 bytes at 0x11170");
    set(0, 1);
    CHECK(next(NULL, &p) == 0 && p == other);
    failed("`next` argument 2 (`piece`): element 0: NULL, with a length of 1 bytes");
    set(0, 0);
    CHECK(next(NULL, &p) == 0 && p == NULL);
    set(500, 0);
    CHECK(next(NULL, &p) == 0 && p == memory + 500);
    next = (next_fn)callback("int next(void *desc[user], const char **piece[out in: return * 2, nullable])");
    set(0, 7);
    CHECK(next(NULL, &p) == 7 && p == NULL);
    set(100, -1);
    CHECK((int)next(NULL, &p) == 0);
    failed("its length is -2");

    /* The length behind another pointer. */
    {
        void (*by)(const char **, int *) = (void (*)(const char **, int *))callback("void next_by(const char **p[out inout: *n], int *n[out])");
        int n = 1;
        set(65536 - 10, 10);
        by(&p, &n);
        CHECK(n == 10 && p == memory + 65536 - 10);
        set(65536 - 10, 11);
        by(&p, &n);
        CHECK(n == 10);
        failed("`next_by` argument 1 (`p`): element 0: 11 bytes at 0xfff6");
    }

    /* A part of what it was shown a copy of is a part of that, and no more. */
    {
        int (*part)(const char *, int, const char **) =
            (int (*)(const char *, int, const char **))callback("int part(const char *text[in: n], int n, const char **found[out in: return])");
        const char *(*rest)(const char *, int, int) =
            (const char *(*)(const char *, int, int))callback("const char *rest(const char *text[in: n], int n, int by) [in: n - by]");
        set(3, 4);
        CHECK(part(other, 5, &p) == 0);
        failed("`part` argument 3 (`found`): element 0: 4 bytes at ");
        set(3, 2);
        CHECK(part(other, 5, &p) == 2 && p == other + 3);
        set(5, 0);
        CHECK(part(other, 5, &p) == 0 && p == other + 5);
        set(6, 0);
        CHECK(part(other, 5, &p) == 0);
        failed("only shown until the callback returns");
        set(2, 0);
        CHECK(rest(other, 5, 2) == other + 2);
        CHECK(rest(other, 5, 1) == NULL);
        failed("`rest` result: 4 bytes at ");
    }
    OK(wb_instance_take_error(app));
}

/* Callbacks that the app passes: its own call then ends with the error. */
static void passed(void) {
    set(65536 - 100, 0);
    CHECK(call("fill", 1, 100, 0) == 100 && memory[65535] == 7);
    refused("fill", 1, 101, 0, "101 bytes at 0xff9c are not in the app's memory");
    memory[65534] = memory[65535] = 3;
    set(65534, 2);
    CHECK(call("count_pieces", 0, 0, 0) == 6);
    set(65534, 3);
    refused("count_pieces", 0, 0, 0, "3 bytes at 0xfffe are not in the app's memory");
}

/* What C gives the app: as much as is said, and a copy if the app cannot see it. */
static void imports(void) {
    int i;
    for (i = 0; i < 100; i++)
        bytes[i] = (char)i;
    given = bytes, given_len = 100;
    for (i = 0; i < 100; i++)
        CHECK(call("data_at", 1, i, 0) == i);
    given = memory + 3000, given_len = 10;
    CHECK(call("data", 0, 0, 0) == 3000);
    given = memory + 65536 - 10, given_len = 10;
    CHECK(call("data", 0, 0, 0) == 65536 - 10);
    given_len = 11;
    refused("data", 0, 0, 0, "`data` result: 11 bytes at 0xfff6 are not in the app's memory");
    given = bytes, given_len = -1;
    refused("data", 0, 0, 0, "`data` result: its length is -1");
    given_len = INT_MAX;
    refused("data", 0, 0, 0, "do not fit the app's scratch memory");
    given = NULL, given_len = 1;
    refused("data", 0, 0, 0, "`data` result: NULL, with a length of 1 bytes");
    given_len = 0;
    CHECK(call("data", 0, 0, 0) == 0);

    CHECK(call("longs_at", 2, 3, 1) == -2 && call("longs_at", 2, 3, 2) == 3);
    refused("longs_at", 2, 4, 0, "`longs` result: element 3: 1099511627776 does not fit");
    CHECK(call("names_at", 2, 0, 2) == 'e' && call("names_at", 2, 1, 0) == 't' && call("names_at", 2, 1, 3) == 0);
    CHECK(call("points_at", 2, 1, 0) == 1 && call("points_at", 2, 1, 1) == 2);
    refused("points_at", 2, 2, 0, "`points` result: element 1: member `y`: 1099511627776 does not fit");

    /* The app would write to a copy. */
    given = memory + 100;
    CHECK(call("room", 1, 10, 0) == 100);
    given = memory + 65536 - 9;
    refused("room", 1, 10, 0, "`room` result: 10 bytes at 0xfff7");
    given = bytes;
    refused("room", 1, 10, 0, "`room` result: the app may write 10 bytes of C's that it cannot see");

    /* Pointers that C writes. */
    CHECK(call("piece_at", 2, 50, -1) == 50 && call("piece_at", 2, 50, 49) == 49);
    CHECK(call("piece_at", 2, 0, -1) == 0);
    refused("piece_at", 2, -1, -1, "`piece` argument 2 (`p`): element 0: its length is -1");
    given = memory + 4000;
    CHECK(call("piece_is", 1, 10, 0) == 4000);
    refused("piece_at", 2, 99, -1, "`piece` argument 2 (`p`): element 0: NULL, with a length of 5 bytes");

    /* Copies end with the call of the host's: a thousand times more than there is room for at once. */
    given = bytes;
    for (i = 0; i < 1000; i++)
        CHECK(call("piece_at", 2, 100, 99) == 99);
}

int main(int argc, char **argv) {
    host h;
    void *base;
    size_t len;
    CHECK(argc == 2);
    h = open_host(argv[1], "given.wbm", NULL);
    FAILS(wb_linker_define(h.linker, "env", "int fill(long *(*alloc[scope: call])(unsigned n) [in: n], int n)", (wb_fn)fill),
          WB_ERROR_PROTOTYPE, "parameter 1, `alloc`: the result: C would get a copy");
    DEFINE(fill, "int fill(void *(*alloc[scope: call])(unsigned n) [inout: n], int n)");
    DEFINE(count_pieces, "int count_pieces(int (*next[scope: call])(const char **piece[out in: return]))");
    DEFINE(data, "const char *data(int *len[out]) [in: *len]");
    DEFINE(longs, "const long *longs(int n) [in: n]");
    DEFINE(names, "const char *const *names(void) [str: NULL]");
    DEFINE(points, "const struct { long x, y; } *points(int n) [in: n]");
    DEFINE(room, "void *room(int n) [inout: n]");
    DEFINE(piece, "int piece(int n, const char **p[out in: return])");
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    app = h.app;
    OK(wb_instance_memory(app, &base, &len));
    memory = (char *)base;
    results();
    pieces();
    passed();
    imports();
    delete_host(h);
    return 0;
}
