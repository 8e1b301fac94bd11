/* parallax store: scenes in and out by the command, and what it refuses. */
#include "tests/test.h"

#include <unistd.h>

#include "nerf/core/file.h"
#include "nerf/field.h"
#include "nerf/latents.h"

static const char *at(const char *name) {
    return test_file_in("cmd_store/", name);
}

/* `parallax store WORDS`, where every '@' stands for the tests' folder and a '/'. */
static const char *arguments(const char *words) {
    static char text[4096];
    size_t used = (size_t)snprintf(text, sizeof text, "store ");
    for (; *words && used + 300 < sizeof text; words++)
        if (*words == '@')
            used += (size_t)snprintf(text + used, sizeof text - used, "%s/cmd_store/", test_directory());
        else
            text[used++] = *words;
    text[used] = 0;
    return text;
}

static void succeeds(const char *words, const char *holding) {
    const char *said;
    int code = test_run_parallax_output(arguments(words), &said);
    EXPECT(code == 0 && strstr(said, holding), "store %s: exit %d, no '%s' in '%s'", words, code, holding,
           said);
}

/* Fails with `code` and one line that holds the text. */
static void fails(const char *words, int code, const char *holding) {
    const char *said;
    int got = test_run_parallax(arguments(words), &said);
    EXPECT(got == code && !strncmp(said, "parallax: ", 10) && strchr(said, '\n') == said + strlen(said) - 1,
           "store %s: exit %d: '%s'", words, got, said);
    EXPECT(strstr(said, holding), "store %s: no '%s' in '%s'", words, holding, said);
}

static void save_scenes(void) {
    plx_field_size size = {.N = 1, .C = 16, .F = 4, .H = 16, .xy = {8, 8}, .xz = {8, 8}, .yz = {8, 8}};
    plx_camera none = {0};
    if (plx_make_directories(at("scenes"))) abort();
    for (uint64_t seed = 1; seed < 4; seed++) {
        plx_field *field;
        char name[64];
        snprintf(name, sizeof name, "scenes/s%d.safetensors", (int)seed);
        if (plx_field_create(&field, size, plx_frame_make(PLX_FRAME_WORLD, &none, 0.5f), seed, false) ||
            plx_field_save(field, at(name), seed == 2))
            abort();
        plx_field_free(field);
    }
    if (plx_file_write(at("bad.safetensors"), "no", 2)) abort();
}

/* The file's weights are those of the other, and it has this much more metadata. */
static void same_scene(const char *a, const char *b) {
    plx_field *x = NULL, *y = NULL;
    if (plx_field_load(&x, at(a), false) || plx_field_load(&y, at(b), false)) {
        EXPECT(false, "%s", plx_error());
    } else {
        for (int i = 0; i < plx_params_count(x->params); i++) {
            const plx_tensor *p = &plx_params_at(x->params, i)->tensor,
                             *q = &plx_params_at(y->params, i)->tensor;
            EXPECT(!memcmp(p->data, q->data, sizeof *p->data * plx_tensor_size(p)), "%s: %s differs", a,
                   plx_params_at(x->params, i)->name);
        }
    }
    plx_field_free(x);
    plx_field_free(y);
}

TEST(cmd_store, scenes_in_and_out) {
    save_scenes();
    succeeds("put @store @scenes/s1.safetensors @scenes/s2.safetensors --class chair", "2 put");
    succeeds("put @store @scenes/s3.safetensors --id third --as q8 --source somewhere", "1 put");
    succeeds("ls @store", "s1\tchair\tf32 xy 8x8x16 xz 8x8x16 yz 8x8x16\t\ns2\tchair\tf16 xy");
    succeeds("ls @store --class chair --sheet @sheet.png", "s2\tchair");
    EXPECT(!access(at("sheet.png"), R_OK), "no sheet");
    succeeds("info @store", "3 objects, 3 decoders");
    succeeds("info @store third", "source    somewhere");
    succeeds("info @store third", "store put {\"id\":\"third\",\"as\":\"q8\",\"source\":\"somewhere\"}");
    succeeds("get @store s1 -o @back1.safetensors --thumbnail @back1.png", "");
    succeeds("get @store s2 -o @back2.safetensors", "");
    same_scene("back1.safetensors", "scenes/s1.safetensors");
    same_scene("back2.safetensors", "scenes/s2.safetensors");
    EXPECT(!access(at("back1.png"), R_OK), "no thumbnail");
    succeeds("verify @store", "3 objects, all whole");
    succeeds("export @store @out", "3 scenes");
    succeeds("import @second @out", "3 put");
    succeeds("info @second s1", "class     chair");
    succeeds("get @second third -o @back3.safetensors", "");
    same_scene("back3.safetensors", "out/third.safetensors");
    succeeds("rm @store s1 s2", "");
    succeeds("ls @store", "third");
    succeeds("gc @store --copy @compact", "2 decoders removed");
    succeeds("info @compact", "1 objects, 1 decoders");
}

/* What others wrote into a scene's metadata stays in its column; a latent that is no scene says so. */
TEST(cmd_store, texts_and_planes_of_others) {
    save_scenes();
    succeeds("put @odd @scenes/s1.safetensors --class 'a\tb' --source 'x\033[2Jy'", "1 put");
    succeeds("ls @odd", "s1\ta?b\tf32 xy 8x8x16 xz 8x8x16 yz 8x8x16\tx?[2Jy\n");
    succeeds("info @odd s1", "class     a?b\nsource    x?[2Jy\n");
    plx_latents_options options = plx_latents_options_default();
    plx_latents *latents;
    plx_transaction *t;
    float texels[8] = {1};
    plx_latent latent = {.id = "planes", .planes = 1};
    latent.plane[0] = (plx_latent_plane){"xy", 2, 2, 2, texels, NULL};
    options.write = true;
    REQUIRE(!plx_latents_open(&latents, at("odd"), &options) && !plx_transaction_begin(&t, latents, true) &&
                !plx_latent_put(t, &latent, PLX_LATENT_F32) && !plx_transaction_commit(t),
            "%s", plx_error());
    plx_latents_free(latents);
    succeeds("info @odd planes", "decoder   none\nthumbnail none\nstate     none\n");
    fails("get @odd planes -o @odd.safetensors", 1, "planes: has planes, but no frame and rules");
    fails("export @odd @all", 1, "planes: has planes, but no frame and rules");
    EXPECT(access(at("odd.safetensors"), F_OK) && access(at("all"), F_OK), "something was written");
}

TEST(cmd_store, export_is_all_or_nothing) {
    save_scenes();
    succeeds("put @exported @scenes/s1.safetensors @scenes/s3.safetensors", "2 put");
    succeeds("export @exported @whole s1", "1 scenes");
    succeeds("export @exported @whole s3", "1 scenes"); /* what is there stays */
    EXPECT(!access(at("whole/s1.safetensors"), R_OK) && !access(at("whole/s3.png"), R_OK), "scenes are gone");
    char *data;
    size_t size, scene = 0;
    if (plx_file_read(&data, &size, at("exported/data.mdb"), 1 << 28)) abort();
    plx_field *field;
    REQUIRE(!plx_field_load(&field, at("scenes/s3.safetensors"), false), "%s", plx_error());
    const plx_tensor *xy = plx_params_get(field->params, "planes.xy");
    for (size_t i = 0; i + 16 < size; i++)
        if (!memcmp(data + i, xy->data, 16)) memcpy(data + (scene = i), "damage", 6);
    plx_field_free(field);
    EXPECT(scene && !plx_file_write(at("exported/data.mdb"), data, size), "the texels were not found");
    free(data);
    fails("export @exported @broken", 1, "checksum");
    EXPECT(access(at("broken"), F_OK), "a part was exported");
    fails("verify @exported --quiet", 1, "1 of 2 objects are damaged");
}

TEST(cmd_store, two_shards_are_the_whole) {
    save_scenes();
    const char *said;
    int lines = 0;
    succeeds("import @sharded @scenes", "3 put");
    for (int shard = 0; shard < 2; shard++) {
        EXPECT(!test_run_parallax_output(
                   arguments(shard ? "ls @sharded --shards 2 --shard 1" : "ls @sharded --shards 2"), &said),
               "ls");
        for (const char *c = said; *c; c++) lines += *c == '\n';
    }
    EXPECT(lines == 3, "%d lines", lines);
}

TEST(cmd_store, what_is_refused) {
    save_scenes();
    succeeds("put @kept @scenes/s1.safetensors", "1 put\n");
    succeeds("put @kept @scenes/s1.safetensors", "1 put, 1 of them in place of older ones");
    fails("put @kept @scenes/s2.safetensors @bad.safetensors", 1, "bad.safetensors");
    fails("put @kept @scenes/s2.safetensors @scenes/s3.safetensors --id x", 2, "--id is for one file");
    fails("put @kept @scenes/s2.safetensors --id a/b", 1, "an id is");
    fails("put @kept @scenes/s2.safetensors @copy/s2.safetensors", 1, "has the id of");
    fails("verify @kept nothing", 1, "kept: nothing: there is no such object");
    fails("ls @kept s1 nothing", 1, "kept: nothing: there is no such object");
    fails("put @kept @gone.safetensors", 1, "gone.safetensors: No such file");
    fails("rm @kept s1 nothing", 1, "kept: nothing: there is no such object");
    succeeds("ls @kept", "s1"); /* as it was: all or none */
    fails("get @kept nothing -o @x.safetensors", 1, "kept: nothing: there is no such object");
    fails("get @kept s1", 2, "--output FILE is needed");
    fails("get @kept s1 -o @no/folder/x.safetensors", 1, "x.safetensors");
    fails("export @kept @refused nothing", 1, "nothing: there is no such object");
    fails("ls @kept --shards 2 --shard 2", 2, "no --shard 2");
    fails("import @kept @scenes/none", 1, "No such file");
    const char *const readers[] = {"ls @gone",   "info @gone", "verify @gone",
                                   "rm @gone a", "gc @gone",   "get @gone a -o @x.safetensors"};
    for (int i = 0; i < 6; i++) fails(readers[i], 1, "gone: No such file");
    fails("put @gone @bad.safetensors", 1, "bad.safetensors"); /* no store is made for it */
    fails("import @gone @out/nothing", 1, "No such file");
    EXPECT(access(at("gone"), F_OK) && access(at("refused"), F_OK) && access(at("x.safetensors"), F_OK),
           "something was made");
    fails("verify @scenes", 1, "scenes: there is no store");
}

/* On a file system that is full already, a store is made whole or not at all, and one is read or refused. */
TEST(cmd_store, a_full_disk) {
    char command[900], full[300];
    const char *said;
    int made = 0, refused = 0;
    save_scenes();
    snprintf(full, sizeof full, "%s", at("full"));
    if (plx_make_directories(full)) abort();
    for (int kilobytes = 4; kilobytes < 1000 && !made; kilobytes += kilobytes < 200 ? 36 : 200) {
        snprintf(command, sizeof command, "mount -t tmpfs -o size=%dk parallax-test %s 2>/dev/null",
                 kilobytes, full);
        if (geteuid() || system(command)) SKIP("no file system can be mounted here");
        int code = test_run_parallax(arguments("put @full/new @scenes/s1.safetensors --quiet"), &said);
        made = code == 0;
        refused += code == 1 && strstr(said, "full/new: ") && access(at("full/new"), F_OK);
        EXPECT(code == 0 || (code == 1 && strchr(said, '\n') == said + strlen(said) - 1), "%d KB: %d, %s",
               kilobytes, code, said);
        EXPECT(made || access(at("full/new"), F_OK), "%d KB: something was left", kilobytes);
        if (made) break; /* and stays mounted */
        snprintf(command, sizeof command, "umount %s", full);
        EXPECT(system(command) == 0, "umount");
    }
    EXPECT(made && refused > 1, "refused %d times, then %s", refused, made ? "made" : "not made");
    /* A copy without its lock file, where there is no room for one. */
    snprintf(command, sizeof command,
             "cd %s && rm new/lock.mdb && { cat /dev/zero >filler 2>/dev/null; true; }", full);
    EXPECT(system(command) == 0, "filling");
    int code = test_run_parallax(arguments("ls @full/new"), &said);
    EXPECT(code == 1 && strstr(said, "full/new: the disk is full"), "%d: %s", code, said);
    snprintf(command, sizeof command, "umount %s", full);
    EXPECT(system(command) == 0, "umount");
}
