/* The report: which objects it shows, what stands in it, and that a browser takes it. */
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "tools/evaluation_html.h"

enum { OBJECTS = 5, VIEWS = 4, METHODS = 2, SIDE = 16 };

/* Object i is at 20 + i dB by the first method, and 1 dB higher by the second, but for the last. */
static void make_results(plx_eval_result results[METHODS],
                         plx_eval_sample samples[METHODS][OBJECTS * VIEWS]) {
    static const char *const names[] = {"a <b> & \"c\"", "second"};
    for (int m = 0; m < METHODS; m++) {
        for (int k = 0; k < OBJECTS * VIEWS; k++) {
            plx_eval_sample *s = &samples[m][k];
            *s = (plx_eval_sample){.object = k / VIEWS, .gap = 170 - 50 * (k % VIEWS)};
            for (int metric = 0; metric < PLX_EVAL_METRICS; metric++) s->values[metric] = NAN;
            s->values[PLX_EVAL_PSNR] = 20 + s->object + (m && s->object < OBJECTS - 1 ? 1 : 0);
            s->values[PLX_EVAL_FLIP] = 0.1 * (1 + m);
            s->values[PLX_EVAL_SHARPNESS] = m ? 2 : 0.8;
        }
        results[m] = (plx_eval_result){
            .method = names[m], .count = OBJECTS * VIEWS, .samples = samples[m], .seconds = NAN};
    }
}

static const char *const ids[OBJECTS] = {"one", "two", "<three>", "four", "five"};
static const char *const classes[OBJECTS] = {"x", "x", "y", "y", "y"};
static const plx_eval_set set = {.count = OBJECTS, .ids = ids, .classes = classes, .scales = 3, .gaps = true};

TEST(eval_html, best_median_and_worst) {
    plx_eval_result results[METHODS];
    plx_eval_sample samples[METHODS][OBJECTS * VIEWS];
    plx_eval_example e[PLX_EVAL_EXAMPLES];
    int count;
    make_results(results, samples);
    REQUIRE(!plx_eval_examples_choose(e, &count, &set, &results[0], METHODS), "%s", plx_error());
    EXPECT(count == 3 && e[0].object == 4 && e[1].object == 2 && e[2].object == 0, "%d: %d %d %d", count,
           e[0].object, e[1].object, e[2].object);
    EXPECT(e[0].count == 3 && e[0].views[0] == 3 && e[0].views[2] == 0, "by azimuth gap: %d .. %d",
           e[0].views[0], e[0].views[2]);
    for (int k = 0; k < count; k++) plx_eval_example_free(&e[k], METHODS);
    results[0].count = VIEWS; /* one object: it is all three */
    REQUIRE(!plx_eval_examples_choose(e, &count, &set, &results[0], METHODS), "%s", plx_error());
    EXPECT(count == 1 && e[0].object == 0, "%d", count);
    for (int k = 0; k < count; k++) plx_eval_example_free(&e[k], METHODS);
}

static plx_image grey(int height, int width, float value) {
    plx_image image;
    EXPECT(!plx_image_create(&image, height, width, 3), "%s", plx_error());
    for (int i = 0; i < height * width * 3; i++) image.data[i] = value;
    return image;
}

/* The page of the results above; malloc'ed text, and its path. */
static char *save_page(const char **path) {
    static char name[512];
    plx_eval_result results[METHODS];
    plx_eval_sample samples[METHODS][OBJECTS * VIEWS];
    plx_eval_example e[PLX_EVAL_EXAMPLES];
    size_t size;
    char *text = NULL;
    make_results(results, samples);
    plx_eval_page page = {.title = "A & B",
                          .lead = "five < six",
                          .set = &set,
                          .count = METHODS,
                          .results = results,
                          .examples = e};
    EXPECT(!plx_eval_examples_choose(e, &page.example_count, &set, &results[0], METHODS), "%s", plx_error());
    for (int k = 0; k < page.example_count; k++) {
        e[k].input = grey(SIDE, SIDE, 0.5f);
        for (int v = 0; v < e[k].count; v++) e[k].truth[v] = grey(SIDE, SIDE, 0.2f);
        for (int v = 0; v < e[k].count; v++) e[k].shown[1].views[v] = grey(SIDE, SIDE, 0.7f);
        e[k].shown[1].ring = grey(SIDE, SIDE * PLX_EVAL_RING, 0.4f);
    }
    json_t *record = json_pack("{s:s}", "note", "</pre><script>");
    page.record = record;
    snprintf(name, sizeof name, "%s/report.html", test_directory());
    EXPECT(!plx_eval_html_save(name, &page), "%s", plx_error());
    EXPECT(!plx_file_read(&text, &size, name, 1 << 24), "%s", plx_error());
    json_decref(record);
    for (int k = 0; k < page.example_count; k++) plx_eval_example_free(&e[k], METHODS);
    *path = name;
    return text;
}

static int count_of(const char *text, const char *word) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)); at++) count++;
    return count;
}

TEST(eval_html, holds_the_numbers) {
    const char *path;
    char *text = save_page(&path);
    REQUIRE(text, "no page");
    EXPECT(
        strstr(text, "<th scope=\"row\"><span class=\"key m0\"></span>a &lt;b&gt; &amp; &quot;c&quot;</th>"),
        "names are escaped");
    EXPECT(!strstr(text, "<three>") && count_of(text, "<script>") == 1, "names and settings are escaped");
    /* 22 dB by the first, 22.8 by the second, which is better by 0.8; both FLIPs differ by 0.1 everywhere. */
    EXPECT(strstr(text, "data-v=\"22.8\" class=\"best\"><span>22.80</span>"), "the best is marked");
    EXPECT(strstr(text, "class=\"better\"><span>▲ +0.80</span>"), "and better than the reference");
    EXPECT(strstr(text, "class=\"worse\"><span>▼ +0.100</span>"), "a higher FLIP is worse");
    EXPECT(strstr(text, "data-v=\"0.8\" class=\"best\"><span>0.80</span>"), "0.8 is nearer to 1 than 2");
    EXPECT(strstr(text, "second: higher on 4 of 5"), "the scatter counts");
    /* Three objects: input, three truths, three pictures with a map each, a ring. */
    EXPECT(count_of(text, "src=\"data:image/png;base64,iVBORw0KGgo") == 3 * (1 + 3 + 6 + 1), "%d pictures",
           count_of(text, "src=\"data:image/png;base64,iVBORw0KGgo"));
    EXPECT(!strstr(text, "http"), "nothing is fetched");
    free(text);
}

/* What a command prints (up to 64 KB); its status. */
static int run(const char *command, char text[65536]) {
    FILE *pipe = popen(command, "r");
    if (!pipe) return -1;
    text[fread(text, 1, 65535, pipe)] = 0;
    while (fgetc(pipe) != EOF) continue;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(eval_html, is_valid) {
    const char *path;
    char command[1024], text[65536];
    if (system("command -v tidy >/dev/null")) SKIP("no tidy (make deps-browser)");
    free(save_page(&path));
    snprintf(command, sizeof command, "tidy -q -e --drop-empty-elements no %s 2>&1", path);
    int code = run(command, text);
    EXPECT(code == 0, "%d: %s", code, text);
}

/* The script runs to its end (it puts buttons into the headings), and nothing is said on the console. */
TEST(eval_html, runs_in_a_browser) {
    const char *path;
    char command[2048], text[65536];
    if (system("command -v chromium >/dev/null")) SKIP("no chromium (make deps-browser)");
    free(save_page(&path));
    snprintf(command, sizeof command,
             "timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic "
             "--no-first-run "
             "--disable-background-networking --disable-component-update --disable-sync "
             "--user-data-dir=%s/browser "
             "--enable-logging=stderr --dump-dom file://%s 2>&1 >%s.dom | grep CONSOLE; tail -c 4000 %s.dom; "
             "grep -c '<button type=\"button\">' %s.dom",
             test_directory(), path, path, path, path);
    run(command, text);
    EXPECT(!strstr(text, "CONSOLE"), "%s", text);
    EXPECT(strstr(text, "</html>") && atoi(strstr(text, "</html>") + 8) > 0, "the script did not run: %s",
           text);
}
