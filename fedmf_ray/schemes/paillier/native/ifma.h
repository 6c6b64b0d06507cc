/* Products of limbs with AVX-512 IFMA, eight lanes: an instruction adds the low or the high half of a product of
   two 52-bit words to a third word. */

#ifndef FEDMF_IFMA_H
#define FEDMF_IFMA_H

#define TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma"
#include <immintrin.h>

#include "lanes.h"

typedef Lanes Factors;
typedef Word Factor;

INLINE Factors factors_of(Lanes limbs) { return limbs; }
INLINE Lanes limbs_of(Factors factors) { return factors; }
INLINE Factor factor_of(uint64_t limb) { return limb; }

INLINE void add_low(Lanes *low, Factors a, const Factors *b) {
    *low = (Lanes)_mm512_madd52lo_epu64((__m512i)*low, (__m512i)a, (__m512i)*b);
}

INLINE void add_high(Lanes *high, Factors a, const Factors *b) {
    *high = (Lanes)_mm512_madd52hi_epu64((__m512i)*high, (__m512i)a, (__m512i)*b);
}

INLINE void add_product(Lanes *low, Lanes *high, Factors a, const Factors *b) {
    add_low(low, a, b);
    add_high(high, a, b);
}

/* What so many halves add to a column beside themselves. */
#define EXCESS(lows, highs) UINT64_C(0)

typedef int Mode;
static inline Mode begin_products(void) { return 0; }
static inline void end_products(Mode before) { (void)before; }

static const char *cpu_obstacle(void) {
    __builtin_cpu_init();
    /* These ask the processor and, for the registers, the operating system. */
    if (!__builtin_cpu_supports("avx512f")) return "this CPU has no AVX-512";
    if (!__builtin_cpu_supports("avx512ifma") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return "this CPU has no AVX-512 IFMA";
    return NULL;
}

#endif
