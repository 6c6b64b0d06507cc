/* Products of limbs with fused multiply-adds of doubles, WIDTH lanes: AVX2 (4), AVX-512F (8), NEON and others (2).

   A factor is a limb as a double. Rounded toward zero, hi = a*b + 2**104 has the high 52 bits of the product
   in its fraction, and lo = a*b + (2**104 + 2**52 - hi) is exact and has the low ones in its own. Both are
   added to columns as the words that they are, with their exponents: all multiples of 2**52, which `EXCESS`
   counts and whoever adds many products takes away at once, modulo 2**64.

   Everything else that is done to doubles here is exact, whatever the rounding. */

#ifndef FEDMF_FMA_H
#define FEDMF_FMA_H

#if defined(__x86_64__)
#if WIDTH == 8
#define TARGET "avx512f"
#elif WIDTH == 4
#define TARGET "avx2,fma"
#else
#define TARGET "avx,fma"
#endif
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#else
#include <fenv.h>
#endif

#include "lanes.h"

typedef double __attribute__((may_alias)) Factor;
typedef double Factors __attribute__((vector_size(8 * WIDTH), may_alias));

#define LOW_EXPONENT UINT64_C(0x4330000000000000)  /* 2**52 as a double */
#define HIGH_EXPONENT UINT64_C(0x4670000000000000) /* 2**104 */

INLINE Factors same(double number) { return (Factors)all(0) + number; }
INLINE Factors factors_of(Lanes limbs) { return (Factors)(limbs | LOW_EXPONENT) - same(0x1p52); }
INLINE Lanes limbs_of(Factors factors) { return (Lanes)(factors + same(0x1p52)) ^ LOW_EXPONENT; }
INLINE Factor factor_of(uint64_t limb) { return (double)(int64_t)limb; }

INLINE Factors fused(Factors a, Factors b, Factors c) {
#if defined(__x86_64__) && WIDTH == 8
    return (Factors)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__x86_64__) && WIDTH == 4
    return (Factors)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__x86_64__)
    return (Factors)_mm_fmadd_pd((__m128d)a, (__m128d)b, (__m128d)c);
#elif defined(__aarch64__)
    return (Factors)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return (Factors){__builtin_fma(a[0], b[0], c[0]), __builtin_fma(a[1], b[1], c[1])};
#endif
}

/* Compilers put such sums off, and spill what waits for them: this makes them add now. */
#if defined(__x86_64__)
#define NOW(sum) __asm__("" : "+x"(sum))
#elif defined(__aarch64__)
#define NOW(sum) __asm__("" : "+w"(sum))
#else
#define NOW(sum) (void)0
#endif

INLINE void add_to(Lanes *sum, Factors half) {
    *sum += (Lanes)half;
    NOW(*sum);
}

INLINE void add_high(Lanes *high, Factors a, const Factors *b) { add_to(high, fused(a, *b, same(0x1p104))); }

#if defined(__x86_64__)
/* As the functions for other processors do; compilers run out of registers over them. */
INLINE void add_product(Lanes *low, Lanes *high, Factors a, const Factors *b) {
    Factors upper, lower;
    __asm__("vmovapd %[b], %[upper]\n\t" /* a load, where a copy of `exponent` may cost a place among the sums */
            "vfmadd213pd %[exponent], %[a], %[upper]\n\t"
            "vsubpd %[upper], %[exponents], %[lower]\n\t"
            "vfmadd231pd %[b], %[a], %[lower]\n\t"
            "vpaddq %[upper], %[high], %[high]\n\t"
            "vpaddq %[lower], %[low], %[low]"
            : [low] "+x"(*low), [high] "+x"(*high), [upper] "=&x"(upper), [lower] "=&x"(lower)
            : [a] "x"(a), [b] "m"(*b), [exponent] "x"(same(0x1p104)), [exponents] "x"(same(0x1p104 + 0x1p52)));
}
#else
INLINE void add_product(Lanes *low, Lanes *high, Factors a, const Factors *b) {
    Factors upper = fused(a, *b, same(0x1p104));
    add_to(high, upper);
    add_to(low, fused(a, *b, same(0x1p104 + 0x1p52) - upper));
}
#endif

INLINE void add_low(Lanes *low, Factors a, const Factors *b) {
    add_to(low, fused(a, *b, same(0x1p104 + 0x1p52) - fused(a, *b, same(0x1p104))));
}

/* What so many halves add to a column beside themselves. */
#define EXCESS(lows, highs) ((uint64_t)(lows) * LOW_EXPONENT + (uint64_t)(highs) * HIGH_EXPONENT)

/* A thread's control of floating point is changed for the time of a call: rounding toward zero, no traps. */
#if defined(__x86_64__)
typedef unsigned Mode;
static inline Mode begin_products(void) {
    Mode before = _mm_getcsr();
    _mm_setcsr(_MM_MASK_MASK | _MM_ROUND_TOWARD_ZERO);
    return before;
}
static inline void end_products(Mode before) { _mm_setcsr(before); }
#elif defined(__aarch64__)
typedef uint64_t Mode;
static inline Mode begin_products(void) {
    Mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before) : : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"((Mode)3 << 22) : "memory");
    return before;
}
static inline void end_products(Mode before) { __asm__ volatile("msr fpcr, %0" : : "r"(before) : "memory"); }
#else
typedef fenv_t Mode;
static inline Mode begin_products(void) {
    Mode before;
    feholdexcept(&before);
    fesetround(FE_TOWARDZERO);
    return before;
}
static inline void end_products(Mode before) { fesetenv(&before); }
#endif

static const char *cpu_obstacle(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("fma")) return "this CPU has no fused multiply-add";
    if (WIDTH == 4 && !__builtin_cpu_supports("avx2")) return "this CPU has no AVX2";
    if (WIDTH == 8 && !__builtin_cpu_supports("avx512f")) return "this CPU has no AVX-512";
#endif
    return NULL;
}

#endif
