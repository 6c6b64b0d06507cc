"""The parts of every native kernel against Python's integers."""

import random

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz

from fedmf_ray.schemes.paillier.native_kernel import exponent_steps, words
from tests.support.native_moduli import MODULI, PRIMES, every_kernel, modulus_of


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


@every_kernel
class TestPrimitives:
    @pytest.mark.parametrize("bits", MODULI)
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_products_of_edges_and_random_numbers(self, kernel, bits, seed):
        modulus = modulus_of(kernel, bits, seed)
        rng = random.Random(bits + seed)
        chosen = edges(modulus)
        check_products(modulus, chosen, chosen)
        check_products(modulus, chosen, some(rng, modulus, len(chosen)))
        check_products(modulus, some(rng, modulus, 100), some(rng, modulus, 100))

    @pytest.mark.parametrize("bits", MODULI)
    @pytest.mark.parametrize("count", range(18))
    def test_batches_of_every_size(self, kernel, bits, count):
        modulus, rng = modulus_of(kernel, bits), random.Random(count)
        check_products(modulus, some(rng, modulus, count), some(rng, modulus, count))

    @pytest.mark.parametrize("bits", MODULI)
    def test_long_chains_of_products_stay_within_their_limbs(self, kernel, bits):
        """Digits are not brought under m between products; the largest ones must not grow."""
        modulus = modulus_of(kernel, bits, seed=2)
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

    def test_a_target_that_comes_twice_gets_both_factors(self, kernel):
        modulus, rng = modulus_of(kernel, 1024), random.Random(3)
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
    def test_powers(self, kernel, bits, seed):
        modulus = modulus_of(kernel, bits, seed)
        rng = random.Random(bits + seed)
        check_powers(modulus, some(rng, modulus, 16), int(modulus.m) - 1)
        check_powers(modulus, edges(modulus)[:17], rng.getrandbits(bits))

    @pytest.mark.parametrize(
        "exponent", [1, 2, 3, 31, 32, 63, 64, 65, 1 << 40, (1 << 64) - 1, 0b1000001 << 9]
    )
    def test_powers_of_small_and_sparse_exponents(self, kernel, exponent):
        modulus = modulus_of(kernel, 512)
        check_powers(modulus, some(random.Random(1), modulus, 3), exponent)

    @pytest.mark.parametrize("count", range(1, 18))
    def test_powers_of_batches_of_every_size(self, kernel, count):
        modulus = modulus_of(kernel, 512)
        check_powers(modulus, some(random.Random(count), modulus, count), 65537)

    def test_sizes_that_do_not_agree_are_refused(self, kernel):
        modulus = modulus_of(kernel, 512)
        numbers = modulus.numbers([1, 2])
        with pytest.raises(ValueError, match="sizes"):
            modulus.multiply(numbers, np.arange(3), numbers)
        with pytest.raises(IndexError, match="no sum 2"):
            modulus.multiply(numbers, np.array([0, 2]), numbers)
        with pytest.raises(ValueError, match="17 limbs"):
            kernel.extension.functions.multiply(17, modulus.words, numbers, np.arange(2), numbers)


def test_words_are_52_bits_each():
    number = random.Random(5).getrandbits(520)
    assert words([number, 7], 10).tolist() == [
        [number >> 52 * i & (1 << 52) - 1 for i in range(10)],
        [7] + [0] * 9,
    ]


def test_steps_spell_the_exponent():
    for exponent in (1, 6, 0b110100, random.Random(6).getrandbits(300)):
        value = 0
        for squarings, power in exponent_steps(exponent).tolist():
            value = (value << squarings) + (0 if power == 0xFFFF else 2 * power + 1)
        assert value == exponent


@pytest.mark.slow
@every_kernel
class TestManyNumbers:
    @pytest.mark.parametrize("bits", MODULI)
    def test_a_hundred_thousand_products(self, kernel, bits):
        modulus, rng = modulus_of(kernel, bits, seed=bits), random.Random(bits)
        for _ in range(50):
            check_products(modulus, some(rng, modulus, 2000), some(rng, modulus, 2000))

    @pytest.mark.parametrize("bits", PRIMES)
    def test_ten_thousand_powers(self, kernel, bits):
        rng = random.Random(bits)
        for seed in range(10):
            modulus = modulus_of(kernel, bits, seed)
            check_powers(modulus, some(rng, modulus, 1000), rng.getrandbits(bits))
