/* Table `cuda` whole, on the CPU: the kernels under tests/cuda/emulation.h, NVIDIA's libraries as stand-ins. Models train, fields are
 * fitted and rendered as on table `cpu`; device memory is closed to the host. */
#include "diffusion/model.h"
#include "nerf/core/error.h"
#include "nerf/field.h"
#include "nerf/tensor/kernels.h"
#include "nerf/tensor/memory.h"
#include "tests/cuda/standin.h"
#include "tests/spheres.h"
#include "tests/test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

extern void (*emulation_launching)(const char *kernel);
extern void (*emulation_launched)(const char *kernel);
extern int emulation_order;

static void launching(const char *kernel) {
    (void)kernel;
    standin_begin();
}

static void launched(const char *kernel) {
    (void)kernel;
    standin_end();
}

__attribute__((constructor)) static void hook(void) {
    emulation_launching = launching;
    emulation_launched = launched;
    const char *order = getenv("EMULATION_ORDER"); /* as in run_kernels.cpp */
    emulation_order = order ? atoi(order) : 0;
}

/* ---- devices ------------------------------------------------------------------------------------------------------------ */

/* Before any other: a card that has been opened stays. */
TEST(cuda, a_machine_without_a_card) {
    plx_device device;
    standin_cards = 0;
    EXPECT(plx_device_open(&device, "cuda") == PLX_ERROR_SUPPORT &&
               !strcmp(plx_error(), "device 'cuda:0': no CUDA-capable device is detected"),
           "%s", plx_error());
    EXPECT(!plx_device_open(&device, "auto") && !strcmp(device.name, "cpu"), "auto is %s", device.name);
    standin_cards = 1;
    EXPECT(plx_device_open(&device, "cuda:1") == PLX_ERROR_SUPPORT &&
               strstr(plx_error(), "this machine has 1"),
           "%s", plx_error());
    EXPECT(plx_device_open(&device, "cuda:x") == PLX_ERROR_INPUT && strstr(plx_error(), "cuda:x"), "%s",
           plx_error());
    EXPECT(!plx_device_open(&device, "auto") && !strcmp(device.name, "cuda"), "auto is %s", device.name);
    EXPECT(plx_device_choose("cpu", "bf16") == PLX_ERROR_SUPPORT && strstr(plx_error(), "f32"), "%s",
           plx_error());
    EXPECT(plx_device_choose("cuda", "f8") == PLX_ERROR_INPUT && strstr(plx_error(), "f8"), "%s",
           plx_error());
}

static plx_device card(void) {
    plx_device device;
    if (plx_device_open(&device, "cuda")) {
        printf("    %s\n", plx_error());
        abort();
    }
    return device;
}

TEST(cuda, memory_is_not_the_hosts) {
    const plx_memory *memory = card().memory;
    const float numbers[3] = {1, 2, 3};
    float seen[3] = {0};
    float *block = plx_memory_take(memory, sizeof numbers);
    REQUIRE(block, "%s", plx_error());
    memory->write(block, numbers, sizeof numbers);
    memory->read(seen, block, sizeof seen);
    EXPECT(!memcmp(seen, numbers, sizeof seen), "%g %g %g", seen[0], seen[1], seen[2]);
    standin_close();
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        signal(SIGSEGV, SIG_DFL);
        _exit(block[1] == 2); /* not reached */
    }
    int how = 0;
    waitpid(child, &how, 0);
    EXPECT(WIFSIGNALED(how) && WTERMSIG(how) == SIGSEGV, "the host read device memory: %d", how);
    plx_memory_give(memory, block, sizeof numbers);

    char *range = NULL;
    REQUIRE(!memory->reserve(&range, (size_t)8 << 30), "%s", plx_error());
    EXPECT(memory->commit(range, (size_t)2 << 30) == PLX_ERROR_MEMORY && strstr(plx_error(), "out of memory"),
           "%s", plx_error());
    EXPECT(!memory->commit(range, 1000), "%s", plx_error());
    memory->release(range, (size_t)8 << 30);
}

/* More numbers than the stages hold, in pieces of all lengths, some of them rewritten; returns how many come back otherwise. */
static size_t count_lost(void) {
    enum { COUNT = 7 << 20 };
    const plx_memory *memory = card().memory;
    float *numbers = malloc(sizeof *numbers * COUNT), *seen = malloc(sizeof *seen * COUNT);
    float *block = plx_memory_take(memory, sizeof *numbers * COUNT);
    size_t lost = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) numbers[i] = (float)(i + 1) * (round ? -1 : 1);
        for (size_t i = 0, part; i < COUNT; i += part) {
            part = i % 7 ? 1 + i % 10139 : 200000;
            part = part < COUNT - i ? part : COUNT - i;
            memory->write(block + i, numbers + i, sizeof *numbers * part);
            if (i % 3 == 0) memory->zero(block, 0); /* now and then something comes between */
        }
        memory->read(seen, block, sizeof *seen * COUNT);
        for (size_t i = 0; i < COUNT; i++) lost += seen[i] != numbers[i];
    }
    plx_memory_give(memory, block, sizeof *numbers * COUNT);
    free(numbers), free(seen);
    return lost;
}

/* Each wait between the host, the stream of the copies and that of the kernels is needed: without it numbers are lost, or the
 * stand-in stops. */
TEST(cuda, copies_are_waited_for) {
    REQUIRE(card().memory, "no card");
    EXPECT(count_lost() == 0, "numbers were lost");
    for (enum standin_wait deaf = NONE_DEAF; deaf <= HOST_FOR_COPIES; deaf++) {
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            standin_deaf = deaf;
            if (!freopen("/dev/null", "w", stderr)) _exit(3);
            _exit(count_lost() ? 2 : 0);
        }
        int how = 0;
        waitpid(child, &how, 0);
        const int status = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
        static const int expected[] = {
            [KERNELS_FOR_COPIES] = 2, [COPIES_FOR_KERNELS] = 1, [HOST_FOR_COPIES] = 1};
        EXPECT(status == expected[deaf], /* 1: the stand-in's own check; 2: numbers are lost */
               "without wait %d: exit status %d", (int)deaf, status);
    }
}

/* ---- training ---------------------------------------------------------------------------------------------------------------- */

enum { STEPS = 20, LINE = 1024 };

static plx_train_options small(enum plx_train_stage stage, const char *name) {
    plx_train_options o = plx_train_options_default(stage);
    o.size = 16;
    o.width = o.denoiser_width = 16;
    o.batch = 1;
    o.targets = 1;
    o.input_rays = 12, o.target_rays = 20;
    o.coarse = o.fine = 6;
    o.steps = STEPS;
    o.warmup = 4;
    o.log_every = 1;
    o.folder = test_file(name);
    return o;
}

/* The numbers of a run's log under a name, a line a step; returns how many. */
static int read_log(const char *folder, const char *term, double *values) {
    char path[512], line[LINE], key[64];
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    snprintf(key, sizeof key, "\"%s\": ", term);
    FILE *file = fopen(path, "r");
    int count = 0;
    while (file && count < STEPS && fgets(line, sizeof line, file)) {
        const char *at = strstr(line, key);
        if (at) values[count++] = atof(at + strlen(key));
    }
    if (file) fclose(file);
    return count;
}

static int train(const char *device, const char *precision, const plx_train_options *o) {
    int status = plx_device_choose(device, precision);
    if (!status) status = plx_train(o, sphere_batch, NULL, NULL, NULL, NULL);
    return status;
}

/* Rounding in another order grows from step to step: 1e-5 of a loss was measured. The log has six digits. */
static void expect_same_curve(const char *term, const char *a, const char *b, double tolerance) {
    double x[STEPS], y[STEPS], worst = 0;
    int n = read_log(a, term, x), m = read_log(b, term, y);
    EXPECT(n == STEPS && m == STEPS, "%s: %d and %d values", term, n, m);
    for (int i = 0; i < n && i < m; i++) worst = fmax(worst, fabs(x[i] - y[i]) / fmax(fabs(x[i]), 1e-2));
    EXPECT(worst <= tolerance, "%s differs by %g of itself", term, worst);
    if (getenv("CURVES")) printf("    %s: %g, from %g to %g\n", term, worst, x[0], x[n - 1]);
}

TEST(cuda, training_follows_the_cpu) {
    plx_train_options cpu = small(PLX_STAGE_JOINT, "cpu"), cuda = small(PLX_STAGE_JOINT, "cuda");
    REQUIRE(!train("cpu", "f32", &cpu), "%s", plx_error());
    REQUIRE(!train("cuda", "f32", &cuda), "%s", plx_error());
    static const char *const terms[] = {"colour",  "likelihood", "hit_colour",
                                        "surface", "denoise",    "gradient_norm"};
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
        expect_same_curve(terms[i], cpu.folder, cuda.folder, 2e-4);
}

/* Between two lines of the log nothing comes back from the card, the host waits for nothing, and what it sends waits for no kernel;
 * the numbers are the same. */
typedef struct traffic {
    int64_t first, last;
    size_t reads, waits, copies, copy_waits; /* at the first */
    size_t more_reads, more_waits, more_copies, more_copy_waits;
} traffic;

static int count_traffic(const plx_progress *p, void *user) {
    traffic *t = user;
    if (p->done == t->first) {
        t->reads = standin_reads, t->waits = standin_waits;
        t->copies = standin_copies, t->copy_waits = standin_copy_waits;
    }
    if (p->done == t->last) {
        t->more_reads = standin_reads - t->reads, t->more_waits = standin_waits - t->waits;
        t->more_copies = standin_copies - t->copies, t->more_copy_waits = standin_copy_waits - t->copy_waits;
    }
    return 0;
}

TEST(cuda, steps_wait_for_nothing) {
    plx_train_options o = small(PLX_STAGE_JOINT, "quiet");
    traffic t = {.first = 1, .last = 4};
    o.steps = 5, o.log_every = 5;
    REQUIRE(!plx_device_choose("cuda", "f32"), "%s", plx_error());
    REQUIRE(!plx_train(&o, sphere_batch, NULL, NULL, count_traffic, &t), "%s", plx_error());
    EXPECT(t.more_reads == 0 && t.more_waits == 0, "%zu reads, %zu waits in 3 steps", t.more_reads,
           t.more_waits);
    EXPECT(t.more_copies > 3 && t.more_copy_waits == 0, "%zu copies to the card, %zu waits for kernels",
           t.more_copies, t.more_copy_waits);
    double each[STEPS], mean[STEPS], sum = 0;
    plx_train_options again = small(PLX_STAGE_JOINT, "quiet-each");
    again.steps = 5;
    REQUIRE(!plx_train(&again, sphere_batch, NULL, NULL, NULL, NULL), "%s", plx_error());
    int n = read_log(again.folder, "gradient_norm", each);
    REQUIRE(n == 5 && read_log(o.folder, "gradient_norm", mean) == 1, "%d lines", n);
    for (int i = 0; i < n; i++) sum += each[i] / 5;
    EXPECT(fabs(mean[0] / sum - 1) < 1e-5, "the mean norm is %g, not %g", mean[0],
           sum); /* six digits are logged */
}

/* A truth that is not finite, in step 3: found when the log is read, named as the CPU names it; the parameters have not moved since. */
static int broken_batch(const plx_batch_request *r, plx_views *out, void *user) {
    int status = sphere_batch(r, out, user);
    if (!status && r->step == 3)
        for (int p = 0; p < r->size * r->size * 4; p++) out->views[1].colour.data[p] = NAN;
    return status;
}

TEST(cuda, what_is_not_finite_is_named) {
    char line[512];
    plx_train_options cpu = small(PLX_STAGE_COLOUR, "broken-cpu"),
                      cuda = small(PLX_STAGE_COLOUR, "broken-cuda");
    cuda.log_every = 5;
    REQUIRE(!plx_device_choose("cpu", "f32"), "%s", plx_error());
    EXPECT(plx_train(&cpu, broken_batch, NULL, NULL, NULL, NULL) == PLX_ERROR_NUMERIC, "%s", plx_error());
    snprintf(line, sizeof line, "%s", plx_error());
    EXPECT(strstr(line, "step 3"), "%s", line);
    REQUIRE(!plx_device_choose("cuda", "f32"), "%s", plx_error());
    EXPECT(plx_train(&cuda, broken_batch, NULL, NULL, NULL, NULL) == PLX_ERROR_NUMERIC, "%s", plx_error());
    EXPECT(!strcmp(line, plx_error()), "cpu: %s; cuda: %s", line, plx_error());
}

/* Factors of 8 and 11 bits move a loss by some thousandths; and they do move it. */
TEST(cuda, precisions) {
    static const char *const names[] = {"tf32", "bf16"};
    plx_train_options exact = small(PLX_STAGE_GEOMETRY, "f32");
    exact.steps = 3;
    REQUIRE(!train("cuda", "f32", &exact), "%s", plx_error());
    double x[STEPS], y[STEPS];
    REQUIRE(read_log(exact.folder, "surface", x) == 3, "the log has other lines");
    for (int i = 0; i < 2; i++) {
        plx_train_options o = small(PLX_STAGE_GEOMETRY, names[i]);
        o.steps = 3;
        REQUIRE(!train("cuda", names[i], &o), "%s", plx_error());
        REQUIRE(read_log(o.folder, "surface", y) == 3, "the log has other lines");
        double off = fabs(y[2] / x[2] - 1);
        EXPECT(off > 1e-7 && off < 0.02, "%s: %g, not %g", names[i], y[2], x[2]);
    }
    REQUIRE(!plx_device_choose("cuda", "f32"), "%s", plx_error());
}

/* ---- fields -------------------------------------------------------------------------------------------------------------------- */

enum { VIEWS = 4, SIDE = 16 };

static int make_views(plx_views *views) {
    int status = plx_views_create(views, VIEWS);
    for (int i = 0; i < VIEWS && !status; i++)
        status = sphere_view(
            &views->views[i],
            plx_camera_orbit((float)i * 1.57f, 0.3f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, SIDE, SIDE),
            0.35f);
    views->has_alpha = true;
    return status;
}

/* Fits and renders; the picture's colour, opacity and depth. */
static int fit_and_render(const char *device, const plx_views *views, plx_view *out) {
    plx_field *field = NULL;
    plx_fit_options o = plx_fit_options_default();
    o.steps = 60, o.rays = 40, o.resolution = 16, o.channels = 16, o.hidden = 16, o.seconds = 0,
    o.radius = 0.5f;
    plx_render_options render = plx_render_options_default();
    render.samples = 24;
    *out = (plx_view){.camera = plx_camera_orbit(0.7f, 0.5f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 12, 12)};
    int status = plx_device_choose(device, "f32");
    if (!status) status = plx_fit(&field, views, &o, NULL, NULL);
    if (!status) status = plx_field_render(field, out, &render);
    plx_field_free(field);
    return status;
}

/* The largest difference of a premultiplied pixel; the mean opacity of the first. */
static double picture_difference(const plx_view *one, const plx_view *two, double *opacity) {
    const size_t pixels = (size_t)(one->colour.height * one->colour.width);
    double worst = 0;
    *opacity = 0;
    for (size_t i = 0; i < pixels; i++) {
        const float *a = one->colour.data + 4 * i, *b = two->colour.data + 4 * i;
        for (int c = 0; c < 4; c++)
            worst = fmax(worst, fabs((double)a[c] * (c < 3 ? a[3] : 1) - b[c] * (c < 3 ? b[3] : 1)));
        *opacity += a[3] / (double)pixels;
    }
    return worst;
}

TEST(cuda, fields_are_fitted_and_rendered_as_on_the_cpu) {
    plx_views views = {0};
    plx_view seen[2];
    REQUIRE(!make_views(&views), "%s", plx_error());
    REQUIRE(!fit_and_render("cpu", &views, &seen[0]), "%s", plx_error());
    REQUIRE(!fit_and_render("cuda", &views, &seen[1]), "%s", plx_error());
    double opacity, worst = picture_difference(&seen[0], &seen[1], &opacity);
    EXPECT(opacity > 0.05 && opacity < 0.9, "mean opacity %g", opacity);
    EXPECT(worst < 0.02, "a pixel differs by %g", worst); /* after 60 steps of Adam, 5 grey levels */
    if (getenv("CURVES")) printf("    pictures: %g, opacity %g\n", worst, opacity);
    plx_image_free(&seen[0].colour), plx_image_free(&seen[1].colour);
    plx_views_free(&views);
}

/* Steps on rays of all views: everywhere first, then in occupied cells. From the look for those to the last step nothing comes back
 * from the card, which counts the samples itself; nor does a picture but whole. */
typedef struct occupied_run {
    double first, last; /* losses */
    size_t reads, waits, picture_reads;
    plx_view seen;
} occupied_run;

static int take_steps(plx_field *field, const plx_views *views, int from, int to, bool occupied,
                      double *loss) {
    enum { RAYS = 48 };
    plx_ray_target targets[RAYS];
    plx_step_options o = plx_step_options_default();
    o.rate = 2e-2f, o.decoder_rate = 0.5f, o.coarse = 24, o.fine = 0, o.total_variation = 1,
    o.skip_empty = occupied;
    int status = PLX_OK;
    for (int step = from; step < to && !status; step++) {
        for (int r = 0; r < RAYS; r++) {
            const plx_view *v = &views->views[(r + step) % views->count];
            const int row = (5 * r + step) % SIDE, column = (3 * r + 7 * step) % SIDE;
            const float *rgba = v->colour.data + 4 * (row * SIDE + column);
            targets[r] = (plx_ray_target){.opacity = rgba[3], .weight = 1};
            plx_camera_ray(&v->camera, (float)column + 0.5f, (float)row + 0.5f, targets[r].origin,
                           targets[r].direction);
            for (int c = 0; c < 3; c++) targets[r].colour[c] = rgba[3] * rgba[c] + 1 - rgba[3];
        }
        status = plx_field_step(field, RAYS, targets, &o, 3, step + 1 == to ? loss : NULL);
    }
    return status;
}

static int run_occupied(const char *device, const plx_views *views, occupied_run *out) {
    const plx_field_size size = {
        .N = 1, .C = 16, .F = 4, .H = 16, .xy = {12, 12}, .xz = {12, 12}, .yz = {12, 12}};
    plx_field *field = NULL;
    plx_render_options render = plx_render_options_default();
    render.samples = 24;
    out->seen =
        (plx_view){.camera = plx_camera_orbit(0.7f, 0.5f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 12, 12)};
    int status = plx_device_choose(device, "f32");
    if (!status)
        status = plx_field_create(&field, size, plx_frame_make(PLX_FRAME_WORLD, NULL, 0.5f), 5, true);
    if (!status) field->empty_below = 0.5f;
    if (!status) status = take_steps(field, views, 0, 40, false, &out->first);
    out->reads = standin_reads, out->waits = standin_waits;
    if (!status) status = plx_field_update_occupancy(field);
    if (!status) status = take_steps(field, views, 40, 50, true, NULL);
    out->reads = standin_reads - out->reads, out->waits = standin_waits - out->waits;
    if (!status) status = take_steps(field, views, 50, 51, true, &out->last);
    out->picture_reads = standin_reads;
    if (!status) status = plx_field_render(field, &out->seen, &render);
    out->picture_reads = standin_reads - out->picture_reads;
    plx_field_free(field);
    return status;
}

TEST(cuda, steps_in_occupied_cells_read_nothing) {
    plx_views views = {0};
    occupied_run cpu, cuda;
    REQUIRE(!make_views(&views), "%s", plx_error());
    REQUIRE(!run_occupied("cpu", &views, &cpu), "%s", plx_error());
    REQUIRE(!run_occupied("cuda", &views, &cuda), "%s", plx_error());
    EXPECT(cuda.reads == 0 && cuda.waits == 0, "%zu reads, %zu waits in 10 steps", cuda.reads, cuda.waits);
    EXPECT(cuda.picture_reads == 1, "%zu reads for a picture", cuda.picture_reads);
    double opacity, worst = picture_difference(&cpu.seen, &cuda.seen, &opacity);
    EXPECT(cpu.last < cpu.first && fabs(cuda.last / cpu.last - 1) < 1e-2, "losses: %g to %g, and %g to %g",
           cpu.first, cpu.last, cuda.first, cuda.last);
    EXPECT(opacity > 0.02 && opacity < 0.9 && worst < 0.02, "opacity %g, a pixel differs by %g", opacity,
           worst);
    if (getenv("CURVES"))
        printf("    losses %g and %g, pictures: %g, opacity %g\n", cpu.last, cuda.last, worst, opacity);
    plx_image_free(&cpu.seen.colour), plx_image_free(&cuda.seen.colour);
    plx_views_free(&views);
}

/* A model trained above, one picture to a field, saved and read again. */
TEST(cuda, a_picture_is_reconstructed_as_on_the_cpu) {
    plx_view input = {0};
    REQUIRE(
        !sphere_view(&input, plx_camera_orbit(0, 0.3f, PLX_DEFAULT_DISTANCE, PLX_DEFAULT_FOV, 16, 16), 0.3f),
        "%s", plx_error());
    plx_train_options o = small(PLX_STAGE_GEOMETRY, "for-a-picture");
    char path[512];
    o.steps = 1;
    REQUIRE(!train("cpu", "f32", &o), "%s", plx_error());
    snprintf(path, sizeof path, "%s/model.safetensors", o.folder);
    float *planes[2] = {0};
    size_t count = 0;
    static const char *const devices[] = {"cpu", "cuda"};
    for (int d = 0; d < 2; d++) {
        plx_model *model = NULL;
        plx_field *field = NULL, *again = NULL;
        REQUIRE(!plx_device_choose(devices[d], "f32"), "%s", plx_error());
        REQUIRE(!plx_model_load(&model, path), "%s", plx_error());
        REQUIRE(!plx_model_reconstruct(&field, model, &input, true, false), "%s", plx_error());
        const char *scene = test_file_in(devices[d], "-scene.safetensors");
        REQUIRE(!plx_field_save(field, scene, false) && !plx_field_load(&again, scene, false), "%s",
                plx_error());
        const plx_tensor *xy = again->operands.xy;
        count = plx_tensor_size(xy);
        planes[d] = malloc(sizeof(float) * count);
        plx_params_read(again->params, xy, planes[d]);
        plx_field_free(field), plx_field_free(again), plx_model_free(model);
    }
    double worst = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        worst = fmax(worst, fabs((double)planes[0][i] - planes[1][i]));
        largest = fmax(largest, fabs(planes[0][i]));
    }
    EXPECT(largest > 0.1 && worst < 1e-3 * largest, "a texel differs by %g of %g", worst, largest);
    free(planes[0]), free(planes[1]);
    plx_image_free(&input.colour), plx_image_free(&input.depth), plx_image_free(&input.normal);
}
