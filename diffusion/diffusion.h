/* NerfDiff: one image -> radiance field, refined by distillation; and its training. Public.
 *
 *     #include "diffusion/diffusion.h"
 *     #include "render/render.h"
 *     #include <stdio.h>
 *     // example MODEL.safetensors PICTURE.png VIEW.png: the object in the picture, seen from its left.
 *     int main(int count, char **words) {
 *         if (count != 4) return 2;
 *         plx_model *model = NULL;
 *         plx_field *field = NULL;
 *         plx_image picture = {0};
 *         plx_view input = {0}, view = {0};
 *         char warning[256];
 *         plx_input_options options = plx_input_options_default();
 *         plx_render_options render = plx_render_options_default();
 *         int status = plx_model_load(&model, words[1]);
 *         if (!status) status = plx_image_load(&picture, words[2]);
 *         if (!status) status = plx_input_prepare(&input, &picture, words[2], &options, plx_model_size(model), warning);
 *         if (!status) status = plx_model_reconstruct(&field, model, &input, true, false);
 *         view.camera = plx_camera_orbit(-1.57f, options.elevation, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 64, 64);
 *         if (!status) status = plx_field_render(field, &view, &render);
 *         if (!status) status = plx_png_save(words[3], &view.colour);
 *         if (status) fprintf(stderr, "%s\n", plx_error());
 *         plx_image_free(&view.colour), plx_image_free(&input.colour), plx_image_free(&picture);
 *         plx_field_free(field);
 *         plx_model_free(model);
 *         return status ? 1 : 0;
 *     }
 */
#ifndef PLX_DIFFUSION_H
#define PLX_DIFFUSION_H

#include <stdbool.h>
#include <stdint.h>

#include "nerf/nerf.h"

/* ---- models ---------------------------------------------------------------------------------------------------- */

typedef struct plx_model plx_model;

/* A safetensors file of `parallax train`. */
int plx_model_load(plx_model **out, const char *path);
void plx_model_free(plx_model *model);
const char *plx_model_record(const plx_model *model); /* JSON text of its training; "" if none */
int plx_model_size(const plx_model *model);           /* pixels of its input */

/* ---- a picture -> the model's input --------------------------------------------------------------------------------- */

typedef struct plx_input_options {
    bool
        crop; /* centre and zoom on the object; false: the picture is framed already, fov and elevation hold */
    float fov;       /* of the picture, vertical, radians */
    float elevation; /* of the camera above the object's horizon, radians */
    float fill;      /* of the frame by the object's longer side, when cropping. Default 0.7 */
} plx_input_options;

plx_input_options plx_input_options_default(void);

/* image (H,W,3 or 4) -> out->colour (size,size,4) and its camera, at azimuth 0. An opaque picture's background, the
 * colour of its border, is removed. `warning` (256 bytes) receives a line, or "". `name` stands in error lines. */
int plx_input_prepare(plx_view *out, const plx_image *image, const char *name,
                      const plx_input_options *options, int size, char *warning);

/* Turns the view's camera about its own centre to the middle of the object's mask and zooms until the mask's longer side
 * fills `fill` of a square frame; the image is resampled, the camera's position stays. */
int plx_input_crop(plx_view *out, const plx_view *view, int size, float fill);

/* ---- one image -> field ------------------------------------------------------------------------------------------ */

/* input->camera is the input's (its elevation counts only if `elevation_known`), input->colour (size,size,4) straight
 * RGBA of the model's size. The planes are the mean of the picture's and of its mirror image's, mirrored back. `train`:
 * the field can be refined. */
int plx_model_reconstruct(plx_field **out, const plx_model *model, const plx_view *input,
                          bool elevation_known, bool train);

/* The encoder's own estimate from the picture, radians. */
int plx_model_elevation(const plx_model *model, const plx_view *input, float *elevation);

/* ---- refinement: NeRF-guided distillation -------------------------------------------------------------------------- */

enum plx_refine_mode {
    PLX_REFINE_PAPER, /* NerfDiff, algorithm 1: guidance against the view before the step, at every noise level */
    PLX_REFINE_BLEND, /* x0 blended with the render at high noise only */
};

enum plx_distill_condition { PLX_CONDITION_INITIAL, PLX_CONDITION_CURRENT };
enum plx_distill_reference { PLX_REFERENCE_PREVIOUS, PLX_REFERENCE_DENOISED };

/* diffusion/distill.h has the equations. No number here is the paper's, which gives none. */
typedef struct plx_distill_options {
    int steps;           /* noise levels, evenly spaced in t */
    double t_max, t_min; /* t_max is lowered to where alpha >= 0.05 */
    enum plx_distill_condition
        condition; /* the render before refinement (as in training), or the present one */
    enum plx_distill_reference reference;
    double gamma;               /* of the guidance weight; 0 = none */
    double guidance_t;          /* guidance applies while t > guidance_t */
    double classifier_guidance; /* 1 = conditional alone */
    bool clamp;                 /* x0 to [-1,1] */
    int field_steps, rays;      /* gradient steps a level, rays each */
    int final_steps;            /* gradient steps on the finished views */
    double input_fraction;      /* of every ray batch; at least 1/8 */
    double object_fraction;     /* of the other rays drawn on the object; weighted to be unbiased */
    plx_step_options step;      /* decoder_rate .1, or 0 = frozen; opacity_weight stops fog on white */
    uint64_t seed;
} plx_distill_options;

plx_distill_options plx_distill_options_paper(void); /* reference previous, guidance at every t */
plx_distill_options plx_distill_options_blend(void); /* reference denoised, guidance while t > 0.4 */

typedef struct plx_refine_options {
    int views; /* virtual ones, around the object */
    plx_distill_options distill;
} plx_refine_options;

/* What a refinement may cost on two cores: seconds, up to a minute, minutes. diffusion/refine.c has the table. */
enum plx_quality { PLX_QUALITY_FAST, PLX_QUALITY_DEFAULT, PLX_QUALITY_BEST, PLX_QUALITIES };

plx_refine_options plx_refine_options_of(enum plx_refine_mode mode, enum plx_quality quality);
plx_refine_options plx_refine_options_default(enum plx_refine_mode mode); /* PLX_QUALITY_DEFAULT */

/* Refines a field that plx_model_reconstruct made for training from the same input. */
int plx_field_refine(plx_field *field, const plx_model *model, const plx_view *input, bool elevation_known,
                     const plx_refine_options *options, plx_progress_fn progress, void *user);

/* ---- views from the diffusion model alone -------------------------------------------------------------------------- */

/* What a 2D model does, for comparison: no field holds the views together. */
typedef struct plx_view_sampling {
    int steps; /* noise levels, from the noisiest with alpha >= 0.05. Default 25, as refinement's */
    /* DDIM's: 0 deterministic, 1 as much new noise as DDPM, which mends the errors of a denoiser that was trained little (the
     * shipped one on 12,800 samples: SSIM 0.53 at 1, 0.35 at 0, three objects). Default 1 */
    double eta;
    double classifier_guidance; /* 1 = conditional alone, the default */
    uint64_t seed;
} plx_view_sampling;

plx_view_sampling plx_view_sampling_default(void);

/* Samples every view by itself, from noise of its own, conditioned as refinement conditions the denoiser: on the feed-forward
 * field's render there, and on the input's features. The views' cameras, square, are read; colour (H,W,4) is made: what
 * was sampled over white, exact; opacity as sampled, raised where a colour needs it. The model's own size is sampled, and
 * resized where a camera has another. A view does not depend on the views behind it. */
int plx_model_sample_views(plx_view *views, int count, const plx_model *model, const plx_view *input,
                           bool elevation_known, const plx_view_sampling *options, plx_progress_fn progress,
                           void *user);

/* ---- training ------------------------------------------------------------------------------------------------------ */

enum plx_train_stage {
    PLX_STAGE_GEOMETRY, /* first-hit likelihood, no compositing */
    PLX_STAGE_COLOUR, /* composited colour and opacity, with a tenth of the geometry's loss where depth is known */
    PLX_STAGE_DENOISER, /* encoder and decoder frozen */
    PLX_STAGE_JOINT,    /* the paper's way: all together */
};

typedef struct plx_batch_request {
    uint64_t seed;
    int64_t step;
    int item;    /* in the batch */
    int size;    /* pixels */
    int targets; /* views behind the input */
} plx_batch_request;

/* Fills `out` with the input view (colour, depth, normal) and the targets (colour, depth); a pure function of the
 * request; called from another thread than the caller's. Data sets without depth leave those images empty. */
typedef int (*plx_batch_fn)(const plx_batch_request *request, plx_views *out, void *user);

/* Whose render the denoiser is conditioned on while it learns. A field renders the objects that it learned from better than any
 * new one: a denoiser that saw only such renders learns to copy them. */
enum plx_train_condition {
    PLX_TRAIN_CONDITION_BLURRED, /* the model's own, half of them blurred, with shifted colours and noise (condition_noise) */
    PLX_TRAIN_CONDITION_OWN,      /* the model's own */
    PLX_TRAIN_CONDITION_TWO_FOLD, /* of the one of `fold_models` whose field did not learn from the object */
};

typedef struct plx_train_options {
    enum plx_train_stage stage;
    int64_t steps; /* of this stage in all */
    int batch, size, targets;
    int input_rays, target_rays, coarse, fine;
    float rate; /* of the encoder or denoiser */
    int warmup;
    uint64_t seed;
    const char *folder; /* run folder: state.safetensors, model.safetensors, log.jsonl, sheets */
    const char *init;   /* model file to start from, with a fresh optimiser; NULL = fresh or resumed */
    const char *frame;  /* "camera", "upright"; of a fresh model */
    const char *planes; /* "triplane"; "pixel": the field reads XY alone. NULL: as `init` has, or triplane */
    const char
        *heads; /* "pooled", "skip": of the side planes of a fresh model. NULL: as `init` has, or pooled */
    int width;  /* channels of the encoder's finest level, of a fresh model */
    int denoiser_width; /* of the denoiser's; a model of another width gets a fresh denoiser */
    /* "v", "eps": what the denoiser predicts; a model of another prediction gets a fresh denoiser. NULL: as `init` has,
     * or v */
    const char *predict;
    bool photometric; /* colour, joint: no loss from depth, even where the samples have it */
    enum plx_train_condition condition; /* denoiser, joint */
    int fold; /* the half of the objects, 0 or 1, that the batches are drawn from; it stands in the record. -1: all */
    /* Two-fold: model files that learned with fold 0 and with fold 1, in either order; and the half that an object is in,
     * by its views' name, of batch_user. */
    const char *fold_models[2];
    int (*fold_of)(const char *name, void *user);
    const char
        *record; /* JSON object text put into the model's record (data hash, credits, options); or NULL */
    double save_seconds;
    int log_every;
    double condition_noise; /* strength of the blurred condition's disturbance; 0 = none, as `own` */
} plx_train_options;

plx_train_options plx_train_options_default(enum plx_train_stage stage);

typedef struct plx_validation {
    int objects;
    const plx_views *items; /* (objects) view 0 is the input, the others targets */
    int every;              /* steps; 0 = never */
    int (*sheet)(const char *path, const plx_image *sheet, void *user); /* writes a picture of it; or NULL */
    void *user;
} plx_validation;

/* Runs or resumes (the folder's state, bit for bit) a stage. Stops and saves when progress returns non-zero
 * (PLX_ERROR_CANCELLED). NaN or Inf stops the run, naming the step and the term. */
int plx_train(const plx_train_options *options, plx_batch_fn batch, void *batch_user,
              const plx_validation *validation, plx_progress_fn progress, void *user);

/* ---- work to be timed -------------------------------------------------------------------------------------------- */

typedef struct plx_network_options {
    enum { PLX_NETWORK_DENOISER, PLX_NETWORK_ENCODER } part;
    bool train; /* forward, backward and a step of Adam, as in training; false: forward alone, nothing kept */
    int batch, size, width; /* images; their pixels, a multiple of 32; channels of the finest level */
} plx_network_options;

/* The denoiser's U-Net or the image encoder, fresh weights, of the default configuration but for the width. */
int plx_network_workload(plx_workload *out, const plx_network_options *options);

#endif
