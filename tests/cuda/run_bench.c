/* parallax bench on table `cuda` without a card: what it times lies in the card's memory, which is closed to the host. */
#include "nerf/card.h"
#include "nerf/workload_kernels.h"
#include "tests/test.h"
#include "tools/bench_report.h"

/* Every kernel of the list at sizes that the emulation runs quickly; what it starts ends without an error. */
TEST(cuda, bench_runs_every_kernel) {
    REQUIRE(!plx_device_use("cuda", "f32"), "%s", plx_error());
    for (int i = 0; i < plx_kernel_workloads(); i++) {
        plx_kernel_case c;
        plx_workload work;
        plx_kernel_workload_case(i, &c);
        for (int k = 0; k < PLX_KERNEL_MAX_SIZES; k++) c.n[k] = c.n[k] > 16 ? 16 : c.n[k];
        if (!strncmp(c.kernel, "slice_", 6)) c.n[2] = 4; /* of 16 channels those from 4 on */
        REQUIRE(!plx_kernel_workload_at(&work, NULL, &c), "%s: %s", c.kernel, plx_error());
        EXPECT(work.run(work.state) == PLX_OK && plx_card_wait() == PLX_OK, "%s: %s", work.name, plx_error());
        plx_workload_free(&work);
    }
    REQUIRE(!plx_device_use("cpu", "f32"), "%s", plx_error());
}

/* A stage: a network's step on the card, its operations counted there; the CPU counts the same. */
TEST(cuda, bench_runs_networks) {
    static const char *const devices[] = {"cpu", "cuda"};
    double flops[2];
    for (int d = 0; d < 2; d++) {
        const plx_network_options o = {
            .part = PLX_NETWORK_DENOISER, .train = true, .batch = 1, .size = 32, .width = 16};
        plx_workload work;
        REQUIRE(!plx_device_use(devices[d], "f32") && !plx_network_workload(&work, &o), "%s", plx_error());
        EXPECT(work.run(work.state) == PLX_OK && plx_card_wait() == PLX_OK, "%s: %s", devices[d],
               plx_error());
        flops[d] = work.flops;
        plx_workload_free(&work);
    }
    EXPECT(flops[0] > 1e6 && flops[1] == flops[0], "%g, %g operations", flops[0], flops[1]);
    REQUIRE(!plx_device_use("cpu", "f32"), "%s", plx_error());
}

static const json_t *entry_of(const json_t *file, const char *name) {
    const json_t *entries = json_object_get(file, "entries"), *entry;
    size_t i;
    json_array_foreach(
        entries, i, entry) if (!strcmp(json_string_value(json_object_get(entry, "name")), name)) return entry;
    return NULL;
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* The command: the card's peaks, per cent of them a kernel, the table's name; a kernel on several tables. */
TEST(cuda, bench_measures_the_card) {
    char *words[] = {"bench",
                     "--device",
                     "cuda",
                     "--precision",
                     "tf32",
                     "--table",
                     "cuda,cpu",
                     "--runs",
                     "3",
                     "-o",
                     (char *)test_file("card.json"),
                     "--filter",
                     "kernel linear_fwd M8 "};
    plx_run run;
    REQUIRE(!plx_run_parse(&run, &plx_cmd_bench, sizeof words / sizeof *words, words), "%s", plx_error());
    int status = plx_run_use_device(&run);
    if (!status) status = plx_cmd_bench.run(&run);
    plx_run_free(&run);
    REQUIRE(!status && !plx_device_use("cpu", "f32"), "%s", plx_error());
    json_t *file = json_load_file(words[10], 0, NULL);
    REQUIRE(file, "no JSON");
    const json_t *peaks = json_object_get(file, "card_peaks"),
                 *memory = json_object_get(peaks, "memory_triad"),
                 *entry = entry_of(file, "linear_fwd M8 I128 O96");
    EXPECT(number(json_array_get(json_object_get(peaks, "multiply_add"), 0), "gflops") > 0 &&
               number(peaks, "products_gflops") > 0 && json_array_size(memory) == 4,
           "the card's peaks");
    for (size_t i = 0; i < json_array_size(memory); i++)
        EXPECT(number(json_array_get(memory, i), "gbytes_per_second") > 0, "memory %zu", i);
    EXPECT(json_array_size(json_object_get(file, "entries")) == 2, "entries");
    REQUIRE(entry, "no such entry");
    EXPECT(!strcmp(json_string_value(
                       json_object_get(json_array_get(json_object_get(file, "entries"), 1), "table")),
                   "cuda"),
           "the second table");
    /* The rest follows from the figures in the file: 2 * 8 * 128 * 96 operations. */
    entry = json_array_get(json_object_get(file, "entries"), 1);
    const double median = number(entry, "median_s"), flops = 2.0 * 8 * 128 * 96;
    const double rate = fmax(number(peaks, "products_gflops"),
                             number(json_array_get(json_object_get(peaks, "multiply_add"), 0), "gflops")) *
                        1e9;
    EXPECT(number(entry, "flops") == flops && median > 0, "%g operations in %g s", number(entry, "flops"),
           median);
    if (!strcmp(json_string_value(json_object_get(entry, "bound")), "flops"))
        EXPECT(fabs(number(entry, "peak_percent") / (100 * flops / rate / median) - 1) < 1e-3, "%g per cent",
               number(entry, "peak_percent"));
    json_decref(file);

    char *none[] = {"bench", "--device", "cpu", "--table", "cuda", "--filter", "kernel silu_fwd"};
    REQUIRE(!plx_run_parse(&run, &plx_cmd_bench, sizeof none / sizeof *none, none), "%s", plx_error());
    EXPECT(!plx_run_use_device(&run) && plx_cmd_bench.run(&run) == PLX_ERROR_SUPPORT &&
               strstr(plx_error(), "on a card"),
           "%s", plx_error());
    plx_run_free(&run);
}
