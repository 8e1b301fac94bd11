/* Convolutions by cuDNN, (N,H,W,C) throughout; weights (O,K,K,I). The algorithm of a size is chosen once, among those that give the
 * same bits every time. With bf16 the factors and the result are bfloat16, as cuDNN's interface has it (its PSEUDO_BFLOAT16_CONFIG:
 * sums in float32); a size or a card that it has no such algorithm for takes tf32. */
#include <cudnn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "nerf/tensor/cuda_bf16.h"
#include "nerf/tensor/cuda_card.h"
#include "nerf/tensor/cuda_kernels.h"
#include "nerf/tensor/cuda_linear.h"
#include "nerf/tensor/cuda_stream.h"

enum { MAX_SIZES = 256, MAX_ALGORITHMS = 8 };
static const size_t workspace_limit = (size_t)512 << 20; /* bytes */

/* What is computed from what: y of x and w, dx of w and dy, dw of x and dy. */
enum direction { FORWARD, DATA, WEIGHTS, DIRECTIONS };

/* One size, its descriptors and what was chosen for it; `bytes` of workspace. */
typedef struct entry {
    plx_conv_size size;
    enum plx_precision precision;
    cudnnTensorDescriptor_t x, y, b;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t convolution;
    struct {
        bool known;
        int algorithm;
        size_t bytes;
    } choice[DIRECTIONS];
} entry;

static struct {
    pthread_mutex_t lock;
    cudnnHandle_t handle;
    entry entries[MAX_SIZES];
    int count;
} dnn = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define THEN(call) \
    if (s == CUDNN_STATUS_SUCCESS) s = call

static cudnnStatus_t describe(entry *e) {
    const plx_conv_size c = e->size;
    const cudnnTensorFormat_t nhwc = CUDNN_TENSOR_NHWC;
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT,
                          type = e->precision == PLX_PRECISION_BF16 ? CUDNN_DATA_BFLOAT16 : f32;
    const cudnnMathType_t math = e->precision == PLX_PRECISION_F32 ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
    cudnnStatus_t s = cudnnCreateTensorDescriptor(&e->x);
    THEN(cudnnCreateTensorDescriptor(&e->y));
    THEN(cudnnCreateTensorDescriptor(&e->b));
    THEN(cudnnCreateFilterDescriptor(&e->w));
    THEN(cudnnCreateConvolutionDescriptor(&e->convolution));
    THEN(cudnnSetTensor4dDescriptor(e->x, nhwc, type, c.N, c.I, c.H, c.W));
    THEN(cudnnSetTensor4dDescriptor(e->y, nhwc, type, c.N, c.O, c.H / c.stride, c.W / c.stride));
    THEN(cudnnSetTensor4dDescriptor(e->b, nhwc, f32, 1, c.O, 1, 1));
    THEN(cudnnSetFilter4dDescriptor(e->w, type, nhwc, c.O, c.I, c.K, c.K));
    THEN(cudnnSetConvolution2dDescriptor(e->convolution, c.K / 2, c.K / 2, c.stride, c.stride, 1, 1,
                                         CUDNN_CROSS_CORRELATION, f32));
    THEN(cudnnSetConvolutionMathType(e->convolution, math));
    return s;
}

/* The first of the heuristics' answers that runs, gives the same bits every time, and fits. */
#define CHOOSE(perf_type, get, ...)                                                                       \
    {                                                                                                     \
        perf_type found[MAX_ALGORITHMS];                                                                  \
        int count = 0;                                                                                    \
        s = get(dnn.handle, __VA_ARGS__, MAX_ALGORITHMS, &count, found);                                  \
        for (int i = 0; i < count && s == CUDNN_STATUS_SUCCESS && !e->choice[d].known; i++) {             \
            if (found[i].status != CUDNN_STATUS_SUCCESS || found[i].determinism != CUDNN_DETERMINISTIC || \
                found[i].memory > workspace_limit)                                                        \
                continue;                                                                                 \
            e->choice[d].known = true;                                                                    \
            e->choice[d].algorithm = (int)found[i].algo, e->choice[d].bytes = found[i].memory;            \
        }                                                                                                 \
        break;                                                                                            \
    }

static cudnnStatus_t choose(entry *e, enum direction d) {
    cudnnStatus_t s = CUDNN_STATUS_SUCCESS;
    if (e->choice[d].known) return s;
    switch (d) {
    case FORWARD:
        CHOOSE(cudnnConvolutionFwdAlgoPerf_t, cudnnGetConvolutionForwardAlgorithm_v7, e->x, e->w,
               e->convolution, e->y)
    case DATA:
        CHOOSE(cudnnConvolutionBwdDataAlgoPerf_t, cudnnGetConvolutionBackwardDataAlgorithm_v7, e->w, e->y,
               e->convolution, e->x)
    default:
        CHOOSE(cudnnConvolutionBwdFilterAlgoPerf_t, cudnnGetConvolutionBackwardFilterAlgorithm_v7, e->x, e->y,
               e->convolution, e->w)
    }
    if (s == CUDNN_STATUS_SUCCESS && !e->choice[d].known) s = CUDNN_STATUS_NOT_SUPPORTED;
    return s;
}

static void destroy(entry *e) {
    if (e->x) cudnnDestroyTensorDescriptor(e->x);
    if (e->y) cudnnDestroyTensorDescriptor(e->y);
    if (e->b) cudnnDestroyTensorDescriptor(e->b);
    if (e->w) cudnnDestroyFilterDescriptor(e->w);
    if (e->convolution) cudnnDestroyConvolutionDescriptor(e->convolution);
    *e = (entry){0};
}

static cudnnStatus_t open_library(void) {
    cudnnStatus_t s = dnn.handle ? CUDNN_STATUS_SUCCESS : cudnnCreate(&dnn.handle);
    THEN(cudnnSetStream(dnn.handle, plx_cuda_stream()));
    return s;
}

static cudnnStatus_t find(entry **out, plx_conv_size size, enum plx_precision precision) {
    pthread_mutex_lock(&dnn.lock);
    cudnnStatus_t s = open_library();
    int i = 0;
    while (i < dnn.count &&
           (memcmp(&dnn.entries[i].size, &size, sizeof size) != 0 || dnn.entries[i].precision != precision))
        i++;
    if (i == dnn.count && s == CUDNN_STATUS_SUCCESS) {
        if (dnn.count == MAX_SIZES) destroy(&dnn.entries[i = 0]); /* begins again with the oldest */
        dnn.entries[i] = (entry){.size = size, .precision = precision};
        s = describe(&dnn.entries[i]);
        if (s != CUDNN_STATUS_SUCCESS)
            destroy(&dnn.entries[i]);
        else if (i == dnn.count)
            dnn.count++;
    }
    *out = &dnn.entries[i];
    pthread_mutex_unlock(&dnn.lock);
    return s;
}

static void report(const char *kernel, plx_conv_size c, cudnnStatus_t s) {
    if (s == CUDNN_STATUS_SUCCESS) return;
    char text[160];
    snprintf(text, sizeof text, "cuDNN, (%d,%d,%d,%d) to %d channels, %dx%d, stride %d: %s", c.N, c.H, c.W,
             c.I, c.O, c.K, c.K, c.stride, cudnnGetErrorString(s));
    plx_cuda_failed(kernel, text);
}

static cudnnStatus_t prepare(entry **out, plx_conv_size size, enum direction d) {
    const enum plx_precision precision = plx_cuda_precision();
    cudnnStatus_t s = find(out, size, precision);
    THEN(choose(*out, d));
    if (s == CUDNN_STATUS_SUCCESS || precision != PLX_PRECISION_BF16) return s;
    s = find(out, size, PLX_PRECISION_TF32);
    THEN(choose(*out, d));
    return s;
}

static size_t whole(size_t count) { /* numbers of 2 bytes, to 256 bytes */
    return (count + 127) / 128 * 128;
}

/* out = a * b + bias, or out += a * b, as the direction has them. */
static void convolve(const char *kernel, enum direction d, plx_conv_size c, const float *a, const float *b,
                     const float *bias, float *out) {
    const size_t N = (size_t)c.N, x = N * (size_t)c.H * (size_t)c.W * (size_t)c.I,
                 y = N * (size_t)(c.H / c.stride) * (size_t)(c.W / c.stride) * (size_t)c.O,
                 w = (size_t)c.O * (size_t)c.K * (size_t)c.K * (size_t)c.I;
    const size_t A = d == DATA ? w : x, B = d == FORWARD ? w : y, out_count = x + y + w - A - B;
    entry *e = NULL;
    cudnnStatus_t s = prepare(&e, c, d);
    if (s != CUDNN_STATUS_SUCCESS) {
        report(kernel, c, s);
        return;
    }
    const bool half = e->precision == PLX_PRECISION_BF16;
    const void *pa = a, *pb = b;
    void *po = out;
    if (half) {
        const size_t floats = (whole(A) + whole(B) + whole(out_count)) / 2;
        uint16_t *all = (uint16_t *)plx_cuda_workspace(kernel, PLX_CUDA_BF16, floats);
        if (plx_cuda_stopped()) return;
        plx_cuda_to_bf16(A, a, all, B, b, all + whole(A));
        pa = all, pb = all + whole(A), po = all + whole(A) + whole(B);
    }
    const size_t bytes = e->choice[d].bytes;
    void *workspace = plx_cuda_workspace(kernel, PLX_CUDA_LIBRARY, bytes / sizeof(float) + 1);
    if (plx_cuda_stopped()) return;
    const float one = 1, beta = d != FORWARD && !half; /* gradients add */
    const int algorithm = e->choice[d].algorithm;
    switch (d) {
    case FORWARD:
        s = cudnnConvolutionForward(dnn.handle, &one, e->x, pa, e->w, pb, e->convolution,
                                    (cudnnConvolutionFwdAlgo_t)algorithm, workspace, bytes, &beta, e->y, po);
        break;
    case DATA:
        s = cudnnConvolutionBackwardData(dnn.handle, &one, e->w, pa, e->y, pb, e->convolution,
                                         (cudnnConvolutionBwdDataAlgo_t)algorithm, workspace, bytes, &beta,
                                         e->x, po);
        break;
    default:
        s = cudnnConvolutionBackwardFilter(dnn.handle, &one, e->x, pa, e->y, pb, e->convolution,
                                           (cudnnConvolutionBwdFilterAlgo_t)algorithm, workspace, bytes,
                                           &beta, e->w, po);
    }
    if (half)
        plx_cuda_from_bf16(out_count, c.O, po, bias, d != FORWARD, out);
    else if (bias)
        THEN(cudnnAddTensor(dnn.handle, &one, e->b, bias, &one, e->y, out));
    report(kernel, c, s);
}

void plx_cuda_conv_fwd(plx_conv_size size, const float *x, const float *w, const float *b, float *y) {
    convolve("conv_fwd", FORWARD, size, x, w, b, y);
}

void plx_cuda_conv_bwd(plx_conv_size size, const float *x, const float *w, const float *dy, float *dx,
                       float *dw, float *db) {
    const size_t pixels = (size_t)size.N * (size_t)(size.H / size.stride) * (size_t)(size.W / size.stride);
    if (dx) convolve("conv_bwd (dx)", DATA, size, w, dy, NULL, dx);
    if (dw) convolve("conv_bwd (dw)", WEIGHTS, size, x, dy, NULL, dw);
    if (db) plx_cuda_add_rows(pixels, size.O, dy, db);
}
