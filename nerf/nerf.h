/* Radiance fields: render one, fit one to posed views, keep one on disk. Public.
 *
 *     #include "nerf/nerf.h"
 *     #include <stdio.h>
 *     // example SCENE.safetensors: a field is fitted to 24 drawings of a ball, kept, and measured on a view it never saw.
 *     static void draw_ball(plx_view *view) {
 *         const float radius = 0.3f;
 *         for (int i = 0; i < view->camera.height; i++)
 *             for (int j = 0; j < view->camera.width; j++) {
 *                 float o[3], d[3], t0, t1, *pixel = view->colour.data + 4 * (i * view->camera.width + j);
 *                 plx_camera_ray(&view->camera, (float)j + 0.5f, (float)i + 0.5f, o, d);
 *                 if (!plx_ray_sphere(o, d, radius, &t0, &t1)) continue;
 *                 for (int c = 0; c < 3; c++) pixel[c] = 0.5f + 0.4f * (o[c] + t0 * d[c]) / radius; // by the normal
 *                 pixel[3] = 1;
 *             }
 *     }
 *     static int make_view(plx_view *view, float azimuth, float elevation) {
 *         view->camera = plx_camera_orbit(azimuth, elevation, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 32, 32);
 *         int status = plx_image_create(&view->colour, 32, 32, 4);
 *         if (!status) draw_ball(view);
 *         return status;
 *     }
 *     int main(int count, char **words) {
 *         plx_views views = {0};
 *         plx_field *field = NULL;
 *         plx_view truth = {0}, ours = {0};
 *         plx_image a = {0}, b = {0};
 *         plx_fit_options fit = plx_fit_options_default();
 *         plx_render_options render = plx_render_options_default();
 *         fit.steps = 120, fit.rays = 512, fit.resolution = 32, fit.hidden = 16;
 *         int status = plx_views_create(&views, 24);
 *         views.has_alpha = true;
 *         for (int i = 0; i < views.count && !status; i++)
 *             status = make_view(&views.views[i], 2.4f * (float)i, -0.5f + 0.05f * (float)i);
 *         if (!status) status = plx_fit(&field, &views, &fit, NULL, NULL);
 *         if (!status) status = plx_field_save(field, count > 1 ? words[1] : "ball.safetensors", true);
 *         if (!status) status = make_view(&truth, 0.5f, 0.3f);
 *         ours.camera = truth.camera;
 *         if (!status) status = plx_field_render(field, &ours, &render);
 *         if (!status) status = plx_image_over(&a, &truth.colour, 1);
 *         if (!status) status = plx_image_over(&b, &ours.colour, 1);
 *         if (!status) printf("%.1f dB\n", plx_psnr(&a, &b));
 *         else fprintf(stderr, "%s\n", plx_error());
 *         plx_image_free(&a), plx_image_free(&b), plx_image_free(&truth.colour), plx_image_free(&ours.colour);
 *         plx_field_free(field);
 *         plx_views_free(&views);
 *         return status ? 1 : 0;
 *     }
 */
#ifndef PLX_NERF_H
#define PLX_NERF_H

#include <stdbool.h>
#include <stdint.h>

#include "nerf/core/camera.h"
#include "nerf/core/error.h"
#include "nerf/core/image.h"
#include "nerf/core/progress.h"
#include "nerf/core/ray.h"
#include "nerf/core/triangles.h"
#include "nerf/core/views.h"
#include "nerf/core/workload.h"

#define PLX_VERSION "0.1.0"

typedef struct plx_field plx_field;

void plx_field_free(plx_field *field);

/* ---- rendering ----------------------------------------------------------------------------------------- */

typedef struct plx_render_options {
    int samples;     /* a ray across the bounding sphere's diameter, empty space included. Default 96 */
    bool skip_empty; /* by the occupancy grid. Default true */
    bool depth, normal;
} plx_render_options;

plx_render_options plx_render_options_default(void);

/* view->camera is read; colour (H,W,4) straight RGBA is made, and on demand depth (H,W,2): expected distance
 * where opacity > 0.5, twice, and normal (H,W,3) from the density's gradient. */
int plx_field_render(plx_field *field, plx_view *view, const plx_render_options *options);

/* To be called after the parameters change and before rendering with skip_empty. */
int plx_field_update_occupancy(plx_field *field);

/* ---- optimisation: fit and NGD share this -------------------------------------------------------------- */

typedef struct plx_step_options {
    float rate;            /* of the planes */
    float decoder_rate;    /* factor on it; 0 freezes the decoder */
    int coarse, fine;      /* samples a ray: stratified, then importance */
    float opacity_weight;  /* of the squared opacity error */
    float total_variation; /* times the sum over planes of neighbours' mean squared difference; 0 = none */
    bool skip_empty; /* `coarse` samples across the sphere's diameter, only those in occupied cells, and no
                      * importance samples; plx_field_update_occupancy comes before. Default false */
} plx_step_options;

plx_step_options plx_step_options_default(void);

/* One Adam step on mean_r weight_r (|C_r - colour_r|^2 + opacity_weight |O_r - opacity_r|^2); the field must
 * have been made for training. Adam's state lives as long as the field. `loss` may be NULL. */
int plx_field_step(plx_field *field, int rays, const plx_ray_target *targets, const plx_step_options *options,
                   uint64_t seed, double *loss);

typedef struct plx_fit_options {
    int steps, rays;      /* rays a step */
    int resolution;       /* of each plane */
    int channels, hidden; /* multiples of 16 */
    float radius;         /* of the sphere about the origin that holds the object. Default PLX_SCENE_RADIUS */
    float rate;           /* of the planes, at the start */
    float seconds;        /* stop after this long even if steps remain; 0 = no limit */
    uint64_t seed;
} plx_fit_options;

plx_fit_options plx_fit_options_default(void);

/* Of the sphere for views whose source does not give one: half the depth range, or what the default set-up has for the
 * nearest camera. */
float plx_fit_radius(const plx_views *views);

/* Fits a field in the world frame to posed views of one object. */
int plx_fit(plx_field **out, const plx_views *views, const plx_fit_options *options, plx_progress_fn progress,
            void *user);

/* ---- scene files --------------------------------------------------------------------------------------- */

/* Self-contained safetensors: planes, decoder, frame (kind, camera, radius) and rules (activations, padding,
 * step) in the metadata; half stores planes as F16. */
int plx_field_save(const plx_field *field, const char *path, bool half);
int plx_field_load(plx_field **out, const char *path, bool train);

/* What a safetensors file is, one line or more of text (malloc'ed): a scene, a model, or tensors. */
int plx_weights_describe(char **text, const char *path);

/* The devices (kernel tables) that open in this build, "cpu, ref"; with CUDA also its cards, or why there is none. Static storage
 * of the thread. */
const char *plx_device_names(void);

/* Where models and fields are made and computed from now on, at first "cpu": "auto" (a card where there is one), "cpu", "ref", "cuda" or
 * "cuda:N". precision: "f32"; on cuda also "tf32", "bf16", how matrix products take their factors; what is kept is float32. To be
 * called before any model or field is made; a process computes on one card. */
int plx_device_use(const char *device, const char *precision);
const char *plx_device_used(void); /* "cpu", "ref", "cuda" */

float plx_field_radius(const plx_field *field); /* of the bounding sphere about the origin, world units */

/* The camera the field was made from: true if it has one (not the world frame). */
bool plx_field_input_camera(const plx_field *field, plx_camera *camera);

/* ---- surfaces ------------------------------------------------------------------------------------------ */

typedef struct plx_surface_mesh_options {
    int resolution;  /* cells across the sphere's diameter. Default 160, up to 512 */
    float threshold; /* density of the surface; 0: plx_field_threshold. Default 0 */
} plx_surface_mesh_options;

plx_surface_mesh_options plx_surface_mesh_options_default(void);

/* The density at which the surface has the silhouettes of the field: of rays from all sides, those that meet a density above
 * it are, as nearly as any threshold can make them, those with opacity above 0.5. PLX_ERROR_INPUT for a field that no such ray
 * meets. */
int plx_field_threshold(plx_field *field, float *threshold);

/* The surface of one density, closed, also where the sphere cuts it: marching cubes, vertices moved onto the surface, normals
 * against the density's gradient, colours as seen along the normal. PLX_ERROR_INPUT when nothing is as dense: it says which
 * threshold is met. */
int plx_field_mesh(plx_triangles *out, plx_field *field, const plx_surface_mesh_options *options,
                   plx_progress_fn progress, void *user);

/* ---- image metrics ------------------------------------------------------------------------------------- */

/* Colours (H,W,3) over white, in [0,1]; both images are rounded to 8 bits first. Sizes agree (PLX_CHECK). */
double plx_psnr(const plx_image *a, const plx_image *b); /* dB; INFINITY for equal images */
/* skimage's default: 7x7 uniform window, sample covariance, K1 .01, K2 .03, per channel, borders cropped; at
 * least 7x7 pixels. */
#define PLX_SSIM_SIDE 7
double plx_ssim(const plx_image *a, const plx_image *b);
/* skimage's gaussian_weights=True, sigma=1.5, use_sample_covariance=False: 11x11 pixels, so at least as many. */
#define PLX_SSIM_GAUSSIAN_SIDE 11
double plx_ssim_gaussian(const plx_image *a, const plx_image *b);
/* Multi-scale SSIM (Wang et al. 2003), 11x11 Gaussian windows, each channel alone, then their mean; negative terms are 0.
 * Five scales need 161 pixels; a smaller image has as many as keep 11 pixels a side, and their weights are scaled to
 * sum 1: plx_ms_ssim_scales says how many (0: none, below 11 pixels), and results of different numbers do not compare. */
#define PLX_MS_SSIM_SCALES 5
int plx_ms_ssim_scales(int height, int width);
double plx_ms_ssim(const plx_image *a, const plx_image *b);
/* FLIP (Andersson et al., HPG 2020) at 67.02 pixels a degree, mean over the image: 0 (equal) to 1. */
double plx_flip(const plx_image *reference, const plx_image *test);
int plx_flip_map(plx_image *out, const plx_image *reference,
                 const plx_image *test); /* (H,W,1), of which it is the mean */

/* Intersection over union of the silhouettes: last channel above 0.5. 1 if both are empty. */
double plx_silhouette_iou(const plx_image *a, const plx_image *b);
/* Distances along the ray in each image's first channel, 0 = none; over the pixels where both have one. */
typedef struct plx_depth_error {
    double absolute, relative; /* mean |d - t|, world units, and |d - t| / t; NAN without such a pixel */
    double coverage;           /* such pixels over those of the truth; NAN where the truth has none */
} plx_depth_error;
plx_depth_error plx_depth_compare(const plx_image *depth, const plx_image *truth);
/* Squared gradient of `image` (H,W,3) over that of `truth`, summed over channels and over pixels that lie,
 * with their right and lower neighbours, inside `mask` (last channel above 0.5): 1 = as sharp as the truth,
 * below = blurred. NAN where the truth is flat. */
double plx_sharpness_ratio(const plx_image *image, const plx_image *truth, const plx_image *mask);

/* All of those of colours at once, in less time; NAN where an image is too small for a window. */
typedef struct plx_image_scores {
    double psnr, ssim, flip, sharpness, ssim_gaussian, ms_ssim;
} plx_image_scores;
plx_image_scores plx_image_compare(const plx_image *image, const plx_image *truth, const plx_image *mask);

/* Sliced Wasserstein distance of patches (Karras et al., "Progressive growing of GANs", ICLR 2018), times 1000, for each
 * level of a Laplacian pyramid: 7x7 patches, 128 an image (fewer beyond 1024 images), each set's channels brought to mean 0
 * and deviation 1; mean over 512 directions of the mean distance of the sorted projections. Both sets are cut at the same
 * places, so that equal sets are at 0. A function of the images and the seed. */
#define PLX_SWD_LEVELS 11
typedef struct plx_swd {
    int levels, side[PLX_SWD_LEVELS]; /* the shorter side's pixels; halved while at least 16 */
    double distance[PLX_SWD_LEVELS];
    double mean; /* over the levels */
} plx_swd;
/* `count` images (H,W,3) each, all of one size, at least 16 pixels a side (PLX_CHECK). PLX_ERROR_MEMORY. */
int plx_sliced_wasserstein(plx_swd *out, int count, const plx_image *a, const plx_image *b, uint64_t seed);

/* ---- work to be timed ---------------------------------------------------------------------------------- */

/* Every kernel at the sizes that our models use: 0 .. plx_kernel_workloads() - 1. The name is the kernel and its
 * sizes, "conv_fwd N8 H32 W32 I64 O64 K3 s1". */
int plx_kernel_workloads(void);
void plx_kernel_workload_name(int index, char name[96]);
int plx_kernel_workload(plx_workload *out, const char *device, int index);

#endif
