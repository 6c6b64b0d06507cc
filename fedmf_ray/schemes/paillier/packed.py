"""Whole rows in one Paillier plaintext, encrypted by those who hold the key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gmpy2 import mpz

from fedmf_ray.schemes.base import Aggregate, Evaluator, Integers, KeyHolder, Secrets, Wire
from fedmf_ray.schemes.numbers import numbers_to_array
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import kernels
from fedmf_ray.schemes.paillier.slots import SlotLayout
from fedmf_ray.schemes.tags import Authenticator


class PackedKeyHolder(KeyHolder):
    """Whole rows as slots of one plaintext, encrypted with the key-holder's residue table.

    Pickles as p, q and the table's bytes, so that users' processes of a machine share one copy; the kernel
    is chosen where it is unpickled.
    """

    at_once = kernels.AT_ONCE

    def __init__(self, p: int, q: int, table: paillier.ResidueTable, slots: SlotLayout) -> None:
        self._p, self._q, self._table, self._slots = int(p), int(q), table, slots
        self._key = kernels.choose(slots.key_bits).PrivateKey(self._p, self._q, table)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._p, self._q, self._table, self._slots)

    def encrypt(self, integers: Integers, numbers: Sequence[mpz] = ()) -> Wire:
        layout, count = self._slots, len(integers) + len(numbers)
        wire = np.empty((count, layout.ciphertexts_per_row, layout.key_bits // 4), np.uint8)
        for rows in _chunks(len(integers)) if count else ():
            packed = layout.encode(integers[rows])
            if rows.stop >= len(integers):  # numbers go with the last rows: kernels work on several at once
                rows = slice(rows.start, count)
                packed = np.concatenate([packed, self._number_rows(numbers)])
            wire[rows] = self._key.encrypt(packed, layout.offsets)
        return wire

    def _number_rows(self, numbers: Sequence[mpz]) -> Wire:
        """Numbers as packed plaintexts, (numbers, ciphertexts_per_row, bytes); the rest of a row is zero."""
        offsets, size = self._slots.offsets, self._slots.plaintext_bytes
        modulus = mpz(self._p) * self._q
        shifted = [[(number + offsets[0]) % modulus, *offsets[1:]] for number in numbers]
        flat = [mpz(number) for row in shifted for number in row]
        return paillier.serialise(flat, (len(numbers), len(offsets), size))

    def decrypt(self, wire: Wire) -> Integers:
        layout = self._slots
        integers = np.empty((len(wire), layout.columns), np.int64)
        for rows in _chunks(len(wire)):
            integers[rows] = layout.decode(self._key.decrypt(wire[rows], layout.offsets))
        return integers

    def decrypt_number(self, ciphertext: Wire) -> mpz:
        """(bytes,) to the number modulo n in it."""
        (number,) = paillier.parse(self._key.decrypt(ciphertext[None, None], [0]))
        return number

    def plaintexts(self, integers: Integers) -> list[mpz]:
        packed = paillier.parse(self._slots.encode(integers))
        return [number - offset for number, offset in zip(packed, itertools.cycle(self._slots.offsets))]

    def secrets(self) -> Secrets:
        return {"primes": numbers_to_array([self._p, self._q])}

    @cached_property
    def authenticator(self) -> Authenticator:  # type: ignore[override]
        return Authenticator.of_primes((self._p, self._q), self.decrypt_number)


class PackedEvaluator(Evaluator):
    """Multiplies ciphertexts modulo n**2; knows n and nothing else."""

    def __init__(self, n: int) -> None:
        self._n = int(n)

    def aggregate(self, wire: Wire) -> PackedAggregate:
        return PackedAggregate(self._n, wire)

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        return paillier.ones(shape)

    def negate(self, wire: Wire) -> Wire:
        return paillier.invert(wire, mpz(self._n) ** 2)


class PackedAggregate(Aggregate):
    def __init__(self, n: int, wire: Wire) -> None:
        self._shape = wire.shape
        self._sums = kernels.choose(n.bit_length()).Sums(n, wire.reshape(-1, wire.shape[-1]))

    def add(self, rows: Integers, wire: Wire) -> None:
        targets = rows[:, None] * self._shape[1] + np.arange(self._shape[1])
        self._sums.add(targets.ravel(), wire.reshape(-1, wire.shape[-1]))

    def wire(self) -> Wire:
        return self._sums.wire().reshape(self._shape)


def _chunks(rows: int) -> Iterator[slice]:
    """A few hundred rows at a time, so that big integers take little memory beside the matrix itself."""
    return (slice(first, first + 256) for first in range(0, max(1, rows), 256))
