/* The true pictures that others are measured against: of a folder, or of a data set. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_folder.h"
#include "tools/parallax.h"

/* ---- what belongs together ------------------------------------------------------------------------------------------ */

enum fit { APART, SAME_NUMBER, SAME_NAME }; /* of two names, the better last */

static enum fit fit_view(const char *a, const char *b) {
    size_t length = plx_eval_stem(a);
    if (length == plx_eval_stem(b) && !strncmp(a, b, length)) return SAME_NAME;
    long number = plx_eval_number(a);
    return number >= 0 && number == plx_eval_number(b) ? SAME_NUMBER : APART;
}

/* Pictures of chairs/1a2b lie in the folder 1a2b, or as pixelNeRF has it in chairs_1a2b. */
static enum fit fit_object(const char *folder, const char *object) {
    const char *last = strrchr(object, '/');
    size_t length = strlen(object);
    if (last && !strcmp(folder, last + 1)) return SAME_NUMBER;
    for (size_t i = 0; i < length; i++)
        if (folder[i] != object[i] && !(folder[i] == '_' && object[i] == '/')) return APART;
    return folder[length] ? APART : SAME_NAME;
}

typedef struct choice {
    int index, times;
    enum fit fit;
} choice;

static void consider(choice *c, int index, enum fit fit) {
    if (fit > c->fit) *c = (choice){.index = index, .fit = fit};
    c->times += fit && fit == c->fit;
}

/* The object that the pictures are of. */
static int find_object(int *out, const plx_dataset *dataset, const char *name, const char *truth,
                       const char *path) {
    int count = plx_dataset_count(dataset);
    choice best = {0};
    bool flat = !strcmp(name, ".");
    for (int i = 0; i < count && !flat; i++)
        consider(&best, i, fit_object(name, plx_dataset_name(dataset, i)));
    *out = best.index;
    if (flat && count > 1)
        return plx_fail(PLX_ERROR_INPUT, "%s: pictures of one object, and %s holds %d", path, truth, count);
    if (flat || best.times == 1) return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "%s: %s %s, which %s has", truth,
                    best.times ? "more than one object" : "no", name, path);
}

static int find_view(int *out, const plx_dataset *dataset, int object, const char *file, const char *truth,
                     const char *path) {
    choice best = {0};
    for (int k = 0; k < plx_dataset_view_count(dataset, object); k++)
        consider(&best, k, fit_view(file, plx_dataset_view_name(dataset, object, k)));
    *out = best.index;
    if (best.times == 1) return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "%s: %s has %s %s, which %s has", truth,
                    plx_dataset_name(dataset, object), best.times ? "more than one view" : "no view", file,
                    path);
}

/* ---- opening -------------------------------------------------------------------------------------------------------- */

/* Every chosen view has a picture. */
static int check_views(const plx_dataset *dataset, const plx_eval_pictures *of, const plx_eval_choice *chosen,
                       const char *path) {
    for (int k = 0; k < plx_dataset_view_count(dataset, of->object); k++) {
        const char *name = plx_dataset_view_name(dataset, of->object, k);
        bool taken = !plx_eval_is_chosen(chosen, name);
        for (int i = 0; i < of->count && !taken; i++) taken = of->views[i] == k;
        if (!taken)
            return plx_fail(PLX_ERROR_INPUT, "%s: no picture of view %s of %s", path, name,
                            plx_dataset_name(dataset, of->object));
    }
    return PLX_OK;
}

static int take_class(plx_eval_pictures *out, const plx_dataset *dataset) {
    const char *name = plx_dataset_name(dataset, out->object), *last = strrchr(name, '/');
    if (last && !(out->class_name = strndup(name, (size_t)(last - name))))
        return plx_fail(PLX_ERROR_MEMORY, "eval images: out of memory");
    return PLX_OK;
}

static int take_object(plx_eval_pictures *out, const plx_eval_folder *truth, const plx_eval_pictures *like,
                       const plx_eval_choice *chosen) {
    const plx_dataset *dataset = truth->dataset;
    *out = (plx_eval_pictures){.name = strdup(like->name),
                               .path = strdup(truth->path),
                               .count = like->count,
                               .files = calloc((size_t)like->count + 1, sizeof *out->files),
                               .views = calloc((size_t)like->count + 1, sizeof *out->views)};
    bool made = out->name && out->path && out->files && out->views;
    for (int i = 0; i < like->count && made; i++) made = (out->files[i] = strdup(like->files[i]));
    if (!made) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", truth->path);
    int status = find_object(&out->object, dataset, like->name, truth->path, like->path);
    if (!status) status = take_class(out, dataset);
    for (int i = 0; i < like->count && !status; i++)
        status = find_view(&out->views[i], dataset, out->object, like->files[i], truth->path, like->path);
    for (int i = 0; i < like->count && !status; i++)
        for (int k = 0; k < i && !status; k++)
            if (out->views[i] == out->views[k])
                status =
                    plx_fail(PLX_ERROR_INPUT, "%s: %s and %s are both of view %s", like->path, like->files[k],
                             like->files[i], plx_dataset_view_name(dataset, out->object, out->views[i]));
    return status ? status : check_views(dataset, out, chosen, like->path);
}

/* Every object has pictures, and of each only one folder. */
static int check_objects(const plx_eval_folder *truth, const plx_eval_folder *like) {
    for (int i = 0; i < plx_dataset_count(truth->dataset); i++) {
        int times = 0;
        for (int k = 0; k < truth->count; k++) times += truth->objects[k].object == i;
        if (times != 1)
            return plx_fail(PLX_ERROR_INPUT, "%s: %s %s, which %s has", like->path,
                            times ? "more than one folder of" : "no", plx_dataset_name(truth->dataset, i),
                            truth->path);
    }
    return PLX_OK;
}

static int open_dataset(plx_eval_folder *out, plx_dataset *dataset, const char *path,
                        const plx_eval_choice *chosen, const plx_eval_folder *like) {
    *out = (plx_eval_folder){.path = strdup(path),
                             .objects = calloc((size_t)like->count + 1, sizeof *out->objects),
                             .dataset = dataset};
    int status = out->path && out->objects ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    while (out->count < like->count && !status) {
        const plx_eval_pictures *pictures = &like->objects[out->count];
        status = take_object(&out->objects[out->count++], out, pictures, chosen);
    }
    if (!status) status = check_objects(out, like);
    if (status) plx_eval_folder_free(out);
    return status;
}

int plx_eval_truth_open(plx_eval_folder *out, const char *path, const plx_eval_choice *chosen,
                        const plx_eval_folder *like) {
    plx_dataset *dataset;
    char why[1024];
    if (!plx_dataset_open(&dataset, path)) return open_dataset(out, dataset, path, chosen, like);
    snprintf(why, sizeof why, "%s", plx_error());
    int status = plx_eval_folder_open(out, path, chosen);
    if (!status) {
        status = plx_eval_folder_match(like, out);
        if (status) plx_eval_folder_free(out);
    } else if (status == PLX_ERROR_INPUT && !strstr(why, plx_error())) {
        char folder[1024];
        snprintf(folder, sizeof folder, "%s", plx_error());
        plx_fail(status, "%s; as a data set: %s", folder, why);
    }
    return status;
}

/* ---- pictures ------------------------------------------------------------------------------------------------------- */

int plx_eval_picture_load(plx_image *out, const plx_eval_folder *folder, int object, int k) {
    const plx_eval_pictures *of = &folder->objects[object];
    *out = (plx_image){0};
    if (!folder->dataset) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s", of->path, of->files[k]) >= (int)sizeof path)
            return plx_fail(PLX_ERROR_INPUT, "%s/%s: the path is too long", of->path, of->files[k]);
        return plx_image_load(out, path);
    }
    plx_views views;
    int status = plx_dataset_load(folder->dataset, of->object, &of->views[k], 1, &views);
    if (status) return status;
    if (views.has_alpha) {
        *out = views.views[0].colour;
        views.views[0].colour = (plx_image){0};
    } else
        status = plx_image_over(out, &views.views[0].colour, 1); /* no silhouette */
    plx_views_free(&views);
    return status;
}
