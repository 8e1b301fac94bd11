/* Rays against one mesh. Inside render/ only. */
#ifndef PLX_RENDER_EMBREE_H
#define PLX_RENDER_EMBREE_H

#include "render/mesh.h"

typedef struct plx_tracer plx_tracer;

typedef struct plx_hit {
    float distance;  /* along the ray, in lengths of its direction */
    int triangle;    /* -1 = miss */
    float u, v;      /* weights of the second and third corner */
    float normal[3]; /* the triangle's, not unit: its length is twice the area */
} plx_hit;

#define PLX_PACKET 16

/* Keeps a pointer to the mesh's arrays: the mesh outlives the tracer. */
int plx_tracer_create(plx_tracer **out, const plx_mesh *mesh);
void plx_tracer_free(plx_tracer *tracer);

/* Nearest triangle with near < distance < far; safe from several threads. */
bool plx_tracer_ray(const plx_tracer *tracer, const float origin[3], const float direction[3], float near,
                    float far, plx_hit *hit);

/* The same for up to PLX_PACKET coherent rays from one origin, from distance 0 on. */
void plx_tracer_packet(const plx_tracer *tracer, const float origin[3], int count,
                       const float (*directions)[3], plx_hit *hits);

#endif
