"""Paillier on gmpy2: one number at a time, on any machine and for any key size."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from functools import cached_property

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.schemes.paillier import ciphertexts as paillier

Bytes = NDArray[np.uint8]

_LARGEST_TABLE_BYTES = 32 << 20
"""What a table may take in a process: with it a user actor stays well under 120 MB."""

_MPZ_OVERHEAD_BYTES = 48


def widest_window(prime_bits: int) -> int:
    """The window (at most 8 bits) whose table stays within 32 MB: 8 at 2048-bit keys, 7 at 3072.

    The number of encryptions ahead hardly matters: to start a row costs a modular power, about
    1.2 * |p| products and so more than its 2**8 entries, and wider windows have fewer rows.
    """
    return max(w for w in range(1, 9) if w == 1 or _unpacked_bytes(prime_bits, w) <= _LARGEST_TABLE_BYTES)


def build_table(p: int, q: int, window: int) -> paillier.ResidueTable:
    """A fresh table; see :class:`fedmf_ray.schemes.paillier.ciphertexts.ResidueTable`."""
    prime_bits = mpz(p).bit_length()
    rows = paillier.table_rows(prime_bits, window)
    entries = np.empty((2, rows, 1 << window, 2, -(-prime_bits // 8)), np.uint8)
    for half, prime in zip(entries, (mpz(p), mpz(q)), strict=True):
        # One row at a time: the whole table as Python's numbers would double the peak.
        for row, unit in zip(half, paillier.random_units(prime, rows), strict=True):
            row[:] = paillier.serialise(_powers(unit, prime, 1 << window), row.shape)
    return paillier.ResidueTable(entries, window)


def _powers(unit: mpz, prime: mpz, count: int) -> Iterator[mpz]:
    """Residues and exponents of the powers of unit**prime."""
    square = prime * prime
    base, base_inverse = gmpy2.powmod(unit, prime, square), gmpy2.invert(unit, prime)
    power, inverse = mpz(1), mpz(1)
    for _ in range(count):
        upper, residue = divmod(power, prime)
        yield residue
        yield -upper * inverse % prime
        power, inverse = power * base % square, inverse * base_inverse % prime


def process_bytes(prime_bits: int) -> int:
    """Memory of the table of the widest window as numbers, in each process."""
    return _unpacked_bytes(prime_bits, widest_window(prime_bits))


def _unpacked_bytes(prime_bits: int, window: int) -> int:
    return paillier.table_entries(prime_bits, window) * (prime_bits // 4 + _MPZ_OVERHEAD_BYTES)


class PrivateKey:
    """Encrypts and decrypts with p, q and a table: :class:`fedmf_ray.schemes.paillier.kernels.PrivateKey`."""

    def __init__(self, p: int, q: int, table: paillier.ResidueTable) -> None:
        self.p, self.q = mpz(p), mpz(q)
        self.n = self.p * self.q
        self.n_square = self.n * self.n
        self._plaintext_bytes = -(-self.n.bit_length() // 8)
        self._ciphertext_bytes = -(-self.n_square.bit_length() // 8)
        self._p_square, self._q_square = self.p * self.p, self.q * self.q
        self._p_square_inverse = gmpy2.invert(self._p_square, self._q_square)
        self._p_inverse = gmpy2.invert(self.p, self.q)
        # L((1 + n)**(p-1) mod p**2) = -q mod p, so its inverse needs no power.
        self._h_p = gmpy2.invert(-self.q, self.p)
        self._h_q = gmpy2.invert(-self.p, self.q)
        self._table = table

    @cached_property
    def _rows(self) -> list[list[list[mpz]]]:
        """The table as numbers, [prime][row][digit]: parsing bytes each time would cost a third more."""
        return self._table.numbers((self.p, self.q))

    def encrypt(self, plaintexts: Bytes, shifts: Sequence[int]) -> Bytes:
        n, n_square = self.n, self.n_square
        rows_p, rows_q = self._rows
        p_square, q_square, inverse = self._p_square, self._q_square, self._p_square_inverse
        ciphertexts = []
        for at, number in enumerate(paillier.parse(plaintexts)):
            residue_p = self._random_product(rows_p, p_square)
            residue_q = self._random_product(rows_q, q_square)
            residue = residue_p + p_square * ((residue_q - residue_p) * inverse % q_square)
            plaintext = number - shifts[at % len(shifts)]
            ciphertexts.append((1 + plaintext * n) * residue % n_square)
        return paillier.serialise(ciphertexts, (*plaintexts.shape[:2], self._ciphertext_bytes))

    def _random_product(self, rows: list[list[mpz]], square: mpz) -> mpz:
        mask = (1 << self._table.window) - 1
        product = mpz(1)
        for row, byte in zip(rows, secrets.token_bytes(len(rows)), strict=True):
            product = product * row[byte & mask] % square
        return product

    def decrypt(self, wire: Bytes, shifts: Sequence[int]) -> Bytes:
        p, q, n = self.p, self.q, self.n
        p_square, q_square, h_p, h_q, p_inverse = (
            self._p_square, self._q_square, self._h_p, self._h_q, self._p_inverse,
        )  # fmt: skip
        p_minus, q_minus = p - 1, q - 1
        powmod = gmpy2.powmod
        plaintexts = []
        for at, c in enumerate(paillier.parse(wire)):
            m_p = (powmod(c, p_minus, p_square) - 1) // p * h_p % p
            m_q = (powmod(c, q_minus, q_square) - 1) // q * h_q % q
            m = m_p + p * ((m_q - m_p) * p_inverse % q)
            plaintexts.append((m + shifts[at % len(shifts)]) % n)
        return paillier.serialise(plaintexts, (*wire.shape[:2], self._plaintext_bytes))


class Sums:
    """Ciphertexts to be added to, modulo n**2: :class:`fedmf_ray.schemes.paillier.kernels.Sums`."""

    def __init__(self, n: int, wire: Bytes) -> None:
        self._n, self._n_square, self._shape = mpz(n), mpz(n) ** 2, wire.shape
        self._sums = self._read(wire)

    def add(self, targets: NDArray[np.int64], wire: Bytes) -> None:
        numbers, sums, n_square = self._read(wire), self._sums, self._n_square
        for at, number in zip(targets.tolist(), numbers, strict=True):
            sums[at] = sums[at] * number % n_square

    def wire(self) -> Bytes:
        return paillier.serialise(self._sums, self._shape)

    def _read(self, wire: Bytes) -> list[mpz]:
        numbers = paillier.parse(wire)
        paillier.check_ciphertexts(numbers, self._n, self._n_square)
        return numbers
