/* fedmf_ray.schemes.paillier._ifma: eight numbers at a time with AVX-512 IFMA (x86-64). */

#define MODULE _ifma
#define FEDMF_IFMA
#if !defined(__x86_64__)
#define FOREIGN "this is not an x86-64 processor"
#endif
#include "module.h"
