/* What the server does, with n alone: read ciphertexts, add them to sums, write sums. Included once for each
   LIMBS (of n).

   A number is 2*LIMBS words: the limbs of its two digits (number.h). Reading a ciphertext c gives c/R,
   and every product divides by R once more: the caller counts. */

#define N(name) JOIN(name, LIMBS)
#define T(name) JOIN(name, TILE)

/* (count, size) bytes to (count, 2*LIMBS) words, and 52*LIMBS/8 bytes: the product of all numbers modulo n, not
   canonical and times some power of R. */
LANES static void N(read)(const uint64_t *modulus, const uint8_t *wire, size_t count, size_t size, uint64_t *numbers,
                          uint8_t *product) {
    N(Modulus) n;
    Factors together[LIMBS], turned[LIMBS], k[LIMBS], c[2 * LIMBS];
    Lanes upper[LIMBS];
    N(Number) x;
    N(load_modulus)(&n, modulus);
    memset(together, 0, sizeof together);
    together[0] = factors_of(all(1));
    for (size_t first = 0; first < count; first += WIDTH) {
        const uint8_t *bytes[WIDTH];
        uint64_t *words[WIDTH], spare[2 * LIMBS];
        for (int lane = 0; lane < WIDTH; lane++) {
            int real = first + lane < count;
            bytes[lane] = wire + (real ? first + lane : first) * size;
            words[lane] = real ? numbers + (first + lane) * 2 * LIMBS : spare;
        }
        bytes_to_factors(c, 2 * LIMBS, bytes, size);
        to_limbs(upper, c + LIMBS, LIMBS);
        N(reduce)(x.zeroth, x.first, NULL, 0, 0, c, upper, &n);
        Pair pair = {together, x.zeroth};
        N(reduce)(together, k, &pair, 1, 0, NULL, NULL, &n);
        factors_to_words(words, (const Factors *)&x, 2 * LIMBS);
    }
    for (int by = WIDTH / 2; by > 0; by /= 2) {
        for (int i = 0; i < LIMBS; i++)
            for (int lane = 0; lane < WIDTH; lane++) turned[i][lane] = together[i][(lane + by) % WIDTH];
        Pair pair = {together, turned};
        N(reduce)(together, k, &pair, 1, 0, NULL, NULL, &n);
    }
    to_limbs(upper, together, LIMBS);
    lane_to_bytes(product, LIMBS * LIMB_BITS / 8, upper, LIMBS, 0);
}

/* sums[targets[i]] *= numbers[i] / R, for all i in turn; both are words. */
LANES static void N(multiply_rows)(const uint64_t *modulus, uint64_t *sums, const int64_t *targets,
                                   const uint64_t *numbers, size_t count) {
    N(Modulus) n;
    N(Number) x, y;
    uint64_t spare[WIDTH][2 * LIMBS] = {{0}};
    N(load_modulus)(&n, modulus);
    for (size_t first = 0; first < count;) {
        uint64_t *sum[WIDTH];
        const uint64_t *number[WIDTH];
        int lanes = 0;
        for (; lanes < WIDTH && first < count; lanes++, first++) {
            int taken = 0; /* lanes cannot wait for each other: a sum that comes twice ends the group */
            uint64_t *next = sums + targets[first] * 2 * LIMBS;
            for (int lane = 0; lane < lanes; lane++) taken |= sum[lane] == next;
            if (taken) break;
            sum[lanes] = next;
            number[lanes] = numbers + first * 2 * LIMBS;
        }
        for (; lanes < WIDTH; lanes++) {
            sum[lanes] = spare[lanes];
            number[lanes] = spare[lanes];
        }
        words_to_factors((Factors *)&x, (const uint64_t *const *)sum, 2 * LIMBS);
        words_to_factors((Factors *)&y, number, 2 * LIMBS);
        N(multiply)(&x, &x, &y, &n);
        factors_to_words(sum, (const Factors *)&x, 2 * LIMBS);
    }
}

/* Numbers to canonical bytes, (count, size). */
LANES static void N(write)(const uint64_t *modulus, const uint64_t *numbers, size_t count, uint8_t *wire, size_t size) {
    N(Modulus) n;
    N(Number) x;
    Factors factors[LIMBS], k[LIMBS];
    Lanes upper[LIMBS], sum[2 * LIMBS];
    N(load_modulus)(&n, modulus);
    for (size_t first = 0; first < count; first += WIDTH) {
        const uint64_t *number[WIDTH];
        for (int lane = 0; lane < WIDTH; lane++)
            number[lane] = numbers + (first + lane < count ? first + lane : first) * 2 * LIMBS;
        words_to_factors((Factors *)&x, number, 2 * LIMBS);
        N(reduce)(factors, k, NULL, 0, 0, x.first, NULL, &n);
        Lanes taken = N(canonical)(sum, x.zeroth, &n);
        N(canonical)(upper, factors, &n);
        N(complement)(upper, taken, &n);
        to_factors(factors, upper, LIMBS);
        memset(sum + LIMBS, 0, sizeof upper);
        T(accumulate)(sum, factors, LIMBS, n.limbs, LIMBS);
        settle(sum, 2 * LIMBS);
        for (int lane = 0; lane < WIDTH && first + lane < count; lane++)
            lane_to_bytes(wire + (first + lane) * size, size, sum, 2 * LIMBS, lane);
    }
}

#undef T
#undef N
