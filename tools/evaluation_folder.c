#include "tools/evaluation_folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/parallax.h"

enum { PATH_SIZE = 4096 };

/* ---- names ---------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *ending) {
    size_t a = strlen(name), b = strlen(ending);
    return a > b && !strcmp(name + a - b, ending);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int is_picture(const struct dirent *entry) {
    const char *name = entry->d_name;
    return name[0] != '.' && ends_in(name, ".png") && !ends_in(name, "_compare.png") &&
           !ends_in(name, "_depth_norm.png");
}

size_t plx_eval_stem(const char *file) {
    const char *dot = strrchr(file, '.');
    return dot ? (size_t)(dot - file) : strlen(file);
}

long plx_eval_number(const char *file) {
    size_t end = plx_eval_stem(file), begin = end;
    while (begin > 0 && isdigit((unsigned char)file[begin - 1])) begin--;
    return begin < end && end - begin < 18 ? atol(file + begin) : -1;
}

/* Whether the word names the file: its name without the ending, or its number. */
static bool is_named(const char *word, size_t length, const char *file) {
    if (length == plx_eval_stem(file) && !strncmp(word, file, length)) return true;
    return length && strspn(word, "0123456789") == length && atol(word) == plx_eval_number(file);
}

/* Whether a word of "a,b,c" does. */
static bool is_listed(const char *list, const char *file) {
    while (list && *list) {
        size_t length = strcspn(list, ",");
        if (is_named(list, length, file)) return true;
        list += length + (list[length] == ',');
    }
    return false;
}

bool plx_eval_is_chosen(const plx_eval_choice *choice, const char *file) {
    return (!choice->only || is_listed(choice->only, file)) && !is_listed(choice->except, file);
}

/* PLX_ERROR_INPUT names a word of "a,b,c" that is no file's. */
static int check_listed(const char *list, const char *path, struct dirent *const *files, int count) {
    while (list && *list) {
        size_t length = strcspn(list, ",");
        bool there = false;
        for (int i = 0; i < count && !there; i++) there = is_named(list, length, files[i]->d_name);
        if (!there) return plx_fail(PLX_ERROR_INPUT, "%s: no view %.*s", path, (int)length, list);
        list += length + (list[length] == ',');
    }
    return PLX_OK;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

static int join(char out[PATH_SIZE], const char *folder, const char *name) {
    return snprintf(out, PATH_SIZE, "%s/%s", folder, name) < PATH_SIZE
               ? PLX_OK
               : plx_fail(PLX_ERROR_INPUT, "%s/%s: the path is too long", folder, name);
}

/* The PNGs of a folder; count 0 where it has none or there is no such folder. */
static int list_pictures(plx_eval_pictures *out, const char *path, const plx_eval_choice *choice) {
    struct dirent **list;
    int found = scandir(path, &list, is_picture, alphasort), status = PLX_OK;
    *out = (plx_eval_pictures){0};
    if (found < 0)
        return errno == ENOENT || errno == ENOTDIR ? PLX_OK
                                                   : plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    out->files = calloc((size_t)found + 1, sizeof *out->files);
    out->path = strdup(path);
    if (!out->files || !out->path) status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    if (!status && found) status = check_listed(choice->only, path, list, found);
    for (int i = 0; i < found; i++) {
        const char *name = list[i]->d_name;
        if (!status && plx_eval_is_chosen(choice, name) && !(out->files[out->count++] = strdup(name)))
            status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
        free(list[i]);
    }
    free(list);
    return status;
}

static void free_pictures(plx_eval_pictures *p) {
    for (int i = 0; i < p->count; i++) free(p->files[i]);
    free(p->files);
    free(p->views);
    free(p->path);
    free(p->name);
    free(p->class_name);
    *p = (plx_eval_pictures){0};
}

/* Those of one object: in its folder, or in rgb or image in it. */
static int find_pictures(plx_eval_pictures *out, const char *folder, const char *name,
                         const plx_eval_choice *choice) {
    static const char *const inner[] = {"", "rgb", "image"};
    char object[PATH_SIZE], path[PATH_SIZE];
    int status = join(object, folder, name);
    *out = (plx_eval_pictures){0};
    for (int i = 0; i < 3 && !status && !out->count; i++) {
        free_pictures(out);
        status = i ? join(path, object, inner[i]) : PLX_OK;
        if (!status) status = list_pictures(out, i ? path : object, choice);
    }
    enum { SYNSET = 8 }; /* digits of WordNet's, ShapeNet's names of classes */
    if (!status && out->count) {
        bool classed = strspn(name, "0123456789") == SYNSET && name[SYNSET] == '_';
        out->name = strdup(name);
        out->class_name = classed ? strndup(name, SYNSET) : NULL;
        if (!out->name || (classed && !out->class_name))
            status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", folder);
    }
    if (status || !out->count) free_pictures(out);
    return status;
}

static int add_objects(plx_eval_folder *f, const plx_eval_choice *choice) {
    struct dirent **list;
    int found = scandir(f->path, &list, is_visible, alphasort), status = PLX_OK;
    if (found < 0) return plx_fail(PLX_ERROR_IO, "%s: %s", f->path, strerror(errno));
    bool flat = f->count > 0;
    plx_eval_pictures *more = realloc(f->objects, ((size_t)found + 2) * sizeof *more);
    if (more)
        f->objects = more;
    else
        status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", f->path);
    for (int i = 0; i < found; i++) {
        plx_eval_pictures object = {0};
        if (!status) status = find_pictures(&object, f->path, list[i]->d_name, choice);
        if (!status && object.count && flat) {
            status = plx_fail(PLX_ERROR_INPUT, "%s: pictures here and in its folder %s: which are meant?",
                              f->path, list[i]->d_name);
            free_pictures(&object);
        }
        if (!status && object.count) f->objects[f->count++] = object;
        free(list[i]);
    }
    free(list);
    return status;
}

int plx_eval_folder_open(plx_eval_folder *out, const char *path, const plx_eval_choice *choice) {
    *out = (plx_eval_folder){.path = strdup(path), .objects = calloc(1, sizeof *out->objects)};
    int status = out->path && out->objects ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    struct stat info;
    if (!status && stat(path, &info)) status = plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    if (!status && !S_ISDIR(info.st_mode)) status = plx_fail(PLX_ERROR_INPUT, "%s: not a folder", path);
    if (!status) status = list_pictures(&out->objects[0], path, choice);
    if (!status && out->objects[0].count) {
        out->count = 1;
        if (!(out->objects[0].name = strdup(".")))
            status = plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", path);
    } else if (out->objects)
        free_pictures(&out->objects[0]);
    if (!status) status = add_objects(out, choice);
    if (!status && !out->count)
        status = plx_fail(PLX_ERROR_INPUT, "%s: no PNG here or one folder below", path);
    if (status) plx_eval_folder_free(out);
    return status;
}

void plx_eval_folder_free(plx_eval_folder *folder) {
    for (int i = 0; i < folder->count; i++) free_pictures(&folder->objects[i]);
    plx_dataset_free(folder->dataset);
    free(folder->objects);
    free(folder->path);
    *folder = (plx_eval_folder){0};
}

/* ---- matching --------------------------------------------------------------------------------------------------------- */

static int missing(const plx_eval_folder *from, const plx_eval_folder *in, const char *object,
                   const char *file) {
    bool flat = !strcmp(object, ".");
    return plx_fail(PLX_ERROR_INPUT, "%s: no %s%s%s, which %s has", from->path, flat ? "" : object,
                    *file && !flat ? "/" : "", file, in->path);
}

int plx_eval_folder_match(const plx_eval_folder *a, const plx_eval_folder *b) {
    for (int i = 0; i < a->count || i < b->count; i++) {
        const plx_eval_pictures *p = i < a->count ? &a->objects[i] : NULL,
                                *q = i < b->count ? &b->objects[i] : NULL;
        int order = !p ? 1 : !q ? -1 : strcmp(p->name, q->name);
        if (order) return order < 0 ? missing(b, a, p->name, "") : missing(a, b, q->name, "");
        for (int k = 0; k < p->count || k < q->count; k++) {
            const char *x = k < p->count ? p->files[k] : NULL, *y = k < q->count ? q->files[k] : NULL;
            order = !x ? 1 : !y ? -1 : strcmp(x, y);
            if (order) return order < 0 ? missing(b, a, p->name, x) : missing(a, b, p->name, y);
        }
    }
    return PLX_OK;
}
