/* Marching cubes (Lorensen and Cline 1987), by a table that is derived, not listed: every surface is closed. */
#ifndef PLX_MARCHING_CUBES_H
#define PLX_MARCHING_CUBES_H

#include "nerf/core/triangles.h"

/* The surface values = 0 of a lattice (size[2],size[1],size[0]), x fastest; values above 0 are inside. Positions are in
 * lattice steps, linear between lattice points; normals and colours are zero. The lattice's outermost points must be
 * outside (PLX_CHECK): then each edge belongs to two triangles, which pass it in opposite directions. */
int plx_marching_cubes(plx_triangles *out, const float *values, const int size[3]);

#endif
