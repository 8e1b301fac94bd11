/* Pictures on disk. */
#include <stdint.h>
#include <unistd.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"
#include "tests/test.h"

static plx_image ramp(int height, int width, int channels) {
    plx_image image;
    if (plx_image_create(&image, height, width, channels) < 0) abort();
    for (int i = 0; i < height * width * channels; i++) image.data[i] = (float)(i * 37 % 256) / 255;
    return image;
}

static int run(const char *command, char *text, size_t size) {
    FILE *pipe = popen(command, "r");
    if (!pipe) return -1;
    size_t got = fread(text, 1, size - 1, pipe);
    text[got] = 0;
    return pclose(pipe);
}

TEST(image_file, png_round_trip_is_exact) {
    for (int channels = 1; channels <= 4; channels++) {
        if (channels == 2) continue;
        plx_image image = ramp(7, 13, channels), back;
        REQUIRE(plx_png_save(test_file("a.png"), &image) == PLX_OK, "%s", plx_error());
        REQUIRE(plx_image_load(&back, test_file("a.png")) == PLX_OK, "%s", plx_error());
        EXPECT(back.height == 7 && back.width == 13 && back.channels == (channels == 4 ? 4 : 3), "%dx%dx%d",
               back.height, back.width, back.channels);
        for (int i = 0; i < 7 * 13; i++)
            for (int c = 0; c < back.channels; c++)
                EXPECT(back.data[back.channels * i + c] == image.data[channels * i + (channels == 1 ? 0 : c)],
                       "channels %d, pixel %d", channels, i);
        plx_image_free(&image);
        plx_image_free(&back);
    }
}

TEST(image_file, values_are_clamped_and_rounded) {
    plx_image image = ramp(1, 4, 1), back;
    float values[4] = {-1, 2, NAN, 127.6f / 255}, wanted[4] = {0, 1, 0, 128.0f / 255};
    memcpy(image.data, values, sizeof values);
    REQUIRE(plx_png_save(test_file("b.png"), &image) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_image_load(&back, test_file("b.png")) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 4; i++)
        EXPECT(back.data[3 * i] == wanted[i], "%g -> %g", values[i], back.data[3 * i]);
    plx_image_free(&image);
    plx_image_free(&back);
}

/* Independent writers: what PIL calls red, 16 bits and JPEG. */
TEST(image_file, pictures_of_another_program) {
    char command[2048], text[256];
    snprintf(command, sizeof command,
             "cd %s && /usr/bin/python3 -c \"from PIL import Image; import numpy as n\n"
             "Image.new('RGB', (5, 3), (200, 100, 50)).save('c.jpg', quality=95)\n"
             "Image.fromarray(n.array([[0, 1000, 65535]], dtype=n.uint16)).save('deep.png')\n"
             "Image.new('LA', (2, 2), (10, 20)).save('grey.png')\n"
             "Image.new('RGB', (4, 4), (1, 2, 3)).quantize(4).save('palette.png')\n\" 2>&1",
             test_directory());
    if (run(command, text, sizeof text) != 0) SKIP("no python3-pil (make deps-readers)");
    plx_image image;
    REQUIRE(plx_image_load(&image, test_file("c.jpg")) == PLX_OK, "%s", plx_error());
    EXPECT(image.height == 3 && image.width == 5 && image.channels == 3, "%dx%d", image.width, image.height);
    for (int c = 0; c < 3; c++) /* quality 95: within 2 steps on one flat colour */
        EXPECT(fabsf(image.data[c] * 255 - (float)(200 >> c)) < 2.5f, "channel %d: %g", c,
               image.data[c] * 255);
    plx_image_free(&image);
    REQUIRE(plx_image_load(&image, test_file("deep.png")) == PLX_OK, "%s", plx_error());
    EXPECT(image.data[0] == 0 && image.data[3] == 1000.0f / 65535 && image.data[6] == 1, "16 bits: %g",
           image.data[3]);
    plx_image_free(&image);
    REQUIRE(plx_image_load(&image, test_file("grey.png")) == PLX_OK, "%s", plx_error());
    EXPECT(image.channels == 4 && image.data[2] == 10.0f / 255 && image.data[3] == 20.0f / 255,
           "grey and alpha");
    plx_image_free(&image);
    REQUIRE(plx_image_load(&image, test_file("palette.png")) == PLX_OK, "%s", plx_error());
    EXPECT(image.channels == 3 && image.data[2] == 3.0f / 255, "palette");
    plx_image_free(&image);
}

TEST(image_file, bad_pictures_say_so_in_one_line) {
    plx_image image = ramp(40, 40, 3);
    char *data;
    size_t size;
    REQUIRE(plx_png_save(test_file("whole.png"), &image) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_file_read(&data, &size, test_file("whole.png"), 1 << 20) == PLX_OK, "%s", plx_error());
    plx_image_free(&image);
    uint8_t *bytes = (uint8_t *)data;
    plx_file_write(test_file("cut.png"), data, size / 2);
    plx_file_write(test_file("header.png"), data, 20);
    plx_file_write(test_file("empty.png"), data, 0);
    plx_file_write(test_file("text.png"), "hello, I am no picture at all", 29);
    plx_file_write(test_file("text.jpg"), "\xff\xd8\xff hello", 9);
    bytes[16] = 0, bytes[17] = 1, bytes[18] = 0x86, bytes[19] = 0xa0; /* 100000 wide and high */
    memcpy(bytes + 20, bytes + 16, 4);
    plx_file_write(test_file("vast.png"), data, size);
    bytes[16] = bytes[20] = bytes[17] = bytes[21] = 0, bytes[18] = bytes[22] = 0x30; /* 12448: 155 Mpixel */
    plx_file_write(test_file("large.png"), data, size);
    memset(bytes + 16, 0, 4);
    plx_file_write(test_file("zero.png"), data, size);
    free(data);
    static const struct {
        const char *name, *words;
        int status;
    } files[] = {{"missing.png", "No such file", PLX_ERROR_IO},
                 {"cut.png", "damaged", PLX_ERROR_INPUT},
                 {"header.png", "not a PNG", PLX_ERROR_INPUT},
                 {"empty.png", "empty", PLX_ERROR_INPUT},
                 {"text.png", "not a PNG", PLX_ERROR_INPUT},
                 {"text.jpg", "damaged", PLX_ERROR_INPUT},
                 {"vast.png", "100000x100000", PLX_ERROR_INPUT},
                 {"large.png", "64 million", PLX_ERROR_INPUT},
                 {"zero.png", "0x", PLX_ERROR_INPUT}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int status = plx_image_load(&image, test_file(files[i].name));
        EXPECT(status == files[i].status && !image.data, "%s: %d", files[i].name, status);
        EXPECT(strstr(plx_error(), files[i].name) && strstr(plx_error(), files[i].words) &&
                   !strchr(plx_error(), '\n'),
               "%s: %s", files[i].name, plx_error());
        plx_image_free(&image);
    }
    image = ramp(2, 2, 3);
    EXPECT(plx_png_save("/nonexistent/a.png", &image) == PLX_ERROR_IO, "no folder");
    EXPECT(strstr(plx_error(), "/nonexistent/a.png"), "%s", plx_error());
    plx_image_free(&image);
}

/* ---- EXR ---- */

static int save_exr(const char *name, plx_image *image, bool half) {
    plx_exr_channel channels[4] = {
        {"R", image, 0, half}, {"G", image, 1, half}, {"B", image, 2, half}, {"Z", image, 3, false}};
    return plx_exr_save(test_file(name), 4, channels, NULL);
}

TEST(image_file, exr_round_trip) {
    plx_image image = ramp(37, 21, 4), back; /* 37 rows: blocks of 16, 16 and 5 */
    for (int i = 0; i < 37 * 21; i++) image.data[4 * i + 3] = 1.3f + (float)i * 1e-4f;
    image.data[0] = 1000, image.data[1] = -2.5f, image.data[2] = 0;
    static const char *const names[4] = {"B", "Z", "R", "G"};
    static const int order[4] = {2, 3, 0, 1};
    for (int half = 0; half < 2; half++) {
        REQUIRE(save_exr("a.exr", &image, half) == PLX_OK, "%s", plx_error());
        REQUIRE(plx_exr_load(&back, test_file("a.exr"), 4, names) == PLX_OK, "%s", plx_error());
        EXPECT(back.height == 37 && back.width == 21 && back.channels == 4, "size");
        for (int i = 0; i < 37 * 21; i++)
            for (int c = 0; c < 4; c++) {
                float wanted = image.data[4 * i + order[c]], got = back.data[4 * i + c];
                /* a half has 11 bits: half a step is at most 2^-11 of the value */
                float allowed = half && order[c] < 3 ? fabsf(wanted) / 2048 : 0;
                EXPECT(fabsf(got - wanted) <= allowed, "half %d, pixel %d, %s: %g not %g", half, i, names[c],
                       got, wanted);
            }
        plx_image_free(&back);
    }
    plx_image_free(&image);
}

/* Four halves side by side are what OpenEXR 3.1.5's own conversion turns round. */
TEST(image_file, exr_of_halves_in_any_order) {
    plx_image image = ramp(17, 9, 4), back;
    static const char *const names[4] = {"R", "G", "B", "A"};
    image.data[7] = 1e6f, image.data[11] = -1e-7f,
    image.data[15] = 65504; /* infinite, subnormal, the largest */
    for (int count = 1; count <= 4; count++) {
        plx_exr_channel channels[4];
        for (int i = 0; i < 4; i++) {
            channels[i] = (plx_exr_channel){.image = &image, .channel = i, .half = true};
            strcpy(channels[i].name, names[i]);
        }
        REQUIRE(plx_exr_save(test_file("half.exr"), count, channels, NULL) == PLX_OK, "%s", plx_error());
        REQUIRE(plx_exr_load(&back, test_file("half.exr"), count, names) == PLX_OK, "%s", plx_error());
        int wrong = 0;
        for (int i = 0; i < 17 * 9; i++)
            for (int c = 0; c < count; c++) {
                float wanted = image.data[4 * i + c], got = back.data[count * i + c];
                if (wanted == 1e6f)
                    wrong += got != INFINITY;
                else
                    wrong += fabsf(got - wanted) >
                             fabsf(wanted) / 2048 + 0x1p-25f; /* halves: steps from 2^-24 on */
            }
        EXPECT(wrong == 0, "%d channels: %d values", count, wrong);
        plx_image_free(&back);
    }
    plx_image_free(&image);
}

TEST(image_file, exr_is_read_by_exrheader) {
    char command[700], text[4096];
    plx_image image = ramp(9, 5, 4);
    REQUIRE(save_exr("h.exr", &image, true) == PLX_OK, "%s", plx_error());
    plx_image_free(&image);
    snprintf(command, sizeof command, "exrheader %s 2>&1", test_file("h.exr"));
    if (run("exrheader --help >/dev/null 2>&1; test $? != 127", text, sizeof text) != 0)
        SKIP("no exrheader (make deps-test)");
    EXPECT(run(command, text, sizeof text) == 0, "%s", text);
    static const char *const words[] = {"R, 16-bit floating-point", "Z, 32-bit floating-point", "zip",
                                        "(0 0) - (4 8)"};
    for (size_t i = 0; i < 4; i++) EXPECT(strstr(text, words[i]), "no \"%s\" in %s", words[i], text);
    snprintf(command, sizeof command, "exrinfo -s -a %s 2>&1", test_file("h.exr")); /* -s: strictly */
    run(command, text,
        sizeof text); /* exrinfo 3.1 exits with a variable that it never sets: its text counts */
    EXPECT(strstr(text, "'R': half") && strstr(text, "'Z': float") && !strstr(text, "ERROR"), "%s", text);
}

TEST(image_file, bad_exr_files) {
    plx_image image = ramp(64, 64, 4), back;
    static const char *const red[1] = {"R"}, *const other[1] = {"Q"};
    char *data;
    size_t size;
    REQUIRE(save_exr("whole.exr", &image, false) == PLX_OK, "%s", plx_error());
    plx_image_free(&image);
    EXPECT(plx_exr_load(&back, test_file("whole.exr"), 1, other) == PLX_ERROR_INPUT,
           "a channel that is not there");
    EXPECT(strstr(plx_error(), "\"Q\"") && strstr(plx_error(), "whole.exr"), "%s", plx_error());
    REQUIRE(plx_file_read(&data, &size, test_file("whole.exr"), 1 << 24) == PLX_OK, "%s", plx_error());
    for (size_t cut = 0; cut < size;
         cut += cut < 600 ? 7 : size / 23) { /* cut anywhere: an error, never a crash */
        plx_file_write(test_file("cut.exr"), data, cut);
        EXPECT(plx_exr_load(&back, test_file("cut.exr"), 1, red) == PLX_ERROR_INPUT && !back.data,
               "cut at %zu", cut);
        EXPECT(strstr(plx_error(), "cut.exr") && !strchr(plx_error(), '\n'), "%s", plx_error());
        plx_image_free(&back);
    }
    for (size_t at_byte = 8; at_byte < 400; at_byte++) { /* any damage to the header: no crash, no leak */
        char kept = data[at_byte];
        data[at_byte] ^= 0x55;
        plx_file_write(test_file("bent.exr"), data, size);
        data[at_byte] = kept;
        plx_exr_load(&back, test_file("bent.exr"), 1, red);
        plx_image_free(&back);
    }
    free(data);
    EXPECT(plx_exr_load(&back, test_file("missing.exr"), 1, red) == PLX_ERROR_IO, "missing");
}

TEST(image_file, geometry_round_trip) {
    plx_view view = {0}, back = {0};
    REQUIRE(plx_image_create(&view.depth, 6, 5, 2) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_image_create(&view.normal, 6, 5, 3) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 60; i++) view.depth.data[i] = 1 + (float)i / 77;
    for (int i = 0; i < 90; i++) view.normal.data[i] = sinf((float)i);
    REQUIRE(plx_geometry_save(test_file("g.exr"), &view) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_geometry_load(&back, test_file("g.exr")) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 60; i++) EXPECT(back.depth.data[i] == view.depth.data[i], "depth %d", i);
    for (int i = 0; i < 90; i++) /* halves: 2^-12 of values up to 1 */
        EXPECT(fabsf(back.normal.data[i] - view.normal.data[i]) <= 1.0f / 4096, "normal %d", i);
    plx_image_free(&view.depth);
    plx_image_free(&view.normal);
    plx_image_free(&back.depth);
    plx_image_free(&back.normal);
}
