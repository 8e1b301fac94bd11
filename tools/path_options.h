/* The options of a camera path: `parallax render` and `parallax path`. */
#ifndef PLX_TOOLS_PATH_OPTIONS_H
#define PLX_TOOLS_PATH_OPTIONS_H

#include "tools/parallax.h"

typedef struct plx_path_values {
    int frames, size[2], grid[2];
    float fps, elevation, low, high, turns, distance, fov;
} plx_path_values;

/* Lines of a command's table; the command's struct holds a plx_path_values called `member`. */
#define PLX_PATH_AT(type, member, value) (offsetof(type, member) + offsetof(plx_path_values, value))
/* clang-format off */
#define PLX_PATH_OPTIONS(type, member)                                                                          \
    {PLX_OPTION_INT, "frames", 'n', PLX_PATH_AT(type, member, frames), NULL, 1, 100000,                         \
     .help = "of the path (default: 48, or the file's)"},                                                       \
    {PLX_OPTION_SIZE, "size", 0, PLX_PATH_AT(type, member, size), NULL, 1, 16384,                               \
     .help = "of the frames (default: the file's, or 256x256)"},                                                \
    {PLX_OPTION_FLOAT, "fps", 0, PLX_PATH_AT(type, member, fps), NULL, 0.01, 1000,                              \
     .help = "frames a second (default: 24, or the file's)"},                                                   \
    {PLX_OPTION_FLOAT, "elevation", 0, PLX_PATH_AT(type, member, elevation), NULL, -89, 89, .word = "DEG",      \
     .help = "of the orbit (default: the scene's input camera's, or 20)"},                                      \
    {PLX_OPTION_FLOAT, "low", 0, PLX_PATH_AT(type, member, low), "-10", -89, 89, .word = "DEG",                 \
     .help = "lowest elevation of turntable, spiral and grid"},                                                 \
    {PLX_OPTION_FLOAT, "high", 0, PLX_PATH_AT(type, member, high), "50", -89, 89, .word = "DEG",                \
     .help = "highest elevation of turntable, spiral and grid"},                                                \
    {PLX_OPTION_FLOAT, "turns", 0, PLX_PATH_AT(type, member, turns), "3", 0.01, 1000, .help = "of the spiral"}, \
    {PLX_OPTION_SIZE, "grid", 0, PLX_PATH_AT(type, member, grid), "8x3", 1, 1000,                               \
     .help = "columns and rows of the grid"},                                                                   \
    {PLX_OPTION_FLOAT, "distance", 0, PLX_PATH_AT(type, member, distance), NULL, 0, 1e4, .open = true,          \
     .help = "from the object's centre (default: 2.6 times the scene's radius)"},                               \
    {PLX_OPTION_FLOAT, "fov", 0, PLX_PATH_AT(type, member, fov), "51.989", 0, 180, .open = true, .word = "DEG", \
     .help = "vertical field of view of a built-in path"}
/* clang-format on */

bool plx_path_is_file(const char *path); /* FILE.json, rather than the name of a built-in path */

/* `path`: the name of a built-in path, or a camera_path.json. `field` may be NULL: the default set-up. */
int plx_path_from_values(plx_path *out, const char *path, const plx_path_values *values,
                         const plx_field *field);

#endif
