/* Fields as triangles: where the surface lies, what a file holds, and what is refused. */
#include <omp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nerf/core/file.h"
#include "nerf/field.h"
#include "tests/consistency_scene.h"

static const char *at(const char *name) {
    return test_file_in("surface-", name);
}

/* Mist of one density and colour: planes and weights are 0, the last bias is everything. */
static plx_field *mist(float density) {
    plx_field_size size = {.N = 1, .C = 16, .H = 16, .xy = {8, 8}, .xz = {8, 8}, .yz = {8, 8}};
    plx_field *field = NULL;
    if (plx_field_create(&field, size, plx_frame_make(PLX_FRAME_WORLD, NULL, 0.5f), 1, false)) abort();
    for (int i = 0; i < plx_params_count(field->params); i++) {
        plx_tensor *t = (plx_tensor *)&plx_params_at(field->params, i)->tensor;
        memset(t->data, 0, sizeof(float) * plx_tensor_size(t));
    }
    float *bias = plx_params_get(field->params, "decoder.b3")->data;
    bias[0] = logf(density), bias[1] = 1, bias[2] = -1, bias[3] = 0;
    return field;
}

/* The textured box as a fitted field: made once. */
static plx_field *box_field(void) {
    static plx_field *field;
    if (field) return field;
    plx_views views = box_views(3, 24, 48, 6.2f);
    plx_fit_options o = plx_fit_options_default();
    o.steps = 260;
    o.rays = 512;
    o.resolution = 48;
    o.hidden = 16;
    if (plx_fit(&field, &views, &o, NULL, NULL)) abort();
    plx_views_free(&views);
    if (plx_field_save(field, at("box.safetensors"), false)) abort();
    return field;
}

static plx_triangles box_mesh(float *threshold) {
    plx_triangles mesh;
    plx_surface_mesh_options o = plx_surface_mesh_options_default();
    o.resolution = 96;
    if (plx_field_threshold(box_field(), &o.threshold) || plx_field_mesh(&mesh, box_field(), &o, NULL, NULL))
        abort();
    if (threshold) *threshold = o.threshold;
    return mesh;
}

TEST(surface_mesh, mist_fills_the_sphere) {
    plx_field *field = mist(20);
    plx_triangles mesh;
    plx_surface_mesh_options o = plx_surface_mesh_options_default();
    o.resolution = 40, o.threshold = 10;
    REQUIRE(plx_field_mesh(&mesh, field, &o, NULL, NULL) == PLX_OK, "%s", plx_error());
    /* one closed ball: V - E + F = 2, E = 3 F / 2 */
    EXPECT(mesh.vertices - mesh.triangles / 2 == 2, "%d vertices, %d triangles", mesh.vertices,
           mesh.triangles);
    const float colour[3] = {1 / (1 + expf(-1)), 1 / (1 + expf(1)), 0.5f};
    double off = 0, turned = 0, tinted = 0;
    for (int i = 0; i < mesh.vertices; i++) {
        const float *p = mesh.positions + 3 * i, *n = mesh.normals + 3 * i, *c = mesh.colours + 3 * i;
        float r = sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
        off = fmax(off, fabs((double)r - 0.5));
        turned = fmax(turned, 1 - (double)(p[0] * n[0] + p[1] * n[1] + p[2] * n[2]) / (double)r);
        for (int k = 0; k < 3; k++) tinted = fmax(tinted, fabs((double)(c[k] - colour[k])));
    }
    EXPECT(off < 1e-5, "%g from the sphere", off); /* two steps of Newton's method on a distance, floats */
    /* differences over a cell, a twentieth of the radius: 1 - cos of 0.05; a logistic in floats */
    EXPECT(turned < 2e-3 && tinted < 1e-5, "normals %g, colours %g", turned, tinted);
    plx_triangles_free(&mesh);
    plx_field_free(field);
}

TEST(surface_mesh, nothing_says_what_would_be_something) {
    plx_field *field = mist(0.25f);
    plx_triangles mesh;
    float threshold;
    plx_surface_mesh_options o = plx_surface_mesh_options_default();
    o.resolution = 16;
    o.threshold = 3;
    EXPECT(plx_field_mesh(&mesh, field, &o, NULL, NULL) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "is 0.25:") && !mesh.positions,
           "%s", plx_error());
    EXPECT(plx_field_threshold(field, &threshold) == PLX_ERROR_INPUT && strstr(plx_error(), "meets 0.25:"),
           "%s", plx_error());
    o.threshold = 0;
    EXPECT(plx_field_mesh(&mesh, field, &o, NULL, NULL) == PLX_ERROR_INPUT, "%s", plx_error());
    o.threshold = 0.2f; /* what it says is true */
    EXPECT(plx_field_mesh(&mesh, field, &o, NULL, NULL) == PLX_OK && mesh.triangles > 100, "%s", plx_error());
    plx_triangles_free(&mesh);
    o.resolution = 1000;
    EXPECT(plx_field_mesh(&mesh, field, &o, NULL, NULL) == PLX_ERROR_INPUT, "1000 cells");
    plx_field_free(field);
}

/* ---- a fitted box -------------------------------------------------------------------------------------------------- */

static plx_scene *drawn(const plx_triangles *m) {
    float *rgba = malloc(sizeof *rgba * 4 * (size_t)m->vertices);
    for (int i = 0; i < 4 * m->vertices; i++) rgba[i] = i % 4 == 3 ? 1 : m->colours[i / 4 * 3 + i % 4];
    plx_mesh_options o = plx_mesh_options_default();
    o.up = 'z', o.normalise = false;
    plx_mesh *mesh;
    plx_scene *scene = NULL;
    int status = plx_mesh_from_arrays(&mesh, m->vertices, m->positions, rgba, m->triangles, m->indices, &o);
    if (!status) status = plx_scene_create(&scene, mesh);
    EXPECT(status == PLX_OK, "%s", plx_error());
    free(rgba);
    return scene;
}

/* Over white, in the vertices' own colours. */
static plx_view draw(const plx_scene *scene, int i) {
    plx_view view = {.camera = plx_camera_orbit(1.3f * (float)i, 0.5f - 0.15f * (float)i,
                                                PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 128, 128)};
    plx_draw_options o = plx_draw_options_default();
    o.light.key = 0, o.light.sky = o.light.ground = 1;
    EXPECT(plx_scene_draw(scene, &view, &o) == PLX_OK, "%s", plx_error());
    return view;
}

static double psnr(const plx_image *a, const plx_image *b) {
    plx_image p = {0}, q = {0};
    if (plx_image_over(&p, a, 1) || plx_image_over(&q, b, 1)) abort();
    double out = plx_psnr(&p, &q);
    plx_image_free(&p);
    plx_image_free(&q);
    return out;
}

TEST(surface_mesh, looks_like_the_field) {
    plx_triangles mesh = box_mesh(NULL);
    plx_scene *scene = drawn(&mesh);
    for (int i = 0; i < 4; i++) {
        plx_view ours = draw(scene, i), theirs = {.camera = ours.camera};
        plx_render_options o = plx_render_options_default();
        REQUIRE(plx_field_render(box_field(), &theirs, &o) == PLX_OK, "%s", plx_error());
        double iou = plx_silhouette_iou(&ours.colour, &theirs.colour),
               alike = psnr(&ours.colour, &theirs.colour);
        EXPECT(iou > 0.97, "view %d: IoU %.4f", i, iou); /* seen: 0.974 to 0.990, of a fit of 2 s */
        EXPECT(alike > 24, "view %d: %.2f dB", i, alike);
        plx_image_free(&ours.colour);
        plx_image_free(&theirs.colour);
    }
    plx_scene_free(scene);
    plx_triangles_free(&mesh);
}

/* The field's own normals against its axis-parallel faces: degrees, on the mean, to the nearest axis. Seen: 11.1; 14.8 by
 * differences of two points an axis, which the fit's noise tilts. */
TEST(surface_mesh, rendered_normals_are_the_faces) {
    double sum = 0;
    int count = 0;
    for (int i = 0; i < 3; i++) {
        plx_view view = {.camera = plx_camera_orbit(0.9f + 2 * (float)i, 0.4f, PLX_DEFAULT_DISTANCE,
                                                    PLX_DEFAULT_FOV, 64, 64)};
        plx_render_options o = plx_render_options_default();
        o.normal = true;
        REQUIRE(plx_field_render(box_field(), &view, &o) == PLX_OK, "%s", plx_error());
        for (int p = 0; p < 64 * 64; p++) {
            const float *n = view.normal.data + 3 * p;
            float most = fmaxf(fmaxf(fabsf(n[0]), fabsf(n[1])), fabsf(n[2]));
            if (most == 0) continue;
            sum += (double)acosf(fminf(most, 1)) * 180 / M_PI;
            count++;
        }
        plx_image_free(&view.colour);
        plx_image_free(&view.normal);
    }
    EXPECT(count > 1000 && sum / count < 13, "%.2f degrees in %d pixels", sum / count, count);
}

/* The automatic threshold against others: none has a better IoU by more than the tie that it breaks. */
TEST(surface_mesh, automatic_threshold_is_the_best) {
    float automatic;
    double seen[3];
    plx_triangles mesh = box_mesh(&automatic);
    for (int i = 0; i < 3; i++) {
        plx_surface_mesh_options o = {.resolution = 96,
                                      .threshold = automatic * (i == 0   ? 1
                                                                : i == 1 ? 0.1f
                                                                         : 8)};
        plx_triangles other;
        REQUIRE(plx_field_mesh(&other, box_field(), &o, NULL, NULL) == PLX_OK, "%s", plx_error());
        plx_scene *scene = drawn(&other);
        plx_view ours = draw(scene, 1), theirs = {.camera = ours.camera};
        plx_render_options r = plx_render_options_default();
        if (plx_field_render(box_field(), &theirs, &r)) abort();
        seen[i] = plx_silhouette_iou(&ours.colour, &theirs.colour);
        plx_image_free(&ours.colour), plx_image_free(&theirs.colour);
        plx_scene_free(scene);
        plx_triangles_free(&other);
    }
    EXPECT(seen[0] > seen[1] && seen[0] > seen[2], "density %g: IoU %.4f; a tenth: %.4f, eight times: %.4f",
           (double)automatic, seen[0], seen[1], seen[2]);
    plx_triangles_free(&mesh);
}

TEST(surface_mesh, same_bits_for_1_and_2_threads) {
    plx_triangles mesh[2];
    int threads = omp_get_max_threads();
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i + 1);
        mesh[i] = box_mesh(NULL);
    }
    omp_set_num_threads(threads);
    size_t V = sizeof(float) * 3 * (size_t)mesh[0].vertices;
    EXPECT(mesh[0].vertices == mesh[1].vertices && mesh[0].triangles == mesh[1].triangles &&
               !memcmp(mesh[0].positions, mesh[1].positions, V) &&
               !memcmp(mesh[0].normals, mesh[1].normals, V) && !memcmp(mesh[0].colours, mesh[1].colours, V),
           "%d and %d vertices", mesh[0].vertices, mesh[1].vertices);
    plx_triangles_free(&mesh[0]);
    plx_triangles_free(&mesh[1]);
}

TEST(surface_mesh, simplified_keeps_its_shape) {
    plx_triangles mesh = box_mesh(NULL);
    plx_scene *full = drawn(&mesh);
    int before = mesh.triangles, wanted = before / 10;
    REQUIRE(plx_triangles_simplify(&mesh, wanted) == PLX_OK, "%s", plx_error());
    EXPECT(mesh.triangles <= wanted && mesh.triangles > wanted * 9 / 10 && mesh.vertices < wanted,
           "%d of %d, %d vertices", mesh.triangles, before, mesh.vertices);
    plx_scene *simple = drawn(&mesh);
    plx_view a = draw(full, 2), b = draw(simple, 2);
    double iou = plx_silhouette_iou(&a.colour, &b.colour);
    EXPECT(iou > 0.985, "IoU %.4f",
           iou); /* the outline is 330 pixels long, the picture of 3,000: a third moves by half one */
    plx_image_free(&a.colour), plx_image_free(&b.colour);
    plx_scene_free(full), plx_scene_free(simple);
    plx_triangles_free(&mesh);
}

/* ---- files ----------------------------------------------------------------------------------------------------------- */

/* Assimp reads each file; with the format's up axis turned back it draws the same picture. */
TEST(surface_mesh, files_hold_the_mesh) {
    static const struct {
        const char *name;
        char saved, up;
    } files[] = {
        {"a.obj", 0, 'y'}, {"a.ply", 0, 'z'}, {"a.glb", 0, 'y'}, {"b.obj", 'z', 'z'}, {"b.ply", 'y', 'y'}};
    plx_triangles mesh = box_mesh(NULL);
    plx_scene *direct = drawn(&mesh);
    plx_view wanted = draw(direct, 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = at(files[i].name);
        plx_mesh_options o = plx_mesh_options_default();
        plx_mesh *back;
        plx_scene *scene;
        REQUIRE(plx_triangles_save(path, &mesh, files[i].saved) == PLX_OK, "%s", plx_error());
        o.up = files[i].up, o.normalise = false;
        REQUIRE(plx_mesh_load(&back, path, &o) == PLX_OK, "%s", plx_error());
        EXPECT(plx_mesh_describe(back).triangles == mesh.triangles, "%s: %lld triangles", path,
               (long long)plx_mesh_describe(back).triangles);
        REQUIRE(plx_scene_create(&scene, back) == PLX_OK, "%s", plx_error());
        plx_view view = draw(scene, 0);
        double alike = psnr(&view.colour, &wanted.colour);
        /* colours of 8 bits, positions of 6 digits: at most a level, 48 dB; any axis the wrong way round is below 25 */
        EXPECT(alike > 45, "%s: %.2f dB", path, alike);
        plx_image_free(&view.colour);
        plx_scene_free(scene);
    }
    plx_image_free(&wanted.colour);
    plx_scene_free(direct);
    plx_triangles_free(&mesh);
}

TEST(surface_mesh, gltf_validator_finds_nothing) {
    char command[900], text[4096] = "";
    plx_triangles mesh = box_mesh(NULL);
    REQUIRE(plx_triangles_save(at("v.glb"), &mesh, 0) == PLX_OK, "%s", plx_error());
    plx_triangles_free(&mesh);
    if (system("NODE_PATH=build/npm/node_modules node -e \"require('gltf-validator')\" >/dev/null 2>&1"))
        SKIP("no gltf-validator (make deps-readers)");
    snprintf(command, sizeof command,
             "NODE_PATH=build/npm/node_modules node -e \"require('gltf-validator').validateBytes(new "
             "Uint8Array(require('fs').readFileSync('%s'))).then(r => console.log(r.issues.numErrors, "
             "r.issues.numWarnings, r.issues.numInfos, r.info.totalTriangleCount, "
             "JSON.stringify(r.issues.messages)))\"",
             at("v.glb"));
    FILE *pipe = popen(command, "r");
    if (pipe) text[fread(text, 1, sizeof text - 1, pipe)] = 0;
    if (pipe) pclose(pipe);
    int errors = -1, warnings = -1, notes = -1, triangles = 0;
    sscanf(text, "%d %d %d %d", &errors, &warnings, &notes, &triangles);
    EXPECT(errors == 0 && warnings == 0 && notes == 0 && triangles > 1000, "%s", text);
}

static void refused(int code, const char *words, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refused(int code, const char *words, const char *format, ...) {
    char arguments[900];
    const char *said;
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    int got = test_run_parallax(arguments, &said);
    EXPECT(got == code && strstr(said, words) && strchr(said, '\n') == said + strlen(said) - 1, "%s: %d, %s",
           arguments, got, said);
}

TEST(surface_mesh, command) {
    char scene[300], thin[300];
    const char *said;
    char arguments[900];
    box_field();
    snprintf(scene, sizeof scene, "%s", at("box.safetensors"));
    snprintf(thin, sizeof thin, "%s", at("thin.safetensors"));
    plx_field *field = mist(0.5f);
    REQUIRE(plx_field_save(field, thin, false) == PLX_OK, "%s", plx_error());
    plx_field_free(field);
    snprintf(arguments, sizeof arguments, "mesh %s -o %s --resolution 48 --check 3 --sheet %s --quiet", scene,
             at("c.glb"), at("c.png"));
    REQUIRE(test_run_parallax_output(arguments, &said) == 0, "%s", said);
    double iou = 0;
    const char *words = strstr(said, "IoU");
    EXPECT(words && sscanf(words, "IoU %lf", &iou) == 1 && iou > 0.95, "%s", said); /* coarse cells */
    EXPECT(access(at("c.glb"), R_OK) == 0 && access(at("c.png"), R_OK) == 0, "files");
    refused(2, "--output", "mesh %s", scene);
    /* before the scene is read */
    refused(1, ".obj, .ply or .glb", "mesh %s -o %s --quiet", at("nowhere.safetensors"), at("c.stl"));
    refused(1, "y is up in glTF", "mesh %s -o %s --up z --quiet", at("nowhere.safetensors"), at("d.glb"));
    refused(1, "nothing in the scene is opaque", "mesh %s -o %s --quiet", thin, at("d.obj"));
    refused(1, "the largest of", "mesh %s -o %s --threshold 2 --resolution 16 --quiet", thin, at("d.obj"));
    refused(1, "No such file", "mesh %s -o %s --quiet", at("nowhere.safetensors"), at("d.obj"));
    refused(1, "nowhere/d.obj", "mesh %s -o %s/nowhere/d.obj --resolution 16 --quiet", scene,
            test_directory());
    EXPECT(access(at("d.obj"), F_OK) && access(at("d.glb"), F_OK) && access(at("c.stl"), F_OK),
           "something was left");
}
