/* What a surface looks like: material, textures, light. Inside render/ only. */
#ifndef PLX_RENDER_SHADE_H
#define PLX_RENDER_SHADE_H

#include "render/mesh.h"

/* Colour (linear, not premultiplied) and opacity of a triangle at (1 - u - v, u, v) of its corners. `share`
 * is the footprint's area over the triangle's: it chooses the mip level. colour may be NULL. */
float plx_surface_colour(const plx_mesh *mesh, int triangle, float u, float v, float share, float colour[3]);

/* Unit shading normal there, turned to the side that `direction` (of the ray) comes from. `geometric` is the
 * triangle's own, any length and side. */
void plx_surface_normal(const plx_mesh *mesh, int triangle, float u, float v, const float geometric[3],
                        const float direction[3], float normal[3]);

/* Irradiance / pi at a normal: Lambert's key light without shadows, and a hemisphere from ground (down) to
 * sky (up). */
float plx_light_at(const plx_light *light, const float normal[3]);

#endif
