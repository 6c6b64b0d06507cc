/* Words of b bits, packed and added, and numbers modulo p = 2^127 - 1: what bits.py, field.py and weights.py say, to
 * the same bytes, in one pass instead of several.
 *
 * A packed row is planes, one after the other: the low 32 bits of all values (if b is 32 or more), then 16, then 8
 * as they fit, and the remaining r < 8 bits of eight values in r bytes. */

#include <stdint.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

#define MOST_COLUMNS 4096
#define INLINE static inline __attribute__((always_inline))
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

/* Compiled twice, and chosen at run time, where loaders can do that. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDEST __attribute__((target_clones("avx2", "default")))
#else
#define WIDEST
#endif

/* ---- Words -------------------------------------------------------------------------------------------------- */

typedef struct {
    int size; /* of values' bits in this plane */
    int shift;
    int64_t at; /* where its bytes begin */
} plane;

static int planes_of(int bits, int64_t columns, plane *planes)
{
    static const int sizes[] = {32, 16, 8};
    int count = 0, shift = 0;
    int64_t at = 0;
    for (int k = 0; k < 3; k++)
        while (bits - shift >= sizes[k]) {
            planes[count++] = (plane){sizes[k], shift, at};
            shift += sizes[k];
            at += columns * sizes[k] / 8;
        }
    if (bits > shift)
        planes[count++] = (plane){bits - shift, shift, at};
    return count;
}

#define WORD uint32_t
#define WORD_BITS 32
#include "rows.h"
#undef WORD
#undef WORD_BITS
#define WORD uint64_t
#define WORD_BITS 64
#include "rows.h"

/* ---- Numbers modulo p ---------------------------------------------------------------------------------------- */

#define P (((u128)1 << 127) - 1)

/* Below 2^128 to below p. */
static u128 settled(u128 x)
{
    x = (x & P) + (x >> 127);
    return x >= P ? x - P : x;
}

static u128 of_signed(i128 x)
{
    return x < 0 ? settled(2 * P - settled((u128)-x)) : settled((u128)x);
}

/* x * 2^63 */
static u128 turned(u128 x) { return settled(((x << 63) & P) | (x >> 64)); }

static u128 product(u128 x, u128 y)
{
    const uint64_t x0 = (uint64_t)x, x1 = (uint64_t)(x >> 64), y0 = (uint64_t)y, y1 = (uint64_t)(y >> 64);
    const u128 low = (u128)x0 * y0, one = (u128)x0 * y1, other = (u128)x1 * y0, high = (u128)x1 * y1;
    /* Upper words are below 2^63: the sum of both middle products is below 2^128. */
    const u128 middle = one + other;
    const u128 low_sum = low + (middle << 64);
    const u128 carry = low_sum < low;
    const u128 top = high + (middle >> 64) + carry; /* the product is top * 2^128 + low_sum; 2^128 is 2 */
    const u128 folded = settled(low_sum);
    return settled(folded + settled(top << 1));
}

/* Weights as |c| <= 2^126 in two words: c = c1 * 2^63 + c0 with 0 <= c0 < 2^63. */
typedef struct {
    int64_t low, high;
} weight;

static weight weight_of(const uint8_t *number)
{
    u128 c;
    memcpy(&c, number, 16);
    i128 balanced = (i128)settled(c);
    if (balanced >> 126)
        balanced -= (i128)P;
    weight w;
    w.low = (int64_t)((uint64_t)balanced & (((uint64_t)1 << 63) - 1));
    w.high = (int64_t)((balanced - w.low) >> 63);
    return w;
}

/* Sum of weight times value over a row; values of fewer bits than overflow allows (see `spare`). */
INLINE u128 weighed_row(const int64_t *values, const weight *weights, int64_t columns)
{
    i128 low = 0, high = 0;
    for (int64_t k = 0; k < columns; k++) {
        low += (i128)weights[k].low * values[k];
        high += (i128)weights[k].high * values[k];
    }
    return settled(of_signed(low) + turned(of_signed(high)));
}

/* Whether sums of so many values of so many bits stay below 2^126. */
static int spare(int64_t columns, int bits)
{
    int log = 0;
    while (((int64_t)1 << log) < columns)
        log++;
    return 63 + bits - 1 + log <= 126;
}
