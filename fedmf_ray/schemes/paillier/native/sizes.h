/* The arithmetic for every size of number: primes of up to 512, 1024, 1536 and 2048 bits, and their products. */

#ifndef FEDMF_SIZES_H
#define FEDMF_SIZES_H

#include "work.h"

typedef struct {
    const Factors *a, *b;
} Pair;

/* Larger tiles load and store less, but all columns of a tile must fit into registers. */
#define TILE 10
#include "tile.h"
#include "reduce.h"
#define LIMBS 10
#include "number.h"
#include "power.h"
#include "key.h"
#include "sums.h"
#undef LIMBS

#ifdef FEDMF_IFMA
#undef TILE
#define TILE 15
#include "tile.h"
#include "reduce.h"
#endif
#define LIMBS 30
#include "number.h"
#include "power.h"
#include "key.h"
#include "sums.h"
#undef LIMBS

#ifdef FEDMF_IFMA
#undef TILE
#define TILE 20
#include "tile.h"
#include "reduce.h"
#endif
#define LIMBS 20
#include "number.h"
#include "power.h"
#include "key.h"
#include "sums.h"
#undef LIMBS
#define LIMBS 40
#include "number.h"
#include "power.h"
#include "key.h"
#include "sums.h"
#undef LIMBS
#define LIMBS 60
#include "number.h"
#include "sums.h"
#undef LIMBS
#define LIMBS 80
#include "number.h"
#include "sums.h"
#undef LIMBS
#undef TILE

typedef struct {
    int limbs;
    void (*encrypt)(void *, const Blinds *, uint8_t *);
    size_t encrypt_bytes;
    void (*decrypt)(void *, const Reading *, uint8_t *);
    void (*power)(void *, const uint64_t *, uint64_t *, size_t, const uint16_t (*)[2], size_t);
    size_t power_bytes;
    void (*table_rows)(const uint64_t *, const uint64_t *, const uint64_t *, size_t, size_t, uint8_t *, size_t);
    void (*read)(const uint64_t *, const uint8_t *, size_t, size_t, uint64_t *, uint8_t *);
    void (*multiply)(const uint64_t *, uint64_t *, const int64_t *, const uint64_t *, size_t);
    void (*write)(const uint64_t *, const uint64_t *, size_t, uint8_t *, size_t);
} Size;

#define KEY(h) encrypt_##h, 2 * BATCH_GROUPS * sizeof(Blinding_##h), decrypt_##h, power_rows_##h, \
               ODD_POWERS * sizeof(Number_##h), table_rows_##h
#define NO_KEY NULL, 0, NULL, NULL, 0, NULL
#define SUMS(h) read_##h, multiply_rows_##h, write_##h

static const Size sizes[] = {
    {10, KEY(10), SUMS(10)}, {20, KEY(20), SUMS(20)},  {30, KEY(30), SUMS(30)},
    {40, KEY(40), SUMS(40)}, {60, NO_KEY, SUMS(60)}, {80, NO_KEY, SUMS(80)},
};

#endif
