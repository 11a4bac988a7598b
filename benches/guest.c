/* What the benches call: compiled twice, to wasm by clang and to native code by the host's compiler, so that both sides run the
 * same source. */

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

/* In an app imports, otherwise functions that the benches define. */
int host_add(int a, int b);
#ifndef PEERS
int host_leaf(int a, int b);
int host_pointer(const void *a, int b);
int host_pointers(const void *a, const void *b);

/* An object of the host's: in an app a handle. */
#ifdef __wasm__
typedef int object;
#else
typedef struct object *object;
#endif
int host_object(object o, int b);
int host_visit(int (*visit)(int, int), int b);
#endif

EXPORT(bench_add) int bench_add(int a, int b) { return a + b; }

EXPORT(bench_compare) int bench_compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

EXPORT(bench_import) int bench_import(int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum = host_add(sum, i);
    return sum;
}

/* The peers are compared by what is above. */
#ifndef PEERS
EXPORT(bench_import_leaf) int bench_import_leaf(int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum = host_leaf(sum, i);
    return sum;
}

EXPORT(bench_import_pointer) int bench_import_pointer(const int *a, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum = host_pointer(a, sum);
    return sum;
}

EXPORT(bench_import_pointers) int bench_import_pointers(const int *a, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += host_pointers(a, a + 1);
    return sum;
}

EXPORT(bench_import_function) int bench_import_function(int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum = host_visit(bench_add, sum);
    return sum;
}

EXPORT(bench_import_object) int bench_import_object(object o, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum = host_object(o, sum);
    return sum;
}

EXPORT(bench_object) int bench_object(object o, int b) {
    (void)o;
    return b + 1;
}

/* Reads all of it: the same code for the app's own memory and for a window. */
EXPORT(bench_sum) long long bench_sum(const long long *numbers, int count) {
    long long sum = 0;
    for (int i = 0; i < count; i++) sum += numbers[i];
    return sum;
}

/* Writes all of it. */
EXPORT(bench_fill) void bench_fill(long long *numbers, int count) {
    for (int i = 0; i < count; i++) numbers[i] = i * 3ll;
}

/* Looks at one event, wherever it is. */
EXPORT(bench_event) int bench_event(const void *event) { return *(const int *)event; }
#endif
