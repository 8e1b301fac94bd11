/* Training samples: what is drawn, and that all augmentations leave views consistent. */
#include <pthread.h>

#include "datasets/draw.h"
#include "datasets/reader.h"
#include "tests/small_set.h"

#define DEGREE 0.017453293f

static const plx_selection all = {PLX_TRAIN, PLX_ALL_FOLDS, 0};

static plx_training_set *open_small(plx_catalogue *catalogue) {
    plx_training_set *set;
    if (load_small(catalogue) || plx_training_set_open(&set, catalogue, &all, small_set(), NULL, NULL)) {
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

/* The two halves: no object in both or in neither, no group in both, and of the same objects again the same. */
TEST(training, folds_are_disjoint_and_cover_all) {
    plx_catalogue catalogue;
    REQUIRE(plx_catalogue_load(&catalogue, "datasets/objects.tsv") == 0, "%s", plx_error());
    int *indices = malloc(sizeof *indices * (size_t)catalogue.count * 3), *half[2] = {indices, NULL};
    REQUIRE(indices, "no memory");
    int *whole = indices + 2 * catalogue.count, count[2];
    half[1] = indices + catalogue.count;
    int total = plx_catalogue_select(&catalogue, &all, whole);
    for (int h = 0; h < 2; h++)
        count[h] = plx_catalogue_select(&catalogue, &(plx_selection){PLX_TRAIN, h, 0}, half[h]);
    EXPECT(count[0] + count[1] == total, "%d and %d of %d objects", count[0], count[1], total);
    EXPECT(abs(count[0] - count[1]) < total / 5, "%d against %d objects", count[0], count[1]);
    for (int i = 0, at[2] = {0, 0}; i < total; i++) { /* all ascend */
        int h = at[0] < count[0] && half[0][at[0]] == whole[i] ? 0 : 1;
        EXPECT(at[h] < count[h] && half[h][at[h]] == whole[i], "object %d is in neither half", whole[i]);
        at[h]++;
    }
    const char *torn = NULL;
    for (int i = 0; i < count[0] && !torn; i++)
        for (int j = 0; j < count[1]; j++)
            if (!strcmp(catalogue.objects[half[0][i]].group, catalogue.objects[half[1][j]].group))
                torn = catalogue.objects[half[0][i]].group;
    EXPECT(!torn, "group %s is in both halves", torn);
    /* The function itself stays: models on disk are of these halves. */
    EXPECT(plx_fold_of("Scopia-door") == 0 && plx_fold_of("Scopia-bar_table") == 1,
           "the halves have changed");
    const plx_selection few = {PLX_TRAIN, 1, 5};
    EXPECT(plx_catalogue_select(&catalogue, &few, half[0]) == 5 && !memcmp(half[0], half[1], 5 * sizeof(int)),
           "a limit takes the first");
    free(indices);
    plx_catalogue_free(&catalogue);
}

TEST(training, bad_input) {
    plx_catalogue catalogue;
    plx_training_set *set;
    REQUIRE(load_small(&catalogue) == 0, "%s", plx_error());
    const plx_selection none = {PLX_VALIDATION, PLX_ALL_FOLDS, 0};
    EXPECT(plx_training_set_open(&set, &catalogue, &none, small_set(), NULL, NULL) == PLX_ERROR_INPUT,
           "a split without objects");
    EXPECT(plx_training_set_open(&set, &catalogue, &all, "/nowhere", NULL, NULL) < 0 && !set,
           "no data folder");
    EXPECT(strstr(plx_error(), "/nowhere"), "%s", plx_error());
    plx_catalogue_free(&catalogue);
}
