/* Arithmetic modulo m and modulo m**2 on as many numbers at a time as there are lanes. Included once for each LIMBS, with TILE.

   R = 2**(52*LIMBS) and 256*m <= R. A number modulo m**2 is kept as two digits: x = x0 - x1*m/R (mod m**2).
   Montgomery's reduction of a product x0*y0 gives u and k with x0*y0 = u*R - k*m, hence

       x*y/R = u - (k + (x0*y1 + x1*y0)/R) * m/R     (mod m**2)

   where the last division is one more reduction modulo m: 5*LIMBS**2 products of limbs, 3.5*LIMBS**2 for a
   square, where one reduction modulo a number twice as long takes 8*LIMBS**2. A number without second
   digit costs less, and an integer c up to m**2 becomes digits u, k of c/R by half a product: the
   reduction alone.

   Digits stay far below R (their sizes are given in multiples of m; the first one stays under 5*m) and are only
   brought under m when a number leaves. */

#define N(name) JOIN(name, LIMBS)
#define T(name) JOIN(name, TILE)
#define TILES (LIMBS / TILE)

typedef struct {
    Factors limbs[LIMBS]; /* m */
    Lanes folded[LIMBS];  /* R/2 modulo m */
    Factors inverse[TILE]; /* -1/m modulo 2**(52*TILE) */
} N(Modulus);

typedef struct {
    Factors zeroth[LIMBS], first[LIMBS];
} N(Number);

INLINE void N(reduce)(Factors *u, Factors *k, const Pair *pairs, int count, int doubled, const Factors *below,
                      const Lanes *above, const N(Modulus) *m) {
    T(reduce_tiles)(u, k, pairs, count, doubled, below, above, m->limbs, m->inverse, TILES);
}

/* k under R/2 + m, modulo m: its topmost bit is traded for R/2 modulo m. The limbs are not settled. */
INLINE void N(fold)(Lanes *folded, const Factors *k, const N(Modulus) *m) {
    const Lanes over = limbs_of(k[LIMBS - 1]) >> (LIMB_BITS - 1);
    for (int i = 0; i < LIMBS; i++) folded[i] = limbs_of(k[i]) + (m->folded[i] & -over);
    folded[LIMBS - 1] -= over << (LIMB_BITS - 1);
}

/* z = x*y/R modulo m**2; z may be x or y. */
LANES static void N(multiply)(N(Number) *z, const N(Number) *x, const N(Number) *y, const N(Modulus) *m) {
    Factors u[LIMBS], k[LIMBS];
    Lanes folded[LIMBS];
    Pair zeroth = {x->zeroth, y->zeroth};
    Pair first[2] = {{x->zeroth, y->first}, {x->first, y->zeroth}};
    N(reduce)(u, k, &zeroth, 1, 0, NULL, NULL, m);
    N(fold)(folded, k, m);
    N(reduce)(z->first, k, first, 2, 0, NULL, folded, m);
    memcpy(z->zeroth, u, sizeof u);
}

/* The number in these factors, under 8*m, as canonical limbs; the multiples of m taken away are returned. */
LANES static Lanes N(canonical)(Lanes *x, const Factors *factors, const N(Modulus) *m) {
    to_limbs(x, factors, LIMBS);
    return canonical(x, m->limbs, LIMBS);
}

/* taken - x modulo m, canonical, for canonical x. */
LANES static void N(complement)(Lanes *x, Lanes taken, const N(Modulus) *m) {
    Lanes borrow = taken;
    for (int i = 0; i < LIMBS; i++) {
        Lanes word = limbs_of(m->limbs[i]) - x[i] + borrow;
        x[i] = low52(word);
        borrow = signed_over52(word);
    }
    canonical(x, m->limbs, LIMBS);
}

/* words: m, and R/2 modulo m. */
LANES static void N(load_modulus)(N(Modulus) *m, const uint64_t *words) {
    uint64_t inverse[TILE];
    negative_inverse(inverse, words, TILE);
    spread(m->inverse, inverse, TILE);
    spread(m->limbs, words, LIMBS);
    for (int i = 0; i < LIMBS; i++) m->folded[i] = all(words[LIMBS + i]);
}

#undef TILES
#undef T
#undef N
