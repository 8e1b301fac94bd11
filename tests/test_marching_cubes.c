/* Surfaces of lattices: closed, turned outwards, in the right place. */
#include "nerf/marching_cubes.h"

#include "nerf/core/error.h"
#include "nerf/core/rng.h"
#include "tests/test.h"

typedef struct half_edge {
    uint32_t low, high;
    int turns; /* +1: from low to high */
} half_edge;

static int by_ends(const void *a, const void *b) {
    const half_edge *x = a, *y = b;
    if (x->low != y->low) return x->low < y->low ? -1 : 1;
    return x->high == y->high ? 0 : x->high < y->high ? -1 : 1;
}

/* Edges that do not belong to exactly two triangles which pass them in opposite directions. */
static int open_edges(const plx_triangles *m) {
    size_t count = 3 * (size_t)m->triangles;
    half_edge *edges = calloc(count + 1, sizeof *edges);
    for (size_t i = 0; i < count; i++) {
        uint32_t a = m->indices[i], b = m->indices[i - i % 3 + (i + 1) % 3];
        edges[i] = a < b ? (half_edge){a, b, 1} : (half_edge){b, a, -1};
    }
    qsort(edges, count, sizeof *edges, by_ends);
    int open = 0;
    for (size_t i = 0, end; i < count; i = end) {
        int turns = 0;
        for (end = i; end < count && !by_ends(&edges[i], &edges[end]); end++) turns += edges[end].turns;
        open += end - i != 2 || turns != 0;
    }
    free(edges);
    return open;
}

/* Signed volume by the divergence theorem: positive when triangles are counter-clockwise seen from outside. */
static double volume(const plx_triangles *m, double *area) {
    double sum = 0;
    *area = 0;
    for (int t = 0; t < m->triangles; t++) {
        const float *a = m->positions + 3 * m->indices[3 * t], *b = m->positions + 3 * m->indices[3 * t + 1],
                    *c = m->positions + 3 * m->indices[3 * t + 2];
        double u[3], v[3], n[3];
        for (int k = 0; k < 3; k++) u[k] = (double)b[k] - (double)a[k], v[k] = (double)c[k] - (double)a[k];
        for (int k = 0; k < 3; k++) n[k] = u[(k + 1) % 3] * v[(k + 2) % 3] - u[(k + 2) % 3] * v[(k + 1) % 3];
        for (int k = 0; k < 3; k++) sum += n[k] * (double)a[k] / 6;
        *area += sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) / 2;
    }
    return sum;
}

/* All 256 cubes and what may lie beside them: noise, in which every ambiguous face and its neighbours occur. */
TEST(marching_cubes, noise_is_closed) {
    enum { N = 40 };
    static float values[N * N * N];
    for (int seed = 0; seed < 3; seed++) {
        for (int i = 0; i < N * N * N; i++) {
            int x = i % N, y = i / N % N, z = i / N / N;
            bool rim = x == 0 || y == 0 || z == 0 || x == N - 1 || y == N - 1 || z == N - 1;
            float v = plx_rng_uniform((plx_rng){(uint64_t)seed, 0}, (uint64_t)i) - 0.3f - 0.2f * (float)seed;
            values[i] = rim ? -1 : v;
        }
        plx_triangles mesh;
        REQUIRE(plx_marching_cubes(&mesh, values, (const int[]){N, N, N}) == PLX_OK, "%s", plx_error());
        double area, inside = volume(&mesh, &area);
        EXPECT(mesh.triangles > 50000 && open_edges(&mesh) == 0, "%d triangles, %d open edges",
               mesh.triangles, open_edges(&mesh));
        EXPECT(inside > 0, "volume %g", inside);
        plx_triangles_free(&mesh);
    }
}

TEST(marching_cubes, a_ball) {
    enum { X = 34, Y = 30, Z = 32 };
    static float values[X * Y * Z];
    const float radius = 11.3f, centre[3] = {16.2f, 14.4f, 15.7f};
    for (int i = 0; i < X * Y * Z; i++) {
        float dx = (float)(i % X) - centre[0], dy = (float)(i / X % Y) - centre[1],
              dz = (float)(i / X / Y) - centre[2];
        values[i] = radius - sqrtf(dx * dx + dy * dy + dz * dz);
    }
    plx_triangles mesh;
    REQUIRE(plx_marching_cubes(&mesh, values, (const int[]){X, Y, Z}) == PLX_OK, "%s", plx_error());
    EXPECT(open_edges(&mesh) == 0, "%d open edges", open_edges(&mesh));
    EXPECT(mesh.vertices - mesh.triangles / 2 == 2, "Euler: %d - %d / 2", mesh.vertices, mesh.triangles);
    double area, inside = volume(&mesh, &area), pi = 3.14159265;
    /* chords of length h lie h^2 / (8 r) inside: less than 0.1 % of the radius, 3 and 2 times it here */
    EXPECT(fabs(inside / (4 * pi * pow(11.3, 3) / 3) - 1) < 0.01, "volume %g", inside);
    EXPECT(fabs(area / (4 * pi * 11.3 * 11.3) - 1) < 0.01, "area %g", area);
    for (int i = 0; i < mesh.vertices; i++) { /* linear between lattice points: (1/2)^2 / (2 r) */
        const float *p = mesh.positions + 3 * i;
        float away = sqrtf(powf(p[0] - centre[0], 2) + powf(p[1] - centre[1], 2) + powf(p[2] - centre[2], 2));
        EXPECT(fabsf(away - radius) < 0.012f, "vertex %d is %g from the centre", i, (double)away);
    }
    plx_triangles_free(&mesh);
}

TEST(marching_cubes, nothing) {
    float values[27] = {0};
    for (int i = 0; i < 27; i++) values[i] = -1;
    plx_triangles mesh;
    REQUIRE(plx_marching_cubes(&mesh, values, (const int[]){3, 3, 3}) == PLX_OK, "%s", plx_error());
    EXPECT(mesh.triangles == 0 && mesh.vertices == 0, "%d triangles", mesh.triangles);
    plx_triangles_free(&mesh);
}
