#include "render/mesh.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "render/shade.h"

plx_mesh_options plx_mesh_options_default(void) {
    return (plx_mesh_options){.up = 'y',
                              .rotation = {1, 0, 0, 0, 1, 0, 0, 0, 1},
                              .scale = {1, 1, 1},
                              .smooth_angle = 0.78539816f, /* 45 degrees */
                              .normalise = true};
}

/* ---- soup ---- */

int plx_soup_reserve(plx_soup *soup, int64_t triangles) {
    int64_t wanted = soup->triangles + triangles;
    if (wanted > PLX_MESH_MAX_TRIANGLES)
        return plx_fail(PLX_ERROR_INPUT, "more than %d triangles", PLX_MESH_MAX_TRIANGLES);
    if (wanted <= soup->capacity) return PLX_OK;
    int64_t capacity = wanted > 2 * soup->capacity ? wanted : 2 * soup->capacity;
    plx_corner *corners = realloc(soup->corners, sizeof *corners * 3 * (size_t)capacity);
    if (corners) soup->corners = corners;
    uint16_t *material = realloc(soup->material, sizeof *material * (size_t)capacity);
    if (material) soup->material = material;
    if (!corners || !material)
        return plx_fail(PLX_ERROR_MEMORY, "no memory for %lld triangles", (long long)wanted);
    soup->capacity = capacity;
    return PLX_OK;
}

void plx_soup_free(plx_soup *soup) {
    free(soup->corners);
    free(soup->material);
    *soup = (plx_soup){0};
}

/* ---- placing ---- */

/* rotation in the file's axes, then the turn to z up (y up, front +z -> front +x), then the scale */
static void placing_matrix(const plx_mesh_options *options, double m[9]) {
    static const int y_up[3] = {2, 0, 1}, z_up[3] = {0, 1, 2};
    const int *source = options->up == 'y' ? y_up : z_up;
    for (int row = 0; row < 3; row++)
        for (int column = 0; column < 3; column++)
            m[3 * row + column] = (double)options->scale[row] * options->rotation[3 * source[row] + column];
}

static int place(plx_soup *soup, const plx_mesh_options *options, float box_min[3], float box_max[3]) {
    double m[9];
    placing_matrix(options, m);
    for (int i = 0; i < 3; i++) box_min[i] = INFINITY, box_max[i] = -INFINITY;
    for (int64_t k = 0; k < 3 * soup->triangles; k++) {
        float *p = soup->corners[k].position, turned[3];
        for (int i = 0; i < 3; i++) {
            turned[i] = (float)(m[3 * i] * p[0] + m[3 * i + 1] * p[1] + m[3 * i + 2] * p[2]);
            if (!isfinite(turned[i])) return plx_fail(PLX_ERROR_INPUT, "a vertex is not finite");
            box_min[i] = fminf(box_min[i], turned[i]);
            box_max[i] = fmaxf(box_max[i], turned[i]);
        }
        memcpy(p, turned, sizeof turned);
    }
    return PLX_OK;
}

/* The bounding box's centre to the origin, its diagonal to 1. */
static int normalise(plx_soup *soup, float box_min[3], float box_max[3]) {
    double centre[3], diagonal = 0;
    for (int i = 0; i < 3; i++) {
        centre[i] = 0.5 * ((double)box_min[i] + box_max[i]);
        diagonal += pow((double)box_max[i] - box_min[i], 2);
    }
    double factor = 1 / sqrt(diagonal);
    if (!isfinite(factor)) return plx_fail(PLX_ERROR_INPUT, "all vertices are in one point");
    for (int64_t k = 0; k < 3 * soup->triangles; k++)
        for (int i = 0; i < 3; i++)
            soup->corners[k].position[i] = (float)((soup->corners[k].position[i] - centre[i]) * factor);
    for (int i = 0; i < 3; i++) {
        box_min[i] = (float)((box_min[i] - centre[i]) * factor);
        box_max[i] = (float)((box_max[i] - centre[i]) * factor);
    }
    return PLX_OK;
}

static double corner_area(const plx_corner *c) {
    double e[2][3], n[3];
    for (int i = 0; i < 3; i++) {
        e[0][i] = (double)c[1].position[i] - c[0].position[i];
        e[1][i] = (double)c[2].position[i] - c[0].position[i];
    }
    for (int i = 0; i < 3; i++)
        n[i] = e[0][(i + 1) % 3] * e[1][(i + 2) % 3] - e[0][(i + 2) % 3] * e[1][(i + 1) % 3];
    return 0.5 * sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
}

/* Triangles without area, or with a material that cannot be seen, would only cost layers. */
static void drop_invisible(const plx_mesh *mesh, plx_soup *soup) {
    int64_t kept = 0;
    for (int64_t t = 0; t < soup->triangles; t++) {
        if (corner_area(soup->corners + 3 * t) <= 0) continue;
        if (mesh->materials[soup->material[t]].opacity < 1.0f / 255) continue;
        memmove(soup->corners + 3 * kept, soup->corners + 3 * t, 3 * sizeof *soup->corners);
        soup->material[kept++] = soup->material[t];
    }
    soup->triangles = kept;
}

/* ---- shared vertices ---- */

static uint32_t hash_corner(const plx_corner *corner) {
    uint32_t words[sizeof *corner / 4], h = 0x9e3779b9u;
    memcpy(words, corner, sizeof words);
    for (size_t i = 0; i < sizeof words / 4; i++) h = (h ^ words[i]) * 0x85ebca6bu, h ^= h >> 15;
    return h;
}

/* Writes indices (3 triangles) and the first corner of each vertex; returns the number of vertices, -1:
 * memory. */
static int64_t share_vertices(const plx_soup *soup, uint32_t *indices, uint32_t *first) {
    size_t corners = 3 * (size_t)soup->triangles, slots = 64;
    while (slots < 2 * corners) slots *= 2;
    uint32_t *table = malloc(slots * sizeof *table);
    if (!table) return -1;
    memset(table, 0xff, slots * sizeof *table);
    uint32_t count = 0;
    for (size_t k = 0; k < corners; k++) {
        size_t slot = hash_corner(soup->corners + k) & (slots - 1);
        while (table[slot] != UINT32_MAX &&
               memcmp(soup->corners + first[table[slot]], soup->corners + k, sizeof *soup->corners) != 0)
            slot = (slot + 1) & (slots - 1);
        if (table[slot] == UINT32_MAX) {
            first[count] = (uint32_t)k;
            table[slot] = count++;
        }
        indices[k] = table[slot];
    }
    free(table);
    return count;
}

static int pack_vertices(plx_mesh *mesh, const plx_soup *soup, const uint32_t *first) {
    size_t n = (size_t)mesh->vertices;
    mesh->positions = malloc(n * 12 + 16);
    mesh->normals = malloc(n * 4);
    mesh->uvs = soup->has_uv ? malloc(n * 8) : NULL;
    mesh->colours = soup->has_colour ? malloc(n * 4) : NULL;
    if (!mesh->positions || !mesh->normals || (soup->has_uv && !mesh->uvs) ||
        (soup->has_colour && !mesh->colours))
        return plx_fail(PLX_ERROR_MEMORY, "no memory for %zu vertices", n);
    memset(mesh->positions + 3 * n, 0, 16);
    for (size_t i = 0; i < n; i++) {
        const plx_corner *corner = soup->corners + first[i];
        memcpy(mesh->positions + 3 * i, corner->position, 12);
        mesh->normals[i] = corner->normal;
        if (mesh->uvs) memcpy(mesh->uvs + 2 * i, corner->uv, 8);
        if (mesh->colours) memcpy(mesh->colours + 4 * i, corner->colour, 4);
    }
    return PLX_OK;
}

static int pack(plx_mesh *mesh, const plx_soup *soup) {
    size_t corners = 3 * (size_t)soup->triangles;
    int status = PLX_OK;
    uint32_t *first = malloc(corners * sizeof *first);
    mesh->indices = malloc(corners * sizeof *mesh->indices);
    mesh->triangles = (int)soup->triangles;
    int64_t vertices = first && mesh->indices ? share_vertices(soup, mesh->indices, first) : -1;
    if (vertices < 0) {
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for %d triangles", mesh->triangles);
        goto done;
    }
    mesh->vertices = (int)vertices;
    if ((status = pack_vertices(mesh, soup, first)) < 0) goto done;
    if (mesh->material_count > 1) {
        mesh->material = malloc(sizeof *mesh->material * (size_t)mesh->triangles);
        if (!mesh->material) {
            status = plx_fail(PLX_ERROR_MEMORY, "no memory for %d triangles", mesh->triangles);
            goto done;
        }
        memcpy(mesh->material, soup->material, sizeof *mesh->material * (size_t)mesh->triangles);
    }
done:
    free(first);
    return status;
}

/* Share of the area whose opacity, averaged over each triangle, is below 0.99. */
static float transparent_share(const plx_mesh *mesh, const plx_soup *soup) {
    double all = 0, clear = 0;
    for (int t = 0; t < mesh->triangles; t++) {
        double area = corner_area(soup->corners + 3 * (size_t)t);
        all += area;
        if (plx_surface_colour(mesh, t, 1.0f / 3, 1.0f / 3, 1, NULL) < 0.99f) clear += area;
    }
    return (float)(clear / all);
}

/* ---- build ---- */

int plx_mesh_build(plx_mesh *mesh, plx_soup *soup, const plx_mesh_options *options) {
    if (options->up != 'y' && options->up != 'z')
        return plx_fail(PLX_ERROR_INPUT, "the up axis is y or z, not '%c'", options->up);
    int status = place(soup, options, mesh->box_min, mesh->box_max);
    if (status < 0) return status;
    drop_invisible(mesh, soup);
    if (soup->triangles == 0) return plx_fail(PLX_ERROR_INPUT, "no triangles that can be seen");
    float unit[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    plx_mesh_options measure = {.up = 'z', .scale = {1, 1, 1}};
    memcpy(measure.rotation, unit, sizeof unit);
    if ((status = place(soup, &measure, mesh->box_min, mesh->box_max)) < 0)
        return status; /* box of what is left */
    if (options->normalise && (status = normalise(soup, mesh->box_min, mesh->box_max)) < 0) return status;
    if ((status = plx_soup_normals(soup, options->smooth_angle)) < 0) return status;
    if ((status = pack(mesh, soup)) < 0) return status;
    mesh->transparent = transparent_share(mesh, soup);
    return PLX_OK;
}

static void fill_soup(plx_soup *soup, const float *positions, const float *colours, int triangles,
                      const uint32_t *indices) {
    for (size_t k = 0; k < 3 * (size_t)triangles; k++) {
        plx_corner *corner = soup->corners + k;
        *corner = (plx_corner){.colour = {255, 255, 255, 255}};
        memcpy(corner->position, positions + 3 * (size_t)indices[k], 12);
        for (int c = 0; colours && c < 4; c++) {
            float value = fminf(fmaxf(colours[4 * (size_t)indices[k] + c], 0), 1);
            corner->colour[c] = (uint8_t)(value * 255 + 0.5f);
        }
    }
    if (triangles) memset(soup->material, 0, sizeof *soup->material * (size_t)triangles);
    soup->triangles = triangles;
    soup->has_colour = colours != NULL;
}

int plx_mesh_from_arrays(plx_mesh **out, int vertices, const float *positions, const float *colours,
                         int triangles, const uint32_t *indices, const plx_mesh_options *options) {
    plx_mesh_options defaults = plx_mesh_options_default();
    *out = NULL;
    for (size_t k = 0; k < 3 * (size_t)triangles; k++)
        PLX_CHECK(indices[k] < (uint32_t)vertices, "mesh: index %u of %d vertices", indices[k], vertices);
    plx_soup soup = {0};
    plx_mesh *mesh = calloc(1, sizeof *mesh);
    if (mesh) mesh->materials = malloc(sizeof *mesh->materials);
    int status = mesh && mesh->materials ? plx_soup_reserve(&soup, triangles)
                                         : plx_fail(PLX_ERROR_MEMORY, "no memory for a mesh");
    if (status < 0) goto done;
    mesh->materials[0] =
        (plx_material){.colour = {1, 1, 1}, .opacity = 1, .texture = -1, .opacity_texture = -1};
    mesh->material_count = 1;
    fill_soup(&soup, positions, colours, triangles, indices);
    status = plx_mesh_build(mesh, &soup, options ? options : &defaults);
done:
    plx_soup_free(&soup);
    if (status < 0)
        plx_mesh_free(mesh);
    else
        *out = mesh;
    return status;
}

int plx_mesh_load(plx_mesh **out, const char *path, const plx_mesh_options *options) {
    plx_mesh_options defaults = plx_mesh_options_default();
    if (!options) options = &defaults;
    *out = NULL;
    plx_soup soup = {0};
    plx_mesh *mesh = calloc(1, sizeof *mesh);
    if (!mesh) return plx_fail(PLX_ERROR_MEMORY, "%s: no memory for a mesh", path);
    int status = (options->trusted ? plx_mesh_import : plx_mesh_import_apart)(mesh, &soup, path, options);
    if (status == PLX_OK) status = plx_mesh_build(mesh, &soup, options);
    plx_soup_free(&soup);
    if (status < 0) {
        plx_mesh_free(mesh);
        return plx_fail_in(status, path);
    }
    *out = mesh;
    return PLX_OK;
}

void plx_mesh_free(plx_mesh *mesh) {
    if (!mesh) return;
    for (int i = 0; i < mesh->texture_count; i++) plx_texture_free(mesh->textures + i);
    free(mesh->textures);
    free(mesh->materials);
    free(mesh->positions);
    free(mesh->indices);
    free(mesh->normals);
    free(mesh->uvs);
    free(mesh->colours);
    free(mesh->material);
    free(mesh);
}

plx_mesh_info plx_mesh_describe(const plx_mesh *mesh) {
    plx_mesh_info info = {.vertices = mesh->vertices,
                          .triangles = mesh->triangles,
                          .materials = mesh->material_count,
                          .textures = mesh->texture_count,
                          .textures_missing = mesh->textures_missing,
                          .transparent = mesh->transparent};
    memcpy(info.box_min, mesh->box_min, sizeof info.box_min);
    memcpy(info.box_max, mesh->box_max, sizeof info.box_max);
    return info;
}
