/* The same object twice, above all in two splits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/dataset_check.h"

#define NEAR_POSE 0.985f /* cosine between two viewing directions: 10 degrees */
#define LIKE 0.04        /* of a hash's bits */
#define PAIRS 2          /* pairs of views that must have been compared */

/* "train", "val", "test", or "" by a part of the name: train/x, cars_test/x, val. */
static const char *split_of(const char *name) {
    static const struct {
        const char *word, *split;
    } words[] = {{"train", "train"}, {"val", "val"}, {"test", "test"}};
    for (const char *c = name; *c; c++)
        for (int i = 0; i < 3; i++) {
            size_t length = strlen(words[i].word);
            bool begins = c == name || strchr("/_-", c[-1]);
            if (begins && !strncasecmp(c, words[i].word, length) &&
                (strchr("/_-", c[length]) || !strncasecmp(c, "validation", 10)))
                return words[i].split;
        }
    return "";
}

/* What is compared of a view: millions of pairs of objects are, so it is small and worked out once. */
typedef struct look {
    float back[3], distance; /* the way to the camera; from the origin */
    uint64_t hash[4], pixels;
} look;

typedef struct looks {
    int count;
    look views[PLX_CHECK_HASHES];
} looks;

/* The views that show something: an object without anything to be seen is like all others. */
static looks looks_of(const plx_seen_object *object) {
    looks out = {0};
    for (int i = 0; i < object->count && out.count < PLX_CHECK_HASHES; i++) {
        const plx_seen_view *view = &object->views[i];
        look *made = &out.views[out.count];
        float position[3];
        int bits = 0;
        for (int k = 0; k < 4; k++) bits += __builtin_popcountll(view->hash[k]);
        if (bits <= 4) continue;
        plx_camera_position(&view->camera, position);
        for (int k = 0; k < 3; k++) made->back[k] = view->camera.c2w[4 * k + 2];
        made->distance =
            sqrtf(position[0] * position[0] + position[1] * position[1] + position[2] * position[2]);
        memcpy(made->hash, view->hash, sizeof made->hash);
        made->pixels = view->pixels;
        out.count++;
    }
    return out;
}

/* From one side, and as far away to a tenth. */
static bool same_pose(const look *a, const look *b) {
    float dot = a->back[0] * b->back[0] + a->back[1] * b->back[1] + a->back[2] * b->back[2];
    return dot > NEAR_POSE && fabsf(a->distance - b->distance) < 0.1f * a->distance;
}

static int different_bits(const look *a, const look *b) {
    int count = 0;
    for (int i = 0; i < 4; i++) count += __builtin_popcountll(a->hash[i] ^ b->hash[i]);
    return count;
}

typedef struct likeness {
    int pairs, like, equal;
} likeness;

static likeness compare(const looks *a, const looks *b) {
    likeness out = {0};
    for (int i = 0; i < a->count; i++)
        for (int j = 0; j < b->count; j++) {
            const look *x = &a->views[i], *y = &b->views[j];
            out.equal += x->pixels == y->pixels;
            if (!same_pose(x, y)) continue;
            out.pairs++;
            out.like += different_bits(x, y) <= LIKE * 256;
        }
    return out;
}

int plx_check_twins(const plx_seen_object *objects, plx_findings *findings, const plx_dataset *dataset) {
    int count = plx_dataset_count(dataset);
    looks *seen = malloc((size_t)count * sizeof *seen);
    if (!seen) return plx_fail(PLX_ERROR_MEMORY, "out of memory for %d objects", count);
    for (int i = 0; i < count; i++) seen[i] = looks_of(&objects[i]);
    bool scenes = !strcmp(plx_dataset_kind(dataset), "transforms"); /* splits of one scene look alike */
#pragma omp parallel for schedule(dynamic, 8)
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++) {
            likeness found = compare(&seen[i], &seen[j]);
            bool like = !scenes && found.pairs >= PAIRS && found.like * 2 > found.pairs;
            if (!found.equal && !like) continue;
            const char *a = plx_dataset_name(dataset, i), *b = plx_dataset_name(dataset, j);
            const char *x = split_of(a), *y = split_of(b);
            bool across = *x && *y && strcmp(x, y);
            plx_find(findings, across, "duplicate", i, -1,
                     "%s %s%s (%d equal pictures; %d of %d alike from one side)",
                     found.equal ? "shares pictures with" : "looks like", b,
                     across ? ", in another split" : "", found.equal, found.like, found.pairs);
        }
    free(seen);
    return PLX_OK;
}
