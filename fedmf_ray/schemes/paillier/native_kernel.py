"""Paillier on several numbers at a time: an extension (``extensions.py``) and the constants that it wants.

An extension works on limbs of 52 bits (*words* here, one a uint64) with R = 2**(52*limbs), and modulo m**2
on two digits: x = x0 - x1*m/R. ``native/number.h`` has the arithmetic. What it needs to know of a key is
computed here, once, from Python's integers.

The table is read where it lies, so that all processes of a machine share one copy of it.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier.extensions import EXTENSIONS, Extension

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

LARGEST_KEY_BITS = 4096

_LARGEST_TABLE_BYTES = 48 << 20
"""Shared by the processes of a machine; window 8 at 2048 and 3072 bits."""

_PRIME_LIMBS = (10, 20, 30, 40)
_SPARE_BITS = 8
_WINDOW = 6
_NO_POWER = 0xFFFF
_CACHE_LINE = 64


def supports(key_bits: int) -> bool:
    return key_bits <= LARGEST_KEY_BITS and key_bits % 64 == 0


@dataclass(frozen=True)
class NativeKernel:
    """One extension as a :class:`fedmf_ray.schemes.paillier.kernels.Kernel`."""

    extension: Extension

    def PrivateKey(self, p: int, q: int, table: paillier.ResidueTable) -> PrivateKey:
        return PrivateKey(p, q, table, self.extension)

    def Sums(self, n: int, wire: Bytes) -> Sums:
        return Sums(n, wire, self.extension)

    def widest_window(self, prime_bits: int) -> int:
        """The window (at most 8 bits) whose table stays within 48 MB: 8 at 2048 and 3072 bits, 7 at 4096."""
        return max(
            w for w in range(1, 9) if w == 1 or paillier.table_bytes(prime_bits, w) <= _LARGEST_TABLE_BYTES
        )

    def build_table(self, p: int, q: int, window: int) -> paillier.ResidueTable:
        """A fresh table; see :class:`fedmf_ray.schemes.paillier.ciphertexts.ResidueTable`."""
        prime_bits = mpz(p).bit_length()
        rows = paillier.table_rows(prime_bits, window)
        shape = (2, rows, 1 << window, 2, -(-prime_bits // 8))
        # Entries that begin with a cache line fill fewer of them; so they do where processes share them.
        buffer = np.empty(math.prod(shape) + _CACHE_LINE, np.uint8)
        start = -buffer.ctypes.data % _CACHE_LINE
        entries = buffer[start : start + math.prod(shape)].reshape(shape)
        for half, prime in zip(entries, (mpz(p), mpz(q)), strict=True):
            m = Modulus(prime, _prime_limbs(prime_bits), self.extension)
            units = paillier.random_units(prime, rows)
            bases = m.numbers([unit * m.r for unit in units])
            m.power(bases, prime)
            inverses = m.numbers([gmpy2.invert(unit, prime) * m.r % prime for unit in units])
            entry_bytes = 2 * half.shape[-1]
            self.extension.functions.table_rows(
                m.limbs, m.words, bases, inverses, half.shape[1], entry_bytes, half
            )
        return paillier.ResidueTable(entries, window)

    def process_bytes(self, prime_bits: int) -> int:
        """None of its own: the table is read where it lies, once a machine."""
        return 0


KERNELS = {extension.name: NativeKernel(extension) for extension in EXTENSIONS}
"""All of them, whether they can run here or not."""


def words(numbers: Sequence[int], limbs: int) -> Words:
    """Numbers to (numbers, limbs) words; limbs is even."""
    pairs = b"".join(int(number).to_bytes(limbs * 13 // 2, "little") for number in numbers)
    padded = np.zeros((len(numbers) * limbs // 2, 16), np.uint8)
    padded[:, :13] = np.frombuffer(pairs, np.uint8).reshape(-1, 13)
    mask = np.uint64((1 << 52) - 1)
    even = padded[:, :8].copy().view("<u8") & mask
    odd = padded[:, 6:14].copy().view("<u8") >> np.uint64(4)
    return np.hstack([even, odd]).reshape(len(numbers), limbs)


def _prime_limbs(prime_bits: int) -> int:
    return next(limbs for limbs in _PRIME_LIMBS if prime_bits + _SPARE_BITS <= 52 * limbs)


class Modulus:
    """m as extensions want it: words (2, limbs) are m and R/2 modulo m."""

    def __init__(self, m: int, limbs: int, extension: Extension) -> None:
        self.m, self.limbs, self._extension = mpz(m), limbs, extension
        self.r = mpz(1) << 52 * limbs
        self.rows: list[int] = [self.m, (self.r >> 1) % self.m]
        self.words = words(self.rows, limbs)

    def digits(self, number: int) -> list[int]:
        """x0 and x1 with number = x0 - x1*m/R modulo m**2."""
        upper, lower = divmod(number % (self.m * self.m), self.m)
        return [lower, -upper * self.r % self.m]

    def numbers(self, integers: Sequence[int]) -> Words:
        """(integers, 2 * limbs) words of integers modulo m**2."""
        digits = [digit for integer in integers for digit in self.digits(integer)]
        return words(digits, self.limbs).reshape(-1, 2 * self.limbs)

    def multiply(self, x: Words, targets: NDArray[np.int64], y: Words) -> None:
        """x[targets[i]] *= y[i] / R modulo m**2 for all i in turn, in place; x, y (..., 2 * limbs)."""
        self._extension.functions.multiply(self.limbs, self.words, x, targets, y)

    def power(self, x: Words, exponent: int) -> None:
        """Each x = (x/R)**exponent * R modulo m**2, in place, for m of a prime's size; (count, 2 * limbs)."""
        self._extension.functions.power(self.limbs, self.words, exponent_steps(exponent), x)


class PrivateKey:
    """Encrypts and decrypts with p, q and a table: :class:`fedmf_ray.schemes.paillier.kernels.PrivateKey`."""

    def __init__(self, p: int, q: int, table: paillier.ResidueTable, extension: Extension) -> None:
        self.p, self.q = p, q = mpz(p), mpz(q)
        self.n = n = p * q
        self._table, self._extension = table, extension
        self._primes, self._others = (p, q), (q, p)
        self._plaintext_bytes = -(-n.bit_length() // 8)
        self._ciphertext_bytes = -(-(n * n).bit_length() // 8)
        self._limbs = _prime_limbs(max(p.bit_length(), q.bit_length()))
        self._moduli = [Modulus(prime, self._limbs, extension) for prime in self._primes]
        joint = words([n * n], 4 * self._limbs), words([n], 2 * self._limbs)
        squares = words([q * q, p * p], 2 * self._limbs)
        self._joint = np.concatenate(
            [part.ravel() for part in (words([q, p], self._limbs), squares, *joint[::-1])]
        )
        halves = list(zip(self._moduli, self._others, strict=True))
        self._encrypt_words = np.stack([self._encrypting(m, other) for m, other in halves])
        self._decrypt_words = np.stack([self._decrypting(m, other) for m, other in halves])
        self._steps = [exponent_steps(prime - 1) for prime in self._primes]

    def encrypt(self, plaintexts: Bytes, shifts: Sequence[int]) -> Bytes:
        rows, pieces, _ = plaintexts.shape
        table = self._table
        table_rows, prime_bytes = table.entries.shape[1], table.entries.shape[-1]
        digits = secrets.token_bytes(rows * pieces * 2 * table_rows)
        exponents = [
            (other * shift % prime).to_bytes(prime_bytes, "little")
            for prime, other in zip(self._primes, self._others, strict=True)
            for shift in shifts
        ]
        wire = np.empty((rows, pieces, self._ciphertext_bytes), np.uint8)
        self._extension.functions.encrypt(
            self._limbs, table.window, table_rows, prime_bytes, pieces, plaintexts.shape[-1], wire.shape[-1],
            self._encrypt_words, self._joint, table.entries, digits, b"".join(exponents),
            np.ascontiguousarray(plaintexts), wire,
        )  # fmt: skip
        return wire

    def decrypt(self, wire: Bytes, shifts: Sequence[int]) -> Bytes:
        rows, pieces, size = wire.shape
        plaintexts = np.empty((rows, pieces, self._plaintext_bytes), np.uint8)
        shift_words = [
            words([shift * gmpy2.invert(other, m.m) * m.r % m.m for shift in shifts], self._limbs)
            for m, other in zip(self._moduli, self._others, strict=True)
        ]
        self._extension.functions.decrypt(
            self._limbs, pieces, plaintexts.shape[-1], size, self._decrypt_words, self._joint, *self._steps,
            np.stack(shift_words), np.ascontiguousarray(wire), plaintexts,
        )  # fmt: skip
        return plaintexts

    def _encrypting(self, m: Modulus, other: mpz) -> Words:
        """What one prime's half of an encryption needs: where the product begins, and what turns sums of
        exponents and plaintexts into the exponent of 1 - p. A pair of rows divides by R twice."""
        pairs = -(-self._table.entries.shape[1] // 2)
        start = m.r ** (2 * pairs) * gmpy2.invert(other * other, m.m**2)
        square = m.r**2 % m.m
        plaintext = [-other * square % m.m, -other * square * m.r % m.m]
        return words([*m.rows, *m.digits(start), square, *plaintext], m.limbs)

    def _decrypting(self, m: Modulus, other: mpz) -> Words:
        """What one prime's half of a decryption needs: R**2 to R**5 for the four parts of a ciphertext, and
        what turns the logarithm into a plaintext divided by the other prime."""
        places = [digit for i in range(4) for digit in m.digits(m.r ** (i + 2))]
        # (1 + n)**(p-1) = 1 - q*p modulo p**2.
        unit = gmpy2.invert(-other * other, m.m)
        return words([*m.rows, *places, -unit % m.m, unit * m.r % m.m], m.limbs)


def exponent_steps(exponent: int) -> NDArray[np.uint16]:
    """(steps, 2) of left-to-right exponentiation by sliding windows: how often to square, and then which odd
    power 2*i + 1 to multiply by, if any (i < 32). The first step only names a power."""
    bits = bin(int(exponent))[2:]
    steps, at, squarings = [], 0, 0
    while at < len(bits):
        if bits[at] == "0":
            at, squarings = at + 1, squarings + 1
            continue
        window = bits[at : at + _WINDOW].rstrip("0")
        steps.append((squarings + len(window), int(window, 2) // 2))
        at, squarings = at + len(window), 0
    if squarings:
        steps.append((squarings, _NO_POWER))
    return np.array(steps, np.uint16)


class Sums:
    """Ciphertexts to be added to, modulo n**2: :class:`fedmf_ray.schemes.paillier.kernels.Sums`.

    Each number lacks a power of R, which is made good when the sums are written.
    """

    def __init__(self, n: int, wire: Bytes, extension: Extension) -> None:
        n, self._extension = mpz(n), extension
        limbs = 2 * _prime_limbs(-(-n.bit_length() // 2))
        self._modulus, self._square = Modulus(n, limbs, extension), n * n
        self._limit = np.frombuffer((n * n).to_bytes(wire.shape[-1], "little"), np.uint8)
        self._shape = wire.shape
        self._numbers = self._read(wire)
        self._lacking = np.ones(len(wire), np.int64)
        self._factors: dict[int, Words] = {}

    def add(self, targets: NDArray[np.int64], wire: Bytes) -> None:
        numbers = self._read(wire)
        self._modulus.multiply(self._numbers, np.ascontiguousarray(targets, np.int64), numbers)
        np.add.at(self._lacking, targets, 2)  # one power of R in reading, one in multiplying

    def wire(self) -> Bytes:
        if self._lacking.any():
            powers, which = np.unique(self._lacking, return_inverse=True)
            factors = np.concatenate([self._factor(power) for power in powers.tolist()])
            self._modulus.multiply(self._numbers, np.arange(len(which)), factors[which])
            self._lacking[:] = 0
        wire = np.empty(self._shape, np.uint8)
        m = self._modulus
        self._extension.functions.write(m.limbs, m.words, self._numbers, self._shape[-1], wire)
        return wire

    def _factor(self, power: int) -> Words:
        """R**(power + 1), (1, 2 * limbs): the multiplication takes one away again."""
        if power not in self._factors:
            m = self._modulus
            self._factors[power] = m.numbers([gmpy2.powmod(m.r, power + 1, self._square)])
        return self._factors[power]

    def _read(self, wire: Bytes) -> Words:
        """(count, bytes) to (count, 2 * limbs) words, or ``ValueError`` if not all are units modulo n**2."""
        m = self._modulus
        numbers = np.empty((len(wire), 2 * m.limbs), np.uint64)
        product = np.empty(m.limbs * 13 // 2, np.uint8)
        if not self._extension.functions.read(
            m.limbs, m.words, self._limit, np.ascontiguousarray(wire), numbers, product
        ):
            raise ValueError(paillier.OUT_OF_RANGE)
        # One gcd for all: a factor shared with any of them is shared with the product.
        if gmpy2.gcd(mpz.from_bytes(product.tobytes(), "little"), m.m) != 1:
            raise ValueError(paillier.NOT_COPRIME)
        return numbers
