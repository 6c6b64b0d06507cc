/* Words of b bits, packed and added, and numbers modulo p = 2^127 - 1: what bits.py, field.py and weights.py say, to
 * the same bytes, in one pass instead of several.
 *
 * A packed row is planes, one after the other: the low 32 bits of all values (if b is 32 or more), then 16, then 8
 * as they fit, and the remaining r < 8 bits of eight values in r bytes. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

#define MOST_COLUMNS 4096
#define NONCE 12
#define NUMBER 16
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

#define AHEAD 8 /* rows whose sums are fetched while others are added: they lie anywhere in memory */

INLINE void fetch(const uint8_t *row, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += 64)
        __builtin_prefetch(row + at, 1);
}

#define WORD uint32_t
#define WORD_BITS 32
#include "rows.h"
#undef WORD
#undef WORD_BITS
#define WORD uint64_t
#define WORD_BITS 64
#include "rows.h"

/* Of words of `size` bytes: as rows.h has it. */
static void pack_all(int64_t size, const uint8_t *words, int64_t stride, const uint8_t *plain, int64_t plain_stride,
                     int64_t rows, int64_t columns, int bits, uint8_t *out, int64_t out_stride)
{
    plane planes[8];
    const int count = planes_of(bits, columns, planes);
    (size == 4 ? pack_rows_32 : pack_rows_64)(words, stride, plain, plain_stride, rows, columns, planes, count, out,
                                              out_stride);
}

static void unpack_all(int64_t size, const uint8_t *packed, int64_t stride, int64_t rows, int64_t columns, int bits,
                       uint8_t *out, int64_t out_stride, const int64_t *to)
{
    plane planes[8];
    const int count = planes_of(bits, columns, planes);
    (size == 4 ? unpack_rows_32 : unpack_rows_64)(packed, stride, rows, columns, planes, count, out, out_stride, to);
}

static void open_all(int64_t size, const uint8_t *packed, int64_t stride, const uint8_t *masks, int64_t mask_stride,
                     int64_t rows, int64_t columns, int bits, uint8_t *out, int64_t out_stride)
{
    plane planes[8];
    const int count = planes_of(bits, columns, planes);
    (size == 4 ? open_rows_32 : open_rows_64)(packed, stride, masks, mask_stride, rows, columns, planes, count, bits,
                                              out, out_stride);
}

static void subtract_all(int64_t size, uint8_t *words, int64_t stride, const uint8_t *masks, int64_t mask_stride,
                         int64_t rows, int64_t columns, const int64_t *from)
{
    (size == 4 ? subtract_rows_32 : subtract_rows_64)(words, stride, masks, mask_stride, rows, columns, from);
}

static void add_all(int64_t size, uint8_t *words, int64_t stride, const uint8_t *numbers, int64_t number_stride,
                         int64_t rows, int64_t columns, const int64_t *to)
{
    (size == 4 ? add_rows_32 : add_rows_64)(words, stride, numbers, number_stride, rows, columns, to);
}

/* ---- Nonces -------------------------------------------------------------------------------------------------- */

/* Each nonce, counted: what AES encrypts to so many blocks of masks. */
static void count_all(const uint8_t *nonces, int64_t count, int blocks, uint8_t *out)
{
    for (int64_t at = 0; at < count; at++, nonces += NONCE)
        for (uint32_t block = 0; block < (uint32_t)blocks; block++, out += NONCE + 4) {
            memcpy(out, nonces, NONCE);
            memcpy(out + NONCE, &block, 4);
        }
}

/* Whether one comes twice; -1 without memory. */
static int any_twice(const uint8_t *nonces, int64_t count)
{
    int64_t places = 16;
    while (places < 2 * count)
        places *= 2;
    int64_t *seen = malloc(sizeof(int64_t) * (size_t)places);
    int found = 0;
    if (seen == NULL)
        return -1;
    memset(seen, 0xff, sizeof(int64_t) * (size_t)places);
    for (int64_t at = 0; at < count && !found; at++) {
        uint64_t start;
        uint32_t end;
        memcpy(&start, nonces + NONCE * at, 8);
        memcpy(&end, nonces + NONCE * at + 8, 4);
        uint64_t place = (start ^ end * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
        place = (place ^ place >> 32) & (uint64_t)(places - 1);
        while (seen[place] >= 0 && !found) {
            found = !memcmp(nonces + NONCE * seen[place], nonces + NONCE * at, NONCE);
            place = (place + 1) & (uint64_t)(places - 1);
        }
        seen[place] = at;
    }
    free(seen);
    return found;
}

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
    memcpy(&c, number, NUMBER);
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

static u128 number_at(const uint8_t *numbers, int64_t at)
{
    u128 number;
    memcpy(&number, numbers + NUMBER * at, NUMBER);
    return settled(number);
}

static void set_number(uint8_t *numbers, int64_t at, u128 number) { memcpy(numbers + NUMBER * at, &number, NUMBER); }

static void weights_of(const uint8_t *numbers, int64_t columns, weight *weights)
{
    for (int64_t k = 0; k < columns; k++)
        weights[k] = weight_of(numbers + NUMBER * k);
}

/* The weighted sum of each row, and its pad. */
static void weigh_rows(const uint8_t *values, int64_t stride, int64_t rows, int64_t columns, const uint8_t *numbers,
                       const uint8_t *pads, uint8_t *out)
{
    weight weights[MOST_COLUMNS];
    weights_of(numbers, columns, weights);
    for (int64_t at = 0; at < rows; at++) {
        const u128 sum = weighed_row((const int64_t *)(values + at * stride), weights, columns);
        set_number(out, at, settled(number_at(pads, at) + sum));
    }
}

/* For each range of rows, the sum of what rows weigh, each times one of `outer`. */
static void weigh_cuts(const uint8_t *values, int64_t stride, int64_t columns, const uint8_t *numbers,
                       const uint8_t *outer, const int64_t *which, const int64_t *cuts, int64_t count, uint8_t *out)
{
    weight weights[MOST_COLUMNS];
    weights_of(numbers, columns, weights);
    for (int64_t cut = 0; cut < count; cut++) {
        u128 total = 0;
        for (int64_t at = cuts[2 * cut]; at < cuts[2 * cut + 1]; at++) {
            const u128 sum = weighed_row((const int64_t *)(values + at * stride), weights, columns);
            total = settled(total + product(number_at(outer, which[at]), sum));
        }
        set_number(out, cut, total);
    }
}

static void add_cuts(const uint8_t *numbers, const int64_t *cuts, int64_t count, uint8_t *out)
{
    for (int64_t cut = 0; cut < count; cut++) {
        u128 total = 0;
        for (int64_t at = cuts[2 * cut]; at < cuts[2 * cut + 1]; at++)
            total = settled(total + number_at(numbers, at));
        set_number(out, cut, total);
    }
}
