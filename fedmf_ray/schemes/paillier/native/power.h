/* Squares, powers and tables of powers modulo m**2 (number.h). Included once for each LIMBS of a prime, after number.h. */

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

/* One entry of a table for each lane, (residue, exponent) of `size` bytes each, `stride` bytes apart: of x/R, given
   inverse/R = 1/x modulo m. With x = x0 - x1*m = a + (taken - x1)*m and a*(1 - e*m) = x, e is (x1 - taken)/a. */
LANES static void N(write_entry)(uint8_t *entries, size_t stride, size_t lanes, size_t size, const N(Number) *x,
                                 const Lanes *inverse, const N(Modulus) *m) {
    Lanes residue[LIMBS], exponent[LIMBS], k[LIMBS], folded[LIMBS];
    N(reduce)(residue, k, NULL, 0, 0, x->zeroth, NULL, m);
    N(fold)(folded, k, m);
    N(reduce)(exponent, k, NULL, 0, 0, x->first, folded, m);
    N(reduce)(exponent, k, NULL, 0, 0, exponent, NULL, m);
    Lanes taken = canonical(residue, m->limbs, LIMBS);
    canonical(exponent, m->limbs, LIMBS);
    N(complement)(exponent, taken, m);
    N(Pair) quotient = {exponent, inverse};
    N(reduce)(exponent, k, &quotient, 1, 0, NULL, NULL, m);
    canonical(exponent, m->limbs, LIMBS);
    N(complement)(exponent, zero(), m);
    for (size_t lane = 0; lane < lanes; lane++) {
        lane_to_bytes(entries + lane * stride, size, residue, LIMBS, (int)lane);
        lane_to_bytes(entries + lane * stride + size, size, exponent, LIMBS, (int)lane);
    }
}

/* Rows of a table, (rows, count, 2, size) bytes: the powers 0 to count - 1 of bases modulo m**2. Bases and their
   inverses are 2*LIMBS words each, times R. */
LANES static void N(table_rows)(const uint64_t *modulus, const uint64_t *bases, const uint64_t *inverses, size_t rows,
                                size_t count, uint8_t *entries, size_t size) {
    N(Modulus) m;
    N(Number) base, x, inverse;
    Lanes x_inverse[LIMBS], k[LIMBS];
    const size_t row_bytes = count * 2 * size;
    N(load_modulus)(&m, modulus);
    memset(entries, 0, rows * row_bytes);
    for (size_t row = 0; row < rows; row++) entries[row * row_bytes] = 1;
    for (size_t first = 0; first < rows; first += 8) {
        const uint64_t *words[2][8];
        size_t lanes = rows - first < 8 ? rows - first : 8;
        for (size_t lane = 0; lane < 8; lane++) {
            size_t row = lane < lanes ? first + lane : first;
            words[0][lane] = bases + row * 2 * LIMBS;
            words[1][lane] = inverses + row * 2 * LIMBS;
        }
        words_to_lanes((Lanes *)&base, words[0], 2 * LIMBS);
        words_to_lanes((Lanes *)&inverse, words[1], 2 * LIMBS);
        x = base;
        memcpy(x_inverse, inverse.zeroth, sizeof x_inverse);
        for (size_t power = 1; power < count; power++) {
            N(write_entry)(entries + first * row_bytes + power * 2 * size, row_bytes, lanes, size, &x, x_inverse, &m);
            N(multiply)(&x, &x, &base, &m);
            N(Pair) inverses_product = {x_inverse, inverse.zeroth};
            N(reduce)(x_inverse, k, &inverses_product, 1, 0, NULL, NULL, &m);
        }
    }
}

#undef TILES
#undef T
#undef N
