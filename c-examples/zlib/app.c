#include "app.h"

#include <stddef.h>

enum { INPUT, OUTPUT, ALLOCATOR, COUNTERS };

/* How much the input function gives at once. */
#define PIECE 1000

static unsigned char data[CAPACITY], window[1 << 15];
static unsigned data_len, given;
static unsigned out_len, counters[COUNTERS], allocated;
static uLong crc;
static char words[64];

/* zlib's memory is the app's: one block after the other, and all free when none is in use. */
static union {
    double aligned;
    unsigned char bytes[1 << 16];
} arena;
static unsigned arena_used;

static voidpf allocate(voidpf opaque, uInt items, uInt size) {
    unsigned len = (items * size + 31) & ~15u;
    counters[ALLOCATOR] += opaque == data;
    if (len > sizeof arena.bytes - arena_used)
        return Z_NULL;
    unsigned char *block = arena.bytes + arena_used;
    arena_used += len;
    allocated += len;
    *(unsigned *)(void *)block = len;
    return block + 16;
}

static void release(voidpf opaque, voidpf block) {
    (void)opaque;
    allocated -= *(unsigned *)(void *)((unsigned char *)block - 16);
    if (allocated == 0)
        arena_used = 0;
}

static unsigned read_some(void *opaque, z_const unsigned char **piece) {
    unsigned len = data_len - given < PIECE ? data_len - given : PIECE;
    counters[INPUT] += opaque == data;
    *piece = data + given;
    given += len;
    return len;
}

static int write_some(void *opaque, unsigned char *bytes, unsigned len) {
    counters[OUTPUT] += opaque == window;
    crc = crc32(crc, bytes, len);
    out_len += len;
    return 0;
}

int unpack(unsigned len) {
    z_stream stream = {0};
    int status;
    data_len = len;
    given = out_len = allocated = 0;
    counters[INPUT] = counters[OUTPUT] = counters[ALLOCATOR] = 0;
    crc = 0;
    words[0] = '\0';
    stream.zalloc = allocate;
    stream.zfree = release;
    stream.opaque = data;
    status = inflateBackInit(&stream, 15, window);
    if (status != Z_OK)
        return status;
    status = inflateBack(&stream, read_some, data, write_some, window);
    for (size_t i = 0; stream.msg != NULL && stream.msg[i] != '\0' && i + 1 < sizeof words; i++) {
        words[i] = stream.msg[i];
        words[i + 1] = '\0';
    }
    inflateBackEnd(&stream);
    return status;
}

unsigned char *input(void) { return data; }
unsigned unpacked(void) { return out_len; }
unsigned checksum(void) { return (unsigned)crc; }
unsigned calls(int of) { return of >= 0 && of < COUNTERS ? counters[of] : 0; }
unsigned not_freed(void) { return allocated; }
const char *complaint(void) { return words; }
