"""Which nonces of uploads are in the sum of each row, in little more memory than the nonces take.

They arrive upload by upload. Those of many uploads are sorted by rows into a run, and what several runs have
of a contiguous range of rows is joined when the round is closed, one range after the other: no array but the
runs and the result grows with the number of nonces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.streams import NONCE_BYTES
from fedmf_ray.schemes.sides import Integers

Bytes = NDArray[np.uint8]

_RUN = 1 << 19
"""Nonces that wait before they become a run."""

_AT_ONCE = 1 << 18
"""Nonces that are joined at once, or those of one row."""


@dataclass(frozen=True)
class Run:
    """Sorted nonces, (k, 12). rows: (m,) increasing. starts: (m + 1,) where the nonces of each begin."""

    rows: Integers
    starts: Integers
    nonces: Bytes

    @classmethod
    def of(cls, rows: Integers, nonces: Bytes) -> Run:
        """rows: (k,) of each nonce, in any order."""
        order = wires.order_of(rows, nonces)
        there, counts = np.unique(rows, return_counts=True)
        return cls(there, np.concatenate([[0], np.cumsum(counts)]), nonces[order])

    def between(self, first: int, stop: int) -> tuple[Integers, Bytes]:
        """The row of each nonce in a range of rows, and these nonces."""
        begin, end = np.searchsorted(self.rows, (first, stop)).tolist()
        rows = np.repeat(self.rows[begin:end], np.diff(self.starts[begin : end + 1]))
        return rows, self.nonces[self.starts[begin] : self.starts[end]]

    def find(self, row: int, nonce: Bytes) -> int | None:
        """Where a nonce of a row is."""
        at = int(np.searchsorted(self.rows, row))
        if at == len(self.rows) or self.rows[at] != row:
            return None
        begin, end = self.starts[at : at + 2].tolist()
        found = np.flatnonzero((self.nonces[begin:end] == nonce).all(axis=1))
        return begin + int(found[0]) if len(found) else None

    def without(self, places: list[int]) -> Run:
        rows = np.repeat(self.rows, np.diff(self.starts))
        return Run.of(np.delete(rows, places), np.delete(self.nonces, places, axis=0))


class Listing:
    """The nonces that are in some sums."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._rows: list[Integers] = []
        self._nonces: list[Bytes] = []
        self._waiting = 0

    def __bool__(self) -> bool:
        return bool(self._rows) or any(len(run.nonces) for run in self._runs)

    def note(self, rows: Integers, nonces: Bytes) -> None:
        """(k,) rows and (k, 12) nonces are in the sums."""
        self._rows.append(rows)
        self._nonces.append(nonces)
        self._waiting += len(rows)
        if self._waiting >= _RUN:
            self.runs()

    def take(self, run: Run) -> None:
        """What another listing has is in these sums, too."""
        self._runs.append(run)

    def forget(self, rows: Integers, nonces: Bytes) -> None:
        """They were taken out again. Raises ``ValueError`` for what was never added."""
        runs = self.runs()
        places: list[list[int]] = [[] for _ in runs]
        for row, nonce in zip(rows.tolist(), nonces, strict=True):
            found = ((at, run.find(row, nonce)) for at, run in enumerate(runs))
            at, place = next(((at, place) for at, place in found if place is not None), (0, None))
            if place is None:
                raise ValueError("takes out what was never added")
            places[at].append(place)
        self._runs = [run.without(out) if out else run for run, out in zip(runs, places, strict=True)]

    def runs(self) -> list[Run]:
        """Everything, as runs."""
        if self._rows:
            self._runs.append(Run.of(np.concatenate(self._rows), np.concatenate(self._nonces)))
            self._rows, self._nonces, self._waiting = [], [], 0
        return list(self._runs)

    def closed(self, size: int) -> tuple[NDArray[np.uint32], Bytes]:
        """(rows,) how many nonces each of so many rows has, and all nonces, row after row and sorted in
        each. They are kept instead of what came before."""
        runs = self.runs()
        counts = np.zeros(size, np.uint32)
        for run in runs:
            counts[run.rows] += np.diff(run.starts).astype(np.uint32)
        starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        nonces = np.empty((int(starts[-1]), NONCE_BYTES), np.uint8)
        for first, stop in _ranges(starts):
            parts = [run.between(first, stop) for run in runs]
            rows, mine = (np.concatenate(some) for some in zip(*parts, strict=True))
            nonces[starts[first] : starts[stop]] = mine[wires.order_of(rows, mine)]
        there = np.flatnonzero(counts)
        self._runs = [Run(there, np.append(starts[there], starts[-1]), nonces)] if len(there) else []
        return counts, nonces

    def hold(self, nonces: Bytes) -> None:
        """Keep these instead of those of :meth:`closed`, which they equal."""
        self._runs = [replace(run, nonces=nonces) for run in self._runs]


def _ranges(starts: Integers) -> Iterator[tuple[int, int]]:
    """Contiguous ranges of rows with few nonces each. starts: (rows + 1,) where those of each begin."""
    first, rows = 0, len(starts) - 1
    while first < rows and starts[first] < starts[-1]:
        stop = int(np.searchsorted(starts, starts[first] + _AT_ONCE, side="right")) - 1
        stop = max(stop, first + 1)
        yield first, stop
        first = stop


def each_row(counts: NDArray[np.uint32]) -> Iterator[tuple[slice, Integers]]:
    """Closed nonces in pieces: which they are, and the row of each. counts: (rows,) of closed sums."""
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    for first, stop in _ranges(starts):
        rows = np.repeat(np.arange(first, stop), counts[first:stop])
        yield slice(int(starts[first]), int(starts[stop])), rows
