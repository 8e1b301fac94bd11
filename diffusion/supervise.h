/* Where the field is supervised: rays drawn from posed views where they matter, each carrying one over its draw
 * probability, and the losses on them. */
#ifndef PLX_SUPERVISE_H
#define PLX_SUPERVISE_H

#include "diffusion/encoder.h"
#include "nerf/core/views.h"

typedef struct plx_supervision {
    int N, R;
    const int *object_start; /* (N+1) rays of object n */
    const plx_ray *rays;     /* (R) */
    const float *weight;     /* (R) mean pixel / draw probability, at most 4 */
    const float *colour;     /* (R,3) straight colour at the pixel */
    const float *over_white; /* (R,4) colour over white, opacity */
    const float *hit;        /* (R) distance of the first surface; 0 = the ray misses */
} plx_supervision;

/* Half of a view's rays on its mask, a quarter within two pixels (at 32; scaled) of the silhouette, a quarter
 * anywhere. items (N): view 0 is the input (input_rays), the others targets (target_rays each). */
plx_supervision plx_supervise(plx_arena *arena, int N, const plx_views *items, int input_rays,
                              int target_rays, plx_rng rng);

/* Geometry first: density as the hazard of the first hit. Six free samples in front of a slab of 0.04 about the hit,
 * two in the slab; eight over the whole chord for a miss. Returns the likelihood's and the colour's loss. */
typedef struct plx_geometry_loss {
    plx_tensor *likelihood, *colour;
} plx_geometry_loss;
plx_geometry_loss plx_loss_geometry(plx_tape *tape, const plx_field_operands *field, const plx_frame *frames,
                                    const plx_supervision *s, plx_rng rng);

/* Composited over white with `coarse` stratified and `fine` importance samples: colour MSE + 0.5 opacity MSE. */
plx_tensor *plx_loss_photometric(plx_tape *tape, const plx_field_operands *field, const plx_frame *frames,
                                 const plx_supervision *s, int coarse, int fine, plx_rng rng);

/* L1 of the encoder's surface maps (front, back, 0.2 normal) on the input's mask. */
plx_tensor *plx_loss_surface(plx_tape *tape, const plx_encoding *encoding, const plx_frame *frames,
                             const plx_views *items);

/* Squared error of the estimated (sin, cos) elevation, on the items whose elevation was withheld; NULL if none. */
plx_tensor *plx_loss_elevation(plx_tape *tape, const plx_encoding *encoding, const plx_encoder_pose *poses,
                               const plx_views *items);

#endif
