/* A plug-in that has a wasmbridge of its own inside. */
#include "../common.h"
#include "plugin.h"

static host h;

int plugin_begin(const char *directory, int (**callback)(int)) {
    wb_fn function;
    h = new_host(directory);
    OK(wb_callback(h.app, "int twice(int)", NULL, &function));
    *callback = (int (*)(int))function;
    return call_int(h.app, "twice", 4);
}

int plugin_traps(void) {
    wb_val arg = wb_i32(-4), result;
    FAILS(wb_instance_call(h.app, "load", &arg, 1, &result, 1), WB_ERROR_TRAP, "out of bounds");
    return 1;
}

void plugin_end(void) { delete_host(h); }
