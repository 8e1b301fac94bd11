/* A small object set of our own, for tests that need meshes on disk but no download: written on first use. */
#ifndef PLX_TESTS_SMALL_SET_H
#define PLX_TESTS_SMALL_SET_H

#include "datasets/datasets.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "tests/test.h"

static const char *const mtl_text =
    "newmtl red\nKd 0.8 0.1 0.1\nnewmtl green\nKd 0.1 0.7 0.2\nnewmtl blue\nKd 0.1 0.2 0.9\n";

/* Appends a box to an OBJ text. */
static inline void add_box(FILE *obj, int *first, const char *material, const float low[3],
                           const float high[3]) {
    fprintf(obj, "usemtl %s\n", material);
    for (int k = 0; k < 8; k++)
        fprintf(obj, "v %g %g %g\n", (double)(k & 1 ? high : low)[0], (double)(k & 2 ? high : low)[1],
                (double)(k & 4 ? high : low)[2]);
    static const int faces[6][4] = {{0, 2, 3, 1}, {4, 5, 7, 6}, {0, 1, 5, 4},
                                    {2, 6, 7, 3}, {0, 4, 6, 2}, {1, 3, 7, 5}};
    for (int f = 0; f < 6; f++)
        fprintf(obj, "f %d %d %d %d\n", *first + faces[f][0], *first + faces[f][1], *first + faces[f][2],
                *first + faces[f][3]);
    *first += 8;
}

/* A lopsided object, without any symmetry: y up, front +z. */
static inline void write_object(const char *folder, const char *name, float tall) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.obj", folder, name);
    FILE *obj = fopen(path, "w");
    if (!obj) return;
    int first = 1;
    fprintf(obj, "mtllib shapes.mtl\n");
    add_box(obj, &first, "red", (float[]){-1, 0, -0.6f}, (float[]){1, 0.4f, 0.6f});
    add_box(obj, &first, "green", (float[]){-1, 0.4f, -0.6f}, (float[]){-0.6f, 0.4f + tall, 0.2f});
    add_box(obj, &first, "blue", (float[]){0.3f, 0.4f, 0.1f}, (float[]){0.8f, 0.8f, 0.5f});
    fclose(obj);
}

static const char *const table_head =
    "id\tname\tclass\tfile\tlicence\tcredit\tup\trotation\tgroup\tsplit\ttrain_ok\tnote\n";

static inline const char *small_set(void) {
    static char folder[300];
    if (folder[0]) return folder;
    snprintf(folder, sizeof folder, "%s/small", test_directory());
    if (plx_make_directories(folder)) printf("    %s\n", plx_error());
    char path[512], table[4096];
    snprintf(path, sizeof path, "%s/shapes.mtl", folder);
    plx_file_write(path, mtl_text, strlen(mtl_text));
    write_object(folder, "low", 0.5f);
    write_object(folder, "mid", 1.0f);
    write_object(folder, "high", 2.0f);
    snprintf(table, sizeof table,
             "# a comment\n%s"
             "low\tLow\tchair\tlow.obj\tCC0-1.0\tnobody\ty\t\ta\ttrain\t1\t\n"
             "mid\tMiddle\tchair\tmid.obj\tCC0-1.0\tnobody\ty\t1 0 0 0 1 0 0 0 1\ta\ttrain\t1\t\n"
             "high\tHigh\ttable\thigh.obj\tCC0-1.0\tnobody\ty\t\tb\ttrain\t1\t\n"
             "flat\tFlat\ttable\tlow.obj\tCC0-1.0\tnobody\ty\t\tc\ttrain\t0\tflat\n"
             "other\tOther\ttable\tlow.obj\tCC0-1.0\tnobody\tz\t\td\ttest\t1\t\n",
             table_head);
    snprintf(path, sizeof path, "%s/objects.tsv", folder);
    plx_file_write(path, table, strlen(table));
    return folder;
}

static inline int load_small(plx_catalogue *catalogue) {
    char path[512];
    snprintf(path, sizeof path, "%s/objects.tsv", small_set());
    return plx_catalogue_load(catalogue, path);
}

static inline double image_difference(const plx_image *a, const plx_image *b) {
    if (a->height != b->height || a->width != b->width || a->channels != b->channels || !a->data || !b->data)
        return INFINITY;
    double worst = 0;
    size_t count = (size_t)a->height * (size_t)a->width * (size_t)a->channels;
    for (size_t i = 0; i < count; i++) worst = fmax(worst, fabs((double)a->data[i] - (double)b->data[i]));
    return worst;
}

static inline void free_view(plx_view *view) {
    plx_image_free(&view->colour);
    plx_image_free(&view->depth);
    plx_image_free(&view->normal);
}

#endif
