/* Fitting a field to posed views of a coloured box, drawn by Embree. */
#include "tests/test.h"
#include "nerf/field.h"
#include "datasets/datasets.h"

#include <omp.h>
#include <stdarg.h>
#include <unistd.h>

enum { SIZE = 32 };

/* A box of half sides 0.28, 0.2, 0.14 with faces in six colours; vertices apart, so that colours are flat. */
static plx_scene *box_scene(void) {
    static const float colours[6][3] = {{.8f, .2f, .2f}, {.2f, .7f, .2f}, {.2f, .3f, .9f},
                                        {.9f, .8f, .1f}, {.7f, .2f, .8f}, {.1f, .8f, .8f}};
    const float half[3] = {0.28f, 0.2f, 0.14f};
    float positions[24 * 3], rgba[24 * 4];
    uint32_t indices[12 * 3];
    for (int face = 0; face < 6; face++) {
        int axis = face / 2, a = (axis + 1) % 3, b = (axis + 2) % 3;
        for (int k = 0; k < 4; k++) {
            float *p = positions + 3 * (4 * face + k), *c = rgba + 4 * (4 * face + k);
            p[axis] = face % 2 ? -half[axis] : half[axis];
            p[a] = k & 1 ? half[a] : -half[a];
            p[b] = k & 2 ? half[b] : -half[b];
            memcpy(c, colours[face], 3 * sizeof *c);
            c[3] = 1;
        }
        const uint32_t corners[6] = {0, 1, 2, 2, 1, 3};
        for (int k = 0; k < 6; k++) indices[6 * face + k] = (uint32_t)(4 * face) + corners[k];
    }
    plx_mesh_options options = plx_mesh_options_default();
    options.normalise = false;
    plx_mesh *mesh;
    plx_scene *scene = NULL;
    int status = plx_mesh_from_arrays(&mesh, 24, positions, rgba, 12, indices, &options);
    if (!status) status = plx_scene_create(&scene, mesh);
    EXPECT(status == PLX_OK, "%s", plx_error());
    return scene;
}

/* Evenly spread by the golden angle, elevations from -10 to 60 degrees. */
static plx_views draw_views(int count, float turn) {
    plx_views views;
    plx_scene *scene = box_scene();
    EXPECT(plx_views_create(&views, count) == PLX_OK, "%s", plx_error());
    views.has_alpha = true;
    for (int i = 0; i < count; i++) {
        float azimuth = 2.39996f * (float)i + turn,
              elevation = -0.17f + 1.2f * ((float)i + 0.5f) / (float)count;
        views.views[i].camera =
            plx_camera_orbit(azimuth, elevation, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, SIZE, SIZE);
        int status = scene ? plx_scene_draw(scene, &views.views[i], NULL) : -1;
        EXPECT(status == PLX_OK, "%s", plx_error());
    }
    plx_scene_free(scene);
    return views;
}

static plx_fit_options small_fit(int steps) {
    plx_fit_options options = plx_fit_options_default();
    options.steps = steps;
    options.rays = 512;
    options.resolution = 32;
    options.hidden = 16;
    return options;
}

static double mean_psnr(plx_field *field, const plx_views *views) {
    double sum = 0;
    for (int i = 0; i < views->count; i++) {
        plx_view ours = {.camera = views->views[i].camera};
        plx_render_options options = plx_render_options_default();
        EXPECT(plx_field_render(field, &ours, &options) == PLX_OK, "%s", plx_error());
        plx_image a = {0}, b = {0};
        plx_image_over(&a, &ours.colour, 1);
        plx_image_over(&b, &views->views[i].colour, 1);
        sum += plx_psnr(&a, &b);
        plx_image_free(&a);
        plx_image_free(&b);
        plx_image_free(&ours.colour);
    }
    return sum / views->count;
}

TEST(fit, unseen_views_of_a_box) {
    plx_views seen = draw_views(24, 0), unseen = draw_views(6, 0.6f);
    plx_fit_options options = small_fit(160);
    plx_field *field;
    REQUIRE(plx_fit(&field, &seen, &options, NULL, NULL) == PLX_OK, "%s", plx_error());
    double psnr = mean_psnr(field, &unseen);
    /* Seen: 28.9; a wrong axis of a plane gave 16. */
    EXPECT(psnr > 27, "unseen views: %.2f dB", psnr);
    int occupied = 0;
    for (int i = 0; i < 64 * 64 * 64; i++) occupied += field->occupancy[i];
    /* The box fills 6.3 % of the cube; two cells around it (bilinear planes, dilation) make 9.5 %. */
    EXPECT(occupied < 0.15 * 64 * 64 * 64, "%d cells are occupied", occupied);
    const char *path = "fit.safetensors";
    char file[600];
    snprintf(file, sizeof file, "%s/%s", test_directory(), path);
    plx_field *back = NULL;
    REQUIRE(plx_field_save(field, file, false) == PLX_OK, "%s", plx_error());
    REQUIRE(plx_field_load(&back, file, false) == PLX_OK, "%s", plx_error());
    EXPECT(mean_psnr(back, &unseen) == psnr, "the saved field renders otherwise");
    plx_field_free(field);
    plx_field_free(back);
    plx_views_free(&seen);
    plx_views_free(&unseen);
}

TEST(fit, same_bits_for_1_and_2_threads) {
    plx_views seen = draw_views(6, 0);
    plx_fit_options options = small_fit(110); /* ten of them in occupied cells only */
    options.rays = 200;
    plx_field *field[2];
    int threads = omp_get_max_threads();
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i + 1);
        REQUIRE(plx_fit(&field[i], &seen, &options, NULL, NULL) == PLX_OK, "%s", plx_error());
    }
    omp_set_num_threads(threads);
    int different = 0;
    for (int i = 0; i < plx_params_count(field[0]->params); i++) {
        const plx_tensor *a = &plx_params_at(field[0]->params, i)->tensor;
        const plx_tensor *b = &plx_params_at(field[1]->params, i)->tensor;
        different += memcmp(a->data, b->data, plx_tensor_size(a) * sizeof(float)) != 0;
    }
    EXPECT(different == 0, "%d parameters differ", different);
    plx_field_free(field[0]);
    plx_field_free(field[1]);
    plx_views_free(&seen);
}

static int stop_at_once(const plx_progress *progress, void *user) {
    (void)progress, (void)user;
    return 1;
}

TEST(fit, refuses_and_stops) {
    plx_views seen = draw_views(2, 0);
    plx_fit_options options = small_fit(30);
    plx_field *field = (plx_field *)&options;
    EXPECT(plx_fit(&field, &seen, &options, stop_at_once, NULL) == PLX_ERROR_CANCELLED && !field, "%s",
           plx_error());
    options.channels = 20;
    EXPECT(plx_fit(&field, &seen, &options, NULL, NULL) == PLX_ERROR_INPUT, "20 channels");
    options = small_fit(0);
    EXPECT(plx_fit(&field, &seen, &options, NULL, NULL) == PLX_ERROR_INPUT, "no steps");
    options = small_fit(30);
    seen.views[1].camera.c2w[0] = NAN;
    EXPECT(plx_fit(&field, &seen, &options, NULL, NULL) == PLX_ERROR_INPUT && strstr(plx_error(), "view 1"),
           "%s", plx_error());
    seen.views[0].camera.width = 7;
    EXPECT(plx_fit(&field, &seen, &options, NULL, NULL) == PLX_ERROR_INPUT && strstr(plx_error(), "view 0"),
           "%s", plx_error());
    plx_views_free(&seen);
    EXPECT(plx_fit(&field, &seen, &options, NULL, NULL) == PLX_ERROR_INPUT, "no views");
}

/* ---- the commands ---------------------------------------------------------------------------------------------- */

static bool is_there(const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    return access(path, F_OK) == 0;
}

static int run(const char **line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int run(const char **line, const char *format, ...) {
    char arguments[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    return test_run_parallax(arguments, line);
}

TEST(fit, commands_fit_and_render) {
    const char *folder = test_directory(), *line;
    plx_views views = draw_views(6, 0);
    snprintf(views.name, sizeof views.name, "box");
    REQUIRE(plx_dataset_save("srn", folder, &views) == PLX_OK, "%s", plx_error());
    plx_views_free(&views);
    int code = run(&line,
                   "fit %s/box -o %s/box.safetensors --holdout 2 --sheet %s/box.png --steps 110 --rays 100 "
                   "--resolution 16 --hidden 16 --half",
                   folder, folder, folder);
    REQUIRE(code == 0 && is_there("box.safetensors") && is_there("box.png"), "fit: %d, %s", code, line);
    code = run(&line,
               "render %s/box.safetensors -o %s/frames -n 2 --size 24x16 --samples 16 --outputs rgb,depth",
               folder, folder);
    EXPECT(code == 0 && is_there("frames/rgb/00001.png") && is_there("frames/depth/00000.png"),
           "render: %d, %s", code, line);
    plx_image image = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/frames/rgb/00000.png", folder);
    EXPECT(plx_image_load(&image, path) == PLX_OK && image.width == 24 && image.height == 16 &&
               image.channels == 4,
           "%s", plx_error());
    plx_image_free(&image);
}

/* Objects of the same name in two classes are two; views from a render are called as their folder. */
TEST(fit, results_in_a_store) {
    const char *folder = test_directory(), *line;
    plx_views views = draw_views(2, 0);
    static const char *const classes[] = {"cups", "jars"};
    char path[600];
    snprintf(views.name, sizeof views.name, "one");
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/kept/%s", folder, classes[i]);
        REQUIRE(plx_dataset_save("srn", path, &views) == PLX_OK, "%s", plx_error());
    }
    plx_views_free(&views);
    static const char *const quick = "--steps 1 --rays 16 --resolution 16 --hidden 16 --quiet";
    for (int i = 0; i < 2; i++) {
        int code = run(&line, "fit %s/kept --object %s/one -o %s/one.safetensors --store %s/fits %s", folder,
                       classes[i], folder, folder, quick);
        EXPECT(code == 0, "fit: %d, %s", code, line);
    }
    EXPECT(!run(&line, "render %s/one.safetensors -o %s/drawn -n 2 --size 16 --quiet", folder, folder), "%s",
           line);
    const char *const data[] = {"drawn", "drawn/transforms.json"};
    for (int i = 0; i < 2; i++)
        EXPECT(!run(&line, "fit %s/%s -o %s/two.safetensors --store %s/fits %s", folder, data[i], folder,
                    folder, quick),
               "%s", line);
    EXPECT(!run(&line, "fit %s/drawn -o %s/two.safetensors --store %s/fits --id mine %s", folder, folder,
                folder, quick),
           "%s", line);
    EXPECT(run(&line, "fit %s/drawn -o %s/none.safetensors --store %s/fits --id a/b %s", folder, folder,
               folder, quick) == 1 &&
               strstr(line, "'a/b': an id is") && !is_there("none.safetensors"),
           "%s", line);
    snprintf(path, sizeof path, "store ls %s/fits", folder);
    EXPECT(!test_run_parallax_output(path, &line), "%s", line);
    static const char *const ids[] = {"cups-one\t", "drawn\t", "jars-one\t", "mine\t"};
    for (int i = 0; i < 4; i++) EXPECT(strstr(line, ids[i]), "no %s in %s", ids[i], line);
    int lines = 0;
    for (const char *c = line; *c; c++) lines += *c == '\n';
    EXPECT(lines == 4, "%s", line);
}

TEST(fit, commands_refuse_in_one_line) {
    const char *folder = test_directory(), *line;
    static const char *const bad[][2] = {
        {"fit %s/nothing-here -o %s/x.safetensors", "nothing-here"},
        {"fit %s -o %s/no/folder/x.safetensors", "no/folder"},
        {"render %s/nothing-here -o %s/x", "nothing-here"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char arguments[2048];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(arguments, sizeof arguments, bad[i][0], folder, folder);
#pragma GCC diagnostic pop
        int code = test_run_parallax(arguments, &line);
        EXPECT(code == 1 && strstr(line, bad[i][1]) && strchr(line, '\n') == strrchr(line, '\n'), "%d: %s",
               code, line);
        EXPECT(!is_there("x.safetensors") && !is_there("x"), "'%s' left a file", arguments);
    }
    EXPECT(test_run_parallax("fit somewhere", &line) == 2, "fit without an output: %s", line);
    EXPECT(test_run_parallax("render somewhere --outputs rgb,smell -o x", &line) == 2, "outputs: %s", line);
}
