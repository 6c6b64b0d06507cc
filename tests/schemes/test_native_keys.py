"""Every native kernel as a whole against the gmpy2 kernel: the same bytes from the same randomness."""

import functools
import math
import random
import threading
import time

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz

from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import gmpy2_kernel
from fedmf_ray.schemes.paillier.native_kernel import KERNELS
from tests.support.native_moduli import KEYS, PRIMES, RUNNABLE, every_kernel, prime_of, primes_of


class Digits:
    """The same random bytes for both kernels."""

    def __init__(self, seed):
        self._bytes, self._at = np.random.default_rng(seed).bytes(1 << 16), 0

    def __call__(self, count):
        self._at += count
        assert self._at <= len(self._bytes)
        return self._bytes[self._at - count : self._at]


@functools.cache
def table_of(bits):
    """A table that all kernels share; some windows make odd numbers of rows."""
    return KERNELS[RUNNABLE[0]].build_table(*primes_of(bits), 5 if bits == 3072 else 7)


@functools.cache
def keys_of(kernel, bits):
    """n, and the private keys of a kernel and of gmpy2 with one table."""
    p, q = primes_of(bits)
    table = table_of(bits)
    return p * q, *(each.PrivateKey(p, q, table) for each in (kernel, gmpy2_kernel))


@pytest.fixture(params=KEYS)
def keys(kernel, request):
    return keys_of(kernel, request.param)


def plaintexts_and_shifts(n, rows, pieces, seed=0):
    rng = np.random.default_rng(seed)
    size = n.bit_length() // 8
    plaintexts = rng.integers(0, 256, (rows, pieces, size), dtype=np.uint8)
    plaintexts[..., -1] &= 0x3F  # under n/2
    plaintexts[0, 0] = 0
    return plaintexts, [0, int(n) - 1, int(n) // 3][:pieces]


@every_kernel
class TestKey:
    @pytest.mark.parametrize("pieces", [1, 2, 3])
    def test_the_same_digits_give_the_same_ciphertexts(self, keys, pieces, monkeypatch):
        n, native, reference = keys
        plaintexts, shifts = plaintexts_and_shifts(n, 3, pieces)
        wires = []
        for key in (native, reference):
            digits = Digits(seed=pieces)
            # Digits of a ciphertext: all rows modulo p**2, then modulo q**2.
            monkeypatch.setattr("secrets.token_bytes", digits)
            wires.append(key.encrypt(plaintexts, shifts))
        assert np.array_equal(*wires)

    def test_batches_of_every_size_come_back(self, keys):
        n, native, reference = keys
        for count in range(1, 18) if n.bit_length() <= 2048 else (1, 7, 8, 9, 17):
            plaintexts, shifts = plaintexts_and_shifts(n, count, 1, seed=count)
            assert np.array_equal(native.decrypt(native.encrypt(plaintexts, shifts), shifts), plaintexts)
        assert np.array_equal(reference.decrypt(native.encrypt(plaintexts, shifts), shifts), plaintexts)

    def test_both_kernels_decrypt_alike(self, keys):
        n, native, reference = keys
        plaintexts, shifts = plaintexts_and_shifts(n, 3, 3)
        wire = reference.encrypt(plaintexts, shifts)
        for other in ([0, 0, 0], shifts):
            assert np.array_equal(native.decrypt(wire, other), reference.decrypt(wire, other))

    def test_ciphertexts_on_the_edge_decrypt_alike(self, keys):
        n, native, reference = keys
        numbers = [1, 1 + n, n * n - 1, n * n - n + 1, 2, n * n - 2, (mpz(1) << n.bit_length()) - 1]
        wire = paillier.serialise(numbers, (len(numbers), 1, n.bit_length() // 4))
        assert np.array_equal(native.decrypt(wire, [0]), reference.decrypt(wire, [0]))

    def test_no_ciphertexts_are_no_ciphertexts(self, keys):
        n, native, _ = keys
        size = n.bit_length() // 8
        assert native.encrypt(np.empty((0, 1, size), np.uint8), [0]).shape == (0, 1, 2 * size)
        assert native.decrypt(np.empty((0, 1, 2 * size), np.uint8), [0]).shape == (0, 1, size)

    def test_every_ciphertext_has_digits_of_its_own(self, keys):
        n, native, _ = keys
        plaintexts, shifts = plaintexts_and_shifts(n, 40, 1)
        plaintexts[:] = 0
        assert len({c.tobytes() for c in native.encrypt(plaintexts, shifts)}) == 40


@every_kernel
def test_other_threads_run_meanwhile(kernel):
    n, native, _ = keys_of(kernel, 2048)
    plaintexts, shifts = plaintexts_and_shifts(n, 64, 1)
    turns, stop = [0], threading.Event()

    def spin():
        while not stop.is_set():
            turns[0] += 1

    thread = threading.Thread(target=spin)
    wire = native.encrypt(plaintexts, shifts)
    thread.start()
    try:
        before, started = turns[0], time.perf_counter()
        while time.perf_counter() - started < 0.5:
            native.decrypt(wire, shifts)
        assert turns[0] - before > 1000
    finally:
        stop.set()
        thread.join()


@every_kernel
@pytest.mark.parametrize("bits", PRIMES)
@pytest.mark.parametrize(("window", "seed"), [(1, 0), (3, 1), (4, 2)])
def test_both_kernels_build_the_same_table_from_the_same_units(kernel, bits, window, seed, monkeypatch):
    p, q = prime_of(bits, seed), prime_of(bits, 5)
    rng = random.Random(bits)
    others = [mpz(rng.randrange(1, int(min(p, q)))) for _ in range(9)]
    units = {prime: [1, prime - 1, *others] for prime in (p, q)}
    monkeypatch.setattr(paillier, "random_units", lambda prime, count: units[prime])
    monkeypatch.setattr(paillier, "table_rows", lambda prime_bits, window: 11)
    native, reference = (each.build_table(p, q, window) for each in (kernel, gmpy2_kernel))
    assert native.window == reference.window == window
    assert np.array_equal(native.entries, reference.entries)


@every_kernel
class TestSums:
    @pytest.mark.parametrize("count", range(1, 18))
    def test_sums_have_the_same_bytes_as_with_gmpy2(self, kernel, count):
        n = math.prod(primes_of(1024))
        rng = random.Random(count)
        wire = self.wire(n, [rng.randrange(1, int(n * n)) for _ in range(5)])
        sums = [each.Sums(n, wire) for each in (kernel, gmpy2_kernel)]
        for turn in range(4):
            targets = np.array([rng.randrange(5) for _ in range(count)])
            upload = self.wire(n, [rng.randrange(1, int(n * n)) for _ in range(count)])
            for each in sums:
                each.add(targets, upload)
            if turn % 2:  # what is published can be added to
                assert np.array_equal(sums[0].wire(), sums[1].wire())
        assert np.array_equal(sums[0].wire(), sums[1].wire())

    @pytest.mark.parametrize("bits", KEYS)
    def test_sums_of_edges_are_canonical(self, kernel, bits):
        n = math.prod(primes_of(bits))
        square = n * n
        numbers = [1, 2, n - 1, n + 1, square - 1, square - 2, square - n + 1]
        borders = [(mpz(1) << 52 * i) - 1 for i in range(1, 2 * bits // 52, 9)]
        wire = self.wire(n, numbers + [b for b in borders if gmpy2.gcd(b, n) == 1])
        ones = self.wire(n, [1] * len(wire))
        combined = kernel.Sums(n, ones)  # a combiner begins with encrypted zeros
        assert np.array_equal(combined.wire(), ones)
        combined.add(np.arange(len(wire)), wire)
        assert np.array_equal(combined.wire(), wire)
        combined.add(np.arange(len(wire)), wire[::-1])
        products = [
            a * b % square for a, b in zip(paillier.parse(wire), paillier.parse(wire[::-1]), strict=True)
        ]
        assert paillier.parse(combined.wire()) == products
        assert np.array_equal(combined.wire(), combined.wire())

    @pytest.mark.parametrize("at", [0, 6, 7, 8, 16])
    @pytest.mark.parametrize("bad", ["zero", "n square", "all bits", "n", "p", "multiple of q"])
    def test_a_bad_ciphertext_anywhere_is_refused_and_nothing_is_added(self, kernel, at, bad):
        p, q = primes_of(1024)
        n = p * q
        values = {
            "zero": 0, "n square": n * n, "all bits": (mpz(1) << 2048) - 1, "n": n, "p": p,
            "multiple of q": q * (p + 2),
        }  # fmt: skip
        sums = kernel.Sums(n, self.wire(n, [5, 7]))
        numbers = [3] * 17
        numbers[at] = values[bad]
        reason = "outside" if bad in ("zero", "n square", "all bits") else "coprime"
        with pytest.raises(ValueError, match=reason):
            sums.add(np.zeros(17, np.int64), self.wire(n, numbers))
        with pytest.raises(ValueError, match=reason):
            kernel.Sums(n, self.wire(n, numbers))
        assert paillier.parse(sums.wire()) == [5, 7]

    def test_adding_nothing_changes_nothing(self, kernel):
        n = math.prod(primes_of(1024))
        sums = kernel.Sums(n, self.wire(n, [5, 7]))
        sums.add(np.empty(0, np.int64), np.empty((0, 256), np.uint8))
        assert paillier.parse(sums.wire()) == [5, 7]

    @staticmethod
    def wire(n, numbers):
        size = n.bit_length() // 4
        return paillier.serialise([mpz(number) for number in numbers], (len(numbers), size))
