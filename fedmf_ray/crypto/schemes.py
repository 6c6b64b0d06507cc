"""Three ways to protect a matrix behind one interface: ``plain``, ``elementwise``, ``packed``.

========== ============================================ ======================== =====================
scheme     what it is                                   one ciphertext holds     wire bytes
========== ============================================ ======================== =====================
plain      integers, no protection (the paper's         one value                8 a value
           distributed MF)
elementwise ``phe`` as it comes (the paper's prototype)  one value                key_bits/4 a value
packed     signed slots, key-holder encryption          a row, or several rows   key_bits/4 a plaintext
========== ============================================ ======================== =====================

All three carry the same integers, so after any sequence of additions they decrypt to the same bits.
A matrix travels as (rows, ciphertexts_per_row, bytes) uint8, little endian and of fixed width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray
from phe.paillier import EncryptedNumber, PaillierPrivateKey, PaillierPublicKey

from fedmf_ray.crypto import paillier
from fedmf_ray.crypto.authentication import Authenticator, NumberCipher
from fedmf_ray.crypto.fixed_point import FixedPoint
from fedmf_ray.crypto.keys import generate_keys, restore_keys
from fedmf_ray.crypto.slots import SlotLayout

Floats = NDArray[np.float64]
Wire = NDArray[np.uint8]

SCHEMES = ("plain", "elementwise", "packed")


class KeyHolder(Protocol):
    """A user's side: it can read everything."""

    def encrypt(self, values: Floats) -> Wire:
        """(rows, columns) within the grid's bounds to (rows, ciphertexts_per_row, bytes)."""

    def decrypt(self, wire: Wire) -> Floats:
        """(rows, ciphertexts_per_row, bytes) to (rows, columns)."""

    def plaintexts(self, values: Floats) -> list[mpz]:
        """The numbers that :meth:`encrypt` would encrypt, row by row."""

    @property
    def primes(self) -> tuple[int, int] | None:
        """The private key, for the users' own safe-keeping; None where there is none."""

    @property
    def authenticator(self) -> Authenticator | None:
        """Makes and checks tags; None where nothing is hidden from the server anyway."""


class Aggregate(Protocol):
    """A sum of encrypted matrices in the making."""

    def add(self, rows: NDArray[np.int64], wire: Wire) -> None:
        """Add encrypted rows to the given rows of the sum.

        Raises ``ValueError`` with the reason if a ciphertext is malformed; nothing is added then.
        """

    def wire(self) -> Wire:
        """The sum as it stands."""


class Evaluator(Protocol):
    """The server's side: public key only, validates and adds."""

    def aggregate(self, wire: Wire) -> Aggregate:
        """Start a sum from an encrypted matrix."""

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        """An encrypted matrix of zeros that anybody can make: where a partial sum starts."""

    def negate(self, wire: Wire) -> Wire:
        """What takes an encrypted matrix out of a sum again, to the last bit."""


@dataclass(frozen=True)
class Matrices:
    """What is fixed about the matrices that a scheme protects.

    columns: values per row.
    grid: fixed point and bounds.
    key_bits: size of n (0 for ``plain``).
    """

    columns: int
    grid: FixedPoint
    key_bits: int

    @property
    def slots(self) -> SlotLayout:
        return SlotLayout(self.grid.slot_bits, self.columns, self.key_bits)


def create(
    scheme: str, matrices: Matrices, primes: tuple[int, int] | None = None
) -> tuple[Evaluator, KeyHolder]:
    """Make both sides of a scheme (``plain``, ``elementwise`` or ``packed``), with fresh keys unless the
    primes of a pair are given."""
    if scheme == "plain":
        return PlainEvaluator(), PlainKeyHolder(matrices)
    public, private = restore_keys(*primes) if primes else generate_keys(matrices.key_bits)
    if scheme == "elementwise":
        return ElementwiseEvaluator(public), ElementwiseKeyHolder(public, private, matrices)
    if scheme == "packed":
        window = paillier.widest_window(matrices.key_bits // 2)
        table = paillier.ResidueTable.build(mpz(private.p), mpz(private.q), window)
        return PackedEvaluator(public.n), PackedKeyHolder(private.p, private.q, table, matrices)
    raise ValueError(f"no scheme {scheme!r}: one of {', '.join(SCHEMES)}")


def ciphertexts_per_row(scheme: str, matrices: Matrices) -> int:
    """How many ciphertexts (for ``plain``: integers) one encrypted row is."""
    return matrices.slots.ciphertexts_per_row if scheme == "packed" else matrices.columns


def wire_bytes(scheme: str, matrices: Matrices) -> int:
    """Bytes of one encrypted row."""
    return ciphertexts_per_row(scheme, matrices) * (8 if scheme == "plain" else matrices.key_bits // 4)


def table_bytes(scheme: str, matrices: Matrices) -> int:
    """Memory that a key holder takes for its residue table, if it has one."""
    return paillier.unpacked_bytes(matrices.key_bits // 2) if scheme == "packed" else 0


# --- plain ---------------------------------------------------------------------------------------


class PlainKeyHolder:
    """Rounds to the grid and keeps the integers readable."""

    def __init__(self, matrices: Matrices) -> None:
        self._grid = matrices.grid

    def encrypt(self, values: Floats) -> Wire:
        integers = self._grid.to_integers(values).astype("<i8", copy=False)
        return integers.view(np.uint8).reshape(*integers.shape, 8)

    def decrypt(self, wire: Wire) -> Floats:
        return self._grid.to_floats(_plain_integers(wire))

    def plaintexts(self, values: Floats) -> list[mpz]:
        return [mpz(q) for q in self._grid.to_integers(values).ravel().tolist()]

    @property
    def primes(self) -> None:
        return None

    @property
    def authenticator(self) -> None:
        return None


class PlainEvaluator:
    """Adds integers."""

    def aggregate(self, wire: Wire) -> PlainAggregate:
        return PlainAggregate(_plain_integers(wire).copy())

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        return np.zeros(shape, np.uint8)

    def negate(self, wire: Wire) -> Wire:
        return (-_plain_integers(wire)).astype("<i8").view(np.uint8).reshape(wire.shape)


class PlainAggregate:
    def __init__(self, integers: NDArray[np.int64]) -> None:
        self._integers = integers

    def add(self, rows: NDArray[np.int64], wire: Wire) -> None:
        total = self._integers.take(rows, axis=0)  # `+=` on rows would gather more slowly
        total += _plain_integers(wire)
        self._integers[rows] = total

    def wire(self) -> Wire:
        return self._integers.astype("<i8").view(np.uint8).reshape(*self._integers.shape, 8)


def _plain_integers(wire: Wire) -> NDArray[np.int64]:
    return np.ascontiguousarray(wire).view("<i8")[..., 0]


# --- elementwise ---------------------------------------------------------------------------------


class ElementwiseKeyHolder:
    """``phe`` as the authors' prototype uses it: one value, one encryption with the public key."""

    def __init__(self, public: PaillierPublicKey, private: PaillierPrivateKey, matrices: Matrices) -> None:
        self._public, self._private = public, private
        self._matrices, self._grid = matrices, matrices.grid

    def encrypt(self, values: Floats) -> Wire:
        wire = np.empty((*values.shape, _ciphertext_bytes(self._public)), np.uint8)
        for row, integers in zip(wire, self._grid.to_integers(values), strict=True):
            encrypted = (self._public.encrypt(int(q)) for q in integers)
            row[:] = paillier.serialise((mpz(e.ciphertext(be_secure=False)) for e in encrypted), row.shape)
        return wire

    def decrypt(self, wire: Wire) -> Floats:
        integers = np.empty(wire.shape[:2], np.int64)
        for row, ciphertexts in zip(integers, wire, strict=True):
            numbers = (EncryptedNumber(self._public, int(c)) for c in paillier.parse(ciphertexts))
            row[:] = [self._private.decrypt(e) for e in numbers]
        return self._grid.to_floats(integers)

    def plaintexts(self, values: Floats) -> list[mpz]:
        return [mpz(q) for q in self._grid.to_integers(values).ravel().tolist()]

    @property
    def primes(self) -> tuple[int, int]:
        return self._private.p, self._private.q

    @cached_property
    def authenticator(self) -> Authenticator:
        private, public = self._private, self._public
        cipher = NumberCipher(
            lambda number: mpz(public.raw_encrypt(int(number))),
            lambda number: mpz(private.raw_decrypt(int(number))),
        )
        return Authenticator(_users_secret(self.primes), public.n, cipher)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._public, self._private, self._matrices)


class ElementwiseEvaluator:
    """Adds with ``phe``'s own operator."""

    def __init__(self, public: PaillierPublicKey) -> None:
        self._public = public

    def aggregate(self, wire: Wire) -> ElementwiseAggregate:
        return ElementwiseAggregate(self._public, wire)

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        return paillier.ones(shape)

    def negate(self, wire: Wire) -> Wire:
        return paillier.invert(wire, mpz(self._public.nsquare))


class ElementwiseAggregate:
    def __init__(self, public: PaillierPublicKey, wire: Wire) -> None:
        self._public, self._shape = public, wire.shape
        self._n, self._n_square = mpz(public.n), mpz(public.nsquare)
        self._sums = self._read(wire)

    def add(self, rows: NDArray[np.int64], wire: Wire) -> None:
        for at, number in zip(_flat_positions(rows, self._shape[1]), self._read(wire), strict=True):
            self._sums[at] = self._sums[at] + number

    def wire(self) -> Wire:
        # be_secure=False: a sum of fresh ciphertexts is already random, blinding it again buys nothing.
        return paillier.serialise((mpz(e.ciphertext(be_secure=False)) for e in self._sums), self._shape)

    def _read(self, wire: Wire) -> list[Any]:
        numbers = paillier.parse(wire)
        paillier.check_ciphertexts(numbers, self._n, self._n_square)
        return [EncryptedNumber(self._public, int(c)) for c in numbers]


def _ciphertext_bytes(public: PaillierPublicKey) -> int:
    return -(-int(public.nsquare).bit_length() // 8)


# --- packed --------------------------------------------------------------------------------------


class PackedKeyHolder:
    """Whole rows as slots of one plaintext, encrypted with the key-holder's residue table.

    Pickles as p, q and the table's bytes, so that Ray shares one copy of the table a machine.
    """

    def __init__(self, p: int, q: int, table: paillier.ResidueTable, matrices: Matrices) -> None:
        self._key = paillier.PrivateKey(p, q, table)
        self._matrices = matrices

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (int(self._key.p), int(self._key.q), self._key.table, self._matrices)

    def encrypt(self, values: Floats) -> Wire:
        layout, grid = self._matrices.slots, self._matrices.grid
        wire = np.empty((len(values), layout.ciphertexts_per_row, self._key.ciphertext_bytes), np.uint8)
        for rows in _chunks(len(values)):
            ciphertexts = self._key.encrypt(layout.encode(grid.to_integers(values[rows])))
            wire[rows] = paillier.serialise(ciphertexts, wire[rows].shape)
        return wire

    def decrypt(self, wire: Wire) -> Floats:
        layout, grid = self._matrices.slots, self._matrices.grid
        values = np.empty((len(wire), layout.columns))
        for rows in _chunks(len(wire)):
            values[rows] = grid.to_floats(layout.decode(self._key.decrypt(paillier.parse(wire[rows]))))
        return values

    def plaintexts(self, values: Floats) -> list[mpz]:
        return self._matrices.slots.encode(self._matrices.grid.to_integers(values))

    @property
    def primes(self) -> tuple[int, int]:
        return int(self._key.p), int(self._key.q)

    @cached_property
    def authenticator(self) -> Authenticator:
        key = self._key
        cipher = NumberCipher(
            lambda number: key.encrypt([number])[0], lambda number: key.decrypt([number])[0]
        )
        return Authenticator(_users_secret(self.primes), int(key.n), cipher)


class PackedEvaluator:
    """Multiplies ciphertexts modulo n**2; knows n and nothing else."""

    def __init__(self, n: int) -> None:
        self._n = int(n)

    def aggregate(self, wire: Wire) -> PackedAggregate:
        return PackedAggregate(self._n, wire)

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        return paillier.ones(shape)

    def negate(self, wire: Wire) -> Wire:
        return paillier.invert(wire, mpz(self._n) ** 2)


class PackedAggregate:
    def __init__(self, n: int, wire: Wire) -> None:
        self._n, self._n_square, self._shape = mpz(n), mpz(n) ** 2, wire.shape
        self._sums = self._read(wire)

    def add(self, rows: NDArray[np.int64], wire: Wire) -> None:
        numbers, sums, n_square = self._read(wire), self._sums, self._n_square
        for at, number in zip(_flat_positions(rows, self._shape[1]), numbers, strict=True):
            sums[at] = sums[at] * number % n_square

    def wire(self) -> Wire:
        return paillier.serialise(self._sums, self._shape)

    def _read(self, wire: Wire) -> list[mpz]:
        numbers = paillier.parse(wire)
        paillier.check_ciphertexts(numbers, self._n, self._n_square)
        return numbers


def _users_secret(primes: tuple[int, int]) -> bytes:
    """Whoever has the private key has this, and nobody else."""
    return b"".join(prime.to_bytes(-(-prime.bit_length() // 8), "little") for prime in sorted(primes))


def _chunks(rows: int) -> Iterator[slice]:
    """A few hundred rows at a time, so that big integers take little memory beside the matrix itself."""
    return (slice(first, first + 256) for first in range(0, rows, 256))


def _flat_positions(rows: NDArray[np.int64], per_row: int) -> list[int]:
    return (rows[:, None] * per_row + np.arange(per_row)).ravel().tolist()
