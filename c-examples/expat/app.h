/* A reader of XML, written against expat.h and nothing else. It is compiled twice: to WebAssembly, for the app, and natively,
 * as the reference. */
#ifndef APP_H
#define APP_H

#include <expat.h>

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

/* A new parser, with the reader's handlers. It may allocate `limit` bytes; NULL if they are not enough. */
EXPORT(new_reader) XML_Parser new_reader(long limit);

/* What it has read so far: elements and attributes, the deepest nesting, and a checksum over everything in its order. */
EXPORT(elements) int elements(void);
EXPORT(depth) int depth(void);
EXPORT(checksum) unsigned long long checksum(void);

/* Blocks and bytes that its parsers have allocated and not freed. */
EXPORT(live_blocks) int live_blocks(void);

/* Of the host, which knows how large its blocks are. */
void *host_alloc(size_t size);
void *host_realloc(void *block, size_t size);
void host_free(void *block);
size_t host_size(void *block);

#endif
