/* The distribution's zlib unpacks data for an app with inflateBack: its input, its output and its memory are functions of the app, and the z_stream is the app's, with 32-bit
 * pointers and longs, which is converted for each call. Then the same program, compiled natively; the results must be the same.
 *
 * The app's allocator and input function give zlib memory: how much of it zlib uses the prototypes say, and it is checked to be the app's. An app that
 * allocates for a library can change what the library keeps there all the same: let apps do so only that you trust as far as the library. */

#include "app.h"
#include "example.h"
#include <string.h>

#define TEXT_BYTES 3000000

struct results {
    int status;
    unsigned unpacked, checksum, calls[3], not_freed;
    char complaint[64];
};

/* As an app is compiled with another size of z_stream, which zlib would take for another version. */
static int init(z_streamp stream, int bits, unsigned char *window, const char *version, int stream_size) {
    (void)stream_size;
    return inflateBackInit_(stream, bits, window, version, (int)sizeof(z_stream));
}

static const struct {
    const char *prototype;
    wb_fn function;
} imports[] = {
    {"int inflateBackInit_(z_stream *stream[inout], int bits, unsigned char *window[inout: 32768], const char *version[str], int stream_size)",
     (wb_fn)init},
    {"int inflateBack(z_stream *stream[inout],"
     " unsigned (*in[scope: call])(void *opaque[user], const unsigned char **piece[out in: return]), void *in_opaque[user],"
     " int (*out[scope: call])(void *opaque[user], unsigned char *bytes[in: len], unsigned len), void *out_opaque[user])",
     (wb_fn)inflateBack},
    {"int inflateBackEnd(z_stream *stream[inout])", (wb_fn)inflateBackEnd},
    {"unsigned long crc32(unsigned long crc, const unsigned char *bytes[in: len], unsigned len)", (wb_fn)crc32},
};

static const char stream_type[] =
    "struct z_stream { const unsigned char *next_in[in: avail_in]; unsigned avail_in; unsigned long total_in;"
    " unsigned char *next_out; unsigned avail_out; unsigned long total_out;"
    " const char *msg[str]; void *state;"
    " void *(*zalloc)(void *opaque[user], unsigned items, unsigned size) [inout: items * size, nullable];"
    " void (*zfree)(void *opaque[user], void *block); void *opaque[user];"
    " int data_type; unsigned long adler; unsigned long reserved; }";

/* Text of words that repeat, but not too often. */
static void make_text(char *text, size_t len) {
    static const char *const words[] = {"window ", "handle ", "table ", "memory ", "callback ", "thread "};
    unsigned state = 12345;
    size_t at = 0;
    while (at < len) {
        const char *word = words[(state = state * 1103515245u + 12345u) >> 16 & 0xffff ? (state >> 20) % 6 : 0];
        for (; *word != '\0' && at < len; word++)
            text[at++] = *word;
    }
}

/* Packs it as raw deflate data; how many bytes. */
static unsigned pack(char *text, size_t len, unsigned char *packed) {
    z_stream stream;
    unsigned packed_len;
    memset(&stream, 0, sizeof stream);
    expect(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK, "deflate does not begin");
    stream.next_in = (unsigned char *)text;
    stream.avail_in = (unsigned)len;
    stream.next_out = packed;
    stream.avail_out = CAPACITY;
    expect(deflate(&stream, Z_FINISH) == Z_STREAM_END, "there is no room for the data");
    packed_len = CAPACITY - stream.avail_out;
    deflateEnd(&stream);
    return packed_len;
}

static unsigned call(wb_instance *app, const char *name, int has_arg, unsigned arg) {
    wb_val in = wb_i32((int)arg), out;
    check(wb_instance_call(app, name, &in, (size_t)has_arg, &out, 1));
    return (unsigned)out.of.i32;
}

static struct results in_wasm(wb_instance *app, const unsigned char *packed, unsigned len) {
    struct results r;
    void *memory;
    memset(&r, 0, sizeof r);
    check(wb_native_ptr(app, call(app, "input", 0, 0), len, &memory));
    memcpy(memory, packed, len);
    r.status = (int)call(app, "unpack", 1, len);
    r.unpacked = call(app, "unpacked", 0, 0);
    r.checksum = call(app, "checksum", 0, 0);
    for (unsigned i = 0; i < 3; i++)
        r.calls[i] = call(app, "calls", 1, i);
    r.not_freed = call(app, "not_freed", 0, 0);
    check(wb_native_ptr(app, call(app, "complaint", 0, 0), sizeof r.complaint, &memory));
    strncpy(r.complaint, (const char *)memory, sizeof r.complaint - 1);
    return r;
}

static struct results natively(const unsigned char *packed, unsigned len) {
    struct results r;
    memset(&r, 0, sizeof r);
    memcpy(input(), packed, len);
    r.status = unpack(len);
    r.unpacked = unpacked();
    r.checksum = checksum();
    for (int i = 0; i < 3; i++)
        r.calls[i] = calls(i);
    r.not_freed = not_freed();
    strncpy(r.complaint, complaint(), sizeof r.complaint - 1);
    return r;
}

/* Unpacks on both sides, which must agree. */
static struct results both(wb_instance *app, const unsigned char *packed, unsigned len) {
    struct results got = in_wasm(app, packed, len), want = natively(packed, len);
    check(wb_instance_take_error(app));
    expect(memcmp(&got, &want, sizeof got) == 0, "the app's results differ");
    return got;
}

int main(int argc, char **argv) {
    static char text[TEXT_BYTES];
    static unsigned char packed[CAPACITY];
    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_instance *app;
    struct results r;
    unsigned len;
    expect(argc == 2, "usage: zlib APP.wbm");

    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_linker_new(engine, &linker));
    check(wb_linker_typedef(linker, "z_stream", stream_type));
    for (size_t i = 0; i < sizeof imports / sizeof imports[0]; i++)
        check(wb_linker_define(linker, "env", imports[i].prototype, imports[i].function));
    check(wb_linker_instantiate(linker, module, &app));

    make_text(text, sizeof text);
    len = pack(text, sizeof text, packed);
    r = both(app, packed, len);
    expect(r.status == Z_STREAM_END && r.unpacked == TEXT_BYTES, "not all came out");
    expect(r.checksum == crc32(0, (const unsigned char *)text, sizeof text), "something else came out");
    expect(r.not_freed == 0 && r.calls[2] > 0, "zlib's memory is not the app's");
    expect(r.calls[0] == (len + 999) / 1000, "the input function was called otherwise");
    printf("%u bytes unpacked, as native; the window written out %u times\n", r.unpacked, r.calls[1]);

    /* Data that ends too early, and data that begins with a block of no kind. */
    r = both(app, packed, len / 4);
    expect(r.status == Z_BUF_ERROR && r.not_freed == 0, "zlib has not seen the end");
    printf("an early end: status %d, as native\n", r.status);
    packed[0] |= 6;
    r = both(app, packed, len);
    expect(r.status == Z_DATA_ERROR && r.complaint[0] != '\0', "zlib has not seen the fault");
    printf("a fault in the data: %s, as native\n", r.complaint);

    wb_instance_delete(app);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
