/* The pictures of the page: input, truth, methods and their error maps; turntables. */
#include <math.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "tools/evaluation_html_parts.h"
#include "tools/parallax.h"

/* ---- one picture ---------------------------------------------------------------------------------------------------- */

/* As a PNG in a data: URL. */
static int put_data(FILE *out, const plx_image *image) {
    uint8_t *png;
    size_t size;
    int status = plx_png_encode(&png, &size, image);
    if (status) return status;
    char *text = malloc(BASE64_ENCODE_RAW_LENGTH(size));
    if (text) {
        base64_encode_raw(text, size, png);
        fputs("data:image/png;base64,", out);
        fwrite(text, 1, BASE64_ENCODE_RAW_LENGTH(size), out);
    } else
        status = plx_fail(PLX_ERROR_MEMORY, "report: out of memory");
    free(text);
    free(png);
    return status;
}

static int put_picture(FILE *out, const plx_image *image, const char *what) {
    fprintf(out, "<img width=\"%d\" height=\"%d\" alt=\"", image->width, image->height);
    plx_svg_text(out, what);
    fputs("\" src=\"", out);
    int status = put_data(out, image);
    fputs("\">", out);
    return status;
}

/* Magma (Smith and van der Walt, matplotlib; CC0) at tenths, linear between. */
static void magma(double value, float rgb[3]) {
    static const unsigned stops[11] = {0x000004, 0x140e36, 0x3b0f70, 0x641a80, 0x8c2981, 0xb73779,
                                       0xde4968, 0xf7705c, 0xfe9f6d, 0xfecf92, 0xfcfdbf};
    double at = fmin(fmax(value, 0), 1) * 10;
    int k = at < 9 ? (int)at : 9;
    for (int c = 0; c < 3; c++) {
        double a = stops[k] >> (16 - 8 * c) & 255, b = stops[k + 1] >> (16 - 8 * c) & 255;
        rgb[c] = (float)((a + (at - k) * (b - a)) / 255);
    }
}

static int put_error_map(FILE *out, const plx_image *truth, const plx_image *image) {
    plx_image map = {0}, colour = {0};
    int status = plx_flip_map(&map, truth, image);
    if (!status) status = plx_image_create(&colour, map.height, map.width, 3);
    for (size_t i = 0; !status && i < (size_t)map.height * (size_t)map.width; i++)
        magma((double)map.data[i], colour.data + 3 * i);
    if (!status) status = put_picture(out, &colour, "FLIP");
    plx_image_free(&map);
    plx_image_free(&colour);
    return status;
}

/* ---- one object ----------------------------------------------------------------------------------------------------- */

/* Of view `view` of the object by the method, or NULL. */
static const plx_eval_sample *sample_of(const plx_eval_result *r, int object, int view) {
    for (int k = 0; k < r->count; k++)
        if (r->samples[k].object == object) return k + view < r->count ? &r->samples[k + view] : NULL;
    return NULL;
}

static void put_view_name(FILE *out, const plx_eval_page *page, const plx_eval_example *e, int k) {
    const plx_eval_result *r = &page->results[page->reference];
    const plx_eval_sample *sample = sample_of(r, e->object, e->views[k]);
    if (page->set->gaps && sample)
        fprintf(out, "%.0f° from the input", sample->gap);
    else if (r->views && sample)
        plx_svg_text(out, r->views[sample - r->samples]);
    else
        fprintf(out, "view %d", e->views[k] + 1);
}

static int put_ring(FILE *out, const plx_image *ring, const char *method) {
    fprintf(out,
            "<div class=\"ring\" tabindex=\"0\" role=\"img\" data-count=\"%d\" aria-label=\"turntable of ",
            PLX_EVAL_RING);
    plx_svg_text(out, method);
    fputs("\"><img draggable=\"false\" alt=\"\" src=\"", out);
    int status = put_data(out, ring);
    fputs("\"></div>", out);
    return status;
}

static int put_method_row(FILE *out, const plx_eval_page *page, const plx_eval_example *e, int method,
                          bool rings) {
    const struct plx_eval_shown *shown = &e->shown[method];
    const char *name = page->results[method].method;
    int status = PLX_OK;
    fprintf(out, "<tr><th scope=\"row\"><span class=\"key m%d\"></span>", method % PLX_PLOT_COLOURS);
    plx_svg_text(out, name);
    fputs("</th>", out);
    for (int k = 0; k < e->count && !status; k++) {
        const plx_eval_sample *s = sample_of(&page->results[method], e->object, e->views[k]);
        if (!shown->views[k].data) {
            fputs("<td></td><td></td>", out);
            continue;
        }
        fputs("<td>", out);
        status = put_picture(out, &shown->views[k], name);
        if (s) fprintf(out, "<small>%.2f dB</small>", s->values[PLX_EVAL_PSNR]);
        fputs("</td><td>", out);
        if (!status) status = put_error_map(out, &e->truth[k], &shown->views[k]);
        if (s) fprintf(out, "<small>FLIP %.3f</small>", s->values[PLX_EVAL_FLIP]);
        fputs("</td>", out);
    }
    if (rings) {
        fputs("<td>", out);
        if (!status && shown->ring.data) status = put_ring(out, &shown->ring, name);
        fputs("</td>", out);
    }
    fputs("</tr>\n", out);
    return status;
}

static bool has_pictures(const plx_eval_example *e, int method) {
    bool any = e->shown[method].ring.data != NULL;
    for (int k = 0; k < e->count; k++) any = any || e->shown[method].views[k].data;
    return any;
}

static int put_truth_row(FILE *out, const plx_eval_page *page, const plx_eval_example *e, bool rings) {
    int status = PLX_OK;
    fputs("<div class=\"scroll\"><table class=\"strip\"><thead><tr><td></td>", out);
    for (int k = 0; k < e->count; k++) {
        fputs("<th scope=\"colgroup\" colspan=\"2\">", out);
        put_view_name(out, page, e, k);
        fputs("</th>", out);
    }
    fputs(rings ? "<th scope=\"col\">turntable</th></tr></thead><tbody>\n" : "</tr></thead><tbody>\n", out);
    fputs("<tr><th scope=\"row\">truth</th>", out);
    for (int k = 0; k < e->count && !status; k++) {
        fputs("<td>", out);
        status = put_picture(out, &e->truth[k], "truth");
        fputs("</td><td></td>", out);
    }
    if (rings) fputs("<td></td>", out);
    fputs("</tr>\n", out);
    return status;
}

static int put_example(FILE *out, const plx_eval_page *page, const plx_eval_example *e) {
    bool rings = false;
    for (int m = 0; m < page->count; m++) rings = rings || e->shown[m].ring.data;
    fprintf(out, "<article><h3>%s: ", e->rank);
    plx_svg_text(out, page->set->ids[e->object]);
    if (page->set->classes) {
        fputs(" <span class=\"quiet\">", out);
        plx_svg_text(out, page->set->classes[e->object]);
        fputs("</span>", out);
    }
    fputs("</h3>\n<div class=\"example\">", out);
    int status = PLX_OK;
    if (e->input.data) {
        fputs("<figure>", out);
        status = put_picture(out, &e->input, "input");
        fputs("<figcaption>input</figcaption></figure>", out);
    }
    if (!status) status = put_truth_row(out, page, e, rings);
    for (int m = 0; m < page->count && !status; m++)
        if (has_pictures(e, m)) status = put_method_row(out, page, e, m, rings);
    fputs("</tbody></table></div></div></article>\n", out);
    return status;
}

int plx_html_examples(FILE *out, const plx_eval_page *page) {
    if (!page->example_count) return PLX_OK;
    fputs("<section id=\"pictures\"><h2>Best, median and worst object</h2>\n<p>By ", out);
    plx_svg_text(out, page->results[page->reference].method);
    fputs(". Beside each picture its FLIP error: <span class=\"scale\"><span>0</span><span "
          "class=\"magma\"></span><span>1</span></span>",
          out);
    bool rings = false;
    for (int k = 0; k < page->example_count; k++)
        for (int m = 0; m < page->count; m++) rings = rings || page->examples[k].shown[m].ring.data;
    fputs(rings ? ". Drag a turntable, or <button type=\"button\" id=\"play\">turn all</button></p>\n"
                : ".</p>\n",
          out);
    int status = PLX_OK;
    for (int k = 0; k < page->example_count && !status; k++)
        status = put_example(out, page, &page->examples[k]);
    fputs("</section>\n", out);
    return status;
}
