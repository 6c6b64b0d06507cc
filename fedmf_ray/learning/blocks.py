"""The ratings of some users as arrays, what is agreed on about steps, and the inner product that keeps its
bits.

The model is r_ij = <u_i, v_j>, with biases mean + b_i + b_j + <u_i, v_j>. A user minimises sum_j (r_ij -
<u_i, v_j>)**2 with weights reg_user and reg_item on |u_i|**2 and |v_j|**2 (Chai et al., section 3.1,
equations 1 to 4).

Bits: inner products are an elementwise product and ``np.add.reduce`` over the last, contiguous axis.
Unlike a BLAS product this gives a row the same bits whatever the other rows are and on whatever CPU, so
it does not matter which users share a block. Keep it that way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """Step size and regularisation: gamma, lambda and mu of the paper; the same for biases; the mean."""

    learning_rate: float
    reg_user: float
    reg_item: float
    reg_user_bias: float = 0.0
    reg_item_bias: float = 0.0
    mean: float = 0.0


class RatingBlock(NamedTuple):
    """The training ratings of a block of users, one user after the other, each in timestamp order.

    starts: (users + 1,) int64, user k owns ratings starts[k] to starts[k + 1].
    items: (ratings,) int64 rows of the item matrix.
    values: (ratings,) float64.
    """

    starts: Integers
    items: Integers
    values: Floats

    @classmethod
    def of(cls, users: Sequence[tuple[Integers, Floats]]) -> RatingBlock:
        """From each user's items and values."""
        starts = np.concatenate([[0], np.cumsum([len(items) for items, _ in users])]).astype(np.int64)
        items = np.concatenate([items for items, _ in users]).astype(np.int64)
        return cls(starts, items, np.concatenate([values for _, values in users]))

    def part(self, first: int, stop: int) -> RatingBlock:
        """Those of users first to stop."""
        begin, end = self.starts[first], self.starts[stop]
        return RatingBlock(
            self.starts[first : stop + 1] - begin, self.items[begin:end], self.values[begin:end]
        )


class KeptRatings:
    """The same in half the memory, for as long as a run lasts: items in four bytes, and ratings, which are
    relative to nothing yet, in four where these hold them exactly.

    starts: as of :class:`RatingBlock`. items: (ratings,) int32, or int64 if there are more.
    """

    def __init__(self, users: Sequence[tuple[Integers, Floats]], mean: float) -> None:
        """Each user's items and ratings. mean: what ratings are relative to in a block."""
        self.starts = np.concatenate([[0], np.cumsum([len(items) for items, _ in users])]).astype(np.int64)
        most = max((int(items.max()) for items, _ in users if len(items)), default=0)
        self.items = _joined([items for items, _ in users], np.int32 if most < 1 << 31 else np.int64)
        short = all(np.array_equal(values.astype(np.float32), values) for _, values in users)
        self._ratings = _joined([values for _, values in users], np.float32 if short else np.float64)
        self._mean = mean

    @property
    def values(self) -> Floats:
        """(ratings,) float64 ratings less the mean, all at once."""
        return self._ratings.astype(np.float64) - self._mean

    @property
    def whole(self) -> RatingBlock:
        """Of all users."""
        return self.part(0, len(self.starts) - 1)

    def part(self, first: int, stop: int) -> RatingBlock:
        """Those of users first to stop."""
        begin, end = self.starts[first], self.starts[stop]
        return RatingBlock(
            self.starts[first : stop + 1] - begin,
            self.items[begin:end].astype(np.int64),
            self._ratings[begin:end].astype(np.float64) - self._mean,
        )

    def groups(self, most: int) -> Iterator[tuple[int, int]]:
        """Contiguous ranges of users with at most so many ratings, or one user."""
        first, users = 0, len(self.starts) - 1
        while first < users:
            stop = int(np.searchsorted(self.starts, self.starts[first] + most, side="right")) - 1
            yield first, (stop := max(stop, first + 1))
            first = stop


def _joined(arrays: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *arrays], dtype=dtype, casting="same_kind")


def inner(left: Floats, right: Floats) -> Floats:
    """Row by row inner products, (..., factors) to (...); the same bits for a row in any company."""
    products: Floats = np.add.reduce(left * right, axis=-1)
    return products
