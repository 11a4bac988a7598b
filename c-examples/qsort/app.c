/* An app that sorts: its comparator serves the host, and it sorts its own numbers with the host's qsort. */

#include <stddef.h>

#define EXPORT(name) __attribute__((export_name(#name)))

/* The host's qsort. It has another name here because wasi-libc has a qsort of its own. */
__attribute__((import_module("env"), import_name("qsort"))) void
host_qsort(void *base, size_t nmemb, size_t size, int (*compar)(const void *, const void *));

static int numbers[100000];
static long long comparisons;

/* Where the app keeps its numbers. */
EXPORT(numbers) int *numbers_address(void) { return numbers; }

/* How often the comparator has run. */
EXPORT(comparisons) long long comparison_count(void) { return comparisons; }

EXPORT(compare) int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    comparisons++;
    return (x > y) - (x < y);
}

/* Another comparator, which nobody exports: the host's qsort gets it as a function pointer. */
static int compare_descending(const void *a, const void *b) { return compare(b, a); }

/* Sorts the app's numbers, the largest first. */
EXPORT(sort_descending) void sort_descending(int count) {
    host_qsort(numbers, (size_t)count, sizeof numbers[0], compare_descending);
}
