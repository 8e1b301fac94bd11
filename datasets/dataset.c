/* Opening a data set: what kind it is and which objects it holds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/reader.h"
#include "nerf/core/error.h"

/* In this order: a capture with a transforms.json beside a COLMAP model is read by its transforms.json. Further kinds
 * (CO3D, BOP, shards) are a file and a line each. */
static const plx_reader *const readers[] = {&plx_transforms_reader, &plx_srn_reader, &plx_nmr_reader,
                                            &plx_zero123_reader, &plx_colmap_reader};
enum { READERS = sizeof readers / sizeof *readers };

#define DEPTH_MAX 3 /* folders between the data set's and an object's: chairs_train/chairs_2.0_train/OBJECT */

/* The last part of a path, malloc'ed. */
static char *last_part(const char *path) {
    char *full = realpath(path, NULL);
    const char *slash = full ? strrchr(full, '/') : NULL;
    char *name = strdup(slash && slash[1] ? slash + 1 : "object");
    free(full);
    return name;
}

int plx_source_create(plx_source *source, const plx_reader *reader, const char *name, const char *path,
                      const char *folder) {
    *source = (plx_source){.reader = reader,
                           .name = *name ? strdup(name) : last_part(path),
                           .path = strdup(path),
                           .folder = strdup(folder)};
    if (source->name && source->path && source->folder) return PLX_OK;
    return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
}

void plx_source_free(plx_source *source) {
    if (source->reader) source->reader->close(source->own);
    free(source->name);
    free(source->note);
    free(source->path);
    free(source->folder);
    free(source->fault);
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

int plx_dataset_add_files(plx_dataset *dataset, const plx_reader *reader, const char *path, const char *name,
                          const char *part, bool (*wanted)(const char *name)) {
    plx_source source;
    plx_names *files = NULL;
    int status = plx_source_create(&source, reader, name, path, path);
    char *folder = plx_path_join(path, part);
    if (!status && !folder) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    if (!status) status = plx_names_list(&files, folder, wanted);
    source.own = files;
    if (!status && files->count == 0) status = plx_fail(PLX_ERROR_INPUT, "%s: holds no pictures", folder);
    if (!status) source.views = files->count;
    free(folder);
    if (!status) return plx_dataset_add(dataset, &source);
    plx_source_free(&source);
    return status;
}

/* The reader of what is right here, or NULL. The first object found decides for the whole data set. */
static const plx_reader *find_reader(const plx_dataset *dataset, const char *path) {
    for (int i = 0; i < READERS; i++)
        if ((!dataset->reader || dataset->reader == readers[i]) && readers[i]->probe(path)) return readers[i];
    return NULL;
}

/* Adds the objects at or below a folder: an object, a folder of objects, of splits. Names are the paths below the data
 * set's folder. */
static int add_below(plx_dataset *dataset, const char *path, const char *name, int depth) {
    const plx_reader *reader = find_reader(dataset, path);
    if (reader) {
        dataset->reader = reader;
        return reader->open(dataset, path, name);
    }
    if (depth == DEPTH_MAX) return PLX_OK;
    char **names;
    int count, status = plx_folder_list(&names, &count, path);
    if (status) return status;
    for (int i = 0; i < count && !status; i++) {
        char *below = plx_path_join(path, names[i]);
        char *below_name = *name ? plx_path_join(name, names[i]) : strdup(names[i]);
        if (!below || !below_name)
            status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
        else if (plx_is_folder(below))
            status = add_below(dataset, below, below_name, depth + 1);
        free(below);
        free(below_name);
    }
    plx_names_free(names, count);
    return status;
}

static int nothing_found(const char *path) {
    char kinds[1024] = "";
    for (int i = 0; i < READERS; i++) {
        size_t used = strlen(kinds);
        snprintf(kinds + used, sizeof kinds - used, "%s%s (%s)", i ? ", " : "", readers[i]->kind,
                 readers[i]->looks);
    }
    return plx_fail(PLX_ERROR_INPUT, "%s: holds no objects of a known kind: %s", path, kinds);
}

int plx_dataset_open(plx_dataset **out, const char *path) {
    *out = NULL;
    plx_dataset *dataset = calloc(1, sizeof *dataset);
    if (!dataset) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    struct stat info;
    int status;
    if (stat(path, &info))
        status = plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISDIR(info.st_mode) && !find_reader(dataset, path))
        status = plx_fail(PLX_ERROR_INPUT, "%s: neither a folder nor a transforms.json", path);
    else
        status = add_below(dataset, path, "", 0);
    if (!status && dataset->count == 0) status = nothing_found(path);
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
    return dataset->reader->kind;
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

const char *plx_dataset_view_name(const plx_dataset *dataset, int object, int view) {
    const plx_source *source = source_at(dataset, object);
    PLX_CHECK(view >= 0 && view < source->views, "data set: view %d of %d", view, source->views);
    return source->reader->name ? source->reader->name(source, view) : "";
}

const char *plx_dataset_note(const plx_dataset *dataset, int object) {
    return source_at(dataset, object)->note;
}

int plx_dataset_load(const plx_dataset *dataset, int object, const int *indices, int count, plx_views *out) {
    const plx_source *source = source_at(dataset, object);
    if (!indices) count = source->views;
    *out = (plx_views){0};
    if (source->fault) return plx_fail(PLX_ERROR_INPUT, "%s", source->fault);
    for (int i = 0; i < count; i++)
        if (indices && (indices[i] < 0 || indices[i] >= source->views))
            return plx_fail(PLX_ERROR_INPUT, "%s: has %d views, no view %d", source->path, source->views,
                            indices[i]);
    int status = plx_views_create(out, count);
    if (status) return status;
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, source->name);
    for (int i = 0; i < count && !status; i++)
        status = source->reader->view(source, indices ? indices[i] : i, &out->views[i], out);
    if (status) plx_views_free(out);
    return status;
}
