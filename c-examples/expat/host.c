/* The distribution's expat parses a document of some megabytes with handlers and an allocator that are WebAssembly; then with the same
 * functions, compiled natively. What they have read must be the same. */

#include "app.h"
#include "example.h"
#include <string.h>

#define RECORDS 20000

/* Blocks know their size: the allocator asks for it. */
struct block {
    size_t size, unused;
};

void *host_alloc(size_t size) {
    struct block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->size = size;
    return block + 1;
}

void host_free(void *data) { free((struct block *)data - 1); }

size_t host_size(void *data) { return ((struct block *)data - 1)->size; }

void *host_realloc(void *data, size_t size) {
    struct block *block = realloc((struct block *)data - 1, sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->size = size;
    return block + 1;
}

/* What a reader gives. */
struct reader {
    XML_Parser (*new_reader)(long limit);
    wb_instance *app; /* NULL: native */
};

struct results {
    int elements, depth, blocks;
    unsigned long long checksum;
};

static wb_val call(wb_instance *app, const char *name) {
    wb_val result;
    check(wb_instance_call(app, name, NULL, 0, &result, 1));
    return result;
}

static struct results results_of(const struct reader *reader) {
    struct results results = {elements(), depth(), live_blocks(), checksum()};
    if (reader->app) {
        results.elements = call(reader->app, "elements").of.i32;
        results.depth = call(reader->app, "depth").of.i32;
        results.blocks = call(reader->app, "live_blocks").of.i32;
        results.checksum = (unsigned long long)call(reader->app, "checksum").of.i64;
    }
    return results;
}

static char *document(size_t *len) {
    size_t room = RECORDS * 256u + 64;
    char *text = malloc(room), *at = text;
    expect(text != NULL, "no memory");
    at += sprintf(at, "<library>");
    for (int i = 0; i < RECORDS; i++) {
        at += sprintf(at, "<book id=\"%d\" lent=\"%s\"><title>On &amp; off, volume %d</title>", i, i % 3 ? "no" : "yes", i * 7919 % 1000);
        if (i % 10 == 0)
            at += sprintf(at, "<notes><note n='%d'>caf\xc3\xa9 &#169; <b>%d</b></note></notes>", i, i);
        at += sprintf(at, "</book>\n");
    }
    at += sprintf(at, "</library>");
    *len = (size_t)(at - text);
    expect(*len < room, "the document is too long");
    return text;
}

/* The app had a handle of it, which must not outlive it. */
static void free_parser(const struct reader *reader, XML_Parser parser) {
    if (reader->app)
        check(wb_handle_end(reader->app, "XML_ParserStruct", parser));
    XML_ParserFree(parser);
}

/* Parses in pieces, as from a socket. */
static struct results parse(const struct reader *reader, const char *text, size_t len) {
    XML_Parser parser = reader->new_reader(1 << 20);
    expect(parser != NULL, "there is no parser");
    for (size_t at = 0; at < len; at += 5000) {
        size_t piece = len - at < 5000 ? len - at : 5000;
        if (XML_Parse(parser, text + at, (int)piece, at + piece == len) != XML_STATUS_OK) {
            fprintf(stderr, "error: %s\n", XML_ErrorString(XML_GetErrorCode(parser)));
            exit(1);
        }
    }
    free_parser(reader, parser);
    return results_of(reader);
}

/* An element whose attribute is longer than the allocator allows. */
static enum XML_Error too_long(const struct reader *reader) {
    static char text[200000];
    XML_Parser parser = reader->new_reader(100000);
    enum XML_Error error;
    expect(parser != NULL, "there is no parser");
    strcpy(text, "<a b='");
    memset(text + 6, 'x', sizeof text - 7);
    expect(XML_Parse(parser, text, sizeof text - 1, 0) == XML_STATUS_ERROR, "it has a limit");
    error = XML_GetErrorCode(parser);
    free_parser(reader, parser);
    return error;
}

/* Expat as its header has it. */
static void define_expat(wb_linker *linker) {
    static const struct {
        const char *prototype;
        wb_fn function;
    } functions[] = {
        {"struct XML_ParserStruct *XML_ParserCreate_MM(const char *encoding[str],"
         " const struct {"
         "  void *(*malloc_fcn)(size_t size) [handle];"
         "  void *(*realloc_fcn)(void *block[handle, scope: call], size_t size) [handle];"
         "  void (*free_fcn)(void *block[handle, scope: call]);"
         " } *suite[in], const char *separator[str]) [handle]",
         (wb_fn)XML_ParserCreate_MM},
        {"void XML_SetUserData(struct XML_ParserStruct *p[handle], void *data[user])", (wb_fn)XML_SetUserData},
        {"void XML_SetElementHandler(struct XML_ParserStruct *p[handle],"
         " void (*start)(void *data[user], const char *name[str], const char **attributes[str: NULL]),"
         " void (*end)(void *data[user], const char *name[str]))",
         (wb_fn)XML_SetElementHandler},
        {"void XML_SetCharacterDataHandler(struct XML_ParserStruct *p[handle],"
         " void (*text)(void *data[user], const char *s[in: len], int len))",
         (wb_fn)XML_SetCharacterDataHandler},
        {"void *host_alloc(size_t size) [handle]", (wb_fn)host_alloc},
        {"void *host_realloc(void *block[handle, scope: call], size_t size) [handle]", (wb_fn)host_realloc},
        {"void host_free(void *block[handle, scope: call])", (wb_fn)host_free},
        {"size_t host_size(void *block[handle])", (wb_fn)host_size},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        check(wb_linker_define(linker, "env", functions[i].prototype, functions[i].function));
}

int main(int argc, char **argv) {
    expect(argc == 2, "usage: expat APP.wbm");

    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    struct reader app, native = {new_reader, NULL};
    wb_fn function;
    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_linker_new(engine, &linker));
    define_expat(linker);
    check(wb_linker_instantiate(linker, module, &app.app));
    check(wb_callback(app.app, "struct XML_ParserStruct *new_reader(long limit) [handle]", NULL, &function));
    app.new_reader = (XML_Parser(*)(long))function;

    size_t len;
    char *text = document(&len);
    struct results got = parse(&app, text, len), want = parse(&native, text, len);
    check(wb_instance_take_error(app.app));
    expect(got.elements == want.elements && got.depth == want.depth, "the handlers saw other elements");
    expect(got.checksum == want.checksum, "the handlers saw something else");
    printf("%d elements, %d deep, in %zu bytes: as native\n", got.elements, got.depth, len);
    expect(got.blocks == 0 && want.blocks == 0, "the parser has left blocks behind");
    printf("all of the parser's memory is freed: as native\n");

    enum XML_Error error = too_long(&app);
    check(wb_instance_take_error(app.app));
    expect(error == too_long(&native), "the limit is another one");
    printf("beyond the allocator's limit: %s, as native\n", XML_ErrorString(error));
    expect(results_of(&app).blocks == 0, "the parser has left blocks behind");

    free(text);
    wb_instance_delete(app.app);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
