"""How the rows of all tables are cut into blocks: what is encrypted, uploaded and added as one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.base import Shape
from fedmf_ray.tables import Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """Blocks of the item table come first: ``rows`` consecutive rows make one, as many as share ciphertexts
    that one row would leave half empty. Who uploads a row uploads its block, zeros for the others. The
    numbers of each shared table follow, row after row, in as many blocks as they need. The last block of a
    table is filled up with zeros. All blocks have the same number of columns and the same slots.

    servers: how many of them hold a range of blocks each. there: only so many of the tables are (:meth:`at`);
    None for all. Blocks have the same number, and the same server, whichever tables are there.
    """

    tables: tuple[Table, ...]
    rows: int = 1
    servers: int = 1
    there: int | None = None
    _by_round: dict[int, Blocks] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        changes = {table.since for table in self.tables} | {table.until or 0 for table in self.tables}
        for number in changes:
            here = [table.there(number) for table in self.tables]
            if here != sorted(here, reverse=True):
                raise ValueError("tables that are not there in every round should be the last ones")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.tables, self.rows, self.servers, self.there)

    def at(self, round_number: int) -> Blocks:
        """What users add to in a round: the same, if all tables are there in every round."""
        count = sum(table.there(round_number) for table in self.tables)
        there = None if count == len(self.tables) else count
        if there == self.there:
            return self
        if count not in self._by_round:
            self._by_round[count] = replace(self, there=there)
        return self._by_round[count]

    def opening(self, round_number: int) -> Blocks:
        """What is published as a round opens: the tables of the round before."""
        return self.at(max(0, round_number - 1))

    @cached_property
    def layouts(self) -> list[Blocks]:
        """All that there are in a run; one, if all tables are there in every round."""
        changes = {0} | {at for table in self.tables for at in (table.since, table.until) if at is not None}
        found = {layout.count: layout for layout in map(self.at, sorted(changes))}
        return list(found.values())

    @property
    def present(self) -> tuple[Table, ...]:
        """The tables that are there."""
        return self.tables[: self.there]

    @cached_property
    def items(self) -> int:
        """Rows of the item table."""
        return self.tables[0].rows

    @cached_property
    def width(self) -> int:
        """Numbers in a row of the item table."""
        return self.tables[0].width

    @cached_property
    def columns(self) -> int:
        """Numbers per block."""
        return self.rows * self.width

    @cached_property
    def item_count(self) -> int:
        """Blocks of the item table."""
        return -(-self.items // self.rows)

    @cached_property
    def starts(self) -> list[int]:
        """Where the blocks of each table that is there begin, and where the last one's end."""
        counts = [self.item_count]
        counts += [-(-table.rows * table.width // self.columns) for table in self.present[1:]]
        return [0, *np.cumsum(counts).tolist()]

    @property
    def count(self) -> int:
        """Of all tables that are there."""
        return self.starts[-1]

    @cached_property
    def shared_numbers(self) -> int:
        """Numbers in the shared tables that are there."""
        return sum(table.rows * table.width for table in self.present[1:])

    @property
    def shared(self) -> Integers:
        """(k,) the blocks of shared tables, which everybody uploads in every round."""
        return np.arange(self.item_count, self.count)

    @cached_property
    def fresh(self) -> Integers:
        """(k,) increasing blocks that hold the sum of one round alone, and start from zero in each."""
        ranges = [
            np.arange(self.starts[at], self.starts[at + 1])
            for at, table in enumerate(self.present)
            if table.fresh
        ]
        return np.concatenate(ranges) if ranges else np.array([], np.int64)

    @property
    def borders(self) -> list[int]:
        """(servers + 1,) where the ranges of blocks begin that each server holds, and the last one's end, if
        all tables are there."""
        count = replace(self, there=None).count if self.there is not None else self.count
        return [count * at // self.servers for at in range(self.servers + 1)]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The blocks that each server holds: where they begin, whatever is there, and where they end."""
        return [
            (first, max(first, min(stop, self.count))) for first, stop in itertools.pairwise(self.borders)
        ]

    def shared_within(self, first: int, stop: int) -> int:
        """How many blocks of a range are of shared tables, which everybody uploads."""
        return max(0, min(stop, self.count) - max(first, self.item_count))

    @cached_property
    def shape(self) -> Shape:
        """What a scheme needs to know of a block: the widest slot that any table ever needs serves all."""
        return Shape(self.columns, max(table.slot_bits for table in self.tables))

    def join(self, values: Sequence[Floats]) -> Integers:
        """(rows, width) of each table to (count, columns) integers on their grids, of those that are
        there."""
        tables = zip(self.present, values[: len(self.present)], strict=True)
        return np.concatenate([self._join(table, rows) for table, rows in tables])

    def _join(self, table: Table, rows: Floats) -> Integers:
        integers = table.to_integers(rows).ravel()
        blocks = -(-table.rows * table.width // self.columns)
        padded = np.zeros(blocks * self.columns, np.int64)
        padded[: len(integers)] = integers
        return padded.reshape(blocks, self.columns)

    def cut(self, integers: Integers) -> list[Floats]:
        """The inverse of :meth:`join`: (count, columns) integers to (rows, width) of each table; zeros of
        those that are not there."""
        values = []
        for at, table in enumerate(self.tables):
            if at >= len(self.present):
                values.append(np.zeros((table.rows, table.width)))
                continue
            whole = integers[self.starts[at] : self.starts[at + 1]].reshape(-1)
            rows = whole[: table.rows * table.width].reshape(table.rows, table.width)
            values.append(table.to_floats(rows))
        return values

    def rows_of(self, blocks: Integers) -> Integers:
        """(k * rows,) rows of the item table in some of its blocks; those beyond its end fill up the last."""
        return (blocks[:, None] * self.rows + np.arange(self.rows)).ravel()
