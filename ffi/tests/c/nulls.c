/* NULL for every pointer that a function needs is an error that names it, and NULL for every one that it does not need is fine. */

#include "common.h"

int main(int argc, char **argv) {
    host h;
    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_instance *instance;
    wb_fn callback = NULL;
    wb_val value = wb_i32(1);
    wb_frame frame;
    wb_error *error;
    void *pointer = NULL;
    uint64_t number = 77;
    CHECK(argc == 2);
    h = new_host(argv[1]);

    NULL_FAILS(wb_engine_new(NULL, NULL), "engine");
    OK(wb_engine_new(NULL, &engine));
    wb_engine_delete(engine);
    wb_engine_delete(NULL);

    NULL_FAILS(wb_module_open(NULL, "x", &module), "engine");
    NULL_FAILS(wb_module_open(h.engine, NULL, &module), "path");
    NULL_FAILS(wb_module_open(h.engine, "x", NULL), "module");
    NULL_FAILS(wb_module_load(NULL, "x", 1, &module), "engine");
    NULL_FAILS(wb_module_load(h.engine, NULL, 1, &module), "bytes");
    NULL_FAILS(wb_module_load(h.engine, "x", 1, NULL), "module");
    NULL_FAILS(wb_module_compile(NULL, "x", 1, NULL, &module), "engine");
    NULL_FAILS(wb_module_compile(h.engine, NULL, 1, NULL, &module), "wasm");
    NULL_FAILS(wb_module_compile(h.engine, "x", 1, NULL, NULL), "module");
    wb_module_delete(NULL);

    NULL_FAILS(wb_linker_new(NULL, &linker), "engine");
    NULL_FAILS(wb_linker_new(h.engine, NULL), "linker");
    NULL_FAILS(wb_linker_typedef(NULL, "t", "int"), "linker");
    NULL_FAILS(wb_linker_typedef(h.linker, NULL, "int"), "name");
    NULL_FAILS(wb_linker_typedef(h.linker, "t", NULL), "type");
    NULL_FAILS(wb_linker_define(NULL, "env", "int f(int)", (wb_fn)host_add), "linker");
    NULL_FAILS(wb_linker_define(h.linker, NULL, "int f(int)", (wb_fn)host_add), "module");
    NULL_FAILS(wb_linker_define(h.linker, "env", NULL, (wb_fn)host_add), "prototype");
    NULL_FAILS(wb_linker_define(h.linker, "env", "int f(int)", NULL), "function");
    NULL_FAILS(wb_linker_define_instance(NULL, "x", h.app), "linker");
    NULL_FAILS(wb_linker_define_instance(h.linker, NULL, h.app), "name");
    NULL_FAILS(wb_linker_define_instance(h.linker, "x", NULL), "instance");
    NULL_FAILS(wb_linker_instantiate(NULL, h.module, &instance), "linker");
    NULL_FAILS(wb_linker_instantiate(h.linker, NULL, &instance), "module");
    NULL_FAILS(wb_linker_instantiate(h.linker, h.module, NULL), "instance");
    wb_linker_delete(NULL);

    NULL_FAILS(wb_instance_call(NULL, "nothing", NULL, 0, NULL, 0), "instance");
    NULL_FAILS(wb_instance_call(h.app, NULL, NULL, 0, NULL, 0), "name");
    NULL_FAILS(wb_instance_call(h.app, "twice", NULL, 1, &value, 1), "args");
    NULL_FAILS(wb_instance_call(h.app, "twice", &value, 1, NULL, 1), "results");
    OK(wb_instance_call(h.app, "nothing", NULL, 0, NULL, 0));
    NULL_FAILS(wb_callback(NULL, "int twice(int)", NULL, &callback), "instance");
    NULL_FAILS(wb_callback(h.app, NULL, NULL, &callback), "prototype");
    NULL_FAILS(wb_callback(h.app, "int twice(int)", NULL, NULL), "callback");
    NULL_FAILS(wb_callback_at(NULL, 1, "int (int)", NULL, &callback), "instance");
    NULL_FAILS(wb_callback_at(h.app, 1, NULL, NULL, &callback), "prototype");
    NULL_FAILS(wb_callback_at(h.app, 1, "int (int)", NULL, NULL), "callback");
    NULL_FAILS(wb_callback_refused(NULL, &number), "callback");
    OK(wb_callback(h.app, "int twice(int)", NULL, &callback));
    NULL_FAILS(wb_callback_refused(callback, NULL), "count");
    OK(wb_callback_delete(NULL));
    NULL_FAILS(wb_instance_memory(NULL, NULL, NULL), "instance");
    OK(wb_instance_memory(h.app, NULL, NULL));
    NULL_FAILS(wb_native_ptr(NULL, 0, 1, &pointer), "instance");
    NULL_FAILS(wb_native_ptr(h.app, 0, 1, NULL), "ptr");
    NULL_FAILS(wb_guest_addr(NULL, NULL, &number), "instance");
    NULL_FAILS(wb_guest_addr(h.app, NULL, NULL), "guest_addr");
    CHECK(number == 77 && pointer == NULL);
    OK(wb_guest_addr(h.app, NULL, &number));
    CHECK(number == 0);
    NULL_FAILS(wb_instance_take_error(NULL), "instance");
    NULL_FAILS(wb_instance_attach(NULL), "instance");
    wb_instance_delete(NULL);

    CHECK(wb_error_kind(NULL) == WB_ERROR_INVALID_ARGUMENT);
    CHECK(wb_error_message(NULL)[0] == 0 && wb_error_backtrace(NULL)[0] == 0);
    CHECK(wb_error_trap_code(NULL) == WB_TRAP_NONE && wb_error_frame_count(NULL) == 0);
    NULL_FAILS(wb_error_frame(NULL, 0, &frame), "error");
    error = wb_linker_new(NULL, NULL);
    NULL_FAILS(wb_error_frame(error, 0, NULL), "frame");
    FAILS(wb_error_frame(error, 0, &frame), WB_ERROR_INVALID_ARGUMENT, "0 frames");
    wb_error_delete(error);
    wb_error_delete(NULL);

    delete_host(h);
    return 0;
}
