/* Table `cuda` for tests whose arrays are the host's (tests/kernel_check.h): before a kernel all of them are written to the card, the
 * pointers among its arguments are led there, and behind it all are read back, with their guards. A pointer into none of them is an
 * error that names the kernel. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>

extern "C" {
#include "nerf/tensor/memory.h"
#include "tests/kernel_check.h"
}

static plx_device card;
static char *copy, *there; /* of all arrays: the host's, the card's */
static const size_t room = (size_t)256 << 20;
static const char *kernel_name;

[[noreturn]] static void fail(const char *why) {
    test_fail(__FILE__, __LINE__, kernel_name, "%s", why);
    fflush(stdout);
    abort();
}

static void send() {
    const size_t bytes = arrays_place(nullptr);
    if (bytes > room) fail("more arrays than there is room for");
    if (card.memory->commit(there, bytes)) fail(plx_error());
    arrays_move(copy, false);
    card.memory->write(there, copy, bytes);
}

static void fetch() {
    card.memory->read(copy, there, arrays_place(nullptr));
    if (card.memory->finish()) fail(plx_error());
    arrays_move(copy, true);
}

template <class T> static T *address(T *p) {
    if (!p) return nullptr;
    const size_t place = arrays_place(p);
    if (place == SIZE_MAX) fail("an argument is in no test's array");
    return (T *)(there + place);
}

/* ---- arguments ---------------------------------------------------------------------------------------------------------- */

template <class T> static T on(T x) {
    if constexpr (std::is_pointer_v<T>)
        return address(x);
    else
        return x;
}

static const plx_rng *on(const plx_rng *rng) { /* the host's */
    return rng;
}
static plx_points on(plx_points p) {
    return {p.M, address(p.start), address(p.coords)};
}
static plx_rays on(plx_rays r) {
    return {r.R, r.S, address(r.start), address(r.t), address(r.length)};
}
static plx_march on(plx_march m) {
    m.occupied = address(m.occupied);
    return m;
}
static plx_loss_terms on(plx_loss_terms terms) {
    for (int i = 0; i < terms.count; i++) terms.term[i] = address(terms.term[i]);
    return terms;
}
struct tensors {
    plx_field_tensors of;
    operator const plx_field_tensors *() const {
        return &of;
    }
};
static tensors on(const plx_field_tensors *t) {
    return {{address(t->xy), address(t->xz), address(t->yz), address(t->w1), address(t->b1), address(t->w2),
             address(t->b2), address(t->w3), address(t->b3)}};
}

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

static const char *name_of(size_t member) {
    static const char *const names[] = {
#define NAME(name, arguments) #name,
        PLX_KERNEL_LIST(NAME)};
    return names[member / sizeof(void (*)())];
}

template <auto Kernel, size_t Member> struct on_card;
template <class... A, void (*plx_kernels::*Kernel)(A...), size_t Member> struct on_card<Kernel, Member> {
    static void run(A... a) {
        kernel_name = name_of(Member);
        send();
        (card.kernels->*Kernel)(on(a)...);
        fetch();
    }
};

extern "C" const plx_kernels *card_table(void) {
    static plx_kernels table;
    kernel_name = "cuda";
    if (card.kernels) return &table;
    if (plx_device_open(&card, "cuda") || card.memory->reserve(&there, room)) fail(plx_error());
    copy = (char *)malloc(room);
    if (!copy) fail("out of memory");
#define FILL(name, arguments) table.name = on_card<&plx_kernels::name, offsetof(plx_kernels, name)>::run;
    PLX_KERNEL_LIST(FILL)
    return &table;
}
