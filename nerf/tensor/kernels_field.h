/* The field's kernels: plane lookup + MLP fused, compositing, and the first-hit likelihood. Listed by
 * kernels.h. */
#ifndef PLX_KERNELS_FIELD_H
#define PLX_KERNELS_FIELD_H

/* The decoder's input for a point, I = 3 C + (guided ? 6 : 0) + 3 + 2 F numbers, in this order:
 *   XY, XZ, YZ features (C each) | guided: r g b a of the input at (u,v), z - front(u,v), z - back(u,v)
 *   | u, v, z | sin and cos of 2^k pi z, k = 0..F-1
 * then I -> H SiLU -> H SiLU -> O, O = guided ? 5 : 4: raw density, raw r g b, raw gate.
 *   density = exp(clamp(raw, -12, 9)), differentiated as if unclamped
 *   colour  = sigmoid(raw rgb); guided: g rgb(u,v) + (1 - g) sigmoid(raw rgb), g = sigmoid(raw gate) */
typedef struct plx_field_size {
    int N;                   /* objects */
    int C, F, H;             /* plane channels, frequencies of z, hidden width: C, H multiples of 16 */
    int guided;              /* XY holds C features, front, back, r, g, b, a: C + 6 channels */
    int xy[2], xz[2], yz[2]; /* rows, columns */
} plx_field_size;

static inline int plx_field_inputs(plx_field_size s) {
    return 3 * s.C + (s.guided ? 6 : 0) + 3 + 2 * s.F;
}
static inline int plx_field_outputs(plx_field_size s) {
    return s.guided ? 5 : 4;
}
static inline int plx_field_xy_channels(plx_field_size s) {
    return s.C + (s.guided ? 6 : 0);
}

/* Values, or gradients: planes (N,rows,columns,channels), weights (out,in), biases. */
typedef struct plx_field_tensors {
    float *xy, *xz, *yz;
    float *w1, *b1, *w2, *b2, *w3, *b3;
} plx_field_tensors;

/* Points are packed by object: those of object n are start[n] .. start[n+1]-1. coords (M,5): u v x y z in
 * [-1,1]; XY is read at (row v, column u), XZ at (row z, column x), YZ at (row y, column z). The arrays lie
 * in the device's memory. On the host are M here and S below: how many there are, or, where only the device has counted
 * them, how many there is room for; kernels take the number from start. */
typedef struct plx_points {
    int M; /* >= start[N] */
    const int *start;
    const float *coords;
} plx_points;

/* Samples packed by ray: those of ray r are start[r] .. start[r+1]-1, front to back. */
typedef struct plx_rays {
    int R, S; /* S >= start[R] */
    const int *start;
    const float *t;      /* (S) distance of the sample's point */
    const float *length; /* (S) of its interval, world units */
} plx_rays;

/* values (S,4): density, r, g, b. */
#define PLX_FIELD_KERNEL_LIST(X)                                                                               \
    X(field_fwd, (plx_field_size s, const plx_field_tensors *p, plx_points points, float *values))             \
    X(field_bwd, (plx_field_size s, const plx_field_tensors *p, plx_points points, const float *dvalues,       \
                  const plx_field_tensors *dp))                                                                \
    /* out (R,5): premultiplied r g b, opacity, sum of weight * t */                                           \
    X(composite_fwd, (plx_rays rays, const float *values, float *out))                                         \
    X(composite_bwd,                                                                                           \
      (plx_rays rays, const float *values, const float *out, const float *dout, float *dvalues))               \
    /* out (R,2): negative log-likelihood of the first hit, squared colour error at it. slab[r]: how many of \
     * the ray's last samples lie in the slab that holds the hit; 0 = the ray misses. colour (R,3): the      \
     * truth. */ \
    X(first_hit_fwd, (plx_rays rays, const int *slab, const float *colour, const float *values, float *out))   \
    X(first_hit_bwd, (plx_rays rays, const int *slab, const float *colour, const float *values,                \
                      const float *dout, float *dvalues))

struct plx_kernels;
void plx_kernels_field_ref(struct plx_kernels *table);
void plx_kernels_field_cpu(struct plx_kernels *table);  /* overrides: field, and those of rays */
void plx_kernels_field_rays(struct plx_kernels *table); /* overrides: compositing and first hits */

#endif
