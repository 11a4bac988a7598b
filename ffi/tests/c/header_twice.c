/* The header can be included twice, and alone. */
#include <wasmbridge.h>
#include <wasmbridge.h>

struct wb_engine;
union wb_val_of;

int main(void) { return wb_version()[0] == 0; }
