/* fedmf_ray.schemes.paillier._fma4: four numbers at a time with the fused multiply-adds of AVX2 (x86-64). */

#define MODULE _fma4
#define WIDTH 4
#if !defined(__x86_64__)
#define FOREIGN "this is not an x86-64 processor"
#endif
#include "module.h"
