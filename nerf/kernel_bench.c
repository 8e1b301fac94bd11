/* A kernel of PLX_KERNEL_LIST without a BENCH below does not compile. */
#include "nerf/kernel_bench.h"

#include <math.h>
#include <string.h>

#include "nerf/core/rng.h"
#include "nerf/tensor/flops.h"

typedef plx_kernel_work work;

/* ---- a kernel's arguments ------------------------------------------------------------------------------ */

enum { BLOCK = 4096, GRID = 64 };

/* `count` numbers N(0, scale^2); they repeat after BLOCK, which is no matter to the time. `touched`: how often a run
 * goes over them. */
static float *new_array(work *w, size_t count, int touched, float scale) {
    float block[BLOCK], *data = plx_arena_alloc(w->arena, count * sizeof(float));
    plx_rng_fill_normal((plx_rng){1, (uint64_t)w->arrays}, block, BLOCK);
    for (size_t i = 0; i < BLOCK; i++) block[i] *= scale;
    for (size_t i = 0; i < count; i += BLOCK)
        memcpy(data + i, block, sizeof(float) * (count - i < BLOCK ? count - i : BLOCK));
    w->bytes += (double)touched * (double)count * sizeof(float);
    PLX_CHECK(w->arrays < PLX_KERNEL_MAX_ARRAYS, "a kernel with more than %d arrays", PLX_KERNEL_MAX_ARRAYS);
    return w->a[w->arrays++] = data;
}

static void reads(work *w, size_t count) {
    new_array(w, count, 1, 1);
}
static void writes(work *w, size_t count) {
    new_array(w, count, 1, 1);
}
static void adds(work *w, size_t count) { /* reads and writes */
    new_array(w, count, 2, 1);
}

static size_t product(const int *n, int count) {
    size_t p = 1;
    for (int i = 0; i < count; i++) p *= (size_t)n[i];
    return p;
}

/* ---- the kernels --------------------------------------------------------------------------------------- */

/* BENCH(kernel, letters of its sizes, the function that makes its arrays, its arguments in terms of w, n and a) */
#define BENCH(kernel, letters, prepare, ...) \
    static int run_##kernel(void *state) {   \
        work *w = state;                     \
        const int *n = w->n;                 \
        float *const *a = w->a;              \
        (void)n, (void)a;                    \
        w->kernels->kernel(__VA_ARGS__);     \
        return PLX_OK;                       \
    }                                        \
    static const plx_kernel_bench bench_##kernel = {letters, prepare, run_##kernel};

static plx_conv_size conv_size(const int *n) {
    return (plx_conv_size){n[0], n[1], n[2], n[3], n[4], n[5], n[6]};
}

static void conv(work *w, bool backward) {
    plx_conv_size s = conv_size(w->n);
    size_t x = product(w->n, 4), weights = (size_t)s.O * (size_t)s.K * (size_t)s.K * (size_t)s.I;
    size_t y = (size_t)s.N * (size_t)(s.H / s.stride) * (size_t)(s.W / s.stride) * (size_t)s.O;
    w->flops = plx_flops_conv(s) * (backward ? 2 : 1);
    reads(w, x), reads(w, weights);
    if (backward)
        reads(w, y), adds(w, x), adds(w, weights), adds(w, (size_t)s.O);
    else
        reads(w, (size_t)s.O), writes(w, y);
}
static void conv_forward(work *w) {
    conv(w, false);
}
static void conv_backward(work *w) {
    conv(w, true);
}
BENCH(conv_fwd, "N H W I O K s", conv_forward, conv_size(n), a[0], a[1], a[2], a[3])
BENCH(conv_bwd, "N H W I O K s", conv_backward, conv_size(n), a[0], a[1], a[2], a[3], a[4], a[5])

static void linear(work *w, bool backward) {
    size_t M = (size_t)w->n[0], I = (size_t)w->n[1], O = (size_t)w->n[2];
    w->flops = plx_flops_linear(M, w->n[1], w->n[2]) * (backward ? 2 : 1);
    reads(w, M * I), reads(w, O * I);
    if (backward)
        reads(w, M * O), adds(w, M * I), adds(w, O * I), adds(w, O);
    else
        reads(w, O), writes(w, M * O);
}
static void linear_forward(work *w) {
    linear(w, false);
}
static void linear_backward(work *w) {
    linear(w, true);
}
BENCH(linear_fwd, "M I O", linear_forward, (size_t)n[0], n[1], n[2], a[0], a[1], a[2], a[3])
BENCH(linear_bwd, "M I O", linear_backward, (size_t)n[0], n[1], n[2], a[0], a[1], a[2], a[3], a[4], a[5])

/* With SiLU; with the embedding's scale and shift where e = 1. */
static plx_norm_size norm_size(const int *n) {
    return (plx_norm_size){n[0], n[1], n[2], n[3], true, false};
}
static void norm_forward(work *w) {
    size_t N = (size_t)w->n[0], C = (size_t)w->n[2], x = product(w->n, 3);
    reads(w, x), reads(w, C), reads(w, C), reads(w, w->n[4] ? 2 * N * C : 0);
    writes(w, 2 * N * (size_t)w->n[3]), writes(w, x);
}
static void norm_backward(work *w) {
    size_t N = (size_t)w->n[0], C = (size_t)w->n[2], x = product(w->n, 3), e = w->n[4] ? 2 * N * C : 0;
    reads(w, x), reads(w, C), reads(w, C), reads(w, e), reads(w, 2 * N * (size_t)w->n[3]), reads(w, x);
    adds(w, x), adds(w, C), adds(w, C), adds(w, e);
}
BENCH(norm_fwd, "N P C g e", norm_forward, norm_size(n), a[0], a[1], a[2], n[4] ? a[3] : NULL, a[4], a[5])
BENCH(norm_bwd, "N P C g e", norm_backward, norm_size(n), a[0], a[1], a[2], n[4] ? a[3] : NULL, a[4], a[5],
      a[6], a[7], a[8], n[4] ? a[9] : NULL)

static void map_forward(work *w) {
    reads(w, (size_t)w->n[0]), writes(w, (size_t)w->n[0]);
}
static void map_backward(work *w) {
    reads(w, (size_t)w->n[0]), reads(w, (size_t)w->n[0]), adds(w, (size_t)w->n[0]);
}
static void map_add(work *w) {
    reads(w, (size_t)w->n[0]), adds(w, (size_t)w->n[0]);
}
BENCH(silu_fwd, "n", map_forward, (size_t)n[0], a[0], a[1])
BENCH(silu_bwd, "n", map_backward, (size_t)n[0], a[0], a[1], a[2])
BENCH(sigmoid_fwd, "n", map_forward, (size_t)n[0], a[0], a[1])
BENCH(sigmoid_bwd, "n", map_backward, (size_t)n[0], a[0], a[1], a[2])
BENCH(axpy, "n", map_add, (size_t)n[0], 0.5f, a[0], a[1])

static plx_attention_size attention_size(const int *n) {
    return (plx_attention_size){n[0], n[1], n[2], n[3], n[4]};
}
static void attention(work *w, bool backward) {
    plx_attention_size s = attention_size(w->n);
    size_t C = (size_t)(s.heads * s.d), q = (size_t)(s.N * s.Q) * C, k = (size_t)(s.N * s.K) * C;
    w->flops = plx_flops_attention(s) * (backward ? 2.5 : 1);
    reads(w, q), reads(w, k), reads(w, k), writes(w, (size_t)(s.N * s.heads * s.Q)), writes(w, q);
    if (backward) reads(w, q), adds(w, q), adds(w, k), adds(w, k);
    /* The logarithm of the sum belongs to the scores, or weights overflow: above any of them, weights are small. */
    for (int i = 0; i < s.N * s.heads * s.Q; i++) w->a[3][i] = 20;
}
static void attention_forward(work *w) {
    attention(w, false);
}
static void attention_backward(work *w) {
    attention(w, true);
}
BENCH(attention_fwd, "N Q K h d", attention_forward, attention_size(n), a[0], a[1], a[2], a[3], a[4])
BENCH(attention_bwd, "N Q K h d", attention_backward, attention_size(n), a[0], a[1], a[2], a[3], a[4], a[5],
      a[6], a[7], a[8])

static void concat_forward(work *w) {
    size_t M = (size_t)w->n[0], A = M * (size_t)w->n[1], B = M * (size_t)w->n[2];
    reads(w, A), reads(w, B), writes(w, A + B);
}
static void concat_backward(work *w) {
    size_t M = (size_t)w->n[0], A = M * (size_t)w->n[1], B = M * (size_t)w->n[2];
    reads(w, A + B), adds(w, A), adds(w, B);
}
BENCH(concat_fwd, "M A B", concat_forward, (size_t)n[0], n[1], n[2], a[0], a[1], a[2])
BENCH(concat_bwd, "M A B", concat_backward, (size_t)n[0], n[1], n[2], a[0], a[1], a[2])

/* Of rows of C numbers those from `begin` to `end`; what lies between is not gone over. */
static void slice_forward(work *w) {
    size_t y = (size_t)w->n[0] * (size_t)(w->n[3] - w->n[2]);
    new_array(w, product(w->n, 2), 0, 1);
    writes(w, y);
    w->bytes *= 2;
}
static void slice_backward(work *w) {
    size_t y = (size_t)w->n[0] * (size_t)(w->n[3] - w->n[2]);
    reads(w, y);
    w->bytes *= 3;
    new_array(w, product(w->n, 2), 0, 1);
}
BENCH(slice_fwd, "M C b e", slice_forward, (size_t)n[0], n[1], n[2], n[3], a[0], a[1])
BENCH(slice_bwd, "M C b e", slice_backward, (size_t)n[0], n[1], n[2], n[3], a[0], a[1])

/* Values that move: as many out as in, but for upsampling (4 times) and pooling (kh kw to 1). */
static void moved(work *w) {
    reads(w, product(w->n, 4)), writes(w, product(w->n, 4));
}
static void moved_back(work *w) {
    reads(w, product(w->n, 4)), adds(w, product(w->n, 4));
}
static void upsampled(work *w) {
    reads(w, product(w->n, 4)), writes(w, 4 * product(w->n, 4));
}
static void upsampled_back(work *w) {
    reads(w, 4 * product(w->n, 4)), adds(w, product(w->n, 4));
}
static void pooled(work *w) {
    reads(w, product(w->n, 4)), writes(w, product(w->n, 4) / product(w->n + 4, 2));
}
static void pooled_back(work *w) {
    reads(w, product(w->n, 4) / product(w->n + 4, 2)), adds(w, product(w->n, 4));
}
BENCH(swap_hw_fwd, "N H W C", moved, n[0], n[1], n[2], n[3], a[0], a[1])
BENCH(swap_hw_bwd, "N H W C", moved_back, n[0], n[1], n[2], n[3], a[0], a[1])
BENCH(upsample2_fwd, "N H W C", upsampled, n[0], n[1], n[2], n[3], a[0], a[1])
BENCH(upsample2_bwd, "N H W C", upsampled_back, n[0], n[1], n[2], n[3], a[0], a[1])
BENCH(pool_fwd, "N H W C kh kw", pooled, n[0], n[1], n[2], n[3], n[4], n[5], a[0], a[1])
BENCH(pool_bwd, "N H W C kh kw", pooled_back, n[0], n[1], n[2], n[3], n[4], n[5], a[0], a[1])
BENCH(space_to_depth_fwd, "N H W C r", moved, n[0], n[1], n[2], n[3], n[4], a[0], a[1])
BENCH(space_to_depth_bwd, "N H W C r", moved_back, n[0], n[1], n[2], n[3], n[4], a[0], a[1])
BENCH(depth_to_space_fwd, "N H W C r", moved, n[0], n[1], n[2], n[3], n[4], a[0], a[1])
BENCH(depth_to_space_bwd, "N H W C r", moved_back, n[0], n[1], n[2], n[3], n[4], a[0], a[1])

/* ---- the field's kernels ------------------------------------------------------------------------------- */

/* Sizes: objects, points an object, side of XY, side of XZ and YZ, guided, hidden width; C = 16, F = 4. */
static plx_field_size field_size(const int *n) {
    return (plx_field_size){.N = n[0],
                            .C = 16,
                            .F = 4,
                            .H = n[5],
                            .guided = n[4],
                            .xy = {n[2], n[2]},
                            .xz = {n[3], n[3]},
                            .yz = {n[3], n[3]}};
}

/* Weights keep activations near 1. */
static plx_field_tensors field_tensors(work *w, plx_field_size s, int touched) {
    size_t H = (size_t)s.H, I = (size_t)plx_field_inputs(s), O = (size_t)plx_field_outputs(s),
           N = (size_t)s.N;
    float scale = touched == 1 ? 1 / sqrtf((float)I) : 1;
    plx_field_tensors t;
    t.xy = new_array(w, N * (size_t)(s.xy[0] * s.xy[1] * plx_field_xy_channels(s)), touched, 1);
    t.xz = new_array(w, N * (size_t)(s.xz[0] * s.xz[1] * s.C), touched, 1);
    t.yz = new_array(w, N * (size_t)(s.yz[0] * s.yz[1] * s.C), touched, 1);
    t.w1 = new_array(w, H * I, touched, scale), t.b1 = new_array(w, H, touched, scale);
    t.w2 = new_array(w, H * H, touched, scale), t.b2 = new_array(w, H, touched, scale);
    t.w3 = new_array(w, O * H, touched, scale), t.b3 = new_array(w, O, touched, scale);
    return t;
}

/* Points one after the other along segments through the cube, 32 a segment, as samples of rays are. */
static void field_points(work *w, int N, int points) {
    enum { SEGMENT = 32 };
    int *start = plx_arena_alloc(w->arena, sizeof(int) * ((size_t)N + 1));
    size_t M = (size_t)N * (size_t)points;
    float *coords = new_array(w, 5 * M, 1, 1);
    const plx_rng rng = {2, 0};
    for (int o = 0; o <= N; o++) start[o] = o * points;
    for (size_t m = 0; m < M; m++) {
        size_t segment = m / SEGMENT;
        float at = ((float)(m % SEGMENT) + 0.5f) / SEGMENT, p[3];
        for (size_t k = 0; k < 3; k++) {
            float from = plx_rng_uniform(rng, 6 * segment + k),
                  to = plx_rng_uniform(rng, 6 * segment + 3 + k);
            p[k] = 2 * (from + at * (to - from)) - 1;
        }
        memcpy(coords + 5 * m, (float[5]){p[0], p[1], p[0], p[1], p[2]}, 5 * sizeof(float));
    }
    w->points = (plx_points){start[N], start, coords};
}

static void field_forward(work *w) {
    plx_field_size s = field_size(w->n);
    size_t M = (size_t)s.N * (size_t)w->n[1];
    w->flops = plx_flops_field(s) * (double)M;
    w->tensors = field_tensors(w, s, 1);
    field_points(w, s.N, w->n[1]);
    writes(w, 4 * M); /* a[10] */
}
static void field_backward(work *w) {
    field_forward(w);
    w->flops *= 3;
    w->gradients = field_tensors(w, field_size(w->n), 2);
}
BENCH(field_fwd, "N M xy z g H", field_forward, field_size(n), &w->tensors, w->points, a[10])
BENCH(field_bwd, "N M xy z g H", field_backward, field_size(n), &w->tensors, w->points, a[10], &w->gradients)

/* R rays of S samples each across the sphere's diameter, a[0]; densities near 1. first hit: the last two in the slab. */
static void ray_samples(work *w) {
    int R = w->n[0], S = w->n[1];
    int *start = plx_arena_alloc(w->arena, sizeof(int) * ((size_t)R + 1));
    size_t count = (size_t)R * (size_t)S;
    float *values = new_array(w, 4 * count, 1, 1), *t = new_array(w, count, 1, 1);
    float *length = new_array(w, count, 1, 1);
    w->slab = plx_arena_alloc(w->arena, sizeof(int) * (size_t)R);
    for (int r = 0; r <= R; r++) start[r] = r * S;
    for (int r = 0; r < R; r++) w->slab[r] = 2;
    for (size_t i = 0; i < count; i++) {
        t[i] = 0.8f + ((float)(i % (size_t)S) + 0.5f) / (float)S;
        length[i] = 1 / (float)S;
        for (size_t c = 0; c < 4; c++) values[4 * i + c] = 0.1f + fabsf(values[4 * i + c]);
    }
    w->rays = (plx_rays){R, R * S, start, t, length};
}
static void rays_forward(work *w) {
    ray_samples(w);
    reads(w, 3 * (size_t)w->n[0]);
    writes(w, 5 * (size_t)w->n[0]);
}
static void rays_backward(work *w) {
    rays_forward(w);
    reads(w, 5 * (size_t)w->n[0]);
    adds(w, 4 * (size_t)w->n[0] * (size_t)w->n[1]);
}
BENCH(composite_fwd, "R S", rays_forward, w->rays, a[0], a[4])
BENCH(composite_bwd, "R S", rays_backward, w->rays, a[0], a[4], a[5], a[6])
BENCH(first_hit_fwd, "R S", rays_forward, w->rays, w->slab, a[3], a[0], a[4])
BENCH(first_hit_bwd, "R S", rays_backward, w->rays, w->slab, a[3], a[0], a[5], a[6])

/* ---- between them: samples, targets, conditions, occupancy ------------------------------------------------ */

/* R rays across the unit ball, with room for S samples each, and S more: w->rays, w->many (2 S a ray). */
static void step_rays(work *w) {
    rays_forward(w); /* a[0] values .. a[4] out */
    int R = w->n[0], S = w->n[1];
    w->ray = plx_arena_zalloc(w->arena, sizeof *w->ray * (size_t)R);
    w->targets = plx_arena_zalloc(w->arena, sizeof *w->targets * (size_t)R);
    w->many = plx_arena_alloc(w->arena, sizeof(int) * ((size_t)R + 1));
    w->object_start = plx_arena_zalloc(w->arena, 2 * sizeof(int));
    w->object_start[1] = R;
    for (int r = 0; r < R; r++) {
        w->ray[r] = (plx_ray){{-1.3f, 0, 0}, {1, 0, 0}, 0.8f, 1.8f};
        w->targets[r].weight = 1;
    }
    for (int r = 0; r <= R; r++) w->many[r] = 2 * S * r;
    adds(w, 10 * (size_t)R * (size_t)S); /* a[5]: times and lengths, or coordinates */
}
BENCH(sample_stratified, "R S", step_rays, n[0], w->ray, w->rays.start, n[1], &(plx_rng){1, 1}, a[5],
      a[5] + n[0] * n[1])
BENCH(sample_importance, "R S", step_rays, w->ray, w->rays, a[0], w->many, n[1], (plx_rng){1, 1}, a[5],
      a[5] + 2 * n[0] * n[1])
BENCH(points_along, "R S", step_rays, w->ray, w->rays, 1, w->object_start, w->frame, a[5])
BENCH(seen_lengths, "R S", step_rays, w->rays, a[0], 6.9, a[5])
BENCH(ray_loss, "R S", step_rays, n[0], w->targets, 0.5f, a[4], a[5], w->number)
BENCH(drop_faint, "R S", step_rays, n[0], 0.004f, a[4], a[5])
BENCH(condition_channels, "R S", step_rays, (size_t)n[0], a[4], a[5])

static void image_of_channels(work *w) {
    adds(w, product(w->n, 3));
    adds(w, product(w->n, 3));
}
BENCH(plane_variation, "H W C", image_of_channels, n[0], n[1], n[2], n[2], 0.1f, a[0], a[1])
BENCH(clear_channels, "H W C", image_of_channels, product(n, 2), n[2], n[2] - 6, n[2], a[0])
BENCH(disturb, "H W C", image_of_channels, (plx_disturbance){1, {0.1f, 0, 0}, 1, 0.05f, {1, 1}}, n[0], n[1],
      a[0], a[1])

static void grid_cells(work *w) {
    int count = w->n[0], grid = w->n[1];
    w->slab = plx_arena_alloc(w->arena, sizeof(int) * (size_t)count);
    for (int i = 0; i < count; i++) w->slab[i] = i;
    w->occupied = plx_arena_alloc(w->arena, (size_t)(grid * grid * grid));
    adds(w, 10 * (size_t)count);
}
BENCH(cell_points, "n G", grid_cells, n[0], w->slab, 2, n[1], 0.5f, (plx_rng){1, 1}, w->frame, a[0])
BENCH(cell_occupied, "n G", grid_cells, n[0], w->slab, 2, a[0], 0.5f, w->occupied)

/* R rays across the sphere of radius 1/2 and S samples on each: a[0] rays, a[1] the grid, a[2] starts. */
static void march_count(work *w) {
    size_t R = (size_t)w->n[0], S = (size_t)w->n[1];
    reads(w, R * sizeof(plx_ray) / sizeof(float)), reads(w, GRID * GRID * GRID / sizeof(float));
    writes(w, R + 1);
    w->ray = (plx_ray *)w->a[0], w->many = (int *)w->a[2];
    w->occupied = memset(w->a[1], 1, GRID * GRID * GRID);
    for (size_t r = 0; r < R; r++) w->ray[r] = (plx_ray){{-1.3f, 0, 0}, {1, 0, 0}, 0.8f, 1.8f};
    for (size_t r = 0; r <= R; r++) w->many[r] = (int)(r * S);
}
static void march_write(work *w) {
    march_count(w);
    writes(w, product(w->n, 2)), writes(w, product(w->n, 2));
}
static plx_march march_of(const work *w) {
    return (plx_march){1.0f / (float)w->n[1], 0.5f, GRID, w->occupied, true, {1, 1}};
}
BENCH(march_starts, "R S", march_count, n[0], w->ray, march_of(w), w->many)
BENCH(march_samples, "R S", march_write, n[0], w->ray, march_of(w), w->many, a[3], a[4])

/* A round of S samples on each of R rays: a[0] starts, a[1] where they go on, a[2] light, and what else each kernel has. */
static void round_rays(work *w) {
    size_t R = (size_t)w->n[0], S = (size_t)w->n[1];
    reads(w, R + 1), adds(w, R + 1), adds(w, R);
    w->slab = (int *)w->a[0], w->many = (int *)w->a[1];
    for (size_t r = 0; r <= R; r++) w->slab[r] = w->many[r] = (int)(r * S);
    w->rays = (plx_rays){(int)R, (int)(R * S), w->slab, NULL, NULL};
}
static void round_copies(work *w) {
    round_rays(w);
    for (int i = 0; i < 4; i++) writes(w, product(w->n, 2));
    w->rays.t = w->a[3], w->rays.length = w->a[4];
}
static void round_sums(work *w) {
    round_rays(w);
    reads(w, 5 * (size_t)w->n[0]), adds(w, 5 * (size_t)w->n[0]);
}
BENCH(round_starts, "R S", round_rays, w->rays, w->slab, a[2], 0, n[1], w->many)
BENCH(round_samples, "R S", round_copies, w->rays, w->slab, w->slab, a[5], a[6])
BENCH(add_round, "R S", round_sums, n[0], w->slab, a[3], w->many, a[2], a[4])

static void two_grids(work *w) {
    reads(w, product((int[]){w->n[0], w->n[0], w->n[0]}, 3) / sizeof(float));
    writes(w, product((int[]){w->n[0], w->n[0], w->n[0]}, 3) / sizeof(float));
}
BENCH(grow_cells, "G", two_grids, n[0], n[0], (unsigned char *)a[0], (unsigned char *)a[1])

/* ---- losses, optimiser ------------------------------------------------------------------------------------- */

static void noised(work *w) {
    size_t count = product(w->n, 2);
    reads(w, count), writes(w, count), writes(w, count), writes(w, count);
    reads(w, (size_t)w->n[0] * sizeof(plx_noising) / sizeof(float));
    for (int n = 0; n < w->n[0]; n++) ((plx_noising *)w->a[4])[n] = (plx_noising){0.8, 0.6, PLX_TARGET_V, 1};
}
BENCH(noise_views, "N n", noised, n[0], (size_t)n[1], (const plx_noising *)a[4], (plx_rng){1, 1}, a[0], a[1],
      a[2], a[3])

static void loss_of(work *w) {
    size_t n = (size_t)w->n[0];
    reads(w, n), reads(w, n), reads(w, n), adds(w, n), writes(w, 1);
}
BENCH(lp_fwd, "n", loss_of, (size_t)n[0], 2, a[0], a[1], a[2], w->number, a[4])
BENCH(lp_bwd, "n", loss_of, (size_t)n[0], 2, a[0], a[1], a[2], w->number, a[4], a[3])
BENCH(loss_sum_fwd, "n", loss_of, (plx_loss_terms){2, {a[0], a[1]}, {1, 2}}, a[4])
BENCH(loss_sum_bwd, "n", loss_of, (plx_loss_terms){2, {a[0], a[1]}, {1, 2}}, a[4])

static void parameters(work *w) {
    enum { CHUNK = 16384 };
    size_t n = (size_t)w->n[0];
    w->chunks = (int)((n + CHUNK - 1) / CHUNK);
    w->chunk = plx_arena_alloc(w->arena, sizeof *w->chunk * (size_t)w->chunks);
    w->sums = plx_arena_alloc(w->arena, sizeof *w->sums * (size_t)w->chunks);
    for (size_t k = 0; k < (size_t)w->chunks; k++)
        w->chunk[k] = (plx_chunk){k * CHUNK, (k + 1) * CHUNK < n ? (k + 1) * CHUNK : n, 1, 0.01f};
    reads(w, n);
    for (int block = 0; block < 4; block++) adds(w, n);
    for (size_t i = 0; i < n; i++) w->a[2][i] = fabsf(w->a[2][i]); /* v */
}
BENCH(gradient_norm, "n", parameters, w->chunks, w->chunk, a[0], w->sums, w->number)
BENCH(adamw, "n", parameters, (plx_adamw){1e-4f, 0.9f, 0.99f, 1e-8f, 0.999f, 1, 1, 1}, w->chunks, w->chunk,
      w->number, a[0], a[1], a[2], a[3], a[4])

const plx_kernel_bench *const plx_kernel_benches[] = {
#define PLX_KERNEL_BENCH(name, arguments) &bench_##name,
    PLX_KERNEL_LIST(PLX_KERNEL_BENCH)
#undef PLX_KERNEL_BENCH
};
