"""No protection: integers on the grid, which the server can read. The paper's distributed baseline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.schemes.base import Floats, Matrices, Wire


class PlainKeyHolder:
    """Rounds to the grid and keeps the integers readable."""

    def __init__(self, matrices: Matrices) -> None:
        self._grid = matrices.grid

    def encrypt(self, values: Floats, numbers: Sequence[mpz] = ()) -> Wire:
        integers = self._grid.to_integers(values).astype("<i8", copy=False)
        return integers.view(np.uint8).reshape(*integers.shape, 8)

    def decrypt(self, wire: Wire) -> Floats:
        return self._grid.to_floats(_plain_integers(wire))

    def decrypt_number(self, ciphertext: Wire) -> mpz:
        raise NotImplementedError("nothing but values is hidden, and they are not")

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
