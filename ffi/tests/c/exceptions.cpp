// C++ exceptions that a C++ library throws below an app, and that C++ code above the app's frames catches.

#include "common.h"
#include <dlfcn.h>
#include <execinfo.h>
#include <memory>
#include <stdexcept>
#include <string>

typedef int (*int_fn)(int);

static int_fn framed;
static int alive;

// Says whether what stands in a frame that is unwound has been destroyed.
struct Counted {
    Counted() { alive++; }
    ~Counted() { alive--; }
};

// The C++ library, which the app knows as `each`: throws for a positive number; calls back for others; and catches from below if asked.
static int each(int (*visit)(int), int value) {
    Counted counted;
    if (value > 0)
        throw std::runtime_error("value " + std::to_string(value));
    if (value == 0)
        return visit(21);
    if (value > -1000)
        return framed(value == -1 ? 1 : value + 1);
    try {
        return framed(value + 1000);
    } catch (const std::runtime_error &error) {
        CHECK(std::string(error.what()) == "value 1");
        return 1000;
    }
}

static int stack_pointer(wb_instance *app) {
    wb_val out;
    OK(wb_instance_call(app, "stack_pointer", NULL, 0, &out, 1));
    return out.of.i32;
}

static void is_as_before(const host &h) {
    CHECK(alive == 0);
    OK(wb_instance_take_error(h.app));
    CHECK(stack_pointer(h.app) == 65536);
    CHECK(framed(0) == 42);
    CHECK(stack_pointer(h.app) == 65536);
}

// Walks the stack from inside of a C function that the app calls.
static int backtraces(int (*)(int), int) {
    void *frames[256];
    int depth = backtrace(frames, 256), main_found = 0, i;
    for (i = 0; i < depth; i++) {
        Dl_info info;
        if (dladdr(frames[i], &info) && info.dli_sname != NULL && strstr(info.dli_sname, "__libc_start") != NULL)
            main_found = 1;
    }
    return main_found;
}

int main(int argc, char **argv) {
    wb_fn fn;
    wb_val args[2], result;
    int depth;
    CHECK(argc == 2);
    host h = new_host(argv[1]);
    wb_instance_delete(h.app);
    OK(wb_linker_define(h.linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)each));
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    OK(wb_callback(h.app, "int framed(int)", NULL, &fn));
    framed = (int_fn)fn;

    // Through thunk, wasm frames and callback, once and nested.
    for (depth = 1; depth <= 60; depth++) {
        try {
            Counted counted;
            framed(depth == 1 ? 1 : -depth);
            CHECK(0);
        } catch (const std::runtime_error &error) {
            CHECK(std::string(error.what()) == "value 1");
        }
        is_as_before(h);
    }

    // Through the host's own call.
    for (depth = 0; depth < 3; depth++) {
        args[0] = wb_i32(1);
        args[1] = wb_i32(depth == 0 ? 1 : -depth);
        try {
            Counted counted;
            wb_instance_call(h.app, "each", args, 2, &result, 1);
            CHECK(0);
        } catch (const std::runtime_error &) {
        }
        is_as_before(h);
    }

    // Caught by the library in the middle: the app above it goes on.
    CHECK(framed(-1001) == 1000);
    is_as_before(h);
    CHECK(framed(-1010) == 1000);
    is_as_before(h);

    // Again and again: nothing is used up.
    for (depth = 0; depth < 70000; depth++) {
        try {
            framed(1);
            CHECK(0);
        } catch (const std::runtime_error &) {
        }
    }
    is_as_before(h);

    // A trap afterwards finds its way.
    wb_error *error = wb_instance_call(h.app, "fail", args, 1, &result, 1);
    CHECK(error != NULL && wb_error_trap_code(error) == WB_TRAP_UNREACHABLE && wb_error_frame_count(error) == 2);
    wb_error_delete(error);

    // backtrace() sees the frames beyond the app's.
    wb_instance_delete(h.app);
    OK(wb_linker_define(h.linker, "env", "int each(int (*visit)(int), int value)", (wb_fn)backtraces));
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    OK(wb_callback(h.app, "int framed(int)", NULL, &fn));
    CHECK(((int_fn)fn)(0) == 1);
    args[1] = wb_i32(0);
    OK(wb_instance_call(h.app, "each", args, 2, &result, 1));
    CHECK(result.of.i32 == 1);

    delete_host(h);
    return 0;
}
