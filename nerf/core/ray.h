#ifndef PLX_CORE_RAY_H
#define PLX_CORE_RAY_H

typedef struct plx_ray {
    float origin[3], direction[3]; /* unit */
    float t0, t1;                  /* part inside the sphere; t0 == t1: none */
} plx_ray;

/* A ray with what is to be seen along it. */
typedef struct plx_ray_target {
    float origin[3], direction[3]; /* unit */
    float colour[3];               /* over white */
    float opacity;                 /* < 0: unknown */
    float weight;
} plx_ray_target;

#endif
