/* What every example's host needs: it stops at the first error. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <wasmbridge.h>

/* Prints an error and ends the program; does nothing where there is none. */
static inline void check(wb_error *error) {
    if (error == NULL)
        return;
    fprintf(stderr, "error: %s\n%s", wb_error_message(error), wb_error_backtrace(error));
    wb_error_delete(error);
    exit(1);
}

/* Ends the program if a result is not what it must be. */
static inline void expect(int condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "error: %s\n", what);
    exit(1);
}

#endif
