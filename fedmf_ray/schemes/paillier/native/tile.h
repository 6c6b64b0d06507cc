/* Products of two tiles of TILE limbs, by columns. Included once for each TILE.

   The product of tiles I and J of two numbers fills columns 0 .. 2*TILE of tiles I+J and I+J+1 of the
   result: its low half goes to the first, its high half to the second. All accumulators of a half stay
   in registers. Every limb of b that is loaded serves two instructions, which go to neighbouring columns,
   so that loads keep up with arithmetic. */

#define T(name) JOIN(name, TILE)
#ifdef FEDMF_ROLLED
#define TILE_ROWS(F) for (int turn = 0; turn < TILE; turn++) { F(turn) }
#else
#define TILE_ROWS(F) JOIN(ROWS, TILE)(F)
#endif

INLINE void T(low_row)(Lanes *sum, Lanes a, const Lanes *b, int row) {
    UNROLL
    for (int j = 0; j < TILE - row; j++) {
        Lanes limb = b[j];
        sum[row + j] = add_low(sum[row + j], a, limb);
        if (row + j + 1 < TILE) sum[row + j + 1] = add_high(sum[row + j + 1], a, limb);
    }
}

INLINE void T(high_row)(Lanes *sum, Lanes a, const Lanes *b, int row) {
    UNROLL
    for (int j = TILE - 1 - row; j < TILE; j++) {
        Lanes limb = b[j];
        if (row + j >= TILE) sum[row + j - TILE] = add_low(sum[row + j - TILE], a, limb);
        sum[row + j - TILE + 1] = add_high(sum[row + j - TILE + 1], a, limb);
    }
}

INLINE void T(low_half)(Lanes *sum, const Lanes *a, const Lanes *b) {
#define ROW(r) T(low_row)(sum, a[r], b, r);
    TILE_ROWS(ROW)
#undef ROW
}

INLINE void T(high_half)(Lanes *sum, const Lanes *a, const Lanes *b) {
#define ROW(r) T(high_row)(sum, a[r], b, r);
    TILE_ROWS(ROW)
#undef ROW
}

/* The part of a square above its diagonal: products of limbs i < j. */
INLINE void T(low_corner_row)(Lanes *sum, const Lanes *a, int row) {
    UNROLL
    for (int j = row + 1; j < TILE - row; j++) {
        sum[row + j] = add_low(sum[row + j], a[row], a[j]);
        if (row + j + 1 < TILE) sum[row + j + 1] = add_high(sum[row + j + 1], a[row], a[j]);
    }
}

INLINE void T(high_corner_row)(Lanes *sum, const Lanes *a, int row) {
    UNROLL
    for (int j = TILE - 1 - row > row + 1 ? TILE - 1 - row : row + 1; j < TILE; j++) {
        if (row + j >= TILE) sum[row + j - TILE] = add_low(sum[row + j - TILE], a[row], a[j]);
        sum[row + j - TILE + 1] = add_high(sum[row + j - TILE + 1], a[row], a[j]);
    }
}

INLINE void T(low_corner)(Lanes *sum, const Lanes *a) {
#define ROW(r) T(low_corner_row)(sum, a, r);
    TILE_ROWS(ROW)
#undef ROW
}

INLINE void T(high_corner)(Lanes *sum, const Lanes *a) {
#define ROW(r) T(high_corner_row)(sum, a, r);
    TILE_ROWS(ROW)
#undef ROW
}

/* The squares of single limbs: limb i fills columns 2*i and 2*i + 1 of the whole square. */
INLINE void T(low_diagonal)(Lanes *sum, const Lanes *a) {
    UNROLL
    for (int column = 0; column < TILE; column++)
        sum[column] = column % 2 ? add_high(sum[column], a[column / 2], a[column / 2])
                                 : add_low(sum[column], a[column / 2], a[column / 2]);
}

INLINE void T(high_diagonal)(Lanes *sum, const Lanes *a) {
    UNROLL
    for (int column = 0; column < TILE; column++) {
        Lanes limb = a[(TILE + column) / 2];
        sum[column] = (TILE + column) % 2 ? add_high(sum[column], limb, limb) : add_low(sum[column], limb, limb);
    }
}

/* Montgomery's digits of the lowest tile of a sum: k such that sum + k*m vanishes in these columns. What is
   left of the last column is returned as its carry. The next digit waits for two columns only, so it is
   computed before the rest of a row. A column that vanishes modulo 2**52 carries one more than its high
   bits unless it was zero already; no product is needed to know that. */
INLINE void T(digit_row)(Lanes *sum, Lanes *digit, Lanes *carry, Lanes *k, const Lanes *m, Lanes inverse, int row) {
    Lanes this_digit = *digit;
    k[row] = this_digit;
    *carry = over52(plus(sum[row], all(LIMB_MASK)));
    if (row + 1 < TILE) {
        sum[row + 1] = add_high(plus(sum[row + 1], *carry), this_digit, m[0]);
        sum[row + 1] = add_low(sum[row + 1], this_digit, m[1]);
        *digit = add_low(zero(), sum[row + 1], inverse);
    }
    UNROLL
    for (int j = 1; j < TILE - row - 1; j++) {
        sum[row + j + 1] = add_high(sum[row + j + 1], this_digit, m[j]);
        sum[row + j + 1] = add_low(sum[row + j + 1], this_digit, m[j + 1]);
    }
}

INLINE Lanes T(digits)(Lanes *sum, Lanes *k, const Lanes *m, Lanes inverse) {
    Lanes digit = add_low(zero(), sum[0], inverse), carry = zero();
#define ROW(r) T(digit_row)(sum, &digit, &carry, k, m, inverse, r);
    TILE_ROWS(ROW)
#undef ROW
    return carry;
}

/* Columns to limbs of 52 bits; what overflows is returned. */
INLINE Lanes T(settle)(Lanes *limbs, const Lanes *sum) {
    Lanes carry = zero();
    UNROLL
    for (int column = 0; column < TILE; column++) {
        Lanes word = plus(sum[column], carry);
        limbs[column] = low52(word);
        carry = over52(word);
    }
    return carry;
}

#undef TILE_ROWS
#undef T
