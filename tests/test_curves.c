/* parallax curves: training logs -> a plot. */
#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "tests/test.h"

#include <unistd.h>

static void write_log(const char *run, const char *text) {
    char path[600];
    snprintf(path, sizeof path, "%s/log.jsonl", test_file(run));
    if (plx_make_directories(test_file(run)) || plx_file_write(path, text, strlen(text))) abort();
}

static int count_of(const char *text, char c) {
    int count = 0;
    for (; *text && *text != '"'; text++) count += *text == c;
    return count;
}

/* A run that went on from an older state says 16 encodes twice: the last counts, what had come after it does not. */
TEST(curves, runs_as_lines) {
    char line[2000], *svg;
    const char *said;
    size_t size;
    write_log("slow<1", "{\"step\": 1, \"stage\": \"colour\", \"colour\": 0.5}\n"
                        "{\"step\": 1, \"encodes\": 8, \"validation_psnr\": 15, \"validation_iou\": 0.5}\n"
                        "{\"step\": 2, \"encodes\": 16, \"validation_psnr\": 14, \"validation_iou\": 0.25}\n"
                        "{\"step\": 3, \"encodes\": 24, \"validation_psnr\": 13, \"validation_iou\": 0.25}\n"
                        "{\"step\": 2, \"encodes\": 16, \"validation_psnr\": 16, \"validation_iou\": 0.75}");
    write_log("fast", "{\"step\": 5, \"encodes\": 40, \"validation_psnr\": 18, \"validation_iou\": 0.5, "
                      "\"validation_iou_60_120\": 0.5}\n");
    snprintf(line, sizeof line, "curves '%s' %s -o %s", test_file("slow<1"), test_file("fast"),
             test_file("curves.svg"));
    REQUIRE(test_run_parallax(line, &said) == 0, "%s", said);
    REQUIRE(plx_file_read(&svg, &size, test_file("curves.svg"), 1 << 20) == 0, "%s", plx_error());
    EXPECT(strstr(svg, ">slow&lt;1<") && strstr(svg, ">fast<") && strstr(svg, ">validation PSNR, dB<") &&
               strstr(svg, ">encodes<") && strstr(svg, "</svg>") && !strstr(svg, "nan") &&
               !strstr(svg, "inf"),
           "%s", svg);
    const char *points = strstr(svg, "points=\"");
    REQUIRE(points, "no line");
    double x[2] = {0}, y[2] = {0};
    EXPECT(count_of(points + 8, ',') == 2, "not two points: %.80s", points);
    EXPECT(sscanf(points + 8, "%lf,%lf %lf,%lf", &x[0], &y[0], &x[1], &y[1]) == 4, "%.80s", points);
    EXPECT(x[1] > x[0] && y[1] < y[0],
           "16 dB at 16 encodes is not right of and above 15 dB at 8"); /* y is down */
    free(svg);
}

TEST(curves, bad_input) {
    static const struct {
        const char *log, *why;
    } cases[] = {{"{\"step\": 1}\nbroken\n", "line 2 is not a line of a training log"},
                 {"[1]\n", "line 1 is not"},
                 {"{\"step\": 1, \"stage\": \"colour\"}\n", "says nothing of a validation"},
                 {"", "says nothing of a validation"}};
    char line[1500], out[600];
    const char *said;
    snprintf(out, sizeof out, "%s", test_file("no-curves.svg"));
    for (int i = 0; i < 5; i++) {
        if (i < 4) write_log("odd", cases[i].log);
        snprintf(line, sizeof line, "curves %s -o %s", test_file(i < 4 ? "odd" : "absent"), out);
        int code = test_run_parallax(line, &said);
        EXPECT(code == 1 && strstr(said, i < 4 ? cases[i].why : "No such file") && strstr(said, "log.jsonl"),
               "case %d: exit %d: %s", i, code, said);
        EXPECT(access(out, F_OK), "case %d: a plot was written", i);
    }
    snprintf(line, sizeof line, "curves %s", test_file("odd"));
    EXPECT(test_run_parallax(line, &said) == 2 && strstr(said, "--output"), "%s", said);
}
