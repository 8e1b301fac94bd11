/* Bilinear lookup in the planes, a tile of points at a time, and its adjoint. */
#ifndef PLX_KERNELS_FIELD_PLANES_H
#define PLX_KERNELS_FIELD_PLANES_H

#include <stddef.h>

#include "nerf/tensor/simd.h"

enum { PLX_TILE = 64 }; /* points */

/* Where the points read a plane: the floats before the first of four texels, how much further the ones to its right
 * and below are (0 at the border), and the four weights. */
typedef struct plx_taps {
    _Alignas(64) int first[PLX_TILE];
    _Alignas(64) int right[PLX_TILE];
    _Alignas(64) int down[PLX_TILE];
    _Alignas(64) float weight[4][PLX_TILE];
} plx_taps;

/* A plane is (size[0],size[1],channels); row and column (PLX_TILE) are in [-1,1], beyond it the border is read. */
void plx_taps_find(plx_taps *taps, const int size[2], int channels, const float *row, const float *column);

/* Channels begin .. begin + count - 1 -> rows of out (count,PLX_TILE). count: 8, or a multiple of 16. */
void plx_taps_read(const plx_taps *taps, const float *plane, int begin, int count, float *out);

/* dplane += weight * dout, for the first `points` points; `count` channels from `begin` on, any number of them. */
void plx_taps_add(const plx_taps *taps, float *dplane, int begin, int count, const float *dout, int points);

/* to (columns,rows) = the transpose of from (rows,columns), both multiples of 8; rows are so many floats apart. */
void plx_transpose(const float *from, int rows, int columns, size_t from_row, float *to, size_t to_row);

#endif
