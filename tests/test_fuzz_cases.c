/* What fuzzing began with and what it found: tests/fixtures/fuzz/TARGET, each read once more, cut short as well. */
#include <dirent.h>

#include "nerf/core/file.h"
#include "tests/fuzz_targets.h"
#include "tests/test.h"

TEST(fuzz, kept_cases) {
    for (const fuzz_target *target = fuzz_targets; target->name; target++) {
        char folder[256], path[1024];
        int cases = 0;
        snprintf(folder, sizeof folder, "tests/fixtures/fuzz/%s", target->name);
        DIR *list = opendir(folder);
        REQUIRE(list, "no %s", folder);
        for (struct dirent *entry; (entry = readdir(list));) {
            char *data;
            size_t size;
            if (entry->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            if (plx_file_read(&data, &size, path, 1 << 20)) continue;
            target->run((const uint8_t *)data, size); /* crashes or sanitizers end it */
            for (size_t length = 0; length < size; length += 1 + size / 16)
                target->run((const uint8_t *)data, length);
            free(data);
            cases++;
        }
        closedir(list);
        EXPECT(cases > 0, "%s holds no cases", folder);
    }
}
