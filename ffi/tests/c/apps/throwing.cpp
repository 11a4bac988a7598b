// A C++ app that throws and catches, with as much of a C++ runtime as it needs: Debian has none with exceptions for WebAssembly.

#include <stdint.h>
#include <stdlib.h>

#define EXPORT(name) extern "C" __attribute__((export_name(name)))

static void *thrown;

extern "C" {
// What tells types apart: nobody looks at it here.
void *_ZTIi[2];
void *__cxa_allocate_exception(size_t size) noexcept { return malloc(size); }
[[noreturn]] __attribute__((noinline)) void __cxa_throw(void *object, void *, void *(*)(void *)) {
    thrown = object;
    __builtin_wasm_throw(0, object);
}
[[noreturn]] __attribute__((noinline)) void __cxa_rethrow() { __builtin_wasm_throw(0, thrown); }
void *__cxa_begin_catch(void *object) noexcept { return thrown = object; }
void __cxa_end_catch() {}
[[noreturn]] void _ZSt9terminatev() { abort(); }
}

extern "C" int host_divide(int, int);

static int destroyed;

struct counted {
    int kept[16];
    explicit counted(int n) {
        for (int &k : kept)
            k = n++;
    }
    ~counted() { destroyed += kept[15]; }
};

__attribute__((noinline)) static int divide(int a, int b) {
    counted in_the_way(a);
    if (b == 0)
        throw a;
    return host_divide(a, b) + in_the_way.kept[0] - a;
}

// The quotient, or -1.
EXPORT("quotient") int quotient(int a, int b) {
    try {
        counted outer(100);
        return divide(a, b);
    } catch (...) {
        return -1;
    }
}

// Caught and thrown again.
EXPORT("again") int again(int a, int b) {
    try {
        try {
            return divide(a, b);
        } catch (...) {
            destroyed += 1000;
            throw;
        }
    } catch (...) {
        return *static_cast<int *>(thrown);
    }
}

EXPORT("uncaught") int uncaught(int a, int b) { return divide(a, b); }

EXPORT("destroyed") int how_many() {
    int was = destroyed;
    destroyed = 0;
    return was;
}
