/* Writing data sets: view after view, so that one view is in memory. */
#include <stdlib.h>
#include <string.h>

#include "datasets/writer.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"

static const plx_writer_kind *const kinds[] = {&plx_srn_kind, &plx_nerfstudio_kind};

static const plx_writer_kind *find_kind(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i]->name, name)) return kinds[i];
    PLX_CHECK(false, "data sets of kind '%s' are not written", name);
    return NULL;
}

bool plx_dataset_is_written(const char *kind, const char *directory, const char *name) {
    char *folder = plx_path_join(directory, name);
    bool found = folder && plx_folder_holds(folder, find_kind(kind)->last, plx_is_file);
    free(folder);
    return found;
}

int plx_dataset_writer_open(plx_dataset_writer **out, const char *kind, const char *directory,
                            const char *name) {
    *out = NULL;
    if (!plx_path_inside(name))
        return plx_fail(PLX_ERROR_INPUT, "%s: '%s' is not a name for a folder", directory, name);
    plx_dataset_writer *writer = calloc(1, sizeof *writer);
    if (writer) writer->folder = plx_path_join(directory, name);
    int status =
        writer && writer->folder ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", directory);
    if (!status) writer->kind = find_kind(kind);
    for (int i = 0; !status && writer->kind->folders[i]; i++) {
        char *part = plx_path_join(writer->folder, writer->kind->folders[i]);
        status =
            part ? plx_make_directories(part) : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", directory);
        free(part);
    }
    if (status)
        plx_dataset_writer_free(writer);
    else
        *out = writer;
    return status;
}

const char *plx_dataset_writer_folder(const plx_dataset_writer *writer) {
    return writer->folder;
}

int plx_dataset_writer_part(char **path, const plx_dataset_writer *writer, const char *part,
                            const char *file) {
    char *folder = plx_path_join(writer->folder, part);
    *path = folder ? plx_path_join(folder, file) : NULL;
    int status = *path ? plx_make_directories(folder)
                       : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->folder);
    free(folder);
    return status;
}

int plx_dataset_writer_picture(const plx_dataset_writer *writer, const plx_view *view, const char *name) {
    uint8_t *bytes = NULL;
    size_t size;
    char *path = plx_path_join(writer->folder, name);
    int status = path ? plx_png_encode(&bytes, &size, &view->colour)
                      : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->folder);
    if (!status) status = plx_file_write_later(path, bytes, size);
    free(bytes);
    free(path);
    return status;
}

int plx_dataset_writer_add(plx_dataset_writer *writer, const plx_view *view) {
    const plx_image *colour = &view->colour;
    if (colour->channels != 4 || colour->width != view->camera.width || colour->height != view->camera.height)
        return plx_fail(PLX_ERROR_INPUT, "%s: view %d: no RGBA picture of the camera's size", writer->folder,
                        writer->count);
    if (writer->count == writer->capacity) {
        int capacity = writer->capacity ? 2 * writer->capacity : 64;
        plx_camera *more = realloc(writer->cameras, (size_t)capacity * sizeof *more);
        if (!more) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", writer->folder);
        writer->cameras = more;
        writer->capacity = capacity;
    }
    int status = writer->kind->add(writer, view);
    if (status) return status;
    writer->depths += view->depth.data != NULL;
    writer->cameras[writer->count++] = view->camera;
    return PLX_OK;
}

int plx_dataset_writer_finish(plx_dataset_writer *writer) {
    if (!writer->count) return plx_fail(PLX_ERROR_INPUT, "%s: no views to write", writer->folder);
    int status = plx_folder_sync(writer->folder);
    return status ? status : writer->kind->finish(writer);
}

void plx_dataset_writer_free(plx_dataset_writer *writer) {
    if (!writer) return;
    free(writer->folder);
    free(writer->cameras);
    free(writer);
}

int plx_dataset_save(const char *kind, const char *directory, const plx_views *views) {
    plx_dataset_writer *writer;
    int status = plx_dataset_writer_open(&writer, kind, directory, views->name);
    for (int i = 0; i < views->count && !status; i++)
        status = plx_dataset_writer_add(writer, &views->views[i]);
    if (!status) status = plx_dataset_writer_finish(writer);
    plx_dataset_writer_free(writer);
    return status;
}
