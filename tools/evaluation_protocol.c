#include "tools/evaluation_protocol.h"

#include <stdlib.h>

#include "tools/parallax.h"

void plx_eval_case_free(plx_eval_case *of) {
    plx_image_free(&of->input.colour);
    plx_views_free(&of->views);
    *of = (plx_eval_case){0};
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
    if (protocol->close) protocol->close(protocol);
    json_decref(protocol->record);
    free(protocol->ids);
    free(protocol->classes);
    free(protocol->targets);
    *protocol = (plx_eval_protocol){0};
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
