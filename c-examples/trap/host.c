/* A comparator fails in the middle of libc's qsort. qsort returns as if nothing had been, the host is told, and goes on. */

#include "example.h"

#define COUNT 1000

typedef int (*comparator)(const void *, const void *);

static wb_instance *new_app(wb_linker *linker, wb_module *module, int fail_at, int **numbers, comparator *compare) {
    wb_instance *app;
    wb_val result, arg = wb_i32(fail_at);
    wb_fn callback;
    check(wb_linker_instantiate(linker, module, &app));
    check(wb_instance_call(app, "fail_at", &arg, 1, NULL, 0));
    check(wb_instance_call(app, "numbers", NULL, 0, &result, 1));
    check(wb_native_ptr(app, (uint32_t)result.of.i32, COUNT * sizeof **numbers, (void **)numbers));
    check(wb_callback(app, "int compare(const void *a, const void *b)", NULL, &callback));
    for (int i = 0; i < COUNT; i++)
        (*numbers)[i] = i * 7919 % COUNT;
    *compare = (comparator)callback;
    return app;
}

static int is_sorted(const int *numbers) {
    for (int i = 1; i < COUNT; i++)
        if (numbers[i - 1] > numbers[i])
            return 0;
    return 1;
}

int main(int argc, char **argv) {
    expect(argc == 2, "usage: trap APP.wbm");

    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_linker_new(engine, &linker));

    int *numbers;
    comparator compare;
    wb_instance *broken = new_app(linker, module, 500, &numbers, &compare);
    qsort(numbers, COUNT, sizeof *numbers, compare);

    /* The comparator answered 0 from its failure on; the error is kept until somebody takes it. */
    wb_error *error = wb_instance_take_error(broken);
    expect(error != NULL, "the failed comparator left no error");
    expect(wb_error_trap_code(error) == WB_TRAP_MEMORY_OUT_OF_BOUNDS, "not the trap that was expected");
    expect(!is_sorted(numbers), "the comparator did not fail");
    printf("qsort returned; the app's error is: %s\n", wb_error_message(error));
    for (size_t i = 0; i < wb_error_frame_count(error); i++) {
        wb_frame frame;
        check(wb_error_frame(error, i, &frame));
        printf("  %zu: %s%s\n", i, frame.name, frame.kind == WB_FRAME_CALLBACK ? " (called by C)" : "");
    }
    wb_error_delete(error);
    expect(wb_instance_take_error(broken) == NULL, "an error is taken once");
    wb_instance_delete(broken);

    wb_instance *sound = new_app(linker, module, 0, &numbers, &compare);
    qsort(numbers, COUNT, sizeof *numbers, compare);
    check(wb_instance_take_error(sound));
    expect(is_sorted(numbers), "the other instance does not sort");
    printf("another instance of the app sorts the numbers\n");

    wb_instance_delete(sound);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
