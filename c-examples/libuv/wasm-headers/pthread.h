/* uv.h includes it for its types, which wasi-libc has in <sys/types.h>, without this header where there are no threads. */
#include <sys/types.h>
