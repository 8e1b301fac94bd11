/* Which objects a `dataset` command is about: part of the catalogue, or mesh files. */
#include "tools/dataset.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "tools/parallax.h"

#define MESHES_MAX 1000000
#define DEPTH_MAX 4 /* folders below a named one: SET/OBJECT/meshes/model.obj */

/* ---- of the catalogue ---------------------------------------------------------------------------------------------- */

const char *const plx_written_kinds[] = {"srn", "nerfstudio"};

bool plx_wanted(const char *words, const char *class_name, const char *name) {
    for (const char *word = words; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)strcspn(word, ","), word);
        if (*text && ((class_name && !strcmp(class_name, text)) || strstr(name, text))) return true;
    }
    return !words;
}

int plx_select_objects(const plx_object ***out, int *count, const plx_catalogue *catalogue, int split,
                       const char *words) {
    *count = 0;
    *out = malloc(((size_t)catalogue->count + 1) * sizeof **out);
    if (!*out) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (int i = 0; i < catalogue->count; i++) {
        const plx_object *object = &catalogue->objects[i];
        if ((split == 0 || (int)object->split == split - 1) &&
            plx_wanted(words, object->class_name, object->id))
            (*out)[(*count)++] = object;
    }
    if (*count) return PLX_OK;
    free(*out);
    *out = NULL;
    return plx_fail(PLX_ERROR_INPUT, "no object of the catalogue is wanted%s%s", words ? ": --objects " : "",
                    words ? words : "");
}

/* ---- mesh files ---------------------------------------------------------------------------------------------------- */

/* Letters that a folder's name may hold; others become '-'. */
static void clean_name(char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    for (char *c = name; *c; c++)
        if (!strchr(letters, *c) || (c == name && *c == '.')) *c = '-';
}

/* `name`: the path below the folder that was named, without its ending. The file's path is made absolute, without its first
 * '/': relative to "". */
static int add_mesh(plx_catalogue *list, const char *path, const char *name, char up) {
    if ((list->count & (list->count - 1)) == 0) { /* a power of two is full */
        size_t capacity = list->count ? 2 * (size_t)list->count : 1;
        plx_object *more = list->count < MESHES_MAX ? realloc(list->objects, capacity * sizeof *more) : NULL;
        if (!more) return plx_fail(PLX_ERROR_MEMORY, "%s: too many meshes", path);
        list->objects = more;
    }
    char *full = realpath(path, NULL);
    if (!full) return plx_fail(PLX_ERROR_IO, "%s: %s", path, strerror(errno));
    const char *dot = strrchr(name, '.');
    plx_object *object = &list->objects[list->count++];
    *object =
        (plx_object){.up = up, .rotation = {1, 0, 0, 0, 1, 0, 0, 0, 1}, .train_ok = true, .foreign = true};
    object->id = strndup(name, dot ? (size_t)(dot - name) : strlen(name));
    object->file = strdup(full + 1);
    object->name = strdup(name);
    object->class_name = strdup("");
    object->licence = strdup("");
    object->credit = strdup("");
    object->group = strdup("");
    free(full);
    if (!object->id || !object->file || !object->name || !object->class_name || !object->licence ||
        !object->credit || !object->group)
        return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    if (strlen(object->id) > 119) object->id[119] = 0;
    clean_name(object->id);
    return PLX_OK;
}

static int add_meshes_below(plx_catalogue *list, const char *folder, const char *name, int depth, char up) {
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort), status = PLX_OK;
    if (count < 0) return plx_fail(PLX_ERROR_IO, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        char path[4096], own[4096];
        struct stat info;
        const char *entry = entries[i]->d_name;
        bool fits = snprintf(path, sizeof path, "%s/%s", folder, entry) < (int)sizeof path;
        fits = fits && snprintf(own, sizeof own, "%s%s%s", name, *name ? "/" : "", entry) < (int)sizeof own;
        if (!status && *entry != '.' && !fits)
            status = plx_fail(PLX_ERROR_INPUT, "%s: too long a path", folder);
        if (!status && *entry != '.' && !stat(path, &info)) {
            if (S_ISDIR(info.st_mode) && depth < DEPTH_MAX)
                status = add_meshes_below(list, path, own, depth + 1, up);
            else if (S_ISREG(info.st_mode) && plx_mesh_is_name(entry))
                status = add_mesh(list, path, own, up);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp((*(const plx_object *const *)a)->id, (*(const plx_object *const *)b)->id);
}

/* Two meshes of one name would be one object. */
static int check_names(const plx_catalogue *list) {
    const plx_object **sorted = malloc((size_t)list->count * sizeof *sorted);
    if (!sorted) return plx_fail(PLX_ERROR_MEMORY, "out of memory");
    for (int i = 0; i < list->count; i++) sorted[i] = &list->objects[i];
    qsort(sorted, (size_t)list->count, sizeof *sorted, compare_ids);
    int status = PLX_OK;
    for (int i = 1; i < list->count && !status; i++)
        if (!strcmp(sorted[i - 1]->id, sorted[i]->id))
            status =
                plx_fail(PLX_ERROR_INPUT, "/%s and /%s would both be called %s: name the folder above them",
                         sorted[i - 1]->file, sorted[i]->file, sorted[i]->id);
    free(sorted);
    return status;
}

int plx_list_meshes(plx_catalogue *out, int count, char **paths, char up) {
    int status = PLX_OK;
    *out = (plx_catalogue){.hash = "meshes"};
    for (int i = 0; i < count && !status; i++) {
        struct stat info;
        const char *slash = strrchr(paths[i], '/');
        if (stat(paths[i], &info))
            status = plx_fail(PLX_ERROR_IO, "%s: %s", paths[i], strerror(errno));
        else if (S_ISDIR(info.st_mode))
            status = add_meshes_below(out, paths[i], "", 0, up);
        else
            status = add_mesh(out, paths[i], slash ? slash + 1 : paths[i], up);
    }
    if (!status && !out->count) status = plx_fail(PLX_ERROR_INPUT, "%s: holds no mesh files", paths[0]);
    if (!status) status = check_names(out);
    if (status) plx_catalogue_free(out);
    return status;
}
