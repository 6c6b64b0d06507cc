"""Which rows of the item matrix users upload: the rated ones and decoys, and the blocks that these are in."""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning import compiled
from fedmf_ray.learning.blocks import KeptRatings
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes import Piece
from fedmf_ray.tables import SparseRows, Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


_FOUND_RATINGS = 1 << 20
"""Ratings whose rows are found at once."""


class UploadRows:
    """Rows and blocks of some users, the same every round.

    decoys: the rows without ratings that each uploads. counts, named_counts: (users,) how many rows each
    uploads, rated ones and decoys, and how many blocks these are in.
    """

    def __init__(self, train: KeptRatings, decoys: Sequence[Integers], blocks: Blocks) -> None:
        self.decoys, self._train = decoys, train
        counts, named = list[int](), list[NDArray[Any]]()
        for mine in self._rows():  # one at a time: all of them are as large as the ratings
            counts.append(len(mine))
            named.append(np.unique(mine // blocks.rows).astype(narrowest(blocks.item_count)))
        self.counts = np.array(counts, np.int64)
        self._named = _Ragged.of(named, blocks.item_count)
        self.named_counts = np.diff(self._named.starts)
        self._cuts = dict[int, Cut]()

    def _rows(self) -> Iterator[Integers]:
        """Of each user, increasing."""
        for user, decoys in enumerate(self.decoys):
            yield np.union1d(self._train.part(user, user + 1).items, decoys)

    def at(self, layout: Blocks) -> Cut:
        """What they are in a round of this layout: which shared tables are there may differ."""
        if layout.count not in self._cuts:
            self._cuts[layout.count] = Cut(self._train, self._named, layout)
        return self._cuts[layout.count]

    def within(self, first: int, stop: int) -> Integers:
        """(users,) how many of their item rows' blocks are in a range of blocks."""
        inside = np.concatenate([[0], np.cumsum((self._named.values >= first) & (self._named.values < stop))])
        return np.diff(inside[self._named.starts])

    def rated(self, blocks: Blocks) -> Integers:
        """(users,) how many blocks hold item rows that each rated, if they are cut so."""
        users = range(len(self.decoys))
        counts = [len(np.unique(self._train.part(at, at + 1).items // blocks.rows)) for at in users]
        return np.array(counts, np.int64)

    def under(self, blocks: Blocks) -> Integers:
        """(users,) how many blocks of item rows each would upload if they were cut otherwise."""
        counts = [len(np.unique(mine // blocks.rows)) for mine in self._rows()]
        return np.array(counts, np.int64)


class Cut:
    """The blocks that these rows and the shared tables are in.

    block_counts: (users,) how many each uploads.
    """

    def __init__(self, train: KeptRatings, named: _Ragged, layout: Blocks) -> None:
        """named: blocks of the item table, of each user."""
        self._layout, self._train, self._named = layout, train, named
        self.block_counts = np.diff(named.starts) + len(layout.shared)
        self._row_of_rating = self._find_rows()

    def _blocks_of(self, first: int, stop: int) -> _Ragged:
        """Of a contiguous range of users. Those of shared tables may be far more than those of items, and are
        the same for all: no more than these users' are ever in memory."""
        return self._named.part(first, stop).followed_by(self._layout.shared)

    def _find_rows(self) -> NDArray[Any]:
        """(ratings,) where each rating's item row is among the item rows of all blocks that users upload."""
        layout, train, blocks = self._layout, self._train, self._named
        found: NDArray[Any] = np.empty(len(train.items), narrowest(len(blocks.values) * layout.rows))
        for first, stop in train.groups(_FOUND_RATINGS):
            users, mine, named = np.arange(stop - first), train.part(first, stop), blocks.part(first, stop)
            # One number per (user, block), and they increase.
            places = np.repeat(users, np.diff(named.starts)) * layout.count + named.values
            rated = np.repeat(users, np.diff(mine.starts)) * layout.count + mine.items // layout.rows
            rows = (np.searchsorted(places, rated) + blocks.starts[first]) * layout.rows
            found[train.starts[first] : train.starts[stop]] = rows + mine.items % layout.rows
        return found

    def filled(
        self,
        first: int,
        stop: int,
        ratings: slice,
        steps: Floats,
        shared: Sequence[Floats | SparseRows] = (),
    ) -> tuple[Integers, Integers]:
        """The blocks of a contiguous range of users, one user after the other, and (blocks, columns) integers
        that are in them.

        ratings: those of these users; steps: (ratings, width) of theirs. shared: what they add to each shared
        table that is there, (users, rows, width) or few rows of each. Zeros elsewhere.
        """
        layout, blocks = self._layout, self._blocks_of(first, stop)
        at = self._row_of_rating[ratings].astype(np.int64) - self._named.starts[first] * layout.rows
        if shared and stop - first > 1:  # those of users before lie between
            counts = np.diff(self._train.starts[first : stop + 1])
            at += np.repeat(np.arange(stop - first), counts) * len(layout.shared) * layout.rows
        integers = np.zeros((len(blocks.values), layout.columns), np.int64)
        _put(layout.tables[0], steps, at, integers.reshape(-1, layout.width))
        starts = [start - layout.count for start in layout.starts[1:]]  # before the end of a user's blocks
        for table, added, start in zip(layout.present[1:], shared, starts[:-1], strict=True):
            for user, end in enumerate(blocks.starts[1:].tolist()):
                whole = integers[end + start : end].reshape(-1)[: table.rows * table.width]
                if isinstance(added, SparseRows):
                    rows, values = added.of_user(user)
                else:
                    rows, values = np.arange(table.rows), added[user]
                _put(table, values, rows, whole.reshape(table.rows, table.width))
        return blocks.values, integers

    def pieces(self, first: int, stop: int, user_ids: Sequence[int]) -> list[Piece]:
        """For each of a contiguous range of users and each server, which of their blocks it gets."""
        blocks, borders = self._blocks_of(first, stop), self._layout.borders
        starts = blocks.starts.tolist()
        pieces = []
        for user, (begin, end) in zip(user_ids, itertools.pairwise(starts), strict=True):
            cuts = [begin, end]
            if len(borders) > 2:
                cuts = (begin + np.searchsorted(blocks.values[begin:end], borders)).tolist()
            pieces += [Piece(user, border, cuts[at], cuts[at + 1]) for at, border in enumerate(borders[:-1])]
        return pieces


def _put(table: Table, values: Floats, at: Integers, rows: Integers) -> None:
    """rows[at] = values on the table's grid."""
    if not compiled.to_rows(values, at, table.scales, rows):
        rows[at] = table.to_integers(values)


def narrowest(most: int) -> type:
    """Of integers up to so many, that a run keeps one of for each rating."""
    return np.int32 if most < 1 << 31 else np.int64


def uploaded_count(rated: int, items: int, part_text_sparsity: float) -> int:
    """max(|rated|, ceil((1 - s) * items)), with the product rounded so that 0.3 * 40 is 12."""
    return max(rated, math.ceil(round((1.0 - part_text_sparsity) * items, 9)))


def draw_decoys(rated: Integers, terms: Terms) -> Integers:
    """Rows that a user did not rate and uploads all the same, increasing. Drawn once: fresh ones each round
    would fall to intersecting the rounds."""
    items = terms.blocks.items
    count = uploaded_count(len(np.unique(rated)), items, terms.part_text_sparsity) - len(np.unique(rated))
    if not count:
        return np.array([], np.int64)
    others = np.setdiff1d(np.arange(items), rated)
    # Not from the scenario's seed: whoever knows that could tell decoys from rated rows. Results do not
    # depend on decoys, they carry zeros.
    random = np.random.default_rng(secrets.randbits(128))
    return np.sort(random.choice(others, size=count, replace=False))


@dataclass(frozen=True)
class _Ragged:
    """Arrays of different lengths, one after the other: number k is values[starts[k] : starts[k + 1]]."""

    starts: Integers
    values: NDArray[Any]

    @classmethod
    def of(cls, arrays: Sequence[NDArray[Any]], most: int) -> _Ragged:
        """most: no number is larger."""
        starts = np.concatenate([[0], np.cumsum([len(array) for array in arrays])])
        return cls(starts, np.concatenate(arrays, dtype=narrowest(most), casting="same_kind"))

    def followed_by(self, others: Integers) -> _Ragged:
        """Each with the same numbers after its own."""
        if not len(others):
            return self
        starts = self.starts.tolist()
        values = [part for pair in itertools.pairwise(starts) for part in (self.values[slice(*pair)], others)]
        return _Ragged(self.starts + np.arange(len(starts)) * len(others), np.concatenate(values))

    def part(self, first: int, stop: int) -> _Ragged:
        """Some of them, in eight bytes each."""
        begin, end = self.starts[first], self.starts[stop]
        return _Ragged(self.starts[first : stop + 1] - begin, self.values[begin:end].astype(np.int64))
