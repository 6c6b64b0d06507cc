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

/* Take away what halves of products have added beside themselves: LOWS and HIGHS of them to each `column`. */
#define WITHOUT_EXCESS(LOWS, HIGHS) \
    UNROLL                          \
    for (int column = 0; column < TILE; column++) sum[column] -= EXCESS(LOWS, HIGHS);

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
    WITHOUT_EXCESS(column + 1, column)
#define ROW(r) T(low_row)(sum, a[r], b, r);
    TILE_ROWS(ROW)
#undef ROW
}

INLINE void T(high_half)(Lanes *sum, const Factors *a, const Factors *b) {
    WITHOUT_EXCESS(TILE - 1 - column, TILE - column)
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
    WITHOUT_EXCESS((column + 1) / 2, column / 2)
#define ROW(r) T(low_corner_row)(sum, a, r);
    TILE_ROWS(ROW)
#undef ROW
}

INLINE void T(high_corner)(Lanes *sum, const Factors *a) {
    WITHOUT_EXCESS((TILE - 1 - column) / 2, (TILE - column) / 2)
#define ROW(r) T(high_corner_row)(sum, a, r);
    TILE_ROWS(ROW)
#undef ROW
}

/* The squares of single limbs: limb i fills columns 2*i and 2*i + 1 of the whole square, this part of which
   begins with column `first`. */
INLINE void T(diagonal)(Lanes *sum, const Factors *a, int first) {
    WITHOUT_EXCESS((first + column + 1) % 2, (first + column) % 2)
    UNROLL
    for (int column = 0; column < TILE; column++) {
        const Factors *limb = &a[(first + column) / 2];
        if ((first + column) % 2 == 0 && column + 1 < TILE) add_product(&sum[column], &sum[column + 1], *limb, limb);
        if ((first + column) % 2 == 0 && column + 1 == TILE) add_low(&sum[column], *limb, limb);
        if ((first + column) % 2 == 1 && column == 0) add_high(&sum[column], *limb, limb);
    }
}

/* Montgomery's digits of the lowest tile of a sum: k such that sum + k*m vanishes in these columns. What is
   left of the last column is returned as its carry. The next digit waits for two columns only, so it is
   computed before the rest of a row. A column that vanishes modulo 2**52 carries one more than its high
   bits unless it was zero already; no product is needed to know that. */
INLINE void T(digit_row)(Lanes *sum, Factors *digit, Lanes *carry, Factors *k, const Factors *m, Factors inverse,
                         int row) {
    Factors this_digit = *digit;
    k[row] = this_digit;
    *carry = over52(sum[row] + LIMB_MASK);
    if (row + 1 < TILE) {
        sum[row + 1] += *carry;
        add_high(&sum[row + 1], this_digit, &m[0]);
        if (row + 2 < TILE)
            add_product(&sum[row + 1], &sum[row + 2], this_digit, &m[1]);
        else
            add_low(&sum[row + 1], this_digit, &m[1]);
        *digit = low_product(sum[row + 1], inverse);
    }
    UNROLL
    for (int j = 2; j < TILE - 1 - row; j++) add_product(&sum[row + j], &sum[row + j + 1], this_digit, &m[j]);
    if (row + 2 < TILE) add_low(&sum[TILE - 1], this_digit, &m[TILE - 1 - row]);
}

INLINE Lanes T(digits)(Lanes *sum, Factors *k, const Factors *m, Factors inverse) {
    Factors digit = low_product(sum[0], inverse);
    Lanes carry = zero();
    WITHOUT_EXCESS(column, column)
#define ROW(r) T(digit_row)(sum, &digit, &carry, k, m, inverse, r);
    TILE_ROWS(ROW)
#undef ROW
    return carry;
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

#undef TILE_ROWS
#undef WITHOUT_EXCESS
#undef T
