/* The same object twice, above all in two splits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/dataset_check.h"

#define NEAR_POSE 0.985 /* cosine between two viewing directions: 10 degrees */
#define LIKE 0.04       /* of a hash's bits */
#define PAIRS 2         /* pairs of views that must have been compared */

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

static int different_bits(const plx_seen_view *a, const plx_seen_view *b) {
    int count = 0;
    for (int i = 0; i < 4; i++) count += __builtin_popcountll(a->hash[i] ^ b->hash[i]);
    return count;
}

/* From one side, and as far away to a tenth. */
static bool same_pose(const plx_camera *a, const plx_camera *b) {
    double dot = 0, p = 0, q = 0;
    for (int i = 0; i < 3; i++) {
        dot += (double)a->c2w[4 * i + 2] * (double)b->c2w[4 * i + 2];
        p += pow((double)a->c2w[4 * i + 3], 2);
        q += pow((double)b->c2w[4 * i + 3], 2);
    }
    return dot > NEAR_POSE && fabs(sqrt(p) - sqrt(q)) < 0.1 * sqrt(p);
}

/* An object without anything to be seen is like all others. */
static bool shows_something(const plx_seen_view *view) {
    int bits = 0;
    for (int i = 0; i < 4; i++) bits += __builtin_popcountll(view->hash[i]);
    return bits > 4;
}

typedef struct likeness {
    int pairs, like, equal;
} likeness;

static likeness compare(const plx_seen_object *a, const plx_seen_object *b) {
    likeness out = {0};
    for (int i = 0; i < a->count; i++)
        for (int j = 0; j < b->count; j++) {
            const plx_seen_view *x = &a->views[i], *y = &b->views[j];
            if (!shows_something(x) || !shows_something(y)) continue;
            out.equal += x->pixels == y->pixels;
            if (!same_pose(&x->camera, &y->camera)) continue;
            out.pairs++;
            out.like += different_bits(x, y) <= LIKE * 256;
        }
    return out;
}

int plx_check_twins(const plx_seen_object *objects, plx_findings *findings, const plx_dataset *dataset) {
    int count = plx_dataset_count(dataset);
    bool scenes = !strcmp(plx_dataset_kind(dataset), "transforms"); /* splits of one scene look alike */
#pragma omp parallel for schedule(dynamic, 8)
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++) {
            likeness found = compare(&objects[i], &objects[j]);
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
    return PLX_OK;
}
