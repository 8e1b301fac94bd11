/* parallax dataset check finds what would spoil training, and finds nothing wrong with a right data set. */
#include <jansson.h>
#include <unistd.h>

#include "tests/posed_scene.h"

#define VIEWS 12

/* Views of one of the small set's objects from all around, without a random number. */
static void draw_around(plx_views *out, const char *object, float turn) {
    plx_mesh *mesh;
    plx_scene *scene;
    char path[512];
    snprintf(path, sizeof path, "%s/%s.obj", small_set(), object);
    if (plx_mesh_load(&mesh, path, NULL) || plx_scene_create(&scene, mesh) || plx_views_create(out, VIEWS))
        abort();
    plx_draw_options options = plx_draw_options_default();
    options.depth = options.normal = true;
    for (int i = 0; i < VIEWS; i++) {
        out->views[i].camera =
            plx_camera_orbit(turn + 2.4f * (float)i, 0.1f + 0.08f * (float)i, 1.3f, PLX_DEFAULT_FOV, 48, 48);
        if (plx_scene_draw(scene, &out->views[i], &options)) abort();
    }
    plx_scene_free(scene);
}

static void save(const char *set, const char *name, plx_views *views, bool geometry) {
    plx_views copy = *views;
    plx_view own[VIEWS];
    memcpy(own, views->views, sizeof own);
    copy.views = own;
    for (int i = 0; i < VIEWS && !geometry; i++) own[i].depth = own[i].normal = (plx_image){0};
    snprintf(copy.name, sizeof copy.name, "%s", name);
    if (plx_dataset_save("srn", set, &copy)) abort();
}

/* Checks a set; counts its findings of a sort ("" for all) by severity. Returns the exit code. */
static int check(const char *set, const char *what, int *errors, int *warnings) {
    char arguments[4096], path[2048];
    const char *text;
    snprintf(path, sizeof path, "%s/check.json", test_directory());
    unlink(path);
    snprintf(arguments, sizeof arguments, "dataset check %s --json %s --quiet", set, path);
    int code = test_run_parallax(arguments, &text);
    json_t *root = json_load_file(path, 0, NULL), *one;
    EXPECT(root, "no report: %s", text);
    size_t i;
    *errors = *warnings = 0;
    json_array_foreach(json_object_get(root, "findings"), i, one) {
        if (*what && strcmp(json_string_value(json_object_get(one, "check")), what)) continue;
        ++*(strcmp(json_string_value(json_object_get(one, "severity")), "error") ? warnings : errors);
    }
    json_decref(root);
    return code;
}

TEST(dataset_check, right_sets_are_right) {
    plx_views views;
    int errors, warnings;
    char set[1024];
    snprintf(set, sizeof set, "%s", folder_at(test_directory(), "check-right"));
    static const char *const objects[] = {"low", "high"};
    for (int i = 0; i < 2; i++) {
        char name[64];
        draw_around(&views, objects[i], 0);
        snprintf(name, sizeof name, "%s/%s", i ? "test" : "train", objects[i]);
        save(set, name, &views, true);
        plx_views_free(&views);
    }
    EXPECT(check(set, "", &errors, &warnings) == 0 && errors == 0 && warnings == 0, "%d errors, %d warnings",
           errors, warnings);
}

/* Poses that do not fit the pictures. A focal length that is wrong in all views is not seen: it is an object of another size. */
TEST(dataset_check, wrong_poses) {
    static const char *const names[] = {"flipped", "transposed", "shuffled"};
    for (int mistake = 0; mistake < 3; mistake++) {
        plx_views views;
        int errors, warnings;
        draw_around(&views, "mid", 0);
        for (int i = 0; i < VIEWS; i++) {
            float *m = views.views[i].camera.c2w, old[12];
            memcpy(old, m, sizeof old);
            for (int r = 0; r < 3; r++)
                for (int c = 0; c < 3; c++) {
                    if (mistake == 0 && c > 0) m[4 * r + c] = -old[4 * r + c]; /* OpenCV's axes for ours */
                    if (mistake == 1) m[4 * r + c] = old[4 * c + r];
                }
        }
        for (int i = 0; i + 5 < VIEWS && mistake == 2; i++) {
            plx_camera keep = views.views[i].camera;
            views.views[i].camera = views.views[i + 5].camera;
            views.views[i + 5].camera = keep;
        }
        char set[1024];
        snprintf(set, sizeof set, "%s", folder_at(test_directory(), names[mistake]));
        save(set, "object", &views, false);
        plx_views_free(&views);
        int code = check(set, "pose", &errors, &warnings);
        EXPECT(errors + warnings > 0 && (code == 1), "%s: exit %d, %d errors, %d warnings", names[mistake],
               code, errors, warnings);
    }
}

TEST(dataset_check, twins_across_splits) {
    plx_views views;
    int errors, warnings;
    char set[1024];
    snprintf(set, sizeof set, "%s", folder_at(test_directory(), "check-twins"));
    draw_around(&views, "mid", 0);
    save(set, "cars_train/a", &views, false);
    plx_views_free(&views);
    draw_around(&views, "mid", 0.02f); /* the same object, seen from a degree further */
    save(set, "cars_test/b", &views, false);
    plx_views_free(&views);
    draw_around(&views, "high", 0);
    save(set, "cars_test/c", &views, false);
    plx_views_free(&views);
    EXPECT(check(set, "duplicate", &errors, &warnings) == 1 && errors == 1 && warnings == 0,
           "%d errors, %d warnings", errors, warnings);
}

TEST(dataset_check, pictures_and_files) {
    plx_views views;
    int errors, warnings;
    char set[1024], path[2048];
    snprintf(set, sizeof set, "%s", folder_at(test_directory(), "check-pictures"));
    draw_around(&views, "mid", 0);
    memset(views.views[3].colour.data, 0, 48 * 48 * 4 * sizeof(float));         /* empty */
    for (int i = 0; i < 48 * 6; i++) views.views[5].colour.data[4 * i + 3] = 1; /* cut at the top */
    save(set, "object", &views, false);
    plx_views_free(&views);
    snprintf(path, sizeof path, "%s/object/pose/000007.txt", set);
    if (plx_file_write(path, "1 0 0 0 0 1 0 0 0 0 nan 0 0 0 0 1", 33)) abort();
    snprintf(path, sizeof path, "%s/object/rgb/000008.png", set);
    if (plx_file_write(path, "none", 4)) abort();
    EXPECT(check(set, "unreadable", &errors, &warnings) == 1 && errors == 2, "%d unreadable", errors);
    check(set, "silhouette", &errors, &warnings);
    EXPECT(errors == 1 && warnings == 1, "%d empty, %d cut", errors, warnings);
}

/* Depth outside near and far: SRN's chairs lie within 1.25 and 2.75. */
TEST(dataset_check, bounds) {
    plx_views views;
    int errors, warnings;
    char set[1024];
    snprintf(set, sizeof set, "%s", folder_at(test_directory(), "check-bounds"));
    draw_around(&views, "mid", 0);
    save(set, "chairs_train/a", &views, true);
    EXPECT(check(set, "bounds", &errors, &warnings) == 1 && errors == 1, "%d errors with depth", errors);
    snprintf(set, sizeof set, "%s", folder_at(test_directory(), "check-bounds-hull"));
    save(set, "chairs_train/a", &views, false);
    check(set, "bounds", &errors, &warnings);
    EXPECT(errors == 0 && warnings == 1, "%d warnings by the silhouettes", warnings);
    snprintf(set, sizeof set, "%s", folder_at(test_directory(), "check-bounds-right"));
    save(set, "cars_train/a", &views, false);
    check(set, "bounds", &errors, &warnings);
    EXPECT(errors + warnings == 0, "cars lie within 0.8 and 1.8");
    plx_views_free(&views);
}
