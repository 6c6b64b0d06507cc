"""Contiguous ranges of users, cut into pieces of work."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def cut(work: Integers, most: int) -> Integers:
    """Where to cut a contiguous range of users so that each piece has at most so much work (or one user):
    (pieces + 1,)."""
    cuts, done = [0], 0
    for at, one in enumerate(work.tolist()):
        if at > cuts[-1] and done + one > most:
            cuts.append(at)
            done = 0
        done += one
    return np.array([*cuts, len(work)])


def pairs(cuts: Integers) -> Iterator[tuple[int, int]]:
    return zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)


def runs(chosen: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Ranges of users that are all chosen."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
