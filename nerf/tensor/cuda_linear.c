/* Matrix products by cuBLASLt, which sees row-major (M,I) as column-major (I,M). Algorithms are chosen once a size. */
#include <cublasLt.h>
#include <pthread.h>
#include <stdio.h>

#include "nerf/tensor/cuda_card.h"
#include "nerf/tensor/cuda_kernels.h"
#include "nerf/tensor/cuda_linear.h"
#include "nerf/tensor/cuda_stream.h"

enum { MAX_PRODUCTS = 512 };
static const size_t workspace_bytes = (size_t)32 << 20;

/* D (m,n) = op(A) op(B) + beta D, + bias (m) down each column; column-major, all float32. */
typedef struct product {
    int transpose_a, transpose_b;
    size_t m, n, k;
    float beta;
    int bias;
    enum plx_precision precision;
} product;

static struct {
    pthread_mutex_t lock;
    cublasLtHandle_t handle;
    product key[MAX_PRODUCTS];
    cublasLtMatmulAlgo_t algorithm[MAX_PRODUCTS];
    int count;
} blas = {.lock = PTHREAD_MUTEX_INITIALIZER};

typedef struct descriptors {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, d;
} descriptors;

static cublasComputeType_t compute_type(enum plx_precision precision) {
    static const cublasComputeType_t types[] = {CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32,
                                                CUBLAS_COMPUTE_32F_FAST_16BF};
    return types[precision];
}

static cublasStatus_t describe(descriptors *d, const product *p, const float *bias) {
    const cublasOperation_t a = p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                            b = p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue = p->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    const size_t a_rows = p->transpose_a ? p->k : p->m, a_columns = p->transpose_a ? p->m : p->k;
    const size_t b_rows = p->transpose_b ? p->n : p->k, b_columns = p->transpose_b ? p->k : p->n;
    cublasStatus_t s = cublasLtMatmulDescCreate(&d->product, compute_type(p->precision), CUDA_R_32F);
#define THEN(call) \
    if (s == CUBLAS_STATUS_SUCCESS) s = call
    THEN(cublasLtMatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a));
    THEN(cublasLtMatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b));
    THEN(cublasLtMatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                        sizeof epilogue));
    if (p->bias)
        THEN(cublasLtMatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                            sizeof bias));
    THEN(cublasLtMatrixLayoutCreate(&d->a, CUDA_R_32F, a_rows, a_columns, (int64_t)a_rows));
    THEN(cublasLtMatrixLayoutCreate(&d->b, CUDA_R_32F, b_rows, b_columns, (int64_t)b_rows));
    THEN(cublasLtMatrixLayoutCreate(&d->d, CUDA_R_32F, p->m, p->n, (int64_t)p->m));
    return s;
}

static void forget(descriptors *d) {
    if (d->a) cublasLtMatrixLayoutDestroy(d->a);
    if (d->b) cublasLtMatrixLayoutDestroy(d->b);
    if (d->d) cublasLtMatrixLayoutDestroy(d->d);
    if (d->product) cublasLtMatmulDescDestroy(d->product);
}

/* The least alignment that a tensor's part may have: heuristics are to choose nothing that needs more. */
static cublasStatus_t choose(cublasLtMatmulAlgo_t *out, const descriptors *d) {
    const uint32_t alignment = sizeof(float);
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found;
    int count = 0;
    cublasStatus_t s = cublasLtMatmulPreferenceCreate(&preference);
    THEN(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                              &workspace_bytes, sizeof workspace_bytes));
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (int i = 0; i < 4; i++)
        THEN(cublasLtMatmulPreferenceSetAttribute(preference, alignments[i], &alignment, sizeof alignment));
    THEN(cublasLtMatmulAlgoGetHeuristic(blas.handle, d->product, d->a, d->b, d->d, d->d, preference, 1,
                                        &found, &count));
    if (preference) cublasLtMatmulPreferenceDestroy(preference);
    if (s == CUBLAS_STATUS_SUCCESS && !count) s = CUBLAS_STATUS_NOT_SUPPORTED;
    if (s == CUBLAS_STATUS_SUCCESS) *out = found.algo;
    return s;
}

static int same(const product *a, const product *b) {
    return a->transpose_a == b->transpose_a && a->transpose_b == b->transpose_b && a->m == b->m &&
           a->n == b->n && a->k == b->k && a->beta == b->beta && a->bias == b->bias &&
           a->precision == b->precision;
}

static cublasStatus_t algorithm_of(cublasLtMatmulAlgo_t *out, const product *p, const descriptors *d) {
    pthread_mutex_lock(&blas.lock);
    int i = 0;
    while (i < blas.count && !same(&blas.key[i], p)) i++;
    cublasStatus_t s = CUBLAS_STATUS_SUCCESS;
    if (i < blas.count) {
        *out = blas.algorithm[i];
    } else {
        s = choose(out, d);
        if (s == CUBLAS_STATUS_SUCCESS && blas.count < MAX_PRODUCTS)
            blas.key[blas.count] = *p, blas.algorithm[blas.count++] = *out;
    }
    pthread_mutex_unlock(&blas.lock);
    return s;
}

static cublasStatus_t open_library(void) {
    pthread_mutex_lock(&blas.lock);
    cublasStatus_t s = blas.handle ? CUBLAS_STATUS_SUCCESS : cublasLtCreate(&blas.handle);
    pthread_mutex_unlock(&blas.lock);
    return s;
}

static void multiply(const char *kernel, product p, const float *a, const float *b, const float *bias,
                     float *out) {
    const float one = 1;
    descriptors d = {0};
    cublasLtMatmulAlgo_t algorithm;
    const cudaStream_t stream = plx_cuda_stream();
    float *workspace = plx_cuda_workspace(kernel, PLX_CUDA_LIBRARY, workspace_bytes / sizeof(float));
    if (plx_cuda_stopped()) return;
    p.precision = plx_cuda_precision();
    cublasStatus_t s = open_library();
    THEN(describe(&d, &p, bias));
    THEN(algorithm_of(&algorithm, &p, &d));
    THEN(cublasLtMatmul(blas.handle, d.product, &one, a, d.a, b, d.b, &p.beta, out, d.d, out, d.d, &algorithm,
                        workspace, workspace_bytes, stream));
    forget(&d);
    if (s == CUBLAS_STATUS_SUCCESS) return;
    char text[160];
    snprintf(text, sizeof text, "cuBLASLt, product of %zu x %zu x %zu: %s", p.m, p.n, p.k,
             cublasLtGetStatusString(s));
    plx_cuda_failed(kernel, text);
}

/* y^T (O,M) = w^T' (O,I) x^T (I,M) + b: of w as cuBLASLt sees it, (I,O), the transpose. */
void plx_cuda_linear_fwd(size_t M, int I, int O, const float *x, const float *w, const float *b, float *y) {
    multiply("linear_fwd",
             (product){.transpose_a = 1, .m = (size_t)O, .n = M, .k = (size_t)I, .bias = b != NULL}, w, x, b,
             y);
}

/* dx^T (I,M) += w (I,O) dy^T (O,M);  dw^T (I,O) += x^T (I,M) dy (M,O);  db (O) += sum over rows of dy. */
void plx_cuda_linear_bwd(size_t M, int I, int O, const float *x, const float *w, const float *dy, float *dx,
                         float *dw, float *db) {
    if (dx)
        multiply("linear_bwd (dx)", (product){.m = (size_t)I, .n = M, .k = (size_t)O, .beta = 1}, w, dy, NULL,
                 dx);
    if (dw)
        multiply("linear_bwd (dw)",
                 (product){.transpose_b = 1, .m = (size_t)I, .n = (size_t)O, .k = M, .beta = 1}, x, dy, NULL,
                 dw);
    if (db) plx_cuda_add_rows(M, O, dy, db);
}
