/* parallax mesh: a scene's surface as OBJ, PLY or GLB. */
#include "tools/parallax.h"

#include <math.h>
#include <stdlib.h>

typedef struct mesh_values {
    const char *output, *sheet;
    int resolution, triangles, up, views;
    float threshold;
} mesh_values;

#define AT(member) offsetof(mesh_values, member)

enum { UP_Y, UP_Z };

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "FILE",
     .help = "FILE.obj, FILE.ply or FILE.glb"},
    {PLX_OPTION_INT, "resolution", 0, AT(resolution), "160", 4, 512, .help = "cells across the scene"},
    {PLX_OPTION_FLOAT, "threshold", 0, AT(threshold), NULL, 0, 1e6, .open = true, .word = "DENSITY",
     .help = "of the surface (default: the one with the field's silhouettes)"},
    {PLX_OPTION_INT, "triangles", 0, AT(triangles), "200000", 4, 100000000,
     .help = "at most; more are simplified"},
    {PLX_OPTION_CHOICE, "up", 0, AT(up), NULL, .word = "y|z", .help = "axis (default: y; z for PLY)"},
    {PLX_OPTION_INT, "check", 0, AT(views), "0", 0, 1000, .word = "N",
     .help = "compare N views of mesh and field, and print how well they agree"},
    {PLX_OPTION_TEXT, "sheet", 0, AT(sheet), NULL, .word = "FILE",
     .help = "a PNG of these views: the field above, the mesh below"},
    {.type = PLX_OPTION_END}};

/* ---- mesh against field ---------------------------------------------------------------------------------------- */

enum { CHECK_SIZE = 128, SHEET_COLUMNS = 8 };

static int scene_of(plx_scene **out, const plx_triangles *m) {
    plx_mesh_options o = plx_mesh_options_default();
    plx_mesh *mesh = NULL;
    float *rgba = malloc(sizeof *rgba * 4 * ((size_t)m->vertices + 1));
    *out = NULL;
    if (!rgba) return plx_fail(PLX_ERROR_MEMORY, "no memory for %d vertices", m->vertices);
    for (size_t i = 0; i < 4 * (size_t)m->vertices; i++)
        rgba[i] = i % 4 == 3 ? 1 : m->colours[i / 4 * 3 + i % 4];
    o.up = 'z';
    o.normalise = false;
    int status = plx_mesh_from_arrays(&mesh, m->vertices, m->positions, rgba, m->triangles, m->indices, &o);
    free(rgba);
    return status ? status : plx_scene_create(out, mesh);
}

/* Both views over white; light from everywhere, so that the mesh has its vertices' colours. */
static int draw_both(plx_field *field, const plx_scene *scene, plx_view *ours, plx_view *theirs) {
    plx_render_options o = plx_render_options_default();
    plx_draw_options d = plx_draw_options_default();
    o.samples *= 2;
    d.light.key = 0;
    d.light.sky = d.light.ground = 1;
    int status = plx_field_render(field, ours, &o);
    return status ? status : plx_scene_draw(scene, theirs, &d);
}

static int compare_view(plx_field *field, const plx_scene *scene, const plx_camera *camera, double sum[2],
                        plx_image both[2]) {
    plx_view ours = {.camera = *camera}, theirs = {.camera = *camera};
    int status = draw_both(field, scene, &ours, &theirs);
    if (!status) status = plx_image_over(&both[0], &ours.colour, 1);
    if (!status) status = plx_image_over(&both[1], &theirs.colour, 1);
    if (!status) {
        sum[0] += plx_silhouette_iou(&ours.colour, &theirs.colour);
        sum[1] += fmin(plx_psnr(&both[0], &both[1]), 100); /* equal pictures are infinite */
    }
    plx_image_free(&ours.colour);
    plx_image_free(&theirs.colour);
    return status;
}

/* Views all around, elevations from -30 to 60 degrees. */
static int check(plx_field *field, const plx_triangles *mesh, int views, const char *sheet_path) {
    plx_scene *scene;
    plx_image sheet = {0};
    double sum[2] = {0};
    int columns = views < SHEET_COLUMNS ? views : SHEET_COLUMNS, status = scene_of(&scene, mesh);
    if (!status && sheet_path) status = plx_image_create(&sheet, 2 * CHECK_SIZE, columns * CHECK_SIZE, 3);
    for (int i = 0; i < views && !status; i++) {
        plx_image both[2] = {0};
        float elevation = (-30 + 90 * ((float)i + 0.5f) / (float)views) * (float)M_PI / 180;
        plx_camera camera =
            plx_camera_orbit(2.39996323f * (float)i, elevation,
                             plx_field_radius(field) * PLX_DEFAULT_DISTANCE / PLX_SCENE_RADIUS,
                             PLX_DEFAULT_FOV, CHECK_SIZE, CHECK_SIZE);
        status = compare_view(field, scene, &camera, sum, both);
        for (int k = 0; k < 2 && !status && sheet_path && i < columns; k++)
            plx_image_paste(&sheet, &both[k], k * CHECK_SIZE, i * CHECK_SIZE);
        plx_image_free(&both[0]);
        plx_image_free(&both[1]);
    }
    plx_scene_free(scene);
    if (!status && sheet_path) status = plx_png_save(sheet_path, &sheet);
    plx_image_free(&sheet);
    if (!status)
        printf("mesh against field, %d views: silhouette IoU %.4f, PSNR %.2f dB\n", views, sum[0] / views,
               sum[1] / views);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static int run_mesh(const plx_run *run) {
    const mesh_values *v = run->values;
    if (!v->output) return plx_fail(PLX_ERROR_USAGE, "mesh: --output FILE is needed");
    if (v->sheet && !v->views) return plx_fail(PLX_ERROR_USAGE, "mesh: --sheet shows the views of --check");
    plx_field *field;
    plx_triangles mesh = {0};
    plx_surface_mesh_options o = {.resolution = v->resolution, .threshold = v->threshold};
    char up = v->up < 0 ? 0 : v->up == UP_Y ? 'y' : 'z';
    int status = plx_triangles_savable(v->output, up), found = 0;
    if (!status) status = plx_field_load(&field, run->arguments[0], false);
    if (status) return status;
    if (isnan(v->threshold)) status = plx_field_threshold(field, &o.threshold);
    if (!status) status = plx_field_mesh(&mesh, field, &o, plx_show_progress, NULL);
    plx_progress_end();
    found = mesh.triangles;
    if (status) status = plx_fail_in(status, run->arguments[0]);
    if (!status) status = plx_triangles_simplify(&mesh, v->triangles);
    if (!status) status = plx_triangles_save(v->output, &mesh, up);
    if (!status)
        printf("%s: %d triangles (of %d), %d vertices, density %.4g\n", v->output, mesh.triangles, found,
               mesh.vertices, (double)o.threshold);
    if (!status && v->views) status = check(field, &mesh, v->views, v->sheet);
    plx_triangles_free(&mesh);
    plx_field_free(field);
    return status;
}

const plx_command plx_cmd_mesh = {.name = "mesh",
                                  .arguments = "SCENE",
                                  .summary = "a saved scene's surface as OBJ, PLY or GLB",
                                  .min_arguments = 1,
                                  .max_arguments = 1,
                                  .computes = true,
                                  .options = options,
                                  .values_size = sizeof(mesh_values),
                                  .run = run_mesh};
