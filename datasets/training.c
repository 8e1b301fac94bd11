/* Training samples drawn live from meshes: which object, which cameras, which augmentations (nerfdiff.md, items 7, 8). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/draw.h"
#include "datasets/reader.h"
#include "nerf/core/error.h"
#include "nerf/core/rng.h"

typedef struct item {
    const plx_object *object;
    plx_scene *scene;
} item;

struct plx_training_set {
    int count, groups;
    item *items;        /* (count) ordered by group */
    int *group_start;   /* (groups + 1) into items */
    double *cumulative; /* (groups) probability of this group or one before it */
};

static int compare_items(const void *a, const void *b) {
    const plx_object *x = ((const item *)a)->object, *y = ((const item *)b)->object;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->id, y->id);
}

/* A group of the class c is drawn with weight 1 / sqrt(number of groups of c): a class then has the weight sqrt(number).
 * A group's class is its first object's. */
static int weigh_groups(plx_training_set *set) {
    set->group_start = malloc(((size_t)set->count + 1) * sizeof *set->group_start);
    set->cumulative = malloc((size_t)set->count * sizeof *set->cumulative);
    if (!set->group_start || !set->cumulative)
        return plx_fail(PLX_ERROR_MEMORY, "training set: out of memory");
    for (int i = 0; i < set->count; i++)
        if (i == 0 || strcmp(set->items[i].object->group, set->items[i - 1].object->group) != 0)
            set->group_start[set->groups++] = i;
    set->group_start[set->groups] = set->count;
    double total = 0;
    for (int g = 0; g < set->groups; g++) {
        const char *class_name = set->items[set->group_start[g]].object->class_name;
        int same = 0;
        for (int h = 0; h < set->groups; h++)
            same += strcmp(class_name, set->items[set->group_start[h]].object->class_name) == 0;
        total += 1 / sqrt(same);
        set->cumulative[g] = total;
    }
    for (int g = 0; g < set->groups; g++) set->cumulative[g] /= total;
    return PLX_OK;
}

/* Loads all scenes in parallel. The first error's line is carried over from the thread that met it. */
static int load_scenes(plx_training_set *set, const char *data_directory, plx_progress_fn progress,
                       void *user) {
    int status = PLX_OK, done = 0;
    char line[1024] = "";
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < set->count; i++) {
        int stop;
#pragma omp atomic read
        stop = status;
        if (stop) continue;
        int result = plx_object_scene(&set->items[i].scene, set->items[i].object, data_directory, 0);
#pragma omp critical(plx_load_scenes)
        {
            if (!result && plx_progress_report(progress, user, "load", ++done, set->count, NULL))
                result = plx_fail(PLX_ERROR_CANCELLED, "stopped");
            if (result && !status) {
                snprintf(line, sizeof line, "%s", plx_error());
#pragma omp atomic write
                status = result;
            }
        }
    }
    return status ? plx_fail(status, "%s", line) : PLX_OK;
}

static int select_items(plx_training_set *set, const plx_catalogue *catalogue,
                        const plx_selection *selection) {
    int *indices = malloc(((size_t)catalogue->count + 1) * sizeof *indices);
    set->items = calloc((size_t)catalogue->count + 1, sizeof *set->items);
    int status = indices && set->items ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "training set: out of memory");
    if (!status) set->count = plx_catalogue_select(catalogue, selection, indices);
    for (int i = 0; i < set->count; i++) set->items[i].object = &catalogue->objects[indices[i]];
    free(indices);
    if (!status && !set->count)
        status = plx_fail(PLX_ERROR_INPUT, "the catalogue holds no objects for training in %sthe split %s",
                          selection->fold == PLX_ALL_FOLDS ? ""
                          : selection->fold                ? "half 1 of "
                                                           : "half 0 of ",
                          plx_split_name(selection->split));
    if (!status) qsort(set->items, (size_t)set->count, sizeof *set->items, compare_items);
    return status;
}

int plx_training_set_open(plx_training_set **out, const plx_catalogue *catalogue,
                          const plx_selection *selection, const char *data_directory,
                          plx_progress_fn progress, void *user) {
    *out = NULL;
    plx_training_set *set = calloc(1, sizeof *set);
    int status = set ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "training set: out of memory");
    if (!status) status = select_items(set, catalogue, selection);
    if (!status) status = weigh_groups(set);
    if (!status) status = load_scenes(set, data_directory, progress, user);
    if (status)
        plx_training_set_free(set);
    else
        *out = set;
    return status;
}

void plx_training_set_free(plx_training_set *set) {
    if (!set) return;
    for (int i = 0; set->items && i < set->count; i++) plx_scene_free(set->items[i].scene);
    free(set->items);
    free(set->group_start);
    free(set->cumulative);
    free(set);
}

int plx_training_set_count(const plx_training_set *set) {
    return set->count;
}

const plx_object *plx_training_set_object(const plx_training_set *set, int index) {
    PLX_CHECK(index >= 0 && index < set->count, "training set: object %d of %d", index, set->count);
    return set->items[index].object;
}

plx_sample_options plx_sample_options_default(void) {
    return (plx_sample_options){.size = 32,
                                .targets = 4,
                                .samples = 9,
                                .variants = 8,
                                .mirror = true,
                                .recolour = true,
                                .framing = true,
                                .far_targets = true};
}

/* ---- one sample ---------------------------------------------------------------------------------------------------- */

/* Each choice has its own stream, so that switching one off leaves the others as they were. */
enum { FOR_OBJECT = 1, FOR_VARIANT, FOR_MIRROR, FOR_COLOUR, FOR_INPUT, FOR_FRAMING, FOR_TARGETS };

static int draw_object(const plx_training_set *set, plx_rng rng) {
    double u = plx_rng_uniform(rng, 0);
    int low = 0, high = set->groups - 1;
    while (low < high) { /* the first group whose cumulative probability is above u */
        int middle = (low + high) / 2;
        if (set->cumulative[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    int first = set->group_start[low];
    return first + (int)plx_rng_below(rng, 1, (uint32_t)(set->group_start[low + 1] - first));
}

/* The stretch of a variant, with the box's diagonal brought back to 1. */
static void variant_stretch(const item *of, int variant, float stretch[3]) {
    plx_object_scale(of->object, variant, stretch);
    plx_mesh_info info = plx_mesh_describe(plx_scene_mesh(of->scene));
    float squared = 0;
    for (int i = 0; i < 3; i++) {
        float side = stretch[i] * (info.box_max[i] - info.box_min[i]);
        squared += side * side;
    }
    for (int i = 0; i < 3 && variant; i++) stretch[i] /= sqrtf(squared);
}

/* Default cameras' elevations (nerfdiff.md): the sine uniform from -3 to 60 degrees. */
static plx_camera camera_at(float azimuth, float uniform, int size) {
    const float low = sinf(-3 * (float)M_PI / 180), high = sinf(60 * (float)M_PI / 180);
    return plx_camera_orbit(azimuth, asinf(low + (high - low) * uniform), PLX_DEFAULT_DISTANCE,
                            PLX_DEFAULT_FOV, size, size);
}

/* The azimuth of target k: uniform, or in turns more and less than 60 degrees away from the input's. */
static float target_azimuth(const plx_sample_options *options, plx_rng rng, int k, float input) {
    const float limit = (float)M_PI / 3;
    float u = plx_rng_uniform(rng, 2 * (uint64_t)k);
    if (!options->far_targets) return 2 * (float)M_PI * u;
    bool far = (k + (int)(options->step + (uint64_t)options->item)) % 2 == 0;
    return input + (far ? limit + u * (2 * (float)M_PI - 2 * limit) : (2 * u - 1) * limit);
}

typedef struct recolour {
    int from[3];
    float gain[3];
} recolour;

static recolour draw_recolour(plx_rng rng) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    recolour out = {.from = {0, 1, 2}};
    if (plx_rng_uniform(rng, 0) < 0.5f) memcpy(out.from, orders[plx_rng_below(rng, 1, 6)], sizeof out.from);
    for (int c = 0; c < 3; c++) out.gain[c] = 0.7f + 0.45f * plx_rng_uniform(rng, 2 + (uint64_t)c);
    return out;
}

static void apply_recolour(const recolour *with, plx_image *rgba, float cap) {
    size_t pixels = (size_t)rgba->height * (size_t)rgba->width;
    for (size_t i = 0; i < pixels; i++) {
        float *p = rgba->data + 4 * i, old[3] = {p[0], p[1], p[2]};
        for (int c = 0; c < 3; c++) p[c] = fminf(old[with->from[c]] * with->gain[c], cap);
    }
}

static int sample_views(const item *of, const plx_sample_options *options, plx_rng base, plx_views *out) {
    plx_rng framing = plx_rng_fork(base, FOR_FRAMING), input = plx_rng_fork(base, FOR_INPUT);
    plx_rng targets = plx_rng_fork(base, FOR_TARGETS);
    int variant = (int)plx_rng_below(plx_rng_fork(base, FOR_VARIANT), 0, (uint32_t)options->variants);
    bool mirror = options->mirror && plx_rng_uniform(plx_rng_fork(base, FOR_MIRROR), 0) < 0.5f;
    recolour colour = draw_recolour(plx_rng_fork(base, FOR_COLOUR));

    plx_draw_options draw = plx_draw_options_default();
    draw.samples = options->samples;
    draw.light = plx_object_light(of->object, variant);
    draw.depth = true;
    variant_stretch(of, variant, draw.stretch);

    float azimuth = 2 * (float)M_PI * plx_rng_uniform(input, 0);
    plx_camera camera = camera_at(azimuth, plx_rng_uniform(input, 1), options->size);
    int status = PLX_OK;
    if (options->framing) {
        plx_framing frame = {.coverage = 0.45f + 0.45f * plx_rng_uniform(framing, 0),
                             .offset = {0.16f * plx_rng_uniform(framing, 1) - 0.08f,
                                        0.16f * plx_rng_uniform(framing, 2) - 0.08f}};
        status = plx_frame_camera(&camera, of->scene, &draw, mirror, &frame);
    }
    for (int k = 0; k < out->count && !status; k++) {
        if (k) {
            float a = target_azimuth(options, targets, k - 1, azimuth);
            camera = camera_at(a, plx_rng_uniform(targets, 2 * (uint64_t)(k - 1) + 1), options->size);
        }
        draw.normal = k == 0;
        out->views[k].camera = camera;
        status = plx_draw_mirrored(of->scene, &out->views[k], &draw, mirror);
        if (!status && options->recolour) apply_recolour(&colour, &out->views[k].colour, draw.white_cap);
    }
    return status;
}

int plx_training_sample(const plx_training_set *set, const plx_sample_options *options, plx_views *out,
                        int *object_index) {
    PLX_CHECK(options->size > 0 && options->targets >= 0 && options->variants > 0,
              "training sample: size %d, %d targets, %d variants", options->size, options->targets,
              options->variants);
    plx_rng base = plx_rng_fork((plx_rng){options->seed, 0x73616d706c65 /* "sample" */}, options->step);
    base = plx_rng_fork(base, (uint64_t)options->item);
    int index = draw_object(set, plx_rng_fork(base, FOR_OBJECT));
    if (object_index) *object_index = index;
    int status = plx_views_create(out, 1 + options->targets);
    if (status) return status;
    status = sample_views(&set->items[index], options, base, out);
    if (status) {
        plx_views_free(out);
        return status;
    }
    out->has_alpha = true;
    out->near = PLX_DEFAULT_DISTANCE - PLX_SCENE_RADIUS;
    out->far = PLX_DEFAULT_DISTANCE + PLX_SCENE_RADIUS;
    snprintf(out->name, sizeof out->name, "%s", set->items[index].object->id);
    return PLX_OK;
}
