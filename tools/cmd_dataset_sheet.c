/* parallax dataset sheet: the objects of the catalogue, or of a data set, as one picture. */
#include "tools/parallax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/dataset.h"
#include "tools/jobs.h"

typedef struct sheet_values {
    const char *catalogue, *data, *output, *objects;
    int split, size, columns, count, view;
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
    {PLX_OPTION_INT, "view", 0, offsetof(sheet_values, view), "0", 0, 1000000,
     .help = "of each object of a data set; the last where there are fewer"},
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

/* A picture that a data set holds of an object, over white, in the middle of its square. */
static int load_object(plx_image *out, const plx_dataset *dataset, int object, const sheet_values *values) {
    plx_views views;
    plx_image over = {0}, small = {0};
    int last = plx_dataset_view_count(dataset, object) - 1, view = values->view < last ? values->view : last;
    int status = plx_dataset_load(dataset, object, &view, 1, &views);
    if (status) return status;
    status = plx_image_over(&over, &views.views[0].colour, 1);
    if (!status) {
        int longer = over.width > over.height ? over.width : over.height;
        int height = over.height * values->size / longer, width = over.width * values->size / longer;
        status = plx_image_resize(&small, &over, height ? height : 1, width ? width : 1);
    }
    if (!status) status = plx_image_create(out, values->size, values->size, 3);
    if (!status) {
        for (int i = 0; i < values->size * values->size * 3; i++) out->data[i] = 1;
        plx_image_paste(out, &small, (values->size - small.height) / 2, (values->size - small.width) / 2);
    }
    plx_image_free(&over);
    plx_image_free(&small);
    plx_views_free(&views);
    return status;
}

typedef struct sheet_drawing {
    plx_image sheet;
    const plx_object **objects; /* of a catalogue, or NULL */
    plx_dataset *dataset;       /* or a data set */
    int count;
    char **failures; /* of each object: why it has no picture, or NULL */
    const sheet_values *values;
} sheet_drawing;

/* A red square with a white cross: this object has no picture. */
static int draw_failure(plx_image *out, int size) {
    int status = plx_image_create(out, size, size, 3);
    for (int i = 0; i < size * size && !status; i++) {
        int row = i / size, column = i % size, thick = 1 + size / 32;
        bool cross = abs(row - column) < thick || abs(row + column - size + 1) < thick;
        for (int c = 0; c < 3; c++) out->data[3 * i + c] = cross ? 1 : c ? 0.1f : 0.8f;
    }
    return status;
}

/* What cannot be read does not end the sheet: it is marked there and told afterwards. */
static int draw_place(int index, void *user) {
    sheet_drawing *d = user;
    const sheet_values *values = d->values;
    plx_image picture = {0};
    int status = d->dataset ? load_object(&picture, d->dataset, index, values)
                            : draw_object(&picture, d->objects[index], values);
    if (status) {
        plx_image_free(&picture);
        if (!(d->failures[index] = strdup(plx_error()))) return status;
        status = draw_failure(&picture, values->size);
    }
    if (!status)
        plx_image_paste(&d->sheet, &picture, index / values->columns * values->size,
                        index % values->columns * values->size);
    plx_image_free(&picture);
    return status;
}

static int draw_sheet(sheet_drawing *d) {
    const sheet_values *values = d->values;
    if (d->count > values->count) d->count = values->count;
    int rows = (d->count + values->columns - 1) / values->columns;
    if (rows * values->size > PLX_IMAGE_MAX_SIDE || values->columns * values->size > PLX_IMAGE_MAX_SIDE)
        return plx_fail(PLX_ERROR_INPUT, "%s: %d rows and %d columns of %d pixels are past %d pixels a side",
                        values->output, rows, values->columns, values->size, PLX_IMAGE_MAX_SIDE);
    int status = plx_image_create(&d->sheet, rows * values->size, values->columns * values->size, 3);
    for (size_t i = 0; !status && i < (size_t)d->sheet.height * (size_t)d->sheet.width * 3; i++)
        d->sheet.data[i] = 1;
    if (!status && !(d->failures = calloc((size_t)d->count + 1, sizeof *d->failures)))
        status = plx_fail(PLX_ERROR_MEMORY, "dataset sheet: out of memory");
    if (!status) status = plx_run_jobs("draw", d->count, draw_place, d);
    return status ? status : plx_png_save(values->output, &d->sheet);
}

/* One line for each object without a picture. */
static int tell_failures(const sheet_drawing *d) {
    int failed = 0;
    for (int i = 0; i < d->count; i++) {
        if (!d->failures[i]) continue;
        printf("no picture at %d %d: %s\n", i / d->values->columns, i % d->values->columns, d->failures[i]);
        failed++;
    }
    if (!failed) return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "%s: %d of %d objects have no picture", d->values->output, failed,
                    d->count);
}

static void print_places(const sheet_drawing *d) {
    for (int i = 0; i < d->count; i++) {
        printf("%3d %3d  ", i / d->values->columns, i % d->values->columns);
        if (d->dataset)
            printf("%s\n", plx_dataset_name(d->dataset, i));
        else
            printf("%-10s %-12s %s\n", plx_split_name(d->objects[i]->split), d->objects[i]->class_name,
                   d->objects[i]->id);
    }
}

static int run_sheet(const plx_run *run) {
    sheet_drawing d = {.values = run->values};
    if (!d.values->output) return plx_fail(PLX_ERROR_USAGE, "dataset sheet: --output is missing");
    plx_catalogue catalogue = {0};
    int status;
    if (run->count) {
        status = plx_dataset_open(&d.dataset, run->arguments[0]);
        if (!status) d.count = plx_dataset_count(d.dataset);
    } else {
        status = plx_catalogue_load(&catalogue, d.values->catalogue);
        if (!status)
            status = plx_select_objects(&d.objects, &d.count, &catalogue, d.values->split, d.values->objects);
    }
    if (!status) status = draw_sheet(&d);
    if (!status) print_places(&d);
    if (!status) status = tell_failures(&d);
    for (int i = 0; d.failures && i < d.count; i++) free(d.failures[i]);
    free(d.failures);
    plx_image_free(&d.sheet);
    free(d.objects);
    plx_dataset_free(d.dataset);
    plx_catalogue_free(&catalogue);
    return status;
}

const plx_command plx_cmd_dataset_sheet = {.name = "dataset sheet",
                                           .arguments = "[DIR]",
                                           .summary =
                                               "objects of the catalogue, or of a data set, as one picture",
                                           .max_arguments = 1,
                                           .options = sheet_options,
                                           .values_size = sizeof(sheet_values),
                                           .run = run_sheet};
