#include "tests/peers/stage.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/supervise.h"
#include "nerf/field.h"
#include "nerf/tensor/kernels.h"

void peer_threads(int threads) {
    omp_set_num_threads(threads);
}

/* ---- a part of a model -------------------------------------------------------------------------------------------- */

struct peer {
    plx_model *model; /* the configuration, and the part's parameters */
    plx_tape *tape;
    plx_optimiser optimiser;
};

static int declare_parts(plx_params *params, const plx_model_config *c, int parts) {
    plx_field_size size = {
        .N = 1, .C = c->encoder.channels, .F = c->frequencies, .H = c->hidden, .guided = 1};
    int status = PLX_OK;
    if (parts & PEER_ENCODER) status = plx_encoder_declare(params, "encoder", &c->encoder);
    if (!status && parts & PEER_DECODER) status = plx_decoder_declare(params, "decoder", size, 5);
    if (!status && parts & PEER_DENOISER) status = plx_denoiser_declare(params, "denoiser", &c->denoiser);
    return status;
}

int peer_open(peer **out, const char *path, int parts, int train) {
    peer *p = calloc(1, sizeof *p);
    plx_checkpoint *file = NULL;
    plx_device device;
    if (!p) return plx_fail(PLX_ERROR_MEMORY, "peer: out of memory");
    p->optimiser = plx_optimiser_default();
    int status = plx_model_load(&p->model, path);
    if (!status) {
        plx_params_free(p->model->params); /* of the whole model */
        p->model->params = NULL;
        status = plx_params_create(&p->model->params);
    }
    if (!status) status = declare_parts(p->model->params, &p->model->config, parts);
    if (!status) status = plx_params_allocate(p->model->params, 0, train);
    if (!status) status = plx_checkpoint_load(&file, path);
    if (!status) status = plx_params_load(p->model->params, file, "");
    plx_checkpoint_free(file);
    if (!status) status = plx_device_open(&device, "cpu");
    if (!status) status = plx_tape_create(&p->tape, device, (size_t)16 << 30, train);
    *out = p;
    return status;
}

void peer_close(peer *p) {
    plx_tape_free(p->tape);
    plx_model_free(p->model);
    free(p);
}

const plx_tensor *peer_parameter(peer *p, const char *name) {
    plx_params *params = p->model->params;
    for (int i = 0; i < plx_params_count(params); i++)
        if (!strcmp(plx_params_at(params, i)->name, name)) return &plx_params_at(params, i)->tensor;
    return NULL;
}

static plx_tensor tensor_of(int ndim, const int *shape, float *data, float *grad) {
    plx_tensor x = {.ndim = ndim, .data = data, .grad = grad, .name = "array"};
    memcpy(x.shape, shape, sizeof(int) * (size_t)ndim);
    return x;
}

/* ---- the denoiser's U-Net ------------------------------------------------------------------------------------------ */

int peer_denoise(peer *p, peer_denoise_arguments *a) {
    enum { MOST = 64 };
    const plx_denoiser_config *c = &p->model->config.denoiser;
    plx_denoiser denoiser = plx_model_denoiser(p->model);
    plx_noise_level levels[MOST];
    PLX_CHECK(a->N <= MOST, "peer: %d views", a->N);
    for (int n = 0; n < a->N; n++) levels[n] = plx_schedule_at(c->schedule, a->t[n]);
    plx_tensor render = tensor_of(PLX_SHAPE(a->N, a->size, a->size, c->render_channels), a->render, NULL);
    plx_tensor context = tensor_of(PLX_SHAPE(a->N, a->tokens, c->unet.context), a->context, NULL);
    plx_tensor z = tensor_of(PLX_SHAPE(a->N, a->size, a->size, c->view_channels), a->z, NULL);
    plx_denoiser_inputs inputs = {.z = &z, .levels = levels, .render = &render, .context = &context};
    plx_tape_reset(p->tape);
    plx_tape_set_recording(p->tape, a->target != NULL);
    plx_tensor *out = plx_denoiser_forward(p->tape, &denoiser, &inputs);
    memcpy(a->out, out->data, sizeof(float) * plx_tensor_size(out));
    if (!a->target) return PLX_OK;
    plx_params_zero_grad(p->model->params);
    plx_tensor *loss = plx_loss_lp(p->tape, out, a->target, NULL, 2);
    a->loss = loss->data[0];
    plx_tape_backward(p->tape, loss);
    return plx_optimiser_step(&p->optimiser, p->model->params, p->optimiser.rate, &a->norm);
}

/* ---- the encoder --------------------------------------------------------------------------------------------------------- */

int peer_encode(peer *p, peer_encode_arguments *a) {
    plx_tape_reset(p->tape);
    plx_tape_set_recording(p->tape, false);
    plx_encoder_pose *poses = plx_arena_alloc(plx_tape_arena(p->tape), sizeof *poses * (size_t)a->N);
    for (int n = 0; n < a->N; n++) poses[n] = plx_encoder_pose_of(&a->cameras[n], a->told[n]);
    plx_encoding e = plx_model_encode(p->tape, p->model, a->N, a->cameras[0].height, a->rgba, poses);
    const plx_tensor *const parts[6] = {e.xy, e.xz, e.yz, e.surface, e.elevation, e.features};
    for (int i = 0; i < 6; i++) memcpy(a->out[i], parts[i]->data, sizeof(float) * plx_tensor_size(parts[i]));
    return PLX_OK;
}

/* ---- the field: lookup, MLP; compositing, loss, backward ------------------------------------------------------------------ */

static plx_field_operands operands_of(peer *p, peer_field_arguments *a, plx_tensor planes[3], bool train) {
    plx_field_size size = {.C = a->channels[1], .F = p->model->config.frequencies, .guided = 1};
    plx_field_operands o = plx_decoder_bind(p->model->params, "decoder", size);
    for (int i = 0; i < 3; i++)
        planes[i] = tensor_of(PLX_SHAPE(a->N, a->rows[i], a->columns[i], a->channels[i]), a->planes[i],
                              train ? a->dplanes[i] : NULL);
    o.xy = &planes[0], o.xz = &planes[1], o.yz = &planes[2];
    return o;
}

int peer_field(peer *p, peer_field_arguments *a) {
    plx_tensor planes[3];
    plx_tape_reset(p->tape);
    plx_tape_set_recording(p->tape, false);
    plx_field_operands o = operands_of(p, a, planes, false);
    plx_field_size size = plx_field_operands_size(&o);
    plx_field_tensors values = {o.xy->data, o.xz->data, o.yz->data, o.w1->data, o.b1->data,
                                o.w2->data, o.b2->data, o.w3->data, o.b3->data};
    plx_tape_kernels(p->tape)->field_fwd(size, &values, (plx_points){a->start[a->N], a->start, a->coords},
                                         a->values);
    return PLX_OK;
}

/* The composited colour's and opacity's squared error, as plx_loss_photometric takes it. */
int peer_field_train(peer *p, peer_field_arguments *a) {
    static const float w[20] = {1, 0, 0, -1, 0, 0, 1, 0, -1, 0, 0, 0, 1, -1, 0, 0, 0, 0, 1, 0};
    static const float b[4] = {1, 1, 1, 0};
    plx_tensor planes[3];
    plx_tape_reset(p->tape);
    plx_tape_set_recording(p->tape, true);
    plx_params_zero_grad(p->model->params);
    for (int i = 0; i < 3; i++)
        memset(a->dplanes[i], 0,
               sizeof(float) * (size_t)a->N * (size_t)a->rows[i] * (size_t)a->columns[i] *
                   (size_t)a->channels[i]);
    int *start = plx_arena_alloc(plx_tape_arena(p->tape), sizeof(int) * ((size_t)a->R + 1));
    for (int r = 0; r <= a->R; r++) start[r] = r * a->samples;
    plx_rays rays = {a->R, start[a->R], start, a->t, a->length};
    plx_field_operands o = operands_of(p, a, planes, true);
    plx_tensor *values = plx_field_evaluate(p->tape, &o, (plx_points){a->start[a->N], a->start, a->coords});
    plx_tensor *out = plx_linear(p->tape, plx_composite(p->tape, values, rays),
                                 plx_tape_input(p->tape, PLX_SHAPE(4, 5), w, false),
                                 plx_tape_input(p->tape, PLX_SHAPE(4), b, false));
    plx_tensor *loss = plx_loss_lp(p->tape, out, a->truth, a->weight, 2);
    a->loss = loss->data[0];
    plx_tape_backward(p->tape, loss);
    return PLX_OK;
}

/* ---- posed views ------------------------------------------------------------------------------------------------------------ */

static int image_of(plx_image *out, int size, int channels, const float *data) {
    int status = plx_image_create(out, size, size, channels);
    if (!status) memcpy(out->data, data, sizeof(float) * (size_t)(size * size * channels));
    return status;
}

static int copy_views(plx_views *out, const peer_views *v, int first, int count) {
    int status = plx_views_create(out, count);
    for (int i = 0; i < count && !status; i++) {
        size_t at = (size_t)(first + i) * (size_t)(v->size * v->size);
        plx_view *view = &out->views[i];
        view->camera = v->cameras[first + i];
        status = image_of(&view->colour, v->size, 4, v->colour + 4 * at);
        if (!status) status = image_of(&view->depth, v->size, 2, v->depth + 2 * at);
        if (!status) status = image_of(&view->normal, v->size, 3, v->normal + 3 * at);
    }
    out->has_alpha = true;
    return status;
}

/* ---- a fitted scene ------------------------------------------------------------------------------------------------------------ */

int peer_fit(const char *scene, const peer_views *views, int steps, int resolution) {
    plx_views copy;
    plx_field *field = NULL;
    plx_fit_options options = plx_fit_options_default();
    options.steps = steps;
    options.resolution = resolution;
    int status = copy_views(&copy, views, 0, views->count);
    if (!status) status = plx_fit(&field, &copy, &options, NULL, NULL);
    if (!status) status = plx_field_save(field, scene, false);
    plx_field_free(field);
    plx_views_free(&copy);
    return status;
}

int peer_scene_open(plx_field **out, const char *scene) {
    int status = plx_field_load(out, scene, false);
    return status ? status : plx_field_update_occupancy(*out);
}

int peer_view(plx_field *field, peer_views *view, int samples, int skip_empty) {
    plx_render_options options = {.samples = samples, .skip_empty = skip_empty};
    plx_view v = {.camera = view->cameras[0]};
    int status = plx_field_render(field, &v, &options);
    if (status) return status;
    memcpy(view->colour, v.colour.data, sizeof(float) * 4 * (size_t)(view->size * view->size));
    plx_image_free(&v.colour);
    return PLX_OK;
}

/* ---- joint training --------------------------------------------------------------------------------------------------------------- */

static int give_batch(const plx_batch_request *request, plx_views *out, void *user) {
    const peer_train_arguments *a = user;
    return copy_views(out, &a->views, request->item * (1 + a->targets), 1 + a->targets);
}

int peer_train(const peer_train_arguments *a) {
    plx_model *model;
    plx_train_options o = plx_train_options_default(PLX_STAGE_JOINT);
    int status = plx_model_load(&model, a->model);
    if (status) return status;
    o.denoiser_width = model->config.denoiser.unet.width;
    plx_model_free(model);
    o.steps = a->steps;
    o.batch = a->batch;
    o.targets = a->targets;
    o.size = a->views.size;
    o.seed = a->seed;
    o.folder = a->folder;
    o.init = a->model;
    o.save_seconds = 1e9;
    o.log_every = 1;
    return plx_train(&o, give_batch, (void *)a, NULL, a->progress, NULL);
}

/* The rays that a step draws from the batch: R = batch (input_rays + targets target_rays) of plx_train_options. */
int peer_supervise(const peer_train_arguments *a, plx_rng rng, peer_supervision *out) {
    enum { MOST = 64 };
    plx_views items[MOST] = {{0}};
    plx_arena *arena = NULL;
    plx_train_options o = plx_train_options_default(PLX_STAGE_JOINT);
    PLX_CHECK(a->batch <= MOST, "peer: a batch of %d", a->batch);
    int status = plx_arena_create(&arena, (size_t)1 << 30);
    for (int n = 0; n < a->batch && !status; n++)
        status = copy_views(&items[n], &a->views, n * (1 + a->targets), 1 + a->targets);
    if (!status) {
        plx_supervision s = plx_supervise(arena, a->batch, items, o.input_rays, o.target_rays, rng);
        size_t R = (size_t)s.R;
        memcpy(out->rays, s.rays, sizeof(float) * 8 * R);
        memcpy(out->weight, s.weight, sizeof(float) * R);
        memcpy(out->colour, s.colour, sizeof(float) * 3 * R);
        memcpy(out->over_white, s.over_white, sizeof(float) * 4 * R);
        memcpy(out->hit, s.hit, sizeof(float) * R);
    }
    for (int n = 0; n < a->batch; n++) plx_views_free(&items[n]);
    plx_arena_free(arena);
    return status;
}
