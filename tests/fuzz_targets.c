#define _GNU_SOURCE /* memfd_create */
#include "tests/fuzz_targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/datasets.h"
#include "datasets/npy.h"
#include "nerf/core/file.h"
#include "nerf/tensor/params.h"

/* The bytes as a file; its path is valid until the next call. */
static const char *file_of(const uint8_t *data, size_t size) {
    static char path[64];
    static int file = -1;
    if (file >= 0) close(file);
    file = memfd_create("fuzz", 0);
    if (file < 0 || write(file, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}

static void put(const char *folder, const char *name, const void *data, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file)) abort();
}

static void remove_folders(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf /dev/shm/parallax-fuzz-%ld-*", (long)getpid());
    if (system(command)) perror("fuzz: its folders stay");
}

/* A folder of this process for a kind of data set, with `parts` in it ("a b c") and a picture at `picture`. */
static const char *folder_with(const char *kind, const char *parts, const char *picture) {
    static char path[256];
    char part[512], list[128];
    struct stat info;
    snprintf(path, sizeof path, "/dev/shm/parallax-fuzz-%ld-%s", (long)getpid(), kind);
    if (stat(path, &info) == 0) return path;
    static bool once;
    if (!once) atexit(remove_folders);
    once = true;
    snprintf(list, sizeof list, "%s", parts);
    if (plx_make_directories(path)) abort();
    for (char *word = strtok(list, " "); word; word = strtok(NULL, " ")) {
        snprintf(part, sizeof part, "%s/%s", path, word);
        if (plx_make_directories(part)) abort();
    }
    plx_image image;
    snprintf(part, sizeof part, "%s/%s", path, picture);
    if (plx_image_create(&image, 2, 3, 3) || plx_png_save(part, &image)) abort();
    plx_image_free(&image);
    return path;
}

static void open_and_load(const char *folder) {
    plx_dataset *dataset;
    plx_views views;
    if (plx_dataset_open(&dataset, folder)) return;
    for (int i = 0; i < plx_dataset_count(dataset) && i < 4; i++)
        if (plx_dataset_load(dataset, i, &(int){0}, 1, &views) == 0) plx_views_free(&views);
    plx_dataset_free(dataset);
}

/* ---- the targets --------------------------------------------------------------------------------------------------- */

static void run_npy(const uint8_t *data, size_t size) {
    plx_npy array;
    if (plx_npy_parse(&array, data, size) == 0) plx_npy_free(&array);
}

static void run_npz(const uint8_t *data, size_t size) {
    plx_npy array;
    if (plx_npz_load(&array, file_of(data, size), "world_mat_0") == 0) plx_npy_free(&array);
}

static void run_transforms(const uint8_t *data, size_t size) {
    const char *folder = folder_with("transforms", "", "a.png");
    put(folder, "transforms.json", data, size);
    open_and_load(folder);
}

/* The first byte says which of the two text files it is; the other is right. */
static void run_srn(const uint8_t *data, size_t size) {
    static const char pose[] = "1 0 0 0 0 1 0 0 0 0 1 2 0 0 0 1", intrinsics[] = "2 1 1 0\n0 0 0\n1\n2 3\n";
    const char *folder = folder_with("srn", "rgb pose", "rgb/0.png");
    bool first = size && data[0] % 2;
    put(folder, "pose/0.txt", pose, strlen(pose));
    put(folder, "intrinsics.txt", intrinsics, strlen(intrinsics));
    if (size) put(folder, first ? "pose/0.txt" : "intrinsics.txt", data + 1, size - 1);
    open_and_load(folder);
}

/* cameras.txt and images.txt, a 0 byte between them. */
static void run_colmap(const uint8_t *data, size_t size) {
    const char *folder = folder_with("colmap", "images", "images/a.png");
    const uint8_t *gap = size ? memchr(data, 0, size) : NULL;
    size_t first = gap ? (size_t)(gap - data) : size;
    put(folder, "cameras.txt", data, first);
    put(folder, "images.txt", gap ? gap + 1 : data, gap ? size - first - 1 : 0);
    open_and_load(folder);
}

static void run_catalogue(const uint8_t *data, size_t size) {
    plx_catalogue catalogue;
    if (plx_catalogue_load(&catalogue, file_of(data, size)) == 0) plx_catalogue_free(&catalogue);
}

static void run_path(const uint8_t *data, size_t size) {
    plx_path path;
    if (plx_path_load(&path, file_of(data, size), 0, 0, 0) == 0) plx_path_free(&path);
}

static void run_checkpoint(const uint8_t *data, size_t size) {
    plx_checkpoint *checkpoint;
    if (plx_checkpoint_load(&checkpoint, file_of(data, size)) == 0) plx_checkpoint_free(checkpoint);
}

static void run_exr(const uint8_t *data, size_t size) {
    plx_view view = {0};
    if (plx_geometry_load(&view, file_of(data, size))) return;
    plx_image_free(&view.depth);
    plx_image_free(&view.normal);
}

const fuzz_target fuzz_targets[] = {{"npy", run_npy},
                                    {"npz", run_npz},
                                    {"transforms", run_transforms},
                                    {"srn", run_srn},
                                    {"colmap", run_colmap},
                                    {"catalogue", run_catalogue},
                                    {"path", run_path},
                                    {"checkpoint", run_checkpoint},
                                    {"exr", run_exr},
                                    {NULL, NULL}};
