/* The default object set, its cameras and training samples; SRN and transforms.json. */
#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/draw.h"
#include "datasets/reader.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "tests/test.h"

#define DEGREE 0.017453293f

/* ---- a small set of our own: three coloured shapes, so that the tests need no download ----------------------------- */

static const char *const mtl_text =
    "newmtl red\nKd 0.8 0.1 0.1\nnewmtl green\nKd 0.1 0.7 0.2\nnewmtl blue\nKd 0.1 0.2 0.9\n";

/* Appends a box to an OBJ text. */
static void add_box(FILE *obj, int *first, const char *material, const float low[3], const float high[3]) {
    fprintf(obj, "usemtl %s\n", material);
    for (int k = 0; k < 8; k++)
        fprintf(obj, "v %g %g %g\n", (double)(k & 1 ? high : low)[0], (double)(k & 2 ? high : low)[1],
                (double)(k & 4 ? high : low)[2]);
    static const int faces[6][4] = {{0, 2, 3, 1}, {4, 5, 7, 6}, {0, 1, 5, 4},
                                    {2, 6, 7, 3}, {0, 4, 6, 2}, {1, 3, 7, 5}};
    for (int f = 0; f < 6; f++)
        fprintf(obj, "f %d %d %d %d\n", *first + faces[f][0], *first + faces[f][1], *first + faces[f][2],
                *first + faces[f][3]);
    *first += 8;
}

/* A lopsided object, without any symmetry: y up, front +z. */
static void write_object(const char *folder, const char *name, float tall) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.obj", folder, name);
    FILE *obj = fopen(path, "w");
    if (!obj) return;
    int first = 1;
    fprintf(obj, "mtllib shapes.mtl\n");
    add_box(obj, &first, "red", (float[]){-1, 0, -0.6f}, (float[]){1, 0.4f, 0.6f});
    add_box(obj, &first, "green", (float[]){-1, 0.4f, -0.6f}, (float[]){-0.6f, 0.4f + tall, 0.2f});
    add_box(obj, &first, "blue", (float[]){0.3f, 0.4f, 0.1f}, (float[]){0.8f, 0.8f, 0.5f});
    fclose(obj);
}

static const char *const table_head =
    "id\tname\tclass\tfile\tlicence\tcredit\tup\trotation\tgroup\tsplit\ttrain_ok\tnote\n";

static const char *small_set(void) {
    static char folder[300];
    if (folder[0]) return folder;
    snprintf(folder, sizeof folder, "%s/small", test_directory());
    if (plx_make_directories(folder)) printf("    %s\n", plx_error());
    char path[512], table[4096];
    snprintf(path, sizeof path, "%s/shapes.mtl", folder);
    plx_file_write(path, mtl_text, strlen(mtl_text));
    write_object(folder, "low", 0.5f);
    write_object(folder, "mid", 1.0f);
    write_object(folder, "high", 2.0f);
    snprintf(table, sizeof table,
             "# a comment\n%s"
             "low\tLow\tchair\tlow.obj\tCC0-1.0\tnobody\ty\t\ta\ttrain\t1\t\n"
             "mid\tMiddle\tchair\tmid.obj\tCC0-1.0\tnobody\ty\t1 0 0 0 1 0 0 0 1\ta\ttrain\t1\t\n"
             "high\tHigh\ttable\thigh.obj\tCC0-1.0\tnobody\ty\t\tb\ttrain\t1\t\n"
             "flat\tFlat\ttable\tlow.obj\tCC0-1.0\tnobody\ty\t\tc\ttrain\t0\tflat\n"
             "other\tOther\ttable\tlow.obj\tCC0-1.0\tnobody\tz\t\td\ttest\t1\t\n",
             table_head);
    snprintf(path, sizeof path, "%s/objects.tsv", folder);
    plx_file_write(path, table, strlen(table));
    return folder;
}

static int load_small(plx_catalogue *catalogue) {
    char path[512];
    snprintf(path, sizeof path, "%s/objects.tsv", small_set());
    return plx_catalogue_load(catalogue, path);
}

static double image_difference(const plx_image *a, const plx_image *b) {
    if (a->height != b->height || a->width != b->width || a->channels != b->channels || !a->data || !b->data)
        return INFINITY;
    double worst = 0;
    size_t count = (size_t)a->height * (size_t)a->width * (size_t)a->channels;
    for (size_t i = 0; i < count; i++) worst = fmax(worst, fabs((double)a->data[i] - (double)b->data[i]));
    return worst;
}

static void free_view(plx_view *view) {
    plx_image_free(&view->colour);
    plx_image_free(&view->depth);
    plx_image_free(&view->normal);
}

/* ---- the catalogue ------------------------------------------------------------------------------------------------- */

TEST(catalogue, default_set) {
    plx_catalogue catalogue;
    REQUIRE(plx_catalogue_load(&catalogue, "datasets/objects.tsv") == 0, "%s", plx_error());
    EXPECT(catalogue.count == 820, "%d objects", catalogue.count); /* the package's version 1.8-1 */
    EXPECT(strlen(catalogue.hash) == 64, "hash %s", catalogue.hash);
    int splits[3] = {0}, trainable = 0, rotated = 0;
    for (int i = 0; i < catalogue.count; i++) {
        const plx_object *object = &catalogue.objects[i];
        splits[object->split]++;
        trainable += object->train_ok;
        rotated += object->rotation[0] != 1 || object->rotation[4] != 1;
        /* Only licences that let anyone train on and show the objects. */
        bool known = !strcmp(object->licence, "CC0-1.0") || !strncmp(object->licence, "CC-BY-3.0", 9);
        EXPECT(known, "%s: licence %s", object->id, object->licence);
        EXPECT(*object->credit && *object->name && *object->class_name, "%s: an empty column", object->id);
        for (int j = 0; j < i; j++)
            EXPECT(strcmp(catalogue.objects[j].group, object->group) != 0 ||
                       catalogue.objects[j].split == object->split,
                   "group %s crosses splits", object->group);
    }
    EXPECT(splits[PLX_TRAIN] > 600 && splits[PLX_VALIDATION] > 60 && splits[PLX_TEST] > 60,
           "%d, %d, %d objects", splits[PLX_TRAIN], splits[PLX_VALIDATION], splits[PLX_TEST]);
    EXPECT(trainable > 750, "%d objects for training", trainable);
    EXPECT(rotated > 20, "%d rotated objects", rotated); /* 33 have a modelRotation, some turn little */
    plx_catalogue_free(&catalogue);
}

/* FIPS 180-4: the digest of "abc" is known, so the hash of a catalogue is that of its bytes. */
TEST(catalogue, bad_input) {
    char path[512], text[1024], wanted[64];
    snprintf(path, sizeof path, "%s/bad.tsv", small_set());
    struct {
        const char *row, *word;
    } cases[] = {
        {"a b\tn\tc\tf\tl\tc\ty\t\tg\ttrain\t1\t\n", "id"},
        {"../a\tn\tc\tf\tl\tc\ty\t\tg\ttrain\t1\t\n", "id"},
        {"a\tn\tc\t/etc/passwd\tl\tc\ty\t\tg\ttrain\t1\t\n", "leaves"},
        {"a\tn\tc\tx/../../f\tl\tc\ty\t\tg\ttrain\t1\t\n", "leaves"},
        {"a\tn\tc\tf\t\tc\ty\t\tg\ttrain\t1\t\n", "licence"},
        {"a\tn\tc\tf\tl\tc\tx\t\tg\ttrain\t1\t\n", "up"},
        {"a\tn\tc\tf\tl\tc\ty\t1 2 3\tg\ttrain\t1\t\n", "rotation"},
        {"a\tn\tc\tf\tl\tc\ty\t1 0 0 0 nan 0 0 0 1\tg\ttrain\t1\t\n", "rotation"},
        {"a\tn\tc\tf\tl\tc\ty\t\tg\tdev\t1\t\n", "split"},
        {"a\tn\tc\tf\tl\tc\ty\t\tg\ttrain\tyes\t\n", "train_ok"},
        {"a\tn\tc\n", "file"},
        {"a\tn\tc\tf\tl\tc\ty\t\tg\ttrain\t1\t\na\tn\tc\tf\tl\tc\ty\t\tg\ttrain\t1\t\n", "two objects"},
        {"a\tn\tc\tf\tl\tc\ty\t\tg\ttrain\t1\t\nb\tn\tc\tf\tl\tc\ty\t\tg\ttest\t1\t\n", "two splits"},
    };
    plx_catalogue catalogue;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s", table_head, cases[i].row);
        plx_file_write(path, text, strlen(text));
        int status = plx_catalogue_load(&catalogue, path);
        snprintf(wanted, sizeof wanted, "%s", cases[i].word);
        EXPECT(status == PLX_ERROR_INPUT && strstr(plx_error(), wanted) && strstr(plx_error(), "bad.tsv"),
               "case %zu: status %d, %s", i, status, status ? plx_error() : "");
    }
    plx_file_write(path, "id\tname\n", 8);
    EXPECT(plx_catalogue_load(&catalogue, path) == PLX_ERROR_INPUT, "no columns");
    plx_file_write(path, "", 0);
    EXPECT(plx_catalogue_load(&catalogue, path) == PLX_ERROR_INPUT, "an empty file");
    EXPECT(plx_catalogue_load(&catalogue, "no/such/file") == PLX_ERROR_IO, "a missing file");
    plx_file_write(path, "abc", 3);
    plx_catalogue_load(&catalogue, path); /* fails; the hash is of the bytes */
}

TEST(catalogue, hash_is_sha256) {
    char path[512], command[600], line[80] = "";
    plx_catalogue catalogue;
    snprintf(path, sizeof path, "%s/objects.tsv", small_set());
    REQUIRE(plx_catalogue_load(&catalogue, path) == 0, "%s", plx_error());
    snprintf(command, sizeof command, "sha256sum %s", path);
    FILE *pipe = popen(command, "r");
    if (pipe && !fgets(line, 65, pipe)) line[0] = 0;
    if (pipe) pclose(pipe);
    EXPECT(strcmp(line, catalogue.hash) == 0, "%s, sha256sum says %s", catalogue.hash, line);
    plx_catalogue_free(&catalogue);
}

/* ---- cameras ------------------------------------------------------------------------------------------------------- */

TEST(catalogue, default_cameras) {
    float low = 90, high = -90, mean_sine = 0;
    int quadrants[4] = {0};
    enum { VIEWS = 2000 };
    for (int i = 0; i < VIEWS; i++) {
        plx_camera camera = plx_default_camera(1, "chair", i, 64),
                   again = plx_default_camera(1, "chair", i, 64);
        EXPECT(memcmp(&camera, &again, sizeof camera) == 0, "view %d differs", i);
        float p[3], elevation = plx_camera_elevation(&camera);
        plx_camera_position(&camera, p);
        float distance = sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
        EXPECT(fabsf(distance - PLX_DEFAULT_DISTANCE) < 1e-5f, "distance %g",
               (double)distance); /* float rounding */
        low = fminf(low, elevation / DEGREE);
        high = fmaxf(high, elevation / DEGREE);
        mean_sine += sinf(elevation) / VIEWS;
        quadrants[(int)floorf((plx_camera_azimuth(&camera) / DEGREE + 180) / 90) & 3]++;
    }
    EXPECT(low > -3.01f && low < -2 && high < 60.01f && high > 58, "elevations %g to %g", (double)low,
           (double)high);
    /* The sine is uniform: mean (sin 60 - sin 3) / 2 = 0.407, deviation 0.265 / sqrt(2000) = 0.006; 4 of them. */
    EXPECT(fabsf(mean_sine - 0.4068f) < 0.024f, "mean sine %g", (double)mean_sine);
    for (int q = 0; q < 4; q++) /* 500 expected, deviation 19; 4 of them */
        EXPECT(abs(quadrants[q] - 500) < 77, "quadrant %d: %d views", q, quadrants[q]);
    plx_camera a = plx_default_camera(1, "chair", 0, 64), b = plx_default_camera(2, "chair", 0, 64),
               c = plx_default_camera(1, "table", 0, 64);
    EXPECT(memcmp(&a, &b, sizeof a) != 0 && memcmp(&a, &c, sizeof a) != 0, "seed or id makes no difference");
    EXPECT(fabsf(plx_default_camera(1, "chair", 0, 128).fy - 131.25f) < 1e-2f,
           "focal length"); /* 51.98 degrees */
}

TEST(catalogue, srn_cameras) {
    float before = -1;
    for (int i = 0; i < 251; i++) {
        plx_camera camera = plx_srn_spiral_camera(i, 251, 128);
        float elevation = plx_camera_elevation(&camera) / DEGREE;
        /* Evenly from the horizon to the pole; float rounding near the pole is about 1e-2 degrees. */
        EXPECT(fabsf(elevation - 90.0f * (float)i / 250) < 0.02f, "view %d at %g degrees", i,
               (double)elevation);
        EXPECT(elevation > before, "view %d is not above the one before", i);
        before = elevation;
    }
    int below = 0;
    for (int i = 0; i < 1000; i++) {
        plx_camera camera = plx_srn_random_camera(1, "chair", i, 128);
        below += plx_camera_elevation(&camera) < 0;
    }
    EXPECT(abs(below - 500) < 64, "%d of 1000 from below", below); /* the whole sphere; 4 deviations of 16 */
}

/* ---- objects ------------------------------------------------------------------------------------------------------- */

TEST(catalogue, scenes_and_variants) {
    plx_catalogue catalogue;
    REQUIRE(load_small(&catalogue) == 0, "%s", plx_error());
    for (int variant = 0; variant < 3; variant++) {
        plx_scene *scene;
        REQUIRE(plx_object_scene(&scene, &catalogue.objects[0], small_set(), variant) == 0, "%s",
                plx_error());
        plx_mesh_info info = plx_mesh_describe(plx_scene_mesh(scene));
        float diagonal = 0;
        for (int i = 0; i < 3; i++) {
            float side = info.box_max[i] - info.box_min[i];
            diagonal += side * side;
            EXPECT(fabsf(info.box_max[i] + info.box_min[i]) < 1e-5f, "variant %d is off centre", variant);
        }
        EXPECT(fabsf(diagonal - 1) < 1e-5f, "variant %d: diagonal %g", variant, (double)sqrtf(diagonal));
        plx_scene_free(scene);
        plx_light light = plx_object_light(&catalogue.objects[0], variant), plain = plx_light_default();
        EXPECT((memcmp(&light, &plain, sizeof light) == 0) == (variant == 0), "light of variant %d", variant);
    }
    plx_object gone = catalogue.objects[0];
    gone.file = "gone.obj";
    plx_scene *scene;
    EXPECT(plx_object_scene(&scene, &gone, small_set(), 0) < 0 && strstr(plx_error(), "gone.obj"), "%s",
           plx_error());
    plx_catalogue_free(&catalogue);
}

/* A stretched drawing of the plain mesh is the drawing of the scaled mesh. The tetrahedron's faces are slanted and meet in
 * creases, so that nothing is smoothed and only rounding differs. */
TEST(catalogue, stretch_is_scale) {
    static const float corners[] = {-.5f, -.6f, -.4f, .7f, -.3f, -.2f, -.1f, .6f, -.3f, .1f, .05f, .7f};
    static const uint32_t faces[] = {0, 2, 1, 0, 1, 3, 1, 2, 3, 2, 0, 3};
    static const float stretch[3] = {0.6f, 0.9f, 1.3f};
    plx_mesh_options plain = plx_mesh_options_default(), scaled;
    plain.up = 'z';
    plain.normalise = false;
    scaled = plain;
    memcpy(scaled.scale, stretch, sizeof stretch);
    plx_mesh *a, *b;
    plx_scene *first, *second;
    REQUIRE(plx_mesh_from_arrays(&a, 4, corners, NULL, 4, faces, &plain) == 0, "%s", plx_error());
    REQUIRE(plx_mesh_from_arrays(&b, 4, corners, NULL, 4, faces, &scaled) == 0, "%s", plx_error());
    REQUIRE(plx_scene_create(&first, a) == 0 && plx_scene_create(&second, b) == 0, "%s", plx_error());
    plx_draw_options options = plx_draw_options_default();
    options.depth = options.normal = true;
    plx_view one = {.camera = plx_camera_orbit(0.7f, 0.4f, 2.5f, 0.8f, 48, 48)}, two = one;
    plx_scene_draw(second, &two, &options);
    memcpy(options.stretch, stretch, sizeof stretch);
    plx_scene_draw(first, &one, &options);
    int hits = 0, off = 0;
    for (int i = 0; i < 48 * 48; i++) {
        hits += two.depth.data[2 * i] > 0;
        bool same = true;
        for (int c = 0; c < 2; c++)
            same = same && fabsf(one.depth.data[2 * i + c] - two.depth.data[2 * i + c]) < 1e-4f;
        for (int c = 0; c < 3; c++) /* normals are kept in 2 x 16 bits */
            same = same && fabsf(one.normal.data[3 * i + c] - two.normal.data[3 * i + c]) < 1e-3f;
        for (int c = 0; c < 4; c++)
            same = same && fabsf(one.colour.data[4 * i + c] - two.colour.data[4 * i + c]) < 0.01f;
        off += !same;
    }
    EXPECT(hits > 200, "%d hits", hits);
    EXPECT(off <= 4, "%d of 2304 pixels differ", off); /* rays that graze an edge */
    free_view(&one);
    free_view(&two);
    plx_scene_free(first);
    plx_scene_free(second);
}

TEST(catalogue, protocol) {
    plx_catalogue catalogue;
    REQUIRE(load_small(&catalogue) == 0, "%s", plx_error());
    plx_views a, b;
    REQUIRE(plx_protocol_views(&a, &catalogue.objects[2], small_set(), 24) == 0, "%s", plx_error());
    REQUIRE(plx_protocol_views(&b, &catalogue.objects[2], small_set(), 24) == 0, "%s", plx_error());
    EXPECT(a.count == 9 && a.has_alpha && !strcmp(a.name, "high"), "%d views of %s", a.count, a.name);
    for (int i = 0; i < a.count; i++) {
        plx_camera wanted = plx_default_camera(1, "high", i, 24);
        EXPECT(memcmp(&wanted, &a.views[i].camera, sizeof wanted) == 0, "camera %d", i);
        EXPECT(image_difference(&a.views[i].colour, &b.views[i].colour) == 0, "view %d is not repeated", i);
    }
    plx_views_free(&a);
    plx_views_free(&b);
    plx_catalogue_free(&catalogue);
}

/* ---- training samples ---------------------------------------------------------------------------------------------- */

static plx_training_set *open_small(plx_catalogue *catalogue) {
    plx_training_set *set;
    if (load_small(catalogue) || plx_training_set_open(&set, catalogue, PLX_TRAIN, small_set(), NULL, NULL)) {
        printf("    %s\n", plx_error());
        return NULL;
    }
    return set;
}

/* All augmentations off. */
static plx_sample_options plain_options(void) {
    plx_sample_options options = plx_sample_options_default();
    options.mirror = options.recolour = options.framing = options.far_targets = false;
    options.variants = 1;
    return options;
}

typedef struct sampler {
    const plx_training_set *set;
    plx_views views;
    int index, status;
} sampler;

static void *run_sampler(void *user) {
    sampler *s = user;
    plx_sample_options options = plx_sample_options_default();
    options.seed = 7;
    options.step = 3;
    s->status = plx_training_sample(s->set, &options, &s->views, &s->index);
    return NULL;
}

TEST(training, function_of_seed_step_item) {
    plx_catalogue catalogue;
    plx_training_set *set = open_small(&catalogue);
    REQUIRE(set, "no set");
    EXPECT(plx_training_set_count(set) == 3, "%d objects",
           plx_training_set_count(set)); /* flat and test are out */
    sampler s[3] = {{.set = set}, {.set = set}, {.set = set}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, run_sampler, &s[i]);
    run_sampler(&s[2]);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) {
        REQUIRE(s[i].status == 0 && s[i].views.count == 5, "%d views", s[i].views.count);
        EXPECT(s[i].index == s[0].index, "objects %d, %d", s[i].index, s[0].index);
        for (int k = 0; k < 5; k++) {
            const plx_view *view = &s[i].views.views[k], *first = &s[0].views.views[k];
            EXPECT(memcmp(&view->camera, &first->camera, sizeof view->camera) == 0, "camera %d", k);
            EXPECT(image_difference(&view->colour, &first->colour) == 0, "colour %d", k);
            EXPECT(image_difference(&view->depth, &first->depth) == 0, "depth %d", k);
            EXPECT(!view->normal.data == (k > 0), "normals of view %d", k);
        }
    }
    plx_sample_options options = plx_sample_options_default();
    options.seed = 7;
    options.step = 3;
    options.item = 1;
    plx_views other;
    int index;
    REQUIRE(plx_training_sample(set, &options, &other, &index) == 0, "%s", plx_error());
    EXPECT(memcmp(&other.views[0].camera, &s[0].views.views[0].camera, sizeof(plx_camera)) != 0,
           "items are equal");
    plx_views_free(&other);
    for (int i = 0; i < 3; i++) plx_views_free(&s[i].views);
    plx_training_set_free(set);
    plx_catalogue_free(&catalogue);
}

/* The reflected object, made as a mesh of its own (the OBJ's x becomes y, its sign is turned), drawn by the sample's cameras,
 * is the mirrored sample. */
TEST(training, mirror_is_exact) {
    plx_catalogue catalogue;
    plx_training_set *set = open_small(&catalogue);
    REQUIRE(set, "no set");
    plx_sample_options options = plain_options();
    options.mirror = options.framing = true;
    options.size = 40;
    int mirrored = 0, plain = 0;
    for (options.item = 0; options.item < 8; options.item++) {
        plx_views views;
        int index;
        REQUIRE(plx_training_sample(set, &options, &views, &index) == 0, "%s", plx_error());
        plx_mesh_options reflected = plx_mesh_options_default();
        reflected.rotation[0] = -1; /* the file's x is the world's y */
        char path[512];
        snprintf(path, sizeof path, "%s/%s", small_set(), plx_training_set_object(set, index)->file);
        plx_mesh *mesh;
        plx_scene *as_is, *mirror;
        REQUIRE(plx_mesh_load(&mesh, path, &reflected) == 0, "%s", plx_error());
        REQUIRE(plx_scene_create(&mirror, mesh) == 0, "%s", plx_error());
        REQUIRE(plx_object_scene(&as_is, plx_training_set_object(set, index), small_set(), 0) == 0, "%s",
                plx_error());
        plx_draw_options draw = plx_draw_options_default();
        draw.depth = draw.normal = true;
        int match[2] = {0, 0};
        for (int k = 0; k < views.count; k++)
            for (int which = 0; which < 2; which++) {
                plx_view view = {.camera = views.views[k].camera};
                draw.light = plx_light_default();
                if (which) draw.light.key_direction[1] *= -1; /* the light is reflected with the object */
                plx_scene_draw(which ? mirror : as_is, &view, &draw);
                /* Rounding may move a ray over an edge: one of 9 samples at a few pixels, a whole depth at one or two. */
                int off = 0;
                for (int i = 0; i < 40 * 40; i++) {
                    bool same = fabsf(view.depth.data[2 * i] - views.views[k].depth.data[2 * i]) < 1e-4f;
                    for (int c = 0; c < 4; c++)
                        same = same && fabsf(view.colour.data[4 * i + c] -
                                             views.views[k].colour.data[4 * i + c]) < 0.01f;
                    for (int c = 0; c < 3 && k == 0; c++)
                        same = same && fabsf(view.normal.data[3 * i + c] -
                                             views.views[k].normal.data[3 * i + c]) < 1e-3f;
                    off += !same;
                }
                match[which] += off <= 6;
                free_view(&view);
            }
        EXPECT((match[0] == views.count) != (match[1] == views.count),
               "item %d: %d plain and %d mirrored views of %d match", options.item, match[0], match[1],
               views.count);
        mirrored += match[1] == views.count;
        plain += match[0] == views.count;
        plx_scene_free(as_is);
        plx_scene_free(mirror);
        plx_views_free(&views);
    }
    EXPECT(mirrored > 0 && plain > 0, "%d mirrored, %d plain", mirrored, plain);
    plx_training_set_free(set);
    plx_catalogue_free(&catalogue);
}

/* The same for a camera whose centre is not the image's: drawing the reflected scene with it is drawing the scene with the
 * reflected camera. The half turn about z maps y to -y and x to -x: a scene that is its own mirror image in x shows it. */
TEST(training, mirror_off_centre) {
    static const float corners[] = {-.3f, -.2f, -.2f, .3f, -.2f, -.2f, 0,  .35f,
                                    0,    -.3f, -.1f, .4f, .3f,  -.1f, .4f};
    static const uint32_t faces[] = {0, 1, 2, 0, 3, 2, 1, 4, 2, 3, 4, 2};
    plx_mesh_options options = plx_mesh_options_default();
    options.up = 'z';
    options.normalise = false;
    plx_mesh *mesh;
    plx_scene *scene;
    REQUIRE(plx_mesh_from_arrays(&mesh, 5, corners, NULL, 4, faces, &options) == 0, "%s", plx_error());
    REQUIRE(plx_scene_create(&scene, mesh) == 0, "%s", plx_error());
    plx_draw_options draw = plx_draw_options_default();
    draw.depth = true;
    draw.colour = false;
    plx_view mirrored = {.camera = plx_camera_orbit(0.4f, 0.3f, 1.3f, 0.9f, 40, 40)};
    mirrored.camera.cx += 5.25f;
    plx_view turned =
        mirrored; /* the mirrored scene is the scene turned by half a turn: so turn the camera */
    for (int i = 0; i < 8; i++) turned.camera.c2w[i] = -turned.camera.c2w[i];
    REQUIRE(plx_draw_mirrored(scene, &mirrored, &draw, true) == 0, "%s", plx_error());
    REQUIRE(plx_scene_draw(scene, &turned, &draw) == 0, "%s", plx_error());
    int hits = 0, off = 0;
    for (int i = 0; i < 40 * 40; i++) {
        hits += turned.depth.data[2 * i] > 0;
        off += fabsf(turned.depth.data[2 * i] - mirrored.depth.data[2 * i]) > 1e-4f;
    }
    EXPECT(hits > 100 && off <= 4, "%d of %d pixels differ", off, hits); /* rays that graze an edge */
    free_view(&mirrored);
    free_view(&turned);
    plx_scene_free(scene);
}

/* The sides of the box of all first hits, over many views. */
static void measure_box(const plx_training_set *set, int item, int variants, double side[3]) {
    plx_sample_options options = plain_options();
    double low[3] = {9, 9, 9}, high[3] = {-9, -9, -9};
    options.item = item;
    options.variants = variants;
    options.size = 64;
    options.targets = 12;
    options.samples = 1;
    plx_views views;
    if (plx_training_sample(set, &options, &views, NULL)) return;
    for (int k = 0; k < views.count; k++)
        for (int i = 0; i < 64 * 64; i++) {
            float o[3], d[3], t = views.views[k].depth.data[2 * i];
            plx_camera_ray(&views.views[k].camera, (float)(i % 64) + 0.5f, (float)(i / 64) + 0.5f, o, d);
            for (int c = 0; c < 3 && t > 0; c++) {
                low[c] = fmin(low[c], (double)(o[c] + t * d[c]));
                high[c] = fmax(high[c], (double)(o[c] + t * d[c]));
            }
        }
    plx_views_free(&views);
    for (int c = 0; c < 3; c++) side[c] = high[c] - low[c];
}

/* A variant's box is the object's own, scaled by the variant's factors and brought back to the diagonal 1. */
TEST(training, variants_are_scaled) {
    plx_catalogue catalogue;
    plx_training_set *set = open_small(&catalogue);
    REQUIRE(set, "no set");
    int scaled = 0;
    for (int item = 0; item < 4; item++) {
        plx_sample_options options = plain_options();
        options.item = item;
        plx_views views;
        int index;
        REQUIRE(plx_training_sample(set, &options, &views, &index) == 0, "%s", plx_error());
        plx_views_free(&views);
        double plain[3] = {0}, side[3] = {0}, best = 1, diagonal = 0;
        measure_box(set, item, 1, plain);
        measure_box(set, item, 8, side);
        for (int variant = 0; variant < 8; variant++) {
            float scale[3];
            double wanted[3], n = 0, worst = 0;
            plx_object_scale(plx_training_set_object(set, index), variant, scale);
            for (int c = 0; c < 3; c++) wanted[c] = plain[c] * (double)scale[c], n += wanted[c] * wanted[c];
            for (int c = 0; c < 3; c++) worst = fmax(worst, fabs(wanted[c] / sqrt(n) - side[c]));
            if (worst < best) best = worst, scaled += variant > 0;
        }
        for (int c = 0; c < 3; c++) diagonal += side[c] * side[c];
        /* Sides are found within a pixel at either end: 0.02 each. */
        EXPECT(best < 0.05, "item %d: %g %g %g is no variant's box", item, side[0], side[1], side[2]);
        EXPECT(fabs(sqrt(diagonal) - 1) < 0.05, "item %d: diagonal %g", item, sqrt(diagonal));
        double change = 0;
        for (int c = 0; c < 3; c++) change = fmax(change, fabs(plain[c] - side[c]));
        scaled += 100 * (change > 0.06);
    }
    EXPECT(scaled >= 200, "variants do not differ from the object"); /* 7 of 8 are scaled */
    plx_training_set_free(set);
    plx_catalogue_free(&catalogue);
}

/* Recolouring is one map of colours for the input and all targets, and leaves opacity and geometry alone. */
TEST(training, recolour_is_the_same_for_all_views) {
    plx_catalogue catalogue;
    plx_training_set *set = open_small(&catalogue);
    REQUIRE(set, "no set");
    int permuted = 0;
    plx_sample_options options = plain_options();
    for (options.item = 0; options.item < 12; options.item++) {
        plx_views plain, coloured;
        options.recolour = false;
        REQUIRE(plx_training_sample(set, &options, &plain, NULL) == 0, "%s", plx_error());
        options.recolour = true;
        REQUIRE(plx_training_sample(set, &options, &coloured, NULL) == 0, "%s", plx_error());
        /* Which channel each output follows, and by what factor, from the first view alone. */
        int from[3] = {-1, -1, -1};
        float gain[3] = {0};
        for (int c = 0; c < 3; c++)
            for (int f = 0; f < 3 && from[c] < 0; f++) {
                float low = INFINITY, high = 0;
                const plx_image *a = &plain.views[0].colour, *b = &coloured.views[0].colour;
                for (int i = 0; i < 32 * 32; i++)
                    if (a->data[4 * i + 3] > 0 && b->data[4 * i + c] < 0.995f) {
                        float ratio = b->data[4 * i + c] / a->data[4 * i + f];
                        low = fminf(low, ratio), high = fmaxf(high, ratio);
                    }
                if (high - low < 1e-4f * high) from[c] = f, gain[c] = high;
            }
        EXPECT(from[0] >= 0 && from[1] >= 0 && from[2] >= 0, "item %d: no permutation found", options.item);
        permuted += from[0] != 0 || from[1] != 1 || from[2] != 2;
        for (int k = 0; k < plain.count && from[0] >= 0 && from[1] >= 0 && from[2] >= 0; k++) {
            const plx_image *a = &plain.views[k].colour, *b = &coloured.views[k].colour;
            double worst = 0;
            for (int i = 0; i < 32 * 32; i++) {
                worst = fmax(worst, fabs((double)(a->data[4 * i + 3] - b->data[4 * i + 3])));
                for (int c = 0; c < 3; c++) {
                    float wanted = fminf(a->data[4 * i + from[c]] * gain[c], 254.0f / 255);
                    worst = fmax(worst, fabs((double)(wanted - b->data[4 * i + c])));
                }
            }
            EXPECT(worst < 1e-4, "item %d, view %d: off by %g", options.item, k,
                   worst); /* the gain was measured */
            EXPECT(image_difference(&plain.views[k].depth, &coloured.views[k].depth) == 0, "depth changed");
        }
        plx_views_free(&plain);
        plx_views_free(&coloured);
    }
    EXPECT(permuted > 0, "no sample of 12 was permuted"); /* 5 of 12 expected; none: 0.2 % */
    plx_training_set_free(set);
    plx_catalogue_free(&catalogue);
}

TEST(training, framing_and_gaps) {
    plx_catalogue catalogue;
    plx_training_set *set = open_small(&catalogue);
    REQUIRE(set, "no set");
    plx_sample_options options = plx_sample_options_default();
    options.size = 64;
    int far = 0, total = 0;
    float least = 1, most = 0;
    for (options.item = 0; options.item < 40; options.item++) {
        plx_views views;
        REQUIRE(plx_training_sample(set, &options, &views, NULL) == 0, "%s", plx_error());
        const plx_view *input = &views.views[0];
        int left = 64, right = 0, top = 64, bottom = 0;
        for (int i = 0; i < 64 * 64; i++)
            if (input->colour.data[4 * i + 3] > 0.05f) {
                left = i % 64 < left ? i % 64 : left, right = i % 64 >= right ? i % 64 + 1 : right;
                top = i / 64 < top ? i / 64 : top, bottom = i / 64 >= bottom ? i / 64 + 1 : bottom;
            }
        float longer = fmaxf((float)(right - left), (float)(bottom - top)) / 64;
        least = fminf(least, longer), most = fmaxf(most, longer);
        /* The box is found at 48 pixels (2 %) and a turn changes it a little: 5 % in all. */
        EXPECT(longer > 0.40f && longer < 0.95f, "item %d covers %g of the frame", options.item,
               (double)longer);
        float off =
            fmaxf(fabsf((float)(left + right) / 128 - 0.5f), fabsf((float)(top + bottom) / 128 - 0.5f));
        EXPECT(off < 0.08f + 0.04f, "item %d is off by %g", options.item, (double)off);
        EXPECT(plx_camera_valid(&input->camera, 1e-5f), "the camera is no pose");
        for (int k = 1; k < views.count; k++) {
            float gap =
                fabsf(plx_camera_azimuth(&views.views[k].camera) - plx_camera_azimuth(&input->camera)) /
                DEGREE;
            if (gap > 180) gap = 360 - gap;
            far += gap > 60;
            total++;
        }
        plx_views_free(&views);
    }
    EXPECT(least < 0.55f && most > 0.8f, "coverage from %g to %g", (double)least, (double)most);
    EXPECT(far * 2 == total, "%d of %d targets are far", far, total); /* exactly: they take turns */
    plx_training_set_free(set);
    plx_catalogue_free(&catalogue);
}

/* With every augmentation on, the input's depth gives world points that each target must show: inside its silhouette and not
 * in front of its first surface. */
TEST(training, points_agree_between_views) {
    plx_catalogue catalogue;
    plx_training_set *set = open_small(&catalogue);
    REQUIRE(set, "no set");
    plx_sample_options options = plx_sample_options_default();
    options.size = 48;
    for (options.item = 0; options.item < 12; options.item++) {
        plx_views views;
        REQUIRE(plx_training_sample(set, &options, &views, NULL) == 0, "%s", plx_error());
        const plx_view *input = &views.views[0];
        int points = 0, outside = 0, before = 0;
        for (int i = 0; i < 48 * 48; i++) {
            float o[3], d[3], p[3], x, y, z;
            if (!(input->depth.data[2 * i] > 0)) continue;
            plx_camera_ray(&input->camera, (float)(i % 48) + 0.5f, (float)(i / 48) + 0.5f, o, d);
            for (int c = 0; c < 3; c++) p[c] = o[c] + input->depth.data[2 * i] * d[c];
            for (int k = 1; k < views.count; k++) {
                const plx_view *view = &views.views[k];
                float eye[3], distance = 0, least = 0;
                bool inside = false;
                plx_camera_position(&view->camera, eye);
                for (int c = 0; c < 3; c++) distance += (p[c] - eye[c]) * (p[c] - eye[c]);
                plx_camera_project(&view->camera, p, &x, &y, &z);
                for (int row = (int)y - 1; row <= (int)y + 1; row++) /* the pixel or a neighbour */
                    for (int column = (int)x - 1; column <= (int)x + 1; column++) {
                        float first = view->depth.data[2 * (row * 48 + column)];
                        inside = inside || view->colour.data[4 * (row * 48 + column) + 3] > 0;
                        if (first > 0 && (least == 0 || first < least)) least = first;
                    }
                points++;
                outside += !inside;
                before +=
                    least > 0 && sqrtf(distance) < least - 0.02f; /* a pixel is 0.03 wide at the object */
            }
        }
        EXPECT(points > 500, "%d points", points);
        EXPECT(outside == 0, "item %d: %d of %d points are outside a silhouette", options.item, outside,
               points);
        /* On surfaces seen edge-on the depth changes by more than 0.02 within a pixel. */
        EXPECT(before * 50 < points, "item %d: %d of %d points are before the first surface", options.item,
               before, points);
        plx_views_free(&views);
    }
    plx_training_set_free(set);
    plx_catalogue_free(&catalogue);
}

/* Groups of a class are equally likely, whatever their number of objects: low and mid are one group. */
TEST(training, groups_are_weighted) {
    plx_catalogue catalogue;
    plx_training_set *set = open_small(&catalogue);
    REQUIRE(set, "no set");
    plx_sample_options options = plain_options();
    options.size = 4;
    options.targets = 0;
    options.samples = 1;
    int high = 0;
    for (options.item = 0; options.item < 1000; options.item++) {
        plx_views views;
        int index;
        REQUIRE(plx_training_sample(set, &options, &views, &index) == 0, "%s", plx_error());
        high += !strcmp(plx_training_set_object(set, index)->id, "high");
        plx_views_free(&views);
    }
    EXPECT(abs(high - 500) < 64, "%d of 1000", high); /* two groups of one class each; 4 deviations of 16 */
    plx_training_set_free(set);
    plx_catalogue_free(&catalogue);
}

TEST(training, bad_input) {
    plx_catalogue catalogue;
    plx_training_set *set;
    REQUIRE(load_small(&catalogue) == 0, "%s", plx_error());
    EXPECT(plx_training_set_open(&set, &catalogue, PLX_VALIDATION, small_set(), NULL, NULL) ==
               PLX_ERROR_INPUT,
           "a split without objects");
    EXPECT(plx_training_set_open(&set, &catalogue, PLX_TRAIN, "/nowhere", NULL, NULL) < 0 && !set,
           "no data folder");
    EXPECT(strstr(plx_error(), "/nowhere"), "%s", plx_error());
    plx_catalogue_free(&catalogue);
}
