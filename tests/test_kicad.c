/* datasets/make_kicad.py on a package of three files: what it writes is read as what the VRML says. */
#include "tests/posed_scene.h"

#define HEAD "#VRML V2.0 utf8\n# (comment with Shape { geometry Nothing {} })\n"
#define RED                                                                                               \
    "Shape { appearance Appearance {material DEF PIN-1 Material {\n ambientIntensity 0.3\n diffuseColor " \
    "1.0 0 0.0\n"                                                                                         \
    " transparency 0.25\n }\n}\n}\n"
/* A square that faces +x, y from -1 to 1, as one polygon; then a triangle beside it in a colour of its own. */
#define SQUARE                                                                                               \
    "Shape { geometry IndexedFaceSet\n{ creaseAngle 0.50 coordIndex [0,1,2,3,-1]\ncoord Coordinate { point " \
    "[0 -1 "                                                                                                 \
    "-1,0 1 -1,0 1 1,0 -1 1]\n}}\nappearance Appearance{material USE PIN-1 }\n}\n"
#define TRIANGLE                                                                                  \
    "Shape { appearance Appearance { material Material { diffuseColor 0 0 1 transparency 0 } }\n" \
    "geometry IndexedFaceSet { coord Coordinate { point [0 1 -1, 0 3 -1, 0 1 1] } coordIndex [0,1,2] } }\n"
#define EMPTY                                                                                     \
    "Shape { geometry IndexedFaceSet { coordIndex [] coord Coordinate { point [] } } appearance " \
    "Appearance{material USE PIN-1}}\n"

static const char copyright[] =
    "Format: x\n\nFiles: *\nCopyright: 2018-2022, KiCad Community\nLicense: "
    "CC-BY-SA-4.0-with-exception\n\nFiles: Pin.3dshapes/other_*\n Pin.3dshapes/B.wrl\nCopyright: 2017, Some "
    "One\nLicense: GPL-3+\n";

TEST(kicad, vrml_becomes_meshes_and_a_catalogue) {
    char folder[1024], path[1200], command[4000];
    if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null"))
        SKIP("Debian's python3-numpy is not installed");
    snprintf(folder, sizeof folder, "%s", folder_at(test_directory(), "kicad-package"));
    folder_at(folder, "usr/share/kicad/3dmodels/Pin.3dshapes");
    folder_at(folder, "usr/share/doc/kicad-packages3d");
    text_to(folder, "usr/share/kicad/3dmodels/Pin.3dshapes/Brick2,1.wrl", HEAD RED SQUARE EMPTY TRIANGLE);
    text_to(folder, "usr/share/kicad/3dmodels/Pin.3dshapes/other_1x02.wrl", HEAD RED SQUARE);
    text_to(folder, "usr/share/kicad/3dmodels/Pin.3dshapes/turned.wrl",
            HEAD "Transform { children [" SQUARE "] }\n");
    text_to(folder, "usr/share/doc/kicad-packages3d/copyright", copyright);
    snprintf(command, sizeof command, "/usr/bin/python3 datasets/make_kicad.py %s %s/kicad >%s/log 2>&1",
             folder, folder, folder);
    int code = system(command);
    char *log;
    size_t size;
    snprintf(path, sizeof path, "%s/log", folder);
    REQUIRE(plx_file_read(&log, &size, path, 1 << 20) == 0, "%s", plx_error());
    EXPECT(code == 0 && strstr(log, "left out: turned.wrl: holds Transform") && strstr(log, "2 objects"),
           "%s", log);
    free(log);

    plx_catalogue catalogue;
    snprintf(path, sizeof path, "%s/kicad/catalogue.tsv", folder);
    REQUIRE(plx_catalogue_load(&catalogue, path) == 0, "%s", plx_error());
    REQUIRE(catalogue.count == 2, "%d objects", catalogue.count);
    const plx_object *led = &catalogue.objects[0], *other = &catalogue.objects[1];
    EXPECT(!strcmp(led->id, "kicad-Brick2_1") && !strcmp(led->group, "kicad-Brick") &&
               !strcmp(led->class_name, "pin"),
           "%s, %s, %s", led->id, led->group, led->class_name);
    EXPECT(!strcmp(led->licence, "CC-BY-SA-4.0-with-exception") && strstr(led->credit, "KiCad Community"),
           "%s, %s", led->licence, led->credit);
    EXPECT(!strcmp(other->licence, "GPL-3.0-or-later") && strstr(other->credit, "Some One"), "%s, %s",
           other->licence, other->credit);
    EXPECT(!plx_object_is_free(led) && !plx_object_is_free(other), "a model with them could be given away");
    EXPECT(other->split == PLX_TRAIN && other->group[0], "group %s", other->group);

    plx_mesh *mesh;
    plx_scene *scene;
    plx_mesh_options options = plx_mesh_options_default();
    options.up = 'z';
    options.normalise = false;
    snprintf(path, sizeof path, "%s/%s", folder, led->file);
    REQUIRE(plx_mesh_load(&mesh, path, &options) == 0, "%s", plx_error());
    plx_mesh_info info = plx_mesh_describe(mesh);
    EXPECT(info.triangles == 3 && info.box_min[1] == -1 && info.box_max[1] == 3 && info.box_max[2] == 1,
           "%lld triangles", (long long)info.triangles);
    REQUIRE(plx_scene_create(&scene, mesh) == 0, "%s", plx_error());
    plx_view view = {
        .camera = plx_camera_orbit(0, 0, 8, 1, 64, 64)}; /* from +x: y to the right; 7.3 pixels a unit */
    plx_draw_options draw = plx_draw_options_default();
    draw.light = (plx_light){.key_direction = {0, 0, 1}, .sky = 0.5f, .ground = 0.5f};
    REQUIRE(plx_scene_draw(scene, &view, &draw) == 0, "%s", plx_error());
    const float *red = view.colour.data + 4 * (64 * 32 + 30), *blue = view.colour.data + 4 * (64 * 36 + 42);
    EXPECT(fabsf(red[3] - 0.75f) < 0.003f && red[0] > 0.5f && red[2] < 0.01f, "%g %g %g %g", (double)red[0],
           (double)red[1], (double)red[2], (double)red[3]); /* opacity in 8 bits */
    EXPECT(blue[3] == 1 && blue[2] > 0.5f && blue[0] < 0.01f, "%g %g %g %g", (double)blue[0], (double)blue[1],
           (double)blue[2], (double)blue[3]);
    free_view(&view);
    plx_scene_free(scene);
    plx_catalogue_free(&catalogue);
}
