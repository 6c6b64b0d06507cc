/* Montgomery's reduction on doubles against plain integers, without Python: for processors that are emulated.
 *
 *     a * b + k * m = u * R,  a * a + k * m = u * R
 *
 * must hold exactly; it is held against three primes of 61 bits and less. Compiled with -DWIDTH=2 or 4. */

#include <stdio.h>

#include "fma.h"
#include "convert.h"
#include "sizes.h"

typedef unsigned __int128 u128;

#define MOST 80
#define TURNS 40

static const uint64_t primes[] = {UINT64_C(0x1fffffffffffffff), UINT64_C(2305843009213693921), UINT64_C(1000000000000000003)};

static uint64_t times(uint64_t a, uint64_t b, uint64_t q) { return (uint64_t)((u128)a * b % q); }

LANES static uint64_t value(const Factors *limbs, int count, int lane, uint64_t q)
{
    uint64_t sum = 0;
    for (int at = count - 1; at >= 0; at--)
        sum = (times(sum, UINT64_C(1) << LIMB_BITS, q) + limbs_of(limbs[at])[lane] % q) % q;
    return sum;
}

static uint64_t shift(int count, uint64_t q)
{
    uint64_t power = 1;
    for (int at = 0; at < count; at++) power = times(power, UINT64_C(1) << LIMB_BITS, q);
    return power;
}

static Factors a[MOST], b[MOST], m[MOST], u[MOST], k[MOST];

LANES static int agree(const Factors *x, const Factors *y, int limbs)
{
    int right = 1;
    for (int lane = 0; lane < WIDTH; lane++)
        for (int p = 0; p < 3; p++) {
            const uint64_t q = primes[p];
            const uint64_t left = times(value(x, limbs, lane, q), value(y, limbs, lane, q), q);
            const uint64_t sum = (left + times(value(k, limbs, lane, q), value(m, limbs, lane, q), q)) % q;
            right &= sum == times(value(u, limbs, lane, q), shift(limbs, q), q);
        }
    return right;
}

static uint64_t seed = UINT64_C(88172645463325252);

static uint64_t limb(int turn)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return turn % 4 == 1 ? LIMB_MASK : turn % 4 == 2 ? seed & 1 : seed >> 12;
}

SHARED int check(void)
{
    int wrong = 0;
    for (int turn = 0; turn < TURNS; turn++)
        for (int tiles = 1; tiles <= MOST / 10; tiles++) {
            const int limbs = 10 * tiles;
            Factors inverse[10];
            for (int at = 0; at < limbs; at++) {
                Lanes x, y, z;
                for (int lane = 0; lane < WIDTH; lane++) {
                    x[lane] = limb(turn), y[lane] = limb(turn + 1), z[lane] = limb(turn / 2) | (at == 0);
                    /* as sums of digits are settled, the uppermost limb has bits to spare */
                    if (at == limbs - 1) x[lane] >>= 8, y[lane] >>= 8, z[lane] >>= 8;
                }
                a[at] = factors_of(x), b[at] = factors_of(y), m[at] = factors_of(z);
            }
            for (int lane = 0; lane < WIDTH; lane++) {
                uint64_t lowest[10], found[10];
                for (int at = 0; at < 10; at++) lowest[at] = limbs_of(m[at])[lane];
                negative_inverse(found, lowest, 10);
                for (int at = 0; at < 10; at++) ((double *)&inverse[at])[lane] = (double)found[at];
            }
            Pair pair = {a, b};
            reduce_tiles_10(u, k, &pair, 1, 0, NULL, NULL, m, inverse, tiles);
            wrong += !agree(a, b, limbs);
            reduce_square_tiles_10(u, k, a, m, inverse, tiles);
            wrong += !agree(a, a, limbs);
        }
    return wrong;
}

int main(void)
{
    Mode before = begin_products();
    const int wrong = check();
    end_products(before);
    printf("%d lanes: %d of %d products are wrong\n", WIDTH, wrong, 2 * TURNS * MOST / 10);
    return wrong != 0;
}
