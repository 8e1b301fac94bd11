/* The command line of `parallax eval`, and the protocol that it asks for. */
#ifndef PLX_TOOLS_EVALUATION_VALUES_H
#define PLX_TOOLS_EVALUATION_VALUES_H

#include "tools/evaluation_protocol.h"
#include "tools/options.h"

typedef struct plx_eval_values {
    const char *model, *catalogue, *data, *licence, *sources, *only, *path, *json, *sheet, *csv, *plot,
        *time_plot, *report;
    plx_list compare, set, sweep;
    int protocol, split, objects, input, elevation, path_views, field_steps, rows, samples;
    unsigned methods, qualities, consistency;
    int64_t seed;
} plx_eval_values;

enum { PLX_EVAL_OBJECTS, PLX_EVAL_SRN, PLX_EVAL_ZERO123, PLX_EVAL_PICTURES }; /* protocol */
enum { PLX_EVAL_INPUT_EXACT, PLX_EVAL_INPUT_AUTO };                           /* input */
enum { PLX_EVAL_ELEVATION_KNOWN, PLX_EVAL_ELEVATION_UNKNOWN };                /* elevation */

extern const plx_option plx_eval_options[];

/* *path: of the views that are scored; empty: the targets are, or none. `model` may be NULL; size: pixels of the methods' input. */
int plx_eval_protocol_open(plx_eval_protocol *out, plx_path *path, const plx_eval_values *values,
                           const plx_model *model, int size);

#endif
