/* Arithmetic modulo m and modulo m**2 on eight numbers at a time. Included once for each LIMBS, with TILE.

   R = 2**(52*LIMBS) and 256*m <= R. A number modulo m**2 is kept as two digits: x = x0 - x1*m/R (mod m**2).
   Montgomery's reduction of a product x0*y0 gives u and k with x0*y0 = u*R - k*m, hence

       x*y/R = u - (k + (x0*y1 + x1*y0)/R) * m/R     (mod m**2)

   where the last division is one more reduction modulo m: 5*LIMBS**2 products of limbs, 3.5*LIMBS**2 for a
   square, where one reduction modulo a number twice as long takes 8*LIMBS**2. A number without second
   digit costs less, and an integer c up to m**2 becomes digits u, k of c/R by half a product: the
   reduction alone.

   Digits stay far below R (their sizes are given in multiples of m; the first one stays under 5*m) and are only
   brought under m when a number leaves. */

#define N(name) JOIN(name, LIMBS)
#define T(name) JOIN(name, TILE)
#define TILES (LIMBS / TILE)

typedef struct {
    Lanes limbs[LIMBS];   /* m */
    Lanes folded[LIMBS];  /* R/2 modulo m */
    Lanes inverse;        /* -1/m modulo 2**52 */
} N(Modulus);

typedef struct {
    Lanes zeroth[LIMBS], first[LIMBS];
} N(Number);

typedef struct {
    const Lanes *a, *b;
} N(Pair);

/* Add tile `at` of the sum of products to columns held in registers. */
INLINE void N(add_products)(Lanes *sum, const N(Pair) *pairs, int count, int at) {
    for (int pair = 0; pair < count; pair++) {
        const Lanes *a = pairs[pair].a, *b = pairs[pair].b;
        for (int i = at < TILES ? 0 : at - TILES; i < TILES && i < at; i++)
            T(high_half)(sum, a + i * TILE, b + (at - 1 - i) * TILE);
        for (int i = at < TILES ? 0 : at - TILES + 1; i < TILES && i <= at; i++)
            T(low_half)(sum, a + i * TILE, b + (at - i) * TILE);
    }
}

INLINE void N(clear)(Lanes *sum) {
    UNROLL
    for (int column = 0; column < TILE; column++) sum[column] = zero();
}

INLINE void N(twice)(Lanes *sum) {
    UNROLL
    for (int column = 0; column < TILE; column++) sum[column] = plus(sum[column], sum[column]);
}

/* Columns of tile `at` that come from Montgomery digits found so far. */
INLINE void N(add_digits)(Lanes *sum, const Lanes *k, const Lanes *m, int at) {
    for (int i = 0; i < at; i++) {
        T(high_half)(sum, k + i * TILE, m + (at - 1 - i) * TILE);
        T(low_half)(sum, k + i * TILE, m + (at - i) * TILE);
    }
}

INLINE void N(add_tile)(Lanes *sum, const Lanes *limbs) {
    UNROLL
    for (int column = 0; column < TILE; column++) sum[column] = plus(sum[column], limbs[column]);
}

/* u and k with (sum of a*b, twice that if `doubled`) + below + above*R + k*m = u*R.

   `below` and `above` may be NULL, and their limbs unsettled; u may be an input, and k may not. */
LANES static void N(reduce)(Lanes *u, Lanes *k, const N(Pair) *pairs, int count, int doubled, const Lanes *below,
                            const Lanes *above, const N(Modulus) *m) {
    Lanes sum[TILE], carry = zero();
    for (int at = 0; at < TILES; at++) {
        N(clear)(sum);
        N(add_products)(sum, pairs, count, at);
        if (doubled) N(twice)(sum);
        if (below != NULL) N(add_tile)(sum, below + at * TILE);
        sum[0] = plus(sum[0], carry);
        N(add_digits)(sum, k, m->limbs, at);
        carry = T(digits)(sum, k + at * TILE, m->limbs, m->inverse);
    }
    for (int at = TILES; at < 2 * TILES; at++) {
        N(Pair) digits = {k, m->limbs};
        N(clear)(sum);
        N(add_products)(sum, pairs, count, at);
        if (doubled) N(twice)(sum);
        N(add_products)(sum, &digits, 1, at);
        if (above != NULL) N(add_tile)(sum, above + (at - TILES) * TILE);
        sum[0] = plus(sum[0], carry);
        carry = T(settle)(u + (at - TILES) * TILE, sum);
    }
}

/* k under R/2 + m, modulo m: its topmost bit is traded for R/2 modulo m. The limbs are not settled. */
INLINE void N(fold)(Lanes *folded, const Lanes *k, const N(Modulus) *m) {
    const Lanes top = all(UINT64_C(1) << (LIMB_BITS - 1));
    __mmask8 over = _mm512_test_epi64_mask(k[LIMBS - 1], top);
    for (int i = 0; i < LIMBS; i++) folded[i] = _mm512_mask_add_epi64(k[i], over, k[i], m->folded[i]);
    folded[LIMBS - 1] = _mm512_mask_sub_epi64(folded[LIMBS - 1], over, folded[LIMBS - 1], top);
}

/* z = x*y/R modulo m**2; z may be x or y. */
LANES static void N(multiply)(N(Number) *z, const N(Number) *x, const N(Number) *y, const N(Modulus) *m) {
    Lanes u[LIMBS], k[LIMBS], folded[LIMBS];
    N(Pair) zeroth = {x->zeroth, y->zeroth};
    N(Pair) first[2] = {{x->zeroth, y->first}, {x->first, y->zeroth}};
    N(reduce)(u, k, &zeroth, 1, 0, NULL, NULL, m);
    N(fold)(folded, k, m);
    N(reduce)(z->first, k, first, 2, 0, NULL, folded, m);
    memcpy(z->zeroth, u, sizeof u);
}

/* taken - x modulo m, canonical, for canonical x. */
LANES static void N(complement)(Lanes *x, Lanes taken, const N(Modulus) *m) {
    Lanes borrow = taken;
    for (int i = 0; i < LIMBS; i++) {
        Lanes word = plus(_mm512_sub_epi64(m->limbs[i], x[i]), borrow);
        x[i] = low52(word);
        borrow = _mm512_srai_epi64(word, LIMB_BITS);
    }
    canonical(x, m->limbs, LIMBS);
}

/* sum += a*b for numbers of several times TILE limbs, in memory: for the few products at an end. */
LANES static void N(accumulate)(Lanes *sum, const Lanes *a, int a_limbs, const Lanes *b, int b_limbs) {
    for (int i = 0; i < a_limbs; i += TILE)
        for (int j = 0; j < b_limbs; j += TILE) {
            T(low_half)(sum + i + j, a + i, b + j);
            T(high_half)(sum + i + j + TILE, a + i, b + j);
        }
}

/* words: m, and R/2 modulo m. */
LANES static void N(load_modulus)(N(Modulus) *m, const uint64_t *words) {
    uint64_t inverse = words[0]; /* Newton: right to 3 bits, 6, 12, 24, 48, 96 */
    for (int i = 0; i < 5; i++) inverse *= 2 - words[0] * inverse;
    spread(m->limbs, words, LIMBS);
    spread(m->folded, words + LIMBS, LIMBS);
    m->inverse = all(-inverse & LIMB_MASK);
}

#undef TILES
#undef T
#undef N
