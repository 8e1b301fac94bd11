/* Meshes that are not ours: read in a process of its own with the same result, in every format, with textures found. */
#include "tests/posed_scene.h"

static const char *const square_obj =
    "mtllib m.mtl\nv -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl m\n"
    "f 1/1 2/2 3/3 4/4\n";

static void write_colour(const char *folder, const char *name, float r, float g, float b) {
    plx_image image;
    if (plx_image_create(&image, 2, 2, 3)) abort();
    for (int i = 0; i < 4; i++) memcpy(image.data + 3 * i, (float[]){r, g, b}, 12);
    png_to(folder, name, &image);
    plx_image_free(&image);
}

/* The mesh seen from the front under even light, or an error. */
static int draw_front(plx_image *out, const char *path, bool trusted) {
    plx_mesh_options options = plx_mesh_options_default();
    options.trusted = trusted;
    plx_mesh *mesh;
    plx_scene *scene;
    int status = plx_mesh_load(&mesh, path, &options);
    if (!status) status = plx_scene_create(&scene, mesh);
    if (status) return status;
    plx_view view = {.camera = plx_camera_orbit(0.3f, 0.2f, 2, 0.5f, 32, 32)};
    plx_draw_options draw = plx_draw_options_default();
    draw.light = (plx_light){.key_direction = {0, 0, 1}, .sky = 0.5f, .ground = 0.5f};
    status = plx_scene_draw(scene, &view, &draw);
    *out = view.colour;
    plx_scene_free(scene);
    return status;
}

static void front_colour(const char *path, float out[4]) {
    plx_image image = {0};
    EXPECT(draw_front(&image, path, false) == 0, "%s", plx_error());
    if (image.data) memcpy(out, image.data + 4 * (16 * 32 + 16), 16);
    plx_image_free(&image);
}

TEST(mesh_process, gives_the_same_bits) {
    char folder[1024], path[1100];
    snprintf(folder, sizeof folder, "%s", folder_at(test_directory(), "apart"));
    write_colour(folder, "t.png", 0.9f, 0.5f, 0.2f);
    text_to(folder, "m.mtl", "newmtl m\nKd 1 1 1\nmap_Kd t.png\nd 0.7\n");
    text_to(folder, "square.obj", square_obj);
    snprintf(path, sizeof path, "%s/mid.obj", small_set());
    const char *paths[2] = {path, folder_at(folder, ".")};
    char square[1100];
    snprintf(square, sizeof square, "%s/square.obj", paths[1]);
    paths[1] = square;
    for (int i = 0; i < 2; i++) {
        plx_image here = {0}, apart = {0};
        REQUIRE(draw_front(&here, paths[i], true) == 0, "%s", plx_error());
        REQUIRE(draw_front(&apart, paths[i], false) == 0, "%s", plx_error());
        EXPECT(image_difference(&here, &apart) == 0, "%s differs by %g", paths[i],
               image_difference(&here, &apart));
        plx_image_free(&here);
        plx_image_free(&apart);
    }
}

/* Two objects whose textures have one name, each in its own folders: Google Scanned Objects' layout, and materials that name
 * folders of their own. */
TEST(mesh_process, textures_of_one_name_do_not_mix) {
    static const char *const objects[] = {"Shoe", "Cup"};
    char set[1024], path[1100];
    float seen[2][4] = {{0}};
    snprintf(set, sizeof set, "%s", folder_at(test_directory(), "scanned"));
    for (int i = 0; i < 2; i++) {
        char own[1100];
        snprintf(own, sizeof own, "%s/meshes", objects[i]);
        const char *folder = folder_at(set, own);
        text_to(folder, "model.obj", square_obj);
        text_to(folder, "m.mtl", "newmtl m\nKd 1 1 1\nmap_Kd texture.png\n");
        snprintf(own, sizeof own, "%s/materials/textures", objects[i]);
        write_colour(folder_at(set, own), "texture.png", i == 0, i == 1, 0);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s/meshes/model.obj", set, objects[i]);
        front_colour(path, seen[i]);
        EXPECT(seen[i][i] > 0.5f && seen[i][1 - i] < 0.1f, "%s: %g %g", objects[i], (double)seen[i][0],
               (double)seen[i][1]);
    }
    char two[1024];
    snprintf(two, sizeof two, "%s", folder_at(test_directory(), "two-folders"));
    write_colour(folder_at(two, "a"), "t.png", 1, 0, 0);
    write_colour(folder_at(two, "b"), "t.png", 0, 1, 0);
    text_to(two, "m.mtl", "newmtl a\nKd 1 1 1\nmap_Kd a/t.png\nnewmtl b\nKd 1 1 1\nmap_Kd b/t.png\n");
    text_to(two, "two.obj",
            "mtllib m.mtl\nv -1 -1 0\nv 0 -1 0\nv 1 -1 0\nv 1 1 0\nv 0 1 0\nv -1 1 0\nvt 0 0\nvt 1 1\n"
            "usemtl a\nf 1/1 2/1 5/2 6/2\nusemtl b\nf 2/1 3/1 4/2 5/2\n");
    snprintf(path, sizeof path, "%s/two.obj", two);
    plx_image image = {0};
    REQUIRE(draw_front(&image, path, false) == 0, "%s", plx_error());
    const float *left = image.data + 4 * (16 * 32 + 12), *right = image.data + 4 * (16 * 32 + 19);
    EXPECT(left[0] > 0.5f && left[1] < 0.1f && right[1] > 0.5f && right[0] < 0.1f, "left %g %g, right %g %g",
           (double)left[0], (double)left[1], (double)right[0], (double)right[1]);
    plx_image_free(&image);
}

/* A square that faces +z with the picture inside the file, called texture.png in all of them. */
static void write_glb(const char *folder, const char *name, const char *picture) {
    static const float corners[20] = {-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0, /* and texture coordinates: */
                                      0,  1,  1, 1, 1,  0, 0, 0};
    static const uint16_t indices[6] = {0, 1, 2, 0, 2, 3};
    char path[1100], json[2048], *png;
    size_t size, room;
    snprintf(path, sizeof path, "%s/%s", folder, picture);
    if (plx_file_read(&png, &size, path, 1 << 20)) abort();
    room = (size + 3) / 4 * 4;
    int length = snprintf(
        json, sizeof json,
        "{\"asset\":{\"version\":\"2.0\"},\"scene\":0,\"scenes\":[{\"nodes\":[0]}],\"nodes\":[{\"mesh\":0}],"
        "\"meshes\":[{\"primitives\":[{\"attributes\":{\"POSITION\":0,\"TEXCOORD_0\":1},\"indices\":2,"
        "\"material\":0}]}],"
        "\"materials\":[{\"pbrMetallicRoughness\":{\"baseColorTexture\":{\"index\":0}}}],\"textures\":[{"
        "\"source\":0}],"
        "\"images\":[{\"bufferView\":3,\"mimeType\":\"image/png\",\"name\":\"texture.png\"}],"
        "\"buffers\":[{\"byteLength\":%zu}],\"bufferViews\":[{\"buffer\":0,\"byteOffset\":0,\"byteLength\":"
        "48},"
        "{\"buffer\":0,\"byteOffset\":48,\"byteLength\":32},{\"buffer\":0,\"byteOffset\":80,\"byteLength\":"
        "12},"
        "{\"buffer\":0,\"byteOffset\":92,\"byteLength\":%zu}],\"accessors\":["
        "{\"bufferView\":0,\"componentType\":5126,\"count\":4,\"type\":\"VEC3\",\"min\":[-1,-1,0],\"max\":[1,"
        "1,0]},"
        "{\"bufferView\":1,\"componentType\":5126,\"count\":4,\"type\":\"VEC2\"},"
        "{\"bufferView\":2,\"componentType\":5123,\"count\":6,\"type\":\"SCALAR\"}]}",
        92 + room, size);
    while (length % 4) json[length++] = ' ';
    uint32_t head[5] = {0x46546c67, 2, (uint32_t)(28 + (size_t)length + 92 + room), (uint32_t)length,
                        0x4e4f534a};
    uint32_t part[2] = {(uint32_t)(92 + room), 0x004e4942};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) abort();
    fwrite(head, sizeof head, 1, file), fwrite(json, (size_t)length, 1, file),
        fwrite(part, sizeof part, 1, file);
    fwrite(corners, sizeof corners, 1, file), fwrite(indices, sizeof indices, 1, file);
    fwrite(png, size, 1, file), fwrite("\0\0\0", room - size, 1, file);
    if (fclose(file)) abort();
    free(png);
}

/* Two files with pictures of one name inside, and a third of that name beside them: each has its own. */
TEST(mesh_process, embedded_textures) {
    char folder[1024], path[1100];
    float seen[2][4] = {{0}};
    snprintf(folder, sizeof folder, "%s", folder_at(test_directory(), "embedded"));
    write_colour(folder, "red.png", 1, 0, 0);
    write_colour(folder, "green.png", 0, 1, 0);
    write_colour(folder, "texture.png", 0, 0, 1);
    write_glb(folder, "0.glb", "red.png");
    write_glb(folder, "1.glb", "green.png");
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%d.glb", folder, i);
        front_colour(path, seen[i]);
        EXPECT(seen[i][i] > 0.5f && seen[i][1 - i] < 0.1f && seen[i][2] < 0.1f, "%s: %g %g %g", path,
               (double)seen[i][0], (double)seen[i][1], (double)seen[i][2]);
    }
}

/* ---- formats -------------------------------------------------------------------------------------------------------- */

/* A square from -1 to 1 that faces +z, red. */
static const char *const ac_text = "AC3Db\nMATERIAL \"r\" rgb 1 0 0  amb 1 1 1  emis 0 0 0  spec 0 0 0  shi "
                                   "0  trans 0\nOBJECT world\nkids 1\n"
                                   "OBJECT poly\nname \"s\"\nnumvert 4\n-1 -1 0\n1 -1 0\n1 1 0\n-1 1 "
                                   "0\nnumsurf 1\nSURF 0x20\nmat 0\nrefs 4\n"
                                   "0 0 0\n1 0 0\n2 0 0\n3 0 0\nkids 0\n";

/* Its transparency is 0, which exporters write for opaque. */
static const char *const dae_text =
    "<?xml version=\"1.0\"?><COLLADA xmlns=\"http://www.collada.org/2005/11/COLLADASchema\" "
    "version=\"1.4.1\"><asset>"
    "<up_axis>Y_UP</up_axis></asset><library_effects><effect id=\"e\"><profile_COMMON><technique "
    "sid=\"c\"><phong>"
    "<diffuse><color>1 0 0 1</color></diffuse><transparent><color>1 1 1 "
    "1</color></transparent><transparency><float>0"
    "</float></transparency></phong></technique></profile_COMMON></effect></"
    "library_effects><library_materials>"
    "<material id=\"m\"><instance_effect url=\"#e\"/></material></library_materials><library_geometries>"
    "<geometry id=\"g\"><mesh><source id=\"p\"><float_array id=\"pa\" count=\"12\">-1 -1 0 1 -1 0 1 1 0 -1 1 "
    "0"
    "</float_array><technique_common><accessor source=\"#pa\" count=\"4\" stride=\"3\"><param name=\"X\" "
    "type=\"float\"/>"
    "<param name=\"Y\" type=\"float\"/><param name=\"Z\" "
    "type=\"float\"/></accessor></technique_common></source>"
    "<vertices id=\"v\"><input semantic=\"POSITION\" source=\"#p\"/></vertices><triangles count=\"2\" "
    "material=\"m\">"
    "<input semantic=\"VERTEX\" source=\"#v\" offset=\"0\"/><p>0 1 2 0 2 3</p></triangles></mesh></geometry>"
    "</library_geometries><library_visual_scenes><visual_scene id=\"s\"><node id=\"n\"><instance_geometry "
    "url=\"#g\">"
    "<bind_material><technique_common><instance_material symbol=\"m\" "
    "target=\"#m\"/></technique_common></bind_material>"
    "</instance_geometry></node></visual_scene></library_visual_scenes><scene><instance_visual_scene "
    "url=\"#s\"/></scene>"
    "</COLLADA>";

static const char *const stl_text = "solid s\nfacet normal 0 0 1\nouter loop\nvertex -1 -1 0\nvertex 1 -1 "
                                    "0\nvertex 1 1 0\nendloop\nendfacet\n"
                                    "facet normal 0 0 1\nouter loop\nvertex -1 -1 0\nvertex 1 1 0\nvertex -1 "
                                    "1 0\nendloop\nendfacet\nendsolid s\n";

static const char *const ply_text =
    "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\nproperty "
    "uchar red\n"
    "property uchar green\nproperty uchar blue\nelement face 1\nproperty list uchar int "
    "vertex_indices\nend_header\n"
    "-1 -1 0 255 0 0\n1 -1 0 255 0 0\n1 1 0 255 0 0\n-1 1 0 255 0 0\n4 0 1 2 3\n";

/* Opens a chunk: its number, and room for its length (itself and all in it). */
static size_t chunk(char *out, size_t at, int number) {
    memcpy(out + at, (unsigned char[]){(unsigned char)number, (unsigned char)(number >> 8), 0, 0, 0, 0}, 6);
    return at + 6;
}

static void close_chunk(char *out, size_t start, size_t end) {
    uint32_t length = (uint32_t)(end - start);
    memcpy(out + start + 2, &length, 4);
}

static size_t make_3ds(char out[1024]) {
    static const float corners[12] = {-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0};
    static const uint16_t faces[] = {2, 0, 1, 2, 0, 0, 2, 3, 0}; /* count; a b c flags */
    size_t root = 0, at = chunk(out, root, 0x4d4d), editor = at;
    at = chunk(out, at, 0x3d3d);
    size_t material = at;
    at = chunk(out, at, 0xafff);
    size_t name = at;
    at = chunk(out, at, 0xa000);
    memcpy(out + at, "r", 2);
    close_chunk(out, name, at += 2);
    size_t diffuse = at;
    at = chunk(out, at, 0xa020);
    size_t rgb = at;
    at = chunk(out, at, 0x0011);
    memcpy(out + at, "\xff\0\0", 3);
    at += 3;
    close_chunk(out, rgb, at);
    close_chunk(out, diffuse, at);
    close_chunk(out, material, at);
    size_t object = at;
    at = chunk(out, at, 0x4000);
    memcpy(out + at, "s", 2);
    at += 2;
    size_t mesh = at;
    at = chunk(out, at, 0x4100);
    size_t vertices = at;
    at = chunk(out, at, 0x4110);
    memcpy(out + at, (uint16_t[]){4}, 2);
    memcpy(out + at + 2, corners, sizeof corners);
    close_chunk(out, vertices, at += 2 + sizeof corners);
    size_t triangles = at;
    at = chunk(out, at, 0x4120);
    memcpy(out + at, faces, sizeof faces);
    at += sizeof faces;
    size_t group = at;
    at = chunk(out, at, 0x4130);
    memcpy(out + at, "r\0\2\0\0\0\1\0", 8); /* the material's name, 2 faces, which */
    close_chunk(out, group, at += 8);
    size_t ends[] = {triangles, mesh, object, editor, root};
    for (int i = 0; i < 5; i++) close_chunk(out, ends[i], at);
    return at;
}

TEST(mesh_process, formats) {
    char folder[1024], path[1100], bytes[1024];
    static const char *const names[] = {"s.ac", "s.dae", "s.stl", "s.ply", "s.3ds"};
    const char *const texts[] = {ac_text, dae_text, stl_text, ply_text};
    snprintf(folder, sizeof folder, "%s", folder_at(test_directory(), "formats"));
    for (int i = 0; i < 5; i++) {
        float seen[4] = {0};
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (i < 4)
            text_to(folder, names[i], texts[i]);
        else if (plx_file_write(path, bytes, make_3ds(bytes)))
            abort();
        front_colour(path, seen);
        bool grey = i == 2; /* STL has no colour */
        EXPECT(seen[3] == 1 && seen[0] > 0.4f && (grey ? seen[1] > 0.4f : seen[1] < 0.1f), "%s: %g %g %g %g",
               names[i], (double)seen[0], (double)seen[1], (double)seen[2], (double)seen[3]);
    }
}

/* A damaged file ends in one line that names it, wherever it is cut. */
TEST(mesh_process, cut_files) {
    char folder[1024], path[1100], bytes[1024];
    snprintf(folder, sizeof folder, "%s", folder_at(test_directory(), "cut"));
    snprintf(path, sizeof path, "%s/s.3ds", folder);
    size_t size = make_3ds(bytes);
    for (size_t length = 1; length < size; length += 1 + size / 12) {
        plx_image image = {0};
        if (plx_file_write(path, bytes, length)) abort();
        if (draw_front(&image, path, false) == 0)
            plx_image_free(&image); /* the last triangles may be missing */
        else
            EXPECT(strstr(plx_error(), "s.3ds: ") && !strchr(plx_error(), '\n'), "%zu bytes: %s", length,
                   plx_error());
    }
}

/* A mesh that is right but for its promise of 2.1e9 faces: Assimp asks for their memory, past the child's limit of 8 GB. */
TEST(mesh_process, memory_has_a_limit) {
    static const char text[] =
        "AC3Db\nMATERIAL \"m\" rgb 1 1 1  amb 1 1 1  emis 0 0 0  spec 0 0 0  shi 0  trans 0\n"
        "OBJECT world\nkids 1\nOBJECT poly\nnumvert 3\n0 0 0\n1 0 0\n0 1 0\nnumsurf %s\n"
        "SURF 0x10\nmat 0\nrefs 3\n0 0 0\n1 0 0\n2 0 0\nkids 0\n";
    static const char *const promised[] = {"1", "2100000000"};
    for (int i = 0; i < 2; i++) {
        char path[1100], bytes[512];
        plx_mesh *mesh;
        snprintf(path, sizeof path, "%s/promise%d.ac", test_directory(), i);
        int length = snprintf(bytes, sizeof bytes, text, promised[i]);
        plx_file_write(path, bytes, (size_t)length);
        int status = plx_mesh_load(&mesh, path, NULL);
        EXPECT(i ? status < 0 && strstr(plx_error(), path) && !strchr(plx_error(), '\n') : status == PLX_OK,
               "%s faces: %d, %s", promised[i], status, plx_error());
        plx_mesh_free(mesh);
    }
}
