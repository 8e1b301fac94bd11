#include "tools/evaluation_protocol.h"

#include <stdlib.h>
#include <string.h>

#include "tools/parallax.h"

void plx_eval_case_free(plx_eval_case *of) {
    plx_image_free(&of->input.colour);
    plx_views_free(&of->views);
    *of = (plx_eval_case){0};
}

int plx_eval_case_extend(plx_eval_case *of, int targets, const plx_path *path) {
    plx_views *v = &of->views;
    int had = v->count, count = 1 + targets + (path ? path->count : 0);
    plx_view *more = realloc(v->views, (size_t)count * sizeof *more);
    if (!more) return plx_fail(PLX_ERROR_MEMORY, "eval: out of memory for %d views", count);
    v->views = more;
    v->count = count;
    of->targets = targets;
    of->scored = path ? 1 + targets : 1;
    if (count > had) memset(&more[had], 0, (size_t)(count - had) * sizeof *more);
    for (int k = 0; path && k < path->count; k++) more[1 + targets + k].camera = path->cameras[k];
    return PLX_OK;
}

int plx_eval_protocol_allocate(plx_eval_protocol *protocol, int count, bool classes) {
    protocol->count = count;
    protocol->ids = calloc((size_t)count + 1, sizeof *protocol->ids);
    protocol->targets = calloc((size_t)count + 1, sizeof *protocol->targets);
    if (classes) protocol->classes = calloc((size_t)count + 1, sizeof *protocol->classes);
    return protocol->ids && protocol->targets && (!classes || protocol->classes)
               ? PLX_OK
               : plx_fail(PLX_ERROR_MEMORY, "eval: out of memory");
}

void plx_eval_protocol_close(plx_eval_protocol *protocol) {
    if (protocol->close && protocol->source) protocol->close(protocol);
    json_decref(protocol->record);
    free(protocol->ids);
    free(protocol->classes);
    free(protocol->targets);
    *protocol = (plx_eval_protocol){0};
}

int plx_eval_evenly(int k, int kept, int all) {
    return (int)((int64_t)k * all / kept);
}

int plx_eval_targets_max(const plx_eval_protocol *protocol) {
    int most = 0;
    for (int i = 0; i < protocol->count; i++)
        if (protocol->targets[i] > most) most = protocol->targets[i];
    return most;
}

int plx_eval_targets_all(const plx_eval_protocol *protocol) {
    int sum = 0;
    for (int i = 0; i < protocol->count; i++) sum += protocol->targets[i];
    return sum;
}
