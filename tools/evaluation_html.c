#include "tools/evaluation_html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_html_parts.h"
#include "tools/machine.h"
#include "tools/parallax.h"

/* The files of the style and of the script, as text. */
__asm__(".section .rodata\n"
        "page_style: .incbin \"tools/evaluation_page.css\"\n.byte 0\n"
        "page_script: .incbin \"tools/evaluation_page.js\"\n.byte 0\n"
        ".previous\n");
extern const char page_style[], page_script[];

void plx_html_number(FILE *out, double value, int metric) {
    if (isnan(value))
        fputs("–", out);
    else if (isinf(value))
        fputs("∞", out);
    else
        fprintf(out, "%.*f", plx_eval_kinds[metric].decimals, value);
}

static void put_signed(FILE *out, double value, int metric) {
    int decimals = plx_eval_kinds[metric].decimals;
    fprintf(out, plx_eval_kinds[metric].geometric ? "×%.*f" : "%+.*f", decimals, value);
}

static const char *arrow_of(int metric) {
    static const char *const arrows[] = {"↑", "↓", "→ 1", ""};
    return arrows[plx_eval_kinds[metric].better];
}

static size_t at(int method, int metric) {
    return (size_t)method * PLX_EVAL_METRICS + (size_t)metric;
}

/* ---- tables: of image metrics, and of 3D consistency ---------------------------------------------------------------- */

static void open_table(FILE *out, const char *first) {
    fprintf(out, "<div class=\"scroll\"><table class=\"sortable\"><thead><tr><th scope=\"col\">%s</th>",
            first);
}

/* Metrics first .. end-1. */
typedef struct group {
    int first, end;
} group;

static const group groups[] = {{0, PLX_EVAL_FIELD_PSNR}, {PLX_EVAL_FIELD_PSNR, PLX_EVAL_METRICS}};

static bool any_measured(const plx_html_numbers *n, const group *g) {
    for (int m = g->first; m < g->end; m++)
        if (n->measured[m]) return true;
    return false;
}

/* Of a method in the group. */
static bool has_values(const plx_html_numbers *n, const group *g, int method) {
    for (int m = g->first; m < g->end; m++)
        if (!isnan(n->means[at(method, m)].mean)) return true;
    return false;
}

static void put_metric_headings(FILE *out, const plx_eval_page *page, const plx_html_numbers *n,
                                const group *g) {
    for (int m = g->first; m < g->end; m++)
        if (n->measured[m])
            fprintf(out, "<th scope=\"col\">%s <span class=\"dir\">%s</span></th>", plx_html_heading(page, m),
                    arrow_of(m));
    fputs("</tr></thead><tbody>\n", out);
}

static void put_method(FILE *out, const plx_eval_page *page, int method) {
    fprintf(out, "<th scope=\"row\"><span class=\"key m%d\"></span>", method % PLX_PLOT_COLOURS);
    plx_svg_text(out, page->results[method].method);
    fputs("</th>", out);
}

static void put_value(FILE *out, double value) {
    if (isfinite(value))
        fprintf(out, " data-v=\"%.9g\"", value);
    else
        fputs(isnan(value) ? " data-v=\"\"" : " data-v=\"1e300\"", out);
}

static void put_interval(FILE *out, const plx_eval_interval *i, int metric, bool is_signed) {
    if (isnan(i->low)) return;
    void (*put)(FILE *, double, int) = is_signed ? put_signed : plx_html_number;
    fputs("<small>", out);
    put(out, i->low, metric);
    fputs(is_signed ? " … " : " – ", out);
    put(out, i->high, metric);
    fputs("</small>", out);
}

static void put_summary_row(FILE *out, const plx_eval_page *page, const plx_html_numbers *n, const group *g,
                            int method, bool timed) {
    fputs("<tr>", out);
    put_method(out, page, method);
    if (timed) {
        fputs("<td", out);
        put_value(out, page->results[method].seconds);
        fprintf(out, ">%.2f</td>", page->results[method].seconds);
    }
    for (int m = g->first; m < g->end; m++) {
        if (!n->measured[m]) continue;
        const plx_eval_interval *cell = &n->means[at(method, m)];
        fputs("<td", out);
        put_value(out, cell->mean);
        if (n->equal_best[at(method, m)])
            fputs(n->best[m] == method ? " class=\"best\"" : " class=\"best tied\"", out);
        fputs("><span>", out);
        plx_html_number(out, cell->mean, m);
        fputs("</span>", out);
        put_interval(out, cell, m, false);
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
}

static void put_summary(FILE *out, const plx_eval_page *page, const plx_html_numbers *n) {
    bool timed = false;
    for (int i = 0; i < page->count; i++) timed = timed || page->results[i].seconds > 0;
    fputs("<section id=\"summary\"><h2>All views</h2>\n<p>Mean over an object's views, then over objects; "
          "below "
          "it the 95 % bootstrap interval over objects. ",
          out);
    if (page->count > 1)
        fputs("<span class=\"best\">Marked</span>: the best, and (≈) what the paired comparison cannot tell "
              "from "
              "it. ",
              out);
    fputs("LPIPS and FID: n/a, no trained networks are shipped.</p>\n", out);
    for (int k = 0; k < 2; k++) {
        const group *g = &groups[k];
        if (!any_measured(n, g)) continue;
        if (k) fputs("<h3>3D consistency</h3>\n", out);
        open_table(out, "method");
        if (timed && !k) fputs("<th scope=\"col\">s / object</th>", out);
        put_metric_headings(out, page, n, g);
        for (int i = 0; i < page->count; i++)
            if (has_values(n, g, i)) put_summary_row(out, page, n, g, i, timed && !k);
        fputs("</tbody></table></div>\n", out);
    }
    fputs("</section>\n", out);
}

/* Better, worse, or (NULL) undecided. */
static const char *verdict(const plx_eval_interval *i, const plx_eval_interval *mean,
                           const plx_eval_interval *reference, int metric) {
    if (!plx_html_decided(i, metric) || plx_eval_kinds[metric].better == PLX_EVAL_NO_ORDER) return NULL;
    return plx_html_badness(mean->mean, metric) < plx_html_badness(reference->mean, metric) ? "better"
                                                                                            : "worse";
}

static void put_paired_row(FILE *out, const plx_eval_page *page, const plx_html_numbers *n, const group *g,
                           int method) {
    fputs("<tr>", out);
    put_method(out, page, method);
    for (int m = g->first; m < g->end; m++) {
        if (!n->measured[m]) continue;
        const plx_eval_interval *cell = &n->paired[at(method, m)];
        const char *sign = verdict(cell, &n->means[at(method, m)], &n->means[at(page->reference, m)], m);
        fputs("<td", out);
        put_value(out, cell->mean);
        if (sign) fprintf(out, " class=\"%s\"", sign);
        fputs(">", out);
        if (isfinite(cell->mean)) {
            fputs(!sign ? "<span>" : *sign == 'b' ? "<span>▲ " : "<span>▼ ", out);
            put_signed(out, cell->mean, m);
            fputs("</span>", out);
            put_interval(out, cell, m, true);
        } else
            fputs("–", out);
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
}

static void put_paired(FILE *out, const plx_eval_page *page, const plx_html_numbers *n) {
    if (page->count < 2) return;
    fputs("<section id=\"paired\"><h2>Against ", out);
    plx_svg_text(out, page->results[page->reference].method);
    fputs(
        "</h2>\n<p>Differences object by object (sharpness: ratios) with 95 % intervals. <span "
        "class=\"better\">▲ better</span>, <span class=\"worse\">▼ worse</span>: the interval leaves out no "
        "difference.</p>\n",
        out);
    for (int k = 0; k < 2; k++) {
        if (!any_measured(n, &groups[k])) continue;
        if (k) fputs("<h3>3D consistency</h3>\n", out);
        open_table(out, "method");
        put_metric_headings(out, page, n, &groups[k]);
        for (int i = 0; i < page->count; i++)
            if (i != page->reference && has_values(n, &groups[k], i))
                put_paired_row(out, page, n, &groups[k], i);
        fputs("</tbody></table></div>\n", out);
    }
    fputs("</section>\n", out);
}

/* ---- by class, object by object ------------------------------------------------------------------------------------- */

/* What classes and objects are shown by: PSNR, or what there is. */
static int main_metric(const plx_html_numbers *n) {
    for (int m = 0; m < PLX_EVAL_METRICS; m++)
        if (n->measured[m]) return m;
    return PLX_EVAL_PSNR;
}

static int put_classes(FILE *out, const plx_eval_page *page, const plx_html_numbers *n) {
    const plx_eval_set *set = page->set;
    const char **names;
    int classes, metric = main_metric(n), status = plx_eval_classes(&names, &classes, set);
    if (status || classes < 2) {
        free(names);
        return status;
    }
    fprintf(out,
            "<section id=\"classes\"><h2>By class</h2>\n<p>%s, mean over objects ± its standard error.</p>\n",
            plx_html_heading(page, metric));
    open_table(out, "class");
    fputs("<th scope=\"col\">objects</th>", out);
    for (int i = 0; i < page->count; i++) {
        if (isnan(n->means[at(i, metric)].mean)) continue;
        fputs("<th scope=\"col\">", out);
        plx_svg_text(out, page->results[i].method);
        fputs("</th>", out);
    }
    fputs("</tr></thead><tbody>\n", out);
    for (int k = 0; k < classes && !status; k++) {
        int objects = 0;
        for (int i = 0; i < set->count; i++) objects += !strcmp(set->classes[i], names[k]);
        fputs("<tr><th scope=\"row\">", out);
        plx_svg_text(out, names[k]);
        fprintf(out, "</th><td data-v=\"%d\">%d</td>", objects, objects);
        for (int i = 0; i < page->count && !status; i++) {
            plx_eval_result part;
            if (isnan(n->means[at(i, metric)].mean)) continue;
            if ((status = plx_eval_of_class(&part, set, &page->results[i], names[k]))) break;
            plx_eval_mean mean = plx_eval_average(part.samples, part.count, (enum plx_eval_metric)metric, -1);
            free(part.samples);
            fputs("<td", out);
            put_value(out, mean.mean);
            fputs("><span>", out);
            plx_html_number(out, mean.mean, metric);
            fputs("</span>", out);
            if (mean.objects > 1) {
                fputs("<small>± ", out);
                plx_html_number(out, mean.error, metric);
                fputs("</small>", out);
            }
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div></section>\n", out);
    free(names);
    return status;
}

static void put_objects(FILE *out, const plx_eval_page *page, const plx_html_numbers *n) {
    static const enum plx_eval_metric shown[] = {PLX_EVAL_PSNR, PLX_EVAL_FLIP, PLX_EVAL_IOU};
    const plx_eval_set *set = page->set;
    if (set->count < 2) return;
    fprintf(out, "<section id=\"objects\"><h2>Every object</h2>\n<details><summary>%d objects</summary>\n",
            set->count);
    open_table(out, "object");
    if (set->classes) fputs("<th scope=\"col\">class</th>", out);
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
        for (int i = 0; i < page->count && n->measured[shown[k]]; i++) {
            if (isnan(n->means[at(i, (int)shown[k])].mean)) continue;
            fprintf(out, "<th scope=\"col\">%s<br>", plx_html_heading(page, (int)shown[k]));
            plx_svg_text(out, page->results[i].method);
            fputs("</th>", out);
        }
    fputs("</tr></thead><tbody>\n", out);
    for (int object = 0; object < set->count; object++) {
        fputs("<tr><th scope=\"row\">", out);
        plx_svg_text(out, set->ids[object]);
        fputs("</th>", out);
        if (set->classes) {
            fputs("<td class=\"word\">", out);
            plx_svg_text(out, set->classes[object]);
            fputs("</td>", out);
        }
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
            for (int i = 0; i < page->count && n->measured[shown[k]]; i++) {
                if (isnan(n->means[at(i, (int)shown[k])].mean)) continue;
                double value = plx_html_objects(page, n, i, (int)shown[k])[object];
                fputs("<td", out);
                put_value(out, value);
                fputs(">", out);
                plx_html_number(out, value, (int)shown[k]);
                fputs("</td>", out);
            }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div></details></section>\n", out);
}

/* ---- the page ------------------------------------------------------------------------------------------------------- */

void plx_html_legend(FILE *out, const plx_eval_page *page) {
    fputs("<p class=\"legend\">", out);
    for (int i = 0; i < page->count; i++) {
        fprintf(out, "<span><span class=\"key m%d\"></span>", i % PLX_PLOT_COLOURS);
        plx_svg_text(out, page->results[i].method);
        fputs("</span> ", out);
    }
    fputs("</p>\n", out);
}

static void put_head(FILE *out, const plx_eval_page *page) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>",
          out);
    plx_svg_text(out, page->title);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header><h1>", page_style);
    plx_svg_text(out, page->title);
    fputs("</h1>\n<p class=\"lead\">", out);
    plx_svg_text(out, page->lead);
    fputs("</p></header>\n<main>\n", out);
}

static void put_notes(FILE *out) {
    fputs(
        "<section id=\"notes\"><h2>What is measured</h2>\n<dl>\n"
        "<dt>PSNR, SSIM, SSIM 11x11, MS-SSIM</dt><dd>on 8-bit colours over white; SSIM as scikit-image: 7x7 "
        "uniform window, or "
        "11x11 Gaussian; MS-SSIM /k has k of the five scales, and values of different k do not compare</dd>\n"
        "<dt>FLIP</dt><dd>perceived difference at 67 pixels a degree: 0 equal, 1 opposite</dd>\n"
        "<dt>IoU</dt><dd>silhouettes: intersection over union, opacity above 0.5</dd>\n"
        "<dt>sharpness</dt><dd>gradient energy over the truth's inside its mask; geometric means; 1 is "
        "right, below is blurred</dd>\n"
        "<dt>depth error</dt><dd>mean distance along the ray where both have depth; coverage is the truth's "
        "share of that</dd>\n"
        "<dt>SWD</dt><dd>sliced Wasserstein distance of 7x7 Laplacian-pyramid patches of an object's views "
        "together, times 1000</dd>\n"
        "</dl></section>\n",
        out);
}

static int put_record(FILE *out, const plx_eval_page *page) {
    char *text = json_dumps(page->record, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    if (!text) return plx_fail(PLX_ERROR_MEMORY, "report: out of memory");
    fputs("<section id=\"settings\"><h2>Settings</h2>\n<pre>", out);
    plx_svg_text(out, text);
    fputs("</pre></section>\n", out);
    free(text);
    return PLX_OK;
}

static int put_page(FILE *out, const plx_eval_page *page, const plx_html_numbers *n) {
    put_head(out, page);
    put_summary(out, page, n);
    put_paired(out, page, n);
    int status = plx_html_examples(out, page);
    plx_html_gap_plots(out, page, n);
    plx_html_distributions(out, page, n);
    plx_html_scatters(out, page, n);
    if (!status) status = plx_html_sweeps(out, page);
    if (!status) status = put_classes(out, page, n);
    put_objects(out, page, n);
    put_notes(out);
    if (!status) status = put_record(out, page);
    fprintf(out, "</main>\n<script>\n%s</script>\n</body>\n</html>\n", page_script);
    return status;
}

static void add_library(const char *file, void *user) {
    json_array_append_new(user, json_string(file));
}

json_t *plx_eval_page_record(const plx_run *run) {
    char processor[256];
    json_t *libraries = json_array();
    plx_machine_processor(processor, sizeof processor);
    plx_machine_libraries(add_library, libraries);
    return json_pack("{s:s, s:o, s:{s:i, s:i}, s:s, s:o}", "parallax", PLX_VERSION, "run",
                     plx_run_record(run), "bootstrap", "resamples", PLX_EVAL_RESAMPLES, "seed", 1,
                     "processor", processor, "libraries", libraries);
}

int plx_eval_html_save(const char *path, const plx_eval_page *page) {
    plx_html_numbers numbers;
    plx_writer writer = {0};
    int status = plx_html_compute(&numbers, page);
    if (!status) status = plx_writer_open(&writer, path);
    if (!status) status = put_page(writer.file, page, &numbers);
    if (!status) status = plx_writer_commit(&writer);
    plx_writer_abort(&writer);
    plx_html_numbers_free(&numbers);
    return status;
}
