/* NumPy's arrays: .npy files (format versions 1 to 3) and those in a .npz, which is a zip. */
#ifndef PLX_DATASETS_NPY_H
#define PLX_DATASETS_NPY_H

#include <stddef.h>

#define PLX_NPY_DIMS 8
#define PLX_NPY_MAX ((size_t)1 << 24) /* values of one array: 128 MB as doubles */

typedef struct plx_npy {
    int dims;
    size_t shape[PLX_NPY_DIMS];
    size_t count;   /* of values */
    double *values; /* in C order whatever the file's; integers and booleans too */
} plx_npy;

int plx_npy_parse(plx_npy *out, const void *data, size_t size); /* the error names no file */
int plx_npy_load(plx_npy *out, const char *path);
int plx_npz_load(plx_npy *out, const char *path, const char *name); /* the array `name` (without .npy) */
void plx_npy_free(plx_npy *array);

#endif
