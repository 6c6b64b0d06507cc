/* Lanes: vectors of WIDTH 64-bit words, the same for every kernel.

   A number is sliced into limbs of 52 bits; limb i of WIDTH independent numbers is one vector. `Lanes` are
   integers, to be added; `Factors` are limbs in the form in which they are multiplied, which ifma.h or fma.h
   say, with the products. The halves of a product of limbs, 52 bits each, are added to two columns, so twelve
   bits of every column are free for carries: a column of the largest product here sums fewer than 2**10
   halves. Carries are only resolved when a column is done. */

#ifndef FEDMF_LANES_H
#define FEDMF_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LIMB_BITS 52
#define MOST_LIMBS 160 /* of a number modulo n**2 */
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)

/* Loops over the columns and rows of a tile must unroll: only then do the accumulators stay in registers.
   Compilers take minutes over unrolled loops with checks in them, so a build with sanitizers keeps them. */
#if defined(FEDMF_ROLLED)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

#define ROWS_10(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9)
#define ROWS_15(F) ROWS_10(F) F(10) F(11) F(12) F(13) F(14)
#define ROWS_20(F) ROWS_15(F) F(15) F(16) F(17) F(18) F(19)

#ifdef FEDMF_IFMA
#define WIDTH 8
#endif

typedef uint64_t __attribute__((may_alias)) Word; /* one lane of one limb */
typedef uint64_t Lanes __attribute__((vector_size(8 * WIDTH), may_alias));
typedef int64_t SignedLanes __attribute__((vector_size(8 * WIDTH), may_alias));

/* A file compiles with any flags; only these functions use the instructions, after a check at run time. */
#ifdef TARGET
#define LANES __attribute__((target(TARGET)))
#else
#define LANES
#endif
#define INLINE LANES static inline __attribute__((always_inline))
#ifdef __clang__
#define SHARED LANES static __attribute__((noinline))
#else
#define SHARED LANES static __attribute__((noinline, noclone)) /* one copy, whatever the arguments */
#endif

INLINE Lanes zero(void) { return (Lanes){0}; }
INLINE Lanes all(uint64_t word) { return zero() + word; }
INLINE Lanes low52(Lanes a) { return a & LIMB_MASK; }
INLINE Lanes over52(Lanes a) { return a >> LIMB_BITS; }
INLINE Lanes signed_over52(Lanes a) { return (Lanes)((SignedLanes)a >> LIMB_BITS); }

/* Lanes of ones where a is zero. */
INLINE Lanes where_zero(Lanes a) { return (Lanes)(a == zero()); }

INLINE int any(Lanes a) {
    uint64_t seen = 0;
    for (int lane = 0; lane < WIDTH; lane++) seen |= a[lane];
    return seen != 0;
}

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (Lanes){__VA_ARGS__})
#endif

/* Rows of a square of words to its columns: squares of 1, 2 and 4 words change places. */
#define EXCHANGE(by, first, second)                                      \
    UNROLL for (int i = 0; i < WIDTH; i++) if (!(i & by)) {              \
        Lanes upper = row[i], lower = row[i + by];                       \
        row[i] = SHUFFLE(upper, lower, EXPAND first);                    \
        row[i + by] = SHUFFLE(upper, lower, EXPAND second);              \
    }
#define EXPAND(...) __VA_ARGS__

INLINE void transpose(Lanes row[WIDTH]) {
#if WIDTH == 2
    EXCHANGE(1, (0, 2), (1, 3))
#elif WIDTH == 4
    EXCHANGE(1, (0, 4, 2, 6), (1, 5, 3, 7))
    EXCHANGE(2, (0, 1, 4, 5), (2, 3, 6, 7))
#else
    EXCHANGE(1, (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))
    EXCHANGE(2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
    EXCHANGE(4, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
#endif
}

#endif
