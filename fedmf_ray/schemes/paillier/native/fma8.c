/* fedmf_ray.schemes.paillier._fma8: eight numbers at a time with the fused multiply-adds of AVX-512F (x86-64). */

#define MODULE _fma8
#define WIDTH 8
#if !defined(__x86_64__)
#define FOREIGN "this is not an x86-64 processor"
#endif
#include "module.h"
