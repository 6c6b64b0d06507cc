"""The native kernel's parts against Python's integers, and its whole against the gmpy2 kernel."""

import functools
import random
import threading
import time

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz

from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import gmpy2_kernel, native_kernel
from fedmf_ray.schemes.paillier.keys import generate_keys
from fedmf_ray.schemes.paillier.native_kernel import Modulus, exponent_steps, words

pytestmark = pytest.mark.skipif(
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


def edges(modulus):
    """Numbers modulo m**2 that sit on borders: of zero, of m, of limbs, of R."""
    m, square = modulus.m, modulus.m**2
    borders = [0, m, m // 2, modulus.r, *(mpz(1) << 52 * i for i in range(1, 2 * modulus.limbs, 7))]
    return [(border + d) % square for border in borders for d in (-1, 0, 1)]


def integers_of(modulus, rows):
    """What words (count, 2 * limbs) stand for; the inverse of ``Modulus.numbers``."""
    m, square = modulus.m, modulus.m**2
    over_r = gmpy2.invert(modulus.r, m)
    pairs = rows.reshape(-1, 2).astype(np.uint64)
    assert (pairs >> np.uint64(52) == 0).all()  # every limb is settled
    packed = np.zeros((len(pairs), 14), np.uint8)
    packed[:, :7] = pairs[:, :1].copy().view(np.uint8)[:, :7]
    packed[:, 6:14] |= (pairs[:, 1:] << np.uint64(4)).copy().view(np.uint8)
    size = modulus.limbs * 13 // 2
    digits = packed[:, :13].reshape(len(rows), 2, size)
    return [
        (mpz.from_bytes(x0.tobytes(), "little") - mpz.from_bytes(x1.tobytes(), "little") * over_r * m)
        % square
        for x0, x1 in digits
    ]


def check_products(modulus, xs, ys):
    x, y = modulus.numbers(xs), modulus.numbers(ys)
    modulus.multiply(x, np.arange(len(xs)), y)
    over_r = gmpy2.invert(modulus.r, modulus.m**2)
    assert integers_of(modulus, x) == [a * b * over_r % modulus.m**2 for a, b in zip(xs, ys, strict=True)]


def check_powers(modulus, xs, exponent):
    square = modulus.m**2
    x = modulus.numbers([a * modulus.r for a in xs])
    modulus.power(x, exponent)
    expected = [gmpy2.powmod(a, exponent, square) * modulus.r % square for a in xs]
    assert integers_of(modulus, x) == expected


def some(rng, modulus, count):
    return [mpz(rng.randrange(int(modulus.m**2))) for _ in range(count)]


class TestPrimitives:
    @pytest.mark.parametrize("bits", MODULI)
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_products_of_edges_and_random_numbers(self, bits, seed):
        modulus = modulus_of(bits, seed)
        rng = random.Random(bits + seed)
        chosen = edges(modulus)
        check_products(modulus, chosen, chosen)
        check_products(modulus, chosen, some(rng, modulus, len(chosen)))
        check_products(modulus, some(rng, modulus, 100), some(rng, modulus, 100))

    @pytest.mark.parametrize("bits", MODULI)
    @pytest.mark.parametrize("count", range(18))
    def test_batches_of_every_size(self, bits, count):
        modulus, rng = modulus_of(bits), random.Random(count)
        check_products(modulus, some(rng, modulus, count), some(rng, modulus, count))

    @pytest.mark.parametrize("bits", MODULI)
    def test_long_chains_of_products_stay_within_their_limbs(self, bits):
        """Digits are not brought under m between products; the largest ones must not grow."""
        modulus = modulus_of(bits, seed=2)
        square = modulus.m**2
        x, expected = modulus.numbers([square - 1] * 8), square - 1
        y = modulus.numbers([square - 1] * 8)
        y[:, modulus.limbs :] = np.uint64((1 << 52) - 1)  # the second digit may be anything below R
        (factor, *_) = integers_of(modulus, y)
        over_r = gmpy2.invert(modulus.r, square)
        for _ in range(200):
            modulus.multiply(x, np.arange(8), y)
            expected = expected * factor * over_r % square
        assert integers_of(modulus, x) == [expected] * 8

    def test_a_target_that_comes_twice_gets_both_factors(self):
        modulus, rng = modulus_of(1024), random.Random(3)
        targets = np.array([2, 0, 2, 2, 1, 0, 2, 1, 1, 1, 2])
        sums, factors = some(rng, modulus, 3), some(rng, modulus, len(targets))
        x = modulus.numbers(sums)
        modulus.multiply(x, targets, modulus.numbers(factors))
        over_r = gmpy2.invert(modulus.r, modulus.m**2)
        for target, factor in zip(targets, factors, strict=True):
            sums[target] = sums[target] * factor * over_r % modulus.m**2
        assert integers_of(modulus, x) == sums

    @pytest.mark.parametrize("bits", PRIMES)
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_powers(self, bits, seed):
        modulus = modulus_of(bits, seed)
        rng = random.Random(bits + seed)
        check_powers(modulus, some(rng, modulus, 16), int(modulus.m) - 1)
        check_powers(modulus, edges(modulus)[:17], rng.getrandbits(bits))

    @pytest.mark.parametrize(
        "exponent", [1, 2, 3, 31, 32, 63, 64, 65, 1 << 40, (1 << 64) - 1, 0b1000001 << 9]
    )
    def test_powers_of_small_and_sparse_exponents(self, exponent):
        modulus = modulus_of(512)
        check_powers(modulus, some(random.Random(1), modulus, 3), exponent)

    @pytest.mark.parametrize("count", range(1, 18))
    def test_powers_of_batches_of_every_size(self, count):
        modulus = modulus_of(512)
        check_powers(modulus, some(random.Random(count), modulus, count), 65537)

    def test_words_are_52_bits_each(self):
        number = random.Random(5).getrandbits(520)
        assert words([number, 7], 10).tolist() == [
            [number >> 52 * i & (1 << 52) - 1 for i in range(10)],
            [7] + [0] * 9,
        ]

    def test_steps_spell_the_exponent(self):
        for exponent in (1, 6, 0b110100, random.Random(6).getrandbits(300)):
            value = 0
            for squarings, power in exponent_steps(exponent).tolist():
                value = (value << squarings) + (0 if power == 0xFFFF else 2 * power + 1)
            assert value == exponent

    def test_sizes_that_do_not_agree_are_refused(self):
        modulus = modulus_of(512)
        numbers = modulus.numbers([1, 2])
        with pytest.raises(ValueError, match="sizes"):
            modulus.multiply(numbers, np.arange(3), numbers)
        with pytest.raises(IndexError, match="no sum 2"):
            modulus.multiply(numbers, np.array([0, 2]), numbers)
        with pytest.raises(ValueError, match="17 limbs"):
            native_kernel.ifma.multiply(17, modulus.words, numbers, np.arange(2), numbers)


@pytest.mark.slow
class TestManyNumbers:
    @pytest.mark.parametrize("bits", MODULI)
    def test_a_hundred_thousand_products(self, bits):
        modulus, rng = modulus_of(bits, seed=bits), random.Random(bits)
        for _ in range(50):
            check_products(modulus, some(rng, modulus, 2000), some(rng, modulus, 2000))

    @pytest.mark.parametrize("bits", PRIMES)
    def test_ten_thousand_powers(self, bits):
        rng = random.Random(bits)
        for seed in range(10):
            modulus = modulus_of(bits, seed)
            check_powers(modulus, some(rng, modulus, 1000), rng.getrandbits(bits))


class Digits:
    """The same random bytes for both kernels."""

    def __init__(self, seed):
        self._bytes, self._at = np.random.default_rng(seed).bytes(1 << 16), 0

    def __call__(self, count):
        self._at += count
        assert self._at <= len(self._bytes)
        return self._bytes[self._at - count : self._at]


@pytest.fixture(scope="module", params=KEYS)
def keys(request):
    """n, and both kernels' private keys with one table. Some windows make odd numbers of rows."""
    bits = request.param
    public, private = generate_keys(bits)
    p, q = mpz(private.p), mpz(private.q)
    table = native_kernel.build_table(p, q, 5 if bits == 3072 else 7)
    kernels = (native_kernel, gmpy2_kernel)
    return mpz(public.n), *(kernel.PrivateKey(p, q, table) for kernel in kernels)


def plaintexts_and_shifts(n, rows, pieces, seed=0):
    rng = np.random.default_rng(seed)
    size = n.bit_length() // 8
    plaintexts = rng.integers(0, 256, (rows, pieces, size), dtype=np.uint8)
    plaintexts[..., -1] &= 0x3F  # under n/2
    plaintexts[0, 0] = 0
    return plaintexts, [0, int(n) - 1, int(n) // 3][:pieces]


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

    def test_other_threads_run_meanwhile(self, keys):
        n, native, _ = keys
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


@pytest.mark.parametrize("bits", PRIMES)
@pytest.mark.parametrize(("window", "seed"), [(1, 0), (3, 1), (4, 2)])
def test_both_kernels_build_the_same_table_from_the_same_units(bits, window, seed, monkeypatch):
    p, q = modulus_of(bits, seed).m, modulus_of(bits, 5).m
    rng = random.Random(bits)
    others = [mpz(rng.randrange(1, int(min(p, q)))) for _ in range(9)]
    units = {prime: [1, prime - 1, *others] for prime in (p, q)}
    monkeypatch.setattr(paillier, "random_units", lambda prime, count: units[prime])
    monkeypatch.setattr(paillier, "table_rows", lambda prime_bits, window: 11)
    native, reference = (kernel.build_table(p, q, window) for kernel in (native_kernel, gmpy2_kernel))
    assert native.window == reference.window == window
    assert np.array_equal(native.entries, reference.entries)


class TestSums:
    @pytest.mark.parametrize("count", range(1, 18))
    def test_sums_have_the_same_bytes_as_with_gmpy2(self, count):
        n = mpz(generate_keys(1024)[0].n)
        rng = random.Random(count)
        wire = self.wire(n, [rng.randrange(1, int(n * n)) for _ in range(5)])
        sums = [kernel.Sums(n, wire) for kernel in (native_kernel, gmpy2_kernel)]
        for turn in range(4):
            targets = np.array([rng.randrange(5) for _ in range(count)])
            upload = self.wire(n, [rng.randrange(1, int(n * n)) for _ in range(count)])
            for each in sums:
                each.add(targets, upload)
            if turn % 2:  # what is published can be added to
                assert np.array_equal(sums[0].wire(), sums[1].wire())
        assert np.array_equal(sums[0].wire(), sums[1].wire())

    @pytest.mark.parametrize("bits", KEYS)
    def test_sums_of_edges_are_canonical(self, bits):
        n = mpz(generate_keys(bits)[0].n)
        square = n * n
        numbers = [1, 2, n - 1, n + 1, square - 1, square - 2, square - n + 1]
        borders = [(mpz(1) << 52 * i) - 1 for i in range(1, 2 * bits // 52, 9)]
        wire = self.wire(n, numbers + [b for b in borders if gmpy2.gcd(b, n) == 1])
        ones = self.wire(n, [1] * len(wire))
        combined = native_kernel.Sums(n, ones)  # a combiner begins with encrypted zeros
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
    def test_a_bad_ciphertext_anywhere_is_refused_and_nothing_is_added(self, at, bad):
        public, private = generate_keys(1024)
        n = mpz(public.n)
        values = {
            "zero": 0, "n square": n * n, "all bits": (mpz(1) << 2048) - 1, "n": n, "p": private.p,
            "multiple of q": private.q * (private.p + 2),
        }  # fmt: skip
        sums = native_kernel.Sums(n, self.wire(n, [5, 7]))
        numbers = [3] * 17
        numbers[at] = values[bad]
        reason = "outside" if bad in ("zero", "n square", "all bits") else "coprime"
        with pytest.raises(ValueError, match=reason):
            sums.add(np.zeros(17, np.int64), self.wire(n, numbers))
        with pytest.raises(ValueError, match=reason):
            native_kernel.Sums(n, self.wire(n, numbers))
        assert paillier.parse(sums.wire()) == [5, 7]

    def test_adding_nothing_changes_nothing(self):
        n = mpz(generate_keys(1024)[0].n)
        sums = native_kernel.Sums(n, self.wire(n, [5, 7]))
        sums.add(np.empty(0, np.int64), np.empty((0, 256), np.uint8))
        assert paillier.parse(sums.wire()) == [5, 7]

    @staticmethod
    def wire(n, numbers):
        size = n.bit_length() // 4
        return paillier.serialise([mpz(number) for number in numbers], (len(numbers), size))
