"""Losses as sums that can be added up: users report them, nobody else sees a rating."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning import compiled
from fedmf_ray.learning.blocks import KeptRatings, RatingBlock, inner

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_AT_ONCE = 1 << 18
"""Training ratings whose errors are worked out at once."""

Corrections = Callable[[int, Integers], Floats]
"""What is added to a user's predictions, by its position: (n,) for n rows of the item matrix."""


class ErrorSums(NamedTuple):
    """Users' errors on their own ratings, an entry per user: sums over the training and the test set."""

    train_count: Integers
    train_squared: Floats
    test_count: Integers
    test_squared: Floats
    test_absolute: Floats


class Losses(NamedTuple):
    """train_mse: mean squared training error; test_rmse, test_mae: on held-out ratings (NaN if none)."""

    train_mse: float
    test_rmse: float
    test_mae: float


def error_sums(
    user_vectors: Floats,
    item_matrix: Floats,
    train: RatingBlock,
    test: RatingBlock,
    clip: tuple[float, float] | None = None,
    more: Corrections | None = None,
) -> ErrorSums:
    """r - <u_i, v_j> over each user's ratings, as the sums that it reports.

    user_vectors: (users, factors). clip: what predictions are cut to. more: what is added to them before. A
    user's sums have the same bits in any company.
    """
    train_squared, _ = _sums(user_vectors, item_matrix, train, clip, more)
    test_squared, test_absolute = _sums(user_vectors, item_matrix, test, clip, more)
    return ErrorSums(np.diff(train.starts), train_squared, np.diff(test.starts), test_squared, test_absolute)


def kept_error_sums(
    user_vectors: Floats,
    item_matrix: Floats,
    train: KeptRatings,
    test: KeptRatings,
    clip: tuple[float, float] | None = None,
    more: Corrections | None = None,
) -> ErrorSums:
    """The same of ratings as a run keeps them, with little memory beside."""
    sums = []
    for first, stop in train.groups(_AT_ONCE):

        def here(user: int, rows: Integers, first: int = first) -> Floats:
            assert more is not None
            return more(first + user, rows)

        mine, held_out = train.part(first, stop), test.part(first, stop)
        vectors = user_vectors[first:stop]
        sums.append(error_sums(vectors, item_matrix, mine, held_out, clip, here if more else None))
    return ErrorSums(*(np.concatenate(column) for column in zip(*sums, strict=True)))


def _sums(
    user_vectors: Floats,
    item_matrix: Floats,
    block: RatingBlock,
    clip: tuple[float, float] | None,
    more: Corrections | None,
) -> tuple[Floats, Floats]:
    """(users,) squared and absolute errors. User by user: one's ratings at a time fit the cache."""
    done = None if more else compiled.errors(user_vectors, item_matrix, block, clip)
    if done is not None:
        return done
    squared, absolute = np.zeros(len(user_vectors)), np.zeros(len(user_vectors))
    if len(block.items):
        starts = block.starts.tolist()
        for at, vector in enumerate(user_vectors):
            mine = slice(starts[at], starts[at + 1])
            if mine.start == mine.stop:
                continue
            expected = inner(vector, item_matrix.take(block.items[mine], axis=0))
            if more is not None:
                expected += more(at, block.items[mine])
            if clip is not None:
                np.clip(expected, *clip, out=expected)
            errors = block.values[mine] - expected
            squared[at], absolute[at] = np.add.reduce(errors**2), np.add.reduce(np.abs(errors))
    return squared, absolute


def combine(parts: Iterable[ErrorSums]) -> Losses:
    """Losses over all users. ``math.fsum`` rounds once, so the order of users does not matter."""
    sums = [np.concatenate(column) for column in zip(*parts, strict=True)]
    train_count, test_count = int(sums[0].sum()), int(sums[2].sum())
    train_squared, test_squared, test_absolute = (math.fsum(sums[at].tolist()) for at in (1, 3, 4))
    return Losses(
        train_squared / train_count,
        math.sqrt(test_squared / test_count) if test_count else math.nan,
        test_absolute / test_count if test_count else math.nan,
    )
