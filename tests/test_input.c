/* A user's picture on its way to the model: matting, and the virtual camera. */
#include "diffusion/input.h"
#include "tests/test.h"

typedef struct colour {
    float rgb[3];
} colour;

static const colour white = {{1, 1, 1}}, red = {{0.8f, 0.1f, 0.1f}}, green = {{0.1f, 0.5f, 0.1f}};

/* How much of the pixel lies in the disc, by 16x16 points. */
static float disc_share(float row, float column, float y, float x, float radius) {
    int inside = 0;
    for (int s = 0; s < 256; s++) {
        float dy = row + ((float)(s / 16) + 0.5f) / 16 - y, dx = column + ((float)(s % 16) + 0.5f) / 16 - x;
        inside += dx * dx + dy * dy < radius * radius;
    }
    return (float)inside / 256;
}

/* (H,W,3) of one colour. */
static plx_image canvas(int height, int width, colour of) {
    plx_image out;
    if (plx_image_create(&out, height, width, 3)) abort();
    for (int i = 0; i < 3 * height * width; i++) out.data[i] = of.rgb[i % 3];
    return out;
}

static void paint_disc(plx_image *image, colour of, float y, float x, float radius) {
    for (int p = 0; p < image->height * image->width; p++) {
        float share = disc_share((float)(p / image->width), (float)(p % image->width), y, x, radius);
        for (int c = 0; c < 3; c++) {
            float *value = image->data + 3 * p + c;
            *value += share * (of.rgb[c] - *value);
        }
    }
}

static void paint_box(plx_image *image, colour of, int top, int left, int height, int width) {
    for (int row = top; row < top + height; row++)
        for (int column = left; column < left + width; column++)
            memcpy(image->data + 3 * (row * image->width + column), of.rgb, sizeof of.rgb);
}

static float alpha_at(const plx_image *rgba, int row, int column) {
    return rgba->data[4 * (row * rgba->width + column) + 3];
}

/* ---- matting -------------------------------------------------------------------------------------------------------- */

TEST(input, a_disc_on_white_gets_its_alpha_back) {
    char warning[256];
    plx_image image = canvas(64, 64, white), rgba = {0};
    paint_disc(&image, red, 30, 33, 20);
    REQUIRE(plx_input_matte(&rgba, &image, "disc.png", warning) == 0, "%s", plx_error());
    EXPECT(!*warning, "%s", warning);
    float worst = 0, colour_error = 0;
    for (int p = 0; p < 64 * 64; p++) {
        float truth = disc_share((float)(p / 64), (float)(p % 64), 30, 33, 20), got = rgba.data[4 * p + 3];
        worst = fmaxf(worst, fabsf(got - truth));
        for (int c = 0; c < 3 && got > 0.2f; c++)
            colour_error = fmaxf(colour_error, fabsf(rgba.data[4 * p + c] - red.rgb[c]));
    }
    /* Pixels with less of the disc than the tolerance 0.08 over the contrast 0.9 are taken for background. */
    EXPECT(worst < 0.09f, "alpha is off by %g", (double)worst);
    EXPECT(colour_error < 0.01f, "the edge keeps some white: %g", (double)colour_error); /* exact algebra */
    plx_image_free(&image);
    plx_image_free(&rgba);
}

TEST(input, holes_are_open_and_highlights_closed) {
    char warning[256];
    plx_image image = canvas(64, 64, white), rgba = {0};
    paint_box(&image, red, 10, 12, 44, 40);
    paint_box(&image, white, 16, 18, 12, 8); /* between the slats of a chair's back */
    paint_box(&image, white, 40, 40, 2, 2);  /* a highlight: below SMALLEST_HOLE */
    REQUIRE(plx_input_matte(&rgba, &image, "chair.png", warning) == 0, "%s", plx_error());
    EXPECT(alpha_at(&rgba, 20, 20) == 0, "the hole is %g opaque", (double)alpha_at(&rgba, 20, 20));
    EXPECT(alpha_at(&rgba, 40, 40) == 1, "the highlight is %g opaque", (double)alpha_at(&rgba, 40, 40));
    EXPECT(alpha_at(&rgba, 30, 30) == 1, "the middle is %g opaque", (double)alpha_at(&rgba, 30, 30));
    EXPECT(alpha_at(&rgba, 5, 5) == 0, "outside");
    plx_image_free(&image);
    plx_image_free(&rgba);
}

static void matting_refused(plx_image *image, const char *why) {
    char warning[256];
    plx_image rgba = {0};
    int status = plx_input_matte(&rgba, image, "it.png", warning);
    EXPECT(status == PLX_ERROR_INPUT && strstr(plx_error(), "it.png: ") && strstr(plx_error(), why), "%d %s",
           status, plx_error());
    EXPECT(!rgba.data, "an image is left");
    plx_image_free(image);
}

TEST(input, pictures_without_an_object_are_refused) {
    plx_image image = canvas(64, 64, white);
    paint_box(&image, red, 0, 0, 64, 32);
    matting_refused(&image, "not one colour");
    image = canvas(64, 64, green);
    matting_refused(&image, "nothing stands out");
    image = canvas(7, 64, green);
    matting_refused(&image, "too small");
    if (plx_image_create(&image, 64, 64, 4)) abort();
    matting_refused(&image, "fully transparent");
}

TEST(input, white_on_white_warns_unless_there_is_alpha) {
    char warning[256];
    const colour off_white = {{0.9f, 0.9f, 0.9f}};
    plx_image image = canvas(64, 64, white), rgba = {0}, given;
    paint_disc(&image, off_white, 32, 32, 20);
    REQUIRE(plx_input_matte(&rgba, &image, "white.png", warning) == 0, "%s", plx_error());
    EXPECT(strstr(warning, "white.png: "), "no warning: '%s'", warning);
    plx_image_free(&rgba);
    REQUIRE(plx_image_create(&given, 64, 64, 4) == 0, "%s", plx_error());
    for (int p = 0; p < 64 * 64; p++) {
        memcpy(given.data + 4 * p, image.data + 3 * p, 3 * sizeof(float));
        given.data[4 * p + 3] = disc_share((float)(p / 64), (float)(p % 64), 32, 32, 20);
    }
    REQUIRE(plx_input_matte(&rgba, &given, "white.png", warning) == 0, "%s", plx_error());
    EXPECT(!*warning, "%s", warning);
    EXPECT(!memcmp(rgba.data, given.data, 4 * 64 * 64 * sizeof(float)), "transparency is taken as it is");
    plx_image_free(&image);
    plx_image_free(&given);
    plx_image_free(&rgba);
}

/* ---- the virtual camera ----------------------------------------------------------------------------------------------- */

/* A sphere coloured by its normal in the world, off the middle; by rays, `grid` squared a pixel. */
static const float centre[3] = {0.1f, -0.15f, 0.12f}, radius = 0.15f;

static bool hit_sphere(const plx_camera *camera, float px, float py, float normal[3]) {
    float origin[3], direction[3], moved[3], t0, t1;
    plx_camera_ray(camera, px, py, origin, direction);
    for (int c = 0; c < 3; c++) moved[c] = origin[c] - centre[c];
    if (!plx_ray_sphere(moved, direction, radius, &t0, &t1)) return false;
    for (int c = 0; c < 3; c++) normal[c] = (moved[c] + t0 * direction[c]) / radius;
    return true;
}

static plx_image draw_sphere(const plx_camera *camera, int grid) {
    plx_image out;
    if (plx_image_create(&out, camera->height, camera->width, 4)) abort();
    for (int p = 0; p < camera->height * camera->width; p++) {
        float sum[3] = {0}, normal[3];
        int hits = 0;
        for (int s = 0; s < grid * grid; s++) {
            float px = (float)(p % camera->width) + ((float)(s % grid) + 0.5f) / (float)grid;
            float py = (float)(p / camera->width) + ((float)(s / grid) + 0.5f) / (float)grid;
            if (!hit_sphere(camera, px, py, normal)) continue;
            hits++;
            for (int c = 0; c < 3; c++) sum[c] += 0.5f + 0.5f * normal[c];
        }
        for (int c = 0; c < 3 && hits; c++) out.data[4 * p + c] = sum[c] / (float)hits;
        out.data[4 * p + 3] = (float)hits / (float)(grid * grid);
    }
    return out;
}

TEST(input, the_turned_camera_sees_the_same_points) {
    plx_view whole = {.camera = plx_camera_orbit(0.7f, 0.4f, 1.3f, 0.9f, 256, 256)}, crop;
    whole.colour = draw_sphere(&whole.camera, 4);
    REQUIRE(plx_input_crop(&crop, &whole, 64, 0.7f) == 0, "%s", plx_error());
    const plx_camera *k = &crop.camera;
    EXPECT(plx_camera_valid(k, 1e-5f), "not a rotation"); /* floats: products of unit vectors */
    float a[3], b[3];
    plx_camera_position(&whole.camera, a);
    plx_camera_position(k, b);
    EXPECT(a[0] == b[0] && a[1] == b[1] && a[2] == b[2], "the camera moved");

    /* What the picture shows is what the turned camera would see: drawn anew from it. */
    plx_image truth = draw_sphere(k, 4);
    double error = 0, alpha_error = 0;
    int pixels = 0;
    for (int p = 0; p < 64 * 64; p++) {
        const float *x = crop.colour.data + 4 * p, *y = truth.data + 4 * p;
        alpha_error = fmax(alpha_error, fabs((double)x[3] - y[3]));
        if (fminf(x[3], y[3]) < 0.99f) continue;
        pixels++;
        for (int c = 0; c < 3; c++) error = fmax(error, fabs((double)x[c] - y[c]));
    }
    /* A source pixel is 0.66 of an output pixel here, and the bilinear filter spreads an edge over another one. */
    EXPECT(alpha_error < 0.35, "alpha is off by %g", alpha_error);
    EXPECT(pixels > 1200, "%d pixels", pixels);
    /* Near the limb the normal turns fast: 1/32 of a radius a pixel. Half a pixel of shift would give over 0.1. */
    EXPECT(error < 0.05, "colours are off by %g", error);

    /* The longer side fills 70 %, in the middle. */
    int left = 64, right = 0, top = 64, bottom = 0;
    for (int p = 0; p < 64 * 64; p++) {
        if (crop.colour.data[4 * p + 3] <= 0.5f) continue;
        left = p % 64 < left ? p % 64 : left, right = p % 64 > right ? p % 64 : right;
        top = p / 64 < top ? p / 64 : top, bottom = p / 64 > bottom ? p / 64 : bottom;
    }
    int width = right - left + 1, height = bottom - top + 1;
    EXPECT(abs((width > height ? width : height) - 45) <= 1, "%dx%d of 64, not 0.7", width, height);
    EXPECT(abs(left + right - 63) <= 1 && abs(top + bottom - 63) <= 1, "columns %d-%d, rows %d-%d", left,
           right, top, bottom);
    plx_image_free(&whole.colour);
    plx_image_free(&crop.colour);
    plx_image_free(&truth);
}

TEST(input, an_empty_mask_cannot_be_cropped) {
    plx_view nothing = {.camera = plx_camera_orbit(0, 0, 1.3f, 0.9f, 16, 16)}, out;
    REQUIRE(plx_image_create(&nothing.colour, 16, 16, 4) == 0, "%s", plx_error());
    EXPECT(plx_input_crop(&out, &nothing, 16, 0.7f) == PLX_ERROR_INPUT, "cropped to nothing");
    plx_image_free(&nothing.colour);
}

/* ---- the whole way -------------------------------------------------------------------------------------------------------- */

static bool near(float a, float b, float tolerance) {
    return fabsf(a - b) < tolerance;
}

TEST(input, crop_none_keeps_the_frame) {
    char warning[256];
    plx_camera drawn = plx_camera_orbit(0, 0.4f, PLX_DEFAULT_DISTANCE, 0.8f, 128, 128);
    plx_image picture = draw_sphere(&drawn, 4);
    plx_view out;
    plx_input_options o = {.crop = false, .fov = 0.8f, .elevation = 0.4f, .fill = 0.7f};
    REQUIRE(plx_input_prepare(&out, &picture, "p.png", &o, 64, warning) == 0, "%s", plx_error());
    EXPECT(near(plx_camera_fov(&out.camera), 0.8f, 1e-5f), "fov %g", (double)plx_camera_fov(&out.camera));
    EXPECT(near(plx_camera_elevation(&out.camera), 0.4f, 1e-5f), "elevation");
    EXPECT(near(plx_camera_azimuth(&out.camera), 0, 1e-6f), "azimuth");
    /* Drawn anew from the input's own pose it overlays the input: 2x2 pixels of the same 16 rays each. */
    plx_image again = draw_sphere(&out.camera, 8);
    float worst = 0;
    for (int i = 3; i < 4 * 64 * 64; i += 4) worst = fmaxf(worst, fabsf(again.data[i] - out.colour.data[i]));
    EXPECT(worst < 0.05f, "alpha is off by %g", (double)worst); /* a ray of 64 here and there by rounding */
    plx_image_free(&picture);
    plx_image_free(&out.colour);
    plx_image_free(&again);
}

/* Of a wide picture the fov is the picture's height's; the square around it sees more. */
TEST(input, wide_pictures_are_padded) {
    char warning[256];
    plx_image picture = canvas(60, 90, white);
    paint_disc(&picture, red, 30, 45, 20);
    plx_view out;
    plx_input_options o = {.crop = false, .fov = 0.8f, .elevation = 0, .fill = 0.7f};
    REQUIRE(plx_input_prepare(&out, &picture, "p.png", &o, 90, warning) == 0, "%s", plx_error());
    float fov = 2 * atanf(1.5f * tanf(0.4f));
    EXPECT(near(plx_camera_fov(&out.camera), fov, 1e-5f), "%g, not %g", (double)plx_camera_fov(&out.camera),
           (double)fov);
    EXPECT(near(out.camera.fy, 30 / tanf(0.4f), 1e-3f), "a pixel of the picture is a pixel: focal %g",
           (double)out.camera.fy);
    EXPECT(alpha_at(&out.colour, 45, 45) == 1 && alpha_at(&out.colour, 22, 45) == 0 &&
               alpha_at(&out.colour, 67, 45) == 0,
           "the disc is in the middle");
    plx_image_free(&picture);
    plx_image_free(&out.colour);
}

TEST(input, crop_auto_puts_the_world_around_the_object) {
    char warning[256];
    plx_input_options o = plx_input_options_default();
    o.elevation = 0.3f;
    /* A small disc off the middle, and one that is nearly the frame. */
    const float discs[2][3] = {{40, 90, 10}, {64, 64, 60}};
    for (int i = 0; i < 2; i++) {
        plx_image picture = canvas(128, 128, white);
        paint_disc(&picture, red, discs[i][0], discs[i][1], discs[i][2]);
        plx_view out;
        REQUIRE(plx_input_prepare(&out, &picture, "p.png", &o, 64, warning) == 0, "%s", plx_error());
        float position[3], x, y, depth;
        const float origin[3] = {0, 0, 0};
        plx_camera_position(&out.camera, position);
        float distance =
            sqrtf(position[0] * position[0] + position[1] * position[1] + position[2] * position[2]);
        EXPECT(near(distance, PLX_DEFAULT_DISTANCE, 1e-5f), "distance %g", (double)distance);
        EXPECT(near(plx_camera_elevation(&out.camera), 0.3f, 1e-5f), "elevation");
        EXPECT(plx_camera_project(&out.camera, origin, &x, &y, &depth) && near(x, 32, 1e-3f) &&
                   near(y, 32, 1e-3f),
               "the origin is not in the middle: %g %g", (double)x, (double)y);
        /* One side for both: the room around an object is no depth. */
        float side = 0.7f * 64 / out.camera.fy * PLX_DEFAULT_DISTANCE;
        EXPECT(near(side, 0.82f, 1e-4f), "side %g", (double)side);
        int first = 64, last = 0;
        for (int column = 0; column < 64; column++)
            if (alpha_at(&out.colour, 32, column) > 0.5f)
                first = column < first ? column : first, last = column;
        EXPECT(abs(last - first + 1 - 45) <= 1, "fills %d of 64", last - first + 1); /* 0.7 */
        EXPECT(abs(first + last - 63) <= 1, "columns %d to %d", first, last);
        plx_image_free(&picture);
        plx_image_free(&out.colour);
    }
}
