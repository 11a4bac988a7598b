/* What draws: the app's function, which the host also has as C. */
#ifndef FRAME_BUFFER_APP_H
#define FRAME_BUFFER_APP_H

#include <stdint.h>

/* Draws one picture, pixel by pixel: 0x00RRGGBB each. */
void draw(uint32_t *pixels, int width, int height, int frame);

#endif
