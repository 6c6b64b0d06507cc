"""Whole rows in one Paillier plaintext, encrypted by those who hold the key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gmpy2 import mpz

from fedmf_ray.schemes.base import Aggregate, Evaluator, Integers, Secrets, Tags, Wire
from fedmf_ray.schemes.numbers import numbers_to_array
from fedmf_ray.schemes.paillier import ciphertexts as paillier
from fedmf_ray.schemes.paillier import kernels
from fedmf_ray.schemes.paillier.macs import CiphertextAuthenticator, CiphertextTags, PaillierKeyHolder
from fedmf_ray.schemes.paillier.slots import SlotLayout


class PackedKeyHolder(PaillierKeyHolder):
    """Whole rows as slots of one plaintext, encrypted with the key-holder's residue table.

    Pickles as p, q and the table's bytes, so that users' processes of a machine share one copy; the kernel
    is chosen where it is unpickled.
    """

    at_once = kernels.AT_ONCE

    def __init__(self, p: int, q: int, table: paillier.ResidueTable, slots: SlotLayout, nonce: bytes) -> None:
        self._p, self._q, self._table, self._slots, self.nonce = int(p), int(q), table, slots, nonce
        self._key = kernels.choose(slots.key_bits).PrivateKey(self._p, self._q, table)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._p, self._q, self._table, self._slots, self.nonce)

    def encrypt(self, integers: Integers, numbers: Sequence[mpz] = ()) -> Wire:
        if len(numbers):
            raise ValueError("tags are made by `protect`")
        layout = self._slots
        wire = np.empty((len(integers), layout.ciphertexts_per_row, layout.key_bits // 4), np.uint8)
        for rows in _chunks(len(integers)):
            wire[rows] = self._key.encrypt(layout.encode(integers[rows]), layout.offsets)
        return wire

    def decrypt(self, wire: Wire) -> Integers:
        layout = self._slots
        integers = np.empty((len(wire), layout.columns), np.int64)
        for rows in _chunks(len(wire)):
            integers[rows] = layout.decode(self._key.decrypt(wire[rows], layout.offsets))
        return integers

    def secrets(self) -> Secrets:
        return {"primes": numbers_to_array([self._p, self._q])}

    @cached_property
    def authenticator(self) -> CiphertextAuthenticator:  # type: ignore[override]
        return CiphertextAuthenticator((self._p, self._q), self._slots.ciphertexts_per_row, self.nonce)


class PackedEvaluator(Evaluator):
    """Multiplies ciphertexts modulo n**2; knows n and nothing else."""

    def __init__(self, n: int) -> None:
        self._n = int(n)

    def aggregate(self, wire: Wire) -> PackedAggregate:
        return PackedAggregate(self._n, wire)

    def tags(self, tag: Wire) -> Tags:
        return CiphertextTags(self, tag, int(self._n))

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        return paillier.ones(shape)

    def negate(self, wire: Wire) -> Wire:
        return paillier.invert(wire, mpz(self._n) ** 2)


class PackedAggregate(Aggregate):
    repeats = True

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
