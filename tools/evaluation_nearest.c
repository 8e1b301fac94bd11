#include "tools/evaluation_nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/evaluation_workers.h"
#include "tools/parallax.h"

enum { SEARCH_SAMPLES = 4, DRAW_SAMPLES = 16 /* the protocol's */ };

/* Shared among the processes. */
typedef struct search {
    const plx_eval_protocol *protocol;
    const plx_eval_nearest_options *options;
    const plx_eval_nearest *nearest;
    size_t pixels, size; /* of an input; bytes of the block */
    void *block;
    plx_camera *cameras;   /* (count) */
    double *errors;        /* (training_count,count) sum of squares */
    unsigned char *inputs; /* (count,pixels,4) r g b over white, opacity */
} search;

static void to_bytes(unsigned char *out, const plx_image *rgba) {
    for (size_t p = 0; p < (size_t)rgba->height * (size_t)rgba->width; p++) {
        const float *x = rgba->data + 4 * p;
        for (int c = 0; c < 4; c++) {
            float value = c < 3 ? x[c] * x[3] + 1 - x[3] : x[3];
            out[4 * p + (size_t)c] = (unsigned char)(fminf(fmaxf(value, 0), 1) * 255 + 0.5f);
        }
    }
}

static double squares(size_t pixels, const unsigned char *a, const unsigned char *b) {
    double sum = 0;
    for (size_t i = 0; i < 4 * pixels; i++) {
        int d = a[i] - b[i];
        sum += d * d;
    }
    return sum;
}

static int load_input(int job, void *user) {
    search *s = user;
    plx_eval_case of;
    int status = s->protocol->load(s->protocol, s->options->cases[job], &of);
    if (status) return status;
    s->cameras[job] = of.input.camera;
    to_bytes(s->inputs + 4 * s->pixels * (size_t)job, &of.input.colour);
    plx_eval_case_free(&of);
    return PLX_OK;
}

/* One training object from the cameras of all inputs. */
static int compare(int job, void *user) {
    search *s = user;
    const plx_object *object = s->nearest->training[job];
    plx_draw_options o = plx_draw_options_default();
    plx_scene *scene = NULL;
    unsigned char *bytes = malloc(4 * s->pixels);
    int status = bytes ? plx_object_scene(&scene, object, s->options->data, 0)
                       : plx_fail(PLX_ERROR_MEMORY, "nearest: out of memory");
    o.samples = SEARCH_SAMPLES;
    o.light = plx_object_light(object, 0);
    for (int i = 0; i < s->options->count && !status; i++) {
        plx_view view = {.camera = s->cameras[i]};
        status = plx_scene_draw(scene, &view, &o);
        if (status) break;
        to_bytes(bytes, &view.colour);
        s->errors[(size_t)job * (size_t)s->options->count + (size_t)i] =
            squares(s->pixels, bytes, s->inputs + 4 * s->pixels * (size_t)i);
        plx_image_free(&view.colour);
        if (plx_stop_requested()) status = plx_fail(PLX_ERROR_CANCELLED, "stopped");
    }
    plx_scene_free(scene);
    free(bytes);
    return status;
}

static int share_block(search *s) {
    size_t count = (size_t)s->options->count, all = (size_t)s->nearest->training_count;
    size_t cameras = (count * sizeof *s->cameras + 63) / 64 * 64, errors = all * count * sizeof *s->errors;
    s->size = cameras + errors + count * s->pixels * 4 + 1;
    s->block = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->block == MAP_FAILED) return plx_fail(PLX_ERROR_MEMORY, "nearest: out of memory");
    s->cameras = s->block;
    s->errors = (double *)(void *)((char *)s->block + cameras);
    s->inputs = (unsigned char *)s->block + cameras + errors;
    return PLX_OK;
}

static int search_all(plx_eval_nearest *n, const plx_eval_protocol *protocol,
                      const plx_eval_nearest_options *o) {
    search s = {.protocol = protocol, .options = o, .nearest = n};
    s.pixels = (size_t)protocol->size * (size_t)protocol->size;
    int status = share_block(&s);
    if (status) return status;
    /* Not more threads than jobs: one job would run in this process, which may not have a team before the next fork. */
    status =
        plx_eval_share(o->count, 0, o->threads < o->count ? o->threads : o->count, "inputs", load_input, &s);
    if (!status) status = plx_eval_share(n->training_count, 0, o->threads, "nearest", compare, &s);
    for (int i = 0; i < o->count && !status; i++) {
        int best = 0;
        for (int t = 1; t < n->training_count; t++)
            if (s.errors[(size_t)t * (size_t)o->count + (size_t)i] <
                s.errors[(size_t)best * (size_t)o->count + (size_t)i])
                best = t;
        n->best[o->cases[i]] = best;
    }
    munmap(s.block, s.size);
    return status;
}

int plx_eval_nearest_open(plx_eval_nearest *out, const plx_eval_protocol *protocol,
                          const plx_eval_nearest_options *o) {
    *out = (plx_eval_nearest){.data = o->data};
    int status = plx_catalogue_load(&out->catalogue, o->catalogue);
    if (status) return status;
    out->training = malloc(((size_t)out->catalogue.count + 1) * sizeof *out->training);
    out->best = malloc(((size_t)protocol->count + 1) * sizeof *out->best);
    if (!out->training || !out->best) status = plx_fail(PLX_ERROR_MEMORY, "nearest: out of memory");
    for (int i = 0; !status && i < protocol->count; i++) out->best[i] = -1;
    for (int i = 0; !status && i < out->catalogue.count; i++) {
        const plx_object *object = &out->catalogue.objects[i];
        if (object->split == PLX_TRAIN && object->train_ok) out->training[out->training_count++] = object;
    }
    if (!status && !out->training_count)
        status = plx_fail(PLX_ERROR_INPUT, "%s: no objects for training, of which the nearest could be shown",
                          o->catalogue);
    if (!status && o->count) status = search_all(out, protocol, o);
    if (status) plx_eval_nearest_close(out);
    return status;
}

void plx_eval_nearest_close(plx_eval_nearest *n) {
    plx_catalogue_free(&n->catalogue);
    free(n->training);
    free(n->best);
    *n = (plx_eval_nearest){0};
}

int plx_eval_nearest_draw(const plx_eval_nearest *n, int index, plx_view *out, int count) {
    PLX_CHECK(n->best[index] >= 0, "nearest: object %d was not searched for", index);
    const plx_object *object = n->training[n->best[index]];
    plx_draw_options o = plx_draw_options_default();
    plx_scene *scene = NULL;
    int status = plx_object_scene(&scene, object, n->data, 0);
    o.samples = DRAW_SAMPLES;
    o.light = plx_object_light(object, 0);
    o.depth = true;
    for (int k = 0; k < count && !status; k++) status = plx_scene_draw(scene, &out[k], &o);
    plx_scene_free(scene);
    return status;
}
