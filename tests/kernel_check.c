/* Arrays with guards, and the comparison of a table with `ref`. */
#include "tests/kernel_check.h"
#include "nerf/core/rng.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) (void)0
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) (void)0
#endif

enum { GUARD = 64, MAX_ARRAYS = 512 };
static const uint32_t guard_bits = 0x7fc0dead; /* a NaN */

static struct {
    float *base; /* GUARD, count numbers, GUARD */
    size_t count;
} arrays[MAX_ARRAYS];
static int array_count;
int array_shift;

/* The sanitizer sees reads of the guards too. Its granules are of 8 bytes, that of a guard's end may not be whole. */
static void poison(int k) {
    (void)k;
    ASAN_POISON_MEMORY_REGION(arrays[k].base, GUARD * sizeof(float));
    ASAN_POISON_MEMORY_REGION(arrays[k].base + GUARD + arrays[k].count, GUARD * sizeof(float));
}

static size_t bytes_of(int k) {
    return (arrays[k].count + 2 * GUARD) * sizeof(float);
}

static float *new_array(size_t count) {
    float *base = aligned_alloc(64, ((count + 2 * GUARD + 1) * sizeof *base + 63) / 64 * 64);
    if (!base || array_count == MAX_ARRAYS) abort();
    base += array_shift;
    for (size_t i = 0; i < count + 2 * GUARD; i++) memcpy(base + i, &guard_bits, sizeof *base);
    arrays[array_count].base = base;
    arrays[array_count].count = count;
    poison(array_count++);
    return base + GUARD;
}

float *array(size_t count, unsigned stream) {
    float *a = new_array(count);
    plx_rng_fill_normal((plx_rng){77, stream}, a, count);
    return a;
}

float *array_copy(const float *from, size_t count) {
    return memcpy(new_array(count), from, count * sizeof(float));
}

int *int_array(const int *from, size_t count) {
    return memcpy(new_array(count), from, count * sizeof(int));
}

void *bytes_array(const void *from, size_t bytes) {
    float *a = array(bytes / sizeof(float) + 2, 99);
    a += (uintptr_t)a % 8 != 0; /* by array_shift */
    return from ? memcpy(a, from, bytes) : a;
}

static size_t copied_bytes(int k) {
    return (bytes_of(k) + (size_t)array_shift * sizeof(float) + 255) / 256 * 256;
}

size_t arrays_place(const void *p) {
    size_t at = 0;
    for (int k = 0; k < array_count; at += copied_bytes(k++)) {
        const char *base = (const char *)arrays[k].base;
        if ((const char *)p >= base && (const char *)p < base + bytes_of(k))
            return at + (size_t)array_shift * sizeof(float) + (size_t)((const char *)p - base);
    }
    return p ? SIZE_MAX : at;
}

void arrays_move(char *copy, bool back) {
    for (int k = 0; k < array_count; k++) {
        char *base = (char *)arrays[k].base, *there = copy + array_shift * (int)sizeof(float);
        ASAN_UNPOISON_MEMORY_REGION(base, bytes_of(k));
        memcpy(back ? base : there, back ? there : base, bytes_of(k));
        poison(k);
        copy += copied_bytes(k);
    }
}

uint64_t bits_hash(const void *data, size_t words) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, by words */
    for (size_t i = 0; i < words; i++) {
        uint32_t bits;
        memcpy(&bits, (const char *)data + 4 * i, sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3u;
    }
    return hash;
}

uint64_t arrays_hash(void) {
    uint64_t hash = 0;
    for (int k = 0; k < array_count; k++)
        hash = 31 * hash + bits_hash(arrays[k].base + GUARD, arrays[k].count);
    return hash;
}

void free_arrays(void) {
    for (int k = 0; k < array_count; k++) {
        ASAN_UNPOISON_MEMORY_REGION(arrays[k].base, bytes_of(k));
        for (size_t i = 0; i < GUARD; i++) {
            const float *before = arrays[k].base + i, *behind = arrays[k].base + GUARD + arrays[k].count + i;
            EXPECT(memcmp(before, &guard_bits, 4) == 0, "array %d, %zu before its start was written", k,
                   GUARD - i);
            EXPECT(memcmp(behind, &guard_bits, 4) == 0, "array %d, %zu behind its end was written", k, i);
        }
        free(arrays[k].base - array_shift);
    }
    array_count = 0;
}

void expect_close(const char *what, const float *seen, const float *ref, size_t count, double tolerance) {
    double largest = 1, worst = 0;
    size_t where = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(ref[i]));
    for (size_t i = 0; i < count; i++) {
        const double error = fabs((double)seen[i] - ref[i]);
        if (!(error <= worst)) worst = error, where = i; /* NaN too */
    }
    EXPECT(worst <= tolerance * largest, "%s: element %zu of %zu is %.9g, ref %.9g (largest %g)", what, where,
           count, seen[where], ref[where], largest);
}

static const char *tested[256];
static int tested_count;

void kernel_is_tested(const char *kernel) {
    tested[tested_count++] = kernel;
}

TEST(kernels, every_kernel_is_tested) {
    static const char *const names[] = {
#define NAME(name, arguments) #name,
        PLX_KERNEL_LIST(NAME)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool found = false;
        for (int k = 0; k < tested_count; k++) found |= strcmp(tested[k], names[i]) == 0;
        EXPECT(found, "kernel %s has no test", names[i]);
    }
}
