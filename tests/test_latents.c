/* The latent store: what comes back, and what is left after deaths, full disks and files that are none. */
#define _GNU_SOURCE
#include "tests/test.h"

#include <errno.h>
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nerf/core/file.h"
#include "nerf/core/progress.h"
#include "nerf/core/rng.h"
#include "nerf/field.h"
#include "nerf/latents.h"

/* A store's folder of this name, in the test's folder. */
static plx_latents *open_store(const char *name, bool write) {
    plx_latents_options options = plx_latents_options_default();
    plx_latents *latents;
    options.write = write;
    int status = plx_latents_open(&latents, test_file(name), &options);
    EXPECT(!status, "%s", plx_error());
    return latents;
}

static plx_transaction *begin(plx_latents *latents, bool write) {
    plx_transaction *t = NULL;
    int status = plx_transaction_begin(&t, latents, write);
    EXPECT(!status, "%s", plx_error());
    return t;
}

enum { SIDE = 24, CHANNELS = 5, NUMBERS = 3 * SIDE * SIDE * CHANNELS };

/* A latent whose numbers are a function of (id, round); the arrays are the caller's. */
static plx_latent make_latent(const char *id, uint64_t round, float texels[NUMBERS]) {
    static const char *const names[] = {"xy", "xz", "yz"};
    plx_latent latent = {.id = id, .class_name = "chair", .source = id, .planes = 3, .rules = "{}"};
    plx_rng rng = {round, 0};
    for (const char *c = id; *c; c++) rng = plx_rng_fork(rng, (uint64_t)*c);
    for (int i = 0; i < NUMBERS; i++) texels[i] = 2 * plx_rng_uniform(rng, (uint64_t)i) - 1;
    for (int i = 0; i < 3; i++) {
        latent.plane[i] = (plx_latent_plane){.rows = SIDE, .columns = SIDE, .channels = CHANNELS};
        strcpy(latent.plane[i].name, names[i]);
        latent.plane[i].texels = texels + i * NUMBERS / 3;
    }
    return latent;
}

static int put(plx_transaction *t, const char *id, uint64_t round) {
    static float texels[NUMBERS];
    plx_latent latent = make_latent(id, round, texels);
    return plx_latent_put(t, &latent, PLX_LATENT_F32);
}

/* True if the object is whole, and that of this round. No OpenMP: children of fork call it. */
static bool holds(plx_transaction *t, const char *id, uint64_t round) {
    static float texels[NUMBERS];
    plx_latent wanted = make_latent(id, round, texels), got;
    bool same = !plx_latent_check(t, id) && !plx_latent_get(&got, t, id) && got.planes == wanted.planes;
    for (int i = 0; same && i < got.planes; i++)
        same = !memcmp(got.plane[i].texels, wanted.plane[i].texels, sizeof texels / 3);
    return same;
}

/* ---- what comes back --------------------------------------------------------------------------------------- */

/* Whether the address lies in a map of a file whose path ends so. */
static bool mapped_from(const void *address, const char *ending) {
    char line[4096];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && !found && fgets(line, sizeof line, maps)) {
        unsigned long first, last, at = (unsigned long)(uintptr_t)address;
        line[strcspn(line, "\n")] = 0;
        size_t length = strlen(line), tail = strlen(ending);
        found = sscanf(line, "%lx-%lx", &first, &last) == 2 && at >= first && at < last && length > tail &&
                !strcmp(line + length - tail, ending);
    }
    if (maps) fclose(maps);
    return found;
}

TEST(latents, types) {
    static float texels[NUMBERS], back[NUMBERS];
    plx_latents *latents = open_store("types", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    plx_latent latent = make_latent("a", 1, texels), got;
    texels[7] = 0, texels[8] = 1e-6f; /* zero, and less than a half's normal numbers */
    for (int as = 0; as < PLX_LATENT_TYPES; as++) {
        latent.id = plx_latent_type_name((enum plx_latent_type)as);
        EXPECT(!plx_latent_put(t, &latent, (enum plx_latent_type)as), "%s", plx_error());
    }
    EXPECT(!plx_transaction_commit(t), "%s", plx_error());
    t = begin(latents, false);
    /* half: 11 bits, so an error of 2^-12 of numbers up to 1, 2^-25 of subnormal ones; 8 bits: half a step of 1/127. */
    const float bound[PLX_LATENT_TYPES] = {0, 0x1p-12f, 0.5f / 127 * 1.0001f};
    for (int as = 0; as < PLX_LATENT_TYPES; as++) {
        const char *id = plx_latent_type_name((enum plx_latent_type)as);
        REQUIRE(!plx_latents_read(t, 1, &id, NUMBERS, back), "%s", plx_error());
        float worst = 0;
        for (int i = 0; i < NUMBERS; i++) worst = fmaxf(worst, fabsf(back[i] - texels[i]));
        EXPECT(worst <= bound[as] && (as == 0 || worst > bound[as] / 2), "%s: %g", id, (double)worst);
        EXPECT(back[7] == 0, "%s: %g", id, (double)back[7]);
        EXPECT(!plx_latent_get(&got, t, id), "%s", plx_error());
        EXPECT((int)got.type == as && got.planes == 3 && !strcmp(got.plane[1].name, "xz") &&
                   plx_latent_numbers(&got) == NUMBERS,
               "%s", id);
        EXPECT((uintptr_t)got.plane[2].texels % 16 == 0, "%s: texels at %p", id, got.plane[2].texels);
        EXPECT(!strcmp(got.class_name, "chair") && !strcmp(got.source, "a") && !strcmp(got.rules, "{}"), "%s",
               id);
        EXPECT(!plx_latent_check(t, id), "%s", plx_error());
    }
    /* Zero copies: floats are read where they lie, which is data.mdb itself. */
    EXPECT(!plx_latent_get(&got, t, "f32") && !memcmp(got.plane[0].texels, texels, sizeof texels / 3),
           "not the same");
    for (int i = 0; i < 3; i++)
        EXPECT(mapped_from(got.plane[i].texels, "types/data.mdb"), "plane %d is a copy at %p", i,
               got.plane[i].texels);
    plx_transaction_free(t);
    plx_latents_free(latents);
}

TEST(latents, optional_parts_and_replacement) {
    static float texels[NUMBERS], decoder[40], state[2][100];
    unsigned char rgba[4 * 6] = {1, 2, 3, 4};
    plx_latents *latents = open_store("parts", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    plx_latent full = make_latent("full", 1, texels), other = make_latent("other", 1, texels), got;
    for (int i = 0; i < 40; i++) decoder[i] = (float)i;
    full.decoder = decoder, full.decoder_numbers = 40, full.decoder_layout = "{\"w\":[40]}";
    full.thumbnail = rgba, full.thumbnail_height = 2, full.thumbnail_width = 3;
    full.steps = 7, full.state_numbers = 100, full.m = state[0], full.v = state[1];
    state[1][99] = 5;
    EXPECT(!plx_latent_put(t, &full, PLX_LATENT_F32), "%s", plx_error());
    REQUIRE(!plx_latent_get(&got, t, "full"), "%s", plx_error());
    EXPECT(got.decoder_numbers == 40 && got.decoder[39] == 39 && !strcmp(got.decoder_layout, "{\"w\":[40]}"),
           "decoder");
    EXPECT(got.thumbnail_height == 2 && got.thumbnail_width == 3 && !memcmp(got.thumbnail, rgba, sizeof rgba),
           "thumbnail");
    EXPECT(got.steps == 7 && got.state_numbers == 100 && got.v[99] == 5, "state");
    /* The same decoder by its hash; one that is not there. */
    memcpy(other.decoder_hash, got.decoder_hash, 16);
    EXPECT(!plx_latent_put(t, &other, PLX_LATENT_F32), "%s", plx_error());
    EXPECT(!plx_latent_get(&got, t, "other") && got.decoder_numbers == 40 && got.decoder[39] == 39, "%s",
           plx_error());
    EXPECT(!got.thumbnail_height && !got.state_numbers, "parts that were not put");
    /* Replaced without them: they are gone, and the decoder stays with the other. */
    full.decoder_numbers = full.state_numbers = 0, full.thumbnail_height = 0;
    EXPECT(!plx_latent_put(t, &full, PLX_LATENT_F16), "%s", plx_error());
    EXPECT(!plx_latent_get(&got, t, "full") && !got.decoder_numbers && !got.state_numbers &&
               !got.thumbnail_height,
           "%s", plx_error());
    int64_t removed;
    EXPECT(!plx_latents_collect(t, &removed) && removed == 0, "%lld", (long long)removed);
    EXPECT(!plx_latent_remove(t, "other") && plx_latent_remove(t, "other") == PLX_ERROR_INPUT, "removal");
    EXPECT(!plx_latents_collect(t, &removed) && removed == 1, "%lld", (long long)removed);
    EXPECT(!plx_transaction_commit(t), "%s", plx_error());
    plx_latents_info info;
    EXPECT(!plx_latents_describe(&info, latents) && info.objects == 1 && info.decoders == 0 &&
               info.used > NUMBERS,
           "%lld %lld", (long long)info.objects, (long long)info.decoders);
    other.decoder_hash[0] ^= 1;
    t = begin(latents, true);
    EXPECT(plx_latent_put(t, &other, PLX_LATENT_F32) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "no decoder of that hash"),
           "%s", plx_error());
    EXPECT(plx_transaction_commit(t) == PLX_ERROR_INPUT && strstr(plx_error(), "earlier"), "%s", plx_error());
    plx_latents_free(latents);
}

TEST(latents, shards_cover_all_ids_once) {
    enum { OBJECTS = 500, SHARDS = 7 };
    plx_latents *latents = open_store("shards", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    char id[32];
    bool seen[OBJECTS] = {false};
    for (int i = 0; i < OBJECTS; i++) {
        snprintf(id, sizeof id, "%d", i);
        plx_latent latent = {.id = id};
        EXPECT(!plx_latent_put(t, &latent, PLX_LATENT_F32), "%s", plx_error());
    }
    int64_t sum = 0;
    for (int shard = 0; shard < SHARDS; shard++) {
        const char **ids;
        int64_t count;
        REQUIRE(!plx_latents_ids(&ids, &count, t, shard, SHARDS), "%s", plx_error());
        /* 71 expected; a binomial's deviation is 7.8 */
        EXPECT(count > 40 && count < 103, "shard %d: %lld", shard, (long long)count);
        for (int64_t i = 0; i < count; i++) {
            EXPECT(!seen[atoi(ids[i])], "%s twice", ids[i]);
            seen[atoi(ids[i])] = true;
        }
        sum += count;
        free(ids);
    }
    EXPECT(sum == OBJECTS, "%lld", (long long)sum);
    plx_transaction_free(t);
    plx_latents_free(latents);
}

TEST(latents, batches_are_the_same_for_any_threads) {
    static float one[20][NUMBERS], two[20][NUMBERS];
    char names[20][12];
    const char *ids[20];
    plx_latents *latents = open_store("batch", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    for (int i = 0; i < 20; i++) {
        static float texels[NUMBERS];
        snprintf(names[i], sizeof names[i], "%d", i);
        ids[i] = names[i];
        plx_latent latent = make_latent(ids[i], 1, texels);
        EXPECT(!plx_latent_put(t, &latent, (enum plx_latent_type)(i % PLX_LATENT_TYPES)), "%s", plx_error());
    }
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    EXPECT(!plx_latents_read(t, 20, ids, NUMBERS, one[0]), "%s", plx_error());
    omp_set_num_threads(2);
    EXPECT(!plx_latents_read(t, 20, ids, NUMBERS, two[0]), "%s", plx_error());
    omp_set_num_threads(threads);
    EXPECT(!memcmp(one, two, sizeof one), "1 and 2 threads differ");
    EXPECT(plx_latents_read(t, 20, ids, NUMBERS + 1, one[0]) == PLX_ERROR_INPUT && strstr(plx_error(), "has"),
           "%s", plx_error());
    plx_transaction_free(t);
    plx_latents_free(latents);
}

TEST(latents, what_cannot_be_kept) {
    static float texels[NUMBERS];
    plx_latents *latents = open_store("refused", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    const char *const bad[] = {"", ".hidden", "a/b", "line\nbreak"};
    for (int i = 0; i < 4; i++) {
        plx_latent latent = make_latent(bad[i], 1, texels);
        EXPECT(plx_latent_put(t, &latent, PLX_LATENT_F32) == PLX_ERROR_INPUT &&
                   strstr(plx_error(), "an id is"),
               "'%s': %s", bad[i], plx_error());
    }
    char name[PLX_LATENT_ID + 2];
    memset(name, 'x', sizeof name);
    name[PLX_LATENT_ID + 1] = 0;
    EXPECT(put(t, name, 1) == PLX_ERROR_INPUT, "an id of %zu bytes", strlen(name));
    name[PLX_LATENT_ID] = 0;
    EXPECT(!put(t, name, 1) && holds(t, name, 1), "%s", plx_error());
    plx_latent latent = make_latent("nan", 1, texels);
    texels[NUMBERS - 1] = NAN;
    EXPECT(plx_latent_put(t, &latent, PLX_LATENT_Q8) == PLX_ERROR_NUMERIC &&
               strstr(plx_error(), "'yz' holds NaN"),
           "%s", plx_error());
    texels[NUMBERS - 1] = 70000;
    EXPECT(plx_latent_put(t, &latent, PLX_LATENT_F16) == PLX_ERROR_NUMERIC &&
               strstr(plx_error(), "more than half"),
           "%s", plx_error());
    EXPECT(!plx_latent_put(t, &latent, PLX_LATENT_F32), "%s", plx_error()); /* the transaction goes on */
    const uint16_t halves[2] = {0x3c00, 0xfc00};                            /* 1, -Inf */
    const int8_t bytes[2] = {1, 2};
    const float scale[1] = {NAN};
    plx_latent given = {.id = "given", .type = PLX_LATENT_F16, .planes = 1};
    given.plane[0] = (plx_latent_plane){"xy", 1, 2, 1, halves, NULL};
    EXPECT(plx_latent_put(t, &given, PLX_LATENT_F16) == PLX_ERROR_NUMERIC, "an infinite half");
    given.type = PLX_LATENT_Q8, given.plane[0].texels = bytes, given.plane[0].scale = scale;
    EXPECT(plx_latent_put(t, &given, PLX_LATENT_Q8) == PLX_ERROR_NUMERIC, "a scale of NaN");
    given.planes = 0, given.thumbnail_height = 1, given.thumbnail = (const unsigned char *)"";
    EXPECT(plx_latent_put(t, &given, PLX_LATENT_Q8) == PLX_ERROR_INPUT && strstr(plx_error(), "thumbnail"),
           "%s", plx_error());
    latent.plane[0].rows = 100000;
    EXPECT(plx_latent_put(t, &latent, PLX_LATENT_F32) == PLX_ERROR_INPUT, "a plane of 100000 rows");
    EXPECT(!plx_transaction_commit(t), "%s", plx_error());
    t = begin(latents, false);
    EXPECT(holds(t, name, 1) && plx_latent_exists(t, "nan") && !plx_latent_exists(t, "a/b"), "what was put");
    EXPECT(plx_latent_get(&latent, t, "nothing") == PLX_ERROR_INPUT &&
               strstr(plx_error(), "refused: nothing: there is no"),
           "%s", plx_error());
    plx_transaction_free(t);
    /* Once a process. */
    plx_latents *again;
    plx_latents_options options = plx_latents_options_default();
    EXPECT(plx_latents_open(&again, test_file("refused"), &options) == PLX_ERROR_INPUT &&
               strstr(plx_error(), "already"),
           "%s", plx_error());
    plx_latents_free(latents);
}

/* ---- fields --------------------------------------------------------------------------------------------------- */

static plx_field *new_field(bool train) {
    plx_field_size size = {.N = 1, .C = 16, .F = 4, .H = 16, .xy = {16, 16}, .xz = {16, 16}, .yz = {16, 16}};
    plx_camera none = {0};
    plx_field *field;
    int status = plx_field_create(&field, size, plx_frame_make(PLX_FRAME_WORLD, &none, 0.5f), 5, train);
    EXPECT(!status, "%s", plx_error());
    return field;
}

static void step(plx_field *field, uint64_t seed) {
    plx_ray_target targets[64];
    plx_step_options options = plx_step_options_default();
    for (int i = 0; i < 64; i++)
        targets[i] = (plx_ray_target){{1.3f, 0, 0}, {-1, 0, 0}, {0.2f, 0.5f, 0.8f}, 1, 1};
    EXPECT(!plx_field_step(field, 64, targets, &options, seed, NULL), "%s", plx_error());
}

static bool same_values(plx_field *a, plx_field *b) {
    for (int i = 0; i < plx_params_count(a->params); i++) {
        const plx_tensor *x = &plx_params_at(a->params, i)->tensor, *y = &plx_params_at(b->params, i)->tensor;
        if (memcmp(x->data, y->data, plx_tensor_size(x) * sizeof *x->data)) return false;
    }
    return true;
}

TEST(latents, a_field_goes_on_where_it_was_put) {
    plx_latents *latents = open_store("field", true);
    plx_field *field = new_field(true), *again = NULL;
    REQUIRE(latents && field, "%s", plx_error());
    plx_latent_note note = plx_latent_note_default();
    note.class_name = "ball";
    note.state = true;
    step(field, 1);
    plx_transaction *t = begin(latents, true);
    EXPECT(!plx_latent_put_field(t, "f", field, &note), "%s", plx_error());
    note.class_name = NULL, note.what = "again";
    EXPECT(!plx_latent_put_field(t, "f", field, &note), "%s", plx_error());
    EXPECT(!plx_transaction_commit(t), "%s", plx_error());
    t = begin(latents, false);
    REQUIRE(!plx_latent_get_field(&again, t, "f", true), "%s", plx_error());
    EXPECT(same_values(field, again), "other values");
    plx_latent latent;
    EXPECT(!plx_latent_get(&latent, t, "f") && !strcmp(latent.class_name, "ball"), "%s", plx_error());
    const char *second = strchr(latent.history, '\n');
    EXPECT(second && strstr(latent.history, "Z put\n") && strstr(second, "Z again\n"), "%s", latent.history);
    EXPECT(latent.thumbnail_height == 64 && latent.thumbnail[4 * (32 * 64 + 32) + 3] > 0,
           "no object on the thumbnail");
    plx_transaction_free(t);
    step(field, 2);
    step(again, 2);
    EXPECT(same_values(field, again), "Adam did not go on: other values after a step");
    plx_field_free(field);
    plx_field_free(again);
    plx_latents_free(latents);
}

/* ---- deaths --------------------------------------------------------------------------------------------------- */

/* The children below only call the database, never OpenMP, and leave by _exit: so they may be made by fork. */

static void write_rounds(const char *folder) {
    plx_latents_options options = plx_latents_options_default();
    plx_latents *latents;
    options.write = true;
    if (plx_latents_open(&latents, folder, &options)) _exit(1);
    for (uint64_t round = 1;; round++) {
        plx_transaction *t;
        if (plx_transaction_begin(&t, latents, true)) _exit(2);
        char text[32], id[16];
        for (int i = 0; i < 6; i++) { /* all of a round, or none */
            snprintf(id, sizeof id, "%d", i);
            if (put(t, id, round)) _exit(3);
        }
        snprintf(text, sizeof text, "%llu", (unsigned long long)round);
        plx_latent count = {.id = "round", .source = text};
        if (plx_latent_put(t, &count, PLX_LATENT_F32) || plx_transaction_commit(t)) _exit(4);
    }
}

TEST(latents, a_writer_killed_at_any_instant) {
    enum { DEATHS = 40 };
    const plx_rng rng = {11, 0};
    const char *folder = test_file("killed"); /* before the forks: the test's folder is made on first use */
    uint64_t last = 0;
    int moved = 0, range = 2000; /* microseconds; grows where the disk is slow */
    for (int death = 0; death < DEATHS; death++) {
        pid_t child = fork();
        if (!child) write_rounds(folder);
        usleep(plx_rng_below(rng, (uint64_t)death, (unsigned)range));
        kill(child, SIGKILL);
        int how;
        waitpid(child, &how, 0);
        EXPECT(WIFSIGNALED(how), "the writer ended by itself: %d", WEXITSTATUS(how));
        plx_latents *latents = open_store("killed", true); /* a writer: it can go on, or begin */
        REQUIRE(latents, "after death %d", death);
        plx_transaction *t = begin(latents, false);
        plx_latent count;
        uint64_t round = 0;
        if (plx_latent_exists(t, "round")) {
            REQUIRE(!plx_latent_get(&count, t, "round"), "%s", plx_error());
            round = strtoull(count.source, NULL, 10);
            for (char id[2] = "0"; *id < '6'; ++*id)
                EXPECT(holds(t, id, round), "death %d, round %llu: %s", death, (unsigned long long)round, id);
        }
        EXPECT(round >= 1 || !last, "nothing is left of round %llu", (unsigned long long)last);
        if (round != last)
            moved++;
        else if (range < 500000)
            range += range / 4;
        last = round;
        plx_transaction_free(t);
        plx_latents_free(latents);
    }
    EXPECT(moved > DEATHS / 5, "only %d of the writers got so far as to write", moved);
}

TEST(latents, readers_killed_with_open_transactions) {
    plx_latents *latents = open_store("readers", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    EXPECT(!put(t, "a", 1) && !plx_transaction_commit(t), "%s", plx_error());
    plx_latents_free(latents);
    int ready[2];
    REQUIRE(!pipe(ready), "pipe");
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        if ((children[i] = fork())) continue;
        plx_latents_options options = plx_latents_options_default();
        plx_transaction *read;
        if (plx_latents_open(&latents, test_file("readers"), &options) ||
            plx_transaction_begin(&read, latents, false) || !holds(read, "a", 1) ||
            write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;) pause();
    }
    char byte;
    for (int i = 0; i < 4; i++) EXPECT(read(ready[0], &byte, 1) == 1, "reader %d", i);
    latents = open_store("readers", true);
    plx_latents_info info;
    EXPECT(!plx_latents_describe(&info, latents) && info.readers == 4, "%d readers", info.readers);
    for (int i = 0; i < 4; i++) kill(children[i], SIGKILL), waitpid(children[i], NULL, 0);
    close(ready[0]), close(ready[1]);
    /* The pages that they saw are used again: 40 replacements do not make the file 40 times as large. */
    for (uint64_t round = 2; round < 42; round++) {
        t = begin(latents, true);
        EXPECT(!put(t, "a", round) && !plx_transaction_commit(t), "%s", plx_error());
    }
    EXPECT(!plx_latents_describe(&info, latents) && info.readers == 0, "%d readers", info.readers);
    /* The object, its successor, what the two last transactions gave back; 4 pages a table. */
    EXPECT(info.used + info.free < 5 * 4 * NUMBERS + 40 * 4096, "%lld bytes",
           (long long)(info.used + info.free));
    t = begin(latents, false);
    EXPECT(holds(t, "a", 41), "the last round");
    plx_transaction_free(t);
    plx_latents_free(latents);
}

TEST(latents, a_reader_sees_its_snapshot) {
    plx_latents *latents = open_store("snapshot", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    EXPECT(!put(t, "a", 1) && !plx_transaction_commit(t), "%s", plx_error());
    plx_transaction *before = begin(latents, false);
    for (uint64_t round = 2; round < 10; round++) {
        t = begin(latents, true);
        EXPECT(!put(t, "a", round) && !put(t, "b", round) && !plx_transaction_commit(t), "%s", plx_error());
    }
    t = begin(latents, true);
    EXPECT(!put(t, "a", 99), "%s", plx_error());
    plx_transaction_free(t); /* as if it had not been */
    plx_transaction *after = begin(latents, false);
    EXPECT(holds(before, "a", 1) && !plx_latent_exists(before, "b"), "the older snapshot");
    EXPECT(holds(after, "a", 9) && holds(after, "b", 9), "the newer one");
    plx_transaction_free(before);
    plx_transaction_free(after);
    plx_latents_free(latents);
}

TEST(latents, two_writers) {
    enum { ROUNDS = 15 };
    const char *folder = test_file("two");
    pid_t children[2];
    for (int w = 0; w < 2; w++) {
        if ((children[w] = fork())) continue;
        plx_latents_options options = plx_latents_options_default();
        plx_latents *latents;
        options.write = true;
        if (plx_latents_open(&latents, folder, &options)) _exit(1);
        for (int round = 0; round < ROUNDS; round++) {
            plx_transaction *t;
            char id[32];
            snprintf(id, sizeof id, "%d-%d", w, round);
            if (plx_transaction_begin(&t, latents, true) || put(t, id, 1)) _exit(2);
            usleep(500); /* the other one waits */
            if (plx_transaction_commit(t)) _exit(3);
        }
        plx_latents_free(latents);
        _exit(0);
    }
    for (int w = 0; w < 2; w++) {
        int how;
        waitpid(children[w], &how, 0);
        EXPECT(WIFEXITED(how) && !WEXITSTATUS(how), "writer %d: %d", w, how);
    }
    plx_latents *latents = open_store("two", false);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, false);
    for (int k = 0; k < 2 * ROUNDS; k++) {
        char id[32];
        snprintf(id, sizeof id, "%d-%d", k % 2, k / 2);
        EXPECT(holds(t, id, 1), "%s", id);
    }
    plx_transaction_free(t);
    plx_latents_free(latents);
}

TEST(latents, a_full_disk) {
    plx_latents *latents = open_store("full", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    EXPECT(!put(t, "a", 1) && !plx_transaction_commit(t), "%s", plx_error());
    struct rlimit before, small;
    struct stat info;
    char file[512];
    snprintf(file, sizeof file, "%s/data.mdb", test_file("full"));
    REQUIRE(!stat(file, &info) && !getrlimit(RLIMIT_FSIZE, &before), "stat");
    signal(SIGXFSZ, SIG_IGN); /* then writes past the limit fail, as on a full disk */
    small = before;
    int refused = 0;
    uint64_t round = 1;
    for (int i = 0; i < 60; i++) {
        /* From room for less than an object to room for some: failures while the file grows and while pages are written. */
        small.rlim_cur = (rlim_t)info.st_size - 1500000 + (rlim_t)(i * 40000);
        setrlimit(RLIMIT_FSIZE, &small);
        t = begin(latents, true);
        char id[16];
        snprintf(id, sizeof id, "b%d", i);
        int status = put(t, "a", round + 1);
        if (!status) status = put(t, id, 1);
        if (!status)
            status = plx_transaction_commit(t);
        else
            plx_transaction_free(t);
        setrlimit(RLIMIT_FSIZE, &before);
        if (!status) round++;
        EXPECT(!status || (status == PLX_ERROR_IO && strstr(plx_error(), "full")), "%d: %s", status,
               plx_error());
        refused += status != 0;
        t = begin(latents, false);
        EXPECT(holds(t, "a", round) && plx_latent_exists(t, id) == !status, "limit %d", i);
        plx_transaction_free(t);
    }
    EXPECT(refused > 5 && refused < 55, "%d of 60 refused", refused);
    t = begin(latents, true); /* there is room again */
    EXPECT(!put(t, "c", 3) && !plx_transaction_commit(t), "%s", plx_error());
    plx_latents_free(latents);
    latents = open_store("full", false);
    t = begin(latents, false);
    EXPECT(holds(t, "a", round) && holds(t, "c", 3), "after opening again");
    plx_transaction_free(t);
    plx_latents_free(latents);
    signal(SIGXFSZ, SIG_DFL);
}

/* What a removal leaves must be enough for the next object, though the file cannot grow. */
TEST(latents, room_on_a_full_disk) {
    plx_latents *latents = open_store("room", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    for (char id[2] = "a"; *id < 'e'; ++*id) EXPECT(!put(t, id, 1), "%s", plx_error());
    EXPECT(!plx_transaction_commit(t), "%s", plx_error());
    t = begin(latents, true);
    EXPECT(!plx_latent_remove(t, "b") && !plx_transaction_commit(t), "%s", plx_error());
    plx_latents_info before, after;
    EXPECT(!plx_latents_describe(&before, latents), "%s", plx_error());
    t = begin(latents, true);
    EXPECT(!put(t, "e", 5) && !plx_transaction_commit(t), "%s", plx_error());
    EXPECT(!plx_latents_describe(&after, latents), "%s", plx_error());
    EXPECT(after.used + after.free == before.used + before.free,
           "the file grew from %lld to %lld bytes: what was removed is not used again",
           (long long)(before.used + before.free), (long long)(after.used + after.free));
    plx_latents_free(latents);
}

TEST(latents, what_a_reader_may_not_lock) {
    if (geteuid()) SKIP("only root can become another");
    plx_latents *latents = open_store("locked", true);
    REQUIRE(latents && !plx_transaction_commit(begin(latents, true)), "no store");
    plx_latents_free(latents);
    plx_latents_options options = plx_latents_options_default();
    REQUIRE(!chmod(test_directory(), 0711) && !chmod(test_file("locked"), 0755) && !seteuid(65534),
            "as nobody");
    int status = plx_latents_open(&latents, test_file("locked"), &options);
    REQUIRE(!seteuid(0), "as root again");
    EXPECT(status == PLX_ERROR_IO && strstr(plx_error(), "locked: Permission denied") &&
               strstr(plx_error(), "lock.mdb"),
           "%d: %s", status, plx_error());
}

/* ---- files that are no store ------------------------------------------------------------------------------------- */

static void expect_unopened(const char *name, bool write, int code, const char *why) {
    plx_latents_options options = plx_latents_options_default();
    plx_latents *latents;
    options.write = write;
    int status = plx_latents_open(&latents, test_file(name), &options);
    EXPECT(status == code && strstr(plx_error(), why) && strstr(plx_error(), name), "%s: %d: %s, not '%s'",
           name, status, plx_error(), why);
    plx_latents_free(latents);
}

/* A copy of the store "good" with `size` bytes of its data file; `old` becomes `new` wherever it stands. */
static void copy_store(const char *name, double part, const char *old, const char *new) {
    char file[512], *data;
    size_t size, length = strlen(old);
    snprintf(file, sizeof file, "%s/data.mdb", test_file("good"));
    if (plx_file_read(&data, &size, file, 1 << 28) || plx_make_directories(test_file(name))) abort();
    for (size_t i = 0; length && i + length <= size; i++)
        if (!memcmp(data + i, old, length)) memcpy(data + i, new, length);
    snprintf(file, sizeof file, "%s/data.mdb", test_file(name));
    if (plx_file_write(file, data, (size_t)(part * (double)size))) abort();
    free(data);
}

TEST(latents, stores_that_are_none) {
    plx_latents *latents = open_store("good", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    for (char id[2] = "a"; *id < 'z'; ++*id) EXPECT(!put(t, id, 1), "%s", plx_error());
    EXPECT(!plx_transaction_commit(t), "%s", plx_error());
    EXPECT(!plx_latents_copy(latents, test_file("compact")), "%s", plx_error());
    EXPECT(plx_latents_copy(latents, test_file("compact")) == PLX_ERROR_INPUT, "over what is there");
    plx_latents_free(latents);
    expect_unopened("nowhere", false, PLX_ERROR_IO, "No such file");
    EXPECT(access(test_file("nowhere"), F_OK), "a reader made a store");
    plx_make_directories(test_file("empty"));
    expect_unopened("empty", false, PLX_ERROR_INPUT, "no store");
    copy_store("nothing", 0, "", "");
    expect_unopened("nothing", false, PLX_ERROR_INPUT, "no store");
    copy_store("short", 0.05, "", ""); /* most of the file is a hole, room for the next */
    expect_unopened("short", false, PLX_ERROR_INPUT, "cut short");
    expect_unopened("short", true, PLX_ERROR_INPUT, "cut short");
    copy_store("stub", 0.0001, "", "");
    expect_unopened("stub", false, PLX_ERROR_INPUT, "no LMDB");
    copy_store("newer", 1, "parallax-latents 1", "parallax-latents 2");
    expect_unopened("newer", false, PLX_ERROR_SUPPORT,
                    "is 'parallax-latents 2'; this program reads 'parallax-latents 1'");
    expect_unopened("newer", true, PLX_ERROR_SUPPORT, "parallax-latents 2");
    copy_store("foreign", 1, "store", "other"); /* the table's name */
    expect_unopened("foreign", false, PLX_ERROR_INPUT, "not of latents");
    expect_unopened("foreign", true, PLX_ERROR_INPUT, "not of latents");
    copy_store("lmdb", 1, "\xde\xc0\xef\xbe\x01", "\xde\xc0\xef\xbe\x02"); /* magic number, version */
    expect_unopened("lmdb", false, PLX_ERROR_SUPPORT, "another version of LMDB");
    char file[512];
    snprintf(file, sizeof file, "%s/file", test_directory());
    if (plx_file_write(file, "text", 4)) abort();
    expect_unopened("file", false, PLX_ERROR_INPUT, "not a folder");
    expect_unopened("file", true, PLX_ERROR_INPUT, "not a folder");
    latents = open_store("compact", false);
    t = begin(latents, false);
    for (char id[2] = "a"; *id < 'z'; ++*id) EXPECT(holds(t, id, 1), "%s", id);
    plx_transaction_free(t);
    plx_latents_free(latents);
}

TEST(latents, damage_is_found_and_named) {
    static float texels[NUMBERS];
    plx_latents *latents = open_store("good", true);
    REQUIRE(latents, "no store");
    plx_transaction *t = begin(latents, true);
    plx_latent latent = make_latent("marked", 1, texels);
    memcpy(&texels[100], "A MARK!!", 8);
    latent.source = "a source's text";
    EXPECT(!plx_latent_put(t, &latent, PLX_LATENT_F32) && !put(t, "other", 1) && !plx_transaction_commit(t),
           "%s", plx_error());
    plx_latents_free(latents);
    copy_store("texels", 1, "A MARK!!", "B MARK!!");
    copy_store("texts", 1, "a source's text", "a source's tent");
    const char *const names[] = {"texels", "texts"}, *const said[] = {"the checksum of its planes",
                                                                      "the checksum of its texts"};
    for (int i = 0; i < 2; i++) {
        latents = open_store(names[i], false);
        REQUIRE(latents, "%s", names[i]);
        t = begin(latents, false);
        EXPECT(plx_latent_check(t, "marked") == PLX_ERROR_INPUT && strstr(plx_error(), said[i]) &&
                   strstr(plx_error(), "marked"),
               "%s", plx_error());
        EXPECT(!plx_latent_check(t, "other"), "%s", plx_error());
        plx_transaction_free(t);
        plx_latents_free(latents);
    }
}
