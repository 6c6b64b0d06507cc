/* Between bytes (little endian), words of 52 bits (one a uint64), and limbs in lanes. */

#ifndef FEDMF_CONVERT_H
#define FEDMF_CONVERT_H

#include "lanes.h"

/* One number's words to all eight lanes. */
INLINE void spread(Lanes *x, const uint64_t *words, int limbs) {
    for (int i = 0; i < limbs; i++) x[i] = all(words[i]);
}

/* `bytes` of one number, at most 52*limbs bits, to one lane. */
INLINE void bytes_to_lane(Lanes *x, int limbs, int lane, const uint8_t *bytes, size_t size) {
    Word *word = (Word *)x + lane;
    for (int i = 0; i < limbs; i++, word += 8) {
        size_t at = (size_t)i * 13 / 2;
        uint64_t piece = 0;
        if (at < size) memcpy(&piece, bytes + at, size - at < 8 ? size - at : 8);
        *word = piece >> (i % 2 * 4) & LIMB_MASK;
    }
}

/* One lane to bytes; what does not fit `size` is zero by the caller's word. */
INLINE void lane_to_bytes(uint8_t *bytes, size_t size, const Lanes *x, int limbs, int lane) {
    const Word *word = (const Word *)x + lane;
    uint64_t held = 0;
    int bits = 0;
    for (int i = 0; i < limbs; i++, word += 8) {
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

/* Rows of a square of 64-bit words to its columns. */
INLINE void transpose(Lanes row[8]) {
    Lanes pair[8], quad[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);
        pair[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 2; i++) {
        quad[i] = _mm512_shuffle_i64x2(pair[i], pair[i + 2], 0x88);
        quad[i + 2] = _mm512_shuffle_i64x2(pair[i], pair[i + 2], 0xdd);
        quad[i + 4] = _mm512_shuffle_i64x2(pair[i + 4], pair[i + 6], 0x88);
        quad[i + 6] = _mm512_shuffle_i64x2(pair[i + 4], pair[i + 6], 0xdd);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        row[i] = _mm512_shuffle_i64x2(quad[i], quad[i + 4], 0x88);
        row[i + 4] = _mm512_shuffle_i64x2(quad[i], quad[i + 4], 0xdd);
    }
}

/* Words of eight numbers to lanes, and back; `words` is a multiple of 4. */
INLINE __mmask8 block_mask(int words, int at) {
    return words - at >= 8 ? 0xff : (__mmask8)((1u << (words - at)) - 1);
}

INLINE void words_to_lanes(Lanes *x, const uint64_t *const number[8], int words) {
    for (int at = 0; at < words; at += 8) {
        __mmask8 mask = block_mask(words, at);
        Lanes row[8];
        UNROLL
        for (int lane = 0; lane < 8; lane++) row[lane] = _mm512_maskz_loadu_epi64(mask, number[lane] + at);
        transpose(row);
        for (int i = 0; i < 8 && at + i < words; i++) x[at + i] = row[i];
    }
}

INLINE void lanes_to_words(uint64_t *const number[8], const Lanes *x, int words) {
    for (int at = 0; at < words; at += 8) {
        __mmask8 mask = block_mask(words, at);
        Lanes row[8];
        for (int i = 0; i < 8; i++) row[i] = at + i < words ? x[at + i] : zero();
        transpose(row);
        UNROLL
        for (int lane = 0; lane < 8; lane++) _mm512_mask_storeu_epi64(number[lane] + at, mask, row[lane]);
    }
}

/* Words of 64 bits to limbs of 52: sixteen limbs are thirteen words. */
INLINE void cut_words(Lanes *x, const Lanes *word, int limbs) {
    for (int at = 0; at < limbs; at += 16, word += 13) {
        UNROLL
        for (int i = 0; i < 16; i++) {
            const int bit = i * LIMB_BITS % 64;
            Lanes limb = _mm512_srli_epi64(word[i * LIMB_BITS / 64], bit);
            if (bit + LIMB_BITS > 64)
                limb = _mm512_or_si512(limb, _mm512_slli_epi64(word[i * LIMB_BITS / 64 + 1], 64 - bit));
            if (at + i < limbs) x[at + i] = low52(limb);
        }
    }
}

/* Eight numbers of `size` bytes, a multiple of 4, to lanes. */
INLINE void bytes_to_lanes(Lanes *x, int limbs, const uint8_t *const number[8], size_t size) {
    Lanes word[MOST_LIMBS + 16];
    int words = (limbs + 15) / 16 * 13;
    for (int at = 0; at < words; at += 8) {
        size_t first = (size_t)at * 8, left = size > first ? size - first : 0;
        if (left == 0) {
            for (int i = 0; i < 8; i++) word[at + i] = zero();
            continue;
        }
        __mmask16 mask = left >= 64 ? 0xffff : (__mmask16)((1u << left / 4) - 1);
        UNROLL
        for (int lane = 0; lane < 8; lane++)
            word[at + lane] = _mm512_maskz_loadu_epi32(mask, number[lane] + first);
        transpose(word + at);
    }
    cut_words(x, word, limbs);
}

/* Resolve all carries of a number; it must fit. */
INLINE void settle(Lanes *x, int limbs) {
    Lanes carry = zero();
    for (int i = 0; i < limbs; i++) {
        Lanes word = plus(x[i], carry);
        x[i] = low52(word);
        carry = over52(word);
    }
}

/* Subtract m in the lanes where x >= m; those lanes are returned. */
INLINE __mmask8 subtract_where_possible(Lanes *x, const Lanes *m, int limbs) {
    Lanes borrow = zero();
    for (int i = 0; i < limbs; i++)
        borrow = _mm512_srai_epi64(plus(_mm512_sub_epi64(x[i], m[i]), borrow), LIMB_BITS);
    __mmask8 lanes = _mm512_testn_epi64_mask(borrow, borrow);
    borrow = zero();
    for (int i = 0; i < limbs; i++) {
        Lanes word = plus(_mm512_sub_epi64(x[i], m[i]), borrow);
        x[i] = _mm512_mask_mov_epi64(x[i], lanes, low52(word));
        borrow = _mm512_srai_epi64(word, LIMB_BITS);
    }
    return lanes;
}

/* Into 0 <= x < m, for x < 8*m; the multiples that were taken away are returned. */
INLINE Lanes canonical(Lanes *x, const Lanes *m, int limbs) {
    Lanes taken = zero();
    for (;;) {
        __mmask8 lanes = subtract_where_possible(x, m, limbs);
        if (!lanes) return taken;
        taken = _mm512_mask_add_epi64(taken, lanes, taken, all(1));
    }
}

#endif
