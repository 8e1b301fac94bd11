#include "nerf/tensor/frame.h"

void plx_frame_coordinates(const plx_frame *frame, const float point[3], float coordinates[5]) {
    plx_frame_map(frame, point, coordinates);
}
