"""MACs of ciphertexts against Python integers, and what their numbers are made of."""

import math
import secrets

import numpy as np
import pytest
from gmpy2 import mpz

from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier.macs import CiphertextAuthenticator, power_product
from tests.test_digests import PRIMES

MODULUS = mpz(PRIMES[0]) ** 2
EDGES = [0, 1, 2, 2**32, 2**63, 2**64 - 1]


@pytest.mark.parametrize("count", [0, 1, 2, 6, 50, 700])
def test_products_of_powers_are_those_of_python(count):
    numbers = [mpz(secrets.randbelow(int(MODULUS))) for _ in range(count)]
    exponents = [secrets.randbits(64) for _ in range(count)]
    exponents[: len(EDGES)] = EDGES[:count]
    pairs = zip(map(int, numbers), exponents, strict=True)
    expected = math.prod(pow(number, exponent, int(MODULUS)) for number, exponent in pairs) % int(MODULUS)
    assert power_product(numbers, np.array(exponents, np.uint64), MODULUS) == expected


def test_weights_do_not_depend_on_what_is_asked_together():
    one, other = (CiphertextAuthenticator(PRIMES, 3) for _ in range(2))
    whole = one.weights(np.arange(1000))
    assert len(set(whole.tolist())) == 3000
    assert (whole % 2 == 1).all()
    some = np.array([999, 0, 341, 342])
    assert np.array_equal(other.weights(some), whole.reshape(1000, 3)[some].ravel())
    assert len(one.weights(np.array([], np.int64))) == 0


def test_parts_are_joined_to_the_whole():
    key, width = CiphertextAuthenticator(PRIMES, 1), 256
    numbers = [mpz(secrets.randbelow(PRIMES[0] ** 2 * PRIMES[1] ** 2)) for _ in range(9)]
    wire, blocks = paillier.serialise(numbers, (9, 1, width)), np.arange(5, 14)
    parts = [key.weigh(blocks[part], wire[part]) for part in (slice(0, 4), slice(4, 4), slice(4, 9))]
    assert key.join(parts) == key.weigh(blocks, wire)
    assert key.join([]) == 1


def test_a_stranger_has_other_numbers():
    key = CiphertextAuthenticator(PRIMES, 1)
    stranger = CiphertextAuthenticator((PRIMES[0], PRIMES[1] + 2), 1)
    assert not np.array_equal(key.weights(np.arange(3)), stranger.weights(np.arange(3)))
    assert key.pad(bytes(8), 1, 2, 3) != stranger.pad(bytes(8), 1, 2, 3)


def test_pads_differ_in_each_part_of_their_label():
    key, labels = CiphertextAuthenticator(PRIMES, 1), [(1, 2, 3), (2, 1, 3), (1, 2, 4), (-1, -1, 3)]
    pads = {key.pad(nonce, *label) for nonce in (bytes(8), b"12345678") for label in labels}
    assert len(pads) == 8
