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
from typing import Any, Protocol

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray
from phe.paillier import EncryptedNumber, PaillierPrivateKey, PaillierPublicKey

from fedmf_ray.crypto import kernels, paillier
from fedmf_ray.crypto.fixed_point import FixedPoint
from fedmf_ray.crypto.keys import generate_keys
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


def create(scheme: str, matrices: Matrices) -> tuple[Evaluator, KeyHolder]:
    """Make fresh keys and both sides of a scheme (``plain``, ``elementwise`` or ``packed``)."""
    if scheme == "plain":
        return PlainEvaluator(), PlainKeyHolder(matrices)
    public, private = generate_keys(matrices.key_bits)
    if scheme == "elementwise":
        return ElementwiseEvaluator(public), ElementwiseKeyHolder(public, private, matrices)
    if scheme == "packed":
        kernel = kernels.choose(matrices.key_bits)
        table = kernel.build_table(private.p, private.q, kernel.widest_window(matrices.key_bits // 2))
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
    if scheme != "packed":
        return 0
    return kernels.choose(matrices.key_bits).process_bytes(matrices.key_bits // 2)


# --- plain ---------------------------------------------------------------------------------------


class PlainKeyHolder:
    """Rounds to the grid and keeps the integers readable."""

    def __init__(self, matrices: Matrices) -> None:
        self._grid = matrices.grid

    def encrypt(self, values: Floats) -> Wire:
        integers = self._grid.to_integers(values).astype("<i8")
        return integers.view(np.uint8).reshape(*integers.shape, 8)

    def decrypt(self, wire: Wire) -> Floats:
        return self._grid.to_floats(_plain_integers(wire))


class PlainEvaluator:
    """Adds integers."""

    def aggregate(self, wire: Wire) -> PlainAggregate:
        return PlainAggregate(_plain_integers(wire).copy())


class PlainAggregate:
    def __init__(self, integers: NDArray[np.int64]) -> None:
        self._integers = integers

    def add(self, rows: NDArray[np.int64], wire: Wire) -> None:
        self._integers[rows] += _plain_integers(wire)

    def wire(self) -> Wire:
        return self._integers.astype("<i8").view(np.uint8).reshape(*self._integers.shape, 8)


def _plain_integers(wire: Wire) -> NDArray[np.int64]:
    return np.ascontiguousarray(wire).view("<i8")[..., 0]


# --- elementwise ---------------------------------------------------------------------------------


class ElementwiseKeyHolder:
    """``phe`` as the authors' prototype uses it: one value, one encryption with the public key."""

    def __init__(self, public: PaillierPublicKey, private: PaillierPrivateKey, matrices: Matrices) -> None:
        self._public, self._private, self._grid = public, private, matrices.grid

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


class ElementwiseEvaluator:
    """Adds with ``phe``'s own operator."""

    def __init__(self, public: PaillierPublicKey) -> None:
        self._public = public

    def aggregate(self, wire: Wire) -> ElementwiseAggregate:
        return ElementwiseAggregate(self._public, wire)


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

    Pickles as p, q and the table's bytes, so that Ray shares one copy of the table a machine; the kernel
    is chosen where it is unpickled.
    """

    def __init__(self, p: int, q: int, table: paillier.ResidueTable, matrices: Matrices) -> None:
        self._p, self._q, self._table, self._matrices = int(p), int(q), table, matrices
        self._key = kernels.choose(matrices.key_bits).PrivateKey(self._p, self._q, table)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._p, self._q, self._table, self._matrices)

    def encrypt(self, values: Floats) -> Wire:
        layout, grid = self._matrices.slots, self._matrices.grid
        wire = np.empty((len(values), layout.ciphertexts_per_row, self._matrices.key_bits // 4), np.uint8)
        for rows in _chunks(len(values)):
            wire[rows] = self._key.encrypt(layout.encode(grid.to_integers(values[rows])), layout.offsets)
        return wire

    def decrypt(self, wire: Wire) -> Floats:
        layout, grid = self._matrices.slots, self._matrices.grid
        values = np.empty((len(wire), layout.columns))
        for rows in _chunks(len(wire)):
            values[rows] = grid.to_floats(layout.decode(self._key.decrypt(wire[rows], layout.offsets)))
        return values


class PackedEvaluator:
    """Multiplies ciphertexts modulo n**2; knows n and nothing else."""

    def __init__(self, n: int) -> None:
        self._n = int(n)

    def aggregate(self, wire: Wire) -> PackedAggregate:
        return PackedAggregate(self._n, wire)


class PackedAggregate:
    def __init__(self, n: int, wire: Wire) -> None:
        self._shape = wire.shape
        self._sums = kernels.choose(n.bit_length()).Sums(n, wire.reshape(-1, wire.shape[-1]))

    def add(self, rows: NDArray[np.int64], wire: Wire) -> None:
        targets = rows[:, None] * self._shape[1] + np.arange(self._shape[1])
        self._sums.add(targets.ravel(), wire.reshape(-1, wire.shape[-1]))

    def wire(self) -> Wire:
        return self._sums.wire().reshape(self._shape)


def _chunks(rows: int) -> Iterator[slice]:
    """A few hundred rows at a time, so that big integers take little memory beside the matrix itself."""
    return (slice(first, first + 256) for first in range(0, rows, 256))


def _flat_positions(rows: NDArray[np.int64], per_row: int) -> list[int]:
    return (rows[:, None] * per_row + np.arange(per_row)).ravel().tolist()
