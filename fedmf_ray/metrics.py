"""Losses as sums that can be added up: users report them, nobody else sees a rating."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.factors import inner


class ErrorSums(NamedTuple):
    """One user's errors on its own ratings: sums over the training and the test set."""

    train_count: int
    train_squared: float
    test_count: int
    test_squared: float
    test_absolute: float


class Losses(NamedTuple):
    """train_mse: mean squared training error; test_rmse, test_mae: on held-out ratings (NaN if none)."""

    train_mse: float
    test_rmse: float
    test_mae: float


def errors(
    vector: NDArray[np.float64],
    item_matrix: NDArray[np.float64],
    items: NDArray[np.int64],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:
    """r - <u, v> for one user's (ratings,) items and values."""
    return values - inner(vector, item_matrix[items])


def error_sums(train_errors: NDArray[np.float64], test_errors: NDArray[np.float64]) -> ErrorSums:
    """Reduce one user's errors to the sums it reports."""
    return ErrorSums(
        len(train_errors),
        float(np.sum(train_errors**2)),
        len(test_errors),
        float(np.sum(test_errors**2)),
        float(np.sum(np.abs(test_errors))),
    )


def combine(sums: Sequence[ErrorSums]) -> Losses:
    """Losses over all users. ``math.fsum`` rounds once, so the order of users does not matter."""
    train_count = sum(s.train_count for s in sums)
    test_count = sum(s.test_count for s in sums)
    return Losses(
        math.fsum(s.train_squared for s in sums) / train_count,
        math.sqrt(math.fsum(s.test_squared for s in sums) / test_count) if test_count else math.nan,
        math.fsum(s.test_absolute for s in sums) / test_count if test_count else math.nan,
    )
