/* The installed library from outside: each public header's example, the exported symbols, a caller in Python. */
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

#include "datasets/datasets.h"
#include "nerf/core/file.h"
#include "nerf/nerf.h"
#include "nerf/tensor/tensor.h"
#include "render/render.h"

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* The shell's answer: exit status, and what it printed (up to 64 KB, static storage). Every '@' stands for the folder
 * that all was installed into. */
static int shell(const char *command, const char **text) {
    static char said[65536];
    char line[8192];
    size_t used = 0;
    for (; *command && used + 300 < sizeof line; command++)
        if (*command == '@')
            used += (size_t)snprintf(line + used, sizeof line - used, "%s/install", test_directory());
        else
            line[used++] = *command;
    snprintf(line + used, sizeof line - used, "%s", "");
    FILE *pipe = popen(line, "r");
    if (!pipe) abort();
    said[fread(said, 1, sizeof said - 1, pipe)] = 0;
    int status = pclose(pipe);
    *text = said;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* make install with the build folder of this program, once. */
static bool installed(void) {
    static int done;
    char program[3000] = "", command[4096];
    const char *text;
    if (done) return done > 0;
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0) return false;
    *strrchr(program, '/') = 0;
    const char *config = strrchr(program, '/') + 1;
    snprintf(command, sizeof command,
             "env -u MAKEFLAGS -u MFLAGS make -s install config=%s build=%s DESTDIR=@ PREFIX=/usr 2>&1",
             config, program);
    int status = shell(command, &text);
    EXPECT(status == 0, "make install: %s", text);
    done = status ? -1 : 1;
    return done > 0;
}

/* ---- examples --------------------------------------------------------------------------------------------------- */

/* The code in the header's opening comment: its lines that begin with " *     ". */
static int extract_example(const char *header, const char *path) {
    char command[1024], *text;
    const char *said;
    size_t size;
    snprintf(command, sizeof command, "sed -n '1,/\\*\\//s/^ \\*     //p' @/usr/include/parallax/%s >%s",
             header, path);
    int status = shell(command, &said);
    if (!status && !plx_file_read(&text, &size, path, 1 << 20)) {
        EXPECT(strstr(text, "int main("), "%s: no example in its opening comment", header);
        free(text);
    }
    return status;
}

/* Compiles the example as a user would, runs it with these words and looks for the text in what it prints. */
static void try_example(const char *header, const char *words, const char *holding) {
    char command[4096], source[512];
    const char *text;
    snprintf(source, sizeof source, "%s/example.c", test_directory());
    REQUIRE(!extract_example(header, source), "%s", header);
    snprintf(command, sizeof command,
             "export PKG_CONFIG_PATH=@/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=@ && cc -std=c11 -Wall "
             "-Wextra -Werror "
             "-o @/example %s $(pkg-config --cflags --libs parallax) 2>&1 && "
             "cd %s && LD_LIBRARY_PATH=@/usr/lib @/example %s 2>&1",
             source, test_directory(), words);
    int status = shell(command, &text);
    EXPECT(status == 0 && strstr(text, holding), "%s: exit %d: %s", header, status, text);
}

static void save_data(const char *folder) {
    plx_views views;
    if (plx_views_create(&views, 3)) abort();
    snprintf(views.name, sizeof views.name, "thing");
    for (int i = 0; i < 3; i++) {
        views.views[i].camera = plx_camera_orbit((float)i, 0.3f, 1.3f, 1, 20, 20);
        if (plx_image_create(&views.views[i].colour, 20, 20, 4)) abort();
    }
    if (plx_dataset_save("srn", folder, &views)) abort();
    plx_views_free(&views);
}

TEST(install, examples_of_the_public_headers) {
    char words[4096], root[1024], data[512];
    if (SANITIZED) SKIP("a sanitized library needs a sanitized caller");
    if (!installed()) return;
    REQUIRE(getcwd(root, sizeof root), "getcwd");
    /* 20 dB is a mean error of a tenth, half of what a white picture has: the ball is there. */
    try_example("nerf/nerf.h", "ball.safetensors | awk '$1 > 20'", "dB");
    try_example("nerf/latents.h", "example-latents", "1 2");
    try_example("nerf/consistency.h", "| sort", "one object: RMS 0.0");
    try_example("nerf/card.h", "", plx_device_cards() ? "000 operations" : "is no card");
    try_example("render/render.h", "view.png && file -b view.png 2>/dev/null || ls view.png", "");
    snprintf(words, sizeof words,
             "%s/diffusion/weights/objects-64.safetensors %s/datasets/samples/stone-lantern.png left.png",
             root, root);
    try_example("diffusion/diffusion.h", words, "");
    snprintf(data, sizeof data, "%s/srn", test_directory());
    save_data(data);
    try_example("datasets/datasets.h", "srn", "thing: 3 views of 20x20, vertical field of view 57.3 degrees");
    const char *const pictures[] = {"view.png", "left.png"};
    for (int i = 0; i < 2; i++) {
        plx_image image = {0};
        double opacity = 0;
        snprintf(words, sizeof words, "%s/%s", test_directory(), pictures[i]);
        EXPECT(!plx_image_load(&image, words) && image.channels == 4, "%s: %s", pictures[i], plx_error());
        for (int p = 0; p < image.height * image.width; p++) opacity += (double)image.data[4 * p + 3];
        opacity /= image.height * image.width + 1e-9;
        EXPECT(opacity > 0.05 && opacity < 0.8, "%s: mean opacity %g", pictures[i], opacity);
        plx_image_free(&image);
    }
}

/* C++ callers include the same headers. */
TEST(install, headers_are_cplusplus_too) {
    const char *text;
    char command[2048];
    if (SANITIZED) SKIP("a sanitized library needs a sanitized caller");
    if (system("command -v c++ >/dev/null")) SKIP("no C++ compiler");
    if (!installed()) return;
    snprintf(command, sizeof command,
             "cd @/usr/include/parallax && (echo 'extern \"C\" {'; ls */*.h | sed 's/.*/#include <&>/'; "
             "echo '} int main() { return *plx_error(); }') >@/all.cpp && "
             "c++ -Wall -Werror -I. -o @/all @/all.cpp -L@/usr/lib -lparallax 2>&1 && "
             "LD_LIBRARY_PATH=@/usr/lib @/all");
    int status = shell(command, &text);
    EXPECT(status == 0, "exit %d: %s", status, text);
}

TEST(install, the_program_finds_its_model) {
    const char *text;
    if (!installed()) return;
    int status =
        shell("@/usr/bin/parallax --version && test -s @/usr/share/parallax/objects-64.safetensors && "
              "PKG_CONFIG_PATH=@/usr/lib/pkgconfig pkg-config --modversion --variable=modeldir parallax",
              &text);
    EXPECT(status == 0 && strstr(text, "parallax " PLX_VERSION), "%d: %s", status, text);
    status = shell("mv @ @.moved && cd / && @.moved/usr/bin/parallax reconstruct @.moved/no-such.png -o "
                   "@.out 2>&1; mv @.moved @",
                   &text);
    EXPECT(strstr(text, "no-such.png: No such file"), "the model is sought before the picture: %s", text);
}

/* ---- symbols ---------------------------------------------------------------------------------------------------- */

/* The functions that the compiler sees declared in the installed headers (gcc -aux-info), but for static ones, against the
 * library's dynamic symbols; the version script was made from the preprocessor's text. */
TEST(install, exports_what_the_headers_declare) {
    const char *text;
    if (SANITIZED) SKIP("a sanitized library exports its runtime's symbols");
    if (shell("gcc --version", &text)) SKIP("no gcc, whose -aux-info lists declarations");
    if (!installed()) return;
    int status = shell(
        "cd @/usr/include/parallax && for h in nerf/*.h diffusion/*.h render/*.h datasets/*.h; do "
        "echo \"#include \\\"$h\\\"\"; done >@/all.c && gcc -I. -aux-info @/declared -fsyntax-only @/all.c "
        "&& "
        "grep -E '^/\\* (\\./)?(nerf|diffusion|render|datasets)/' @/declared | grep -v '\\*/ static' | "
        "grep -oE '\\bplx_[a-z0-9_]+ \\(' | tr -d ' (' | sort -u >@/declared.names && "
        "nm -D --defined-only @/usr/lib/libparallax.so | awk '{print $3}' | sort -u >@/exported.names && "
        "wc -l <@/exported.names && diff @/declared.names @/exported.names",
        &text);
    EXPECT(status == 0 && atoi(text) > 100, "declared (<) and exported (>) differ: %s", text);
    status = shell("readelf -d @/usr/lib/libparallax.so | grep SONAME", &text);
    EXPECT(strstr(text, "libparallax.so.0.1]"), "%s", text);
}

/* ---- Python ----------------------------------------------------------------------------------------------------- */

TEST(install, python_renders_a_scene) {
    const char *text;
    char scene[512], file[512], command[2048], *data;
    size_t size;
    if (SANITIZED) SKIP("a sanitized library needs a sanitized caller");
    if (shell("/usr/bin/python3 -c 'import numpy' 2>/dev/null", &text))
        SKIP("no python3-numpy (make deps-readers)");
    if (!installed()) return;
    plx_views views = {0};
    plx_field *field = NULL;
    plx_fit_options fit = plx_fit_options_default();
    fit.steps = 1, fit.rays = 64, fit.resolution = 16, fit.hidden = 16;
    snprintf(scene, sizeof scene, "%s/python.safetensors", test_directory());
    snprintf(file, sizeof file, "%s/python.f32", test_directory());
    REQUIRE(!plx_views_create(&views, 1) && !plx_image_create(&views.views[0].colour, 16, 16, 4), "%s",
            plx_error());
    views.views[0].camera = plx_camera_orbit(0, 0, 1.3f, 0.9f, 16, 16);
    int status = plx_fit(&field, &views, &fit, NULL, NULL);
    plx_views_free(&views);
    REQUIRE(!status && !plx_field_save(field, scene, false), "%s", plx_error());
    snprintf(command, sizeof command,
             "/usr/bin/python3 -B tests/render_scene.py @/usr/lib/libparallax.so %s %s 2>&1", scene, file);
    status = shell(command, &text);
    EXPECT(status == 0 && strstr(text, "(64, 64, 4) float32"), "%d: %s", status, text);
    plx_view view = {.camera = plx_camera_orbit(0.6f, 0.3f, 1.3f, 0.9f, 64, 64)};
    plx_render_options options = plx_render_options_default();
    EXPECT(!plx_field_render(field, &view, &options), "%s", plx_error());
    if (!plx_file_read(&data, &size, file, 1 << 20)) {
        EXPECT(size == 64 * 64 * 4 * sizeof(float) && !memcmp(data, view.colour.data, size),
               "other bits than ours");
        free(data);
    } else
        EXPECT(false, "%s", plx_error());
    plx_image_free(&view.colour);
    plx_field_free(field);
}

/* Through /bin/true, which the library lends itself to: the program here is Python. */
TEST(install, python_draws_a_mesh) {
    const char *text;
    char mesh[512], file[512], command[2048], *data;
    size_t size;
    static const char obj[] = "v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 1\nv 0 0 1 1 1 1\n"
                              "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";
    if (SANITIZED) SKIP("a sanitized library needs a sanitized caller");
    if (shell("/usr/bin/python3 -c 'import numpy' 2>/dev/null", &text))
        SKIP("no python3-numpy (make deps-readers)");
    if (!installed()) return;
    snprintf(mesh, sizeof mesh, "%s/python.obj", test_directory());
    snprintf(file, sizeof file, "%s/mesh.f32", test_directory());
    REQUIRE(!plx_file_write(mesh, obj, sizeof obj - 1), "%s", plx_error());
    snprintf(command, sizeof command,
             "/usr/bin/python3 -B tests/draw_mesh.py @/usr/lib/libparallax.so %s %s 2>&1", mesh, file);
    int status = shell(command, &text);
    EXPECT(status == 0 && strstr(text, "4 triangles (48, 48, 4) float32"), "%d: %s", status, text);
    plx_mesh_options options = plx_mesh_options_default();
    plx_draw_options draw = plx_draw_options_default();
    plx_view view = {.camera = plx_camera_orbit(0.6f, 0.3f, 1.3f, 0.9f, 48, 48)};
    plx_mesh *own;
    plx_scene *scene;
    REQUIRE(!plx_mesh_load(&own, mesh, &options) && !plx_scene_create(&scene, own) &&
                !plx_scene_draw(scene, &view, &draw),
            "%s", plx_error());
    plx_scene_free(scene);
    if (!plx_file_read(&data, &size, file, 1 << 20)) {
        EXPECT(size == 48 * 48 * 4 * sizeof(float) && !memcmp(data, view.colour.data, size),
               "other bits than ours");
        free(data);
    } else
        EXPECT(false, "%s", plx_error());
    plx_image_free(&view.colour);
    snprintf(command, sizeof command,
             "/usr/bin/python3 -B tests/draw_mesh.py @/usr/lib/libparallax.so %s/none.obj %s 2>&1",
             test_directory(), file);
    status = shell(command, &text);
    EXPECT(status == 1 && strstr(text, "none.obj: No such file") &&
               strchr(text, '\n') == text + strlen(text) - 1,
           "%d: %s", status, text);
}
