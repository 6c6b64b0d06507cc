"""Contiguous ranges of users, cut into pieces of work."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


CALL_RATINGS, CALL_BLOCKS = 1 << 16, 1 << 10
"""A call trains users with at most so many ratings (in the clear) or blocks to encrypt: servers add
uploads while later users still train, and an actor's memory does not grow with its number of users."""

COMBINED_RATINGS = 1 << 19
"""The same where uploads are combined: none waits for the end of a call, and a call takes about a second."""

_QUICKER = 256
"""Numbers of shared tables that users add to in the time of a rating, about."""


def shared_work(numbers: int, combined: bool) -> int:
    """How many ratings what a user adds to shared tables counts as in a call: in memory, or where uploads are
    combined, and none waits for the end of the call, in time."""
    return numbers // _QUICKER if combined else numbers


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
