/* parallax dataset info: what a data set holds. */
#include "tools/parallax.h"

#include <math.h>

#include "tools/dataset.h"

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
        json_array_append_new(names, plx_json_text(plx_dataset_name(dataset, i)));
    json_t *root = json_pack(
        "{s:o, s:s, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:s?, s:i, s:o}", "path",
        plx_json_text(path), "kind", plx_dataset_kind(dataset), "objects", s->objects, "views",
        (json_int_t)s->total, "views_per_object", counts_json(s->views), "width", counts_json(s->width),
        "height", counts_json(s->height), "distance", range_json(s->distance), "elevation_degrees",
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
                                          .summary = "what a data set of any kind holds",
                                          .min_arguments = 1,
                                          .max_arguments = 1,
                                          .options = info_options,
                                          .values_size = sizeof(info_values),
                                          .run = run_info};
