/* The command from outside: exit codes, one line for each thing that is wrong, files that are not what they should be. */
#include "tests/test.h"

#include <unistd.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "nerf/core/image.h"
#include "render/render.h"
#include "tests/small_set.h"

/* The arguments end with `code`, and stderr is one line that begins with "parallax: " and holds `text`. */
static void expect_line(const char *arguments, int code, const char *text) {
    const char *said;
    int got = test_run_parallax(arguments, &said);
    EXPECT(got == code, "parallax %s: exit %d, not %d: %s", arguments, got, code, said);
    EXPECT(!strncmp(said, "parallax: ", 10) && strchr(said, '\n') == said + strlen(said) - 1,
           "parallax %s: not one line: '%s'", arguments, said);
    EXPECT(strstr(said, text), "parallax %s: no '%s' in '%s'", arguments, text, said);
}

/* `parallax info` on a file of these bytes fails with one line that names it and holds `why`. */
static void expect_refused(const char *name, const void *data, size_t size, const char *why) {
    char arguments[512];
    if (plx_file_write(test_file(name), data, size)) abort();
    snprintf(arguments, sizeof arguments, "info %s", test_file(name));
    expect_line(arguments, 1, why);
    expect_line(arguments, 1, test_file(name));
}

TEST(cli, usage) {
    const char *text;
    int code = test_run_parallax("", &text);
    EXPECT(code == 2 && strstr(text, "Usage: parallax COMMAND"), "%d '%s'", code, text);
    expect_line("nonsense", 2, "unknown command 'nonsense'");
    expect_line("--nonsense", 2, "unknown command '--nonsense'");
    expect_line("help nonsense", 2, "unknown command 'nonsense'");
    expect_line("info --nonsense", 2, "unknown option --nonsense");
    expect_line("info --threads many", 2, "--threads many: not a whole number");
    expect_line("info --threads 0", 2, "--threads 0: must be from 1 to 1024");
    expect_line("info --threads", 2, "--threads needs a value");
}

TEST(cli, help_and_version) {
    const char *text;
    EXPECT(test_run_parallax_output("help", &text) == 0 && strstr(text, "info"), "'%s'", text);
    EXPECT(test_run_parallax_output("--help", &text) == 0 && strstr(text, "info"), "'%s'", text);
    EXPECT(test_run_parallax_output("help info", &text) == 0 && strstr(text, "[FILE...]"), "'%s'", text);
    EXPECT(test_run_parallax_output("info --help", &text) == 0 && strstr(text, "[FILE...]"), "'%s'", text);
    EXPECT(test_run_parallax_output("--version", &text) == 0 && !strncmp(text, "parallax 0.", 11), "'%s'",
           text);
    EXPECT(test_run_parallax_output("info", &text) == 0 && strstr(text, "processor"), "'%s'", text);
}

TEST(cli, output_that_cannot_be_written_is_a_failure) {
    const char *text;
    if (access("/dev/full", W_OK)) SKIP("no /dev/full");
    int code = test_run_parallax_output("--version >/dev/full", &text);
    EXPECT(code == 1, "exit %d", code);
}

TEST(cli, a_signal_stops_long_work_with_130) {
    char arguments[2048];
    const char *text;
    const char *const signals[] = {"INT", "TERM"};
    for (int i = 0; i < 2; i++) {
        /* Far more than a second of work, in small pieces. */
        snprintf(arguments, sizeof arguments,
                 "dataset render --quiet --catalogue %s/objects.tsv --data %s --variants 1000 --views 20 "
                 "--size 64 -o %s",
                 small_set(), small_set(), test_file(signals[i]));
        int code, seconds = 1;
        /* A busy machine may need longer until the program listens: then it dies without a word. */
        while ((code = test_signal_parallax(signals[i], seconds, arguments, &text)) && !*text && seconds < 32)
            seconds *= 2;
        EXPECT(code == 130 && !strcmp(text, "parallax: stopped\n"), "%s: exit %d '%s'", signals[i], code,
               text);
    }
}

TEST(cli, info_on_images) {
    const char *text;
    char arguments[512];
    plx_image image;
    REQUIRE(plx_image_create(&image, 10, 20, 4) == PLX_OK, "%s", plx_error());
    snprintf(arguments, sizeof arguments, "info %s", test_file("i.png"));
    REQUIRE(plx_png_save(test_file("i.png"), &image) == PLX_OK, "%s", plx_error());
    EXPECT(test_run_parallax_output(arguments, &text) == 0 && strstr(text, "20x10, RGBA, fully transparent"),
           "%s", text);
    for (int i = 0; i < 50; i++) image.data[4 * i + 3] = 1; /* a quarter */
    REQUIRE(plx_png_save(test_file("i.png"), &image) == PLX_OK, "%s", plx_error());
    EXPECT(test_run_parallax_output(arguments, &text) == 0 && strstr(text, "object on 25.0 %"), "%s", text);
    plx_image rgb;
    REQUIRE(plx_image_over(&rgb, &image, 1) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_png_save(test_file("i.png"), &rgb) == PLX_OK, "%s", plx_error());
    EXPECT(test_run_parallax_output(arguments, &text) == 0 && strstr(text, "border of several"), "%s", text);
    for (int i = 0; i < 600; i++) rgb.data[i] = i / 60 > 0 && i / 60 < 9 && i % 60 == 30 ? 0 : 0.2f;
    REQUIRE(plx_png_save(test_file("i.png"), &rgb) == PLX_OK, "%s", plx_error());
    EXPECT(test_run_parallax_output(arguments, &text) == 0 && strstr(text, "one colour (51 51 51)"), "%s",
           text);
    plx_image_free(&image);
    plx_image_free(&rgb);
}

TEST(cli, info_on_what_is_no_image) {
    expect_line("info /nowhere/at/all.png", 1, "/nowhere/at/all.png: No such file");
    expect_line("info /tmp", 1, "/tmp: Is a directory");
    expect_refused("empty.png", "", 0, "empty");
    expect_refused("text.png", "This is text.\n", 14, "neither an image");
    expect_refused("magic.png", "\x89PNG\r\n\x1a\n", 8, "magic.png");
    expect_refused("short.jpg", "\xff\xd8\xff\xe0\0\x10JFIF", 10, "short.jpg");
    expect_refused("name.safetensors", "no", 2, "name.safetensors");
    expect_refused("long.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{\"a\"", 12, "long.safetensors");
}

TEST(cli, info_on_a_damaged_image) {
    plx_image image;
    REQUIRE(plx_image_create(&image, 64, 64, 3) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 64 * 64 * 3; i++)
        image.data[i] = (float)(i * 7919 % 256) / 255; /* does not compress away */
    REQUIRE(plx_png_save(test_file("good.png"), &image) == PLX_OK, "%s", plx_error());
    plx_image_free(&image);
    char *data;
    size_t size;
    REQUIRE(plx_file_read(&data, &size, test_file("good.png"), 1 << 20) == PLX_OK, "%s", plx_error());
    size_t cuts[] = {20, 33, 50, size / 2, size - 100};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        expect_refused("cut.png", data, cuts[i], "cut.png");
    /* The width in the header: too large a side, 0, and sides that are fine with a product that is not. */
    memcpy(data + 16, "\0\1\0\0", 4);
    expect_refused("wide.png", data, size, "65536x64");
    memcpy(data + 16, "\0\0\0\0", 4);
    expect_refused("zero.png", data, size, "0x64");
    memcpy(data + 16, "\0\0\x40\0\0\0\x40\0", 8);
    expect_refused("many.png", data, size, "16384x16384");
    free(data);
}
