/* cuBLASLt: float32 matrices, column-major, with their leading dimensions; the bias epilogue; tf32 and bf16 round the factors. */
#include <cublasLt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/standin.h"

typedef struct layout {
    uint64_t rows, columns;
    int64_t ld;
} layout;

typedef struct description {
    cublasComputeType_t compute;
    cublasOperation_t a, b;
    cublasLtEpilogue_t epilogue;
    const float *bias;
} description;

typedef struct preference {
    size_t workspace;
    uint32_t alignment[4]; /* bytes: A, B, C, D */
} preference;

/* What an algorithm was chosen for. */
typedef struct choice {
    uint64_t m, n, k;
    cublasOperation_t a, b;
    size_t workspace;
} choice;

_Static_assert(sizeof(choice) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm does not hold a choice");

static int handle;

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out) {
    *out = (cublasLtHandle_t)&handle;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
    return status == CUBLAS_STATUS_NOT_SUPPORTED ? "not supported" : "an error";
}

/* ---- descriptors ------------------------------------------------------------------------------------------------------- */

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t ld) {
    standin_check(type == CUDA_R_32F && rows && columns && ld >= (int64_t)rows,
                  "a layout of %llu x %llu, leading %lld", (unsigned long long)rows,
                  (unsigned long long)columns, (long long)ld);
    layout *l = malloc(sizeof *l);
    *l = (layout){rows, columns, ld};
    *out = (cublasLtMatrixLayout_t)l;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
    free(l);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    standin_check(scale == CUDA_R_32F, "a product scaled by type %d", (int)scale);
    description *d = malloc(sizeof *d);
    *d = (description){compute, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, NULL};
    *out = (cublasLtMatmulDesc_t)d;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
    free(d);
    return CUBLAS_STATUS_SUCCESS;
}

static void take(void *to, size_t size, const void *from, size_t bytes) {
    standin_check(size == bytes, "an attribute of %zu bytes, not %zu", bytes, size);
    memcpy(to, from, bytes);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute, const void *value,
                                              size_t bytes) {
    description *d = (description *)desc;
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        take(&d->a, sizeof d->a, value, bytes);
        break;
    case CUBLASLT_MATMUL_DESC_TRANSB:
        take(&d->b, sizeof d->b, value, bytes);
        break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        take(&d->epilogue, sizeof d->epilogue, value, bytes);
        break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        take(&d->bias, sizeof d->bias, value, bytes);
        break;
    default:
        standin_check(0, "attribute %d of a product", (int)attribute);
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out) {
    preference *p = calloc(1, sizeof *p);
    for (int i = 0; i < 4; i++) p->alignment[i] = 256; /* cuBLASLt's own assumption */
    *out = (cublasLtMatmulPreference_t)p;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
    free(p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t out,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    preference *p = (preference *)out;
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        take(&p->workspace, sizeof p->workspace, value, bytes);
        break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        take(&p->alignment[0], 4, value, bytes);
        break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        take(&p->alignment[1], 4, value, bytes);
        break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        take(&p->alignment[2], 4, value, bytes);
        break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        take(&p->alignment[3], 4, value, bytes);
        break;
    default:
        standin_check(0, "preference %d", (int)attribute);
    }
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- products ---------------------------------------------------------------------------------------------------------- */

static choice choice_of(const description *d, const layout *a, const layout *b, const layout *c,
                        const layout *out) {
    const uint64_t m = d->a == CUBLAS_OP_N ? a->rows : a->columns,
                   k = d->a == CUBLAS_OP_N ? a->columns : a->rows;
    const uint64_t n = d->b == CUBLAS_OP_N ? b->columns : b->rows,
                   inner = d->b == CUBLAS_OP_N ? b->rows : b->columns;
    standin_check(k == inner && out->rows == m && out->columns == n && c->rows == m && c->columns == n &&
                      c->ld == out->ld,
                  "a product of %llu x %llu and %llu x %llu into %llu x %llu", (unsigned long long)m,
                  (unsigned long long)k, (unsigned long long)inner, (unsigned long long)n,
                  (unsigned long long)out->rows, (unsigned long long)out->columns);
    return (choice){.m = m, .n = n, .k = k, .a = d->a, .b = d->b};
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t d,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t out,
                                              cublasLtMatmulPreference_t p, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int *count) {
    standin_check(h == (cublasLtHandle_t)&handle && wanted >= 1, "no handle");
    for (int i = 0; i < 4; i++)
        standin_check(((preference *)p)->alignment[i] == sizeof(float),
                      "an alignment that parts of tensors do not have");
    choice chosen = choice_of((description *)d, (layout *)a, (layout *)b, (layout *)c, (layout *)out);
    chosen.workspace = ((preference *)p)->workspace;
    memset(results, 0, sizeof *results);
    memcpy(&results->algo, &chosen, sizeof chosen);
    results->workspaceSize = chosen.workspace;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

static size_t bytes_of(const layout *l) {
    return sizeof(float) * ((size_t)l->ld * (l->columns - 1) + l->rows);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t desc, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t la, const void *B, cublasLtMatrixLayout_t lb,
                              const void *beta, const void *C, cublasLtMatrixLayout_t lc, void *D,
                              cublasLtMatrixLayout_t ld, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    const description *d = (description *)desc;
    const layout *a = (layout *)la, *b = (layout *)lb, *c = (layout *)lc, *out = (layout *)ld;
    const choice p = choice_of(d, a, b, c, out);
    choice chosen;
    memcpy(&chosen, algo, sizeof chosen);
    standin_check(h == (cublasLtHandle_t)&handle && stream != NULL, "a product without handle or stream");
    standin_check(chosen.m == p.m && chosen.n == p.n && chosen.k == p.k && chosen.a == p.a && chosen.b == p.b,
                  "an algorithm that was chosen for another product");
    standin_check(chosen.workspace <= workspace_bytes, "too small a workspace");
    standin_check_device("workspace", workspace, workspace_bytes);
    standin_check_device("A", A, bytes_of(a));
    standin_check_device("B", B, bytes_of(b));
    standin_check_device("C", C, bytes_of(c));
    standin_check_device("D", D, bytes_of(out));
    const int has_bias = d->epilogue == CUBLASLT_EPILOGUE_BIAS;
    standin_check(has_bias || d->epilogue == CUBLASLT_EPILOGUE_DEFAULT, "epilogue %d", (int)d->epilogue);
    if (has_bias) standin_check_device("bias", d->bias, sizeof(float) * p.m);
    const int bits = d->compute == CUBLAS_COMPUTE_32F_FAST_TF32   ? 10
                     : d->compute == CUBLAS_COMPUTE_32F_FAST_16BF ? 7
                                                                  : 23;
    standin_check(bits != 23 || d->compute == CUBLAS_COMPUTE_32F, "compute type %d", (int)d->compute);
    const float al = *(const float *)alpha, be = *(const float *)beta;
    standin_begin();
    memset(workspace, 0xff, workspace_bytes < 65536 ? workspace_bytes : 65536);
    for (size_t j = 0; j < p.n; j++)
        for (size_t i = 0; i < p.m; i++) {
            double sum = 0;
            for (size_t k = 0; k < p.k; k++) {
                const float x =
                    ((const float *)A)[p.a == CUBLAS_OP_N ? i + k * (size_t)a->ld : k + i * (size_t)a->ld];
                const float y =
                    ((const float *)B)[p.b == CUBLAS_OP_N ? k + j * (size_t)b->ld : j + k * (size_t)b->ld];
                sum += (double)standin_rounded(x, bits) * standin_rounded(y, bits);
            }
            const float old = be != 0 ? be * ((const float *)C)[i + j * (size_t)c->ld] : 0;
            ((float *)D)[i + j * (size_t)out->ld] = (float)(al * sum) + old + (has_bias ? d->bias[i] : 0);
        }
    standin_end();
    return CUBLAS_STATUS_SUCCESS;
}
