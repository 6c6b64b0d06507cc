"""How the rows of all tables are cut into blocks: what is encrypted, uploaded and added as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    servers: how many of them hold a range of blocks each.
    """

    tables: tuple[Table, ...]
    rows: int = 1
    servers: int = 1

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
        """Where the blocks of each table begin, and where the last one's end."""
        counts = [self.item_count]
        counts += [-(-table.rows * table.width // self.columns) for table in self.tables[1:]]
        return [0, *np.cumsum(counts).tolist()]

    @property
    def count(self) -> int:
        """Of all tables."""
        return self.starts[-1]

    @cached_property
    def shared_numbers(self) -> int:
        """Numbers in all shared tables."""
        return sum(table.rows * table.width for table in self.tables[1:])

    @property
    def shared(self) -> Integers:
        """(k,) the blocks of shared tables, which everybody uploads in every round."""
        return np.arange(self.item_count, self.count)

    @cached_property
    def fresh(self) -> Integers:
        """(k,) increasing blocks that hold the sum of one round alone, and start from zero in each."""
        ranges = [
            np.arange(self.starts[at], self.starts[at + 1])
            for at, table in enumerate(self.tables)
            if table.fresh
        ]
        return np.concatenate(ranges) if ranges else np.array([], np.int64)

    @property
    def borders(self) -> list[int]:
        """(servers + 1,) where the ranges of blocks begin that each server holds, and the last one's end."""
        return [self.count * at // self.servers for at in range(self.servers + 1)]

    @cached_property
    def shape(self) -> Shape:
        """What a scheme needs to know of a block: the widest slot that any table needs serves all."""
        return Shape(self.columns, max(table.slot_bits for table in self.tables))

    def join(self, values: Sequence[Floats]) -> Integers:
        """(rows, width) of each table to (count, columns) integers on their grids."""
        tables = zip(self.tables, values, strict=True)
        return np.concatenate([self._join(table, rows) for table, rows in tables])

    def join_shared(self, values: Sequence[Floats]) -> Integers:
        """The blocks of the shared tables alone."""
        tables = zip(self.tables[1:], values, strict=True)
        return np.concatenate([self._join(table, rows) for table, rows in tables])

    def _join(self, table: Table, rows: Floats) -> Integers:
        integers = table.to_integers(rows).ravel()
        blocks = -(-table.rows * table.width // self.columns)
        padded = np.zeros(blocks * self.columns, np.int64)
        padded[: len(integers)] = integers
        return padded.reshape(blocks, self.columns)

    def cut(self, integers: Integers) -> list[Floats]:
        """The inverse of :meth:`join`: (count, columns) integers to (rows, width) of each table."""
        values = []
        for at, table in enumerate(self.tables):
            whole = integers[self.starts[at] : self.starts[at + 1]].reshape(-1)
            rows = whole[: table.rows * table.width].reshape(table.rows, table.width)
            values.append(table.to_floats(rows))
        return values

    def rows_of(self, blocks: Integers) -> Integers:
        """(k * rows,) rows of the item table in some of its blocks; those beyond its end fill up the last."""
        return (blocks[:, None] * self.rows + np.arange(self.rows)).ravel()
