/* cuDNN: convolutions in NHWC, by the strides of their descriptors, of tensors that are all float32 or all bfloat16; sums in float32.
 * The heuristics name first an algorithm that may give other bits each time and one that does not run, and know none of odd numbers
 * of channels in bfloat16. */
#include <cudnn.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/standin.h"

struct cudnnTensorStruct {
    cudnnDataType_t type;
    int n, c, h, w;                                /* sizes */
    size_t stride_n, stride_c, stride_h, stride_w; /* elements */
};

struct cudnnFilterStruct {
    cudnnDataType_t type;
    int o, i, h, w;
};

struct cudnnConvolutionStruct {
    int pad_h, pad_w, stride_h, stride_w;
    cudnnMathType_t math;
};

struct cudnnContext {
    cudaStream_t stream;
};

enum { GOOD = 1, WORKSPACE = 12345 * 4 };
static struct cudnnContext context;

const char *cudnnGetErrorString(cudnnStatus_t status) {
    return status == CUDNN_STATUS_NOT_SUPPORTED ? "not supported" : "an error";
}

static size_t size_of(cudnnDataType_t type) {
    return type == CUDNN_DATA_FLOAT ? 4 : type == CUDNN_DATA_BFLOAT16 ? 2 : 0;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *out) {
    *out = &context;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    standin_check(handle == &context && stream, "no handle or stream");
    context.stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- descriptors ---------------------------------------------------------------------------------------------------------- */

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *out) {
    *out = calloc(1, sizeof **out);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) {
    free(d);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *out) {
    *out = calloc(1, sizeof **out);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) {
    free(d);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *out) {
    *out = calloc(1, sizeof **out);
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t d) {
    free(d);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
    standin_check(size_of(type) && n > 0 && c > 0 && h > 0 && w > 0, "a tensor of %d x %d x %d x %d", n, c, h,
                  w);
    const size_t C = (size_t)c, H = (size_t)h, W = (size_t)w;
    *d = (struct cudnnTensorStruct){type, n, c, h, w, C * H * W, 0, 0, 0};
    if (format == CUDNN_TENSOR_NHWC)
        d->stride_h = W * C, d->stride_w = C, d->stride_c = 1;
    else
        d->stride_c = H * W, d->stride_h = W, d->stride_w = 1;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int o, int i, int h, int w) {
    standin_check(size_of(type) && format == CUDNN_TENSOR_NHWC && o > 0 && i > 0 && h > 0 && w > 0,
                  "a filter of %d x %d x %d x %d", o, i, h, w);
    *d = (struct cudnnFilterStruct){type, o, i, h, w};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_h, int pad_w,
                                              int stride_h, int stride_w, int dilation_h, int dilation_w,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t compute) {
    standin_check(mode == CUDNN_CROSS_CORRELATION && compute == CUDNN_DATA_FLOAT && dilation_h == 1 &&
                      dilation_w == 1 && stride_h > 0 && stride_w > 0 && pad_h >= 0 && pad_w >= 0,
                  "a convolution of mode %d, dilation %d", (int)mode, dilation_h);
    *d = (struct cudnnConvolutionStruct){pad_h, pad_w, stride_h, stride_w, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
    d->math = math;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- algorithms ------------------------------------------------------------------------------------------------------------ */

#define ALGORITHMS(name, perf_type, first, second)                                                           \
    {                                                                                                        \
        (void)handle;                                                                                        \
        standin_check(wanted >= 3, "only %d algorithms asked for", wanted);                                  \
        memset(found, 0, 3 * sizeof *found);                                                                 \
        if (w->type == CUDNN_DATA_BFLOAT16 && (w->i | w->o) % 2) {                                           \
            found[0].status = CUDNN_STATUS_NOT_SUPPORTED;                                                    \
            *count = 1;                                                                                      \
            return CUDNN_STATUS_SUCCESS;                                                                     \
        }                                                                                                    \
        for (int i = 0; i < 3; i++) found[i].memory = WORKSPACE, found[i].determinism = CUDNN_DETERMINISTIC; \
        found[0].algo = first, found[0].determinism = CUDNN_NON_DETERMINISTIC;                               \
        found[1].algo = first, found[1].status = CUDNN_STATUS_NOT_SUPPORTED;                                 \
        found[2].algo = second;                                                                              \
        *count = 3;                                                                                          \
        return CUDNN_STATUS_SUCCESS;                                                                         \
    }

static void check_shapes(cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t c,
                         cudnnTensorDescriptor_t y) {
    const int h = (x->h + 2 * c->pad_h - w->h) / c->stride_h + 1,
              v = (x->w + 2 * c->pad_w - w->w) / c->stride_w + 1;
    standin_check(x->c == w->i && y->c == w->o && x->n == y->n && y->h == h && y->w == v,
                  "a convolution of (%d,%d,%d,%d) by (%d,%d,%d,%d) into (%d,%d,%d,%d), not %d x %d", x->n,
                  x->h, x->w, x->c, w->o, w->h, w->w, w->i, y->n, y->h, y->w, y->c, h, v);
    standin_check(x->type == w->type && x->type == y->type, "a convolution of types %d, %d and %d",
                  (int)x->type, (int)w->type, (int)y->type);
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
                                                     const cudnnFilterDescriptor_t w,
                                                     const cudnnConvolutionDescriptor_t c,
                                                     const cudnnTensorDescriptor_t y, const int wanted,
                                                     int *count, cudnnConvolutionFwdAlgoPerf_t *found) {
    check_shapes(x, w, c, y);
    ALGORITHMS(forward, cudnnConvolutionFwdAlgoPerf_t, CUDNN_CONVOLUTION_FWD_ALGO_FFT,
               CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t x, const int wanted, int *count,
    cudnnConvolutionBwdDataAlgoPerf_t *found) {
    check_shapes(x, w, c, y);
    ALGORITHMS(data, cudnnConvolutionBwdDataAlgoPerf_t, CUDNN_CONVOLUTION_BWD_DATA_ALGO_0,
               CUDNN_CONVOLUTION_BWD_DATA_ALGO_1)
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t w, const int wanted, int *count,
    cudnnConvolutionBwdFilterAlgoPerf_t *found) {
    check_shapes(x, w, c, y);
    ALGORITHMS(weights, cudnnConvolutionBwdFilterAlgoPerf_t, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0,
               CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1)
}

/* ---- convolutions ---------------------------------------------------------------------------------------------------------- */

static size_t at(cudnnTensorDescriptor_t d, int n, int h, int w, int c) {
    return (size_t)n * d->stride_n + (size_t)h * d->stride_h + (size_t)w * d->stride_w +
           (size_t)c * d->stride_c;
}

static size_t filter_at(cudnnFilterDescriptor_t f, int o, int h, int w, int i) {
    return (((size_t)o * (size_t)f->h + (size_t)h) * (size_t)f->w + (size_t)w) * (size_t)f->i + (size_t)i;
}

static size_t count_of(cudnnTensorDescriptor_t d) {
    return (size_t)d->n * (size_t)d->c * (size_t)d->h * (size_t)d->w;
}

static void check_tensor(const char *what, cudnnTensorDescriptor_t d, const void *p) {
    standin_check(d->stride_c == 1, "%s: channels are not side by side", what);
    standin_check_device(what, p, size_of(d->type) * (at(d, d->n - 1, d->h - 1, d->w - 1, d->c - 1) + 1));
}

static void begin(cudnnHandle_t handle, cudnnFilterDescriptor_t w, const void *weights, int good,
                  void *workspace, size_t bytes) {
    standin_check(handle == &context && context.stream, "a convolution without handle or stream");
    standin_check(good, "an algorithm that was not the one to choose");
    standin_check(bytes >= WORKSPACE, "too small a workspace");
    standin_check_device("workspace", workspace, bytes);
    standin_check_device("weights", weights,
                         size_of(w->type) * (size_t)w->o * (size_t)w->h * (size_t)w->w * (size_t)w->i);
    standin_begin();
    memset(workspace, 0xff, bytes);
}

/* Every tap of a convolution: the channels of y at (n,h,v) and of x at (n,row,column) meet by the weights at (i,j). */
#define EACH_TAP(x, w, c, y)                                                            \
    for (int n = 0; n < (y)->n; n++)                                                    \
        for (int h = 0; h < (y)->h; h++)                                                \
            for (int v = 0; v < (y)->w; v++)                                            \
                for (int i = 0; i < (w)->h; i++)                                        \
                    for (int j = 0, row = h * (c)->stride_h + i - (c)->pad_h,           \
                             column = v * (c)->stride_w - (c)->pad_w;                   \
                         j < (w)->w; j++, column++)                                     \
                        if (row >= 0 && row < (x)->h && column >= 0 && column < (x)->w) \
                            for (int o = 0; o < (y)->c; o++)

/* As tensor cores take it. */
static float factor(cudnnConvolutionDescriptor_t c, float x) {
    return c->math == CUDNN_FMA_MATH ? x : standin_rounded(x, 10);
}

static float number(cudnnDataType_t type, const void *p, size_t i) {
    if (type == CUDNN_DATA_FLOAT) return ((const float *)p)[i];
    const uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float *factors(cudnnConvolutionDescriptor_t c, cudnnDataType_t type, const void *x, size_t count) {
    float *out = malloc(sizeof *out * count);
    for (size_t i = 0; i < count; i++) out[i] = factor(c, number(type, x, i));
    return out;
}

static size_t filter_count(cudnnFilterDescriptor_t w) {
    return (size_t)w->o * (size_t)w->h * (size_t)w->w * (size_t)w->i;
}

static void scale(double *sums, cudnnDataType_t type, const void *old, float beta, size_t count) {
    for (size_t i = 0; i < count; i++) sums[i] = beta != 0 ? (double)beta * number(type, old, i) : 0;
}

static void store(void *out, cudnnDataType_t type, double *sums, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float x = standin_rounded((float)sums[i], type == CUDNN_DATA_FLOAT ? 23 : 7);
        if (type == CUDNN_DATA_FLOAT)
            ((float *)out)[i] = x;
        else
            memcpy((uint16_t *)out + i, (const char *)&x + 2, 2);
    }
    free(sums);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha,
                                      const cudnnTensorDescriptor_t x, const void *px,
                                      const cudnnFilterDescriptor_t w, const void *pw,
                                      const cudnnConvolutionDescriptor_t c, cudnnConvolutionFwdAlgo_t algo,
                                      void *workspace, size_t bytes, const void *beta,
                                      const cudnnTensorDescriptor_t y, void *py) {
    check_shapes(x, w, c, y);
    check_tensor("x", x, px);
    check_tensor("y", y, py);
    begin(handle, w, pw, algo == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, workspace, bytes);
    double *sums = malloc(sizeof *sums * count_of(y));
    scale(sums, y->type, py, *(const float *)beta, count_of(y));
    float *X = factors(c, x->type, px, count_of(x)), *W = factors(c, w->type, pw, filter_count(w));
    const float a = *(const float *)alpha;
    EACH_TAP(x, w, c, y) {
        const float *from = X + at(x, n, row, column, 0), *by = W + filter_at(w, o, i, j, 0);
        double sum = 0;
        for (int k = 0; k < x->c; k++) sum += (double)from[k] * by[k];
        sums[at(y, n, h, v, o)] += a * sum;
    }
    free(X), free(W);
    store(py, y->type, sums, count_of(y));
    standin_end();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha,
                                           const cudnnFilterDescriptor_t w, const void *pw,
                                           const cudnnTensorDescriptor_t y, const void *py,
                                           const cudnnConvolutionDescriptor_t c,
                                           cudnnConvolutionBwdDataAlgo_t algo, void *workspace, size_t bytes,
                                           const void *beta, const cudnnTensorDescriptor_t x, void *px) {
    check_shapes(x, w, c, y);
    check_tensor("dx", x, px);
    check_tensor("dy", y, py);
    begin(handle, w, pw, algo == CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, workspace, bytes);
    double *sums = malloc(sizeof *sums * count_of(x));
    scale(sums, x->type, px, *(const float *)beta, count_of(x));
    float *dy = factors(c, y->type, py, count_of(y)), *W = factors(c, w->type, pw, filter_count(w));
    const float a = *(const float *)alpha;
    EACH_TAP(x, w, c, y) {
        const float *by = W + filter_at(w, o, i, j, 0);
        const double d = (double)a * dy[at(y, n, h, v, o)];
        double *to = sums + at(x, n, row, column, 0);
        for (int k = 0; k < x->c; k++) to[k] += d * by[k];
    }
    free(dy), free(W);
    store(px, x->type, sums, count_of(x));
    standin_end();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha,
                                             const cudnnTensorDescriptor_t x, const void *px,
                                             const cudnnTensorDescriptor_t y, const void *py,
                                             const cudnnConvolutionDescriptor_t c,
                                             cudnnConvolutionBwdFilterAlgo_t algo, void *workspace,
                                             size_t bytes, const void *beta, const cudnnFilterDescriptor_t w,
                                             void *pw) {
    const size_t count = filter_count(w);
    check_shapes(x, w, c, y);
    check_tensor("x", x, px);
    check_tensor("dy", y, py);
    begin(handle, w, pw, algo == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, workspace, bytes);
    double *sums = malloc(sizeof *sums * count);
    scale(sums, w->type, pw, *(const float *)beta, count);
    float *X = factors(c, x->type, px, count_of(x)), *dy = factors(c, y->type, py, count_of(y));
    const float a = *(const float *)alpha;
    EACH_TAP(x, w, c, y) {
        const float *from = X + at(x, n, row, column, 0);
        const double d = (double)a * dy[at(y, n, h, v, o)];
        double *to = sums + filter_at(w, o, i, j, 0);
        for (int k = 0; k < x->c; k++) to[k] += d * from[k];
    }
    free(X), free(dy);
    store(pw, w->type, sums, count);
    standin_end();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t b,
                             const void *pb, const void *beta, const cudnnTensorDescriptor_t y, void *py) {
    standin_check(handle == &context && b->c == y->c && b->n == 1 && b->h == 1 && b->w == 1,
                  "a bias of %d channels", b->c);
    standin_check(b->type == CUDNN_DATA_FLOAT && y->type == b->type, "a bias of type %d", (int)b->type);
    check_tensor("b", b, pb);
    check_tensor("y", y, py);
    standin_begin();
    for (int n = 0; n < y->n; n++)
        for (int h = 0; h < y->h; h++)
            for (int v = 0; v < y->w; v++)
                for (int o = 0; o < y->c; o++) {
                    float *out = (float *)py + at(y, n, h, v, o);
                    *out = *(const float *)beta * *out + *(const float *)alpha * ((const float *)pb)[o];
                }
    standin_end();
    return CUDNN_STATUS_SUCCESS;
}
