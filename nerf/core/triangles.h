/* A triangle mesh as plain arrays: what a field's surface is, and what mesh files hold. */
#ifndef PLX_CORE_TRIANGLES_H
#define PLX_CORE_TRIANGLES_H

#include <stdint.h>

typedef struct plx_triangles {
    int vertices, triangles;
    float *positions;  /* (vertices,3) world, z up */
    float *normals;    /* (vertices,3) unit, outwards */
    float *colours;    /* (vertices,3) sRGB-encoded */
    uint32_t *indices; /* (triangles,3) counter-clockwise seen from outside */
} plx_triangles;

int plx_triangles_create(plx_triangles *out, int vertices, int triangles); /* zeroed */
void plx_triangles_free(plx_triangles *mesh);                              /* and empties it; NULL is fine */

#endif
