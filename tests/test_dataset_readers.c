/* Data sets on disk. Their rays are worked out here from each format's own definition (formats.md), not by the library. */
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/datasets.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "tests/test.h"

static void write_text(const char *path, const char *text) {
    if (plx_file_write(path, text, strlen(text))) printf("    %s\n", plx_error());
}

/* A fresh folder for one test. */
static const char *folder_for(const char *test) {
    static char path[300];
    snprintf(path, sizeof path, "%s/readers-%s", test_directory(), test);
    if (plx_make_directories(path)) printf("    %s\n", plx_error());
    return path;
}

/* A picture in which every pixel is different, with or without opacity. */
static void write_picture(const char *path, int height, int width, int channels) {
    plx_image image;
    if (plx_image_create(&image, height, width, channels)) return;
    for (int i = 0; i < height * width * channels; i++) image.data[i] = (float)(i * 37 % 256) / 255;
    if (plx_png_save(path, &image)) printf("    %s\n", plx_error());
    plx_image_free(&image);
}

/* A camera from nowhere special: columns right, up, back, position. */
static plx_camera odd_camera(int index, int height, int width) {
    float eye[3] = {1.1f + 0.1f * (float)index, -0.7f, 0.45f}, target[3] = {0.05f, 0.02f, -0.03f};
    return plx_camera_look_at(eye, target, 0.9f, width, height);
}

/* The largest difference of directions (and origins) between the camera's pixel rays and those that x and y of the image
 * plane at distance 1 (right, down; from the file's numbers) give with a camera-to-world matrix of the axes `signs`. */
typedef struct plane {
    double fx, fy, cx, cy, centre; /* pixels; where a pixel's centre lies */
} plane;

static double ray_error(const plx_camera *camera, const double c2w[16], plane p, double y_sign,
                        double z_sign) {
    double worst = 0;
    for (int i = 0; i < camera->height; i++)
        for (int j = 0; j < camera->width; j++) {
            double local[3] = {(j + p.centre - p.cx) / p.fx, y_sign * (i + p.centre - p.cy) / p.fy, z_sign},
                   d[3], n = 0;
            for (int r = 0; r < 3; r++) {
                d[r] = c2w[4 * r] * local[0] + c2w[4 * r + 1] * local[1] + c2w[4 * r + 2] * local[2];
                n += d[r] * d[r];
            }
            float origin[3], direction[3];
            plx_camera_ray(camera, (float)j + 0.5f, (float)i + 0.5f, origin, direction);
            for (int r = 0; r < 3; r++) {
                worst = fmax(worst, fabs(d[r] / sqrt(n) - (double)direction[r]));
                worst = fmax(worst, fabs(c2w[4 * r + 3] - (double)origin[r]));
            }
        }
    return worst;
}

/* SRN's axes are right, down, forward: its matrix for a camera of ours. */
static void srn_matrix(double out[16], const plx_camera *camera) {
    for (int r = 0; r < 3; r++) {
        out[4 * r] = (double)camera->c2w[4 * r];
        out[4 * r + 1] = -(double)camera->c2w[4 * r + 1];
        out[4 * r + 2] = -(double)camera->c2w[4 * r + 2];
        out[4 * r + 3] = (double)camera->c2w[4 * r + 3];
    }
    out[12] = out[13] = out[14] = 0;
    out[15] = 1;
}

static void print_matrix(char *out, size_t size, const double m[16], const char *separator) {
    size_t used = 0;
    for (int i = 0; i < 16; i++)
        used += (size_t)snprintf(out + used, size - used, "%.9g%s", m[i], i == 15 ? "" : separator);
}

/* One SRN object with `views` views of 20 x 16 pixels, intrinsics for twice that size. */
static void write_srn(const char *folder, int views, int channels) {
    char path[1024], text[1024];
    double m[16];
    snprintf(path, sizeof path, "%s/rgb", folder);
    plx_make_directories(path);
    snprintf(path, sizeof path, "%s/pose", folder);
    plx_make_directories(path);
    for (int i = 0; i < views; i++) {
        plx_camera camera = odd_camera(i, 16, 20);
        snprintf(path, sizeof path, "%s/rgb/%06d.png", folder, i);
        write_picture(path, 16, 20, channels);
        srn_matrix(m, &camera);
        print_matrix(text, sizeof text, m, i % 2 ? "\n" : " ");
        snprintf(path, sizeof path, "%s/pose/%06d.txt", folder, i);
        write_text(path, text);
    }
    snprintf(path, sizeof path, "%s/intrinsics.txt", folder);
    write_text(path, "40.5 18.5 17. 0.\n0. 0. 0.\n0.8\n1.\n32 40\n7\n");
}

TEST(srn, rays) {
    const char *folder = folder_for("srn");
    char path[600];
    snprintf(path, sizeof path, "%s/object", folder);
    write_srn(path, 3, 3);
    plx_dataset *dataset;
    REQUIRE(plx_dataset_open(&dataset, path) == 0, "%s", plx_error());
    EXPECT(!strcmp(plx_dataset_kind(dataset), "srn") && plx_dataset_count(dataset) == 1, "%s, %d objects",
           plx_dataset_kind(dataset), plx_dataset_count(dataset));
    EXPECT(!strcmp(plx_dataset_name(dataset, 0), "object"), "called %s", plx_dataset_name(dataset, 0));
    EXPECT(plx_dataset_view_count(dataset, 0) == 3, "%d views", plx_dataset_view_count(dataset, 0));
    plx_views views;
    int indices[] = {2, 0};
    REQUIRE(plx_dataset_load(dataset, 0, indices, 2, &views) == 0, "%s", plx_error());
    EXPECT(!views.has_alpha, "three channels have no opacity");
    for (int k = 0; k < 2; k++) {
        plx_camera camera = odd_camera(indices[k], 16, 20);
        double m[16];
        srn_matrix(m, &camera);
        /* The file is for 40 x 32 pixels, its pixel centres on integers: half of it, pixel j covers 2j and 2j+1, so its
         * centre lies at 2j + 0.5 there. */
        plane half = {40.5 / 2, 40.5 / 2, 18.5 / 2, 17.0 / 2, 0.25};
        double error = ray_error(&views.views[k].camera, m, half, 1, 1);
        EXPECT(error < 1e-5, "view %d: rays off by %g", indices[k], error); /* floats of about 1 */
        EXPECT(views.views[k].colour.channels == 4 && views.views[k].colour.data[3] == 1, "opacity is not 1");
        EXPECT(fabsf(views.views[k].colour.data[4] - 111.0f / 255) < 1e-6f,
               "the second pixel's red"); /* 3 * 37 */
    }
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

TEST(srn, layouts) {
    char root[400], path[700];
    static const char *const objects[] = {"chairs_train/chairs_2.0_train/a",
                                          "chairs_train/chairs_2.0_train/b", "chairs_val/c"};
    snprintf(root, sizeof root, "%s", folder_for("layouts"));
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", root, objects[i]);
        write_srn(path, i + 1, 4);
    }
    plx_dataset *dataset;
    REQUIRE(plx_dataset_open(&dataset, root) == 0, "%s", plx_error());
    REQUIRE(plx_dataset_count(dataset) == 3, "%d objects", plx_dataset_count(dataset));
    for (int i = 0; i < 3; i++) {
        EXPECT(!strcmp(plx_dataset_name(dataset, i), objects[i]), "called %s", plx_dataset_name(dataset, i));
        EXPECT(plx_dataset_view_count(dataset, i) == i + 1, "%d views", plx_dataset_view_count(dataset, i));
    }
    plx_views views;
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &views) == 0, "%s", plx_error());
    EXPECT(views.has_alpha, "four channels have opacity");
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

/* A drawn object, written and read, has the same pictures to 8 bits, the same rays, and the same geometry. */
TEST(srn, written_and_read) {
    static const float corners[] = {-.3f, -.2f, -.1f, .4f, -.1f, 0, 0, .35f, .1f, .05f, 0, .4f};
    static const uint32_t faces[] = {0, 1, 2, 0, 1, 3, 1, 2, 3, 2, 0, 3};
    static const float colours[] = {1, .1f, .1f, 1, .2f, .9f, .1f, 1, .1f, .2f, 1, 1, .8f, .8f, .1f, 1};
    plx_mesh_options mesh_options = plx_mesh_options_default();
    mesh_options.up = 'z';
    plx_mesh *mesh;
    plx_scene *scene;
    REQUIRE(plx_mesh_from_arrays(&mesh, 4, corners, colours, 4, faces, &mesh_options) == 0, "%s",
            plx_error());
    REQUIRE(plx_scene_create(&scene, mesh) == 0, "%s", plx_error());
    plx_views views, read;
    REQUIRE(plx_views_create(&views, 3) == 0, "%s", plx_error());
    plx_draw_options draw = plx_draw_options_default();
    draw.depth = draw.normal = true;
    for (int i = 0; i < 3; i++) {
        views.views[i].camera = plx_default_camera(5, "tetrahedron", i, 24);
        REQUIRE(plx_scene_draw(scene, &views.views[i], &draw) == 0, "%s", plx_error());
    }
    snprintf(views.name, sizeof views.name, "tetrahedron");
    char root[400], path[700];
    snprintf(root, sizeof root, "%s", folder_for("written"));
    REQUIRE(plx_dataset_save("srn", root, &views) == 0, "%s", plx_error());

    /* By SRN's own rule: centres on integers, right, down, forward. */
    for (int i = 0; i < 3; i++) {
        double m[16], f = 0, cx = 0, cy = 0;
        snprintf(path, sizeof path, "%s/tetrahedron/pose/%06d.txt", root, i);
        FILE *file = fopen(path, "r");
        REQUIRE(file, "no pose file");
        int got = 0;
        while (got < 16 && fscanf(file, "%lf", &m[got]) == 1) got++;
        fclose(file);
        snprintf(path, sizeof path, "%s/tetrahedron/intrinsics.txt", root);
        file = fopen(path, "r");
        REQUIRE(file, "no intrinsics");
        got += fscanf(file, "%lf %lf %lf", &f, &cx, &cy);
        fclose(file);
        EXPECT(got == 19, "%d numbers", got);
        double error = ray_error(&views.views[i].camera, m, (plane){f, f, cx, cy, 0}, 1, 1);
        EXPECT(error < 1e-5, "view %d: written rays are off by %g", i, error); /* floats of about 1 */
    }
    plx_dataset *dataset;
    REQUIRE(plx_dataset_open(&dataset, root) == 0, "%s", plx_error());
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &read) == 0, "%s", plx_error());
    EXPECT(read.count == 3 && read.has_alpha && !strcmp(read.name, "tetrahedron"), "%d views of %s",
           read.count, read.name);
    for (int i = 0; i < 3; i++) {
        const plx_view *a = &views.views[i], *b = &read.views[i];
        double colour = 0, depth = 0, normal = 0, camera = 0;
        for (int k = 0; k < 24 * 24; k++) {
            for (int c = 0; c < 4; c++)
                if (c == 3 || a->colour.data[4 * k + 3] > 0)
                    colour =
                        fmax(colour, fabs((double)(a->colour.data[4 * k + c] - b->colour.data[4 * k + c])));
            REQUIRE(b->depth.data && b->normal.data, "no geometry was read");
            for (int c = 0; c < 2; c++)
                depth = fmax(depth, fabs((double)(a->depth.data[2 * k + c] - b->depth.data[2 * k + c])));
            for (int c = 0; c < 3; c++)
                normal = fmax(normal, fabs((double)(a->normal.data[3 * k + c] - b->normal.data[3 * k + c])));
        }
        for (int k = 0; k < 12; k++)
            camera = fmax(camera, fabs((double)(a->camera.c2w[k] - b->camera.c2w[k])));
        EXPECT(colour < 0.502 / 255, "colours off by %g", colour); /* 8 bits, rounded */
        EXPECT(depth < 1e-3 && normal < 2e-3, "depth off by %g, normal by %g", depth,
               normal); /* half floats at worst */
        EXPECT(camera == 0 && a->camera.cx == b->camera.cx && a->camera.fx == b->camera.fx, "pose off by %g",
               camera);
    }
    plx_views_free(&read);
    plx_dataset_free(dataset);

    views.views[1].camera.fx *= 1.5f;
    EXPECT(plx_dataset_save("srn", root, &views) == PLX_ERROR_SUPPORT, "two focal lengths in one folder");
    views.views[1].camera.fx = views.views[0].camera.fx;
    snprintf(views.name, sizeof views.name, "../escape");
    EXPECT(plx_dataset_save("srn", root, &views) == PLX_ERROR_INPUT, "a name that leaves the folder");
    snprintf(path, sizeof path, "%s/escape", root);
    EXPECT(access(path, F_OK) != 0, "something was written");
    plx_views_free(&views);
    plx_scene_free(scene);
}

/* Opens and loads; the status of what failed. */
static int open_and_load(const char *path) {
    plx_dataset *dataset;
    plx_views views;
    int status = plx_dataset_open(&dataset, path);
    if (status) return status;
    status = plx_dataset_load(dataset, 0, NULL, 0, &views);
    if (!status) plx_views_free(&views);
    plx_dataset_free(dataset);
    return status;
}

TEST(srn, bad_input) {
    char object[400], intrinsics[500], pose[500], picture[500];
    snprintf(object, sizeof object, "%s/object", folder_for("srn-bad"));
    snprintf(intrinsics, sizeof intrinsics, "%s/intrinsics.txt", object);
    snprintf(pose, sizeof pose, "%s/pose/000000.txt", object);
    snprintf(picture, sizeof picture, "%s/rgb/000000.png", object);
    write_srn(object, 1, 3);
    EXPECT(open_and_load(object) == 0, "%s", plx_error());
    static const char *const bad_intrinsics[] = {
        "",
        "40 18 17\n",
        "40 18 17 0\n0 0 0\n1.\n",
        "nan 18 17 0\n0 0 0\n1.\n32 40\n",
        "-40 18 17 0\n0 0 0\n1.\n32 40\n",
        "40 18 17 0\n0 0 0\n1.\n1e9 40\n",
        "40 18 17 0\n0 0 0\n1.\n0 40\n",
        "40 18 17 0\n0 0 0\n1.\n32.5 40\n",
        "forty 18 17 0\n0 0 0\n1.\n32 40\n",
    };
    for (size_t i = 0; i < sizeof bad_intrinsics / sizeof *bad_intrinsics; i++) {
        write_text(intrinsics, bad_intrinsics[i]);
        EXPECT(open_and_load(object) == PLX_ERROR_INPUT && strstr(plx_error(), "intrinsics.txt"),
               "case %zu: %s", i, plx_error());
    }
    write_text(intrinsics, "40 18 17 0\n0 0 0\n1.\n32 40\n");
    EXPECT(open_and_load(object) == 0, "%s", plx_error());
    static const char *const bad_poses[] = {
        "",
        "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0",
        "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 1",
        "1 0 0 0 0 1 0 0 0 0 1 inf 0 0 0 1",
        "2 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
        "1 0 0 0 0 1 0 0 0 0 -1 0 0 0 0 1", /* left-handed */
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
        "one",
    };
    for (size_t i = 0; i < sizeof bad_poses / sizeof *bad_poses; i++) {
        write_text(pose, bad_poses[i]);
        EXPECT(open_and_load(object) == PLX_ERROR_INPUT && strstr(plx_error(), "pose/000000.txt"),
               "case %zu: %s", i, plx_error());
    }
    unlink(pose);
    EXPECT(open_and_load(object) == PLX_ERROR_IO && strstr(plx_error(), "000000.txt"), "%s", plx_error());
    write_text(pose, "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1");
    write_text(picture, "not a picture");
    EXPECT(open_and_load(object) < 0 && strstr(plx_error(), "000000.png"), "%s", plx_error());
    unlink(picture);
    EXPECT(open_and_load(object) == PLX_ERROR_INPUT, "an object without pictures");
    EXPECT(open_and_load("/no/such/folder") == PLX_ERROR_IO, "%s", plx_error());
    EXPECT(open_and_load(folder_for("empty")) == PLX_ERROR_INPUT, "an empty folder");
    EXPECT(open_and_load("Makefile") == PLX_ERROR_INPUT, "a file that is no data set");
}

/* ---- transforms.json ----------------------------------------------------------------------------------------------- */

/* {"HEAD, "frames": [{"file_path": ..., "transform_matrix": ..., EXTRA}, ...]} */
static void write_transforms(const char *path, const char *head, const char *file, const char *extra,
                             int frames) {
    char text[8192];
    size_t used = (size_t)snprintf(text, sizeof text, "{%s \"frames\": [", head);
    for (int i = 0; i < frames; i++) {
        plx_camera camera = odd_camera(i, 16, 20);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s{\"file_path\": \"", i ? "," : "");
        used += (size_t)snprintf(text + used, sizeof text - used, file, i);
        used += (size_t)snprintf(text + used, sizeof text - used, "\", \"transform_matrix\": [");
        for (int r = 0; r < 3; r++)
            used += (size_t)snprintf(text + used, sizeof text - used, "[%.9g, %.9g, %.9g, %.9g], ",
                                     (double)camera.c2w[4 * r], (double)camera.c2w[4 * r + 1],
                                     (double)camera.c2w[4 * r + 2], (double)camera.c2w[4 * r + 3]);
        used += (size_t)snprintf(text + used, sizeof text - used, "[0, 0, 0, 1]]%s}", extra);
    }
    snprintf(text + used, sizeof text - used, "]}");
    write_text(path, text);
}

static void our_matrix(double out[16], const plx_camera *camera) {
    for (int i = 0; i < 12; i++) out[i] = (double)camera->c2w[i];
}

TEST(transforms, nerf_synthetic) {
    char folder[400], path[600];
    snprintf(folder, sizeof folder, "%s", folder_for("synthetic"));
    snprintf(path, sizeof path, "%s/train", folder);
    plx_make_directories(path);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/train/r_%d.png", folder, i);
        write_picture(path, 16, 20, 4);
    }
    static const char *const splits[] = {"train", "val", "test"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/transforms_%s.json", folder, splits[i]);
        write_transforms(path, "\"camera_angle_x\": 0.6911112,", "./train/r_%d", "", 2);
    }
    plx_dataset *dataset;
    REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
    REQUIRE(plx_dataset_count(dataset) == 3, "%d objects", plx_dataset_count(dataset));
    EXPECT(!strcmp(plx_dataset_kind(dataset), "transforms") && !strcmp(plx_dataset_name(dataset, 1), "train"),
           "%s: %s", plx_dataset_kind(dataset), plx_dataset_name(dataset, 1)); /* test, train, val */
    plx_views views;
    REQUIRE(plx_dataset_load(dataset, 1, NULL, 0, &views) == 0, "%s", plx_error());
    EXPECT(views.has_alpha && views.near == 2 && views.far == 6, "bounds %g to %g", (double)views.near,
           (double)views.far);
    double focal = 0.5 * 20 / tan(0.5 * 0.6911112);
    for (int i = 0; i < 2; i++) {
        plx_camera camera = odd_camera(i, 16, 20);
        double m[16];
        our_matrix(m, &camera);
        /* Right, up, back: down in the image is -y, forward is -z; centres at +0.5. */
        double error = ray_error(&views.views[i].camera, m, (plane){focal, focal, 10, 8, 0.5}, -1, -1);
        EXPECT(error < 1e-5, "frame %d: rays off by %g", i, error); /* floats of about 1 */
    }
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

TEST(transforms, nerfstudio) {
    char folder[400], path[600];
    snprintf(folder, sizeof folder, "%s", folder_for("nerfstudio"));
    snprintf(path, sizeof path, "%s/images", folder);
    plx_make_directories(path);
    snprintf(path, sizeof path, "%s/images/a.png", folder);
    write_picture(path, 16, 20, 3);
    plx_image mask, depth;
    REQUIRE(plx_image_create(&mask, 16, 20, 1) == 0 && plx_image_create(&depth, 16, 20, 1) == 0, "%s",
            plx_error());
    mask.data[5] = 1;
    depth.data[5] = 1; /* 8 bits: 255 / 255 is 65535 / 65535, so 65.535 m */
    snprintf(path, sizeof path, "%s/mask.png", folder);
    plx_png_save(path, &mask);
    snprintf(path, sizeof path, "%s/depth.png", folder);
    plx_png_save(path, &depth);
    plx_image_free(&mask);
    plx_image_free(&depth);
    snprintf(path, sizeof path, "%s/transforms.json", folder);
    write_transforms(
        path,
        "\"camera_model\": \"OPENCV\", \"fl_x\": 60, \"fl_y\": 62, \"cx\": 19, \"cy\": 17, \"w\": 40, \"h\": "
        "32, "
        "\"k1\": 0, \"k2\": 0.0, \"p1\": 0, \"applied_transform\": [[1,0,0,0],[0,0,1,0],[0,-1,0,0]], "
        "\"applied_scale\": 0.5,",
        "images\\\\a.png", ", \"fl_x\": 50, \"mask_path\": \"mask.png\", \"depth_file_path\": \"depth.png\"",
        1);
    plx_dataset *dataset;
    plx_views views;
    REQUIRE(plx_dataset_open(&dataset, path) == 0, "%s", plx_error()); /* the file itself may be named */
    const char *note = plx_dataset_note(dataset, 0);
    EXPECT(note && strstr(note, "applied_scale 0.5") && strstr(note, "applied_transform [["), "note: %s",
           note ? note : "none");
    REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &views) == 0, "%s", plx_error());
    const plx_view *view = &views.views[0];
    plx_camera camera = odd_camera(0, 16, 20);
    double m[16];
    our_matrix(m, &camera);
    /* The frame's fl_x, the file's rest; the picture has half the size that they are for. */
    double error = ray_error(&view->camera, m, (plane){25, 31, 9.5, 8.5, 0.5}, -1, -1);
    EXPECT(error < 1e-5, "rays off by %g", error); /* floats of about 1 */
    EXPECT(views.has_alpha && view->colour.data[4 * 5 + 3] == 1 && view->colour.data[4 * 6 + 3] == 0, "mask");
    double x = (5.5 - 9.5) / 25, y = (0.5 - 8.5) / 31, wanted = 65.535 * 0.5 * sqrt(1 + x * x + y * y);
    REQUIRE(view->depth.data, "no depth");
    EXPECT(fabs((double)view->depth.data[10] - wanted) < 1e-4 * wanted && view->depth.data[12] == 0,
           "depth %g, not %g", (double)view->depth.data[10], wanted); /* float rounding */
    plx_views_free(&views);
    plx_dataset_free(dataset);
}

TEST(transforms, focal_precedence) {
    char folder[400], path[600];
    snprintf(folder, sizeof folder, "%s", folder_for("focal"));
    snprintf(path, sizeof path, "%s/a.png", folder);
    write_picture(path, 16, 20, 3);
    snprintf(path, sizeof path, "%s/transforms.json", folder);
    static const struct {
        const char *head;
        double fx, fy;
    } cases[] = {
        {"\"x_fov\": 90, \"fl_x\": 33, \"camera_angle_x\": 0.5,", 10, 10}, /* 10 / tan 45 */
        {"\"x_fov\": 90, \"y_fov\": 53.13010235,", 10, 16},                /* 8 / tan 26.565 = 8 / 0.5 */
        {"\"fl_x\": 33, \"camera_angle_x\": 0.5,", 33, 33},
        {"\"fl_x\": 33, \"fl_y\": 35,", 33, 35},
        {"\"camera_angle_x\": 1.5707963267948966,", 10, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_transforms(path, cases[i].head, "a", "", 1);
        plx_dataset *dataset;
        plx_views views;
        REQUIRE(plx_dataset_open(&dataset, folder) == 0, "%s", plx_error());
        REQUIRE(plx_dataset_load(dataset, 0, NULL, 0, &views) == 0, "%s", plx_error());
        const plx_camera *camera = &views.views[0].camera;
        EXPECT(fabs((double)camera->fx - cases[i].fx) < 1e-4 && fabs((double)camera->fy - cases[i].fy) < 1e-4,
               "case %zu: %g, %g", i, (double)camera->fx, (double)camera->fy);
        plx_views_free(&views);
        plx_dataset_free(dataset);
    }
}

TEST(transforms, bad_input) {
    char folder[400], path[600];
    snprintf(folder, sizeof folder, "%s", folder_for("transforms-bad"));
    snprintf(path, sizeof path, "%s/a.png", folder);
    write_picture(path, 16, 20, 3);
    snprintf(path, sizeof path, "%s/small.png", folder);
    write_picture(path, 8, 8, 3);
    snprintf(path, sizeof path, "%s/transforms.json", folder);
    static const struct {
        const char *head, *file, *extra, *word;
    } cases[] = {
        {"\"fl_x\": 30, \"k1\": -30,", "a.png", "", "k1 -30"},
        {"\"fl_x\": 30,", "a.png", ", \"p2\": \"x\"", "lens parameter"},
        {"\"fl_x\": 30, \"k4\": 0.1,", "a.png", "", "fisheye"},
        {"\"fl_x\": 30, \"is_fisheye\": true,", "a.png", "", "fisheye"},
        {"\"fl_x\": 30, \"camera_model\": \"OPENCV_FISHEYE\",", "a.png", "", "OPENCV_FISHEYE"},
        {"\"fl_x\": 30,", "../transforms-bad/a.png", "", "leaves"},
        {"\"fl_x\": 30,", "x/../../a.png", "", "leaves"},
        {"\"fl_x\": 30,", "..\\\\a.png", "", "leaves"},
        {"\"fl_x\": 30,", "/etc/hostname", "", "leaves"},
        {"\"fl_x\": 30,", "C:\\\\a.png", "", "leaves"},
        {"\"fl_x\": 30,", "gone.png", "", "gone.png"},
        {"\"fl_x\": 30,", "a.png", ", \"mask_path\": \"../m.png\"", "leaves"},
        {"\"fl_x\": 30,", "a.png", ", \"mask_path\": \"small.png\"", "small.png"},
        {"\"fl_x\": 30,", "a.png", ", \"depth_file_path\": 7", "depth_file_path"},
        {"\"fl_x\": \"30\",", "a.png", "", "not a number"},
        {"\"fl_x\": -30,", "a.png", "", "focal length"},
        {"\"fl_x\": 30, \"w\": 0,", "a.png", "", "pixels"},
        {"\"w\": 20,", "a.png", "", "focal length"},
        {"\"fl_x\": 30,", "a.png", ", \"file_path\": \"a.png\"", "duplicate"},
        {"\"fl_x\": 30,", "a.png\", \"x\": [", "", "transforms.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_transforms(path, cases[i].head, cases[i].file, cases[i].extra, 1);
        int status = open_and_load(folder);
        EXPECT(status < 0 && strstr(plx_error(), cases[i].word), "case %zu: status %d: %s", i, status,
               status ? plx_error() : "it was read");
    }
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"frames\": []}",
        "{\"frames\": {}}",
        "{\"fl_x\": 30, \"frames\": [{}]}",
        "{\"fl_x\": 30, \"frames\": [7]}",
        "{\"fl_x\": 30, \"frames\": [{\"file_path\": \"a.png\"}]}",
        "{\"fl_x\": 30, \"frames\": [{\"file_path\": \"a.png\", \"transform_matrix\": "
        "[[1,0,0,0],[0,1,0,0]]}]}",
        "{\"fl_x\": 30, \"frames\": [{\"file_path\": \"a.png\", \"transform_matrix\": "
        "[[1,0,0],[0,1,0],[0,0,1]]}]}",
        "{\"fl_x\": 30, \"frames\": [{\"file_path\": \"a.png\", \"transform_matrix\": "
        "[[1,0,0,\"x\"],[0,1,0,0],[0,0,1,0]]}]}",
        "{\"fl_x\": 30, \"frames\": [{\"file_path\": \"\", \"transform_matrix\": "
        "[[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text(path, texts[i]);
        EXPECT(open_and_load(folder) == PLX_ERROR_INPUT && strstr(plx_error(), "transforms.json"),
               "text %zu: %s", i, plx_error());
    }
    write_text(path, "{\"fl_x\": 30, \"frames\": [{\"file_path\": \"a.png\", \"transform_matrix\": "
                     "[[1,0,0,0],[0,3,0,0],[0,0,1,0]]}]}");
    EXPECT(open_and_load(folder) == PLX_ERROR_INPUT && strstr(plx_error(), "a.png"), "%s", plx_error());
}
