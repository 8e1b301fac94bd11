/* parallax fit: a radiance field from many posed views of one object. */
#include "tools/keep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct fit_values {
    const char *output, *object, *sheet, *store, *id;
    int holdout, steps, rays, resolution, channels, hidden;
    float rate, radius, seconds;
    int64_t seed;
    bool half;
} fit_values;

#define AT(member) offsetof(fit_values, member)

static const plx_option options[] = {
    {PLX_OPTION_TEXT, "output", 'o', AT(output), NULL, .word = "FILE", .help = "the scene (safetensors)"},
    {PLX_OPTION_TEXT, "object", 0, AT(object), NULL, .word = "NAME",
     .help = "which object of a data set with several"},
    {PLX_OPTION_INT, "holdout", 0, AT(holdout), "0", 0, 100000, .word = "N",
     .help = "keep N views, evenly spread, out of the fit and measure on them"},
    {PLX_OPTION_TEXT, "sheet", 0, AT(sheet), NULL, .word = "FILE",
     .help = "a PNG of held-out views: the truth above, the field below"},
    {PLX_OPTION_INT, "steps", 0, AT(steps), "1000", 1, 10000000, .help = "optimisation steps"},
    {PLX_OPTION_INT, "rays", 0, AT(rays), "2048", 1, 65536, .help = "rays a step"},
    {PLX_OPTION_FLOAT, "seconds", 0, AT(seconds), "0", 0, 1e9, .help = "stop after so long; 0: no limit"},
    {PLX_OPTION_INT, "resolution", 0, AT(resolution), "128", 2, 1024, .help = "texels a side of a plane"},
    {PLX_OPTION_INT, "channels", 0, AT(channels), "16", 16, 64, .help = "of a plane, a multiple of 16"},
    {PLX_OPTION_INT, "hidden", 0, AT(hidden), "32", 16, 256,
     .help = "width of the decoder, a multiple of 16"},
    {PLX_OPTION_FLOAT, "rate", 0, AT(rate), "0.04", 0, 10, .open = true,
     .help = "learning rate at the start"},
    {PLX_OPTION_FLOAT, "radius", 0, AT(radius), NULL, 0, 1000, .open = true,
     .help = "of the sphere about the origin that holds the object (default: from the cameras)"},
    {PLX_OPTION_INT64, "seed", 0, AT(seed), "1", .help = "of everything random"},
    {PLX_OPTION_FLAG, "half", 0, AT(half), .help = "store the planes as 16-bit floats"},
    PLX_KEEP_OPTION(AT(store)),
    {PLX_OPTION_TEXT, "id", 0, AT(id), NULL, .word = "ID",
     .help = "of the object in the store (default: its name in the data, or that of the data's folder)"},
    {.type = PLX_OPTION_END}};

/* ---- views ------------------------------------------------------------------------------------------------ */

static int find_object(const plx_dataset *dataset, const char *path, const char *name, int *out) {
    int count = plx_dataset_count(dataset);
    *out = name ? plx_dataset_find(dataset, name) : 0;
    if (*out < 0) return plx_fail(PLX_ERROR_INPUT, "%s: there is no object '%s'", path, name);
    if (name || count == 1) return PLX_OK;
    return plx_fail(PLX_ERROR_INPUT, "%s: holds %d objects: choose one by --object (the first is %s)", path,
                    count, plx_dataset_name(dataset, 0));
}

/* Every (count / holdout)-th view of the source is held out. */
static int load_views(const fit_values *v, const char *path, plx_views *seen, plx_views *unseen) {
    plx_dataset *dataset;
    int object, status = plx_dataset_open(&dataset, path);
    if (status) return status;
    status = find_object(dataset, path, v->object, &object);
    int count = status ? 0 : plx_dataset_view_count(dataset, object), kept = 0, out = 0;
    int *indices = malloc(sizeof *indices * (size_t)(count + 1)),
        *held = malloc(sizeof *held * (size_t)(count + 1));
    if (!status && (!indices || !held)) status = plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path);
    if (!status && v->holdout >= count)
        status = plx_fail(PLX_ERROR_INPUT, "%s: %d views, of which --holdout %d would leave none", path,
                          count, v->holdout);
    for (int i = 0; i < count && !status; i++) {
        bool hold = (int64_t)(i + 1) * v->holdout / count > (int64_t)i * v->holdout / count;
        if (hold)
            held[out++] = i;
        else
            indices[kept++] = i;
    }
    if (!status) status = plx_dataset_load(dataset, object, indices, kept, seen);
    if (!status && out) status = plx_dataset_load(dataset, object, held, out, unseen);
    free(indices);
    free(held);
    plx_dataset_free(dataset);
    return status;
}

/* ---- held-out views ----------------------------------------------------------------------------------------- */

enum { SHEET_COLUMNS = 8 };

typedef struct score {
    double psnr, ssim, flip, iou, seconds;
} score;

static int compare(plx_field *field, const plx_view *truth, bool has_alpha, score *sum, plx_image *ours,
                   plx_image *theirs) {
    plx_render_options o = plx_render_options_default();
    plx_view view = {.camera = truth->camera};
    double began = plx_now();
    int status = plx_field_render(field, &view, &o);
    if (status) return status;
    sum->seconds += plx_now() - began;
    status = plx_image_over(ours, &view.colour, 1);
    if (!status) status = plx_image_over(theirs, &truth->colour, 1);
    if (!status) {
        sum->psnr += plx_psnr(ours, theirs);
        sum->ssim += plx_ssim(ours, theirs);
        sum->flip += plx_flip(theirs, ours);
        if (has_alpha) sum->iou += plx_silhouette_iou(&view.colour, &truth->colour);
    }
    plx_image_free(&view.colour);
    return status;
}

static int measure(plx_field *field, const plx_views *unseen, const char *sheet_path) {
    int n = unseen->count, columns = n < SHEET_COLUMNS ? n : SHEET_COLUMNS, status = PLX_OK;
    int H = unseen->views[0].colour.height, W = unseen->views[0].colour.width;
    plx_image sheet = {0};
    score sum = {0};
    if (sheet_path) status = plx_image_create(&sheet, 2 * H, columns * W, 3);
    for (int i = 0; i < n && !status; i++) {
        plx_image ours = {0}, theirs = {0};
        const plx_view *truth = &unseen->views[i];
        status = compare(field, truth, unseen->has_alpha, &sum, &ours, &theirs);
        if (!status && sheet_path && i < columns && ours.height == H && ours.width == W) {
            plx_image_paste(&sheet, &theirs, 0, i * W);
            plx_image_paste(&sheet, &ours, H, i * W);
        }
        plx_image_free(&ours);
        plx_image_free(&theirs);
    }
    if (!status && sheet_path) status = plx_png_save(sheet_path, &sheet);
    plx_image_free(&sheet);
    if (status) return status;
    printf("unseen views: %d, PSNR %.2f dB, SSIM %.4f, FLIP %.4f", n, sum.psnr / n, sum.ssim / n,
           sum.flip / n);
    if (unseen->has_alpha) printf(", silhouette IoU %.4f", sum.iou / n);
    printf(", %.3f s a view\n", sum.seconds / n);
    return PLX_OK;
}

/* ---- the command -------------------------------------------------------------------------------------------- */

/* A minute of work should not end at a folder that cannot be written. */
static int check_writable(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int status = folder ? PLX_OK : plx_fail(PLX_ERROR_MEMORY, "%s: no memory", path);
    if (!status && access(folder, W_OK)) status = plx_fail(PLX_ERROR_IO, "%s: %m", path);
    free(folder);
    return status;
}

enum { KEEP_ID = 256 };

/* What the object is called in the store: "/" of "test/chair" becomes "-"; an object without a name of its own is called as the
 * folder that its transforms.json lies in. */
static int keep_id(char out[KEEP_ID], const fit_values *v, const char *data, const char *name) {
    char *whole = strstr(name, ".json") ? realpath(data, NULL) : NULL;
    char *last = whole ? strrchr(whole, '/') : NULL;
    if (last && last > whole && strstr(last, ".json")) *last = 0; /* the file itself was named */
    snprintf(out, KEEP_ID, "%s", v->id ? v->id : whole ? strrchr(whole, '/') + 1 : name);
    free(whole);
    for (char *c = out; *c && !v->id; c++)
        if (*c == '/') *c = '-';
    return v->store ? plx_latent_check_id(out) : PLX_OK;
}

static plx_fit_options fit_options(const fit_values *v, const plx_views *seen) {
    plx_fit_options o = plx_fit_options_default();
    o.steps = v->steps;
    o.rays = v->rays;
    o.seconds = v->seconds;
    o.resolution = v->resolution;
    o.channels = v->channels;
    o.hidden = v->hidden;
    o.rate = v->rate;
    o.radius = isnan(v->radius) ? plx_fit_radius(seen) : v->radius;
    o.seed = (uint64_t)v->seed;
    return o;
}

static int run_fit(const plx_run *run) {
    const fit_values *v = run->values;
    if (!v->output) return plx_fail(PLX_ERROR_USAGE, "fit: --output FILE is needed");
    if (v->sheet && !v->holdout)
        return plx_fail(PLX_ERROR_USAGE, "fit: --sheet shows the views of --holdout");
    plx_views seen = {0}, unseen = {0};
    plx_field *field = NULL;
    plx_latents *latents = NULL;
    char id[KEEP_ID];
    int status = check_writable(v->output);
    if (!status && v->sheet) status = check_writable(v->sheet);
    if (!status) status = load_views(v, run->arguments[0], &seen, &unseen);
    if (!status) status = keep_id(id, v, run->arguments[0], seen.name);
    if (!status) status = plx_keep_open(&latents, v->store);
    double began = plx_now();
    plx_fit_options o = status ? plx_fit_options_default() : fit_options(v, &seen);
    if (!status) status = plx_fit(&field, &seen, &o, plx_show_progress, NULL);
    plx_progress_end();
    if (!status) status = plx_field_save(field, v->output, v->half);
    if (!status) status = plx_keep_field(latents, id, field, NULL, run->arguments[0], run);
    if (!status)
        printf("%s: %s, %d views, sphere of radius %.4g, fitted in %.1f s\n", v->output, seen.name,
               seen.count, (double)o.radius, plx_now() - began);
    if (!status && unseen.count) status = measure(field, &unseen, v->sheet);
    plx_latents_free(latents);
    plx_field_free(field);
    plx_views_free(&seen);
    plx_views_free(&unseen);
    return status;
}

const plx_command plx_cmd_fit = {.name = "fit",
                                 .arguments = "DATA",
                                 .summary = "a scene from many posed views: SRN folders or transforms.json",
                                 .min_arguments = 1,
                                 .max_arguments = 1,
                                 .computes = true,
                                 .options = options,
                                 .values_size = sizeof(fit_values),
                                 .run = run_fit};
