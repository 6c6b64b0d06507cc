/* Eight lanes: vectors of eight 64-bit words, and the tiles from which every product is built.

   A number is sliced into limbs of 52 bits; limb i of eight independent numbers is one vector. The
   instructions multiply the low 52 bits of two words and add the low or the high half of the 104-bit
   product to a third word, so twelve bits of every accumulator are free for carries: a column of the
   largest product here sums fewer than 2**10 halves. Carries are only resolved when a column is done. */

#ifndef FEDMF_LANES_H
#define FEDMF_LANES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The file compiles with any flags; only these functions use the instructions, after a check at run time. */
#define LANES __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")))
#define INLINE LANES static inline __attribute__((always_inline))

#define LIMB_BITS 52
#define MOST_LIMBS 160 /* of a number modulo n**2 */
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)

typedef __m512i Lanes;
typedef uint64_t __attribute__((may_alias)) Word; /* one lane of one limb */

INLINE Lanes zero(void) { return _mm512_setzero_si512(); }
INLINE Lanes all(uint64_t word) { return _mm512_set1_epi64((long long)word); }
INLINE Lanes plus(Lanes a, Lanes b) { return _mm512_add_epi64(a, b); }
INLINE Lanes low52(Lanes a) { return _mm512_and_si512(a, all(LIMB_MASK)); }
INLINE Lanes over52(Lanes a) { return _mm512_srli_epi64(a, LIMB_BITS); }
INLINE Lanes add_low(Lanes sum, Lanes a, Lanes b) { return _mm512_madd52lo_epu64(sum, a, b); }
INLINE Lanes add_high(Lanes sum, Lanes a, Lanes b) { return _mm512_madd52hi_epu64(sum, a, b); }

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

#endif
