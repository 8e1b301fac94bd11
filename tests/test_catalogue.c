/* The default object set: catalogue, cameras, objects, protocol. */
#include "tests/small_set.h"

#define DEGREE 0.017453293f

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

/* FlightGear's objects are the GPL's, none of the default set's is: training knows them apart. Two catalogues are one. */
TEST(catalogue, flightgear_and_licences) {
    plx_catalogue alone, both;
    REQUIRE(plx_catalogue_load(&alone, "datasets/flightgear.tsv") == 0, "%s", plx_error());
    REQUIRE(plx_catalogue_load(&both, "datasets/objects.tsv,datasets/flightgear.tsv") == 0, "%s",
            plx_error());
    EXPECT(alone.count > 600 && both.count == 820 + alone.count, "%d, %d objects", alone.count, both.count);
    int unfree = 0, liveries = 0;
    for (int i = 0; i < both.count; i++) {
        unfree += !plx_object_is_free(&both.objects[i]);
        liveries += both.objects[i].textures != NULL;
    }
    EXPECT(unfree == alone.count, "%d objects are not to be given away", unfree);
    EXPECT(liveries > 300, "%d liveries", liveries);
    EXPECT(strcmp(alone.hash, both.hash), "the hashes are equal");
    plx_catalogue_free(&alone);
    plx_catalogue_free(&both);
    EXPECT(plx_catalogue_load(&both, "datasets/objects.tsv,datasets/objects.tsv") == PLX_ERROR_INPUT,
           "twice the same ids");
    static const char *const licences[] = {"CC0-1.0",      "CC-BY-3.0-US",     "CC-BY-4.0", "CC-BY-SA-4.0",
                                           "CC-BY-NC-3.0", "GPL-2.0-or-later", ""};
    for (int i = 0; i < 7; i++)
        EXPECT(plx_object_is_free(&(plx_object){.licence = (char *)licences[i]}) == (i < 3), "%s",
               licences[i]);
}

/* A folder of textures goes before the file's own: an airliner's paint. */
TEST(catalogue, textures_of_a_livery) {
    char path[512], text[1024];
    plx_catalogue catalogue;
    const char *folder = small_set();
    const char colours[2][4] = {"own", "red"};
    for (int i = 0; i < 2; i++) {
        plx_image paint;
        snprintf(path, sizeof path, "%s/paint-%s", folder, colours[i]);
        plx_make_directories(path);
        snprintf(path, sizeof path, "%s/paint-%s/paint.png", folder, colours[i]);
        REQUIRE(plx_image_create(&paint, 2, 2, 3) == 0, "%s", plx_error());
        for (int k = 0; k < 4; k++) paint.data[3 * k + (i ? 0 : 1)] = 0.8f;
        EXPECT(plx_png_save(path, &paint) == 0, "%s", plx_error());
        plx_image_free(&paint);
    }
    snprintf(
        text, sizeof text,
        "mtllib paint.mtl\nusemtl p\nv -1 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n");
    snprintf(path, sizeof path, "%s/paint-own/p.obj", folder);
    plx_file_write(path, text, strlen(text));
    snprintf(text, sizeof text, "newmtl p\nKd 1 1 1\nmap_Kd paint.png\n");
    snprintf(path, sizeof path, "%s/paint-own/paint.mtl", folder);
    plx_file_write(path, text, strlen(text));
    snprintf(text, sizeof text,
             "id\tname\tclass\tfile\tlicence\tcredit\tup\trotation\tgroup\tsplit\ttrain_ok\tnote\ttextures\n"
             "a\tA\tc\tpaint-own/p.obj\tCC0-1.0\tme\ty\t\ta\ttrain\t1\t\t\n"
             "b\tB\tc\tpaint-own/p.obj\tCC0-1.0\tme\ty\t\ta\ttrain\t1\t\tpaint-red\n");
    snprintf(path, sizeof path, "%s/paint.tsv", folder);
    plx_file_write(path, text, strlen(text));
    REQUIRE(plx_catalogue_load(&catalogue, path) == 0, "%s", plx_error());
    for (int i = 0; i < 2; i++) {
        plx_scene *scene;
        REQUIRE(plx_object_scene(&scene, &catalogue.objects[i], folder, 0) == 0, "%s", plx_error());
        plx_view view = {.camera = plx_camera_orbit(0, 0, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 32, 32)};
        EXPECT(plx_scene_draw(scene, &view, NULL) == 0, "%s", plx_error());
        const float *middle = view.colour.data + 4 * (16 * 32 + 16);
        EXPECT(middle[3] > 0.5f && (i ? middle[0] > middle[1] : middle[1] > middle[0]), "object %d: %g %g %g",
               i, (double)middle[0], (double)middle[1], (double)middle[2]);
        plx_image_free(&view.colour);
        plx_scene_free(scene);
    }
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
