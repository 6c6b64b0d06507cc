"""MACs of ciphertexts against Python integers, and what their numbers are made of."""

import math
import pickle
import secrets

import numpy as np
import pytest
from gmpy2 import mpz

from fedmf_ray.schemes import Packed, Shape
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier.ciphertexts import power_product
from fedmf_ray.schemes.paillier.macs import (
    CiphertextAuthenticator,
    listed_nonces,
    nonces_in,
)
from tests.test_digests import PRIMES

NONCE = b"normally"
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
    one, other = (CiphertextAuthenticator(PRIMES, 3, NONCE) for _ in range(2))
    whole = one.weights(np.arange(1000))
    assert len(set(whole.tolist())) == 3000
    assert (whole % 2 == 1).all()
    some = np.array([999, 0, 341, 342])
    assert np.array_equal(other.weights(some), whole.reshape(1000, 3)[some].ravel())
    assert len(one.weights(np.array([], np.int64))) == 0


def test_parts_are_joined_to_the_whole():
    key, width = CiphertextAuthenticator(PRIMES, 1, NONCE), 256
    numbers = [mpz(secrets.randbelow(PRIMES[0] ** 2 * PRIMES[1] ** 2)) for _ in range(9)]
    wire, blocks = paillier.serialise(numbers, (9, 1, width)), np.arange(5, 14)
    parts = [key.weigh(blocks[part], wire[part]) for part in (slice(0, 4), slice(4, 4), slice(4, 9))]
    assert key.join(parts) == key.weigh(blocks, wire)
    assert key.join([]) == 1


def test_a_stranger_has_other_numbers():
    key = CiphertextAuthenticator(PRIMES, 1, NONCE)
    stranger = CiphertextAuthenticator((PRIMES[0], PRIMES[1] + 2), 1, NONCE)
    assert not np.array_equal(key.weights(np.arange(3)), stranger.weights(np.arange(3)))
    assert key.pad(bytes(8), 1, 2, 3) != stranger.pad(bytes(8), 1, 2, 3)


def test_pads_differ_in_each_part_of_their_label():
    key, labels = CiphertextAuthenticator(PRIMES, 1, NONCE), [(1, 2, 3), (2, 1, 3), (1, 2, 4), (-1, -1, 3)]
    pads = {key.pad(nonce, *label) for nonce in (bytes(8), b"12345678") for label in labels}
    assert len(pads) == 8


def nonce_of(key, *label):
    wire = paillier.serialise([mpz(3)], (1, 1, 256))
    return key.tag(np.array([4]), wire, *label).tobytes()[256:264]


def test_no_nonce_comes_twice_for_one_user_and_round():
    key = CiphertextAuthenticator(PRIMES, 1, NONCE)
    assert [nonce_of(key, user, 0, first) for user in (1, 2) for first in (0, 5)] == [NONCE] * 4
    assert nonce_of(key, 1, 0, 0) != NONCE  # asked again
    assert nonce_of(key, 1, 1, 0) == NONCE
    assert nonce_of(key, 2, 0, 0) != NONCE  # an earlier round
    key.be_careful()
    assert nonce_of(key, 1, 2, 0) != NONCE
    assert nonce_of(key, 2, 2, 0) != NONCE
    assert nonce_of(key, 1, 3, 0) == NONCE
    assert nonce_of(key, -1, -1, 0) != NONCE


@pytest.mark.parametrize("nonces", [[], ["a"], ["a", "a"], ["a", "b", "b", "c", "b"], list("abcdefgh")])
def test_lists_of_nonces_come_back(nonces):
    nonces = [nonce.encode() * 8 for nonce in nonces]
    listed = listed_nonces(nonces)
    others = len(nonces) - max(map(nonces.count, nonces), default=0)
    assert len(listed) == 8 + 12 * others
    assert nonces_in(listed, len(nonces)) == nonces


@pytest.mark.parametrize(
    "listed",
    [b"", bytes(7), bytes(9), bytes(8) + b"\3\0\0\0" + bytes(8), bytes(8) + 2 * (b"\1\0\0\0" + bytes(8))],
)
def test_what_is_no_list_of_nonces_is_refused(listed):
    with pytest.raises(ValueError, match="nonces"):
        nonces_in(listed, 3)


def test_keys_that_are_read_again_have_another_nonce_and_copies_the_same():
    scheme = Packed(1024)
    _, key = scheme.sides(Shape(2, 26))
    _, again = scheme.sides(Shape(2, 26), key.secrets())
    assert key.nonce != again.nonce
    assert pickle.loads(pickle.dumps(key)).nonce == key.nonce
