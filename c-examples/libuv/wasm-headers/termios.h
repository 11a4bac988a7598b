/* uv.h includes it for `struct termios`; wasi-libc has no terminals. */
struct termios {
    int c_iflag;
};
