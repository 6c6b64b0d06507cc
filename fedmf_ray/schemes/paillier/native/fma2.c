/* fedmf_ray.schemes.paillier._fma2: two numbers at a time with fused multiply-adds, on any processor that has them
   in hardware: NEON on arm64. */

#define MODULE _fma2
#define WIDTH 2
#if !defined(__x86_64__) && !defined(__aarch64__) && \
    (!defined(__FP_FAST_FMA) || !defined(__SIZEOF_INT128__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
#define FOREIGN "no fused multiply-add of doubles is known for this processor"
#endif
#include "module.h"
