/* Variable arguments, both ways: by a format, by a list, as `va_list`; and what is refused. */

#include "common.h"

#include <stdarg.h>

static wb_instance *app;
static char *text;

static int print(char *into, size_t size, const char *format, ...) {
    va_list args;
    int n;
    va_start(args, format);
    n = vsnprintf(into, size, format, args);
    va_end(args);
    return n;
}

static double vadd(int n, va_list args) {
    double sum = n;
    sum += va_arg(args, int);
    sum += va_arg(args, double);
    sum += (double)va_arg(args, long);
    sum += (double)strlen(va_arg(args, char *));
    return sum + (double)va_arg(args, long long);
}

static double add(int n, ...) {
    va_list args;
    double sum;
    va_start(args, n);
    sum = vadd(n, args);
    va_end(args);
    return sum;
}

static int options(int option, ...) {
    va_list args;
    int (*function)(int);
    void *data;
    va_start(args, option);
    function = va_arg(args, int (*)(int));
    data = va_arg(args, void *);
    va_end(args);
    return function(option) + (int)(intptr_t)data;
}

static int fill(int by, ...) {
    va_list args;
    long *numbers;
    int n, *got;
    va_start(args, by);
    numbers = va_arg(args, long *);
    n = va_arg(args, int);
    got = va_arg(args, int *);
    va_end(args);
    for (int i = 0; i < n; i++)
        numbers[i] += by;
    *got = n;
    return n;
}

static double many(int a, long b, double c, const char *format, ...) {
    va_list args;
    double sum = a + (double)b + c;
    CHECK(strcmp(format, "%d %f %s") == 0);
    va_start(args, format);
    sum += va_arg(args, int);
    sum += va_arg(args, double);
    CHECK(strcmp(va_arg(args, char *), "six") == 0);
    va_end(args);
    return sum;
}

/* What C99 and C++ can both say of complex numbers: a struct of two is passed alike. */
typedef struct {
    float re, im;
} complex_float;
typedef struct {
    double re, im;
} complex_double;

static complex_float complex_f(complex_float a, complex_double b) {
    complex_float sum = {a.re + (float)b.re, a.im + (float)b.im};
    return sum;
}

/* Of more than 16 bytes: C returns it in memory. In the app it is laid out otherwise. */
typedef struct {
    long sum;
    double first;
    int count;
} total;

static total totals(int n, ...) {
    total result = {0, 0, n};
    va_list args;
    va_start(args, n);
    result.sum = va_arg(args, int);
    result.first = va_arg(args, double);
    result.sum += va_arg(args, long);
    result.sum += va_arg(args, int) + va_arg(args, int) + va_arg(args, int) + va_arg(args, int);
    va_end(args);
    return result;
}

/* Structs: in registers of both kinds, in memory, with one number; and in registers only if all of it fits. */
typedef struct {
    long a;
    double b;
} pair;
typedef struct {
    long v[3];
    int n;
} big;
typedef struct {
    signed char c;
} tiny;
typedef struct {
    float x, y;
} point;
typedef struct {
    int p, q, r;
} three;

static double blend(int n, ...) {
    va_list args;
    double sum = n;
    pair first, second;
    big large;
    tiny small;
    point where;
    three ints;
    va_start(args, n);
    first = va_arg(args, pair);
    large = va_arg(args, big);
    small = va_arg(args, tiny);
    sum += va_arg(args, int);
    second = va_arg(args, pair);
    where = va_arg(args, point);
    ints = va_arg(args, three);
    va_end(args);
    sum += (double)first.a + first.b + (double)(large.v[0] + large.v[1] * 10 + large.v[2] * 100) + large.n + small.c;
    sum += (double)second.a + second.b + where.x + where.y + ints.p + ints.q + ints.r;
    return sum;
}

static int no_file(void) { return 8; }

static wb_error *try_call(const char *name, int which, wb_val *result) {
    wb_val arg = wb_i32(which);
    return wb_instance_call(app, name, &arg, 1, result, 1);
}

static void prints(int which, const char *expected) {
    wb_val result;
    OK(try_call("printing", which, &result));
    if (strcmp(text, expected) != 0 || result.of.i32 != (int)strlen(expected)) {
        fprintf(stderr, "%d: `%s` (%d), expected `%s`\n", which, text, result.of.i32, expected);
        exit(1);
    }
}

static void outbound(void) {
    wb_val result;
    prints(0, "plain 100%");
    prints(1, "-5 7 seven x");
    prints(2, "-5 4000000000 -1099511627776 9 -9 1125899906842624");
    prints(3, "1.500000 2.25 1.00e+10   3.1|");
    prints(4, "    42|42    |abc|xy|2.5");
    prints(5, "three 1 2.5 three");
    prints(6, "1 2 3 4 5 6 7 8 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 end");
    /* Valgrind computes a long double as a double. */
    if (!under_valgrind())
        prints(7, "1.25 3 -1e+600");
    prints(8, "(null)|wide|w");
    prints(9, "0x1234");
    prints(10, "44 4464 255");
    prints(11, "1 two 25769803776 4.500000 -5 6.5 seven");
    prints(12, "none");
    FAILS(try_call("printing", 20, &result), WB_ERROR_TRAP, "`print` argument 3 (`format`): byte 2 of the format: `%n`");
    FAILS(try_call("printing", 21, &result), WB_ERROR_TRAP, "`print` argument 4: variable argument 1: 1 bytes at 0xfffffff0");
    FAILS(try_call("printing", 22, &result), WB_ERROR_TRAP, "`%y` is no conversion of `printf`");
    FAILS(try_call("printing", 23, &result), WB_ERROR_TRAP, "the format is NULL");
    FAILS(try_call("printing", 24, &result), WB_ERROR_TRAP, "`print` argument 4: variable argument 2: ");
    FAILS(try_call("printing", 25, &result), WB_ERROR_TRAP, "argument 1 is not used");
    FAILS(try_call("printing", 26, &result), WB_ERROR_TRAP, "is not aligned");
    FAILS(try_call("printing", 27, &result), WB_ERROR_TRAP, "`%n`");

    OK(try_call("adding", 0, &result));
    CHECK(result.of.f64 == 5 + 1 + 2.5 - 3 + 4 + 5 * 4294967296.);
    OK(try_call("adding", 1, &result));
    CHECK(result.of.f64 == 5 + 1 + 2.5 - 3 + 4 + 5 * 4294967296.);
    FAILS(try_call("adding", 2, &result), WB_ERROR_TRAP, "`add` argument 6");
    OK(try_call("adding", 3, &result));
    CHECK(result.of.f64 == 16);
    OK(wb_instance_call(app, "optional", NULL, 0, &result, 1));
    CHECK(result.of.i32 == 26);
    OK(try_call("filling", 3, &result));
    CHECK(result.of.i32 == 1303);
    FAILS(try_call("filling", 1 << 28, &result), WB_ERROR_TRAP, "`fill` argument 3 (`numbers`)");
    OK(wb_instance_call(app, "complexes", NULL, 0, &result, 1));
    CHECK(result.of.f32 == 406);
    OK(wb_instance_call(app, "blending", NULL, 0, &result, 1));
    CHECK(result.of.f64 == 100 + 12 + 1.5 + 543 + 6 - 7 - 1.75 + 8.125 + 30);
    FAILS(wb_instance_call(app, "blending_nowhere", NULL, 0, &result, 1), WB_ERROR_TRAP, "`blend` argument 3 (`pair`)");
    OK(wb_instance_call(app, "totalling", NULL, 0, &result, 1));
    CHECK(result.of.f64 == 1 + 2 + 3 + 4 + 5 + 6 + 2.5 + 700);
    FAILS(wb_instance_call(app, "totalling_nowhere", NULL, 0, &result, 1), WB_ERROR_TRAP, "`totals` result");
}

typedef int (*message_fn)(void *, const char *, ...);
typedef int (*vmessage_fn)(const char *, va_list);
typedef double (*values_fn)(int, ...);

static vmessage_fn vmessage;

static int vcall(const char *format, ...) {
    va_list args;
    int n;
    va_start(args, format);
    /* Some have been taken already. */
    CHECK(va_arg(args, int) == 99 && va_arg(args, double) == 9.5);
    n = vmessage(format, args);
    va_end(args);
    return n;
}

static void inbound(void) {
    wb_fn f;
    message_fn message;
    values_fn values;
    long number = 5;
    const char not_ended[3] = {'x', 'y', 'z'};
    int i;
    wb_val result;
    OK(wb_callback(app, "int on_message(void *user[user], const char *format[format], ...)", NULL, &f));
    message = (message_fn)f;
    CHECK(message((void *)1000, "plain") == 1005 && strcmp(text, "plain") == 0);
    CHECK(message(NULL, "%d %s %ld %lld %zu", -1, "native", -2L, 3LL << 40, (size_t)4) > 0);
    CHECK(strcmp(text, "-1 native -2 3298534883328 4") == 0);
    message(NULL, "%d %d %d %d %d %d %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %s", 1, 2, 3, 4, 5, 6, 1., 2., 3., 4., 5., 6., 7., 8., 9.,
            10., "end");
    CHECK(strcmp(text, "1 2 3 4 5 6 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 end") == 0);
    message(NULL, "%.*s|%.2s|%*d|%c", 3, not_ended, not_ended, 4, 7, 'c');
    CHECK(strcmp(text, "xyz|xy|   7|c") == 0);
    message(NULL, "%2$s %1$d", 1, "two");
    CHECK(strcmp(text, "two 1") == 0);
    message(NULL, "%s", (char *)NULL);
    CHECK(strcmp(text, "(null)") == 0);
    for (i = 0; i < 100000; i++)
        message(NULL, "%s %d", "again and again", i);
    OK(wb_instance_take_error(app));
    CHECK(message(NULL, "%n", &i) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "`on_message` argument 3: byte 0 of the format: `%n`");
    CHECK(message(NULL, "%ld", 1L << 40) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "variable argument 1: 1099511627776 does not fit");
    CHECK(message(NULL, NULL) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "the format is NULL");

    OK(wb_callback(app, "int on_vmessage(const char *format[format], va_list args)", NULL, &f));
    vmessage = (vmessage_fn)f;
    CHECK(vcall("%d %s %.1f %d %d %d %d %s", 99, 9.5, 1, "two", 3.5, 4, 5, 6, 7, "eight") == 23);
    CHECK(strcmp(text, "1 two 3.5 4 5 6 7 eight") == 0);

    OK(wb_callback(app,
                   "double on_values(int n, ...[varargs: int, double, long, long long, const char *[str], long *[inout], double, int, double, int, "
                   "double, int, double, int, double, int, double, int, double, int, double, int, double, int])",
                   NULL, &f));
    values = (values_fn)f;
    CHECK(values(1, 2, 3.5, -4L, 5LL << 33, "six", &number, 1., 1, 2., 2, 3., 3, 4., 4, 5., 5, 6., 6, 7., 7, 8., 8, 9., 9) ==
          1 + 2 + 3.5 - 4 + 5 * 8589934592. + 3 + 90);
    CHECK(number == 77);
    OK(wb_instance_take_error(app));

    OK(wb_callback(app, "struct { long sum; double first; int count; } on_totals(int n, ...[varargs: int, double, long, int, int, int, int])", NULL,
                   &f));
    {
        total got = ((total (*)(int, ...))f)(7, 1, 2.5, 2L, 3, 4, 5, 6);
        CHECK(got.sum == -21 && got.first == 5 && got.count == 7);
        OK(wb_instance_take_error(app));
        /* Refused, it is all zero. */
        got = ((total (*)(int, ...))f)(7, 1, 2.5, 2L << 40, 3, 4, 5, 6);
        CHECK(got.sum == 0 && got.first == 0 && got.count == 0);
        FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "does not fit");
    }

    OK(wb_callback(app, "double on_blend(int n, ...[varargs: struct { long a; double b; } pair, struct { long v[3]; int n; } big, struct { signed char c; } tiny, int, struct { long a; double b; }, struct { float x, y; }, struct { int p, q, r; }])", NULL, &f));
    {
        pair first = {1, 0.5}, second = {-2, 0.25};
        big large = {{3, 4, 5}, 6};
        tiny small = {-7};
        point where = {0.125f, 8};
        three ints = {9, 10, 11};
        values = (values_fn)f;
        CHECK(values(100, first, large, small, 12, second, where, ints) == 2 * (100 + 12 + 1.5 + 543 + 6 - 7 - 1.75 + 8.125 + 30));
        OK(wb_instance_take_error(app));
        large.v[1] = 1L << 40;
        CHECK(values(100, first, large, small, 12, second, where, ints) == 0);
        FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "`on_blend` argument 4 (`big`)");
    }

    OK(wb_callback(app, "double _Complex on_complex(double _Complex a, float _Complex b)", NULL, &f));
    {
        complex_double a = {1, 2};
        complex_float b = {10, 20};
        complex_double sum = ((complex_double (*)(complex_double, complex_float))f)(a, b);
        CHECK(sum.re == 12 && sum.im == 24);
    }
    (void)result;
}

int main(int argc, char **argv) {
    host h;
    wb_val where;
    CHECK(argc == 2);
    h = open_host(argv[1], "variadic.wbm", NULL);
    DEFINE(print, "int print(char *into[out: size], size_t size, const char *format[format], ...)");
    DEFINE(vsnprintf, "int vprint(char *into[out: size], size_t size, const char *format[format], va_list args)");
    DEFINE(add, "double add(int n, ...[varargs: int, double, long, const char *[str], long long])");
    DEFINE(vadd, "double vadd(int n, va_list args[varargs: int, double, long, const char *[str], long long])");
    DEFINE(options, "int options(int option, ...[varargs: int (*function)(int), void *data[user]])");
    DEFINE(fill, "int fill(int by, ...[varargs: long *numbers[inout: n], int n, int *got[out]])");
    DEFINE(many, "double many(int a, long b, double c, const char *format[format], ...)");
    DEFINE(totals, "struct { long sum; double first; int count; } totals(int n, ...[varargs: int, double, long, int, int, int, int])");
    DEFINE(blend, "double blend(int n, ...[varargs: struct { long a; double b; } pair, struct { long v[3]; int n; } big, struct { signed char c; } tiny, int, struct { long a; double b; }, struct { float x, y; }, struct { int p, q, r; }])");
    DEFINE(complex_f, "float _Complex complex_f(float _Complex a, double _Complex b)");
    /* The app's C library has these in it for files, of which it opens none. */
    OK(wb_linker_define(h.linker, "wasi_snapshot_preview1", "int fd_close(int)", (wb_fn)no_file));
    OK(wb_linker_define(h.linker, "wasi_snapshot_preview1", "int fd_seek(int, long long, int, int)", (wb_fn)no_file));
    OK(wb_linker_define(h.linker, "wasi_snapshot_preview1", "int fd_write(int, int, int, int)", (wb_fn)no_file));
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    app = h.app;
    OK(wb_instance_call(app, "where", NULL, 0, &where, 1));
    {
        void *p;
        OK(wb_native_ptr(app, (uint32_t)where.of.i32, 512, &p));
        text = (char *)p;
    }
    outbound();
    inbound();
    delete_host(h);
    return 0;
}
