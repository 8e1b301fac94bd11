/* IEEE 754 binary16, by bits: exact, and the same whatever the processor's rounding and denormal modes. */
#ifndef PLX_HALF_H
#define PLX_HALF_H

#include <stdint.h>
#include <string.h>

/* Every half is exactly a float. */
static inline float plx_half_to_float(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
                   fraction = half & 0x3ff;
    uint32_t bits;
    if (exponent == 31)
        bits = sign | 0x7f800000 | fraction << 13;
    else if (exponent)
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    else if (!fraction)
        bits = sign;
    else { /* subnormal: fraction 2^-24; its top bit, number k, becomes the hidden one */
        const uint32_t k = 31 - (uint32_t)__builtin_clz(fraction);
        bits = sign | (k + 103) << 23 | (fraction << (23 - k) & 0x7fffff);
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounds to nearest, ties to even; past 65519.99 it gives infinity. */
static inline uint16_t plx_half_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00); /* NaN */
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (magnitude >= 0x38800000) /* normal: 13 bits go; a carry runs into the exponent as it should */
        return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
    if (magnitude < 0x33000000) return (uint16_t)sign; /* under 2^-25 */
    const uint32_t fraction = (magnitude & 0x7fffff) | 0x800000,
                   drop = 126 - (magnitude >> 23); /* 14..24 bits */
    const uint32_t half = (uint32_t)1 << (drop - 1);
    return (uint16_t)(sign | (fraction + half - 1 + (fraction >> drop & 1)) >> drop);
}

#endif
