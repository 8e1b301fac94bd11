#include "nerf/core/triangles.h"

#include <stdlib.h>

#include "nerf/core/error.h"

int plx_triangles_create(plx_triangles *out, int vertices, int triangles) {
    size_t V = (size_t)vertices, T = (size_t)triangles;
    *out = (plx_triangles){.vertices = vertices,
                           .triangles = triangles,
                           .positions = calloc(3 * V + 1, sizeof *out->positions),
                           .normals = calloc(3 * V + 1, sizeof *out->normals),
                           .colours = calloc(3 * V + 1, sizeof *out->colours),
                           .indices = calloc(3 * T + 1, sizeof *out->indices)};
    if (out->positions && out->normals && out->colours && out->indices) return PLX_OK;
    plx_triangles_free(out);
    return plx_fail(PLX_ERROR_MEMORY, "no memory for a mesh of %d triangles", triangles);
}

void plx_triangles_free(plx_triangles *mesh) {
    if (!mesh) return;
    free(mesh->positions);
    free(mesh->normals);
    free(mesh->colours);
    free(mesh->indices);
    *mesh = (plx_triangles){0};
}
