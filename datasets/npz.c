/* The only file that includes libzip: arrays of a .npz. */
#include <stdio.h>
#include <stdlib.h>
#include <zip.h>

#include "datasets/npy.h"
#include "nerf/core/error.h"

#define ENTRY_MAX (8 * PLX_NPY_MAX + 65536) /* bytes, unpacked */

static int unpack(plx_npy *out, zip_t *archive, const char *name) {
    char entry[256];
    zip_stat_t info;
    snprintf(entry, sizeof entry, "%.200s.npy", name);
    zip_stat_init(&info);
    if (zip_stat(archive, entry, ZIP_FL_ENC_RAW, &info) || !(info.valid & ZIP_STAT_SIZE))
        return plx_fail(PLX_ERROR_INPUT, "no array '%s'", name);
    if (info.size > ENTRY_MAX)
        return plx_fail(PLX_ERROR_MEMORY, "array '%s' of %llu bytes", name, (unsigned long long)info.size);
    zip_file_t *file = zip_fopen_index(archive, info.index, 0);
    if (!file) return plx_fail(PLX_ERROR_INPUT, "array '%s': %s", name, zip_strerror(archive));
    char *data = malloc((size_t)info.size + 1);
    zip_int64_t got = data ? zip_fread(file, data, info.size) : 0;
    int status = PLX_OK;
    if (!data)
        status = plx_fail(PLX_ERROR_MEMORY, "array '%s': out of memory", name);
    else if (got != (zip_int64_t)info.size)
        status = plx_fail(PLX_ERROR_INPUT, "array '%s': %s", name,
                          got < 0 ? zip_file_strerror(file) : "cut short");
    else if (zip_fclose(file)) { /* its checksum is known at the end */
        status = plx_fail(PLX_ERROR_INPUT, "array '%s': damaged", name);
        file = NULL;
    } else
        file = NULL;
    if (file) zip_fclose(file);
    if (!status && (status = plx_npy_parse(out, data, (size_t)info.size)) < 0) plx_fail_in(status, name);
    free(data);
    return status;
}

int plx_npz_load(plx_npy *out, const char *path, const char *name) {
    int code;
    *out = (plx_npy){0};
    zip_t *archive = zip_open(path, ZIP_RDONLY, &code);
    if (!archive) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        int status = plx_fail(PLX_ERROR_INPUT, "%s: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    int status = unpack(out, archive, name);
    zip_discard(archive);
    return status ? plx_fail_in(status, path) : PLX_OK;
}
