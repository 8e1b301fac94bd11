/* Each file of each kind of data set in turn is damaged, missing, a folder, a pipe or a link to somewhere else: one line that
 * names it, or a data set that is still one; never a crash, a wait, or a file from outside. */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/posed_layouts.h"

#define FILES_MAX 64

static char files[FILES_MAX][1024];
static int file_count;

static int keep_file(const char *path, const struct stat *info, int type, struct FTW *place) {
    (void)info, (void)place;
    if (type == FTW_F && file_count < FILES_MAX) snprintf(files[file_count++], sizeof *files, "%s", path);
    return 0;
}

/* One object of a kind in FOLDER/object. */
static void write_kind(int kind, const char *folder, const plx_views *views) {
    const char *object = folder_at(folder, "object");
    if (kind == 0) write_srn(object, views, RIGHT);
    if (kind == 1) write_nmr(object, views, RIGHT);
    if (kind == 2) write_zero123(object, views, RIGHT);
    if (kind == 3) write_colmap(object, views, RIGHT);
    if (kind >= 4) write_transforms(object, kind - 4, views, RIGHT);
}

static int open_and_load(const char *folder) {
    plx_dataset *dataset;
    plx_views views;
    int status = plx_dataset_open(&dataset, folder);
    if (!status && !(status = plx_dataset_load(dataset, 0, NULL, 0, &views))) plx_views_free(&views);
    plx_dataset_free(dataset);
    return status;
}

/* An error is one line. It names the file, or (a probe did not find its kind) the folder; `anything`: no error is right too. */
static void expect_line(const char *folder, const char *file, const char *what, bool anything) {
    int status = open_and_load(folder);
    if (!status) {
        EXPECT(anything, "%s: %s, and it was read", file, what);
        return;
    }
    const char *line = plx_error();
    EXPECT(!strchr(line, '\n'), "%s: %s: more than a line: %s", file, what, line);
    const char *name = strrchr(file, '/') + 1, *dot = strrchr(name, '.');
    char stem[256];
    snprintf(stem, sizeof stem, "%.*s", (int)(dot - name),
             name); /* a pose's picture is named as well as it */
    EXPECT(strstr(line, stem) || strstr(line, folder), "%s: %s: not named: %s", file, what, line);
}

/* Without the wait for the disk that plx_file_write makes. */
static void put(const char *path, const char *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file)) abort();
}

/* What a file is replaced by. */
static void spoil(const char *folder, const char *file) {
    char outside[1100];
    char *data;
    size_t size;
    if (plx_file_read(&data, &size, file, 1 << 24)) abort();
    snprintf(outside, sizeof outside, "%s/../outside", folder);
    put(outside, data, size);

    unlink(file);
    expect_line(folder, file, "missing", false);
    if (symlink(outside, file)) abort();
    expect_line(folder, file, "a link to outside", false);
    EXPECT(strstr(plx_error(), "leads out"), "%s: %s", file, plx_error());
    unlink(file);
    if (mkfifo(file, 0600)) abort();
    expect_line(folder, file, "a pipe", false);
    unlink(file);
    if (mkdir(file, 0700)) abort();
    expect_line(folder, file, "a folder", false);
    rmdir(file);
    for (size_t length = 0; length < size; length += 1 + size / 24) {
        put(file, data, length);
        expect_line(folder, file, "cut short", length > 0); /* the last digits of a text may be missing */
    }
    for (size_t at = 0; at < size; at += 1 + size / 24) {
        data[at] ^= 0x55;
        put(file, data, size);
        expect_line(folder, file, "damaged", true);
        data[at] ^= 0x55;
    }
    put(file, data, size);
    free(data);
}

TEST(hostile, every_file_of_every_kind) {
    static const char *const names[] = {"srn", "nmr", "zero123", "colmap", "synthetic", "nerfstudio", "ngp"};
    plx_views views;
    draw_posed(&views, 43.75, 43.75, POSED_WIDTH / 2.0, POSED_HEIGHT / 2.0);
    for (int kind = 0; kind < 7; kind++) {
        char own[64], folder[1024];
        snprintf(own, sizeof own, "hostile-%s", names[kind]);
        snprintf(folder, sizeof folder, "%s", folder_at(test_directory(), own));
        write_kind(kind, folder, &views);
        file_count = 0;
        if (nftw(folder, keep_file, 8, FTW_PHYS)) abort();
        EXPECT(file_count >= 4, "%s: %d files", names[kind], file_count);
        for (int i = 0; i < file_count; i++) spoil(folder, files[i]);
        EXPECT(open_and_load(folder) == 0, "%s: %s", names[kind], plx_error());
    }
    plx_views_free(&views);
}
