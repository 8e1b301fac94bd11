#include "nerf/marching_cubes.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"

/* ---- the table ------------------------------------------------------------------------------------------------
 * Corner c of a cube is at (c & 1, c >> 1 & 1, c >> 2 & 1). Edge 4 a + i runs along axis a; bits 0 and 1 of i are its place
 * on the next two axes. */

enum { EDGES = 12, MOST = 10 /* triangles of a cube */ };

static struct { unsigned char count, corners[3 * MOST]; /* edges, in threes */ } table[256];

static int corner_of(int axis, int along, int next, int last) {
    return along << axis | next << (axis + 1) % 3 | last << (axis + 2) % 3;
}

static int edge_between(int a, int b) {
    int axis = (a ^ b) >> 1; /* 1 2 4 -> 0 1 2 */
    int next = a >> (axis + 1) % 3 & 1, last = a >> (axis + 2) % 3 & 1;
    return 4 * axis + 2 * last + next;
}

/* One segment for each run of inside corners around a face, so that the corners of a run are cut off together, and diagonal
 * ones apart. It goes from where the run is entered to where it is left: the cube on the other side, which sees the face the
 * other way round, has the same segments backwards. follows[edge]: where the segment from it ends. */
static void add_face(int inside, int axis, int side, int follows[EDGES]) {
    static const int around[4][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
    int q[4];
    for (int i = 0; i < 4; i++) { /* counter-clockwise seen from outside the cube */
        const int *place = around[side ? i : 3 - i];
        q[i] = corner_of(axis, side, place[0], place[1]);
    }
    for (int i = 0; i < 4; i++) {
        int first = (i + 1) % 4, last = first;
        if (inside >> q[i] & 1 || !(inside >> q[first] & 1)) continue;
        while (inside >> q[(last + 1) % 4] & 1) last = (last + 1) % 4;
        follows[edge_between(q[i], q[first])] = edge_between(q[last], q[(last + 1) % 4]);
    }
}

/* Both edges on one face: a diagonal between them would lie in it, where the next cube may have one too. */
static bool share_face(int a, int b) {
    for (int axis = 0; axis < 3; axis++) {
        int side[2];
        for (int k = 0; k < 2; k++) {
            int edge = k ? b : a, own = edge / 4;
            side[k] = own == axis ? -1 - k : edge >> ((axis - own + 3) % 3 - 1) & 1;
        }
        if (side[0] == side[1]) return true;
    }
    return false;
}

/* Cuts ears off a loop of n edges, no diagonal in a face; false if there is no way. */
static bool triangulate(const int *loop, int n, int state, int *count) {
    if (n > 3)
        for (int ear = 0; ear < n; ear++) {
            int before = loop[(ear + n - 1) % n], after = loop[(ear + 1) % n], rest[EDGES], kept = *count;
            if (share_face(before, after)) continue;
            for (int i = 0, k = 0; i < n; i++)
                if (i != ear) rest[k++] = loop[i];
            const int cut[3] = {before, loop[ear], after};
            if (triangulate(cut, 3, state, count) && triangulate(rest, n - 1, state, count)) return true;
            *count = kept;
        }
    for (int i = 0; i < 3 && n == 3; i++) table[state].corners[3 * *count + i] = (unsigned char)loop[i];
    *count += n == 3;
    return n == 3;
}

static void make_table(void) {
    for (int state = 0; state < 256; state++) {
        int follows[EDGES], count = 0;
        for (int i = 0; i < EDGES; i++) follows[i] = -1;
        for (int face = 0; face < 6; face++) add_face(state, face / 2, face % 2, follows);
        for (int start = 0; start < EDGES; start++) {
            int loop[EDGES], n = 0;
            for (int at = start, next; (next = follows[at]) >= 0; at = next) {
                follows[at] = -1;
                loop[n++] = at;
            }
            bool done = !n || triangulate(loop, n, state, &count);
            PLX_CHECK(done && count <= MOST, "marching cubes: state %d", state);
        }
        table[state].count = (unsigned char)count;
    }
}

/* ---- the lattice ------------------------------------------------------------------------------------------------ */

typedef struct surface {
    const float *values;
    int X, Y, Z;
    int *ids[2]; /* (Y,X,3) vertices on the edges that leave the points of layer z, at z % 2 */
    plx_triangles *mesh;
    size_t vertex_room, triangle_room;
} surface;

static float value_at(const surface *s, int x, int y, int z) {
    return s->values[((size_t)z * (size_t)s->Y + (size_t)y) * (size_t)s->X + (size_t)x];
}

static int grow(void *array, size_t *room, size_t wanted, size_t size) {
    if (wanted <= *room) return PLX_OK;
    size_t more = 2 * wanted + 1024;
    void *data = more > INT32_MAX / 4 ? NULL : realloc(*(void **)array, more * size);
    if (!data) return plx_fail(PLX_ERROR_MEMORY, "no memory for a surface of so many triangles");
    *(void **)array = data;
    *room = more;
    return PLX_OK;
}

/* The vertices on the three edges that leave a point for its greater neighbours. */
static int add_vertices(surface *s, int x, int y, int z) {
    float here = value_at(s, x, y, z);
    const int point[3] = {x, y, z};
    bool rim = x == 0 || y == 0 || z == 0 || x == s->X - 1 || y == s->Y - 1 || z == s->Z - 1;
    PLX_CHECK(!rim || here <= 0, "marching cubes: the lattice's rim is inside at %d, %d, %d", x, y, z);
    for (int axis = 0; axis < 3; axis++) {
        if (point[axis] + 1 >= (const int[3]){s->X, s->Y, s->Z}[axis]) continue;
        float there = value_at(s, x + (axis == 0), y + (axis == 1), z + (axis == 2));
        if ((here > 0) == (there > 0)) continue;
        int id = s->mesh->vertices;
        int status = grow(&s->mesh->positions, &s->vertex_room, (size_t)id + 1, 3 * sizeof(float));
        if (status) return status;
        float share = here / (here - there), *p = s->mesh->positions + 3 * (size_t)id;
        for (int k = 0; k < 3; k++) p[k] = (float)point[k];
        p[axis] += fminf(fmaxf(share, 1e-3f), 1 - 1e-3f); /* triangles keep an area */
        s->ids[z % 2][3 * ((size_t)y * (size_t)s->X + (size_t)x) + (size_t)axis] = id;
        s->mesh->vertices++;
    }
    return PLX_OK;
}

static int add_cube(surface *s, int x, int y, int z) {
    int state = 0;
    for (int c = 0; c < 8; c++) state |= (value_at(s, x + (c & 1), y + (c >> 1 & 1), z + (c >> 2)) > 0) << c;
    size_t count = table[state].count, first = (size_t)s->mesh->triangles;
    int status = grow(&s->mesh->indices, &s->triangle_room, first + count, 3 * sizeof(uint32_t));
    for (size_t i = 0; i < 3 * count && !status; i++) {
        int edge = table[state].corners[i], axis = edge / 4;
        int from = corner_of(axis, 0, edge & 1, edge >> 1 & 1);
        size_t row = (size_t)(y + (from >> 1 & 1)) * (size_t)s->X, column = (size_t)(x + (from & 1));
        s->mesh->indices[3 * first + i] =
            (uint32_t)s->ids[(z + (from >> 2)) % 2][3 * (row + column) + (size_t)axis];
    }
    if (!status) s->mesh->triangles += (int)count;
    return status;
}

int plx_marching_cubes(plx_triangles *out, const float *values, const int size[3]) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_table);
    *out = (plx_triangles){0};
    surface s = {.values = values, .X = size[0], .Y = size[1], .Z = size[2], .mesh = out};
    size_t layer = 3 * (size_t)s.X * (size_t)s.Y;
    int status = PLX_OK;
    for (int i = 0; i < 2; i++) s.ids[i] = malloc(layer * sizeof(int));
    if (!s.ids[0] || !s.ids[1])
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for a layer of %dx%d", s.X, s.Y);
    for (int z = 0; z < s.Z && !status; z++) {
        for (int y = 0; y < s.Y && !status; y++)
            for (int x = 0; x < s.X && !status; x++) status = add_vertices(&s, x, y, z);
        for (int y = 0; y + 1 < s.Y && z && !status; y++)
            for (int x = 0; x + 1 < s.X && !status; x++) status = add_cube(&s, x, y, z - 1);
    }
    free(s.ids[0]);
    free(s.ids[1]);
    size_t room = 3 * (size_t)out->vertices + 1;
    if (!status) out->normals = calloc(room, sizeof(float)), out->colours = calloc(room, sizeof(float));
    if (!status && (!out->normals || !out->colours))
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for %d vertices", out->vertices);
    if (status) plx_triangles_free(out);
    return status;
}
