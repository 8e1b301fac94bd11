/* The only file that includes Assimp (5.2). */
#define _GNU_SOURCE /* memmem */
#include <assimp/GltfMaterial.h>
#include <assimp/cimport.h>
#include <assimp/config.h>
#include <assimp/material.h>
#include <assimp/postprocess.h>
#include <assimp/scene.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/image_file.h"
#include "render/mesh.h"
#include "render/texture_find.h"

#define FILE_MAX ((size_t)1 << 30)      /* bytes of a mesh file */
#define PICTURE_MAX ((size_t)256 << 20) /* bytes of a texture file */
#define DEPTH_MAX 256                   /* of the node tree */

/* Assimp's C API keeps the last error in one global string. */
static pthread_mutex_t assimp_mutex = PTHREAD_MUTEX_INITIALIZER;

typedef struct import {
    const struct aiScene *scene;
    plx_mesh *mesh;
    plx_soup *soup;
    char folder[PLX_PATH_SIZE];
    const char *further;
    bool linear; /* the file's colours are linear light (glTF) */
    bool collada;
    struct seen {
        char *name;
        enum plx_texture_use use;
        int index; /* -1: missing */
    } * seen;      /* pictures asked for so far */
    int seen_count;
} import;

/* ---- textures ---- */

static int load_embedded(const struct aiTexture *texture, uint8_t **rgba, int *width, int *height) {
    if (texture->mHeight == 0)
        return plx_picture_decode(rgba, width, height, texture->pcData, texture->mWidth);
    if (texture->mWidth > PLX_IMAGE_MAX_SIDE || texture->mHeight > PLX_IMAGE_MAX_SIDE)
        return plx_fail(PLX_ERROR_INPUT, "a texture of %ux%u", texture->mWidth, texture->mHeight);
    size_t texels = (size_t)texture->mWidth * texture->mHeight;
    *rgba = malloc(4 * texels + 1);
    if (!*rgba) return plx_fail(PLX_ERROR_MEMORY, "no memory for a texture");
    *width = (int)texture->mWidth;
    *height = (int)texture->mHeight;
    for (size_t i = 0; i < texels; i++) {
        const struct aiTexel *t = texture->pcData + i;
        memcpy(*rgba + 4 * i, (uint8_t[4]){t->r, t->g, t->b, t->a}, 4);
    }
    return PLX_OK;
}

static int load_picture(import *in, const char *name, uint8_t **rgba, int *width, int *height) {
    if (name[0] == '*') {
        unsigned long index = strtoul(name + 1, NULL, 10);
        if (index >= in->scene->mNumTextures)
            return plx_fail(PLX_ERROR_INPUT, "no embedded texture %s", name);
        return load_embedded(in->scene->mTextures[index], rgba, width, height);
    }
    for (unsigned i = 0; i < in->scene->mNumTextures; i++)
        if (strcmp(in->scene->mTextures[i]->mFilename.data, name) == 0)
            return load_embedded(in->scene->mTextures[i], rgba, width, height);
    char path[PLX_PATH_SIZE], *data;
    size_t size;
    if (!plx_texture_find(name, in->folder, in->further, path))
        return plx_fail(PLX_ERROR_IO, "no texture %s", name);
    int status = plx_file_read(&data, &size, path, PICTURE_MAX);
    if (status < 0) return status;
    status = plx_picture_decode(rgba, width, height, data, size);
    free(data);
    return status;
}

/* Index of the picture among the mesh's textures, -1 if it cannot be had (counted once); < -1: memory. */
static int texture_index(import *in, const char *name, enum plx_texture_use use) {
    for (int i = 0; i < in->seen_count; i++)
        if (in->seen[i].use == use && strcmp(in->seen[i].name, name) == 0) return in->seen[i].index;
    plx_mesh *mesh = in->mesh;
    struct seen *seen = realloc(in->seen, sizeof *seen * (size_t)(in->seen_count + 1));
    if (seen) in->seen = seen;
    plx_texture *textures = realloc(mesh->textures, sizeof *textures * (size_t)(mesh->texture_count + 1));
    if (textures) mesh->textures = textures;
    char *copy = strdup(name);
    if (!seen || !textures || !copy) {
        free(copy);
        return plx_fail(PLX_ERROR_MEMORY, "no memory for textures");
    }
    uint8_t *rgba = NULL;
    int width, height, index = -1;
    if (load_picture(in, name, &rgba, &width, &height) < 0) {
        mesh->textures_missing++;
    } else {
        int status = plx_texture_create(mesh->textures + mesh->texture_count, rgba, width, height, use);
        free(rgba);
        if (status < 0) {
            free(copy);
            return status;
        }
        index = mesh->texture_count++;
    }
    in->seen[in->seen_count++] = (struct seen){copy, use, index};
    return index;
}

/* ---- materials ---- */

/* A texture's name and how it wraps; false = the material has none. */
static bool texture_of(const struct aiMaterial *material, enum aiTextureType type, char name[PLX_PATH_SIZE],
                       bool *clamp) {
    struct aiString path;
    enum aiTextureMapMode modes[3] = {aiTextureMapMode_Wrap, aiTextureMapMode_Wrap, aiTextureMapMode_Wrap};
    if (aiGetMaterialTexture(material, type, 0, &path, NULL, NULL, NULL, NULL, modes, NULL) !=
        aiReturn_SUCCESS)
        return false;
    snprintf(name, PLX_PATH_SIZE, "%s", path.data);
    *clamp = modes[0] == aiTextureMapMode_Clamp;
    return name[0] != 0;
}

static void read_alpha_mode(const struct aiMaterial *material, plx_material *out) {
    struct aiString mode;
    if (aiGetMaterialString(material, AI_MATKEY_GLTF_ALPHAMODE, &mode) != aiReturn_SUCCESS) return;
    if (strcmp(mode.data, "OPAQUE") == 0) {
        out->ignore_alpha = true;
        out->opacity = 1;
    } else if (strcmp(mode.data, "MASK") == 0) {
        out->alpha_cutoff = 0.5f;
        aiGetMaterialFloatArray(material, AI_MATKEY_GLTF_ALPHACUTOFF, &out->alpha_cutoff, NULL);
    }
}

static void read_colour(const import *in, const struct aiMaterial *material, plx_material *out) {
    struct aiColor4D colour = {0.8f, 0.8f, 0.8f, 1};
    if (aiGetMaterialColor(material, AI_MATKEY_BASE_COLOR, &colour) != aiReturn_SUCCESS)
        aiGetMaterialColor(material, AI_MATKEY_COLOR_DIFFUSE, &colour);
    float rgb[3] = {colour.r, colour.g, colour.b};
    for (int i = 0; i < 3; i++) {
        float value = isfinite(rgb[i]) ? fminf(fmaxf(rgb[i], 0), 1) : 0.8f;
        out->colour[i] = in->linear ? value : plx_srgb_decode(value);
    }
    if (aiGetMaterialFloatArray(material, AI_MATKEY_OPACITY, &out->opacity, NULL) != aiReturn_SUCCESS ||
        !isfinite(out->opacity) || (in->collada && out->opacity <= 0))
        out->opacity = 1; /* exporters disagree on Collada's transparency: 0 means opaque as often */
    out->opacity = fminf(fmaxf(out->opacity, 0), 1);
}

static int read_material(import *in, const struct aiMaterial *material, plx_material *out) {
    *out = (plx_material){.texture = -1, .opacity_texture = -1};
    read_colour(in, material, out);
    read_alpha_mode(material, out);
    char name[PLX_PATH_SIZE], mask[PLX_PATH_SIZE];
    bool clamp = false, mask_clamp;
    bool textured = texture_of(material, aiTextureType_BASE_COLOR, name, &clamp) ||
                    texture_of(material, aiTextureType_DIFFUSE, name, &clamp);
    if (textured) {
        if ((out->texture = texture_index(in, name, PLX_TEXTURE_COLOUR)) < -1) return out->texture;
        out->clamp = clamp;
        /* exporters write a black diffuse colour beside a texture and mean the texture */
        bool black = out->colour[0] + out->colour[1] + out->colour[2] < 0.01f;
        if (out->texture >= 0 && black) out->colour[0] = out->colour[1] = out->colour[2] = 1;
    }
    if (texture_of(material, aiTextureType_OPACITY, mask, &mask_clamp)) {
        /* the same picture for both: its alpha counts once, and without alpha its colours are not opacity */
        if (textured && strcmp(name, mask) == 0) return PLX_OK;
        if ((out->opacity_texture = texture_index(in, mask, PLX_TEXTURE_OPACITY)) < -1)
            return out->opacity_texture;
    }
    return PLX_OK;
}

static int read_materials(import *in) {
    unsigned count = in->scene->mNumMaterials;
    if (count == 0 || count > UINT16_MAX) return plx_fail(PLX_ERROR_INPUT, "%u materials", count);
    in->mesh->materials = malloc(sizeof *in->mesh->materials * count);
    if (!in->mesh->materials) return plx_fail(PLX_ERROR_MEMORY, "no memory for %u materials", count);
    for (unsigned i = 0; i < count; i++) {
        int status = read_material(in, in->scene->mMaterials[i], in->mesh->materials + i);
        if (status < 0) return status;
    }
    in->mesh->material_count = (int)count;
    return PLX_OK;
}

/* ---- triangles ---- */

static void read_vertex_colour(const import *in, const struct aiColor4D *colour, uint8_t out[4]) {
    float rgba[4] = {colour->r, colour->g, colour->b, colour->a};
    for (int i = 0; i < 4; i++) {
        float value = isfinite(rgba[i]) ? fminf(fmaxf(rgba[i], 0), 1) : 1;
        if (in->linear && i < 3) value = plx_srgb_encode(value);
        out[i] = (uint8_t)(value * 255 + 0.5f);
    }
}

static void read_corner(const import *in, const struct aiMesh *from, unsigned vertex, bool textured,
                        const double m[12], plx_corner *out) {
    const struct aiVector3D *p = from->mVertices + vertex;
    *out = (plx_corner){.colour = {255, 255, 255, 255}};
    for (int i = 0; i < 3; i++)
        out->position[i] =
            (float)(m[4 * i] * p->x + m[4 * i + 1] * p->y + m[4 * i + 2] * p->z + m[4 * i + 3]);
    if (textured) {
        const struct aiVector3D *uv = from->mTextureCoords[0] + vertex;
        if (isfinite(uv->x) && isfinite(uv->y)) out->uv[0] = uv->x, out->uv[1] = uv->y;
    }
    if (from->mColors[0]) read_vertex_colour(in, from->mColors[0] + vertex, out->colour);
}

static int read_mesh(import *in, const struct aiMesh *from, const double m[12]) {
    plx_soup *soup = in->soup;
    if (!(from->mPrimitiveTypes & aiPrimitiveType_TRIANGLE) || !from->mVertices) return PLX_OK;
    int status = plx_soup_reserve(soup, from->mNumFaces);
    if (status < 0) return status;
    if (from->mMaterialIndex >= (unsigned)in->mesh->material_count)
        return plx_fail(PLX_ERROR_INPUT, "a mesh names material %u of %d", from->mMaterialIndex,
                        in->mesh->material_count);
    const plx_material *material = in->mesh->materials + from->mMaterialIndex;
    bool textured = from->mTextureCoords[0] && (material->texture >= 0 || material->opacity_texture >= 0);
    soup->has_uv |= textured;
    soup->has_colour |= from->mColors[0] != NULL;
    for (unsigned f = 0; f < from->mNumFaces; f++) {
        const struct aiFace *face = from->mFaces + f;
        if (face->mNumIndices != 3) continue;
        for (int k = 0; k < 3; k++) {
            if (face->mIndices[k] >= from->mNumVertices)
                return plx_fail(PLX_ERROR_INPUT, "a face names vertex %u of %u", face->mIndices[k],
                                from->mNumVertices);
            read_corner(in, from, face->mIndices[k], textured, m, soup->corners + 3 * soup->triangles + k);
        }
        soup->material[soup->triangles++] = (uint16_t)from->mMaterialIndex;
    }
    return PLX_OK;
}

/* Node transforms are 4x4, row-major, for column vectors; the last row is 0 0 0 1. */
static int read_node(import *in, const struct aiNode *node, const double parent[12], int depth) {
    if (depth > DEPTH_MAX) return plx_fail(PLX_ERROR_INPUT, "nodes are nested more than %d deep", DEPTH_MAX);
    const float *own = &node->mTransformation.a1;
    double m[12];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) {
            m[4 * i + j] = j == 3 ? parent[4 * i + 3] : 0;
            for (int k = 0; k < 3; k++) m[4 * i + j] += parent[4 * i + k] * own[4 * k + j];
        }
    int status = PLX_OK;
    for (unsigned i = 0; i < node->mNumMeshes && status == PLX_OK; i++) {
        if (node->mMeshes[i] >= in->scene->mNumMeshes)
            return plx_fail(PLX_ERROR_INPUT, "a node names mesh %u", node->mMeshes[i]);
        status = read_mesh(in, in->scene->mMeshes[node->mMeshes[i]], m);
    }
    for (unsigned i = 0; i < node->mNumChildren && status == PLX_OK; i++)
        status = read_node(in, node->mChildren[i], m, depth + 1);
    return status;
}

/* Where vertices have colours and no material was given, Assimp's grey one must not darken them. */
static void whiten_default(import *in) {
    for (unsigned i = 0; i < in->scene->mNumMeshes; i++) {
        const struct aiMesh *mesh = in->scene->mMeshes[i];
        struct aiString name;
        if (!mesh->mColors[0] || mesh->mMaterialIndex >= (unsigned)in->mesh->material_count) continue;
        if (aiGetMaterialString(in->scene->mMaterials[mesh->mMaterialIndex], AI_MATKEY_NAME, &name) !=
                aiReturn_SUCCESS ||
            name.length == 0 || strcmp(name.data, AI_DEFAULT_MATERIAL_NAME) == 0)
            for (int c = 0; c < 3; c++) in->mesh->materials[mesh->mMaterialIndex].colour[c] = 1;
    }
}

/* ---- file ---- */

/* Assimp walks on past the end for as many elements as a PLY header promises: each takes a byte at least. */
static int check_ply(FILE *file, uint64_t size) {
    char line[256];
    for (int i = 0; i < 1000 && fgets(line, sizeof line, file); i++) {
        unsigned long long count;
        if (strncmp(line, "end_header", 10) == 0) break;
        if (sscanf(line, "element %*s %llu", &count) == 1 && count > size)
            return plx_fail(PLX_ERROR_INPUT, "%llu elements in %llu bytes", count, (unsigned long long)size);
    }
    return PLX_OK;
}

bool plx_mesh_is_name(const char *path) {
    static const char *const endings[] = {"obj", "gltf", "glb", "ply", "stl", "dae", "ac", "3ds"};
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    bool known = false;
    for (size_t i = 0; dot && (!slash || dot > slash) && i < sizeof endings / sizeof *endings; i++)
        known |= strcasecmp(dot + 1, endings[i]) == 0;
    return known;
}

static int check_file(const char *path, bool *linear) {
    if (!plx_mesh_is_name(path))
        return plx_fail(PLX_ERROR_SUPPORT,
                        "not a mesh format that is read (obj, gltf, glb, ply, stl, dae, ac, 3ds)");
    const char *dot = strrchr(path, '.');
    *linear = strncasecmp(dot + 1, "gl", 2) == 0;
    struct stat s;
    FILE *file = fopen(path, "rb");
    int status = PLX_OK;
    if (!file) return plx_fail(PLX_ERROR_IO, "%s", strerror(errno));
    if (fstat(fileno(file), &s) != 0)
        status = plx_fail(PLX_ERROR_IO, "%s", strerror(errno));
    else if (!S_ISREG(s.st_mode))
        status = plx_fail(PLX_ERROR_INPUT, "not a file");
    else if (s.st_size == 0)
        status = plx_fail(PLX_ERROR_INPUT, "empty");
    else if ((uint64_t)s.st_size > FILE_MAX)
        status = plx_fail(PLX_ERROR_INPUT, "larger than %zu bytes", FILE_MAX);
    else if (strcasecmp(dot + 1, "ply") == 0)
        status = check_ply(file, (uint64_t)s.st_size);
    fclose(file);
    return status;
}

/* One line, printable, of what Assimp says. */
static int import_error(void) {
    char line[200];
    const char *text = aiGetErrorString();
    size_t n = 0;
    for (; text[n] && n < sizeof line - 1; n++) line[n] = text[n] < ' ' ? ' ' : text[n];
    line[n] = 0;
    return plx_fail(PLX_ERROR_INPUT, "not a mesh: %s", n ? line : "unknown reason");
}

/* Assimp takes a '\n' that a binary PLY's data begin with for the end of a "\r\n" and drops it. Then *text is the file with such an end
 * of its header; else NULL: Assimp may read the file itself. */
static int mend_ply(char **text, size_t *size, const char *path) {
    static const char last[] = "end_header\n";
    size_t length = strlen(last);
    *text = NULL;
    if (strcasecmp(path + strlen(path) - 4, ".ply")) return PLX_OK;
    int status = plx_file_read(text, size, path, FILE_MAX);
    if (status) return status;
    char *end = memmem(*text, *size, last, length), *more = NULL;
    bool needed = end && memmem(*text, (size_t)(end - *text), "format binary", 13) &&
                  (size_t)(end - *text) + length < *size && end[length] == '\n';
    if (needed && (more = malloc(*size + 1))) {
        size_t head = (size_t)(end - *text) + length - 1;
        memcpy(more, *text, head);
        more[head] = '\r';
        memcpy(more + head + 1, *text + head, *size - head);
        ++*size;
    }
    free(*text);
    *text = more;
    return needed && !more ? plx_fail(PLX_ERROR_MEMORY, "no memory for %zu bytes", *size) : PLX_OK;
}

static int open_scene(const struct aiScene **scene, const char *path) {
    const unsigned steps = aiProcess_Triangulate | aiProcess_SortByPType;
    char *ply;
    size_t size;
    int status = mend_ply(&ply, &size, path);
    if (status) return status;
    struct aiPropertyStore *properties = aiCreatePropertyStore();
    aiSetImportPropertyInteger(properties, AI_CONFIG_PP_SBP_REMOVE,
                               aiPrimitiveType_POINT | aiPrimitiveType_LINE);
    pthread_mutex_lock(&assimp_mutex);
    *scene = ply ? aiImportFileFromMemoryWithProperties(ply, (unsigned)size, steps, "ply", properties)
                 : aiImportFileExWithProperties(path, steps, NULL, properties);
    status = *scene ? PLX_OK : import_error();
    pthread_mutex_unlock(&assimp_mutex);
    aiReleasePropertyStore(properties);
    free(ply);
    return status;
}

static void folder_of(const char *path, char folder[PLX_PATH_SIZE]) {
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) : 1;
    snprintf(folder, PLX_PATH_SIZE, "%.*s", length ? length : 1, slash ? path : ".");
}

int plx_mesh_import(plx_mesh *mesh, plx_soup *soup, const char *path, const plx_mesh_options *options) {
import in = {.mesh = mesh, .soup = soup, .further = options->texture_dir };
    static const double identity[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    folder_of(path, in.folder);
    in.collada = strlen(path) > 4 && strcasecmp(path + strlen(path) - 4, ".dae") == 0;
    int status = check_file(path, &in.linear);
    if (status < 0 || (status = open_scene(&in.scene, path)) < 0) return status;
    if (!in.scene->mRootNode)
        status = plx_fail(PLX_ERROR_INPUT, "no nodes");
    else if ((status = read_materials(&in)) == PLX_OK) {
        whiten_default(&in);
        status = read_node(&in, in.scene->mRootNode, identity, 0);
    }
    if (status == PLX_OK && soup->triangles == 0) status = plx_fail(PLX_ERROR_INPUT, "no triangles");
    for (int i = 0; i < in.seen_count; i++) free(in.seen[i].name);
    free(in.seen);
    aiReleaseImport(in.scene);
    return status;
}
