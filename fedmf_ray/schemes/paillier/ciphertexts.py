"""Paillier for those who hold the key: what a ciphertext is, and the table that makes encryption cheap.

With n = p*q and generator 1 + n, a ciphertext is (1 + m*n) * r**n mod n**2 (Paillier, EUROCRYPT 1999).
Users hold p and q, so they need not pay for r**n mod n**2: modulo p**2 the n-th residues are exactly the
cyclic group of order p - 1 (q is as long as p and cannot divide p - 1), and a :class:`ResidueTable`
holds the powers h_t**0 .. h_t**(2**w - 1) of independent uniform elements h_t of it, one row each. The
product of one randomly chosen entry a row is a uniform element to within 2**-128: with rows * w >=
|p| + 256 bits, by the leftover-hash argument for characters of large order; a character of small order
k vanishes unless it is trivial on nearly all h_t, which has probability about k**-rows, and there are
at least 128 rows.
No assumption but Paillier's own is used, and phe reads these ciphertexts like any others.

A table gives p and q away. It is private-key material.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

SLACK_BITS = 256
"""Random bits beyond |p|; half of it is the exponent of the distance from uniform."""

WEIGHT_BITS = 64
"""Of the exponents of :func:`power_product`."""

OUT_OF_RANGE = "a ciphertext lies outside 0 < c < n**2"
NOT_COPRIME = "a ciphertext is not coprime to n"


def parse(wire: NDArray[np.uint8]) -> list[mpz]:
    """Little-endian fixed-width numbers: (..., bytes) uint8 to a flat list."""
    size = wire.shape[-1]
    buffer = wire.tobytes()
    return [mpz.from_bytes(buffer[at : at + size], "little") for at in range(0, len(buffer), size)]


def serialise(numbers: Iterable[mpz], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Numbers to an array of the given shape, whose last axis is the width in bytes."""
    buffer = b"".join(number.to_bytes(shape[-1], "little") for number in numbers)
    return np.frombuffer(buffer, np.uint8).reshape(shape)


def check_ciphertexts(numbers: Sequence[mpz], n: mpz, n_square: mpz) -> None:
    """Raise ``ValueError`` unless every number is a unit modulo n**2 in canonical form."""
    if numbers and not (min(numbers) > 0 and max(numbers) < n_square):
        raise ValueError(OUT_OF_RANGE)
    product = mpz(1)  # one gcd for all: a factor shared by any of them is shared by the product
    for number in numbers:
        product = product * (number % n) % n
    if gmpy2.gcd(product, n) != 1:
        raise ValueError(NOT_COPRIME)


def ones(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Encryptions of zero without randomness: what a sum starts from."""
    wire = np.zeros(shape, np.uint8)
    wire[..., 0] = 1
    return wire


def invert(wire: NDArray[np.uint8], n_square: mpz) -> NDArray[np.uint8]:
    """Encryptions of the negative plaintexts."""
    return serialise((gmpy2.invert(number, n_square) for number in parse(wire)), wire.shape)


@dataclass(frozen=True)
class ResidueTable:
    """Powers of uniform n-th residues modulo p**2 and q**2.

    An entry y is kept as y modulo p and an exponent e modulo p with y = (y mod p) * (1 - e*p) mod p**2: the
    exponents of a product add up, so a kernel may multiply modulo p where it can.

    entries: (2, rows, 2**window, 2, bytes) uint8, little endian; [0] modulo p**2, [1] modulo q**2; residue,
    then exponent.
    """

    entries: NDArray[np.uint8]
    window: int

    def numbers(self, primes: Sequence[mpz]) -> list[list[list[mpz]]]:
        """The entries modulo the squares of the two primes, [prime][row][digit]."""
        return [
            [_join(parse(row), prime) for row in half]
            for half, prime in zip(self.entries, primes, strict=True)
        ]


def table_rows(prime_bits: int, window: int) -> int:
    """Enough for rows * window >= |p| + 256, and for characters of order two to vanish but for 2**-128."""
    return max(-(-(prime_bits + SLACK_BITS) // window), SLACK_BITS // 2)


def table_bytes(prime_bits: int, window: int) -> int:
    """Bytes of the entries of a table."""
    return table_entries(prime_bits, window) * (prime_bits // 4)


def table_entries(prime_bits: int, window: int) -> int:
    return 2 * table_rows(prime_bits, window) << window


def random_units(prime: mpz, count: int) -> list[mpz]:
    """Uniform units x modulo a prime. Their powers x**p are uniform residues of order dividing p - 1 modulo
    p**2: x -> x**p maps the units modulo p one to one onto them."""
    return [mpz(secrets.randbelow(int(prime) - 1) + 1) for _ in range(count)]


def _join(parts: list[mpz], prime: mpz) -> list[mpz]:
    square = prime * prime
    return [
        residue * (1 - exponent * prime) % square
        for residue, exponent in zip(parts[::2], parts[1::2], strict=True)
    ]


def power_product(numbers: Sequence[mpz], exponents: NDArray[np.uint64], modulus: mpz) -> mpz:
    """The product of numbers to exponents of 64 bits: numbers with the same digit are multiplied first, and
    each digit is then applied once (Pippenger's buckets)."""
    count = len(numbers)
    width = min(range(1, 13), key=lambda bits: -(-WEIGHT_BITS // bits) * (count + (2 << bits)))
    product = mpz(1)
    for shift in reversed(range(0, WEIGHT_BITS, width)):
        for _ in range(width):
            product = product * product % modulus
        digits = (exponents >> np.uint64(shift)) & np.uint64((1 << width) - 1)
        buckets = [mpz(1)] * (1 << width)
        for digit, number in zip(digits.tolist(), numbers, strict=True):
            buckets[digit] = buckets[digit] * number % modulus
        running = total = mpz(1)
        for bucket in buckets[:0:-1]:
            running = running * bucket % modulus
            total = total * running % modulus
        product = product * total % modulus
    return product
