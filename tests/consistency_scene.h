/* Views of a textured box, true and spoilt in known ways: the negative controls of the consistency scores. */
#ifndef PLX_TESTS_CONSISTENCY_SCENE_H
#define PLX_TESTS_CONSISTENCY_SCENE_H

#include "nerf/core/error.h"
#include "nerf/core/rng.h"
#include "render/render.h"
#include "tests/test.h"

/* ---- the box ------------------------------------------------------------------------------------------------- */

enum { GRID = 40 }; /* quads a face's side */

/* Smooth random numbers in [0,1] of a point: trilinear on a lattice of the given spacing. */
static inline float texture_at(plx_rng rng, const float p[3], float spacing) {
    int64_t cell[3];
    float f[3], sum = 0;
    for (int k = 0; k < 3; k++) {
        float x = p[k] / spacing + 100;
        cell[k] = (int64_t)x;
        f[k] = x - (float)cell[k];
    }
    for (int corner = 0; corner < 8; corner++) {
        float weight = 1;
        uint64_t index = 0;
        for (int k = 0; k < 3; k++) {
            int up = corner >> k & 1;
            weight *= up ? f[k] : 1 - f[k];
            index = index * 256 + (uint64_t)(cell[k] + up);
        }
        sum += weight * plx_rng_uniform(rng, index);
    }
    return sum;
}

/* Half sides 0.3, 0.22, 0.16 about the origin; the texture is a function of the seed, its grain about `spacing`. */
static inline plx_scene *textured_box(uint64_t seed, float spacing) {
    enum { SIDE = GRID + 1, VERTICES = 6 * SIDE * SIDE, TRIANGLES = 12 * GRID * GRID };
    const float half[3] = {0.3f, 0.22f, 0.16f};
    float *positions = malloc(sizeof(float) * 3 * VERTICES), *rgba = malloc(sizeof(float) * 4 * VERTICES);
    uint32_t *indices = malloc(sizeof(uint32_t) * 3 * TRIANGLES), *triangle = indices;
    for (int v = 0; v < VERTICES; v++) {
        int face = v / (SIDE * SIDE), axis = face / 2, a = (axis + 1) % 3, b = (axis + 2) % 3;
        float *p = positions + 3 * v;
        p[axis] = face % 2 ? -half[axis] : half[axis];
        p[a] = half[a] * (2 * (float)(v % SIDE) / GRID - 1);
        p[b] = half[b] * (2 * (float)(v / SIDE % SIDE) / GRID - 1);
        for (uint64_t c = 0; c < 3; c++)
            rgba[4 * v + (int)c] = fminf(fmaxf(2 * texture_at((plx_rng){seed, c}, p, spacing) - 0.5f, 0), 1);
        rgba[4 * v + 3] = 1;
    }
    for (int quad = 0; quad < 6 * GRID * GRID; quad++) {
        uint32_t o = (uint32_t)(quad / (GRID * GRID) * SIDE * SIDE + quad / GRID % GRID * SIDE + quad % GRID);
        const uint32_t corners[6] = {o, o + 1, o + SIDE, o + SIDE, o + 1, o + SIDE + 1};
        memcpy(triangle, corners, sizeof corners);
        triangle += 6;
    }
    plx_mesh_options options = plx_mesh_options_default();
    options.up = 'z', options.normalise = false;
    plx_mesh *mesh;
    plx_scene *scene = NULL;
    int status = plx_mesh_from_arrays(&mesh, VERTICES, positions, rgba, TRIANGLES, indices, &options);
    if (!status) status = plx_scene_create(&scene, mesh);
    EXPECT(status == PLX_OK, "%s", plx_error());
    free(positions);
    free(rgba);
    free(indices);
    return scene;
}

/* ---- its views ----------------------------------------------------------------------------------------------- */

/* On an orbit of `count` steps through `turn` radians that rises and falls; colour, exact depth, normals. */
static inline plx_views box_views(uint64_t seed, int count, int size, float turn) {
    plx_views views;
    plx_scene *scene = textured_box(seed, 0.08f);
    EXPECT(plx_views_create(&views, count) == PLX_OK, "%s", plx_error());
    views.has_alpha = true;
    snprintf(views.name, sizeof views.name, "box");
    plx_draw_options options = plx_draw_options_default();
    options.depth = options.normal = true; /* files hold both or none */
    for (int i = 0; i < count; i++) {
        float at = (float)i / (float)count;
        views.views[i].camera = plx_camera_orbit(0.3f + turn * at, 0.4f + 0.3f * sinf(9 * at),
                                                 PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, size, size);
        int status = scene ? plx_scene_draw(scene, &views.views[i], &options) : -1;
        EXPECT(status == PLX_OK, "%s", plx_error());
    }
    plx_scene_free(scene);
    return views;
}

/* ---- controls ------------------------------------------------------------------------------------------------ */

enum control { CONTROL_TRUE, CONTROL_NOISE, CONTROL_MIXED, CONTROL_SHUFFLED, CONTROL_REPEATED, CONTROLS };
static const char *const control_names[CONTROLS] = {"true", "noise", "mixed", "shuffled", "repeated"};

static inline void copy_colour(plx_view *to, const plx_view *from) {
    memcpy(to->colour.data, from->colour.data,
           sizeof(float) * 4 * (size_t)to->colour.height * (size_t)to->colour.width);
}

/* The true views' poses and depth, with the pictures: the true ones; those with noise of deviation 0.1; every other one of
 * another object; those of other poses; the first one everywhere. */
static inline plx_views control_views(enum control control, int count, int size, float turn) {
    plx_views views = box_views(1, count, size, turn),
              source = box_views(control == CONTROL_MIXED ? 2 : 1, count, size, turn);
    for (int i = 0; i < count; i++) {
        float *data = views.views[i].colour.data;
        if (control == CONTROL_NOISE)
            for (int p = 0; p < size * size * 4; p++)
                if (p % 4 < 3)
                    data[p] = fminf(
                        fmaxf(data[p] + 0.1f * plx_rng_normal((plx_rng){3, (uint64_t)i}, (uint64_t)p), 0), 1);
        if (control == CONTROL_MIXED && i % 2) copy_colour(&views.views[i], &source.views[i]);
        if (control == CONTROL_SHUFFLED) copy_colour(&views.views[i], &source.views[(5 * i + 3) % count]);
        if (control == CONTROL_REPEATED) copy_colour(&views.views[i], &source.views[0]);
    }
    plx_views_free(&source);
    return views;
}

#endif
