#include "nerf/sift.h"

#include <math.h>
#include <stdlib.h>
#include <vl/sift.h>

#include "nerf/core/error.h"

enum { LEVELS = 3, FIRST_OCTAVE = -1, ANGLES = 4 };
static const double edge_limit = 10;

typedef struct keypoint_list {
    plx_keypoint *items;
    int count, room;
} keypoint_list;

/* Room for one more, or NULL. */
static plx_keypoint *next_item(keypoint_list *list) {
    if (list->count == list->room) {
        int room = list->room ? 2 * list->room : 256;
        plx_keypoint *items = realloc(list->items, sizeof *items * (size_t)room);
        if (!items) return NULL;
        list->items = items;
        list->room = room;
    }
    return &list->items[list->count++];
}

static int add_octave(keypoint_list *list, VlSiftFilt *filter) {
    vl_sift_detect(filter);
    const VlSiftKeypoint *found = vl_sift_get_keypoints(filter);
    for (int i = 0, n = vl_sift_get_nkeypoints(filter); i < n; i++) {
        double angles[ANGLES];
        int directions = vl_sift_calc_keypoint_orientations(filter, angles, &found[i]);
        for (int k = 0; k < directions; k++) {
            plx_keypoint *keypoint = next_item(list);
            if (!keypoint) return plx_fail(PLX_ERROR_MEMORY, "no memory for %d keypoints", list->count);
            keypoint->x = found[i].x + 0.5f; /* VLFeat's first centre is at 0 */
            keypoint->y = found[i].y + 0.5f;
            keypoint->scale = found[i].sigma;
            keypoint->angle = (float)angles[k];
            vl_sift_calc_keypoint_descriptor(filter, keypoint->descriptor, &found[i], angles[k]);
        }
    }
    return PLX_OK;
}

int plx_sift_find(plx_keypoint **keypoints, int *count, const plx_image *image, float contrast) {
    PLX_CHECK(image->channels == 3, "sift: an image of %d channels, not 3", image->channels);
    size_t pixels = (size_t)image->height * (size_t)image->width;
    keypoint_list list = {0};
    int status = PLX_OK;
    *keypoints = NULL, *count = 0;
    float *luma = malloc(sizeof *luma * pixels);
    VlSiftFilt *filter = vl_sift_new(image->width, image->height, -1, LEVELS, FIRST_OCTAVE);
    if (!luma || !filter) {
        status = plx_fail(PLX_ERROR_MEMORY, "no memory for the keypoints of %dx%d pixels", image->width,
                          image->height);
    } else {
        for (size_t i = 0; i < pixels; i++) {
            const float *c = image->data + 3 * i;
            luma[i] = 0.299f * c[0] + 0.587f * c[1] + 0.114f * c[2];
        }
        vl_sift_set_peak_thresh(filter, (double)contrast);
        vl_sift_set_edge_thresh(filter, edge_limit);
        for (int end = vl_sift_process_first_octave(filter, luma); !end && !status;
             end = vl_sift_process_next_octave(filter))
            status = add_octave(&list, filter);
    }
    if (filter) vl_sift_delete(filter);
    free(luma);
    if (status)
        free(list.items);
    else
        *keypoints = list.items, *count = list.count;
    return status;
}

static float squared_distance(const float *a, const float *b) {
    float sum = 0;
    for (int i = 0; i < 128; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

int plx_sift_match(plx_match **matches, int *count, const plx_keypoint *a, int count_a, const plx_keypoint *b,
                   int count_b, float ratio) {
    *count = 0;
    *matches = malloc(sizeof **matches * (size_t)(count_a + 1));
    if (!*matches) return plx_fail(PLX_ERROR_MEMORY, "no memory for the matches of %d keypoints", count_a);
    for (int i = 0; i < count_a; i++) {
        float first = INFINITY, second = INFINITY;
        int nearest = -1;
        for (int j = 0; j < count_b; j++) {
            float d = squared_distance(a[i].descriptor, b[j].descriptor);
            if (d < first)
                second = first, first = d, nearest = j;
            else if (d < second)
                second = d;
        }
        if (first < ratio * ratio * second && isfinite(second))
            (*matches)[(*count)++] = (plx_match){i, nearest};
    }
    return PLX_OK;
}
