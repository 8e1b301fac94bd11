/* Table `cuda` on stand-ins, part two: a card that runs out of memory, and convolutions of bfloat16. */
#include "diffusion/model.h"
#include "nerf/core/file.h"
#include "nerf/tensor/memory.h"
#include "nerf/tensor/ops.h"
#include "tests/cuda/standin.h"
#include "tests/kernel_check.h"
#include "tests/spheres.h"

#include <sys/wait.h>
#include <unistd.h>

/* ---- memory that is refused --------------------------------------------------------------------------------------------- */

enum { SAID = 42, MOST = 200 };

static plx_train_options options(const char *folder, int steps) {
    plx_train_options o = plx_train_options_default(PLX_STAGE_JOINT);
    o.size = 16, o.width = o.denoiser_width = 16, o.batch = o.targets = 1;
    o.input_rays = 4, o.target_rays = 4, o.coarse = o.fine = 4;
    o.warmup = 1, o.log_every = 4, o.steps = steps;
    o.folder = folder;
    return o;
}

/* The device works as before, when what failed has been given back. */
static bool works(void) {
    plx_device device;
    const float numbers[3] = {1, 2, 3};
    float seen[3] = {0};
    if (plx_device_open(&device, "cuda")) return false;
    float *block = plx_memory_take(device.memory, sizeof numbers);
    if (!block) return false;
    device.memory->write(block, numbers, sizeof numbers);
    device.memory->read(seen, block, sizeof seen);
    plx_memory_give(device.memory, block, sizeof numbers);
    return !memcmp(seen, numbers, sizeof seen) && !device.memory->finish();
}

/* A process whose allocation `n` of the card's memory is refused goes on with a run of one step: exit status SAID if that is a
 * line that says of what, how much and how little, 0 if there were fewer allocations. */
static int in_process(const char *folder, size_t n, char line[512]) {
    int pipes[2], how = 0;
    if (pipe(pipes)) abort();
    fflush(stdout);
    const pid_t child = fork();
    if (!child) {
        const plx_train_options o = options(folder, 2);
        int status = plx_device_choose("cuda", "f32");
        standin_allocations = 0,
        standin_refused = n; /* behind the stages, which the device has from the beginning */
        if (!status) status = plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL);
        snprintf(line, 512, "%s", status ? plx_error() : "");
        if (write(pipes[1], line, strlen(line)) < 0) _exit(1);
        const bool said =
            strstr(line, "out of memory, ") && strstr(line, " bytes asked, ") && strstr(line, " free");
        _exit(!status ? 0 : status == PLX_ERROR_MEMORY && said && works() ? SAID : 1);
    }
    close(pipes[1]);
    line[0] = 0;
    const ssize_t got = read(pipes[0], line, 511);
    line[got > 0 ? got : 0] = 0;
    close(pipes[0]);
    waitpid(child, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

/* Every allocation of a step that goes on from a saved one. What is saved stays as it is, byte by byte. */
TEST(cuda, memory_that_is_refused) {
    char folder[256], state[300], line[512], *before, *now;
    size_t size, again, n = 0;
    bool tensor = false, kernel = false;
    if (standin_allocations) SKIP("after other tests the workspaces have grown: run it alone");
    snprintf(folder, sizeof folder, "%s", test_file("refused"));
    snprintf(state, sizeof state, "%s/state.safetensors", folder);
    const plx_train_options o = options(folder, 1);
    REQUIRE(!plx_device_choose("cpu", "f32") && !plx_train(&o, sphere_batch, NULL, NULL, NULL, NULL), "%s",
            plx_error());
    REQUIRE(!plx_file_read(&before, &size, state, 1 << 28), "%s", plx_error());
    int status = SAID;
    while (status == SAID && n < MOST) {
        status = in_process(folder, ++n, line);
        if (getenv("CURVES")) printf("    %zu: %s\n", n, line);
        tensor |= strstr(line, "step 1: cuda: input: ") != NULL;
        kernel |= strstr(line, "step 1: cuda: attention_bwd: ") != NULL;
        if (status != SAID) break;
        REQUIRE(!plx_file_read(&now, &again, state, 1 << 28), "%s", plx_error());
        EXPECT(again == size && !memcmp(before, now, size), "allocation %zu: the saved state is another", n);
        free(now);
    }
    EXPECT(status == 0 && n > 20, "allocation %zu: exit status %d, '%s'", n, status, line);
    EXPECT(tensor && kernel, "no tensor, or no kernel, was named");
    free(before);
}

/* A tape that grows by little: the op whose tensor there is no memory for is named, forward and backward, in a process that goes on. */
TEST(cuda, tensors_that_are_refused) {
    enum { N = 300000 }; /* 1.2 MB */
    static float numbers[N];
    bool silu = false, scale = false;
    int status = PLX_ERROR_MEMORY;
    for (size_t n = 1; status && n < MOST; n++) {
        plx_device device;
        plx_tape *tape = NULL;
        REQUIRE(!plx_device_open(&device, "cuda"), "%s", plx_error());
        standin_allocations = 0, standin_refused = n;
        REQUIRE(!plx_tape_create(&tape, device, (size_t)24 << 20, true), "%s", plx_error());
        plx_tensor *x = plx_tape_input(tape, PLX_SHAPE(N), numbers, true);
        x = plx_scale(tape, plx_silu(tape, plx_scale(tape, x, 2)), 3);
        plx_tape_backward(tape, plx_loss_lp(tape, x, numbers, NULL, 2));
        status = plx_memory_finish(device.memory);
        if (getenv("CURVES")) printf("    %zu: %s\n", n, status ? plx_error() : "");
        EXPECT(!status || (status == PLX_ERROR_MEMORY && strstr(plx_error(), " bytes asked, ")), "%s",
               plx_error());
        silu |= status && strstr(plx_error(), "cuda: silu: ") == plx_error();
        scale |= status && strstr(plx_error(), "cuda: scale: ") == plx_error();
        plx_tape_free(tape);
        standin_refused = 0;
        EXPECT(works(), "after allocation %zu: %s", n, plx_error());
    }
    EXPECT(status == 0 && silu && scale, "silu %d, scale %d", silu, scale);
}

/* ---- convolutions of bfloat16 ------------------------------------------------------------------------------------------ */

static float *rounded(const float *x, size_t count, int bits) {
    float *out = array_copy(x, count);
    for (size_t i = 0; i < count; i++) out[i] = standin_rounded(x[i], bits);
    return out;
}

/* seen = before + the sums, which are rounded to `bits`: the other order of the sums may round another way, in few of them. */
static void expect_rounded(const char *what, const float *seen, const float *before, const float *sums,
                           size_t count, int bits) {
    size_t other = 0;
    for (size_t i = 0; i < count; i++) {
        const float sum = standin_rounded(sums[i], bits);
        const double off = fabs((double)seen[i] - before[i] - sum);
        other += !(off < 1e-5);
        EXPECT(off < 1e-5 + ldexp(fabs(sum), -bits), "%s: element %zu is %g + %g, not + %g", what, i,
               before[i], seen[i] - before[i], sum);
    }
    EXPECT(other <= count / 50 + 1, "%s: %zu of %zu round another way", what, other, count);
}

/* By ref, of factors that are bfloat16; where the heuristics know no such algorithm (odd channels), tf32. */
TEST(cuda, convolutions_of_bf16) {
    static const plx_conv_size sizes[] = {
        {2, 5, 7, 4, 6, 3, 1}, {3, 6, 4, 8, 2, 3, 2}, {1, 4, 6, 2, 4, 1, 2}, {2, 9, 8, 5, 3, 5, 1}};
    const plx_kernels *r = table("ref"), *c = card_table();
    REQUIRE(!plx_device_choose("cuda", "bf16"), "%s", plx_error());
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes;
         i++) { /* twice: by what was chosen in the first */
        const plx_conv_size s = sizes[i / 2];
        const int bits = s.I % 2 || s.O % 2 ? 10 : 7, sum_bits = bits == 7 ? 7 : 23;
        const size_t X = (size_t)(s.N * s.H * s.W * s.I), W = (size_t)(s.O * s.K * s.K * s.I),
                     O = (size_t)s.O;
        const size_t Y = (size_t)(s.N * (s.H / s.stride) * (s.W / s.stride) * s.O);
        const float *x = array(X, 1), *w = array(W, 2), *b = array(O, 3), *dy = array(Y, 4);
        const float *xr = rounded(x, X, bits), *wr = rounded(w, W, bits), *dyr = rounded(dy, Y, bits);
        float *sums = array(Y, 5), *dxs = array(X, 6), *dws = array(W, 7), *biases = array(Y, 8),
              *zero = array(Y, 9);
        memset(dxs, 0, X * sizeof *dxs), memset(dws, 0, W * sizeof *dws), memset(zero, 0, Y * sizeof *zero);
        for (size_t k = 0; k < Y; k++) biases[k] = b[k % O];
        r->conv_fwd(s, xr, wr, NULL, sums);
        r->conv_bwd(s, xr, wr, dyr, dxs, dws, NULL);
        float *y = array(Y, 10), *dx = array(X, 11), *dw = array(W, 12);
        const float *dx0 = array_copy(dx, X), *dw0 = array_copy(dw, W);
        c->conv_fwd(s, x, w, NULL, y);
        expect_rounded("y", y, zero, sums, Y, sum_bits);
        c->conv_fwd(s, x, w, b, y);
        expect_rounded("y with bias", y, biases, sums, Y, sum_bits);
        c->conv_bwd(s, x, w, dy, dx, dw, NULL);
        expect_rounded("dx", dx, dx0, dxs, X, sum_bits);
        expect_rounded("dw", dw, dw0, dws, W, sum_bits);
        free_arrays();
    }
    REQUIRE(!plx_device_choose("cuda", "f32"), "%s", plx_error());
}
