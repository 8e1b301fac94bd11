/* Camera paths. */
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"
#include "tests/test.h"

#define DEGREE 0.017453293f

static int load(plx_path *path, const char *text, int width, int height) {
    char file[512];
    snprintf(file, sizeof file, "%s/camera_path.json", test_directory());
    if (plx_file_write(file, text, strlen(text)) < 0) return 1;
    return plx_path_load(path, file, width, height);
}

TEST(path, orbit_is_one_closed_turn) {
    plx_path path;
    REQUIRE(plx_path_make(&path, "orbit", 36, 20 * DEGREE, 1.3f, 0.9f, 64, 48) == PLX_OK, "%s", plx_error());
    EXPECT(path.count == 36 && path.fps > 0, "%d frames", path.count);
    for (int i = 0; i < 36; i++) {
        plx_camera wanted = plx_camera_orbit((float)i * 10 * DEGREE, 20 * DEGREE, 1.3f, 0.9f, 64, 48);
        for (int k = 0; k < 12; k++) /* angles are rounded to float once here, twice there */
            EXPECT(fabsf(path.cameras[i].c2w[k] - wanted.c2w[k]) < 1e-5f, "frame %d: %g not %g", i,
                   path.cameras[i].c2w[k], wanted.c2w[k]);
    }
    EXPECT(path.cameras[0].width == 64 && path.cameras[0].height == 48, "size");
    plx_path_free(&path);
}

TEST(path, spiral_reaches_its_elevations) {
    plx_path path;
    REQUIRE(plx_path_make(&path, "spiral", 40, 0, 1.3f, 0.9f, 64, 64) == PLX_OK, "%s", plx_error());
    float low = 9, high = -9;
    for (int i = 0; i < 40; i++) {
        low = fminf(low, plx_camera_elevation(path.cameras + i));
        high = fmaxf(high, plx_camera_elevation(path.cameras + i));
    }
    /* 1e-4: asin of a float near 0.8 */
    EXPECT(fabsf(low + 10 * DEGREE) < 1e-4f && fabsf(high - 50 * DEGREE) < 1e-4f, "%g to %g", low / DEGREE,
           high / DEGREE);
    plx_path_free(&path);
}

TEST(path, bad_requests) {
    plx_path path;
    EXPECT(plx_path_make(&path, "figure-eight", 10, 0, 1, 1, 8, 8) == PLX_ERROR_INPUT, "kind");
    EXPECT(strstr(plx_error(), "figure-eight"), "%s", plx_error());
    EXPECT(plx_path_make(&path, "orbit", 0, 0, 1, 1, 8, 8) == PLX_ERROR_INPUT && !path.cameras, "no frames");
}

/* As nerfstudio writes it, with its traps: integers where floats are meant, crop null, matrices as 16 numbers. */
#define HEAD                                                                                              \
    "{\"camera_type\": \"perspective\", \"render_height\": 540, \"render_width\": 960, \"fps\": 30,"      \
    " \"seconds\": 4, \"is_cycle\": false, \"smoothness_value\": 0, \"crop\": null, \"default_fov\": 75," \
    " \"keyframes\": [{\"matrix\": \"[1, 0, 0, 0]\", \"fov\": 75, \"aspect\": 1.777}],"
#define IDENTITY "[1, 0, 0, 0.5, 0, 1, 0, -2, 0, 0, 1, 3, 0, 0, 0, 1]"

TEST(path, nerfstudio_file) {
    plx_path path;
    const char *text =
        HEAD " \"camera_path\": [{\"camera_to_world\": " IDENTITY ", \"fov\": 90, \"aspect\": 1.777},"
             " {\"camera_to_world\": [[0.0, -1.0, 0.0, 1.5], [1.0, 0.0, 0.0, 0], [0, 0, 1, 0],"
             " [0, 0, 0, 1]], \"fov\": 60.5}]}";
    REQUIRE(load(&path, text, 0, 0) == PLX_OK, "%s", plx_error());
    EXPECT(path.count == 2 && path.fps == 0.5, "%d frames, %g a second: frames / seconds", path.count,
           path.fps);
    plx_camera *a = path.cameras, *b = path.cameras + 1;
    EXPECT(a->width == 960 && a->height == 540 && a->cx == 480 && a->cy == 270, "the file's size");
    EXPECT(fabsf(a->fy - 270) < 1e-3f && a->fx == a->fy, "fov is vertical: %g",
           a->fy); /* tan(45 degrees) = 1 */
    EXPECT(fabsf(plx_camera_fov(b) - 60.5f * DEGREE) < 1e-6f, "fov %g", plx_camera_fov(b)); /* float */
    EXPECT(a->c2w[3] == 0.5f && a->c2w[7] == -2 && a->c2w[11] == 3, "row-major position");
    EXPECT(b->c2w[1] == -1 && b->c2w[4] == 1 && b->c2w[3] == 1.5f, "row-major rotation");
    plx_path_free(&path);
    REQUIRE(load(&path, text, 128, 64) == PLX_OK, "%s", plx_error());
    a = path.cameras;
    EXPECT(a->width == 128 && a->height == 64 && fabsf(a->fx - 32) < 1e-4f, "the caller's size: %g", a->fx);
    plx_path_free(&path);
}

TEST(path, bad_files_say_what) {
    static const struct {
        const char *text, *words;
    } files[] = {
        {"", "camera_path.json"},
        {"{\"camera_path\": [", "line"},
        {"[1, 2]", "not a camera path"},
        {HEAD "\"x\": 1}", "camera_path"},
        {HEAD "\"camera_path\": []}", "0 frames"},
        {HEAD "\"camera_path\": [{\"fov\": 50}]}", "camera_path[0]: \"camera_to_world\" is missing"},
        {HEAD "\"camera_path\": [{\"camera_to_world\": " IDENTITY "}]}", "\"fov\" is missing"},
        {HEAD "\"camera_path\": [{\"camera_to_world\": " IDENTITY ", \"fov\": 180}]}", "\"fov\" is 180"},
        {HEAD "\"camera_path\": [{\"camera_to_world\": " IDENTITY ", \"fov\": \"50\"}]}", "not a number"},
        {HEAD "\"camera_path\": [{\"camera_to_world\": [1, 2, 3], \"fov\": 50}]}", "16 numbers"},
        {HEAD "\"camera_path\": [{\"camera_to_world\": [2,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1], \"fov\": 50}]}",
         "not a rotation"},
        /* column by column, as one add-on writes keyframes */
        {HEAD "\"camera_path\": [{\"camera_to_world\": [1,0,0,0, 0,1,0,0, 0,0,1,0, 4,5,6,1], \"fov\": 50}]}",
         "row by row"},
        {"{\"render_height\": -5, \"render_width\": 10, \"seconds\": 1, \"camera_path\": [1]}",
         "render_height"},
        {"{\"render_height\": 5, \"render_width\": 10, \"seconds\": 0, \"camera_path\": [1]}", "seconds"},
        {"{\"camera_type\": \"fisheye\", \"render_height\": 5, \"render_width\": 5, \"seconds\": 1}",
         "fisheye"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        plx_path path;
        EXPECT(load(&path, files[i].text, 0, 0) < 0 && !path.cameras && !path.count, "file %zu", i);
        EXPECT(strstr(plx_error(), files[i].words) && strstr(plx_error(), "camera_path.json"), "file %zu: %s",
               i, plx_error());
    }
}
