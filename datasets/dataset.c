/* Opening a data set: what kind it is and which objects it holds. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/reader.h"
#include "nerf/core/error.h"

void plx_source_free(plx_source *source) {
    free(source->name);
    free(source->note);
    free(source->path);
    plx_names_free(source->stems, source->stems ? source->views : 0);
    plx_frames_free(source->frames);
    *source = (plx_source){0};
}

int plx_dataset_add(plx_dataset *dataset, plx_source *source) {
    if (dataset->count == dataset->capacity) {
        int capacity = dataset->capacity ? 2 * dataset->capacity : 16;
        plx_source *more = realloc(dataset->sources, (size_t)capacity * sizeof *more);
        if (!more) {
            plx_source_free(source);
            return plx_fail(PLX_ERROR_MEMORY, "out of memory");
        }
        dataset->sources = more;
        dataset->capacity = capacity;
    }
    dataset->sources[dataset->count++] = *source;
    return PLX_OK;
}

static bool is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* The last part of a path, for a name. */
static const char *last_part(const char *path, char out[NAME_MAX + 1]) {
    char *full = realpath(path, NULL);
    const char *slash = full ? strrchr(full, '/') : NULL;
    snprintf(out, NAME_MAX + 1, "%.*s", NAME_MAX, slash && slash[1] ? slash + 1 : "object");
    free(full);
    return out;
}

/* Adds the objects at or below a folder: an object, a folder of objects, of splits, or chairs_train/chairs_2.0_train.
 * Names are the paths below the data set's folder. */
static int add_srn(plx_dataset *dataset, const char *path, const char *name, int depth) {
    if (plx_srn_is_object(path)) return plx_srn_add(dataset, path, name);
    if (depth == 3) return PLX_OK;
    char **names;
    int count, status = plx_folder_list(&names, &count, path);
    if (status) return status;
    for (int i = 0; i < count && !status; i++) {
        char *below = plx_path_join(path, names[i]);
        char *below_name = depth ? plx_path_join(name, names[i]) : strdup(names[i]);
        if (!below || !below_name)
            status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
        else if (is_folder(below))
            status = add_srn(dataset, below, below_name, depth + 1);
        free(below);
        free(below_name);
    }
    plx_names_free(names, count);
    return status;
}

/* transforms.json, or transforms_train.json, transforms_val.json and transforms_test.json, each one an object. */
static int add_transforms(plx_dataset *dataset, const char *path) {
    char **names, own[NAME_MAX + 1];
    int count, status = plx_folder_list(&names, &count, path);
    if (status) return status;
    for (int i = 0; i < count && !status; i++) {
        if (!plx_transforms_is_file(names[i])) continue;
        char name[NAME_MAX + 1];
        const char *dash = strchr(names[i], '_');
        if (dash)
            snprintf(name, sizeof name, "%.*s", (int)(strlen(dash + 1) - strlen(".json")), dash + 1);
        else
            snprintf(name, sizeof name, "%s", last_part(path, own));
        char *file = plx_path_join(path, names[i]);
        status = file ? plx_transforms_add(dataset, file, name)
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
        free(file);
    }
    plx_names_free(names, count);
    return status;
}

int plx_dataset_open(plx_dataset **out, const char *path) {
    *out = NULL;
    plx_dataset *dataset = calloc(1, sizeof *dataset);
    if (!dataset) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    struct stat info;
    char own[NAME_MAX + 1];
    int status = stat(path, &info) ? plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno)) : PLX_OK;
    if (!status) {
        dataset->kind = "transforms";
        dataset->load = plx_transforms_load_view;
        if (!S_ISDIR(info.st_mode)) {
            if (!plx_transforms_is_file(path))
                status = plx_fail(PLX_ERROR_INPUT, "%s: neither a folder nor a transforms.json", path);
            else
                status = plx_transforms_add(dataset, path, last_part(path, own));
        } else
            status = add_transforms(dataset, path);
    }
    if (!status && dataset->count == 0) {
        dataset->kind = "srn";
        dataset->load = plx_srn_load_view;
        status = add_srn(dataset, path, last_part(path, own), 0);
    }
    if (!status && dataset->count == 0)
        status =
            plx_fail(PLX_ERROR_INPUT,
                     "%s: holds neither SRN objects (rgb, pose, intrinsics.txt) nor a transforms.json", path);
    if (status)
        plx_dataset_free(dataset);
    else
        *out = dataset;
    return status;
}

void plx_dataset_free(plx_dataset *dataset) {
    if (!dataset) return;
    for (int i = 0; i < dataset->count; i++) plx_source_free(&dataset->sources[i]);
    free(dataset->sources);
    free(dataset);
}

const char *plx_dataset_kind(const plx_dataset *dataset) {
    return dataset->kind;
}

int plx_dataset_count(const plx_dataset *dataset) {
    return dataset->count;
}

static const plx_source *source_at(const plx_dataset *dataset, int object) {
    PLX_CHECK(object >= 0 && object < dataset->count, "data set: object %d of %d", object, dataset->count);
    return &dataset->sources[object];
}

const char *plx_dataset_name(const plx_dataset *dataset, int object) {
    return source_at(dataset, object)->name;
}

int plx_dataset_find(const plx_dataset *dataset, const char *name) {
    for (int i = 0; i < dataset->count; i++)
        if (!strcmp(dataset->sources[i].name, name)) return i;
    return -1;
}

int plx_dataset_view_count(const plx_dataset *dataset, int object) {
    return source_at(dataset, object)->views;
}

const char *plx_dataset_note(const plx_dataset *dataset, int object) {
    return source_at(dataset, object)->note;
}

int plx_dataset_load(const plx_dataset *dataset, int object, const int *indices, int count, plx_views *out) {
    const plx_source *source = source_at(dataset, object);
    if (!indices) count = source->views;
    *out = (plx_views){0};
    for (int i = 0; i < count; i++)
        if (indices && (indices[i] < 0 || indices[i] >= source->views))
            return plx_fail(PLX_ERROR_INPUT, "%s: has %d views, no view %d", source->path, source->views,
                            indices[i]);
    int status = plx_views_create(out, count);
    if (status) return status;
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, source->name);
    for (int i = 0; i < count && !status; i++)
        status = dataset->load(source, indices ? indices[i] : i, &out->views[i], out);
    if (status) plx_views_free(out);
    return status;
}
