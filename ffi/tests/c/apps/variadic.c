/* The app of variadic.c: calls functions with variable arguments, and is called with them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

int print(char *into, size_t size, const char *format, ...);
int vprint(char *into, size_t size, const char *format, va_list args);
double add(int n, ...);
double vadd(int n, va_list args);
int options(int option, ...);
int fill(int n, ...);
double many(int a, long b, double c, const char *format, ...);

static char text[512];

char *EXPORT(where)(void) { return text; }

static int forward(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vprint(text, sizeof text, format, args);
    va_end(args);
    return n;
}

static const char bounded[3] = {'a', 'b', 'c'};

/* Each prints, and returns how much. */
int EXPORT(printing)(int which) {
    memset(text, 0, sizeof text);
    switch (which) {
    case 0: return print(text, sizeof text, "plain 100%%");
    case 1: return print(text, sizeof text, "%d %u %s %c", -5, 7u, "seven", 'x');
    case 2: return print(text, sizeof text, "%ld %lu %lld %zu %td %jd", -5L, 4000000000ul, -(1LL << 40), (size_t)9, (ptrdiff_t)-9, (intmax_t)1 << 50);
    case 3: return print(text, sizeof text, "%f %g %.2e %5.1f|", 1.5, 2.25, 1e10, 3.14159);
    case 4: return print(text, sizeof text, "%*d|%-*d|%.*s|%.2s|%.*f", 6, 42, 6, 42, 3, bounded, "xyz", 1, 2.55);
    case 5: return print(text, sizeof text, "%3$s %1$d %2$.1f %3$s", 1, 2.5, "three");
    case 6: return print(text, sizeof text, "%d %d %d %d %d %d %d %d %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %s", 1, 2, 3, 4, 5, 6, 7, 8, 1., 2.,
                         3., 4., 5., 6., 7., 8., 9., 10., "end");
    case 7: return print(text, sizeof text, "%Lg %d %Lg", 1.25L, 3, -1e300L * 1e300L);
    case 8: return print(text, sizeof text, "%s|%ls|%lc", (char *)NULL, L"wide", (wint_t)L'w');
    case 9: return print(text, sizeof text, "%p", (void *)0x1234);
    case 10: return print(text, sizeof text, "%hhd %hd %hhu", 300, 70000, 511);
    case 11: return forward("%d %s %lld %f %ld %Lg %s", 1, "two", 3LL << 33, 4.5, -5L, 6.5L, "seven");
    case 12: return forward("none");
    /* These are refused. */
    case 20: return print(text, sizeof text, "%d%n", 1, (int *)text);
    case 21: return print(text, sizeof text, "%s", (char *)0xfffffff0);
    case 22: return print(text, sizeof text, "%y", 1);
    case 23: return print(text, sizeof text, NULL);
    case 24: return print(text, sizeof text, "%.*s", -1, (char *)0xfffffff0);
    case 25: return print(text, sizeof text, "%2$d", 1, 2);
    case 26: return print(text, sizeof text, "%ls", (wchar_t *)(text + 1));
    case 27: return forward("%d %n", 1, (int *)text);
    }
    return -1;
}

static int triple(int x) { return 3 * x; }

static double vadding(int n, ...) {
    va_list args;
    va_start(args, n);
    double sum = vadd(n, args);
    va_end(args);
    return sum;
}

double EXPORT(adding)(int which) {
    switch (which) {
    case 0: return add(5, 1, 2.5, -3L, "four", 5LL << 32);
    case 1: return vadding(5, 1, 2.5, -3L, "four", 5LL << 32);
    case 2: return add(5, 1, 2.5, -3L, (char *)0xfffffff0, 5LL);
    }
    return many(1, 2, 3.5, "%d %f %s", 4, 5.5, "six");
}

int EXPORT(optional)(void) { return options(7, triple, (void *)5); }

/* A length among the listed arguments, and memory that they point to. */
int EXPORT(filling)(int n) {
    long numbers[4] = {1, 2, 3, 4};
    int got = 0;
    fill(1, numbers, n, &got);
    return (int)(numbers[0] + numbers[1] + numbers[2] + numbers[3]) * 100 + got;
}

/* Callbacks. */

int EXPORT(on_message)(void *user, const char *format, ...) {
    va_list args;
    va_start(args, format);
    memset(text, 0, sizeof text);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return n + (int)(intptr_t)user;
}

int EXPORT(on_vmessage)(const char *format, va_list args) {
    memset(text, 0, sizeof text);
    return vsnprintf(text, sizeof text, format, args);
}

double EXPORT(on_values)(int n, ...) {
    va_list args;
    va_start(args, n);
    double sum = n;
    sum += va_arg(args, int);
    sum += va_arg(args, double);
    sum += va_arg(args, long);
    sum += (double)va_arg(args, long long);
    sum += (double)strlen(va_arg(args, char *));
    *va_arg(args, long *) = 77;
    for (int i = 0; i < 9; i++)
        sum += va_arg(args, double) + va_arg(args, int);
    va_end(args);
    return sum;
}

/* Complex numbers, which are two. */
float _Complex complex_f(float _Complex a, double _Complex b);
double _Complex EXPORT(on_complex)(double _Complex a, float _Complex b) { return a * 2 + b; }
float EXPORT(complexes)(void) {
    float parts[2] = {1, 2};
    double more[2] = {3, 4};
    float _Complex a;
    double _Complex b;
    memcpy(&a, parts, sizeof a);
    memcpy(&b, more, sizeof b);
    a = complex_f(a, b);
    memcpy(parts, &a, sizeof a);
    return parts[0] * 100 + parts[1];
}

/* A struct that C returns in memory. */
typedef struct {
    long sum;
    double first;
    int count;
} total;
total totals(int n, ...);
double EXPORT(totalling)(void) {
    total got = totals(7, 1, 2.5, 2L, 3, 4, 5, 6);
    return (double)got.sum + got.first + 100 * got.count;
}
/* The place for it is not in the app's memory: by hand, since a compiler has its own place first. */
void totals_to(void *result, int n, void *packed) __attribute__((import_module("env"), import_name("totals")));
int EXPORT(totalling_nowhere)(void) {
    long long packed[8] = {0};
    totals_to((void *)0xfffffff0, 7, packed);
    return 0;
}
total EXPORT(on_totals)(int n, ...) {
    va_list args;
    total result = {0, 0, n};
    va_start(args, n);
    result.sum = va_arg(args, int);
    result.first = va_arg(args, double) * 2;
    result.sum += va_arg(args, long);
    result.sum += va_arg(args, int) + va_arg(args, int) + va_arg(args, int) + va_arg(args, int);
    result.sum = -result.sum;
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
double blend(int n, ...);
double EXPORT(blending)(void) {
    pair first = {1, 0.5}, second = {-2, 0.25};
    big large = {{3, 4, 5}, 6};
    tiny small = {-7};
    point where = {0.125f, 8};
    three ints = {9, 10, 11};
    return blend(100, first, large, small, 12, second, where, ints);
}
/* A struct that is not in the app's memory: by hand, as variable arguments are packed. */
double blend_packed(int n, void *packed) __attribute__((import_module("env"), import_name("blend")));
double EXPORT(blending_nowhere)(void) {
    unsigned packed[16] = {0xfffffff0};
    return blend_packed(100, packed);
}
double EXPORT(on_blend)(int n, ...) {
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
    return sum * 2;
}
