/* Smooth normals with creases, independent of winding. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "render/mesh.h"

/* Octahedral mapping (Cigolle et al. 2014), 16 bits a coordinate: 3e-5 rad. */
uint32_t plx_normal_pack(const float n[3]) {
    float sum = fabsf(n[0]) + fabsf(n[1]) + fabsf(n[2]), x = n[0] / sum, y = n[1] / sum;
    if (n[2] < 0) {
        float folded = (1 - fabsf(y)) * (x < 0 ? -1.0f : 1.0f);
        y = (1 - fabsf(x)) * (y < 0 ? -1.0f : 1.0f);
        x = folded;
    }
    uint32_t a = (uint16_t)(int16_t)lrintf(x * 32767), b = (uint16_t)(int16_t)lrintf(y * 32767);
    return a | b << 16;
}

void plx_normal_unpack(uint32_t packed, float n[3]) {
    float x = (float)(int16_t)(packed & 0xffff) / 32767, y = (float)(int16_t)(packed >> 16) / 32767;
    float z = 1 - fabsf(x) - fabsf(y);
    if (z < 0) {
        float unfolded = (1 - fabsf(y)) * (x < 0 ? -1.0f : 1.0f);
        y = (1 - fabsf(x)) * (y < 0 ? -1.0f : 1.0f);
        x = unfolded;
    }
    float length = sqrtf(x * x + y * y + z * z);
    n[0] = x / length;
    n[1] = y / length;
    n[2] = z / length;
}

/* Corners at one point: at most so many are compared with each other; a wider fan keeps its faces' normals.
 */
#define FAN_MAX 2048

static void subtract(const float a[3], const float b[3], double out[3]) {
    for (int i = 0; i < 3; i++) out[i] = (double)a[i] - b[i];
}

static double dot(const double a[3], const double b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Unit normal of a triangle and the angle at each corner. */
static void face_normal(const plx_corner *c, float normal[3], float angles[3]) {
    double edge[3][3], n[3], length[3];
    for (int k = 0; k < 3; k++) {
        subtract(c[(k + 1) % 3].position, c[k].position, edge[k]);
        length[k] = sqrt(dot(edge[k], edge[k]));
    }
    for (int i = 0; i < 3; i++)
        n[i] = edge[0][(i + 1) % 3] * edge[1][(i + 2) % 3] - edge[0][(i + 2) % 3] * edge[1][(i + 1) % 3];
    double size = sqrt(dot(n, n));
    for (int i = 0; i < 3; i++) normal[i] = size > 0 ? (float)(n[i] / size) : (float)(i == 2);
    for (int k = 0; k < 3; k++) {
        double cosine = -dot(edge[k], edge[(k + 2) % 3]) / (length[k] * length[(k + 2) % 3]);
        angles[k] = isfinite(cosine) ? (float)acos(fmin(fmax(cosine, -1), 1)) : 0;
    }
}

static uint32_t hash_position(const float p[3]) {
    uint32_t words[3], h = 0x9e3779b9u;
    memcpy(words, p, sizeof words);
    for (int i = 0; i < 3; i++) h = (h ^ words[i]) * 0x85ebca6bu, h ^= h >> 15;
    return h;
}

/* Links the corners of each position: next[k] is the following corner at the same point, UINT32_MAX the last;
 * heads[i] is the first of point i. Returns the number of points, -1: memory. */
static int64_t link_points(const plx_soup *soup, uint32_t *next, uint32_t *heads) {
    size_t corners = 3 * (size_t)soup->triangles, slots = 64;
    while (slots < 2 * corners) slots *= 2;
    uint32_t *table = malloc(slots * sizeof *table);
    if (!table) return -1;
    memset(table, 0xff, slots * sizeof *table);
    uint32_t points = 0;
    for (size_t k = corners; k-- > 0;) { /* backwards: lists come out in rising order */
        const float *p = soup->corners[k].position;
        size_t slot = hash_position(p) & (slots - 1);
        while (table[slot] != UINT32_MAX && memcmp(soup->corners[heads[table[slot]]].position, p, 12) != 0)
            slot = (slot + 1) & (slots - 1);
        if (table[slot] == UINT32_MAX) {
            table[slot] = points;
            next[k] = UINT32_MAX;
            heads[points++] = (uint32_t)k;
        } else {
            next[k] = heads[table[slot]];
            heads[table[slot]] = (uint32_t)k;
        }
    }
    free(table);
    return points;
}

/* Each corner of the fan gets the angle-weighted mean of the face normals within the smoothing angle of its
 * own, each turned to its side. */
static void smooth_fan(plx_soup *soup, const uint32_t *fan, int count, const float *faces,
                       const float *angles, float cos_limit) {
    for (int a = 0; a < count; a++) {
        const float *own = faces + 3 * (size_t)(fan[a] / 3);
        float sum[3] = {0};
        for (int b = 0; b < count; b++) {
            const float *n = faces + 3 * (size_t)(fan[b] / 3);
            float cosine = own[0] * n[0] + own[1] * n[1] + own[2] * n[2];
            if (fan[a] != fan[b] && fabsf(cosine) < cos_limit) continue;
            float weight = cosine < 0 ? -angles[fan[b]] : angles[fan[b]];
            for (int i = 0; i < 3; i++) sum[i] += weight * n[i];
        }
        float length = sqrtf(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]), normal[3];
        for (int i = 0; i < 3; i++) normal[i] = length > 1e-12f ? sum[i] / length : own[i];
        soup->corners[fan[a]].normal = plx_normal_pack(normal);
    }
}

int plx_soup_normals(plx_soup *soup, float angle) {
    size_t triangles = (size_t)soup->triangles;
    int status = PLX_OK;
    float *faces = malloc(12 * triangles), *angles = malloc(12 * triangles);
    uint32_t *next = malloc(12 * triangles), *heads = malloc(12 * triangles);
    for (size_t k = 0; k < 3 * triangles; k++)
        for (int i = 0; i < 3; i++)
            soup->corners[k].position[i] += 0.0f; /* -0 becomes 0: equal points, equal bits */
    int64_t points = faces && angles && next && heads ? link_points(soup, next, heads) : -1;
    if (points < 0) {
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for the normals of %zu triangles", triangles);
        goto done;
    }
    for (size_t t = 0; t < triangles; t++) face_normal(soup->corners + 3 * t, faces + 3 * t, angles + 3 * t);
    for (size_t k = 0; k < 3 * triangles; k++) soup->corners[k].normal = plx_normal_pack(faces + 3 * (k / 3));
    float cos_limit = cosf(angle);
    for (int64_t i = 0; i < points; i++) {
        uint32_t fan[FAN_MAX];
        int count = 0;
        for (uint32_t k = heads[i]; k != UINT32_MAX && count < FAN_MAX; k = next[k]) fan[count++] = k;
        if (count < FAN_MAX) smooth_fan(soup, fan, count, faces, angles, cos_limit);
    }
done:
    free(faces);
    free(angles);
    free(next);
    free(heads);
    return status;
}
