#include "app.h"

static struct {
    int elements, depth, deepest, blocks;
    unsigned long long hash;
    size_t bytes, limit;
} state;

static void fold(const char *text, int len) {
    for (int i = 0; i < len; i++)
        state.hash = (state.hash ^ (unsigned char)text[i]) * 0x100000001b3ull;
    state.hash = state.hash * 31 + 7;
}

static int length(const char *text) {
    int len = 0;
    while (text[len])
        len++;
    return len;
}

/* The user data are the app's own: expat only carries them around. */
static void XMLCALL start(void *data, const XML_Char *name, const XML_Char **attributes) {
    int *depth = data;
    state.elements++;
    if (++*depth > state.deepest)
        state.deepest = *depth;
    fold(name, length(name));
    for (int i = 0; attributes[i]; i++)
        fold(attributes[i], length(attributes[i]));
}

static void XMLCALL end(void *data, const XML_Char *name) {
    int *depth = data;
    --*depth;
    fold(name, length(name));
}

/* Not a string: it has a length, and no zero byte behind it. */
static void XMLCALL text(void *data, const XML_Char *s, int len) {
    (void)data;
    fold(s, len);
}

/* The allocator counts, and has a limit. Expat's memory stays the host's: the app has a handle of each block, and could not look into it. */
static int fits(size_t size, size_t instead_of) {
    return size <= state.limit && state.bytes - instead_of <= state.limit - size;
}

static void *allocate(size_t size) {
    void *block = fits(size, 0) ? host_alloc(size) : NULL;
    if (block) {
        state.bytes += size;
        state.blocks++;
    }
    return block;
}

static void release(void *block) {
    if (block) {
        state.bytes -= host_size(block);
        state.blocks--;
        host_free(block);
    }
}

static void *reallocate(void *block, size_t size) {
    if (!block)
        return allocate(size);
    size_t before = host_size(block);
    void *moved = fits(size, before) ? host_realloc(block, size) : NULL;
    if (moved)
        state.bytes += size - before;
    return moved;
}

XML_Parser new_reader(long limit) {
    /* Expat copies it: it may be gone afterwards. */
    const XML_Memory_Handling_Suite suite = {allocate, reallocate, release};
    state.limit = (size_t)limit;
    state.elements = state.depth = state.deepest = 0;
    state.hash = 0xcbf29ce484222325ull;
    XML_Parser parser = XML_ParserCreate_MM("UTF-8", &suite, NULL);
    if (!parser)
        return NULL;
    XML_SetUserData(parser, &state.depth);
    XML_SetElementHandler(parser, start, end);
    XML_SetCharacterDataHandler(parser, text);
    return parser;
}

int elements(void) { return state.elements; }
int depth(void) { return state.deepest; }
unsigned long long checksum(void) { return state.hash; }
int live_blocks(void) { return state.blocks; }
