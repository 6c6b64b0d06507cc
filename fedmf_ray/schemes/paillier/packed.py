"""Whole rows in one Paillier plaintext, encrypted by those who hold the key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.schemes.base import Floats, Matrices, Wire
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import kernels
from fedmf_ray.schemes.paillier.tags import Authenticator


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

    def encrypt(self, values: Floats, numbers: Sequence[mpz] = ()) -> Wire:
        layout, grid = self._matrices.slots, self._matrices.grid
        count = len(values) + len(numbers)
        wire = np.empty((count, layout.ciphertexts_per_row, self._matrices.key_bits // 4), np.uint8)
        for rows in _chunks(len(values)) if count else ():
            packed = layout.encode(grid.to_integers(values[rows]))
            if rows.stop >= len(values):  # numbers go with the last rows: kernels work on several at once
                rows = slice(rows.start, count)
                packed = np.concatenate([packed, self._number_rows(numbers)])
            wire[rows] = self._key.encrypt(packed, layout.offsets)
        return wire

    def _number_rows(self, numbers: Sequence[mpz]) -> Wire:
        """Numbers as packed plaintexts, (numbers, ciphertexts_per_row, bytes); the rest of a row is zero."""
        offsets, size = self._matrices.slots.offsets, self._matrices.slots.plaintext_bytes
        modulus = mpz(self._p) * self._q
        shifted = [[(number + offsets[0]) % modulus, *offsets[1:]] for number in numbers]
        flat = [mpz(number) for row in shifted for number in row]
        return paillier.serialise(flat, (len(numbers), len(offsets), size))

    def decrypt(self, wire: Wire) -> Floats:
        layout, grid = self._matrices.slots, self._matrices.grid
        values = np.empty((len(wire), layout.columns))
        for rows in _chunks(len(wire)):
            values[rows] = grid.to_floats(layout.decode(self._key.decrypt(wire[rows], layout.offsets)))
        return values

    def decrypt_number(self, ciphertext: Wire) -> mpz:
        (number,) = paillier.parse(self._key.decrypt(ciphertext[None, None], [0]))
        return number

    def plaintexts(self, values: Floats) -> list[mpz]:
        layout = self._matrices.slots
        packed = paillier.parse(layout.encode(self._matrices.grid.to_integers(values)))
        return [number - offset for number, offset in zip(packed, itertools.cycle(layout.offsets))]

    @property
    def primes(self) -> tuple[int, int]:
        return self._p, self._q

    @cached_property
    def authenticator(self) -> Authenticator:
        return Authenticator(self.primes, self.decrypt_number)


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
        self._shape = wire.shape
        self._sums = kernels.choose(n.bit_length()).Sums(n, wire.reshape(-1, wire.shape[-1]))

    def add(self, rows: NDArray[np.int64], wire: Wire) -> None:
        targets = rows[:, None] * self._shape[1] + np.arange(self._shape[1])
        self._sums.add(targets.ravel(), wire.reshape(-1, wire.shape[-1]))

    def wire(self) -> Wire:
        return self._sums.wire().reshape(self._shape)


def _chunks(rows: int) -> Iterator[slice]:
    """A few hundred rows at a time, so that big integers take little memory beside the matrix itself."""
    return (slice(first, first + 256) for first in range(0, max(1, rows), 256))
