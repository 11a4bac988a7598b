/* An app with a bug: from its 500th call on, its comparator reads far outside of the app's memory. */

#define EXPORT(name) __attribute__((export_name(#name)))

static int numbers[1000];
static int calls;
static int fails_at;

EXPORT(numbers) int *numbers_address(void) { return numbers; }

/* The comparator works until this many calls; 0 is for ever. */
EXPORT(fail_at) void fail_at(int call) { fails_at = call; }

/* Not inlined, so that the backtrace has it. */
__attribute__((noinline)) static int read_number(const int *number) { return *(const volatile int *)number; }

EXPORT(compare) int compare(const void *a, const void *b) {
    const int *left = a;
    if (++calls == fails_at)
        left = (const int *)0xdeadbee0;
    int x = read_number(left), y = read_number(b);
    return (x > y) - (x < y);
}
