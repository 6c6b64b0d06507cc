"""Paillier on gmpy2: encryption by key-holders, decryption by CRT, and the server's additions.

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

import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

SLACK_BITS = 256
"""Random bits beyond |p|; half of it is the exponent of the distance from uniform."""

_LARGEST_TABLE_BYTES = 32 << 20
"""What a table may take in a process: with it a user actor stays well under 120 MB."""

_MPZ_OVERHEAD_BYTES = 48


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
        raise ValueError("a ciphertext lies outside 0 < c < n**2")
    product = mpz(1)  # one gcd for all: a factor shared by any of them is shared by the product
    for number in numbers:
        product = product * (number % n) % n
    if gmpy2.gcd(product, n) != 1:
        raise ValueError("a ciphertext is not coprime to n")


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

    entries: (2, rows, 2**window, bytes) uint8, little endian; [0] modulo p**2, [1] modulo q**2.
    """

    entries: NDArray[np.uint8]
    window: int

    @classmethod
    def build(cls, p: mpz, q: mpz, window: int) -> ResidueTable:
        rows = table_rows(p.bit_length(), window)
        size = 2 * -(-p.bit_length() // 8)
        entries = np.empty((2, rows, 1 << window, size), np.uint8)
        for half, prime in zip(entries, (p, q), strict=True):
            for row in half:  # one at a time: the whole table as Python numbers would double the peak
                row[:] = serialise(_powers(prime, window), row.shape)
        return cls(entries, window)


def table_rows(prime_bits: int, window: int) -> int:
    """Enough for rows * window >= |p| + 256, and for characters of order two to vanish but for 2**-128."""
    return max(-(-(prime_bits + SLACK_BITS) // window), SLACK_BITS // 2)


def unpacked_bytes(prime_bits: int) -> int:
    """Memory of the table of the widest window as numbers."""
    return _table_bytes(prime_bits, widest_window(prime_bits))


def widest_window(prime_bits: int) -> int:
    """The window (at most 8 bits) whose table stays within 32 MB: 8 at 2048-bit keys, 7 at 3072.

    The number of encryptions ahead hardly matters: to start a row costs a modular power, about
    1.2 * |p| products and so more than its 2**8 entries, and wider windows have fewer rows.
    """
    return max(w for w in range(1, 9) if w == 1 or _table_bytes(prime_bits, w) <= _LARGEST_TABLE_BYTES)


def _table_bytes(prime_bits: int, window: int) -> int:
    entries = 2 * table_rows(prime_bits, window) << window
    return entries * (prime_bits // 4 + _MPZ_OVERHEAD_BYTES)


def _powers(prime: mpz, window: int) -> Iterable[mpz]:
    """The powers 0 .. 2**window - 1 of a fresh uniform element of order dividing p - 1."""
    square = prime * prime
    # x -> x**p maps the units modulo p one to one onto the residues of order p - 1 modulo p**2.
    base = gmpy2.powmod(secrets.randbelow(int(prime) - 1) + 1, prime, square)
    power = mpz(1)
    for _ in range(1 << window):
        yield power
        power = power * base % square


class PrivateKey:
    """Encrypts and decrypts signed integers |m| < n/2 with p, q and a residue table."""

    def __init__(self, p: int, q: int, table: ResidueTable) -> None:
        self.p, self.q = mpz(p), mpz(q)
        self.n = self.p * self.q
        self.n_square = self.n * self.n
        self._p_square, self._q_square = self.p * self.p, self.q * self.q
        self._p_square_inverse = gmpy2.invert(self._p_square, self._q_square)
        self._p_inverse = gmpy2.invert(self.p, self.q)
        # L((1 + n)**(p-1) mod p**2) = -q mod p, so its inverse needs no power.
        self._h_p = gmpy2.invert(-self.q, self.p)
        self._h_q = gmpy2.invert(-self.p, self.q)
        self.table = table

    @cached_property
    def _rows(self) -> list[list[list[mpz]]]:
        """The table as numbers, [prime][row][digit]: a third faster than parsing bytes each time."""
        return [[parse(row) for row in half] for half in self.table.entries]

    @property
    def ciphertext_bytes(self) -> int:
        return math.ceil(int(self.n_square.bit_length()) / 8)

    def encrypt(self, plaintexts: Sequence[mpz]) -> list[mpz]:
        """Fresh ciphertexts of signed plaintexts; randomness from the operating system."""
        n, n_square = self.n, self.n_square
        rows_p, rows_q = self._rows
        p_square, q_square, inverse = self._p_square, self._q_square, self._p_square_inverse
        ciphertexts = []
        for plaintext in plaintexts:
            residue_p = self._random_product(rows_p, p_square)
            residue_q = self._random_product(rows_q, q_square)
            residue = residue_p + p_square * ((residue_q - residue_p) * inverse % q_square)
            ciphertexts.append((1 + plaintext * n) * residue % n_square)
        return ciphertexts

    def _random_product(self, rows: list[list[mpz]], square: mpz) -> mpz:
        mask = (1 << self.table.window) - 1
        product = mpz(1)
        for row, byte in zip(rows, secrets.token_bytes(len(rows)), strict=True):
            product = product * row[byte & mask] % square
        return product

    def decrypt(self, ciphertexts: Iterable[mpz]) -> list[mpz]:
        """Signed plaintexts in (-n/2, n/2)."""
        p, q, n = self.p, self.q, self.n
        p_square, q_square, h_p, h_q, p_inverse = (
            self._p_square, self._q_square, self._h_p, self._h_q, self._p_inverse,
        )  # fmt: skip
        p_minus, q_minus, half = p - 1, q - 1, n // 2
        powmod = gmpy2.powmod
        plaintexts = []
        for c in ciphertexts:
            m_p = (powmod(c, p_minus, p_square) - 1) // p * h_p % p
            m_q = (powmod(c, q_minus, q_square) - 1) // q * h_q % q
            m = m_p + p * ((m_q - m_p) * p_inverse % q)
            plaintexts.append(m - n if m > half else m)
        return plaintexts
