/* Squares and powers modulo m**2 (number.h). Included once for each LIMBS of a prime, after number.h. */

#define N(name) JOIN(name, LIMBS)
#define T(name) JOIN(name, TILE)
#define TILES (LIMBS / TILE)

/* Tile `at` of x*x: what lies above the diagonal counts twice. */
INLINE void N(square_tile)(Lanes *sum, const Lanes *x, int at) {
    N(clear)(sum);
    for (int i = at < TILES ? 0 : at - TILES; 2 * i < at - 1; i++)
        T(high_half)(sum, x + i * TILE, x + (at - 1 - i) * TILE);
    for (int i = at < TILES ? 0 : at - TILES + 1; 2 * i < at; i++)
        T(low_half)(sum, x + i * TILE, x + (at - i) * TILE);
    if (at % 2) {
        T(high_corner)(sum, x + at / 2 * TILE);
        N(twice)(sum);
        T(high_diagonal)(sum, x + at / 2 * TILE);
    } else {
        T(low_corner)(sum, x + at / 2 * TILE);
        N(twice)(sum);
        T(low_diagonal)(sum, x + at / 2 * TILE);
    }
}

/* u and k with x*x + k*m = u*R. */
LANES static void N(reduce_square)(Lanes *u, Lanes *k, const Lanes *x, const N(Modulus) *m) {
    Lanes sum[TILE], carry = zero();
    for (int at = 0; at < TILES; at++) {
        N(square_tile)(sum, x, at);
        sum[0] = plus(sum[0], carry);
        N(add_digits)(sum, k, m->limbs, at);
        carry = T(digits)(sum, k + at * TILE, m->limbs, m->inverse);
    }
    for (int at = TILES; at < 2 * TILES; at++) {
        N(Pair) digits = {k, m->limbs};
        N(square_tile)(sum, x, at);
        N(add_products)(sum, &digits, 1, at);
        sum[0] = plus(sum[0], carry);
        carry = T(settle)(u + (at - TILES) * TILE, sum);
    }
}

/* z = x*x/R modulo m**2; z may be x. */
LANES static void N(square)(N(Number) *z, const N(Number) *x, const N(Modulus) *m) {
    Lanes u[LIMBS], k[LIMBS], folded[LIMBS];
    N(Pair) first = {x->zeroth, x->first};
    N(reduce_square)(u, k, x->zeroth, m);
    N(fold)(folded, k, m);
    N(reduce)(z->first, k, &first, 1, 1, NULL, folded, m);
    memcpy(z->zeroth, u, sizeof u);
}

/* x = base**e by the steps of a sliding window: so many squarings, then an odd power (or none). */
LANES static void N(power)(N(Number) *x, N(Number) *odd, const uint16_t (*steps)[2], size_t count,
                           const N(Modulus) *m) {
    N(Number) base_square;
    odd[0] = *x;
    N(square)(&base_square, x, m);
    for (int i = 1; i < ODD_POWERS; i++) N(multiply)(&odd[i], &odd[i - 1], &base_square, m);
    *x = odd[steps[0][1]];
    for (size_t at = 1; at < count; at++) {
        for (int i = 0; i < steps[at][0]; i++) N(square)(x, x, m);
        if (steps[at][1] < ODD_POWERS) N(multiply)(x, x, &odd[steps[at][1]], m);
    }
}

/* numbers[i] to their powers; each is 2*LIMBS words. */
LANES static void N(power_rows)(void *memory, const uint64_t *modulus, uint64_t *numbers, size_t count,
                                const uint16_t (*steps)[2], size_t step_count) {
    N(Modulus) m;
    N(Number) x;
    uint64_t spare[2 * LIMBS] = {0};
    N(load_modulus)(&m, modulus);
    for (size_t first = 0; first < count; first += 8) {
        uint64_t *number[8];
        for (int lane = 0; lane < 8; lane++)
            number[lane] = first + lane < count ? numbers + (first + lane) * 2 * LIMBS : spare;
        words_to_lanes((Lanes *)&x, (const uint64_t *const *)number, 2 * LIMBS);
        N(power)(&x, memory, steps, step_count, &m);
        lanes_to_words(number, (const Lanes *)&x, 2 * LIMBS);
    }
}

#undef TILES
#undef T
#undef N
