/* A library: constructors run once, before anything is called. */
#include <stdio.h>

static int made;

__attribute__((constructor)) static void make(void) { made = 40; }

__attribute__((export_name("add"))) int add(int a, int b) { return made + a + b; }
__attribute__((export_name("half"))) double half(double x) { return x / 2; }
__attribute__((export_name("hello"))) void hello(void) { printf("hello from a library, %d\n", made); }
