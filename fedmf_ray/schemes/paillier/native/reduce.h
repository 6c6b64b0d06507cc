/* Montgomery's reduction of products and squares of several tiles. Included once for each TILE, after tile.h:
   numbers of different sizes share this code, because compilers take long over it. */

#define T(name) JOIN(name, TILE)

/* Add tile `at` of the sum of products to columns held in registers. */
INLINE void T(add_products)(Lanes *sum, const Pair *pairs, int count, int tiles, int at) {
    for (int pair = 0; pair < count; pair++) {
        const Factors *a = pairs[pair].a, *b = pairs[pair].b;
        for (int i = at < tiles ? 0 : at - tiles; i < tiles && i < at; i++)
            T(high_half)(sum, a + i * TILE, b + (at - 1 - i) * TILE);
        for (int i = at < tiles ? 0 : at - tiles + 1; i < tiles && i <= at; i++)
            T(low_half)(sum, a + i * TILE, b + (at - i) * TILE);
    }
}

INLINE void T(twice)(Lanes *sum) {
    UNROLL
    for (int column = 0; column < TILE; column++) sum[column] += sum[column];
}

/* Columns of tile `at` that come from Montgomery digits found so far. */
INLINE void T(add_digits)(Lanes *sum, const Factors *k, const Factors *m, int at) {
    for (int i = 0; i < at; i++) {
        T(high_half)(sum, k + i * TILE, m + (at - 1 - i) * TILE);
        T(low_half)(sum, k + i * TILE, m + (at - i) * TILE);
    }
}

INLINE void T(add_factors)(Lanes *sum, const Factors *limbs) {
    UNROLL
    for (int column = 0; column < TILE; column++) sum[column] += limbs_of(limbs[column]);
}

INLINE void T(add_limbs)(Lanes *sum, const Lanes *limbs) {
    UNROLL
    for (int column = 0; column < TILE; column++) sum[column] += limbs[column];
}

/* u and k with (sum of a*b, twice that if `doubled`) + below + above*R + k*m = u*R, for numbers of `tiles` tiles.

   `below` and `above` may be NULL, and the limbs of `above` unsettled; u may be an input, and k may not. */
SHARED void T(reduce_tiles)(Factors *u, Factors *k, const Pair *pairs, int count, int doubled, const Factors *below,
                      const Lanes *above, const Factors *m, const Factors *inverse, int tiles) {
    Lanes sum[TILE], carry = zero();
    const int products = doubled ? 2 * count : count;
    for (int at = 0; at < tiles; at++) {
        T(clear)(sum);
        T(take_excess)(sum, products * (at + 1) + at, products * at + at, doubled);
        T(add_products)(sum, pairs, count, tiles, at);
        if (doubled) T(twice)(sum);
        if (below != NULL) T(add_factors)(sum, below + at * TILE);
        sum[0] += carry;
        T(add_digits)(sum, k, m, at);
        carry = T(digits)(sum, k + at * TILE, m, inverse);
    }
    for (int at = tiles; at < 2 * tiles; at++) {
        Pair digits = {k, m};
        const int high = 2 * tiles - at;
        T(clear)(sum);
        T(take_excess)(sum, (products + 1) * (high - 1), (products + 1) * high, doubled);
        T(add_products)(sum, pairs, count, tiles, at);
        if (doubled) T(twice)(sum);
        T(add_products)(sum, &digits, 1, tiles, at);
        if (above != NULL) T(add_limbs)(sum, above + (at - tiles) * TILE);
        sum[0] += carry;
        carry = T(settle)(u + (at - tiles) * TILE, sum);
    }
}

/* Add tile `at` of x*x to a sum, and double what was there: what lies above the diagonal counts twice. */
INLINE void T(add_square)(Lanes *sum, const Factors *x, int tiles, int at) {
    for (int i = at < tiles ? 0 : at - tiles; 2 * i < at - 1; i++)
        T(high_half)(sum, x + i * TILE, x + (at - 1 - i) * TILE);
    for (int i = at < tiles ? 0 : at - tiles + 1; 2 * i < at; i++)
        T(low_half)(sum, x + i * TILE, x + (at - i) * TILE);
    if (at % 2) {
        T(high_corner)(sum, x + at / 2 * TILE);
        T(twice)(sum);
        T(diagonal)(sum, x + at / 2 * TILE, TILE);
    } else {
        T(low_corner)(sum, x + at / 2 * TILE);
        T(twice)(sum);
        T(diagonal)(sum, x + at / 2 * TILE, 0);
    }
}

/* u and k with x*x + k*m = u*R. */
SHARED void T(reduce_square_tiles)(Factors *u, Factors *k, const Factors *x, const Factors *m, const Factors *inverse, int tiles) {
    Lanes sum[TILE], carry = zero();
    for (int at = 0; at < tiles; at++) {
        T(clear)(sum);
        T(take_excess)(sum, 2 * at + 1, 2 * at, 1);
        T(add_square)(sum, x, tiles, at);
        sum[0] += carry;
        T(add_digits)(sum, k, m, at);
        carry = T(digits)(sum, k + at * TILE, m, inverse);
    }
    for (int at = tiles; at < 2 * tiles; at++) {
        Pair digits = {k, m};
        T(clear)(sum);
        T(take_excess)(sum, 2 * (2 * tiles - at - 1), 2 * (2 * tiles - at), 1);
        T(add_square)(sum, x, tiles, at);
        T(add_products)(sum, &digits, 1, tiles, at);
        sum[0] += carry;
        carry = T(settle)(u + (at - tiles) * TILE, sum);
    }
}

/* sum += a*b for numbers of several tiles, in memory: for the few products at an end. */
SHARED void T(accumulate)(Lanes *sum, const Factors *a, int a_limbs, const Factors *b, int b_limbs) {
    for (int i = 0; i < a_limbs; i += TILE)
        for (int j = 0; j < b_limbs; j += TILE) {
            T(take_excess)(sum + i + j, 1, 0, 0);
            T(low_half)(sum + i + j, a + i, b + j);
            T(take_excess)(sum + i + j + TILE, 0, 1, 0);
            T(high_half)(sum + i + j + TILE, a + i, b + j);
        }
}

#undef T
