/* Rays, samples and targets: what stands between the field's kernels in a step. Listed by kernels.h. */
#ifndef PLX_KERNELS_RAYS_H
#define PLX_KERNELS_RAYS_H

#include <stdbool.h>

#include "nerf/core/ray.h"
#include "nerf/core/rng.h"
#include "nerf/tensor/frame.h"
#include "nerf/tensor/kernels_field.h"

enum { PLX_MAX_PER_RAY = 512 }; /* samples, coarse and fine */

/* What disturbs a render (diffusion/condition.c); drawn on the host. */
typedef struct plx_disturbance {
    float sigma; /* of the Gaussian blur, pixels; 0: none */
    float shift[3];
    int shifted;
    float noise; /* its standard deviation */
    plx_rng rng; /* element i gets normal number 3 + i */
} plx_disturbance;

enum { PLX_BLUR_REACH = 16 }; /* pixels, at most */

/* Samples in equal intervals of about `step` (march.h), those in empty cells of a grid left out. */
typedef struct plx_march {
    float step, radius;
    int grid;                      /* cells along each axis of the cube [-radius,radius]^3; x fastest */
    const unsigned char *occupied; /* (grid^3), the device's; NULL: all are */
    bool drawn; /* ray r's samples are at uniform number r of their intervals; else in the middle */
    plx_rng rng;
} plx_march;

/* rays (R). `rng` is the host's. */
#define PLX_RAYS_KERNEL_LIST(X)                                                                                \
    /* Rays with samples have `count`, one in each of that many equal intervals of [t0,t1]: sample i (of all \
     * rays) at uniform number i, or (rng NULL) in the middle. */ \
    X(sample_stratified, (int R, const plx_ray *rays, const int *start, int count, const plx_rng *rng,         \
                          float *t, float *length))                                                            \
    /* Inverse-CDF samples from the weights of coarse, values (S,4), merged with the coarse ones in order    \
     * (nerf/sampling.h). start (R+1) is of the result: rays with n > 0 coarse samples have n + count, at    \
     * most PLX_MAX_PER_RAY. The k-th draw of ray r is uniform number r count + k. */ \
    X(sample_importance, (const plx_ray *rays, plx_rays coarse, const float *values, const int *start,         \
                          int count, plx_rng rng, float *t, float *length))                                    \
    /* coords (S,5) of all samples; rays of object n are object_start[n] .. object_start[n+1]-1, in          \
     * frames[n]. */ \
    X(points_along, (const plx_ray *rays, plx_rays samples, int N, const int *object_start,                    \
                     const plx_frame *frames, float *coords))                                                  \
    /* seen (S): length, but 0 for the samples that no more than exp(-limit) of the light reaches: where     \
     * the sum of density length over the samples before is at least `limit`. */ \
    X(seen_lengths, (plx_rays samples, const float *values, double limit, float *seen))                        \
    /* loss (1) = mean_r weight_r (|C_r - colour_r|^2 + opacity_weight (O_r - opacity_r)^2), C =             \
     * premultiplied + 1 - O over white, of out (R,5); dout (R,5) is written, unless NULL. */ \
    X(ray_loss, (int R, const plx_ray_target *targets, float opacity_weight, const float *out, float *dout,    \
                 double *loss))                                                                                \
    /* x (H,W,stride), the first C channels: dx += scale sum over the 2 to 4 neighbours of (x - x'). */        \
    X(plane_variation, (int H, int W, int stride, int C, float scale, const float *x, float *dx))              \
    /* x (M,C): channels begin .. end-1 become 0. */                                                           \
    X(clear_channels, (size_t M, int C, int begin, int end, float *x))                                         \
    /* out (R,5): rows become 0 where rough (R,5) has an opacity of at most `least`. */                        \
    X(drop_faint, (int R, float least, const float *rough, float *out))                                        \
    /* composite (M,5) -> rgba (M,4): colour over white and opacity, in [-1,1]. */                             \
    X(condition_channels, (size_t M, const float *composite, float *rgba))                                     \
    /* rgba (H,W,4) in [-1,1]: blurred along rows, then columns, reach ceil(3 sigma) and at most             \
     * PLX_BLUR_REACH, edges repeated; r g b += shift (alpha + 1) / 2; all += noise N(0,1). scratch (H,W,4). \
     */ \
    X(disturb, (plx_disturbance d, int H, int W, float *scratch, float *rgba))                                 \
    /* Occupancy: coords (count points, 5) of the jittered points of cells (count) of a grid^3, x fastest,   \
     * over [-radius,radius]^3: number 3 (cell points + point) + axis of rng, in `frame` (the device's). */ \
    X(cell_points, (int count, const int *cells, int points, int grid, float radius, plx_rng rng,              \
                    const plx_frame *frame, float *coords))                                                    \
    /* occupied (grid^3) of the cells: whether the largest density, values (count points, 4), is above       \
     * `least`. */ \
    X(cell_occupied,                                                                                           \
      (int count, const int *cells, int points, const float *values, float least, unsigned char *occupied))    \
    /* out (grid^3): in, or either neighbour at this distance in memory, along one axis. */                    \
    X(grow_cells, (int grid, int stride, const unsigned char *in, unsigned char *out))                         \
    /* start (R+1) of the samples of a march, and the samples. */                                              \
    X(march_starts, (int R, const plx_ray *rays, plx_march m, int *start))                                     \
    X(march_samples, (int R, const plx_ray *rays, plx_march m, const int *start, float *t, float *length))     \
    /* A picture in rounds: the next samples, from next (R) on and at most `most` a ray, of rays of whose    \
     * light (R) at least `spent` is left: start (R+1), and copies of them. */ \
    X(round_starts,                                                                                            \
      (plx_rays samples, const int *next, const float *light, float spent, int most, int *start))              \
    X(round_samples, (plx_rays samples, const int *next, const int *start, float *t, float *length))           \
    /* composite (R,5) of a round: out (R,5) += light composite, light *= 1 - opacity, next (R) goes on;     \
     * rays without samples in it stay as they are. */ \
    X(add_round, (int R, const int *start, const float *composite, int *next, float *light, float *out))

struct plx_kernels;
void plx_kernels_rays(struct plx_kernels *table); /* fills: the same for `ref` and `cpu` */

#endif
