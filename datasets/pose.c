/* Poses of other conventions, and numbers in text files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/reader.h"
#include "nerf/core/error.h"

void plx_pose_turn_axes(double c2w[12]) {
    for (int row = 0; row < 3; row++)
        for (int column = 1; column < 3; column++) c2w[4 * row + column] = -c2w[4 * row + column];
}

void plx_pose_invert(double out[12], const double in[12]) {
    for (int row = 0; row < 3; row++) {
        out[4 * row + 3] = 0;
        for (int k = 0; k < 3; k++) {
            out[4 * row + k] = in[4 * k + row];
            out[4 * row + 3] -= in[4 * k + row] * in[4 * k + 3];
        }
    }
}

int plx_pose_set(plx_camera *camera, const double c2w[12]) {
    for (int i = 0; i < 12; i++) camera->c2w[i] = (float)c2w[i];
    if (plx_camera_valid(camera, PLX_POSE_TOLERANCE)) return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "not a rotation and a position");
}

int plx_numbers_read(const char **text, bool line, double *out, int capacity) {
    int count = 0;
    const char *at = *text;
    while (true) {
        at += strspn(at, line ? " \t\r" : " \t\r\n");
        if (!*at || (line && *at == '\n')) break;
        char *end;
        double value = strtod(at, &end);
        if (end == at || !isfinite(value) || count == capacity) return -1;
        out[count++] = value;
        at = end;
    }
    *text = *at ? at + 1 : at;
    return count;
}
