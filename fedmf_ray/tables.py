"""What users add up, by name: tables of numbers, whose columns each have a grid, bounds and a meaning.

An update rule declares its tables (:mod:`fedmf_ray.learning.rules`). The first one is the *item table*, a row
per item. Others are *shared*: small ones, such as a d x d matrix, to which every user adds in every round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.fixed_point import FixedPoint, to_floats, to_integers

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

Meaning = Literal["kept", "fresh"]
"""``kept``: what users add stays, as in V. ``fresh``: the column is the sum of the latest round alone."""

FACTORS, BIAS, RATERS = "factors", "bias", "raters"
"""Columns that more than one rule has: v_j, b_j, and the number of raters n_j, each of whom adds 1 once."""

ITEMS = "items"
"""The name of the item table."""


@dataclass(frozen=True)
class SparseRows:
    """What some users add to few rows of a table, one user after the other; zeros elsewhere.

    starts: (users + 1,) where those of each begin. rows: (k,) increasing for each. values: (k, width).
    """

    starts: Integers
    rows: Integers
    values: Floats

    @classmethod
    def of(cls, users: Sequence[tuple[Integers, Floats]], width: int) -> SparseRows:
        """From the rows and values of each user."""
        none = np.empty(0, np.int64), np.empty((0, width))
        rows, values = (np.concatenate(some) for some in zip(none, *users, strict=True))
        return cls(np.cumsum([0, *(len(each) for each, _ in users)]), rows, values)

    def of_user(self, user: int) -> tuple[Integers, Floats]:
        """The rows and values of one, by position."""
        mine = slice(*self.starts[user : user + 2].tolist())
        return self.rows[mine], self.values[mine]

    def dense(self, rows: int) -> Floats:
        """(users, rows, width)."""
        whole = np.zeros((len(self.starts) - 1, rows, self.values.shape[1]))
        whole[np.repeat(np.arange(len(whole)), np.diff(self.starts)), self.rows] = self.values
        return whole


@dataclass(frozen=True)
class Column:
    """Some numbers of a row under one name: ``count`` of them side by side (d for the factors)."""

    name: str
    count: int
    point: FixedPoint
    meaning: Meaning = "kept"

    @property
    def slot_bits(self) -> int:
        """Bits that hold any of its sums. A fresh one starts each round from zero, so it is what all users
        add in one round and no more."""
        return self.point.slot_bits if self.meaning == "kept" else self.point.round_bits


@dataclass(frozen=True)
class Table:
    """Rows of columns. A table is its own grid: it knows how each of its numbers becomes an integer.

    since, until: the rounds that it is there in, the last one left out (None: to the end). In others it is
    neither uploaded nor published. Only a fresh one may come later, or go: what is kept would be lost.
    """

    name: str
    rows: int
    columns: tuple[Column, ...]
    since: int = 0
    until: int | None = None

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"table {self.name!r}: two columns of one name: {', '.join(names)}")
        if len({column.meaning for column in self.columns}) != 1:
            raise ValueError(
                f"table {self.name!r}: servers reset whole rows: its columns are all kept or all fresh"
            )
        if not self.always and not self.fresh:
            raise ValueError(f"table {self.name!r}: what is kept must be there in every round")

    @property
    def always(self) -> bool:
        """Whether it is there in every round."""
        return self.since == 0 and self.until is None

    def there(self, round_number: int) -> bool:
        """Whether users add to it in this round."""
        return self.since <= round_number and (self.until is None or round_number < self.until)

    @property
    def fresh(self) -> bool:
        return self.columns[0].meaning == "fresh"

    @cached_property
    def width(self) -> int:
        """Numbers in a row."""
        return sum(column.count for column in self.columns)

    def __contains__(self, name: str) -> bool:
        return any(column.name == name for column in self.columns)

    def at(self, name: str) -> slice:
        """Where a column stands in a row; raises ``KeyError`` if the table has none of that name."""
        begin = 0
        for column in self.columns:
            if column.name == name:
                return slice(begin, begin + column.count)
            begin += column.count
        raise KeyError(name)

    @cached_property
    def slot_bits(self) -> int:
        """Bits that hold any of its sums: the widest column counts."""
        return max(column.slot_bits for column in self.columns)

    @cached_property
    def value_bounds(self) -> Floats:
        """(width,) largest absolute values between rounds."""
        return self._each([column.point.value_bound for column in self.columns])

    @cached_property
    def update_bounds(self) -> Floats:
        """(width,) largest absolute steps of one user in one round."""
        return self._each([column.point.update_bound for column in self.columns])

    def to_integers(self, values: Floats) -> Integers:
        """(n, k * width) values of k rows side by side, rounded to their grids."""
        return to_integers(values, self._scale(values.shape[-1]))

    def to_floats(self, integers: Integers) -> Floats:
        """The inverse; exact below 2**53."""
        return to_floats(integers, self._scale(integers.shape[-1]))

    @cached_property
    def scales(self) -> Floats:
        """(width,) what values are multiplied by on their grids: powers of two."""
        return self._each([column.point.scale for column in self.columns])

    @cached_property
    def _uniform(self) -> float | None:
        """The scale of all columns, if they have one grid: a multiplication by an array takes longer."""
        return float(self.scales[0]) if (self.scales == self.scales[0]).all() else None

    def _scale(self, columns: int) -> float | Floats:
        return np.resize(self.scales, columns) if self._uniform is None else self._uniform

    def _each(self, numbers: list[float]) -> Floats:
        return np.repeat(np.array(numbers, float), [column.count for column in self.columns])
