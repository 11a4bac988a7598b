/* Unpacks raw deflate data with zlib's inflateBack, written against zlib.h. It is compiled twice: to WebAssembly, for the app, and natively, as the reference. */
#ifndef APP_H
#define APP_H

#include <zlib.h>

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#else
#define EXPORT(name)
#endif

/* Bytes that there is room for. */
#define CAPACITY (1 << 20)

/* Where the data is to be put. */
EXPORT(input) unsigned char *input(void);

/* Unpacks so many bytes of it: zlib's status. */
EXPORT(unpack) int unpack(unsigned len);

/* Of the last time: bytes that came out, their checksum, calls of the input function, of the output function, and of the allocator, and bytes of the allocator's that
 * have not been freed. */
EXPORT(unpacked) unsigned unpacked(void);
EXPORT(checksum) unsigned checksum(void);
EXPORT(calls) unsigned calls(int of);
EXPORT(not_freed) unsigned not_freed(void);

/* zlib's words for what is wrong with the data; of the app's memory, valid until the next call. */
EXPORT(complaint) const char *complaint(void);

#endif
