/* The tests' one tool. A test registers itself; a failed EXPECT is reported and the test goes on; SKIP leaves
 * it.
 *
 *   TEST(camera, ray_through_centre) {
 *       EXPECT(fabsf(d[2] + 1) < 1e-6f, "d = %g", d[2]);   // beside each tolerance stands its reason
 *   }
 */
#ifndef PLX_TEST_H
#define PLX_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*test_fn)(void);
void test_register(const char *group, const char *name, test_fn fn);
void test_fail(const char *file, int line, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void test_skip(const char *reason);

#define TEST(group, name)                                                      \
    static void test_##group##_##name(void);                                   \
    __attribute__((constructor)) static void register_##group##_##name(void) { \
        test_register(#group, #name, test_##group##_##name);                   \
    }                                                                          \
    static void test_##group##_##name(void)

/* EXPECT(condition, "format", ...): the message shows the values that were seen. */
#define EXPECT(condition, ...)                                                    \
    do {                                                                          \
        if (!(condition)) test_fail(__FILE__, __LINE__, #condition, __VA_ARGS__); \
    } while (0)

/* For results that the rest of the test cannot do without. */
#define REQUIRE(condition, ...)                                     \
    do {                                                            \
        if (!(condition)) {                                         \
            test_fail(__FILE__, __LINE__, #condition, __VA_ARGS__); \
            return;                                                 \
        }                                                           \
    } while (0)

#define SKIP(reason)       \
    do {                   \
        test_skip(reason); \
        return;            \
    } while (0)

/* A fresh folder under the system's temporary folder, removed when the tests end; static storage. */
const char *test_directory(void);
/* A path in it; the last 16 answers stand. */
const char *test_file(const char *name);
const char *test_file_in(const char *before, const char *name); /* "part/" or "part-" before the name */
/* Runs `build/.../parallax ARGS`; returns its exit status and its stderr (up to 4 KB, static storage). */
int test_run_parallax(const char *arguments, const char **stderr_text);
/* The same with its stdout (up to 16 KB, static storage). */
int test_run_parallax_output(const char *arguments, const char **stdout_text);
/* Sends it SIGNAL ("INT") after some seconds, and gives its exit status and stderr. */
int test_signal_parallax(const char *signal, int seconds, const char *arguments, const char **stderr_text);

#endif
