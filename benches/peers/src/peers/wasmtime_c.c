/* A user of wasmtime's C API, once with values that it checks and once with values that it does not. The functions that are given to other C code find their
 * instance in a static variable, and check and translate pointers. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <wasm.h>
#include <wasmtime.h>

int host_add(int a, int b);

struct state {
    wasmtime_context_t *context;
    wasmtime_func_t add, compare, import;
    uint8_t *memory;
    size_t memory_bytes;
};

struct functions {
    int (*add)(int, int);
    int (*compare)(const void *, const void *);
    int (*import)(int);
    uint8_t *memory;
    size_t memory_bytes;
};

static struct state checked_state, unchecked_state;

static void must(wasmtime_error_t *error, wasm_trap_t *trap) {
    if (error == NULL && trap == NULL)
        return;
    fprintf(stderr, "wasmtime's C API: an error\n");
    abort();
}

static int call_checked(const wasmtime_func_t *function, int n, int a, int b) {
    wasmtime_val_t args[2], result;
    wasm_trap_t *trap = NULL;
    args[0].kind = args[1].kind = WASMTIME_I32;
    args[0].of.i32 = a;
    args[1].of.i32 = b;
    must(wasmtime_func_call(checked_state.context, function, args, n, &result, 1, &trap), trap);
    return result.of.i32;
}

static int call_unchecked(const wasmtime_func_t *function, int n, int a, int b) {
    wasmtime_val_raw_t values[2];
    wasm_trap_t *trap = NULL;
    values[0].i32 = a;
    values[1].i32 = b;
    must(wasmtime_func_call_unchecked(unchecked_state.context, function, values, n, &trap), trap);
    return values[0].i32;
}

/* Whether it points into the memory, and where. */
static int guest_addr(const struct state *state, const void *pointer, int *addr) {
    size_t offset = (size_t)pointer - (size_t)state->memory;
    *addr = (int)offset;
    return offset < state->memory_bytes;
}

#define FUNCTIONS(kind)                                                                                       \
    static int kind##_add(int a, int b) { return call_##kind(&kind##_state.add, 2, a, b); }                  \
    static int kind##_import(int n) { return call_##kind(&kind##_state.import, 1, n, 0); }                   \
    static int kind##_compare(const void *a, const void *b) {                                                \
        int x, y;                                                                                            \
        if (!guest_addr(&kind##_state, a, &x) || !guest_addr(&kind##_state, b, &y))                          \
            return 0;                                                                                        \
        return call_##kind(&kind##_state.compare, 2, x, y);                                                  \
    }

FUNCTIONS(checked)
FUNCTIONS(unchecked)

static wasm_trap_t *host_add_checked(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                     wasmtime_val_t *results, size_t nresults) {
    (void)env, (void)caller, (void)nargs, (void)nresults;
    results[0].kind = WASMTIME_I32;
    results[0].of.i32 = host_add(args[0].of.i32, args[1].of.i32);
    return NULL;
}

static wasm_trap_t *host_add_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values, size_t n) {
    (void)env, (void)caller, (void)n;
    values[0].i32 = host_add(values[0].i32, values[1].i32);
    return NULL;
}

static wasmtime_extern_t export(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name) {
    wasmtime_extern_t found;
    if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &found)) {
        fprintf(stderr, "wasmtime's C API: no export %s\n", name);
        abort();
    }
    return found;
}

struct functions peer_wasmtime_c(const uint8_t *wasm, size_t wasm_bytes, int checked) {
    struct state *state = checked ? &checked_state : &unchecked_state;
    wasm_engine_t *engine = wasm_engine_new();
    wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_linker_t *linker = wasmtime_linker_new(engine);
    wasmtime_module_t *module = NULL;
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    wasm_functype_t *type = wasm_functype_new_2_1(wasm_valtype_new_i32(), wasm_valtype_new_i32(), wasm_valtype_new_i32());
    wasmtime_memory_t memory;

    must(wasmtime_module_new(engine, wasm, wasm_bytes, &module), NULL);
    must(checked ? wasmtime_linker_define_func(linker, "env", 3, "host_add", 8, type, host_add_checked, NULL, NULL)
                 : wasmtime_linker_define_func_unchecked(linker, "env", 3, "host_add", 8, type, host_add_unchecked, NULL, NULL),
         NULL);
    state->context = wasmtime_store_context(store);
    must(wasmtime_linker_instantiate(linker, state->context, module, &instance, &trap), trap);
    state->add = export(state->context, &instance, "bench_add").of.func;
    state->compare = export(state->context, &instance, "bench_compare").of.func;
    state->import = export(state->context, &instance, "bench_import").of.func;
    memory = export(state->context, &instance, "memory").of.memory;
    state->memory = wasmtime_memory_data(state->context, &memory);
    state->memory_bytes = wasmtime_memory_data_size(state->context, &memory);
    return (struct functions){
        checked ? checked_add : unchecked_add,
        checked ? checked_compare : unchecked_compare,
        checked ? checked_import : unchecked_import,
        state->memory,
        state->memory_bytes,
    };
}
