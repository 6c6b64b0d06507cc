/* What one call works on. Arrays are as native_kernel.py makes them; [0] is for p, [1] for q. */

#ifndef FEDMF_WORK_H
#define FEDMF_WORK_H

#include <stddef.h>
#include <stdint.h>

#define ODD_POWERS 32
/* Table of an exponentiation: windows of six bits. */

#define BATCH_GROUPS (256 / WIDTH)
/* A ciphertext a lane each: as many share a row of the table while it is in the cache. */

enum EncryptWords { E_MODULUS, E_FOLDED, E_START, E_START_FIRST, E_R_SQUARE, E_LOW, E_HIGH, ENCRYPT_WORDS };
enum DecryptWords { D_MODULUS, D_FOLDED, D_CHUNKS, D_LOGARITHM = D_CHUNKS + 8, D_WRAPPED, DECRYPT_WORDS };
enum JointWords { J_OTHER, J_OTHER_SQUARE = 2, J_N = 6, J_N_SQUARE = 8, JOINT_WORDS = 12 };
/* Rows of as many words as a prime has limbs. */

typedef struct {
    const uint64_t *words[2], *joint;
    const uint8_t *table, *digits, *shifts, *plaintexts;
    size_t count, rows, prime_bytes, pieces, plaintext_bytes, ciphertext_bytes;
    int window;
} Blinds;

typedef struct {
    const uint64_t *words[2], *joint, *shifts;
    const uint16_t (*steps[2])[2];
    size_t step_count[2];
    const uint8_t *wire;
    size_t count, pieces, plaintext_bytes, ciphertext_bytes;
} Reading;

#endif
