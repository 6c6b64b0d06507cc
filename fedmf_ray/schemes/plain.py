"""No protection: integers on the grid, which the server can read. The paper's distributed baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from gmpy2 import mpz

from fedmf_ray.schemes.base import (
    Aggregate,
    Evaluator,
    Integers,
    KeyHolder,
    Reads,
    Rows,
    Scheme,
    Secrets,
    Shape,
    Wire,
)
from fedmf_ray.schemes.masked import compiled

_BYTES = 8


@dataclass(frozen=True)
class Plain(Scheme):
    """Integers as they are, eight bytes each."""

    name: ClassVar[str] = "plain"
    server_reads: ClassVar[Reads] = Reads.EVERYTHING
    lightweight: ClassVar[bool] = True
    unit_rows: ClassVar[tuple[int, int]] = (1, 2048)

    def sides(self, shape: Shape, secrets: Secrets | None = None) -> tuple[Evaluator, KeyHolder]:
        return PlainEvaluator(), PlainKeyHolder()

    def block_bytes(self, shape: Shape) -> int:
        return _BYTES * shape.columns

    def layout(self, rows: Rows) -> str:
        return f"plain integers, {rows.value_bits} bits of 64 in use"


class PlainKeyHolder(KeyHolder):
    """Keeps the integers readable."""

    def encrypt(self, integers: Integers, numbers: Sequence[mpz] = ()) -> Wire:
        return _wire(integers)

    def decrypt(self, wire: Wire) -> Integers:
        return _integers(wire)


class PlainEvaluator(Evaluator):
    """Adds integers."""

    def aggregate(self, wire: Wire) -> PlainAggregate:
        return PlainAggregate(_integers(wire).copy())

    def zeros(self, shape: tuple[int, ...]) -> Wire:
        return np.zeros(shape, np.uint8)

    def negate(self, wire: Wire) -> Wire:
        return _wire(-_integers(wire))


class PlainAggregate(Aggregate):
    repeats, at_once = True, 1 << 24  # added where they are, without a copy

    def __init__(self, integers: Integers) -> None:
        self._integers = integers

    def add(self, rows: Integers, wire: Wire) -> None:
        integers = _integers(wire)
        if compiled.put_on(self._integers, rows, integers):
            return
        if len(rows) > 1 and not (rows[1:] > rows[:-1]).all():
            np.add.at(self._integers, rows, integers)  # some may come several times
            return
        total = self._integers.take(rows, axis=0)  # `+=` on rows would gather more slowly
        total += integers
        self._integers[rows] = total

    def add_all(self, rows: Integers, wires: Sequence[Wire]) -> None:
        """Without a copy of all: it would take longer than adding them."""
        begin = 0
        for wire in wires:
            self.add(rows[begin : begin + len(wire)], wire)
            begin += len(wire)

    def wire(self) -> Wire:
        return _wire(self._integers.copy())


def _integers(wire: Wire) -> Integers:
    return np.ascontiguousarray(wire).view("<i8")[..., 0]


def _wire(integers: Integers) -> Wire:
    little = np.ascontiguousarray(integers).astype("<i8", copy=False)
    return little.view(np.uint8).reshape(*integers.shape, _BYTES)
