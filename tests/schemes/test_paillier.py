"""Paillier's ciphertexts read by phe and by us alike, and the table that makes encryption cheap."""

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from phe import paillier as phe

from fedmf_ray.schemes import Packed, Shape
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import gmpy2_kernel
from fedmf_ray.schemes.paillier.native_kernel import KERNELS
from fedmf_ray.schemes.paillier.slots import SlotLayout

COLUMNS, BITS = 5, 26
LAYOUT = SlotLayout(BITS, COLUMNS, 1024)


@pytest.fixture(scope="module")
def packed():
    """With fresh keys: their distribution is the point."""
    return Packed(1024).sides(Shape(COLUMNS, BITS))


def matrix(seed, rows=4):
    return np.random.default_rng(seed).integers(-(1 << 20), 1 << 20, (rows, COLUMNS))


def phe_keys(key):
    """phe's key pair for one of our packed key holders."""
    public = phe.PaillierPublicKey(key._p * key._q)
    return public, phe.PaillierPrivateKey(public, key._p, key._q)


def test_phe_reads_our_ciphertexts(packed):
    _, key = packed
    _, private = phe_keys(key)
    integers = matrix(7)
    for row, ciphertext in zip(integers, paillier.parse(key.encrypt(integers)), strict=True):
        plaintext = private.raw_decrypt(int(ciphertext))
        signed = plaintext - private.public_key.n if plaintext > private.public_key.n // 2 else plaintext
        assert signed == sum(int(q) << (BITS * i) for i, q in enumerate(row))


def test_we_read_phe_ciphertexts(packed):
    _, key = packed
    public, _ = phe_keys(key)
    integers = matrix(8)
    plaintexts = [m - LAYOUT.offsets[0] for m in paillier.parse(LAYOUT.encode(integers))]
    ciphertexts = [mpz(public.encrypt(int(m)).ciphertext()) for m in plaintexts]
    assert np.array_equal(key.decrypt(paillier.serialise(ciphertexts, (4, 1, 256))), integers)


@settings(max_examples=25)
@given(st.integers(-(2**1020), 2**1020))
def test_raw_encryption_is_inverted_by_phe_and_by_us(packed, plaintext):
    key = packed[1]._key
    n = packed[1]._p * packed[1]._q
    shift = -plaintext % n  # with nothing packed, it is minus the shift that is encrypted
    wire = key.encrypt(np.zeros((1, 1, 128), np.uint8), [shift])
    assert not key.decrypt(wire, [shift]).any()
    assert paillier.parse(key.decrypt(wire, [0])) == [plaintext % n]
    assert phe_keys(packed[1])[1].raw_decrypt(int(paillier.parse(wire)[0])) == plaintext % n


class TestResidueTable:
    def test_rows_hold_the_powers_of_independent_bases(self, packed):
        key = packed[1]
        primes = mpz(key._p), mpz(key._q)
        bases = []
        for prime, rows in zip(primes, key._table.numbers(primes), strict=True):
            square = prime * prime
            for row in rows:
                assert row[0] == 1
                assert row[-1] == gmpy2.powmod(row[1], len(row) - 1, square)
                assert all(entry == row[at - 1] * row[1] % square for at, entry in enumerate(row) if at)
                assert gmpy2.powmod(row[1], prime - 1, square) == 1  # an n-th residue
                bases.append(row[1])
        assert len(set(bases)) == len(bases) >= 2 * 128

    def test_half_of_the_bases_are_squares(self, packed):
        # The sign of a fair coin: 256 bases leave 80 to 176 but once in 2**30.
        key = packed[1]
        primes = mpz(key._p), mpz(key._q)
        pairs = zip(primes, key._table.numbers(primes), strict=True)
        squares = sum(gmpy2.legendre(row[1], prime) == 1 for prime, rows in pairs for row in rows)
        assert 80 < squares < 176

    def test_two_tables_share_no_base(self):
        p, q = mpz(1000003), mpz(1000033)
        first, second = (gmpy2_kernel.build_table(p, q, 2).entries[:, :, 1, 0] for _ in range(2))
        assert not (first == second).all(axis=-1).all()

    def test_products_are_uniform_over_the_residues_of_a_small_prime(self):
        # All p - 1 = 22 residues modulo 23**2 must be as likely as each other: chi-square, 21 degrees of
        # freedom, exceeds 60 once in 100,000 runs. The native kernel takes the same entries for the same
        # digits (test_native_keys.py).
        p, q = mpz(23), mpz(29)
        draws = 4400
        key = gmpy2_kernel.PrivateKey(p, q, gmpy2_kernel.build_table(p, q, 2))
        for prime, rows in zip((p, q), key._rows, strict=True):
            square = prime * prime
            seen = {}
            for _ in range(draws):
                product = key._random_product(rows, square)
                seen[product] = seen.get(product, 0) + 1
            assert set(seen) == {gmpy2.powmod(x, prime, square) for x in range(1, int(prime))}
            expected = draws / (int(prime) - 1)
            assert sum((count - expected) ** 2 / expected for count in seen.values()) < 3 * (int(prime) - 2)

    def test_a_ciphertext_is_blinded_modulo_both_primes(self, packed):
        key = packed[1]
        ciphertexts = paillier.parse(key._key.encrypt(np.zeros((3, 1, 128), np.uint8), [0]))
        for prime in (key._p, key._q):
            assert all(gmpy2.powmod(c, prime - 1, prime * prime) == 1 for c in ciphertexts)
            assert all(c % (prime * prime) != 1 for c in ciphertexts)


@pytest.mark.parametrize(
    ("kernel", "windows"),
    [(gmpy2_kernel, (8, 8, 7, 6)), (KERNELS["fma4"], (8, 8, 8, 7))],
    ids=["gmpy2", "native"],
)
def test_a_table_row_set_carries_256_bits_more_than_the_group(kernel, windows):
    for key_bits, window in zip((1024, 2048, 3072, 4096), windows, strict=True):
        assert kernel.widest_window(key_bits // 2) == window
        rows = paillier.table_rows(key_bits // 2, window)
        assert rows * window >= key_bits // 2 + 256
        assert rows >= 128
