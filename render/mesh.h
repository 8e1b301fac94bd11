/* A mesh as it is drawn: compact arrays, hundreds of objects fit in memory. Inside render/ only. */
#ifndef PLX_RENDER_MESH_H
#define PLX_RENDER_MESH_H

#include "render/render.h"
#include "render/texture.h"

#define PLX_MESH_MAX_TRIANGLES 20000000

typedef struct plx_material {
    float colour[3]; /* linear */
    float opacity;
    int texture, opacity_texture; /* indices, -1 = none */
    bool ignore_alpha;            /* the texture's alpha is not opacity (glTF OPAQUE) */
    bool clamp;                   /* outside [0,1] the edge repeats, not the picture */
    float alpha_cutoff;           /* > 0: opacity is 0 below it and 1 from it on (glTF MASK) */
} plx_material;

struct plx_mesh {
    int vertices, triangles;
    float *positions;   /* (vertices,3), 16 bytes behind it for Embree */
    uint32_t *indices;  /* (triangles,3) */
    uint32_t *normals;  /* (vertices) octahedral, 2 x 16 bits */
    float *uvs;         /* (vertices,2), or NULL */
    uint8_t *colours;   /* (vertices,4) straight RGBA, encoded, or NULL */
    uint16_t *material; /* (triangles), or NULL when there is one */
    plx_material *materials;
    int material_count;
    plx_texture *textures;
    int texture_count, textures_missing;
    float transparent;
    float box_min[3], box_max[3];
};

/* Triangle soup: what loaders make before normals and shared vertices are found. */
typedef struct plx_corner {
    float position[3];
    float uv[2];
    uint8_t colour[4]; /* straight RGBA, encoded */
    uint32_t normal;   /* octahedral */
} plx_corner;

typedef struct plx_soup {
    int64_t triangles, capacity;
    plx_corner *corners; /* (triangles,3) */
    uint16_t *material;  /* (triangles) */
    bool has_uv, has_colour;
} plx_soup;

int plx_soup_reserve(plx_soup *soup, int64_t triangles); /* room for so many more */
void plx_soup_free(plx_soup *soup);

/* Turns, scales and normalises the soup, finds normals and shared vertices, and fills `mesh`, which has its
 * materials and textures already. */
int plx_mesh_build(plx_mesh *mesh, plx_soup *soup, const plx_mesh_options *options);

/* Smooth normals of all corners: faces that meet in a point within `angle` of each other, whichever way they
 * are wound, share one. */
int plx_soup_normals(plx_soup *soup, float angle);

uint32_t plx_normal_pack(const float normal[3]);
void plx_normal_unpack(uint32_t packed, float normal[3]);

/* The same in a process of its own with limits of time and memory. */
int plx_mesh_import_apart(plx_mesh *mesh, plx_soup *soup, const char *path, const plx_mesh_options *options);

/* Assimp's part: file -> soup, materials and textures. */
int plx_mesh_import(plx_mesh *mesh, plx_soup *soup, const char *path, const plx_mesh_options *options);

#endif
