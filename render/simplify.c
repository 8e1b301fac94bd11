/* The only file that includes meshoptimizer (0.18). */
#include <meshoptimizer.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "render/render.h"

/* The used vertices, in the order in which triangles meet them. */
static int compact(plx_triangles *mesh) {
    size_t V = (size_t)mesh->vertices, indices = 3 * (size_t)mesh->triangles;
    unsigned *remap = malloc((V + 1) * sizeof *remap);
    plx_triangles out;
    if (!remap) return plx_fail(PLX_ERROR_MEMORY, "no memory for %d vertices", mesh->vertices);
    size_t used = meshopt_optimizeVertexFetchRemap(remap, mesh->indices, indices, V);
    int status = plx_triangles_create(&out, (int)used, mesh->triangles);
    if (!status) {
        meshopt_remapIndexBuffer(out.indices, mesh->indices, indices, remap);
        meshopt_remapVertexBuffer(out.positions, mesh->positions, V, 3 * sizeof(float), remap);
        meshopt_remapVertexBuffer(out.normals, mesh->normals, V, 3 * sizeof(float), remap);
        meshopt_remapVertexBuffer(out.colours, mesh->colours, V, 3 * sizeof(float), remap);
        plx_triangles_free(mesh);
        *mesh = out;
    }
    free(remap);
    return status;
}

int plx_triangles_simplify(plx_triangles *mesh, int triangles) {
    size_t indices = 3 * (size_t)mesh->triangles;
    if (mesh->triangles <= triangles) return PLX_OK;
    unsigned *kept = malloc(indices * sizeof *kept);
    if (!kept) return plx_fail(PLX_ERROR_MEMORY, "no memory to simplify %d triangles", mesh->triangles);
    size_t left = meshopt_simplify(kept, mesh->indices, indices, mesh->positions, (size_t)mesh->vertices,
                                   3 * sizeof(float), 3 * (size_t)triangles, 1 /* any error */, 0, NULL);
    memcpy(mesh->indices, kept, left * sizeof *kept);
    mesh->triangles = (int)(left / 3);
    free(kept);
    return compact(mesh);
}
