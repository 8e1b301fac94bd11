#include "tools/bench_stages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the object: a chair of six boxes --------------------------------------------------------------------------- */

enum { BOXES = 6, CUTS = 14 /* of a box's edge */, FACE_VERTICES = (CUTS + 1) * (CUTS + 1) };
enum { VERTICES = BOXES * 6 * FACE_VERTICES, TRIANGLES = BOXES * 6 * CUTS * CUTS * 2 };

typedef struct box {
    float low[3], high[3], colour[3];
} box;

static const box boxes[BOXES] = {/* x to the front, z up */
                                 {{-0.5f, -0.5f, 0.9f}, {0.5f, 0.5f, 1}, {0.65f, 0.35f, 0.2f}},
                                 {{-0.5f, -0.5f, 1}, {-0.4f, 0.5f, 2.1f}, {0.2f, 0.4f, 0.6f}},
                                 {{-0.5f, -0.5f, 0}, {-0.4f, -0.4f, 0.9f}, {0.3f, 0.3f, 0.3f}},
                                 {{-0.5f, 0.4f, 0}, {-0.4f, 0.5f, 0.9f}, {0.3f, 0.3f, 0.3f}},
                                 {{0.4f, -0.5f, 0}, {0.5f, -0.4f, 0.9f}, {0.3f, 0.3f, 0.3f}},
                                 {{0.4f, 0.4f, 0}, {0.5f, 0.5f, 0.9f}, {0.3f, 0.3f, 0.3f}}};

typedef struct mesh_arrays {
    float positions[3 * VERTICES], colours[4 * VERTICES];
    uint32_t indices[3 * TRIANGLES];
    int vertices, triangles;
} mesh_arrays;

/* A side of the box: `axis` is fixed at the low or the high end. */
static void add_face(mesh_arrays *m, const box *b, int axis, bool high) {
    int u = (axis + 1) % 3, v = (axis + 2) % 3, first = m->vertices;
    for (int i = 0; i < FACE_VERTICES; i++) {
        float *p = m->positions + 3 * m->vertices, *c = m->colours + 4 * m->vertices;
        p[axis] = high ? b->high[axis] : b->low[axis];
        p[u] = b->low[u] + (b->high[u] - b->low[u]) * (float)(i % (CUTS + 1)) / CUTS;
        p[v] = b->low[v] + (b->high[v] - b->low[v]) * (float)(i / (CUTS + 1)) / CUTS;
        for (int k = 0; k < 3; k++) c[k] = b->colour[k];
        c[3] = 1;
        m->vertices++;
    }
    for (int i = 0; i < CUTS; i++)
        for (int j = 0; j < CUTS; j++) {
            uint32_t at = (uint32_t)(first + i * (CUTS + 1) + j),
                     corner[4] = {at, at + 1, at + CUTS + 2, at + CUTS + 1};
            for (int t = 0; t < 2; t++) {
                uint32_t *to = m->indices + 3 * m->triangles++;
                to[0] = corner[0];
                to[1] = corner[high ? 1 + t : 2 + t];
                to[2] = corner[high ? 2 + t : 1 + t];
            }
        }
}

static int need_scene(plx_bench_object *o) {
    if (o->scene) return PLX_OK;
    mesh_arrays *m = calloc(1, sizeof *m);
    if (!m) return plx_fail(PLX_ERROR_MEMORY, "the chair: out of memory");
    for (int b = 0; b < BOXES; b++)
        for (int side = 0; side < 6; side++) add_face(m, &boxes[b], side / 2, side % 2);
    plx_mesh_options options = plx_mesh_options_default();
    options.up = 'z';
    plx_mesh *mesh;
    int status = plx_mesh_from_arrays(&mesh, m->vertices, m->positions, m->colours, m->triangles, m->indices,
                                      &options);
    free(m);
    return status ? status : plx_scene_create(&o->scene, mesh);
}

static int need_model(plx_bench_object *o) {
    if (o->model) return PLX_OK;
    int status = need_scene(o);
    if (!status) status = plx_model_load(&o->model, o->model_path);
    if (status) return status;
    int size = plx_model_size(o->model);
    o->input.camera = plx_camera_orbit(0.6f, 0.35f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, size, size);
    plx_draw_options draw = plx_draw_options_default();
    return plx_scene_draw(o->scene, &o->input, &draw);
}

static int new_field(plx_field **out, plx_bench_object *o, bool train) {
    int status = need_model(o);
    return status ? status : plx_model_reconstruct(out, o->model, &o->input, true, train);
}

void plx_bench_object_free(plx_bench_object *o) {
    plx_scene_free(o->scene);
    plx_model_free(o->model);
    plx_image_free(&o->input.colour);
    *o = (plx_bench_object){0};
}

/* ---- the field -------------------------------------------------------------------------------------------------- */

typedef struct stage {
    plx_bench_object *object;
    plx_field *field;
    plx_camera camera;
    plx_render_options render;
    int rays, views, steps;
    plx_ray_target *targets;
    plx_step_options step;
    plx_camera *cameras;
} stage;

static void free_stage(void *state) {
    stage *s = state;
    plx_field_free(s->field);
    free(s->targets);
    free(s->cameras);
    free(s);
}

static int new_stage(stage **out, plx_bench_object *object) {
    *out = calloc(1, sizeof **out);
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "bench: out of memory");
    (*out)->object = object;
    return PLX_OK;
}

/* Gives the stage to the workload, or frees it. */
static int finish(plx_workload *out, stage *s, int (*run)(void *), int status) {
    if (status) {
        if (s) free_stage(s);
        return status;
    }
    out->run = run;
    out->free = free_stage;
    out->state = s;
    return PLX_OK;
}

static int run_view(void *state) {
    stage *s = state;
    plx_view view = {.camera = s->camera};
    int status = plx_field_render(s->field, &view, &s->render);
    plx_image_free(&view.colour);
    return status;
}

int plx_stage_view(plx_workload *out, plx_bench_object *object, int size, int samples) {
    stage *s;
    *out = (plx_workload){0};
    int status = new_stage(&s, object);
    if (!status) status = new_field(&s->field, object, false);
    if (!status) {
        s->camera = plx_camera_orbit(1.2f, 0.35f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, size, size);
        s->render = plx_render_options_default();
        s->render.samples = samples;
        snprintf(out->name, sizeof out->name, "view %dx%d, %d samples across", size, size, samples);
    }
    return finish(out, s, run_view, status);
}

static int run_field_step(void *state) {
    stage *s = state;
    return plx_field_step(s->field, s->rays, s->targets, &s->step, 1, NULL);
}

/* Rays through places all over 16 views, that want grey. */
static int make_targets(stage *s) {
    s->targets = calloc((size_t)s->rays, sizeof *s->targets);
    if (!s->targets) return plx_fail(PLX_ERROR_MEMORY, "bench: out of memory");
    for (int r = 0; r < s->rays; r++) {
        plx_ray_target *t = &s->targets[r];
        plx_camera camera = plx_camera_orbit((float)(r % 16), 0.05f * (float)(r % 16), PLX_DEFAULT_DISTANCE,
                                             PLX_DEFAULT_FOV, 64, 64);
        const plx_rng rng = {1, 0};
        plx_camera_ray(&camera, 64 * plx_rng_uniform(rng, 2 * (uint64_t)r),
                       64 * plx_rng_uniform(rng, 2 * (uint64_t)r + 1), t->origin, t->direction);
        for (int c = 0; c < 3; c++) t->colour[c] = 0.5f;
        t->opacity = 0.5f;
        t->weight = 1;
    }
    return PLX_OK;
}

/* The rate is 0: the field stays the one that was reconstructed, so that every run does the same. */
int plx_stage_field_step(plx_workload *out, plx_bench_object *object, int rays, int coarse, int fine) {
    stage *s;
    *out = (plx_workload){0};
    int status = new_stage(&s, object);
    if (!status) {
        s->rays = rays;
        s->step = plx_step_options_default();
        s->step.coarse = coarse;
        s->step.fine = fine;
        s->step.rate = 0;
        snprintf(out->name, sizeof out->name, "field-train %d rays, %d + %d samples", rays, coarse, fine);
        status = new_field(&s->field, object, true);
    }
    if (!status) status = make_targets(s);
    return finish(out, s, run_field_step, status);
}

/* As refinement takes it: one sample a 64th of the sphere, in occupied cells only. */
static int open_occupied_step(plx_workload *out, plx_bench_object *object) {
    int status = plx_stage_field_step(out, object, 1024, 64, 0);
    if (status) return status;
    ((stage *)out->state)->step.skip_empty = true;
    snprintf(out->name, sizeof out->name, "field-train 1024 rays, 64 samples across, occupied cells");
    return PLX_OK;
}

/* ---- refinement and data ------------------------------------------------------------------------------------------ */

static int run_refine(void *state) {
    stage *s = state;
    plx_field *field;
    int status = new_field(&field, s->object, true);
    if (status) return status;
    plx_refine_options o = plx_refine_options_default(PLX_REFINE_BLEND);
    o.views = s->views;
    o.distill.steps = s->steps;
    status = plx_field_refine(field, s->object->model, &s->object->input, true, &o, plx_show_progress, NULL);
    plx_field_free(field);
    return status;
}

int plx_stage_refine(plx_workload *out, plx_bench_object *object, int views, int steps) {
    stage *s;
    *out = (plx_workload){0};
    int status = new_stage(&s, object);
    if (!status) {
        s->views = views;
        s->steps = steps;
        snprintf(out->name, sizeof out->name, "refine %d views, %d noise levels", views, steps);
        status = need_model(object);
    }
    return finish(out, s, run_refine, status);
}

static int run_draw(void *state) {
    stage *s = state;
    plx_draw_options o = plx_draw_options_default();
    o.samples = 4;
    o.depth = true;
    for (int i = 0; i < s->views; i++) {
        plx_view view = {.camera = s->cameras[i]};
        int status = plx_scene_draw(s->object->scene, &view, &o);
        plx_image_free(&view.colour);
        plx_image_free(&view.depth);
        if (status) return status;
    }
    return PLX_OK;
}

int plx_stage_draw(plx_workload *out, plx_bench_object *object, int size, int views) {
    stage *s;
    *out = (plx_workload){0};
    int status = new_stage(&s, object);
    if (!status) status = need_scene(object);
    if (!status && !(s->cameras = calloc((size_t)views, sizeof *s->cameras)))
        status = plx_fail(PLX_ERROR_MEMORY, "bench: out of memory");
    if (!status) {
        s->views = views;
        for (int i = 0; i < views; i++) s->cameras[i] = plx_default_camera(1, "chair", i, size);
        snprintf(out->name, sizeof out->name, "data-draw %d views of %dx%d, 4 samples a pixel", views, size,
                 size);
    }
    return finish(out, s, run_draw, status);
}

/* ---- the list ------------------------------------------------------------------------------------------------------- */

/* Batch and width of the networks, in training and for one picture. */
static int open_network(plx_workload *out, bool encoder, bool train, int batch) {
    plx_network_options o = {.part = encoder ? PLX_NETWORK_ENCODER : PLX_NETWORK_DENOISER,
                             .train = train,
                             .batch = batch,
                             .size = 64,
                             .width = encoder ? 64 : 48};
    return plx_network_workload(out, &o);
}

/* The kernel's workload under the stage's name. */
static int open_field_forward(plx_workload *out) {
    for (int i = 0; i < plx_kernel_workloads(); i++) {
        char name[96];
        plx_kernel_workload_name(i, name);
        if (strncmp(name, "field_fwd N8 ", 13)) continue;
        int status = plx_kernel_workload(out, NULL, i);
        if (!status) snprintf(out->name, sizeof out->name, "field-forward 8 objects, 16384 points each");
        return status;
    }
    return plx_fail(PLX_ERROR_SUPPORT, "bench: no kernel workload is the field's at batch 8");
}

enum {
    UNET_TRAIN,
    UNET_INFER,
    UNET_ONE,
    ENCODER_TRAIN,
    ENCODER_ONE,
    FIELD_FORWARD,
    FIELD_TRAIN,
    FIELD_REFINE,
    VIEW,
    DATA,
    METRICS,
    REFINE,
    STAGES
};

static const char *const names[STAGES] = {
    "unet-train batch 8, 64x64, width 48",    "unet-infer batch 8, 64x64, width 48",
    "unet-infer batch 1, 64x64, width 48",    "encoder-train batch 8, 64x64, width 64",
    "encoder-infer batch 1, 64x64, width 64", "field-forward 8 objects, 16384 points each",
    "field-train 1024 rays, 16 + 16 samples", "field-train 1024 rays, 64 samples across, occupied cells",
    "view 128x128, 96 samples across",        "data-draw 4 views of 64x64, 4 samples a pixel",
    "metrics of 100 pairs of 128x128",        "refine 16 views, 25 noise levels"};

int plx_stage_count(void) {
    return STAGES;
}

void plx_stage_name(int index, bool quick, char name[96]) {
    snprintf(name, 96, "%s", index == REFINE && quick ? "refine 4 views, 5 noise levels" : names[index]);
}

bool plx_stage_computes(int index) {
    return index != DATA && index != METRICS;
}

int plx_stage_open(plx_workload *out, int index, bool quick, plx_bench_object *object) {
    switch (index) {
    case UNET_TRAIN:
        return open_network(out, false, true, 8);
    case UNET_INFER:
        return open_network(out, false, false, 8);
    case UNET_ONE:
        return open_network(out, false, false, 1);
    case ENCODER_TRAIN:
        return open_network(out, true, true, 8);
    case ENCODER_ONE:
        return open_network(out, true, false, 1);
    case FIELD_FORWARD:
        return open_field_forward(out);
    case FIELD_TRAIN:
        return plx_stage_field_step(out, object, 1024, 16, 16);
    case FIELD_REFINE:
        return open_occupied_step(out, object);
    case VIEW:
        return plx_stage_view(out, object, 128, 96);
    case DATA:
        return plx_stage_draw(out, object, 64, 4);
    case METRICS:
        return plx_stage_metrics(out, 100, 128);
    default:
        return plx_stage_refine(out, object, quick ? 4 : 16, quick ? 5 : 25);
    }
}
