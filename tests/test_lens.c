/* A lens that bends lines: pictures and depth come out as a pinhole would have taken them. */
#include "datasets/lens.h"
#include "tests/posed_scene.h"

/* Newton's steps on the model itself: where a point through the lens came from. */
static void remove_lens(const plx_lens *lens, const double bent[2], double out[2]) {
    out[0] = bent[0], out[1] = bent[1];
    for (int i = 0; i < 100; i++) {
        double now[2];
        plx_lens_apply(lens, out, now);
        for (int k = 0; k < 2; k++) out[k] += bent[k] - now[k];
    }
}

/* A smooth picture of the ray: red and green are x and y of the image plane at distance 1, -0.5 to 0.5. */
static void draw_rays(plx_image *out, const plx_camera *c, const plx_lens *lens) {
    if (plx_image_create(out, c->height, c->width, 3)) abort();
    for (int row = 0; row < c->height; row++)
        for (int column = 0; column < c->width; column++) {
            double bent[2] = {(column + 0.5 - (double)c->cx) / (double)c->fx,
                              (row + 0.5 - (double)c->cy) / (double)c->fy},
                   xy[2];
            remove_lens(lens, bent, xy);
            float *pixel = out->data + 3 * (row * c->width + column);
            pixel[0] = (float)(xy[0] + 0.5);
            pixel[1] = (float)(xy[1] + 0.5);
        }
}

static double ray_error(const plx_view *view, double first[2]) {
    const plx_camera *c = &view->camera;
    double worst = 0;
    for (int row = 0; row < c->height; row++)
        for (int column = 0; column < c->width; column++) {
            const float *pixel = view->colour.data + 4 * (row * c->width + column);
            double x = (column + 0.5 - (double)c->cx) / (double)c->fx,
                   y = (row + 0.5 - (double)c->cy) / (double)c->fy;
            worst = fmax(worst, fmax(fabs((double)pixel[0] - 0.5 - x), fabs((double)pixel[1] - 0.5 - y)));
            if (!row && !column) first[0] = x, first[1] = y;
        }
    return worst;
}

static const plx_lens lenses[] = {{.k1 = -0.2, .k2 = 0.03}, /* barrel */
                                  {.k1 = 0.25},             /* pincushion: the corners must be zoomed away */
                                  {.k1 = 0.1, .k2 = -0.05, .k3 = 0.02, .p1 = 0.01, .p2 = -0.015}};

TEST(lens, transforms_and_colmap_are_straightened) {
    const plx_camera bent = {.fx = 100, .fy = 96, .cx = 41, .cy = 29, .width = 80, .height = 60};
    for (int i = 0; i < 3; i++)
        for (int colmap = 0; colmap < 2; colmap++) {
            const plx_lens *l = &lenses[i];
            plx_image picture;
            char own[64], text[2048];
            snprintf(own, sizeof own, "lens-%d-%d", i, colmap);
            const char *folder = folder_at(test_directory(), own);
            folder_at(folder, "images");
            draw_rays(&picture, &bent, l);
            png_to(folder, "images/a.png", &picture);
            plx_image_free(&picture);
            if (colmap) { /* FULL_OPENCV: k1 k2 p1 p2 k3 and a rational part of 0 */
                snprintf(text, sizeof text, "1 FULL_OPENCV 80 60 100 96 41 29 %g %g %g %g %g 0 0 0\n", l->k1,
                         l->k2, l->p1, l->p2, l->k3);
                text_to(folder, "cameras.txt", text);
                text_to(folder, "images.txt", "1 1 0 0 0 0 0 2 1 a.png\n\n");
            } else {
                snprintf(text, sizeof text,
                         "{\"camera_model\": \"OPENCV\", \"fl_x\": 100, \"fl_y\": 96, \"cx\": 41, \"cy\": "
                         "29, \"w\": 80, "
                         "\"h\": 60, \"k1\": %g, \"k2\": %g, \"k3\": %g, \"frames\": [{\"file_path\": "
                         "\"images/a.png\", "
                         "\"p1\": %g, \"p2\": %g, \"transform_matrix\": "
                         "[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}]}",
                         l->k1, l->k2, l->k3, l->p1, l->p2);
                text_to(folder, "transforms.json", text);
            }
            plx_dataset *dataset;
            plx_views views;
            double corner[2];
            REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
            REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &views) == 0, "%s", plx_error());
            double error = ray_error(&views.views[0], corner);
            /* 8 bits: 1/510; bilinear on the lens's curve: h^2 / 8 of its second derivative, far less */
            EXPECT(error < 2.2 / 510, "lens %d: rays off by %g", i, error);
            EXPECT(!views.has_alpha, "lens %d: there are holes", i);
            views.views[0].camera.fx *= 1.02f; /* and another focal length is seen */
            EXPECT(ray_error(&views.views[0], corner) > 3.0 / 510, "lens %d: the check is blind", i);
            plx_views_free(&views);
            plx_dataset_free(dataset);
        }
}

/* Where each pixel comes from is where the lens shows its ray. */
TEST(lens, sources) {
    const plx_camera bent = {.fx = 100, .fy = 96, .cx = 41, .cy = 29, .width = 80, .height = 60};
    for (int i = 0; i < 3; i++) {
        plx_camera pinhole;
        REQUIRE(plx_lens_pinhole(&pinhole, &bent, &lenses[i]) == 0, "%s", plx_error());
        double worst = 0;
        for (int row = 0; row < 60; row += 7)
            for (int column = 0; column < 80; column += 9) {
                double at[2], back[2];
                plx_lens_source(&lenses[i], &pinhole, &bent, row, column, at);
                double seen[2] = {(at[0] - 41) / 100, (at[1] - 29) / 96};
                remove_lens(&lenses[i], seen, back);
                worst = fmax(worst, fabs(back[0] - (column + 0.5 - (double)pinhole.cx) / (double)pinhole.fx));
                worst = fmax(worst, fabs(back[1] - (row + 0.5 - (double)pinhole.cy) / (double)pinhole.fy));
            }
        EXPECT(worst < 1e-5, "lens %d: rays off by %g", i, worst); /* Newton's steps end far below */
    }
    plx_camera pinhole;
    plx_lens folded = {.k1 = -30};
    EXPECT(plx_lens_pinhole(&pinhole, &bent, &folded) == PLX_ERROR_SUPPORT && strstr(plx_error(), "k1 -30"),
           "%s", plx_error());
}

/* Depth along the axis is constant, so each ray's is that over its cosine, by the pinhole's own rays; the half beyond the
 * middle column of the bent picture is further away. */
TEST(lens, depth) {
    const char *folder = folder_at(test_directory(), "lens-depth");
    plx_image picture;
    if (plx_image_create(&picture, 60, 80, 3)) abort();
    png_to(folder, "a.png", &picture);
    for (int i = 0; i < 60 * 80; i++)
        for (int c = 0; c < 3; c++) picture.data[3 * i + c] = i % 80 < 40 ? 51 / 255.0f : 102 / 255.0f;
    png_to(folder, "depth.png", &picture);
    plx_image_free(&picture);
    text_to(folder, "transforms.json",
            "{\"fl_x\": 100, \"k1\": -0.3, \"frames\": [{\"file_path\": \"a.png\", \"depth_file_path\": "
            "\"depth.png\", "
            "\"transform_matrix\": [[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}]}");
    plx_dataset *dataset;
    plx_views views;
    REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &views) == 0, "%s", plx_error());
    for (int row = 0; row < 60; row++)
        for (int column = 0; column < 80; column++) {
            double x = (column - 39.5) / 100, y = (row - 29.5) / 100, z = 65.535 * (column < 40 ? 0.2 : 0.4);
            double wanted = z * sqrt(1 + x * x + y * y),
                   got = (double)views.views[0].depth.data[2 * (80 * row + column)];
            EXPECT(fabs(got - wanted) < 1e-4 * wanted, "%d %d: %g, not %g", row, column, got,
                   wanted); /* floats */
        }
    plx_views_free(&views);
    plx_dataset_free(dataset);
}
