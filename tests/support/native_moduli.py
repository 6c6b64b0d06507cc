"""Moduli and key pairs for tests of the native kernels, made once."""

import functools
import random

import gmpy2
import pytest
from gmpy2 import mpz

from fedmf_ray.schemes.paillier import extensions, keys
from fedmf_ray.schemes.paillier.native_kernel import KERNELS, Modulus

RUNNABLE = [extension.name for extension in extensions.runnable()]

needs_native = pytest.mark.skipif(
    not RUNNABLE, reason=f"no native kernel: {extensions.EXTENSIONS[-1].obstacle()}"
)

every_kernel = pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(
            KERNELS[each.name],
            id=each.name,
            marks=pytest.mark.skipif(
                each.obstacle() is not None, reason=f"no {each.name}: {each.obstacle()}"
            ),
        )
        for each in extensions.EXTENSIONS
    ],
)
"""Tests that take ``kernel`` run with each that this machine can run, and say why others were skipped."""

PRIMES = {512: 10, 1024: 20, 1536: 30, 2048: 40}
"""Bits of p, and limbs of the arithmetic modulo p**2, for keys of 1024 to 4096 bits."""

MODULI = {**PRIMES, 3072: 60, 4096: 80}
"""The same with n: whoever adds works modulo n**2."""

KEYS = [1024, 1088, 2048, 3072, 4096]


@functools.cache
def prime_of(bits, seed=0):
    """The smallest prime of so many bits, nearly the largest, or one between them."""
    start = {1: mpz(1) << (bits - 1), 2: (mpz(1) << bits) - 20 * bits}.get(
        seed, mpz(random.Random(seed).getrandbits(bits - 1)) | mpz(1) << (bits - 1)
    )
    prime = gmpy2.next_prime(start)
    assert prime.bit_length() == bits
    return prime


def modulus_of(kernel, bits, seed=0):
    return Modulus(prime_of(bits, seed), MODULI[bits], kernel.extension)


@functools.cache
def primes_of(key_bits):
    """p and q of one key pair of this size."""
    _, private = keys.generate_keys(key_bits)
    return mpz(private.p), mpz(private.q)
