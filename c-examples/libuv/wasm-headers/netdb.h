/* uv.h includes it for `struct addrinfo`; wasi-libc has no name resolution. */
struct addrinfo {
    int ai_family;
};
