/* What users do, with p and q: encryption and decryption. Included once for each LIMBS (of a prime).

   Modulo p**2 a number is digits as in number.h. Both operations end in two values A modulo p and B
   modulo q, already divided by the other prime (or its square), so that the Chinese remainder is
   A*q + B*p up to one subtraction. */

#define N(name) JOIN(name, LIMBS)
#define T(name) JOIN(name, TILE)

LANES static void N(spread_number)(N(Number) *x, const uint64_t *words) {
    spread(x->zeroth, words, LIMBS);
    spread(x->first, words + LIMBS, LIMBS);
}

/* --- encryption -------------------------------------------------------------------------------- */

/* A ciphertext a lane in the making: the product of table entries so far, and the sum of their exponents,
   as 32-bit digits in 64-bit words, one number after the other. */
typedef struct {
    N(Number) product;
    uint64_t exponents[WIDTH][LIMBS * LIMB_BITS / 32];
} N(Blinding);

/* Add two exponents of `size` bytes. */
INLINE void N(add_exponents)(uint64_t *sum, const uint8_t *one, const uint8_t *other, size_t size) {
    for (size_t i = 0; i < size / 4; i++) {
        uint32_t digits[2];
        memcpy(&digits[0], one + 4 * i, 4);
        memcpy(&digits[1], other + 4 * i, 4);
        sum[i] += (uint64_t)digits[0] + digits[1];
    }
}

/* The sum of exponents to limbs. */
LANES static void N(settle_exponents)(Factors *x, const N(Blinding) *group, size_t size) {
    for (int lane = 0; lane < WIDTH; lane++) {
        const uint64_t *digit = group->exponents[lane];
        uint32_t settled[LIMBS * LIMB_BITS / 32 + 3];
        uint64_t carry = 0;
        size_t count = size / 4;
        for (size_t i = 0; i < count; i++, carry >>= 32) settled[i] = (uint32_t)(carry += digit[i]);
        settled[count] = (uint32_t)carry;
        bytes_to_lane(x, LIMBS, lane, (const uint8_t *)settled, size + 4);
    }
}

/* The entry that the random digits of a ciphertext name. Numbers beyond the last one repeat the first of
   their group; a row beyond the last one, the partner of an odd one, has the entry 1, as all rows begin. */
INLINE const uint8_t *N(chosen_entry)(const Blinds *blinds, size_t first, int lane, int prime, size_t row) {
    const size_t entry_bytes = 2 * blinds->prime_bytes;
    if (row >= blinds->rows) return blinds->table + (prime * blinds->rows << blinds->window) * entry_bytes;
    size_t number = first + lane < blinds->count ? first + lane : first;
    size_t digit = blinds->digits[(number * 2 + prime) * blinds->rows + row] & ((1u << blinds->window) - 1);
    return blinds->table + (((prime * blinds->rows + row) << blinds->window) + digit) * entry_bytes;
}

/* Entries are all over a table larger than caches: they are asked for while the group before is worked on. A
   processor waits for few cache lines at a time, so this is done a third of the entries at a time. */
INLINE void N(prefetch)(const Blinds *blinds, size_t first, int prime, size_t row, int from, int to) {
    for (int i = from; i < to; i++) {
        const uint8_t *entry = N(chosen_entry)(blinds, first, i % WIDTH, prime, row + i / WIDTH);
        const uint8_t *line = entry - (uintptr_t)entry % 64, *end = entry + 2 * blinds->prime_bytes;
        for (; line < end; line += 64) __builtin_prefetch(line);
    }
}

/* Multiply a group by one random entry of each of two rows. `next` is the first number of the next group to be
   blinded, with next_row. */
LANES static void N(blind)(N(Blinding) *group, const Blinds *blinds, size_t first, int prime, size_t row,
                           size_t next, size_t next_row, const N(Modulus) *m) {
    Factors entry[2][LIMBS];
    N(Number) both;
    const uint8_t *chosen[2][WIDTH];
    const size_t size = blinds->prime_bytes;
    for (int lane = 0; lane < WIDTH; lane++) {
        for (int i = 0; i < 2; i++) chosen[i][lane] = N(chosen_entry)(blinds, first, lane, prime, row + i);
        N(add_exponents)(group->exponents[lane], chosen[0][lane] + size, chosen[1][lane] + size, size);
    }
    for (int i = 0; i < 2; i++) bytes_to_factors(entry[i], LIMBS, chosen[i], size);
    Pair leaves = {entry[0], entry[1]};
    N(prefetch)(blinds, next, prime, next_row, 0, WIDTH * 2 / 3);
    N(reduce)(both.zeroth, both.first, &leaves, 1, 0, NULL, NULL, m);
    N(prefetch)(blinds, next, prime, next_row, WIDTH * 2 / 3, WIDTH * 4 / 3);
    /* As `multiply` does, with a pause for the last of them. */
    N(Number) *x = &group->product;
    Factors u[LIMBS], k[LIMBS];
    Lanes folded[LIMBS];
    Pair zeroth = {x->zeroth, both.zeroth};
    Pair upper[2] = {{x->zeroth, both.first}, {x->first, both.zeroth}};
    N(reduce)(u, k, &zeroth, 1, 0, NULL, NULL, m);
    N(prefetch)(blinds, next, prime, next_row, WIDTH * 4 / 3, WIDTH * 2);
    N(fold)(folded, k, m);
    N(reduce)(x->first, k, upper, 2, 0, NULL, folded, m);
    memcpy(x->zeroth, u, sizeof u);
}

/* digit[0] + digit[1]*p, canonical, of the finished product times 1 + n*plaintext, times other**-2. */
LANES static void N(close)(Lanes digit[2][LIMBS], const N(Blinding) *group, const Blinds *blinds, size_t first,
                           const uint64_t *words, const N(Modulus) *m) {
    Factors exponents[LIMBS], low[LIMBS], high[LIMBS], constant[3][LIMBS], k[LIMBS];
    N(settle_exponents)(exponents, group, blinds->prime_bytes);
    for (int lane = 0; lane < WIDTH; lane++) {
        size_t number = first + lane < blinds->count ? first + lane : first;
        const uint8_t *plaintext = blinds->plaintexts + number * blinds->plaintext_bytes;
        size_t half = LIMBS * 13 / 2, size = blinds->plaintext_bytes;
        bytes_to_lane(low, LIMBS, lane, plaintext, size < half ? size : half);
        bytes_to_lane(high, LIMBS, lane, plaintext + (size < half ? size : half), size < half ? 0 : size - half);
    }
    spread(constant[0], words + E_R_SQUARE * LIMBS, LIMBS);
    spread(constant[1], words + E_LOW * LIMBS, LIMBS);
    spread(constant[2], words + E_HIGH * LIMBS, LIMBS);
    Pair sums[3] = {{exponents, constant[0]}, {low, constant[1]}, {high, constant[2]}};
    N(reduce)(exponents, k, sums, 3, 0, NULL, NULL, m);
    Pair end = {group->product.zeroth, exponents};
    N(reduce)(exponents, k, &end, 1, 0, group->product.first, NULL, m);
    Lanes taken = N(canonical)(digit[0], group->product.zeroth, m);
    N(canonical)(digit[1], exponents, m);
    N(complement)(digit[1], taken, m); /* x0 = digit[0] + taken*p, so the digit above it is taken - x1 */
}

LANES static void N(encrypt)(void *memory, const Blinds *blinds, uint8_t *wire) {
    N(Blinding) *groups = memory;
    N(Modulus) m[2];
    N(Number) start;
    const size_t count = blinds->count, ciphertext_bytes = blinds->ciphertext_bytes;
    /* q, p; q**2, p**2; n; n**2 */
    Factors other[2][LIMBS], other_square[2][2 * LIMBS], n[2 * LIMBS], n_square[4 * LIMBS];
    const uint64_t *joint = blinds->joint;
    for (int prime = 0; prime < 2; prime++) {
        N(load_modulus)(&m[prime], blinds->words[prime]);
        spread(other[prime], joint + (J_OTHER + prime) * LIMBS, LIMBS);
        spread(other_square[prime], joint + (J_OTHER_SQUARE + 2 * prime) * LIMBS, 2 * LIMBS);
    }
    spread(n, joint + J_N * LIMBS, 2 * LIMBS);
    spread(n_square, joint + J_N_SQUARE * LIMBS, 4 * LIMBS);

    for (size_t batch = 0; batch < count; batch += WIDTH * BATCH_GROUPS) {
        size_t in_batch = (count - batch + WIDTH - 1) / WIDTH < BATCH_GROUPS ? (count - batch + WIDTH - 1) / WIDTH : BATCH_GROUPS;
        for (int prime = 0; prime < 2; prime++) {
            N(Blinding) *half = groups + prime * BATCH_GROUPS;
            N(spread_number)(&start, blinds->words[prime] + E_START * LIMBS);
            for (size_t group = 0; group < in_batch; group++) {
                half[group].product = start;
                memset(half[group].exponents, 0, sizeof half[group].exponents);
                for (int lane = 0; lane < WIDTH; lane++) {
                    size_t piece = (batch + WIDTH * group + lane) % blinds->pieces;
                    const uint8_t *shift = blinds->shifts + (prime * blinds->pieces + piece) * blinds->prime_bytes;
                    const uint8_t *nothing = blinds->table + blinds->prime_bytes; /* the exponent of the entry 1 */
                    N(add_exponents)(half[group].exponents[lane], shift, nothing, blinds->prime_bytes);
                }
            }
            /* A pair of rows stays in the cache while all groups take their entries from it. */
            for (size_t row = 0; row < blinds->rows; row += 2)
                for (size_t group = 0; group < in_batch; group++) {
                    int last = group + 1 == in_batch;
                    N(blind)(&half[group], blinds, batch + WIDTH * group, prime, row,
                             batch + (last ? 0 : WIDTH * (group + 1)), last ? row + 2 : row, &m[prime]);
                }
        }
        for (size_t group = 0; group < in_batch; group++) {
            Lanes digits[2][LIMBS], upper[2 * LIMBS], sum[4 * LIMBS];
            Factors factors[2][2][LIMBS], upper_factors[2 * LIMBS];
            size_t first = batch + WIDTH * group;
            for (int prime = 0; prime < 2; prime++) {
                N(close)(digits, &groups[prime * BATCH_GROUPS + group], blinds, first, blinds->words[prime], &m[prime]);
                to_factors(factors[prime][0], digits[0], LIMBS);
                to_factors(factors[prime][1], digits[1], LIMBS);
            }
            memset(upper, 0, sizeof upper);
            memset(sum, 0, sizeof sum);
            for (int prime = 0; prime < 2; prime++) {
                T(accumulate)(upper, factors[prime][1], LIMBS, other[prime], LIMBS);
                T(accumulate)(sum, factors[prime][0], LIMBS, other_square[prime], 2 * LIMBS);
            }
            settle(upper, 2 * LIMBS);
            to_factors(upper_factors, upper, 2 * LIMBS);
            T(accumulate)(sum, upper_factors, 2 * LIMBS, n, 2 * LIMBS);
            settle(sum, 4 * LIMBS);
            canonical(sum, n_square, 4 * LIMBS);
            for (int lane = 0; lane < WIDTH && first + lane < count; lane++)
                lane_to_bytes(wire + (first + lane) * ciphertext_bytes, ciphertext_bytes, sum, 4 * LIMBS, lane);
        }
    }
}

/* --- decryption -------------------------------------------------------------------------------- */

/* The plaintexts of a ciphertext a lane modulo one prime, shifted and divided by the other prime. */
LANES static void N(read_half)(Factors *half, N(Number) *odd, const Reading *reading, size_t first, int prime,
                               const N(Modulus) *m) {
    Factors chunk[4][LIMBS], k[LIMBS], constant[2][LIMBS], shift[LIMBS], taken[LIMBS];
    Lanes folded[LIMBS], limbs[LIMBS];
    N(Number) x, place[4];
    Pair zeroth[4], upper[4];
    const uint64_t *words = reading->words[prime];
    const uint8_t *wire = reading->wire;
    size_t chunk_bytes = LIMBS * 13 / 2, size = reading->ciphertext_bytes;
    for (int i = 0; i < 4; i++) {
        size_t from = i * chunk_bytes < size ? i * chunk_bytes : size;
        size_t part = size - from < chunk_bytes ? size - from : chunk_bytes;
        for (int lane = 0; lane < WIDTH; lane++) {
            size_t number = first + lane < reading->count ? first + lane : first;
            bytes_to_lane(chunk[i], LIMBS, lane, wire + number * size + from, part);
        }
        N(spread_number)(&place[i], words + (D_CHUNKS + 2 * i) * LIMBS);
        zeroth[i] = (Pair){chunk[i], place[i].zeroth};
        upper[i] = (Pair){chunk[i], place[i].first};
    }
    N(reduce)(x.zeroth, k, zeroth, 4, 0, NULL, NULL, m);
    N(fold)(folded, k, m);
    N(reduce)(x.first, k, upper, 4, 0, NULL, folded, m);

    N(power)(&x, odd, reading->steps[prime], reading->step_count[prime], m);

    /* Out of Montgomery's form: 1 + taken*p - (x1/R)*p, whose logarithm is taken - x1/R. */
    N(reduce)(x.zeroth, k, NULL, 0, 0, x.zeroth, NULL, m);
    N(fold)(folded, k, m);
    N(reduce)(x.first, k, NULL, 0, 0, x.first, folded, m);
    memset(taken, 0, sizeof taken);
    taken[0] = factors_of(N(canonical)(limbs, x.zeroth, m));
    for (int lane = 0; lane < WIDTH; lane++) {
        size_t piece = (first + lane) % reading->pieces;
        const uint64_t *row = reading->shifts + (prime * reading->pieces + piece) * LIMBS;
        for (int i = 0; i < LIMBS; i++) shift[i][lane] = factor_of(row[i]);
    }
    spread(constant[0], words + D_LOGARITHM * LIMBS, LIMBS);
    spread(constant[1], words + D_WRAPPED * LIMBS, LIMBS);
    Pair parts[2] = {{x.first, constant[0]}, {taken, constant[1]}};
    N(reduce)(half, k, parts, 2, 0, shift, NULL, m);
    N(canonical)(limbs, half, m);
    to_factors(half, limbs, LIMBS);
}

LANES static void N(decrypt)(void *memory, const Reading *reading, uint8_t *plaintexts) {
    N(Number) *odd = memory;
    N(Modulus) m[2];
    Factors other[2][LIMBS], n[2 * LIMBS], half[2][LIMBS];
    Lanes sum[2 * LIMBS];
    for (int prime = 0; prime < 2; prime++) {
        N(load_modulus)(&m[prime], reading->words[prime]);
        spread(other[prime], reading->joint + (J_OTHER + prime) * LIMBS, LIMBS);
    }
    spread(n, reading->joint + J_N * LIMBS, 2 * LIMBS);
    for (size_t first = 0; first < reading->count; first += WIDTH) {
        memset(sum, 0, sizeof sum);
        for (int prime = 0; prime < 2; prime++) {
            N(read_half)(half[prime], odd, reading, first, prime, &m[prime]);
            T(accumulate)(sum, half[prime], LIMBS, other[prime], LIMBS);
        }
        settle(sum, 2 * LIMBS);
        canonical(sum, n, 2 * LIMBS);
        for (int lane = 0; lane < WIDTH && first + lane < reading->count; lane++)
            lane_to_bytes(plaintexts + (first + lane) * reading->plaintext_bytes, reading->plaintext_bytes, sum,
                          2 * LIMBS, lane);
    }
}

#undef T
#undef N
