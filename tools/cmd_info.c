/* parallax info [FILE...]: what a file is; without one, what this program is and what it runs on. */
#include "tools/machine.h"
#include "tools/parallax.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the program ------------------------------------------------------------------------------------------- */

static void print_library(const char *file, void *user) {
    (void)user;
    printf(" %s", file);
}

static void print_processor(void) {
    char name[256];
    plx_machine_processor(name, sizeof name);
    printf("processor  %s\n", name);
    printf("features  ");
#ifdef __x86_64__
    static const char *const names[] = {"sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vnni"};
    bool present[] = {__builtin_cpu_supports("sse4.2"),    __builtin_cpu_supports("avx"),
                      __builtin_cpu_supports("avx2"),      __builtin_cpu_supports("fma"),
                      __builtin_cpu_supports("avx512f"),   __builtin_cpu_supports("avx512bw"),
                      __builtin_cpu_supports("avx512vnni")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (present[i]) printf(" %s", names[i]);
#endif
    printf("\n");
}

static void print_program(void) {
    printf("parallax   %s, compiled by %s\n", PLX_VERSION, __VERSION__);
    print_processor();
    printf("threads    %d of %ld processors\n", omp_get_max_threads(), sysconf(_SC_NPROCESSORS_ONLN));
    printf("devices    %s\n", plx_device_names());
    printf("libraries ");
    plx_machine_libraries(print_library, NULL);
    printf("\n");
}

/* ---- images ------------------------------------------------------------------------------------------------- */

/* True if the pixels of the border are of one colour within `tolerance`. */
static bool uniform_border(const plx_image *image, float tolerance) {
    int rows = image->height, columns = image->width, channels = image->channels;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j += i == 0 || i == rows - 1 || columns == 1 ? 1 : columns - 1) {
            const float *pixel = image->data + ((size_t)i * (size_t)columns + (size_t)j) * (size_t)channels;
            for (int c = 0; c < 3; c++)
                if (fabsf(pixel[c] - image->data[c]) > tolerance) return false;
        }
    return true;
}

static int describe_image(const char *path) {
    plx_image image;
    int status = plx_image_load(&image, path);
    if (status) return status;
    printf("%s: image, %dx%d, ", path, image.width, image.height);
    size_t pixels = (size_t)image.width * (size_t)image.height, seen = 0;
    for (size_t i = 0; image.channels == 4 && i < pixels; i++) seen += image.data[4 * i + 3] > 0;
    const float *corner = image.data;
    if (image.channels == 4 && seen == 0)
        printf("RGBA, fully transparent\n");
    else if (image.channels == 4 && seen < pixels)
        printf("RGBA, object on %.1f %% of the pixels\n", 100.0 * (double)seen / (double)pixels);
    else if (uniform_border(&image, 2.5f / 255)) /* JPEG's ripples are of a level or two */
        printf("RGB, border of one colour (%.0f %.0f %.0f)\n", (double)(255 * corner[0]),
               (double)(255 * corner[1]), (double)(255 * corner[2]));
    else
        printf("RGB, border of several colours\n");
    plx_image_free(&image);
    return PLX_OK;
}

/* ---- files: recognised by their first bytes ------------------------------------------------------------------ */

enum file_kind { FILE_UNKNOWN, FILE_IMAGE, FILE_WEIGHTS };

static int recognise(enum file_kind *kind, const char *path) {
    *kind = FILE_UNKNOWN;
    FILE *file = fopen(path, "rb");
    if (!file) return plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    unsigned char head[16] = {0};
    size_t size = fread(head, 1, sizeof head, file);
    int why = ferror(file) ? errno : 0;
    fclose(file);
    if (why) return plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(why));
    if (!size) return plx_fail(PLX_ERROR_INPUT, "%s: is empty", path);
    const char *dot = strrchr(path, '.');
    if (!memcmp(head, "\x89PNG", 4) || !memcmp(head, "\xff\xd8\xff", 3))
        *kind = FILE_IMAGE;
    else if (head[8] == '{' || (dot && !strcmp(dot, ".safetensors")))
        *kind = FILE_WEIGHTS;
    return PLX_OK;
}

static int describe_weights(const char *path) {
    char *text;
    int status = plx_weights_describe(&text, path);
    if (status) return status;
    printf("%s: %s", path, text);
    free(text);
    return PLX_OK;
}

static int describe_file(const char *path) {
    enum file_kind kind;
    int status = recognise(&kind, path);
    if (status) return status;
    switch (kind) {
    case FILE_IMAGE:
        return describe_image(path);
    case FILE_WEIGHTS:
        return describe_weights(path);
    case FILE_UNKNOWN:
        break;
    }
    return plx_fail(PLX_ERROR_INPUT, "%s: neither an image (PNG, JPEG) nor a scene or model (safetensors)",
                    path);
}

static int run_info(const plx_run *run) {
    if (!run->count) print_program();
    for (int i = 0; i < run->count; i++) {
        int status = describe_file(run->arguments[i]);
        if (status) return status;
    }
    return PLX_OK;
}

static const plx_option options[] = {{.type = PLX_OPTION_END}};

const plx_command plx_cmd_info = {.name = "info",
                                  .arguments = "[FILE...]",
                                  .summary =
                                      "what an image, scene or model is; without one, about this program",
                                  .max_arguments = -1,
                                  .options = options,
                                  .run = run_info};
