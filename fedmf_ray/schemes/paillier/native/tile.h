/* Products of two tiles of TILE limbs, by columns. Included once for each TILE.

   The product of tiles I and J of two numbers fills columns 0 .. 2*TILE of tiles I+J and I+J+1 of the
   result: its low half goes to the first, its high half to the second. All accumulators of a half stay
   in registers. Both halves of a product of limbs are added at once, to neighbouring columns. */

#define T(name) JOIN(name, TILE)
#ifdef FEDMF_ROLLED
#define TILE_ROWS(F) for (int turn = 0; turn < TILE; turn++) { F(turn) }
#else
#define TILE_ROWS(F) JOIN(ROWS, TILE)(F)
#endif

INLINE void T(clear)(Lanes *sum) {
    UNROLL
    for (int column = 0; column < TILE; column++) sum[column] = zero();
}

/* Take away what so many low and high halves add beside themselves, half of it if the sum will be doubled. A low half
   adds EXCESS(column + 1, column) to a column, and with a high half it adds as much to each. */
INLINE void T(take_excess)(Lanes *sum, int lows, int highs, int doubled) {
    const uint64_t more = (uint64_t)(lows - highs);
    const uint64_t first = highs * EXCESS(TILE, TILE) + more * EXCESS(1, 0), step = more * EXCESS(1, 1);
    Lanes excess = all(first >> doubled);
    UNROLL
    for (int column = 0; column < TILE; column++) {
        sum[column] -= excess;
        excess += all(step >> doubled);
    }
}

INLINE void T(low_row)(Lanes *sum, Factors a, const Factors *b, int row) {
    UNROLL
    for (int j = 0; j < TILE - 1 - row; j++) add_product(&sum[row + j], &sum[row + j + 1], a, &b[j]);
    add_low(&sum[TILE - 1], a, &b[TILE - 1 - row]);
}

INLINE void T(high_row)(Lanes *sum, Factors a, const Factors *b, int row) {
    add_high(&sum[0], a, &b[TILE - 1 - row]);
    UNROLL
    for (int j = TILE - row; j < TILE; j++)
        add_product(&sum[row + j - TILE], &sum[row + j - TILE + 1], a, &b[j]);
}

INLINE void T(low_half)(Lanes *sum, const Factors *a, const Factors *b) {
#define ROW(r) T(low_row)(sum, a[r], b, r);
    TILE_ROWS(ROW)
#undef ROW
}

INLINE void T(high_half)(Lanes *sum, const Factors *a, const Factors *b) {
#define ROW(r) T(high_row)(sum, a[r], b, r);
    TILE_ROWS(ROW)
#undef ROW
}

/* The part of a square above its diagonal: products of limbs i < j. */
INLINE void T(low_corner_row)(Lanes *sum, const Factors *a, int row) {
    UNROLL
    for (int j = row + 1; j < TILE - 1 - row; j++) add_product(&sum[row + j], &sum[row + j + 1], a[row], &a[j]);
    if (row + 1 <= TILE - 1 - row) add_low(&sum[TILE - 1], a[row], &a[TILE - 1 - row]);
}

INLINE void T(high_corner_row)(Lanes *sum, const Factors *a, int row) {
    if (TILE - 1 - row > row) add_high(&sum[0], a[row], &a[TILE - 1 - row]);
    UNROLL
    for (int j = TILE - row > row + 1 ? TILE - row : row + 1; j < TILE; j++)
        add_product(&sum[row + j - TILE], &sum[row + j - TILE + 1], a[row], &a[j]);
}

INLINE void T(low_corner)(Lanes *sum, const Factors *a) {
#define ROW(r) T(low_corner_row)(sum, a, r);
    TILE_ROWS(ROW)
#undef ROW
}

INLINE void T(high_corner)(Lanes *sum, const Factors *a) {
#define ROW(r) T(high_corner_row)(sum, a, r);
    TILE_ROWS(ROW)
#undef ROW
}

/* The squares of single limbs: limb i fills columns 2*i and 2*i + 1 of the whole square, this part of which
   begins with column `first`. */
INLINE void T(diagonal)(Lanes *sum, const Factors *a, int first) {
    UNROLL
    for (int column = 0; column < TILE; column++) {
        const Factors *limb = &a[(first + column) / 2];
        if ((first + column) % 2 == 0 && column + 1 < TILE) add_product(&sum[column], &sum[column + 1], *limb, limb);
        if ((first + column) % 2 == 0 && column + 1 == TILE) add_low(&sum[column], *limb, limb);
        if ((first + column) % 2 == 1 && column == 0) add_high(&sum[column], *limb, limb);
    }
}

/* Columns to limbs of 52 bits; what overflows is returned. */
INLINE Lanes T(settle)(Factors *limbs, const Lanes *sum) {
    Lanes carry = zero();
    UNROLL
    for (int column = 0; column < TILE; column++) {
        Lanes word = sum[column] + carry;
        limbs[column] = factors_of(low52(word));
        carry = over52(word);
    }
    return carry;
}

/* Montgomery's digits of the lowest tile of a sum: k such that sum + k*m vanishes in these columns. What is
   left of the last column is returned as its carry. `inverse` is -1/m modulo 2**(52*TILE): digits one after the other
   would each wait for the products of the one before. Only the last column of k*m is needed then, because what the
   columns below it carry is less than one there: the sum of both is the next multiple of 2**52. */
INLINE Lanes T(digits)(Lanes *sum, Factors *k, const Factors *m, const Factors *inverse) {
    Factors limbs[TILE];
    Lanes carry = T(settle)(limbs, sum);
    T(clear)(sum);
    T(take_excess)(sum, 1, 0, 0);
    T(low_half)(sum, limbs, inverse);
    T(settle)(k, sum);
    Lanes last[2] = {limbs_of(limbs[TILE - 1]) + LIMB_MASK - EXCESS(TILE, TILE - 1), zero()};
    UNROLL
    for (int i = 0; i < TILE; i++) {
        add_low(&last[i % 2], k[i], &m[TILE - 1 - i]);
        if (i + 1 < TILE) add_high(&last[i % 2], k[i], &m[TILE - 2 - i]);
    }
    return carry + over52(last[0] + last[1]);
}

#undef TILE_ROWS
#undef T
