/* Convolutions by cuDNN, (N,H,W,C) throughout; weights (O,K,K,I). The algorithm of a size is chosen once, among those that give the
 * same bits every time. */
#include <cudnn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "nerf/tensor/cuda_card.h"
#include "nerf/tensor/cuda_kernels.h"
#include "nerf/tensor/cuda_stream.h"

enum { MAX_SIZES = 256, MAX_ALGORITHMS = 8 };
static const size_t workspace_limit = (size_t)512 << 20; /* bytes */

/* One size, its descriptors and what was chosen for it; `bytes` of workspace. */
typedef struct entry {
    plx_conv_size size;
    enum plx_precision precision;
    cudnnTensorDescriptor_t x, y, b;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t convolution;
    cudnnConvolutionFwdAlgo_t forward;
    cudnnConvolutionBwdDataAlgo_t data;
    cudnnConvolutionBwdFilterAlgo_t weights;
    size_t forward_bytes, data_bytes, weights_bytes;
    bool has_forward, has_data, has_weights;
} entry;

static struct {
    pthread_mutex_t lock;
    cudnnHandle_t handle;
    entry entries[MAX_SIZES];
    int count;
} dnn = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define THEN(call) \
    if (s == CUDNN_STATUS_SUCCESS) s = call

/* bf16 is the matrix products': cuDNN's legacy interface has no bfloat16 products of float32 tensors, so that here it means tf32. */
static cudnnMathType_t math_of(enum plx_precision precision) {
    return precision == PLX_PRECISION_F32 ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
}

static cudnnStatus_t describe(entry *e) {
    const plx_conv_size c = e->size;
    const cudnnTensorFormat_t nhwc = CUDNN_TENSOR_NHWC;
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    cudnnStatus_t s = cudnnCreateTensorDescriptor(&e->x);
    THEN(cudnnCreateTensorDescriptor(&e->y));
    THEN(cudnnCreateTensorDescriptor(&e->b));
    THEN(cudnnCreateFilterDescriptor(&e->w));
    THEN(cudnnCreateConvolutionDescriptor(&e->convolution));
    THEN(cudnnSetTensor4dDescriptor(e->x, nhwc, f32, c.N, c.I, c.H, c.W));
    THEN(cudnnSetTensor4dDescriptor(e->y, nhwc, f32, c.N, c.O, c.H / c.stride, c.W / c.stride));
    THEN(cudnnSetTensor4dDescriptor(e->b, nhwc, f32, 1, c.O, 1, 1));
    THEN(cudnnSetFilter4dDescriptor(e->w, f32, nhwc, c.O, c.I, c.K, c.K));
    THEN(cudnnSetConvolution2dDescriptor(e->convolution, c.K / 2, c.K / 2, c.stride, c.stride, 1, 1,
                                         CUDNN_CROSS_CORRELATION, f32));
    THEN(cudnnSetConvolutionMathType(e->convolution, math_of(e->precision)));
    return s;
}

/* The first of the heuristics' answers that runs, gives the same bits every time, and fits. */
#define CHOOSE(found, count, algorithm, bytes, has)                                                   \
    for (int i = 0; i < count && !(has); i++)                                                         \
        if (found[i].status == CUDNN_STATUS_SUCCESS && found[i].determinism == CUDNN_DETERMINISTIC && \
            found[i].memory <= workspace_limit)                                                       \
            (algorithm) = found[i].algo, (bytes) = found[i].memory, (has) = true;                     \
    if (s == CUDNN_STATUS_SUCCESS && !(has)) s = CUDNN_STATUS_NOT_SUPPORTED;

static cudnnStatus_t choose_forward(entry *e) {
    cudnnConvolutionFwdAlgoPerf_t found[MAX_ALGORITHMS];
    int count = 0;
    cudnnStatus_t s = cudnnGetConvolutionForwardAlgorithm_v7(dnn.handle, e->x, e->w, e->convolution, e->y,
                                                             MAX_ALGORITHMS, &count, found);
    CHOOSE(found, count, e->forward, e->forward_bytes, e->has_forward)
    return s;
}

static cudnnStatus_t choose_data(entry *e) {
    cudnnConvolutionBwdDataAlgoPerf_t found[MAX_ALGORITHMS];
    int count = 0;
    cudnnStatus_t s = cudnnGetConvolutionBackwardDataAlgorithm_v7(dnn.handle, e->w, e->y, e->convolution,
                                                                  e->x, MAX_ALGORITHMS, &count, found);
    CHOOSE(found, count, e->data, e->data_bytes, e->has_data)
    return s;
}

static cudnnStatus_t choose_weights(entry *e) {
    cudnnConvolutionBwdFilterAlgoPerf_t found[MAX_ALGORITHMS];
    int count = 0;
    cudnnStatus_t s = cudnnGetConvolutionBackwardFilterAlgorithm_v7(dnn.handle, e->x, e->y, e->convolution,
                                                                    e->w, MAX_ALGORITHMS, &count, found);
    CHOOSE(found, count, e->weights, e->weights_bytes, e->has_weights)
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

static cudnnStatus_t find(entry **out, plx_conv_size size) {
    const enum plx_precision precision = plx_cuda_precision();
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

static void *workspace_of(size_t bytes) {
    return plx_cuda_scratch(PLX_CUDA_LIBRARY, bytes / sizeof(float) + 1);
}

static void report(const char *kernel, plx_conv_size c, cudnnStatus_t s) {
    if (s == CUDNN_STATUS_SUCCESS) return;
    char text[160];
    snprintf(text, sizeof text, "cuDNN, (%d,%d,%d,%d) to %d channels, %dx%d, stride %d: %s", c.N, c.H, c.W,
             c.I, c.O, c.K, c.K, c.stride, cudnnGetErrorString(s));
    plx_cuda_failed(kernel, text);
}

void plx_cuda_conv_fwd(plx_conv_size size, const float *x, const float *w, const float *b, float *y) {
    const float one = 1, zero = 0;
    entry *e = NULL;
    cudnnStatus_t s = find(&e, size);
    if (s == CUDNN_STATUS_SUCCESS && !e->has_forward) s = choose_forward(e);
    THEN(cudnnConvolutionForward(dnn.handle, &one, e->x, x, e->w, w, e->convolution, e->forward,
                                 workspace_of(e->forward_bytes), e->forward_bytes, &zero, e->y, y));
    if (b) THEN(cudnnAddTensor(dnn.handle, &one, e->b, b, &one, e->y, y));
    report("conv_fwd", size, s);
}

void plx_cuda_conv_bwd(plx_conv_size size, const float *x, const float *w, const float *dy, float *dx,
                       float *dw, float *db) {
    const float one = 1; /* alpha, and beta: gradients add */
    entry *e = NULL;
    cudnnStatus_t s = find(&e, size);
    if (dx && s == CUDNN_STATUS_SUCCESS && !e->has_data) s = choose_data(e);
    if (dx)
        THEN(cudnnConvolutionBackwardData(dnn.handle, &one, e->w, w, e->y, dy, e->convolution, e->data,
                                          workspace_of(e->data_bytes), e->data_bytes, &one, e->x, dx));
    if (dw && s == CUDNN_STATUS_SUCCESS && !e->has_weights) s = choose_weights(e);
    if (dw)
        THEN(cudnnConvolutionBackwardFilter(dnn.handle, &one, e->x, x, e->y, dy, e->convolution, e->weights,
                                            workspace_of(e->weights_bytes), e->weights_bytes, &one, e->w,
                                            dw));
    if (db) THEN(cudnnConvolutionBackwardBias(dnn.handle, &one, e->y, dy, &one, e->b, db));
    report("conv_bwd", size, s);
}
