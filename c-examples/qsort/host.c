/* libc's qsort, which knows nothing of WebAssembly, sorts with comparators that are WebAssembly functions. */

#include "example.h"
#include <string.h>

#define COUNT 100000

static long long native_comparisons;

static int native_compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    native_comparisons++;
    return (x > y) - (x < y);
}

static int native_compare_descending(const void *a, const void *b) { return native_compare(b, a); }

/* The same numbers every time; many of them occur more than once. */
static void fill(int *numbers) {
    unsigned state = 1;
    for (int i = 0; i < COUNT; i++) {
        state = state * 1664525u + 1013904223u;
        numbers[i] = (int)(state >> 8) % 50000 - 25000;
    }
}

static wb_val call(wb_instance *app, const char *name, const wb_val *args, size_t nargs, size_t nresults) {
    wb_val result = wb_i32(0);
    check(wb_instance_call(app, name, args, nargs, &result, nresults));
    return result;
}

int main(int argc, char **argv) {
    expect(argc == 2, "usage: qsort APP.wbm");

    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_instance *app;
    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_linker_new(engine, &linker));
    /* All that the app needs to use the library's function: its prototype and its address. */
    check(wb_linker_define(linker, "env",
                           "void qsort(void *base[inout: nmemb * size], size_t nmemb, size_t size,"
                           " int (*compar)(const void *, const void *))",
                           (wb_fn)qsort));
    check(wb_linker_instantiate(linker, module, &app));

    /* The app's array, where it is: no copy. */
    int *numbers;
    int guest_addr = call(app, "numbers", NULL, 0, 1).of.i32;
    check(wb_native_ptr(app, (uint32_t)guest_addr, COUNT * sizeof *numbers, (void **)&numbers));
    int *reference = malloc(COUNT * sizeof *reference);
    expect(reference != NULL, "out of memory");

    /* 1. The host sorts it, with the app's comparator as a C function pointer. */
    wb_fn compare;
    check(wb_callback(app, "int compare(const void *a, const void *b)", NULL, &compare));
    fill(numbers);
    fill(reference);
    qsort(numbers, COUNT, sizeof *numbers, (int (*)(const void *, const void *))compare);
    qsort(reference, COUNT, sizeof *reference, native_compare);
    expect(memcmp(numbers, reference, COUNT * sizeof *numbers) == 0, "the app's comparator sorts differently");
    expect(call(app, "comparisons", NULL, 0, 1).of.i64 == native_comparisons, "not the same number of comparisons");
    printf("the host sorted %d numbers with the app's comparator: as native\n", COUNT);

    /* 2. The app sorts it, with the host's qsort and a comparator of its own. */
    fill(numbers);
    fill(reference);
    wb_val count = wb_i32(COUNT);
    call(app, "sort_descending", &count, 1, 0);
    qsort(reference, COUNT, sizeof *reference, native_compare_descending);
    expect(memcmp(numbers, reference, COUNT * sizeof *numbers) == 0, "the app sorts differently");
    expect(call(app, "comparisons", NULL, 0, 1).of.i64 == native_comparisons, "not the same number of comparisons");
    printf("the app sorted %d numbers with libc's qsort: as native\n", COUNT);

    free(reference);
    wb_instance_delete(app);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
