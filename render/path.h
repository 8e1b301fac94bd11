/* What camera paths share. Inside render/ only. */
#ifndef PLX_RENDER_PATH_H
#define PLX_RENDER_PATH_H

#include "render/render.h"

#define PLX_PATH_MAX_FRAMES 100000

int plx_path_allocate(plx_path *out, int frames, double fps); /* PLX_ERROR_INPUT, PLX_ERROR_MEMORY */

/* A curve's length between parameters a < b that are close together. */
typedef double (*plx_length_fn)(double a, double b, const void *curve);

/* Parameters in [0,1] of `count` points that are equally far apart along a curve: from 0 to 1, or (closed) from 0 up to one
 * distance before 1. A curve of no length gets equal steps of the parameter. */
int plx_even_parameters(double *out, int count, bool closed, plx_length_fn length, const void *curve);

#endif
