/* uv.h includes it for uid_t and gid_t, which wasi-libc has in <sys/types.h>, without this header. */
#include <sys/types.h>
