/* nerf/core: errors, arenas, random numbers, images, files. Cameras are in test_camera.c. */
#include "tests/test.h"

#include <errno.h>
#include <dirent.h>
#include <omp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nerf/core/arena.h"
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "nerf/core/image.h"
#include "nerf/core/progress.h"
#include "nerf/core/rng.h"
#include "nerf/core/views.h"

/* ---- errors -------------------------------------------------------------------------------------------- */

TEST(error, one_line_with_prefix) {
    int status = plx_fail(PLX_ERROR_IO, "a%s: %d\n", "b\nc", 7);
    EXPECT(status == PLX_ERROR_IO, "%d", status);
    EXPECT(!strcmp(plx_error(), "ab c: 7 "), "'%s'", plx_error());
    EXPECT(plx_fail_in(PLX_ERROR_INPUT, "file.png") == PLX_ERROR_INPUT, "status is not passed on");
    EXPECT(!strcmp(plx_error(), "file.png: ab c: 7 "), "'%s'", plx_error());
    plx_fail(PLX_ERROR_IO, "again: %s", plx_error());
    EXPECT(!strcmp(plx_error(), "again: file.png: ab c: 7 "), "'%s'", plx_error());
}

static jmp_buf check_jump;
static char check_line[1024];
static void catch_check(const char *line) {
    snprintf(check_line, sizeof check_line, "%s", line);
    longjmp(check_jump, 1);
}

TEST(error, check_calls_the_hook) {
    volatile int side = 0;
    plx_set_check_hook(catch_check);
    if (!setjmp(check_jump)) {
        PLX_CHECK(side == 0, "never");
        side = 1;
        PLX_CHECK(side == 0, "side is %d", side);
        side = 2;
    }
    plx_set_check_hook(NULL);
    EXPECT(side == 1, "%d", side);
    EXPECT(strstr(check_line, "side is 1"), "'%s'", check_line);
}

/* ---- arenas -------------------------------------------------------------------------------------------- */

TEST(arena, alignment_mark_release_peak) {
    plx_arena *arena;
    REQUIRE(plx_arena_create(&arena, (size_t)1 << 36) == PLX_OK, "%s", plx_error()); /* 64 GB of addresses */
    char *a = plx_arena_alloc(arena, 1), *b = plx_arena_alloc(arena, 65);
    size_t mark = plx_arena_mark(arena);
    char *c = plx_arena_alloc(arena, 1000);
    EXPECT((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0 && (uintptr_t)c % 64 == 0, "%p %p %p", (void *)a,
           (void *)b, (void *)c);
    EXPECT(b == a + 64 && c == b + 128, "%td %td", b - a, c - b);
    memset(c, 0x55, 1000);
    plx_arena_release(arena, mark);
    char *d = plx_arena_zalloc(arena, 500);
    EXPECT(d == c, "released memory is not used again");
    int sum = 0;
    for (int i = 0; i < 500; i++) sum += d[i];
    EXPECT(sum == 0, "zalloc gave %d", sum);
    EXPECT(plx_arena_peak(arena) == 64 + 128 + 1024, "%zu", plx_arena_peak(arena));
    plx_arena_free(arena);
    plx_arena_free(NULL);
}

TEST(arena, past_the_capacity_is_a_check) {
    plx_arena *arena;
    REQUIRE(plx_arena_create(&arena, 1000) == PLX_OK, "%s", plx_error());
    check_line[0] = 0;
    plx_set_check_hook(catch_check);
    if (!setjmp(check_jump)) {
        plx_arena_alloc(arena, 1024); /* 1000 rounded up: fits exactly */
        plx_arena_alloc(arena, SIZE_MAX);
    }
    plx_set_check_hook(NULL);
    EXPECT(strstr(check_line, "0 of 1024 left"), "'%s'", check_line);
    plx_arena_free(arena);
    EXPECT(plx_arena_create(&arena, (size_t)1 << 62) == PLX_ERROR_MEMORY, "2^62 bytes were reserved");
}

/* ---- random numbers ------------------------------------------------------------------------------------ */

TEST(rng, is_philox) {
    /* Random123's own known answer (tests/kat_vectors): philox4x32 10, zero counter and key. */
    plx_rng zero = {0, 0};
    uint32_t want[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    for (unsigned i = 0; i < 4; i++)
        EXPECT(plx_rng_u32(zero, i) == want[i], "[%u] %08x", i, plx_rng_u32(zero, i));
}

TEST(rng, pinned) {
    /* Files hold results that depend on these: a change of them is a change of format. */
    plx_rng rng = {1, 2};
    EXPECT(plx_rng_u32(rng, 5) == 0xdb04b052u, "%08xu", plx_rng_u32(rng, 5));
    EXPECT(plx_rng_fork(rng, 3).stream == 0xca631e2e4328ee7du, "%016jx",
           (uintmax_t)plx_rng_fork(rng, 3).stream);
    /* libm's log and cos are within an ulp of each other across versions: 1e-6. */
    EXPECT(fabsf(plx_rng_normal(rng, 7) - -1.09461653f) < 1e-6f, "%.9g", (double)plx_rng_normal(rng, 7));
    EXPECT(plx_rng_below(rng, 5, 1000) == (uint64_t)0xdb04b052u * 1000 >> 32, "%u",
           plx_rng_below(rng, 5, 1000));
}

TEST(rng, fills_equal_single_draws_for_any_threads) {
    enum { COUNT = 100003 }; /* above the size that goes parallel, not a multiple of 4 */
    plx_rng rng = plx_rng_fork((plx_rng){7, 0}, 9);
    float *one = malloc(COUNT * sizeof *one), *two = malloc(COUNT * sizeof *two);
    int threads = omp_get_max_threads();
    for (int normal = 0; normal < 2; normal++) {
        void (*fill)(plx_rng, float *, size_t) = normal ? plx_rng_fill_normal : plx_rng_fill_uniform;
        omp_set_num_threads(1);
        fill(rng, one, COUNT);
        omp_set_num_threads(3);
        fill(rng, two, COUNT);
        EXPECT(!memcmp(one, two, COUNT * sizeof *one), "1 and 3 threads differ (normal %d)", normal);
        int differ = 0;
        for (uint64_t i = 0; i < COUNT; i++)
            differ += one[i] != (normal ? plx_rng_normal(rng, i) : plx_rng_uniform(rng, i));
        EXPECT(differ == 0, "%d values (normal %d)", differ, normal);
    }
    omp_set_num_threads(threads);
    free(one);
    free(two);
}

TEST(rng, moments) {
    enum { COUNT = 1 << 18 };
    plx_rng rng = {123, 0};
    double u = 0, uu = 0, n = 0, nn = 0, nnnn = 0, cross = 0, forked = 0;
    plx_rng child = plx_rng_fork(rng, 0);
    float least = 1, most = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double x = (double)plx_rng_uniform(rng, i), y = (double)plx_rng_normal(rng, i);
        least = fminf(least, (float)x), most = fmaxf(most, (float)x);
        u += x, uu += x * x, n += y, nn += y * y, nnnn += y * y * y * y, cross += (x - 0.5) * y;
        forked += y * (double)plx_rng_normal(child, i);
    }
    /* Standard errors at 2^18 samples: 1/512 times the sample's deviation; bounds are 4.5 of them. */
    double e = 4.5 / 512;
    EXPECT(fabs(u / COUNT - 0.5) < 0.289 * e, "mean %g", u / COUNT);
    EXPECT(fabs(uu / COUNT - 1.0 / 3) < 0.3 * e, "second moment %g", uu / COUNT);
    EXPECT(fabs(n / COUNT) < e, "mean %g", n / COUNT);
    EXPECT(fabs(nn / COUNT - 1) < 1.42 * e, "variance %g", nn / COUNT);
    EXPECT(fabs(nnnn / COUNT - 3) < 9.8 * e, "fourth moment %g", nnnn / COUNT);
    EXPECT(fabs(cross / COUNT) < 0.289 * e, "uniform and normal of one generator correlate: %g",
           cross / COUNT);
    EXPECT(fabs(forked / COUNT) < e, "a child correlates with its parent: %g", forked / COUNT);
    EXPECT(least >= 0 && most < 1, "[%g,%g]", (double)least, (double)most);
}

/* ---- images -------------------------------------------------------------------------------------------- */

TEST(image, over_background) {
    plx_image rgba, rgb;
    REQUIRE(plx_image_create(&rgba, 1, 2, 4) == PLX_OK, "%s", plx_error());
    memcpy(rgba.data, (float[]){1, 0.5f, 0, 0.25f, 0.3f, 0.3f, 0.3f, 0}, 8 * sizeof(float));
    REQUIRE(plx_image_over(&rgb, &rgba, 1) == PLX_OK, "%s", plx_error());
    float want[6] = {1, 0.875f, 0.75f, 1, 1, 1};
    for (int i = 0; i < 6; i++)
        EXPECT(rgb.data[i] == want[i], "[%d] %g", i, (double)rgb.data[i]); /* exact in binary */
    plx_image_free(&rgba);
    plx_image_free(&rgb);
    EXPECT(!rgba.data && !rgba.width, "free did not empty the image");
    plx_image_free(NULL);
}

TEST(image, resize_is_premultiplied) {
    /* An opaque red pixel beside a transparent one whose colour is green: half-transparent pure red. */
    plx_image in, out;
    REQUIRE(plx_image_create(&in, 1, 2, 4) == PLX_OK, "%s", plx_error());
    memcpy(in.data, (float[]){1, 0, 0, 1, 0, 1, 0, 0}, 8 * sizeof(float));
    REQUIRE(plx_image_resize(&out, &in, 1, 1) == PLX_OK, "%s", plx_error());
    float want[4] = {1, 0, 0, 0.5f};
    for (int c = 0; c < 4; c++)
        EXPECT(fabsf(out.data[c] - want[c]) < 1e-6f, "[%d] %g", c, (double)out.data[c]);
    plx_image_free(&in);
    plx_image_free(&out);
}

static plx_image ramp(int height, int width, float a, float b, float c) {
    plx_image image;
    if (plx_image_create(&image, height, width, 1)) abort();
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++)
            image.data[i * width + j] =
                a + b * ((float)i + 0.5f) / (float)height + c * ((float)j + 0.5f) / (float)width;
    return image;
}

TEST(image, resize_keeps_mean_and_linear_functions) {
    int sizes[][2] = {{5, 13}, {1, 1}, {10, 1}, {2, 31}, {20, 26}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        plx_image in = ramp(10, 13, 0.1f, 0.5f, 0.3f), out;
        int h = sizes[s][0], w = sizes[s][1];
        REQUIRE(plx_image_resize(&out, &in, h, w) == PLX_OK, "%s", plx_error());
        REQUIRE(out.height == h && out.width == w && out.channels == 1, "%dx%d", out.width, out.height);
        /* Averages over whole pixels and interpolation of a linear function give its value at the new
         * centres, away from the repeated border when growing; both are symmetric, so the mean stays. Float
         * sums: 1e-5. */
        double mean = 0;
        for (int i = 0; i < h; i++)
            for (int j = 0; j < w; j++) {
                float got = out.data[i * w + j];
                float want = 0.1f + 0.5f * ((float)i + 0.5f) / (float)h + 0.3f * ((float)j + 0.5f) / (float)w;
                bool border = (h > 10 && (i == 0 || i == h - 1)) || (w > 13 && (j == 0 || j == w - 1));
                EXPECT(border || fabsf(got - want) < 1e-5f, "%dx%d (%d,%d): %g, not %g", w, h, i, j,
                       (double)got, (double)want);
                mean += (double)got / (h * w);
            }
        EXPECT(fabs(mean - 0.5) < 1e-5, "%dx%d: mean %g", w, h, mean);
        plx_image_free(&in);
        plx_image_free(&out);
    }
}

TEST(image, shrinking_splits_pixels_by_area) {
    plx_image in = ramp(1, 3, 0, 0, 3), out; /* 0.5 1.5 2.5 */
    REQUIRE(plx_image_resize(&out, &in, 1, 2) == PLX_OK, "%s", plx_error());
    float want[2] = {(0.5f + 0.5f * 1.5f) / 1.5f, (0.5f * 1.5f + 2.5f) / 1.5f};
    for (int i = 0; i < 2; i++)
        EXPECT(fabsf(out.data[i] - want[i]) < 1e-6f, "[%d] %g", i, (double)out.data[i]);
    plx_image_free(&in);
    plx_image_free(&out);
}

TEST(image, sizes_that_cannot_be) {
    plx_image image;
    EXPECT(plx_image_create(&image, 0, 4, 3) == PLX_ERROR_INPUT, "height 0");
    EXPECT(plx_image_create(&image, 4, -1, 3) == PLX_ERROR_INPUT, "width -1");
    EXPECT(plx_image_create(&image, 1 << 30, 1 << 30, 1 << 10) == PLX_ERROR_MEMORY, "2^70 numbers");
    EXPECT(!image.data, "data after an error");
}

TEST(image, paste) {
    plx_image sheet, tile = ramp(2, 2, 1, 0, 0);
    REQUIRE(plx_image_create(&sheet, 3, 4, 1) == PLX_OK, "%s", plx_error());
    plx_image_paste(&sheet, &tile, 1, 2);
    float want[12] = {0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1};
    EXPECT(!memcmp(sheet.data, want, sizeof want), "pasted elsewhere");
    check_line[0] = 0;
    plx_set_check_hook(catch_check);
    if (!setjmp(check_jump)) plx_image_paste(&sheet, &tile, 2, 2);
    plx_set_check_hook(NULL);
    EXPECT(strstr(check_line, "row 2, column 2"), "'%s'", check_line);
    plx_image_free(&sheet);
    plx_image_free(&tile);
}

TEST(image, srgb) {
    /* IEC 61966-2-1: mid grey 0.5 encoded is 0.21404 linear; the two pieces meet. */
    EXPECT(fabsf(plx_srgb_decode(0.5f) - 0.214041f) < 1e-6f, "%g", (double)plx_srgb_decode(0.5f));
    EXPECT(plx_srgb_encode(0) == 0 && fabsf(plx_srgb_encode(1) - 1) < 1e-6f, "%g",
           (double)plx_srgb_encode(1));
    for (int i = 0; i < 256; i++) {
        float x = (float)i / 255, y = plx_srgb_encode(plx_srgb_decode(x));
        /* The standard's constants are rounded: the pieces meet within 1e-5. */
        EXPECT(fabsf(x - y) < 1e-5f, "%g -> %g", (double)x, (double)y);
    }
}

TEST(views, create_and_free) {
    plx_views views;
    REQUIRE(plx_views_create(&views, 3) == PLX_OK, "%s", plx_error());
    EXPECT(views.count == 3 && !views.views[2].colour.data, "not empty");
    EXPECT(plx_image_create(&views.views[1].depth, 4, 4, 2) == PLX_OK, "%s", plx_error());
    plx_views_free(&views);
    EXPECT(views.count == 0 && !views.views, "not emptied");
    plx_views_free(NULL);
}

static int count_progress(const plx_progress *progress, void *user) {
    int *calls = user;
    (*calls)++;
    return progress->done == 2;
}

TEST(progress, answer_is_passed_on) {
    int calls = 0;
    EXPECT(plx_progress_report(NULL, &calls, "x", 2, 3, NULL) == 0, "no callback stops");
    EXPECT(plx_progress_report(count_progress, &calls, "x", 1, 3, NULL) == 0, "1 of 3 stops");
    EXPECT(plx_progress_report(count_progress, &calls, "x", 2, 3, NULL) == 1, "2 of 3 goes on");
    EXPECT(calls == 2, "%d", calls);
    double before = plx_now();
    EXPECT(plx_now() >= before, "time ran back");
}

/* ---- files --------------------------------------------------------------------------------------------- */

static const char *in_folder(const char *folder, const char *name) {
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ & 3];
    char joined[512];
    snprintf(joined, sizeof joined, "%s/%s", folder, name);
    return memcpy(path, joined, sizeof joined);
}

static int entries(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) return -1;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(dir);
    return count;
}

static const char *new_folder(const char *name) {
    const char *folder = in_folder(test_directory(), name);
    if (plx_make_directories(folder)) abort();
    return folder;
}

static bool holds(const char *path, const char *text) {
    char *data;
    size_t size;
    if (plx_file_read(&data, &size, path, 1 << 20)) return false;
    bool same = size == strlen(text) && !memcmp(data, text, size + 1);
    free(data);
    return same;
}

TEST(file, write_and_read) {
    const char *folder = new_folder("write"), *path = in_folder(folder, "a.txt");
    EXPECT(plx_file_write(path, "one", 3) == PLX_OK, "%s", plx_error());
    EXPECT(holds(path, "one"), "%s", plx_error());
    EXPECT(plx_file_write(path, "", 0) == PLX_OK && holds(path, ""), "%s", plx_error());
    EXPECT(entries(folder) == 1, "%d files", entries(folder));
    char *data;
    size_t size;
    plx_file_write(path, "12345", 5);
    EXPECT(plx_file_read(&data, &size, path, 5) == PLX_OK && size == 5, "%s", plx_error());
    free(data);
    EXPECT(plx_file_read(&data, &size, path, 4) == PLX_ERROR_INPUT && !data, "the cap was passed");
    EXPECT(strstr(plx_error(), "a.txt"), "'%s'", plx_error());
    EXPECT(plx_file_read(&data, &size, folder, 100) == PLX_ERROR_INPUT, "a folder was read");
    EXPECT(plx_file_read(&data, &size, "/nowhere/x", 100) == PLX_ERROR_IO, "read from nowhere");
    EXPECT(plx_file_read(&data, &size, "/dev/zero", 100000) == PLX_ERROR_INPUT, "an endless file was read");
}

TEST(file, nothing_is_seen_before_commit) {
    const char *folder = new_folder("commit"), *path = in_folder(folder, "a.txt");
    plx_file_write(path, "old", 3);
    plx_writer writer = {0};
    plx_writer_abort(&writer); /* zeroed: nothing to do */
    REQUIRE(plx_writer_open(&writer, path) == PLX_OK, "%s", plx_error());
    fputs("new and longer", writer.file);
    fflush(writer.file);
    EXPECT(holds(path, "old"), "seen before commit");
    plx_writer_abort(&writer);
    EXPECT(holds(path, "old") && entries(folder) == 1, "abort left %d files", entries(folder));
    REQUIRE(plx_writer_open(&writer, path) == PLX_OK, "%s", plx_error());
    fputs("new", writer.file);
    EXPECT(plx_writer_commit(&writer) == PLX_OK, "%s", plx_error());
    plx_writer_abort(&writer); /* after a commit: nothing to do */
    EXPECT(holds(path, "new") && entries(folder) == 1, "commit left %d files", entries(folder));
}

TEST(file, a_failed_write_leaves_what_was_there) {
    /* A limit on the size of files stands in for a full disk: write() fails with EFBIG. */
    const char *folder = new_folder("full"), *path = in_folder(folder, "a.txt");
    plx_file_write(path, "old", 3);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 4096;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    char *big = calloc(1, 100000);
    int status = plx_file_write(path, big, 100000);
    plx_writer writer;
    int opened = plx_writer_open(&writer, path), committed = PLX_OK;
    if (!opened) {
        fwrite(big, 1, 100000, writer.file); /* a caller that does not look */
        committed = plx_writer_commit(&writer);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    free(big);
    EXPECT(status == PLX_ERROR_IO, "%d", status);
    EXPECT(opened == PLX_OK && committed == PLX_ERROR_IO, "%d %d", opened, committed);
    EXPECT(strstr(plx_error(), "a.txt"), "'%s'", plx_error());
    EXPECT(holds(path, "old") && entries(folder) == 1, "%d files", entries(folder));
}

TEST(file, what_is_no_file) {
    const char *folder = new_folder("nofile");
    plx_writer writer;
    EXPECT(plx_writer_open(&writer, folder) == PLX_ERROR_INPUT, "a folder was opened");
    EXPECT(plx_writer_open(&writer, "/dev/null") == PLX_ERROR_INPUT, "a device would be replaced");
    EXPECT(plx_writer_open(&writer, "") == PLX_ERROR_INPUT, "no name");
    EXPECT(plx_writer_open(&writer, "/nowhere/at/all") == PLX_ERROR_IO, "a missing folder");
    EXPECT(strstr(plx_error(), "/nowhere/at/all"), "'%s'", plx_error());
    /* A link stays a link; what it points to is replaced. */
    const char *file = in_folder(folder, "file"), *link = in_folder(folder, "link");
    plx_file_write(file, "old", 3);
    REQUIRE(symlink("file", link) == 0, "%s", strerror(errno));
    EXPECT(plx_file_write(link, "new", 3) == PLX_OK && holds(file, "new"), "%s", plx_error());
    struct stat info;
    EXPECT(lstat(link, &info) == 0 && S_ISLNK(info.st_mode), "the link was replaced");
}

TEST(file, make_directories) {
    const char *folder = new_folder("make"), *deep = in_folder(folder, "a//b/c/");
    EXPECT(plx_make_directories(deep) == PLX_OK, "%s", plx_error());
    EXPECT(plx_make_directories(deep) == PLX_OK, "again: %s", plx_error());
    EXPECT(access(in_folder(folder, "a/b/c"), F_OK) == 0, "not there");
    plx_file_write(in_folder(folder, "f"), "", 0);
    EXPECT(plx_make_directories(in_folder(folder, "f/g")) == PLX_ERROR_IO, "a folder in a file");
    EXPECT(strstr(plx_error(), "make/f:"), "'%s'", plx_error());
}
