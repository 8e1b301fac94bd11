/* Meshes as OBJ, PLY and GLB. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"

/* z up, front +x -> y up, front +z: the axes go round. */
static void turned(float out[3], const float *vector, char up) {
    for (int k = 0; k < 3; k++) out[k] = vector[up == 'y' ? (k + 1) % 3 : k];
}

static float held(float value) { /* NaN becomes 0 */
    return fminf(fmaxf(value, 0), 1);
}

/* ---- OBJ ------------------------------------------------------------------------------------------------------- */

static void write_obj(FILE *out, const plx_triangles *m, char up) {
    float p[3];
    fprintf(out, "# parallax: v x y z r g b\n");
    for (int i = 0; i < m->vertices; i++) {
        const float *c = m->colours + 3 * (size_t)i;
        turned(p, m->positions + 3 * (size_t)i, up);
        fprintf(out, "v %.6f %.6f %.6f %.4f %.4f %.4f\n", (double)p[0], (double)p[1], (double)p[2],
                (double)held(c[0]), (double)held(c[1]), (double)held(c[2]));
    }
    for (int i = 0; i < m->vertices; i++) {
        turned(p, m->normals + 3 * (size_t)i, up);
        fprintf(out, "vn %.4f %.4f %.4f\n", (double)p[0], (double)p[1], (double)p[2]);
    }
    for (int i = 0; i < m->triangles; i++) {
        const uint32_t *t = m->indices + 3 * (size_t)i;
        fprintf(out, "f %u//%u %u//%u %u//%u\n", t[0] + 1, t[0] + 1, t[1] + 1, t[1] + 1, t[2] + 1, t[2] + 1);
    }
}

/* ---- PLY ------------------------------------------------------------------------------------------------------- */

static void write_ply(FILE *out, const plx_triangles *m, char up) {
    fprintf(out,
            "ply\nformat binary_little_endian 1.0\ncomment parallax\nelement vertex %d\n"
            "property float x\nproperty float y\nproperty float z\n"
            "property float nx\nproperty float ny\nproperty float nz\n"
            "property uchar red\nproperty uchar green\nproperty uchar blue\n"
            "element face %d\nproperty list uchar int vertex_indices\nend_header\n",
            m->vertices, m->triangles);
    for (int i = 0; i < m->vertices; i++) {
        float row[6];
        uint8_t colour[3];
        turned(row, m->positions + 3 * (size_t)i, up);
        turned(row + 3, m->normals + 3 * (size_t)i, up);
        for (int k = 0; k < 3; k++)
            colour[k] = (uint8_t)(held(m->colours[3 * (size_t)i + (size_t)k]) * 255 + 0.5f);
        fwrite(row, sizeof row, 1, out);
        fwrite(colour, sizeof colour, 1, out);
    }
    for (int i = 0; i < m->triangles; i++) {
        fputc(3, out);
        fwrite(m->indices + 3 * (size_t)i, 3 * sizeof(uint32_t), 1, out);
    }
}

/* ---- GLB: glTF 2.0 in one file ------------------------------------------------------------------------------------ */

enum { GL_UNSIGNED_SHORT = 5123, GL_UNSIGNED_INT = 5125, GL_FLOAT = 5126 };
enum { ARRAY_BUFFER = 34962, ELEMENT_ARRAY_BUFFER = 34963 };

/* The parts of the binary chunk, in order; each begins at a multiple of 4. */
typedef struct parts {
    size_t positions, normals, colours, indices, size; /* bytes from the start; of all */
} parts;

static parts parts_of(const plx_triangles *m) {
    size_t V = (size_t)m->vertices;
    parts p = {.positions = 0, .normals = 12 * V, .colours = 24 * V, .indices = 32 * V};
    p.size = p.indices + 12 * (size_t)m->triangles;
    return p;
}

static json_t *view_of(size_t offset, size_t length, size_t stride, int target) {
    json_t *view = json_pack("{s:i, s:I, s:I, s:i}", "buffer", 0, "byteOffset", (json_int_t)offset,
                             "byteLength", (json_int_t)length, "target", target);
    if (stride) json_object_set_new(view, "byteStride", json_integer((json_int_t)stride));
    return view;
}

static json_t *accessor_of(int view, int type, int count, const char *shape) {
    return json_pack("{s:i, s:i, s:i, s:s}", "bufferView", view, "componentType", type, "count", count,
                     "type", shape);
}

/* POSITION's bounds are required. */
static void set_bounds(json_t *accessor, const plx_triangles *m) {
    json_t *low = json_array(), *high = json_array();
    for (int k = 0; k < 3; k++) {
        float least = INFINITY, most = -INFINITY, p[3];
        for (int i = 0; i < m->vertices; i++) {
            turned(p, m->positions + 3 * (size_t)i, 'y');
            least = fminf(least, p[k]), most = fmaxf(most, p[k]);
        }
        json_array_append_new(low, json_real((double)least));
        json_array_append_new(high, json_real((double)most));
    }
    json_object_set_new(accessor, "min", low);
    json_object_set_new(accessor, "max", high);
}

static char *glb_json(const plx_triangles *m) {
    parts p = parts_of(m);
    json_t *positions = accessor_of(0, GL_FLOAT, m->vertices, "VEC3");
    json_t *colours = accessor_of(2, GL_UNSIGNED_SHORT, m->vertices, "VEC4");
    set_bounds(positions, m);
    json_object_set_new(colours, "normalized", json_true());
    json_t *root =
        json_pack("{s:{s:s, s:s}, s:i, s:[{s:[i]}], s:[{s:i, s:s}], s:[{s:[{s:{s:i, s:i, s:i}, s:i, s:i}]}],"
                  " s:[{s:{s:f, s:f}}], s:[{s:I}], s:[o, o, o, o], s:[o, o, o, o]}",
                  "asset", "version", "2.0", "generator", "parallax", "scene", 0, "scenes", "nodes", 0,
                  "nodes", "mesh", 0, "name", "object", "meshes", "primitives", "attributes", "POSITION", 0,
                  "NORMAL", 1, "COLOR_0", 2, "indices", 3, "material", 0, "materials", "pbrMetallicRoughness",
                  "metallicFactor", 0.0, "roughnessFactor", 1.0, "buffers", "byteLength", (json_int_t)p.size,
                  "bufferViews", view_of(p.positions, p.normals, 12, ARRAY_BUFFER),
                  view_of(p.normals, p.colours - p.normals, 12, ARRAY_BUFFER),
                  view_of(p.colours, p.indices - p.colours, 8, ARRAY_BUFFER),
                  view_of(p.indices, p.size - p.indices, 0, ELEMENT_ARRAY_BUFFER), "accessors", positions,
                  accessor_of(1, GL_FLOAT, m->vertices, "VEC3"), colours,
                  accessor_of(3, GL_UNSIGNED_INT, 3 * m->triangles, "SCALAR"));
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    return text;
}

static void write_u32(FILE *out, size_t value) {
    uint32_t word = (uint32_t)value;
    fwrite(&word, sizeof word, 1, out);
}

static void write_binary(FILE *out, const plx_triangles *m) {
    for (int i = 0; i < 2 * m->vertices; i++) {
        float v[3];
        turned(v, (i < m->vertices ? m->positions : m->normals) + 3 * (size_t)(i % m->vertices), 'y');
        fwrite(v, sizeof v, 1, out);
    }
    for (int i = 0; i < m->vertices;
         i++) { /* linear, 16 bits; some readers know no colours without opacity */
        uint16_t colour[4] = {[3] = 65535};
        for (int k = 0; k < 3; k++)
            colour[k] =
                (uint16_t)(plx_srgb_decode(held(m->colours[3 * (size_t)i + (size_t)k])) * 65535 + 0.5f);
        fwrite(colour, sizeof colour, 1, out);
    }
    fwrite(m->indices, 3 * sizeof *m->indices, (size_t)m->triangles, out);
}

static int write_glb(FILE *out, const plx_triangles *m) {
    parts p = parts_of(m);
    char *text = glb_json(m);
    if (!text) return plx_fail(PLX_ERROR_MEMORY, "no memory for a mesh of %d triangles", m->triangles);
    size_t length = strlen(text), padded = (length + 3) / 4 * 4;
    if (28 + padded + p.size > UINT32_MAX) {
        free(text);
        return plx_fail(PLX_ERROR_SUPPORT, "a GLB of %zu bytes; 4 GiB is its most", p.size);
    }
    write_u32(out, 0x46546c67), write_u32(out, 2), write_u32(out, 28 + padded + p.size); /* "glTF" */
    write_u32(out, padded), write_u32(out, 0x4e4f534a);                                  /* "JSON" */
    fprintf(out, "%s%*s", text, (int)(padded - length), "");
    write_u32(out, p.size), write_u32(out, 0x004e4942); /* "BIN" */
    write_binary(out, m);
    free(text);
    return PLX_OK;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *ending) {
    const char *dot = strrchr(path, '.');
    return dot && !strcasecmp(dot, ending);
}

int plx_triangles_savable(const char *path, char up) {
    bool glb = ends_in(path, ".glb");
    if (!glb && !ends_in(path, ".ply") && !ends_in(path, ".obj"))
        return plx_fail(PLX_ERROR_SUPPORT, "%s: a mesh's name ends in .obj, .ply or .glb", path);
    if (glb && up == 'z') return plx_fail(PLX_ERROR_SUPPORT, "%s: y is up in glTF", path);
    return PLX_OK;
}

int plx_triangles_save(const char *path, const plx_triangles *mesh, char up) {
    bool glb = ends_in(path, ".glb"), ply = ends_in(path, ".ply");
    plx_writer writer;
    int status = plx_triangles_savable(path, up);
    if (status) return status;
    if (!mesh->triangles) return plx_fail(PLX_ERROR_INPUT, "%s: a mesh without triangles", path);
    status = plx_writer_open(&writer, path);
    if (status) return status;
    if (!up) up = ply ? 'z' : 'y';
    if (glb)
        status = write_glb(writer.file, mesh);
    else if (ply)
        write_ply(writer.file, mesh, up);
    else
        write_obj(writer.file, mesh, up);
    if (!status) return plx_writer_commit(&writer);
    plx_writer_abort(&writer);
    return plx_fail_in(status, path);
}
