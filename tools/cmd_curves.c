/* parallax curves: what training runs said of the validation objects, against encodes, as a plot. */
#include "tools/parallax.h"
#include "tools/plot.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct curves_values {
    const char *output;
} curves_values;

static const plx_option options[] = {{PLX_OPTION_TEXT, "output", 'o', offsetof(curves_values, output), NULL,
                                      .word = "FILE", .help = "the plot (SVG)"},
                                     {.type = PLX_OPTION_END}};

enum { PANELS = 3, RUNS = PLX_PLOT_COLOURS, LEGEND = 26, KEY = 127 /* units of a name */ };
static const struct panel {
    const char *key, *title;
} panels[PANELS] = {{"validation_psnr", "validation PSNR, dB"},
                    {"validation_iou", "silhouette IoU"},
                    {"validation_iou_60_120", "IoU at azimuth gaps 60-120"}};

typedef struct curve {
    const char *name;
    int count;
    plx_plot_point *points[PANELS]; /* (count) x: encodes */
} curve;

/* ---- a run's log ---------------------------------------------------------------------------------------------------- */

/* A run that went on from an older state says some steps twice: what it said last counts. */
static int add_point(curve *c, const json_t *line) {
    const double encodes = json_number_value(json_object_get(line, "encodes"));
    while (c->count && c->points[0][c->count - 1].x >= encodes) c->count--;
    for (int p = 0; p < PANELS; p++) {
        plx_plot_point *more = realloc(c->points[p], ((size_t)c->count + 1) * sizeof *more);
        if (!more) return plx_fail(PLX_ERROR_MEMORY, "%s: out of memory", c->name);
        const json_t *value = json_object_get(line, panels[p].key);
        more[c->count] =
            (plx_plot_point){encodes, json_is_number(value) ? json_number_value(value) : NAN, NAN, NAN};
        c->points[p] = more;
    }
    c->count++;
    return PLX_OK;
}

static int read_log(curve *c, const char *folder) {
    enum { LARGEST = 1 << 28 };
    char path[4096], *text = NULL;
    size_t size;
    c->name = plx_path_last(folder);
    if (snprintf(path, sizeof path, "%s/log.jsonl", folder) >= (int)sizeof path)
        return plx_fail(PLX_ERROR_INPUT, "%s: the path is too long", folder);
    int status = plx_file_read(&text, &size, path, LARGEST), number = 0;
    for (char *line = text, *next; !status && line && *line; line = next) {
        next = line + strcspn(line, "\n");
        json_t *json = json_loadb(line, (size_t)(next - line), 0, NULL);
        number++;
        if (!json_is_object(json))
            status = plx_fail(PLX_ERROR_INPUT, "%s: line %d is not a line of a training log", path, number);
        else if (json_is_number(json_object_get(json, panels[0].key)) &&
                 json_is_integer(json_object_get(json, "encodes")))
            status = add_point(c, json);
        json_decref(json);
        next += *next == '\n';
    }
    free(text);
    if (!status && !c->count) status = plx_fail(PLX_ERROR_INPUT, "%s: says nothing of a validation", path);
    return status;
}

/* ---- the plot ------------------------------------------------------------------------------------------------------- */

static void draw_panel(FILE *out, int p, int count, const curve *curves) {
    double most = 0, low = INFINITY, high = -INFINITY;
    for (int c = 0; c < count; c++)
        for (int i = 0; i < curves[c].count; i++) {
            const plx_plot_point *at = &curves[c].points[p][i];
            most = fmax(most, at->x);
            if (isfinite(at->y)) low = fmin(low, at->y), high = fmax(high, at->y);
        }
    if (!(low <= high)) low = high = 0;
    plx_axis x = {0, 1.03 * fmax(most, 1), PLX_PANEL_LEFT, PLX_PANEL_WIDTH - PLX_PANEL_RIGHT, false};
    plx_axis y = plx_axis_around(low, high, PLX_PANEL_HEIGHT - PLX_PANEL_BOTTOM, PLX_PANEL_TOP);
    plx_panel panel = plx_panel_open(out, panels[p].title, x, y);
    plx_panel_y_axis(&panel);
    plx_panel_x_axis(&panel);
    plx_panel_x_label(&panel, "encodes");
    for (int c = 0; c < count; c++) plx_panel_line(&panel, curves[c].count, curves[c].points[p], c);
}

static int draw(const char *path, int count, const curve *curves) {
    plx_writer writer = {0};
    int status = plx_writer_open(&writer, path);
    if (!status) {
        FILE *out = writer.file;
        plx_svg_open(out, PANELS * PLX_PANEL_WIDTH, LEGEND + PLX_PANEL_HEIGHT);
        for (int c = 0; c < count; c++) plx_svg_key(out, 4 + c * KEY, 18, c, curves[c].name);
        for (int p = 0; p < PANELS; p++) {
            plx_svg_move(out, p * PLX_PANEL_WIDTH, LEGEND);
            draw_panel(out, p, count, curves);
            fputs("</g>\n", out);
        }
        fputs("</svg>\n", out);
        status = plx_writer_commit(&writer);
    }
    plx_writer_abort(&writer);
    return status;
}

static int run_curves(const plx_run *run) {
    const curves_values *v = run->values;
    if (!v->output) return plx_fail(PLX_ERROR_USAGE, "curves: --output FILE is needed");
    curve curves[RUNS] = {0};
    int status = PLX_OK;
    for (int c = 0; c < run->count && !status; c++) status = read_log(&curves[c], run->arguments[c]);
    if (!status) status = draw(v->output, run->count, curves);
    for (int c = 0; c < run->count; c++)
        for (int p = 0; p < PANELS; p++) free(curves[c].points[p]);
    return status;
}

const plx_command plx_cmd_curves = {.name = "curves",
                                    .arguments = "RUN...",
                                    .summary = "the validation curves of up to 8 training runs, as a plot",
                                    .min_arguments = 1,
                                    .max_arguments = RUNS,
                                    .options = options,
                                    .values_size = sizeof(curves_values),
                                    .run = run_curves};
