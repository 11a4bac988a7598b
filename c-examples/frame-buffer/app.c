/* Draws moving rings and a grid. It knows nothing of windows: it gets a pointer, and writes there. */

#include "app.h"

#ifdef __wasm__
__attribute__((export_name("draw")))
#endif
void draw(uint32_t *pixels, int width, int height, int frame) {
    int centre_x = width / 2 + (frame % 64 - 32) * 8, centre_y = height / 2 - (frame % 48 - 24) * 6;
    for (int y = 0; y < height; y++) {
        uint32_t *row = pixels + (uint32_t)y * (uint32_t)width;
        int dy = y - centre_y;
        for (int x = 0; x < width; x++) {
            int dx = x - centre_x;
            uint32_t distance = (uint32_t)(dx * dx + dy * dy);
            uint32_t ring = (distance >> 8) - (uint32_t)frame * 4;
            uint32_t grid = (x & 63) == 0 || (y & 63) == 0 ? 0x00303030 : 0;
            row[x] = (((ring & 0xff) << 16) | (((ring >> 1) & 0x7f) << 8) | (255 - (distance >> 13 & 0xff))) ^ grid;
        }
    }
}
