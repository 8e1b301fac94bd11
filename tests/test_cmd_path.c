/* parallax path: the file it writes, the picture it draws. */
#include <unistd.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "tests/test.h"
#include "tools/path_preview.h"

/* The picture's own camera sees each drawn camera where its colour is: the first is green, and nothing else is. */
TEST(cmd_path, preview_shows_the_first_camera) {
    plx_path path;
    plx_image image;
    plx_path_options o = plx_path_options_default();
    double x = 0, y = 0, weight = 0;
    REQUIRE(plx_path_make(&path, &o) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_path_preview(&image, &path, NULL, 0.5f, 320, 240) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 320 * 240; i++) {
        const float *p = image.data + 3 * i;
        double share = fmax((double)(p[1] - fmaxf(p[0], p[2])), 0);
        x += share * (i % 320), y += share * (i / 320.0), weight += share;
    }
    REQUIRE(weight > 10, "hardly any green: %g", weight);
    /* azimuth 0, elevation 20, seen from azimuth -0.6: 15 pixels are the size of the drawn camera */
    plx_camera eye = plx_camera_orbit(-0.6f, 0.5f, 1.02f * 1.1f * 1.3f / sinf(0.3f), 0.6f, 320, 240);
    float place[3], px, py, depth;
    plx_camera_position(&path.cameras[0], place);
    plx_camera_project(&eye, place, &px, &py, &depth);
    EXPECT(hypot(x / weight - (double)px, y / weight - (double)py) < 15, "green at %g, %g, not %g, %g",
           x / weight, y / weight, (double)px, (double)py);
    const float *ball = image.data + 3 * (120 * 320 + 160); /* the middle is the ball, the corner paper */
    EXPECT(ball[0] < 0.95f && image.data[0] == 1, "%g, %g", (double)ball[0], (double)image.data[0]);
    plx_image_free(&image);
    plx_path_free(&path);
}

TEST(cmd_path, writes_what_render_reads) {
    char arguments[900];
    const char *said;
    snprintf(arguments, sizeof arguments, "path turntable -n 12 --fps 6 --size 40x30 -o %s --preview %s",
             test_file("t.json"), test_file("t.png"));
    REQUIRE(test_run_parallax(arguments, &said) == 0, "%s", said);
    plx_path path;
    plx_image image;
    REQUIRE(plx_path_load(&path, test_file("t.json"), 0, 0, 0) == PLX_OK, "%s", plx_error());
    EXPECT(path.count == 12 && fabs(path.fps - 6) < 1e-9 && path.cameras[0].width == 40, "%d frames",
           path.count);
    plx_path_free(&path);
    REQUIRE(plx_image_load(&image, test_file("t.png")) == PLX_OK, "%s", plx_error());
    EXPECT(image.width == 800 && image.height == 600, "%dx%d", image.width, image.height);
    plx_image_free(&image);
    EXPECT(test_run_parallax("path orbit", &said) == 2 && strstr(said, "--preview"), "%s", said);
    snprintf(arguments, sizeof arguments, "path zigzag -o %s", test_file("z.json"));
    EXPECT(test_run_parallax(arguments, &said) == 1 && strstr(said, "zigzag") &&
               access(test_file("z.json"), F_OK),
           "%s", said);
    snprintf(arguments, sizeof arguments, "path %s -n 13 -o %s", test_file("t.json"), test_file("z.json"));
    EXPECT(test_run_parallax(arguments, &said) == 1 && strstr(said, "12 frames of its own"), "%s", said);
    snprintf(arguments, sizeof arguments, "path orbit --scene %s -o %s", test_file("t.json"),
             test_file("z.json"));
    EXPECT(test_run_parallax(arguments, &said) == 1 && strstr(said, "t.json") &&
               access(test_file("z.json"), F_OK),
           "%s", said);
}
