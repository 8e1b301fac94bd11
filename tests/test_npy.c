/* NumPy's arrays: every layout gives the same numbers, and what is none is refused. */
#include <unistd.h>

#include "datasets/npy.h"
#include "tests/posed_scene.h"

static const double matrix[12] = {1, 2.5, -3, 4, 0.125, 6, 7, -8, 9, 10, 11, 12};

TEST(npy, versions_orders_and_widths) {
    for (int version = 1; version <= 3; version++)
        for (int fortran = 0; fortran < 2; fortran++)
            for (int single = 0; single < 2; single++) {
                char bytes[4096];
                npy_layout of = {version, fortran, single};
                size_t size = npy_bytes(bytes, of, 3, 4, matrix);
                plx_npy array;
                REQUIRE(plx_npy_parse(&array, bytes, size) == 0, "%s", plx_error());
                EXPECT(array.dims == 2 && array.shape[0] == 3 && array.shape[1] == 4 && array.count == 12,
                       "%d dimensions", array.dims);
                EXPECT(!memcmp(array.values, matrix, sizeof matrix), "version %d, fortran %d, single %d",
                       version, fortran, single); /* all are exact in 24 bits */
                plx_npy_free(&array);
            }
}

/* HEADER and the bytes behind it. */
static int parse(plx_npy *out, const char *header, const void *values, size_t size) {
    char bytes[1024] = "\x93NUMPY\1";
    bytes[8] = (char)strlen(header);
    memcpy(bytes + 10, header, strlen(header));
    memcpy(bytes + 10 + strlen(header), values, size);
    return plx_npy_parse(out, bytes, 10 + strlen(header) + size);
}

TEST(npy, types) {
    static const struct {
        const char *type;
        unsigned char bytes[8];
        size_t size;
        double value;
    } cases[] = {
        {"'>f4'", {0x40, 0x20}, 4, 2.5},
        {"'<i2'", {0xfe, 0xff}, 2, -2},
        {"'>i4'", {0xff, 0xff, 0xff, 0xfd}, 4, -3},
        {"'|u1'", {200}, 1, 200},
        {"'|b1'", {1}, 1, 1},
        {"'<u2'", {0, 1}, 2, 256},
        {"'<f2'", {0, 0xc1}, 2, -2.5},
        {"'<f2'", {1, 0}, 2, 5.9604644775390625e-8}, /* 2^-24 */
        {"'|i1'", {0x80}, 1, -128},
        {"\"<i8\"", {255, 255, 255, 255, 255, 255, 255, 255}, 8, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        plx_npy array;
        snprintf(header, sizeof header, "{'shape': (), 'fortran_order': False, 'descr': %s}\n",
                 cases[i].type);
        REQUIRE(parse(&array, header, cases[i].bytes, cases[i].size) == 0, "%s: %s", cases[i].type,
                plx_error());
        EXPECT(array.dims == 0 && array.count == 1 && array.values[0] == cases[i].value, "%s: %g",
               cases[i].type, array.values[0]);
        plx_npy_free(&array);
    }
}

/* Three dimensions: value (i,j,k) of an array of 2 x 3 x 4 is 100 i + 10 j + k in either order. */
TEST(npy, fortran_order_of_three_dimensions) {
    unsigned char values[24];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++) values[i + 2 * j + 6 * k] = (unsigned char)(100 * i + 10 * j + k);
    plx_npy array;
    REQUIRE(parse(&array, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4)}", values, 24) == 0,
            "%s", plx_error());
    for (int n = 0; n < 24; n++)
        EXPECT(array.values[n] == 100 * (n / 12) + 10 * (n / 4 % 3) + n % 4, "value %d is %g", n,
               array.values[n]);
    plx_npy_free(&array);
}

TEST(npy, bad_input) {
    static const struct {
        const char *header, *word;
    } cases[] = {
        {"{'descr': '|O', 'fortran_order': False, 'shape': (8,)}", "object"},
        {"{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1,)}", "records"},
        {"{'descr': '<c16', 'fortran_order': False, 'shape': (1,)}", "<c16"},
        {"{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}", "<f3"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", "not 16"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", "shape"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", "shape"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "more than"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (16777216, 16777216)}", "more than"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': 1}", "shape"},
        {"{'descr': '<f8', 'fortran_order': False}", "lacks"},
        {"{'descr': '<f8', 'fortran_order': 1, 'shape': (1,)}", "fortran_order"},
        {"{'descr': '<f8', 'colour': 1, 'shape': (1,)}", "colour"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)", "damaged"},
        {"{'descr", "damaged"},
        {"[]", "dictionary"},
        {"", "dictionary"},
    };
    plx_npy array;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EXPECT(parse(&array, cases[i].header, matrix, 8) < 0 && strstr(plx_error(), cases[i].word),
               "case %zu: %s", i, plx_error());
    char bytes[4096];
    size_t size = npy_bytes(bytes, (npy_layout){.version = 2}, 3, 4, matrix);
    for (size_t length = 0; length < size; length++)
        EXPECT(plx_npy_parse(&array, bytes, length) < 0, "the first %zu bytes were read", length);
    bytes[6] = 4;
    EXPECT(plx_npy_parse(&array, bytes, size) == PLX_ERROR_SUPPORT, "version 4");
    bytes[6] = 2;
    memset(bytes + 8, 0xff, 4);
    EXPECT(plx_npy_parse(&array, bytes, size) == PLX_ERROR_INPUT, "a header of 4 GB");
    EXPECT(plx_npy_load(&array, "/no/such.npy") == PLX_ERROR_IO && strstr(plx_error(), "/no/such.npy"), "%s",
           plx_error());
}
