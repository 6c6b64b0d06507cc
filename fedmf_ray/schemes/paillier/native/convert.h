/* Between bytes (little endian), words of 52 bits (one a uint64), limbs in lanes, and factors. Included after
   ifma.h or fma.h. */

#ifndef FEDMF_CONVERT_H
#define FEDMF_CONVERT_H

INLINE void to_factors(Factors *factors, const Lanes *x, int limbs) {
    for (int i = 0; i < limbs; i++) factors[i] = factors_of(x[i]);
}

INLINE void to_limbs(Lanes *x, const Factors *factors, int limbs) {
    for (int i = 0; i < limbs; i++) x[i] = limbs_of(factors[i]);
}

/* One number's words to all lanes. */
INLINE void spread(Factors *x, const uint64_t *words, int limbs) {
    for (int i = 0; i < limbs; i++) x[i] = factors_of(all(words[i]));
}

/* -1/m modulo 2**(52*limbs): Montgomery's digits of 1. */
static void negative_inverse(uint64_t *inverse, const uint64_t *m, int limbs) {
    uint64_t column[MOST_LIMBS + 1] = {1}, first = m[0]; /* Newton: 1/m right to 3 bits, 6, 12, 24, 48, 96 */
    for (int i = 0; i < 5; i++) first *= 2 - m[0] * first;
    for (int i = 0; i < limbs; i++) {
        inverse[i] = -first * column[i] & LIMB_MASK;
        for (int j = 0; i + j < limbs; j++) {
            unsigned __int128 product = (unsigned __int128)inverse[i] * m[j] + column[i + j];
            column[i + j] = (uint64_t)product & LIMB_MASK;
            column[i + j + 1] += (uint64_t)(product >> LIMB_BITS);
        }
    }
}

/* `bytes` of one number, at most 52*limbs bits, to one lane. */
INLINE void bytes_to_lane(Factors *x, int limbs, int lane, const uint8_t *bytes, size_t size) {
    Factor *factor = (Factor *)x + lane;
    for (int i = 0; i < limbs; i++, factor += WIDTH) {
        size_t at = (size_t)i * 13 / 2;
        uint64_t piece = 0;
        if (at < size) memcpy(&piece, bytes + at, size - at < 8 ? size - at : 8);
        *factor = factor_of(piece >> (i % 2 * 4) & LIMB_MASK);
    }
}

/* One lane to bytes; what does not fit `size` is zero by the caller's word. */
INLINE void lane_to_bytes(uint8_t *bytes, size_t size, const Lanes *x, int limbs, int lane) {
    const Word *word = (const Word *)x + lane;
    uint64_t held = 0;
    int bits = 0;
    for (int i = 0; i < limbs; i++, word += WIDTH) {
        uint64_t whole = held | *word << bits;
        size_t left = size < 8 ? size : 8;
        if (bits + LIMB_BITS < 64) {
            held = whole;
            bits += LIMB_BITS;
            continue;
        }
        memcpy(bytes, &whole, left);
        bytes += left;
        size -= left;
        held = *word >> (64 - bits); /* bits is at least 12 here */
        bits += LIMB_BITS - 64;
    }
    memcpy(bytes, &held, size < 8 ? size : 8);
}

/* As much of a vector as `size` bytes fill, or all of it; the rest is zero. */
INLINE Lanes load(const void *bytes, size_t size) {
    Lanes x = zero();
    if (size >= sizeof x)
        memcpy(&x, bytes, sizeof x);
    else
        memcpy(&x, bytes, size);
    return x;
}

/* Words of as many numbers as there are lanes to factors, and back. */
INLINE void words_to_factors(Factors *x, const uint64_t *const number[WIDTH], int words) {
    for (int at = 0; at < words; at += WIDTH) {
        Lanes row[WIDTH];
        UNROLL
        for (int lane = 0; lane < WIDTH; lane++) row[lane] = load(number[lane] + at, (words - at) * sizeof(uint64_t));
        transpose(row);
        for (int i = 0; i < WIDTH && at + i < words; i++) x[at + i] = factors_of(row[i]);
    }
}

INLINE void factors_to_words(uint64_t *const number[WIDTH], const Factors *x, int words) {
    for (int at = 0; at < words; at += WIDTH) {
        size_t size = words - at < WIDTH ? (words - at) * sizeof(uint64_t) : sizeof(Lanes);
        Lanes row[WIDTH];
        for (int i = 0; i < WIDTH; i++) row[i] = at + i < words ? limbs_of(x[at + i]) : zero();
        transpose(row);
        UNROLL
        for (int lane = 0; lane < WIDTH; lane++) {
            if (size == sizeof(Lanes))
                memcpy(number[lane] + at, &row[lane], sizeof(Lanes));
            else
                memcpy(number[lane] + at, &row[lane], size);
        }
    }
}

/* Words of 64 bits to limbs of 52: sixteen limbs are thirteen words. */
INLINE void cut_words(Factors *x, const Lanes *word, int limbs) {
    for (int at = 0; at < limbs; at += 16, word += 13) {
        UNROLL
        for (int i = 0; i < 16; i++) {
            const int bit = i * LIMB_BITS % 64;
            Lanes limb = word[i * LIMB_BITS / 64] >> bit;
            if (bit + LIMB_BITS > 64) limb |= word[i * LIMB_BITS / 64 + 1] << (64 - bit);
            if (at + i < limbs) x[at + i] = factors_of(low52(limb));
        }
    }
}

/* As many numbers of `size` bytes as there are lanes to factors. */
INLINE void bytes_to_factors(Factors *x, int limbs, const uint8_t *const number[WIDTH], size_t size) {
    Lanes word[MOST_LIMBS + 16];
    int words = (limbs + 15) / 16 * 13;
    for (int at = 0; at < words; at += WIDTH) {
        size_t first = (size_t)at * 8, left = size > first ? size - first : 0;
        if (left == 0) {
            for (int i = 0; i < WIDTH; i++) word[at + i] = zero();
            continue;
        }
        UNROLL
        for (int lane = 0; lane < WIDTH; lane++) word[at + lane] = load(number[lane] + first, left);
        transpose(word + at);
    }
    cut_words(x, word, limbs);
}

/* Resolve all carries of a number; it must fit. */
INLINE void settle(Lanes *x, int limbs) {
    Lanes carry = zero();
    for (int i = 0; i < limbs; i++) {
        Lanes word = x[i] + carry;
        x[i] = low52(word);
        carry = over52(word);
    }
}

/* Subtract m in the lanes where x >= m; those lanes are returned, as ones. */
INLINE Lanes subtract_where_possible(Lanes *x, const Factors *m, int limbs) {
    Lanes borrow = zero();
    for (int i = 0; i < limbs; i++) borrow = signed_over52(x[i] - limbs_of(m[i]) + borrow);
    Lanes lanes = where_zero(borrow);
    borrow = zero();
    for (int i = 0; i < limbs; i++) {
        Lanes word = x[i] - limbs_of(m[i]) + borrow;
        x[i] = (x[i] & ~lanes) | (low52(word) & lanes);
        borrow = signed_over52(word);
    }
    return lanes;
}

/* Into 0 <= x < m, for x < 8*m; the multiples that were taken away are returned. */
INLINE Lanes canonical(Lanes *x, const Factors *m, int limbs) {
    Lanes taken = zero();
    for (;;) {
        Lanes lanes = subtract_where_possible(x, m, limbs);
        if (!any(lanes)) return taken;
        taken -= lanes;
    }
}

#endif
