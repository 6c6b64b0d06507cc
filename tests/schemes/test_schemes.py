"""One contract for all schemes, and Paillier's ciphertexts read by phe and by us alike."""

import pickle

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from phe import paillier as phe

from fedmf_ray.errors import FedMFError
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.schemes import registry as schemes
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import gmpy2_kernel, native_kernel
from fedmf_ray.schemes.paillier.keys import check_key_bits, key_warning

GRID = FixedPoint(20, value_bound=16, update_bound=1, contributors=8)
COLUMNS = 5


@pytest.fixture(scope="module", params=schemes.SCHEMES)
def sides(request):
    return schemes.create(request.param, schemes.Matrices(COLUMNS, GRID, 1024))


@pytest.fixture(scope="module")
def packed():
    return schemes.create("packed", schemes.Matrices(COLUMNS, GRID, 1024))


def matrix(seed, rows=4, scale=1.0):
    return np.random.default_rng(seed).uniform(-scale, scale, (rows, COLUMNS))


def on_grid(values):
    return np.rint(values * 2**20) / 2**20


class TestContract:
    def test_decrypts_to_the_grid(self, sides):
        _, key = sides
        values = matrix(1, scale=16)
        assert np.array_equal(key.decrypt(key.encrypt(values)), on_grid(values))

    def test_adds_exactly_in_any_order(self, sides):
        evaluator, key = sides
        start, parts = matrix(0, scale=15), [matrix(seed) for seed in range(1, 5)]
        uploads = [key.encrypt(part) for part in parts]
        sums = []
        for order in (range(4), reversed(range(4))):
            total = evaluator.aggregate(key.encrypt(start))
            for at in order:
                total.add(np.arange(4), uploads[at])
            sums.append(key.decrypt(total.wire()))
        expected = on_grid(start) + sum(on_grid(part) for part in parts)
        assert np.array_equal(sums[0], expected)
        assert np.array_equal(sums[1], expected)

    def test_adds_to_the_rows_it_is_given_only(self, sides):
        evaluator, key = sides
        total = evaluator.aggregate(key.encrypt(np.zeros((4, COLUMNS))))
        part = matrix(3, rows=2)
        total.add(np.array([3, 1]), key.encrypt(part))
        expected = np.zeros((4, COLUMNS))
        expected[[3, 1]] = on_grid(part)
        assert np.array_equal(key.decrypt(total.wire()), expected)

    def test_wire_is_fixed_width_bytes(self, sides):
        _, key = sides
        wire = key.encrypt(np.zeros((3, COLUMNS)))
        assert wire.dtype == np.uint8
        assert wire.ndim == 3
        assert wire.shape[0] == 3
        assert key.encrypt(matrix(2, rows=3)).shape == wire.shape

    def test_both_sides_survive_pickling(self, sides):
        evaluator, key = pickle.loads(pickle.dumps(sides))
        values = matrix(5)
        total = evaluator.aggregate(sides[1].encrypt(values))
        total.add(np.arange(4), key.encrypt(values))
        assert np.array_equal(sides[1].decrypt(total.wire()), 2 * on_grid(values))


@pytest.mark.parametrize("scheme", ["elementwise", "packed"])
class TestCiphertexts:
    def test_encrypting_twice_gives_different_ciphertexts(self, scheme):
        _, key = schemes.create(scheme, schemes.Matrices(COLUMNS, GRID, 1024))
        zeros = np.zeros((1, COLUMNS))
        assert not np.array_equal(key.encrypt(zeros), key.encrypt(zeros))

    @pytest.mark.parametrize("bad", ["zero", "n square", "shares a factor with n"])
    def test_a_malformed_ciphertext_is_refused_and_nothing_is_added(self, scheme, bad):
        evaluator, key = schemes.create(scheme, schemes.Matrices(COLUMNS, GRID, 1024))
        n = mpz(evaluator._n if scheme == "packed" else evaluator._public.n)
        number = {"zero": mpz(0), "n square": n * n, "shares a factor with n": n}[bad]
        total = evaluator.aggregate(key.encrypt(matrix(1)))
        before = total.wire()
        wire = key.encrypt(matrix(2)).copy()
        wire[-1, -1] = paillier.serialise([number], (1, wire.shape[-1] + 1))[0, : wire.shape[-1]]
        with pytest.raises(ValueError, match="a ciphertext"):
            total.add(np.arange(4), wire)
        assert np.array_equal(total.wire(), before)


@pytest.mark.parametrize("rows", [0, 1, 256, 300])
def test_packed_matrices_of_any_height_come_back(packed, rows):
    _, key = packed
    values = matrix(rows, rows=rows)
    assert np.array_equal(key.decrypt(key.encrypt(values)), on_grid(values))


def phe_keys(key):
    """phe's key pair for one of our packed key holders."""
    public = phe.PaillierPublicKey(key._p * key._q)
    return public, phe.PaillierPrivateKey(public, key._p, key._q)


def test_phe_reads_our_ciphertexts(packed):
    _, key = packed
    _, private = phe_keys(key)
    values = on_grid(matrix(7))
    layout = schemes.Matrices(COLUMNS, GRID, 1024).slots
    for row, ciphertext in zip(values, paillier.parse(key.encrypt(values)), strict=True):
        plaintext = private.raw_decrypt(int(ciphertext))
        signed = plaintext - private.public_key.n if plaintext > private.public_key.n // 2 else plaintext
        assert signed == sum(int(x * 2**20) << (layout.slot_bits * i) for i, x in enumerate(row))


def test_we_read_phe_ciphertexts(packed):
    _, key = packed
    public, _ = phe_keys(key)
    values = on_grid(matrix(8))
    layout = schemes.Matrices(COLUMNS, GRID, 1024).slots
    plaintexts = [m - layout.offsets[0] for m in paillier.parse(layout.encode(GRID.to_integers(values)))]
    ciphertexts = [mpz(public.encrypt(int(m)).ciphertext()) for m in plaintexts]
    assert np.array_equal(key.decrypt(paillier.serialise(ciphertexts, (4, 1, 256))), values)


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
        # digits (test_native.py).
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
    [(gmpy2_kernel, (8, 8, 7, 6)), (native_kernel, (8, 8, 8, 7))],
    ids=["gmpy2", "native"],
)
def test_a_table_row_set_carries_256_bits_more_than_the_group(kernel, windows):
    for key_bits, window in zip((1024, 2048, 3072, 4096), windows, strict=True):
        assert kernel.widest_window(key_bits // 2) == window
        rows = paillier.table_rows(key_bits // 2, window)
        assert rows * window >= key_bits // 2 + 256
        assert rows >= 128


def test_small_keys_are_refused_and_weak_ones_warned_about():
    with pytest.raises(FedMFError, match="512"):
        check_key_bits(512)
    assert "1024" in (key_warning(1024) or "")
    assert key_warning(2048) is None
