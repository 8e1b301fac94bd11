/* The nearest training object: retrieval as a baseline. Every training object is drawn from the input's own camera; the one
 * whose picture is nearest to the input in 8-bit RGBA over white is shown at the targets. A method that remembers what it was
 * trained on, and nothing else, does as well. */
#ifndef PLX_TOOLS_EVALUATION_NEAREST_H
#define PLX_TOOLS_EVALUATION_NEAREST_H

#include "tools/evaluation_protocol.h"

typedef struct plx_eval_nearest {
    plx_catalogue catalogue;
    const char *data;
    int training_count;
    const plx_object **training; /* the split's objects that are fit for training */
    int *best;                   /* (objects of the protocol) index into training; -1: not searched for */
} plx_eval_nearest;

typedef struct plx_eval_nearest_options {
    const char *catalogue, *data; /* of the default set; outlive it */
    int threads;                  /* processes */
    int count;
    const int *cases; /* (count) which of the protocol's objects */
} plx_eval_nearest_options;

/* One object of the training set is loaded at a time, in processes (plx_eval_share): before any OpenMP team. */
int plx_eval_nearest_open(plx_eval_nearest *out, const plx_eval_protocol *protocol,
                          const plx_eval_nearest_options *options);
void plx_eval_nearest_close(plx_eval_nearest *nearest); /* and empties it */

/* Draws the nearest object of case `index`: colour and depth at out[0 .. count-1].camera. */
int plx_eval_nearest_draw(const plx_eval_nearest *nearest, int index, plx_view *out, int count);

#endif
