"""Moduli and key pairs for tests of the native kernel, made once."""

import functools
import random

import gmpy2
import pytest
from gmpy2 import mpz

from fedmf_ray.schemes.paillier import keys, native_kernel
from fedmf_ray.schemes.paillier.native_kernel import Modulus

needs_native = pytest.mark.skipif(
    native_kernel.obstacle() is not None, reason=f"no native kernel: {native_kernel.obstacle()}"
)

PRIMES = {512: 10, 1024: 20, 1536: 30, 2048: 40}
"""Bits of p, and limbs of the arithmetic modulo p**2, for keys of 1024 to 4096 bits."""

MODULI = {**PRIMES, 3072: 60, 4096: 80}
"""The same with n: whoever adds works modulo n**2."""

KEYS = [1024, 1088, 2048, 3072, 4096]


@functools.cache
def modulus_of(bits, seed=0):
    """The smallest prime of so many bits, nearly the largest, or one between them."""
    start = {1: mpz(1) << (bits - 1), 2: (mpz(1) << bits) - 20 * bits}.get(
        seed, mpz(random.Random(seed).getrandbits(bits - 1)) | mpz(1) << (bits - 1)
    )
    prime = gmpy2.next_prime(start)
    assert prime.bit_length() == bits
    return Modulus(prime, MODULI[bits])


@functools.cache
def primes_of(key_bits):
    """p and q of one key pair of this size."""
    _, private = keys.generate_keys(key_bits)
    return mpz(private.p), mpz(private.q)
