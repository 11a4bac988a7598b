/* What the benches call: compiled twice, to wasm by clang and to native code by the host's compiler, so that both sides run the
 * same source. */

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

/* In an app an import, otherwise a function that the benches define. */
int host_add(int a, int b);

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
