/* Camera paths. */
#include <jansson.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"
#include "tests/test.h"

#define DEGREE 0.017453293f

static int load(plx_path *path, const char *text, int width, int height) {
    char file[512];
    snprintf(file, sizeof file, "%s/camera_path.json", test_directory());
    if (plx_file_write(file, text, strlen(text)) < 0) return 1;
    return plx_path_load(path, file, 0, width, height);
}

static plx_path_options options_of(const char *kind, int frames) {
    plx_path_options o = plx_path_options_default();
    o.kind = kind;
    o.frames = frames;
    o.fov = 0.9f;
    return o;
}

static double gap(const plx_camera *a, const plx_camera *b) {
    return hypot(hypot(a->c2w[3] - b->c2w[3], a->c2w[7] - b->c2w[7]), a->c2w[11] - b->c2w[11]);
}

/* The largest distance of neighbouring positions over the smallest, minus 1; of a loop, over its seam too. */
static double unevenness(const plx_path *path) {
    double least = INFINITY, most = 0;
    for (int i = 0; i < path->count - !path->closed; i++) {
        double d = gap(&path->cameras[i], &path->cameras[(i + 1) % path->count]);
        least = fmin(least, d), most = fmax(most, d);
    }
    return most / least - 1;
}

TEST(path, orbit_is_one_closed_turn) {
    plx_path path;
    plx_path_options o = options_of("orbit", 36);
    o.width = 64, o.height = 48;
    REQUIRE(plx_path_make(&path, &o) == PLX_OK, "%s", plx_error());
    EXPECT(path.count == 36 && path.fps == 24 && path.closed && !path.columns, "%d frames", path.count);
    for (int i = 0; i < 36; i++) {
        plx_camera wanted = plx_camera_orbit((float)i * 10 * DEGREE, 20 * DEGREE, 1.3f, 0.9f, 64, 48);
        for (int k = 0; k < 12; k++) /* angles are rounded to float once here, twice there */
            EXPECT(fabsf(path.cameras[i].c2w[k] - wanted.c2w[k]) < 1e-5f, "frame %d: %g not %g", i,
                   path.cameras[i].c2w[k], wanted.c2w[k]);
    }
    EXPECT(path.cameras[0].width == 64 && path.cameras[0].height == 48, "size");
    EXPECT(unevenness(&path) < 1e-5, "%g", unevenness(&path)); /* float positions */
    plx_path_free(&path);
}

static void elevations(const plx_path *path, float *low, float *high) {
    *low = 9, *high = -9;
    for (int i = 0; i < path->count; i++) {
        *low = fminf(*low, plx_camera_elevation(path->cameras + i));
        *high = fmaxf(*high, plx_camera_elevation(path->cameras + i));
    }
}

TEST(path, turntable_rises_and_comes_back_at_constant_speed) {
    plx_path path;
    plx_path_options o = options_of("turntable", 240);
    float low, high;
    REQUIRE(plx_path_make(&path, &o) == PLX_OK, "%s", plx_error());
    elevations(&path, &low, &high);
    /* 1e-4: asin of a float near 0.8; the curve's sum of chords is good to 1e-6 */
    EXPECT(path.closed && fabsf(low + 10 * DEGREE) < 1e-4f && fabsf(high - 50 * DEGREE) < 1e-4f, "%g to %g",
           low / DEGREE, high / DEGREE);
    /* chords against arcs: the curvature changes them by (gap / radius)^2 / 24, 1e-4 here. Equal azimuths give 0.7 */
    EXPECT(unevenness(&path) < 5e-4, "%g", unevenness(&path));
    plx_path_free(&path);
}

TEST(path, spiral_climbs_in_turns) {
    plx_path path;
    plx_path_options o = options_of("spiral", 400);
    float low, high;
    double turned = 0;
    REQUIRE(plx_path_make(&path, &o) == PLX_OK, "%s", plx_error());
    elevations(&path, &low, &high);
    for (int i = 1; i < path.count; i++)
        turned += plx_camera_azimuth_gap(&path.cameras[i - 1], &path.cameras[i]);
    EXPECT(!path.closed && fabs(turned - 3 * 360) < 0.1, "%g degrees",
           turned); /* 400 differences of floats */
    EXPECT(plx_camera_elevation(&path.cameras[0]) == low, "it begins at the bottom");
    EXPECT(fabsf(low + 10 * DEGREE) < 1e-4f && fabsf(high - 50 * DEGREE) < 1e-4f, "%g to %g", low / DEGREE,
           high / DEGREE);
    EXPECT(unevenness(&path) < 5e-4, "%g", unevenness(&path));
    plx_path_free(&path);
}

TEST(path, grid_of_stills) {
    plx_path path;
    plx_path_options o = options_of("grid", 7);
    o.rows = 3, o.columns = 4;
    REQUIRE(plx_path_make(&path, &o) == PLX_OK, "%s", plx_error());
    EXPECT(path.count == 12 && path.columns == 4, "%d stills in rows of %d", path.count, path.columns);
    for (int i = 0; i < 12; i++) {
        plx_camera wanted = plx_camera_orbit((float)(i % 4) * 90 * DEGREE, (float)(50 - i / 4 * 30) * DEGREE,
                                             1.3f, 0.9f, 256, 256);
        EXPECT(gap(&path.cameras[i], &wanted) < 1e-5, "still %d", i); /* rounded angles */
    }
    plx_path_free(&path);
}

TEST(path, bad_requests) {
    plx_path path;
    plx_path_options o = options_of("figure-eight", 10);
    EXPECT(plx_path_make(&path, &o) == PLX_ERROR_INPUT, "kind");
    EXPECT(strstr(plx_error(), "figure-eight"), "%s", plx_error());
    o = options_of("orbit", 0);
    EXPECT(plx_path_make(&path, &o) == PLX_ERROR_INPUT && !path.cameras, "no frames");
    o = options_of("grid", 10);
    o.rows = 1000, o.columns = 1000;
    EXPECT(plx_path_make(&path, &o) == PLX_ERROR_INPUT && !path.cameras, "a million stills");
}

/* ---- keyframes -------------------------------------------------------------------------------------------------- */

static plx_keyframes make_keyframes(int count, bool closed, double seconds) {
    plx_keyframes k = {count, calloc((size_t)count, sizeof *k.keyframes), closed, seconds};
    if (!k.keyframes) abort();
    return k;
}

/* At a place, looking somewhere; without a time. */
static plx_keyframe key(float x, float y, float z, float turn, float fov) {
    plx_keyframe k = {.fov = fov, .time = NAN};
    float eye[3] = {x, y, z}, target[3] = {x + cosf(turn), y + sinf(turn), z - 0.3f};
    memcpy(k.c2w, plx_camera_look_at(eye, target, 1, 1, 1).c2w, sizeof k.c2w);
    return k;
}

/* Eight keyframes of an orbit give the orbit: the same places at the same times, looking at the origin. */
TEST(path, keyframes_of_an_orbit) {
    plx_path path;
    plx_keyframes k = make_keyframes(8, true, 4);
    for (int i = 0; i < 8; i++) {
        k.keyframes[i] = (plx_keyframe){.fov = 0.9f, .time = NAN};
        plx_camera c = plx_camera_orbit((float)i * 45 * DEGREE, 0.3f, 1.3f, 0.9f, 8, 8);
        memcpy(k.keyframes[i].c2w, c.c2w, sizeof c.c2w);
    }
    REQUIRE(plx_path_through(&path, &k, 96, 24, 64, 64) == PLX_OK, "%s", plx_error());
    EXPECT(path.closed && path.keyframes.count == 8 && !k.keyframes, "the path keeps them");
    EXPECT(unevenness(&path) < 2e-3, "%g",
           unevenness(&path)); /* 12 chords a segment: 1e-3 of its curvature */
    for (int i = 0; i < 96; i++) {
        const plx_camera *c = &path.cameras[i];
        plx_camera wanted = plx_camera_orbit((float)i * 3.75f * DEGREE, 0.3f, 1.3f, 0.9f, 64, 64);
        float px, py, depth, origin[3] = {0};
        /* half way, (9 cos 22.5 - cos 67.5) / 8 = 0.9915 of the radius 1.242 is left: 0.0105 are missing. The turns
         * are uniform between keys, the positions are not quite: 1 % of the focal length, 66 px */
        EXPECT(gap(c, &wanted) < 0.011, "frame %d is %g away", i, gap(c, &wanted));
        EXPECT(plx_camera_project(c, origin, &px, &py, &depth) && hypotf(px - 32, py - 32) < 0.7f,
               "frame %d shows the origin at %g, %g", i, px, py);
        EXPECT(plx_camera_valid(c, 1e-5f) && fabsf(plx_camera_fov(c) - 0.9f) < 1e-5f, "frame %d", i);
    }
    plx_path_free(&path);
}

/* The curve by Barry and Goldman's pyramid of lines, between points 1 and 2. */
static void pyramid(const double p[4][3], double share, double out[3]) {
    double t[4] = {0}, a[3][3], b[2][3];
    for (int i = 1; i < 4; i++)
        t[i] = t[i - 1] +
               sqrt(hypot(hypot(p[i][0] - p[i - 1][0], p[i][1] - p[i - 1][1]), p[i][2] - p[i - 1][2]));
    double at = t[1] + share * (t[2] - t[1]);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 3; i++)
            a[i][k] = ((t[i + 1] - at) * p[i][k] + (at - t[i]) * p[i + 1][k]) / (t[i + 1] - t[i]);
        for (int i = 0; i < 2; i++)
            b[i][k] = ((t[i + 2] - at) * a[i][k] + (at - t[i]) * a[i + 1][k]) / (t[i + 2] - t[i]);
        out[k] = ((t[2] - at) * b[0][k] + (at - t[1]) * b[1][k]) / (t[2] - t[1]);
    }
}

TEST(path, positions_are_centripetal_catmull_rom) {
    static const double p[4][3] = {{1, 0, 0}, {1.2, 0.1, 0.3}, {0.2, 1.5, 0.1}, {-1, 1.4, 0.9}};
    plx_path path;
    plx_keyframes k = make_keyframes(4, false, 2);
    for (int i = 0; i < 4; i++)
        k.keyframes[i] = key((float)p[i][0], (float)p[i][1], (float)p[i][2], (float)i, 0.8f);
    REQUIRE(plx_path_through(&path, &k, 60, 30, 8, 8) == PLX_OK, "%s", plx_error());
    int checked = 0;
    for (int i = 0; i < 60; i++) { /* frames between the two inner keys lie on the pyramid's curve */
        const float *m = path.cameras[i].c2w;
        double least = INFINITY;
        for (int s = 0; s <= 4000; s++) {
            double q[3];
            pyramid(p, s / 4000.0, q);
            least = fmin(least, hypot(hypot(q[0] - m[3], q[1] - m[7]), q[2] - m[11]));
        }
        bool inside = m[7] > 0.2f && m[3] > 0.25f; /* from the look of the points */
        checked += inside;
        /* half a step of the search: 2 / 4000 / 2 */
        EXPECT(!inside || least < 4e-4, "frame %d is %g from the curve", i, least);
    }
    EXPECT(checked > 10, "%d frames", checked);
    for (int e = 0; e < 2; e++) /* the ends are reached */
        EXPECT(fabs(path.cameras[59 * e].c2w[3] - p[3 * e][0]) < 1e-6, "end %d", e);
    plx_path_free(&path);
}

TEST(path, times_turns_and_zooms) {
    plx_path path;
    plx_keyframes k = make_keyframes(3, false, 3);
    k.keyframes[0] = key(1, 0, 0, 0, 0.5f);
    k.keyframes[1] = key(1, 0, 0, 1, 0.5f); /* turns where it stands */
    k.keyframes[2] = key(3, 0, 0, 1, 1.0f);
    k.keyframes[0].time = 0, k.keyframes[1].time = 1, k.keyframes[2].time = 3;
    plx_keyframe middle = k.keyframes[1], last = k.keyframes[2];
    REQUIRE(plx_path_through(&path, &k, 31, 10, 64, 64) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 12; i++) { /* floats, and a spline whose outgoing speed is not 0 at the key */
        EXPECT(fabsf(path.cameras[10].c2w[i] - middle.c2w[i]) < 1e-5f, "at 1 s: %g", path.cameras[10].c2w[i]);
        EXPECT(fabsf(path.cameras[30].c2w[i] - last.c2w[i]) < 1e-5f, "at 3 s: %g", path.cameras[30].c2w[i]);
    }
    for (int i = 0; i < 10; i++)
        EXPECT(fabsf(path.cameras[i].c2w[3] - 1) < 2e-3f, "it has not moved at frame %d: %g", i,
               path.cameras[i].c2w[3]);
    EXPECT(fabsf(plx_camera_fov(&path.cameras[30]) - 1) < 1e-5f, "zoom");
    for (int i = 1; i < 31; i++) /* onwards only */
        EXPECT(path.cameras[i].c2w[3] >= path.cameras[i - 1].c2w[3] - 2e-3f, "frame %d goes back", i);
    plx_path_free(&path);
    /* two keyframes: half a turn about z at half the time is a quarter turn */
    k = make_keyframes(2, false, 1);
    k.keyframes[0] = key(1, 0, 0, 0, 1), k.keyframes[1] = key(1, 0, 0, 2, 1);
    plx_keyframe half = key(1, 0, 0, 1, 1);
    REQUIRE(plx_path_through(&path, &k, 3, 2, 8, 8) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 12; i++)
        EXPECT(fabsf(path.cameras[1].c2w[i] - half.c2w[i]) < 1e-5f, "half way, %d: %g", i,
               path.cameras[1].c2w[i]);
    plx_path_free(&path);
}

/* The rotation vector from a to b, small. */
static void turn_between(const plx_camera *a, const plx_camera *b, double out[3]) {
    for (int k = 0; k < 3; k++) {
        int i = (k + 1) % 3, j = (k + 2) % 3;
        out[k] = 0;
        for (int row = 0; row < 3; row++) /* the antisymmetric part of a^T b */
            out[k] += 0.5 * ((double)a->c2w[4 * row + j] * (double)b->c2w[4 * row + i] -
                             (double)a->c2w[4 * row + i] * (double)b->c2w[4 * row + j]);
    }
}

/* Turns about changing axes, keys at uneven distances: no jerk at any key, neither in turning nor in moving. */
TEST(path, turns_without_a_jerk) {
    enum { FRAMES = 1200 };
    static const float at[5] = {0, 1, 1.1f, 2, 2.2f};
    for (int timed = 0; timed < 2; timed++) {
        plx_path path;
        plx_keyframes k = make_keyframes(5, false, 4);
        for (int i = 0; i < 5; i++) {
            k.keyframes[i] = key(at[i], 0.3f * (float)(i % 2), 0, 0, 0.8f);
            float eye[3] = {at[i], 0.3f * (float)(i % 2), 0}, target[3] = {0.5f * (float)i, 2, i % 3 - 1.0f};
            memcpy(k.keyframes[i].c2w, plx_camera_look_at(eye, target, 1, 1, 1).c2w, 12 * sizeof(float));
            if (timed) k.keyframes[i].time = (float)i;
        }
        REQUIRE(plx_path_through(&path, &k, FRAMES + 1, 300, 8, 8) == PLX_OK, "%s", plx_error());
        double most = 0, jerk = 0, before[3], after[3];
        for (int i = 0; i + 2 <= FRAMES; i++) {
            turn_between(&path.cameras[i], &path.cameras[i + 1], before);
            turn_between(&path.cameras[i + 1], &path.cameras[i + 2], after);
            most = fmax(most, hypot(hypot(after[0], after[1]), after[2]));
            jerk = fmax(jerk, hypot(hypot(after[0] - before[0], after[1] - before[1]), after[2] - before[2]));
        }
        /* Between two frames of 1200 a smooth motion's speed changes by a few hundredths of its largest; where the keys'
         * distances are 3 to 1 a spline that takes them for equal jumps by a half. */
        EXPECT(jerk < 0.1 * most, "timed %d: the turn changes by %.2f of its most at once", timed,
               jerk / most);
        plx_path_free(&path);
    }
}

TEST(path, bad_keyframes) {
    static const char *const words[] = {"1 keyframes", "ascend", "all have a time",
                                        "keyframe 1 is not a rotation", "field of view"};
    for (int i = 0; i < 5; i++) {
        plx_path path;
        plx_keyframes k = make_keyframes(2, false, 1);
        k.keyframes[0] = key(1, 0, 0, 0, 1), k.keyframes[1] = key(2, 0, 0, 0, 1);
        if (i == 0) k.count = 1;
        if (i == 1) k.keyframes[0].time = k.keyframes[1].time = 0;
        if (i == 2) k.keyframes[0].time = 0;
        if (i == 3) k.keyframes[1].c2w[0] += 0.1f;
        if (i == 4) k.keyframes[1].fov = NAN;
        EXPECT(plx_path_through(&path, &k, 8, 24, 8, 8) == PLX_ERROR_INPUT && !path.cameras &&
                   strstr(plx_error(), words[i]),
               "%d: %s", i, plx_error());
    }
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

TEST(path, written_files_are_read_back) {
    plx_path path, back;
    plx_path_options o = options_of("turntable", 40);
    char file[512];
    snprintf(file, sizeof file, "%s/written.json", test_directory());
    o.width = 96;
    REQUIRE(plx_path_make(&path, &o) == PLX_OK && plx_path_save(file, &path) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_path_load(&back, file, 0, 0, 0) == PLX_OK, "%s", plx_error());
    EXPECT(back.count == 40 && back.closed && fabs(back.fps - 24) < 1e-9, "%d frames", back.count);
    EXPECT(back.keyframes.count == 12 && back.keyframes.closed, "%d keyframes", back.keyframes.count);
    for (int i = 0; i < 40; i++) {
        const plx_camera *a = &path.cameras[i], *b = &back.cameras[i];
        EXPECT(!memcmp(a->c2w, b->c2w, sizeof a->c2w) && a->width == b->width && a->height == b->height,
               "frame %d", i);
        EXPECT(fabsf(a->fy - b->fy) < 1e-4f, "frame %d: focal length %g and %g", i, a->fy,
               b->fy); /* tan of atan */
    }
    plx_path_free(&back);
    path.cameras[3].cx += 1;
    EXPECT(plx_path_save(file, &path) == PLX_ERROR_SUPPORT && strstr(plx_error(), "frame 3"), "%s",
           plx_error());
    plx_path_free(&path);
}

/* nerfstudio's viewer reads no frames, but keyframes and the seconds between them: together those of the path. */
TEST(path, transitions_for_nerfstudio) {
    static const char *const texts[] = {
        "{\"is_cycle\": true, \"seconds\": 6, \"fps\": 10, \"keyframes\": ["
        "{\"azimuth\": 0, \"elevation\": 20}, {\"azimuth\": 120, \"elevation\": 40},"
        "{\"azimuth\": 240, \"elevation\": 0}]}",
        "{\"is_cycle\": true, \"seconds\": 6, \"fps\": 10, \"keyframes\": ["
        "{\"azimuth\": 0, \"elevation\": 20, \"time\": 0}, {\"azimuth\": 120, \"elevation\": 40, \"time\": "
        "1},"
        "{\"azimuth\": 240, \"elevation\": 0, \"time\": 4}]}"};
    static const double wanted[2][3] = {{2, 2, 2}, {2, 1, 3}}; /* seconds from the keyframe before */
    for (int timed = 0; timed < 2; timed++) {
        plx_path path;
        REQUIRE(load(&path, texts[timed], 0, 0) == PLX_OK && !plx_path_save(test_file("t.json"), &path), "%s",
                plx_error());
        plx_path_free(&path);
        json_t *root = json_load_file(test_file("t.json"), 0, NULL),
               *keys = json_object_get(root, "keyframes");
        double usual = json_number_value(json_object_get(root, "default_transition_sec"));
        EXPECT(json_array_size(keys) == 3, "%zu keyframes", json_array_size(keys));
        for (size_t i = 0; i < 3; i++) {
            const json_t *key = json_array_get(keys, i);
            bool own = json_is_true(json_object_get(key, "override_transition_enabled"));
            double seconds = own ? json_number_value(json_object_get(key, "override_transition_sec")) : usual;
            EXPECT(fabs(seconds - wanted[timed][i]) < 1e-6 && own == timed, "%d, %zu: %g", timed, i, seconds);
        }
        json_decref(root);
    }
}

TEST(path, keyframes_by_hand) {
    plx_path path;
    REQUIRE(
        load(&path,
             "{\"is_cycle\": true, \"seconds\": 2, \"fps\": 10, \"render_width\": 320, \"keyframes\": ["
             "{\"azimuth\": 0, \"elevation\": 20}, {\"azimuth\": 120, \"elevation\": 40, \"distance\": 2},"
             "{\"eye\": [0, -2, 0.5], \"target\": [0, 0, 0.1], \"fov\": 40}]}",
             0, 0) == PLX_OK,
        "%s", plx_error());
    EXPECT(path.count == 20 && path.fps == 10 && path.closed, "%d frames", path.count);
    EXPECT(path.cameras[0].width == 320 && path.cameras[0].height == 256, "its width, the default height");
    plx_camera first = plx_camera_orbit(0, 20 * DEGREE, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 320, 256);
    EXPECT(gap(&path.cameras[0], &first) < 1e-6 && fabsf(path.cameras[0].fy - first.fy) < 1e-3f,
           "first frame");
    plx_path_free(&path);
    /* as Blender's add-on writes them: a text, column by column */
    REQUIRE(load(&path,
                 "{\"seconds\": 1, \"default_fov\": 50, \"camera_path\": [], \"keyframes\": ["
                 "{\"matrix\": \"[1,0,0,0, 0,1,0,0, 0,0,1,0, 4,5,6,1]\"},"
                 "{\"matrix\": [1,0,0,5, 0,1,0,5, 0,0,1,6, 0,0,0,1]}]}",
                 0, 0) == PLX_OK,
            "%s", plx_error());
    EXPECT(path.count == 24 && path.cameras[0].c2w[3] == 4 && path.cameras[23].c2w[3] == 5, "%g to %g",
           path.cameras[0].c2w[3], path.cameras[23].c2w[3]);
    plx_path_free(&path);
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
        {HEAD "\"x\": 1}", "\"camera_path\" has 0 frames"},
        {HEAD "\"camera_path\": 3}", "\"camera_path\" is not a list"},
        {"{\"keyframes\": [{\"fov\": 50}, {}]}", "keyframes[0]: no pose"},
        {"{\"keyframes\": [{\"eye\": [0, 0, 0]}, {}]}", "is \"target\""},
        {"{\"keyframes\": [{\"azimuth\": 0, \"elevation\": 91}, {}]}", "keyframes[0]: \"elevation\" is 91"},
        {"{\"keyframes\": [{\"matrix\": \"no\"}, {}]}", "16 numbers"},
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
