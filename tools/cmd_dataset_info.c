/* parallax dataset info: what a data set holds. parallax dataset sheet: its objects as one picture. */
#include "tools/parallax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/dataset.h"
#include "tools/jobs.h"

#define LOOKS_MAX 300 /* views that are read: all of the first object, and the first one of others */

/* ---- dataset info ------------------------------------------------------------------------------------------------- */

typedef struct info_values {
    bool json;
} info_values;

static const plx_option info_options[] = {
    {PLX_OPTION_FLAG, "json", 0, offsetof(info_values, json), .help = "as JSON"}, {.type = PLX_OPTION_END}};

typedef struct range {
    double low, high;
} range;

typedef struct summary {
    int objects, looks;
    range views, width, height, distance, elevation, fov;
    int64_t total;
    bool alpha, depth, normal;
} summary;

static void widen(range *r, double value) {
    r->low = fmin(r->low, value);
    r->high = fmax(r->high, value);
}

static int look(summary *s, const plx_dataset *dataset, int object, const int *indices, int count) {
    plx_views views;
    int status = plx_dataset_load(dataset, object, indices, count, &views);
    if (status) return status;
    for (int i = 0; i < views.count; i++) {
        const plx_view *view = &views.views[i];
        float p[3];
        plx_camera_position(&view->camera, p);
        widen(&s->width, view->camera.width);
        widen(&s->height, view->camera.height);
        widen(&s->distance,
              sqrt((double)p[0] * (double)p[0] + (double)p[1] * (double)p[1] + (double)p[2] * (double)p[2]));
        widen(&s->elevation, (double)plx_camera_elevation(&view->camera) * 180 / M_PI);
        widen(&s->fov, (double)plx_camera_fov(&view->camera) * 180 / M_PI);
        s->depth = s->depth || view->depth.data;
        s->normal = s->normal || view->normal.data;
    }
    s->alpha = s->alpha || views.has_alpha;
    s->looks += views.count;
    plx_views_free(&views);
    return PLX_OK;
}

static int summarise(summary *s, const plx_dataset *dataset) {
    range none = {INFINITY, -INFINITY};
    *s = (summary){
        .views = none, .width = none, .height = none, .distance = none, .elevation = none, .fov = none};
    s->objects = plx_dataset_count(dataset);
    for (int i = 0; i < s->objects; i++) {
        int views = plx_dataset_view_count(dataset, i);
        widen(&s->views, views);
        s->total += views;
    }
    int first = plx_dataset_view_count(dataset, 0), status = PLX_OK;
    for (int v = 0; v < first && v < LOOKS_MAX && !status; v++) status = look(s, dataset, 0, &v, 1);
    for (int i = 1; i < s->objects && s->looks < LOOKS_MAX && !status; i++)
        status = look(s, dataset, i, &(int){0}, 1);
    return status;
}

static json_t *range_json(range r) {
    return json_pack("[f,f]", r.low, r.high);
}

static json_t *counts_json(range r) {
    return json_pack("[I,I]", (json_int_t)r.low, (json_int_t)r.high);
}

static void print_json(const summary *s, const plx_dataset *dataset, const char *path) {
    const char *note = plx_dataset_note(dataset, 0);
    json_t *names = json_array();
    for (int i = 0; i < s->objects; i++)
        json_array_append_new(names, json_string(plx_dataset_name(dataset, i)));
    json_t *root = json_pack(
        "{s:s, s:s, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:s?, s:i, s:o}", "path", path,
        "kind", plx_dataset_kind(dataset), "objects", s->objects, "views", (json_int_t)s->total,
        "views_per_object", counts_json(s->views), "width", counts_json(s->width), "height",
        counts_json(s->height), "distance", range_json(s->distance), "elevation_degrees",
        range_json(s->elevation), "fov_degrees", range_json(s->fov), "alpha", (int)s->alpha, "depth",
        (int)s->depth, "normals", (int)s->normal, "applied", note, "views_read", s->looks, "names", names);
    if (root) json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    printf("\n");
    json_decref(root);
}

static void print_range(const char *what, range r, const char *unit) {
    if (r.high - r.low < 1e-5 * fabs(r.high))
        printf("%-10s %.5g%s\n", what, r.low, unit);
    else
        printf("%-10s %.5g to %.5g%s\n", what, r.low, r.high, unit);
}

static void print_text(const summary *s, const plx_dataset *dataset, const char *path) {
    printf("%s: %s, %d object%s, %lld views\n", path, plx_dataset_kind(dataset), s->objects,
           s->objects == 1 ? "" : "s", (long long)s->total);
    print_range("views", s->views, " an object");
    print_range("width", s->width, " px");
    print_range("height", s->height, " px");
    print_range("distance", s->distance, "");
    print_range("elevation", s->elevation, " degrees");
    print_range("fov", s->fov, " degrees, vertical");
    printf("%-10s colour%s%s%s\n", "holds", s->alpha ? ", opacity" : "", s->depth ? ", depth" : "",
           s->normal ? ", normals" : "");
    if (plx_dataset_note(dataset, 0)) printf("%-10s %s\n", "applied", plx_dataset_note(dataset, 0));
    if (s->looks < s->total) printf("(cameras and sizes of %d views)\n", s->looks);
}

static int run_info(const plx_run *run) {
    const info_values *values = run->values;
    const char *path = run->arguments[0];
    plx_dataset *dataset;
    summary s;
    int status = plx_dataset_open(&dataset, path);
    if (status) return status;
    status = summarise(&s, dataset);
    if (!status) (values->json ? print_json : print_text)(&s, dataset, path);
    plx_dataset_free(dataset);
    return status;
}

const plx_command plx_cmd_dataset_info = {.name = "dataset info",
                                          .arguments = "DIR",
                                          .summary =
                                              "what a data set holds: SRN folders or a transforms.json",
                                          .min_arguments = 1,
                                          .max_arguments = 1,
                                          .options = info_options,
                                          .values_size = sizeof(info_values),
                                          .run = run_info};

/* ---- dataset sheet ------------------------------------------------------------------------------------------------ */

typedef struct sheet_values {
    const char *catalogue, *data, *output, *objects;
    int split, size, columns, count;
    float azimuth, elevation;
} sheet_values;

static const plx_option sheet_options[] = {
    {PLX_OPTION_TEXT, "output", 'o', offsetof(sheet_values, output), NULL, .word = "FILE", .help = "the PNG"},
    {PLX_OPTION_TEXT, "catalogue", 0, offsetof(sheet_values, catalogue), "datasets/objects.tsv",
     .word = "FILE", .help = "which objects there are"},
    {PLX_OPTION_TEXT, "data", 0, offsetof(sheet_values, data), "data", .word = "DIR",
     .help = "where `make data` put them"},
    {PLX_OPTION_CHOICE, "split", 0, offsetof(sheet_values, split), "all", .word = PLX_SPLIT_WORDS,
     .help = "which split"},
    {PLX_OPTION_TEXT, "objects", 0, offsetof(sheet_values, objects), NULL, .word = "WORD,...",
     .help = "only objects of such a class, or with it in their id"},
    {PLX_OPTION_INT, "count", 'n', offsetof(sheet_values, count), "1000", 1, 100000,
     .help = "at most so many objects"},
    {PLX_OPTION_INT, "size", 0, offsetof(sheet_values, size), "96", 1, 1024, .help = "pixels a side of one"},
    {PLX_OPTION_INT, "columns", 0, offsetof(sheet_values, columns), "16", 1, 256, .help = "objects in a row"},
    {PLX_OPTION_FLOAT, "azimuth", 0, offsetof(sheet_values, azimuth), "35", -360, 360, .word = "DEG",
     .help = "of the camera"},
    {PLX_OPTION_FLOAT, "elevation", 0, offsetof(sheet_values, elevation), "25", -90, 90, .word = "DEG",
     .help = "of the camera"},
    {.type = PLX_OPTION_END}};

/* One picture of an object, over white. */
static int draw_object(plx_image *out, const plx_object *object, const sheet_values *values) {
    const float degree = (float)M_PI / 180;
    plx_scene *scene;
    int status = plx_object_scene(&scene, object, values->data, 0);
    if (status) return status;
    plx_view view = {.camera =
                         plx_camera_orbit(values->azimuth * degree, values->elevation * degree,
                                          PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, values->size, values->size)};
    status = plx_scene_draw(scene, &view, NULL);
    if (!status) status = plx_image_over(out, &view.colour, 1);
    plx_image_free(&view.colour);
    plx_scene_free(scene);
    return status;
}

typedef struct sheet_drawing {
    plx_image *sheet;
    const plx_object *const *objects;
    const sheet_values *values;
} sheet_drawing;

static int draw_place(int index, void *user) {
    const sheet_drawing *d = user;
    const sheet_values *values = d->values;
    plx_image picture = {0};
    int status = draw_object(&picture, d->objects[index], values);
    if (!status)
        plx_image_paste(d->sheet, &picture, index / values->columns * values->size,
                        index % values->columns * values->size);
    plx_image_free(&picture);
    return status;
}

static int run_sheet(const plx_run *run) {
    sheet_values *values = run->values;
    if (!values->output) return plx_fail(PLX_ERROR_USAGE, "dataset sheet: --output is missing");
    plx_catalogue catalogue;
    const plx_object **objects = NULL;
    plx_image sheet = {0};
    int count = 0, status = plx_catalogue_load(&catalogue, values->catalogue);
    if (status) return status;
    status = plx_select_objects(&objects, &count, &catalogue, values->split, values->objects);
    if (count > values->count) count = values->count;
    int rows = (count + values->columns - 1) / values->columns;
    if (!status &&
        (rows * values->size > PLX_IMAGE_MAX_SIDE || values->columns * values->size > PLX_IMAGE_MAX_SIDE))
        status =
            plx_fail(PLX_ERROR_INPUT, "%s: %d rows and %d columns of %d pixels are past %d pixels a side",
                     values->output, rows, values->columns, values->size, PLX_IMAGE_MAX_SIDE);
    if (!status) status = plx_image_create(&sheet, rows * values->size, values->columns * values->size, 3);
    for (size_t i = 0; !status && i < (size_t)sheet.height * (size_t)sheet.width * 3; i++) sheet.data[i] = 1;
    sheet_drawing drawing = {&sheet, objects, values};
    if (!status) status = plx_run_jobs("draw", count, draw_place, &drawing);
    if (!status) status = plx_png_save(values->output, &sheet);
    for (int i = 0; i < count && !status; i++)
        printf("%3d %3d  %-10s %-12s %s\n", i / values->columns, i % values->columns,
               plx_split_name(objects[i]->split), objects[i]->class_name, objects[i]->id);
    plx_image_free(&sheet);
    free(objects);
    plx_catalogue_free(&catalogue);
    return status;
}

const plx_command plx_cmd_dataset_sheet = {.name = "dataset sheet",
                                           .summary =
                                               "the catalogue's objects as one picture, and which is where",
                                           .options = sheet_options,
                                           .values_size = sizeof(sheet_values),
                                           .run = run_sheet};
