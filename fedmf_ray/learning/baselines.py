"""What no protection would cost: models that one process trains on everybody's ratings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import RatingBlock, Steps, inner
from fedmf_ray.learning.rules.gradient import sides

Floats = NDArray[np.float64]


class Epoch(NamedTuple):
    """Vectors after one pass over all ratings, and how far they moved (mean absolute change).

    Predictions are inner products of the two, and the mean. scores: (users, items) what lists are sorted by,
    or (1, items) if all users have one list; predictions if not given.
    """

    user_vectors: Floats
    item_matrix: Floats
    user_change: float
    item_change: float
    scores: Floats | None = None


def regular_mf(
    user_vectors: Floats, item_matrix: Floats, block: RatingBlock, steps: Steps, bias: bool = False
) -> Iterator[Epoch]:
    """Plain stochastic gradient descent in one process: what no protection would cost.

    Ratings in user order; the user's and the item's vector both move at each rating, the item's with
    the user vector that has just moved (the authors' ``Regular_MF.py``). With biases both sides have two
    more columns (:mod:`fedmf_ray.learning.items`). Yields after each pass, without end.
    """
    side = sides(steps, user_vectors.shape[1], bias)
    users, items = user_vectors.copy(), item_matrix.copy()
    owners = np.repeat(np.arange(len(users)), np.diff(block.starts)).tolist()
    ratings = list(zip(owners, block.items.tolist(), block.values.tolist(), strict=True))
    while True:
        old_users, old_items = users.copy(), items.copy()
        for i, j, rating in ratings:
            u, v = users[i], items[j]
            error = rating - inner(u, v)
            u -= side.user_rate * (-2 * error * v + side.user_pull * u)
            v -= side.item_rate * (-2 * error * u + side.item_pull * v)
        yield Epoch(
            users.copy(),
            items.copy(),
            float(np.mean(np.abs(users - old_users))),
            float(np.mean(np.abs(items - old_items))),
        )


def biases(block: RatingBlock, items: int, steps: Steps) -> Iterator[Epoch]:
    """Mean + b_i + b_j and nothing else: least squares, users and items in turn, regularised.

    block: ratings minus the mean. Weights reg_user_bias and reg_item_bias on the squared biases; each pass
    solves for all items, then for all users (Koren, ACM TKDD 4(1), 2010, section 2.1). Vectors are (b_i, 1)
    and (1, b_j).
    """
    users = len(block.starts) - 1
    owners = np.repeat(np.arange(users), np.diff(block.starts))
    of_user, of_item = np.zeros(users), np.zeros(items)
    user_counts, item_counts = np.diff(block.starts), np.bincount(block.items, minlength=items)
    while True:
        before = of_user, of_item
        residual = np.bincount(block.items, block.values - of_user[owners], items)
        of_item = residual / (steps.reg_item_bias + np.maximum(item_counts, 1))
        residual = np.bincount(owners, block.values - of_item[block.items], users)
        of_user = residual / (steps.reg_user_bias + np.maximum(user_counts, 1))
        yield Epoch(
            np.column_stack([of_user, np.ones(users)]),
            np.column_stack([np.ones(items), of_item]),
            float(np.mean(np.abs(of_user - before[0]))),
            float(np.mean(np.abs(of_item - before[1]))),
        )


def popularity(block: RatingBlock, items: int) -> Floats:
    """(items,) how many rated each: the list that needs no user, the same for everybody."""
    return np.bincount(block.items, minlength=items).astype(float)


def overall_mean(block: RatingBlock, items: int) -> Epoch:
    """The mean of all ratings as everybody's prediction for everything: what popularity knows of ratings."""
    users, mean = len(block.starts) - 1, float(np.mean(block.values))
    raters = popularity(block, items)[None]
    return Epoch(np.ones((users, 1)), np.full((items, 1), mean), 0.0, 0.0, raters)
