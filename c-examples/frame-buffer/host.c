/* A native frame buffer that an app draws into, in place: no pixel is copied. The last picture is written out as a PNG. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "example.h"
#include "frame-buffer/app.h"
#include <png.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define WIDTH 1920
#define HEIGHT 1080
#define FRAMES 60

typedef void (*draw_fn)(uint32_t *pixels, int width, int height, int frame);

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The pixels as a device would have them: shared memory of whole pages. */
static uint32_t *frame_buffer(void) {
    void *pixels = mmap(NULL, WIDTH * HEIGHT * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(pixels != MAP_FAILED, "no memory for the frame buffer");
    return pixels;
}

/* Draws all frames; seconds. */
static double draw_all(draw_fn function, uint32_t *pixels) {
    double start = now();
    for (int frame = 0; frame < FRAMES; frame++)
        function(pixels, WIDTH, HEIGHT, frame);
    return now() - start;
}

static void write_png(const char *path, const uint32_t *pixels) {
    png_image image;
    unsigned char *rgb = malloc(WIDTH * HEIGHT * 3);
    expect(rgb != NULL, "out of memory");
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        rgb[3 * i] = (unsigned char)(pixels[i] >> 16);
        rgb[3 * i + 1] = (unsigned char)(pixels[i] >> 8);
        rgb[3 * i + 2] = (unsigned char)pixels[i];
    }
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = WIDTH;
    image.height = HEIGHT;
    image.format = PNG_FORMAT_RGB;
    expect(png_image_write_to_file(&image, path, 0, rgb, 0, NULL), "the PNG cannot be written");
    free(rgb);
}

int main(int argc, char **argv) {
    expect(argc == 2, "usage: frame-buffer APP.wbm");

    wb_engine *engine;
    wb_module *module;
    wb_linker *linker;
    wb_instance *app;
    check(wb_engine_new(NULL, &engine));
    check(wb_module_open(engine, argv[1], &module));
    check(wb_linker_new(engine, &linker));
    check(wb_linker_instantiate(linker, module, &app));

    uint32_t *pixels = frame_buffer(), *reference = frame_buffer();
    uint64_t guest_addr;
    wb_fn callback;
    check(wb_window_map(app, pixels, WIDTH * HEIGHT * 4, WB_WRITE, &guest_addr));
    check(wb_callback(app, "void draw(uint32_t *pixels, int width, int height, int frame)", NULL, &callback));

    /* The app is given C's own pointer: it arrives as the window's address. */
    double in_app = draw_all((draw_fn)callback, pixels);
    double in_c = draw_all(draw, reference);
    check(wb_instance_take_error(app));
    expect(memcmp(pixels, reference, WIDTH * HEIGHT * 4) == 0, "the app has drawn something else than C");
    printf("%d frames of %dx%d pixels drawn in place, the last one as C draws it\n", FRAMES, WIDTH, HEIGHT);
    fprintf(stderr, "%.0f frames a second; %.2f of the time that C takes\n", FRAMES / in_app, in_app / in_c);

    char path[4096];
    expect(snprintf(path, sizeof path, "%s.png", argv[1]) < (int)sizeof path, "the path is too long");
    write_png(path, pixels);
    fprintf(stderr, "the last frame is in %s\n", path);

    /* Without the window there is no way to the pixels any more. */
    check(wb_window_unmap(app, guest_addr));
    ((draw_fn)callback)(pixels, WIDTH, HEIGHT, FRAMES);
    wb_error *error = wb_instance_take_error(app);
    expect(error != NULL, "the app still has the frame buffer");
    printf("after the unmap: %s\n", wb_error_message(error));
    wb_error_delete(error);

    wb_instance_delete(app);
    wb_linker_delete(linker);
    wb_module_delete(module);
    wb_engine_delete(engine);
    return 0;
}
