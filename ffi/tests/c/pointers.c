/* Pointers with extents, both ways: what is converted, what is bounced, what goes back, and what is refused. */

#include "common.h"

#include <setjmp.h>

typedef struct {
    const char *name;
    int value;
} object;

static object objects[] = {{"first", 10}, {"second", 32}};

/* For the app to call. */

static long sum_longs(const long *v, int n) {
    long sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

/* Multiplies all but the first. */
static int scale(long *v, int n, int by) {
    for (int i = 1; i < n; i++)
        v[i] *= by;
    return n;
}

static int open_object(const char *name, object **o) {
    for (int i = 0; i < 2; i++)
        if (strcmp(objects[i].name, name) == 0) {
            *o = &objects[i];
            return 0;
        }
    return 1;
}

static const char *object_name(const object *o) { return o->name; }

static int message(char **text) {
    static char words[] = "out of coffee";
    if (text == NULL)
        return 1;
    CHECK(*text == NULL);
    *text = words;
    return 2;
}

static int join(char **v, int n, char *into, size_t size) {
    size_t len = 0;
    CHECK(size > 0);
    into[0] = 0;
    for (int i = 0; i < n; i++)
        if (v[i] != NULL && len + strlen(v[i]) < size) {
            strcpy(into + len, v[i]);
            len += strlen(v[i]);
        }
    return (int)len;
}

static int count_all(char **v) {
    int n = 0;
    for (; v[n] != NULL; n++)
        CHECK(v[n][0] != 0);
    return n;
}

static int sum_objects(object **v, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i] == NULL ? 1 : v[i]->value;
    return sum;
}

static int receive(char *buffer, int *len, void (*first)(int)) {
    if (first != NULL)
        first(1);
    memset(buffer, 'x', (size_t)*len);
    return *len = *len / 2;
}

static const char *find(const char *text, int c, char **end) {
    *end = (char *)strchr(text, c);
    return text;
}

static int huge(size_t *out) {
    *out = (size_t)1 << 40;
    return 1;
}

static int plus_one(int x) { return x + 1; }

static int pick(int what, int (**function)(int)) {
    *function = what ? plus_one : NULL;
    return 0;
}

static jmp_buf out;
static int depth;

/* Calls the app again, with bytes of its own. */
static int again(int (*deeper)(char *, int), int n) {
    char bytes[300];
    if (n < 0)
        longjmp(out, 1);
    if (n == 0)
        return 0;
    depth++;
    memset(bytes, n % 100, sizeof bytes);
    deeper(bytes, n);
    for (int i = 0; i < (int)sizeof bytes; i++)
        CHECK(bytes[i] == n % 100 + (i < n));
    return 0;
}

static wb_instance *app;
static char *memory;

static int call(const char *name, int n, int a, int b, int c, int d) {
    wb_val args[4], result;
    args[0] = wb_i32(a), args[1] = wb_i32(b), args[2] = wb_i32(c), args[3] = wb_i32(d);
    OK(wb_instance_call(app, name, args, (size_t)n, &result, 1));
    return result.of.i32;
}

static wb_error *call_error(const char *name, int n, int a, int b, int c) {
    wb_val args[3], result;
    args[0] = wb_i32(a), args[1] = wb_i32(b), args[2] = wb_i32(c);
    return wb_instance_call(app, name, args, (size_t)n, &result, 1);
}

#define refused(name, n, a, b, c, words) FAILS(call_error(name, n, a, b, c), WB_ERROR_TRAP, words)

static int *word(int guest_addr) { return (int *)(void *)(memory + guest_addr); }

static void outbound(void) {
    int i, handle;

    /* `long` has four bytes in the app and eight in C. */
    for (i = 0; i < 5; i++)
        *word(100 + 4 * i) = i - 2;
    CHECK(call("sum_longs", 2, 100, 5, 0, 0) == 0);
    CHECK(call("sum_longs", 2, 100, 2, 0, 0) == -3);
    CHECK(call("sum_longs", 2, 0, 0, 0, 0) == 0);
    CHECK(call("sum_longs", 2, 65536, 0, 0, 0) == 0);
    refused("sum_longs", 2, 0, 1, 0, "`sum_longs` argument 1 (`v`): NULL, with a length of 4 bytes");
    refused("sum_longs", 2, 100, -1, 0, "its length is -1");
    refused("sum_longs", 2, 65536 - 8, 3, 0, "12 bytes at 0xfff8 are not in the app's memory");
    refused("sum_longs", 2, -4, 2, 0, "are not in the app's memory");
    refused("sum_longs", 2, 100, 0x7fffffff, 0, "are not in the app's memory");
    CHECK(call("scale", 3, 100, 5, 10, 0) == 5);
    CHECK(*word(100) == -2 && *word(104) == -10 && *word(116) == 20);
    refused("scale", 3, 100, 5, 0x40000000, "`scale` argument 1 (`v`): element 1: -10737418240 does not fit");
    CHECK(*word(104) == -10 && *word(116) == 20); /* and then nothing is written */

    /* Objects and strings by pointers to pointers. */
    strcpy(memory + 200, "second");
    *word(240) = 77;
    *word(244) = 78;
    CHECK(call("open_object", 2, 200, 240, 0, 0) == 0);
    handle = *word(240);
    CHECK(handle != 0 && handle != 77 && *word(244) == 78); /* four bytes */
    CHECK(call("object_name", 1, handle, 0, 0, 0) != 0);
    strcpy(memory + 200, "third");
    CHECK(call("open_object", 2, 200, 240, 0, 0) == 1 && *word(240) == 0);
    refused("open_object", 2, 200, 65534, 0, "4 bytes at 0xfffe are not in the app's memory");
    refused("open_object", 2, 200, 0, 0, "`open_object` argument 2 (`o`) is NULL, the prototype says [nonnull]");
    CHECK(call("message", 1, 240, 0, 0, 0) == 2 && *word(240) != 0 && *word(244) == 78);
    CHECK(call("message", 1, 0, 0, 0, 0) == 1);

    /* Arrays of strings and handles. */
    *word(300) = 1024, *word(304) = 0, *word(308) = 1030, *word(312) = 0;
    CHECK(call("join", 4, 300, 3, 400, 100) == 10 && strcmp(memory + 400, "helloworld") == 0);
    CHECK(call("join", 4, 300, 0, 400, 100) == 0);
    CHECK(call("count_all", 1, 300, 0, 0, 0) == 1);
    CHECK(call("count_all", 1, 304, 0, 0, 0) == 0);
    memset(memory + 65536 - 8, 4, 8);
    refused("count_all", 1, 65536 - 8, 0, 0, "the array at 0xfff8 has no NULL at its end in the app's memory");
    *word(308) = 65535, *word(312) = 0;
    refused("count_all", 1, 308, 0, 0, "`count_all` argument 1 (`v`): element 0: the string at 0xffff has no end");
    *word(308) = -1;
    refused("count_all", 1, 308, 0, 0, "element 0: 1 bytes at 0xffffffff are not in the app's memory");
    strcpy(memory + 200, "first");
    CHECK(call("open_object", 2, 200, 300, 0, 0) == 0);
    strcpy(memory + 200, "second");
    CHECK(call("open_object", 2, 200, 308, 0, 0) == 0);
    CHECK(call("sum_objects", 2, 300, 3, 0, 0) == 43);
    *word(304) = 12345;
    refused("sum_objects", 2, 300, 3, 0, "`sum_objects` argument 1 (`v`): element 1: ");

    /* A length behind a pointer: what was checked is what C gets, whatever a callback does meanwhile. */
    *word(500) = 10;
    memset(memory + 600, 0, 30);
    CHECK(call("receive", 3, 600, 500, 0, 0) == 5 && *word(500) == 5 && memory[609] == 'x' && memory[610] == 0);
    *word(500) = 10;
    memory[610] = 0;
    CHECK(call("receive_after", 2, 600, 500, 0, 0) == 5);
    CHECK(*word(500) == 5 && memory[609] == 'x' && memory[610] == 0);
    *word(500) = -1;
    refused("receive", 3, 600, 500, 0, "`receive` argument 1 (`buffer`): its length is -1");
    refused("receive", 3, 600, 0, 0, "its length overflows or cannot be read");
    *word(500) = 70000;
    refused("receive", 3, 600, 500, 0, "70000 bytes at 0x258 are not in the app's memory");

    /* Pointers and functions that C writes. */
    CHECK(call("find", 3, 1024, 'l', 240, 0) == 1024 && *word(240) == 1026);
    CHECK(call("find", 3, 1024, 'z', 240, 0) == 1024 && *word(240) == 0);
    refused("huge", 1, 240, 0, 0, "`huge` argument 1 (`out`): element 0: 1099511627776 does not fit");
    CHECK(call("pick", 2, 1, 41, 0, 0) == 42);
}

typedef int (*bytes_fn)(void *, int);
typedef void (*longs_fn)(long *, int);
typedef int (*put_fn)(void *, int);
typedef int (*string_fn)(const char **);
typedef void (*third_fn)(const char *, const char **);

static wb_fn callback(const char *prototype) {
    wb_fn f;
    OK(wb_callback(app, prototype, NULL, &f));
    return f;
}

static void inbound(void) {
    char bytes[16];
    long longs[3] = {1, -2, 3};
    const char *text = "native", *other;
    bytes_fn fill;
    int i, len;

    /* A buffer that the app cannot see: only read, only written, both. */
    fill = (bytes_fn)callback("int fill(void *p[out: n], int n)");
    memset(bytes, 99, sizeof bytes);
    CHECK(fill(bytes, 8) == 7);
    for (i = 0; i < 7; i++)
        CHECK(bytes[i] == i + 1);
    CHECK(bytes[7] == 0 && bytes[8] == 99); /* what the app did not write is zero, and not what was there before */
    memset(bytes, 99, sizeof bytes);
    CHECK(((bytes_fn)callback("int look(void *p[in: n], int n)"))(bytes, 16) == 16 * 99);
    CHECK(((bytes_fn)callback("int look(void *p[inout: n], int n)"))(bytes, 16) == 16 * 99);
    CHECK(((bytes_fn)callback("int look(void *p[out: n], int n)"))(bytes, 16) == 0);
    CHECK(bytes[0] == 0);
    CHECK(fill(memory + 700, 8) == 7 && memory[700] == 1); /* the app's own memory is where it is */
    CHECK(fill(bytes, 0) == 0 && fill(NULL, 0) == 0);
    CHECK(fill(bytes, -1) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "`fill` argument 1 (`p`): its length is -1");
    CHECK(fill(bytes, 100 << 20) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "do not fit the app's scratch memory");

    /* Only so much of it as the callback says. */
    fill = (bytes_fn)callback("int fill(void *p[out: n, valid: return], int n)");
    memset(bytes, 99, sizeof bytes);
    CHECK(fill(bytes, 8) == 7 && bytes[6] == 7 && bytes[7] == 99);
    memset(bytes, 99, sizeof bytes);
    len = 10;
    CHECK(((int (*)(void *, int *))callback("int receive_up_to(char *p[out: *n, valid: *n], int *n[inout])"))(bytes, &len) == 0);
    CHECK(len == 2 && memcmp(bytes, "ABc", 3) == 0);

    /* After a trap C has what it had. */
    CHECK(((bytes_fn)callback("int trap_after(void *p[inout: n], int n)"))(bytes, 16) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "unreachable");
    CHECK(memcmp(bytes, "ABc", 3) == 0);

    /* Elements that are converted. */
    ((longs_fn)callback("void twice_all(long *v[inout: n], int n)"))(longs, 3);
    CHECK(longs[0] == 2 && longs[1] == -4 && longs[2] == 6);
    longs[1] = 1l << 33;
    ((longs_fn)callback("void twice_all(long *v[inout: n], int n)"))(longs, 3);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "`twice_all` argument 1 (`v`): element 1: 8589934592 does not fit");
    CHECK(longs[0] == 2);

    /* Pointers that the app writes. */
    other = text;
    CHECK(((put_fn)callback("int put(char **s[out str], int what)"))(&other, 1024) == 1 && strcmp(other, "hello") == 0);
    CHECK(other == memory + 1024);
    CHECK(((put_fn)callback("int put(char **s[out str], int what)"))(&other, 0) == 1 && other == NULL);
    other = text;
    CHECK(((put_fn)callback("int put(char **s[out str], int what)"))(&other, 70000) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "`put` argument 1 (`s`): element 0: 1 bytes at 0x11170");
    CHECK(other == text);
    CHECK(((put_fn)callback("int swap(char **s[out str], int what)"))(&other, 1024) == 0); /* it does not see what was there */
    other = text;
    CHECK(((string_fn)callback("int leave(char **s[inout str])"))(&other) != 0);
    CHECK(other == text); /* and what it leaves alone stays the same pointer */
    CHECK(((put_fn)callback("int put(object **s[out handle], int what)"))(&other, 12345) == 0);
    FAILS(wb_instance_take_error(app), WB_ERROR_TRAP, "`put` argument 1 (`s`): element 0: ");
    CHECK(((put_fn)callback("int put(void **data[out user], int what)"))(&other, -2) == 1);
    CHECK((uintptr_t)other == 0xfffffffeu);

    /* A pointer into a copy is a pointer into what it is a copy of. */
    other = NULL;
    ((third_fn)callback("void third(const char *text[str], const char **end[out])"))(text, &other);
    CHECK(other == text + 2);
    ((third_fn)callback("void third(const char *text[str], const char **end[out])"))(memory + 1024, &other);
    CHECK(other == memory + 1026);
    CHECK(((const char *(*)(const char *))callback("const char *third_of(const char *text[str]) [str]"))(text) == text + 2);

    {
        const char *strings[] = {"one", "two", "three", NULL};
        CHECK(((string_fn)callback("int strings(const char **v[str: NULL])"))(strings) == 3);
        CHECK(((string_fn)callback("int strings(const char **v[str: NULL])"))(strings + 3) == 0);
    }
    OK(wb_instance_take_error(app));
}

/* Copies of callbacks inside of callbacks, and of those that a longjmp skips. */
static void nested(void) {
    bytes_fn deeper = (bytes_fn)callback("int deeper(char *p[inout: n], int n)");
    char bytes[300];
    int i;
    wb_val args[2], result;
    memset(bytes, 1, sizeof bytes);
    CHECK(deeper(bytes, 200) == 200);
    CHECK(depth == 199);
    for (i = 0; i < 300; i++)
        CHECK(bytes[i] == 1 + (i < 200));
    OK(wb_instance_take_error(app));
    for (i = 0; i < 1000; i++) {
        wb_fn jump;
        OK(wb_callback_at(app, 3, "int (char *p[inout: n], int n)", NULL, &jump));
        memset(bytes, 5, sizeof bytes);
        if (setjmp(out) == 0) {
            ((bytes_fn)jump)(bytes, 300);
            CHECK(0);
        }
        CHECK(bytes[0] == 5);
    }
    args[0] = wb_i32(100), args[1] = wb_i32(3);
    OK(wb_instance_call(app, "sum_longs", args, 2, &result, 1));
    CHECK(deeper(bytes, 100) == 500);
    OK(wb_instance_take_error(app));
}

int main(int argc, char **argv) {
    host h;
    void *base;
    size_t len;
    CHECK(argc == 2);
    h = open_host(argv[1], "pointers.wbm", NULL);
    DEFINE(sum_longs, "long sum_longs(const long *v[in: n], int n)");
    DEFINE(scale, "int scale(long *v[inout: n], int n, int by)");
    DEFINE(open_object, "int open_object(const char *name[str], object **o[out handle, nonnull])");
    DEFINE(object_name, "const char *object_name(object *o[handle]) [str]");
    DEFINE(message, "int message(char **text[out str])");
    DEFINE(join, "int join(char **v[str: n], int n, char *into[out: size], size_t size)");
    DEFINE(count_all, "int count_all(char **v[str: NULL])");
    DEFINE(sum_objects, "int sum_objects(object **v[handle: n], int n)");
    DEFINE(receive, "int receive(char *buffer[out: *len], int *len[inout], void (*first[scope: call])(int))");
    DEFINE(receive, "int receive_after(char *buffer[out: *len], int *len, int (*first[scope: call])(int))");
    DEFINE(find, "const char *find(const char *text[str], int c, char **end[out]) ");
    DEFINE(huge, "int huge(size_t *out[out])");
    DEFINE(pick, "int pick(int what, int (**function[out])(int))");
    DEFINE(again, "int again(int (*deeper)(char *p[inout: n], int n), int n)");
    OK(wb_linker_instantiate(h.linker, h.module, &h.app));
    app = h.app;
    OK(wb_instance_memory(app, &base, &len));
    memory = (char *)base;
    outbound();
    inbound();
    nested();
    delete_host(h);
    return 0;
}
