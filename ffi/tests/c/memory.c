/* The app's memory, from both sides. */

#include "common.h"

int main(int argc, char **argv) {
    host h;
    void *base, *again, *p = NULL;
    size_t len;
    uint64_t addr = 77;
    int outside;
    CHECK(argc == 2);
    h = new_host(argv[1]);

    OK(wb_instance_memory(h.app, &base, &len));
    CHECK(len == 2 * 65536 && ((uintptr_t)base & 0xffffffff) == 0);
    OK(wb_native_ptr(h.app, 1024, 6, &p));
    CHECK(p == (char *)base + 1024 && strcmp((char *)p, "hello") == 0);
    OK(wb_guest_addr(h.app, p, &addr));
    CHECK(addr == 1024);
    OK(wb_native_ptr(h.app, len - 4, 4, &p));
    *(int *)p = 17;
    CHECK(call_int(h.app, "load", (int)(len - 4)) == 17);

    p = NULL;
    addr = 77;
    FAILS(wb_native_ptr(h.app, len - 4, 5, &p), WB_ERROR_INVALID_ARGUMENT, "memory");
    FAILS(wb_native_ptr(h.app, (uint64_t)-1, 2, &p), WB_ERROR_INVALID_ARGUMENT, "memory");
    FAILS(wb_native_ptr(h.app, 1, (size_t)-1, &p), WB_ERROR_INVALID_ARGUMENT, "memory");
    FAILS(wb_guest_addr(h.app, &outside, &addr), WB_ERROR_INVALID_ARGUMENT, "memory");
    FAILS(wb_guest_addr(h.app, (char *)base - 1, &addr), WB_ERROR_INVALID_ARGUMENT, "memory");
    CHECK(p == NULL && addr == 77);

    CHECK(call_int(h.app, "grow", 3) == 2);
    OK(wb_instance_memory(h.app, &again, &len));
    CHECK(again == base && len == 5 * 65536);
    OK(wb_native_ptr(h.app, 4 * 65536, 65536, &p));

    delete_host(h);
    return 0;
}
