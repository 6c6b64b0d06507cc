/* Squares, powers and tables of powers modulo m**2 (number.h). Included once for each LIMBS of a prime, after number.h. */

#define N(name) JOIN(name, LIMBS)
#define T(name) JOIN(name, TILE)
#define TILES (LIMBS / TILE)

/* z = x*x/R modulo m**2; z may be x. */
LANES static void N(square)(N(Number) *z, const N(Number) *x, const N(Modulus) *m) {
    Factors u[LIMBS], k[LIMBS];
    Lanes folded[LIMBS];
    Pair first = {x->zeroth, x->first};
    T(reduce_square_tiles)(u, k, x->zeroth, m->limbs, m->inverse, TILES);
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
    for (size_t first = 0; first < count; first += WIDTH) {
        uint64_t *number[WIDTH];
        for (int lane = 0; lane < WIDTH; lane++)
            number[lane] = first + lane < count ? numbers + (first + lane) * 2 * LIMBS : spare;
        words_to_factors((Factors *)&x, (const uint64_t *const *)number, 2 * LIMBS);
        N(power)(&x, memory, steps, step_count, &m);
        factors_to_words(number, (const Factors *)&x, 2 * LIMBS);
    }
}

/* One entry of a table for each lane, (residue, exponent) of `size` bytes each, `stride` bytes apart: of x/R, given
   inverse/R = 1/x modulo m. With x = x0 - x1*m = a + (taken - x1)*m and a*(1 - e*m) = x, e is (x1 - taken)/a. */
LANES static void N(write_entry)(uint8_t *entries, size_t stride, size_t lanes, size_t size, const N(Number) *x,
                                 const Factors *inverse, const N(Modulus) *m) {
    Factors factors[LIMBS], k[LIMBS];
    Lanes residue[LIMBS], exponent[LIMBS], folded[LIMBS];
    N(reduce)(factors, k, NULL, 0, 0, x->zeroth, NULL, m);
    N(fold)(folded, k, m);
    Lanes taken = N(canonical)(residue, factors, m);
    N(reduce)(factors, k, NULL, 0, 0, x->first, folded, m);
    N(reduce)(factors, k, NULL, 0, 0, factors, NULL, m);
    N(canonical)(exponent, factors, m);
    N(complement)(exponent, taken, m);
    to_factors(factors, exponent, LIMBS);
    Pair quotient = {factors, inverse};
    N(reduce)(factors, k, &quotient, 1, 0, NULL, NULL, m);
    N(canonical)(exponent, factors, m);
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
    Factors x_inverse[LIMBS], k[LIMBS];
    const size_t row_bytes = count * 2 * size;
    N(load_modulus)(&m, modulus);
    memset(entries, 0, rows * row_bytes);
    for (size_t row = 0; row < rows; row++) entries[row * row_bytes] = 1;
    for (size_t first = 0; first < rows; first += WIDTH) {
        const uint64_t *words[2][WIDTH];
        size_t lanes = rows - first < WIDTH ? rows - first : WIDTH;
        for (size_t lane = 0; lane < WIDTH; lane++) {
            size_t row = lane < lanes ? first + lane : first;
            words[0][lane] = bases + row * 2 * LIMBS;
            words[1][lane] = inverses + row * 2 * LIMBS;
        }
        words_to_factors((Factors *)&base, words[0], 2 * LIMBS);
        words_to_factors((Factors *)&inverse, words[1], 2 * LIMBS);
        x = base;
        memcpy(x_inverse, inverse.zeroth, sizeof x_inverse);
        for (size_t power = 1; power < count; power++) {
            N(write_entry)(entries + first * row_bytes + power * 2 * size, row_bytes, lanes, size, &x, x_inverse, &m);
            N(multiply)(&x, &x, &base, &m);
            Pair inverses_product = {x_inverse, inverse.zeroth};
            N(reduce)(x_inverse, k, &inverses_product, 1, 0, NULL, NULL, &m);
        }
    }
}

#undef TILES
#undef T
#undef N
