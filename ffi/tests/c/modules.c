/* Modules from files, from memory and from WebAssembly; damaged ones; objects deleted in another order than they were made. */

#include "common.h"

/* (func (export "f") (param f32) (result i32) (i32.reinterpret_f32 (f32.add (local.get 0) (f32.const 1)))) */
static const unsigned char add_one[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7d, 0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x07, 0x05, 0x01,
    0x01, 0x66, 0x00, 0x00, 0x0a, 0x0d, 0x01, 0x0b, 0x00, 0x20, 0x00, 0x43, 0x00, 0x00, 0x80, 0x3f, 0x92, 0xbc, 0x0b,
};

/* What `f` makes of a NaN, compiled so. */
static uint32_t nan_plus_one(wb_engine *engine, const wb_compile_config *config) {
    const uint32_t nan = 0x7fc01234;
    wb_module *module;
    wb_linker *linker;
    wb_instance *app;
    wb_val arg = wb_f32(0), result;
    memcpy(&arg.of.f32, &nan, sizeof nan);
    OK(wb_module_compile(engine, add_one, sizeof add_one, config, &module));
    OK(wb_linker_new(engine, &linker));
    OK(wb_linker_instantiate(linker, module, &app));
    OK(wb_instance_call(app, "f", &arg, 1, &result, 1));
    wb_instance_delete(app);
    wb_linker_delete(linker);
    wb_module_delete(module);
    return (uint32_t)result.of.i32;
}

static void settings(wb_engine *engine) {
    wb_compile_config config;
    wb_module *module;
    wb_optlevel level;
    for (level = WB_OPTIMISE; level <= WB_OPTIMISE_SIZE; level++) {
        memset(&config, 0, sizeof config);
        config.opt_level = level;
        CHECK(nan_plus_one(engine, &config) == 0x7fc01234);
        config.deterministic = true;
        CHECK(nan_plus_one(engine, &config) == 0x7fc00000);
        config.no_spectre_mitigations = true;
        config.memory_reservation = 64 << 20;
        CHECK(nan_plus_one(engine, &config) == 0x7fc00000);
    }
    config.opt_level = level;
    FAILS(wb_module_compile(engine, add_one, sizeof add_one, &config, &module), WB_ERROR_COMPILE, "`opt_level` is 4");
    config.opt_level = WB_OPTIMISE;
    config.memory_reservation = 4096;
    FAILS(wb_module_compile(engine, add_one, sizeof add_one, &config, &module), WB_ERROR_COMPILE, "no memory reservation of 4096 bytes");
}

int main(int argc, char **argv) {
    host h;
    size_t len, wasm_len, i;
    char *artifact, *wasm;
    char path[4096];
    wb_config config;
    wb_engine *engine;
    wb_module *module = NULL, *loaded, *compiled;
    wb_linker *linker;
    wb_instance *app;
    CHECK(argc == 2);
    artifact = read_file(argv[1], "app.wbm", &len);
    wasm = read_file(argv[1], "app.wasm", &wasm_len);

    memset(&config, 0, sizeof config);
    config.stack_reserve = 64 << 10;
    OK(wb_engine_new(&config, &engine));
    FAILS(wb_module_open(engine, "no/such/file", &module), WB_ERROR_OS, "no/such/file");
    FAILS(wb_module_open(engine, argv[1], &module), WB_ERROR_ARTIFACT, "not a file");
    snprintf(path, sizeof path, "%s/app.wasm", argv[1]);
    FAILS(wb_module_open(engine, path, &module), WB_ERROR_ARTIFACT, "wasmbridge compile");
    FAILS(wb_module_load(engine, NULL, 0, &module), WB_ERROR_ARTIFACT, "empty");
    FAILS(wb_module_load(engine, wasm, wasm_len, &module), WB_ERROR_ARTIFACT, "WebAssembly module");
    FAILS(wb_module_load(engine, artifact, len - 1, &module), WB_ERROR_ARTIFACT, "truncated");
    for (i = 0; i < len; i += len / 61) {
        wb_error *error;
        artifact[i] ^= 4;
        error = wb_module_load(engine, artifact, len, &module);
        CHECK(error != NULL && wb_error_kind(error) == WB_ERROR_ARTIFACT);
        wb_error_delete(error);
        artifact[i] ^= 4;
    }
    FAILS(wb_module_compile(engine, NULL, 0, NULL, &module), WB_ERROR_COMPILE, "");
    FAILS(wb_module_compile(engine, "(module)", 8, NULL, &module), WB_ERROR_COMPILE, "");
    FAILS(wb_module_compile(engine, wasm, wasm_len - 1, NULL, &module), WB_ERROR_COMPILE, "offset");
    CHECK(module == NULL);

    settings(engine);

    OK(wb_module_load(engine, artifact, len, &loaded));
    OK(wb_module_compile(engine, wasm, wasm_len, NULL, &compiled));
    memset(artifact, 0, len);
    free(artifact);
    free(wasm);
    OK(wb_linker_new(engine, &linker));
    OK(wb_linker_define(linker, "env", "int host_add(int a, int b)", (wb_fn)host_add));
    OK(wb_linker_define(linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)host_each));
    OK(wb_linker_instantiate(linker, loaded, &app));
    wb_engine_delete(engine);
    CHECK(call_int(app, "twice", 21) == 42);
    wb_instance_delete(app);
    OK(wb_linker_instantiate(linker, compiled, &app));
    wb_module_delete(loaded);
    wb_module_delete(compiled);
    wb_linker_delete(linker);
    CHECK(call_int(app, "twice", 21) == 42);
    wb_instance_delete(app);

    /* A module belongs to its engine. */
    h = new_host(argv[1]);
    OK(wb_engine_new(NULL, &engine));
    OK(wb_linker_new(engine, &linker));
    FAILS(wb_linker_instantiate(linker, h.module, &app), WB_ERROR_INVALID_ARGUMENT, "engine");
    wb_linker_delete(linker);
    wb_engine_delete(engine);
    delete_host(h);
    return 0;
}
