/* Smooth camera paths through keyframes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nerf/core/error.h"
#include "render/path.h"

/* ---- rotations: quaternions x y z w, unit ------------------------------------------------------------------ */

static double dot4(const double a[4], const double b[4]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
}

static void multiply(const double a[4], const double b[4], double out[4]) {
    double q[4] = {a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
                   a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
                   a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
                   a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2]};
    memcpy(out, q, sizeof q);
}

/* log(a^-1 b): half the rotation vector from a to b. */
static void difference(const double a[4], const double b[4], double out[3]) {
    double inverse[4] = {-a[0], -a[1], -a[2], a[3]}, q[4];
    multiply(inverse, b, q);
    double sine = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
    double scale = sine > 1e-12 ? atan2(sine, q[3]) / sine : 1;
    for (int k = 0; k < 3; k++) out[k] = scale * q[k];
}

/* a exp(v). */
static void turned(const double a[4], const double v[3], double out[4]) {
    double angle = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    double scale = angle > 1e-12 ? sin(angle) / angle : 1;
    double q[4] = {scale * v[0], scale * v[1], scale * v[2], cos(angle)};
    multiply(a, q, out);
}

static void slerp(const double a[4], const double b[4], double u, double out[4]) {
    double v[3];
    difference(a, b, v);
    for (int k = 0; k < 3; k++) v[k] *= u;
    turned(a, v, out);
}

/* q and -q are one rotation: the one on the side of `beside`. */
static void aligned(const double q[4], const double beside[4], double out[4]) {
    double sign = dot4(q, beside) < 0 ? -1 : 1;
    for (int k = 0; k < 4; k++) out[k] = sign * q[k];
}

/* Of the rotation part, from the largest of its components (Shepperd 1978). */
static void quaternion_of(const float c2w[12], double q[4]) {
    double m[3][3], trace = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) m[i][j] = c2w[4 * i + j];
    trace = m[0][0] + m[1][1] + m[2][2];
    int i = trace > m[0][0] && trace > m[1][1] && trace > m[2][2] ? 3
            : m[0][0] > m[1][1] && m[0][0] > m[2][2]              ? 0
            : m[1][1] > m[2][2]                                   ? 1
                                                                  : 2;
    if (i == 3) {
        q[0] = m[2][1] - m[1][2], q[1] = m[0][2] - m[2][0], q[2] = m[1][0] - m[0][1];
        q[3] = 1 + trace;
    } else {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        q[i] = 1 + m[i][i] - m[j][j] - m[k][k];
        q[j] = m[i][j] + m[j][i];
        q[k] = m[i][k] + m[k][i];
        q[3] = m[k][j] - m[j][k];
    }
    double norm = sqrt(dot4(q, q));
    for (int k = 0; k < 4; k++) q[k] /= norm;
}

static void rotation_of(const double q[4], float c2w[12]) {
    double x = q[0], y = q[1], z = q[2], w = q[3];
    double m[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - z * w),     2 * (x * z + y * w),
                   2 * (x * y + z * w),     1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
                   2 * (x * z - y * w),     2 * (y * z + x * w),     1 - 2 * (x * x + y * y)};
    for (int i = 0; i < 9; i++) c2w[4 * (i / 3) + i % 3] = (float)m[i];
}

/* ---- the curve ----------------------------------------------------------------------------------------------- */

typedef struct pose {
    double place[4];    /* position, and log tan(fov / 2) */
    double rotation[4]; /* quaternion */
} pose;

typedef struct curve {
    int count, segments;
    bool closed;
    pose *keys;    /* (count) */
    double *knots; /* (segments + 1), from 0: centripetal, the square roots of the keys' distances added up */
    double scale;  /* the keys' mean distance from the origin */
} curve;

static const pose *key_at(const curve *c, int i) {
    return &c->keys[((i % c->count) + c->count) % c->count];
}

static double gap(const curve *c, int segment) {
    int i = (segment + c->segments) % c->segments;
    return c->knots[i + 1] - c->knots[i];
}

/* d place / d knot at a key (Catmull-Rom for knots at any distance); at an open end that of its only segment. */
static void velocity(const curve *c, int key, double out[4]) {
    bool first = !c->closed && key == 0, last = !c->closed && key == c->count - 1;
    const double *p = key_at(c, key)->place;
    const double *before = first ? NULL : key_at(c, key - 1)->place;
    const double *after = last ? NULL : key_at(c, key + 1)->place;
    for (int k = 0; k < 4; k++) {
        double a = before ? (p[k] - before[k]) / gap(c, key - 1) : 0,
               b = after ? (after[k] - p[k]) / gap(c, key) : 0;
        out[k] = first ? b : last ? a : a + b - (after[k] - before[k]) / (gap(c, key - 1) + gap(c, key));
    }
}

/* log of the rotation a knot at a key, in the key's own axes: as `velocity`, from those of its two segments. */
static void spin(const curve *c, int key, double out[3]) {
    bool first = !c->closed && key == 0, last = !c->closed && key == c->count - 1;
    const double *q = key_at(c, key)->rotation;
    double before[4], after[4], a[3] = {0}, b[3] = {0};
    double d = first ? 1 : gap(c, key - 1), e = last ? 1 : gap(c, key);
    if (!first) aligned(key_at(c, key - 1)->rotation, q, before), difference(before, q, a);
    if (!last) aligned(key_at(c, key + 1)->rotation, q, after), difference(q, after, b);
    for (int k = 0; k < 3; k++)
        out[k] = first ? b[k] / e : last ? a[k] / d : (e * a[k] / d + d * b[k] / e) / (d + e);
}

/* Squad's inner points of a segment that takes d knots from q to next: such that it turns by the keys' spins there (of keys at
 * equal distances, Shoemake's of 1987). */
static void inner_points(const curve *c, int segment, const double q[4], const double next[4], double d,
                         double inner[4], double inner_next[4]) {
    double across[3], from[3], to[3];
    difference(q, next, across);
    spin(c, segment, from);
    spin(c, segment + 1, to);
    for (int k = 0; k < 3; k++) {
        from[k] = (d * from[k] - across[k]) / 2;
        to[k] = (across[k] - d * to[k]) / 2;
    }
    turned(q, from, inner);
    turned(next, to, inner_next);
}

static void pose_at(const curve *c, double knot, pose *out) {
    int i = 0;
    while (i + 1 < c->segments && knot > c->knots[i + 1]) i++;
    double d = gap(c, i), u = (knot - c->knots[i]) / d, v = 1 - u, from[4], to[4];
    const pose *a = key_at(c, i), *b = key_at(c, i + 1);
    velocity(c, i, from);
    velocity(c, i + 1, to);
    for (int k = 0; k < 4; k++) /* Hermite */
        out->place[k] = v * v * (1 + 2 * u) * a->place[k] + u * u * (3 - 2 * u) * b->place[k] +
                        d * u * v * (v * from[k] - u * to[k]);
    double next[4], inner[4], inner_next[4], outer[4], middle[4];
    aligned(b->rotation, a->rotation, next);
    inner_points(c, i, a->rotation, next, d, inner, inner_next);
    slerp(a->rotation, next, u, outer);
    slerp(inner, inner_next, u, middle);
    slerp(outer, middle, 2 * u * v, out->rotation);
}

/* How far apart two poses are: by their positions, or where that is more, half of what a turn or a zoom moves at the
 * curve's scale. */
static double pose_distance(const curve *c, const pose *a, const pose *b) {
    double other[4], half_turn[3], moved[3];
    aligned(b->rotation, a->rotation, other);
    difference(a->rotation, other, half_turn);
    for (int k = 0; k < 3; k++) moved[k] = b->place[k] - a->place[k];
    double distance = hypot(hypot(moved[0], moved[1]), moved[2]),
           turn = 2 * hypot(hypot(half_turn[0], half_turn[1]), half_turn[2]),
           zoom = fabs(b->place[3] - a->place[3]);
    return fmax(distance, 0.5 * c->scale * fmax(turn, zoom));
}

static double curve_length(double a, double b, const void *user) {
    const curve *c = user;
    pose from, to;
    pose_at(c, a * c->knots[c->segments], &from);
    pose_at(c, b * c->knots[c->segments], &to);
    return pose_distance(c, &from, &to);
}

/* ---- times --------------------------------------------------------------------------------------------------- */

static double key_time(const plx_keyframes *k, int i) {
    return i < k->count ? k->keyframes[i].time : k->seconds; /* the first again */
}

/* Knots a second at a key: the harmonic mean of its segments', which keeps the motion forward (Fritsch and Butland 1984). */
static double knot_speed(const curve *c, const plx_keyframes *k, int key) {
    double speeds[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        int i = key - 1 + side;
        if (c->closed) i = (i + c->segments) % c->segments;
        if (i >= 0 && i < c->segments) speeds[side] = gap(c, i) / (key_time(k, i + 1) - key_time(k, i));
    }
    if (speeds[0] == 0 || speeds[1] == 0) return speeds[0] + speeds[1];
    return 2 * speeds[0] * speeds[1] / (speeds[0] + speeds[1]);
}

static double knot_at_time(const curve *c, const plx_keyframes *k, double time) {
    int i = 0;
    while (i + 1 < c->segments && time > key_time(k, i + 1)) i++;
    double d = key_time(k, i + 1) - key_time(k, i), u = (time - key_time(k, i)) / d, v = 1 - u;
    return v * v * (1 + 2 * u) * c->knots[i] + u * u * (3 - 2 * u) * c->knots[i + 1] +
           d * u * v * (v * knot_speed(c, k, i) - u * knot_speed(c, k, i + 1));
}

/* ---- frames -------------------------------------------------------------------------------------------------- */

static int check_keyframes(const plx_keyframes *k) {
    if (k->count < 2) return plx_fail(PLX_ERROR_INPUT, "%d keyframes; two or more make a path", k->count);
    if (!(k->seconds > 0 && k->seconds <= 1e6))
        return plx_fail(PLX_ERROR_INPUT, "a path of %g seconds", k->seconds);
    bool timed = !isnan(k->keyframes[0].time);
    for (int i = 0; i < k->count; i++) {
        const plx_keyframe *f = &k->keyframes[i];
        plx_camera camera = {.fx = 1, .fy = 1, .width = 1, .height = 1};
        memcpy(camera.c2w, f->c2w, sizeof camera.c2w);
        if (!plx_camera_valid(&camera, 1e-3f))
            return plx_fail(PLX_ERROR_INPUT, "keyframe %d is not a rotation and a position", i);
        if (!(f->fov > 1e-4f && f->fov < 3.14f))
            return plx_fail(PLX_ERROR_INPUT, "keyframe %d has a field of view of %g radians", i,
                            (double)f->fov);
        if (isnan(f->time) == timed)
            return plx_fail(PLX_ERROR_INPUT, "keyframe %d: all have a time, or none has", i);
        if (timed && !(i ? f->time > k->keyframes[i - 1].time : f->time == 0))
            return plx_fail(PLX_ERROR_INPUT, "keyframe %d is at %g s: times ascend from 0", i,
                            (double)f->time);
    }
    if (timed && k->closed && !(k->seconds > k->keyframes[k->count - 1].time))
        return plx_fail(PLX_ERROR_INPUT, "a closed path of %g s whose last keyframe is at %g s", k->seconds,
                        (double)k->keyframes[k->count - 1].time);
    return PLX_OK;
}

static int make_curve(curve *c, const plx_keyframes *k) {
    *c = (curve){.count = k->count, .segments = k->closed ? k->count : k->count - 1, .closed = k->closed};
    c->keys = calloc((size_t)c->count, sizeof *c->keys);
    c->knots = calloc((size_t)c->segments + 1, sizeof *c->knots);
    if (!c->keys || !c->knots) return plx_fail(PLX_ERROR_MEMORY, "no memory for %d keyframes", k->count);
    for (int i = 0; i < c->count; i++) {
        pose *p = &c->keys[i];
        for (int j = 0; j < 3; j++) p->place[j] = k->keyframes[i].c2w[4 * j + 3];
        p->place[3] = log(tan(0.5 * k->keyframes[i].fov));
        quaternion_of(k->keyframes[i].c2w, p->rotation);
        c->scale += hypot(hypot(p->place[0], p->place[1]), p->place[2]) / c->count;
    }
    if (c->scale < 1e-6) c->scale = 1;
    for (int i = 0; i < c->segments;
         i++) { /* keys in one place are still apart, or nothing could turn there */
        const double *a = key_at(c, i)->place, *b = key_at(c, i + 1)->place;
        double chord = hypot(hypot(b[0] - a[0], b[1] - a[1]), b[2] - a[2]);
        c->knots[i + 1] = c->knots[i] + sqrt(fmax(chord, 1e-4 * c->scale));
    }
    return PLX_OK;
}

static plx_camera camera_of(const pose *p, int width, int height) {
    double focal = 0.5 * height / exp(p->place[3]);
    plx_camera camera = {.fx = (float)focal,
                         .fy = (float)focal,
                         .cx = 0.5f * (float)width,
                         .cy = 0.5f * (float)height,
                         .width = width,
                         .height = height};
    rotation_of(p->rotation, camera.c2w);
    for (int j = 0; j < 3; j++) camera.c2w[4 * j + 3] = (float)p->place[j];
    return camera;
}

/* Each frame's knot: at its time, or at equal distances. */
static int frame_knots(double *out, int frames, const curve *c, const plx_keyframes *k) {
    double gaps = frames - !c->closed, end = c->knots[c->segments];
    bool timed = !isnan(k->keyframes[0].time);
    int status = timed ? PLX_OK : plx_even_parameters(out, frames, c->closed, curve_length, c);
    for (int i = 0; i < frames; i++)
        out[i] =
            timed ? knot_at_time(c, k, gaps > 0 ? i / gaps * key_time(k, c->segments) : 0) : out[i] * end;
    return status;
}

int plx_path_through(plx_path *out, plx_keyframes *k, int frames, double fps, int width, int height) {
    curve c = {0};
    double *knots = NULL;
    *out = (plx_path){0};
    int status = check_keyframes(k);
    if (!status) status = make_curve(&c, k);
    if (!status) status = plx_path_allocate(out, frames, fps);
    if (!status && !(knots = malloc(sizeof *knots * (size_t)frames)))
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for %d cameras", frames);
    if (!status) status = frame_knots(knots, frames, &c, k);
    for (int i = 0; i < frames && !status; i++) {
        pose p;
        pose_at(&c, knots[i], &p);
        out->cameras[i] = camera_of(&p, width, height);
    }
    out->closed = k->closed;
    out->keyframes = *k;
    *k = (plx_keyframes){0};
    free(c.keys);
    free(c.knots);
    free(knots);
    if (status < 0) plx_path_free(out);
    return status;
}
