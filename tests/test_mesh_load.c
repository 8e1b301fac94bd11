/* Mesh files: what a material means, where a texture lies, what a bad file says. */
#include <stdint.h>

#include "nerf/core/error.h"
#include "nerf/core/file.h"
#include "render/render.h"
#include "tests/test.h"

static const char *write_text(const char *name, const char *text) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    if (plx_file_write(path, text, strlen(text)) < 0) printf("    %s\n", plx_error());
    return path;
}

/* 2x2 texels, RGBA rows from the top. */
static void write_picture(const char *name, const float rgba[16]) {
    plx_image image;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    if (plx_image_create(&image, 2, 2, 4) < 0) return;
    memcpy(image.data, rgba, 64);
    EXPECT(plx_png_save(path, &image) == PLX_OK, "%s", plx_error());
    plx_image_free(&image);
}

static const float picture[16] = {1, 0, 0, 1, 0, 1, 0, 1,  /* top: red, green */
                                  0, 0, 1, 1, 1, 1, 0, 1}; /* bottom: blue, yellow */

/* A square facing +z in a y-up file: x from -1 to 1, y from -1 to 1; u to the right, v up. It comes out facing +x. */
#define SQUARE                                                                                         \
    "mtllib m.mtl\nv -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl m\n" \
    "f 1/1 2/2 3/3 4/4\n"

/* The quarters of the image seen from azimuth 0 under even light: RGBA at top left, top right, bottom left, right. */
static int draw_quarters(const char *obj, float quarters[4][4], plx_mesh_info *info) {
    plx_mesh *mesh;
    plx_scene *scene;
    int status = plx_mesh_load(&mesh, obj, NULL);
    if (status < 0) return status;
    if (info) *info = plx_mesh_describe(mesh);
    if ((status = plx_scene_create(&scene, mesh)) < 0) return status;
    plx_draw_options options = plx_draw_options_default();
    options.samples = 4;
    options.light = (plx_light){.key_direction = {1, 0, 0}, .sky = 0.5f, .ground = 0.5f};
    plx_view view = {.camera = plx_camera_orbit(0, 0, 2, 0.5f, 64, 64)}; /* the square spans 44 pixels */
    status = plx_scene_draw(scene, &view, &options);
    for (int k = 0; k < 4 && status == PLX_OK; k++) {
        int row = k < 2 ? 20 : 43, column = k % 2 ? 43 : 20; /* a quarter of the way: texel centres */
        memcpy(quarters[k], view.colour.data + 4 * (64 * row + column), 16);
    }
    plx_image_free(&view.colour);
    plx_scene_free(scene);
    return status;
}

TEST(mesh, texture_is_upright_and_unmirrored) {
    float q[4][4], half = plx_srgb_encode(0.5f);
    plx_mesh_info info;
    write_picture("Texture One.PNG", picture);
    /* as an exporter on another system writes it: backslashes, another case */
    write_text("m.mtl", "newmtl m\nKd 1 1 1\nmap_Kd .\\texture one.png\n");
    REQUIRE(draw_quarters(write_text("square.obj", SQUARE), q, &info) == PLX_OK, "%s", plx_error());
    EXPECT(info.textures == 1 && info.textures_missing == 0, "%d textures, %d missing", info.textures,
           info.textures_missing);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++) {
            /* half a pixel of 44 from the texel's centre: bilinear mixes 2 % of each neighbour */
            float wanted = i == 3 ? 1 : picture[4 * k + i] * half;
            float linear = plx_srgb_decode(q[k][i]) * (i < 3 ? 1 : 0) + (i == 3 ? q[k][3] : 0);
            float aim = i == 3 ? 1 : plx_srgb_decode(wanted);
            EXPECT(fabsf(linear - aim) < 0.06f, "quarter %d channel %d: %g not %g", k, i, linear, aim);
        }
}

TEST(mesh, missing_texture_falls_back_and_is_counted) {
    float q[4][4];
    plx_mesh_info info;
    write_text("m.mtl", "newmtl m\nKd 0.25 0.5 0.75\nmap_Kd C:\\nowhere\\gone.jpg\n");
    REQUIRE(draw_quarters(write_text("square.obj", SQUARE), q, &info) == PLX_OK, "%s", plx_error());
    EXPECT(info.textures == 0 && info.textures_missing == 1, "%d missing", info.textures_missing);
    for (int i = 0; i < 3; i++) { /* float rounding */
        float wanted = plx_srgb_encode(0.5f * plx_srgb_decode(0.25f * (float)(i + 1)));
        EXPECT(fabsf(q[0][i] - wanted) < 1e-4f, "channel %d: %g not %g", i, q[0][i], wanted);
    }
}

TEST(mesh, opacity_from_material_map_and_alpha) {
    float q[4][4], masked[16];
    plx_mesh_info info;
    write_text("m.mtl", "newmtl m\nKd 1 1 1\nd 0.25\n");
    REQUIRE(draw_quarters(write_text("square.obj", SQUARE), q, &info) == PLX_OK, "%s", plx_error());
    EXPECT(fabsf(q[1][3] - 0.25f) < 1e-6f, "d: %g", q[1][3]);
    EXPECT(fabsf(info.transparent - 1) < 1e-6f, "all of it is transparent: %g", info.transparent);

    memcpy(masked, picture, sizeof masked);
    masked[3] = 0; /* the red texel is clear */
    write_picture("alpha.png", masked);
    write_text("m.mtl", "newmtl m\nKd 1 1 1\nmap_Kd alpha.png\nmap_d alpha.png\n");
    REQUIRE(draw_quarters(write_text("square.obj", SQUARE), q, NULL) == PLX_OK, "%s", plx_error());
    EXPECT(q[0][3] < 0.1f && q[3][3] > 0.99f, "alpha of the texture: %g %g", q[0][3], q[3][3]);
    /* the clear texel's colour does not bleed: beside it the straight colour is its neighbours' */
    EXPECT(q[1][0] < 0.35f, "red %g", q[1][0]);

    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 3; i++) masked[4 * k + i] = k == 2 ? 0.0f : 1.0f, masked[4 * k + 3] = 1;
    write_picture("map.png", masked);
    write_text("m.mtl", "newmtl m\nKd 1 1 1\nmap_d map.png\n");
    REQUIRE(draw_quarters(write_text("square.obj", SQUARE), q, NULL) == PLX_OK, "%s", plx_error());
    EXPECT(q[2][3] < 0.1f && q[1][3] > 0.99f, "map_d: %g %g", q[2][3], q[1][3]);
}

/* A checker of single texels far finer than the pixels: every pixel is the mean in linear light. */
TEST(mesh, fine_texture_averages_in_linear_light) {
    plx_image image;
    char path[512];
    snprintf(path, sizeof path, "%s/fine.png", test_directory());
    REQUIRE(plx_image_create(&image, 512, 512, 3) == PLX_OK, "%s", plx_error());
    for (int i = 0; i < 512 * 512 * 3; i++) image.data[i] = (float)((i / 3 % 512 + i / 3 / 512) % 2);
    REQUIRE(plx_png_save(path, &image) == PLX_OK, "%s", plx_error());
    plx_image_free(&image);
    write_text("m.mtl", "newmtl m\nKd 1 1 1\nmap_Kd fine.png\n");
    float q[4][4];
    REQUIRE(draw_quarters(write_text("square.obj", SQUARE), q, NULL) == PLX_OK, "%s", plx_error());
    for (int k = 0; k < 4; k++) /* half of 0.5; 0.01: the mip's byte, encoded once more */
        EXPECT(fabsf(q[k][0] - plx_srgb_encode(0.25f)) < 0.01f, "%g not %g", q[k][0], plx_srgb_encode(0.25f));
}

/* A GLB made by hand: one red-green-blue-white triangle pair whose node turns and moves it. */
TEST(mesh, gltf_nodes_and_linear_colours) {
    const char *text =
        "{\"asset\":{\"version\":\"2.0\"},\"scene\":0,\"scenes\":[{\"nodes\":[0]}],"
        "\"nodes\":[{\"children\":[1],\"scale\":[2,2,2]},{\"mesh\":0,\"translation\":[0,0,5]}],"
        "\"meshes\":[{\"primitives\":[{\"attributes\":{\"POSITION\":0},\"indices\":1,\"material\":0}]}],"
        "\"materials\":[{\"pbrMetallicRoughness\":{\"baseColorFactor\":[0.5,0.25,1,1]}}],"
        "\"buffers\":[{\"byteLength\":60,\"uri\":\"data:application/octet-stream;base64,"
        /* positions (-1,-1,0) (1,-1,0) (1,1,0) (-1,1,0) as floats, then 0 1 2 0 2 3 as u16 */
        "AACAvwAAgL8AAAAAAACAPwAAgL8AAAAAAACAPwAAgD8AAAAAAACAvwAAgD8AAAAAAAABAAIAAAACAAMA\"}],"
        "\"bufferViews\":[{\"buffer\":0,\"byteOffset\":0,\"byteLength\":48},{\"buffer\":0,\"byteOffset\":48,"
        "\"byteLength\":12}],"
        "\"accessors\":[{\"bufferView\":0,\"componentType\":5126,\"count\":4,\"type\":\"VEC3\",\"min\":[-1,-"
        "1,0],"
        "\"max\":[1,1,0]},{\"bufferView\":1,\"componentType\":5123,\"count\":6,\"type\":\"SCALAR\"}]}";
    float q[4][4];
    plx_mesh_info info;
    const char *path = write_text("square.gltf", text);
    REQUIRE(draw_quarters(path, q, &info) == PLX_OK, "%s", plx_error());
    float linear[3] = {0.5f, 0.25f, 1};
    for (int i = 0; i < 3; i++) /* glTF factors are linear: half light halves them */
        EXPECT(fabsf(q[0][i] - plx_srgb_encode(0.5f * linear[i])) < 1e-4f, "channel %d: %g", i, q[0][i]);
    plx_mesh *mesh;
    plx_mesh_options options = plx_mesh_options_default();
    options.normalise = false;
    REQUIRE(plx_mesh_load(&mesh, path, &options) == PLX_OK, "%s", plx_error());
    info = plx_mesh_describe(mesh);
    /* z = 5 in the child, doubled by the parent, and z is x here; exact in floats */
    EXPECT(info.box_min[0] == 10 && info.box_max[0] == 10, "x %g to %g", info.box_min[0], info.box_max[0]);
    EXPECT(info.box_min[1] == -2 && info.box_max[2] == 2, "y %g, z %g", info.box_min[1], info.box_max[2]);
    plx_mesh_free(mesh);
}

TEST(mesh, ply_vertex_colours) {
    const char *text =
        "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "-1 -1 0 51 102 204\n1 -1 0 51 102 204\n1 1 0 51 102 204\n-1 1 0 51 102 204\n4 0 1 2 3\n";
    float q[4][4];
    REQUIRE(draw_quarters(write_text("colours.ply", text), q, NULL) == PLX_OK, "%s", plx_error());
    float bytes[3] = {51, 102, 204};
    for (int i = 0; i < 3; i++) /* encoded bytes; float rounding */
        EXPECT(fabsf(q[0][i] - plx_srgb_encode(0.5f * plx_srgb_decode(bytes[i] / 255))) < 1e-3f, "%d: %g", i,
               q[0][i]);
}

/* Binary data that begin with a '\n', or another space, are data all the same. */
TEST(mesh, ply_data_begin_with_any_byte) {
    static const char header[] =
        "ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n";
    static const unsigned char firsts[] = {'\n', '\r', ' ', 'v', 0};
    static const char face[] = "\3\0\0\0\0\1\0\0\0\2\0\0";
    for (size_t i = 0; i < sizeof firsts; i++) {
        char bytes[1024], path[512];
        float corners[9] = {1, 0, 0, 3, 0, 0, 1, 5, 0};
        size_t at = sizeof header - 1;
        memcpy(corners, &firsts[i], 1); /* 1 and some 2^-23ths */
        memcpy(bytes, header, at);
        memcpy(bytes + at, corners, sizeof corners);
        memcpy(bytes + at + sizeof corners, face, 13);
        snprintf(path, sizeof path, "%s/first.ply", test_directory());
        if (plx_file_write(path, bytes, at + sizeof corners + 13)) abort();
        plx_mesh *mesh;
        plx_mesh_options options = plx_mesh_options_default();
        options.normalise = false;
        REQUIRE(plx_mesh_load(&mesh, path, &options) == PLX_OK, "%s", plx_error());
        plx_mesh_info info = plx_mesh_describe(mesh); /* x is y here, y is z */
        EXPECT(info.triangles == 1 && info.box_max[1] == 3 && info.box_max[2] == 5 && info.box_min[1] == 1,
               "first byte %d: %g to %g, %g", firsts[i], (double)info.box_min[1], (double)info.box_max[1],
               (double)info.box_max[2]);
        plx_mesh_free(mesh);
    }
}

TEST(mesh, bad_files_say_so_in_one_line) {
    static const struct {
        const char *name, *text;
        int status;
    } files[] = {{"empty.obj", "", PLX_ERROR_INPUT},
                 {"points.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", PLX_ERROR_INPUT},
                 {"nan.obj", "v 0 0 0\nv 1 0 0\nv nan 1 0\nf 1 2 3\n", PLX_ERROR_INPUT},
                 {"huge.obj", "v 0 0 0\nv 1e38 0 0\nv 0 1e39 0\nf 1 2 3\n", PLX_ERROR_INPUT},
                 {"range.obj", "v 0 0 0\nv 1 0 0\nf 1 2 9\n", PLX_ERROR_INPUT},
                 {"text.glb", "this is no glb", PLX_ERROR_INPUT},
                 {"text.ply", "ply\nformat ascii 1.0\nelement vertex 1000000000\n", PLX_ERROR_INPUT},
                 {"text.stl", "solid", PLX_ERROR_INPUT},
                 {"text.dae", "<COLLADA", PLX_ERROR_INPUT},
                 {"text.ac", "AC3Db\n", PLX_ERROR_INPUT},
                 {"text.txt", "v 0 0 0", PLX_ERROR_SUPPORT}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        plx_mesh *mesh;
        int status = plx_mesh_load(&mesh, write_text(files[i].name, files[i].text), NULL);
        EXPECT(status == files[i].status && !mesh, "%s: %d", files[i].name, status);
        EXPECT(strstr(plx_error(), files[i].name) && !strchr(plx_error(), '\n'), "%s", plx_error());
        if (!status) plx_mesh_free(mesh);
    }
}

TEST(mesh, rotation_comes_before_the_turn) {
    /* the file lies on its back: its up is +z, its front -y; a quarter turn about x puts y up */
    float p[9] = {0, 0, 0, 0, 0, 3, 1, 0, 0};
    uint32_t index[3] = {0, 1, 2};
    plx_mesh *mesh;
    plx_mesh_options options = plx_mesh_options_default();
    options.normalise = false;
    float turn[9] = {1, 0, 0, 0, 0, 1, 0, -1, 0};
    memcpy(options.rotation, turn, sizeof turn);
    REQUIRE(plx_mesh_from_arrays(&mesh, 3, p, NULL, 1, index, &options) == PLX_OK, "%s", plx_error());
    plx_mesh_info info = plx_mesh_describe(mesh);
    EXPECT(info.box_max[2] == 3 && info.box_max[1] == 1 && info.box_max[0] == 0, "%g %g %g", info.box_max[0],
           info.box_max[1], info.box_max[2]);
    plx_mesh_free(mesh);
}
